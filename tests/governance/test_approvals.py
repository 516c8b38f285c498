"""Approvals: what a child writes and what staff see of a child wait for those who may say yes."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import insiders
import pytest
from happenings import (
    HAPPENINGS,
    HOUR,
    NOBODY,
    ask_for_access,
    assign,
    office_acts,
    other_key,
    person_acts,
    reading,
)
from living import Living, Wire, sent, spell

from governance import world
from governance.approvalrecords import State
from governance.approving import ApprovalEndedError, NoSuchApprovalError
from governance.asking import Answer
from governance.seeding import give_consent
from governance.times import rfc3339
from policies.reasons import Reason

MINE = "/v1/me/approvals"
ASK = {
    "subject": world.XIAO_MAN.id,
    "action": "write",
    "fields": ["email"],
    "purpose": "account.manage",
    "on_behalf_of": world.XIAO_MAN.id,
}
only_sqlite = pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)


def ask(house: Living, wire: Wire, **other: Any) -> str:
    """Ask for the approval of a write by 小满, or of something like it; return its id."""
    answer = wire.post("/v1/approvals", ASK | other, key=house.key(world.CRM))
    assert answer.status_code == 201, answer.text
    found: str = json.loads(answer.content)["approval_id"]
    return found


def decide(
    house: Living, wire: Wire, approval: str, who: world.Person | world.Office, *, approve: bool
) -> httpx2.Response:
    return wire.call(
        "POST",
        f"{MINE}/{approval}/decision",
        content=spell({"approve": approve}),
        headers=sent(None, {}, house.sign_in(who)),
    )


def write(house: Living, wire: Wire, who: world.Person = world.XIAO_MAN, **how: Any) -> int:
    """Let somebody write 小满's e-mail address; return the status."""
    body = {"values": {"email": "man@example.com"}, "purpose": "account.manage", "on_behalf_of": who.id}
    answer = wire.put(f"/v1/members/{world.XIAO_MAN.id}/fields", body | how, key=house.key(world.CRM))
    return answer.status_code


def state(house: Living, wire: Wire, approval: str, who: world.Person = world.XIAO_MAN) -> str:
    listed = json.loads(wire.get(MINE, session=house.sign_in(who)).content)["data"]
    return next((one["state"] for one in listed if one["approval_id"] == approval), "not there")


def test_an_approved_write_happens_once(house: Living, wire: Wire) -> None:
    assert write(house, wire) == 403
    approval = ask(house, wire)
    assert write(house, wire) == 403
    assert decide(house, wire, approval, world.ZHANG_LI, approve=True).status_code == 200
    assert write(house, wire) == 200
    entry = house.log()[-1]
    assert (entry.act, entry.corr) == ("write", approval)
    assert entry.fields[0].why == (Reason.OWN_DATA.value, Reason.APPROVED.value)
    assert state(house, wire, approval) == "used"
    assert write(house, wire) == 403
    assert decide(house, wire, approval, world.LI_QIANG, approve=False).status_code == 409


def test_every_step_is_on_record_for_the_child_and_both_guardians(house: Living, wire: Wire) -> None:
    before = house.size()
    approval = ask(house, wire)
    decide(house, wire, approval, world.ZHANG_LI, approve=True)
    decide(house, wire, approval, world.LI_QIANG, approve=False)
    steps = house.log()[before:]
    assert [entry.act for entry in steps] == ["approval.asked", "approval.granted", "approval.refused"]
    assert all(entry.corr == entry.resource == approval for entry in steps)
    assert {len(entry.subjects) for entry in steps} == {3}
    for person in (world.XIAO_MAN, world.ZHANG_LI, world.LI_QIANG):
        seen = json.loads(wire.get("/v1/me/accesses", session=house.sign_in(person)).content)["data"]
        assert {"approval.asked", "approval.granted", "approval.refused"} <= {one["action"] for one in seen}


def test_asking_again_while_it_waits_is_the_same_request(house: Living, wire: Wire) -> None:
    first = ask(house, wire)
    before = house.size()
    assert ask(house, wire) == ask(house, wire, fields=["email", "email"]) == first
    own = wire.call(
        "POST",
        MINE,
        content=spell({"fields": ["email"], "purpose": "account.manage"}),
        headers=sent(None, {}, house.sign_in(world.XIAO_MAN)),
    )
    assert (own.status_code, json.loads(own.content)["approval_id"]) == (201, first)
    assert house.size() == before
    assert ask(house, wire, fields=["mobile"]) != first
    decide(house, wire, first, world.ZHANG_LI, approve=False)
    assert ask(house, wire) != first


