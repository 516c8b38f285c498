"""May this person's data of one category be used for one purpose, now? Events in, a reasoned answer out.

Pure and total: no clock, no database, no randomness; the order and the number of deliveries of the events
do not matter. The default is no, and there are two answers only. The order of judgement: unknown words,
what the law forbids whatever anybody agreed to, a closed person, hiding, then acts of consent against
denials, last a legal basis that the rule book names expressly (个人信息保护法 第十三条、第三十一条).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Final, NamedTuple, NoReturn

from consent.events import Capacity, Event, EventKind
from consent.facts import Facts, above, stamp
from consent.obliging import of_permit, of_refusal
from consent.superseding import NO_NOTICES, Notices
from consent.weighing import Act, Case, closings, denial_reason, tier_of, weigh
from policies.book import RuleBook
from policies.entries import Prohibition, PurposeEntry
from policies.reasons import Reason
from policies.terms import Category, Purpose

CONSENT_BASIS: Final = "个人信息保护法 第十三条第一款第一项"
GUARDIAN_BASIS: Final = "个人信息保护法 第三十一条第一款"
_OF_CONSENT_ONLY: Final = frozenset({EventKind.REFUSED, EventKind.WITHDRAWN, EventKind.REVOKED})


class Question(NamedTuple):
    """What is asked. Times are milliseconds since the epoch, UTC.

    ``recipient`` is empty for the controller itself with its processors, otherwise another controller's id,
    with ``@region`` when the data would go abroad. ``processor`` is the party that would work on the data
    for the controller; a consent covers it only if the notice names it. Empty is the controller's own staff.
    ``viewer`` is the actor who would see the data. ``birth`` None means that the birth date is unknown:
    the person is then protected like a child, and no consent counts. ``known_at`` None asks the live
    question, for which every denial in the log counts; to ask again about a past instant, give ``now`` and
    ``known_at`` of that instant.
    """

    subject_id: str
    purpose: Purpose
    category: Category
    recipient: str
    viewer: str
    now: int
    birth: date | None
    known_at: int | None = None
    processor: str = ""


class Standing(NamedTuple):
    """The answer, with what it rests on.

    ``event_ids`` are the events that carry a permit (without any one of them it would not stand) or the one
    event that decided a refusal. ``valid_until`` is the instant from which time alone can change the answer,
    None when only a new event can. ``basis`` is the article a permit rests on. ``duties`` are what the
    answer obliges its receiver to (``consent.obliging``).
    """

    permits: bool
    reason: Reason
    consent_id: str = ""
    event_ids: tuple[str, ...] = ()
    basis: str = ""
    valid_until: int | None = None
    duties: tuple[str, ...] = ()

    def __bool__(self) -> NoReturn:
        """Refuse to be a truth value: a refusal must never pass for a permit.

        Raises:
            TypeError: always.
        """
        raise TypeError("a standing has no truth value; ask .permits")


def standing(
    events: Iterable[Event], question: Question, book: RuleBook, notices: Notices = NO_NOTICES
) -> Standing:
    """Answer one question from all events of its subject. Events of other subjects are passed over."""
    return standings(events, (question,), book, notices)[0]


def standings(
    events: Iterable[Event], questions: Sequence[Question], book: RuleBook, notices: Notices = NO_NOTICES
) -> list[Standing]:
    """Answer several questions, in their order; those about one person and instant share the folding.

    ``notices`` are the published versions (``consent.superseding.by_id``); without them no consent is ended
    by a newer one.
    """
    events = tuple(events)
    folded: dict[tuple[object, ...], Facts] = {}
    answers = []
    for question in questions:
        about = (question.subject_id, question.now, question.known_at, question.birth)
        if about not in folded:
            folded[about] = Facts(events, *about)
        answers.append(_answer(folded[about], question, book, notices))
    return answers


def _answer(facts: Facts, question: Question, book: RuleBook, notices: Notices) -> Standing:
    purpose = book.purposes.get(question.purpose)
    if purpose is None:
        return Standing(permits=False, reason=Reason.UNKNOWN_PURPOSE)
    if question.category not in book.categories:
        return Standing(permits=False, reason=Reason.UNKNOWN_CATEGORY)
    case = case_of(facts, question, purpose, book, notices)
    for answer in (_prohibited(case, question.viewer), _closed(case), _hidden(case, question.viewer)):
        if answer is not None:
            return answer
    answer = _agreed(case)
    owed = of_permit(case, question.viewer) if answer.permits else of_refusal(case, answer.reason)
    return answer._replace(duties=owed) if owed else answer


def hidden(events: Sequence[Event], category: Category, viewer: str, now: int) -> bool:
    """Say whether the events' one subject has hidden the category from the viewer.

    The subject sees everything of their own. ``hidden_categories`` also knows the guardian of a child.
    """
    return category in hidden_categories(events, (category,), viewer, now, None)


def hidden_categories(
    events: Sequence[Event], categories: Iterable[Category], viewer: str, now: int, birth: date | None
) -> frozenset[Category]:
    """Return those of the categories that the events' one subject has hidden from the viewer.

    With a birth date, nothing is hidden from the guardian of a child under 14.
    """
    if not events:
        return frozenset()
    facts = Facts(events, events[0].subject_id, now, None, birth)
    return frozenset(one for one in categories if _is_hidden(facts, above(one), viewer))


def restricted_categories(
    events: Sequence[Event],
    purpose: Purpose,
    categories: Iterable[Category],
    now: int,
    birth: date | None,
    book: RuleBook,
) -> frozenset[Category]:
    """Return those of the categories whose use for the purpose is restricted to storage."""
    if not any(event.kind == EventKind.RESTRICTED for event in events) or purpose not in book.purposes:
        return frozenset()
    facts = Facts(events, events[0].subject_id, now, None, birth)
    found = set()
    for category in categories:
        asked = Question(facts.subject_id, purpose, category, "", "", now, birth)
        denials = case_of(facts, asked, book.purposes[purpose], book, NO_NOTICES).denials()
        if any(denial.kind == EventKind.RESTRICTED for denial in denials):
            found.add(category)
    return frozenset(found)


def state_of(
    events: Iterable[Event],
    consent_id: str,
    question: Question,
    book: RuleBook,
    notices: Notices = NO_NOTICES,
) -> Reason:
    """Say how one consent stands by itself: given, or why it does not hold for the question's category."""
    purpose = book.purposes.get(question.purpose)
    if purpose is None:
        return Reason.UNKNOWN_PURPOSE
    case = asked_about(events, question, purpose, book, notices)
    if case.facts.of(EventKind.ERASED):
        return Reason.SUBJECT_CLOSED
    act = act_in(case, consent_id)
    return Reason.NO_CONSENT if act is None else reason_in(case, act)


