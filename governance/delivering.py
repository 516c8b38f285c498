"""Delivers announcements to webhooks: make out, lease, send, note; and tells when a withdrawal is not heard.

Promises at least one delivery of what an address asked for and may know, each attempt under the same
``webhook-id``, no attempt by two workers at the same moment, and one person's events in their order. What is
not acknowledged in time and ends processing becomes an incident, in the table and in the log. Any number
of workers may run, on any number of machines: what they share are rows.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable
from functools import partial
from typing import Final

from audit import ledger
from audit.entry import Actor as LogActor
from audit.entry import ActorType, Entry, Kind, Party, Verdict
from governance import announcing, hooksigning, hookstore, retrying
from governance.announcing import URGENT, Audience
from governance.database import Database
from governance.egress import Egress
from governance.hookstore import DISABLED, Letter, Overdue
from governance.opening import DoesNotOpenError, Opening
from governance.rulekeeping import RuleKeeper
from governance.webhooks import ENTITY, close
from policies.identifiers import Prefix, new_id
from policies.transaction import Transaction

UNACKNOWLEDGED_MS: Final = 24 * 3_600_000
"""A withdrawal that an address has not acknowledged after this long is an incident: processing goes on
there without a basis, and data that should be deleted is not (个人信息保护法 第四十七条第一款第三项)."""
LEASE_MS: Final = 120_000
"""Longer than any attempt can last: the exchange's own deadline, and a resolver that takes its time."""
MOST_AT_ONCE: Final = 2
"""Attempts at one address at the same time: a slow one must not take every thread."""
_STRETCH: Final = 500
_INCIDENTS: Final = 50
_LOOK_EVERY_MS: Final = 60_000
_THREADS: Final = 4
_POLL_S: Final = 0.5
_DAY_S: Final = 24 * 3600.0
_MINUTE_S: Final = 60
_ACTOR: Final = LogActor(Party(ActorType.SYSTEM, "webhooks"))
_log = logging.getLogger("governance.delivering")


