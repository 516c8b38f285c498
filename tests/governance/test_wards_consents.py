"""A guardian finds a ward's consents and ends them all in one call: a child's all, from 14 on the own."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from happenings import NOBODY
from hearing import AT_14, AT_18, LAB, agreed, hired, told
from living import DAY, Living, Wire, sent, spell

from consent.events import Capacity
from governance import world
from governance.rulekeeping import RulesUnavailableError
from governance.seeding import give_consent
from policies.terms import SubjectId

only_sqlite = pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)
CHILD: Final = world.XIAO_MAN
PATH: Final = "/v1/me/consents/withdraw"


def ends(house: Living, wire: Wire, who: world.Person, ward: str = CHILD.id, **more: str) -> Any:
    body = {"subject": ward, **more}
    return wire.call("POST", PATH, content=spell(body), headers=sent(None, {}, house.sign_in(who)))


def sees(house: Living, wire: Wire, who: world.Person, ward: str = CHILD.id) -> Any:
    return wire.get(f"/v1/me/consents?subject={ward}", session=house.sign_in(who))


def given(house: Living, who: world.Person) -> str:
    return give_consent(house.service, who, "family.care", ("health.record",), CHILD)


def states(house: Living) -> dict[str, str]:
    listed = house.service.consenting.of_member(SubjectId(CHILD.id), house.clock())
    return {one.consent_id: state.value for one, state in listed}


@only_sqlite
def test_a_guardian_ends_all_consents_about_a_child_whoever_gave_them(house: Living, wire: Wire) -> None:
    mine, others = given(house, world.ZHANG_LI), given(house, world.LI_QIANG)
    house.clock.advance(1)
    answer = ends(house, wire, world.ZHANG_LI)
    assert (answer.status_code, json.loads(answer.content)["status"]) == (200, "withdrawn")
    assert states(house) == {mine: "revoked", others: "revoked"}
    entry = house.log()[-1]
    assert (entry.act, len(entry.subjects)) == ("consent.withdrawn", 1)
    house.clock.advance(1)
    assert ends(house, wire, world.ZHANG_LI).content == answer.content
    assert ("consent.revoked", {"subject": CHILD.id}) in told(wire, house.key(world.CRM))


@only_sqlite
def test_a_purpose_narrows_it_and_a_mistyped_one_is_told(house: Living, wire: Wire) -> None:
    one = given(house, world.ZHANG_LI)
    house.clock.advance(1)
    assert ends(house, wire, world.ZHANG_LI, purpose="marketing").status_code == 200
    assert states(house) == {one: "guardian_consent"}
    assert ends(house, wire, world.ZHANG_LI, purpose="famly").status_code == 422
    assert ends(house, wire, world.ZHANG_LI, purpose="family").status_code == 200
    assert states(house) == {one: "revoked"}


@only_sqlite
def test_from_14_on_a_guardian_ends_only_what_that_guardian_agreed_to(house: Living, wire: Wire) -> None:
    house.clock.now = AT_14 + DAY
    lab = hired(house, LAB)
    own = give_consent(house.service, CHILD, "family.care", ("health.record",))
    mine = agreed(house, CHILD, LAB.id, "family.care", world.ZHANG_LI, Capacity.GUARDIAN)
    other = agreed(house, CHILD, LAB.id, "service.health", world.LI_QIANG, Capacity.GUARDIAN)
    before = states(house)
    answer = ends(house, wire, world.ZHANG_LI)
    assert answer.status_code == 200
    assert states(house)[own] == before[own] == "consent_given"
    assert house.sql("SELECT consent_id FROM consent_event WHERE kind = 'revoked'") == [(mine,)]
    assert [(kind, data["consent_id"]) for kind, data in told(wire, lab)] == [("consent.revoked", mine)]
    size = house.size()
    house.clock.advance(1)
    assert ends(house, wire, world.ZHANG_LI).content == answer.content
    assert house.size() == size
    for guardian, theirs in ((world.ZHANG_LI, mine), (world.LI_QIANG, other)):
        found = json.loads(sees(house, wire, guardian).content)["data"]
        assert [one["consent_id"] for one in found] == [theirs]


STRANGERS: Final = {
    "a grandmother": (world.GRANDMOTHER, CHILD.id),
    "the child's own guardian about an adult": (world.ZHANG_LI, world.LI_QIANG.id),
    "the primary account about another adult": (world.ZHANG_LI, world.GRANDMOTHER.id),
    "the child about a guardian": (CHILD, world.ZHANG_LI.id),
    "nobody's ward": (world.ZHANG_LI, NOBODY),
}


@pytest.mark.parametrize("name", STRANGERS)
@only_sqlite
def test_whoever_is_no_guardian_finds_nothing_and_ends_nothing(name: str, house: Living, wire: Wire) -> None:
    who, about = STRANGERS[name]
    given(house, world.ZHANG_LI)
    nobody = json.loads(ends(house, wire, who, NOBODY).content)
    size = house.size()
    answers = [ends(house, wire, who, about), ends(house, wire, who, about, purpose="famly")]
    answers.append(sees(house, wire, who, about))
    for answer in answers:
        assert answer.status_code == 404
        body = json.loads(answer.content)
        assert {**body, "request_id": "", "instance": ""} == {**nobody, "request_id": "", "instance": ""}
    assert house.size() == size


@only_sqlite
def test_a_guardian_sees_a_childs_consents_and_the_child_sees_who_looked(house: Living, wire: Wire) -> None:
    one, two = given(house, world.ZHANG_LI), given(house, world.LI_QIANG)
    found = json.loads(sees(house, wire, world.ZHANG_LI).content)["data"]
    assert {each["consent_id"]: each["subject"] for each in found} == {one: CHILD.id, two: CHILD.id}
    seen = json.loads(wire.get("/v1/me/accesses", session=house.sign_in(CHILD)).content)["data"]
    assert seen[0]["action"] == "consent.listed"
    size = house.size()
    own = wire.get("/v1/me/consents", session=house.sign_in(CHILD))
    assert (sees(house, wire, CHILD).content, house.size()) == (own.content, size)


@only_sqlite
def test_at_18_a_guardian_sees_nothing_even_before_the_day_is_carried_out(house: Living, wire: Wire) -> None:
    house.clock.now = AT_18 - 1
    assert sees(house, wire, world.ZHANG_LI).status_code == 200
    house.clock.now = AT_18
    assert sees(house, wire, world.ZHANG_LI).status_code == 404


@only_sqlite
def test_a_service_passes_a_guardians_withdrawal_on(house: Living, wire: Wire) -> None:
    one = given(house, world.ZHANG_LI)
    house.clock.advance(1)
    body = {"on_behalf_of": world.ZHANG_LI.id, "subject": CHILD.id}
    assert wire.post("/v1/consents/withdraw", body, key=house.key(world.CRM)).status_code == 200
    assert states(house) == {one: "revoked"}
    body = {"on_behalf_of": world.GRANDMOTHER.id, "subject": CHILD.id}
    assert wire.post("/v1/consents/withdraw", body, key=house.key(world.CRM)).status_code == 404


@pytest.mark.parametrize("missing", ["keys", "rules"])
@only_sqlite
def test_a_guardians_withdrawal_needs_neither_keys_nor_rules(
    missing: str, house: Living, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_how: object) -> Any:
        raise RulesUnavailableError

    given(house, world.ZHANG_LI)
    house.clock.advance(1)
    if missing == "rules":
        monkeypatch.setattr(type(house.service.keeper), "in_force", broken)
        monkeypatch.setattr(type(house.service.keeper), "latest", property(broken))
    else:
        house.sql("DELETE FROM data_key")
        object.__setattr__(house.service.ring, "tenant_key", bytes(32))
    assert ends(house, wire, world.ZHANG_LI).status_code == 200
    assert house.sql("SELECT count(*) FROM consent_event WHERE kind = 'revoked'") == [(1,)]
