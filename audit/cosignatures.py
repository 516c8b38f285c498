"""What witnesses signed of the log's checkpoints: kept beside them, joined onto them, counted.

Promises that a line is kept once, for a checkpoint that is stored, and that what is read back is checked
again under the witness's key: rows are untrusted copies, and one bad line would spoil a whole note.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import bindparam, exists, insert, select

from audit import checkpoint
from audit.note import Key, NoteError, Signature, holds, parse, parse_signature, time_of
from audit.policyfile import Policy
from audit.records import AuditCheckpoint, AuditCosignature
from policies.transaction import Transaction

_cosignature, _checkpoint = AuditCosignature.__table__.c, AuditCheckpoint.__table__.c
_IS_KEPT: Final = select(_cosignature.size).where(
    _cosignature.size == bindparam("of"), _cosignature.witness == bindparam("by")
)
_KEEP: Final = insert(AuditCosignature.__table__)
_LINES: Final = (
    select(_cosignature.line).where(_cosignature.size == bindparam("of")).order_by(_cosignature.witness)
)
_NEWEST: Final = select(_checkpoint.size, _checkpoint.note).order_by(_checkpoint.size.desc()).limit(1)
_SIZES: Final = (
    select(_checkpoint.size, _checkpoint.note)
    .where(
        _checkpoint.size >= bindparam("least"),
        exists().where(_cosignature.size == _checkpoint.size),
    )
    .order_by(_checkpoint.size.desc())
    .limit(bindparam("most"))
)
_MOST: Final = 100
"""Checkpoints looked at, newest first, for one that enough have signed."""


def newest_note(tx: Transaction) -> tuple[int, str] | None:
    """Return the size and the note of the newest checkpoint stored, as the log signed it."""
    for size, note in tx.rows(_NEWEST):
        return size, note
    return None


def keep(tx: Transaction, size: int, key: Key, signature: Signature) -> None:
    """Keep what a witness signed of the checkpoint of this size, unless it has signed it before."""
    if not tx.rows(_IS_KEPT, {"of": size, "by": key.text}):
        row = {"size": size, "witness": key.text, "line": signature.line, "t": time_of(signature) * 1000}
        tx.run(_KEEP, row)


def joined(tx: Transaction, size: int, note: str, policy: Policy) -> str:
    """Return a checkpoint's note with the lines of the policy's witnesses that hold."""
    text, keys = parse(note).text, {(one.key.name, one.key.id): one.key for one in policy.witnesses}
    lines = []
    for (line,) in tx.rows(_LINES, {"of": size}):
        try:
            signature = parse_signature(line.removesuffix("\n"))
        except NoteError:
            continue
        key = keys.get((signature.name, signature.key_id))
        if key is not None and holds(key, text, signature.signature, checkpoint.check):
            lines.append(signature.line)
    return note + "".join(lines)


def witnessed(tx: Transaction, least: int, policy: Policy) -> tuple[int, str] | None:
    """Return the newest checkpoint of at least this size that a quorum has signed, with their lines."""
    if policy.is_quorum(set()):
        found = newest_note(tx)
        return None if found is None or found[0] < least else (found[0], joined(tx, *found, policy))
    for size, note in tx.rows(_SIZES, {"least": least, "most": _MOST}):
        whole = joined(tx, size, note, policy)
        if policy.is_quorum(policy.cosigners(whole, checkpoint.check)):
            return size, whole
    return None
