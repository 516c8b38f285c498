"""Who is told of what: other controllers too, of each way in which a basis can end, and nobody else."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from living import Living, Wire, sent, spell

from consent import registry
from consent.events import Capacity
from consent.listing import Terms
from governance import identity, seeding, world
from governance.identity import Scope
from policies.identifiers import Prefix
from policies.terms import ActorId

only_sqlite = pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)
LAB: Final = world.Office("lab", Prefix.SERVICE, "化验室")
OTHER: Final = world.Office("other", Prefix.SERVICE, "别的公司")


def hired(house: Living, office: world.Office) -> str:
    """Let a service exist that no rule speaks of; return its key."""
    with house.service.database.transaction() as tx:
        house.service.lifecycle.add_actor(tx, ActorId(office.id), office.label, office.roles, house.clock())
        key = identity.issue_key(tx, ActorId(office.id), frozenset({Scope.EVENTS}), house.clock())
        tx.commit()
    return key


def agreed(
    house: Living, person: world.Person, recipient: str, purpose: str, by: world.Person | None = None
) -> str:
    """Let somebody agree that another controller gets something; return the consent's id."""
    terms = Terms(purpose, frozenset({"outreach.sms"}), recipient, seeding.notice("marketing.direct"))
    actor = registry.Actor((by or person).id, Capacity.GUARDIAN if by else Capacity.SELF, {})
    with house.service.database.transaction() as tx:
        consent_id = registry.serve_and_tick(tx, person.id, terms, actor, house.clock())
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


@pytest.mark.parametrize("recipient", [LAB.id, f"{LAB.id}@us"])
@pytest.mark.parametrize("purpose", ["marketing", "marketing.direct", None])
@only_sqlite
def test_a_recipient_is_told_when_all_it_rests_on_is_withdrawn_at_once(
    recipient: str, purpose: str | None, house: Living, wire: Wire
) -> None:
    lab, other = hired(house, LAB), hired(house, OTHER)
    agreed(house, world.ZHANG_LI, recipient, "marketing.direct")
    agreed(house, world.LI_QIANG, OTHER.id, "marketing.direct")
    body = {} if purpose is None else {"purpose": purpose}
    headers = sent(None, {}, house.sign_in(world.ZHANG_LI))
    assert (
        wire.call("POST", "/v1/me/consents/withdraw", content=spell(body), headers=headers).status_code == 200
    )
    assert told(wire, lab) == [("consent.withdrawn", {"subject": world.ZHANG_LI.id, **body})]
    assert told(wire, other) == [], "it has nothing to do with this person"


@only_sqlite
def test_a_recipient_is_not_told_of_other_purposes(house: Living, wire: Wire) -> None:
    lab = hired(house, LAB)
    agreed(house, world.ZHANG_LI, LAB.id, "marketing.direct")
    headers = sent(None, {}, house.sign_in(world.ZHANG_LI))
    wire.call("POST", "/v1/me/consents/withdraw", content=spell({"purpose": "service"}), headers=headers)
    assert told(wire, lab) == []


@only_sqlite
def test_a_consent_for_one_recipient_abroad_is_told_to_it_alone(house: Living, wire: Wire) -> None:
    lab, other = hired(house, LAB), hired(house, OTHER)
    given = agreed(house, world.ZHANG_LI, f"{LAB.id}@us", "marketing.direct")
    headers = sent(None, {}, house.sign_in(world.ZHANG_LI))
    wire.call("POST", f"/v1/me/consents/{given}/withdraw", content=b"{}", headers=headers)
    assert [(kind, data["consent_id"]) for kind, data in told(wire, lab)] == [("consent.withdrawn", given)]
    assert told(wire, other) == []
