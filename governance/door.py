"""The door: what every request passes before a router sees it, and every answer on its way out.

Promises that headers and bodies are bounded while they stream in, that a JSON route sees only strict
JSON with the one accepted content type and only after its caller is known, that every failure leaves
as a problem document, and that nothing is cached by anybody. Pure ASGI: a wrapper per request would
cost as much as the decision.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from governance import strictjson
from governance.identity import Caller
from governance.problems import Problem, ProblemError, document, language_of
from policies.identifiers import Prefix, new_id

LARGEST_BODY: Final = 256 * 1024
_LARGEST_HEADERS: Final = 16 * 1024
_MOST_HEADERS: Final = 100
_MOST_ERRORS: Final = 20
_BODY_METHODS: Final = frozenset({"POST", "PUT", "PATCH"})
_ALWAYS: Final = [
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]
_log = logging.getLogger("governance.door")

Authenticate = Callable[[Request], Awaitable[Caller]]


class Door:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Bound the request, run it, and turn whatever fails into a problem document."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = new_id(Prefix.REQUEST)
        scope["request_id"] = request_id
        started = False
        taken = 0

        async def bounded_receive() -> Message:
            nonlocal taken
            message = await receive()
            if message["type"] == "http.request":
                taken += len(message.get("body", b""))
                if taken > LARGEST_BODY:
                    raise ProblemError(Problem.BODY_TOO_LARGE)
            return message

        async def marked_send(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers: list[tuple[bytes, bytes]] = message["headers"]
                headers.extend(_ALWAYS)
                headers.append((b"request-id", request_id.encode()))
            await send(message)

        try:
            _examine_head(scope)
            await self._app(scope, bounded_receive, marked_send)
        except ProblemError as error:
            if not started:
                await _send_problem(error, scope, marked_send)
        except Exception as error:  # noqa: BLE001 - the last line of defence: nothing leaves without a form
            # The class alone: messages and tracebacks of libraries may show values.
            _log.error("request failed", extra={"request": request_id, "cause": type(error).__name__})
            if not started:
                await _send_problem(ProblemError(Problem.INTERNAL), scope, marked_send)


def _examine_head(scope: Scope) -> None:
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    hosts = 0
    size = len(scope.get("raw_path") or b"") + len(scope.get("query_string") or b"")
    authorizations = 0
    for name, value in headers:
        size += len(name) + len(value)
        hosts += name == b"host"
        authorizations += name == b"authorization"
        if name == b"content-length" and not value.isdigit():
            raise ProblemError(Problem.BAD_REQUEST_LINE)
        if name == b"content-length" and (len(value) > 12 or int(value) > LARGEST_BODY):  # noqa: PLR2004
            raise ProblemError(Problem.BODY_TOO_LARGE)
    if size > _LARGEST_HEADERS or len(headers) > _MOST_HEADERS:
        raise ProblemError(Problem.HEADERS_TOO_LARGE)
    if hosts != 1:
        raise ProblemError(Problem.BAD_REQUEST_LINE)
    if authorizations > 1:
        raise ProblemError(Problem.UNAUTHENTICATED)


async def _send_problem(error: ProblemError, scope: MutableMapping[str, Any], send: Send) -> None:
    asked = next((v for k, v in scope["headers"] if k == b"accept-language"), b"")
    language = language_of(asked.decode("latin-1"))
    body = document(error, language=language, request_id=scope["request_id"])
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-language", language.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"vary", b"accept-language"),
    ]
    if error.problem is Problem.UNAUTHENTICATED:
        headers.append((b"www-authenticate", b"Bearer"))
    if error.problem in (Problem.CANNOT_RECORD, Problem.TOO_OFTEN):
        headers.append((b"retry-after", b"1"))
    if error.problem is Problem.BODY_TOO_LARGE:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": error.problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def route_for(authenticate: Authenticate) -> type[APIRoute]:
    """Return a route class whose routes first know their caller, then read strict JSON."""

    class StrictRoute(APIRoute):
        """Authenticates, then parses, then hands over to the typed endpoint."""

        def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
            endpoint = super().get_route_handler()

            async def handle(request: Request) -> Response:
                request.state.caller = await authenticate(request)
                if request.method in _BODY_METHODS:
                    _examine_content_type(request)
                    request._json = strictjson.parse(await request.body())  # noqa: SLF001 - where Starlette keeps it
                return await endpoint(request)

            return handle

    return StrictRoute


def _examine_content_type(request: Request) -> None:
    kind, _, parameter = request.headers.get("content-type", "").partition(";")
    charset = parameter.strip().lower().replace(" ", "").replace('"', "")
    if kind.strip().lower() != "application/json" or charset not in ("", "charset=utf-8"):
        raise ProblemError(Problem.UNSUPPORTED_MEDIA_TYPE)
    if request.headers.get("content-encoding", "identity") != "identity":
        raise ProblemError(Problem.UNSUPPORTED_MEDIA_TYPE)


async def on_invalid(_request: Request, error: Exception) -> Response:
    """Turn a validation error into its problem: where and what, never the value."""
    assert isinstance(error, RequestValidationError)
    faults = [
        {"pointer": _pointer(fault["loc"]), "code": str(fault["type"])}
        for fault in error.errors()[:_MOST_ERRORS]
    ]
    raise ProblemError(Problem.INVALID_REQUEST, errors=faults)


async def on_http(_request: Request, error: Exception) -> Response:
    """Turn the framework's own refusals into problems."""
    assert isinstance(error, HTTPException)
    known = {404: Problem.NOT_FOUND, 405: Problem.METHOD_NOT_ALLOWED}
    raise ProblemError(known.get(error.status_code, Problem.MALFORMED_JSON))


def _pointer(location: tuple[int | str, ...]) -> str:
    """Return a JSON pointer into the body; a key that the caller invented is not repeated."""
    named = [part for part in location[1:] if not str(part).startswith("(")]  # the tag of a union
    parts = [str(part) if isinstance(part, int) or part.isidentifier() else "?" for part in named]
    return "/" + "/".join(part[:40] for part in parts)
