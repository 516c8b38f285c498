"""Notices over HTTP: who publishes, what a consent must refer to, what a change ends, and no asking again."""

from __future__ import annotations

import json
from typing import Any

import happenings
import pytest
from living import DAY, MINUTE, START, Living, Wire, sent, spell

from governance import seeding, world
from governance.times import rfc3339

ONE_ENGINE = pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)
USAGE: dict[str, Any] = {
    "id": "analytics",
    "purpose": "analytics.usage",
    "categories": ["content.history"],
    "methods": ["use"],
    "processors": ["lab"],
    "retention_days": 30,
    "region": "cn",
    "texts": {
        "zh": {"title": "使用分析", "text": "我们统计观看次数。"},
        "en": {"title": "Usage", "text": "We count views."},
    },
}
OFFERS: dict[str, Any] = {
    "id": "marketing.direct",
    "purpose": "marketing.direct",
    "categories": ["outreach.sms"],
    "methods": ["use", "transmit"],
    "retention_days": 365,
    "region": "cn",
    "texts": {
        "zh": {"title": "推广信息告知", "text": "我们用短信发送推广信息，每天至多五条。"},
        "en": {"title": "About promotional messages", "text": "We send offers by SMS, five a day at most."},
    },
}


def publish(house: Living, wire: Wire, body: dict[str, Any], **headers: str) -> tuple[int, dict[str, Any]]:
    answer = wire.post("/v1/notices", body, key=house.key(world.CRM), **headers)
    return answer.status_code, json.loads(answer.content)


def tick(house: Living, wire: Wire, **changes: Any) -> tuple[int, str]:
    body = {
        "subject": world.LI_QIANG.id,
        "purpose": "service.health",
        "categories": ["health.record"],
        "notice": seeding.notice("service.health"),
        "ticked": True,
        "on_behalf_of": world.LI_QIANG.id,
    } | changes
    answer = wire.post("/v1/consents", body, key=house.key(world.CRM))
    said = json.loads(answer.content)
    return answer.status_code, said.get("code") or said["status"]


def offer(house: Living, wire: Wire) -> dict[str, Any]:
    message = {
        "sender": world.SENDER.id,
        "channel": "sms",
        "purpose": "marketing.direct",
        "text": "【张家小铺】周末绘本八折，到店有座，拒收请回复R",
        "recipients": [world.ZHANG_LI.id],
    }
    answer = wire.post("/v1/messages", message, key=house.key(world.SENDER))
    found: dict[str, Any] = json.loads(answer.content)["recipients"][0]
    return found


def test_a_published_notice_is_read_by_everybody_with_the_digests_consents_refer_to(
    house: Living, wire: Wire
) -> None:
    status, made = publish(house, wire, USAGE)
    assert (status, made["version"], made["material_changes"]) == (201, 1, [])
    assert made["published_by"] == world.CRM.id
    session = house.sign_in(world.XIAO_MAN)
    listed = json.loads(wire.get("/v1/notices", session=session).content)["data"]
    assert [one["id"] for one in listed] == ["analytics", "family.care", "marketing.direct", "service.health"]
    assert listed[0] == made
    health = next(one for one in listed if one["id"] == "service.health")
    assert health["texts"]["zh"]["reference"] == seeding.notice("service.health")
    assert health["texts"]["en"]["reference"] == seeding.notice("service.health", "en")
    entry = house.log()[-1]
    assert (entry.act, entry.purpose) == ("notice.published", "analytics.usage")
    assert entry.resource.startswith("analytics@1#")


@ONE_ENGINE
def test_an_officer_publishes_by_the_session_and_others_do_not(house: Living, wire: Wire) -> None:
    for who, status in ((world.OFFICER, 201), (world.AUDITOR, 403), (world.ZHANG_LI, 403)):
        headers = sent(None, {}, house.sign_in(who))
        answer = wire.call("POST", "/v1/notices", content=spell(USAGE), headers=headers)
        assert answer.status_code == status


@ONE_ENGINE
def test_publishing_the_same_again_gives_the_same_version_and_a_key_gives_its_own(
    house: Living, wire: Wire
) -> None:
    _, first = publish(house, wire, USAGE, idempotency_key="one")
    assert publish(house, wire, USAGE)[1] == first
    size = house.size()
    _, second = publish(house, wire, USAGE | {"region": "sg"})
    assert (second["version"], second["material_changes"], house.size()) == (2, ["region"], size + 1)
    _, again = publish(house, wire, USAGE, idempotency_key="one")
    assert again["version"] == 1
    assert publish(house, wire, OFFERS, idempotency_key="one")[0] == 422


