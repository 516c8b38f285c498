"""Other controllers, of whom no rule speaks: what they are given, and what they hear of it by pulling."""

from __future__ import annotations

import json
from datetime import date
from typing import Any, Final

from living import Living, Wire

from consent import registry
from consent.ages import reached_at
from consent.confirmation import Confirmed
from consent.events import Capacity
from consent.listing import Terms
from governance import identity, seeding, world
from governance.identity import Scope
from policies.identifiers import Prefix
from policies.terms import ActorId, FieldName

LAB: Final = world.Office("lab", Prefix.SERVICE, "化验室")
AT_14, AT_18 = (
    reached_at(date.fromisoformat(world.XIAO_MAN.values[FieldName("birth_date")]), age) for age in (14, 18)
)
OTHER: Final = world.Office("other", Prefix.SERVICE, "别的公司")


def hired(house: Living, office: world.Office) -> str:
    """Let a service exist that no rule speaks of; return its key."""
    with house.service.database.transaction() as tx:
        house.service.lifecycle.add_actor(tx, ActorId(office.id), office.label, office.roles, house.clock())
        key = identity.issue_key(tx, ActorId(office.id), frozenset({Scope.EVENTS}), house.clock())
        tx.commit()
    return key


def agreed(
    house: Living,
    person: world.Person,
    recipient: str,
    purpose: str,
    by: world.Person | None = None,
    capacity: Capacity = Capacity.SELF,
) -> str:
    """Let somebody agree that another controller gets something; return the consent's id."""
    terms = Terms(purpose, frozenset({"outreach.sms"}), recipient, seeding.notice("marketing.direct"))
    actor = registry.Actor((by or person).id, capacity, {})
    with house.service.database.transaction() as tx:
        consent_id = registry.serve_and_tick(tx, person.id, terms, actor, house.clock())
        registry.confirm(tx, Confirmed(consent_id, person.id, actor.id), house.clock())
        tx.commit()
    house.clock.advance(1)
    return consent_id


def told(wire: Wire, key: str) -> list[tuple[str, dict[str, Any]]]:
    """Return what a service pulls: the kind and the data of each event, without its id."""
    page = json.loads(wire.get("/v1/events?limit=200", authorization=f"Bearer {key}").content)
    found = [(one["type"], one["data"]) for one in page["data"]]
    for _, data in found:
        del data["event_id"]
    return found
