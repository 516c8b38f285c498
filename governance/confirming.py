"""Confirming a consent by the link of a mail: the page shows a button, and only the button confirms.

Promises that looking at the link changes nothing and says nothing about it (mail scanners look at links),
that it works once and only in time, and that whoever makes up a link uses up nobody's tries. Used, old and
invented links get one and the same page.
"""

from __future__ import annotations

import re
from typing import Final

from fastapi import APIRouter, Request, Response

from consent.confirmation import NotConfirmed
from governance.acting import NoSuchConsentError
from governance.api import access
from governance.pages import anybody, page_route, render
from governance.problems import Problem, ProblemError

router = APIRouter(route_class=page_route(anybody), include_in_schema=False)
_TOKEN: Final = re.compile(r"[A-Za-z0-9._-]{1,160}")


@router.get("/confirm/{token}")
async def show(request: Request, token: str) -> Response:
    """Show the button that confirms a consent; looking at it changes nothing."""
    return render(request, "confirm.html", token_path=token if _may_be(token) else "")


@router.post("/confirm/{token}")
async def confirm(request: Request, token: str) -> Response:
    """Confirm the consent that this link was sent for."""
    service = access.service_of(request)
    if not _may_be(token):
        raise ProblemError(Problem.CODE_REFUSED)
    try:
        done = await access.in_store(
            request,
            lambda: service.consenting.confirm_by_link(token, access.request_id_of(request), service.clock()),
        )
    except NoSuchConsentError:
        raise ProblemError(Problem.CODE_REFUSED) from None
    if isinstance(done, NotConfirmed):
        raise ProblemError(Problem.CODE_REFUSED)
    return render(request, "confirmed.html")


def _may_be(token: str) -> bool:
    """Say whether a token has the characters of ours: only such a one is repeated on a page."""
    return _TOKEN.fullmatch(token) is not None
