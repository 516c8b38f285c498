"""The log for officers over HTTP: search it, read one entry, keep searches.

Every page of a search and every entry is on record before it leaves. An error in a query is told by its
place in the line and a code; nothing of the line is repeated.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Annotated, Final, TypeVar

from fastapi import APIRouter, Path, Query, Request, Response

from audit.entry import ActorType, Party
from audit.search import LONGEST, SearchError, parse
from audit.search import Query as Question
from governance.api import access
from governance.api.auditforms import SavedSearchForm
from governance.cursors import Cursors
from governance.door import route_for
from governance.entrybody import entry_body, facets_body, labels_for
from governance.identity import Caller
from governance.ladder import Labels
from governance.logsearch import MOST, OFFICES, Found, Reader
from governance.problems import Problem, ProblemError
from governance.savedsearches import (
    NamesSomebodyError,
    NameTakenError,
    NoSuchSearchError,
    Saved,
    TooManySearchesError,
)
from governance.times import rfc3339
from governance.wiring import Service
from policies.identifiers import Prefix, pattern

PAGE: Final = 50
_WHICH: Final = pattern(Prefix.ENTRY).replace("^", "^(?:", 1).removesuffix("$") + "|0|[1-9][0-9]{0,14})$"
_T = TypeVar("_T")


async def officer(request: Request) -> Caller:
    """Authenticate an officer or auditor; everybody else finds nothing here."""
    return await access.signed_in_office(request, OFFICES)


router = APIRouter(prefix="/v1/audit", route_class=route_for(officer), tags=["audit"])
SearchId = Annotated[str, Path(pattern=pattern(Prefix.SEARCH))]


def reader_of(request: Request, caller: Caller) -> Reader:
    """Return the caller as the log writes who read it."""
    party = Party(ActorType.STAFF, caller.actor_id)
    return Reader(party, tuple(sorted(caller.roles)), access.request_id_of(request))


def question_of(line: str, pointer: str = "/q") -> Question:
    """Return what a line asks, or raise the problem that says where it is wrong."""
    try:
        return parse(line)
    except SearchError as error:
        fault = {"pointer": pointer, "code": error.fault.value}
        raise ProblemError(
            Problem.INVALID_REQUEST, errors=[fault], extra={"position": error.position}
        ) from None


def cursors_of(service: Service, caller: Caller, question: Question) -> Cursors:
    """Return the cursors of one caller's one question."""
    digest = sha256(question.text().encode()).hexdigest()
    return Cursors(service.ring.cursor_key, f"log:{caller.actor_id}:{digest}")


@router.get("/entries", operation_id="search_log", summary="Search the log, newest entries first")
async def entries(
    request: Request,
    q: Annotated[str, Query(max_length=LONGEST)] = "",
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = PAGE,
    facets: Annotated[bool, Query()] = False,
) -> Response:
    """Return a page of entries that fit; ``cursor`` goes on, also from a page that ended early."""
    service, caller = access.service_of(request), access.caller_of(request)
    spoken, question = access.language(request), question_of(q)
    cursors = cursors_of(service, caller, question)
    before = None if cursor is None else cursors.read(cursor)
    if cursor is not None and before is None:
        raise ProblemError(Problem.INVALID_REQUEST, errors=[{"pointer": "/cursor", "code": "another_search"}])

    def work() -> tuple[Found, Labels]:
        found = service.log.search.search(
            reader_of(request, caller), question, before, limit, counted=facets, now=service.clock()
        )
        return found, labels_for(service, found.page.hits)

    found, labels = await access.aside(work)
    page = found.page
    body: dict[str, object] = {
        "query": question.text(),
        "entries": [entry_body(hit, labels, spoken) for hit in page.hits],
        "has_more": page.next is not None,
        "cursor": None if page.next is None else cursors.make(page.next),
        "unreadable": page.unreadable,
    }
    if found.facets is not None:
        body["facets"] = facets_body(found.facets)
    return access.as_json(body)


