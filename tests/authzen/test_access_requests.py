"""Denials that an approval would lift say so, and only what was denied can be asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from authzen_calls import Pep, field, question, who
from happenings import HAPPENINGS
from living import MINUTE, Living, Wire

from governance import world
from governance.app import build
from governance.asking import Unrecorded
from governance.identity import Caller
from governance.replay import Once
from governance.requesting import Task, Wish, template_of
from governance.world import fixed_id
from policies.identifiers import Prefix, new_id
from policies.plan import compile_plan
from policies.terms import (
    Action,
    ActorId,
    Condition,
    FieldName,
    HouseholdId,
    Level,
    MemberId,
    Purpose,
    Relation,
    Role,
    Scope,
    SubjectId,
)

pytestmark = pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)
OWN = question(world.XIAO_MAN, "write", field(world.XIAO_MAN, "mobile"), "account.manage")
TEEN = fixed_id(Prefix.MEMBER, "teen")
AGENT = question(world.WANG_MIN, "read", field(TEEN, "name"), "service.delivery")


class Book:
    """A desk that keeps what it is asked for in memory."""

    def __init__(self) -> None:
        self.wishes: dict[str, Wish] = {}
        self.full = False

    def open_approval(self, wish: Wish, now: int, once: Once | None = None) -> Task | Unrecorded:
        assert once is None
        if self.full:
            return Unrecorded()
        task = new_id(Prefix.REQUEST)
        self.wishes[task] = wish
        return Task(task, "pending", now + MINUTE)

    def approval(self, caller: Caller, task_id: str, now: int) -> Task | None:
        wish = self.wishes.get(task_id) if now > 0 else None
        return None if wish is None or wish.caller.actor_id != caller.actor_id else Task(task_id, "approved")


@pytest.fixture
def desk() -> Book:
    return Book()


def let_a_teenager_move_in(house: Living) -> None:
    """Let somebody of sixteen live with the family, and give the agent both minors."""
    now, lifecycle = house.clock(), house.service.lifecycle
    teen, home = MemberId(TEEN), HouseholdId(world.ZHANG_HOME.id)
    with house.service.database.transaction() as tx:
        lifecycle.add_member(tx, teen, home, (Role("minor_member"),), date(2010, 6, 1), now)
        lifecycle.assign(tx, SubjectId(TEEN), ActorId(world.WANG_MIN.id), Role("agent"), now)
        tx.commit()
    HAPPENINGS["assign_xiao_man_for_a_minute"](house)


@pytest.fixture
def pep(house: Living, desk: Book) -> Iterator[Pep]:
    """The CRM of a house that has somebody who opens approvals."""
    let_a_teenager_move_in(house)
    wire = Wire(build(replace(house.service, approvals=desk)))
    yield Pep(house, wire)
    wire.close()


def denial_of(told: dict[str, Any]) -> dict[str, Any]:
    offered = told["context"]["access_request"]
    return {
        "evaluation_id": told["context"]["evaluation_id"],
        "binding_token": offered["binding_token"],
        "expires_at": offered["expires_at"],
        "template": offered["template"],
    }


@pytest.mark.parametrize(
    ("asked", "template"), [(OWN, "guardian"), (AGENT, "minor_access")], ids=["child", "agent"]
)
def test_what_was_denied_for_want_of_approval_can_be_asked_for(
    asked: dict[str, Any], template: str, pep: Pep, desk: Book
) -> None:
    told = pep.evaluate(asked)
    assert told["decision"] is False
    offered = told["context"]["access_request"]
    assert set(offered) == {"endpoint", "template", "expires_at", "binding_token"}
    assert (offered["endpoint"], offered["template"]) == (
        "http://127.0.0.1:8080/access/v1/requests",
        template,
    )
    assert told["context"]["evaluation_id"] == told["context"]["id"]
    assert "obligations" not in told["context"]
    why = {**asked["context"], "business_justification": "她换了手机号"}
    answer = pep.post("requests", {**asked, "context": why, "denial": denial_of(told)})
    task = json.loads(answer.content)["task"]
    assert (answer.status_code, task["status"]) == (201, "pending")
    assert task["status_endpoint"] == f"{offered['endpoint']}/{task['id']}"
    wish = desk.wishes[task["id"]]
    assert (wish.template, wish.evaluation_id) == (template, told["context"]["id"])
    assert wish.acting == asked["subject"]["id"]
    assert f"{wish.subject}/{wish.field}" == asked["resource"]["id"]
    assert wish.action is (Action.WRITE if template == "guardian" else Action.READ)
    assert wish.purpose == asked["context"]["purpose"]
    path = f"/access/v1/requests/{task['id']}"
    key = {"authorization": f"Bearer {pep.house.key(world.CRM)}"}
    body = json.loads(pep.wire.call("GET", path, headers=key).content)
    assert (body["task"]["status"], body["result"]) == ("approved", {"mode": "reevaluate"})
    other = {"authorization": f"Bearer {pep.house.key(world.SENDER)}"}
    assert pep.wire.call("GET", path, headers=other).status_code == 404


def test_a_token_binds_caller_question_evaluation_and_time(pep: Pep, desk: Book, house: Living) -> None:
    told = pep.evaluate(OWN)
    good = {**OWN, "denial": denial_of(told)}
    again = pep.evaluate(OWN)["context"]["id"]
    bad = [
        {**good, "action": {"name": "read"}},
        {**good, "resource": field(world.XIAO_MAN, "name")},
        {**good, "subject": who(world.ZHANG_LI.id)},
        {**good, "context": {"purpose": "service.delivery"}},
        {**good, "denial": {**good["denial"], "evaluation_id": again}},
        {**good, "denial": {**good["denial"], "binding_token": "A" + good["denial"]["binding_token"][1:]}},
        {**good, "denial": {**good["denial"], "binding_token": "x"}},
    ]
    for body in bad:
        answer = pep.post("requests", body)
        assert (answer.status_code, json.loads(answer.content)["errors"][0]["code"]) == (
            400,
            "no_such_denial",
        )
    other = Pep(house, pep.wire, world.SENDER).with_scopes("checks on_behalf")
    assert other.post("requests", good).status_code == 400
    assert pep.with_scopes("checks").post("requests", good).status_code == 403
    house.clock.advance(15 * MINUTE - 1)
    assert pep.post("requests", good).status_code == 201
    house.clock.advance(1)
    assert pep.post("requests", good).status_code == 400
    assert len(desk.wishes) == 1
    desk.full = True
    fresh = {**OWN, "denial": denial_of(pep.evaluate(OWN))}
    assert pep.post("requests", fresh).status_code == 503


def test_only_denials_that_an_approval_would_lift_offer_a_request(pep: Pep) -> None:
    for asked in (
        question(world.WANG_MIN, "read", field(world.ZHANG_LI, "blood_pressure"), "service.delivery"),
        question(world.WANG_MIN, "read", field(world.XIAO_MAN, "chat_messages"), "service.delivery"),
        question(world.XIAO_MAN, "write", field(world.XIAO_MAN, "birth_date"), "account.manage"),
        question(world.WANG_MIN, "read", field(world.ZHOU_MING, "mobile"), "service.delivery"),
        question(world.WANG_MIN, "read", field(world.XIAO_MAN, "name"), "service.delivery"),
        question(world.WANG_MIN, "read.masked", field(TEEN, "name"), "service.delivery"),
        question(world.ZHANG_LI, "write", field(world.XIAO_MAN, "mobile"), "account.manage"),
    ):
        assert "access_request" not in pep.evaluate(asked)["context"], asked


def test_the_metadata_names_the_desk_where_there_is_one(pep: Pep) -> None:
    told = json.loads(pep.wire.get("/.well-known/authzen-configuration").content)
    assert told["access_request_endpoint"] == "http://127.0.0.1:8080/access/v1/requests"


def test_where_nobody_opens_approvals_nothing_is_offered(crm: Pep, house: Living) -> None:
    let_a_teenager_move_in(house)
    for asked in (OWN, AGENT):
        told = crm.evaluate(asked)
        assert told["decision"] is False
        assert "access_request" not in told["context"]
        denial = {"evaluation_id": told["context"]["id"], "binding_token": "x"}
        assert crm.post("requests", {**asked, "denial": denial}).status_code == 404
    metadata = json.loads(crm.wire.get("/.well-known/authzen-configuration").content)
    assert "access_request_endpoint" not in metadata


def test_a_remedy_is_named_only_if_doing_it_would_raise_the_level(house: Living) -> None:
    plan = compile_plan(house.service.rules.book)
    minor = {Condition.UNDER_14: True, Condition.UNDER_18: True, Condition.UNAPPROVED: True}
    agent = frozenset({(Scope.PORTFOLIO, Role("agent"))})

    def remedies(field_: str, **facts: bool) -> tuple[Level, tuple[str, ...]]:
        known = minor | {Condition(name): value for name, value in facts.items()}
        name, purpose = FieldName(field_), Purpose("service.delivery")
        verdict = plan.verdict(agent, name, Action.READ, Relation.ASSIGNED, purpose, known)
        return verdict.level, verdict.remedies

    assert remedies("name", consent=True) == (Level.MASKED, ("approval=minor_access",))
    assert remedies("name", consent=True, unapproved=False) == (Level.FULL, ())
    assert remedies("name", consent=False) == (Level.HIDDEN, ())
    # The masked form is all the rows reach: no approval would show more.
    assert remedies("mobile", consent=True, ticket=False) == (Level.MASKED, ())
    # Another row forbids as much and knows no remedy.
    assert remedies("blood_pressure", consent=True, ticket=True)[1] == ()
    assert template_of(("approval=guardian",)) == "guardian"
    assert template_of(("approval=guardian", "log=high")) is None
    assert template_of(()) is None
