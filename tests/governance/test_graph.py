"""The graph over HTTP: what services make and end, who may not, and what is refused for what it says."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from happenings import NOBODY, approved_purchase
from living import DAY, Living, Wire

from governance import world
from governance.seeding import give_consent
from governance.times import rfc3339
from policies.terms import SubjectId

HOME = world.ZHANG_HOME.id
NO_STAFF = "stf_019a0000-0000-7000-8000-000000000000"
NO_HOME = "hh_019a0000-0000-7d47-8433-b18122cd4e5d"
LINK = {
    "ward": world.XIAO_MAN.id,
    "guardian": world.GRANDMOTHER.id,
    "evidence": "archive:2026/114",
    "verifier": world.OFFICER.id,
}
ASSIGN = {"subject": world.XIAO_MAN.id, "staff": world.WANG_MIN.id, "role": "agent"}


def post(house: Living, wire: Wire, path: str, body: object, **headers: str) -> httpx2.Response:
    house.clock.advance(1)
    return wire.post(f"/v1/{path}", body, key=house.key(world.CRM), **headers)


def told(answer: httpx2.Response) -> tuple[int, str]:
    body = json.loads(answer.content)
    pointer = body.get("errors", [{"pointer": ""}])[0]["pointer"]
    return answer.status_code, pointer or body.get("code", "")


def made(answer: httpx2.Response) -> str:
    assert answer.status_code == 201, answer.text
    body = json.loads(answer.content)
    found: str = body.get("household_id") or body["member_id"]
    return found


def test_a_household_is_made_and_members_come_to_live_in_it(house: Living, wire: Wire) -> None:
    home = made(post(house, wire, "households", {}))
    path = f"households/{home}/members"
    first = made(post(house, wire, path, {"role": "primary_account", "birth_date": "1980-02-29"}))
    child = made(post(house, wire, path, {"role": "minor_member", "birth_date": "2020-02-29"}))
    rows = house.sql(f"SELECT actor_id, role FROM relation WHERE subject_id = '{child}' ORDER BY role")
    assert [tuple(row) for row in rows] == [(child, "minor_member"), (first, "primary_account")]
    assert [one.act for one in house.log()[-3:]] == ["household.added", "member.added", "member.added"]
    assert all(one.actor.party.id == world.CRM.id for one in house.log()[-3:])
    assert "1980-02-29" not in repr(house.sql("SELECT * FROM cell", "SELECT * FROM relation"))


@pytest.mark.parametrize(
    ("home", "body", "answer"),
    [
        (NO_HOME, {"role": "adult_member", "birth_date": "1990-01-01"}, (404, "not_found")),
        (HOME, {"role": "primary_account", "birth_date": "1990-01-01"}, (409, "conflict")),
        (HOME, {"role": "adult_member", "birth_date": "2015-01-01"}, (422, "/role")),
        (HOME, {"role": "minor_member", "birth_date": "1990-01-01"}, (422, "/role")),
        (HOME, {"role": "minor_member", "birth_date": "2030-01-01"}, (422, "/birth_date")),
        (HOME, {"role": "minor_member", "birth_date": "2023-02-29"}, (422, "/birth_date")),
        (HOME, {"role": "elder", "birth_date": "1850-01-01"}, (422, "/birth_date")),
        (HOME, {"role": "compliance_officer", "birth_date": "1990-01-01"}, (422, "/role")),
        (HOME, {"role": "adult_member"}, (422, "/birth_date")),
    ],
    ids=str,
)
def test_a_member_who_does_not_fit_is_not_made(
    home: str, body: object, answer: tuple[int, str], house: Living, wire: Wire
) -> None:
    before = house.size()
    assert told(post(house, wire, f"households/{home}/members", body)) == answer
    assert house.size() == before


def test_a_call_that_is_sent_twice_makes_one_household_and_one_member(house: Living, wire: Wire) -> None:
    body = {"role": "elder", "birth_date": "1950-05-05"}
    home = {made(post(house, wire, "households", {}, idempotency_key="h")) for _ in range(2)}
    assert len(home) == 1
    path = f"households/{home.pop()}/members"
    assert len({made(post(house, wire, path, body, idempotency_key="m")) for _ in range(2)}) == 1
    other = post(house, wire, path, {**body, "birth_date": "1951-05-05"}, idempotency_key="m")
    assert told(other) == (422, "key_reused")


def test_an_assignment_opens_a_portfolio_and_its_end_shuts_it(house: Living, wire: Wire) -> None:
    def listed() -> list[Any]:
        return house.sql(
            f"SELECT role, ends_at FROM relation WHERE subject_id = '{world.XIAO_MAN.id}'"
            " AND relation = 'assigned' AND (ends_at IS NULL OR ends_at > "
            f"{house.clock()})"
        )

    answer = post(house, wire, "assignments", {**ASSIGN, "days": 30})
    assert json.loads(answer.content)["ends_at"] == rfc3339(house.clock() + 30 * DAY)
    assert [tuple(row) for row in listed()] == [("agent", house.clock() + 30 * DAY)]
    assert told(post(house, wire, "assignments", ASSIGN)) == (409, "conflict")
    end = {"subject": ASSIGN["subject"], "staff": ASSIGN["staff"]}
    assert post(house, wire, "assignments/end", end).status_code == 200
    assert listed() == []
    assert told(post(house, wire, "assignments/end", end)) == (404, "not_found")
    rows = house.sql(
        f"SELECT role FROM relation WHERE subject_id = '{world.XIAO_MAN.id}' AND relation = 'assigned'"
    )
    assert len(rows) == 1  # ended, not deleted


@pytest.mark.parametrize(
    ("wrong", "answer"),
    [
        ({"subject": NOBODY}, (404, "not_found")),
        ({"staff": NO_STAFF}, (404, "not_found")),
        ({"role": "primary_account"}, (422, "/role")),
        ({"role": "compliance_officer"}, (422, "/role")),
        ({"role": "no_such_role"}, (422, "/role")),
        ({"days": 0}, (422, "/days")),
        ({"staff": world.ZHANG_LI.id}, (422, "/staff")),
    ],
    ids=str,
)
def test_an_assignment_that_makes_no_sense_is_not_made(
    wrong: dict[str, Any], answer: tuple[int, str], house: Living, wire: Wire
) -> None:
    before = house.size()
    assert told(post(house, wire, "assignments", ASSIGN | wrong)) == answer
    assert house.size() == before


def test_a_guardianship_is_verified_apart_from_the_household(house: Living, wire: Wire) -> None:
    stranger = {**LINK, "guardian": world.ZHOU_MING.id}
    assert told(post(house, wire, "guardianships", stranger)) == (201, "")
    assert told(post(house, wire, "guardianships", stranger)) == (409, "conflict")
    rows = house.sql(
        "SELECT evidence FROM consent_event WHERE kind = 'guardian_linked'"
        f" AND actor_id = '{world.ZHOU_MING.id}'"
    )
    assert json.loads(rows[0][0]) == {"reference": "archive:2026/114", "verifier": world.OFFICER.id}
    homes = house.sql(
        f"SELECT 1 FROM relation WHERE subject_id = '{HOME}' AND actor_id = '{world.ZHOU_MING.id}'"
    )
    assert homes == []  # it moves nobody in


@pytest.mark.parametrize(
    ("wrong", "answer"),
    [
        ({"ward": NOBODY}, (404, "not_found")),
        ({"guardian": NOBODY}, (404, "not_found")),
        ({"verifier": NO_STAFF}, (404, "not_found")),
        ({"ward": world.GRANDMOTHER.id, "guardian": world.ZHANG_LI.id}, (422, "/ward")),
        ({"guardian": world.XIAO_MAN.id}, (422, "/ward")),
        ({"evidence": "户口簿 张丽"}, (422, "/evidence")),
        ({"evidence": "archive:15400001003"}, (422, "/evidence")),
        ({"evidence": "archive:99000019860517002x"}, (422, "/evidence")),
        ({"evidence": ""}, (422, "/evidence")),
        ({"verifier": world.ZHANG_LI.id}, (422, "/verifier")),
    ],
    ids=str,
)
def test_a_guardianship_that_cannot_be_is_not_recorded(
    wrong: dict[str, Any], answer: tuple[int, str], house: Living, wire: Wire
) -> None:
    before = house.size()
    assert told(post(house, wire, "guardianships", LINK | wrong)) == answer
    assert house.size() == before


def test_with_a_guardianship_end_its_consents_and_its_unused_approvals(house: Living, wire: Wire) -> None:
    given = give_consent(house.service, world.ZHANG_LI, "family.care", ("health.record",), world.XIAO_MAN)
    approval = approved_purchase(house)
    end = {**LINK, "guardian": world.ZHANG_LI.id}
    assert told(post(house, wire, "guardianships/end", end)) == (200, "")
    assert told(post(house, wire, "guardianships/end", end)) == (404, "not_found")
    listed = house.service.consenting.of_member(SubjectId(world.XIAO_MAN.id), house.clock())
    assert [(one.consent_id, state.value) for one, state in listed] == [(given, "no_authority")]
    use = {"action": "purchase", "resource": "order-1", "on_behalf_of": world.XIAO_MAN.id}
    assert told(post(house, wire, f"approvals/{approval}/use", use)) == (409, "conflict")
