"""The life of a household: joining and leaving; who may, and what each step does."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import insiders
import pytest
from happenings import NOBODY, consent_of, handed_over, share
from homemaking import (
    GONE,
    GUARDED,
    HOME,
    NOBODYS_HOME,
    NOT_THERE,
    OTHER,
    act,
    epoch,
    homes,
    invitation,
    last_offer,
    leave,
    open_ties,
    sees,
    told,
)
from living import Living, Wire

from consent import registry
from consent.ages import CONSENT_AGE, reached_at
from consent.events import Capacity
from consent.listing import Terms
from governance import world
from governance.homes import OFFER_MS
from governance.seeding import notice
from policies.terms import SubjectId


def test_whoever_leaves_one_household_joins_another_by_its_code_once(house: Living, wire: Wire) -> None:
    assert leave(house, wire, world.LI_QIANG) == (200, "")
    code = invitation(house, wire, world.ZHOU_MING, OTHER)
    before = epoch(house, world.ZHOU_MING.id)
    assert told(act(house, wire, world.LI_QIANG, "invitations/accept", {"code": code})) == (200, "")
    assert epoch(house, world.ZHOU_MING.id) > before
    assert homes(house, wire, world.LI_QIANG) == {
        OTHER: {world.ZHOU_MING.id: ["primary_account"], world.LI_QIANG.id: ["adult_member"]}
    }
    assert sees(house, wire, world.ZHOU_MING, world.LI_QIANG, "mobile") == "show"
    assert told(act(house, wire, world.GRANDMOTHER, "invitations/accept", {"code": code})) == GONE


def test_an_adult_lives_in_one_household_and_must_leave_it_first(house: Living, wire: Wire) -> None:
    code = invitation(house, wire, world.ZHOU_MING, OTHER)
    elsewhere = act(house, wire, world.LI_QIANG, "invitations/accept", {"code": code})
    assert told(elsewhere) == (409, "lives_elsewhere")
    assert "先离开" in json.loads(elsewhere.content)["detail"]
    mine = invitation(house, wire)
    assert told(act(house, wire, world.ZHANG_LI, "invitations/accept", {"code": mine})) == (409, "conflict")
    # What was refused did not use the code up.
    leave(house, wire, world.LI_QIANG)
    assert told(act(house, wire, world.LI_QIANG, "invitations/accept", {"code": code})) == (200, "")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda house, _: house.clock.advance(OFFER_MS),
        lambda house, wire: act(house, wire, world.ZHOU_MING, f"offers/{last_offer(house)}/cancel"),
        lambda house, wire: leave(house, wire, world.ZHOU_MING, OTHER),
    ],
    ids=["too old", "taken back", "the inviter left"],
)
def test_a_code_that_does_not_let_in_looks_like_one_that_never_was(
    spoil: Any, house: Living, wire: Wire
) -> None:
    leave(house, wire, world.LI_QIANG)
    code = invitation(house, wire, world.ZHOU_MING, OTHER)
    spoil(house, wire)
    never = act(house, wire, world.LI_QIANG, "invitations/accept", {"code": "A" * 43})
    spoilt = act(house, wire, world.LI_QIANG, "invitations/accept", {"code": code})
    assert told(spoilt) == told(never) == GONE
    bodies = [{**json.loads(one.content), "instance": ""} for one in (never, spoilt)]
    assert bodies[0] == bodies[1]
    assert homes(house, wire, world.LI_QIANG) == {}


@pytest.mark.parametrize(
    "who", [world.LI_QIANG, world.GRANDMOTHER, world.XIAO_MAN, world.ZHOU_MING], ids=lambda one: one.key
)
@pytest.mark.parametrize("home", [HOME, NOBODYS_HOME], ids=["theirs", "nobody's"])
def test_only_the_primary_account_invites_removes_and_offers_its_role(
    home: str, who: world.Person, house: Living, wire: Wire
) -> None:
    before = house.size()
    for path, body in (
        ("invitations", {}),
        (f"members/{world.GRANDMOTHER.id}/remove", {}),
        ("handover", {"successor": world.GRANDMOTHER.id}),
    ):
        assert told(act(house, wire, who, f"households/{home}/{path}", body)) == NOT_THERE
    assert house.size() == before


def test_a_minor_joins_with_a_guardian_only_and_may_then_live_in_two_households(
    house: Living, wire: Wire
) -> None:
    code = invitation(house, wire, world.ZHOU_MING, OTHER)
    alone = act(house, wire, world.XIAO_MAN, "invitations/accept", {"code": code})
    assert told(alone) == (403, "guardian_needed")
    for stranger in (world.ZHOU_MING, world.GRANDMOTHER):
        body = {"code": code, "member": world.XIAO_MAN.id}
        assert told(act(house, wire, stranger, "invitations/accept", body)) == NOT_THERE
    for_adult = {"code": code, "member": world.GRANDMOTHER.id}
    assert told(act(house, wire, world.LI_QIANG, "invitations/accept", for_adult)) == NOT_THERE
    for_nobody = {"code": code, "member": NOBODY}
    assert told(act(house, wire, world.LI_QIANG, "invitations/accept", for_nobody)) == NOT_THERE
    assert sees(house, wire, world.ZHOU_MING, world.XIAO_MAN, "name") == "not there"
    accepted = act(
        house, wire, world.LI_QIANG, "invitations/accept", {"code": code, "member": world.XIAO_MAN.id}
    )
    assert told(accepted) == (200, "")
    assert set(homes(house, wire, world.XIAO_MAN)) == {HOME, OTHER}
    # Household visibility came with it; who lives in the other household stays as unknown as before.
    assert open_ties(house, world.XIAO_MAN.id, world.ZHOU_MING.id) == {"coresident"}
    assert sees(house, wire, world.ZHOU_MING, world.LI_QIANG, "mobile") == "not there"


# --- leaving


@pytest.mark.parametrize("who", [world.ZHANG_LI, world.LI_QIANG, world.GRANDMOTHER], ids=lambda one: one.key)
def test_adults_leave_at_once_and_nobody_is_asked(who: world.Person, house: Living, wire: Wire) -> None:
    others = [one for one in world.ZHANG_HOME.members if one is not who]
    before = {one.id: epoch(house, one.id) for one in world.ZHANG_HOME.members}
    assert leave(house, wire, who) == (200, "")
    assert homes(house, wire, who) == {}
    for one in others:
        guarded = {"ward"} if (who.id, one.id) in GUARDED else set()
        guards = {"ward"} if (one.id, who.id) in GUARDED else set()
        assert (open_ties(house, who.id, one.id), open_ties(house, one.id, who.id)) == (guarded, guards)
    assert all(epoch(house, one) > then for one, then in before.items())
    assert leave(house, wire, who) == NOT_THERE
    assert house.log()[-1].act == "home.left"


def test_a_child_under_14_leaves_by_a_guardians_hand_only(house: Living, wire: Wire) -> None:
    before = house.size()
    assert leave(house, wire, world.XIAO_MAN) == (403, "guardian_needed")
    assert leave(house, wire, world.XIAO_MAN, member=world.XIAO_MAN.id) == NOT_THERE
    assert (set(homes(house, wire, world.XIAO_MAN)), house.size()) == ({HOME}, before)
    # Where a child does not live, it learns nothing.
    assert leave(house, wire, world.XIAO_MAN, OTHER) == leave(house, wire, world.XIAO_MAN, NOBODYS_HOME)
    assert leave(house, wire, world.LI_QIANG, member=world.XIAO_MAN.id) == (200, "")
    assert homes(house, wire, world.XIAO_MAN) == {}


@pytest.mark.parametrize(("early", "answer"), [(2, (403, "guardian_needed")), (0, (200, ""))])
def test_from_the_first_instant_of_being_14_one_leaves_alone(
    early: int, answer: tuple[int, str], house: Living, wire: Wire
) -> None:
    house.clock.now = reached_at(date(2017, 5, 21), CONSENT_AGE) - early
    assert leave(house, wire, world.XIAO_MAN) == answer


def test_leaving_and_inviting_need_no_body(house: Living, wire: Wire) -> None:
    for who, path, status in ((world.ZHANG_LI, "invitations", 201), (world.LI_QIANG, "leave", 200)):
        headers = {"cookie": f"governance_session={house.sign_in(who)}"}
        assert wire.call("POST", f"/v1/me/households/{HOME}/{path}", headers=headers).status_code == status


def test_relatives_see_until_somebody_leaves_and_not_afterwards(house: Living, wire: Wire) -> None:
    def views() -> list[str]:
        return [
            sees(house, wire, world.LI_QIANG, world.GRANDMOTHER, "mobile"),
            sees(house, wire, world.LI_QIANG, world.GRANDMOTHER, "blood_pressure"),
            sees(house, wire, world.GRANDMOTHER, world.LI_QIANG, "viewing_history"),
        ]

    share(house, world.GRANDMOTHER, world.LI_QIANG)
    assert views() == ["show", "show", "show"]
    leave(house, wire, world.GRANDMOTHER)
    assert views() == ["not there"] * 3
    # What is theirs stays theirs: data, consents, and staff they have to do with.
    assert sees(house, wire, world.GRANDMOTHER, world.GRANDMOTHER, "mobile") == "show"
    mine = house.service.consenting.of_member(SubjectId(world.GRANDMOTHER.id), house.clock())
    assert {state.value for _, state in mine} == {"consent_given"}
    assert open_ties(house, world.GRANDMOTHER.id, world.DOCTOR_CHEN.id) == {"assigned"}


def test_a_consent_of_the_primary_account_ends_with_the_leaving_and_own_ones_stay(
    house: Living, wire: Wire
) -> None:
    now = house.clock()
    terms = Terms("service.delivery", frozenset({"contact.address"}), "", notice("family.care"))
    with house.service.database.transaction() as tx:
        actor = registry.Actor(world.ZHANG_LI.id, Capacity.PRIMARY, {})
        consent = registry.serve_and_tick(tx, world.LI_QIANG.id, terms, actor, now)
        tx.commit()

    def state() -> str:
        listed = house.service.consenting.of_member(SubjectId(world.LI_QIANG.id), house.clock())
        return next(reason.value for one, reason in listed if one.consent_id == consent)

    own = consent_of(house, world.LI_QIANG, "marketing.direct")
    assert state() == "primary_consent"
    leave(house, wire, world.LI_QIANG)
    assert state() == "no_authority"
    listed = house.service.consenting.of_member(SubjectId(world.LI_QIANG.id), house.clock())
    assert next(reason.value for one, reason in listed if one.consent_id == own) == "consent_given"


@pytest.mark.parametrize("step", ["hands over", "leaves"])
def test_what_a_primary_account_agreed_to_for_others_ends_with_its_role(
    step: str, house: Living, wire: Wire
) -> None:
    terms = Terms("service.delivery", frozenset({"contact.address"}), "", notice("family.care"))
    with house.service.database.transaction() as tx:
        actor = registry.Actor(world.ZHANG_LI.id, Capacity.PRIMARY, {})
        registry.serve_and_tick(tx, world.GRANDMOTHER.id, terms, actor, house.clock())
        tx.commit()
    house.clock.advance(1)
    if step == "leaves":
        leave(house, wire, world.ZHANG_LI)
    else:
        handed_over(house, world.ZHANG_LI, world.LI_QIANG)
    listed = house.service.consenting.of_member(SubjectId(world.GRANDMOTHER.id), house.clock())
    assert [reason.value for one, reason in listed if one.capacity == "primary"] == ["no_authority"]


def test_a_hiding_outlives_leaving_and_joining_again(house: Living, wire: Wire) -> None:
    act(house, wire, world.LI_QIANG, "hides", {"category": "content.history"})
    assert sees(house, wire, world.ZHANG_LI, world.LI_QIANG, "viewing_history") == "hide"
    leave(house, wire, world.LI_QIANG)
    code = invitation(house, wire)
    act(house, wire, world.LI_QIANG, "invitations/accept", {"code": code})
    assert sees(house, wire, world.ZHANG_LI, world.LI_QIANG, "viewing_history") == "hide"
    assert sees(house, wire, world.ZHANG_LI, world.LI_QIANG, "mobile") == "show"


def test_a_child_of_two_households_leaves_one_and_keeps_the_other(house: Living, wire: Wire) -> None:
    code = invitation(house, wire, world.ZHOU_MING, OTHER)
    body = {"code": code, "member": world.XIAO_MAN.id}
    assert told(act(house, wire, world.ZHANG_LI, "invitations/accept", body)) == (200, "")
    assert leave(house, wire, world.ZHANG_LI, HOME, member=world.XIAO_MAN.id) == (200, "")
    assert set(homes(house, wire, world.XIAO_MAN)) == {OTHER}
    assert open_ties(house, world.XIAO_MAN.id, world.GRANDMOTHER.id) == set()
    assert open_ties(house, world.XIAO_MAN.id, world.ZHOU_MING.id) == {"coresident"}
    assert open_ties(house, world.XIAO_MAN.id, world.ZHANG_LI.id) == {"ward"}
    assert house.sql(f"SELECT household_id FROM subject WHERE id = '{world.XIAO_MAN.id}'") == [(OTHER,)]


def test_siblings_of_two_households_stay_relatives_when_one_leaves_one_of_them(
    house: Living, wire: Wire
) -> None:
    key = house.key(world.CRM)
    path = f"/v1/households/{HOME}/members"
    made = wire.post(path, {"role": "minor_member", "birth_date": "2019-02-03"}, key=key)
    sibling: str = json.loads(made.content)["member_id"]
    link = {"ward": sibling, "guardian": world.ZHANG_LI.id, "evidence": "doc-7", "verifier": world.OFFICER.id}
    assert wire.post("/v1/guardianships", link, key=key).status_code == 201
    for child in (sibling, world.XIAO_MAN.id):
        code = invitation(house, wire, world.ZHOU_MING, OTHER)
        body = {"code": code, "member": child}
        assert told(act(house, wire, world.ZHANG_LI, "invitations/accept", body)) == (200, "")
    assert leave(house, wire, world.ZHANG_LI, HOME, member=sibling) == (200, "")
    assert open_ties(house, world.XIAO_MAN.id, sibling) == {"coresident"}
    assert leave(house, wire, world.ZHANG_LI, OTHER, member=sibling) == (200, "")
    assert (
        open_ties(house, world.XIAO_MAN.id, sibling) == open_ties(house, sibling, world.XIAO_MAN.id) == set()
    )


@pytest.mark.parametrize(
    ("who", "ward"),
    [
        (world.GRANDMOTHER, world.XIAO_MAN.id),
        (world.ZHOU_MING, world.XIAO_MAN.id),
        (world.ZHANG_LI, world.GRANDMOTHER.id),
        (world.ZHANG_LI, NOBODY),
    ],
    ids=["a relative", "a stranger", "an adult's primary account", "nobody's guardian"],
)
def test_nobody_but_a_guardian_takes_somebody_else_out(
    who: world.Person, ward: str, house: Living, wire: Wire
) -> None:
    before = house.size()
    assert leave(house, wire, who, HOME, member=ward) == NOT_THERE
    assert house.size() == before


def test_a_leaving_that_cannot_be_recorded_did_not_happen(house: Living, wire: Wire) -> None:
    house.sql(*insiders.REFUSE[house.engine])
    assert leave(house, wire, world.LI_QIANG) == (503, "cannot_record")
    house.sql(*insiders.ACCEPT[house.engine])
    assert HOME in homes(house, wire, world.LI_QIANG)


def test_whoever_left_no_longer_sees_what_happens_to_the_household(house: Living, wire: Wire) -> None:
    def seen(who: world.Person) -> list[str]:
        body = json.loads(wire.get("/v1/me/accesses?limit=200", session=house.sign_in(who)).content)
        return [one["action"] for one in body["data"]]

    invitation(house, wire)
    assert "home.invited" in seen(world.GRANDMOTHER)
    leave(house, wire, world.LI_QIANG)
    count = seen(world.LI_QIANG).count("home.invited")
    for _ in range(3):
        invitation(house, wire)
    assert seen(world.LI_QIANG).count("home.invited") == count == 1
    assert seen(world.GRANDMOTHER).count("home.invited") == 4
    # Whoever comes back sees again what happens from then on, and never what happened meanwhile.
    act(house, wire, world.LI_QIANG, "invitations/accept", {"code": invitation(house, wire)})
    house.clock.advance(1)
    invitation(house, wire)
    assert seen(world.LI_QIANG).count("home.invited") == 2