@ONE_ENGINE
@pytest.mark.parametrize(
    ("changes", "pointer", "code"),
    [
        ({"purpose": "analytics.minds"}, "/purpose", "unknown_purpose"),
        ({"categories": ["content.dreams"]}, "/categories", "unknown_category"),
        ({"retention_days": 366}, "/retention_days", "longer_than_the_rules_allow"),
        ({"effective_from": rfc3339(START)}, "/effective_from", "in_the_past"),
        ({"effective_from": "2026-13-01T00:00:00Z"}, "/effective_from", "not_a_time"),
        ({"effective_from": "2027-01-01"}, "/effective_from", "not_a_time"),
    ],
)
def test_what_does_not_fit_the_rules_is_not_published(
    house: Living, wire: Wire, changes: dict[str, Any], pointer: str, code: str
) -> None:
    before = house.size()
    status, said = publish(house, wire, USAGE | changes)
    assert (status, said["errors"]) == (422, [{"pointer": pointer, "code": code}])
    assert house.size() == before
    headers = sent(house.key(world.CRM), {})
    assert wire.call("GET", "/v1/notices/analytics", headers=headers).status_code == 404


@ONE_ENGINE
def test_a_version_does_not_count_before_the_one_it_follows(house: Living, wire: Wire) -> None:
    later = rfc3339(house.clock() + 2 * DAY)
    assert publish(house, wire, USAGE | {"effective_from": later})[0] == 201
    status, said = publish(house, wire, USAGE | {"region": "sg"})
    assert (status, said["errors"][0]["code"]) == (422, "before_the_earlier_version")


@ONE_ENGINE
def test_a_consent_refers_to_a_notice_on_record_or_is_not_recorded(house: Living, wire: Wire) -> None:
    before = house.size()
    known = seeding.notice("service.health")
    assert tick(house, wire, notice=known[:-1] + ("0" if known[-1] != "0" else "1")) == (
        409,
        "notice_unknown",
    )
    assert tick(house, wire, notice=known.replace("@1", "@2")) == (409, "notice_unknown")
    assert tick(house, wire, notice=seeding.notice("family.care")) == (409, "notice_differs")
    assert tick(house, wire, categories=["health.record", "finance.account"]) == (409, "notice_differs")
    assert house.size() == before
    assert tick(house, wire, notice=seeding.notice("service.health", "en")) == (201, "ticked")


def test_a_material_change_ends_older_consents_at_its_instant_and_asks_for_new_ones(
    house: Living, wire: Wire
) -> None:
    instant = house.clock() + DAY
    wider = OFFERS | {"region": "sg", "effective_from": rfc3339(instant)}
    assert publish(house, wire, wider)[1]["material_changes"] == ["region"]
    house.clock.now = instant - 1
    assert offer(house, wire)["outcome"] == "admit"
    house.clock.now = instant
    refused = offer(house, wire)
    assert (refused["outcome"], refused["reasons"][0]["code"]) == ("refuse", "notice_superseded")
    mine = json.loads(wire.get("/v1/me/consents", session=house.sign_in(world.ZHANG_LI)).content)["data"]
    states = {one["purpose"]: one["state"]["code"] for one in mine}
    assert states["marketing.direct"] == "notice_superseded"
    old = {"purpose": "marketing.direct", "categories": ["outreach.sms"]}
    assert tick(house, wire, **old, notice=seeding.notice("marketing.direct")) == (409, "notice_not_in_force")
    newest = json.loads(
        wire.call("GET", "/v1/notices/marketing.direct", headers=sent(house.key(world.CRM), {})).content
    )
    assert tick(house, wire, **old, notice=newest["data"][0]["texts"]["zh"]["reference"]) == (201, "ticked")


def test_other_words_and_a_shorter_keeping_end_no_consent(house: Living, wire: Wire) -> None:
    for changes in ({}, {"retention_days": 90}):
        assert publish(house, wire, OFFERS | changes)[1]["material_changes"] == []
        house.clock.advance(MINUTE)
        assert offer(house, wire)["outcome"] == "admit"


def prompt(house: Living, wire: Wire, path: str, **more: Any) -> tuple[int, dict[str, Any]]:
    body = {
        "subject": world.ZHANG_LI.id,
        "purpose": "marketing.direct",
        "on_behalf_of": world.ZHANG_LI.id,
    } | more
    answer = wire.post(path, body, key=house.key(world.CRM))
    return answer.status_code, json.loads(answer.content)


SHOWN: dict[str, Any] = {"categories": ["outreach.sms"], "notice": seeding.notice("marketing.direct")}


