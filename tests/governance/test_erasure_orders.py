"""The list of erasures and a commit that fails: who takes the request back afterwards is never erased."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import happenings
import pytest
from living import Living
from rights_story import SECOND_OFFICER, ask, decide, left_of

from governance import postgres, sqlite, world
from governance.erasureledger import Erased, ErasureLedger, ErasureLedgerError
from governance.rightsdeciding import Step
from governance.rightsrecords import Refusal, Right, Status
from governance.wiring import assemble
from policies.identifiers import Prefix, new_id
from policies.terms import SubjectId

ZHANG_LI = SubjectId(world.ZHANG_LI.id)


class CommitLostError(Exception):
    """The database is gone in the moment of the commit."""


@contextmanager
def no_commit() -> Iterator[None]:
    """Let every commit fail, as when the disk is full or the connection is lost."""

    def lost(_transaction: object) -> None:
        raise CommitLostError

    with pytest.MonkeyPatch.context() as patch:
        for kind in (sqlite._SqliteTransaction, postgres._PostgresTransaction):
            patch.setattr(kind, "commit", lost)
        yield


def ordered_in_vain(house: Living) -> str:
    """Let an officer fulfil an erasure whose commit fails; return the request's id."""
    request = ask(house, Right.ERASURE).request.id
    with no_commit(), pytest.raises(CommitLostError):
        decide(house, request, Step.FULFIL)
    assert [one.request for one in ErasureLedger(house.settings.erasures).entries()] == [request]
    assert left_of(house, world.ZHANG_LI)["cell"] > 0
    return request


def started_again(house: Living) -> Living:
    house.service.close()
    return Living(house.settings, assemble(house.settings, clock=house.clock), house.keys, house.clock)


def revoke(house: Living, request: str) -> None:
    house.service.rights.revoke(happenings.person_acts(world.ZHANG_LI), request, house.clock())


def deny(house: Living, request: str) -> None:
    decide(house, request, Step.DENY, Refusal.NO_MATCH)
    assert decide(house, request, Step.DENY, by=SECOND_OFFICER) is Status.DENIED


@pytest.mark.parametrize("close", [revoke, deny])
def test_an_order_whose_commit_failed_dies_with_its_request(close, house: Living) -> None:
    request = ordered_in_vain(house)
    close(house, request)
    assert ErasureLedger(house.settings.erasures).orders() == {}
    again = started_again(house)
    assert left_of(again, world.ZHANG_LI)["cell"] > 0
    again.service.close()


def test_an_order_whose_commit_failed_is_carried_out_while_its_request_waits(house: Living) -> None:
    ordered_in_vain(house)
    again = started_again(house)
    assert set(left_of(again, world.ZHANG_LI).values()) == {0}
    again.service.close()


@pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)
def test_a_backup_from_before_a_revocation_does_not_bring_the_order_back(house: Living) -> None:
    request = ordered_in_vain(house)
    house.service.log.checkpoints.publish(house.clock())
    house.sql("PRAGMA wal_checkpoint(TRUNCATE)")
    file, lock = house.settings.home / "governance.sqlite", house.settings.lock_store
    shutil.copy(file, file.with_name("backup"))
    shutil.copy(lock, file.with_name("backup-lock"))
    revoke(house, request)
    house.service.close()
    for stale in house.settings.home.glob("governance.sqlite*"):
        stale.unlink()
    shutil.copy(file.with_name("backup"), file)
    shutil.copy(file.with_name("backup-lock"), lock)
    again = started_again(house)
    assert again.sql(f"SELECT state FROM rights_request WHERE id = '{request}'") == [("in_progress",)]
    assert left_of(again, world.ZHANG_LI)["cell"] > 0
    again.service.close()


def test_an_order_that_reached_the_list_after_the_revocation_is_not_carried_out(house: Living) -> None:
    # An officer's process hangs, loses its lock with its connection, and writes its line when it wakes up.
    request = ask(house, Right.ERASURE).request.id
    revoke(house, request)
    ErasureLedger(house.settings.erasures).append(Erased(ZHANG_LI, request, house.clock()))
    assert house.service.erasing.replay_erasures(house.clock()) == 0
    assert left_of(house, world.ZHANG_LI)["cell"] > 0


def test_a_request_is_not_closed_while_its_order_cannot_be_called_off(house: Living) -> None:
    request = ordered_in_vain(house)
    house.settings.erasures.rename(house.settings.erasures.with_name("away"))
    with pytest.raises(ErasureLedgerError):
        revoke(house, request)
    assert house.sql(f"SELECT state FROM rights_request WHERE id = '{request}'") == [("in_progress",)]


def test_an_order_after_it_was_called_off_counts_again_and_no_other_is_touched(tmp_path) -> None:
    ledger = ErasureLedger.create(tmp_path / "erasures.jsonl")
    one, two = (Erased(SubjectId(new_id(Prefix.MEMBER)), new_id(Prefix.RIGHT), at) for at in (1, 2))
    ledger.append(one)
    ledger.append(two)
    ledger.call_off(one.subject, one.request, 3)
    ledger.call_off(one.subject, one.request, 4)
    assert list(ledger.entries()) == [one, two, Erased(one.subject, one.request, 3, undone=True)]
    assert list(ledger.orders().values()) == [two]
    ledger.append(one)
    assert set(ledger.orders().values()) == {one, two}
