"""A receipt says in DPV's words what became of a consent, conforms to TS 27560, and has one spelling."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from consent_story import BIRTHS, DAY, START, instant, notices
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from receipt_story import (
    BOOK,
    CASES,
    EVERY_METHOD,
    ON_NOTICE,
    conforms,
    graph_of,
    receipt_of,
    record_of,
    shown_with,
    term,
)
from test_standing_properties import logs

from consent.events import Event, EventKind
from consent.lifelines import Names, Status, history
from consent.listing import GIVEN, Consent, consents_in, questions_of, state
from consent.receipts import RetiredTermsError
from consent.replaying import Life
from consent.rules import standings
from consent.vocabulary import CONTEXT
from policies.canonical import canonical

# What rdflib's own JSON-LD reader calls inside itself is no concern of ours.
pytestmark = pytest.mark.filterwarnings("ignore:.*is deprecated, use:DeprecationWarning:rdflib")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["why"])
def test_it_says_what_became_of_the_consent(case: Mapping[str, Any]) -> None:
    (record,) = receipt_of(case)["dpv:hasRecordOfActivity"]
    lines = record["dpv:hasConsentStatus"]
    expected = [state.split() for state in case["states"]]
    assert [term(line) for line in lines] == [f"dpv:{words[0]}" for words in expected]
    for line, words in zip(lines, expected, strict=True):
        _, when, who, why = [*words, None, None, None][:4]
        at = datetime.fromisoformat(line["dpv:isIndicatedAtTime"]).timestamp() * 1000
        assert when is None or at == instant(when)
        assert who is None or line["dpv:isIndicatedBy"] in _called(record, who)
        assert why is None or line["hh:reason"] == why


def _called(record: Mapping[str, Any], who: str) -> set[str]:
    """How the receipt names somebody of a story; who gives something for themselves is person and giver."""
    own = "urn:household-governance:person:"
    people = {
        "house": "urn:household-governance:party:acme",
        "person": record["dpv:hasDataSubject"]["@id"],
        "giver": own + "6" * 32,
    }
    return {people.get(who, own + who)}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["why"])
def test_it_names_the_articles_it_rests_on(case: Mapping[str, Any]) -> None:
    (process,) = record_of(case)["dpv:hasProcess"]
    named = [
        one["@id"].removeprefix("pipl:") for one in process["dpv:hasLegalBasis"] if isinstance(one, dict)
    ]
    assert named == case["bases"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["why"])
def test_it_conforms_to_the_shapes_of_the_record(case: Mapping[str, Any]) -> None:
    good, why = conforms(receipt_of(case))
    assert good, why


MANDATORY = (
    *("dct:identifier", "dct:conformsTo", "dct:created", "dpv:hasDataSubject", "dpv:hasNotice"),
    *("dpv:hasProcess", "dpv:hasEntity", "dpv:hasConsentControl", "dpv:hasRight", "dpv:hasConsentStatus"),
)
OF_PROCESS = (
    *("dpv:hasPurpose", "dpv:hasPersonalData", "dpv:hasProcessing", "dpv:hasLegalBasis"),
    *("dpv:hasDataController", "dpv:hasRecipient", "dpv:hasJurisdiction", "dpv:hasStorageCondition"),
)


@pytest.mark.parametrize("name", MANDATORY)
def test_the_shapes_miss_each_mandatory_part_of_the_record(name: str) -> None:
    document = receipt_of(CASES[0])
    del document["dpv:hasRecordOfActivity"][0][name]
    good, why = conforms(document)
    assert not good
    assert f"Result Path: {name}" in why


@pytest.mark.parametrize("name", OF_PROCESS)
def test_the_shapes_miss_each_mandatory_part_of_the_processing(name: str) -> None:
    document = receipt_of(CASES[0])
    del document["dpv:hasRecordOfActivity"][0]["dpv:hasProcess"][0][name]
    good, why = conforms(document)
    assert not good
    assert f"Result Path: {name}" in why


def test_every_name_it_uses_is_defined_in_its_own_context() -> None:
    prefixes = {name for name, value in CONTEXT.items() if isinstance(value, str)}
    unknown = {
        word
        for case in CASES
        for word in _names(receipt_of(case))
        if not word.startswith("@") and word.partition(":")[0] not in prefixes
    }
    assert unknown == set()
    assert all(str(subject) for subject in graph_of(receipt_of(CASES[0])).subjects())


def test_every_term_of_dpv_is_one_that_its_version_has() -> None:
    known = set((Path(__file__).parent / "dpv_2_3_terms.txt").read_text(encoding="ascii").split())
    documents = [*map(receipt_of, CASES), receipt_of(ON_NOTICE, notice=shown_with(methods=EVERY_METHOD))]
    used = {
        word
        for document in documents
        for word in (*_names(document), *_texts(document))
        if word.partition(":")[0] in ("dpv", "pd", "loc")
    }
    used |= {one for one in CONTEXT if one.startswith("dpv:")}
    used |= {one.dpv for one in (*BOOK.purposes.values(), *BOOK.categories.values()) if one.dpv}
    assert used - known == set()


def test_it_names_nobody() -> None:
    for case in CASES:
        text = canonical(receipt_of(case)).decode()
        assert "mem_" not in text
        assert str(BIRTHS[case["person"]]) not in text


def test_what_the_rules_no_longer_know_has_no_receipt() -> None:
    case = {**CASES[0], "story": ["0 self consents marketing.psychic outreach.sms"]}
    with pytest.raises(RetiredTermsError):
        receipt_of(case)


# --- what the notice says

TOLD = st.sampled_from(
    [
        (person, purpose, category)
        for person in ("adult", "teen", "child", "almost_14", "almost_18")
        for purpose, category in (
            ("service.health", "health.record"),
            ("service.household", "finance.account"),
            ("marketing.profiled", "content.history"),
            ("analytics.usage", "contact.email"),
        )
    ]
).flatmap(lambda one: st.tuples(st.just(one[0]), logs(*one)))
DAYS = st.integers(2, 400).map(lambda half: START + half * DAY // 2)
PUBLISHED = notices(["n@1 0", "n@2 15 material"])
often = settings(max_examples=150, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])


def lines_at(person: str, log: Sequence[Event], consent: Consent, now: int) -> list[Status]:
    known = [one for one in log if one.recorded_at <= now]
    life = Life(consent, known, BIRTHS[person], BOOK, PUBLISHED, now)
    return history(life, Names("subject", "actor", "acme"))


@often
@given(TOLD, st.tuples(DAYS, DAYS).map(sorted))
def test_two_receipts_of_different_days_agree_about_the_past(
    told: tuple[str, list[Event]], days: list[int]
) -> None:
    person, log = told
    for consent in consents_in(one for one in log if one.recorded_at <= days[0]):
        earlier, later = (lines_at(person, log, consent, now) for now in days)
        assert earlier == later[: len(earlier)]


@often
@given(TOLD, DAYS)
def test_a_receipt_ends_with_given_exactly_where_the_consent_permits_something(
    told: tuple[str, list[Event]], now: int
) -> None:
    person, log = told
    known = [one for one in log if one.recorded_at <= now and one.kind != EventKind.HIDDEN]
    for consent in consents_in(known):
        held = state(known, consent, BIRTHS[person], now, BOOK, PUBLISHED) in GIVEN
        questions = questions_of(consent, BIRTHS[person], now)
        permits = all(one.permits for one in standings(known, questions, BOOK, PUBLISHED))
        last = lines_at(person, known, consent, now)[-1]
        assert (last.term == "dpv:ConsentGiven") is (held and permits)


# --- one spelling (RFC 8785)

TEXTS = st.text()
WHOLE = st.integers(-(2**53) + 1, 2**53 - 1)
NAMES = st.text(st.characters(max_codepoint=127), max_size=8)
VALUES = st.recursive(
    TEXTS | WHOLE | st.booleans(),
    lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner),
    max_leaves=20,
)


# How fast texts are drawn is the machine's affair: the tables of Unicode are made on the first run.
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.dictionaries(NAMES, VALUES))
def test_the_spelling_is_that_of_the_rfc(document: dict[str, object]) -> None:
    assert canonical(document) == rfc8785.dumps(document)  # type: ignore[arg-type]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["why"])
def test_a_real_receipt_has_the_spelling_of_the_rfc(case: Mapping[str, Any]) -> None:
    document = json.loads(canonical(receipt_of(case)))
    assert canonical(document) == rfc8785.dumps(document)


@pytest.mark.parametrize(
    "part", [1.5, float("nan"), None, 2**53, -(2**53), b"x", {"名": 1}, {1: "x"}, [[{"x": 0.1}]]]
)
def test_what_could_be_spelt_in_two_ways_is_refused(part: object) -> None:
    with pytest.raises(ValueError, match=r"ASCII|holds"):
        canonical({"x": part})


def _names(value: object) -> set[str]:
    if isinstance(value, Mapping):
        inner = [one for key, one in value.items() if key != "@context"]
        return {str(key) for key in value} | {name for one in inner for name in _names(one)}
    if isinstance(value, list | tuple):
        return {name for one in value for name in _names(one)}
    return set()


def _texts(value: object) -> set[str]:
    if isinstance(value, Mapping):
        return {text for key, one in value.items() if key != "@context" for text in _texts(one)}
    if isinstance(value, list | tuple):
        return {text for one in value for text in _texts(one)}
    return {value} if isinstance(value, str) else set()
