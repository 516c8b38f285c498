"""Sealed details of log entries: kept beside the leaf, bound to it by a digest, erased with the person.

Promises that a detail lies under a data key of the member or household it concerns (or of the log itself,
where it concerns nobody), that destroying that key leaves the leaf and every proof whole, and that a detail
which was exchanged is not told: the leaf says which bytes were sealed.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import Final

from sqlalchemy import bindparam, delete, insert, select

from audit.entry import Detail, Entry
from audit.records import AuditDetail
from governance.opening import SEALED_WITH, DoesNotOpenError, Opening
from governance.records import DataKey
from policies.transaction import Transaction

OWN: Final = "log"
"""The owner of details that concern nobody: the log itself."""

_detail, _key = AuditDetail.__table__, DataKey.__table__
_KEEP: Final = insert(_detail)
_ONE: Final = select(_detail.c.ct).where(_detail.c.entry_id == bindparam("entry"))
_FORGET: Final = delete(_detail).where(
    _detail.c.kid.in_(select(_key.c.kid).where(_key.c.owner_id == bindparam("owner")))
)


def keep(tx: Transaction, opening: Opening, entry: Entry, owner: str, text: str) -> Entry:
    """Seal a detail for ``owner`` and return the entry that names it. Append that one, in this transaction.

    The caller holds the owner's row, so that nobody is erased meanwhile.
    """
    kid, sealed = opening.seal_detail(tx, owner, entry.id, text, entry.t)
    tx.run(_KEEP, {"entry_id": entry.id, "kid": kid, "ct": sealed.cell})
    return replace(entry, detail=Detail(SEALED_WITH, kid, sha256(sealed.cell).digest()))


def told(tx: Transaction, opening: Opening, entry: Entry) -> str | None:
    """Open the detail of an entry; None where there is none, or where it has been erased.

    Only after the entry that says who reads it has been committed.
    """
    if entry.detail is None:
        return None
    for (sealed,) in tx.rows(_ONE, {"entry": entry.id}):
        if sha256(sealed).digest() != entry.detail.sha256:
            return None
        try:
            return opening.open_detail(tx, entry.detail.kid, entry.id, bytes(sealed))
        except DoesNotOpenError:
            return None
    return None


def forget(tx: Transaction, owner: str) -> None:
    """Delete the details that lie under this owner's keys; the keys go next."""
    tx.run(_FORGET, {"owner": owner})
