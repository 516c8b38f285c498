"""Everything on record about a person, for the person: as JSON for another service, as a page to read.

Promises that every value goes through the gate like any other read, so it is decided and recorded before it
is opened and nothing is in an export that its reader may not see; that the export itself is on record; and
that the file is complete: what was withheld stands in it with the reason
(个人信息保护法 第四十五条第一款、第三款).
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from audit import ledger
from audit.entry import Actor as LogActor
from audit.entry import Entry, Kind, Verdict
from governance import accesses
from governance.acting import On
from governance.asking import Answer, Ask, FieldAnswer, NotYours
from governance.explaining import explain_decision
from governance.ladder import field_title, purpose_title
from governance.languages import saying
from governance.rights import entry_of_step
from governance.rightsrecords import Request
from governance.testimony import party
from governance.times import rfc3339
from governance.wiring import Service
from policies.identifiers import Prefix, new_id
from policies.terms import Action, Effect, FieldName, Purpose, SubjectId, SubjectKind

FORMAT: Final = "household-governance/export/1"
PURPOSE: Final = Purpose("personal.access")
_MOST_ACCESSES: Final = 1_000
_AT_ONCE: Final = 32


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
    book = service.rules.book
    names = [
        name
        for name, entry in book.fields.items()
        if entry.subject is SubjectKind.MEMBER and entry.channel is None
    ]
    asks = [
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
    answers = [_answered(reply) for reply in service.gate.read(asks, now)]
    index = _record(service, on, subject, answers, now)
    consents = service.consenting.of_member(subject, now)
    seen, more = accesses.of_member(service, subject, None, _MOST_ACCESSES)
    return {
        "format": FORMAT,
        "made_at": rfc3339(now),
        "controller": service.ring.tenant,
        "subject": subject,
        "receipt": index,
        "fields": [_field(one, service, language) for answer in answers for one in answer.fields],
        "consents": [
            {
                "consent_id": consent.consent_id,
                "purpose": consent.terms.purpose,
                "title": purpose_title(consent.terms.purpose, book, language),
                "categories": sorted(consent.terms.categories),
                "state": state.value,
                "text": state.sentence(language),
                "given_at": rfc3339(consent.confirmed_at or consent.ticked_at),
                "withdrawn_at": None if consent.withdrawn_at is None else rfc3339(consent.withdrawn_at),
            }
            for consent, state in consents
        ],
        "accesses": [
            {
                "receipt": one.index,
                "at": rfc3339(one.at),
                "who": one.who,
                "action": one.action,
                "purpose": one.purpose,
                "blocked": one.blocked,
                "fields": [field for field, _, _ in one.fields],
            }
            for one in seen
        ],
        "more_accesses": more,
        "requests": [
            {
                "id": one.id,
                "kind": one.kind.value,
                "status": one.status(now).value,
                "at": rfc3339(one.asked_at),
            }
            for one in service.rights.of_member(subject)
        ],
    }


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


def as_page(document: Mapping[str, object], language: str) -> str:
    """Return an export as one page of HTML that needs nothing else: no script, no style, no picture."""
    say = saying(language)
    parts = [
        (say("我的信息"), _rows(document["fields"], ("title", "value"))),
        (say("我的同意"), _rows(document["consents"], ("title", "text", "given_at"))),
        (say("谁看过我"), _rows(document["accesses"], ("at", "who", "action", "purpose"))),
        (say("我的请求"), _rows(document["requests"], ("at", "kind", "status"))),
    ]
    body = "".join(f"<h2>{html.escape(title)}</h2>\n<table>\n{rows}</table>\n" for title, rows in parts)
    spoken = "en" if language == "en" else "zh-CN"
    heading = html.escape(say("关于我的全部记录"))
    return (
        f'<!doctype html>\n<html lang="{spoken}">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{heading}</title>\n</head>\n<body>\n<h1>{heading}</h1>\n"
        f"<p>{html.escape(str(document['controller']))} · {html.escape(str(document['made_at']))}</p>\n"
        f"{body}</body>\n</html>\n"
    )


def _rows(entries: object, columns: Iterable[str]) -> str:
    assert isinstance(entries, list), "the parts of an export are lists"
    keys = tuple(columns)
    lines = ("".join(f"<td>{html.escape(_cell(entry, key))}</td>" for key in keys) for entry in entries)
    return "".join(f"<tr>{line}</tr>\n" for line in lines)


def _cell(entry: Mapping[str, object], key: str) -> str:
    value = entry.get(key)
    if value is None and key == "value":
        reasons = entry.get("reasons")
        return "; ".join(str(one["text"]) for one in reasons) if isinstance(reasons, list) else ""
    return "" if value is None else str(value)


def explanation(
    service: Service, on: On, request: Request, language: str, now: int
) -> dict[str, object] | None:
    """Return why a decision about the person came out as it did; that it was told is on record first."""
    with service.database.transaction() as tx:
        ledger.append(tx, [entry_of_step(tx, service.keeper, "rights.explained", on, request, now)])
        tx.commit()
    with service.database.reading() as tx:
        decision = str(service.rights.detail(tx, request)["decision_id"])
    found = explain_decision(service, decision, language)
    return None if found is None else found.as_document()
