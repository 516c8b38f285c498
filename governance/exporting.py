"""Everything on record about a person, for the person, as JSON for another service.

Promises that every value goes through the gate like any other read, so it is decided and recorded before it
is opened and nothing is in an export that its reader may not see; that the export itself is on record; that
the file is complete: what was withheld stands in it with the reason, and no list is cut
(个人信息保护法 第四十五条第一款、第三款); and that the guardian of a ward of 14 or more gets kinds and
amounts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from audit import ledger
from audit.entry import Actor as LogActor
from audit.entry import Entry, Kind, Verdict
from consent.events import Capacity
from governance import exportparts, moving
from governance.acting import On
from governance.asking import Answer, Ask, FieldAnswer, NotYours
from governance.explaining import explain_decision
from governance.exportparts import Part
from governance.ladder import field_title
from governance.languages import noted, saying
from governance.logbook import NotAssuredError
from governance.rights import entry_of_step
from governance.rightsrecords import Request
from governance.rightswishes import concerns
from governance.speaking import Speaks
from governance.testimony import party
from governance.times import rfc3339
from governance.wiring import Service
from policies.identifiers import Prefix, new_id
from policies.terms import Action, Effect, FieldName, Purpose, SubjectId, SubjectKind

FORMAT: Final = "household-governance/export/2"
PURPOSE: Final = Purpose("personal.access")
_AT_ONCE: Final = 32
_LIMITED: Final = noted("被监护人已满十四周岁：监护人可以知道有哪些种类、各有多少，内容由其本人决定。")
_LAPSED: Final = noted("保存期限已满，即将删除。")


class NotExportedError(Exception):
    """The export could not be recorded or opened, so there is none; ``theirs``: not this caller's."""

    def __init__(self, *, theirs: bool = False) -> None:
        super().__init__()
        self.theirs = theirs


def export(service: Service, on: On, subject: SubjectId, language: str, now: int) -> dict[str, object]:
    """Return everything on record about a person that this reader may see.

    Raises:
        NotExportedError: nothing was recorded, and so nothing opened, or it is somebody else's.
    """
    speaker = service.rights.speaks(subject, on.member, now)
    if speaker is None:
        raise NotExportedError(theirs=True)
    answers = [_answered(reply) for reply in service.gate.read(_asks(service, on, subject), now)]
    homes = {} if speaker.kinds_only else _homes(service, on, subject, now)
    index = _record(service, on, subject, answers, now)
    parts = _parts(service, subject, language, now)
    parts["household_fields"] = [
        {"household": home, **_field(one, service, language)}
        for home, shown in homes.items()
        for one in shown
    ]
    document: dict[str, object] = {
        "format": FORMAT,
        "made_at": rfc3339(now),
        "controller": service.ring.tenant,
        "subject": subject,
        "receipt": index,
        "fields": _fields(service, speaker, subject, answers, language, now),
    }
    if not speaker.kinds_only:
        return {**document, **parts}
    amounts = {name: len(part) for name, part in parts.items()}
    return {**document, "limited": saying(language)(_LIMITED), "amounts": amounts}


def _asks(service: Service, on: On, subject: SubjectId) -> list[Ask]:
    kind = SubjectKind.HOUSEHOLD if subject.startswith(Prefix.HOUSEHOLD) else SubjectKind.MEMBER
    names = [
        name
        for name, entry in service.rules.book.fields.items()
        if entry.subject is kind and entry.channel is None
    ]
    return [
        Ask(
            on.caller,
            on.member,
            Action.READ,
            subject,
            tuple(names[start : start + _AT_ONCE]),
            PURPOSE,
            on.request_id,
            new_id(Prefix.DECISION),
            reveal=True,
        )
        for start in range(0, len(names), _AT_ONCE)
    ]


def _homes(service: Service, on: On, subject: SubjectId, now: int) -> dict[str, list[FieldAnswer]]:
    """Return what the households share where the person lives; none of it where the reader does not live."""
    with service.database.reading() as tx:
        homes = moving.homes_of(tx, subject, now)
    shown: dict[str, list[FieldAnswer]] = {}
    for home in homes:
        replies = service.gate.read(_asks(service, on, SubjectId(home)), now)
        if not any(isinstance(reply, NotYours) for reply in replies):
            shown[home] = [one for reply in replies for one in _answered(reply).fields]
    return shown


