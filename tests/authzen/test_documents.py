"""A company's documents, from a folder of rules: roles and attributes of the book, roles of the database."""

from __future__ import annotations

import json
from typing import Any

import pytest
from authzen_calls import Pep
from happenings import NOBODY
from living import Living

from audit.entry import Kind, Verdict
from governance import world
from governance.explaining import explain_decision
from policies.terms import ActorId, Role

pytestmark = [
    pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True),
    pytest.mark.parametrize("under", ["documents"], indirect=True),
]
DORA, EMIL, FINN = "dora@example.com", "emil@example.com", "finn@example.org"
CONTRACT, MANUAL = ({"type": "document", "id": name} for name in ("contract-1", "manual-2"))


def asks(who: str, verb: str, what: dict[str, Any], kind: str = "user", **properties: Any) -> dict[str, Any]:
    action = {"name": verb, "properties": properties} if properties else {"name": verb}
    return {"subject": {"type": kind, "id": who}, "action": action, "resource": what}


TABLE = [
    (asks(DORA, "read", CONTRACT), True, "rule_allows"),
    (asks(FINN, "read", CONTRACT), False, "no_rule"),
    (asks(FINN, "read", MANUAL), True, "rule_allows"),
    (asks(DORA, "edit", CONTRACT), True, "rule_allows"),
    (asks(DORA, "edit", {**CONTRACT, "properties": {"status": "archived"}}), False, "denied_by_rule"),
    (asks(EMIL, "edit", {**CONTRACT, "properties": {"owner": EMIL}}), False, "no_rule"),
    (asks(DORA, "delete", CONTRACT, soft=True), True, "rule_allows"),
    (asks(DORA, "delete", CONTRACT, soft=False), False, "denied_by_rule"),
    (asks(DORA, "burn", CONTRACT), False, "no_rule"),
    (asks("stranger@example.net", "read", CONTRACT), False, "no_rule"),
    (asks(DORA, "read", CONTRACT, kind="robot"), False, "not_available"),
    (asks(NOBODY, "read", CONTRACT, kind="member"), False, "not_available"),
    (asks(DORA, "read", CONTRACT, kind="staff"), False, "not_available"),
]


def test_documents_are_decided_over_http_as_in_the_engine_and_recorded_by_their_words_alone(
    under: Pep, house: Living
) -> None:
    before = house.verified()
    told = under.told("evaluations", {"evaluations": [body for body, _, _ in TABLE]})["evaluations"]
    assert [(one["decision"], one["context"]["reasons"][0]["code"]) for one in told] == [
        (decision, code) for _, decision, code in TABLE
    ]
    entries = house.log()[before:]
    assert [entry.decision for entry in entries] == [one["context"]["id"] for one in told]
    for entry, (body, decision, code) in zip(entries, TABLE, strict=True):
        assert (entry.kind, entry.act) == (Kind.DECISION, "evaluate")
        assert entry.dec is (Verdict.PERMIT if decision else Verdict.DENY)
        assert entry.fields[0].why == (code,)
        assert entry.policy == under.house.service.rules.book.fingerprint
        kind, verb, digest = entry.resource.split(" ")
        assert (kind, verb) == ("document", body["action"]["name"] if verb != "?" else "?")
        assert len(digest) == 64
    assert entries[8].resource.split(" ")[1] == "?"  # an invented verb is not repeated
    again = under.evaluate(TABLE[0][0])["context"]["id"]
    same = house.log()[-1]
    assert (same.decision, same.resource) == (again, entries[0].resource)
    log = repr(house.log())
    assert not any(word in log for word in (DORA, "stranger", "contract-1", "archived", "burn"))


