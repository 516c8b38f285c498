"""What an export holds, for whom, and for how long."""

from __future__ import annotations

from datetime import date
from typing import Any

import happenings
from living import DAY, Living, Wire
from rights_story import ask

from governance import world
from governance.rightsrecords import Right
from governance.world import Person
from policies.terms import SubjectId


def grown(house: Living, person: Person, birth: date) -> None:
    """Let somebody have another birth date on record."""
    service = house.service
    with service.database.transaction() as tx:
        service.opening.enter_birth(tx, service.rules.book, SubjectId(person.id), birth, house.clock())
        tx.commit()


def asked(house: Living, wire: Wire, body: dict[str, Any], person: Person = world.ZHANG_LI) -> Any:
    session = house.sign_in(person)
    return wire.post("/v1/me/requests", body, cookie=f"governance_session={session}")


def exported(house: Living, wire: Wire, by: Person, about: Person, form: str = "json") -> Any:
    """Let a guardian ask for access, and fetch what that gets."""
    made = asked(house, wire, {"kind": "access", "subject": about.id}, by).json()
    path = f"/v1/me/requests/{made['request_id']}/export?format={form}"
    return wire.get(path, session=house.sign_in(by), accept_language="en")


def test_the_guardian_of_a_small_child_gets_everything_that_an_access_request_gets(
    house: Living, wire: Wire
) -> None:
    found = exported(house, wire, world.ZHANG_LI, world.XIAO_MAN)
    assert found.status_code == 200, found.text
    values = {one["field"]: one.get("value") for one in found.json()["fields"]}
    assert values["name"] == world.XIAO_MAN.values["name"]
    assert found.json()["subject"] == world.XIAO_MAN.id
    assert {one["guardian"] for one in found.json()["guardianships"]} == {
        world.ZHANG_LI.id,
        world.LI_QIANG.id,
    }
    listed = wire.get("/v1/me/requests", session=house.sign_in(world.ZHANG_LI)).json()["data"]
    assert [(one["kind"], one["subject"]) for one in listed] == [("access", world.XIAO_MAN.id)]


def test_the_guardian_of_a_teen_gets_kinds_and_amounts_and_no_contents(house: Living, wire: Wire) -> None:
    grown(house, world.XIAO_MAN, date(2011, 5, 21))
    asked(house, wire, {"kind": "objection", "purpose": "marketing.direct"}, world.XIAO_MAN)
    found = exported(house, wire, world.ZHANG_LI, world.XIAO_MAN)
    assert found.status_code == 200, found.text
    document = found.json()
    assert not set(document) & {"consents", "accesses", "requests", "refusals", "hides", "households"}
    assert document["amounts"]["requests"] == 2  # the teen's own and the guardian's
    assert document["amounts"]["refusals"] == 1
    assert "marketing.direct" not in found.text
    assert "viewing_history" not in {one["field"] for one in document["fields"] if "value" in one}
    page = exported(house, wire, world.ZHANG_LI, world.XIAO_MAN, "html").text
    assert "14 or older" in page
    assert "marketing.direct" not in page


def test_a_guardian_is_not_told_what_a_teen_did_and_a_small_childs_guardian_is(
    house: Living, wire: Wire
) -> None:
    own = happenings.reading(world.XIAO_MAN.id, world.XIAO_MAN.id, "viewing_history")
    house.service.gate.read([own], house.clock())
    body = {"kind": "explanation", "decision_id": own.decision_id, "subject": world.XIAO_MAN.id}
    made = asked(house, wire, body).json()["request_id"]
    session = house.sign_in(world.ZHANG_LI)
    assert wire.get(f"/v1/me/requests/{made}", session=session).json()["explanation"] is not None
    grown(house, world.XIAO_MAN, date(2011, 5, 21))
    # What was asked for before the birthday tells nothing after it, and asking anew finds no decision.
    assert wire.get(f"/v1/me/requests/{made}", session=session).json()["explanation"] is None
    refused = asked(house, wire, body)
    assert refused.status_code == 422
    assert refused.json()["errors"] == [{"pointer": "/decision_id", "code": "unknown"}]


