"""Reads in an emergency: with a reason, seen by the member, judged by an officer, and nothing beyond that."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import callers
import httpx2
import insiders
import pytest
from callers import Call
from happenings import (
    FALLEN,
    NOBODY,
    ask_for_access,
    assign,
    emergency,
    office_acts,
    person_acts,
    reading,
    withdraw,
)
from living import Living, Wire

from audit.entry import Verdict
from governance import world
from governance.asking import Answer
from governance.decision import decide_fields
from governance.explaining import explain_decision
from governance.grounds import Facts
from governance.reviewing import Judgement
from policies.entries import Grant
from policies.identifiers import Prefix
from policies.plan import compile_plan
from policies.reasons import Reason
from policies.terms import (
    Action,
    Condition,
    Effect,
    FieldName,
    Level,
    Purpose,
    Relation,
    Role,
    RuleId,
    Scope,
    SubjectKind,
)

only_sqlite = pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)
READ: dict[str, Any] = {
    "subject": {"type": "member", "id": world.ZHANG_LI.id},
    "fields": ["name", "mobile", "blood_pressure", "allergies", "bank_card", "chat_messages"],
    "purpose": "service.health",
    "on_behalf_of": world.DOCTOR_CHEN.id,
}
EMERGENCY = {"emergency": {"reason": FALLEN}}
SECOND_OFFICER = world.Office("second_officer", Prefix.STAFF, "合规官 吴方", world.OFFICER.roles)
OPENED = "show emergency_access"


def read(house: Living, wire: Wire, **other: Any) -> httpx2.Response:
    return wire.post("/v1/reads", READ | other, key=house.key(world.CRM))


def told(answer: httpx2.Response) -> dict[str, str]:
    fields = json.loads(answer.content)["fields"]
    return {
        one["field"]: " ".join([one["effect"], *(why["code"] for why in one["reasons"])]) for one in fields
    }


def reviews(house: Living) -> list[Any]:
    return house.sql("SELECT id, actor_id, decision_id, state, text FROM access_review")


def test_an_emergency_opens_health_name_and_telephone_and_nothing_else(house: Living, wire: Wire) -> None:
    assert told(read(house, wire))["name"] == "hide no_consent"
    answer = read(house, wire, **EMERGENCY)
    assert told(answer) == {
        "name": OPENED,
        "mobile": OPENED,
        "blood_pressure": "show consent_given",
        "allergies": "hide not_available",
        "bank_card": "hide no_rule",
        "chat_messages": "hide denied_by_rule",
    }
    body = json.loads(answer.content)
    assert body["fields"][0]["value"] == world.ZHANG_LI.values[FieldName("name")]
    assert {"log=high", "notify=subject", "review=after"} <= set(body["duties"])
    entry = house.log()[-1]
    assert (entry.dec, entry.why, entry.n) == (Verdict.PERMIT, ("emergency_claimed",), 3)
    ((_, actor, decision, state, text),) = reviews(house)
    assert (actor, decision, state) == (world.DOCTOR_CHEN.id, body["decision_id"], "waiting")
    assert FALLEN.encode() not in bytes(text)


def test_where_consent_allows_it_an_emergency_opens_no_review_and_is_still_on_record(
    house: Living, wire: Wire
) -> None:
    answer = read(house, wire, fields=["blood_pressure"], **EMERGENCY)
    assert told(answer) == {"blood_pressure": "show consent_given"}
    assert reviews(house) == []
    assert house.log()[-1].why == ("emergency_claimed",)


@pytest.mark.parametrize(
    "other",
    [
        {"purpose": "service.delivery"},
        {"on_behalf_of": world.SUN_YUE.id},
        {"on_behalf_of": world.WANG_MIN.id},
        {"on_behalf_of": world.OFFICER.id},
        {"on_behalf_of": world.LI_QIANG.id},
    ],
    ids=["another purpose", "an advisor", "an agent", "an officer", "a relative"],
)
@only_sqlite
def test_an_emergency_opens_nothing_for_anybody_or_anything_else(
    other: dict[str, Any], house: Living, wire: Wire
) -> None:
    plain, declared = read(house, wire, **other), read(house, wire, **other, **EMERGENCY)
    assert (plain.status_code, told(plain)) == (declared.status_code, told(declared))
    assert reviews(house) == []
    assert [entry.why for entry in house.log()[-2:]] == [(), ("emergency_claimed",)]


@pytest.mark.parametrize(
    ("reason", "pointer"),
    [
        ("", "/emergency/reason"),
        ("太短了", "/emergency/reason"),
        (" " * 30, "/emergency/reason"),
        ("急" * 501, "/emergency/reason"),
        ("不可见的\x1b字符在理由里面", "/emergency/reason"),
        (None, "/emergency/reason"),
    ],
    ids=["none", "too short", "blank", "too long", "unprintable", "null"],
)
@only_sqlite
def test_an_emergency_without_a_reason_is_refused_at_the_door(
    reason: str | None, pointer: str, house: Living, wire: Wire
) -> None:
    before = house.size()
    answer = read(house, wire, emergency={"reason": reason})
    assert (answer.status_code, json.loads(answer.content)["errors"][0]["pointer"]) == (422, pointer)
    assert (house.size(), reviews(house)) == (before, [])


@only_sqlite
def test_only_a_read_may_declare_one(house: Living, wire: Wire) -> None:
    key = house.key(world.CRM)
    assert wire.post("/v1/checks", READ | EMERGENCY, key=key).status_code == 422
    write = {"values": {"allergies": "x"}, "purpose": "service.health", "on_behalf_of": world.DOCTOR_CHEN.id}
    path = f"/v1/members/{world.ZHANG_LI.id}/fields"
    assert wire.put(path, write | EMERGENCY, key=key).status_code == 422


def test_a_stranger_in_an_emergency_stays_one_and_nobody_looks_the_same(house: Living, wire: Wire) -> None:
    """陈医生 is not assigned to 李强: not even an emergency says that he exists."""
    bodies = set()
    for about in (world.LI_QIANG.id, NOBODY):
        answer = read(house, wire, subject={"type": "member", "id": about}, **EMERGENCY)
        assert answer.status_code == 404
        bodies.add(answer.text.replace(json.loads(answer.content)["instance"], "req"))
    assert len(bodies) == 1
    assert reviews(house) == []


@pytest.mark.parametrize(
    "refuse", [insiders.REFUSE, insiders.REFUSE_AT_COMMIT], ids=["at once", "at the commit"]
)
def test_an_emergency_that_cannot_be_recorded_opens_nothing_and_no_review(
    refuse: dict[str, tuple[str, ...]], house: Living, wire: Wire
) -> None:
    opened = insiders.count_openings(house)
    house.sql(*refuse[house.engine])
    answer = read(house, wire, **EMERGENCY)
    assert (answer.status_code, json.loads(answer.content)["code"]) == (503, "cannot_record")
    assert (opened, reviews(house)) == ([], [])
    house.sql(*insiders.ACCEPT[house.engine])
    assert read(house, wire, **EMERGENCY).status_code == 200
    assert len(reviews(house)) == 1


def test_that_there_is_nothing_is_learnt_by_an_emergency_as_well(house: Living, wire: Wire) -> None:
    """陈医生 must be able to tell "no allergies on file" from "not for you", and answers for asking."""
    withdraw(house, world.ZHANG_LI, "service.health")
    assert told(read(house, wire, fields=["allergies"]))["allergies"] == "hide withdrawn"
    answer = read(house, wire, fields=["allergies"], **EMERGENCY)
    assert (answer.status_code, told(answer)["allergies"]) == (403, "hide not_available emergency_access")
    assert len(reviews(house)) == 1


def test_emergencies_travel_in_a_batch_like_other_asks(house: Living) -> None:
    asks = [
        reading(world.DOCTOR_CHEN.id, person.id, "name", emergency=words)
        for person in (world.ZHANG_LI, world.GRANDMOTHER)
        for words in (FALLEN, "")
    ]
    effects = [
        reply.fields[0].effect
        for reply in house.service.gate.read(asks, house.clock())
        if isinstance(reply, Answer)
    ]
    assert effects == [Effect.SHOW, Effect.HIDE, Effect.SHOW, Effect.HIDE]
    assert {row[2] for row in reviews(house)} == {asks[0].decision_id, asks[2].decision_id}


# --- children


def child(house: Living, wire: Wire) -> dict[str, str]:
    about = {"type": "member", "id": world.XIAO_MAN.id}
    return told(read(house, wire, subject=about, fields=["name", "mobile"], **EMERGENCY))


def test_of_a_child_an_emergency_shows_the_mask_and_what_was_approved_in_full(
    house: Living, wire: Wire
) -> None:
    """No consent is needed then, but 未成年人网络保护条例 第三十六条 asks for an approval all the same."""
    asked = ask_for_access(house)
    masked = "mask emergency_access masked_by_rule"
    assert child(house, wire) == {"name": masked, "mobile": masked}
    desk, now = house.service.approving, house.clock()
    desk.decide(person_acts(world.ZHANG_LI), asked.id, approve=True, now=now)
    desk.clear(office_acts(world.OFFICER), asked.id, approve=True, now=now)
    assert child(house, wire) == {"name": "show emergency_access approved", "mobile": masked}
    assert len(reviews(house)) == 2


def test_the_floor_for_children_gives_way_to_rows_for_emergencies_only(house: Living) -> None:
    """An officer's own row without consent, on which the floor holds, is not opened by declaring one."""
    book = house.service.rules.book
    loose = replace(book.grants[RuleId("S-CL-02")], id=RuleId("T-01"), conditions=frozenset())
    limited = replace(book.grants[RuleId("S-CL-05")], level=Level.EXISTS)

    def decided(*grants: Grant) -> Effect:
        changed = dict(book.grants) | {grant.id: grant for grant in grants}
        del changed[RuleId("L-MIN-05")]
        other = replace(book, grants=MappingProxyType(changed))
        facts = Facts(
            SubjectKind.MEMBER,
            Relation.ASSIGNED,
            frozenset({(Scope.PORTFOLIO, Role("clinician"))}),
            9,
            {},
            frozenset(),
            None,
            0,
            emergency=True,
        )
        name, aim = FieldName("name"), Purpose("service.health")
        (decision,) = decide_fields(other, compile_plan(other), Action.READ, (name,), aim, facts)
        return decision.effect

    assert Condition.EMERGENCY in limited.conditions
    assert decided() is Effect.SHOW
    assert decided(loose, limited) is Effect.HIDE


