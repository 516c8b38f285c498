"""The officers' page: what the gate decided, newest first, and one decision explained.

Only compliance officers and auditors. Members appear by the short form of their pseudonym. Reading the
log is itself an entry, committed before the page is shown; one about a single decision names whom that
decision was about, so the member sees it too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request, Response
from sqlalchemy import bindparam, select

from audit import ledger
from audit.entry import Actor, ActorType, Entry, Kind, Party, Verdict, decode
from audit.records import AuditEntry
from governance.accesses import labels_of
from governance.api import access
from governance.cursors import Cursors
from governance.explaining import Explanation, entry_of, explain, sentence, short, verdict
from governance.identity import Caller
from governance.ladder import Labels
from governance.pages import caller_of, language, page_route, render, see_other
from governance.problems import Problem, ProblemError
from governance.reasoning import reasons_of_rules
from governance.wiring import Service
from policies.identifiers import Prefix, pattern
from policies.terms import Effect, Outcome
from policies.transaction import Transaction

OFFICES: Final = frozenset({"compliance_officer", "auditor"})
_PAGE: Final = 40
_STRETCH: Final = 20_000
"""How many entries one page looks through at most: rare ones must not make it read the whole log."""

_log = AuditEntry.__table__.c
_DECIDED: Final = (Kind.DECISION, Kind.OUTCOME, Kind.CHANGE)
_STOPPED: Final = (Verdict.DENY, Verdict.REFUSE, Verdict.ERROR)
_SOME: Final = (
    select(_log.leaf_index, _log.leaf)
    .where(
        _log.leaf_index < bindparam("before"),
        _log.leaf_index >= bindparam("after"),
        _log.kind.in_(bindparam("kinds", expanding=True)),
        _log.dec.in_(bindparam("decs", expanding=True)),
    )
    .order_by(_log.leaf_index.desc())
    .limit(bindparam("most"))
)
_TONES: Final = {Outcome.ADMIT: "pass", Outcome.HOLD: "held", Outcome.REFUSE: "stop"}
_VIEWS: Final = {
    "all": (_DECIDED, tuple(Verdict)),
    "blocked": (_DECIDED, _STOPPED),
    "readings": ((Kind.AUDIT,), tuple(Verdict)),
}


async def officer(request: Request) -> Caller:
    """Authenticate an officer or auditor; for everybody else there is no such page."""
    return await access.signed_in_office(request, OFFICES)


router = APIRouter(prefix="/console", route_class=page_route(officer), include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the list."""

    index: int
    at: int
    link: str
    sentence: str
    about: str
    verdict: str
    tone: str


@dataclass(frozen=True, slots=True)
class _Page:
    rows: list[Row]
    older: int | None
    size: int


@router.get("")
async def home() -> Response:
    """Lead to the decisions."""
    return see_other("/console/decisions")


@router.get("/decisions")
async def decisions(
    request: Request,
    view: Annotated[str, Query(pattern="^(?:all|blocked|readings)$")] = "all",
    before: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """Show a page of decisions, newest first."""
    service, caller, spoken = access.service_of(request), caller_of(request), language(request)
    cursors = Cursors(service.ring.cursor_key, f"decisions:{caller.actor_id}")
    end = ledger.NEWEST if before is None else cursors.read(before)
    if end is None:
        raise ProblemError(Problem.NOT_FOUND)
    page = await access.in_store(
        request, lambda: _page(service, _reading(caller, request), view, end, spoken)
    )
    return render(
        request,
        "decisions.html",
        caller=caller,
        page=page,
        view=view,
        first=before is None,
        older=cursors.make(page.older) if page.older else None,
        rules=service.rules.book.fingerprint,
    )


def _page(service: Service, reading: Entry, view: str, end: int, spoken: str) -> _Page:
    kinds, decs = _VIEWS[view]
    service.log.settle()
    with service.database.transaction() as tx:
        size = ledger.head(tx).size
        end = min(end, size)
        after = max(0, end - _STRETCH)
        asked = {"before": end, "after": after, "kinds": kinds, "decs": decs, "most": _PAGE + 1}
        found = [(index, decode(leaf)) for index, leaf in tx.rows(_SOME, asked)]
        labels = Labels(service.rules.book, labels_of(tx, [entry for _, entry in found]))
        _record(tx, reading)
        tx.commit()
    older = after or None
    if len(found) > _PAGE:
        older = found[_PAGE - 1][0]
    return _Page([_row(index, entry, labels, spoken) for index, entry in found[:_PAGE]], older, size)


def _row(index: int, entry: Entry, labels: Labels, spoken: str) -> Row:
    return Row(
        index,
        entry.t,
        f"/console/decisions/{entry.decision or entry.id}",
        sentence(entry, labels, spoken),
        "" if not entry.subjects else short(entry.subjects[0].hex()),
        verdict(entry, spoken),
        tone(entry),
    )


def tone(entry: Entry) -> str:
    """Return how a verdict is coloured; the word beside it always says the same."""
    if entry.message is not None:
        return _TONES[entry.message.outcome]
    if entry.dec is not Verdict.PERMIT:
        return "stop"
    return "part" if {one.effect for one in entry.fields} - {Effect.SHOW} else "pass"


@router.get("/decisions/{decision_id}")
async def decision(
    request: Request, decision_id: Annotated[str, Path(pattern=pattern(Prefix.DECISION, Prefix.ENTRY))]
) -> Response:
    """Show one decision: the sentence first, then the ladder."""
    service, caller, spoken = access.service_of(request), caller_of(request), language(request)
    found = await access.in_store(
        request, lambda: _explained(service, _reading(caller, request), decision_id, spoken)
    )
    if found is None:
        raise ProblemError(Problem.NOT_FOUND)
    explanation, entry = found
    rows = await access.in_store(request, lambda: reasons_of_rules(service, entry, spoken))
    return render(
        request,
        "decision.html",
        caller=caller,
        it=explanation,
        entry=entry,
        tone=tone(entry),
        id=decision_id,
        rows=rows,
    )


def _explained(
    service: Service, reading: Entry, decision_id: str, spoken: str
) -> tuple[Explanation, Entry] | None:
    service.log.settle()
    with service.database.transaction() as tx:
        found = entry_of(tx, decision_id)
        if found is None:
            return None
        labels = Labels(service.rules.book, labels_of(tx, [found[1]]))
        _record(tx, reading, found[1].subjects, decision_id)
        tx.commit()
    return explain(*found, labels, spoken), found[1]


def _reading(caller: Caller, request: Request) -> Entry:
    return Entry(
        t=access.service_of(request).clock(),
        kind=Kind.AUDIT,
        act="log.read",
        dec=Verdict.PERMIT,
        actor=Actor(Party(ActorType.STAFF, caller.actor_id), tuple(sorted(caller.roles))),
        purpose="audit.review",
        policy=access.service_of(request).rules.book.fingerprint,
        request=access.request_id_of(request),
    )


def _record(tx: Transaction, reading: Entry, subjects: tuple[bytes, ...] = (), resource: str = "") -> None:
    """Log the reading itself, before anything of the log is shown."""
    ledger.append(tx, [replace(reading, subjects=subjects, resource=resource)])
