"""The incident dossier in words, as a table for a spreadsheet, and as JSON. Figures in, text out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from audit.exposure import NEVER, Through, Times
from audit.spelling import BOM, cells
from governance.exposing import Dossier
from governance.languages import noted, saying
from governance.times import rfc3339
from policies.terms import Effect

COLUMNS: Final = (
    "kind",
    "subject",
    "what",
    "effect",
    "count",
    "first",
    "last",
    "by",
    "by_name",
    "for",
    "for_name",
    "purpose",
)
_EFFECTS: Final = {Effect.SHOW.value: "shown", Effect.MASK.value: "masked", Effect.EXISTS.value: "admitted"}
_KINDS: Final = {"read": "field", "check": "field_checked"}

_COPIES: Final = {
    "not used": noted("没有使用检索列，逐条读了整个日志。"),
    "unchecked": noted("用检索列缩小了范围，检索列没有核对；要逐条读整个日志，请加 --thorough。"),
    "clean": noted("用检索列缩小了范围，检索列与正文核对一致。"),
    "differ": noted("检索列与正文不符，范围可能不全：请加 --thorough 再做一次。"),
}

Line = dict[str, str | int]


def lines(dossier: Dossier) -> Iterator[Line]:
    """Yield one line for each thing that was seen, told or done: who, what, how often, when, by whom.

    ``subject`` is empty for people who were erased and for what names nobody (``kind`` ``unnamed``).
    """
    for seen, times in sorted(dossier.figures.fields.items()):
        effect = _EFFECTS[seen.effect]
        yield _line(dossier, _KINDS[seen.act], seen.subject, seen.field, effect, seen.through, times)
    for told, times in sorted(dossier.figures.messages.items()):
        yield _line(dossier, "message", told.subject, told.channel, "sent", told.through, times)
    for done, times in sorted(dossier.figures.others.items()):
        yield _line(dossier, "other", done.subject, done.act, "", done.through, times)


def _line(
    dossier: Dossier, kind: str, subject: str, what: str, effect: str, through: Through, times: Times
) -> Line:
    return {
        "kind": kind,
        "subject": subject,
        "what": what,
        "effect": effect,
        "count": times.count,
        "first": rfc3339(times.first),
        "last": rfc3339(times.last),
        "by": through.by,
        "by_name": dossier.names.get(through.by, ""),
        "for": through.behalf,
        "for_name": dossier.names.get(through.behalf, ""),
        "purpose": through.purpose,
    }


def as_csv(dossier: Dossier) -> str:
    """Return the lines as CSV with a mark that tells spreadsheets the encoding; no cell is a formula."""
    rows = (cells([str(line[name]) for name in COLUMNS]) for line in lines(dossier))
    return BOM + cells(COLUMNS) + "".join(rows)


def as_document(dossier: Dossier) -> dict[str, object]:
    """Return the whole dossier for programs."""
    wanted, basis = dossier.wanted, dossier.basis
    return {
        "actor": wanted.actor or None,
        "actor_name": dossier.names.get(wanted.actor),
        "key": dossier.question.key or None,
        "since": rfc3339(wanted.since) if wanted.since else None,
        "until": rfc3339(wanted.until) if wanted.until != NEVER else None,
        "summary": {"zh": summary(dossier, "zh"), "en": summary(dossier, "en")},
        "subjects": dossier.people,
        "erased_subjects": dossier.erased,
        "entries": dossier.entries,
        "blocked": dossier.blocked,
        "failed_to_open": dossier.failed,
        "basis": {
            "log_size": basis.size,
            "copies": basis.copies,
            "damaged": basis.damaged,
            "first_damaged": basis.first_damaged,
            "unreadable": basis.unreadable,
            "sound": basis.sound,
        },
        "receipt": dossier.receipt,
        "lines": list(lines(dossier)),
    }


def summary(dossier: Dossier, language: str) -> str:
    """Return the dossier in a few sentences: who, whose, what, how sure."""
    say, figures, basis = saying(language), dossier.figures, dossier.basis
    counts = dict.fromkeys(_EFFECTS, 0)
    checked = 0
    for seen, times in figures.fields.items():
        if seen.act == "read":
            counts[seen.effect] += times.count
        else:
            checked += times.count
    said = [
        say(
            "%(who)s 在 %(span)s 之间留下 %(entries)s 条记录，涉及 %(people)s 个对象，"
            "另有 %(erased)s 个已删除的对象。",
            who=_who(dossier, language),
            span=_span(dossier, language),
            entries=dossier.entries,
            people=dossier.people,
            erased=dossier.erased,
        ),
        say(
            "字段：完整显示 %(shown)s 次，脱敏显示 %(masked)s 次，只透露存在 %(admitted)s 次，"
            "准许服务使用自有数据 %(checked)s 次。",
            shown=counts[Effect.SHOW.value],
            masked=counts[Effect.MASK.value],
            admitted=counts[Effect.EXISTS.value],
            checked=checked,
        ),
        say(
            "放行消息 %(messages)s 条，其他行为 %(others)s 次；被拦下 %(blocked)s 次，"
            "获准而未能打开 %(failed)s 次。",
            messages=sum(times.count for times in figures.messages.values()),
            others=sum(times.count for times in figures.others.values()),
            blocked=dossier.blocked,
            failed=dossier.failed,
        ),
        say(_COPIES[basis.copies]),
    ]
    if dossier.question.key:
        said.append(
            say(
                "日志不记录用的是哪一把密钥：这里是该服务在密钥有效期内（另加一分钟）的全部行为，"
                "包括用其他密钥所做的。"
            )
        )
    if basis.damaged or basis.unreadable:
        said.append(
            say(
                "有 %(bad)s 条记录与日志的树不符、缺失或无法读取，没有计入：请运行 governance audit verify。",
                bad=basis.damaged + basis.unreadable,
            )
        )
    return " ".join(said) if language == "en" else "".join(said)


def _who(dossier: Dossier, language: str) -> str:
    say, actor = saying(language), dossier.wanted.actor
    if not actor:
        return say("所有主体")
    name = dossier.names.get(actor)
    return f"{name} ({actor})" if name else actor


def _span(dossier: Dossier, language: str) -> str:
    say, wanted = saying(language), dossier.wanted
    since = rfc3339(wanted.since) if wanted.since else say("日志开始")
    until = rfc3339(wanted.until) if wanted.until != NEVER else say("现在")
    return say("%(since)s 与 %(until)s", since=since, until=until)