def test_one_refusal_ends_it_whoever_agreed_before_or_after(house: Living, wire: Wire) -> None:
    approval = ask(house, wire)
    assert decide(house, wire, approval, world.ZHANG_LI, approve=True).status_code == 200
    assert decide(house, wire, approval, world.LI_QIANG, approve=False).status_code == 200
    assert write(house, wire) == 403
    assert decide(house, wire, approval, world.ZHANG_LI, approve=True).status_code == 409
    assert state(house, wire, approval) == "refused"
    assert write(house, wire) == 403


def test_saying_yes_twice_is_saying_it_once(house: Living, wire: Wire) -> None:
    approval = ask(house, wire)
    decide(house, wire, approval, world.ZHANG_LI, approve=True)
    before = house.size()
    for guardian in (world.ZHANG_LI, world.LI_QIANG):
        assert decide(house, wire, approval, guardian, approve=True).status_code == 200
    assert house.size() == before


@pytest.mark.parametrize(
    "who", [world.XIAO_MAN, world.GRANDMOTHER, world.ZHOU_MING, world.OFFICER], ids=lambda who: who.key
)
def test_nobody_but_a_guardian_on_record_answers(
    who: world.Person | world.Office, house: Living, wire: Wire
) -> None:
    approval = ask(house, wire)
    before = house.size()
    for approve in (True, False):
        answer = decide(house, wire, approval, who, approve=approve)
        assert (answer.status_code, json.loads(answer.content)["code"]) == (404, "not_found")
    assert house.size() == before
    assert write(house, wire) == 403


def test_a_guardian_whose_guardianship_has_ended_answers_no_more(house: Living, wire: Wire) -> None:
    approval = ask(house, wire)
    HAPPENINGS["end_guardian"](house)
    assert decide(house, wire, approval, world.ZHANG_LI, approve=True).status_code == 404
    assert state(house, wire, approval, world.ZHANG_LI) == "not there"
    assert decide(house, wire, approval, world.LI_QIANG, approve=True).status_code == 200


def test_an_approval_ends_by_itself_whether_it_waits_or_holds(house: Living, wire: Wire) -> None:
    approval, waits = ask(house, wire), ask(house, wire, fields=["mobile"])
    decide(house, wire, approval, world.ZHANG_LI, approve=True)
    house.clock.advance(72 * HOUR - 1)
    assert state(house, wire, approval) == "approved"
    house.clock.advance(1)
    assert write(house, wire) == 403
    assert (state(house, wire, approval), state(house, wire, waits)) == ("expired", "expired")
    assert decide(house, wire, waits, world.ZHANG_LI, approve=True).status_code == 409
    assert ask(house, wire) != approval


@pytest.mark.parametrize(
    "other",
    [
        {"values": {"mobile": "15400009999"}},
        {"values": {"email": "man@example.com", "mobile": "15400009999"}},
        {"purpose": "service.household"},
    ],
    ids=["another field", "one field more", "another purpose"],
)
def test_an_approval_covers_exactly_what_was_asked(other: dict[str, Any], house: Living, wire: Wire) -> None:
    approval = ask(house, wire)
    decide(house, wire, approval, world.ZHANG_LI, approve=True)
    assert write(house, wire, **other) == 403
    assert state(house, wire, approval) == "approved"  # a write that did not happen uses nothing up
    assert write(house, wire) == 200


@only_sqlite
def test_an_approval_is_not_used_up_where_none_was_needed(house: Living, wire: Wire) -> None:
    approval = ask(house, wire)
    decide(house, wire, approval, world.ZHANG_LI, approve=True)
    assert write(house, wire, world.ZHANG_LI) == 200  # the guardian's own write
    assert state(house, wire, approval) == "approved"


def test_a_birth_date_is_changed_with_no_approval(house: Living, wire: Wire) -> None:
    approval = ask(house, wire, fields=["birth_date"])
    decide(house, wire, approval, world.ZHANG_LI, approve=True)
    assert write(house, wire, values={"birth_date": "2000-01-01"}) == 403
    assert state(house, wire, approval) == "approved"


