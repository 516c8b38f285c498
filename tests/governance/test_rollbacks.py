"""A database is put back from a backup: two officers accept it, and nothing about it is silent afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from living import MINUTE, Living
from rights_story import erase, left_of
from rollback_story import FIRST, CrashError, Restored, crash_at, grow, restored_from

from audit import ledger, rotation
from audit.checkpoint import Signer, open_checkpoint
from audit.entry import Kind
from audit.lockstore import LockStore, LockStoreError
from audit.publishing import Standing
from audit.verdicts import Exit
from governance import world
from governance.__main__ import main
from governance.lostnotes import LostNotes
from governance.rollbacks import NotAcceptableError, NotEntitledError, Step
from governance.starting import StartError
from governance.wiring import assemble
from policies.terms import ActorId

AGENT = ActorId(world.WANG_MIN.id)


@pytest.fixture
def restore(house: Living) -> Iterator[Callable[..., Restored]]:
    made: list[Restored] = []

    def back(since: Callable[[Living], object] = lambda house: grow(house, 5)) -> Restored:
        made.append(restored_from(house, since))
        return made[-1]

    yield back
    for one in made:
        one.close()


def lock_note(one: Restored) -> str:
    return LockStore(one.settings.lock_store).body()


def test_two_officers_accept_and_the_service_starts_on_a_log_that_says_so(
    restore: Callable[..., Restored],
) -> None:
    one = restore()
    old = lock_note(one)
    with pytest.raises(StartError, match="accept-rollback"):
        assemble(one.settings)
    proposed = one.decide(FIRST)
    assert (proposed.step, proposed.lost, lock_note(one)) == (Step.PROPOSED, one.signed, old)
    with pytest.raises(StartError):
        assemble(one.settings)
    told = one.decide(one.second)
    assert (told.step, told.rollback.proposal.size, told.lost) == (Step.ACCEPTED, one.kept, one.signed)
    again = one.served()
    first, second = again.log()[one.kept : one.kept + 2]
    assert [(x.act, x.kind, x.actor.party.id) for x in (first, second)] == [
        ("log.rollback_proposed", Kind.AUDIT, FIRST),
        ("log.rollback_accepted", Kind.AUDIT, one.second),
    ]
    signed = open_checkpoint(old, again.service.log.checkpoints.known_keys())
    assert second.resource == f"{signed.size} {signed.root.hex()}"
    assert second.n == one.signed - one.kept
    assert (first.corr, first.resource) == (second.corr, second.resource)
    assert "断电" not in str(again.log())
    (given_up,) = one.history().given_up
    assert given_up[:4] == (one.kept, one.signed, FIRST, one.second)
    assert given_up.genuine
    assert given_up.done
    assert one.history().exit is Exit.OK
    grow(again, 9)  # beyond the size that was lost
    assert again.verified() == again.size()
    with pytest.raises(NotAcceptableError, match="nothing to accept"):
        one.decide(FIRST)


def test_what_was_signed_and_why_it_was_given_up_is_kept_beside_the_lock_store(
    restore: Callable[..., Restored],
) -> None:
    one = restore()
    old = lock_note(one)
    one.accept()
    path = one.settings.home / "checkpoint.lost"
    assert path.stat().st_mode & 0o777 == 0o600
    (kept,) = LostNotes(path).all()
    assert (kept.proposal.note, kept.proposal.reason) == (old, "机房断电，恢复到昨夜的备份")


def test_nobody_accepts_alone(restore: Callable[..., Restored]) -> None:
    one = restore()
    one.decide(FIRST)
    for _ in range(2):
        with pytest.raises(NotEntitledError, match="another officer"):
            one.decide(FIRST)
    assert one.checkpoints().examine() is Standing.ROLLBACK


@pytest.mark.parametrize("by", [AGENT, ActorId(world.CRM.id), ActorId("stf_nobody"), ActorId("")])
def test_only_officers_propose_and_accept(restore: Callable[..., Restored], by: ActorId) -> None:
    one = restore()
    with pytest.raises(NotEntitledError):
        one.decide(by)
    assert not one.settings.lost_notes.exists()
    one.decide(FIRST)
    with pytest.raises(NotEntitledError):
        one.decide(by)
    assert one.checkpoints().examine() is Standing.ROLLBACK


def test_an_officer_who_left_meanwhile_neither_accepts_nor_has_proposed(
    restore: Callable[..., Restored],
) -> None:
    one = restore()
    one.decide(FIRST)
    one.run(f"UPDATE actor SET state = 'ended' WHERE id = '{FIRST}'")
    with pytest.raises(NotEntitledError):
        one.decide(one.second)
    assert one.checkpoints().examine() is Standing.ROLLBACK


def test_who_was_erased_since_the_backup_is_erased_before_anything_serves(
    restore: Callable[..., Restored],
) -> None:
    one = restore(lambda house: (grow(house, 5), erase(house)))
    assert one.run(f"SELECT state FROM subject WHERE id = '{world.ZHANG_LI.id}'") != [("erased",)]
    assert one.accept().erased == 1
    assert one.run(f"SELECT state FROM subject WHERE id = '{world.ZHANG_LI.id}'") == [("erased",)]
    again = one.served()
    assert set(left_of(again, world.ZHANG_LI).values()) == {0}
    acts = [entry.act for entry in again.log()[one.kept :]]
    assert acts[:3] == ["log.rollback_proposed", "log.rollback_accepted", "subject.erased"]


@pytest.mark.parametrize("lost", [1, 5], ids=["one entry lost", "five lost"])
@pytest.mark.parametrize(
    "point",
    [
        "before the acceptance",
        "accepted",
        "the entries are not committed",
        "the entries are committed",
        "erased again",
        "before the swap",
        "swapped",
    ],
)
def test_an_acceptance_that_a_crash_cut_off_is_finished_by_the_same_command(
    restore: Callable[..., Restored], point: str, lost: int
) -> None:
    one = restore(lambda house: grow(house, lost))
    one.decide(FIRST)
    with pytest.MonkeyPatch.context() as patched:
        desk = one.desk()
        crash_at(patched, desk, point)
        with pytest.raises(CrashError):
            desk.decide(one.second, "r", one.house.clock())
    if point != "swapped":
        with pytest.raises(StartError):
            assemble(one.settings)
        one.house.clock.advance(MINUTE)
        assert one.decide(one.second).step is Step.ACCEPTED
    again = one.served()
    again.service.log.checkpoints.publish(again.clock())
    assert again.verified() == again.size()
    acts = [entry.act for entry in again.log()[one.kept :]]
    assert acts == ["log.rollback_proposed", "log.rollback_accepted"]
    assert [(x.done, x.genuine) for x in one.history().given_up] == [(True, True)]


def test_a_cut_off_acceptance_is_told_as_such(restore: Callable[..., Restored]) -> None:
    one = restore()
    one.decide(FIRST)
    with pytest.MonkeyPatch.context() as patched:
        desk = one.desk()
        crash_at(patched, desk, "erased again")
        with pytest.raises(CrashError):
            desk.decide(one.second, "r", one.house.clock())
    (given_up,) = one.history().given_up
    assert not given_up.done
    assert any("cut off" in line for line in one.history().lines())


def test_another_backup_put_back_meanwhile_is_proposed_anew(restore: Callable[..., Restored]) -> None:
    one = restore()
    one.decide(FIRST)
    database = one.database()
    with database.transaction() as tx:
        key = Signer("other.example/log", b"\x01" * 32).key
        ledger.append(tx, [rotation.entry_for(key, key, one.house.clock())])
        tx.commit()
    assert one.decide(one.second).step is Step.PROPOSED
    assert one.decide(FIRST).step is Step.ACCEPTED


def test_an_acceptance_does_not_hold_for_another_database_than_the_one_accepted(
    restore: Callable[..., Restored],
) -> None:
    one = restore()
    one.decide(FIRST)
    with pytest.MonkeyPatch.context() as patched:
        desk = one.desk()
        crash_at(patched, desk, "accepted")
        with pytest.raises(CrashError):
            desk.decide(one.second, "r", one.house.clock())
    with one.database().transaction() as tx:
        key = Signer("other.example/log", b"\x01" * 32).key
        ledger.append(tx, [rotation.entry_for(key, key, one.house.clock())])
        tx.commit()
    assert one.decide(one.second).step is Step.PROPOSED
    assert one.checkpoints().examine() is Standing.ROLLBACK


def test_a_fork_is_never_accepted(restore: Callable[..., Restored]) -> None:
    one = restore()
    with one.database().transaction() as tx:
        key = Signer("other.example/log", b"\x02" * 32).key
        ledger.append(tx, [rotation.entry_for(key, key, one.house.clock()) for _ in range(9)])
        tx.commit()
    assert one.checkpoints().examine() is Standing.FORK
    for by in (FIRST, one.second):
        with pytest.raises(NotAcceptableError, match="forked"):
            one.decide(by)
    assert not one.settings.lost_notes.exists()


@pytest.mark.parametrize("what", ["an entry was altered", "an entry was removed", "a copy was altered"])
def test_a_restored_log_that_was_altered_is_not_accepted(restore: Callable[..., Restored], what: str) -> None:
    one = restore()
    off = "DROP TRIGGER {0}" if one.settings.on_sqlite else "ALTER TABLE audit_entry DISABLE TRIGGER ALL"
    for name in ("audit_entry_no_update", "audit_entry_no_delete"):
        one.run(off.format(name))
    one.run(
        {
            "an entry was altered": "UPDATE audit_entry SET leaf = (SELECT leaf FROM audit_entry WHERE"
            " leaf_index = 3) WHERE leaf_index = 2",
            "an entry was removed": "DELETE FROM audit_entry WHERE leaf_index = 2",
            "a copy was altered": "UPDATE audit_entry SET act = 'share.given' WHERE leaf_index = 2",
        }[what]
    )
    with pytest.raises(NotAcceptableError, match="altered"):
        one.decide(FIRST)
    assert not one.settings.lost_notes.exists()


def test_a_backup_from_before_a_change_of_keys_cannot_be_signed_and_is_refused(
    restore: Callable[..., Restored],
) -> None:
    one = restore(lambda house: (grow(house, 5), house.service.log.checkpoints.rotate(house.clock())))
    with pytest.raises(NotAcceptableError, match="key was replaced"):
        one.decide(FIRST)


def test_a_reported_loss_whose_note_is_gone_makes_the_check_incomplete(
    restore: Callable[..., Restored],
) -> None:
    one = restore()
    one.accept()
    one.settings.lost_notes.unlink()
    assert one.history().exit is Exit.INCOMPLETE
    assert one.history().unexplained == (one.kept + 1,)


def test_a_changed_record_of_what_was_given_up_is_found(restore: Callable[..., Restored]) -> None:
    one = restore()
    one.accept()
    path: Path = one.settings.lost_notes
    path.write_text(path.read_text().replace(FIRST, one.second, 1))
    with pytest.raises(LockStoreError, match="damaged"):
        one.history()


def test_the_command_proposes_accepts_and_verify_never_forgets(
    restore: Callable[..., Restored], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one = restore()
    monkeypatch.setenv("GOVERNANCE_HOME", str(one.settings.home))
    monkeypatch.setenv("GOVERNANCE_DATABASE_URL", one.settings.database_url)
    words = ["audit", "accept-rollback", "--reason", "a disk {broke}", "--json", "--by"]
    assert main(["audit", "verify"]) == 2
    assert main([*words[:3], " ", "--by", FIRST]) == 2
    assert main([*words, AGENT]) == 3
    capsys.readouterr()
    assert main([*words, FIRST]) == 0
    assert json.loads(capsys.readouterr().out)["step"] == "proposed"
    assert main([*words, FIRST]) == 3
    capsys.readouterr()
    assert main([*words, one.second]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["step"], told["lost"]) == ("accepted", {"first": one.kept, "end": one.signed})
    assert main(["audit", "verify"]) == 0
    said = capsys.readouterr().out
    assert "rolled back once, accepted by two officers\n" in said
    assert f"lost from {one.kept} on" in said
    assert "but see ⚠ above" in said
    assert main(["audit", "verify", "--json"]) == 0
    assert [x["first"] for x in json.loads(capsys.readouterr().out)["rollbacks"]] == [one.kept]
    assert main([*words, FIRST]) == 1
