"""Publishing notices: who may, what must fit the rules in force, and the entry that says so.

Promises that a version, once published, is never changed; that whether it needs new consents is decided by
comparing it with the one before (``consent.notices``); and that publishing the same once more gives the same
version. A version counts from its ``effective_from``, never earlier than it was published.
"""

from __future__ import annotations

from collections.abc import Iterator

from audit import ledger
from audit.entry import Actor, Entry, Kind, Verdict
from consent import noticeboard
from consent.notices import LOCALES, Draft, Notice, is_repeated
from governance import announcing, replay
from governance.database import ConflictError, Database
from governance.identity import Caller, Scope
from governance.replay import Once
from governance.rulekeeping import RuleKeeper
from governance.rulepublishing import PUBLISHERS
from governance.testimony import party
from policies.book import RuleBook
from policies.identifiers import Prefix
from policies.terms import Category, Purpose


class NotPublisherError(Exception):
    """This caller must not publish notices."""


class UnfitNoticeError(Exception):
    """A draft does not fit; ``faults`` are pairs of the member it is about and a code."""

    def __init__(self, faults: list[tuple[str, str]]) -> None:
        super().__init__(", ".join(f"{member}: {code}" for member, code in faults))
        self.faults = faults


class NoticeMovedError(Exception):
    """Somebody else published a version of this notice at the same time."""


def may_publish(caller: Caller) -> bool:
    """Say whether a caller may publish: an officer, or a service whose key has the scope."""
    if caller.kind is Prefix.STAFF:
        return bool(caller.roles & PUBLISHERS)
    return Scope.NOTICES in caller.scopes


class Noticing:
    """The desk where notices are published and looked up."""

    def __init__(self, database: Database, keeper: RuleKeeper) -> None:
        self._database = database
        self._keeper = keeper

    def publish(
        self, caller: Caller, draft: Draft, now: int, request_id: str = "", once: Once | None = None
    ) -> Notice:
        """Publish the next version of a notice, or return the newest one if it says the same.

        Raises:
            NotPublisherError: not for this caller to do.
            UnfitNoticeError: the draft does not fit the rules in force or the version before it.
            NoticeMovedError: a version was published at the same time; look at it first.
            KeyReusedError: the idempotency key belongs to another request.
        """
        if not may_publish(caller):
            raise NotPublisherError
        try:
            return self._keeper.attempt(lambda: self._publish(caller, draft, now, request_id, once))
        except ConflictError:
            raise NoticeMovedError from None

    def _publish(self, caller: Caller, draft: Draft, now: int, request_id: str, once: Once | None) -> Notice:
        with self._database.transaction() as tx:
            rules = self._keeper.in_force(tx).rules
            earlier = replay.earlier(tx, caller.actor_id, once, now)
            versions = noticeboard.versions_of(tx, draft.id)
            if earlier is not None:
                return versions[int(earlier.rpartition("@")[2]) - 1]
            newest = versions[-1] if versions else None
            if newest is not None and is_repeated(newest, draft):
                return newest
            if faults := list(_faults(rules.book, draft, newest, now)):
                raise UnfitNoticeError(faults)
            notice = noticeboard.post(tx, draft, newest, caller.actor_id, now)
            replay.remember(tx, caller.actor_id, once, f"{notice.id}@{notice.version}", now)
            entry = Entry(
                t=now,
                kind=Kind.CHANGE,
                act="notice.published",
                dec=Verdict.PERMIT,
                actor=Actor(party(caller.actor_id, {})),
                resource=f"{notice.id}@{notice.version}#{notice.digest}",
                purpose=notice.contents.purpose,
                policy=rules.book.fingerprint,
                request=request_id,
            )
            position = ledger.append(tx, [entry])[0].index
            if notice.changed:  # once, not for each person: whose consents it ends is asked for as ever
                what, since = notice.contents, notice.effective_from
                told = announcing.of_notice(what.purpose, what.categories, position, since)
                announcing.announce(tx, [told])
            tx.commit()
        return notice

    def book_in_force(self) -> RuleBook:
        """Return the rules in force, whose words notices use."""

        def look() -> RuleBook:
            with self._database.reading() as tx:
                return self._keeper.in_force(tx).rules.book

        return self._keeper.attempt(look)

    def versions_of(self, notice_id: str) -> tuple[Notice, ...]:
        """Return all versions of a notice, oldest first."""
        with self._database.reading() as tx:
            return noticeboard.versions_of(tx, notice_id)

    def every_notice(self) -> tuple[Notice, ...]:
        """Return all versions of all notices, by id and version."""
        with self._database.reading() as tx:
            return noticeboard.every_notice(tx)


def _faults(book: RuleBook, draft: Draft, newest: Notice | None, now: int) -> Iterator[tuple[str, str]]:
    """Find everything in a draft that does not fit, each with the member it is about."""
    contents = draft.contents
    purpose = book.purposes.get(Purpose(contents.purpose))
    if purpose is None:
        yield "purpose", "unknown_purpose"
    elif contents.retention_days > purpose.retention_days:
        yield "retention_days", "longer_than_the_rules_allow"
    if any(Category(one) not in book.categories for one in contents.categories):
        yield "categories", "unknown_category"
    if set(draft.wordings) != set(LOCALES):
        yield "texts", "languages_missing"
    starts = now if draft.effective_from is None else draft.effective_from
    if starts < now:
        yield "effective_from", "in_the_past"
    if newest is not None and starts < newest.effective_from:
        yield "effective_from", "before_the_earlier_version"
