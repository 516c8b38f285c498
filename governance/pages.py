"""What all pages share: language, templates, the content policy, forms, and problems as pages.

Promises that no page runs a script, that a form works only from our own page in the session it was made
for, that a page exists only for whom its route knows, and that the language is the one the person chose
(or the browser prefers). Values are escaped by the templates; a name that is not defined stops a page.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Final, cast
from urllib.parse import parse_qsl, urlencode

from babel.dates import format_date
from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.types import Scope

from governance.api import access
from governance.api.access import SESSION_COOKIE
from governance.identity import Caller
from governance.languages import LANGUAGES, saying
from governance.problems import Problem, ProblemError, language_of
from governance.times import local

LANGUAGE_COOKIE: Final = "governance_lang"
POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
_HERE: Final = Path(__file__).parent
_LOCALES: Final = {"zh": "zh_CN", "en": "en_GB"}
_YEAR: Final = 365 * 24 * 3600
_LONGEST_FORM: Final = 4_000
_PAGES: Final = ("/centre", "/console", "/confirm/", "/link/", "/opt-out/", "/sign-out")
_HEADERS: Final = {
    "content-security-policy": POLICY,
    # With no-referrer a browser would send forms of our own with "Origin: null".
    "referrer-policy": "same-origin",
    "vary": "accept-language, cookie",
}

Authenticate = Callable[[Request], Awaitable[Caller | None]]


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["clock"] = lambda at: f"{local(at):%H:%M}"
    environment.filters["second"] = lambda at: f"{local(at):%H:%M:%S}"
    environment.filters["iso"] = lambda at: f"{local(at):%Y-%m-%d}"
    environment.filters["moment"] = lambda at: f"{local(at):%Y-%m-%d %H:%M:%S}"
    environment.filters["weekday"] = lambda at, spoken: format_date(local(at), "full", _LOCALES[spoken])
    environment.filters["date"] = lambda at, spoken: format_date(local(at), "long", _LOCALES[spoken])
    return environment


@cache
def _static() -> Mapping[str, tuple[bytes, str]]:
    """Return the files that pages load, by an address that changes with their content."""
    kinds = {".css": "text/css", ".svg": "image/svg+xml"}
    found = {}
    for path in sorted((_HERE / "static").iterdir()):
        content = path.read_bytes()
        mark = hashlib.sha256(content).hexdigest()[:16]
        found[f"{path.stem}-{mark}{path.suffix}"] = (content, kinds[path.suffix])
    return found


@cache
def _address(file: str) -> str:
    stem, _, suffix = file.partition(".")
    return next(
        f"/static/{name}" for name in _static() if name.startswith(f"{stem}-") and name.endswith(suffix)
    )


def language(request: Request) -> str:
    """Return the reader's language: as asked for now, as chosen before, as the browser prefers."""
    for chosen in (request.query_params.get("lang"), request.cookies.get(LANGUAGE_COOKIE)):
        if chosen in LANGUAGES:
            return chosen
    return language_of(request.headers.get("accept-language", ""))


def _other_language(request: Request, spoken: str) -> str:
    other = "zh" if spoken == "en" else "en"
    kept = [(name, value) for name, value in request.query_params.multi_items() if name != "lang"]
    return "?" + urlencode([*kept, ("lang", other)])


def render(
    request: Request, template: str, status: int = 200, *, caller: Caller | None = None, **context: object
) -> Response:
    """Return a page."""
    spoken = language(request)
    body = (
        _templates()
        .get_template(template)
        .render(
            _=saying(spoken),
            spoken=spoken,
            other_language=_other_language(request, spoken),
            static=_address,
            # Not the URL: that is put together with the Host header, which may be anything.
            path=request.scope["path"],
            caller=caller,
            token=None if caller is None else form_token(request),
            **context,
        )
    )
    response = Response(body, status, {**_HEADERS, "content-language": spoken}, "text/html; charset=utf-8")
    if request.query_params.get("lang") in LANGUAGES:
        response.set_cookie(LANGUAGE_COOKIE, spoken, max_age=_YEAR, httponly=True, samesite="lax")
    return response


