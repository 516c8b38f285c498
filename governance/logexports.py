"""Exports of the log: one officer alone up to a limit, a second one above it, and every step in the log.

Promises that an export is taken from one signed head, fixed when it was asked for; that asking, approving,
refusing and fetching each commit an entry naming how many entries and whom they are about (the first hundred)
before anything is revealed; that nobody approves what they asked for; and that only the officer who asked
fetches it, within its days. What one officer takes alone is added up over a day, so that many small exports
are one large one (S23).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from audit import bundle, ledger
from audit.bundle import Order, Progress
from audit.entry import Actor, ActorType, Entry, Kind, Party, Verdict
from audit.ocsf import ocsf_line
from governance import replay
from governance.checkpoints import Checkpoints
from governance.database import Database
from governance.exportfilter import filter_of, unnamed
from governance.exportrecords import (
    ADD,
    ALONE,
    DECIDE,
    LOCK,
    LOCK_OFFICER,
    NEWEST,
    ONE,
    OPEN,
    Asked,
    ExportState,
    asked_of,
)
from governance.identity import Caller
from governance.logsource import LogSource, Run, Survey, accepting, decoded
from governance.replay import Once
from governance.rulekeeping import RuleKeeper
from governance.times import rfc3339
from governance.witnessing import Joined
from policies.identifiers import Prefix, new_id
from policies.transaction import Transaction

_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS
OPERATOR: Final = Actor(Party(ActorType.SYSTEM, "operator"))


class NoSuchExportError(Exception):
    """There is no such export."""


class ExportClosedError(Exception):
    """It waits for nobody, or it may not be fetched (any more)."""


class SamePersonError(Exception):
    """Somebody would approve or fetch what is not theirs to."""


class Wish(NamedTuple):
    """What an officer wants to export; an empty query takes every entry of the run."""

    run: Run
    query: str = ""


class Chosen(NamedTuple):
    """What a wish comes to, at one signed head."""

    size: int
    first: int
    end: int
    query: str
    survey: Survey


class LogExports:
    """The desk for exports of the log. Stateless."""

    def __init__(
        self,
        database: Database,
        keeper: RuleKeeper,
        checkpoints: Checkpoints,
        settle: Callable[[], None],
        joined: Joined,
    ) -> None:
        self._database = database
        self._settle = settle
        self._keeper = keeper
        self._source = LogSource(database, checkpoints, joined)

    def ask(self, caller: Caller, wish: Wish, request_id: str, now: int, once: Once | None) -> Asked:
        """Ask for an export; it is ready at once, or waits for a second officer where it is large.

        Raises:
            UnfitRunError: there are no such entries.
            UnfitQueryError: the query is none.
            KeyReusedError: the idempotency key was used for something else.
            LogError: the log is not in the state it must be in; nothing is exported from it.
        """
        with self._database.reading() as tx:
            earlier = replay.earlier(tx, caller.actor_id, once, now)
        if earlier is not None:
            return self.one(earlier, now)
        chosen = self._chosen(wish, now)
        return self._keeper.attempt(lambda: self._ask(caller, chosen, request_id, now, once))

    def _chosen(self, wish: Wish, now: int) -> Chosen:
        with self._database.reading() as tx:
            query = unnamed(tx, wish.query)
        self._settle()
        head = self._source.head(now)
        first, end = self._source.span(wish.run, head.size)
        return Chosen(head.size, first, end, query, self._source.survey(first, end, filter_of(query)))

    def _ask(self, caller: Caller, chosen: Chosen, request_id: str, now: int, once: Once | None) -> Asked:
        with self._database.transaction() as tx:
            limits = self._keeper.in_force(tx).rules.book.limits
            tx.rows(LOCK_OFFICER, {"officer": caller.actor_id})
            twin = replay.earlier(tx, caller.actor_id, once, now)
            if twin is not None:
                return _one(tx, twin, now)
            ((alone,),) = tx.rows(ALONE, {"officer": caller.actor_id, "since": now - _DAY_MS})
            small = int(alone) + chosen.survey.entries <= limits.export_entries_alone
            open_ms = limits.export_days * _DAY_MS if small else limits.export_approval_hours * _HOUR_MS
            asked = Asked(
                new_id(Prefix.EXPORT),
                caller.actor_id,
                now,
                chosen.size,
                chosen.first,
                chosen.end,
                chosen.query,
                chosen.survey.entries,
                ExportState.READY if small else ExportState.PENDING,
                now + open_ms,
                None,
                None,
            )
            tx.run(ADD, _row(asked))
            replay.remember(tx, caller.actor_id, once, asked.id, now)
            self._note(tx, "export.asked", caller, asked, chosen.survey.subjects, request_id, now)
            tx.commit()
        return asked

    def newest(self, now: int) -> list[Asked]:
        """Return the newest exports, whoever asked for them."""
        with self._database.reading() as tx:
            return [asked_of(row, now) for row in tx.rows(NEWEST)]

    def one(self, export: str, now: int) -> Asked:
        """Return one export.

        Raises:
            NoSuchExportError: there is none.
        """
        with self._database.reading() as tx:
            return _one(tx, export, now)

    def decide(self, caller: Caller, export: str, *, approve: bool, request_id: str, now: int) -> Asked:
        """Let another officer's export go out, or refuse it.

        Raises:
            NoSuchExportError: there is none.
            SamePersonError: it is the caller's own.
            ExportClosedError: it waits for nobody.
        """
        return self._keeper.attempt(lambda: self._decide(caller, export, approve, request_id, now))

    def _decide(self, caller: Caller, export: str, approve: bool, request_id: str, now: int) -> Asked:
        with self._database.transaction() as tx:
            limits = self._keeper.in_force(tx).rules.book.limits
            asked = _one(tx, export, now, lock=True)
            if asked.asked_by == caller.actor_id:
                raise SamePersonError
            if asked.state is not ExportState.PENDING:
                raise ExportClosedError
            become = ExportState.APPROVED if approve else ExportState.REFUSED
            until = now + limits.export_days * _DAY_MS if approve else asked.expires_at
            change = {"export": export, "become": become.value, "decider": caller.actor_id}
            tx.run(DECIDE, {**change, "since": now, "till": until})
            act = "export.approved" if approve else "export.refused"
            dec = Verdict.PERMIT if approve else Verdict.DENY
            self._note(tx, act, caller, asked, _subjects(tx, asked), request_id, now, dec)
            done = _one(tx, export, now)
            tx.commit()
        return done

    def fetch(self, caller: Caller, export: str, request_id: str, now: int) -> tuple[Asked, Iterator[bytes]]:
        """Return an export's bundle in pieces; that it was fetched is on record before the first of them.

        Raises:
            NoSuchExportError: there is none.
            SamePersonError: another officer asked for it.
            ExportClosedError: it waits, was refused, or its days are over.
        """
        with self._database.transaction() as tx:
            asked = _one(tx, export, now)
            if asked.asked_by != caller.actor_id:
                raise SamePersonError
            if asked.state not in OPEN:
                raise ExportClosedError
            self._note(tx, "export.downloaded", caller, asked, _subjects(tx, asked), request_id, now)
            tx.commit()
        chosen = Chosen(asked.size, asked.first, asked.end, asked.query, Survey(asked.entries, ()))
        return asked, self._bundle(chosen, "", asked.asked_at, lambda _done, _of: None)

    def by_operator(
        self, wish: Wish, now: int, progress: Progress, policy: str = "", *, ocsf: bool = False
    ) -> tuple[Chosen, Iterator[bytes]]:
        """Return an export for the operator at the command line, recorded like an officer's before it starts.

        With ``ocsf``, events as JSON lines for a collector in place of a bundle.
        """
        chosen = self._chosen(wish, now)
        with self._database.transaction() as tx:
            entry = Entry(
                t=now,
                kind=Kind.AUDIT,
                act="log.exported",
                dec=Verdict.PERMIT,
                actor=OPERATOR,
                subjects=chosen.survey.subjects,
                purpose="audit.review",
                policy=self._keeper.fingerprint(tx),
                n=chosen.survey.entries,
            )
            ledger.append(tx, [entry])
            tx.commit()
        events = self._events(chosen, progress) if ocsf else self._bundle(chosen, policy, now, progress)
        return chosen, events

    def _bundle(self, chosen: Chosen, policy: str, made_at: int, progress: Progress) -> Iterator[bytes]:
        taken = filter_of(chosen.query)
        accept = None if taken is None else accepting(taken)
        order = Order(chosen.first, chosen.end, rfc3339(made_at), accept, chosen.query, policy)
        return bundle.pieces(self._source.source(chosen.size), order, progress)

    def _events(self, chosen: Chosen, progress: Progress) -> Iterator[bytes]:
        taken, of = filter_of(chosen.query), chosen.end - chosen.first
        for index, leaf in self._source.source(chosen.size).leaves(chosen.first, chosen.end):
            entry = decoded(index, leaf)
            if taken is None or taken(index, entry):
                yield ocsf_line(index, entry).encode()
            progress(index - chosen.first + 1, of)

    def _note(
        self,
        tx: Transaction,
        act: str,
        caller: Caller,
        asked: Asked,
        subjects: tuple[bytes, ...],
        request_id: str,
        now: int,
        dec: Verdict = Verdict.PERMIT,
    ) -> None:
        entry = Entry(
            t=now,
            kind=Kind.AUDIT,
            act=act,
            dec=dec,
            actor=Actor(Party(ActorType.STAFF, caller.actor_id), tuple(sorted(caller.roles))),
            subjects=subjects,
            resource=asked.id,
            purpose="audit.review",
            policy=self._keeper.fingerprint(tx),
            request=request_id,
            corr=asked.id,
            n=asked.entries,
        )
        ledger.append(tx, [entry])


def _one(tx: Transaction, export: str, now: int, *, lock: bool = False) -> Asked:
    for row in tx.rows(LOCK if lock else ONE, {"export": export}):
        return asked_of(row, now)
    raise NoSuchExportError


def _subjects(tx: Transaction, asked: Asked) -> tuple[bytes, ...]:
    """Return whom an export is about, as the entry of its asking says: no table of ours holds them."""
    return next((entry.subjects for _, entry in ledger.entries_of(tx, asked.id)), ())


def _row(asked: Asked) -> dict[str, object]:
    return {
        "id": asked.id,
        "asked_by": asked.asked_by,
        "asked_at": asked.asked_at,
        "size": asked.size,
        "first": asked.first,
        "stop": asked.end,
        "query": asked.query,
        "entries": asked.entries,
        "state": asked.state.value,
        "expires_at": asked.expires_at,
        "decided_by": None,
        "decided_at": None,
    }
