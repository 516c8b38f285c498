"""How sure an entry must be before anything is revealed: by category, and nothing is revealed in vain."""

from __future__ import annotations

import asyncio
import shutil
import threading
from pathlib import Path
from typing import Any

import httpx2
import pytest
from happenings import reading
from living import Living, Wire
from logbreaking import Insider

from audit.sequencing import Recorded
from governance import checkpoints, gate, world
from governance.acting import On
from governance.asking import Answer, Reply, Unrecorded
from governance.exporting import export
from governance.grounds import FieldDecision
from governance.identity import Caller
from governance.logbook import NotAssuredError, _Turns
from policies.archive import pack
from policies.book import load_book, packaged_rules
from policies.identifiers import Prefix
from policies.terms import ActorId, Assurance, Effect, FieldName, SubjectId
from redaction.logkeys import KeyRingError, LogKeys

HEALTH, PLAIN = FieldName("blood_pressure"), FieldName("name")


def read(house: Living, *fields: FieldName) -> Reply:
    ask = reading(world.DOCTOR_CHEN.id, world.GRANDMOTHER.id, *fields)
    return house.service.gate.read([ask], house.clock())[0]


def signed(house: Living) -> int:
    """How many entries the newest checkpoint outside the database covers."""
    return house.service.log.checkpoints.signed()


def lose_the_lock_store(house: Living) -> Path:
    aside = house.settings.lock_store.with_suffix(".aside")
    return house.settings.lock_store.replace(aside)


def test_the_rules_say_that_health_waits_for_a_signed_checkpoint(house: Living) -> None:
    fields = house.service.rules.book.fields
    assert {fields[HEALTH].record, fields[FieldName("allergies")].record} == {Assurance.INTEGRATED}
    assert fields[PLAIN].record is Assurance.COMMITTED


def test_a_health_value_is_told_under_a_signed_checkpoint_and_others_need_none(house: Living) -> None:
    before = signed(house)
    own = reading(world.GRANDMOTHER.id, world.GRANDMOTHER.id, PLAIN, purpose="personal.access")
    plain = house.service.gate.read([own], house.clock())
    assert isinstance(plain[0], Answer)
    assert plain[0].fields[0].effect is Effect.SHOW
    assert signed(house) == before
    reply = read(house, HEALTH)
    assert isinstance(reply, Answer)
    assert reply.fields[0].effect is Effect.SHOW
    assert reply.receipt is not None
    assert signed(house) > reply.receipt


def test_without_a_signature_no_health_value_is_told_and_the_entry_stays(house: Living) -> None:
    size = house.size()
    aside = lose_the_lock_store(house)
    both = [
        reading(world.DOCTOR_CHEN.id, world.GRANDMOTHER.id, HEALTH),
        reading(world.GRANDMOTHER.id, world.GRANDMOTHER.id, PLAIN, purpose="personal.access"),
    ]
    health, plain = house.service.gate.read(both, house.clock())
    assert isinstance(health, Unrecorded)
    assert isinstance(plain, Answer)
    aside.replace(house.settings.lock_store)
    # We over-report and never under-report: the decision that told nothing is in the log.
    assert [entry.act for entry in house.log()[size:]] == ["read", "read"]
    assert isinstance(read(house, HEALTH), Answer)


def test_a_correction_is_shown_to_an_officer_under_a_signed_checkpoint_only(
    house: Living, wire: Wire
) -> None:
    wish = {"kind": "rectification", "values": {HEALTH: "150/95"}}
    cookie = f"governance_session={house.sign_in(world.GRANDMOTHER)}"
    assert wire.post("/v1/me/requests", wish, cookie=cookie).status_code == 201
    officer, before = house.sign_in(world.OFFICER), house.size()
    aside = lose_the_lock_store(house)
    refused = wire.get("/console/rights", session=officer)
    assert refused.status_code == 503
    assert "150/95" not in refused.text
    aside.replace(house.settings.lock_store)
    assert "150/95" in wire.get("/console/rights", session=officer).text
    assert signed(house) >= before + 2


def test_a_log_cut_beneath_a_running_service_vouches_for_no_health_value(house: Living) -> None:
    """What was signed before the cut says nothing of the entries that take the places of those cut off."""
    for _ in range(3):
        assert isinstance(read(house, HEALTH), Answer)
    last = house.size() - 1
    insider = Insider(house.service.database)
    insider.remove(last - 1, last)
    insider.run("DELETE FROM audit_subject WHERE leaf_index >= :first", first=last - 1)
    insider.rebuild()
    assert isinstance(read(house, HEALTH), Unrecorded)


@pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)
def test_to_admit_that_there_is_a_health_value_waits_as_well(house: Living) -> None:
    book = house.service.rules.book
    for effect in Effect:
        told = FieldDecision(HEALTH, effect, (), ())
        wanted = Assurance.COMMITTED if effect is Effect.HIDE else Assurance.INTEGRATED
        assert gate._assurance(book, [told]) is wanted


@pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)
def test_without_the_key_ring_no_health_value_is_told_until_it_is_back(house: Living) -> None:
    ring = house.service.ring.path
    assert ring is not None
    aside = ring.replace(ring.with_suffix(".aside"))
    assert isinstance(read(house, HEALTH), Unrecorded)
    aside.replace(ring)
    assert isinstance(read(house, HEALTH), Answer)


