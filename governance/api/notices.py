"""What people are told and for what data is used: notices and purposes, for every caller to read.

Notices are published by officers and by services with the scope for it; a version never changes.
"""

from __future__ import annotations

import re
from typing import Final

from fastapi import APIRouter, Request, Response

from consent.notices import LOCALES, Contents, Draft, Notice, Wording
from governance.api import access
from governance.api.consentforms import NoticeForm
from governance.door import route_for
from governance.noticing import NoticeMovedError, NotPublisherError, UnfitNoticeError
from governance.problems import Problem, ProblemError
from governance.replay import KeyReusedError
from governance.times import instant, rfc3339
from policies.book import RuleBook
from policies.entries import PurposeEntry, Title

router = APIRouter(prefix="/v1", route_class=route_for(access.anybody), tags=["notices"])
_ID: Final = re.compile(r"[a-z0-9._-]{1,64}")


def notice_body(notice: Notice, now: int, newest: bool) -> dict[str, object]:
    """Return one version as a body; ``reference`` is how a consent names the text of one language."""
    contents = notice.contents
    return {
        "id": notice.id,
        "version": notice.version,
        "purpose": contents.purpose,
        "categories": sorted(contents.categories),
        "methods": sorted(contents.methods),
        "recipients": sorted(contents.recipients),
        "processors": sorted(contents.processors),
        "retention_days": contents.retention_days,
        "region": contents.region,
        "assessment": notice.assessment or None,
        "material_changes": list(notice.changed),
        "effective_from": rfc3339(notice.effective_from),
        "in_force": notice.effective_from <= now,
        "newest": newest,
        "published_by": notice.published_by,
        "published_at": rfc3339(notice.published_at),
        "texts": {
            locale: {
                "title": notice.wordings[locale].title,
                "text": notice.wordings[locale].text,
                "sha256": notice.sha256(locale),
                "reference": notice.reference(locale),
            }
            for locale in LOCALES
        },
    }


@router.get("/notices", operation_id="notices", summary="Every notice in its newest version")
async def notices(request: Request) -> Response:
    """Return the newest version of each notice, by id."""
    service = access.service_of(request)
    found = await access.in_store(request, service.noticing.every_notice)
    newest = {notice.id: notice for notice in found}.values()
    return _listed([notice_body(notice, service.clock(), newest=True) for notice in newest])


@router.get("/notices/{notice_id}", operation_id="notice", summary="All versions of one notice")
async def notice(request: Request, notice_id: str) -> Response:
    """Return all versions of a notice, newest first."""
    service = access.service_of(request)
    if _ID.fullmatch(notice_id) is None:
        raise ProblemError(Problem.NOT_FOUND)
    found = await access.in_store(request, lambda: service.noticing.versions_of(notice_id))
    if not found:
        raise ProblemError(Problem.NOT_FOUND)
    now = service.clock()
    return _listed([notice_body(one, now, newest=one is found[-1]) for one in reversed(found)])


@router.post("/notices", operation_id="publish_notice", summary="Publish a notice, or its next version")
async def publish(request: Request, form: NoticeForm) -> Response:
    """Publish a version; a change of its terms ends older consents at ``effective_from``."""
    service, caller = access.service_of(request), access.caller_of(request)
    once, draft = await access.once_of(request), draft_of(form)
    request_id = access.request_id_of(request)
    try:
        published = await access.in_store(
            request, lambda: service.noticing.publish(caller, draft, service.clock(), request_id, once)
        )
    except NotPublisherError:
        raise ProblemError(Problem.OUT_OF_SCOPE) from None
    except KeyReusedError:
        raise ProblemError(Problem.KEY_REUSED) from None
    except NoticeMovedError:
        raise ProblemError(Problem.CONFLICT) from None
    except UnfitNoticeError as error:
        faults = [{"pointer": f"/{member}", "code": code} for member, code in error.faults]
        raise ProblemError(Problem.INVALID_REQUEST, errors=faults) from None
    return access.as_json(notice_body(published, service.clock(), newest=True), 201)


def draft_of(form: NoticeForm) -> Draft:
    """Return the draft that a body describes."""
    effective_from = None if form.effective_from is None else instant(form.effective_from)
    if form.effective_from is not None and effective_from is None:
        raise ProblemError(
            Problem.INVALID_REQUEST, errors=[{"pointer": "/effective_from", "code": "not_a_time"}]
        )
    return Draft(
        form.id,
        Contents(
            form.purpose,
            frozenset(form.categories),
            frozenset(form.methods),
            frozenset(form.recipients),
            frozenset(form.processors),
            form.retention_days,
            form.region,
        ),
        {
            "zh": Wording(form.texts.zh.title, form.texts.zh.text),
            "en": Wording(form.texts.en.title, form.texts.en.text),
        },
        form.assessment,
        effective_from,
    )


@router.get("/purposes", operation_id="purposes", summary="For what data is used, and on which basis")
async def purposes(request: Request) -> Response:
    """Return every purpose of the rules in force, with its legal bases other than consent."""
    service = access.service_of(request)
    book = await access.in_store(request, service.noticing.book_in_force)
    return _listed([_purpose_body(purpose, book) for purpose in book.purposes.values()])


def _purpose_body(purpose: PurposeEntry, book: RuleBook) -> dict[str, object]:
    return {
        "id": purpose.id,
        "parent": purpose.parent,
        "title": _title_body(purpose.title),
        "dpv": purpose.dpv or None,
        "needs_consent": purpose.needs_consent,
        "separate": purpose.separate,
        "double_confirm": purpose.double_confirm,
        "both_required": purpose.both_required,
        "profiled": purpose.profiled,
        "consent_days": purpose.consent_days,
        "retention_days": purpose.retention_days,
        "jurisdiction": purpose.jurisdiction.value,
        "legal_bases": [
            {
                "law": basis.law,
                "categories": sorted(basis.categories),
                "under_14": basis.under_14,
                "jurisdiction": basis.jurisdiction.value,
            }
            for basis in book.bases
            if basis.purpose == purpose.id
        ],
    }


def _title_body(title: Title) -> dict[str, str]:
    return {"zh": title.zh, "en": title.en}


def _listed(data: list[dict[str, object]]) -> Response:
    return access.as_json({"data": data, "next_cursor": None, "has_more": False})