class Delivering:
    """One worker's desk. Each method opens its own transactions; several threads may use it at once."""

    def __init__(
        self,
        database: Database,
        keeper: RuleKeeper,
        opening: Opening,
        egress: Egress,
        clock: Callable[[], int],
    ) -> None:
        self._database = database
        self._keeper = keeper
        self._opening = opening
        self._egress = egress
        self._clock = clock
        self._looked_at = 0

    def round(self) -> int:
        """Do everything that is due now; return how many attempts were made."""
        self.make_out()
        made = 0
        while self.deliver():
            made += 1
        self.look_for_silence()
        return made

    def make_out(self) -> None:
        """Make deliveries out of what was announced since the last time."""
        with self._database.reading() as tx:
            last = hookstore.last_position(tx)
            behind = hookstore.behind(tx, last)
        for webhook_id in behind:
            make_out = partial(self._make_out, webhook_id)
            while self._keeper.attempt(make_out):
                pass

    def _make_out(self, webhook_id: str) -> bool:
        with self._database.transaction() as tx:
            book = self._keeper.in_force(tx).rules.book
            fan = hookstore.hold_for_fanning(tx, webhook_id)
            stretch = [] if fan is None else announcing.after(tx, fan.fanned_to, _STRETCH)
            if fan is None or not stretch:
                return False
            audience = Audience(fan.owner_id, fan.roles, fan.wide)
            wanted = [one for one in stretch if one.kind in fan.kinds]
            told = announcing.known_to(tx, book, audience, wanted)
            hookstore.make_out(tx, webhook_id, told, stretch[-1].position, self._clock())
            tx.commit()
            return len(stretch) == _STRETCH

    def deliver(self) -> bool:
        """Attempt the one delivery that is due longest; False when none is due."""
        now = self._clock()
        if not self._database.look(hookstore.IS_DUE, {"now": now, "most_at_once": MOST_AT_ONCE}):
            return False
        with self._database.transaction() as tx:
            letter = hookstore.take(tx, secrets.token_hex(16), now, now + LEASE_MS, MOST_AT_ONCE)
            if letter is None:
                return False
            signing = self._signing(tx, letter)
            tx.commit()
        # Nothing is held while the other side takes its time. Dying here leaves a lease that runs out.
        one = letter.announcement
        if signing:
            body = announcing.body(one)
            headers = {
                "content-type": "application/json",
                "user-agent": "household-governance",
                **hooksigning.headers(one.event_id, now, body, signing),
            }
            result = self._egress.post(letter.url, body, headers)
        else:
            result = "no_secret"
        self._note(letter, result)
        return True

    def _signing(self, tx: Transaction, letter: Letter) -> list[str]:
        opened = []
        for number, cell in letter.secrets:
            owner = hookstore.secret_owner(letter.webhook_id, number)
            try:
                opened.append(self._opening.open_alone(tx, owner, ENTITY, cell))
            except DoesNotOpenError:
                _log.error("a webhook's secret does not open", extra={"webhook": letter.webhook_id})
        return opened

    def _note(self, letter: Letter, result: str) -> None:
        now = self._clock()
        chance = secrets.randbelow(1 << 20) / (1 << 20)
        with self._database.transaction() as tx:
            if retrying.acknowledged(result):
                hookstore.arrived(tx, letter, result, now)
            else:
                if retrying.troubles_address(result):
                    times = hookstore.trouble(tx, letter)
                    hookstore.pause(tx, letter, times, retrying.resume(times, now, chance))
                again_at = retrying.next_attempt(letter.attempt, now, chance)
                if retrying.gone(result):
                    close(tx, letter.webhook_id, DISABLED, now)
                    hookstore.failed(tx, letter, result, now, now)
                    ledger.append(tx, [self._entry(tx, "webhook.disabled", letter.webhook_id, now)])
                else:
                    hookstore.failed(tx, letter, result, now, again_at)
            tx.commit()

    def look_for_silence(self) -> int:
        """Open an incident for each withdrawal that was not acknowledged in time; return how many."""
        now = self._clock()
        if now < self._looked_at + _LOOK_EVERY_MS:
            return 0
        self._looked_at = now
        opened = 0
        while found := self._open_incidents(now):
            opened += found
        return opened

    def _open_incidents(self, now: int) -> int:
        with self._database.transaction() as tx:
            silent = hookstore.overdue(tx, URGENT, now - UNACKNOWLEDGED_MS, _INCIDENTS)
            entries = []
            for one in silent:
                incident = new_id(Prefix.INCIDENT)
                if hookstore.open_incident(tx, incident, one, now):
                    entries.append(self._unheard(tx, incident, one, now))
            if entries:
                ledger.append(tx, entries)
                tx.commit()
            return len(entries)

    def _unheard(self, tx: Transaction, incident: str, one: Overdue, now: int) -> Entry:
        # Who has been erased in the meantime has no name in the log any more, and gets no new one.
        names = ledger.names_of(tx, [one.subject_id])
        return Entry(
            t=now,
            kind=Kind.OUTCOME,
            act="withdrawal.unacknowledged",
            dec=Verdict.ERROR,
            actor=_ACTOR,
            subjects=tuple(names.values()),
            resource=one.webhook_id,
            policy=self._keeper.fingerprint(tx),
            corr=incident,
        )

    def _entry(self, tx: Transaction, act: str, webhook_id: str, now: int) -> Entry:
        return Entry(
            t=now,
            kind=Kind.ADMIN,
            act=act,
            dec=Verdict.PERMIT,
            actor=_ACTOR,
            resource=webhook_id,
            policy=self._keeper.fingerprint(tx),
        )


class Worker:
    """Threads that deliver until told to stop; ``daily`` and ``minutely`` work is done at once and again."""

    def __init__(
        self,
        delivering: Delivering,
        *,
        daily: Callable[[], object] = lambda: None,
        minutely: Callable[[], object] = lambda: None,
        threads: int = _THREADS,
        poll_s: float = _POLL_S,
    ) -> None:
        self._delivering = delivering
        self._poll_s = poll_s
        self._stopping = threading.Event()
        kept = [(daily, _DAY_S), (minutely, _MINUTE_S)]
        house: list[Callable[[], None]] = [partial(self._keep_house, *one) for one in kept]
        work: list[Callable[[], None]] = [self._keep_making_out, *house, *[self._keep_delivering] * threads]
        self._threads = [threading.Thread(target=one, name="webhooks") for one in work]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let attempts that are under way end, and return when they have."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _keep_making_out(self) -> None:
        while not self._stopping.is_set():
            self._quietly(self._delivering.make_out)
            self._quietly(self._delivering.look_for_silence)
            self._stopping.wait(self._poll_s)

    def _keep_house(self, work: Callable[[], object], every_s: float) -> None:
        while not self._stopping.is_set():
            self._quietly(work)
            self._stopping.wait(every_s)

    def _keep_delivering(self) -> None:
        while not self._stopping.is_set():
            if not self._quietly(self._delivering.deliver):
                self._stopping.wait(self._poll_s)

    def _quietly(self, work: Callable[[], object]) -> object:
        """Do it; a failure is told and tried again, it stops nothing."""
        try:
            return work()
        except Exception as error:  # noqa: BLE001 - a thread that dies of one bad row delivers nothing any more
            _log.error("the worker goes on without it", extra={"cause": type(error).__name__})
            return None