@pytest.mark.parametrize(
    ("other", "status"),
    [
        ({"subject": NOBODY, "on_behalf_of": NOBODY}, 404),
        ({"on_behalf_of": world.ZHANG_LI.id}, 404),
        ({"on_behalf_of": world.WANG_MIN.id}, 404),
        ({"on_behalf_of": "stf_019a0000-0000-7000-8000-000000000000"}, 404),
        ({"action": "read"}, 422),
        ({"fields": ["shoe_size"]}, 422),
        ({"fields": ["address"]}, 422),
        ({"fields": ["channel.sms"]}, 422),
        ({"purpose": "service.gossip"}, 422),
    ],
)
@only_sqlite
def test_only_what_can_be_approved_is_asked_for(
    other: dict[str, Any], status: int, house: Living, wire: Wire
) -> None:
    before = house.size()
    answer = wire.post("/v1/approvals", ASK | other, key=house.key(world.CRM))
    assert answer.status_code == status
    assert house.size() == before


def test_whoever_asked_may_take_it_back_and_nobody_else(house: Living, wire: Wire) -> None:
    approval, desk = ask(house, wire), house.service.approving
    with pytest.raises(NoSuchApprovalError):
        desk.cancel(person_acts(world.ZHANG_LI), approval, house.clock())
    desk.cancel(person_acts(world.XIAO_MAN), approval, house.clock())
    assert house.log()[-1].act == "approval.cancelled"
    assert state(house, wire, approval) == "cancelled"
    assert decide(house, wire, approval, world.ZHANG_LI, approve=True).status_code == 409


def test_a_step_that_cannot_be_recorded_did_not_happen(house: Living, wire: Wire) -> None:
    approval = ask(house, wire)
    house.sql(*insiders.REFUSE[house.engine])
    assert decide(house, wire, approval, world.ZHANG_LI, approve=True).status_code == 503
    asked = wire.post("/v1/approvals", ASK | {"fields": ["mobile"]}, key=house.key(world.CRM))
    assert asked.status_code == 503
    house.sql(*insiders.ACCEPT[house.engine])
    assert write(house, wire) == 403
    assert len(house.sql("SELECT id FROM approval")) == 1


def test_a_write_that_cannot_be_recorded_uses_nothing_up(house: Living, wire: Wire) -> None:
    approval = ask(house, wire)
    decide(house, wire, approval, world.ZHANG_LI, approve=True)
    house.sql(*insiders.REFUSE_AT_COMMIT[house.engine])
    assert write(house, wire) == 503
    house.sql(*insiders.ACCEPT[house.engine])
    assert state(house, wire, approval) == "approved"
    assert write(house, wire) == 200


@only_sqlite
def test_what_nobody_could_approve_is_not_asked(house: Living, wire: Wire) -> None:
    before = house.size()
    asked = spell({"fields": ["email"], "purpose": "account.manage"})
    own = wire.call("POST", MINE, content=asked, headers=sent(None, {}, house.sign_in(world.GRANDMOTHER)))
    for_her = {"subject": world.GRANDMOTHER.id, "on_behalf_of": world.GRANDMOTHER.id}
    passed_on = wire.post("/v1/approvals", ASK | for_her, key=house.key(world.CRM))
    for answer in (own, passed_on):
        assert answer.status_code == 422
        fault = {"pointer": "/fields", "code": "not_approvable"}
        assert json.loads(answer.content)["errors"] == [fault]
    assert house.size() == before


# --- staff and minors' data: 未成年人网络保护条例 第三十六条


def told(house: Living, *, emergency: str = "") -> list[str]:
    """Return what 陈医生 gets of 小满's name, and why."""
    asked = reading(world.DOCTOR_CHEN.id, world.XIAO_MAN.id, "name", emergency=emergency)
    (answer,) = house.service.gate.read([asked], house.clock())
    assert isinstance(answer, Answer)
    (field,) = answer.fields
    return [field.effect.value, *(reason.value for reason in field.reasons)]


def guardian_agrees(house: Living) -> None:
    """Let 张丽 agree that clinicians use 小满's name: without that the law's floor shows nothing at all."""
    give_consent(house.service, world.ZHANG_LI, "service.health", ("identity.name",), world.XIAO_MAN)


MASKED = ["mask", "guardian_consent", "masked_by_rule"]
SHOWN = ["show", "guardian_consent", "approved"]


def test_an_application_follows_what_it_asked_for_staff_and_no_other_does(house: Living, wire: Wire) -> None:
    HAPPENINGS["assign_xiao_man_for_a_minute"](house)
    body = ASK | {"action": "read", "fields": ["name"], "purpose": "service.delivery"}
    body |= {"on_behalf_of": world.WANG_MIN.id}
    crm, shop = house.key(world.CRM), other_key(house)
    mine, theirs = (
        json.loads(wire.post("/v1/approvals", body, key=key).content)["approval_id"] for key in (crm, shop)
    )

    def polled(approval: str, key: str) -> tuple[int, str]:
        answer = wire.call("GET", f"/v1/approvals/{approval}", headers=sent(key, {}))
        told = json.loads(answer.content)
        return answer.status_code, told.get("state") or told["code"]

    assert mine != theirs
    assert polled(mine, crm) == polled(theirs, shop) == (200, "pending")
    assert polled(mine, shop) == polled(theirs, crm) == (404, "not_found")
    assert json.loads(wire.post("/v1/approvals", body, key=crm).content)["approval_id"] == mine
    decide(house, wire, mine, world.ZHANG_LI, approve=False)
    assert polled(mine, crm) == (200, "refused")
    assert polled(ask(house, wire), crm) == (200, "pending")  # what it asked for a child as well


