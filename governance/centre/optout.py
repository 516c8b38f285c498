"""The opt-out link of a message: a page with one button, and the one-click call of mail programs (RFC 8058).

Promises that looking changes nothing (mail scanners look), that the button and the mail program's POST need
neither session nor cookie nor anything but the link, and that using a link again gives the same page.
"""

from __future__ import annotations

from email import message_from_bytes
from typing import Final
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request, Response

from governance.api import access
from governance.ladder import purpose_title
from governance.optingout import OptOut
from governance.pages import language, render
from governance.problems import Problem, ProblemError
from governance.rulekeeping import RulesUnavailableError

router = APIRouter(include_in_schema=False)

_FIELD: Final = "List-Unsubscribe"
_VALUE: Final = "One-Click"
"""What a one-click call sends, as a form of either kind (RFC 8058, section 3.2)."""


@router.get("/opt-out/{token}")
async def ask(request: Request, token: str) -> Response:
    """Show what the link would end, and the button; nothing is changed by looking."""
    link = access.service_of(request).opting_out.links.read(token)
    if link is None:
        raise ProblemError(Problem.NOT_FOUND)
    return render(request, "opt_out.html", purpose=_title(request, link), done=False)


@router.post("/opt-out/{token}")
async def opt_out(request: Request, token: str) -> Response:
    """End what the link names, at once; by the page's button or a mail program's one-click call."""
    if not await _is_one_click(request):
        raise ProblemError(Problem.FOREIGN_FORM)
    service, request_id = access.service_of(request), access.request_id_of(request)
    link = await access.in_store(
        request, lambda: service.opting_out.by_link(token, request_id, service.clock())
    )
    if link is None:
        raise ProblemError(Problem.NOT_FOUND)
    return render(request, "opt_out.html", purpose=_title(request, link), done=True)


async def _is_one_click(request: Request) -> bool:
    kind = request.headers.get("content-type", "")
    body = await request.body()
    name = kind.partition(";")[0].strip().lower()
    if name == "application/x-www-form-urlencoded":
        return (_FIELD, _VALUE) in parse_qsl(body.decode("latin-1"))
    if name != "multipart/form-data":
        return False
    head = f"content-type: {kind}\r\n\r\n".encode("latin-1", "replace")
    return any(
        part.get_param("name", header="content-disposition") == _FIELD
        and str(part.get_payload()).strip() == _VALUE
        for part in message_from_bytes(head + body).walk()
    )


def _title(request: Request, link: OptOut) -> str:
    """Return what the purpose is called; its own word when the rules cannot be used, as that stops nobody."""
    try:
        return purpose_title(link.purpose, access.service_of(request).rules.book, language(request))
    except RulesUnavailableError:
        return link.purpose
