"""Deletes the bodies of old entries, after the log has said so; their hashes stay in the tree.

Promises that nothing is deleted before the statement is an entry of the log (its own transaction, committed),
that only a prefix goes and its milestone stays, that whatever was older than the floor is asked again by the
database's own guards (``audit.roomguards``), and that a run that was cut off is resumed by running it again.
Which bodies stay for other reasons is the caller's word. Entries about keys and the publishing of rules stay
always: they name no member, and later checks need them. Never commits.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import bindparam, delete, func, insert, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import ClauseElement, Executable

from audit import ledger
from audit.entry import Actor, ActorType, Entry, EntryRefusedError, Kind, Party, Verdict, decode
from audit.matching import terms
from audit.pruned import ACT, DAY_MS, FLOOR_MS
from audit.records import (
    AuditCheckpoint,
    AuditDetail,
    AuditEntry,
    AuditPruned,
    AuditTerm,
    SubjectPseudonym,
)
from policies.transaction import Transaction

BATCH: Final = 256
"""Entries in one deleting transaction."""
KEPT_ACTS: Final = ("rules.published",)
"""Actions whose entries stay: whether the rules in force are those published last is asked of the log."""

_entry, _pruned = AuditEntry.__table__.c, AuditPruned.__table__.c
_checkpoint = AuditCheckpoint.__table__.c
_term, _detail = AuditTerm.__table__.c, AuditDetail.__table__.c
_LAST: Final = select(func.coalesce(func.max(_pruned.size), 0))
_SIGNED: Final = select(_checkpoint.t).order_by(_checkpoint.size.desc()).limit(1)
_TIME: Final = select(_entry.t).where(_entry.leaf_index == bindparam("at"))
_YOUNG: Final = (
    select(_entry.leaf_index)
    .where(_entry.leaf_index >= bindparam("from"), _entry.t >= bindparam("cutoff"))
    .order_by(_entry.leaf_index)
    .limit(1)
)
_MAY_GO: Final = (
    _entry.leaf_index < bindparam("milestone"),
    _entry.leaf_index > bindparam("after"),
    _entry.kind != Kind.KEY.value,
    _entry.act.not_in(KEPT_ACTS),
)
_OLD: Final = (
    select(_entry.leaf_index, _entry.leaf)
    .where(*_MAY_GO)
    .order_by(_entry.leaf_index)
    .limit(bindparam("most"))
)
_STATE: Final = insert(AuditPruned.__table__)
_name = SubjectPseudonym.__table__.c
_KNOWN: Final = select(_name.pseudonym, _name.subject_id).where(
    _name.pseudonym.in_(bindparam("names", expanding=True))
)
_AT_ONCE: Final = 500


class ClockError(Exception):
    """The clock cannot be right: it is more than a day away from what the log and its checkpoint last saw."""


class Old(NamedTuple):
    """One entry whose time is over; ``about`` are all pseudonyms it speaks of, ``subjects`` those indexed.

    ``terms`` are those under which searches find it, ``detailed`` whether a sealed detail lies beside it.
    """

    place: int
    entry_id: str
    subjects: tuple[bytes, ...]
    about: frozenset[bytes]
    terms: tuple[int, ...]
    detailed: bool


class _Gone(Executable, ClauseElement):
    """Deletes one row of a table of the log; on PostgreSQL through the function that may."""

    inherit_cache = False

    def __init__(self, table: str, function: str, *keys: str) -> None:
        self.table = table
        self.function = function
        self.keys = keys


@compiles(_Gone, "sqlite")
def _delete(gone: _Gone, compiler: Any, **_how: Any) -> str:
    keys = " AND ".join(f"{key} = {compiler.process(bindparam(key))}" for key in gone.keys)
    return f"DELETE FROM {gone.table} WHERE {keys}"  # noqa: S608 (our own names)


@compiles(_Gone, "postgresql")
def _call(gone: _Gone, compiler: Any, **_how: Any) -> str:
    keys = ", ".join(compiler.process(bindparam(key)) for key in gone.keys)
    return f"SELECT {gone.function}({keys})"


_ENTRY_GONE: Final = _Gone("audit_entry", "audit_prune_entry", "leaf_index")
_TERM_GONE: Final = delete(AuditTerm.__table__).where(
    _term.term == bindparam("of"), _term.leaf_index == bindparam("at")
)
_DETAIL_GONE: Final = delete(AuditDetail.__table__).where(_detail.entry_id == bindparam("entry"))
_SUBJECT_GONE: Final = _Gone("audit_subject", "audit_prune_subject", "subject", "leaf_index")


def sizes(tx: Transaction, cutoff: int) -> tuple[int, int]:
    """Return the prefix that has been stated so far, and the one that could be by now (never smaller).

    A prefix ends before the first entry that is not older than ``cutoff``, whatever follows it.
    """
    stated = int(tx.rows(_LAST)[0][0])
    rows = tx.rows(_YOUNG, {"from": max(stated - 1, 0), "cutoff": cutoff})
    reached = rows[0][0] if rows else ledger.head(tx).size
    return stated, max(stated, int(reached))


def refuse_wrong_clock(tx: Transaction, now: int) -> None:
    """Refuse to prune by a clock that the log does not bear out.

    Raises:
        ClockError: the newest checkpoint or entry is more than a day older than ``now``, or newer.
    """
    signed = tx.rows(_SIGNED)
    newest = tx.rows(_TIME, {"at": ledger.head(tx).size - 1})
    if not signed or not newest or now > signed[0][0] + DAY_MS or abs(now - newest[0][0]) > DAY_MS:
        raise ClockError


def state(tx: Transaction, size: int, cutoff: int, now: int, policy: str) -> int:
    """Append the statement that the first ``size`` entries are pruned; return its index. Call it last.

    Raises:
        ValueError: the cutoff is younger than the floor.
        LogError: as ``ledger.append``.
    """
    if cutoff > now - FLOOR_MS:
        raise ValueError("the log is kept for longer than that")
    said = Entry(
        t=now,
        kind=Kind.AUDIT,
        act=ACT,
        dec=Verdict.PERMIT,
        actor=Actor(Party(ActorType.SYSTEM, "retention")),
        resource=str(cutoff),
        purpose="legal.compliance",
        policy=policy,
        n=size,
    )
    [receipt] = ledger.append(tx, [said])
    tx.run(_STATE, {"size": size, "entry": receipt.index, "cutoff": cutoff, "t": now})
    return receipt.index


def old(tx: Transaction, size: int, after: int) -> list[Old]:
    """Return the next entries above index ``after`` whose bodies may go under a statement of ``size``."""
    rows = tx.rows(_OLD, {"milestone": size - 1, "after": after, "most": BATCH})
    return [_old(index, bytes(leaf)) for index, leaf in rows]


def known(tx: Transaction, names: Collection[bytes]) -> dict[bytes, str]:
    """Return who stands behind those pseudonyms that are still linked to somebody."""
    ordered, found = sorted(names), {}
    for start in range(0, len(ordered), _AT_ONCE):
        rows = tx.rows(_KNOWN, {"names": ordered[start : start + _AT_ONCE]})
        found.update({bytes(name): str(subject) for name, subject in rows})
    return found


def drop(tx: Transaction, gone: Collection[Old]) -> None:
    """Delete bodies and index rows; the guards of the database look at statement and floor once more."""
    tx.run(
        _SUBJECT_GONE,
        [{"subject": subject, "leaf_index": one.place} for one in gone for subject in one.subjects],
    )
    tx.run(_TERM_GONE, [{"of": term, "at": one.place} for one in gone for term in one.terms])
    tx.run(_DETAIL_GONE, [{"entry": one.entry_id} for one in gone if one.detailed])
    tx.run(_ENTRY_GONE, [{"leaf_index": one.place} for one in gone])


def _old(index: int, leaf: bytes) -> Old:
    try:
        entry = decode(leaf)
    except EntryRefusedError:
        raise ledger.LogError("an entry of the log cannot be read") from None
    subjects = tuple(dict.fromkeys(entry.subjects))
    actors = [entry.actor.party, *([entry.actor.on_behalf_of] if entry.actor.on_behalf_of else [])]
    acting = [bytes.fromhex(one.id) for one in actors if one.type is ActorType.MEMBER]
    spoken_of: Sequence[bytes] = [*subjects, *acting, *([entry.household] if entry.household else [])]
    return Old(
        index,
        entry.id,
        subjects,
        frozenset(spoken_of),
        tuple(sorted(terms(entry))),
        entry.detail is not None,
    )
