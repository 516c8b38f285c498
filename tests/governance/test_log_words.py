"""The words of the log: acts and reasons come from one table each; service and person both stand there."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import callers
import pytest
from callers import Call
from living import MINUTE, Living, Wire

import governance
from audit import entry, ledger
from audit.entry import Actor, ActorType, Entry, EntryRefusedError, FieldOutcome, Kind, Party, Verdict
from governance import world
from governance.app import describe
from governance.rightsrecords import Refusal, Right
from governance.rulepublishing import Obstacle
from governance.sentences import ACTS
from policies.reasons import Reason
from policies.terms import Effect
from policies.whys import OF_REQUESTS, OF_RULES, WHYS

PACKAGE = Path(governance.__file__).parent
DOTTED = re.compile(r"[a-z]+(?:\.[a-z_0-9]+)+")
NO_ACTS = frozenset(
    {
        "audit.html",  # a page
        "audit.review",  # a purpose
        # What services are told.
        "consent.expired",
        "consent.revoked",
        "notice.superseded",
        "subject.objected",
        "subject.restricted",
        # Of the AuthZEN vocabulary.
        "read.exists",
        "read.full",
        "read.masked",
        "rights.html",  # a page
    }
)


def constants() -> Iterator[str]:
    """Return every text in the service's code, but for the table of sentences."""
    for path in PACKAGE.rglob("*.py"):
        if path.name == "sentences.py" or "migrations" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_the_code_knows_no_act_without_a_sentence() -> None:
    rooms = {act.partition(".")[0] for act in ACTS if "." in act}
    found = {text for text in constants() if DOTTED.fullmatch(text) and text.partition(".")[0] in rooms}
    assert found - ACTS == NO_ACTS


def test_every_why_is_of_the_one_table() -> None:
    assert {one.value for one in (*Right, *Refusal)} == OF_REQUESTS
    assert {one.value for one in Obstacle} == OF_RULES
    assert {one.value for one in Reason} | OF_REQUESTS | OF_RULES == WHYS


def an_entry(**parts: Any) -> Entry:
    actor = Actor(Party(ActorType.SYSTEM, "operator"))
    return Entry(t=1, kind=Kind.CHANGE, act="log.read", dec=Verdict.PERMIT, actor=actor, **parts)


@pytest.mark.parametrize(
    "parts", [{"why": ("because",)}, {"fields": (FieldOutcome("name", Effect.HIDE, ("because",)),)}]
)
@pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)
def test_a_why_that_somebody_made_up_does_not_come_in_and_an_old_one_can_be_read(
    parts: Mapping[str, Any], house: Living
) -> None:
    made_up = an_entry(**parts)
    with house.service.database.transaction() as tx, pytest.raises(EntryRefusedError):
        ledger.append(tx, [made_up])
    assert entry.decode(entry.encode(made_up)) == made_up


def _schema_names(what: Any, schemas: Mapping[str, Any], seen: frozenset[str] = frozenset()) -> bool:
    """Say whether a body may name a person acted for."""
    if isinstance(what, list):
        return any(_schema_names(one, schemas, seen) for one in what)
    if not isinstance(what, dict):
        return False
    if "$ref" in what:
        name = what["$ref"].rsplit("/", 1)[1]
        return name not in seen and _schema_names(schemas[name], schemas, seen | {name})
    if "on_behalf_of" in what.get("properties", {}):
        return True
    return any(_schema_names(one, schemas, seen) for one in what.values())


def _for_people() -> list[Call]:
    document = describe()
    schemas = document["components"]["schemas"]
    routes = {
        f"{method.upper()} {path}"
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if _schema_names(operation.get("requestBody", {}), schemas)
    }
    return [call for call in callers.calls() if call.route in routes]


FOR_PEOPLE = _for_people()
RECORDS_NOTHING = frozenset({"POST /v1/consents/prompts"})
"""A question whether asking is all right; nothing is read, changed or refused by it."""


def test_there_are_routes_on_which_a_service_acts_for_a_person() -> None:
    assert len(FOR_PEOPLE) > 15


def _in_the_persons_name(body: Any) -> Any:
    """Return the body with the person named wherever the sample leaves it out."""
    if "checks" in body:
        return {**body, "checks": [_in_the_persons_name(one) for one in body["checks"]]}
    return body if "on_behalf_of" in body else {**body, "on_behalf_of": world.ZHANG_LI.id}


OPEN_CONSENT = frozenset({"POST /v1/consents/{consent_id}/code", "POST /v1/consents/{consent_id}/refuse"})
"""What is done with a consent that waits for its code."""


def _about_an_open_consent(ready: Call, body: Any, house: Living, wire: Wire) -> tuple[Call, Any]:
    """Let 李强 tick a consent, and return the call about that one."""
    tick = callers.filled(next(one for one in FOR_PEOPLE if one.route == "POST /v1/consents"), house)
    content, headers = callers.sendable(tick, house, "crm")
    ticked = json.loads(wire.call(tick.method, tick.path, content=content, headers=headers).content)
    house.clock.advance(2 * MINUTE)
    end = ready.path.rpartition("/")[2]
    path = f"/v1/consents/{ticked['consent_id']}/{end}"
    return replace(ready, path=path), {**body, "on_behalf_of": world.LI_QIANG.id}


@pytest.mark.parametrize("call", FOR_PEOPLE, ids=str)
@pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)
def test_service_and_person_both_stand_in_the_entry(call: Call, house: Living, wire: Wire) -> None:
    ready = callers.filled(call, house)
    service = world.CRM
    body = _in_the_persons_name(json.loads(ready.body or b"{}"))
    if call.route in OPEN_CONSENT:
        ready, body = _about_an_open_consent(ready, body, house, wire)
    before = house.size()
    headers = {"content-type": "application/json", "authorization": f"Bearer {house.key(service)}"}
    headers |= dict(ready.headers)
    answer = wire.call(ready.method, ready.path, content=json.dumps(body).encode(), headers=headers)
    written = [one.actor for one in house.log()[before:] if one.actor.party.id == service.id]
    if call.route in RECORDS_NOTHING:
        assert not written
        return
    assert answer.status_code < 500
    assert written, (answer.status_code, answer.text)
    assert all(actor.on_behalf_of is not None for actor in written)
