"""Who is told of what: other controllers too, of each way in which a basis can end, and nobody else."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import receivers
from happenings import handed_over, held, host_acts, office_acts, person_acts
from hearing import AT_14, AT_18, LAB, OTHER, agreed, hired, told
from living import DAY, Living, Template, Wire, sent, spell

from consent.events import Capacity
from governance import seeding, world
from governance.announcing import Told
from governance.delivering import UNACKNOWLEDGED_MS
from governance.holds import HeldError
from governance.rights import Wish
from governance.rightsdeciding import Step
from governance.rightsrecords import Right
from governance.times import rfc3339
from policies.terms import HouseholdId, MemberId, SubjectId

only_sqlite = pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)


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


def asked(house: Living, kind: Right, **detail: str) -> str:
    """Let 张丽 ask for a right in person; return the request's id."""
    wish = Wish(kind, "pipl", detail)
    on = person_acts(world.ZHANG_LI)
    return house.service.rights.open(on, SubjectId(world.ZHANG_LI.id), wish, house.clock()).request.id


def position_of(house: Living, kind: str) -> list[str]:
    """Return the acts of the log at the positions of the announcements of this kind."""
    rows = house.sql(f"SELECT position FROM outbox_event WHERE kind = '{kind}' ORDER BY position")
    entries = house.log()
    return [entries[position].act for (position,) in rows]


@pytest.mark.parametrize(("kind", "told_as"), [("objection", "objected"), ("restriction", "restricted")])
@only_sqlite
def test_an_objection_and_a_restriction_are_told_at_once(
    kind: str, told_as: str, house: Living, wire: Wire
) -> None:
    lab, other = hired(house, LAB), hired(house, OTHER)
    agreed(house, world.ZHANG_LI, LAB.id, "marketing.direct")
    asked(house, Right(kind), purpose="marketing.direct")
    what = (f"subject.{told_as}", {"subject": world.ZHANG_LI.id, "purpose": "marketing.direct"})
    assert told(wire, lab) == [what]
    assert what in told(wire, house.key(world.CRM))
    assert told(wire, other) == []
    assert position_of(house, f"subject.{told_as}") == ["rights.requested"]


@only_sqlite
def test_who_asks_with_a_code_is_told_about_when_the_code_was_right(house: Living) -> None:
    via_crm = replace(person_acts(world.ZHANG_LI), caller=host_acts().caller)
    catching = seeding._Catching(house.service.sender)
    desk = house.service.rights
    desk._sender = catching
    wish = Wish(Right.OBJECTION, "pipl", {})
    opened = desk.open(via_crm, SubjectId(world.ZHANG_LI.id), wish, house.clock())
    assert position_of(house, "subject.objected") == []
    desk.verify(via_crm, opened.request.id, catching.last, house.clock())
    assert position_of(house, "subject.objected") == ["rights.identified"]


@only_sqlite
def test_an_erasure_that_a_hold_stops_is_told_as_a_restriction(house: Living) -> None:
    held(house)
    request = asked(house, Right.ERASURE)
    with pytest.raises(HeldError):
        house.service.deciding.decide(office_acts(world.OFFICER), request, Step.FULFIL, house.clock())
    assert position_of(house, "subject.restricted") == ["rights.held"]


def erased(house: Living) -> None:
    request = asked(house, Right.ERASURE)
    house.service.deciding.decide(office_acts(world.OFFICER), request, Step.FULFIL, house.clock())


@only_sqlite
def test_an_erasure_is_told_with_nothing_but_the_id(house: Living, wire: Wire) -> None:
    lab, other = hired(house, LAB), hired(house, OTHER)
    agreed(house, world.ZHANG_LI, LAB.id, "marketing.direct")
    erased(house)
    what = ("subject.erased", {"subject": world.ZHANG_LI.id})
    assert told(wire, lab) == [what]
    assert what in told(wire, house.key(world.CRM))
    assert told(wire, other) == []
    assert position_of(house, "subject.erased") == ["subject.erased"]


@only_sqlite
def test_silence_about_an_erasure_is_an_incident_that_gives_nobody_a_new_name(
    seeded_copy: tuple[Template, Path, str],
) -> None:
    house = receivers.open_house(seeded_copy)
    with receivers.receiving() as receiver:
        receiver.answer = lambda _: 500
        receivers.register(house, receiver.url, Told.ERASED)
        erased(house)
        house.service.delivering.round()
        house.clock.advance(UNACKNOWLEDGED_MS)
        house.service.delivering.round()
    entry = house.log()[-1]
    assert (entry.act, entry.subjects) == ("withdrawal.unacknowledged", ())
    house.service.close()


