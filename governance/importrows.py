"""One line of a file of consents: read strictly, or refused with a reason. Pure.

Files are CSV with a header or JSON lines, UTF-8, one consent a line. A line says who agreed to what, when,
on which notice, and where the evidence lies. The reference points at the evidence and is never the evidence
itself: a telephone or identity number in it is refused. Whether the act is sound (authority, separateness,
confirmation, expiry) is not decided here but by the same folding that decides every day.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum
from hashlib import sha256
from typing import Final, NamedTuple, Self

from consent.events import Capacity, Event, EventKind
from consent.listing import Terms
from governance import strictjson
from governance.problems import ProblemError
from governance.references import PERSONAL, holds_personal_data
from policies.identifiers import Prefix, pattern

LONGEST_LINE: Final = 16 * 1024
"""Bytes of one line, its end included."""
NEEDED: Final = ("member", "purpose", "categories", "notice", "given_at", "evidence")
OPTIONAL: Final = ("confirmed_at", "expires_at", "actor", "capacity", "recipient")
_NAMES: Final = frozenset({*NEEDED, *OPTIONAL})


class Fault(Enum):
    """Why a line was refused before anybody weighed the consent; the rest are ``policies.reasons``."""

    zh: str
    en: str

    def __new__(cls, code: str, zh: str, en: str) -> Self:
        """Make the code the value and keep both sentences beside it."""
        fault = object.__new__(cls)
        fault._value_ = code
        fault.zh = zh
        fault.en = en
        return fault

    MALFORMED = (
        "malformed_line",
        "这一行不符合约定的格式。",
        "The line does not have the agreed form.",
    )
    NO_EVIDENCE = (
        "no_evidence",
        "没有写明同意的证据在哪里。",
        "The line does not say where the evidence of the consent lies.",
    )
    PERSONAL_EVIDENCE = (
        PERSONAL,
        "证据编号里含有电话或证件号码；请改用不含个人信息的编号。",
        "The evidence reference holds a telephone or identity number; use one that holds no personal data.",
    )
    UNKNOWN_MEMBER = (
        "unknown_member",
        "没有这个成员，或者已注销。",
        "There is no such member, or the member is closed.",
    )
    NOT_CONSENTABLE = (
        "not_consentable",
        "这个目的不是靠同意处理的。",
        "The purpose is not one that consent is asked for.",
    )
    FUTURE_DATED = (
        "future_dated",
        "写明的时间在将来。",
        "A stated time lies in the future.",
    )
    OUT_OF_ORDER = (
        "out_of_order",
        "确认早于勾选，或者到期不晚于给出。",
        "The confirmation precedes the tick, or the expiry does not follow the consent.",
    )


class Line(NamedTuple):
    """One consent as a file states it. Times are milliseconds since the epoch, UTC."""

    member: str
    terms: Terms
    actor: str
    capacity: Capacity
    given_at: int
    confirmed_at: int | None
    expires_at: int | None
    evidence: str


class HeaderError(Exception):
    """The first line of a CSV file does not name the columns; the message says so in both languages."""


_MEMBER: Final = re.compile(pattern(Prefix.MEMBER).removesuffix("$") + r"\Z")
_RECIPIENT: Final = re.compile(pattern(Prefix.SERVICE).removesuffix("$") + r"\Z")
_WORD: Final = re.compile(r"[a-z][a-z0-9_]{0,31}(?:\.[a-z][a-z0-9_]{0,31}){0,3}\Z")
_NOTICE: Final = re.compile(r"[a-z0-9._-]{1,64}@[0-9]{1,9}#[0-9a-f]{64}\Z")
_EVIDENCE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/#-]{0,127}\Z")
_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:Z|[+-][0-9]{2}:[0-9]{2})\Z"
)
_CAPACITIES: Final = {"self": Capacity.SELF, "guardian": Capacity.GUARDIAN, "primary": Capacity.PRIMARY}
_MOST_CATEGORIES: Final = 32


def header_of(raw: bytes) -> tuple[str, ...]:
    """Return the columns that the first line of a CSV file names.

    Raises:
        HeaderError: a column is missing, unknown or named twice.
    """
    try:
        names = tuple(next(csv.reader([raw.decode("utf-8-sig").strip("\r\n")], strict=True), []))
    except (UnicodeDecodeError, csv.Error):
        raise HeaderError("第一行不是 UTF-8 编码的 CSV / the first line is not UTF-8 CSV") from None
    missing = [name for name in NEEDED if name not in names]
    if missing or len(set(names)) != len(names) or not _NAMES.issuperset(names):
        raise HeaderError(
            f"第一行须写明各列且各一次：{', '.join(NEEDED)}；可另有：{', '.join(OPTIONAL)} / "
            f"the first line names each of {', '.join(NEEDED)} once, and if used {', '.join(OPTIONAL)}"
        )
    return names


def read(raw: bytes, header: Sequence[str] | None) -> Line | Fault:
    """Read one line; ``header`` None means JSON."""
    if len(raw) >= LONGEST_LINE:
        return Fault.MALFORMED
    found = _from_json(raw) if header is None else _from_csv(raw, header)
    return Fault.MALFORMED if found is None else _line(found)


def _from_csv(raw: bytes, header: Sequence[str]) -> Mapping[str, object] | None:
    try:
        values = next(csv.reader([raw.decode().rstrip("\r\n")], strict=True), [])
    except (UnicodeDecodeError, csv.Error):
        return None
    if len(values) != len(header):
        return None
    return {name: value for name, value in zip(header, values, strict=True) if value}


def _from_json(raw: bytes) -> Mapping[str, object] | None:
    try:
        found = strictjson.parse(raw.rstrip(b"\r\n"))
    except ProblemError:
        return None
    if not isinstance(found, dict) or not _NAMES.issuperset(found):
        return None
    if isinstance(words := found.get("categories"), list):
        if any(type(word) is not str or " " in word for word in words):
            return None
        found = {**found, "categories": " ".join(words)}
    return {name: value for name, value in found.items() if value not in (None, "")}


def _line(found: Mapping[str, object]) -> Line | Fault:
    texts = {name: value for name, value in found.items() if type(value) is str}
    if len(texts) != len(found):
        return Fault.MALFORMED
    evidence = texts.get("evidence", "")
    if not evidence.strip():
        return Fault.NO_EVIDENCE
    if holds_personal_data(evidence):
        return Fault.PERSONAL_EVIDENCE
    member, purpose = texts.get("member", ""), texts.get("purpose", "")
    words = texts.get("categories", "").replace(";", " ").split()
    notice, recipient = texts.get("notice", ""), texts.get("recipient", "")
    actor = texts.get("actor", member)
    capacity = _CAPACITIES.get(texts.get("capacity", "self" if actor == member else "guardian"))
    times = [_instant(texts[name]) for name in ("given_at", "confirmed_at", "expires_at") if name in texts]
    well_formed = (
        _EVIDENCE.match(evidence)
        and _MEMBER.match(member)
        and _MEMBER.match(actor)
        and _WORD.match(purpose)
        and 0 < len(words) <= _MOST_CATEGORIES
        and all(map(_WORD.match, words))
        and _NOTICE.match(notice)
        and (not recipient or _RECIPIENT.match(recipient))
        and "given_at" in texts
        and None not in times
    )
    if not well_formed or capacity is None:
        return Fault.MALFORMED
    given, confirmed, expires = (
        _instant(texts[name]) if name in texts else None
        for name in ("given_at", "confirmed_at", "expires_at")
    )
    assert given is not None, "its form was looked at above"
    if (confirmed is not None and confirmed < given) or (expires is not None and expires <= given):
        return Fault.OUT_OF_ORDER
    terms = Terms(purpose, frozenset(words), recipient, notice)
    return Line(member, terms, actor, capacity, given, confirmed, expires, evidence)


def _instant(text: str) -> int | None:
    """Return an instant, None for what names none. A time without a zone is none (T6)."""
    if not _TIME.match(text):
        return None
    try:
        instant = int(datetime.fromisoformat(text).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
    return instant if instant > 0 else None


def events_of(line: Line, source: str, now: int) -> tuple[Event, ...]:
    """Return the events of the act: shown, ticked, and confirmed where a confirmation is stated.

    Their ids follow from what the line says of the act, not from file or place: the same act in another
    file is the same event, and the registry knows it. ``source`` is the evidence, as JSON.
    """
    act = "\n".join(
        [
            line.member,
            line.terms.purpose,
            " ".join(sorted(line.terms.categories)),
            line.terms.recipient,
            line.terms.notice,
            line.actor,
            line.capacity,
            str(line.given_at),
            line.evidence,
        ]
    )
    consent_id = _fixed_id(Prefix.CONSENT, line.given_at, act)
    happened = [(EventKind.SERVED, line.given_at), (EventKind.TICKED, line.given_at)]
    if line.confirmed_at is not None:
        happened.append((EventKind.CONFIRMED, line.confirmed_at))
    return tuple(
        Event(
            subject_id=line.member,
            event_id=_fixed_id(Prefix.EVENT, at, f"{kind}\n{act}"),
            kind=kind,
            consent_id=consent_id,
            purpose=line.terms.purpose,
            categories=line.terms.categories,
            recipient=line.terms.recipient,
            notice=line.terms.notice,
            actor_id=line.actor,
            capacity=line.capacity,
            viewer="",
            occurred_at=at,
            recorded_at=now,
            expires_at=None if kind is EventKind.SERVED else line.expires_at,
            evidence=source,
        )
        for kind, at in happened
    )


def _fixed_id(prefix: Prefix, at: int, text: str) -> str:
    """Return the id that belongs to a text: a well-formed UUIDv7, the same each time."""
    digits, stamp = sha256(text.encode()).hexdigest(), f"{at:012x}"
    return f"{prefix}{stamp[:8]}-{stamp[8:]}-7{digits[:3]}-8{digits[3:6]}-{digits[6:18]}"