def test_whoever_guards_no_longer_exports_nothing_of_what_was_asked_for(house: Living, wire: Wire) -> None:
    made = asked(house, wire, {"kind": "access", "subject": world.XIAO_MAN.id}).json()["request_id"]
    happenings.HAPPENINGS["end_guardian"](house)
    path = f"/v1/me/requests/{made}/export"
    assert wire.get(path, session=house.sign_in(world.ZHANG_LI)).status_code == 404


def test_a_fulfilled_access_request_exports_for_thirty_days_and_then_says_so(
    house: Living, wire: Wire
) -> None:
    key = house.key(world.CRM)
    body = {"kind": "access", "on_behalf_of": world.ZHANG_LI.id, "evidence": "counter-2026-11"}
    made = wire.post("/v1/requests", body, key=key).json()["request_id"]
    path, bearer = f"/v1/requests/{made}/export", {"authorization": f"Bearer {key}"}
    house.clock.advance(30 * DAY - 1)
    assert wire.get(path, **bearer).status_code == 200
    house.clock.advance(1)
    closed = wire.get(path, **bearer)
    assert (closed.status_code, closed.json()["code"]) == (410, "export_closed")
    assert wire.get("/v1/me/export", session=house.sign_in(world.ZHANG_LI)).status_code == 200


def test_an_export_is_whole(house: Living, wire: Wire) -> None:
    happenings.share(house, world.GRANDMOTHER, world.ZHANG_LI)
    happenings.share(house, world.ZHANG_LI, world.GRANDMOTHER)
    happenings.hide(house, world.ZHANG_LI, "purchase.history")
    ask(house, Right.OBJECTION, purpose="marketing.direct")
    happenings.ask_for_access(house)
    session = house.sign_in(world.ZHANG_LI)
    document = wire.get("/v1/me/export", session=session).json()
    [home] = document["households"]
    assert (home["household"], home["role"]) == (world.ZHANG_HOME.id, "primary_account")
    shared = {one["field"]: one.get("value") for one in document["household_fields"]}
    assert shared["address"] == world.ZHANG_HOME.values["address"]
    assert [one["viewer"] for one in document["shares_given"]] == [world.GRANDMOTHER.id]
    assert {one["from"] for one in document["shares_received"]} == {world.GRANDMOTHER.id}
    assert [one["category"] for one in document["hides"]] == ["purchase.history"]
    assert [one["ward"] for one in document["guardianships"]] == [world.XIAO_MAN.id]
    assert {one["recipient"] for one in document["consents"]} == {document["controller"]}
    assert [(one["kind"], one["purpose"]) for one in document["refusals"]] == [
        ("objected", "marketing.direct")
    ]
    assert document["requests"][0]["purpose"] == "marketing.direct"
    page = wire.get("/v1/me/export?format=html", session=session).text
    for told in (world.ZHANG_HOME.values["address"], world.GRANDMOTHER.id, world.XIAO_MAN.id, "objected"):
        assert told in page, told


def test_an_export_has_every_access_however_many_there_are(
    house: Living, wire: Wire, monkeypatch: Any
) -> None:
    session = house.sign_in(world.ZHANG_LI)
    for _ in range(7):
        ask_ = happenings.reading(world.WANG_MIN.id, world.ZHANG_LI.id, "mobile")
        house.service.gate.read([ask_], house.clock())
    whole = wire.get("/v1/me/export", session=session).json()["accesses"]
    monkeypatch.setattr("governance.exportparts._PAGE", 2)
    again = wire.get("/v1/me/export", session=session).json()["accesses"]
    assert [one["receipt"] for one in again][-len(whole) :] == [one["receipt"] for one in whole]
    assert len(whole) > 6


def test_a_value_past_its_term_is_said_to_wait_for_its_deletion(house: Living, wire: Wire) -> None:
    house.clock.advance(20 * 365 * DAY)
    found = wire.get("/v1/me/export", session=house.sign_in(world.ZHANG_LI)).json()["fields"]
    codes = {one["field"]: one["reasons"][0]["code"] for one in found if "value" not in one}
    assert codes["purchase_history"] == "expired"
    assert codes["allergies"] == "not_available"  # there never was one


def test_everybody_has_an_export_with_and_without_relatives(house: Living, wire: Wire) -> None:
    for person in (world.ZHOU_MING, world.XIAO_MAN, world.GRANDMOTHER):
        found = wire.get("/v1/me/export?format=html", session=house.sign_in(person))
        assert found.status_code == 200, found.text
        assert person.values["name"] in found.text
