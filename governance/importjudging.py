"""What becomes of one imported line: on record as what it is, known already, or refused with a reason.

Nothing is judged here that the folding of every day judges (``consent.rules``): the stated act is put beside
what is on record, and the folding says whether it holds, and if not, why. An act that is sound but beaten,
or that states no confirmation where one is needed, is kept and does not count.

A row may name a notice of the system it comes from, whose words nobody here can compare. Where something is
published here under the id of the notice, the row must fit it like a consent given here: one of its texts,
its purpose, categories and recipients, and in force when the act took place
(个人信息保护法 第十四条、第十七条).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Final, NamedTuple

from consent.events import Event
from consent.listing import Consent, consents_in, state
from consent.notices import Misfit, Notice, misfit
from consent.rules import Question, standing
from consent.superseding import Notices
from governance import importrows
from governance.importrows import Fault, Line
from governance.problems import Problem
from governance.subjects import SubjectRow
from policies.book import RuleBook
from policies.reasons import Reason
from policies.terms import Category, Purpose, SubjectId, SubjectKind

GOOD: Final = frozenset({Reason.CONSENT_GIVEN, Reason.GUARDIAN_CONSENT, Reason.PRIMARY_CONSENT})
# The act stands on record, but something else is missing or stronger: it is kept as what it is.
_KEPT: Final = GOOD | {
    Reason.UNCONFIRMED,
    Reason.WITHDRAWN,
    Reason.REVOKED,
    Reason.REFUSED_BY_PERSON,
    Reason.OBJECTED,
    Reason.RESTRICTED,
    Reason.GUARDIAN_REQUIRED,
}
_MISFITS: Final[Mapping[Misfit, Reason | Problem]] = {
    Misfit.UNKNOWN: Reason.NOTICE_MISMATCH,
    Misfit.OTHER_TERMS: Problem.NOTICE_DIFFERS,
    Misfit.NOT_IN_FORCE: Problem.NOTICE_NOT_IN_FORCE,
}


class Outcome(NamedTuple):
    """What became of one line. ``counts``: the consent holds now. ``zh``, ``en``: why it was refused."""

    line: int
    outcome: str
    code: str
    consent_id: str = ""
    counts: bool = False
    zh: str = ""
    en: str = ""


def _refused(number: int, cause: Fault | Reason | Problem) -> Outcome:
    return Outcome(number, "refused", cause.value, zh=cause.zh, en=cause.en)


class Judge:
    """Says of each line of a batch what becomes of it, in the order of the file."""

    def __init__(
        self,
        book: RuleBook,
        held: Mapping[SubjectId, SubjectRow],
        events: Mapping[str, Sequence[Event]],
        births: Mapping[SubjectId, date | None],
        notices: Notices,
        texts: Mapping[str, Sequence[Notice]],
        source: Callable[[Line, int], str],
        now: int,
        seen: set[str],
    ) -> None:
        self._book = book
        self._held = held
        self._events = {member: list(known) for member, known in events.items()}
        self._known = {one.event_id for known in events.values() for one in known} | seen
        self._births = births
        self._notices = notices
        self._texts = texts
        self._source = source
        self._now = now
        self._seen = seen
        self.fresh: dict[str, list[Event]] = {}
        self.consents: list[Consent] = []

    def judged(self, number: int, line: Line | Fault) -> Outcome:
        """Judge one line; what is good becomes part of what later lines are judged by."""
        if isinstance(line, Fault):
            return _refused(number, line)
        unfit = self._unfit(line)
        if unfit is not None:
            return _refused(number, unfit)
        made = importrows.events_of(line, self._source(line, number), self._now)
        consent = consents_in(made)[0]
        if made[0].event_id in self._known:
            return Outcome(number, "known", "already_on_record", consent.consent_id)
        misfitting = self._misfit(line)
        if misfitting is not None:
            return _refused(number, misfitting)
        reason = self._standing(line, consent, (*self._events[line.member], *made))
        if reason not in _KEPT:
            return _refused(number, reason)
        self._known.add(made[0].event_id)
        self._seen.add(made[0].event_id)
        self._events[line.member] += made
        self.fresh.setdefault(line.member, []).extend(made)
        self.consents.append(consent)
        return Outcome(number, "imported", reason.value, consent.consent_id, counts=reason in GOOD)

    def _unfit(self, line: Line) -> Fault | Reason | None:
        row = self._held.get(SubjectId(line.member))
        if row is None or not row.active or row.kind is not SubjectKind.MEMBER:
            return Fault.UNKNOWN_MEMBER
        purpose = self._book.purposes.get(Purpose(line.terms.purpose))
        if purpose is None:
            return Reason.UNKNOWN_PURPOSE
        if not purpose.consent_days:
            return Fault.NOT_CONSENTABLE
        if any(Category(one) not in self._book.categories for one in line.terms.categories):
            return Reason.UNKNOWN_CATEGORY
        if max(line.given_at, line.confirmed_at or 0) > self._now:
            return Fault.FUTURE_DATED
        return None

    def _misfit(self, line: Line) -> Reason | Problem | None:
        """Say how the row belies a notice that is published here; None also for a notice of elsewhere."""
        versions = self._texts.get(line.terms.notice.partition("@")[0])
        if versions is None:
            return None
        how, _ = misfit(versions, line.terms, line.given_at)
        return None if how is None else _MISFITS[how]

    def _standing(self, line: Line, consent: Consent, events: tuple[Event, ...]) -> Reason:
        birth = self._births.get(SubjectId(line.member))
        reason = state(events, consent, birth, self._now, self._book, self._notices)
        for category in sorted(line.terms.categories):
            if self._may_be_prohibited(Purpose(line.terms.purpose), Category(category)):
                asked = Question(
                    line.member,
                    Purpose(line.terms.purpose),
                    Category(category),
                    line.terms.recipient,
                    "",
                    self._now,
                    birth,
                )
                answer = standing(events, asked, self._book, self._notices)
                if any(answer.reason is row.reason for row in self._book.prohibitions):
                    return answer.reason
        return reason

    def _may_be_prohibited(self, purpose: Purpose, category: Category) -> bool:
        """Say whether some row could forbid this whatever is agreed: most lines are spared asking."""
        tier = self._book.categories[category].tier
        tiers = {tier} | {row.becomes for row in self._book.age_tiers if row.tier is tier}
        profiled = self._book.purposes[purpose].profiled
        return any(
            (profiled or not row.profiled) and (row.tier is None or row.tier in tiers)
            for row in self._book.prohibitions
        )
