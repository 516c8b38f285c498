"""One key of the log takes over from another, so that a stranger can follow and nobody else can.

Promises that the place of the change is an entry of the log itself, ``log.key_rotated`` at some index ``i``,
which names both keys: checkpoints up to size ``i`` are the old key's, those beyond are the new one's, and the
first of them bears both signatures. What the old key signs beyond counts for nothing. The order is: the ring
holds the new key as coming, the entry is committed, the checkpoint with both signatures goes out, the ring
lets the new key take over. After a crash anywhere the next publishing goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from sqlalchemy import bindparam, select

from audit import note
from audit.checkpoint import Signer, check
from audit.entry import Actor, ActorType, Entry, EntryRefusedError, Kind, Party, Verdict, decode
from audit.note import Checkpoint, Key, NoteError
from audit.records import AuditEntry
from policies.transaction import Transaction

ACT: Final = "log.key_rotated"
_entry = AuditEntry.__table__.c
_FOUND: Final = (
    select(_entry.leaf_index, _entry.leaf)
    .where(_entry.act == ACT, _entry.leaf_index >= bindparam("since"), _entry.leaf_index < bindparam("until"))
    .order_by(_entry.leaf_index)
)


class Coming(NamedTuple):
    """A key that is to take over; the entry that says so stands at ``since`` or after."""

    signer: Signer
    since: int


@dataclass(frozen=True, slots=True)
class Signing:
    """With what a log is signed: the key in use, those before it with their ends, and the one to follow."""

    signer: Signer
    retired: tuple[Key, ...] = ()
    coming: Coming | None = None

    @property
    def first(self) -> int:
        """The smallest checkpoint that the key in use may sign."""
        last = self.retired[-1].last if self.retired else None
        return 0 if last is None else last + 1


Hands = Callable[[], Signing]
"""Says with what to sign as it stands now; asked after the head has been read (see ``terms_of``)."""


class Terms(NamedTuple):
    """Which key may sign what, at one head; ``rotated_at`` is the index of the coming key's entry, if any."""

    signing: Signing
    keys: tuple[Key, ...]
    rotated_at: int | None

    def open(self, body: str) -> Checkpoint:
        """Return the checkpoint in a note that was signed as it must be.

        Raises:
            NoteError: it was not, or bears a signature of the log by a key that is not known here: then the
                ring is older than the log.
        """
        signed = note.open_checkpoint(body, self.keys, check)
        known = {(key.name, key.id) for key in self.keys}
        lines = note.parse(body).signatures
        if any(one.name == signed.origin and (one.name, one.key_id) not in known for one in lines):
            raise NoteError("a key of the log that is not known here has signed")
        return signed

    def signers(self, signed: int, size: int) -> Sequence[Signer]:
        """Return who signs a checkpoint of ``size`` after the one of size ``signed``; nobody: stale."""
        signing, at = self.signing, self.rotated_at
        if signing.coming is None or at is None or size <= at:
            return (signing.signer,) if size >= signing.first else ()
        new = signing.coming.signer
        return (signing.signer, new) if signed <= at else (new,)


def terms_of(tx: Transaction, size: int, signing: Signing) -> Terms:
    """Return who may sign what in a log of ``size`` entries.

    ``signing`` must have been read after the size: an entry that names a key is committed only once the ring
    holds that key, so whoever sees the entry sees the key.
    """
    current = signing.signer.key._replace(first=signing.first)
    at = None if signing.coming is None else entry_of(tx, size, signing.signer, signing.coming)
    if signing.coming is None or at is None:
        return Terms(signing, (*signing.retired, current), None)
    new = signing.coming.signer.key._replace(first=at + 1)
    return Terms(signing, (*signing.retired, current._replace(last=at), new), at)


def entry_of(tx: Transaction, size: int, signer: Signer, coming: Coming) -> int | None:
    """Return the index of the entry, below ``size``, by which ``coming`` takes over from ``signer``."""
    for index, leaf in tx.rows(_FOUND, {"since": coming.since, "until": size}):
        try:
            entry = decode(bytes(leaf))
        except EntryRefusedError:
            continue
        if entry.act == ACT and entry.resource == named(signer.key, coming.signer.key):
            return int(index)
    return None


def entry_for(old: Key, new: Key, now: int) -> Entry:
    """Return the entry that says which key takes over from which; ``now`` is in milliseconds."""
    return Entry(
        t=now,
        kind=Kind.KEY,
        act=ACT,
        dec=Verdict.PERMIT,
        actor=Actor(Party(ActorType.SYSTEM, "operator")),
        resource=named(old, new),
    )


def named(old: Key, new: Key) -> str:
    """Return both verifier keys as the entry names them: the old one, a space, the new one."""
    return f"{old.text} {new.text}"
