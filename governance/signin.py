"""Signing in with a single-use link, and signing out.

Promises that looking at a link never burns it (mail scanners look at links): only the button does, and
only once. Used, old and unknown links get one and the same page.
"""

from __future__ import annotations

import re
from typing import Final

from fastapi import APIRouter, Request, Response

from governance import identity
from governance.api import access
from governance.api.access import SESSION_COOKIE
from governance.identity import SESSION_MS, Caller
from governance.pages import anybody, page_route, render, see_other
from governance.problems import Problem, ProblemError
from policies.identifiers import Prefix

_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43}")

links = APIRouter(route_class=page_route(anybody), include_in_schema=False)
sessions = APIRouter(route_class=page_route(access.signed_in), include_in_schema=False)


@links.get("/link/{token}")
async def show_link(request: Request, token: str) -> Response:
    """Show the button. Says nothing about the link, so a scanner learns nothing either."""
    return render(request, "link.html", token_path=token if _TOKEN.fullmatch(token) else "")


@links.post("/link/{token}")
async def use_link(request: Request, token: str) -> Response:
    """Burn the link and start a session."""
    service = access.service_of(request)

    def redeem() -> tuple[str, Caller] | None:
        with service.database.transaction() as tx:
            now = service.clock()
            session = identity.redeem_link(tx, token, now)
            person = None if session is None else identity.person(tx.rows, session, now)
            if session is None or person is None:
                return None
            tx.commit()
            return session, person

    redeemed = await access.in_store(request, redeem) if _TOKEN.fullmatch(token) else None
    if redeemed is None:
        raise ProblemError(Problem.LINK_USED)
    session, person = redeemed
    response = see_other("/centre" if person.kind is Prefix.MEMBER else "/console/decisions")
    response.set_cookie(
        SESSION_COOKIE,
        session,
        max_age=SESSION_MS // 1000,
        path="/",
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return response


@sessions.post("/sign-out")
async def sign_out(request: Request) -> Response:
    """End the session everywhere, not only in this browser."""
    service = access.service_of(request)
    session = request.cookies[SESSION_COOKIE]

    def end() -> None:
        with service.database.transaction() as tx:
            identity.end_session(tx, session, service.clock())
            tx.commit()

    await access.in_store(request, end)
    response = render(request, "signed_out.html")
    response.delete_cookie(SESSION_COOKIE, path="/", httponly=True, samesite="lax")
    return response


router = APIRouter(include_in_schema=False)
router.include_router(links)
router.include_router(sessions)
