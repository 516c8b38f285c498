"""``governance notice``: see what people are told, and publish the next version of it.

A file to publish holds the body of ``POST /v1/notices``; publishing the same file twice changes nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import Final

from pydantic import ValidationError

from consent.notices import Notice
from governance import identity, strictjson
from governance.api.consentforms import NoticeForm
from governance.api.notices import draft_of, notice_body
from governance.commands import DENIED, DONE, FAILED, USAGE, settings
from governance.noticing import NoticeMovedError, NotPublisherError, UnfitNoticeError
from governance.problems import ProblemError
from governance.wiring import Service, assemble

_NO_OFFICE: Final = "此人没有这项职责 / this person does not hold the office for it"


def run(chosen: argparse.Namespace) -> int:
    """Do what was asked for, on an open service."""
    work: Callable[[argparse.Namespace, Service], int] = publish if chosen.what == "publish" else show
    service = assemble(settings())
    try:
        return work(chosen, service)
    finally:
        service.close()


def show(chosen: argparse.Namespace, service: Service) -> int:
    """Print every version of every notice."""
    found, now = service.noticing.every_notice(), service.clock()
    newest = {notice.id: notice.version for notice in found}
    bodies = [notice_body(one, now, newest=newest[one.id] == one.version) for one in found]
    _say(chosen, {"notices": bodies}, [_line(one) for one in found])
    return DONE


def publish(chosen: argparse.Namespace, service: Service) -> int:
    """Publish what the file says, in the name of an officer."""
    try:
        draft = draft_of(NoticeForm.model_validate(strictjson.parse(chosen.file.read_bytes())))
    except OSError:
        return _complain(USAGE, "the file cannot be read")
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False, include_context=False)
        return _complain(FAILED, *(f"/{'/'.join(map(str, one['loc']))}: {one['type']}" for one in faults))
    except ProblemError as error:
        return _complain(FAILED, error.problem.sentence("en"), *map(str, error.errors))
    caller = identity.staff(service.database.look, chosen.by)
    if caller is None:
        return _complain(DENIED, _NO_OFFICE)
    try:
        published = service.noticing.publish(caller, draft, service.clock())
    except NotPublisherError:
        return _complain(DENIED, _NO_OFFICE)
    except UnfitNoticeError as error:
        return _complain(FAILED, str(error))
    except NoticeMovedError:
        return _complain(FAILED, "somebody published a version at the same time; look at it and try again")
    body = notice_body(published, service.clock(), newest=True)
    _say(chosen, body, [_line(published), *(published.reference(one) for one in published.wordings)])
    return DONE


def _line(notice: Notice) -> str:
    changed = ", ".join(notice.changed) or "-"
    title = notice.wordings["zh"].title
    return f"{notice.id}@{notice.version}  {notice.contents.purpose}  {title}  material: {changed}"


def _say(chosen: argparse.Namespace, document: object, lines: Sequence[str]) -> None:
    print(json.dumps(document, ensure_ascii=False) if chosen.json else "\n".join(lines))


def _complain(code: int, *lines: str) -> int:
    print("\n".join(lines), file=sys.stderr)
    return code
