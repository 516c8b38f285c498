"""What a receipt says of the processing: place, parties, methods, border, language, and by whose word."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from consent_story import instant
from receipt_story import (
    ON_NOTICE,
    PARTY,
    TO_NOBODY,
    conforms,
    events_of,
    receipt_of,
    record_of,
    shown_with,
    term,
)

from policies.instants import rfc3339

# What rdflib's own JSON-LD reader calls inside itself is no concern of ours.
pytestmark = pytest.mark.filterwarnings("ignore:.*is deprecated, use:DeprecationWarning:rdflib")


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
    return next(dict(one) for one in record["dpv:hasConsentStatus"] if term(one) == "dpv:ConsentGiven")


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
    told = [(term(one), one["dpv:isIndicatedAtTime"]) for one in record["dpv:hasConsentStatus"]]
    assert told == [
        ("dpv:ConsentRequested", rfc3339(instant("0"))),
        ("dpv:ConsentGiven", rfc3339(instant("0+1m"))),
        ("dpv:ConsentExpired", rfc3339(instant("180+1m"))),
    ]


def test_hiding_the_data_leaves_no_trace_in_a_receipt() -> None:
    case = {**TO_NOBODY, "story": [*TO_NOBODY["story"], "1 self hides outreach.sms everybody"]}
    assert receipt_of(case) == receipt_of(TO_NOBODY)


# --- the past stays what it was
