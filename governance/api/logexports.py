"""Exports of the log over HTTP, for compliance officers by session: ask, approve, fetch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVar

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import Field, StringConstraints

from audit.bundle import DamagedLogError
from audit.ledger import LogError
from audit.lockstore import LockStoreError
from governance.api import access
from governance.api.auditlog import question_of
from governance.api.forms import Form, NothingForm
from governance.approving import OFFICE
from governance.door import route_for
from governance.exportfilter import LONGEST_QUERY, UnfitQueryError
from governance.exportrecords import OPEN, Asked
from governance.identity import Caller
from governance.logexports import ExportClosedError, NoSuchExportError, SamePersonError, Wish
from governance.logsource import Run, UnfitRunError
from governance.problems import Problem, ProblemError
from governance.replay import KeyReusedError
from governance.times import instant, rfc3339
from policies.identifiers import Prefix, pattern


async def officer(request: Request) -> Caller:
    """Authenticate a compliance officer; for everybody else there is nothing here."""
    return await access.signed_in_office(request, frozenset({OFFICE}))


router = APIRouter(prefix="/v1/audit/exports", route_class=route_for(officer), tags=["audit"])
ExportId = Annotated[str, Path(pattern=pattern(Prefix.EXPORT))]
_Index = Annotated[int, Field(ge=0, le=2**53 - 1)]
_T = TypeVar("_T")


class ExportForm(Form):
    """A run of the log: by index (``end`` exclusive) or by time, and which of its entries, or all."""

    first: _Index | None = None
    end: _Index | None = None
    since: str | None = None
    until: str | None = None
    # The grammar of searches; letters of other scripts stay out, because they would be names of people.
    query: Annotated[
        str, StringConstraints(min_length=1, max_length=LONGEST_QUERY, pattern=r"^[ -~：]*$")
    ] = ""


def _wish(form: ExportForm) -> Wish:
    question_of(form.query, "/query")
    by_index, by_time = (form.first, form.end), (form.since, form.until)
    if (by_index == (None, None)) == (by_time == (None, None)):
        raise _invalid("/first", "index_or_time")
    times: list[int | None] = []
    for name, text in zip(("since", "until"), by_time, strict=True):
        times.append(None if text is None else instant(text))
        if text is not None and times[-1] is None:
            raise _invalid(f"/{name}", "not_a_time")
    return Wish(Run(form.first, form.end, *times), form.query)


def _invalid(pointer: str, code: str) -> ProblemError:
    return ProblemError(Problem.INVALID_REQUEST, errors=[{"pointer": pointer, "code": code}])


def _body(asked: Asked) -> dict[str, object]:
    return {
        "export_id": asked.id,
        "first": asked.first,
        "end": asked.end,
        "log_size": asked.size,
        "query": asked.query or None,
        "entries": asked.entries,
        "state": asked.state.value,
        "asked_by": asked.asked_by,
        "asked_at": rfc3339(asked.asked_at),
        "expires_at": rfc3339(asked.expires_at),
        "decided_by": asked.decided_by,
        "decided_at": None if asked.decided_at is None else rfc3339(asked.decided_at),
        "download": f"/v1/audit/exports/{asked.id}/download" if asked.state in OPEN else None,
    }


async def _done(work: Callable[[], _T]) -> _T:
    """Run work that may pass over much of the log: never on the loop, on either engine."""
    try:
        return await access.with_outside(work)
    except UnfitRunError as unfit:
        raise _invalid(unfit.pointer, unfit.code) from None
    except UnfitQueryError:
        raise _invalid("/query", "not_a_query") from None
    except KeyReusedError:
        raise ProblemError(Problem.KEY_REUSED) from None
    except NoSuchExportError:
        raise ProblemError(Problem.NOT_FOUND) from None
    except SamePersonError:
        raise ProblemError(Problem.SECOND_PERSON_NEEDED) from None
    except ExportClosedError:
        raise ProblemError(Problem.CONFLICT) from None
    except (LogError, LockStoreError, DamagedLogError):
        raise ProblemError(Problem.CANNOT_RECORD) from None


@router.post("", operation_id="ask_log_export", summary="Ask for an export of the log")
async def ask(request: Request, form: ExportForm) -> Response:
    """Fix a signed head and count; a large export waits for a second officer."""
    service, caller = access.service_of(request), access.caller_of(request)
    wish, once, request_id = _wish(form), await access.once_of(request), access.request_id_of(request)
    asked = await _done(lambda: service.log.exports.ask(caller, wish, request_id, service.clock(), once))
    return access.as_json(_body(asked), 201)


@router.get("", operation_id="log_exports", summary="The newest exports of the log")
async def listed(request: Request) -> Response:
    """Return the newest hundred, whoever asked for them."""
    service = access.service_of(request)
    found = await _done(lambda: service.log.exports.newest(service.clock()))
    return access.as_json({"data": [_body(one) for one in found], "next_cursor": None, "has_more": False})


@router.get("/{export_id}", operation_id="log_export", summary="How an export stands")
async def show(request: Request, export_id: ExportId) -> Response:
    """Return one export."""
    service = access.service_of(request)
    return access.as_json(_body(await _done(lambda: service.log.exports.one(export_id, service.clock()))))


async def _decided(request: Request, export_id: str, *, approve: bool) -> Response:
    service, caller = access.service_of(request), access.caller_of(request)
    request_id = access.request_id_of(request)
    decided = await _done(
        lambda: service.log.exports.decide(
            caller, export_id, approve=approve, request_id=request_id, now=service.clock()
        )
    )
    return access.as_json(_body(decided))


@router.post("/{export_id}/approve", operation_id="approve_log_export", summary="Let an export go out")
async def approve(request: Request, _form: NothingForm, export_id: ExportId) -> Response:
    """Approve another officer's export; never one's own."""
    return await _decided(request, export_id, approve=True)


@router.post("/{export_id}/refuse", operation_id="refuse_log_export", summary="Refuse an export")
async def refuse(request: Request, _form: NothingForm, export_id: ExportId) -> Response:
    """Refuse another officer's export; never one's own."""
    return await _decided(request, export_id, approve=False)


@router.get("/{export_id}/download", operation_id="fetch_log_export", summary="Fetch an export as a ZIP")
async def download(request: Request, export_id: ExportId) -> Response:
    """Stream the bundle to the officer who asked for it; each time is recorded first."""
    service, caller = access.service_of(request), access.caller_of(request)
    request_id = access.request_id_of(request)
    asked, pieces = await _done(
        lambda: service.log.exports.fetch(caller, export_id, request_id, service.clock())
    )
    name = f"log-{asked.first}-{asked.end}.zip"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(pieces, media_type="application/zip", headers=headers)
