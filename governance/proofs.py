"""The desk that hands out evidence: signed heads, proofs, tiles, and entries in bundles.

What carries only hashes (heads, proofs, hash tiles) tells nothing about anybody and is no reading of the log.
An entry bundle is one, and is on record before it is handed out. A member gets the proof of an entry about
them with the entry itself, unless the entry names other people as well: those are nobody's to follow about.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from audit import ledger, proof, proving
from audit.entry import Actor, ActorType, Entry, Kind, Party, Verdict, encode
from audit.proving import Signed
from audit.tiles import WIDTH
from audit.tree import leaf_hash
from governance.acting import On
from governance.checkpoints import CANNOT_SIGN, Checkpoints
from governance.concerning import Seen, seen_by
from governance.database import Database
from governance.witnessing import Joined
from policies.terms import SubjectId
from policies.transaction import Transaction

_TRIES: Final = 3
"""Another worker may sign between two looks, a smaller head than ours; it does not do so for ever."""


class NotSignedError(Exception):
    """The log could not be signed now, so there is no head to prove anything under."""


class BeyondError(ValueError):
    """More of the log is asked for than is signed, or an older head than an older one."""


class Proofs:
    """Proofs and tiles of the one log."""

    def __init__(
        self, database: Database, checkpoints: Checkpoints, settle: Callable[[], None], joined: Joined
    ) -> None:
        self._database = database
        self._checkpoints = checkpoints
        self._settle = settle
        self._joined = joined

    def newest(self, now: int) -> Signed:
        """Return the newest published checkpoint, the first one made now if there is none.

        Its note bears the lines of the witnesses that have signed it by now.

        Raises:
            NotSignedError: there is none and none could be made.
        """
        return self._with_witnesses(self._covering(-1, now))

    def health(self) -> tuple[int, Signed | None]:
        """Return the size of the log and its newest checkpoint."""
        with self._database.reading() as tx:
            return ledger.head(tx).size, proving.newest(tx)

    def proof(self, which: int | str, now: int) -> str | None:
        """Return the proof file of an entry, named by its index or its id; None if there is no such entry.

        The extra data is the leaf's hash: whoever holds the leaf compares, nobody else learns anything.

        Raises:
            NotSignedError: no head covers the entry and none could be made.
        """
        self._settle()
        with self._database.reading() as tx:
            index = which if isinstance(which, int) else proving.index_of(tx, which)
            if index is None or index >= ledger.head(tx).size:
                return None
        signed = self._with_witnesses(self._covering(index, now))
        with self._database.reading() as tx:
            return proof.write(proving.inclusion_proof(tx, index, None, signed))

    def proof_for(self, member: SubjectId, index: int, now: int) -> str | None:
        """Return the proof file of an entry that concerns a member; None for any other index.

        The extra data is the leaf where it names nobody but the member and where they live, else its hash.

        Raises:
            NotSignedError: no head covers the entry and none could be made.
        """
        with self._database.reading() as tx:
            seen = seen_by(tx, member, index)
        if seen is None:
            return None
        signed = self._with_witnesses(self._covering(index, now))
        leaf = encode(seen.entry)
        with self._database.reading() as tx:
            found = proving.inclusion_proof(tx, index, leaf_hash(leaf), signed)
        return proof.write(found._replace(extra=leaf) if _names_nobody_else(seen) else found)

    def consistency(self, old: int, size: int) -> tuple[bytes, ...]:
        """Return the proof that the log of ``size`` entries extends the one of ``old``.

        Raises:
            BeyondError: ``old`` is larger than ``size``, or ``size`` than what is signed.
        """
        with self._database.reading() as tx:
            if not old <= size <= self._signed_size(tx):
                raise BeyondError
            return proving.consistency_proof(tx, old, size)

    def tile(self, level: int, index: int, width: int) -> bytes | None:
        """Return hashes of a tile of the signed log, or None if it has no such tile."""
        with self._database.reading() as tx:
            return proving.tile(tx, level, index, width, self._signed_size(tx))

    def bundle(self, on: On, index: int, width: int, policy: str, now: int) -> bytes | None:
        """Return an entry bundle of the signed log; that an officer read it is on record first."""
        with self._database.transaction() as tx:
            found = proving.bundle(tx, index, width, self._signed_size(tx))
            if found is None:
                return None
            ledger.append(tx, [_reading(on, index, width, policy, now)])
            tx.commit()
        return found

    @staticmethod
    def _signed_size(tx: Transaction) -> int:
        signed = proving.newest(tx)
        return 0 if signed is None else signed.checkpoint.size

    def _with_witnesses(self, signed: Signed) -> Signed:
        with self._database.reading() as tx:
            return signed._replace(note=self._joined(tx, signed.checkpoint.size, signed.note))

    def _covering(self, index: int, now: int) -> Signed:
        for _ in range(_TRIES):
            with self._database.reading() as tx:
                signed = proving.newest(tx)
            if signed is not None and signed.checkpoint.size > index:
                return signed
            try:
                self._checkpoints.publish(now)
            except CANNOT_SIGN:
                continue
        raise NotSignedError


def _names_nobody_else(seen: Seen) -> bool:
    entry, behalf = seen.entry, seen.entry.actor.on_behalf_of
    people = [one for one in (entry.actor.party, behalf) if one is not None and one.type is ActorType.MEMBER]
    named = {*entry.subjects, *(bytes.fromhex(one.id) for one in people)}
    return named <= seen.names


def _reading(on: On, index: int, width: int, policy: str, now: int) -> Entry:
    return Entry(
        t=now,
        kind=Kind.AUDIT,
        act="log.read",
        dec=Verdict.PERMIT,
        actor=Actor(Party(ActorType.STAFF, on.caller.actor_id), tuple(sorted(on.caller.roles))),
        resource=f"entries:{index * WIDTH}+{width}",
        purpose="audit.review",
        policy=policy,
        request=on.request_id,
        n=width,
    )
