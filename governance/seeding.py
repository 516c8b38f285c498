"""Brings the world of ``governance.world`` to life through the real doors: nothing is planted by hand.

Values go in through the gate's collection, notices are published by the officer, and consents go through
tick, code and confirmation. Seeding is done once; a home that holds the world already is left alone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from consent.listing import Terms
from consent.notices import Notice
from consent.outbox import CodeMessage, CodeSender
from governance import identity, world
from governance.acting import On
from governance.asking import Answer, Ask, WriteAsk
from governance.identity import Caller, Scope
from governance.wiring import Service
from governance.world import Home, Office, Person
from policies.identifiers import Prefix, new_id
from policies.terms import (
    Action,
    ActorId,
    Effect,
    FieldName,
    HouseholdId,
    MemberId,
    Purpose,
    Role,
    SubjectId,
)
from policies.transaction import Transaction

_SMS: Final = "outreach.sms"
_BIRTH: Final = FieldName("birth_date")
_CONSENTS: Final = (
    (world.GRANDMOTHER, "service.health", ("health.record",)),
    (world.ZHANG_LI, "service.health", ("health.record",)),
    (world.GRANDMOTHER, "family.care", ("health.record",)),
    (world.ZHANG_LI, "marketing.direct", (_SMS,)),
    (world.LI_QIANG, "marketing.direct", (_SMS,)),
)
_SHARES: Final = ((world.GRANDMOTHER, world.ZHANG_LI, "health.record"),)


class SeedError(Exception):
    """The world could not be brought to life; a rule book that is not the packaged one is the usual cause."""


@dataclass
class _Catching:
    """Lets the seeding read the codes it is sent, and passes them on to the real sender."""

    inner: CodeSender
    last: str = ""

    def send(self, message: CodeMessage) -> None:
        """Keep the code of the consent that is being seeded."""
        self.last = message.code
        self.inner.send(message)


def notice(purpose: str, locale: str = "zh") -> str:
    """Return how a consent names the world's notice for a purpose, as it is published by ``seed``."""
    draft = next(one for one in world.NOTICES if one.id == purpose)
    published = Notice(draft.id, 1, draft.contents, draft.wordings, draft.assessment, (), 0, "", 0)
    return published.reference(locale)


def seed(service: Service) -> Mapping[str, str]:
    """Bring the world to life and return the services' fresh API keys by service id."""
    now = service.clock()
    keys: dict[str, str] = {}
    with service.database.transaction() as tx:
        for office in (*world.SERVICES, *world.STAFF):
            service.lifecycle.add_actor(
                tx, ActorId(office.id), office.label, office.roles, now, office.gender
            )
        for office in world.SERVICES:
            scopes = frozenset(map(Scope, office.scopes))
            keys[office.id] = identity.issue_key(tx, ActorId(office.id), scopes, now)
        for home in world.HOMES:
            _settle(service, tx, home, now)
        for ward, guardian in world.GUARDIANS:
            service.lifecycle.link_guardian(tx, MemberId(ward.id), MemberId(guardian.id), "户口簿核验", now)
        for subject, staff, role in world.ASSIGNMENTS:
            service.lifecycle.assign(tx, SubjectId(subject.id), ActorId(staff.id), Role(role), now)
        tx.commit()
    for home in world.HOMES:
        _write(service, home.members[0], home)
        for person in home.members:
            _write(service, _writer(person), person)
    _publish(service, now)
    for person, purpose, categories in _CONSENTS:
        give_consent(service, person, purpose, categories)
    for owner, viewer, category in _SHARES:
        service.sharing.give(_in_person(owner), category, viewer.id, None, service.clock())
    return keys


def _publish(service: Service, now: int) -> None:
    officer = Caller(ActorId(world.OFFICER.id), Prefix.STAFF, roles=frozenset(map(str, world.OFFICER.roles)))
    for draft in world.NOTICES:
        service.noticing.publish(officer, draft, now)


