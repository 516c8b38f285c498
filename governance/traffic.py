"""The demonstration's traffic: what a CRM, its staff, the family and a sender ask all day long.

One list of scenes for the live demonstration (over HTTP, with real keys) and for ``demo play`` (through
the gate itself). The scenes are asked, never answered here: what comes of them is the gate's decision.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from governance import identity, world
from governance.asking import Ask, SendAsk
from governance.identity import Caller
from governance.wiring import Service
from governance.world import Home, Office, Person
from policies.identifiers import Prefix, new_id
from policies.terms import Action, ActorId, Channel, FieldName, Purpose, SubjectId

CURE: Final = "【张家小铺】这款理疗仪100%治愈高血压，转发3个群领礼品，拒收请回复R"
BOOKS: Final = "【张家小铺】周末绘本八折，到店有座，拒收请回复R"


@dataclass(frozen=True, slots=True)
class Reading:
    """Somebody asks, through the CRM, to see fields."""

    acting: Office | Person | None
    about: Person | Home
    fields: tuple[str, ...]
    purpose: str

    def body(self) -> dict[str, object]:
        """Return the body of ``POST /v1/reads``."""
        kind = "household" if isinstance(self.about, Home) else "member"
        body: dict[str, object] = {
            "subject": {"type": kind, "id": self.about.id},
            "fields": list(self.fields),
            "purpose": self.purpose,
        }
        return body if self.acting is None else {**body, "on_behalf_of": self.acting.id}


@dataclass(frozen=True, slots=True)
class Sending:
    """The sender wants to write to members."""

    text: str
    to: tuple[Person, ...]
    purpose: str = "marketing.direct"

    def body(self) -> dict[str, object]:
        """Return the body of ``POST /v1/messages``."""
        return {
            "sender": world.SENDER.id,
            "channel": Channel.SMS.value,
            "purpose": self.purpose,
            "text": self.text,
            "recipients": [person.id for person in self.to],
        }


Scene = Reading | Sending

SCENES: Final[tuple[Scene, ...]] = (
    Reading(world.WANG_MIN, world.ZHANG_LI, ("name", "mobile"), "service.delivery"),
    Reading(world.WANG_MIN, world.ZHANG_HOME, ("address",), "service.delivery"),
    Reading(world.DOCTOR_CHEN, world.GRANDMOTHER, ("name", "blood_pressure", "allergies"), "service.health"),
    Reading(world.ZHANG_LI, world.GRANDMOTHER, ("blood_pressure",), "family.care"),
    Reading(world.WANG_MIN, world.ZHANG_LI, ("name", "mobile", "blood_pressure"), "service.delivery"),
    Sending(BOOKS, (world.ZHANG_LI, world.LI_QIANG, world.GRANDMOTHER, world.XIAO_MAN)),
    Reading(world.ZHANG_LI, world.LI_QIANG, ("blood_pressure",), "family.care"),
    Reading(world.LI_QIANG, world.XIAO_MAN, ("name", "viewing_history"), "family.care"),
    Reading(None, world.LI_QIANG, ("name", "mobile", "email"), "service.household"),
    Reading(world.WANG_MIN, world.XIAO_MAN, ("name", "viewing_history"), "service.household"),
    Reading(world.ZHOU_MING, world.ZHANG_LI, ("name", "location"), "family.care"),
    Reading(None, world.ZHANG_LI, ("bank_card", "id_card"), "service.household"),
    Reading(world.DOCTOR_CHEN, world.ZHANG_LI, ("blood_pressure",), "service.health"),
    Sending(CURE, (world.ZHANG_LI, world.LI_QIANG)),
    Reading(world.WANG_MIN, world.LI_QIANG, ("purchase_history",), "marketing.direct"),
    Reading(world.LI_QIANG, world.ZHANG_LI, ("purchase_history", "chat_messages"), "family.care"),
)


def play(service: Service, keys: Mapping[str, str], rounds: int) -> int:
    """Ask every scene ``rounds`` times through the real gate; return how many asks that were."""
    crm = _caller(service, keys[world.CRM.id])
    sender = _caller(service, keys[world.SENDER.id])
    asked = 0
    for _ in range(rounds):
        for scene in SCENES:
            if isinstance(scene, Reading):
                service.gate.read([_ask(scene, crm)], service.clock())
            else:
                service.dispatch.send(_send(scene, sender), service.clock())
            asked += 1
    return asked


def endless() -> Iterator[Scene]:
    """Return the scenes again and again."""
    while True:
        yield from SCENES


def _caller(service: Service, key: str) -> Caller:
    with service.database.reading() as tx:
        caller = identity.service(tx.rows, key, service.clock())
    if caller is None:
        raise KeyError("this key opens nothing here; was the home seeded?")
    return caller


def _ask(scene: Reading, crm: Caller) -> Ask:
    return Ask(
        crm,
        crm.actor_id if scene.acting is None else ActorId(scene.acting.id),
        Action.READ,
        SubjectId(scene.about.id),
        tuple(map(FieldName, scene.fields)),
        Purpose(scene.purpose),
        new_id(Prefix.REQUEST),
        new_id(Prefix.DECISION),
        reveal=True,
    )


def _send(scene: Sending, sender: Caller) -> SendAsk:
    return SendAsk(
        sender,
        new_id(Prefix.MESSAGE),
        Channel.SMS,
        Purpose(scene.purpose),
        scene.text,
        tuple(SubjectId(person.id) for person in scene.to),
        new_id(Prefix.REQUEST),
    )
