"""Ticking, asking for codes and confirming over HTTP, as the CRM passes on what a member does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import living
from living import Living, Wire

from audit.entry import Verdict
from consent.outbox import CodeMessage, NotSentError
from governance import seeding, world
from governance.acting import On
from governance.identity import Caller
from policies.identifiers import Prefix, new_id
from policies.terms import ActorId

HELD = "/v1/consents"


class Outbox:
    """A gateway whose line can be cut; keeps what it took."""

    def __init__(self) -> None:
        self.up = True
        self.took: list[CodeMessage] = []

    def send(self, message: CodeMessage) -> None:
        if not self.up:
            raise NotSentError
        self.took.append(message)


@contextmanager
def sending_by(house: Living, outbox: Outbox) -> Iterator[tuple[Living, Wire]]:
    """The house with a gateway of this test's, and a wire to it."""
    service = replace(house.service, consenting=house.service.consenting.with_sender(outbox), sender=outbox)
    changed = replace(house, service=service)
    wire = living.wired(changed)
    yield changed, wire
    wire.close()


def tick_of(person: world.Person, purpose: str = "service.health") -> dict[str, object]:
    category = "health.record" if purpose == "service.health" else "outreach.email"
    return {
        "subject": person.id,
        "purpose": purpose,
        "categories": [category],
        "notice": seeding.notice(purpose),
        "ticked": True,
        "on_behalf_of": person.id,
    }


def ticked(house: Living, wire: Wire, person: world.Person = world.LI_QIANG, **headers: str) -> Any:
    return wire.post(HELD, tick_of(person), key=house.key(world.CRM), **headers)


def step(house: Living, wire: Wire, consent_id: str, what: str, **body: object) -> Any:
    body = {"on_behalf_of": world.LI_QIANG.id, **body}
    return wire.post(f"{HELD}/{consent_id}/{what}", body, key=house.key(world.CRM))


def acts(house: Living, consent_id: str) -> list[tuple[str, Verdict]]:
    return [(one.act, one.dec) for one in house.log() if one.resource == consent_id]


def code_of(answer: Any) -> str:
    return str(json.loads(answer.content)["code"])


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10 ** len(code):0{len(code)}d}"


def page(wire: Wire, method: str, token: str) -> Any:
    headers = {"origin": "http://house.example", "content-type": "application/x-www-form-urlencoded"}
    return wire.call(method, f"/confirm/{token}", headers=headers if method == "POST" else {})


def acting(person: world.Person) -> On:
    """Return a signed-in member as somebody who acts."""
    member = ActorId(person.id)
    return On(Caller(member, Prefix.MEMBER), member, new_id(Prefix.REQUEST))
