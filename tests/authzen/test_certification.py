"""The scenario of AuthZEN certification: its fixture as a rule folder, its requests over HTTP.

The fixture is about records and users, not about households; that it needs a folder of rules and not a
line of code is what this shows.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from authzen_calls import Pep

pytestmark = [
    pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True),
    pytest.mark.parametrize("under", ["records"], indirect=True),
]
ALICE: dict[str, Any] = {"type": "user", "id": "alice"}
BOB: dict[str, Any] = {"type": "user", "id": "bob"}
ADMIN: dict[str, Any] = {**BOB, "properties": {"role": "admin"}}
ONE: dict[str, Any] = {"type": "record", "id": "record-1"}
TWO: dict[str, Any] = {"type": "record", "id": "record-2"}
ARCHIVED: dict[str, Any] = {**TWO, "properties": {"status": "archived"}}
ACTIVE: dict[str, Any] = {**ONE, "properties": {"status": "active"}}
SOFT = {"name": "delete", "properties": {"soft": True}}
HARD = {"name": "delete", "properties": {"soft": False}}


def asks(subject: dict[str, Any], action: str | dict[str, Any], resource: dict[str, Any]) -> dict[str, Any]:
    name = {"name": action} if isinstance(action, str) else action
    return {"subject": subject, "action": name, "resource": resource}


REQUIRED = [
    (1, asks(ALICE, "read", ONE), True),
    (2, asks(ALICE, "write", ONE), True),
    (3, asks(BOB, "read", ONE), True),
    (4, asks(BOB, "write", ONE), False),
    (5, asks(ALICE, "write", ARCHIVED), False),
    (5, asks(ALICE, "write", {**ONE, "properties": {"status": "archived"}}), False),
    (6, asks(ADMIN, "write", ARCHIVED), True),
    (7, asks(ALICE, SOFT, ONE), True),
    (8, asks(ALICE, HARD, ONE), False),
]


def test_the_required_decisions_hold_with_and_without_context_each_time(under: Pep) -> None:
    context = {"time": "2025-06-27T18:03-07:00", "ip": "192.0.2.1"}
    for rule, body, decision in REQUIRED:
        for extra in ({}, {"context": context}, {"foo": "bar", "futureField": {"nested": True}}):
            answers = [under.evaluate({**body, **extra}) for _ in range(3)]
            assert [one["decision"] for one in answers] == [decision] * 3, rule
    department = {**ALICE, "properties": {"department": "Sales", "role": "manager"}}
    owner = {**ONE, "properties": {"status": "active", "owner": "bob"}}
    assert under.allows(asks(department, {"name": "read", "properties": {"method": "GET"}}, owner))


BATCHES: list[tuple[str, dict[str, Any], list[bool]]] = [
    (
        "defaults of subject and resource",
        {
            "subject": BOB,
            "resource": ONE,
            "evaluations": [{"action": {"name": n}} for n in ("read", "write")],
        },
        [True, False],
    ),
    (
        "resource properties an item",
        {
            "subject": ALICE,
            "action": {"name": "write"},
            "evaluations": [{"resource": ACTIVE}, {"resource": ARCHIVED}],
        },
        [True, False],
    ),
    (
        "subject properties an item",
        {
            "action": {"name": "write"},
            "resource": ARCHIVED,
            "evaluations": [{"subject": ALICE}, {"subject": ADMIN}],
        },
        [False, True],
    ),
    (
        "no defaults",
        {"evaluations": [asks(ALICE, "read", ONE), asks(BOB, "write", ONE)]},
        [True, False],
    ),
    (
        "a required part from the default",
        {
            "subject": ALICE,
            "action": {"name": "write"},
            "resource": {"type": "record"},
            "evaluations": [
                {"resource": {"id": "record-1", "properties": {"status": "active"}}},
                {"resource": ARCHIVED},
            ],
        },
        [True, False],
    ),
    (
        "an item without a resource",
        {"subject": ALICE, "action": {"name": "read"}, "evaluations": [{"resource": ONE}, {}]},
        [True, False],
    ),
]


@pytest.mark.parametrize("name", [name for name, _, _ in BATCHES])
def test_a_batch_of_the_scenario_is_decided_in_its_order(name: str, under: Pep) -> None:
    body, decisions = next((body, decisions) for one, body, decisions in BATCHES if one == name)
    told = under.told("evaluations", body)
    assert set(told) == {"evaluations"}
    assert [one["decision"] for one in told["evaluations"]] == decisions


@pytest.mark.parametrize("evaluations", [{}, {"evaluations": []}, {"evaluations": None}])
def test_a_batch_without_items_is_a_single_evaluation(evaluations: dict[str, Any], under: Pep) -> None:
    told = under.told("evaluations", {**asks(ALICE, "read", ONE), **evaluations})
    assert told["decision"] is True
    assert "evaluations" not in told


SEARCHES: list[tuple[str, dict[str, Any], list[dict[str, Any]]]] = [
    (
        "subject",
        {"subject": {"type": "user"}, "action": {"name": "read"}, "resource": ONE},
        [ALICE, BOB],
    ),
    ("subject", {"subject": {"type": "user"}, "action": {"name": "write"}, "resource": ARCHIVED}, [BOB]),
    (
        "resource",
        {"subject": ALICE, "action": {"name": "read"}, "resource": {"type": "record"}},
        [ONE, TWO],
    ),
    ("resource", {"subject": ADMIN, "action": {"name": "write"}, "resource": {"type": "record"}}, [TWO]),
    ("action", {"subject": ALICE, "resource": ONE}, [{"name": "read"}, {"name": "write"}]),
    ("action", {"subject": ADMIN, "resource": ARCHIVED}, [{"name": "read"}, {"name": "write"}]),
    ("action", {"subject": {"type": "user", "id": "nonexistent-user"}, "resource": ONE}, []),
    (
        "subject",
        {"subject": {"type": "spaceship"}, "action": {"name": "read"}, "resource": ONE},
        [],
    ),
    (
        "resource",
        {"subject": ALICE, "action": {"name": "read"}, "resource": {"type": "spaceship"}},
        [],
    ),
    ("action", {"subject": ALICE, "resource": {"type": "spaceship", "id": "1"}}, []),
]


def test_the_searches_of_the_scenario_find_what_they_must_and_nothing_else(under: Pep) -> None:
    for sought, body, results in SEARCHES:
        assert under.told(f"search/{sought}", body) == {"results": results}
        elsewhere = {**body, "context": {"ip": "192.0.2.1"}}
        assert under.told(f"search/{sought}", elsewhere) == {"results": results}
        for limit in (1, 2, 7, 100):
            assert under.search(sought, body, limit) == results


def test_each_result_evaluates_to_allow_and_each_other_candidate_to_deny(under: Pep) -> None:
    subjects, resources = (ALICE, BOB, ADMIN), (ONE, TWO, ARCHIVED, ACTIVE)
    actions = ("read", "write", "delete", "burn")
    for action in actions:
        for resource in resources:
            body = {"subject": {"type": "user"}, "action": {"name": action}, "resource": resource}
            found = under.search("subject", body)
            assert found == [one for one in (ALICE, BOB) if under.allows(asks(one, action, resource))]
        for subject in subjects:
            body = {"subject": subject, "action": {"name": action}, "resource": {"type": "record"}}
            found = under.search("resource", body)
            assert found == [one for one in (ONE, TWO) if under.allows(asks(subject, action, one))]
    for subject in subjects:
        for resource in resources:
            found = under.search("action", {"subject": subject, "resource": resource})
            allowed = [{"name": one} for one in sorted(actions) if under.allows(asks(subject, one, resource))]
            assert found == allowed


MISSING: list[tuple[str, dict[str, Any]]] = [
    *(
        ("evaluation", {name: part for name, part in asks(ALICE, "read", ONE).items() if name != gone})
        for gone in ("subject", "action", "resource")
    ),
    ("evaluation", asks({"id": "alice"}, "read", ONE)),
    ("evaluation", asks({"type": "user"}, "read", ONE)),
    ("evaluation", asks(ALICE, {}, ONE)),
    ("evaluation", asks(ALICE, "read", {"id": "record-1"})),
    ("evaluation", asks(ALICE, "read", {"type": "record"})),
    ("evaluation", asks(ALICE, {"name": 123}, ONE)),
    ("evaluation", {**asks(ALICE, "read", ONE), "subject": "alice"}),
    ("evaluation", {**asks(ALICE, "read", ONE), "context": []}),
    ("evaluations", {**asks(ALICE, "read", ONE), "subject": "alice", "evaluations": [{}]}),
    ("evaluations", {"subject": ALICE, "action": {"name": "read"}}),
    ("search/subject", {"subject": {"type": "user"}, "resource": ONE}),
    ("search/resource", {"action": {"name": "read"}, "resource": {"type": "record"}}),
    ("search/action", {"subject": ALICE}),
    (
        "search/subject",
        {"subject": {"type": "user"}, "action": {"name": "read"}, "resource": {"type": "record"}},
    ),
    (
        "search/resource",
        {"subject": {"type": "user"}, "action": {"name": "read"}, "resource": {"type": "record"}},
    ),
]


def test_what_is_missing_or_of_a_wrong_kind_is_a_400(under: Pep) -> None:
    for path, body in MISSING:
        answer = under.post(path, body)
        assert (answer.status_code, json.loads(answer.content)["code"]) == (400, "invalid_request"), body
        assert "alice" not in answer.text