@pytest.mark.parametrize("first", ["guardian", "officer"])
def test_staff_see_a_childs_data_when_a_guardian_and_an_officer_have_said_yes(
    first: str, house: Living, wire: Wire
) -> None:
    guardian_agrees(house)
    asked = ask_for_access(house)
    officer = office_acts(world.OFFICER)
    assert told(house) == MASKED
    for who in ("guardian", "officer") if first == "guardian" else ("officer", "guardian"):
        assert told(house) == MASKED
        if who == "guardian":
            assert decide(house, wire, asked.id, world.ZHANG_LI, approve=True).status_code == 200
        else:
            house.service.approving.clear(officer, asked.id, approve=True, now=house.clock())
    # For reads it holds until it ends, and each read says so.
    assert [told(house), told(house)] == [SHOWN, SHOWN]
    assert house.log()[-1].corr == asked.id
    assert decide(house, wire, asked.id, world.LI_QIANG, approve=False).status_code == 200
    assert told(house) == MASKED


def test_a_check_that_rests_on_an_approval_is_good_until_it_ends(house: Living, wire: Wire) -> None:
    guardian_agrees(house)
    asked = ask_for_access(house)
    decide(house, wire, asked.id, world.ZHANG_LI, approve=True)
    house.service.approving.clear(office_acts(world.OFFICER), asked.id, approve=True, now=house.clock())
    about = {"type": "member", "id": world.XIAO_MAN.id}
    check = {"subject": about, "fields": ["name"], "purpose": "service.health"}
    house.clock.advance(71 * HOUR)  # about a minor no answer lasts longer than a day
    answer = wire.post("/v1/checks", check | {"on_behalf_of": world.DOCTOR_CHEN.id}, key=house.key(world.CRM))
    assert json.loads(answer.content)["valid_until"] == rfc3339(asked.expires_at)


def test_an_approval_is_no_consent(house: Living, wire: Wire) -> None:
    asked = ask_for_access(house)
    decide(house, wire, asked.id, world.ZHANG_LI, approve=True)
    house.service.approving.clear(office_acts(world.OFFICER), asked.id, approve=True, now=house.clock())
    assert told(house) == ["hide", "no_consent"]


def test_an_approval_is_for_one_member_of_staff(house: Living, wire: Wire) -> None:
    guardian_agrees(house)
    asked = ask_for_access(house)
    decide(house, wire, asked.id, world.ZHANG_LI, approve=True)
    house.service.approving.clear(office_acts(world.OFFICER), asked.id, approve=True, now=house.clock())
    assign(house, world.XIAO_MAN, world.LIU_YANG, "clinician")
    ask = reading(world.LIU_YANG.id, world.XIAO_MAN.id, "name")
    (answer,) = house.service.gate.read([ask], house.clock())
    assert isinstance(answer, Answer)
    assert Reason.APPROVED not in answer.fields[0].reasons


def test_no_officer_approves_for_staff_who_are_the_officer_or_for_a_child(house: Living, wire: Wire) -> None:
    clear, now = house.service.approving.clear, house.clock()
    with pytest.raises(NoSuchApprovalError):
        clear(office_acts(world.OFFICER), ask(house, wire), approve=True, now=now)
    asked = ask_for_access(house)
    for who in (office_acts(world.DOCTOR_CHEN, "compliance_officer"), office_acts(world.AUDITOR)):
        with pytest.raises(NoSuchApprovalError):
            clear(who, asked.id, approve=True, now=now)


def test_an_officers_no_ends_it_as_well(house: Living, wire: Wire) -> None:
    asked = ask_for_access(house)
    decide(house, wire, asked.id, world.ZHANG_LI, approve=True)
    clear, officer, now = house.service.approving.clear, office_acts(world.OFFICER), house.clock()
    assert clear(officer, asked.id, approve=False, now=now).state is State.REFUSED
    with pytest.raises(ApprovalEndedError):
        clear(officer, asked.id, approve=True, now=now)
