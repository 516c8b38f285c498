"""What a member hides and shares, and with whom: told to the owner alone, never to those it concerns."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from governance.acting import NoSuchConsentError
from governance.api import access
from governance.api.consentforms import ShareForm
from governance.api.forms import NothingForm
from governance.api.members import hide_body, on_of
from governance.door import route_for
from governance.problems import Problem, ProblemError
from governance.replay import KeyReusedError
from governance.sharing import Standing, TooYoungError
from governance.showing import UnfitConsentError
from governance.times import rfc3339
from policies.identifiers import Prefix, pattern
from policies.terms import SubjectId

router = APIRouter(prefix="/v1/me", route_class=route_for(access.signed_in_member), tags=["members"])


@router.get("/hides", operation_id="my_hides", summary="What I hide, and from whom")
async def hides(request: Request) -> Response:
    """Return the member's own hides, newest first; a viewer that is null means everybody."""
    service = access.service_of(request)
    member = SubjectId(access.caller_of(request).actor_id)
    found = await access.in_store(request, lambda: service.sharing.hides(member, service.clock()))
    return access.as_json({"data": [hide_body(one) for one in found], "next_cursor": None, "has_more": False})


@router.get("/shares", operation_id="my_shares", summary="What I share, and with whom")
async def shares(request: Request) -> Response:
    """Return every share the member gave, newest first, ended ones included."""
    service = access.service_of(request)
    member = SubjectId(access.caller_of(request).actor_id)
    found = await access.in_store(request, lambda: service.sharing.shares(member, service.clock()))
    spoken = access.language(request)
    return access.as_json(
        {"data": [_share_body(one, spoken) for one in found], "next_cursor": None, "has_more": False}
    )


def _share_body(one: Standing, spoken: str) -> dict[str, object]:
    share = one.share
    return {
        "share_id": share.share_id,
        "viewer": share.viewer,
        "category": share.category,
        "purpose": share.purpose,
        "active": one.active,
        "consent": {"code": one.consent.value, "text": one.consent.sentence(spoken)},
        "since": rfc3339(share.since),
        "until": None if share.until is None else rfc3339(share.until),
        "ended_at": None if share.ended_at is None else rfc3339(share.ended_at),
    }


@router.post("/shares", operation_id="share", summary="Share a category of mine with one of my family")
async def give(request: Request, form: ShareForm) -> Response:
    """Share until it is ended, or for some days; it opens nothing without consent to care by relatives."""
    service = access.service_of(request)
    on = on_of(request)
    once = await access.once_of(request)
    try:
        given = await access.in_store(
            request,
            lambda: service.sharing.give(on, form.category, form.viewer, form.days, service.clock(), once),
        )
    except KeyReusedError:
        raise ProblemError(Problem.KEY_REUSED) from None
    except NoSuchConsentError:
        raise ProblemError(Problem.NOT_FOUND) from None
    except TooYoungError:
        raise ProblemError(Problem.CONFLICT) from None
    except UnfitConsentError:
        raise ProblemError(
            Problem.INVALID_REQUEST, errors=[{"pointer": "/category", "code": "not_shareable"}]
        ) from None
    return access.as_json(_share_body(given, access.language(request)), 201)


@router.post("/shares/{share_id}/end", operation_id="end_share", summary="End a share, in one call")
async def end(
    request: Request, _form: NothingForm, share_id: Annotated[str, Path(pattern=pattern(Prefix.SHARE))]
) -> Response:
    """End a share; effective when this answers, on every replica."""
    service = access.service_of(request)
    on = on_of(request)
    try:
        since = await access.in_store(request, lambda: service.sharing.end(on, share_id, service.clock()))
    except NoSuchConsentError:
        raise ProblemError(Problem.NOT_FOUND) from None
    return access.as_json({"share_id": share_id, "status": "ended", "ended_at": rfc3339(since)})
