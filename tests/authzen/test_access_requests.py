"""Denials that an approval would lift say so, and only what was denied can be asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest
from authzen_calls import Pep, field, question, who
from happenings import HAPPENINGS, office_acts, person_acts
from insiders import ACCEPT, REFUSE, REFUSE_AT_COMMIT
from living import MINUTE, Living

from governance import world
from governance.requesting import template_of
from governance.world import fixed_id
from policies.identifiers import Prefix
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
def pep(house: Living, crm: Pep) -> Pep:
    """The CRM of a house where a child and a teenager live and the agent has both."""
    let_a_teenager_move_in(house)
    return crm


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
    asked: dict[str, Any], template: str, pep: Pep, house: Living
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
    assert json.loads(pep.post("requests", {**asked, "denial": denial_of(told)}).content)["task"] == task
    entry = house.log()[-1]
    assert (entry.act, entry.corr, entry.purpose) == (
        "approval.asked",
        task["id"],
        asked["context"]["purpose"],
    )
    path = f"/access/v1/requests/{task['id']}"
    key = {"authorization": f"Bearer {pep.house.key(world.CRM)}"}
    assert "result" not in json.loads(pep.wire.call("GET", path, headers=key).content)
    guardian, officer = person_acts(world.ZHANG_LI), office_acts(world.OFFICER)
    if template == "minor_access":
        with house.service.database.transaction() as tx:
            lifecycle, now = house.service.lifecycle, house.clock()
            lifecycle.link_guardian(tx, MemberId(TEEN), MemberId(world.ZHANG_LI.id), "户口簿", now)
            tx.commit()
        house.service.approving.clear(officer, task["id"], approve=True, now=house.clock())
    house.service.approving.decide(guardian, task["id"], approve=True, now=house.clock())
    body = json.loads(pep.wire.call("GET", path, headers=key).content)
    assert (body["task"]["status"], body["result"]) == ("approved", {"mode": "reevaluate"})
    assert pep.evaluate(asked)["decision"] is True
    other = Pep(house, pep.wire, world.SENDER).with_scopes("consents on_behalf")
    theirs = {"authorization": f"Bearer {other.house.key(world.SENDER)}"}
    assert pep.wire.call("GET", path, headers=theirs).status_code == 404


def test_a_token_binds_caller_question_evaluation_and_time(pep: Pep, house: Living) -> None:
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
    other = Pep(house, pep.wire, world.SENDER).with_scopes("consents on_behalf")
    assert other.post("requests", good).status_code == 400
    assert pep.with_scopes("consents").post("requests", good).status_code == 403
    house.clock.advance(15 * MINUTE - 1)
    assert pep.post("requests", good).status_code == 201
    house.clock.advance(1)
    assert pep.post("requests", good).status_code == 400
    assert [entry.act for entry in house.log()].count("approval.asked") == 1


@pytest.mark.parametrize("refuse", [REFUSE, REFUSE_AT_COMMIT], ids=["at once", "at the commit"])
def test_a_request_that_cannot_be_recorded_is_none(
    refuse: Mapping[str, tuple[str, ...]], pep: Pep, house: Living
) -> None:
    body = {**OWN, "denial": denial_of(pep.evaluate(OWN))}
    house.sql(*refuse[house.engine])
    assert pep.post("requests", body).status_code == 503
    assert house.sql("SELECT * FROM approval") == []
    house.sql(*ACCEPT[house.engine])
    assert pep.post("requests", body).status_code == 201


def test_a_key_that_may_not_ask_for_approvals_is_offered_none_and_opens_none(pep: Pep) -> None:
    good = {**OWN, "denial": denial_of(pep.evaluate(OWN))}
    checking = pep.with_scopes("checks on_behalf")
    assert "access_request" not in checking.evaluate(OWN)["context"]
    assert checking.post("requests", good).status_code == 403
    assert pep.post("requests", good).status_code == 201


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
