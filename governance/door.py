"""The door: what every request passes before a router sees it, and every answer on its way out.

Promises that headers and bodies are bounded while they stream in, that a JSON route sees only strict
JSON with the one accepted content type and only after its caller is known, that every failure leaves
as a problem document, and that nothing is cached by anybody. Pure ASGI: a wrapper per request would
cost as much as the decision.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from functools import cached_property
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from governance import strictjson
from governance.api import questions
from governance.api.forms import NothingForm, members
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
_PASSING: Final = frozenset(
    {Problem.CANNOT_RECORD, Problem.NOT_SIGNED, Problem.RULES_UNAVAILABLE, Problem.TOO_OFTEN}
)
"""What may be over when the caller tries again."""
_log = logging.getLogger("governance.door")

_AUTHZEN: Final = ("/access/", "/.well-known/authzen-configuration")
_ITS_STATUSES: Final = frozenset({400, 401, 403, 404, 405, 413, 429, 500, 503})
"""AuthZEN knows one status for every kind of bad request; the problem's code still says which it was."""
_REQUEST_MARK: Final = re.compile(rb"[\x20-\x7e]{1,200}")

_VERSIONS: Final = frozenset({"1.0", "1.1", "2"})
_HOST: Final = re.compile(rb"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")

Authenticate = Callable[[Request], Awaitable[Caller | None]]
"""Finds who calls, or raises the 401; None where a route is for everybody."""
PageFor = Callable[[ProblemError, Scope], Response | None]
"""Turns a problem at a page's address into a page; None where programs ask."""