def test_after_a_withdrawal_nobody_asks_again_for_thirty_days_unless_the_person_comes(
    house: Living, wire: Wire
) -> None:
    assert prompt(house, wire, "/v1/consents/prompts")[1] == {"may_ask": True, "not_before": None}
    happenings.withdraw(house, world.ZHANG_LI, "marketing.direct")
    quiet = house.clock() + 30 * DAY
    house.clock.advance(DAY)
    asked = prompt(house, wire, "/v1/consents/prompts")
    assert asked == (200, {"may_ask": False, "not_before": rfc3339(quiet)})
    for path, more in (("/v1/consents/served", SHOWN), ("/v1/consents", SHOWN | {"ticked": True})):
        status, said = prompt(house, wire, path, **more)
        assert (status, said["code"], said["not_before"]) == (409, "asked_too_soon", rfc3339(quiet))
        entry = house.log()[-1]
        assert (entry.act, entry.dec.value) == ("consent.not_asked", "deny")
        status, _ = prompt(house, wire, path, **more, opened_by_person=True)
        assert status == 201
    assert prompt(house, wire, "/v1/consents/prompts", purpose="analytics.usage")[1]["may_ask"] is True
    house.clock.now = quiet - 1
    assert prompt(house, wire, "/v1/consents/served", **SHOWN)[0] == 409
    house.clock.now = quiet
    assert prompt(house, wire, "/v1/consents/served", **SHOWN)[0] == 201


@ONE_ENGINE
def test_what_was_shown_is_on_record_and_ticked_by_its_id_once_on_the_same_terms(
    house: Living, wire: Wire
) -> None:
    english = SHOWN | {"notice": seeding.notice("marketing.direct", "en")}
    _, shown = prompt(house, wire, "/v1/consents/served", **english)
    assert house.log()[-1].act == "consent.served"
    [row] = house.sql(
        f"SELECT kind, notice, evidence FROM consent_event WHERE consent_id = '{shown['consent_id']}'"
    )
    assert (row[0], row[1], json.loads(row[2])["locale"]) == ("served", english["notice"], "en")
    house.clock.advance(MINUTE)
    told = {"served": shown["consent_id"], "ticked": True}
    status, said = prompt(house, wire, "/v1/consents", **SHOWN, **told)
    assert (status, said["code"]) == (409, "notice_differs")  # the other text was shown
    status, ticked = prompt(house, wire, "/v1/consents", **english, **told)
    assert (status, ticked["consent_id"]) == (201, shown["consent_id"])
    status, said = prompt(house, wire, "/v1/consents", **english, **told)
    assert (status, said["code"]) == (409, "conflict")


@ONE_ENGINE
@pytest.mark.parametrize(
    ("changes", "faults"),
    [
        ({"purpose": "marketing.minds"}, [("/purpose", "unknown_purpose")]),
        ({"purpose": "personal.access"}, [("/purpose", "needs_no_consent")]),
        ({"categories": ["outreach.dreams"]}, [("/categories", "unknown_category")]),
        (
            {"purpose": "marketing.minds", "categories": ["outreach.dreams"]},
            [("/purpose", "unknown_purpose"), ("/categories", "unknown_category")],
        ),
    ],
)
def test_words_that_the_rules_do_not_know_are_pointed_at(
    house: Living, wire: Wire, changes: dict[str, Any], faults: list[tuple[str, str]]
) -> None:
    bodies = [("/v1/consents/served", SHOWN), ("/v1/consents", SHOWN | {"ticked": True})]
    if "categories" not in changes:
        bodies.append(("/v1/consents/prompts", {}))
    for path, body in bodies:
        status, said = prompt(house, wire, path, **body | changes)
        assert (status, said["code"]) == (422, "invalid_request")
        assert said["errors"] == [{"pointer": pointer, "code": code} for pointer, code in faults]


@ONE_ENGINE
def test_one_who_may_not_act_for_a_member_learns_nothing_of_whether_to_ask(house: Living, wire: Wire) -> None:
    for path, more in (("/v1/consents/prompts", {}), ("/v1/consents/served", SHOWN)):
        status, said = prompt(house, wire, path, **more, on_behalf_of=world.ZHOU_MING.id)
        assert (status, said["code"]) == (404, "not_found")


@ONE_ENGINE
def test_purposes_are_told_with_their_titles_terms_and_bases(house: Living, wire: Wire) -> None:
    answer = wire.call("GET", "/v1/purposes", headers=sent(house.key(world.GATEWAY), {}))
    found = {one["id"]: one for one in json.loads(answer.content)["data"]}
    book = house.service.rules.book
    assert set(found) == set(book.purposes)
    assert found["marketing.direct"] == {
        "id": "marketing.direct",
        "parent": "marketing",
        "title": {"zh": "推广", "en": "Direct marketing"},
        "dpv": "dpv:DirectMarketing",
        "needs_consent": True,
        "separate": True,
        "double_confirm": True,
        "both_required": False,
        "profiled": False,
        "consent_days": 365,
        "retention_days": 365,
        "jurisdiction": "cn",
        "legal_bases": [],
    }
    bases = found["personal.access"]["legal_bases"]
    assert bases[0]["law"] == "个人信息保护法 第十三条第一款第三项、第四十五条第一款"