def test_duties_of_the_book_are_obligations_and_each_decision_explains_itself(under: Pep) -> None:
    told = under.evaluate(asks(FINN, "read", MANUAL))
    assert told["context"]["obligations"] == [
        {"id": "log=high", "type": "log", "properties": {"level": "high"}}
    ]
    for body, decision, _ in TABLE:
        found = explain_decision(under.house.service, under.evaluate(body)["context"]["id"], "en")
        assert found is not None
        assert found.blocked is not decision
        assert "asked about" in found.sentence
        assert "ocument" in found.sentence
        assert [rung.gate.name for rung in found.ladder] == ["IDENTITY", "RULE", "LOG"]


def test_staff_hold_the_roles_of_the_database_and_none_that_a_caller_states(
    under: Pep, house: Living
) -> None:
    service, clerk = under.house.service, "stf_019a0000-0000-7000-8000-00000000c1e4"
    with service.database.transaction() as tx:
        service.lifecycle.add_actor(tx, ActorId(clerk), "x", (Role("partner"),), house.clock())
        tx.commit()
    assert under.allows(asks(clerk, "read", MANUAL, kind="staff"))
    assert not under.allows(asks(clerk, "read", CONTRACT, kind="staff"))
    claims = {
        "type": "staff",
        "id": world.WANG_MIN.id,
        "properties": {"roles": ["partner"], "role": "partner"},
    }
    assert not under.allows({**asks("", "read", MANUAL), "subject": claims})
    body = {**asks("", "read", MANUAL), "subject": {"type": "staff"}}
    assert under.search("subject", body, 1) == [{"type": "staff", "id": clerk}]
    with service.database.transaction() as tx:
        service.lifecycle.retire_actor(tx, ActorId(clerk), house.clock())
        tx.commit()
    told = under.evaluate(asks(clerk, "read", MANUAL, kind="staff"))
    assert (told["decision"], told["context"]["reasons"][0]["code"]) == (False, "not_available")
    assert under.search("subject", body) == []


def test_searches_among_documents_find_exactly_what_is_allowed(under: Pep) -> None:
    people, things = (DORA, EMIL, FINN), (CONTRACT, MANUAL)
    found = 0
    for verb in ("read", "edit", "publish", "delete", "burn"):
        for stated in ({}, {"status": "draft"}, {"status": "archived"}):
            properties = {"properties": stated} if stated else {}
            for thing in things:
                body = {**asks("", verb, {**thing, **properties}), "subject": {"type": "user"}}
                results = under.search("subject", body)
                allowed = [one for one in people if under.allows(asks(one, verb, {**thing, **properties}))]
                assert results == [{"type": "user", "id": one} for one in allowed]
                found += len(results)
            for who in people:
                results = under.search("resource", asks(who, verb, {"type": "document", **properties}))
                told = [{**one, **properties} for one in things]
                assert results == [one for one in told if under.allows(asks(who, verb, one))]
    assert found > 8
    whole = {**asks("", "read", MANUAL), "subject": {"type": "user"}}
    assert [under.search("subject", whole, limit) for limit in (1, 2, 7, 100)] == [
        [{"type": "user", "id": FINN}]
    ] * 4


def test_a_search_among_documents_names_nobody_in_the_log(under: Pep, house: Living) -> None:
    under.search("resource", asks(DORA, "read", {"type": "document"}))
    entry = house.log()[-1]
    assert (entry.act, entry.subjects, entry.fields, entry.n) == ("search.resource", (), (), 1)
    assert entry.resource.startswith("document ")
    assert "dora" not in repr(entry)


def test_a_book_about_documents_keeps_the_household_closed(under: Pep) -> None:
    own = {
        "subject": {"type": "member", "id": world.ZHANG_LI.id},
        "action": {"name": "read"},
        "resource": {"type": "field", "id": f"{world.ZHANG_LI.id}/name"},
        "context": {"purpose": "service.delivery"},
    }
    told = under.evaluate(own)
    assert (told["decision"], told["context"]["reasons"][0]["code"]) == (False, "no_rule")
    assert under.search("resource", {**own, "resource": {"type": "field"}}) == []
    assert json.dumps(told).count(world.ZHANG_LI.id) == 0
