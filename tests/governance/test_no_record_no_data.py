"""No record, no data: with a log that takes nothing in, nothing comes out, and nothing is kept either."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import httpx2
import insiders
import pytest
from happenings import consent_of
from insiders import ACCEPT, REFUSE, REFUSE_AT_COMMIT
from living import Living, Wire

from audit.entry import Verdict
from governance import world
from governance.asking import Unrecorded
from governance.database import UnreachableError
from governance.gate import Gate
from governance.vault import Vault
from policies.reasons import Reason

TEXT = "【张家小铺】周末绘本八折，拒收请回复R"
READ: Mapping[str, Any] = {
    "subject": {"type": "member", "id": world.ZHANG_LI.id},
    "fields": ["name", "mobile"],
    "purpose": "service.delivery",
    "on_behalf_of": world.WANG_MIN.id,
}
both_ways = pytest.mark.parametrize("refuse", [REFUSE, REFUSE_AT_COMMIT], ids=["at once", "at the commit"])


def read_of(person: world.Person, field: str, who: str, purpose: str) -> dict[str, Any]:
    subject = {"type": "member", "id": person.id}
    return {"subject": subject, "fields": [field], "purpose": purpose, "on_behalf_of": who}


def message_to(*people: world.Person) -> dict[str, Any]:
    return {
        "sender": world.SENDER.id,
        "channel": "sms",
        "purpose": "marketing.direct",
        "text": TEXT,
        "recipients": [person.id for person in people],
    }


def cannot_record(answer: httpx2.Response) -> bool:
    body = json.loads(answer.content)
    told = set(body) == {"type", "title", "status", "detail", "instance", "code"}
    return told and answer.status_code == 503 and body["code"] == "cannot_record"


def values_in(text: str) -> list[str]:
    people = (*world.HOMES, *(person for home in world.HOMES for person in home.members))
    return [value for person in people for value in person.values.values() if value in text]


@both_ways
def test_a_read_that_cannot_be_recorded_opens_nothing(
    refuse: Mapping[str, tuple[str, ...]], house: Living, wire: Wire
) -> None:
    opened = insiders.count_openings(house)
    before = house.verified()
    house.sql(*refuse[house.engine])
    key = house.key(world.CRM)
    document = {"document": {"n": "x"}, "mapping": {"$.n": "name"}}
    filtered = {name: part for name, part in READ.items() if name != "fields"} | document
    asks = {"/v1/reads": READ, "/v1/checks": {"checks": [READ, READ]}, "/v1/filters": filtered}
    for path, body in asks.items():
        answer = wire.post(path, body, key=key)
        assert cannot_record(answer)
        assert answer.headers["retry-after"] == "1"
        assert values_in(answer.text) == []
    assert opened == []
    assert house.verified() == before
    # The near miss: the same ask as soon as the log takes entries again.
    house.sql(*ACCEPT[house.engine])
    assert wire.post("/v1/reads", READ, key=key).status_code == 200
    assert opened == ["name", "mobile"]
    assert house.verified() == before + 1


@both_ways
def test_values_that_cannot_be_recorded_are_not_stored(
    refuse: Mapping[str, tuple[str, ...]], house: Living, wire: Wire
) -> None:
    tables = ("cell", "data_key", "index_token", "subject")
    kept = [house.sql(f"SELECT * FROM {table}") for table in tables]
    house.sql(*refuse[house.engine])
    body = {
        "values": {"mobile": "15400009999", "allergies": "花生"},
        "purpose": "account.manage",
        "on_behalf_of": world.ZHANG_LI.id,
    }
    answer = wire.put(f"/v1/members/{world.ZHANG_LI.id}/fields", body, key=house.key(world.CRM))
    assert cannot_record(answer)
    assert [house.sql(f"SELECT * FROM {table}") for table in tables] == kept


@both_ways
def test_a_message_that_cannot_be_recorded_gets_no_permit_and_takes_no_slot(
    refuse: Mapping[str, tuple[str, ...]], house: Living, wire: Wire
) -> None:
    sent = wire.post("/v1/messages", message_to(world.ZHANG_LI), key=house.key(world.SENDER))
    permit = json.loads(sent.content)["recipients"][0]["permit"]
    tables = ("send_slot", "message", "review", "permit_use")
    kept = [house.sql(f"SELECT * FROM {table}") for table in tables]
    house.sql(*refuse[house.engine])
    answer = wire.post(
        "/v1/messages", message_to(world.ZHANG_LI, world.LI_QIANG), key=house.key(world.SENDER)
    )
    assert cannot_record(answer)
    use = {"permit": permit, "text": TEXT, "recipient": world.ZHANG_LI.id, "channel": "sms"}
    assert cannot_record(wire.post("/v1/permits/verify", use, key=house.key(world.GATEWAY)))
    assert [house.sql(f"SELECT * FROM {table}") for table in tables] == kept
    house.sql(*ACCEPT[house.engine])
    valid = wire.post("/v1/permits/verify", use, key=house.key(world.GATEWAY))
    assert json.loads(valid.content) == {"valid": True}


@both_ways
def test_a_withdrawal_that_cannot_be_recorded_is_not_claimed_to_be_done(
    refuse: Mapping[str, tuple[str, ...]], house: Living, wire: Wire
) -> None:
    consent = consent_of(house, world.GRANDMOTHER, "family.care")
    session = house.sign_in(world.GRANDMOTHER)
    care = read_of(world.GRANDMOTHER, "blood_pressure", world.ZHANG_LI.id, "family.care")
    house.sql(*refuse[house.engine])
    path = f"/v1/me/consents/{consent}/withdraw"
    headers = {"content-type": "application/json", "cookie": f"governance_session={session}"}
    assert cannot_record(wire.call("POST", path, content=b"{}", headers=headers))
    house.sql(*ACCEPT[house.engine])
    assert wire.post("/v1/reads", care, key=house.key(world.CRM)).status_code == 200
    assert wire.call("POST", path, content=b"{}", headers=headers).status_code == 200
    assert wire.post("/v1/reads", care, key=house.key(world.CRM)).status_code == 403


@both_ways
def test_an_officer_reads_no_log_that_does_not_take_the_reading_in(
    refuse: Mapping[str, tuple[str, ...]], house: Living, wire: Wire
) -> None:
    session = house.sign_in(world.OFFICER)
    assert wire.get("/console/decisions", session=session).status_code == 200
    house.sql(*refuse[house.engine])
    answer = wire.get("/console/decisions", session=session)
    assert answer.status_code == 503
    assert world.CRM.label not in answer.text


def _neighbours(house: Living, wire: Wire, *bodies: Mapping[str, Any]) -> list[httpx2.Response]:
    headers = {"content-type": "application/json", "authorization": f"Bearer {house.key(world.CRM)}"}
    calls = (("POST", "/v1/reads", {"content": json.dumps(body), "headers": headers}) for body in bodies)
    return wire.together(calls)


PRESSURE = read_of(world.GRANDMOTHER, "blood_pressure", world.ZHANG_LI.id, "family.care")
NAME = read_of(world.LI_QIANG, "name", world.ZHANG_LI.id, "family.care")


@pytest.mark.parametrize("place", [-1, 40, 0, 3], ids=["tag", "ciphertext", "version", "key id"])
def test_a_cell_that_does_not_open_breaks_its_own_read_and_no_other(
    place: int, house: Living, wire: Wire
) -> None:
    insiders.flip(house, world.GRANDMOTHER.id, "blood_pressure", place)
    before = house.verified()
    good, broken, other = _neighbours(house, wire, NAME, PRESSURE, NAME)
    assert (good.status_code, broken.status_code, other.status_code) == (200, 500, 200)
    body = json.loads(broken.content)
    assert set(body) == {"type", "title", "status", "detail", "instance", "code"}
    assert body["code"] == "internal"
    assert values_in(broken.text) == []
    # The decision stands in the log, and after it that what it allowed did not open.
    failed = [entry for entry in house.log()[before:] if entry.act == "read.failed"]
    (entry,) = failed
    allowed = next(one for one in house.log() if one.decision == entry.corr and one.act == "read")
    assert (entry.dec, allowed.dec) == (Verdict.ERROR, Verdict.PERMIT)
    assert entry.subjects == allowed.subjects


def test_cells_that_were_swapped_between_members_do_not_open(house: Living, wire: Wire) -> None:
    mine, theirs = (insiders.cell(house, one.id, "name") for one in (world.LI_QIANG, world.ZHANG_LI))
    insiders.put_cell(house, world.LI_QIANG.id, "name", theirs)
    insiders.put_cell(house, world.ZHANG_LI.id, "name", mine)
    swapped = _neighbours(house, wire, NAME)[0]
    assert (swapped.status_code, values_in(swapped.text)) == (500, [])


def test_a_cell_that_was_moved_to_another_field_of_the_same_person_does_not_open(
    house: Living, wire: Wire
) -> None:
    insiders.put_cell(
        house, world.GRANDMOTHER.id, "blood_pressure", insiders.cell(house, world.GRANDMOTHER.id, "id_card")
    )
    assert _neighbours(house, wire, PRESSURE)[0].status_code == 500


def test_an_age_that_cannot_be_read_hides_everything_of_its_person_and_is_recorded(
    house: Living, wire: Wire
) -> None:
    insiders.flip(house, world.GRANDMOTHER.id, "@age")
    opened = insiders.count_openings(house)
    before = house.verified()
    hidden, good = _neighbours(house, wire, PRESSURE, NAME)
    assert (hidden.status_code, good.status_code) == (403, 200)
    field = json.loads(hidden.content)["fields"][0]
    assert (field["effect"], field["reasons"][0]["code"]) == ("hide", Reason.FACTS_UNAVAILABLE.value)
    assert opened == ["name"]
    decided = {entry.dec for entry in house.log()[before:]}
    assert decided == {Verdict.REFUSE, Verdict.PERMIT}
    write = {"values": {"name": "王"}, "purpose": "account.manage", "on_behalf_of": world.GRANDMOTHER.id}
    path = f"/v1/members/{world.GRANDMOTHER.id}/fields"
    assert wire.put(path, write, key=house.key(world.CRM)).status_code == 403
    sent = wire.post("/v1/messages", message_to(world.GRANDMOTHER), key=house.key(world.SENDER))
    told = json.loads(sent.content)["recipients"][0]
    assert (told["outcome"], told["reasons"][0]["code"]) == ("refuse", "facts_unavailable")


def test_a_relation_that_a_newer_version_wrote_denies_and_leaves_the_neighbours_alone(
    house: Living, wire: Wire
) -> None:
    house.sql(
        "INSERT INTO relation (subject_id, actor_id, relation, role, starts_at) VALUES"
        f" ('{world.GRANDMOTHER.id}', '{world.ZHANG_LI.id}', 'estranged', 'adult_member', 0)"
    )
    before = house.verified()
    denied, good = _neighbours(house, wire, PRESSURE, NAME)
    assert (denied.status_code, good.status_code) == (404, 200)
    assert house.verified() == before + 2


def test_a_subject_of_a_kind_that_nobody_knows_leaves_the_neighbours_alone(house: Living, wire: Wire) -> None:
    house.sql(f"UPDATE subject SET kind = 'guild' WHERE id = '{world.GRANDMOTHER.id}'")
    before = house.verified()
    broken, good = _neighbours(house, wire, PRESSURE, NAME)
    assert (broken.status_code, good.status_code) == (500, 200)
    # On PostgreSQL the two may fly in either order.
    assert sorted(entry.act for entry in house.log()[before:]) == ["read", "read.failed"]


@pytest.mark.parametrize("seeded_copy", ["postgres"], indirect=True)
def test_a_database_that_hangs_up_costs_some_503s_and_no_restart(house: Living, wire: Wire) -> None:
    key = house.key(world.CRM)
    assert wire.post("/v1/reads", READ, key=key).status_code == 200
    others = "datname = current_database() AND pid <> pg_backend_pid()"
    house.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")
    # The first call after the cut meets a dead connection, whichever route it takes.
    first = wire.get("/readyz")
    assert first.status_code == 200 or json.loads(first.content)["code"] == "cannot_record"
    for _ in range(30):
        answer = wire.post("/v1/reads", READ, key=key)
        if answer.status_code == 200:
            break
        assert cannot_record(answer)
    assert answer.status_code == 200
    house.verified()


@pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)
def test_a_database_that_is_away_is_waited_for_once_and_not_once_for_each_ask(house: Living) -> None:
    class Away:
        asked = 0

        def transaction(self) -> None:
            self.asked += 1
            raise UnreachableError("away")

    away = Away()
    gate = Gate(away, house.service.keeper, Vault(), None, None, None)
    assert gate.read([None] * 64, 0) == [Unrecorded()] * 64
    assert away.asked == 1