def see_other(address: str) -> Response:
    """Return the redirect after a form: the page that follows can be reloaded without sending it again."""
    return Response(status_code=303, headers={"location": address, **_HEADERS})


def form_token(request: Request) -> str:
    """Return the token that forms of this session carry."""
    session = request.cookies.get(SESSION_COOKIE, "")
    key = access.service_of(request).ring.cursor_key
    return hmac.digest(key, b"form:" + session.encode(), hashlib.sha256).hex()


def _examine_origin(request: Request) -> None:
    """Refuse a form that another site made the browser send."""
    origin = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site")
    # A form never comes from nowhere: a browser that sends one says from where.
    unsaid = site == "none" or (origin is None and site is None)
    if unsaid or access.is_foreign(request):
        raise ProblemError(Problem.FOREIGN_FORM)


async def form_of(request: Request) -> Mapping[str, str]:
    """Return the fields of a form; a route has examined its origin and token before."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise ProblemError(Problem.FOREIGN_FORM)
    body = await request.body()
    if len(body) > _LONGEST_FORM:
        raise ProblemError(Problem.BODY_TOO_LARGE)
    try:
        return dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=8))
    except ValueError:
        raise ProblemError(Problem.FOREIGN_FORM) from None


def page_route(authenticate: Authenticate) -> type[APIRoute]:
    """Return a route class for pages: knows its caller first, and takes forms only from its own pages."""

    class PageRoute(APIRoute):
        """Authenticates, examines a form's origin and token, then hands over."""

        def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
            endpoint = super().get_route_handler()

            async def handle(request: Request) -> Response:
                caller = await authenticate(request)
                request.state.caller = caller
                if request.method == "POST":
                    _examine_origin(request)
                    form = await form_of(request)
                    if caller is not None and not hmac.compare_digest(
                        form.get("token", "").encode(), form_token(request).encode()
                    ):
                        raise ProblemError(Problem.FOREIGN_FORM)
                return await endpoint(request)

            return handle

    return PageRoute


async def anybody(_request: Request) -> None:
    """Authenticate nobody: the page is for whoever holds the link."""


def problem_page(error: ProblemError, scope: Scope) -> Response | None:
    """Return a problem as a page if the address is one of a page; None: answer with a document."""
    if not scope["path"].startswith(_PAGES):
        return None
    request = Request(scope)
    problem = error.problem
    say = saying(language(request))
    titles = {
        Problem.UNAUTHENTICATED: say("请先登录"),
        Problem.NOT_FOUND: say("没有这个页面"),
        Problem.LINK_USED: say("这个链接已经用过或已过期"),
        Problem.FOREIGN_FORM: say("没有执行这个操作"),
        Problem.CANNOT_RECORD: say("暂时无法打开"),
        Problem.CODE_REFUSED: say("没有确认"),
    }
    advice = {
        Problem.UNAUTHENTICATED: say("请用发给您的一次性登录链接进入；链接只能用一次，一天内有效。"),
        Problem.LINK_USED: say("请索取一个新的登录链接。如果不是您本人用过它，请马上联系我们。"),
        Problem.FOREIGN_FORM: say("请回到原来的页面，刷新后再试一次。"),
        Problem.CODE_REFUSED: say("链接只能用一次，十分钟内有效。请回到您勾选的地方，再要一个验证码。"),
    }
    return render(
        request,
        "problem.html",
        problem.status,
        title=titles.get(problem, say("出了点问题")),
        detail=problem.sentence(language(request)),
        advice=advice.get(problem, ""),
        request_id=scope["request_id"],
    )


router = APIRouter(include_in_schema=False)


@router.get("/static/{name}")
async def static(name: str) -> Response:
    """Return a stylesheet or picture of ours."""
    content = _static().get(name)
    if content is None:
        raise ProblemError(Problem.NOT_FOUND)
    headers = {"cache-control": "public, max-age=31536000, immutable"}
    return Response(content[0], headers=headers, media_type=content[1])


def caller_of(request: Request) -> Caller:
    """Return whom the page's route knows."""
    return cast("Caller", request.state.caller)