def published(house: Living, *, changes: bool) -> None:
    """Publish the next version of the notice about promotion, from tomorrow on."""
    draft = next(one for one in world.NOTICES if one.contents.purpose == "marketing.direct")
    contents = replace(draft.contents, region="us") if changes else draft.contents
    wordings = {language: replace(one, title=one.title + "。") for language, one in draft.wordings.items()}
    later = house.clock() + DAY
    newer = replace(draft, contents=contents, wordings=wordings, effective_from=later)
    house.service.noticing.publish(office_acts(world.OFFICER).caller, newer, house.clock())


@only_sqlite
def test_a_notice_that_needs_new_consents_is_told_once_with_the_day_it_counts_from(
    house: Living, wire: Wire
) -> None:
    published(house, changes=False)
    assert position_of(house, "notice.superseded") == []
    published(house, changes=True)
    assert position_of(house, "notice.superseded") == ["notice.published"]
    page = wire.get("/v1/events?limit=200", authorization=f"Bearer {house.key(world.CRM)}")
    found = json.loads(page.content)["data"][-1]
    del found["data"]["event_id"]
    assert found == {
        "type": "notice.superseded",
        "timestamp": rfc3339(house.clock() + DAY),
        "data": {"purpose": "marketing.direct", "categories": ["outreach.sms"]},
    }
    assert told(wire, hired(house, OTHER)) == []


def leaves(house: Living) -> None:
    home = HouseholdId(world.ZHANG_HOME.id)
    house.service.homes.leave(person_acts(world.GRANDMOTHER), home, None, house.clock())


def hands_over(house: Living) -> None:
    handed_over(house, world.ZHANG_LI, world.LI_QIANG)


@pytest.mark.parametrize("happens", [leaves, hands_over, erased])
@only_sqlite
def test_what_a_primary_account_agreed_to_for_others_is_told_to_have_ended(
    happens: Callable[[Living], None], house: Living, wire: Wire
) -> None:
    lab, other = hired(house, LAB), hired(house, OTHER)
    given = agreed(house, world.GRANDMOTHER, LAB.id, "service.household", world.ZHANG_LI, Capacity.PRIMARY)
    agreed(house, world.GRANDMOTHER, LAB.id, "service.household")
    happens(house)
    assert [(kind, data["consent_id"]) for kind, data in told(wire, lab)] == [("consent.expired", given)]
    assert told(wire, other) == []
    assert position_of(house, "consent.expired") == ["consent.ended"]


def ward_is_given_up(house: Living) -> None:
    with house.service.database.transaction() as tx:
        ward, guardian = MemberId(world.XIAO_MAN.id), MemberId(world.ZHANG_LI.id)
        house.service.lifecycle.end_guardian(tx, ward, guardian, house.clock())
        tx.commit()


def ward_turns_14(house: Living) -> None:
    house.clock.now = AT_14
    for _ in range(2):
        house.service.transitions.run(house.clock())


@pytest.mark.parametrize("happens", [ward_is_given_up, ward_turns_14, erased])
@only_sqlite
def test_what_a_guardian_agreed_to_is_told_to_have_ended(
    happens: Callable[[Living], None], house: Living, wire: Wire
) -> None:
    house.clock.now = AT_14 - DAY
    lab = hired(house, LAB)
    given = agreed(house, world.XIAO_MAN, LAB.id, "family.care", world.ZHANG_LI, Capacity.GUARDIAN)
    house.service.consenting.withdraw(
        person_acts(world.ZHANG_LI),
        agreed(house, world.XIAO_MAN, OTHER.id, "family.care", world.ZHANG_LI, Capacity.GUARDIAN),
        house.clock(),
    )
    happens(house)
    assert [(kind, data["consent_id"]) for kind, data in told(wire, lab)] == [("consent.expired", given)]
    assert position_of(house, "consent.expired") == ["consent.ended"]


@only_sqlite
def test_at_18_what_guardians_agreed_to_next_to_the_person_is_told_to_have_ended(
    house: Living, wire: Wire
) -> None:
    lab = hired(house, LAB)
    house.clock.now = AT_14
    house.service.transitions.run(house.clock())
    given = agreed(house, world.XIAO_MAN, LAB.id, "family.care", world.ZHANG_LI, Capacity.GUARDIAN)
    house.clock.now = AT_18
    house.service.transitions.run(house.clock())
    assert [(kind, data["consent_id"]) for kind, data in told(wire, lab)] == [("consent.expired", given)]
