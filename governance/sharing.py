"""Sharing and hiding as a member does it: who sees what, given and ended by the owner alone (S3, S26).

Promises that a share names one person of the family, one category and one purpose; that only the owner
gives and ends it, with one call and no code; and that it opens nothing by itself: the owner's consent to the
purpose is asked for as well (个人信息保护法 第二十九条). Event, epoch and log entry commit together, so a
read that starts after the answer sees the end of a share, on every replica.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Final

from sqlalchemy import bindparam, or_, select

from audit.entry import Verdict
from consent import eventlog, noticeboard, registry
from consent.ages import CONSENT_AGE, DAY_MS, age_on
from consent.events import Capacity, EventKind
from consent.facts import above
from consent.rules import Question, standings
from consent.sharing import Hide, Share, hides_in, is_shareable, shares_in
from governance import replay, subjects
from governance.acting import NoSuchConsentError, On, evidence_of, log_act
from governance.database import Database
from governance.records import RelationRow
from governance.replay import Once
from governance.rulekeeping import RuleKeeper
from governance.showing import UnfitConsentError
from policies.book import RuleBook
from policies.reasons import Reason
from policies.terms import Category, Purpose, Relation, SubjectId, Tier
from policies.transaction import Transaction

PURPOSE: Final = Purpose("family.care")
"""What members share with each other for."""

_relation = RelationRow.__table__
_FAMILY: Final = (
    select(_relation.c.relation)
    .where(
        _relation.c.subject_id == bindparam("subject"),
        _relation.c.actor_id == bindparam("viewer"),
        _relation.c.relation.in_((Relation.CORESIDENT.value, Relation.WARD.value)),
        _relation.c.starts_at <= bindparam("now"),
        or_(_relation.c.ends_at.is_(None), _relation.c.ends_at > bindparam("now")),
    )
    .limit(1)
)


class TooYoungError(Exception):
    """Under 14, or of unknown age, nobody shares alone; a guardian sees what is there anyway."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A share, whether it opens anything now, and how the consent beside it stands."""

    share: Share
    active: bool
    consent: Reason


