"""A mobile number finds its member for those who may know it, and nobody else can tell that it would."""

from __future__ import annotations

import json

import pytest
from living import Living, Wire

from governance import world

NEVER_STORED = "15400009999"
SPELLINGS = ["15400001002", "+86 154-0000-1002", "１５４００００１００２", "0086 15400001002"]


def look_up(house: Living, wire: Wire, mobile: str, **more: str) -> tuple[int, dict[str, object]]:
    body = {"mobile": mobile, "purpose": "service.delivery", **more}
    answer = wire.post("/v1/lookups", body, key=house.key(world.CRM))
    return answer.status_code, json.loads(answer.content)


@pytest.mark.parametrize("mobile", SPELLINGS)
def test_every_spelling_of_a_number_finds_its_member(house: Living, wire: Wire, mobile: str) -> None:
    status, found = look_up(house, wire, mobile)
    assert (status, found["subject"]) == (200, {"type": "member", "id": world.ZHANG_LI.id})
    entry = house.log()[-1]
    assert (entry.act, entry.fields[0].name) == ("check", "mobile")


def test_nobodys_number_no_number_and_a_number_one_may_not_know_get_one_answer(
    house: Living, wire: Wire
) -> None:
    stranger = {"on_behalf_of": world.ZHOU_MING.id}
    answers = [
        look_up(house, wire, NEVER_STORED),
        look_up(house, wire, "not a number"),
        look_up(house, wire, "15400001002", **stranger),
        look_up(house, wire, "15400001002", purpose="marketing.profiled"),
    ]
    for _, body in answers:
        body.pop("instance")
    assert answers == [answers[0]] * len(answers)
    assert answers[0][0] == 404
    # Each is a decision of its own in the log, with a subject of its own, real or not.
    assert [len(entry.subjects) for entry in house.log()[-len(answers) :]] == [1] * len(answers)


def test_a_changed_number_is_found_and_the_old_one_no_more(house: Living, wire: Wire) -> None:
    change = {
        "values": {"mobile": "15400001099"},
        "purpose": "account.manage",
        "on_behalf_of": world.ZHANG_LI.id,
    }
    path = f"/v1/members/{world.ZHANG_LI.id}/fields"
    assert wire.put(path, change, key=house.key(world.CRM)).status_code == 200
    assert look_up(house, wire, "15400001099")[0] == 200
    assert look_up(house, wire, "15400001002")[0] == 404
