"""Who looked at a member's data, as the member sees it: from the log itself, blocked attempts included.

Promises completeness by construction: the view lists every entry that names the member's pseudonym or,
since they moved in, their household's, so nothing that was decided about a person can be missing. The
one whom a service acted for is named, not only the middleman. The log's copies are not trusted: each
leaf is decoded.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from sqlalchemy import bindparam, func, select

from audit import ledger
from audit.entry import ActorType, Entry, Party, Verdict
from governance.records import Actor, RelationRow, Subject
from governance.wiring import Service
from policies.reasons import REASONS, Reason
from policies.terms import Effect, Outcome, Relation, SubjectId, SubjectKind
from policies.transaction import Transaction

_actor, _relation, _subject = Actor.__table__, RelationRow.__table__, Subject.__table__
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
_LABELS: Final = select(_actor.c.id, _actor.c.label).where(
    _actor.c.id.in_(bindparam("actors", expanding=True))
)


@dataclass(frozen=True, slots=True)
class Access:
    """One entry about a member. ``blocked``: nothing was shown, stored or sent."""

    index: int
    decision_id: str
    at: int
    action: str
    who: str
    on_behalf_of: str | None
    automatic: bool
    own: bool
    purpose: str
    blocked: bool
    fields: tuple[tuple[str, Effect, tuple[Reason, ...]], ...]
    reasons: tuple[Reason, ...]
    outcome: Outcome | None


def of_member(
    service: Service, member: SubjectId, before: int | None, limit: int
) -> tuple[list[Access], bool]:
    """Return up to ``limit`` accesses, newest first, and whether there are more."""
    service.log.settle()
    with service.database.reading() as tx:
        homes: dict[str, list[tuple[int, int]]] = {}
        for home, since, until in tx.rows(_HOMES, {"member": member}):
            homes.setdefault(home, []).append((since, until))
        names = ledger.names_of(tx, [member, *homes])
        own = names.get(member)
        found = dict(ledger.accesses(tx, own, before, limit + 1)) if own is not None else {}
        for home, stays in homes.items():
            if home in names:
                found.update(_while_there(tx, names[home], stays, before, limit + 1))
        entries = sorted(found.items(), reverse=True)[: limit + 1]
        labels = labels_of(tx, [entry for _, entry in entries])
    more = len(entries) > limit
    return [view(index, entry, labels, own) for index, entry in entries[:limit]], more


def _while_there(
    tx: Transaction, home: bytes, stays: Collection[tuple[int, int]], before: int | None, most: int
) -> list[tuple[int, Entry]]:
    """Return the newest entries about a household from the times when the member lived there.

    What a household shares concerns everybody who lives there, as long as they live there.
    """
    found: list[tuple[int, Entry]] = []
    first = min(since for since, _ in stays)
    while len(found) < most:
        page = ledger.accesses(tx, home, before, most)
        found += [one for one in page if any(since <= one[1].t < until for since, until in stays)]
        if len(page) < most or page[-1][1].t < first:
            break
        before = page[-1][0]
    return found


def labels_of(tx: Transaction, entries: Collection[Entry]) -> dict[str, str]:
    """Return the display names of the services and staff that entries name."""
    ids = {
        one.id
        for entry in entries
        for one in (entry.actor.party, entry.actor.on_behalf_of)
        if one is not None
    }
    return {id_: label for id_, label in tx.rows(_LABELS, {"actors": sorted(ids)}) if label}


def _name(party: Party, relation: str, labels: dict[str, str], own: bytes | None) -> str:
    if party.type is ActorType.MEMBER:
        if own is not None and party.id == own.hex():
            return "self"
        return "stranger" if relation == Relation.NONE else "relative"
    return labels.get(party.id, party.id)


def view(index: int, entry: Entry, labels: dict[str, str], own: bytes | None) -> Access:
    """Return an entry as people read it; ``own`` is the pseudonym of the person who reads."""
    person = entry.actor.on_behalf_of
    beneficiary = person or entry.actor.party
    return Access(
        index=index,
        decision_id=entry.decision,
        at=entry.t,
        action=entry.act,
        who=_name(entry.actor.party, entry.actor.relation, labels, own),
        on_behalf_of=None if person is None else _name(person, entry.actor.relation, labels, own),
        automatic=beneficiary.type in (ActorType.SERVICE, ActorType.SYSTEM),
        own=own is not None and beneficiary.id == own.hex(),
        purpose=entry.purpose,
        blocked=entry.dec is not Verdict.PERMIT,
        fields=tuple((one.name, one.effect, _known(one.why)) for one in entry.fields),
        reasons=_known(entry.why),
        outcome=None if entry.message is None else entry.message.outcome,
    )


def _known(codes: Collection[str]) -> tuple[Reason, ...]:
    return tuple(REASONS[code] for code in codes if code in REASONS)
