"""Whoever is hidden from cannot tell it from absence: same bytes, same cost, in every way of asking (S3).

李强 hides what he watched from his mother-in-law alone; 张丽 has no viewing history at all. A check is asked
by whoever holds the data itself, so for it the twin is not absence but what it says of a hiding: nothing.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from happenings import hide
from living import Living, Wire
from test_read_walk import Counting

from governance import world

VIEWER, HIDER, EMPTY, OTHER = world.GRANDMOTHER, world.LI_QIANG, world.ZHANG_LI, world.ZHANG_LI
PURPOSE, FIELD = "family.care", "viewing_history"
_MARKS = re.compile(r'(?:dec|req|aud)_[0-9a-f-]{36}|(?<="receipt":)(?:\d+|null)')


@pytest.fixture
def house(house: Living) -> Living:
    hide(house, HIDER, "content.history", VIEWER.id)
    return house


def ask(viewer: world.Person, about: world.Person, **more: object) -> dict[str, object]:
    subject = {"type": "member", "id": about.id}
    return {"subject": subject, "purpose": PURPOSE, "on_behalf_of": viewer.id, **more}


def evaluation(viewer: world.Person, about: world.Person, field: str = FIELD) -> dict[str, object]:
    return {
        "subject": {"type": "member", "id": viewer.id},
        "action": {"name": "read"},
        "resource": {"type": "field", "id": f"{about.id}/{field}"},
        "context": {"purpose": PURPOSE},
    }


def told(house: Living, wire: Wire, path: str, body: object) -> tuple[int, str, int]:
    """Return status, body without the marks of the request, and the number of statements of the gate."""
    gate = house.service.gate
    counting = Counting(gate._database)
    gate._database = counting
    try:
        answer = wire.post(path, body, key=house.key(world.CRM))
    finally:
        gate._database = counting.inner
    return answer.status_code, _MARKS.sub("0", answer.text), counting.statements


def test_a_read_of_what_is_hidden_is_a_read_of_nothing(house: Living, wire: Wire) -> None:
    hidden, absent = (
        told(house, wire, "/v1/reads", ask(VIEWER, one, fields=[FIELD])) for one in (HIDER, EMPTY)
    )
    assert hidden == absent
    assert told(house, wire, "/v1/reads", ask(OTHER, HIDER, fields=[FIELD]))[0] == 200


def test_a_document_that_is_filtered_is_the_document_without_it(house: Living, wire: Wire) -> None:
    mapping = {"$.watched": FIELD, "$.name": "name"}
    documents = [{"watched": "戏曲", "name": "李"}, {"name": "李"}]
    bodies = [ask(VIEWER, HIDER, document=document, mapping=mapping) for document in documents]
    hidden, absent = (told(house, wire, "/v1/filters", body) for body in bodies)
    assert json.loads(hidden[1])["document"] == json.loads(absent[1])["document"] == {"name": "李"}
    assert hidden[2] == absent[2]


def test_a_check_says_that_there_is_nothing_and_costs_what_any_check_costs(house: Living, wire: Wire) -> None:
    hidden = told(house, wire, "/v1/checks", ask(VIEWER, HIDER, fields=[FIELD, "name"]))
    shown = told(house, wire, "/v1/checks", ask(OTHER, HIDER, fields=[FIELD, "name"]))
    fields: list[dict[str, Any]] = json.loads(hidden[1])["fields"]
    assert (fields[0]["effect"], [one["code"] for one in fields[0]["reasons"]]) == ("hide", ["not_available"])
    assert (hidden[0], hidden[2]) == (shown[0], shown[2])
    # What else is told does not differ: neither the other field nor how long the answer is good.
    other = json.loads(shown[1])
    assert (fields[1], json.loads(hidden[1]).get("valid_until")) == (
        other["fields"][1],
        other.get("valid_until"),
    )


def test_an_evaluation_denies_and_a_search_leaves_out(house: Living, wire: Wire) -> None:
    hidden = told(house, wire, "/access/v1/evaluation", evaluation(VIEWER, HIDER))
    shown = told(house, wire, "/access/v1/evaluation", evaluation(OTHER, HIDER))
    assert json.loads(hidden[1])["decision"] is False
    assert json.loads(shown[1])["decision"] is True
    assert hidden[2] == shown[2]
    assert "not_available" in hidden[1]
    assert "hid" not in hidden[1].replace('"hide"', "")
    key = house.key(world.CRM)
    who = {**evaluation(VIEWER, HIDER), "subject": {"type": "member"}}
    found = json.loads(wire.post("/access/v1/search/subject", who, key=key).content)["results"]
    assert VIEWER.id not in {one["id"] for one in found}
    assert OTHER.id in {one["id"] for one in found}