class Door:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, page_for: PageFor, walks: Mapping[str, ASGIApp]) -> None:
        self._app = app
        self._page_for = page_for
        # The walks' own addresses go straight to their routes: the framework's layers between here and
        # there cost as much as the decision, and what they do is done by this class.
        self._walks = walks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Bound the request, run it, and turn whatever fails into a problem document."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = new_id(Prefix.REQUEST)
        scope["request_id"] = request_id
        started = False
        marks = _marks(scope)

        async def marked_send(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                _complete(message["headers"], request_id, marks or ())
            await send(message)

        try:
            _examine_head(scope, marks)
            walk = self._walks.get(scope["path"]) if scope["method"] == "POST" else None
            await (walk or self._app)(scope, _bounded(receive), marked_send)
        except ProblemError as error:
            failed = error
        except RequestValidationError as error:
            failed = _invalid(error)
        except Exception as error:  # noqa: BLE001 - the last line of defence: nothing leaves without a form
            # The class alone: messages and tracebacks of libraries may show values.
            _log.error("request failed", extra={"request": request_id, "cause": type(error).__name__})
            failed = ProblemError(Problem.INTERNAL)
        else:
            return
        if not started:
            await self._send_problem(failed, scope, receive, marked_send)

    async def _send_problem(self, error: ProblemError, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            page = self._page_for(error, scope)
        except Exception as fault:  # noqa: BLE001 - a page that does not come about must not take the answer along
            _log.error("no page", extra={"request": scope["request_id"], "cause": type(fault).__name__})
            page = None
        if page is None:
            await _send_document(error, scope, send)
        else:
            await page(scope, receive, send)


def _bounded(receive: Receive) -> Receive:
    """Return a way to receive a body that ends where a body is too long, whatever length was announced."""
    taken = 0

    async def bounded_receive() -> Message:
        nonlocal taken
        message = await receive()
        if message["type"] == "http.request":
            taken += len(message.get("body", b""))
            if taken > LARGEST_BODY:
                raise ProblemError(Problem.BODY_TOO_LARGE)
        return message

    return bounded_receive


def _marks(scope: Scope) -> list[tuple[bytes, bytes]] | None:
    """Return the ``X-Request-ID`` that an AuthZEN answer repeats; None where it is not fit to be repeated."""
    if not scope["path"].startswith(_AUTHZEN):
        return []
    marks = [(name, value) for name, value in scope["headers"] if name == b"x-request-id"]
    fit = len(marks) <= 1 and all(_REQUEST_MARK.fullmatch(value) for _, value in marks)
    return marks if fit else None


def _complete(
    headers: list[tuple[bytes, bytes]], request_id: str, marks: Iterable[tuple[bytes, bytes]]
) -> None:
    set_already = {name for name, _ in headers}
    headers.extend(one for one in _ALWAYS if one[0] not in set_already)
    headers.append((b"request-id", request_id.encode()))
    headers.extend(marks)


def _status(problem: Problem, scope: MutableMapping[str, Any]) -> int:
    known = not scope["path"].startswith(_AUTHZEN) or problem.status in _ITS_STATUSES
    return problem.status if known else Problem.BAD_REQUEST_LINE.status


def _examine_head(scope: Scope, marks: list[tuple[bytes, bytes]] | None) -> None:
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    # No path of ours needs an escape, and an id has one spelling: no twin of a path gets past this line.
    if b"%" in (scope.get("raw_path") or b"") or scope["http_version"] not in _VERSIONS:
        raise ProblemError(Problem.BAD_REQUEST_LINE)
    hosts = 0
    size = len(scope.get("raw_path") or b"") + len(scope.get("query_string") or b"")
    authorizations = 0
    for name, value in headers:
        size += len(name) + len(value)
        if name == b"host":
            hosts += 1
            if _HOST.fullmatch(value) is None:
                raise ProblemError(Problem.BAD_REQUEST_LINE)
        authorizations += name == b"authorization"
        if name == b"content-length" and not value.isdigit():
            raise ProblemError(Problem.BAD_REQUEST_LINE)
        if name == b"content-length" and (len(value) > 12 or int(value) > LARGEST_BODY):  # noqa: PLR2004
            raise ProblemError(Problem.BODY_TOO_LARGE)
    if size > _LARGEST_HEADERS or len(headers) > _MOST_HEADERS:
        raise ProblemError(Problem.HEADERS_TOO_LARGE)
    if hosts != 1 or marks is None:
        raise ProblemError(Problem.BAD_REQUEST_LINE)
    if authorizations > 1:
        raise ProblemError(Problem.UNAUTHENTICATED)


async def _send_document(error: ProblemError, scope: MutableMapping[str, Any], send: Send) -> None:
    asked = next((v for k, v in scope["headers"] if k == b"accept-language"), b"")
    language = language_of(asked.decode("latin-1"))
    status = _status(error.problem, scope)
    body = document(error, language=language, request_id=scope["request_id"], status=status)
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-language", language.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"vary", b"accept-language"),
    ]
    if error.problem is Problem.UNAUTHENTICATED:
        headers.append((b"www-authenticate", b"Bearer"))
    if error.problem in _PASSING:
        headers.append((b"retry-after", b"1"))
    elif error.retry_after is not None:
        headers.append((b"retry-after", str(error.retry_after).encode()))
    if error.problem is Problem.BODY_TOO_LARGE:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def route_for(authenticate: Authenticate) -> type[APIRoute]:
    """Return a route class whose routes first know their caller, then read strict JSON."""

    class StrictRoute(APIRoute):
        """Authenticates, then parses, then hands over to the typed endpoint."""

        async def walk(self, scope: Scope, receive: Receive, send: Send) -> None:
            """Serve one request at a fixed address, without the framework's layers."""
            scope["path_params"] = {}
            request = Request(scope, receive, send)
            response = await self._admit(request, self._call)
            await response(scope, receive, send)

        async def _call(self, request: Request) -> Response:
            assert self.dependant.call is not None
            answer: Response = await self.dependant.call(request=request, **_bind(self, request))
            return answer

        async def _admit(
            self, request: Request, endpoint: Callable[[Request], Awaitable[Response]]
        ) -> Response:
            request.state.caller = await authenticate(request)
            if request.scope["query_string"]:
                _examine_query(request, {one.alias for one in self.dependant.query_params})
            if request.method in _BODY_METHODS:
                body = await request.body()
                if not body and self._needs_nothing:
                    request._json = {}  # noqa: SLF001 - a withdrawal must not fail for want of two braces
                else:
                    _examine_content_type(request)
                    request._json = strictjson.parse(body)  # noqa: SLF001 - where Starlette keeps it
            return await endpoint(request)

        @cached_property
        def _needs_nothing(self) -> bool:
            forms = (field.field_info.annotation for field in self.dependant.body_params)
            return any(isinstance(form, type) and issubclass(form, NothingForm) for form in forms)

        def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
            # Where there is neither dependency nor query, path and body are bound here: the framework's
            # general machinery costs as much as a decision.
            endpoint = self._call if _is_plain(self) else super().get_route_handler()

            async def handle(request: Request) -> Response:
                return await self._admit(request, endpoint)

            return handle

    return StrictRoute


def _is_plain(route: APIRoute) -> bool:
    needs = route.dependant
    general = (needs.dependencies, needs.query_params, needs.header_params, needs.cookie_params)
    return not any(general) and len(needs.body_params) <= 1 and needs.request_param_name == "request"


def _bind(route: APIRoute, request: Request) -> dict[str, Any]:
    """Return the endpoint's arguments from path and body, validated by their declared types."""
    bound: dict[str, Any] = {}
    faults: list[Any] = []
    for field in route.dependant.path_params:
        bound[field.name], wrong = field.validate(
            request.path_params[field.alias], {}, loc=("path", field.alias)
        )
        faults.extend(wrong or ())
    for field in route.dependant.body_params:
        bound[field.name], wrong = field.validate(request._json, {}, loc=("body",))  # noqa: SLF001
        faults.extend(wrong or ())
    if faults:
        raise RequestValidationError(faults)
    return bound


def _examine_query(request: Request, declared: set[str]) -> None:
    """Refuse parameters nobody asked for and repeated ones: which of two counts would be a guess."""
    names = [name for name, _ in request.query_params.multi_items()]
    if len(set(names)) != len(names) or not declared.issuperset(names):
        raise ProblemError(
            Problem.INVALID_REQUEST, errors=[{"pointer": "/?", "code": "unexpected_parameter"}]
        )


def _examine_content_type(request: Request) -> None:
    kind, _, parameter = request.headers.get("content-type", "").partition(";")
    charset = parameter.strip().lower().replace(" ", "").replace('"', "")
    if kind.strip().lower() != "application/json" or charset not in ("", "charset=utf-8"):
        raise ProblemError(Problem.UNSUPPORTED_MEDIA_TYPE)
    if request.headers.get("content-encoding", "identity") != "identity":
        raise ProblemError(Problem.UNSUPPORTED_MEDIA_TYPE)


def walks_of(routers: Iterable[APIRouter]) -> dict[str, ASGIApp]:
    """Return the routes of these routers that stand at one fixed address and take one body."""
    return {
        route.path: route.walk  # type: ignore[attr-defined]  # every route of these routers is a StrictRoute
        for router in routers
        for route in router.routes
        if isinstance(route, APIRoute)
        and route.methods == {"POST"}
        and "{" not in route.path
        and _is_plain(route)
    }


async def on_invalid(_request: Request, error: Exception) -> Response:
    """Turn a validation error into its problem: where and what, never the value."""
    assert isinstance(error, RequestValidationError)
    raise _invalid(error)


def _invalid(error: RequestValidationError) -> ProblemError:
    faults = [
        {"pointer": _pointer(fault["loc"]), "code": str(fault["type"])}
        for fault in error.errors()[:_MOST_ERRORS]
    ]
    return ProblemError(Problem.INVALID_REQUEST, errors=faults)


async def on_http(_request: Request, error: Exception) -> Response:
    """Turn the framework's own refusals into problems."""
    assert isinstance(error, HTTPException)
    known = {404: Problem.NOT_FOUND, 405: Problem.METHOD_NOT_ALLOWED}
    raise ProblemError(known.get(error.status_code, Problem.MALFORMED_JSON))


def _pointer(location: tuple[int | str, ...]) -> str:
    """Return a JSON pointer into the body; a key that the caller invented is not repeated."""
    named = [part for part in location[1:] if not str(part).startswith("(")]  # the tag of a union
    declared = members() | questions.MEMBERS
    ours = location[0] != "body"  # parameters have the names we gave them
    parts = [str(part) if ours or isinstance(part, int) or part in declared else "?" for part in named]
    return "/" + "/".join(parts)
