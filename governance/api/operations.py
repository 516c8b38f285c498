"""For operators and readers of problem codes: liveness, readiness, figures, and what a code means."""

from __future__ import annotations

import orjson
from fastapi import APIRouter, Request, Response

from audit import ledger
from governance.api import access
from governance.problems import Problem, ProblemError
from policies.reasons import Reason

router = APIRouter(tags=["operations"])


@router.get("/livez", operation_id="livez")
async def livez() -> Response:
    """Say that the process runs."""
    return access.as_json({"status": "alive"})


@router.get("/readyz", operation_id="readyz")
async def readyz(request: Request) -> Response:
    """Say whether decisions can be made and recorded here now."""
    service = access.service_of(request)

    def look() -> tuple[int, str]:
        with service.database.reading() as tx:
            return ledger.head(tx).size, service.keeper.in_force(tx).rules.book.fingerprint

    try:
        entries, rules = await access.in_store(request, lambda: service.keeper.attempt(look))
    except ledger.LogError:
        raise ProblemError(Problem.CANNOT_RECORD) from None
    return access.as_json({"status": "ready", "log_size": entries, "rules": rules})


@router.get("/v1/keys", operation_id="keys", summary="The public keys that verify what we sign")
async def keys(request: Request) -> Response:
    """Return the keys of consent receipts as a JWK Set, for everybody."""
    key_set = access.service_of(request).receipts.signer.key_set()
    return Response(orjson.dumps(key_set), media_type="application/jwk-set+json")


@router.get("/problems/{code}", operation_id="problem")
async def problem(request: Request, code: str) -> Response:
    """Explain a problem or reason code in the reader's language."""
    spoken = access.language(request)
    for known in (*Problem, *Reason):
        if known.value == code:
            return access.as_json({"code": code, "text": known.sentence(spoken)})
    raise ProblemError(Problem.NOT_FOUND)
