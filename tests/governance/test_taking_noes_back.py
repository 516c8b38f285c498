"""Objections and restrictions: the way back, what a hold imposes, and whose no would not count."""

from __future__ import annotations

import happenings
import pytest
from living import DAY, Living, Wire
from rights_story import OFFICER, SECOND_OFFICER, ask, decide, hold, passed_on
from test_rights import reasons

from governance import world
from governance.holds import HeldError
from governance.rights import NoSuchRequestError, RequestClosedError
from governance.rightsdeciding import Step
from governance.rightsrecords import Refusal, Right, Status
from governance.world import Person
from policies.reasons import Reason

AT_FIFTEEN = 2000 * DAY
NOES = {Right.OBJECTION: Reason.OBJECTED, Right.RESTRICTION: Reason.RESTRICTED}


def told(house: Living, about: Person = world.ZHANG_LI) -> set[Reason]:
    return reasons(house, world.WANG_MIN.id, about.id, "name", "service.delivery")


def revoke(house: Living, request: str, by: Person = world.ZHANG_LI) -> Status:
    return house.service.rights.revoke(happenings.person_acts(by), request, house.clock()).state


def said(house: Living, about: Person = world.ZHANG_LI) -> list[tuple[str, str]]:
    return house.sql(
        "SELECT kind, capacity FROM consent_event WHERE kind IN ('objected', 'restricted', 'taken_back')"
        f" AND subject_id = '{about.id}' ORDER BY seq"
    )


@pytest.mark.parametrize("kind", NOES)
def test_whoever_objected_or_restricted_takes_it_back_at_once(kind: Right, house: Living) -> None:
    before = told(house)
    request = ask(house, kind).request.id
    assert NOES[kind] in told(house)
    assert revoke(house, request) is Status.REVOKED
    assert told(house) == before
    assert "rights.revoked" in [entry.act for entry in house.log()]
    with pytest.raises(RequestClosedError):
        revoke(house, request)


def test_it_is_taken_back_over_the_route_that_takes_requests_back(house: Living, wire: Wire) -> None:
    request = ask(house, Right.RESTRICTION).request.id
    cookie = f"governance_session={house.sign_in(world.ZHANG_LI)}"
    answer = wire.post(f"/v1/me/requests/{request}/revoke", {}, cookie=cookie)
    assert (answer.status_code, answer.json()["status"]) == (200, "revoked")
    assert Reason.RESTRICTED not in told(house)


def test_another_no_on_the_same_terms_stays(house: Living) -> None:
    first, second = (ask(house, Right.RESTRICTION).request.id for _ in range(2))
    revoke(house, first)
    assert Reason.RESTRICTED in told(house)
    revoke(house, second)
    assert Reason.RESTRICTED not in told(house)


def test_what_a_guardian_said_only_that_guardian_takes_back(house: Living) -> None:
    request = ask(house, Right.RESTRICTION, world.ZHANG_LI, about=world.XIAO_MAN).request.id
    for other in (world.XIAO_MAN, world.LI_QIANG):
        with pytest.raises((RequestClosedError, NoSuchRequestError)):
            revoke(house, request, other)
    assert said(house, world.XIAO_MAN) == [("restricted", "guardian")]
    assert revoke(house, request) is Status.REVOKED


# --- what a legal hold imposes ----------------------------------------------------------------------------


def _held(house: Living) -> tuple[str, str]:
    request = ask(house, Right.ERASURE).request.id
    placed = hold(house, world.ZHANG_LI.id)
    for _ in range(3):
        with pytest.raises(HeldError):
            decide(house, request, Step.FULFIL)
    return request, placed


def test_a_hold_restricts_once_and_as_the_services_own_doing(house: Living) -> None:
    _held(house)
    assert said(house) == [("restricted", "service")]
    assert Reason.RESTRICTED in told(house)


def _deny(house: Living, request: str) -> None:
    decide(house, request, Step.DENY, Refusal.NOT_COVERED)
    assert decide(house, request, Step.DENY, by=SECOND_OFFICER) is Status.DENIED


@pytest.mark.parametrize("end", [revoke, _deny])
def test_what_a_hold_restricted_ends_with_the_request_for_erasure(end, house: Living) -> None:
    before = told(house)
    request, _ = _held(house)
    own = ask(house, Right.RESTRICTION, purpose="marketing.direct").request.id
    end(house, request)
    assert told(house) == before
    assert said(house)[1:] == [("restricted", "self"), ("taken_back", "service")]
    assert revoke(house, own) is Status.REVOKED


def test_after_the_hold_the_erasure_is_carried_out(house: Living) -> None:
    request, placed = _held(house)
    house.service.holds.lift(OFFICER.caller, placed, house.clock(), request_id="r")
    house.clock.advance(1)
    assert decide(house, request, Step.FULFIL) is Status.FULFILLED


# --- whose no would not count -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", NOES)
def test_from_14_on_no_guardian_objects_or_restricts(kind: Right, house: Living) -> None:
    house.clock.advance(AT_FIFTEEN)
    before = house.size()
    for purpose in ({}, {"purpose": "service.delivery"}):
        with pytest.raises(NoSuchRequestError):
            ask(house, kind, world.ZHANG_LI, about=world.XIAO_MAN, **purpose)
    assert house.size() == before
    assert ask(house, kind, world.XIAO_MAN).request.state is Status.FULFILLED
    # What a guardian may ask for until 18 stays so.
    assert ask(house, Right.ACCESS, world.ZHANG_LI, about=world.XIAO_MAN).request.state is Status.FULFILLED


def test_a_code_that_comes_after_the_birthday_says_no_more(house: Living) -> None:
    # 小满 turns 14 on 2031-05-22 in Shanghai.
    house.clock.now = 1_937_145_600_000 - 60_000
    opened = ask(house, Right.RESTRICTION, by=passed_on(world.ZHANG_LI), about=world.XIAO_MAN)
    message = next(m for m in house.service.sender.messages() if m.consent_id == opened.request.id)
    house.clock.advance(120_000)
    on, code = passed_on(world.ZHANG_LI), message.code
    with pytest.raises(NoSuchRequestError):
        house.service.rights.verify(on, opened.request.id, code, house.clock())
    assert said(house, world.XIAO_MAN) == []
