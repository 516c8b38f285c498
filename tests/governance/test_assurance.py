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

from audit.sequencing import Recorded
from governance import world
from governance.asking import Answer, Reply, Unrecorded
from governance.logbook import NotAssuredError, _Turns
from policies.archive import pack
from policies.book import load_book, packaged_rules
from policies.terms import Assurance, Effect, FieldName

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