def _settle(service: Service, tx: Transaction, home: Home, now: int) -> None:
    household = HouseholdId(home.id)
    service.lifecycle.add_household(tx, household, now)
    for person in home.members:
        birth = date.fromisoformat(person.values[_BIRTH])
        service.lifecycle.add_member(tx, MemberId(person.id), household, person.roles, birth, now)
    if home.asks_same_gender:
        service.lifecycle.ask_same_gender(tx, household, now)


def _writer(person: Person) -> Person:
    """Return who may enter a person's values: the person, or a child's guardian."""
    return next((guardian for ward, guardian in world.GUARDIANS if ward is person), person)


def _write(service: Service, writer: Person, about: Person | Home) -> None:
    values = {field: value for field, value in about.values.items() if field != _BIRTH}
    if isinstance(about, Person):
        values |= {FieldName(field): value for field, value in _gender(about).items()}
    ask = Ask(
        Caller(ActorId(writer.id), Prefix.MEMBER),
        ActorId(writer.id),
        Action.WRITE,
        SubjectId(about.id),
        tuple(values),
        Purpose("account.manage"),
        new_id(Prefix.REQUEST),
        new_id(Prefix.DECISION),
        reveal=False,
    )
    reply = service.gate.write(WriteAsk(ask, values), service.clock())
    stored = isinstance(reply, Answer) and all(one.effect is Effect.SHOW for one in reply.fields)
    if not stored:
        raise SeedError(f"the rules do not let {writer.key} enter the values of {about.key}")


def give_consent(
    service: Service,
    person: Person,
    purpose: str,
    categories: tuple[str, ...],
    about: Person | None = None,
) -> str:
    """Tick and confirm a consent as the person would, for a ward if one is named; return its id."""
    assert service.sender is not None
    catching = _Catching(service.sender)
    consenting = service.consenting.with_sender(catching)
    on = _in_person(person)
    terms = Terms(purpose, frozenset(categories), "", notice(purpose))
    ticked = consenting.tick(on, SubjectId((about or person).id), terms, service.clock())
    consenting.confirm(on, ticked.consent_id, catching.last, service.clock())
    return ticked.consent_id


def _in_person(person: Person) -> On:
    return On(Caller(ActorId(person.id), Prefix.MEMBER), ActorId(person.id), new_id(Prefix.REQUEST))


def credentials_file(home: Path) -> Path:
    """Return where a demo home keeps its services' keys, readable by its owner only."""
    return home / "demo-keys.json"


def seed_once(service: Service) -> Mapping[str, str]:
    """Seed the home if it is empty; return the services' keys either way."""
    path = credentials_file(service.settings.home)
    if path.exists():
        kept: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
        return kept
    keys = dict(seed(service))
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(keys, file, indent=1)
    return keys


def as_document(keys: Mapping[str, str]) -> dict[str, object]:
    """Return the seeded world as ``governance demo world`` prints it."""
    return {
        "households": [
            {"id": home.id, "key": home.key, "values": _plain(home.values)} for home in world.HOMES
        ],
        "members": [
            {
                "id": person.id,
                "key": person.key,
                "household": home.id,
                "roles": list(person.roles),
                "values": _plain(person.values) | _gender(person),
            }
            for home in world.HOMES
            for person in home.members
        ],
        "staff": [_office(office) for office in world.STAFF],
        "services": [{**_office(office), "api_key": keys.get(office.id)} for office in world.SERVICES],
    }


def _gender(person: Person) -> dict[str, str]:
    return {} if person.gender is None else {"gender": person.gender.value}


def _plain(values: Mapping[FieldName, str]) -> dict[str, str]:
    return {str(field): value for field, value in values.items()}


def _office(office: Office) -> dict[str, object]:
    return {"id": office.id, "key": office.key, "label": office.label, "roles": list(office.roles)}
