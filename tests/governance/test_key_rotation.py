"""Another key signs the log: a stranger can follow, a crash is mended, and the old key is done."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from living import MINUTE, Living
from sqlalchemy import text

from audit import checkpoint, ledger, rotation
from audit.checkpoint import Signer, sign
from audit.lockstore import LockStore
from audit.note import Checkpoint, Key, NoteError, parse, parse_key
from audit.publishing import NotPublishedError, Standing
from audit.verdicts import Exit, What
from governance.__main__ import main
from governance.checkpoints import Checkpoints
from governance.starting import StartError
from governance.wiring import assemble
from redaction.keys import KeyRing
from redaction.logkeys import KeyRingError, LogKeys


class CrashError(Exception):
    pass


class Failing:
    """The ring, in a process that dies before or after one of its steps."""

    def __init__(self, ring: KeyRing, step: str, *, done: bool) -> None:
        self._ring, self._step, self._done = ring, step, done

    def log_keys(self) -> LogKeys:
        return self._ring.log_keys()

    def prepare_rotation(self, since: int) -> LogKeys:
        return self._do("prepare", lambda: self._ring.prepare_rotation(since))

    def finish_rotation(self, last: int) -> LogKeys:
        return self._do("finish", lambda: self._ring.finish_rotation(last))

    def _do(self, step: str, work: Callable[[], LogKeys]) -> LogKeys:
        if step != self._step:
            return work()
        if self._done:
            work()
        raise CrashError


def desk(house: Living) -> Checkpoints:
    return house.service.log.checkpoints


def grow(house: Living) -> int:
    """Add an entry; return the size."""
    with house.service.database.transaction() as tx:
        key = Signer("other.example/log", b"\x01" * 32).key
        ledger.append(tx, [rotation.entry_for(key, key, house.clock())])
        tx.commit()
    return house.size()


def published(house: Living) -> str:
    return LockStore(house.settings.lock_store).body()


def signed_by(note: str, *keys: Key) -> list[str]:
    try:
        return [one.key_id.hex() for one in checkpoint.open_note(note, keys).verified]
    except NoteError:
        return []


def put_outside(house: Living, note: str) -> None:
    assert LockStore(house.settings.lock_store).swap(published(house), note)


def test_the_first_checkpoint_after_a_rotation_bears_both_signatures_and_the_next_the_new_one(
    house: Living,
) -> None:
    (before,) = desk(house).known_keys()
    old, new, size = desk(house).rotate(house.clock())
    assert old.text == before.text
    assert signed_by(published(house), old, new) == [old.id.hex(), new.id.hex()]
    assert size == house.size()
    grow(house)
    desk(house).publish(house.clock())
    assert signed_by(published(house), old, new) == [new.id.hex()]
    entry = house.log()[size - 1]
    assert (entry.act, entry.resource) == ("log.key_rotated", f"{old.text} {new.text}")
    assert [(one.text, one.first, one.last) for one in desk(house).known_keys()] == [
        (old.text, 0, size - 1),
        (new.text, size, None),
    ]


def test_a_history_of_three_keys_verifies_and_starts(house: Living) -> None:
    keys = []
    for _ in range(2):
        grow(house)
        desk(house).publish(house.clock())
        keys.append(desk(house).rotate(house.clock())[1])
        grow(house)
    desk(house).publish(house.clock())
    assert desk(house).examine() is Standing.OK
    assert house.verified() == house.size()
    assert [one.text for one in desk(house).known_keys()][1:] == [one.text for one in keys]
    assemble(house.settings).close()


def test_an_old_key_that_signs_after_the_rotation_is_refused(house: Living) -> None:
    seed = house.service.ring.log_keys().current
    desk(house).publish(house.clock())
    old, _, _ = desk(house).rotate(house.clock())
    size = grow(house)
    with house.service.database.reading() as tx:
        head = ledger.head(tx)
    note = sign(Signer(head.origin, seed), Checkpoint(head.origin, size, head.root))
    put_outside(house, note)
    assert desk(house).examine() is Standing.FORGED
    report = desk(house).verify()
    assert (report.exit, report.findings[0].what) == (Exit.UNSIGNED, What.FORGED)
    with pytest.raises(NotPublishedError):
        desk(house).publish(house.clock())
    with pytest.raises(StartError, match="forged"):
        assemble(house.settings)
    assert signed_by(note, old) == [old.id.hex()]


def test_the_old_key_alone_does_not_sign_the_checkpoint_of_the_rotation(house: Living) -> None:
    seed = house.service.ring.log_keys().current
    desk(house).rotate(house.clock())
    shown = parse(published(house)).text
    put_outside(house, Signer(desk(house).known_keys()[0].name, seed).sign(shown))
    assert desk(house).examine() is Standing.FORGED


def test_the_new_key_does_not_vouch_for_what_came_before(house: Living) -> None:
    desk(house).publish(house.clock())
    earlier = parse(published(house)).text
    desk(house).rotate(house.clock())
    put_outside(
        house, Signer(desk(house).known_keys()[0].name, house.service.ring.log_keys().current).sign(earlier)
    )
    assert desk(house).examine() is Standing.FORGED


@pytest.mark.parametrize("step", ["prepare", "finish"])
@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
def test_a_rotation_that_a_crash_cut_off_is_taken_up_where_it_stopped(
    house: Living, step: str, done: bool
) -> None:
    desk(house).publish(house.clock())
    (before,) = desk(house).known_keys()
    cut = Checkpoints(
        house.service.database, Failing(house.service.ring, step, done=done), house.settings.lock_store
    )
    with pytest.raises(CrashError):
        cut.rotate(house.clock())
    assert desk(house).examine() is Standing.OK
    grow(house)
    desk(house).publish(house.clock() + MINUTE)  # a serving process goes on meanwhile
    assert house.verified() == house.size()
    rotated = [one for one in house.log() if one.resource.startswith(before.text)]
    if step == "finish":
        # All was said: the serving process let the new key take over, and there is nothing to take up.
        assert [one.last for one in desk(house).known_keys()] == [house.log().index(rotated[0]), None]
    else:
        assert rotated == []
        old, _, _ = desk(house).rotate(house.clock() + MINUTE)
        assert old.text == before.text
    assert len([one for one in house.log() if one.resource.startswith(before.text)]) == 1
    assert house.service.ring.log_keys().coming is None
    assert house.verified() == house.size()


def test_a_crash_after_the_entry_leaves_the_next_process_to_sign_with_both(house: Living) -> None:
    ring, size = house.service.ring, desk(house).publish(house.clock())
    coming = ring.prepare_rotation(size).coming
    assert coming is not None
    grow(house)
    desk(house).publish(house.clock())  # the entry is not there yet: the old key signs
    origin = desk(house).known_keys()[0].name
    old, new = Signer(origin, ring.log_keys().current).key, Signer(origin, coming.seed).key
    assert signed_by(published(house), old, new) == [old.id.hex()]
    with house.service.database.transaction() as tx:
        ledger.append(tx, [rotation.entry_for(old, new, house.clock())])
        tx.commit()
    assert desk(house).examine() is Standing.OK
    desk(house).publish(house.clock())
    assert signed_by(published(house), old, new) == [old.id.hex(), new.id.hex()]
    assert house.verified() == house.size()


def test_the_old_key_alone_signs_nothing_beyond_the_entry_while_the_new_one_is_still_coming(
    house: Living,
) -> None:
    ring = house.service.ring
    coming = ring.prepare_rotation(desk(house).publish(house.clock())).coming
    assert coming is not None
    with house.service.database.transaction() as tx:
        origin = ledger.head(tx).origin
        old = Signer(origin, ring.log_keys().current)
        ledger.append(tx, [rotation.entry_for(old.key, Signer(origin, coming.seed).key, house.clock())])
        head = ledger.head(tx)
        tx.commit()
    put_outside(house, sign(old, Checkpoint(origin, head.size, head.root)))
    assert desk(house).examine() is Standing.FORGED
    with pytest.raises(NotPublishedError):
        desk(house).publish(house.clock())
    assert desk(house).verify().exit is Exit.UNSIGNED


def test_a_crash_between_the_note_outside_and_its_copy_is_mended(house: Living) -> None:
    desk(house).rotate(house.clock())
    note, size = published(house), house.size()
    house.sql(
        "DROP TRIGGER audit_checkpoint_no_delete"
        if house.settings.on_sqlite
        else "ALTER TABLE audit_checkpoint DISABLE TRIGGER ALL",
        f"DELETE FROM audit_checkpoint WHERE size = {size}",
    )
    assert desk(house).examine() is Standing.OK
    desk(house).publish(house.clock())
    with house.service.database.reading() as tx:
        rows = tx.rows(text("SELECT note FROM audit_checkpoint WHERE size = :size"), {"size": size})
    assert [row[0] for row in rows] == [note]


def test_a_key_ring_from_before_the_rotation_signs_and_starts_nothing(house: Living) -> None:
    path = house.settings.key_ring
    before = path.read_bytes()
    desk(house).rotate(house.clock())
    path.write_bytes(before)
    assert desk(house).examine() is Standing.FORGED
    grow(house)
    with pytest.raises(NotPublishedError):
        desk(house).publish(house.clock())


def test_an_entry_that_names_another_key_rotates_nothing(house: Living) -> None:
    size = desk(house).publish(house.clock())
    house.service.ring.prepare_rotation(size)
    (old,) = desk(house).known_keys()
    with house.service.database.transaction() as tx:
        stranger = Signer(old.name, b"\x05" * 32).key
        ledger.append(tx, [rotation.entry_for(old, stranger, house.clock())])
        tx.commit()
    desk(house).publish(house.clock())
    assert signed_by(published(house), old) == [old.id.hex()]
    assert len(desk(house).known_keys()) == 1


# --- the ring


def test_receipts_keep_their_keys_and_the_old_log_key_is_gone(house: Living) -> None:
    ring, path = house.service.ring, house.settings.key_ring
    kept, seed = (ring.receipt_key, ring.receipt_names_key), json.loads(path.read_text())["log_key"]
    desk(house).rotate(house.clock())
    now = KeyRing.load(path)
    assert (now.receipt_key, now.receipt_names_key) == kept
    assert now.log_key != ring.log_key
    assert seed not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_text())["format"] == 2  # an older program does not take it for its own


def test_each_step_of_the_ring_can_be_repeated(tmp_path: Path) -> None:
    ring = KeyRing.create(tmp_path / "keys.json", "household")
    first = ring.prepare_rotation(5)
    assert ring.prepare_rotation(9) == first
    taken = ring.finish_rotation(7)
    assert ring.finish_rotation(8) == taken
    assert taken.retired[0].last == 7
    assert ring.log_keys() == taken == KeyRing.load(tmp_path / "keys.json").log
    assert sorted(one.name for one in tmp_path.iterdir()) == ["keys.json"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"last": 7', '"last": -1'),
        ('"last": 7', '"last": "7"'),
        ('"retired"', '"others"'),
        ('"public": "', '"public": "AA'),
    ],
)
def test_a_damaged_history_of_keys_stops_the_start(tmp_path: Path, old: str, new: str) -> None:
    path = tmp_path / "keys.json"
    ring = KeyRing.create(path, "household")
    ring.prepare_rotation(5)
    ring.finish_rotation(7)
    changed = path.read_text().replace(old, new)
    assert changed != path.read_text()
    path.write_text(changed)
    with pytest.raises(KeyRingError, match="damaged"):
        KeyRing.load(path)


# --- the command


def test_the_command_tells_both_keys_and_ends_with_a_log_that_verifies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GOVERNANCE_HOME", str(tmp_path / "home"))
    assert main(["init"]) == 0
    capsys.readouterr()
    assert main(["audit", "rotate-key", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert parse_key(told["old"]) != parse_key(told["new"])
    assert main(["audit", "verify"]) == 0
