"""Receipts of told lives, and what reads them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyshacl
from consent_story import BIRTHS, book_of_rules, instant, notices, story
from rdflib import Graph

from consent.events import Event
from consent.listing import consents_in
from consent.notices import Contents, Notice, Shown, Wording
from consent.receipts import Issue, Party, receipt
from policies.canonical import canonical

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


def term(line: Mapping[str, Any]) -> str:
    kinds = line["@type"]
    return str(kinds if isinstance(kinds, str) else kinds[0])


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
