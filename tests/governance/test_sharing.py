"""A mother shares her blood pressure with her daughter and nobody else, for as long as she likes (S26)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import happenings
import pytest
from happenings import FALLEN, person_acts, reading, withdraw
from homemaking import act, invitation, leave
from living import DAY, Living, Wire, sent, spell

from governance import seeding, world
from governance.asking import Answer
from policies.terms import Effect, SubjectId

only_sqlite = pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)

SHARES = "/v1/me/shares"
CARE = "family.care"


HIDES = "/v1/me/hides"
HISTORY = "content.history"


def me(wire: Wire, house: Living, person: world.Person, method: str, path: str, body: object = None) -> Any:
    content = b"" if body is None else spell(body)
    answer = wire.call(method, path, content=content, headers=sent(None, {}, house.sign_in(person)))
    return answer.status_code, json.loads(answer.content)


def sees(house: Living, viewer: world.Person, owner: world.Person, field: str = "blood_pressure") -> Any:
    reply = house.service.gate.read([reading(viewer.id, owner.id, field, purpose=CARE)], house.clock())[0]
    assert isinstance(reply, Answer)
    return reply.fields[0].effect is Effect.SHOW, [one.value for one in reply.fields[0].reasons]


def shared(**given: object) -> Mapping[str, object]:
    return {"viewer": world.LI_QIANG.id, "category": "health.record", **given}


def test_a_share_is_given_listed_and_ended_by_its_owner(house: Living, wire: Wire) -> None:
    mother = world.GRANDMOTHER
    assert sees(house, world.LI_QIANG, mother) == (False, ["not_shared"])
    status, given = me(wire, house, mother, "POST", SHARES, shared())
    assert (status, given["active"], given["purpose"], given["until"]) == (201, True, CARE, None)
    assert sees(house, world.LI_QIANG, mother) == (True, ["consent_given"])
    assert me(wire, house, mother, "GET", SHARES)[1]["data"][0] == given
    assert me(wire, house, world.LI_QIANG, "GET", SHARES)[1]["data"] == []
    end = f"{SHARES}/{given['share_id']}/end"
    assert me(wire, house, world.LI_QIANG, "POST", end)[0] == 404
    first = me(wire, house, mother, "POST", end)
    assert sees(house, world.LI_QIANG, mother) == (False, ["not_shared"])
    house.clock.advance(1)
    assert me(wire, house, mother, "POST", end) == first  # the first instant stays
    assert sees(house, world.ZHANG_LI, mother)[0]  # the daughter's share goes on
    assert [one.act for one in house.log() if one.act.startswith("share.")] == [
        *("share.given", "share.given", "share.ended", "share.ended"),
    ]


@only_sqlite
def test_a_share_for_some_days_ends_by_itself_and_a_check_says_when(house: Living, wire: Wire) -> None:
    given = me(wire, house, world.GRANDMOTHER, "POST", SHARES, shared(days=1))[1]
    ask = {
        "subject": {"type": "member", "id": world.GRANDMOTHER.id},
        "fields": ["blood_pressure"],
        "purpose": CARE,
        "on_behalf_of": world.LI_QIANG.id,
    }
    check = json.loads(wire.post("/v1/checks", ask, key=house.key(world.CRM)).content)
    assert check["valid_until"] == given["until"]
    house.clock.advance(DAY - 1)
    assert sees(house, world.LI_QIANG, world.GRANDMOTHER)[0]
    house.clock.advance(1)
    assert not sees(house, world.LI_QIANG, world.GRANDMOTHER)[0]
    assert me(wire, house, world.GRANDMOTHER, "GET", SHARES)[1]["data"][0]["ended_at"] == given["until"]


@only_sqlite
def test_agreeing_again_does_not_bring_back_what_was_shared_before(house: Living) -> None:
    withdraw(house, world.GRANDMOTHER, CARE)
    house.clock.advance(1)
    seeding.give_consent(house.service, world.GRANDMOTHER, CARE, ("health.record",))
    assert sees(house, world.ZHANG_LI, world.GRANDMOTHER) == (False, ["not_shared"])
    happenings.share(house, world.GRANDMOTHER, world.ZHANG_LI)
    assert sees(house, world.ZHANG_LI, world.GRANDMOTHER) == (True, ["consent_given"])


@only_sqlite
def test_who_is_not_named_gets_one_answer_whatever_was_agreed(house: Living) -> None:
    about_nobody_else = sees(house, world.LI_QIANG, world.GRANDMOTHER)
    withdraw(house, world.GRANDMOTHER, CARE)
    assert sees(house, world.LI_QIANG, world.GRANDMOTHER) == about_nobody_else


REFUSED = {
    "somebody of another household": ("grandmother", {"viewer": world.ZHOU_MING.id}, 404),
    "nobody": ("grandmother", {"viewer": happenings.NOBODY}, 404),
    "oneself": ("grandmother", {"viewer": world.GRANDMOTHER.id}, 404),
    "what no rule waits for": ("grandmother", {"category": "finance.account"}, 422),
    "communications": ("zhang_li", {"category": "comms.messages"}, 422),
    "what is not declared": ("grandmother", {"category": "no.such"}, 422),
    "a child's": ("xiao_man", {}, 409),
    "a term of no days": ("grandmother", {"days": 0}, 422),
}


@pytest.mark.parametrize("name", REFUSED)
@only_sqlite
def test_these_shares_are_refused(name: str, house: Living, wire: Wire) -> None:
    key, given, status = REFUSED[name]
    owner = next(one for home in world.HOMES for one in home.members if one.key == key)
    before = house.size()
    assert me(wire, house, owner, "POST", SHARES, shared(**given))[0] == status
    assert house.size() == before


@only_sqlite
def test_a_share_sent_twice_with_one_key_is_one_share(house: Living, wire: Wire) -> None:
    headers = sent(None, {"idempotency_key": "once"}, house.sign_in(world.GRANDMOTHER))
    answers = [wire.call("POST", SHARES, content=spell(shared()), headers=headers) for _ in range(2)]
    assert answers[0].content == answers[1].content
    assert len(me(wire, house, world.GRANDMOTHER, "GET", SHARES)[1]["data"]) == 2  # and the daughter's


@only_sqlite
def test_a_share_is_no_key_for_staff_and_an_emergency_needs_none(house: Living) -> None:
    doctor = reading(world.DOCTOR_CHEN.id, world.ZHANG_LI.id, "blood_pressure", emergency=FALLEN)
    reply = house.service.gate.read([doctor], house.clock())[0]
    assert isinstance(reply, Answer)
    assert reply.fields[0].effect is Effect.SHOW


@only_sqlite
def test_hides_are_listed_for_their_owner_alone_and_switched_back(house: Living, wire: Wire) -> None:
    hides, owner = "/v1/me/hides", world.LI_QIANG
    for viewer in (None, world.ZHANG_LI.id):
        body = {"category": "content.history", "viewer": viewer}
        assert me(wire, house, owner, "POST", hides, body)[0] == 200
        house.clock.advance(1)
    listed = me(wire, house, owner, "GET", hides)[1]["data"]
    assert [(one["category"], one["viewer"]) for one in listed] == [
        ("content.history", world.ZHANG_LI.id),
        ("content.history", None),
    ]
    assert me(wire, house, world.ZHANG_LI, "GET", hides)[1]["data"] == []
    me(wire, house, owner, "POST", hides, {"category": "content.history", "hidden": False})
    assert [one["viewer"] for one in me(wire, house, owner, "GET", hides)[1]["data"]] == [world.ZHANG_LI.id]


@only_sqlite
@pytest.mark.parametrize("viewer", [happenings.NOBODY, world.ZHOU_MING.id, world.LI_QIANG.id], ids=str)
def test_a_mistyped_viewer_is_told_because_it_would_protect_nobody(
    viewer: str, house: Living, wire: Wire
) -> None:
    before = house.size()
    for hidden in (True, False):
        body = {"category": HISTORY, "viewer": viewer, "hidden": hidden}
        status, problem = me(wire, house, world.LI_QIANG, "POST", HIDES, body)
        assert (status, problem["code"]) == (404, "not_found")
    assert house.size() == before
    assert me(wire, house, world.LI_QIANG, "POST", HIDES, {"category": HISTORY, "hidden": False})[0] == 404


@only_sqlite
def test_the_answer_to_a_hide_is_the_switch_as_it_is_listed(house: Living, wire: Wire) -> None:
    body = {"category": HISTORY, "viewer": world.ZHANG_LI.id}
    first = me(wire, house, world.LI_QIANG, "POST", HIDES, body)
    assert first[1] == {**me(wire, house, world.LI_QIANG, "GET", HIDES)[1]["data"][0], "hidden": True}
    house.clock.advance(1)
    assert me(wire, house, world.LI_QIANG, "POST", HIDES, body) == first  # the first instant stays
    house.clock.advance(1)
    shown = me(wire, house, world.LI_QIANG, "POST", HIDES, {**body, "hidden": False})
    assert shown == (200, {**first[1], "hidden": False})


@only_sqlite
def test_what_is_hidden_from_somebody_who_left_is_shown_again_all_the_same(house: Living, wire: Wire) -> None:
    body = {"category": HISTORY, "viewer": world.ZHANG_LI.id}
    assert me(wire, house, world.LI_QIANG, "POST", HIDES, body)[0] == 200
    assert leave(house, wire, world.ZHANG_LI) == (200, "")
    assert me(wire, house, world.LI_QIANG, "POST", HIDES, body)[0] == 200  # hidden it is, and stays
    house.clock.advance(1)
    assert me(wire, house, world.LI_QIANG, "POST", HIDES, {**body, "hidden": False})[0] == 200
    assert me(wire, house, world.LI_QIANG, "GET", HIDES)[1]["data"] == []
    assert me(wire, house, world.LI_QIANG, "POST", HIDES, body)[0] == 404  # and now they are nobody's family


@pytest.mark.parametrize("how", ["the owner leaves", "the viewer leaves", "the viewer is removed"])
def test_what_was_shared_ends_for_good_when_two_are_no_family_any_longer(
    how: str, house: Living, wire: Wire
) -> None:
    happenings.share(house, world.GRANDMOTHER, world.LI_QIANG)
    happenings.share(house, world.LI_QIANG, world.GRANDMOTHER)
    house.clock.advance(1)
    gone = world.GRANDMOTHER if how == "the owner leaves" else world.LI_QIANG
    if how == "the viewer is removed":
        path = f"households/{world.ZHANG_HOME.id}/members/{gone.id}/remove"
        assert act(house, wire, world.ZHANG_LI, path).status_code == 200
    else:
        assert leave(house, wire, gone) == (200, "")

    def standing(owner: world.Person, viewer: world.Person) -> list[Any]:
        listed = me(wire, house, owner, "GET", SHARES)[1]["data"]
        return [(one["active"], one["ended_at"]) for one in listed if one["viewer"] == viewer.id]

    pair = (world.GRANDMOTHER, world.LI_QIANG)
    for owner, viewer in (pair, pair[::-1]):
        ((active, ended),) = standing(owner, viewer)
        assert not active
        assert ended is not None
    assert [active for active, _ in standing(world.GRANDMOTHER, world.ZHANG_LI)] == [
        gone is not world.GRANDMOTHER  # who stayed together still share
    ]
    code = invitation(house, wire)
    assert act(house, wire, gone, "invitations/accept", {"code": code}).status_code == 200
    house.clock.advance(1)
    assert not sees(house, world.LI_QIANG, world.GRANDMOTHER)[0]  # coming back revives nothing
    assert not standing(world.GRANDMOTHER, world.LI_QIANG)[0][0]
    happenings.share(house, world.GRANDMOTHER, world.LI_QIANG)
    assert sees(house, world.LI_QIANG, world.GRANDMOTHER)[0]


def test_guardian_and_ward_go_on_sharing_until_the_guardianship_ends_as_well(
    house: Living, wire: Wire
) -> None:
    happenings.share(house, world.LI_QIANG, world.XIAO_MAN)

    def standing() -> tuple[bool, bool]:
        listed = me(wire, house, world.LI_QIANG, "GET", SHARES)[1]["data"]
        one = next(one for one in listed if one["viewer"] == world.XIAO_MAN.id)
        return one["active"], one["ended_at"] is None

    ongoing = standing()[1]
    assert leave(house, wire, world.LI_QIANG) == (200, "")
    # It opens nothing while they live apart, and is not over: they are guardian and ward.
    assert (ongoing, standing()) == (True, (False, True))
    link = {"ward": world.XIAO_MAN.id, "guardian": world.LI_QIANG.id}
    link |= {"evidence": "doc-1", "verifier": world.OFFICER.id}
    assert wire.post("/v1/guardianships/end", link, key=house.key(world.CRM)).status_code == 200
    assert standing() == (False, False)


@only_sqlite
def test_what_hiding_would_not_hide_is_refused(house: Living, wire: Wire) -> None:
    for category in ("health.record", "contact", "no.such"):
        status, problem = me(wire, house, world.LI_QIANG, "POST", "/v1/me/hides", {"category": category})
        assert (status, problem["errors"][0]["code"]) == (422, "not_hideable")


@only_sqlite
def test_a_share_ends_also_with_rules_that_cannot_be_used(
    house: Living, monkeypatch: pytest.MonkeyPatch
) -> None:
    share = happenings.share(house, world.GRANDMOTHER, world.LI_QIANG)
    monkeypatch.setattr(house.service.sharing._keeper, "in_force", None)
    house.service.sharing.end(person_acts(world.GRANDMOTHER), share, house.clock())
    monkeypatch.undo()
    over = house.service.sharing.shares(SubjectId(world.GRANDMOTHER.id), house.clock())[0]
    assert (over.active, over.share.ended_at) == (False, house.clock())