def _parts(service: Service, subject: SubjectId, language: str, now: int) -> dict[str, Part]:
    with service.database.reading() as tx:
        homes, guardianships, around = exportparts.ties(tx, subject)
        parts = {
            "households": homes,
            "guardianships": guardianships,
            "refusals": exportparts.noes(tx, subject),
            "shares_received": exportparts.shares_received(service, tx, subject, around, now),
            "approvals": exportparts.approvals(tx, subject, now),
            "requests": exportparts.requests(service, tx, subject, now),
        }
    return {
        **parts,
        "consents": exportparts.consents(service, subject, language, now),
        "shares_given": exportparts.shares_given(service, subject, now),
        "hides": exportparts.hides(service, subject, now),
        "accesses": exportparts.seen(service, subject),
    }


def _fields(
    service: Service,
    speaker: Speaks,
    subject: SubjectId,
    answers: Iterable[Answer],
    language: str,
    now: int,
) -> Part:
    """Return the fields; only the person learns that a value is past its term and not deleted yet."""
    lapsed: set[str] = set()
    if speaker.capacity is Capacity.SELF:
        with service.database.reading() as tx:
            lapsed = exportparts.lapsed(service, tx, subject, PURPOSE, now)
    fields = [_field(one, service, language) for answer in answers for one in answer.fields]
    for field in fields:
        if field["field"] in lapsed and "value" not in field:
            field["reasons"] = [{"code": "expired", "text": saying(language)(_LAPSED)}]
    return fields


def _answered(reply: object) -> Answer:
    match reply:
        case Answer():
            return reply
        case NotYours():
            raise NotExportedError(theirs=True)
        case _:
            raise NotExportedError


def _record(service: Service, on: On, subject: SubjectId, answers: Sequence[Answer], now: int) -> int:
    shown = sum(one.effect is Effect.SHOW for answer in answers for one in answer.fields)
    with service.database.transaction() as tx:
        names = ledger.pseudonyms(tx, {subject, on.member})
        caller, person = party(on.caller.actor_id, names), party(on.member, names)
        entry = Entry(
            t=now,
            kind=Kind.CHANGE,
            act="rights.exported",
            dec=Verdict.PERMIT,
            actor=LogActor(caller, on_behalf_of=None if person == caller else person),
            subjects=(names[subject],),
            purpose=PURPOSE,
            policy=service.keeper.fingerprint(tx),
            request=on.request_id,
            n=shown,
        )
        receipt = ledger.append(tx, [entry])[0]
        tx.commit()
    try:  # what was asked to be corrected may say anything, health included
        service.gate.await_gravest(receipt.index, receipt.entry_id)
    except NotAssuredError:
        raise NotExportedError from None
    return receipt.index


def _field(one: FieldAnswer, service: Service, language: str) -> dict[str, object]:
    body: dict[str, object] = {
        "field": one.field,
        "title": field_title(FieldName(one.field), service.rules.book, language),
        "effect": one.effect.value,
    }
    if one.value is not None:
        return {**body, "value": one.value}
    return {**body, "reasons": [{"code": why.value, "text": why.sentence(language)} for why in one.reasons]}


def explanation(
    service: Service, on: On, request: Request, language: str, now: int
) -> dict[str, object] | None:
    """Return why a decision about the person came out as it did; that it was told is on record first.

    None where there is nothing to tell any more: whoever asked guards nobody now, or the ward is 14.
    """
    reader = on.member if on.caller.kind is Prefix.MEMBER else request.actor_id
    speaker = service.rights.speaks(request.subject_id, reader, now)
    with service.database.reading() as tx:
        decision = str(service.rights.detail(tx, request)["decision_id"])
        if speaker is None or not concerns(tx, decision, request.subject_id, speaker, reader):
            return None
    with service.database.transaction() as tx:
        ledger.append(tx, [entry_of_step(tx, service.keeper, "rights.explained", on, request, now)])
        tx.commit()
    found = explain_decision(service, decision, language)
    return None if found is None else found.as_document()