# --- who sees it afterwards


def test_the_member_sees_the_emergency_and_never_the_words_of_the_reason(house: Living, wire: Wire) -> None:
    read(house, wire, **EMERGENCY)
    session = house.sign_in(world.ZHANG_LI)
    (seen, *_) = json.loads(wire.get("/v1/me/accesses", session=session).content)["data"]
    assert [why["code"] for why in seen["reasons"]] == ["emergency_claimed"]
    assert seen["fields"][0]["reasons"][0]["code"] == "emergency_access"
    page = wire.get("/centre", session=session)
    assert "对方说明情况紧急" in page.text
    english = wire.get("/centre?lang=en", session=session)
    assert "They said it was an emergency" in english.text
    for text in (page.text, json.dumps(seen, ensure_ascii=False)):
        assert FALLEN not in text
    assert not [entry for entry in house.log() if FALLEN[:6] in repr(entry)]


def test_the_ladder_shows_the_emergency_where_consent_would_stand(house: Living, wire: Wire) -> None:
    answer = read(house, wire, fields=["name"], **EMERGENCY)
    found = explain_decision(house.service, json.loads(answer.content)["decision_id"])
    assert found is not None
    lines = {rung.gate.name: " ".join(rung.lines) for rung in found.ladder}
    assert Reason.EMERGENCY_CLAIMED.zh in lines["PURPOSE"]
    assert Reason.EMERGENCY_ACCESS.zh in lines["CONSENT"]
    assert Reason.EMERGENCY_ACCESS.zh in found.sentence


