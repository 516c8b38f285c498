"""A decision explained row by row, for officers: what applied, what was lacking, what came nearest."""

from __future__ import annotations

import json

import pytest
from happenings import hide, withdraw
from living import Living, Wire

from audit.entry import ActorType, Entry, Party
from governance import world
from governance.explaining import look_into
from governance.reasoning import FieldReasons, reasons_of_rules
from governance.rehearsing import replay

MOBILE = {
    "subject": {"type": "member", "id": world.ZHANG_LI.id},
    "fields": ["mobile", "blood_pressure"],
    "purpose": "service.delivery",
    "on_behalf_of": world.WANG_MIN.id,
}


def read(wire: Wire, house: Living, body: dict[str, object]) -> Entry:
    wire.post("/v1/reads", body, key=house.key(world.CRM))
    return house.log()[-1]


def of_field(house: Living, entry: Entry, field: str, language: str = "zh") -> FieldReasons:
    rows = reasons_of_rules(house.service, entry, language)
    assert rows is not None
    return next(one for one in rows if one.field == field)


def test_each_row_that_speaks_is_told_with_what_it_lacked(house: Living, wire: Wire) -> None:
    told = of_field(house, read(wire, house, MOBILE), "mobile")
    assert told.rows == (
        "S-AG-02（S6;S11）许可到脱敏内容：适用。",
        "S-AG-03（S6）许可到完整内容：没有适用，缺“工单”。",
        "L-MIN-03（MINORS_ONLINE-36）至多给脱敏内容：没有适用，因为“未获批准、未满十八周岁”不成立。",
    )
    assert told.nearest == (
        "最接近的许可：S-AG-03 (S6)，可到完整内容；不同之处：条件：工单。",
        "最接近的许可：S-CR-03 (PIPL-13-1-2)，可到完整内容；不同之处：岗位或身份：客户管理系统。",
    )
    assert not told.moved


def test_the_same_is_told_in_english(house: Living, wire: Wire) -> None:
    told = of_field(house, read(wire, house, MOBILE), "mobile", "en")
    assert told.rows[1] == "S-AG-03 (S6) allows up to the whole value: did not apply, for want of: ticket."
    assert told.nearest[0] == (
        "Nearest rule that allows more: S-AG-03 (S6), up to the whole value; what differs: condition: ticket."
    )


def test_the_rows_are_those_of_the_day_whatever_was_withdrawn_since(house: Living, wire: Wire) -> None:
    body = {
        **MOBILE,
        "subject": {"type": "member", "id": world.GRANDMOTHER.id},
        "fields": ["blood_pressure"],
        "purpose": "service.health",
        "on_behalf_of": world.DOCTOR_CHEN.id,
    }
    entry = read(wire, house, body)
    before = of_field(house, entry, "blood_pressure")
    house.clock.advance(60_000)
    withdraw(house, world.GRANDMOTHER, "service.health")
    assert of_field(house, entry, "blood_pressure") == before
    after = of_field(house, read(wire, house, body), "blood_pressure")
    assert "S-CL-01（PIPL-29）许可到完整内容：没有适用，缺“同意或其他依据”。" in after.rows


def test_what_was_withdrawn_since_does_not_change_what_a_replay_says_of_the_day(
    house: Living, wire: Wire
) -> None:
    read(wire, house, MOBILE)
    before = replay(house.service, house.service.rules.book, 100, Party(ActorType.SYSTEM, "operator"))
    house.clock.advance(60_000)
    withdraw(house, world.GRANDMOTHER, "service.health")
    withdraw(house, world.ZHANG_LI, "marketing.direct")
    after = replay(house.service, house.service.rules.book, 100, Party(ActorType.SYSTEM, "operator"))
    assert (after.decisions, after.counts, after.moved) == (before.decisions, before.counts, 0)
    assert [entry.act for entry in house.log()].count("rules.replayed") == 2


def test_what_somebody_hid_is_not_told_to_officers_either(house: Living, wire: Wire) -> None:
    body = {
        **MOBILE,
        "subject": {"type": "member", "id": world.LI_QIANG.id},
        "fields": ["viewing_history"],
        "purpose": "personal.access",
        "on_behalf_of": world.ZHANG_LI.id,
    }
    shown = of_field(house, read(wire, house, body), "viewing_history")
    hide(house, world.LI_QIANG, "content.history")
    told = of_field(house, read(wire, house, body), "viewing_history")
    assert told == shown
    assert not told.moved
    assert not [line for line in told.rows if "H-CONT-02" in line]


def test_an_entry_about_somebody_erased_from_the_log_cannot_be_asked_again(house: Living, wire: Wire) -> None:
    entry = read(wire, house, MOBILE)
    house.sql("DELETE FROM subject_pseudonym")
    assert reasons_of_rules(house.service, entry, "zh") is None


@pytest.mark.parametrize("act", ["consent.confirmed", "member.added"])
def test_an_entry_that_decided_nothing_has_no_rows(house: Living, act: str) -> None:
    entry = next(entry for entry in house.log() if entry.act == act)
    assert reasons_of_rules(house.service, entry, "zh") is None


def test_a_look_by_the_operator_is_on_record_before_it_is_told(house: Living, wire: Wire) -> None:
    entry = read(wire, house, MOBILE)
    found = look_into(house.service, entry.decision, "zh")
    assert found is not None
    assert found[1] is not None
    look = house.log()[-1]
    assert (look.act, look.resource, look.subjects) == ("log.read", entry.decision, entry.subjects)
    assert look.actor.party.id == "operator"
    assert look_into(house.service, "dec_019a0000-0000-7d47-8433-b18122cd4e5d", "zh") is None


def test_the_officers_page_tells_the_rows_and_a_member_never_sees_it(house: Living, wire: Wire) -> None:
    entry = read(wire, house, MOBILE)
    page = wire.get(f"/console/decisions/{entry.decision}", session=house.sign_in(world.OFFICER))
    assert "规则逐条" in page.text
    assert "S-AG-03（S6）许可到完整内容：没有适用，缺“工单”。" in page.text
    own = wire.get("/v1/me/accesses", session=house.sign_in(world.ZHANG_LI))
    assert json.loads(own.content)["data"]
    assert "S-AG-03" not in own.text
