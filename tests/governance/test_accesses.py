"""Who looked at my data: everything that was decided about a person stands in that person's view alone."""

from __future__ import annotations

import json
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Any

import httpx2
import pytest
from happenings import HAPPENINGS, NOBODY, consent_of
from living import Living, Wire

from audit.entry import Verdict
from governance import world

HERE = Path(__file__).parent
PEOPLE = [person for home in world.HOMES for person in home.members]
IDS = {one.key: one.id for one in (*world.HOMES, *PEOPLE, *world.STAFF, *world.SERVICES)} | {"nobody": NOBODY}
HAPPENED = ("hide_content", "end_assignment", "withdraw_care", "retire_wang_min")
TEXT = "【张家小铺】周末绘本八折，拒收请回复R"


def table(name: str) -> list[dict[str, Any]]:
    document = tomllib.loads((HERE / f"{name}s.toml").read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = document[name]
    return found


def play(house: Living, wire: Wire) -> defaultdict[str, set[int]]:
    """Play every story of the tables; return under which receipts something was decided about whom."""
    told: defaultdict[str, set[int]] = defaultdict(set)
    crm = house.key(world.CRM)

    def note(subject: str, answer: httpx2.Response) -> None:
        if answer.status_code == 404:  # nothing is told, and yet it is recorded
            told[subject].add(house.size() - 1)
        else:
            told[subject].add(house.place(json.loads(answer.content)))

    words = {"why", "after", "who", "about", "purpose", "fields", "answer"}
    for row in table("read"):
        subject = IDS[row["about"]]
        kind = "household" if subject.startswith("hh_") else "member"
        ask = {
            "subject": {"type": kind, "id": subject},
            "fields": row.get("fields") or [word for word in row if word not in words],
            "purpose": row["purpose"],
        } | ({"on_behalf_of": IDS[row["who"]]} if "who" in row else {})
        note(subject, wire.post("/v1/reads", ask, key=crm))
        check = wire.post("/v1/checks", ask, key=crm)
        found = json.loads(check.content)
        told[subject].add(house.place(found) if "receipt" in found else house.size() - 1)
    for row in table("write"):
        subject = IDS[row["about"]]
        body = {"values": row["values"], "purpose": row["purpose"]}
        body |= {"on_behalf_of": IDS[row["who"]]} if "who" in row else {}
        kind = "households" if subject.startswith("hh_") else "members"
        note(subject, wire.put(f"/v1/{kind}/{subject}/fields", body, key=crm))
    message = {"sender": world.SENDER.id, "channel": "sms", "purpose": "marketing.direct", "text": TEXT}
    to_all = {**message, "recipients": [person.id for person in PEOPLE]}
    sent = json.loads(wire.post("/v1/messages", to_all, key=house.key(world.SENDER)).content)
    for one in sent["recipients"]:
        told[one["id"]].add(house.place(one))
        if "permit" in one:
            use = {"permit": one["permit"], "text": TEXT, "recipient": one["id"], "channel": "sms"}
            wire.post("/v1/permits/verify", use, key=house.key(world.GATEWAY))
            told[one["id"]].add(house.size() - 1)
    return told


def view_of(wire: Wire, session: str, limit: int) -> list[dict[str, Any]]:
    """Page through a person's whole view."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        answer = wire.get(f"/v1/me/accesses?limit={limit}{cursor}", session=session)
        assert answer.status_code == 200
        page = json.loads(answer.content)
        assert len(page["data"]) <= limit
        found += page["data"]
        if not page["has_more"]:
            assert page["next_cursor"] is None
            return found
        assert len(page["data"]) == limit
        cursor = f"&cursor={page['next_cursor']}"


def test_every_decision_about_a_person_is_in_that_persons_view_and_in_nobody_elses(
    house: Living, wire: Wire
) -> None:
    told = play(house, wire)
    for happening in HAPPENED:
        HAPPENINGS[happening](house)
    again = play(house, wire)
    log = house.log()
    names = {
        bytes(name): id_ for id_, name in house.sql("SELECT subject_id, pseudonym FROM subject_pseudonym")
    }
    for person in PEOPLE:
        view = view_of(wire, house.sign_in(person), 7)
        shown = [one["receipt"] for one in view]
        concerned = {person.id, *(home.id for home in world.HOMES if person in home.members)}
        about = [i for i, one in enumerate(log) if concerned & {names.get(name) for name in one.subjects}]
        assert shown == sorted(about, reverse=True), person.key
        assert told[person.id] | again[person.id] <= set(shown), person.key
        others = {i for id_, some in (*told.items(), *again.items()) if id_ not in concerned for i in some}
        assert others.isdisjoint(shown), person.key
        for one in view:
            entry = log[one["receipt"]]
            assert one["blocked"] == (entry.dec is not Verdict.PERMIT)
            assert [field["field"] for field in one["fields"]] == [field.name for field in entry.fields]
        assert len({one["who"] for one in view}) > 1
    # Asks about nobody stand in the log and in no view.
    assert told[NOBODY]
    assert all(not {names.get(one) for one in log[i].subjects} - {None} for i in told[NOBODY])


@pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)
def test_a_blocked_attempt_names_whom_it_was_for(house: Living, wire: Wire) -> None:
    ask = {
        "subject": {"type": "member", "id": world.ZHANG_LI.id},
        "fields": ["blood_pressure"],
        "purpose": "family.care",
    }
    wire.post("/v1/reads", {**ask, "on_behalf_of": world.ZHOU_MING.id}, key=house.key(world.CRM))
    wire.post("/v1/reads", {**ask, "on_behalf_of": world.DOCTOR_CHEN.id}, key=house.key(world.CRM))
    doctor, stranger = view_of(wire, house.sign_in(world.ZHANG_LI), 50)[:2]
    assert (doctor["who"], doctor["on_behalf_of"]) == (world.CRM.label, world.DOCTOR_CHEN.label)
    assert (stranger["who"], stranger["on_behalf_of"]) == (world.CRM.label, "stranger")
    assert doctor["blocked"]
    assert stranger["blocked"]
    assert world.ZHOU_MING.id not in json.dumps(stranger)


@pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)
def test_a_cursor_works_for_its_own_list_only(house: Living, wire: Wire) -> None:
    mine, theirs = house.sign_in(world.ZHANG_LI), house.sign_in(world.LI_QIANG)
    cursor = json.loads(wire.get("/v1/me/accesses?limit=1", session=mine).content)["next_cursor"]
    assert wire.get(f"/v1/me/accesses?cursor={cursor}", session=mine).status_code == 200
    assert wire.get(f"/v1/me/accesses?cursor={cursor}", session=theirs).status_code == 422
    turned = ("A" if cursor[0] != "A" else "B") + cursor[1:]
    assert wire.get(f"/v1/me/accesses?cursor={cursor}A", session=mine).status_code == 422
    assert wire.get(f"/v1/me/accesses?cursor={turned}", session=mine).status_code == 422


@pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)
def test_nobody_withdraws_the_consent_of_another(house: Living, wire: Wire) -> None:
    consent = consent_of(house, world.GRANDMOTHER, "service.health")
    for person in (world.LI_QIANG, world.ZHOU_MING, world.XIAO_MAN):
        session = house.sign_in(person)
        headers = {"content-type": "application/json", "cookie": f"governance_session={session}"}
        answer = wire.call("POST", f"/v1/me/consents/{consent}/withdraw", content=b"{}", headers=headers)
        assert answer.status_code == 404
    ask = {
        "subject": {"type": "member", "id": world.GRANDMOTHER.id},
        "fields": ["blood_pressure"],
        "purpose": "service.health",
        "on_behalf_of": world.DOCTOR_CHEN.id,
    }
    assert wire.post("/v1/reads", ask, key=house.key(world.CRM)).status_code == 200


@pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)
def test_a_withdrawal_needs_no_body_at_all(house: Living, wire: Wire) -> None:
    session = house.sign_in(world.ZHANG_LI)
    mine = json.loads(wire.get("/v1/me/consents", session=session).content)["data"]
    path = f"/v1/me/consents/{mine[0]['consent_id']}/withdraw"
    answer = wire.call("POST", path, content=b"", headers={"cookie": f"governance_session={session}"})
    assert answer.status_code == 200
    assert json.loads(answer.content)["status"] == "withdrawn"
