"""Evidence over HTTP: signed heads, proofs and tiles, for whoever checks the log from outside.

Heads, consistency proofs and hash tiles carry only hashes and are for everybody, as C2SP tlog-tiles and
witnesses expect. Proofs of single entries and entry bundles are for officers; a member gets the proof of
what concerns them, and the same 404 for everything else.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request, Response

from audit import tiles
from audit.proof import HEADER
from governance.acting import On
from governance.api import access
from governance.door import route_for
from governance.identity import Caller
from governance.problems import Problem, ProblemError
from governance.proofs import BeyondError, NotSignedError
from governance.times import rfc3339
from policies.identifiers import Prefix, pattern
from policies.terms import SubjectId

OFFICES: Final = frozenset({"compliance_officer", "auditor"})
_TEXT: Final = "text/plain; charset=utf-8"
_BYTES: Final = "application/octet-stream"
_FOR_EVER: Final = {"cache-control": "public, max-age=31536000, immutable"}
_INDEX: Final = "(?:0|[1-9][0-9]{0,15})"
_NUMBER: Final = f"^{_INDEX}$"
_ENTRY: Final = f"^(?:{_INDEX}|{pattern(Prefix.ENTRY)[1:-1]})$"
_LONGEST_NAME: Final = 40


async def everybody(_request: Request) -> None:
    """Authenticate nobody: what is told here carries hashes alone."""


async def officer(request: Request) -> Caller:
    """Authenticate a compliance officer or auditor; for everybody else there is no such address."""
    return await access.signed_in_office(request, OFFICES)


router = APIRouter(prefix="/v1/audit", route_class=route_for(everybody), tags=["audit"])
officers = APIRouter(prefix="/v1/audit", route_class=route_for(officer), tags=["audit"])
mine = APIRouter(prefix="/v1/me", route_class=route_for(access.signed_in_member), tags=["members"])


@router.get("/checkpoint", operation_id="audit_checkpoint", summary="The newest signed head of the log")
async def checkpoint(request: Request) -> Response:
    """Return the newest published checkpoint, a C2SP signed note, with the cosignatures it has."""
    service = access.service_of(request)
    try:
        signed = await access.in_store(request, lambda: service.log.proofs.newest(service.clock()))
    except NotSignedError:
        raise ProblemError(Problem.NOT_SIGNED) from None
    return Response(signed.note, media_type=_TEXT)


@router.get("/consistency", operation_id="audit_consistency", summary="That the log was only ever extended")
async def consistency(
    request: Request,
    old: Annotated[str, Query(alias="from", pattern=_NUMBER)],
    size: Annotated[str, Query(alias="to", pattern=_NUMBER)],
) -> Response:
    """Return the proof (RFC 6962 §2.1.2) that the log of ``to`` entries extends the one of ``from``.

    One hash in base64 a line; no line where nothing needs to be shown. ``to`` is at most the signed size.
    """
    service = access.service_of(request)
    try:
        hashes = await access.in_store(request, lambda: service.log.proofs.consistency(int(old), int(size)))
    except BeyondError:
        where = "/from" if int(old) > int(size) else "/to"
        raise ProblemError(
            Problem.INVALID_REQUEST, errors=[{"pointer": where, "code": "beyond_the_log"}]
        ) from None
    return Response("".join(f"{b64encode(one).decode()}\n" for one in hashes), media_type=_TEXT)


@router.get("/health", operation_id="audit_health", summary="How far the log is signed")
async def health(request: Request) -> Response:
    """Return the size of the log, how far it is signed, and how old the newest checkpoint is."""
    service = access.service_of(request)
    size, signed = await access.in_store(request, service.log.proofs.health)
    age = None if signed is None else max(0, service.clock() - signed.at) // 1000
    return access.as_json(
        {
            "size": size,
            "signed_size": 0 if signed is None else signed.checkpoint.size,
            "checkpoint_at": None if signed is None else rfc3339(signed.at),
            "checkpoint_age_s": age,
        }
    )


@officers.get("/entries/{entry}/proof", operation_id="audit_proof", summary="That an entry is in the log")
async def entry_proof(request: Request, entry: Annotated[str, Path(pattern=_ENTRY)]) -> Response:
    """Return the proof of an entry, named by index or id, as a C2SP tlog-proof; it tells hashes alone."""
    service = access.service_of(request)
    which = entry if entry.startswith(Prefix.ENTRY) else int(entry)
    try:
        found = await access.in_store(request, lambda: service.log.proofs.proof(which, service.clock()))
    except NotSignedError:
        raise ProblemError(Problem.NOT_SIGNED) from None
    return _proof(found, entry)


@mine.get("/accesses/{receipt}/proof", operation_id="my_proof", summary="That what I saw is in the log")
async def my_proof(request: Request, receipt: Annotated[str, Path(pattern=_NUMBER)]) -> Response:
    """Return the proof of an entry about the member; its extra data is the entry, or the entry's hash.

    The hash stands where the entry names other people too. The same 404 for what concerns others or nobody.
    """
    service, member = access.service_of(request), SubjectId(access.caller_of(request).actor_id)
    try:
        found = await access.in_store(
            request, lambda: service.log.proofs.proof_for(member, int(receipt), service.clock())
        )
    except NotSignedError:
        raise ProblemError(Problem.NOT_SIGNED) from None
    return _proof(found, receipt)


def _proof(found: str | None, name: str) -> Response:
    if found is None:
        raise ProblemError(Problem.NOT_FOUND)
    assert found.startswith(HEADER)
    headers = {"content-disposition": f'attachment; filename="{name}.tlog-proof"'}
    return Response(found, media_type=_TEXT, headers=headers)


@officers.get("/tile/entries/{name:path}", operation_id="audit_bundle", summary="256 entries as they are")
async def bundle(request: Request, name: Annotated[str, Path(max_length=_LONGEST_NAME)]) -> Response:
    """Return an entry bundle (C2SP tlog-tiles); that it was read is in the log first."""
    service, caller = access.service_of(request), access.caller_of(request)
    index, width = _named(name)
    on = On(caller, caller.actor_id, access.request_id_of(request))
    policy = service.rules.book.fingerprint
    found = await access.in_store(
        request, lambda: service.log.proofs.bundle(on, index, width, policy, service.clock())
    )
    if found is None:
        raise ProblemError(Problem.NOT_FOUND)
    return Response(found, media_type=_BYTES)


@router.get("/tile/{level}/{name:path}", operation_id="audit_tile", summary="Hashes of the log's tree")
async def tile(
    request: Request,
    level: Annotated[str, Path(pattern="^(?:[0-9]|[1-5][0-9]|6[0-3])$")],
    name: Annotated[str, Path(max_length=_LONGEST_NAME)],
) -> Response:
    """Return a full or partial tile (C2SP tlog-tiles) of the signed log; what it says never changes."""
    service = access.service_of(request)
    index, width = _named(name)
    found = await access.in_store(request, lambda: service.log.proofs.tile(int(level), index, width))
    if found is None:
        raise ProblemError(Problem.NOT_FOUND)
    return Response(found, media_type=_BYTES, headers=_FOR_EVER)


def _named(name: str) -> tuple[int, int]:
    place = tiles.parse_name(name)
    if place is None:
        raise ProblemError(Problem.NOT_FOUND)
    return place