class Sharing:
    """The desk in front of shares and hides."""

    def __init__(
        self,
        database: Database,
        keeper: RuleKeeper,
        birth_of: Callable[[Transaction, SubjectId], date | None],
    ) -> None:
        self._database = database
        self._keeper = keeper
        self._birth_of = birth_of

    def give(
        self, on: On, category: str, viewer: str, days: int | None, now: int, once: Once | None = None
    ) -> Standing:
        """Share a category of the member's own with one of the family, for some days or until it is ended.

        Raises:
            UnfitConsentError: no rule waits for a share of this category.
            NoSuchConsentError: the viewer is not of the member's family.
            TooYoungError: the member is under 14, or of unknown age.
            KeyReusedError: the idempotency key belongs to something else.
        """
        return self._keeper.attempt(lambda: self._give(on, category, viewer, days, now, once))

    def _give(
        self, on: On, category: str, viewer: str, days: int | None, now: int, once: Once | None
    ) -> Standing:
        subject = SubjectId(on.member)
        with self._database.transaction() as tx:
            book = self._keeper.in_force(tx).rules.book
            if not is_shareable(book, Category(category), PURPOSE):
                raise UnfitConsentError
            subjects.change(tx, [subject])
            share_id = replay.earlier(tx, on.caller.actor_id, once, now)
            if share_id is not None:
                return self._one(tx, subject, share_id, now, book)
            if not _is_family(tx, subject, viewer, now):
                raise NoSuchConsentError
            birth = self._birth_of(tx, subject)
            if birth is None or age_on(birth, now) < CONSENT_AGE:
                raise TooYoungError
            until = None if days is None else now + days * DAY_MS
            share_id = registry.share(
                tx, subject, category, PURPOSE, _owner(on), now, viewer=viewer, until=until
            )
            replay.remember(tx, on.caller.actor_id, once, share_id, now)
            given = self._one(tx, subject, share_id, now, book)
            self._log(tx, "share.given", on, now, share_id)
            tx.commit()
            return given

    def end(self, on: On, share_id: str, now: int) -> int:
        """End a share; always accepted, also with rules that cannot be used. Returns since when it is over.

        Raises:
            NoSuchConsentError: the member has given no such share.
        """
        subject = SubjectId(on.member)
        with self._database.transaction() as tx:
            subjects.change(tx, [subject])
            try:
                since = registry.unshare(tx, subject, share_id, _owner(on), now)
            except registry.UnknownConsentError:
                raise NoSuchConsentError from None
            self._log(tx, "share.ended", on, now, share_id)
            tx.commit()
            return since

    def shares(self, member: SubjectId, now: int) -> tuple[Standing, ...]:
        """Return the shares the member gave, newest first."""

        def look() -> tuple[Standing, ...]:
            with self._database.reading() as tx:
                book = self._keeper.in_force(tx).rules.book
                return tuple(reversed(self._all(tx, member, now, book)))

        return self._keeper.attempt(look)

    def hides(self, member: SubjectId, now: int) -> tuple[Hide, ...]:
        """Return what the member hides, and from whom, newest first."""
        with self._database.reading() as tx:
            return tuple(reversed(hides_in(eventlog.events_of(tx, [member])[member], now)))

    def hide(self, on: On, category: str, viewer: str, *, hidden: bool, now: int) -> Hide:
        """Hide a category of the member's own from one of the family or everybody, or show it again.

        What is hidden now can be shown again whoever the viewer has become. Returns the switch that was set,
        or as it stood until it was set back.

        Raises:
            UnfitConsentError: nothing hideable lies at or under the category.
            NoSuchConsentError: the viewer is not of the member's family (a mistyped id protects nobody), or
                what is to be shown is not hidden.
        """
        return self._keeper.attempt(lambda: self._hide(on, category, viewer, hidden=hidden, now=now))

    def _hide(self, on: On, category: str, viewer: str, *, hidden: bool, now: int) -> Hide:
        subject = SubjectId(on.member)
        with self._database.transaction() as tx:
            # What was hidden once can be shown again, whatever the rules call it now.
            if hidden and not _can_be_hidden(self._keeper.in_force(tx).rules.book, category):
                raise UnfitConsentError
            subjects.change(tx, [subject])
            switches = hides_in(eventlog.events_of(tx, [subject])[subject], now)
            found = next((one for one in switches if (one.category, one.viewer) == (category, viewer)), None)
            if hidden:
                if found is None and viewer and not _is_family(tx, subject, viewer, now):
                    raise NoSuchConsentError
                since = registry.hide(tx, subject, category, _owner(on), now, viewer=viewer)
                found = found or Hide(category, viewer, since)
            elif found is None:
                raise NoSuchConsentError
            else:
                registry.unhide(tx, subject, category, _owner(on), now, viewer=viewer)
            self._log(tx, "records.hidden" if hidden else "records.unhidden", on, now)
            tx.commit()
            return found

    def _one(self, tx: Transaction, subject: SubjectId, share_id: str, now: int, book: RuleBook) -> Standing:
        found = self._all(tx, subject, now, book)
        return next(one for one in found if one.share.share_id == share_id)

    def _all(self, tx: Transaction, subject: SubjectId, now: int, book: RuleBook) -> list[Standing]:
        events = eventlog.events_of(tx, [subject])[subject]
        if not any(event.kind == EventKind.SHARED for event in events):
            return []
        birth = self._birth_of(tx, subject)
        shares = shares_in(events, now, birth, book)
        questions = [
            Question(subject, Purpose(one.purpose), Category(one.category), "", one.viewer, now, birth)
            for one in shares
        ]
        found = zip(shares, standings(events, questions, book, noticeboard.behind(tx, events)), strict=True)
        viewers = {one.viewer for one in shares}
        family = {viewer for viewer in viewers if _is_family(tx, subject, viewer, now)}
        return [
            Standing(one, one.ended_at is None and at.permits and one.viewer in family, at.reason)
            for one, at in found
        ]

    def _log(self, tx: Transaction, act: str, on: On, now: int, share_id: str = "") -> None:
        policy, purpose = self._keeper.fingerprint(tx), PURPOSE if share_id else ""
        what = {"resource": share_id, "purpose": purpose}
        log_act(tx, act, on, SubjectId(on.member), now, dec=Verdict.PERMIT, policy=policy, **what)


def _is_family(tx: Transaction, subject: SubjectId, viewer: str, now: int) -> bool:
    """Say whether somebody else is now a relative or a guardian of the subject."""
    asked = {"subject": subject, "viewer": viewer, "now": now}
    return viewer != subject and bool(tx.rows(_FAMILY, asked))


def _owner(on: On) -> registry.Actor:
    return registry.Actor(on.member, Capacity.SELF, evidence_of(on))


def _can_be_hidden(book: RuleBook, category: str) -> bool:
    """Say whether something hideable lies at or under a category: hiding anything else would be idle."""
    return any(
        field.tier is Tier.HIDEABLE and category in above(field.category) for field in book.fields.values()
    )
