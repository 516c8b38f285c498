"""Service tickets over HTTP: who may open one, what it shows meanwhile, and that it ends."""

from __future__ import annotations

import json
from typing import Any

import insiders
import pytest
from happenings import HAPPENINGS, HOUR, NOBODY, assign
from living import Living, Wire

from governance import world

TICKET = {"subject": world.ZHANG_LI.id, "staff": world.WANG_MIN.id}
READ = {
    "subject": {"type": "member", "id": world.ZHANG_LI.id},
    "fields": ["mobile"],
    "purpose": "service.delivery",
    "on_behalf_of": world.WANG_MIN.id,
}


def effect(house: Living, wire: Wire) -> str:
    answer = json.loads(wire.post("/v1/reads", READ, key=house.key(world.CRM)).content)
    found: str = answer["fields"][0]["effect"]
    return found


def test_a_ticket_shows_more_from_its_opening_to_its_closing_and_both_are_on_record(
    house: Living, wire: Wire
) -> None:
    key = house.key(world.CRM)
    assert effect(house, wire) == "mask"
    opened = wire.post("/v1/tickets", {**TICKET, "hours": 2}, key=key)
    assert (opened.status_code, json.loads(opened.content)["ends_at"]) == (201, "2026-11-22T04:01:00.000Z")
    assert effect(house, wire) == "show"
    house.clock.advance(1)
    assert wire.post("/v1/tickets/close", TICKET, key=key).status_code == 200
    assert effect(house, wire) == "mask"
    told = {entry.act: entry for entry in house.log()[-5:]}
    for act in ("ticket.opened", "ticket.closed"):
        assert (told[act].actor.party.id, told[act].resource) == (world.CRM.id, world.WANG_MIN.id)
        assert told[act].subjects == told["read"].subjects


def test_a_decision_that_rests_on_a_ticket_is_good_until_the_ticket_ends(house: Living, wire: Wire) -> None:
    wire.post("/v1/tickets", {**TICKET, "hours": 2}, key=house.key(world.CRM))
    asks = {"checks": [READ, {**READ, "fields": ["name"]}]}
    checks = json.loads(wire.post("/v1/checks", asks, key=house.key(world.CRM)).content)["checks"]
    assert [one["valid_until"] for one in checks] == ["2026-11-22T04:01:00.000Z", None]


def test_a_second_opening_gives_the_same_ticket_a_new_term(house: Living, wire: Wire) -> None:
    key = house.key(world.CRM)
    for hours in (1, 3):
        assert wire.post("/v1/tickets", {**TICKET, "hours": hours}, key=key).status_code == 201
    rows = house.sql(
        f"SELECT ends_at FROM relation WHERE relation = 'ticket' AND actor_id = '{TICKET['staff']}'"
    )
    assert [row[0] for row in rows] == [house.clock() + 3 * HOUR]
    house.clock.advance(2 * HOUR)
    assert effect(house, wire) == "show"
    house.clock.advance(HOUR)
    assert effect(house, wire) == "mask"
    # What is over is not closed again.
    assert wire.post("/v1/tickets/close", TICKET, key=key).status_code == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"subject": NOBODY},
        {"subject": world.XIAO_MAN.id},
        {"subject": world.ZHOU_MING.id},
        {"staff": "stf_019a0000-0000-7000-8000-000000000000"},
        {"staff": world.DOCTOR_CHEN.id, "subject": world.LI_QIANG.id},
    ],
    ids=["nobody", "not assigned", "another household", "no such staff", "somebody else's"],
)
def test_nobody_opens_a_ticket_about_somebody_who_is_not_assigned_and_unknown_looks_the_same(
    wrong: dict[str, Any], house: Living, wire: Wire
) -> None:
    before = house.size()
    answer = wire.post("/v1/tickets", {**TICKET, "hours": 1, **wrong}, key=house.key(world.CRM))
    closing = wire.post("/v1/tickets/close", {**TICKET, **wrong}, key=house.key(world.CRM))
    for one in (answer, closing):
        assert (one.status_code, json.loads(one.content)["code"]) == (404, "not_found")
    assert house.size() == before
    assert house.sql("SELECT * FROM relation WHERE relation = 'ticket'") == []


@pytest.mark.parametrize("hours", [0, 169, -1, "2", 1.5, True])
@pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)
def test_a_ticket_has_a_term_of_at_most_a_week(hours: object, house: Living, wire: Wire) -> None:
    answer = wire.post("/v1/tickets", {**TICKET, "hours": hours}, key=house.key(world.CRM))
    assert (answer.status_code, json.loads(answer.content)["errors"][0]["pointer"]) == (422, "/hours")


def test_a_ticket_that_cannot_be_recorded_is_not_opened(house: Living, wire: Wire) -> None:
    house.sql(*insiders.REFUSE[house.engine])
    answer = wire.post("/v1/tickets", {**TICKET, "hours": 1}, key=house.key(world.CRM))
    assert (answer.status_code, json.loads(answer.content)["code"]) == (503, "cannot_record")
    house.sql(*insiders.ACCEPT[house.engine])
    assert effect(house, wire) == "mask"


def test_an_assignment_that_ends_closes_its_tickets_for_good(house: Living, wire: Wire) -> None:
    HAPPENINGS["open_ticket"](house)
    HAPPENINGS["end_assignment"](house)
    house.clock.advance(1)
    assign(house, world.ZHANG_LI, world.WANG_MIN, "agent")
    assert effect(house, wire) == "mask"
