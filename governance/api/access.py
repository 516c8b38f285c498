"""How the routers reach the service and their caller; shared by every kind of caller.

A router does three things: body to a frozen ask, ask to the gate, reply to JSON. It decides nothing.
"""

from __future__ import annotations

from asyncio import get_running_loop
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final, TypeVar, cast
from urllib.parse import urlsplit

import orjson
from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool

from governance import identity, replay
from governance.asking import Answer, Broken, FieldAnswer, NotYours, Reply, Unrecorded
from governance.collecting import Collector
from governance.database import StoreError
from governance.identity import Caller, Scope
from governance.logbook import NotAssuredError
from governance.problems import Problem, ProblemError, language_of
from governance.replay import Once
from governance.rulekeeping import RulesUnavailableError
from governance.times import rfc3339
from governance.wiring import Service
from policies.identifiers import Prefix
from policies.reasons import Reason
from policies.terms import ActorId

SESSION_COOKIE: Final = "governance_session"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_T = TypeVar("_T")


def service_of(request: Request) -> Service:
    """Return the wired service."""
    return cast("Service", request.app.state.service)


def collector_of(request: Request) -> Collector:
    """Return the queue in front of the gate."""
    return cast("Collector", request.app.state.collector)


def caller_of(request: Request) -> Caller:
    """Return whom the route authenticated."""
    return cast("Caller", request.state.caller)


def request_id_of(request: Request) -> str:
    """Return the id this request has in log and answers."""
    return cast("str", request.scope["request_id"])


def language(request: Request) -> str:
    """Return the language the caller reads, ``zh`` or ``en``."""
    return language_of(request.headers.get("accept-language", ""))


async def in_store(request: Request, work: Callable[[], _T]) -> _T:
    """Run database work: on the loop for SQLite, in a thread for PostgreSQL."""
    with _told():
        if service_of(request).database.inline:
            return work()
        return await run_in_threadpool(work)


async def aside(work: Callable[[], _T]) -> _T:
    """Run database work that may take a tenth of a second: never on the loop, whatever the engine."""
    with _told():
        return await run_in_threadpool(work)


@contextmanager
def _told() -> Iterator[None]:
    """Tell what a store or the rules could not do as a problem."""
    try:
        yield
    except RulesUnavailableError:
        raise ProblemError(Problem.RULES_UNAVAILABLE) from None
    except (StoreError, NotAssuredError):
        raise ProblemError(Problem.CANNOT_RECORD) from None


_OUTSIDE: Final = ThreadPoolExecutor(8, "outside")
"""Waits for gateways. Apart from the threads that decide: a slow gateway must hold up nobody's read."""


async def with_outside(work: Callable[[], _T]) -> _T:
    """Run database work that also speaks to somebody outside the house; never on the loop."""
    with _told():
        return await get_running_loop().run_in_executor(_OUTSIDE, work)


async def api_caller(request: Request) -> Caller:
    """Authenticate a service by its API key, or raise the one 401."""
    key = identity.bearer_of(request.headers.get("authorization", ""))
    if key is None:
        raise ProblemError(Problem.UNAUTHENTICATED)
    service = service_of(request)

    caller = await in_store(request, lambda: identity.service(service.database.look, key, service.clock()))
    if caller is None:
        raise ProblemError(Problem.UNAUTHENTICATED)
    return caller


async def signed_in(request: Request) -> Caller:
    """Authenticate a person by the session cookie, or raise the one 401.

    A browser adds the cookie to whatever another site makes it send, so such a change is refused.
    """
    token = request.cookies.get(SESSION_COOKIE, "")
    if not 20 <= len(token) <= 100:  # noqa: PLR2004 - ours have 43 characters
        raise ProblemError(Problem.UNAUTHENTICATED)
    service = service_of(request)

    caller = await in_store(request, lambda: identity.person(service.database.look, token, service.clock()))
    if caller is None:
        raise ProblemError(Problem.UNAUTHENTICATED)
    if request.method not in _SAFE and is_foreign(request):
        raise ProblemError(Problem.FOREIGN_FORM)
    return caller