@router.get("/entries/{which}", operation_id="log_entry", summary="One entry of the log")
async def entry(request: Request, which: Annotated[str, Path(pattern=_WHICH)]) -> Response:
    """Return the entry at an index or of an id, with its sealed detail where it still opens."""
    service, spoken = access.service_of(request), access.language(request)
    reader = reader_of(request, access.caller_of(request))
    wanted = int(which) if which.isdecimal() else which
    shown = await access.in_store(request, lambda: service.log.search.entry(reader, wanted, service.clock()))
    if shown is None:
        raise ProblemError(Problem.NOT_FOUND)
    labels = await access.in_store(request, lambda: labels_for(service, [shown.hit]))
    sealed = shown.hit.entry.detail
    detail = sealed and {"kid": sealed.kid, "sha256": sealed.sha256.hex(), "text": shown.detail}
    return access.as_json(entry_body(shown.hit, labels, spoken) | {"detail": detail})


def _saved_body(saved: Saved) -> dict[str, object]:
    return {"id": saved.id, "name": saved.name, "q": saved.query, "saved_at": rfc3339(saved.at)}


async def _kept(request: Request, work: Callable[[], _T]) -> _T:
    try:
        return await access.in_store(request, work)
    except NoSuchSearchError:
        raise ProblemError(Problem.NOT_FOUND) from None
    except NamesSomebodyError:
        errors = [{"pointer": "/q", "code": "names_somebody"}]
        raise ProblemError(Problem.INVALID_REQUEST, errors=errors) from None
    except NameTakenError:
        raise ProblemError(Problem.CONFLICT, errors=[{"pointer": "/name", "code": "name_taken"}]) from None
    except TooManySearchesError:
        raise ProblemError(Problem.CONFLICT, errors=[{"pointer": "/", "code": "too_many"}]) from None


@router.get("/searches", operation_id="saved_searches", summary="The searches that one keeps")
async def searches(request: Request) -> Response:
    """Return the caller's searches by name."""
    service, caller = access.service_of(request), access.caller_of(request)
    mine = await _kept(request, lambda: service.log.saved.of(caller.actor_id))
    return access.as_json({"searches": [_saved_body(one) for one in mine]})


@router.get("/searches/{search_id}", operation_id="saved_search", summary="One search that one keeps")
async def search(request: Request, search_id: SearchId) -> Response:
    """Return one of the caller's searches."""
    service, caller = access.service_of(request), access.caller_of(request)
    saved = await _kept(request, lambda: service.log.saved.one(caller.actor_id, search_id))
    return access.as_json(_saved_body(saved))


@router.post("/searches", operation_id="save_search", summary="Keep a search under a name")
async def save(request: Request, form: SavedSearchForm) -> Response:
    """Keep a search. It may name no member and no household: such a question is asked, not kept."""
    service, caller = access.service_of(request), access.caller_of(request)
    question = question_of(form.q)
    saved = await _kept(
        request, lambda: service.log.saved.add(caller.actor_id, form.name, question, service.clock())
    )
    return access.as_json(_saved_body(saved), 201)


@router.put("/searches/{search_id}", operation_id="change_search", summary="Change a search that one keeps")
async def change(request: Request, search_id: SearchId, form: SavedSearchForm) -> Response:
    """Give a search another name and question."""
    service, caller = access.service_of(request), access.caller_of(request)
    question = question_of(form.q)
    saved = await _kept(
        request,
        lambda: service.log.saved.change(caller.actor_id, search_id, form.name, question, service.clock()),
    )
    return access.as_json(_saved_body(saved))


@router.delete("/searches/{search_id}", operation_id="forget_search", summary="Forget a search")
async def forget(request: Request, search_id: SearchId) -> Response:
    """Forget one of the caller's searches."""
    service, caller = access.service_of(request), access.caller_of(request)
    await _kept(request, lambda: service.log.saved.drop(caller.actor_id, search_id))
    return Response(status_code=204)