def reason_in(case: Case, act: Act) -> Reason:
    """Say how an act stands by itself; an unfinished one that was denied is denied, not unfinished."""
    if act.fault is Reason.UNCONFIRMED:
        noes = [one for one in closings(case, act.tick) if one.kind != EventKind.DEFERRED]
        if noes:
            return denial_reason(max(noes, key=lambda no: (stamp(no), no.event_id)))
    return act.fault or _reason_of(act)


def act_of(
    events: Iterable[Event],
    consent_id: str,
    question: Question,
    book: RuleBook,
    notices: Notices = NO_NOTICES,
) -> Act | None:
    """Return the act behind one consent as it stands for the question's category; None if there is none."""
    purpose = book.purposes.get(question.purpose)
    return (
        None if purpose is None else act_in(asked_about(events, question, purpose, book, notices), consent_id)
    )


def asked_about(
    events: Iterable[Event], question: Question, purpose: PurposeEntry, book: RuleBook, notices: Notices
) -> Case:
    """Return what an act is weighed by when the question is asked of these events."""
    facts = Facts(events, question.subject_id, question.now, question.known_at, question.birth)
    return case_of(facts, question, purpose, book, notices)


def act_in(case: Case, consent_id: str) -> Act | None:
    """Return the best act behind one consent in a case; None if there is none."""
    acts = [act for act in weigh(case, case.denials()) if act.tick.consent_id == consent_id]
    return max(acts, key=lambda act: (act.fault is None, act.tick.occurred_at, act.rank), default=None)


def case_of(
    facts: Facts, question: Question, purpose: PurposeEntry, book: RuleBook, notices: Notices
) -> Case:
    """Return what an act about this purpose, category and recipient is weighed by."""
    line = above(question.category)
    entry = book.categories.get(question.category)
    while entry is not None and entry.parent is not None:
        if entry.parent not in line:  # a parent may be declared against the dots
            line |= {entry.parent}
        entry = book.categories.get(entry.parent)
    return Case(
        facts=facts,
        book=book,
        notices=notices,
        purpose=purpose,
        category=question.category,
        recipient=question.recipient,
        processor=question.processor,
        line=line,
        tier=tier_of(facts, book, question.category),
    )


def _no(case: Case, reason: Reason, *event_ids: str) -> Standing:
    return Standing(permits=False, reason=reason, event_ids=event_ids, valid_until=case.facts.changes_at)


def _prohibited(case: Case, viewer: str) -> Standing | None:
    """What no consent can lift."""
    for row in case.book.prohibitions:
        if _applies(row, case, viewer):
            unknown = row.under and case.facts.birth is None
            return _no(case, Reason.AGE_UNKNOWN if unknown else row.reason)
    return None


