"""The three searches of AuthZEN 1.0 over HTTP, page by page: all that is allowed, or an error.

A page's token carries how many results were wanted and where to go on, and fits one caller's one search
under one version of the rules: a search that changes half-way is refused instead of answered by halves.
"""

from __future__ import annotations

from hashlib import sha256

import orjson
from fastapi import APIRouter, Request, Response

from governance import authzen
from governance.api import access
from governance.api.authzen import admitted
from governance.api.questions import (
    MOST_RESULTS,
    ActionSearchForm,
    PageForm,
    ResourceSearchForm,
    SubjectSearchForm,
    entity,
    question,
    sought,
)
from governance.asking import Unrecorded
from governance.authzen import Body, Question
from governance.cursors import Tokens
from governance.door import route_for
from governance.identity import Caller, Scope
from governance.problems import Problem, ProblemError
from governance.searching import Found, OtherRulesError, Page, Sought, search

router = APIRouter(prefix="/access/v1/search", route_class=route_for(access.api_caller), tags=["authzen"])


@router.post("/subject", operation_id="search_subject", summary="AuthZEN subject search")
async def search_subject(request: Request, form: SubjectSearchForm) -> Response:
    """Find who can do this with that, page by page, all or an error."""
    asked = question(sought(form.subject), form.action, entity(form.resource), form.context)
    return await _searched(request, Sought.SUBJECT, asked, form.page)


@router.post("/resource", operation_id="search_resource", summary="AuthZEN resource search")
async def search_resource(request: Request, form: ResourceSearchForm) -> Response:
    """Find with what somebody can do this: which fields of whom, or for which purposes; all or an error."""
    asked = question(entity(form.subject), form.action, sought(form.resource), form.context)
    return await _searched(request, Sought.RESOURCE, asked, form.page)


@router.post("/action", operation_id="search_action", summary="AuthZEN action search")
async def search_action(request: Request, form: ActionSearchForm) -> Response:
    """Find what somebody can do with that, page by page, all or an error."""
    asked = question(entity(form.subject), None, entity(form.resource), form.context)
    return await _searched(request, Sought.ACTION, asked, form.page)


async def _searched(request: Request, what: Sought, asked: Question, wanted: PageForm | None) -> Response:
    caller = admitted(request, Scope.SEARCHES)
    if authzen.for_another(caller, asked.subject):
        access.require(caller, Scope.ON_BEHALF)
    service = access.service_of(request)
    tokens = _tokens(request, caller, what, asked)
    page = _page(tokens, wanted)
    request_id = access.request_id_of(request)
    try:
        found = await access.in_store(
            request, lambda: search(service, caller, what, asked, page, request_id, service.clock())
        )
    except OtherRulesError:
        raise _another_search() from None
    if isinstance(found, Unrecorded):
        raise access.not_recorded(found)
    body: Body = {"results": list(found.results)}
    if wanted is not None or found.next:
        body["page"] = _next_page(tokens, page, found)
    return access.as_json(body)


def _tokens(request: Request, caller: Caller, what: Sought, asked: Question) -> Tokens:
    """Return the tokens of one caller's one search."""
    query = sha256(authzen.canonical(asked)).hexdigest()
    key = access.service_of(request).ring.cursor_key
    return Tokens(key, f"authzen:{caller.actor_id}:{what}:{query}")


def _page(tokens: Tokens, wanted: PageForm | None) -> Page:
    limit = None if wanted is None else wanted.limit
    if wanted is None or not wanted.token:
        return Page(min(limit or MOST_RESULTS, MOST_RESULTS))
    said = tokens.said(wanted.token)
    if said is None:
        raise _another_search()
    before, after, rules = orjson.loads(said)
    return Page(min(limit or before, MOST_RESULTS), after, rules)


def _another_search() -> ProblemError:
    return ProblemError(
        Problem.INVALID_REQUEST, errors=[{"pointer": "/page/token", "code": "another_search"}]
    )


def _next_page(tokens: Tokens, page: Page, found: Found) -> Body:
    token = tokens.write(orjson.dumps([page.limit, found.next, found.rules])) if found.next else ""
    return {"next_token": token, "count": len(found.results)}
