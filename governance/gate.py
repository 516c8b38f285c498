"""The gate's first walk: every read of household and member data, and every collection of it.

Promises, in this order and visibly: facts are read under the subjects' locks, a pure function decides,
the entry that says so is committed to the log, and only then is a sealed value opened. If the commit
fails there is no decision and nothing was opened. A batch that the database aborts is asked again one
by one, so that one bad ask never takes its neighbours down.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from audit import ledger
from audit.entry import PSEUDONYM_BYTES, Entry, EntryRefusedError
from audit.ledger import LogError
from audit.sequencing import Recorded
from governance import (
    approvalrecords,
    emergencies,
    facts,
    holds,
    metering,
    subjects,
    testimony,
)
from governance.asking import Answer, Ask, Broken, FieldAnswer, NotYours, Reply, Unrecorded, WriteAsk
from governance.database import Database, StoreError, UnreachableError
from governance.decision import decide_fields
from governance.grounds import Facts, FieldDecision
from governance.logbook import Logbook, NotAssuredError
from governance.metering import Meter
from governance.opening import DoesNotOpenError, Opening
from governance.rulekeeping import InForce, RuleKeeper, Rules, RulesUnavailableError, UnknownRulesError
from governance.subjects import Hold
from governance.vault import Found, Vault
from policies.book import RuleBook
from policies.entries import OPAQUE
from policies.identifiers import Prefix, new_id
from policies.plan import Plan
from policies.reasons import Reason
from policies.terms import Action, Assurance, Effect, EntityType, FieldName, Purpose, SubjectId
from policies.transaction import Transaction
from redaction.lookup import BlindIndex
from redaction.masking import mask

CANNOT_RECORD: Final = (StoreError, LogError, EntryRefusedError)
"""What can keep a decision out of the log; there is no decision then."""


class Gate:
    """All access to sealed values. One per process."""

    def __init__(
        self,
        database: Database,
        keeper: RuleKeeper,
        vault: Vault,
        opening: Opening,
        index: BlindIndex,
        book: Logbook,
    ) -> None:
        self._database = database
        self._keeper = keeper
        self._vault = vault
        self._opening = opening
        self._index = index
        self._book = book

    def read(self, asks: Sequence[Ask], now: int) -> list[Reply]:
        """Decide, record and then answer each ask, in order. A single ask is a batch of one."""
        try:
            return self._keeper.attempt(lambda: self._read(asks, now))
        except RulesUnavailableError:
            return [Unrecorded(no_rules=True)] * len(asks)

    def _read(self, asks: Sequence[Ask], now: int) -> list[Reply]:
        try:
            with self._database.transaction() as tx:
                force = self._keeper.in_force(tx)
                book = force.rules.book
                found = self._vault.find(tx, {ask.subject for ask in asks}, _fields_of(asks), Hold.DECIDE)
                known = self._facts(tx, book, asks, found, now, counted=any(map(metering.is_counted, asks)))
                names = names_of(tx, _people(asks))
                meter = Meter(tx, book, asks, names, now)
                known, decisions = _decide_in_turn(force.rules, asks, known, meter)
                emergencies.open_reviews(tx, self._opening, book, asks, decisions, meter.crossed, names, now)
                meter.save()
                entries = [
                    testimony.of_fields(ask, fact, decision, names, book.fingerprint)
                    for ask, fact, decision in zip(asks, known, decisions, strict=True)
                ]
                recorded = ledger.record(tx, entries + _rehearse(force, asks, known, decisions))
                # A crash before the next line: no entry, nothing shown. After it: an entry, nothing shown.
                tx.commit()
        except UnreachableError:
            # The database is away for all of them: asking again one by one would only wait as many times.
            return [Unrecorded()] * len(asks)
        except (UnknownRulesError, RulesUnavailableError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it was, it must not take the neighbours down
            if len(asks) > 1:
                return [reply for ask in asks for reply in self.read([ask], now)]
            return [Unrecorded() if isinstance(error, CANNOT_RECORD) else self._broken(asks[0], now)]
        assured = self._assured(book, decisions, recorded)
        return [
            Unrecorded() if one is None else self._reveal(book, ask, fact, decision, found, one)
            for ask, fact, decision, one in zip(asks, known, decisions, assured, strict=True)
        ]

    def _assured(
        self, book: RuleBook, decisions: Sequence[Sequence[FieldDecision]], recorded: Sequence[Recorded]
    ) -> list[Recorded | None]:
        """Wait where a category asks for more than a committed entry; None: in vain."""
        found: list[Recorded | None] = list(recorded[: len(decisions)])
        levels = [_assurance(book, decision) for decision in decisions]
        for level in (Assurance.INTEGRATED, Assurance.WITNESSED):
            waiting = [at for at, one in enumerate(levels) if one is level]
            try:
                sure: Sequence[Recorded | None] = self._book.assure(level, [recorded[at] for at in waiting])
            except NotAssuredError:
                sure = [None] * len(waiting)
            for at, one in zip(waiting, sure, strict=True):
                found[at] = one
        return found

    def await_gravest(self, index: int, entry_id: str) -> None:
        """Wait until an entry is as sure as the gravest category asks: what it tells of may be of any.

        Raises:
            NotAssuredError: it is not; nothing may be revealed.
        """
        levels = {field.record for field in self._keeper.latest.book.fields.values()}
        gravest = max(levels, key=list(Assurance).index, default=Assurance.COMMITTED)
        self._book.assure(gravest, [Recorded(entry_id, index)])

    def foresee(
        self, tx: Transaction, asks: Sequence[Ask], now: int
    ) -> list[tuple[FieldDecision, ...] | None]:
        """Return what ``read`` would decide for each ask now; None where the two may not know of each other.

        For searches: nothing is held and nothing recorded, so whoever tells of it records that first. Facts
        that cannot be read are told as such even then: what a search leaves out must be a denial.
        """
        rules = self._keeper.in_force(tx).rules
        found = self._vault.find(tx, {ask.subject for ask in asks}, _fields_of(asks), Hold.NONE)
        known = self._facts(tx, rules.book, asks, found, now)
        return [
            _decide(rules.book, rules.plan, ask, fact) if fact.known or not fact.usable else None
            for ask, fact in zip(asks, known, strict=True)
        ]

    def _facts(
        self,
        tx: Transaction,
        book: RuleBook,
        asks: Sequence[Ask],
        found: Found,
        now: int,
        *,
        counted: bool = False,
    ) -> list[Facts]:
        about = known_of(found, self._opening, book, now)
        return facts.collect(tx, book, _wanted(asks), about, now, hold_readers=counted)

    def _reveal(
        self,
        book: RuleBook,
        ask: Ask,
        fact: Facts,
        decisions: Sequence[FieldDecision],
        found: Found,
        recorded: Recorded,
    ) -> Reply:
        """Open what the committed decision allows, and nothing else."""
        if not fact.known:
            return NotYours()
        try:
            fields = tuple(
                FieldAnswer(
                    one.field,
                    one.effect,
                    one.reasons,
                    one.rules,
                    self._value(book, ask, one, found),
                    _form(book, one),
                    one.remedies,
                )
                for one in decisions
            )
        except DoesNotOpenError:
            return self._broken(ask, fact.now)
        untils = [one.valid_until for one in decisions if one.valid_until is not None]
        untils += _lapses(book, ask, decisions, found)
        duties = tuple(dict.fromkeys(duty for one in decisions for duty in one.duties))
        limited = any(Reason.BULK_LIMIT in one.reasons for one in decisions)
        retry_at = fact.allowance.retry_at if limited and fact.allowance is not None else None
        return Answer(
            ask.decision_id,
            recorded.entry_id,
            recorded.index,
            fields,
            duties,
            min(untils, default=None),
            retry_at,
        )

    def _value(self, book: RuleBook, ask: Ask, decision: FieldDecision, found: Found) -> str | None:
        if not ask.reveal or decision.effect not in (Effect.SHOW, Effect.MASK):
            return None
        text = self._opening.value(found, ask.subject, decision.field)
        return text if decision.effect is Effect.SHOW else mask(_form(book, decision), text)

    def bearer_of(self, mobile: str) -> SubjectId:
        """Return the member with this number, or a fresh id that nobody has.

        Whether the caller may learn it is then decided and recorded like any other ask, and an ask about
        nobody costs what one about somebody costs.
        """
        nobody = SubjectId(new_id(Prefix.MEMBER))
        # An index entry that no number has takes the place of what is no number at all.
        token = self._index.mobile(mobile) or os.urandom(PSEUDONYM_BYTES)
        return self._vault.bearer(self._database.look, "mobile", token) or nobody

    def _broken(self, ask: Ask, now: int) -> Reply:
        try:
            with self._database.transaction() as tx:
                names = names_of(tx, _people([ask]))
                ledger.append(tx, [testimony.of_failure(ask, names, now)])
                tx.commit()
        except CANNOT_RECORD:
            return Unrecorded()
        return Broken()

    def write(self, request: WriteAsk, now: int) -> Reply:
        """Store all values or none; what is stored was decided, sealed and recorded in one transaction."""
        try:
            return self._keeper.attempt(lambda: self._write(request, now))
        except RulesUnavailableError:
            return Unrecorded(no_rules=True)

    def _write(self, request: WriteAsk, now: int) -> Reply:
        ask = request.ask
        try:
            with self._database.transaction() as tx:
                found = self._vault.find(tx, {ask.subject}, ask.fields, Hold.CHANGE)
                force = self._keeper.in_force(tx)
                book = force.rules.book
                about = known_of(found, self._opening, book, now)
                known = facts.collect(tx, book, _wanted([ask]), about, now)[0]
                decisions = _decide(book, force.rules.plan, ask, known)
                granted = known.known and all(one.effect is Effect.SHOW for one in decisions)
                cells = self._store(tx, book, request, found, now) if granted else {}
                if granted:
                    approvalrecords.use_up(tx, ask.subject, (one.approval for one in decisions), now)
                names = names_of(tx, _people([ask]))
                entry = testimony.of_fields(ask, known, decisions, names, book.fingerprint, cells)
                receipt = ledger.append(tx, [entry, *_rehearse(force, [ask], [known], [decisions])])[0]
                tx.commit()  # values and entry together: both or neither
        except RulesUnavailableError:
            raise
        except CANNOT_RECORD:
            return Unrecorded()
        if not known.known:
            return NotYours()
        fields = tuple(FieldAnswer(one.field, one.effect, one.reasons, one.rules) for one in decisions)
        return Answer(ask.decision_id, receipt.entry_id, receipt.index, fields, (), None)

    def _store(
        self, tx: Transaction, book: RuleBook, request: WriteAsk, found: Found, now: int
    ) -> Mapping[FieldName, bytes]:
        subject = request.ask.subject
        cells = self._opening.seal(tx, book, found, subject, request.values, now)
        mobile = request.values.get(FieldName("mobile"))
        if mobile is not None:
            self._vault.put_token(tx, "mobile", self._index.mobile(mobile), subject)
        if holds.held(tx, [subject], now):
            self._vault.keep(tx, subject, cells, now)
        self._vault.put(tx, subject, cells, now)
        subjects.change(tx, [subject])
        return {field: one.sealed.cell for field, one in cells.items()}


def _form(book: RuleBook, decision: FieldDecision) -> EntityType | None:
    entry = book.fields.get(decision.field)
    return None if entry is None or entry.mask == OPAQUE else entry.mask


def _assurance(book: RuleBook, decisions: Iterable[FieldDecision]) -> Assurance:
    """Return how sure the entry must be: what the gravest of the fields asks of which anything is told."""
    told = [book.fields[one.field].record for one in decisions if one.effect is not Effect.HIDE]
    return max(told, key=list(Assurance).index, default=Assurance.COMMITTED)


def _lapses(book: RuleBook, ask: Ask, decisions: Iterable[FieldDecision], found: Found) -> Iterable[int]:
    """Return when the values that this answer shows or admits will be as absent for its purpose."""
    for one in decisions:
        cell = found.cells.get((ask.subject, one.field))
        if cell is not None and one.effect is not Effect.HIDE:
            end = book.retention.ends_at(one.field, ask.purpose, cell.written_at)
            if end is not None:
                yield end


def _decide_in_turn(
    rules: Rules, asks: Sequence[Ask], known: Sequence[Facts], meter: Meter
) -> tuple[list[Facts], list[tuple[FieldDecision, ...]]]:
    """Decide ask after ask, each with what its reader has seen by then."""
    measured: list[Facts] = []
    decided: list[tuple[FieldDecision, ...]] = []
    for ask, collected in zip(asks, known, strict=True):
        fact = meter.measured(ask, collected)
        decisions = _decide(rules.book, rules.plan, ask, fact)
        meter.note(ask, fact, decisions)
        measured.append(fact)
        decided.append(decisions)
    return measured, decided


def _decide(book: RuleBook, plan: Plan, ask: Ask, fact: Facts) -> tuple[FieldDecision, ...]:
    if ask.action is Action.READ and not ask.reveal:
        fact = fact._replace(present=None)  # whoever holds the data knows which fields are filled
    if ask.emergency:
        fact = fact._replace(emergency=True)
    return decide_fields(book, plan, ask.action, ask.fields, ask.purpose, fact)


def _rehearse(
    force: InForce,
    asks: Sequence[Ask],
    known: Sequence[Facts],
    decisions: Sequence[Sequence[FieldDecision]],
) -> list[Entry]:
    """Return an entry for each decision that rehearsed rules would have made differently."""
    entries = []
    for book, plan in force.rehearsals:
        for ask, fact, decided in zip(asks, known, decisions, strict=True):
            other = _decide(book, plan, ask, fact)
            changed = [one for one, was in zip(other, decided, strict=True) if one.effect is not was.effect]
            if changed:
                entries.append(testimony.of_rehearsal(ask, fact, changed, book.fingerprint))
    return entries


def known_of(found: Found, opening: Opening, book: RuleBook, now: int) -> facts.Known:
    """Return what was found of the subjects in the form the facts are collected from."""

    def present(subject: SubjectId, purpose: Purpose) -> frozenset[FieldName]:
        return frozenset(
            field
            for (owner, field), cell in found.cells.items()
            if owner == subject and not book.retention.lapsed(field, purpose, cell.written_at, now)
        )

    return facts.Known(
        found.subjects,
        present,
        lambda subject: opening.birth(found, subject),
        lambda subject: opening.gender(found, subject),
    )


def names_of(tx: Transaction, people: Collection[str]) -> Mapping[str, bytes]:
    """Return each one's name in the log; who does not exist gets a throwaway name.

    Without it, an ask about nobody would write fewer rows than an ask about somebody, and the difference
    could be measured from outside.
    """
    names = ledger.names_of(tx, sorted(people))
    return {one: names.get(one) or os.urandom(PSEUDONYM_BYTES) for one in people}


def _fields_of(asks: Iterable[Ask]) -> set[FieldName]:
    return {field for ask in asks if ask.reveal for field in ask.fields}


def _wanted(asks: Iterable[Ask]) -> list[facts.Wanted]:
    return [facts.Wanted(ask.subject, ask.acting, ask.purpose, ask.fields, ask.action) for ask in asks]


def _people(asks: Iterable[Ask]) -> set[str]:
    """Return everybody whom an entry of this batch may name by pseudonym."""
    return {one for ask in asks for one in (ask.subject, ask.acting, ask.caller.actor_id)}