# --- the officer's page


def post(house: Living, wire: Wire, who: world.Office, path: str, form: str) -> httpx2.Response:
    call = Call("POST", path, path, form.encode(), page=True, unless="", answers={})
    body, headers = callers.sendable(call, house, next(n for n, one in callers.PEOPLE.items() if one is who))
    return wire.call("POST", path, content=body, headers=headers)


def page_of(house: Living, wire: Wire, language: str = "zh") -> str:
    session = house.sign_in(world.OFFICER)
    return wire.get(f"/console/access-reviews?lang={language}", session=session).text


def test_an_officer_hears_the_reason_after_that_is_on_record_and_the_member_sees_it(
    house: Living, wire: Wire
) -> None:
    emergency(house)
    page = page_of(house, wire)
    assert FALLEN in page
    assert world.DOCTOR_CHEN.label in page
    assert world.ZHANG_LI.values[FieldName("name")] not in page
    entry = house.log()[-1]
    assert (entry.act, len(entry.subjects)) == ("review.read", 1)
    assert entry.subjects[0].hex()[:6] in page
    mine = json.loads(wire.get("/v1/me/accesses", session=house.sign_in(world.ZHANG_LI)).content)["data"]
    assert mine[0]["action"] == "review.read"
    house.sql(*insiders.REFUSE[house.engine])
    answer = wire.get("/console/access-reviews", session=house.sign_in(world.OFFICER))
    assert (answer.status_code, FALLEN in answer.text) == (503, False)