def _applies(row: Prohibition, case: Case, viewer: str) -> bool:
    return (
        (not row.purpose or row.purpose in above(case.purpose.id))
        and (not row.category or row.category in case.line)
        and row.tier in (None, case.tier)
        and row.screening in (None, case.purpose.screening)
        and (case.purpose.profiled or not row.profiled)
        and (not row.under or case.facts.is_under(row.under))
        and not (row.others and viewer == case.facts.subject_id)
    )


def _closed(case: Case) -> Standing | None:
    erased = case.facts.of(EventKind.ERASED)
    if not erased:
        return None
    return _no(case, Reason.SUBJECT_CLOSED, min(erased, key=lambda e: (e.occurred_at, e.event_id)).event_id)


def _hidden(case: Case, viewer: str) -> Standing | None:
    # The answer names no event: hidden must look like absent.
    return _no(case, Reason.NOT_AVAILABLE) if _is_hidden(case.facts, case.line, viewer) else None


def _is_hidden(facts: Facts, line: frozenset[str], viewer: str) -> bool:
    if not facts.is_hidden(line, viewer):
        return False
    known_child = facts.is_child and facts.birth is not None
    return not (known_child and facts.guardian_link(viewer, facts.now))


def _agreed(case: Case) -> Standing:
    """Acts of consent against denials, then the rule book's own legal basis."""
    denials = case.denials()
    acts = weigh(case, denials)
    sound = [act for act in acts if act.fault is None]
    if case.needs_both:
        own = [act for act in sound if act.tick.capacity == Capacity.SELF]
        other = [act for act in sound if act.tick.capacity == Capacity.GUARDIAN]
        if own and other:
            return _yes(case, _best(own), _best(other))
    elif sound:
        return _yes(case, _best(sound))
    on_law = _on_law(case, denials)
    return _because(case, acts, denials) if on_law is None else on_law


def _yes(case: Case, *acts: Act) -> Standing:
    first = acts[0]
    ends = [act.ends_at for act in acts]
    changes = case.facts.changes_at
    events = {event.event_id: None for act in acts for event in act.support}
    return Standing(
        permits=True,
        reason=_reason_of(first),
        consent_id=first.tick.consent_id,
        event_ids=tuple(events),
        basis=GUARDIAN_BASIS if first.tick.capacity == Capacity.GUARDIAN else CONSENT_BASIS,
        valid_until=min(ends) if changes is None else min(changes, *ends),
    )


def _reason_of(act: Act) -> Reason:
    if act.tick.capacity == Capacity.GUARDIAN:
        return Reason.GUARDIAN_CONSENT
    return Reason.PRIMARY_CONSENT if act.tick.capacity == Capacity.PRIMARY else Reason.CONSENT_GIVEN


def _best(acts: Iterable[Act]) -> Act:
    return max(acts, key=lambda act: act.rank)


def _on_law(case: Case, denials: Sequence[Event]) -> Standing | None:
    """Permit the controller itself what a row of the rule book allows without consent.

    An objection or a restriction ends that, except for a purpose for which consent is never asked because
    it rests on law alone (个人信息保护法 第四十四条: 法律、行政法规另有规定的除外).
    """
    basis = None if case.purpose.needs_consent else case.book.basis(case.purpose.id, case.category)
    if basis is None or case.recipient or (case.facts.is_child and not basis.under_14):
        return None
    ends = any(d.kind not in _OF_CONSENT_ONLY and d.capacity != Capacity.PRIMARY for d in denials)
    if ends and case.purpose.consent_days:
        return None
    return Standing(
        permits=True, reason=Reason.LEGAL_BASIS, basis=basis.law, valid_until=case.facts.changes_at
    )


def _because(case: Case, acts: Sequence[Act], denials: Sequence[Event]) -> Standing:
    """Explain a refusal by the newest thing that stands against it."""
    causes = [(stamp(denial), 1, denial.event_id, denial_reason(denial)) for denial in denials]
    causes += [
        (act.tick.occurred_at, 0, act.tick.event_id, act.fault or Reason.GUARDIAN_REQUIRED) for act in acts
    ]
    if not causes:
        return _no(case, Reason.NO_CONSENT)
    _, _, event_id, reason = max(causes, key=lambda cause: cause[:3])
    answer = _no(case, reason, event_id)
    # An act that waits for the other signature, or that a no has beaten, expires by itself, and the reason
    # changes with it.
    ends = [act.ends_at for act in acts if act.ends_at > case.facts.now]
    changes = case.facts.changes_at
    return answer._replace(valid_until=min([*ends, *([] if changes is None else [changes])], default=None))
