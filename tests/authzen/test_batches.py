"""AuthZEN batches: defaults, three semantics, and faults that stay in their place."""

from __future__ import annotations

import json
from typing import Any

import pytest
from authzen_calls import Pep, field, question, who
from living import Living

from governance import world
from policies.identifiers import Prefix, kind_of

pytestmark = pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)
PURPOSE = {"purpose": "service.delivery"}
YES: dict[str, Any] = {"resource": field(world.ZHANG_LI, "name")}
NO: dict[str, Any] = {"resource": field(world.ZHANG_LI, "chat_messages")}
TOP: dict[str, Any] = {"subject": who(world.WANG_MIN.id), "action": {"name": "read"}, "context": PURPOSE}


def decisions(told: dict[str, Any]) -> list[bool]:
    assert set(told) == {"evaluations"}
    return [one["decision"] for one in told["evaluations"]]


@pytest.mark.parametrize(
    ("semantic", "items", "expected"),
    [
        (None, [YES, NO, YES], [True, False, True]),
        ("execute_all", [YES, NO, YES], [True, False, True]),
        ("deny_on_first_deny", [YES, YES, NO, YES], [True, True, False]),
        ("deny_on_first_deny", [YES, YES], [True, True]),
        ("deny_on_first_deny", [YES, {"resource": None, "action": {}}, YES], [True, False]),
        ("permit_on_first_permit", [NO, NO, YES, NO], [False, False, True]),
        ("permit_on_first_permit", [NO, {"resource": "x"}], [False, False]),
        ("permit_on_first_permit", [YES, NO], [True]),
    ],
)
def test_the_answers_end_with_the_deciding_one(
    semantic: str | None, items: list[dict[str, Any]], expected: list[bool], crm: Pep
) -> None:
    options = {"evaluations_semantic": semantic, "an unknown option": [1]}
    body = {**TOP, "evaluations": items, "options": options}
    assert decisions(crm.told("evaluations", body)) == expected


def test_an_unknown_semantic_is_a_bad_request_and_unknown_options_are_none(crm: Pep) -> None:
    for options, status in (
        ({"evaluations_semantic": "coin_toss"}, 400),
        ({"evaluations_semantic": 1}, 400),
        ("execute_all", 400),
        (None, 200),
        ({}, 200),
    ):
        answer = crm.post("evaluations", {**TOP, "evaluations": [YES], "options": options})
        assert answer.status_code == status, options


def test_an_item_replaces_defaults_as_a_whole_and_takes_no_more_than_a_required_part(crm: Pep) -> None:
    field_of = {"field": f"{world.ZHANG_LI.id}/name"}
    default = {"type": "purpose", "id": "service.delivery", "properties": field_of}
    items = [
        {},
        {"resource": None, "context": None},
        {"resource": {"id": "service.delivery"}},  # the properties are not inherited
        {"resource": {"id": "service.delivery", "properties": field_of}},  # the type is
        {"resource": {"type": "field", "id": field_of["field"]}, "context": PURPOSE},
        {"resource": {"type": "field", "id": field_of["field"]}, "context": {}},  # nor is a context mixed
        {"action": {}},
        {"subject": {"id": world.WANG_MIN.id}},
        {"subject": {"id": world.DOCTOR_CHEN.id, "type": None}, "action": {"name": "write"}},
    ]
    told = crm.told("evaluations", {**TOP, "resource": default, "context": None, "evaluations": items})
    assert decisions(told) == [True, True, False, True, True, False, True, True, False]
    harmless = {**TOP, "resource": {}, "evaluations": [YES]}
    assert decisions(crm.told("evaluations", harmless)) == [True]


def test_a_fault_of_one_item_is_told_in_its_place_without_repeating_it(crm: Pep, house: Living) -> None:
    bad = [
        {"resource": {"type": "field"}},
        {"resource": "zzCanary7f3a"},
        {"action": {"name": "z" * 5_000}, **YES},
        {"context": "zzCanary7f3a", **YES},
        "zzCanary7f3a",
        None,
        [],
    ]
    before = house.verified()
    answer = crm.post("evaluations", {**TOP, "evaluations": [YES, *bad, YES]}, accept_language="en")
    told = json.loads(answer.content)
    assert answer.status_code == 200
    assert decisions(told) == [True, *[False] * len(bad), True]
    for one in told["evaluations"][1:-1]:
        error = one["context"]["error"]
        assert (error["status"], error["code"]) == (400, "invalid_request")
        assert error["message"].startswith("The request does not have")
    assert "zzCanary7f3a" not in answer.text
    assert house.verified() == before + 2


def test_up_to_a_hundred_evaluations_are_one_batch_with_an_entry_each(crm: Pep, house: Living) -> None:
    foreign = {"resource": {"type": "spaceship", "id": "1"}}
    items = [YES, NO, foreign, {"resource": {}}] * 25
    before = house.verified()
    told = crm.told("evaluations", {**TOP, "evaluations": items})
    assert decisions(told) == [True, False, False, False] * 25
    entries = house.log()[before:]
    ids = [one["context"]["id"] for one in told["evaluations"] if "id" in one["context"]]
    assert len(ids) == len(set(ids)) == 75
    assert all(kind_of(one) is Prefix.DECISION for one in ids)
    assert {entry.decision for entry in entries} == set(ids)
    assert len({entry.request for entry in entries}) == 1
    answer = crm.post("evaluations", {**TOP, "evaluations": [*items, YES]})
    assert (answer.status_code, json.loads(answer.content)["code"]) == (400, "invalid_request")


def test_a_single_question_at_the_batch_address_is_as_strict_as_at_its_own(crm: Pep) -> None:
    whole = question(world.WANG_MIN, "read", YES["resource"], "service.delivery")
    assert crm.told("evaluations", whole)["decision"] is True
    for gone in ("subject", "action", "resource"):
        answer = crm.post("evaluations", {name: part for name, part in whole.items() if name != gone})
        assert answer.status_code == 400
        assert [one["pointer"] for one in json.loads(answer.content)["errors"]] == [f"/{gone}"]