def is_foreign(request: Request) -> bool:
    """Say whether the browser tells that another site made it send this; programs tell nothing and pass."""
    if request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        return True
    origin = request.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != request.headers.get("host")


async def anybody(request: Request) -> Caller:
    """Authenticate a service by its key, or else a person by the session, or raise the one 401."""
    if request.headers.get("authorization") is not None:
        return await api_caller(request)
    return await signed_in(request)


async def signed_in_member(request: Request) -> Caller:
    """Authenticate a member; staff have no member surface."""
    caller = await signed_in(request)
    if caller.kind is not Prefix.MEMBER:
        raise ProblemError(Problem.NOT_FOUND)
    return caller


async def signed_in_office(request: Request, offices: frozenset[str]) -> Caller:
    """Authenticate a member of staff with one of these offices; everybody else finds nothing here."""
    caller = await signed_in(request)
    if caller.kind is not Prefix.STAFF or not caller.roles & offices:
        raise ProblemError(Problem.NOT_FOUND)
    return caller


def require(caller: Caller, scope: Scope) -> None:
    """Raise unless the caller's key has the scope."""
    if scope not in caller.scopes:
        raise ProblemError(Problem.OUT_OF_SCOPE)


def acting(caller: Caller, on_behalf_of: str | None) -> ActorId:
    """Return whom a decision is about: the caller, or the person a service may act for."""
    if on_behalf_of is None:
        return caller.actor_id
    require(caller, Scope.ON_BEHALF)
    return ActorId(on_behalf_of)


async def once_of(request: Request) -> Once | None:
    """Return the request's idempotency key with the fingerprint of its body."""
    try:
        return replay.once_of(request.headers.get("idempotency-key"), await request.body())
    except ValueError:
        raise ProblemError(Problem.BAD_REQUEST_LINE) from None


def say(reasons: Iterable[Reason], spoken: str) -> list[dict[str, str]]:
    """Return reasons as callers get them: the stable code and a sentence."""
    return [{"code": reason.value, "text": reason.sentence(spoken)} for reason in reasons]


def field_body(field: FieldAnswer, spoken: str) -> dict[str, object]:
    """Return one field of an answer."""
    reasons = say(field.reasons, spoken)
    if field.rules and reasons:
        reasons[0]["rule"] = field.rules[0]
    body: dict[str, object] = {"field": field.field, "effect": field.effect.value, "reasons": reasons}
    if field.value is not None:
        body["value"] = field.value
    return body


def answer_body(answer: Answer, spoken: str) -> dict[str, object]:
    """Return an answer as a body; ``retry_at`` where a limit withheld something until then."""
    waits = {} if answer.retry_at is None else {"retry_at": rfc3339(answer.retry_at)}
    return {
        **waits,
        "decision_id": answer.decision_id,
        "entry_id": answer.entry_id,
        "receipt": answer.receipt,
        "fields": [field_body(field, spoken) for field in answer.fields],
        "duties": list(answer.duties),
    }


def answered(reply: Reply) -> Answer:
    """Return the reply if it is an answer, or raise the problem it stands for."""
    match reply:
        case Answer():
            return reply
        case NotYours():
            raise ProblemError(Problem.NOT_FOUND)
        case Unrecorded():
            raise not_recorded(reply)
        case Broken():
            raise ProblemError(Problem.INTERNAL)


def not_recorded(reply: Unrecorded) -> ProblemError:
    """Return the problem that a decision which was not recorded stands for."""
    return ProblemError(Problem.RULES_UNAVAILABLE if reply.no_rules else Problem.CANNOT_RECORD)


def as_json(body: object, status: int = 200) -> Response:
    """Return a JSON response."""
    return Response(orjson.dumps(body), status, media_type="application/json")
