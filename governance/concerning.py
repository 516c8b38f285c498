"""Which entries of the log concern a member: those that name them, or a household while they lived there.

Promises completeness by construction: who is asked about is a name in the leaf, nothing is filtered by what
happened or how it ended, and the search index only finds what the leaf then has to say itself. What a
household shares concerns everybody who lives there, as long as they live there, to the last instant.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

from sqlalchemy import bindparam, func, select

from audit import ledger
from audit.entry import Entry
from governance.records import RelationRow, Subject
from policies.terms import Relation, SubjectId, SubjectKind
from policies.transaction import Transaction

_relation, _subject = RelationRow.__table__, Subject.__table__
_NEVER: Final = 2**62
_HOMES: Final = (
    select(_relation.c.subject_id, _relation.c.starts_at, func.coalesce(_relation.c.ends_at, _NEVER))
    .join(_subject, _subject.c.id == _relation.c.subject_id)
    .where(
        _relation.c.actor_id == bindparam("member"),
        _relation.c.relation == Relation.CORESIDENT.value,
        _subject.c.kind == SubjectKind.HOUSEHOLD.value,
    )
)


class Names(NamedTuple):
    """A member's pseudonyms in the log: the own one, and each home's with the stays there."""

    own: bytes | None
    homes: Mapping[bytes, Collection[tuple[int, int]]]


class Seen(NamedTuple):
    """An entry that concerns a member, and every pseudonym that is theirs."""

    entry: Entry
    names: frozenset[bytes]


def names_of(tx: Transaction, member: SubjectId) -> Names:
    """Return the pseudonyms that lead to a member, giving none away."""
    stays: dict[str, list[tuple[int, int]]] = {}
    for home, since, until in tx.rows(_HOMES, {"member": member}):
        stays.setdefault(home, []).append((since, until))
    known = ledger.names_of(tx, [member, *stays])
    return Names(known.get(member), {known[home]: some for home, some in stays.items() if home in known})


def entries(tx: Transaction, names: Names, before: int | None, most: int) -> list[tuple[int, Entry]]:
    """Return up to ``most`` entries that concern the member, newest first, older than index ``before``."""
    found = dict(ledger.accesses(tx, names.own, before, most)) if names.own is not None else {}
    for home, stays in names.homes.items():
        found.update(_while_there(tx, home, stays, before, most))
    return sorted(found.items(), reverse=True)[:most]


def seen_by(tx: Transaction, member: SubjectId, index: int) -> Seen | None:
    """Return the entry at ``index`` if it concerns the member; None for every other index."""
    names = names_of(tx, member)
    for at, entry in ledger.recent(tx, index + 1, 1):
        named = set(entry.subjects)
        at_home = any(home in named and _then(entry, stays) for home, stays in names.homes.items())
        if at == index and (names.own in named or at_home):
            own = set() if names.own is None else {names.own}
            return Seen(entry, frozenset(own | names.homes.keys()))
    return None


def _while_there(
    tx: Transaction, home: bytes, stays: Collection[tuple[int, int]], before: int | None, most: int
) -> list[tuple[int, Entry]]:
    """Return the newest entries about a household from the times when the member lived there."""
    found: list[tuple[int, Entry]] = []
    first = min(since for since, _ in stays)
    while len(found) < most:
        page = ledger.accesses(tx, home, before, most)
        found += [one for one in page if _then(one[1], stays)]
        if len(page) < most or page[-1][1].t < first:
            break
        before = page[-1][0]
    return found


def _then(entry: Entry, stays: Collection[tuple[int, int]]) -> bool:
    # The instant of leaving counts: what was read in it, before the step, was read of somebody living there.
    return any(since <= entry.t <= until for since, until in stays)
