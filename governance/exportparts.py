"""What is on record about a person beside the fields, part by part, for an export.

Promises that each part is whole: no list is cut. Where a part names other people it names their ids, as the
member's own pages do. Values are none of these; they go through the gate (``governance/exporting.py``).
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import and_, bindparam, or_, select

from consent import eventlog
from consent.events import EventKind
from consent.sharing import shares_in
from governance import accesses, approvalrecords, rightsrecords
from governance.ladder import purpose_title
from governance.records import Approval, Cell, RelationRow, Subject
from governance.times import rfc3339
from governance.wiring import Service
from policies.identifiers import Prefix
from policies.terms import FieldName, Purpose, Relation, SubjectId
from policies.transaction import Transaction

Part = list[dict[str, object]]
_PAGE: Final = 1_000
_relation, _subject, _cell, _approval = (
    RelationRow.__table__,
    Subject.__table__,
    Cell.__table__,
    Approval.__table__,
)
_TIES: Final = (
    select(
        _relation.c.subject_id,
        _relation.c.actor_id,
        _relation.c.relation,
        _relation.c.role,
        _relation.c.starts_at,
        _relation.c.ends_at,
    )
    .where(
        or_(_relation.c.subject_id == bindparam("member"), _relation.c.actor_id == bindparam("member")),
        _relation.c.subject_id != _relation.c.actor_id,
        _relation.c.relation.in_((Relation.CORESIDENT.value, Relation.WARD.value)),
    )
    .order_by(_relation.c.starts_at, _relation.c.subject_id, _relation.c.actor_id, _relation.c.role)
)
_WRITTEN: Final = select(_cell.c.field, _cell.c.written_at).where(_cell.c.subject_id == bindparam("member"))
_WARDS: Final = select(_relation.c.subject_id).where(
    _relation.c.actor_id == bindparam("member"), _relation.c.relation == Relation.WARD.value
)
_APPROVALS: Final = approvalrecords.FOUND.where(
    or_(
        _approval.c.subject_id == bindparam("member"),
        and_(_approval.c.subject_id.in_(_WARDS), _approval.c.decided_by == bindparam("member")),
    )
).order_by(_approval.c.asked_at.desc(), _approval.c.id.desc())
_NOES: Final = (EventKind.REFUSED, EventKind.OBJECTED, EventKind.RESTRICTED)


def _when(at: int | None) -> str | None:
    return None if at is None else rfc3339(at)


def ties(tx: Transaction, member: SubjectId) -> tuple[Part, Part, frozenset[SubjectId]]:
    """Return the households lived in with the roles there, the guardianships, and everybody tied ever."""
    homes, guardianships, around = [], [], set()
    for subject, actor, relation, role, since, until in tx.rows(_TIES, {"member": member}):
        span = {"since": rfc3339(since), "until": _when(until)}
        if subject.startswith(Prefix.HOUSEHOLD):
            homes.append({"household": subject, "role": role, **span})
            continue
        if actor == member:
            around.add(SubjectId(subject))
        if relation == Relation.WARD:
            guardianships.append({"guardian": actor, "ward": subject, **span})
    return homes, guardianships, frozenset(around)


def consents(service: Service, member: SubjectId, language: str, now: int) -> Part:
    """Return every consent, also those that ended: who gave it, to whom the data go, how it stands."""
    return [
        {
            "consent_id": consent.consent_id,
            "purpose": consent.terms.purpose,
            "title": purpose_title(consent.terms.purpose, service.rules.book, language),
            "categories": sorted(consent.terms.categories),
            "recipient": consent.terms.recipient or service.ring.tenant,
            "notice": consent.terms.notice,
            "by": consent.actor_id,
            "capacity": consent.capacity,
            "state": state.value,
            "text": state.sentence(language),
            "given_at": rfc3339(consent.confirmed_at or consent.ticked_at),
            "expires_at": _when(consent.expires_at),
            "withdrawn_at": _when(consent.withdrawn_at),
        }
        for consent, state in service.consenting.of_member(member, now)
    ]


def noes(tx: Transaction, member: SubjectId) -> Part:
    """Return refusals, objections and restrictions; an empty purpose is everything."""
    return [
        {"kind": str(event.kind), "purpose": event.purpose, "at": rfc3339(event.occurred_at)}
        for event in eventlog.events_of(tx, [member])[member]
        if event.kind in _NOES
    ]


def shares_given(service: Service, member: SubjectId, now: int) -> Part:
    """Return what the member shares or shared, with whom, until when."""
    return [
        {
            "share_id": one.share.share_id,
            "viewer": one.share.viewer,
            "category": one.share.category,
            "purpose": one.share.purpose,
            "since": rfc3339(one.share.since),
            "until": _when(one.share.until),
            "ended_at": _when(one.share.ended_at),
        }
        for one in service.sharing.shares(member, now)
    ]


def shares_received(
    service: Service, tx: Transaction, member: SubjectId, around: frozenset[SubjectId], now: int
) -> Part:
    """Return what relatives share or shared with the member: only those whom a tie reaches can share."""
    events, births = eventlog.events_of(tx, sorted(around)), service.opening.births_of(tx, around)
    return [
        {
            "share_id": share.share_id,
            "from": owner,
            "category": share.category,
            "purpose": share.purpose,
            "since": rfc3339(share.since),
            "until": _when(share.until),
            "ended_at": _when(share.ended_at),
        }
        for owner in sorted(around)
        for share in shares_in(events.get(owner, ()), now, births.get(owner), service.rules.book)
        if share.viewer == member
    ]


def hides(service: Service, member: SubjectId, now: int) -> Part:
    """Return what the member hides; an empty viewer is everybody."""
    return [
        {"category": one.category, "viewer": one.viewer, "since": rfc3339(one.since)}
        for one in service.sharing.hides(member, now)
    ]


def approvals(tx: Transaction, member: SubjectId, now: int) -> Part:
    """Return what was asked about the member, and what the member decided for a ward."""
    found = (approvalrecords.asked_of(row, now) for row in tx.rows(_APPROVALS, {"member": member}))
    return [
        {
            "id": one.id,
            "subject": one.subject_id,
            "asked_by": one.who or one.actor_id,
            "act": one.act.value,
            "fields": list(one.fields),
            "resource": one.resource,
            "purpose": one.purpose,
            "state": one.state.value,
            "at": rfc3339(one.asked_at),
            "decided_by": one.decided_by,
            "decided_at": _when(one.decided_at),
        }
        for one in found
    ]


def seen(service: Service, member: SubjectId) -> Part:
    """Return every access, newest first, read page by page to the first one."""
    before, found, more = None, [], True
    while more:
        page, more = accesses.of_member(service, member, before, _PAGE)
        found += page
        before = page[-1].index if page else None
    return [
        {
            "receipt": one.index,
            "decision_id": one.decision_id,
            "at": rfc3339(one.at),
            "who": one.who,
            "on_behalf_of": one.on_behalf_of,
            "action": one.action,
            "purpose": one.purpose,
            "blocked": one.blocked,
            "fields": [field for field, _, _ in one.fields],
        }
        for one in found
    ]


def requests(service: Service, tx: Transaction, member: SubjectId, now: int) -> Part:
    """Return every request about the member with what was asked for in detail."""
    return [
        {
            "id": one.id,
            "kind": one.kind.value,
            "status": one.status(now).value,
            "at": rfc3339(one.asked_at),
            "by": one.actor_id,
            **service.rights.detail(tx, one),
        }
        for one in rightsrecords.of_subject(tx, member)
    ]


def lapsed(service: Service, tx: Transaction, member: SubjectId, purpose: Purpose, now: int) -> set[str]:
    """Return the fields whose values are past their term and wait for the next deletion."""
    retention = service.rules.book.retention
    return {
        field
        for field, written_at in tx.rows(_WRITTEN, {"member": member})
        if retention.lapsed(FieldName(field), purpose, written_at, now)
    }
