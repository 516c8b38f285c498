"""Whether one act of consent holds: complete, by the right person, separate, unbeaten, unexpired.

Pure. An act is served → ticked → (where ``Case.needs_code``) confirmed, by one actor, for the same purpose,
categories, recipient and notice, the code within some minutes of the tick. A denial beats every act whose
tick is older or simultaneous, so a late confirmation never brings a withdrawn consent back. Grants hold for
exactly the purpose and categories they name (个人信息保护法 第十四条); denials reach down both trees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from consent.ages import CONSENT_AGE, DAY_MS, MAJORITY, age_on
from consent.events import Capacity, Event, EventKind
from consent.facts import Facts, above, stamp
from consent.recipients import not_covered, reaches
from consent.superseding import Notices, is_forged, names_processor, superseded_at
from policies.book import RuleBook
from policies.entries import Limits, PurposeEntry
from policies.reasons import Reason
from policies.terms import Category, Tier

DENIAL_REASONS: Final[dict[str, Reason]] = {
    EventKind.REFUSED: Reason.REFUSED_BY_PERSON,
    EventKind.WITHDRAWN: Reason.WITHDRAWN,
    EventKind.REVOKED: Reason.REVOKED,
    EventKind.OBJECTED: Reason.OBJECTED,
    EventKind.RESTRICTED: Reason.RESTRICTED,
}
DENIED: Final = frozenset({*DENIAL_REASONS.values(), Reason.FACTS_UNAVAILABLE})
"""How a denied act stands; the last is for a denial of a kind that this version does not know."""
_YES_ONCE: Final = (None, Reason.EXPIRED, Reason.NOTICE_SUPERSEDED)
_MINUTE_MS: Final = 60_000


class Case(NamedTuple):
    """What weighing an act needs: the person, the rules, the notices, and what is asked for.

    ``line`` is the category with everything more general, ``tier`` how grave it is for this person.
    """

    facts: Facts
    book: RuleBook
    notices: Notices
    purpose: PurposeEntry
    category: Category
    recipient: str
    processor: str
    line: frozenset[str]
    tier: Tier | None

    @property
    def needs_both(self) -> bool:
        """Whether the person and a guardian must both consent."""
        return self.facts.is_minor and not self.facts.is_child and self.both_until_majority

    @property
    def both_until_majority(self) -> bool:
        """Whether the rules ask, from 14 to 17, for the person and a guardian."""
        if self.purpose.both_required:
            return True
        entries = (self.book.categories.get(Category(one)) for one in self.line)
        return any(entry is not None and entry.both_required for entry in entries)

    @property
    def is_grave(self) -> bool:
        """Whether the category is sensitive or closed for this person."""
        return self.tier in (Tier.SENSITIVE, Tier.CLOSED)

    @property
    def needs_code(self) -> bool:
        """Whether a tick alone is not enough: by the purpose, for grave data, and for any named recipient.

        Giving data to another controller or abroad is agreed to separately (个人信息保护法 第二十三条、
        第三十九条), so the rules of a purpose cannot leave the code out there.
        """
        return self.purpose.double_confirm or self.is_grave or bool(self.recipient)

    @property
    def longest(self) -> int:
        """The longest validity of a consent here, in milliseconds."""
        days = self.purpose.consent_days
        return (min(days, self.book.limits.sensitive_consent_days) if self.is_grave else days) * DAY_MS

    def denials(self) -> list[Event]:
        """Return the denials that reach this purpose, category and recipient and were not taken back."""
        return self._reaching(self.facts.denials)

    def denials_ever(self) -> list[Event]:
        """Return those that were taken back since as well: for what ends for good."""
        return self._reaching(self.facts.denials_ever)

    def _reaching(self, denials: Iterable[Event]) -> list[Event]:
        purposes = above(self.purpose.id)
        return [
            denial
            for denial in denials
            if (not denial.purpose or denial.purpose in purposes)
            and (not denial.categories or not denial.categories.isdisjoint(self.line))
            and reaches(denial.recipient, self.recipient)
            and not self._is_overreach(denial)
        ]

    def _is_overreach(self, denial: Event) -> bool:
        # From 14 on a guardian has no veto, unless both must agree anyway.
        if denial.capacity != Capacity.GUARDIAN or self.facts.birth is None:
            return False
        limit = MAJORITY if self.both_until_majority else CONSENT_AGE
        return age_on(self.facts.birth, stamp(denial)) >= limit


def tier_of(facts: Facts, book: RuleBook, category: str) -> Tier | None:
    """Return a category's tier for a person of this age."""
    return tier_under(facts.is_under, book, category)


