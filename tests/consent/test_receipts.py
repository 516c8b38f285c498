"""A receipt says in DPV's words what became of a consent, conforms to TS 27560, and has one spelling."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pyshacl
import pytest
import rfc8785
from consent_story import BIRTHS, book_of_rules, instant, story
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rdflib import Graph

from consent.events import Event
from consent.listing import consents_in
from consent.receipts import Issue, Party, RetiredTermsError, receipt
from consent.vocabulary import CONTEXT
from policies.canonical import canonical

# What rdflib's own JSON-LD reader calls inside itself is no concern of ours.
pytestmark = pytest.mark.filterwarnings("ignore:.*is deprecated, use:DeprecationWarning:rdflib")

HERE = Path(__file__).parent
CASES = tomllib.loads((HERE / "receipts.toml").read_text(encoding="utf-8"))["case"]
BOOK = book_of_rules()
NOTICE = "n.one@3#" + "ab" * 32
RECORD = "01a20df8-bf75-712f-88a4-9e461a46c6c7"
SIGNATURE = "eyJhbGciOiJFZDI1NTE5In0.." + "A" * 86
ACME = Party("acme", "张家小铺有限公司", "上海市静安区测试路1号", "privacy@shop.example")


def events_of(case: Mapping[str, Any]) -> tuple[Event, ...]:
    told = story(case["person"], case["story"])
    return tuple(
        one._replace(notice=NOTICE, consent_id=f"con_{RECORD}") if one.consent_id else one for one in told
    )


def receipt_of(case: Mapping[str, Any]) -> dict[str, Any]:
    events = events_of(case)
    (consent,) = consents_in(events)
    at = instant(case["at"])
    issue = Issue(
        receipt_id="01a20df8-c85f-7080-ade2-f3b68a6a4e3c",
        at=at,
        log_index=7,
        subject="5" * 32,
        actor=("5" if consent.actor_id == consent.subject_id else "6") * 32,
        controller=ACME,
        site="https://house.example",
    )
    return receipt(consent, events, BIRTHS[case["person"]], BOOK, issue)


def record_of(case: Mapping[str, Any]) -> dict[str, Any]:
    (record,) = receipt_of(case)["dpv:hasRecordOfActivity"]
    return dict(record)


def graph_of(document: Mapping[str, object]) -> Graph:
    """Read it as any JSON-LD reader would; there is no network in this, the context is inside."""
    return Graph().parse(data=canonical({**document, "hh:signature": SIGNATURE}), format="json-ld")


def conforms(document: Mapping[str, object]) -> tuple[bool, str]:
    shapes = Graph().parse(HERE / "shapes.ttl", format="turtle")
    good, _, why = pyshacl.validate(graph_of(document), shacl_graph=shapes, inference="none")
    return bool(good), str(why)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["why"])
def test_it_says_what_became_of_the_consent(case: Mapping[str, Any]) -> None:
    lines = record_of(case)["dpv:hasConsentStatus"]
    told = [one["@type"].removeprefix("dpv:") for one in lines]
    expected = [state.partition(" ") for state in case["states"]]
    assert told == [state for state, _, _ in expected]
    for line, (_, _, when) in zip(lines, expected, strict=True):
        if when:
            at = datetime.fromisoformat(line["dpv:isIndicatedAtTime"])
            assert at.timestamp() * 1000 == instant(when)


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
    known = set((HERE / "dpv_2_3_terms.txt").read_text(encoding="ascii").split())
    used = {
        word
        for case in CASES
        for word in (*_names(receipt_of(case)), *_texts(receipt_of(case)))
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
