"""The primary account: whom it removes, how its role passes; and what happens to households at once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from happenings import HOUR, NOBODY, person_acts
from homemaking import HOME, NOT_THERE, OTHER, act, homes, invitation, leave, open_ties, sees, told
from living import DAY, MINUTE, Living, Wire, sent, spell

from governance import world
from governance.homes import OFFER_MS
from policies.terms import HouseholdId, MemberId


def test_the_primary_account_ends_an_adults_sharing_and_not_their_data(house: Living, wire: Wire) -> None:
    house.clock.advance(1)
    removed = act(house, wire, world.ZHANG_LI, f"households/{HOME}/members/{world.GRANDMOTHER.id}/remove")
    assert told(removed) == (200, "")
    assert sees(house, wire, world.ZHANG_LI, world.GRANDMOTHER, "mobile") == "not there"
    assert sees(house, wire, world.GRANDMOTHER, world.GRANDMOTHER, "blood_pressure") == "show"
    assert house.log()[-3].act == "home.removed"


@pytest.mark.parametrize(
    "whom",
    [world.ZHANG_LI.id, world.XIAO_MAN.id, world.ZHOU_MING.id, NOBODY],
    ids=["itself", "a child", "somebody elsewhere", "nobody"],
)
def test_the_primary_account_removes_nobody_but_another_adult_of_the_household(
    whom: str, house: Living, wire: Wire
) -> None:
    before = house.size()
    answer = act(house, wire, world.ZHANG_LI, f"households/{HOME}/members/{whom}/remove")
    assert told(answer) == NOT_THERE
    assert house.size() == before


def offered(house: Living, wire: Wire) -> str:
    answer = act(house, wire, world.ZHANG_LI, f"households/{HOME}/handover", {"successor": world.LI_QIANG.id})
    assert answer.status_code == 201
    house.clock.advance(1)
    found: str = json.loads(answer.content)["offer_id"]
    return found


def test_the_role_passes_only_when_the_successor_accepts(house: Living, wire: Wire) -> None:
    offer = offered(house, wire)
    assert homes(house, wire, world.LI_QIANG)[HOME][world.ZHANG_LI.id] == ["primary_account"]
    listed = json.loads(wire.get("/v1/me/households", session=house.sign_in(world.LI_QIANG)).content)
    assert [one["offer_id"] for one in listed["offers"]] == [offer]
    for other in (world.ZHANG_LI, world.GRANDMOTHER, world.XIAO_MAN, world.ZHOU_MING):
        assert told(act(house, wire, other, f"offers/{offer}/accept")) == NOT_THERE
    assert told(act(house, wire, world.LI_QIANG, f"offers/{offer}/accept")) == (200, "")
    house.clock.advance(1)
    roles = homes(house, wire, world.GRANDMOTHER)[HOME]
    assert (roles[world.LI_QIANG.id], roles[world.ZHANG_LI.id]) == (["primary_account"], ["adult_member"])
    assert told(act(house, wire, world.LI_QIANG, f"offers/{offer}/accept")) == NOT_THERE
    assert told(act(house, wire, world.ZHANG_LI, f"households/{HOME}/invitations")) == NOT_THERE
    assert act(house, wire, world.LI_QIANG, f"households/{HOME}/invitations").status_code == 201
    # Neither guardianship nor own consents hang on the role.
    assert open_ties(house, world.XIAO_MAN.id, world.ZHANG_LI.id) == {"ward", "coresident"}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda house, _w, _o: house.clock.advance(OFFER_MS),
        lambda house, wire, offer: act(house, wire, world.ZHANG_LI, f"offers/{offer}/cancel"),
        lambda house, wire, offer: act(house, wire, world.LI_QIANG, f"offers/{offer}/cancel"),
        lambda house, wire, _o: leave(house, wire, world.LI_QIANG),
        lambda house, wire, _o: leave(house, wire, world.ZHANG_LI),
    ],
    ids=["too old", "taken back", "turned down", "the successor left", "the primary account left"],
)
def test_an_offer_that_ended_hands_nothing_over(spoil: Any, house: Living, wire: Wire) -> None:
    offer = offered(house, wire)
    spoil(house, wire, offer)
    house.clock.advance(1)
    assert told(act(house, wire, world.LI_QIANG, f"offers/{offer}/accept")) == NOT_THERE
    living = homes(house, wire, world.GRANDMOTHER)[HOME]
    assert living.get(world.LI_QIANG.id, ["adult_member"]) == ["adult_member"]


@pytest.mark.parametrize("whom", [world.ZHANG_LI.id, world.XIAO_MAN.id, world.ZHOU_MING.id, NOBODY], ids=str)
def test_the_role_is_offered_to_another_adult_of_the_household_only(
    whom: str, house: Living, wire: Wire
) -> None:
    answer = act(house, wire, world.ZHANG_LI, f"households/{HOME}/handover", {"successor": whom})
    assert told(answer) == NOT_THERE


def claim(house: Living, wire: Wire, who: Any, home: str = HOME) -> tuple[int, str]:
    answer = told(act(house, wire, who, f"households/{home}/primary"))
    house.clock.advance(1)
    return answer


def test_a_household_that_nobody_heads_gets_a_primary_account_from_among_its_adults(
    house: Living, wire: Wire
) -> None:
    leave(house, wire, world.ZHANG_LI)
    assert told(act(house, wire, world.LI_QIANG, f"households/{HOME}/invitations")) == NOT_THERE
    for nobody in (world.XIAO_MAN, world.ZHOU_MING, world.ZHANG_LI):
        assert claim(house, wire, nobody) == NOT_THERE
    assert claim(house, wire, world.LI_QIANG) == (200, "")
    assert homes(house, wire, world.GRANDMOTHER)[HOME][world.LI_QIANG.id] == ["primary_account"]
    back = invitation(house, wire, world.LI_QIANG)
    assert told(act(house, wire, world.ZHANG_LI, "invitations/accept", {"code": back})) == (200, "")
    assert homes(house, wire, world.GRANDMOTHER)[HOME][world.ZHANG_LI.id] == ["adult_member"]
    # Everybody who lives there finds it among the accesses, and reads who it was.
    for who in (world.GRANDMOTHER, world.XIAO_MAN, world.LI_QIANG):
        seen = json.loads(wire.get("/v1/me/accesses?limit=200", session=house.sign_in(who)).content)["data"]
        assert "home.role_claimed" in {one["action"] for one in seen}


def test_nobody_takes_a_role_that_somebody_has(house: Living, wire: Wire) -> None:
    before = house.size()
    for who in (world.LI_QIANG, world.GRANDMOTHER, world.ZHANG_LI):
        assert claim(house, wire, who) == (409, "conflict")
    assert house.size() == before
    assert homes(house, wire, world.LI_QIANG)[HOME][world.ZHANG_LI.id] == ["primary_account"]


def test_of_two_who_take_a_free_role_at_once_one_gets_it(house: Living, wire: Wire) -> None:
    leave(house, wire, world.ZHANG_LI)
    calls = [
        (
            "POST",
            f"/v1/me/households/{HOME}/primary",
            {"content": b"", "headers": sent(None, {}, house.sign_in(one))},
        )
        for one in (world.LI_QIANG, world.GRANDMOTHER)
    ]
    assert sorted(one.status_code for one in wire.together(calls)) == [200, 409]
    roles = homes(house, wire, world.LI_QIANG)[HOME].values()
    assert sum("primary_account" in held for held in roles) == 1


def test_the_wish_of_either_household_holds_for_a_child_of_both(house: Living, wire: Wire) -> None:
    def wish(member: str) -> str:
        found: str = house.sql(f"SELECT wishes FROM subject WHERE id = '{member}'")[0][0]
        return found

    code = invitation(house, wire, world.ZHOU_MING, OTHER)
    act(house, wire, world.ZHANG_LI, "invitations/accept", {"code": code, "member": world.XIAO_MAN.id})
    assert (wish(world.XIAO_MAN.id), wish(world.ZHOU_MING.id)) == ("same_gender_advisor", "")
    leave(house, wire, world.ZHANG_LI, member=world.XIAO_MAN.id)
    assert wish(world.XIAO_MAN.id) == ""
    with house.service.database.transaction() as tx:
        house.service.lifecycle.ask_same_gender(tx, HouseholdId(OTHER), house.clock())
        tx.commit()
    assert wish(world.XIAO_MAN.id) == wish(world.ZHOU_MING.id) == "same_gender_advisor"


def test_two_who_use_one_code_at_once_do_not_both_get_in(house: Living, wire: Wire) -> None:
    leave(house, wire, world.LI_QIANG)
    leave(house, wire, world.GRANDMOTHER)
    code = invitation(house, wire, world.ZHOU_MING, OTHER)
    calls = [
        (
            "POST",
            "/v1/me/invitations/accept",
            {"content": spell({"code": code}), "headers": sent(None, {}, house.sign_in(one))},
        )
        for one in (world.LI_QIANG, world.GRANDMOTHER)
    ]
    assert sorted(one.status_code for one in wire.together(calls)) == [200, 410]
    assert len(homes(house, wire, world.ZHOU_MING)[OTHER]) == 2
    house.verified()


def test_leaving_does_not_wait_for_a_pending_invitation_nor_end_the_guardianship(
    house: Living, wire: Wire
) -> None:
    desk = house.service.homes
    desk.invite(person_acts(world.ZHANG_LI), HouseholdId(HOME), world.LI_QIANG.roles[0], house.clock())
    assert leave(house, wire, world.ZHANG_LI) == (200, "")
    assert sees(house, wire, world.ZHANG_LI, world.XIAO_MAN, "name") == "show"
    homes_now, _ = desk.mine(MemberId(world.ZHANG_LI.id), house.clock() + DAY + HOUR + MINUTE)
    assert homes_now == []