def tier_under(is_under: Callable[[int], bool], book: RuleBook, category: str) -> Tier | None:
    """Return a category's tier for somebody of whom ``is_under`` says whether they are below an age."""
    entry = book.categories.get(Category(category))
    if entry is None:
        return None
    for row in book.age_tiers:
        if row.tier is entry.tier and is_under(row.under):
            return row.becomes
    return entry.tier


class Act(NamedTuple):
    """One act of consent: whose tick, which events carry it, when it holds, and what is wrong with it."""

    tick: Event
    support: tuple[Event, ...]
    given_at: int
    ends_at: int
    fault: Reason | None

    @property
    def rank(self) -> tuple[int, tuple[str, ...]]:
        """An order among acts that does not depend on the order of arrival."""
        return self.ends_at, tuple(event.event_id for event in self.support)


def weigh(case: Case, denials: Sequence[Event]) -> list[Act]:
    """Return every act that names the purpose and category, each with its fault or None."""
    acts = [_judged(case, act) for act in _acts(case)]
    if not acts:
        return acts
    newest: dict[str, int] = {}
    for act in acts:
        # A yes that has run out was still a yes: time alone brings nobody's older no back.
        if act.fault in _YES_ONCE:
            newest[act.tick.actor_id] = max(newest.get(act.tick.actor_id, 0), act.tick.occurred_at)
    return [act if act.fault else _against(case, act, denials, newest) for act in acts]


def _acts(case: Case) -> Iterator[Act]:
    """Put the three thirds of each grant together."""
    for served, ticks, confirmed in case.facts.grants(case.purpose.id):
        if not ticks or case.category not in ticks[0].categories:
            continue
        if not case.needs_code:
            for tick in ticks:
                yield _act(case, served, tick, tick)
            continue
        for tick in ticks:
            answers = [c for c in confirmed if _in_time(case, tick, c)]
            if answers:
                yield _act(case, served, tick, min(answers, key=lambda c: (c.occurred_at, c.event_id)))
            else:
                yield _incomplete(tick, Reason.UNCONFIRMED)


def confirm_before(ticked_at: int, limits: Limits) -> int:
    """Return the instant at which the time for confirming a tick is over."""
    return ticked_at + limits.code_minutes * _MINUTE_MS


def _in_time(case: Case, tick: Event, answer: Event) -> bool:
    return tick.occurred_at <= answer.occurred_at < confirm_before(tick.occurred_at, case.book.limits)


def _act(case: Case, served: Iterable[Event], tick: Event, last: Event) -> Act:
    shown = [s for s in served if s.occurred_at <= tick.occurred_at]
    if not shown:
        return _incomplete(tick, Reason.NO_CONSENT)  # nobody was shown what the tick agrees to
    first = min(shown, key=lambda s: (s.occurred_at, s.event_id))
    limits = [last.occurred_at + case.longest]
    limits += [e.expires_at for e in (tick, last) if e.expires_at is not None]
    superseded = superseded_at(case.notices, tick.notice, case.facts.known_at)
    limits += [] if superseded is None else [superseded]
    support = (first, tick) if last is tick else (first, tick, last)
    return Act(tick, support, last.occurred_at, min(limits), None)


def _incomplete(tick: Event, fault: Reason) -> Act:
    return Act(tick, (tick,), 0, 0, fault)


def _judged(case: Case, act: Act) -> Act:
    """Find what is wrong with an act by itself, denials aside."""
    if act.fault:
        return act
    tick = act.tick
    link, fault = _authority(case, tick)
    if fault is None and not _is_separate(case, tick):
        fault = Reason.NOT_SEPARATE
    fault = fault or not_covered(tick.recipient, case.recipient) or _misinformed(case, tick)
    if fault is None and case.facts.now >= act.ends_at:
        by_notice = act.ends_at == superseded_at(case.notices, tick.notice, case.facts.known_at)
        fault = Reason.NOTICE_SUPERSEDED if by_notice else Reason.EXPIRED
    if link:
        act = act._replace(support=(*act.support, link))
    return act._replace(fault=fault) if fault else act


def _misinformed(case: Case, tick: Event) -> Reason | None:
    """Say what the person was not told by the notice of the tick."""
    if is_forged(case.notices, tick.notice):
        return Reason.NOTICE_MISMATCH
    if case.processor and not names_processor(case.notices, tick.notice, case.processor):
        return Reason.RECIPIENT_NOT_COVERED
    return None