def test_an_emergency_is_closed_once_by_two_who_each_leave_a_note(house: Living, wire: Wire) -> None:
    review = emergency(house)
    path = f"/console/access-reviews/{review}"
    for form in (
        "judgement=maybe&note=ok",
        "judgement=justified&note=",
        f"judgement=justified&note={'x' * 201}",
    ):
        assert post(house, wire, world.OFFICER, path, form).status_code == 422
    done = post(house, wire, world.OFFICER, path, "judgement=unjustified&note=nobody+had+fallen")
    assert (done.status_code, done.headers["location"]) == (303, f"/console/access-reviews?done={review}")
    assert post(house, wire, world.OFFICER, path, "judgement=justified&note=ok").status_code == 409
    ((_, _, decision, state, _),) = reviews(house)
    assert state == "second"
    assert house.log()[-1].act == "review.first.unjustified"
    second, desk = office_acts(SECOND_OFFICER).caller, house.service.log.oversight.reviews
    desk.decide(second, review, Judgement.UNJUSTIFIED, "ask the ward", "req", house.clock())
    ((_, _, decision, state, _),) = reviews(house)
    assert state == "unjustified"
    entry = house.log()[-1]
    assert (entry.act, entry.resource, entry.corr) == ("review.unjustified", review, decision)
    assert post(house, wire, world.OFFICER, path, "judgement=justified&note=ok").status_code == 409
    assert FALLEN not in page_of(house, wire)
    ((first, note),) = house.sql("SELECT first_note, note FROM access_review")
    assert b"fallen" not in bytes(first)
    with house.service.database.reading() as tx:
        opened = [
            house.service.gate._opening.open_alone(tx, review, "access_review", bytes(words), column)
            for words, column in ((first, "first_note"), (note, "note"))
        ]
    assert opened == ["nobody had fallen", "ask the ward"]


def test_nobody_reviews_a_read_of_their_own(house: Living, wire: Wire) -> None:
    assign(house, world.ZHANG_LI, world.OFFICER, "clinician")
    ask = reading(world.OFFICER.id, world.ZHANG_LI.id, "mobile", emergency=FALLEN)
    house.service.gate.read([ask], house.clock())
    ((review, *_),) = reviews(house)
    assert "这是您自己的查看" in page_of(house, wire)
    answer = post(
        house, wire, world.OFFICER, f"/console/access-reviews/{review}", "judgement=justified&note=ok"
    )
    assert answer.status_code == 409
    assert reviews(house)[0][3] == "waiting"


def test_a_judgement_that_cannot_be_recorded_is_none(house: Living, wire: Wire) -> None:
    review = emergency(house)
    house.sql(*insiders.REFUSE[house.engine])
    path = f"/console/access-reviews/{review}"
    assert post(house, wire, world.OFFICER, path, "judgement=justified&note=ok").status_code == 503
    assert reviews(house)[0][3] == "waiting"


@only_sqlite
def test_access_to_a_minors_data_is_approved_on_the_same_page(house: Living, wire: Wire) -> None:
    asked = ask_for_access(house)
    emergency(house)
    pages = page_of(house, wire), page_of(house, wire, "en")
    assert all(f"/console/approvals/{asked.id}" in page for page in pages)
    english = pages[1].replace(">\u4e2d\u6587<", "").replace(FALLEN, "").replace(world.DOCTOR_CHEN.label, "")
    assert not re.search(r"[\u4e00-\u9fff]", english)
    path = f"/console/approvals/{asked.id}"
    assert post(house, wire, world.OFFICER, path, "answer=perhaps").status_code == 422
    assert post(house, wire, world.OFFICER, path, "answer=approve").status_code == 303
    assert path not in page_of(house, wire)
