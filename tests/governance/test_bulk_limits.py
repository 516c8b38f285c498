"""Nobody carries the register away: how many people one reader sees, and who may let it be more."""

from __future__ import annotations

import json
import threading

import callers
import happenings
import pytest
from callers import Call
from living import DAY, MINUTE, Living, Wire
from oversight_story import (
    AGENT,
    NARROW,
    NARROW_FOR_DOCTORS,
    OFFICER,
    OTHER,
    PEOPLE,
    TOLD_SOON,
    asked,
    effects,
    queue,
    under,
)

from governance import world
from governance.asking import Answer
from governance.lifting import LiftDecidedError, NoSuchLiftError, UnfitLiftError
from policies.terms import ActorId

HOUR = 60 * MINUTE
STOPPED = "hide bulk_limit"
LI, QIANG, OLD = PEOPLE


def test_a_reader_sees_as_many_people_as_the_rules_say_and_then_nobody_new(house: Living) -> None:
    under(house, *NARROW)
    assert effects(house, asked(LI), asked(QIANG)) == ["show", "show"]
    assert effects(house, asked(OLD), asked(LI), asked(OLD, "mobile")) == [STOPPED, "show", STOPPED]


def test_within_one_batch_each_ask_counts_those_before_it(house: Living) -> None:
    under(house, *NARROW)
    assert effects(house, asked(LI), asked(QIANG), asked(OLD)) == ["show", "show", STOPPED]
    assert house.log()[-1].fields[0].why == ("bulk_limit",)


def test_the_windows_slide_and_the_answer_says_when_there_is_room(house: Living) -> None:
    under(house, *NARROW)
    began = house.clock()
    effects(house, asked(LI), asked(QIANG))
    [reply] = house.service.gate.read([asked(OLD)], house.clock())
    assert isinstance(reply, Answer)
    assert reply.retry_at == began + HOUR + MINUTE
    house.clock.now = reply.retry_at - 1
    assert effects(house, asked(OLD)) == [STOPPED]
    house.clock.now = reply.retry_at
    assert effects(house, asked(OLD)) == ["show"]
    [reply] = house.service.gate.read([asked(world.ZHANG_HOME, "address")], house.clock())
    assert isinstance(reply, Answer)
    assert reply.fields[0].reasons[-1].value == "bulk_limit"
    assert reply.retry_at == began + DAY + MINUTE


