"""A receipt says in DPV's words what became of a consent, conforms to TS 27560, and has one spelling."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyshacl
import pytest
import rfc8785
from consent_story import BIRTHS, DAY, START, book_of_rules, instant, notices, story
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rdflib import Graph
from test_standing_properties import logs

from consent.events import Event, EventKind
from consent.lifelines import Names, Status, history
from consent.listing import GIVEN, Consent, consents_in, questions_of, state
from consent.notices import Contents, Notice, Shown, Wording
from consent.receipts import Issue, Party, RetiredTermsError, receipt
from consent.replaying import Life
from consent.rules import standings
from consent.vocabulary import CONTEXT
from policies.canonical import canonical
from policies.instants import rfc3339

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
    """Tell the story; its first consent has the id of the record, and the notice n its full reference."""
    told = story(case["person"], case["story"])
    first = consents_in(told)[0].consent_id
    notice = NOTICE if "notices" not in case else f"n@1#{'ab' * 32}"
    return tuple(
        one._replace(notice=notice, consent_id=f"con_{RECORD}" if one.consent_id == first else one.consent_id)
        if one.consent_id
        else one
        for one in told
    )


def receipt_of(
    case: Mapping[str, Any], events: Sequence[Event] | None = None, notice: Shown | None = None
) -> dict[str, Any]:
    told = events_of(case) if events is None else events
    (consent,) = (one for one in consents_in(told) if one.consent_id == f"con_{RECORD}")
    issue = Issue(
        receipt_id="01a20df8-c85f-7080-ade2-f3b68a6a4e3c",
        at=instant(case["at"]),
        log_index=7,
        subject="5" * 32,
        actor=("5" if consent.actor_id == consent.subject_id else "6") * 32,
        controller=ACME,
        site="https://house.example",
    )
    published = notices(case.get("notices", ()))
    return receipt(consent, told, BIRTHS[case["person"]], BOOK, issue, notice, published)


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
    (record,) = receipt_of(case)["dpv:hasRecordOfActivity"]
    lines = record["dpv:hasConsentStatus"]
    expected = [state.split() for state in case["states"]]
    assert [_term(line) for line in lines] == [f"dpv:{words[0]}" for words in expected]
    for line, words in zip(lines, expected, strict=True):
        _, when, who, why = [*words, None, None, None][:4]
        at = datetime.fromisoformat(line["dpv:isIndicatedAtTime"]).timestamp() * 1000
        assert when is None or at == instant(when)
        assert who is None or line["dpv:isIndicatedBy"] in _called(record, who)
        assert why is None or line["hh:reason"] == why


def _term(line: Mapping[str, Any]) -> str:
    kinds = line["@type"]
    return str(kinds if isinstance(kinds, str) else kinds[0])


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
    known = set((HERE / "dpv_2_3_terms.txt").read_text(encoding="ascii").split())
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

WORDS = Wording("t", "t")
EVERY_METHOD = frozenset(
    ["collect", "store", "use", "refine", "transmit", "provide", "publish", "delete", "automated_decision"]
)


def shown_with(**more: Any) -> Shown:
    contents = Contents(
        purpose="marketing.direct",
        categories=frozenset({"outreach.sms"}),
        methods=frozenset({"collect", "transmit", "provide"}),
        recipients=frozenset({"lab@us"}),
        processors=frozenset({"sms-gw"}),
        retention_days=90,
        region="sg",
    )
    notice = Notice(
        id="n.one",
        version=3,
        contents=replace(contents, **more),
        wordings={"zh": WORDS, "en": WORDS},
        assessment="",
        changed=(),
        effective_from=instant("0"),
        published_by="stf_x",
        published_at=instant("0"),
    )
    return Shown(notice, "zh")


ON_NOTICE = {
    "person": "adult",
    "story": ["0 self consents marketing.direct outreach.sms to:lab@us"],
    "at": "5",
}
TO_NOBODY = {**ON_NOTICE, "story": ["0 self consents marketing.direct outreach.sms"]}
PARTY = "urn:household-governance:party:"


def told_on(case: Mapping[str, Any], **more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    document = receipt_of(case, notice=shown_with(**more))
    good, why = conforms(document)
    assert good, why
    (record,) = document["dpv:hasRecordOfActivity"]
    return record, record["dpv:hasProcess"][0]


def bases_of(process: Mapping[str, Any]) -> list[str]:
    return [one["@id"].removeprefix("pipl:") for one in process["dpv:hasLegalBasis"] if isinstance(one, dict)]


def test_the_processing_is_what_the_notice_says_it_is() -> None:
    record, process = told_on(ON_NOTICE)
    assert process["dpv:hasStorageCondition"][0]["dpv:hasLocation"] == "loc:SG"
    assert process["dpv:hasRecipient"] == PARTY + "lab@us"
    assert process["dpv:hasDataProcessor"] == [PARTY + "sms-gw"]
    assert process["dpv:hasProcessing"] == [
        "dpv:Collect",
        "dpv:Transmit",
        "dpv:Share",
        "dpv:CrossBorderTransfer",
    ]
    assert bases_of(process) == ["A13-1-1", "A23", "A39"]
    assert process["dpv:hasLegalBasis"][0] == "dpv:ExplicitlyExpressedConsent"
    assert record["dpv:hasNotice"]["dct:date"] == "2026-02-28T16:00:00.000Z"


def test_another_party_is_named_with_what_is_known_of_it() -> None:
    record, _ = told_on(ON_NOTICE)
    others = {one["@id"]: one for one in record["dpv:hasEntity"][1:]}
    assert others == {
        PARTY + "lab@us": {
            "@id": PARTY + "lab@us",
            "@type": "dpv:ThirdParty",
            "dpv:hasIdentifier": "lab",
            "dpv:hasLocation": "loc:US",
        },
        PARTY + "sms-gw": {
            "@id": PARTY + "sms-gw",
            "@type": "dpv:DataProcessor",
            "dpv:hasIdentifier": "sms-gw",
            "dpv:hasLocation": "loc:CN",
        },
    }


def test_a_recipient_that_the_notice_names_and_the_consent_does_not_is_told_with_the_notice_only() -> None:
    record, process = told_on(TO_NOBODY, region="cn")
    assert process["dpv:hasRecipient"] == PARTY + "acme"
    assert record["dpv:hasNotice"]["dpv:hasRecipient"] == [PARTY + "lab@us"]
    assert bases_of(process) == ["A13-1-1"]


@pytest.mark.parametrize(
    ("case", "more", "abroad"),
    [
        (TO_NOBODY, {"region": "cn"}, False),
        (TO_NOBODY, {"region": "sg"}, True),
        (TO_NOBODY, {"region": "cn", "processors": frozenset({"cloud@us"})}, True),
        (ON_NOTICE, {"region": "cn"}, True),
    ],
)
def test_the_article_about_the_border_is_named_when_something_crosses_it(
    case: Mapping[str, Any], more: Mapping[str, Any], *, abroad: bool
) -> None:
    _, process = told_on(case, **more)
    assert ("A39" in bases_of(process)) is abroad
    assert ("dpv:CrossBorderTransfer" in process["dpv:hasProcessing"]) is abroad


def test_the_language_is_told_only_of_a_text_on_record() -> None:
    assert "dct:language" not in record_of(TO_NOBODY)["dpv:hasNotice"]
    assert told_on(TO_NOBODY)[0]["dpv:hasNotice"]["dct:language"] == "zh"


# --- who agreed, and how


def given_in(record: Mapping[str, Any]) -> dict[str, Any]:
    return next(dict(one) for one in record["dpv:hasConsentStatus"] if _term(one) == "dpv:ConsentGiven")


BOTH = [
    "0 mother becomes_guardian",
    "1 mother consents service.household finance.account",
    "2 self consents service.household finance.account",
]


@pytest.mark.parametrize(
    ("person", "lines", "until", "is_child"),
    [("child", BOTH[:2], "until_14", True), ("teen", BOTH, "until_18", False)],
)
def test_a_guardians_yes_lasts_until_the_age_that_ends_it_and_only_a_child_is_called_one(
    person: str, lines: list[str], until: str, *, is_child: bool
) -> None:
    record = record_of({"person": person, "story": lines, "at": "5"})
    assert given_in(record)["hh:delegationValidity"] == until
    assert ("dpv:Child" in record["dpv:hasDataSubject"]["@type"]) is is_child
    assert ("A31-1" in bases_of(record["dpv:hasProcess"][0])) is is_child


@pytest.mark.parametrize(
    ("evidence", "method"),
    [
        ({}, "checkbox+one-time-code"),
        ({"method": "email_link"}, "checkbox+email-link"),
        ({"via": "import", "reference": "paper-7"}, "imported-evidence"),
    ],
)
def test_the_method_is_that_of_the_evidence(evidence: Mapping[str, str], method: str) -> None:
    events = [one._replace(evidence=json.dumps(evidence)) for one in events_of(TO_NOBODY)]
    (record,) = receipt_of(TO_NOBODY, events)["dpv:hasRecordOfActivity"]
    assert given_in(record)["dpv:hasIndicationMethod"] == method


def test_an_imported_consent_was_given_when_it_was_given_and_not_when_it_was_imported() -> None:
    case = {"person": "adult", "story": ["0 self consents service.health health.record"], "at": "300"}
    events = [one._replace(recorded_at=instant("290")) for one in events_of(case)]
    (record,) = receipt_of(case, events)["dpv:hasRecordOfActivity"]
    told = [(_term(one), one["dpv:isIndicatedAtTime"]) for one in record["dpv:hasConsentStatus"]]
    assert told == [
        ("dpv:ConsentRequested", rfc3339(instant("0"))),
        ("dpv:ConsentGiven", rfc3339(instant("0+1m"))),
        ("dpv:ConsentExpired", rfc3339(instant("180+1m"))),
    ]


def test_hiding_the_data_leaves_no_trace_in_a_receipt() -> None:
    case = {**TO_NOBODY, "story": [*TO_NOBODY["story"], "1 self hides outreach.sms everybody"]}
    assert receipt_of(case) == receipt_of(TO_NOBODY)


# --- the past stays what it was


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
