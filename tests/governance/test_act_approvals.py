"""A child asks to download, buy, share or join in another application; a guardian answers from afar (S4)."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from happenings import HOUR, NOBODY, approved_purchase, other_key
from living import Living, Wire, sent, spell

from governance import world

ASK = {
    "subject": world.XIAO_MAN.id,
    "action": "purchase",
    "resource": "order-1",
    "on_behalf_of": world.XIAO_MAN.id,
}
USE = {"action": "purchase", "resource": "order-1", "on_behalf_of": world.XIAO_MAN.id}


def post(house: Living, wire: Wire, path: str, body: object, key: str = "") -> httpx2.Response:
    return wire.post(f"/v1/approvals{path}", body, key=key or house.key(world.CRM))


def mine(house: Living, wire: Wire, who: Any, path: str = "", body: object = None) -> httpx2.Response:
    headers = sent(None, {}, house.sign_in(who))
    return wire.call("POST", f"/v1/me/approvals{path}", content=spell(body or {}), headers=headers)


def told(answer: httpx2.Response) -> tuple[int, str]:
    body = json.loads(answer.content)
    return answer.status_code, body.get("state") or body["code"]


def asked(house: Living, wire: Wire, **other: str) -> str:
    answer = post(house, wire, "", ASK | other)
    assert told(answer) == (201, "pending")
    found: str = json.loads(answer.content)["approval_id"]
    return found


@pytest.mark.parametrize("action", ["download", "purchase", "share", "join"])
def test_what_a_guardian_approves_may_be_done_once(action: str, house: Living, wire: Wire) -> None:
    approval = asked(house, wire, action=action)
    use = USE | {"action": action}
    assert told(post(house, wire, f"/{approval}/use", use)) == (409, "conflict")
    answer = mine(house, wire, world.LI_QIANG, f"/{approval}/decision", {"approve": True})
    assert told(answer) == (200, "approved")
    shown = wire.call("GET", f"/v1/approvals/{approval}", headers=sent(house.key(world.CRM), {}))
    body = json.loads(shown.content)
    assert (body["state"], body["action"], body["resource"]) == ("approved", action, "order-1")
    assert (body["fields"], body["purpose"]) == ([], None)
    assert told(post(house, wire, f"/{approval}/use", use)) == (200, "used")
    assert told(post(house, wire, f"/{approval}/use", use)) == (409, "conflict")
    assert told(mine(house, wire, world.ZHANG_LI, f"/{approval}/decision", {"approve": False}))[0] == 409


def test_two_who_use_one_approval_at_once_do_not_both_get_it(house: Living, wire: Wire) -> None:
    approval = approved_purchase(house)
    headers = sent(house.key(world.CRM), {})
    call = ("POST", f"/v1/approvals/{approval}/use", {"content": spell(USE), "headers": headers})
    assert sorted(one.status_code for one in wire.together([call] * 4)) == [200, 409, 409, 409]
    assert [one.act for one in house.log()].count("approval.used") == 1


@pytest.mark.parametrize("order", [(True, False), (False, True)], ids=["yes then no", "no then yes"])
def test_a_refusal_wins_whoever_spoke_first(order: tuple[bool, bool], house: Living, wire: Wire) -> None:
    approval = asked(house, wire)
    for guardian, approve in zip((world.ZHANG_LI, world.LI_QIANG), order, strict=True):
        mine(house, wire, guardian, f"/{approval}/decision", {"approve": approve})
    assert told(post(house, wire, f"/{approval}/use", USE)) == (409, "conflict")


def test_it_expires_by_itself(house: Living, wire: Wire) -> None:
    approval = approved_purchase(house)
    house.clock.advance(72 * HOUR)
    assert told(post(house, wire, f"/{approval}/use", USE)) == (409, "conflict")


@pytest.mark.parametrize("where", ["the application", "the child"])
def test_whoever_asked_takes_it_back(where: str, house: Living, wire: Wire) -> None:
    approval = approved_purchase(house)
    if where == "the child":
        answer = mine(house, wire, world.XIAO_MAN, f"/{approval}/cancel")
    else:
        answer = post(house, wire, f"/{approval}/cancel", {"on_behalf_of": world.XIAO_MAN.id})
    assert told(answer) == (200, "cancelled")
    assert told(post(house, wire, f"/{approval}/use", USE)) == (409, "conflict")
    for guardian in (world.ZHANG_LI, world.LI_QIANG):
        assert told(mine(house, wire, guardian, f"/{approval}/cancel")) == (404, "not_found")


def test_a_child_asks_in_person_and_any_application_in_its_name_may_then_act(
    house: Living, wire: Wire
) -> None:
    own = mine(house, wire, world.XIAO_MAN, "", {"action": "purchase", "resource": "order-1"})
    assert told(own) == (201, "pending")
    approval = json.loads(own.content)["approval_id"]
    mine(house, wire, world.ZHANG_LI, f"/{approval}/decision", {"approve": True})
    assert told(post(house, wire, f"/{approval}/use", USE, other_key(house))) == (200, "used")


@pytest.mark.parametrize(
    "wrong",
    [
        {"action": "join"},
        {"resource": "order-2"},
        {"on_behalf_of": world.ZHANG_LI.id},
        {"on_behalf_of": NOBODY},
    ],
    ids=str,
)
def test_an_approval_is_for_exactly_one_act_thing_and_child(
    wrong: dict[str, str], house: Living, wire: Wire
) -> None:
    approval = approved_purchase(house)
    before = house.size()
    assert told(post(house, wire, f"/{approval}/use", USE | wrong)) == (404, "not_found")
    assert house.size() == before


def test_another_application_neither_sees_nor_uses_it(house: Living, wire: Wire) -> None:
    approval, key = approved_purchase(house), other_key(house)
    assert told(post(house, wire, f"/{approval}/use", USE, key)) == (404, "not_found")
    shown = wire.call("GET", f"/v1/approvals/{approval}", headers=sent(key, {}))
    nobodys = wire.call("GET", f"/v1/approvals/{approval[:-4]}0000", headers=sent(key, {}))
    assert told(shown) == told(nobodys) == (404, "not_found")


@pytest.mark.parametrize("own", [False, True], ids=["another application's", "the child's own"])
def test_another_application_neither_takes_it_back_nor_reads_what_it_is_about(
    own: bool, house: Living, wire: Wire
) -> None:
    if own:
        answer = mine(house, wire, world.XIAO_MAN, "", {"action": "purchase", "resource": "order-1"})
        approval = json.loads(answer.content)["approval_id"]
    else:
        approval = approved_purchase(house)
    key, before = other_key(house), house.size()
    answers = [
        post(house, wire, f"/{one}/cancel", {"on_behalf_of": world.XIAO_MAN.id}, key)
        for one in (approval, f"{approval[:-4]}0000")
    ]
    assert [told(one) for one in answers] == [(404, "not_found")] * 2
    bodies = [{**json.loads(one.content), "instance": ""} for one in answers]
    assert bodies[0] == bodies[1]
    assert [one.act for one in house.log()[before:]].count("approval.cancelled") == 0
    assert told(mine(house, wire, world.XIAO_MAN, f"/{approval}/cancel")) == (200, "cancelled")


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"on_behalf_of": world.ZHANG_LI.id}, 404),
        ({"subject": NOBODY, "on_behalf_of": NOBODY}, 404),
        ({"subject": world.GRANDMOTHER.id, "on_behalf_of": world.GRANDMOTHER.id}, 422),
        ({"resource": "李小满想买的绘本"}, 422),
        ({"resource": "a book"}, 422),
        ({"resource": "x" * 65}, 422),
        ({"resource": "tel-15400001003"}, 422),
        ({"resource": "8615400001003"}, 422),
        ({"resource": "id/99000019860517002X"}, 422),
        ({"action": "read"}, 422),
    ],
    ids=str,
)
def test_what_cannot_be_approved_is_not_asked(
    wrong: dict[str, str], status: int, house: Living, wire: Wire
) -> None:
    before = house.size()
    assert post(house, wire, "", ASK | wrong).status_code == status
    assert house.size() == before


@pytest.mark.parametrize("who", [world.XIAO_MAN, world.GRANDMOTHER, world.ZHOU_MING], ids=lambda one: one.key)
def test_nobody_but_a_guardian_answers(who: world.Person, house: Living, wire: Wire) -> None:
    approval = asked(house, wire)
    answer = mine(house, wire, who, f"/{approval}/decision", {"approve": True})
    assert told(answer) == (404, "not_found")


def test_every_step_is_on_record_for_the_child_and_both_guardians_without_the_thing(
    house: Living, wire: Wire
) -> None:
    before = house.size()
    approval = approved_purchase(house, "order-77")
    post(house, wire, f"/{approval}/use", USE | {"resource": "order-77"})
    steps = house.log()[before:]
    assert [one.act for one in steps] == ["approval.asked", "approval.granted", "approval.used"]
    assert {len(one.subjects) for one in steps} == {3}
    assert "order-77" not in repr(steps)
    for person in (world.XIAO_MAN, world.ZHANG_LI, world.LI_QIANG):
        seen = json.loads(wire.get("/v1/me/accesses", session=house.sign_in(person)).content)["data"]
        assert "approval.used" in {one["action"] for one in seen}