class Gone:
    """A key ring whose file cannot be read; says when it was asked again."""

    def __init__(self) -> None:
        self.asked, self.again = 0, threading.Event()

    def log_keys(self) -> LogKeys:
        self.asked += 1
        if self.asked > 1:
            self.again.set()
        raise KeyRingError

    def prepare_rotation(self, since: int) -> LogKeys:
        raise KeyRingError(since)

    def finish_rotation(self, last: int) -> LogKeys:
        raise KeyRingError(last)


@pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)
def test_signing_goes_on_after_the_key_ring_could_not_be_read(
    house: Living, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "_PERIOD_S", 0)
    ring = Gone()
    desk = checkpoints.Checkpoints(house.service.database, ring, house.settings.lock_store)

    async def signs() -> bool:
        signing = asyncio.create_task(desk.keep_publishing(house.clock))
        asked = asyncio.create_task(asyncio.to_thread(ring.again.wait, 30))
        await asyncio.wait([signing, asked], return_when=asyncio.FIRST_COMPLETED)
        goes_on = not signing.done()
        ring.again.set()
        signing.cancel()
        return goes_on and await asked

    assert asyncio.run(signs())


@pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)
def test_the_entry_of_an_export_is_signed_before_the_export_is_given(house: Living) -> None:
    on = On(Caller(ActorId(world.GRANDMOTHER.id), Prefix.MEMBER), ActorId(world.GRANDMOTHER.id), "")
    given = export(house.service, on, SubjectId(world.GRANDMOTHER.id), "en", house.clock())
    assert isinstance(given["receipt"], int)
    assert signed(house) > given["receipt"]


def test_the_wire_answers_503_and_reveals_nothing(house: Living, wire: Wire) -> None:
    lose_the_lock_store(house)
    ask: dict[str, Any] = {
        "subject": {"type": "member", "id": world.GRANDMOTHER.id},
        "fields": [HEALTH],
        "purpose": "service.health",
        "on_behalf_of": world.DOCTOR_CHEN.id,
    }
    answer = wire.post("/v1/reads", ask, key=house.key(world.CRM))
    assert (answer.status_code, answer.json()["code"]) == (503, "cannot_record")
    assert "fields" not in answer.json()


def test_witnessed_means_a_quorum_and_without_one_nothing_is_sure_enough(house: Living) -> None:
    recorded = [Recorded("aud_x", 0)]
    book = house.service.log.book
    with pytest.raises(NotAssuredError):
        book.assure(Assurance.WITNESSED, recorded)
    asked: list[int] = []

    def quorum(size: int, _seconds: float) -> bool:
        asked.append(size)
        return True

    book._quorum = quorum
    assert book.assure(Assurance.WITNESSED, recorded) == recorded
    assert asked == [1]


def test_one_run_serves_all_who_asked_before_it_began() -> None:
    started, go_on = threading.Event(), threading.Event()
    runs: list[int] = []

    def work() -> None:
        runs.append(len(runs))
        started.set()
        go_on.wait()

    turns = _Turns(work)
    first = threading.Thread(target=turns.take)
    first.start()
    started.wait()
    later = [threading.Thread(target=turns.take) for _ in range(5)]
    for thread in later:
        thread.start()
    while turns._asked < 6:
        pass
    go_on.set()
    for thread in [first, *later]:
        thread.join()
    assert runs == [0, 1]


@pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)
def test_who_waits_for_a_witness_holds_up_nobody_else(house: Living, wire: Wire, tmp_path: Path) -> None:
    """On SQLite batches run on the event loop; one that may wait for others must not."""
    rules = tmp_path / "rules"
    shutil.copytree(packaged_rules(), rules)
    fields = rules / "fields.toml"
    text = fields.read_text(encoding="utf-8")
    fields.write_text(text.replace('record = "integrated"', 'record = "witnessed"'), encoding="utf-8")
    book = load_book(rules)
    house.service.desk.establish(pack(rules), book.fingerprint, "test", house.clock())
    asked, signed_by_all = threading.Event(), threading.Event()

    def quorum(_size: int, _seconds: float) -> bool:
        asked.set()
        return signed_by_all.wait(60)

    house.service.log.book._quorum = quorum

    def ask(who: str, field: str, purpose: str) -> dict[str, Any]:
        subject = {"type": "member", "id": world.GRANDMOTHER.id}
        return {"subject": subject, "fields": [field], "purpose": purpose, "on_behalf_of": who}

    health = ask(world.DOCTOR_CHEN.id, HEALTH, "service.health")
    plain = ask(world.GRANDMOTHER.id, PLAIN, "personal.access")
    headers = {"authorization": f"Bearer {house.key(world.CRM)}"}

    async def both(client: httpx2.AsyncClient) -> tuple[int, int]:
        # The first batch under new rules learns of them; from then on it is known who might wait.
        await client.post("/v1/reads", json=plain, headers=headers)
        first = asyncio.create_task(client.post("/v1/reads", json=health, headers=headers))
        await asyncio.to_thread(asked.wait)
        second = await client.post("/v1/reads", json=plain, headers=headers)
        assert not first.done()
        signed_by_all.set()
        return (await first).status_code, second.status_code

    assert wire.run(both) == (200, 200)