def test_over_http_a_denial_by_the_limit_says_when_to_come_again(house: Living, wire: Wire) -> None:
    under(house, *NARROW)
    effects(house, asked(LI), asked(QIANG))
    body = {
        "subject": {"type": "member", "id": OLD.id},
        "fields": ["name"],
        "purpose": "service.delivery",
        "on_behalf_of": AGENT,
    }
    answer = wire.post("/v1/reads", body, key=house.key(world.CRM))
    told = json.loads(answer.content)
    assert (answer.status_code, told["code"]) == (403, "withheld")
    assert told["fields"][0]["reasons"][0]["code"] == "bulk_limit"
    assert answer.headers["retry-after"] == str((HOUR + MINUTE) // 1000)
    assert told["retry_at"] == "2026-11-22T03:02:00.000Z"


def test_who_is_over_the_limit_learns_nothing_of_hiding_and_absence(house: Living) -> None:
    under(house, *NARROW)
    effects(house, asked(LI), asked(QIANG))
    fields = ("name", "mobile")
    house.sql(f"DELETE FROM cell WHERE subject_id = '{OLD.id}' AND field = 'name'")
    [reply] = house.service.gate.read([asked(OLD, *fields)], house.clock())
    assert isinstance(reply, Answer)
    assert {one.reasons[-1].value for one in reply.fields} == {"bulk_limit"}


def test_nobody_counts_whom_members_see_or_what_only_is_checked(house: Living) -> None:
    under(house, *NARROW)
    for _ in range(2):
        own = [happenings.reading(one.id, one.id, "name", purpose="personal.access") for one in PEOPLE]
        assert effects(house, *own) == ["show"] * 3
        checks = [asked(one)._replace(reveal=False) for one in PEOPLE]
        for reply in house.service.gate.read(checks, house.clock()):
            assert isinstance(reply, Answer)
            assert reply.fields[0].effect.value == "show"
    assert house.sql("SELECT actor_id FROM shown") == []


def test_a_service_in_its_own_name_is_counted(house: Living) -> None:
    services = ("soft_hour = 2000\nhard_hour = 5000", "soft_hour = 1\nhard_hour = 2")
    under(house, services)
    asks = [asked(one, who=world.CRM.id) for one in PEOPLE]
    assert effects(house, *asks) == ["show", "show", STOPPED]


def test_an_emergency_stops_at_no_limit_and_is_looked_at_all_the_same(house: Living) -> None:
    happenings.assign(house, QIANG, world.DOCTOR_CHEN, "clinician")
    house.clock.advance(1)
    under(house, *NARROW_FOR_DOCTORS)
    how = {"who": world.DOCTOR_CHEN.id, "purpose": "service.health", "emergency": happenings.FALLEN}
    assert effects(house, *(asked(one, **how) for one in (LI, OLD, QIANG))) == ["show"] * 3
    assert [row for row in queue(house) if "break_glass" in row[0]]


@pytest.mark.parametrize("_again", range(3))
def test_two_batches_of_one_reader_never_both_take_the_last_room(house: Living, _again: int) -> None:
    under(house, *NARROW)
    effects(house, asked(LI))
    together, said = threading.Barrier(2), []

    def read(person: world.Person) -> None:
        together.wait()
        said.extend(effects(house, asked(person)))

    threads = [threading.Thread(target=read, args=(one,)) for one in (QIANG, OLD)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(said) == [STOPPED, "show"]


def test_over_the_soft_limit_the_answer_goes_on_and_a_review_is_opened_once(house: Living) -> None:
    under(house, *NARROW)
    effects(house, asked(LI))
    assert queue(house) == []
    effects(house, asked(QIANG))
    assert [tuple(row) for row in queue(house)] == [("mass_read", "waiting", AGENT)]
    effects(house, asked(LI), asked(QIANG), asked(OLD))
    assert len(queue(house)) == 1


def test_whoever_goes_further_over_the_soft_limit_is_not_told_of_again(house: Living) -> None:
    under(house, *TOLD_SOON)
    assert effects(house, *map(asked, PEOPLE)) == ["show"] * 3
    assert [row[0] for row in queue(house)] == ["mass_read"]


def test_what_is_older_than_the_longest_window_is_forgotten(house: Living) -> None:
    effects(house, asked(LI))
    house.clock.advance(DAY)
    house.service.tidy()
    assert len(house.sql("SELECT subject FROM shown")) == 1
    house.clock.advance(MINUTE)
    house.service.tidy()
    assert house.sql("SELECT subject FROM shown") == []


# --- a higher limit


def wish(house: Living, *, per_hour: int = 4, per_day: int = 5, hours: int = 2) -> str:
    caller = happenings.office_acts(world.WANG_MIN, "agent").caller
    return house.service.log.oversight.lifting.ask(
        caller, AGENT, per_hour, per_day, hours, "系统迁移核对", "req", house.clock()
    )


def test_a_supervisor_lifts_the_limit_for_some_hours_and_then_it_is_as_before(house: Living) -> None:
    under(house, *NARROW)
    effects(house, asked(LI), asked(QIANG))
    lift = wish(house)
    assert effects(house, asked(OLD)) == [STOPPED]
    until = house.service.log.oversight.lifting.decide(
        OFFICER, lift, grant=True, request_id="req", now=house.clock()
    )
    assert until == house.clock() + 2 * HOUR
    assert effects(house, asked(OLD)) == ["show"]
    assert [entry.act for entry in house.log()][-2:] == ["limit.granted", "read"]
    house.clock.now = until
    assert effects(house, asked(world.ZHANG_HOME, "address")) == [STOPPED]


def test_nobody_lifts_a_limit_of_their_own_nor_what_they_asked_for(house: Living) -> None:
    under(house, *NARROW)
    desk, now = house.service.log.oversight.lifting, house.clock()
    own = desk.ask(OFFICER, AGENT, 4, 5, 1, "盘点", "req", now)
    with pytest.raises(LiftDecidedError):
        desk.decide(OFFICER, own, grant=True, request_id="req", now=now)
    assert desk.decide(OTHER, own, grant=False, request_id="req", now=now) is None
    mine = desk.ask(OTHER, ActorId(world.OFFICER.id), 41, 121, 1, "盘点核对", "req", now)
    with pytest.raises(LiftDecidedError):
        desk.decide(OFFICER, mine, grant=True, request_id="req", now=now)
    with pytest.raises(NoSuchLiftError):
        desk.decide(OFFICER, "lft_none", grant=True, request_id="req", now=now)


def test_no_officer_is_asked_for_more_than_the_rules_let_one_grant(house: Living) -> None:
    under(house, *NARROW)
    too_much: list[dict[str, int]] = [{"per_hour": 11}, {"per_day": 16}, {"hours": 25}]
    for how in ({"per_hour": 2}, {"per_day": 2}, *too_much):
        with pytest.raises(UnfitLiftError):
            wish(house, **how)
    wish(house)
    with pytest.raises(LiftDecidedError):
        wish(house)


def test_the_reason_is_sealed_and_read_only_after_that_is_on_record(house: Living, wire: Wire) -> None:
    under(house, *NARROW)
    lift = wish(house)
    ((reason,),) = house.sql("SELECT reason FROM limit_lift")
    assert "系统".encode() not in bytes(reason)
    told = wire.get("/v1/limits/lifts", session=house.sign_in(world.OFFICER))
    assert [one["reason"] for one in json.loads(told.content)["data"]] == ["系统迁移核对"]
    assert house.log()[-1].act == "limit.read"
    path = f"/console/limit-lifts/{lift}"
    call = Call("POST", path, path, b"answer=grant", page=True, unless="", answers={})
    body, headers = callers.sendable(call, house, "officer")
    assert wire.call("POST", path, content=body, headers=headers).status_code == 303
    assert house.log()[-1].act == "limit.granted"


def test_a_service_asks_for_somebody_else_only_where_it_may_speak_for_people(
    house: Living, wire: Wire
) -> None:
    """Else any key could learn who is on the staff, or keep a reader's own request from being taken."""
    body = {"people_per_hour": 100, "people_per_day": 320, "hours": 2, "reason": "系统迁移核对"}
    for reader in (world.WANG_MIN.id, "stf_01900000-0000-7000-8000-00000000dead"):
        told = wire.post("/v1/limits/lifts", body | {"reader": reader}, key=house.key(world.SENDER))
        assert (told.status_code, told.json()["code"]) == (403, "out_of_scope")
    told = wire.post("/v1/limits/lifts", body | {"reader": world.WANG_MIN.id}, key=house.key(world.CRM))
    assert told.status_code == 201
