"""The officers' page for searching the log: one box, counts, results, and what is wrong with a query, where.

The same question as ``GET /v1/audit/entries``, and logged the same before the page is shown.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from fastapi import Query as Parameter

from audit.entry import Verdict
from audit.search import LONGEST, Fault, Qualifier, Query, SearchError, Term, parse
from governance.api import access
from governance.api.auditlog import cursors_of, reader_of
from governance.console.decisions import Row, officer, row_of
from governance.entrybody import labels_for
from governance.explaining import short
from governance.ladder import Labels, purpose_title
from governance.languages import noted, saying
from governance.logsearch import Found
from governance.pages import caller_of, language, page_route, render
from governance.problems import Problem, ProblemError
from policies.reasons import Reason

_HERE: Final = "/console/audit"
_PAGE: Final = 40
_SHOWN: Final = 6
_TITLES: Final = {
    Qualifier.ACTION: noted("动作"),
    Qualifier.DECISION: noted("决定"),
    Qualifier.PURPOSE: noted("目的"),
    Qualifier.REASON: noted("理由"),
    Qualifier.ACTOR: noted("操作者"),
}
_VERDICTS: Final = {
    Verdict.PERMIT: noted("允许"),
    Verdict.DENY: noted("拒绝"),
    Verdict.REFUSE: noted("无法判定"),
    Verdict.ERROR: noted("出错"),
}
_REASONS: Final = {one.value: one for one in Reason}
_HEX: Final = 32
_FAULTS: Final = {
    Fault.TOO_LONG: noted("查询太长。"),
    Fault.TOO_MANY_TERMS: noted("条件太多。"),
    Fault.TOO_MANY_PEOPLE: noted("点名的成员和家庭太多。"),
    Fault.QUALIFIER_MISSING: noted("这里缺少限定词，例如 action: 或 member:。"),
    Fault.QUALIFIER_UNKNOWN: noted("没有这个限定词。"),
    Fault.VALUE_MISSING: noted("冒号后面缺少内容。"),
    Fault.VALUE_TOO_LONG: noted("这个值太长。"),
    Fault.VALUE_UNFIT: noted("这个限定词不能有这样的值。"),
    Fault.QUOTE_OPEN: noted("引号没有闭合。"),
    Fault.NOT_A_TIME: noted("这不是日期或时间，例如 2026-01-31 或 2026-01-31T09:00。"),
    Fault.NOT_A_NUMBER: noted("这不是序号。"),
    Fault.CANNOT_EXCLUDE: noted("时间和序号的范围不能用减号排除。"),
    Fault.UNPRINTABLE: noted("这里有不可见的字符。"),
}

router = APIRouter(prefix="/console", route_class=page_route(officer), include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Count:
    """One value with its count, and where the search goes that asks for it as well."""

    value: str
    label: str
    count: int
    link: str


@router.get("/audit")
async def audit(
    request: Request,
    q: Annotated[str, Parameter(max_length=LONGEST)] = "",
    cursor: Annotated[str | None, Parameter(max_length=200)] = None,
) -> Response:
    """Show the box, and below it a page of what it asks for."""
    service, caller, spoken = access.service_of(request), caller_of(request), language(request)
    try:
        question = parse(q)
    except SearchError as error:
        fault = saying(spoken)(_FAULTS[error.fault])
        return _shown(request, 422, q=q, fault=fault, position=error.position + 1)
    cursors = cursors_of(service, caller, question)
    before = None if cursor is None else cursors.read(cursor)
    if cursor is not None and before is None:
        raise ProblemError(Problem.NOT_FOUND)

    def work() -> tuple[Found, list[Row], list[tuple[str, list[Count]]]]:
        found = service.log.search.search(
            reader_of(request, caller), question, before, _PAGE, counted=before is None, now=service.clock()
        )
        labels = labels_for(service, found.page.hits)
        rows = [row_of(hit.index, hit.entry, labels, spoken) for hit in found.page.hits]
        return found, rows, _counts(found, question, labels, spoken)

    found, rows, counts = await access.aside(work)
    following = found.page.next
    onward = None
    if following is not None:
        onward = _address(question, cursor=cursors.make(following))
    return _shown(
        request,
        200,
        q=q,
        rows=rows,
        counts=counts,
        over=0 if found.facets is None else found.facets.over,
        onward=onward,
        unreadable=found.page.unreadable,
        api="/v1/audit/entries?" + urlencode({"q": question.text()}),
    )


def _shown(request: Request, status: int, **context: object) -> Response:
    nothing: dict[str, object] = {"rows": [], "counts": [], "over": 0, "onward": None}
    nothing |= {"unreadable": [], "fault": "", "position": 0, "api": ""}
    nothing |= {"longest": LONGEST}
    return render(request, "audit.html", status, caller=caller_of(request), **(nothing | context))


def _counts(found: Found, question: Query, labels: Labels, spoken: str) -> list[tuple[str, list[Count]]]:
    if found.facets is None:
        return []
    say = saying(spoken)

    def called(name: Qualifier, value: str) -> str:
        return _called(name, value, labels, spoken)

    return [
        (
            say(title),
            [
                Count(value, called(name, value), count, _address(_with(question, name, value)))
                for value, count in found.facets.counts[name][:_SHOWN]
            ],
        )
        for name, title in _TITLES.items()
        if found.facets.counts[name]
    ]


def _called(name: Qualifier, value: str, labels: Labels, spoken: str) -> str:
    """Return what people call a value; an action is its own word, as one writes it in a query."""
    if name is Qualifier.DECISION:
        return saying(spoken)(_VERDICTS[Verdict(value)])
    if name is Qualifier.PURPOSE:
        return purpose_title(value, labels.book, spoken)
    if name is Qualifier.REASON and value in _REASONS:
        return _REASONS[value].sentence(spoken)
    if name is Qualifier.ACTOR and len(value) == _HEX and value not in labels.actors:
        return saying(spoken)("成员 %(name)s", name=short(value))
    return labels.actors.get(value, value)


def _with(question: Query, name: Qualifier, value: str) -> Query:
    """Return the question narrowed to one value of a qualifier."""
    others = [term for term in question.wanted if term.qualifier is not name]
    order = list(Qualifier)
    wanted = sorted([*others, Term(name, (value,))], key=lambda term: order.index(term.qualifier))
    return replace(question, wanted=tuple(wanted))


def _address(question: Query, **more: str) -> str:
    return f"{_HERE}?" + urlencode({"q": question.text(), **more})