def _authority(case: Case, tick: Event) -> tuple[Event | None, Reason | None]:
    """Say whether the actor may consent for this person, then and now; with the link that says so."""
    if case.facts.is_household:
        return None, Reason.NO_AUTHORITY
    if case.facts.birth is None:
        return None, Reason.AGE_UNKNOWN
    age = age_on(case.facts.birth, tick.occurred_at)
    was_child = age < CONSENT_AGE
    own = tick.actor_id == case.facts.subject_id
    if tick.capacity == Capacity.SELF and own:
        return None, Reason.NO_AUTHORITY if was_child else None
    if tick.capacity == Capacity.GUARDIAN and not own:
        if not case.facts.is_child and (was_child or not case.needs_both):
            return None, Reason.AGE_TRANSITION if was_child else Reason.NO_AUTHORITY
        link = case.facts.guardian_link(tick.actor_id, tick.occurred_at)
        return link, None if link else Reason.NO_AUTHORITY
    # As for the others, the age at the tick counts: a birthday turns no refusal into a consent.
    if tick.capacity == Capacity.PRIMARY and not own and not was_child and _is_shared(case, tick, age):
        link = case.facts.primary_link(tick.actor_id, tick.occurred_at)
        return link, None if link else Reason.NO_AUTHORITY
    return None, Reason.NO_AUTHORITY


def _is_shared(case: Case, tick: Event, age: int) -> bool:
    """Say whether a grant is of the kind that a primary account may give: basic data for the service.

    ``age`` is the person's at the tick.
    """
    return (
        "service" in above(case.purpose.id)
        and not case.purpose.separate
        and not tick.recipient
        and all(
            tier_under(lambda limit: age < limit, case.book, category) is Tier.BASIC
            for category in tick.categories
        )
    )


def _is_separate(case: Case, tick: Event) -> bool:
    """Say whether a consent that must stand alone mixes no tiers (个人信息保护法 第二十九条)."""
    if not (case.purpose.separate or case.is_grave or tick.recipient):
        return True
    return all(tier_of(case.facts, case.book, category) is case.tier for category in tick.categories)


def _against(case: Case, act: Act, denials: Sequence[Event], newest: dict[str, int]) -> Act:
    """Set a sound act against the denials."""
    beaten = [d for d in denials if _beats(case, d, act.tick, newest)]
    if beaten:
        last = max(beaten, key=lambda d: (stamp(d), d.event_id))
        return act._replace(fault=denial_reason(last))
    for pause in case.facts.of(EventKind.DEFERRED):
        same = pause.purpose in ("", case.purpose.id) and pause.actor_id == act.tick.actor_id
        if same and act.tick.occurred_at <= pause.occurred_at <= act.given_at:
            return act._replace(fault=Reason.UNCONFIRMED)
    return act


def closings(case: Case, tick: Event) -> list[Event]:
    """Return what was said at or after a tick against it, "not now" included: no code completes it any more.

    ``case`` is about one category of the tick; a no to that category leaves the others open.
    """
    noes = [denial for denial in beaten_by(case, tick) if stamp(denial) >= tick.occurred_at]
    pauses = [
        pause
        for pause in case.facts.of(EventKind.DEFERRED)
        if pause.purpose in ("", case.purpose.id)
        and pause.actor_id == tick.actor_id
        and pause.occurred_at >= tick.occurred_at
    ]
    return [*noes, *pauses]


def denial_reason(denial: Event) -> Reason:
    """Return the reason that a denial gives; one of an unknown kind denies all the same."""
    return DENIAL_REASONS.get(denial.kind, Reason.FACTS_UNAVAILABLE)


def beaten_by(case: Case, tick: Event) -> list[Event]:
    """Return the denials that a tick loses against as long as no other guardian takes a no back."""
    return [d for d in case.denials() if _beats(case, d, tick, {})]


def _beats(case: Case, denial: Event, tick: Event, newest: dict[str, int]) -> bool:
    if denial.capacity == Capacity.PRIMARY and tick.capacity != Capacity.PRIMARY:
        return False  # a primary account may end what it gave, not what the person gave
    if stamp(denial) >= tick.occurred_at:
        return True
    if tick.capacity == Capacity.PRIMARY:
        return denial.capacity != Capacity.PRIMARY  # any refusal of the person's own beats it
    if tick.capacity == Capacity.GUARDIAN:
        # Guardians who disagree: a no stands until the one who said it says yes.
        alive = case.facts.guardian_link(denial.actor_id, case.facts.now) is not None
        return alive and newest.get(denial.actor_id, -1) <= stamp(denial)
    return False
