"""Erasing whoever lives alone closes the household as well, and a hold on a household holds its people."""

from __future__ import annotations

import json

import happenings
import pytest
from living import Living
from rights_story import OFFICER, ask, count, decide, erase, hold, left_of, passed_on

from governance import world
from governance.asking import Answer, NotYours
from governance.holds import HeldError
from governance.moving import ADULT
from governance.rightsdeciding import Step
from governance.rightsrecords import Right, Status
from policies.identifiers import Prefix, new_id
from policies.terms import HouseholdId

HOME = world.ZHOU_HOME.id


def values_of(house: Living, subject: str) -> int:
    return sum(
        count(house, table, f"{column} = '{subject}'")
        for table, column in (
            ("cell", "subject_id"),
            ("held_cell", "subject_id"),
            ("data_key", "owner_id"),
            ("index_token", "subject_id"),
            ("subject_pseudonym", "subject_id"),
        )
    )


def address(house: Living, home: str) -> object:
    asked = happenings.reading(world.CRM.id, home, "address", purpose="service.delivery")
    [reply] = house.service.gate.read([asked], house.clock())
    return reply


def test_with_its_last_resident_a_household_is_erased_and_counted(house: Living) -> None:
    assert isinstance(address(house, HOME), Answer)
    cells = count(house, "cell", f"subject_id IN ('{HOME}', '{world.ZHOU_MING.id}')")
    house.service.homes.invite(
        happenings.person_acts(world.ZHOU_MING), HouseholdId(HOME), ADULT, house.clock()
    )
    request = erase(house, world.ZHOU_MING)
    assert count(house, "invitation", f"subject_id = '{HOME}'") == 0
    assert values_of(house, HOME) == 0
    assert house.sql(f"SELECT state FROM subject WHERE id = '{HOME}'") == [("erased",)]
    assert count(house, "relation", f"subject_id = '{HOME}' AND ends_at IS NULL") == 0
    document = json.loads(house.service.rights.certificate(passed_on(world.ZHOU_MING), request))
    assert document["destroyed"]["cells"] == cells
    assert type(address(house, HOME)) is NotYours
    assert type(address(house, new_id(Prefix.HOUSEHOLD))) is NotYours
    house.verified()


def test_a_household_in_which_others_live_stays(house: Living) -> None:
    erase(house, world.ZHANG_LI)
    assert values_of(house, world.ZHANG_HOME.id) > 0
    assert house.sql(f"SELECT state FROM subject WHERE id = '{world.ZHANG_HOME.id}'") == [("active",)]


@pytest.mark.parametrize("person", [world.ZHOU_MING, world.ZHANG_LI])
def test_whoever_lives_in_a_held_household_is_erased_only_after_the_hold(person, house: Living) -> None:
    home = HOME if person is world.ZHOU_MING else world.ZHANG_HOME.id
    request = ask(house, Right.ERASURE, person).request.id
    placed = hold(house, home)
    with pytest.raises(HeldError):
        decide(house, request, Step.FULFIL)
    assert left_of(house, person)["cell"] > 0
    house.service.holds.lift(OFFICER.caller, placed, house.clock(), request_id="r")
    house.clock.advance(1)
    assert decide(house, request, Step.FULFIL) is Status.FULFILLED


def test_a_hold_that_a_faster_clock_set_counts_at_once(house: Living) -> None:
    request = ask(house, Right.ERASURE).request.id
    house.clock.advance(5_000)
    hold(house, world.ZHANG_LI.id)
    house.clock.advance(-5_000)
    with pytest.raises(HeldError):
        decide(house, request, Step.FULFIL)


@pytest.mark.parametrize("about", ["the person", "the household"])
def test_the_sealed_reason_of_a_hold_that_is_over_goes_with_the_erasure(about: str, house: Living) -> None:
    subject = world.ZHOU_MING.id if about == "the person" else HOME
    placed = hold(house, subject)
    house.service.holds.lift(OFFICER.caller, placed, house.clock(), request_id="r")
    house.clock.advance(1)
    assert count(house, "data_key", f"owner_id = '{placed}'") == 1
    erase(house, world.ZHOU_MING)
    assert count(house, "legal_hold", "1 = 1") == 0
    assert count(house, "data_key", f"owner_id = '{placed}'") == 0
