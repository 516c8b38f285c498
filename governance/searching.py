"""Searches: who can see this field, what can this person see, for which purposes, with which actions.

Promises that a search has no judgement of its own: every candidate is put to the code that answers
evaluations (``Gate.foresee``, ``evaluating.judge``), so a result is exactly what would be allowed. A page
looks at a bounded number of candidates and goes on where it stopped; nothing is cut off in silence, and a
candidate whose facts cannot be read makes the search fail instead of shortening it. What was found is
recorded, for each person it is about, and committed before it is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import islice
from typing import NamedTuple

from audit import ledger
from audit.entry import Actor, Entry, FieldOutcome, Kind, Verdict
from governance import candidates, evaluating, testimony
from governance.asking import Ask, Unrecorded
from governance.authzen import (
    ACTORS,
    DEEDS,
    FIELD,
    PURPOSE,
    Entity,
    Place,
    Question,
    actor_of,
    ask,
    place_of,
    purpose_of,
)
from governance.candidates import MOST
from governance.gate import CANNOT_RECORD, names_of
from governance.identity import Caller
from governance.rulekeeping import Rules, RulesUnavailableError
from governance.wiring import Service
from policies.identifiers import Prefix, kind_of
from policies.reasons import Reason
from policies.terms import Action, Effect, FieldName, SubjectId, SubjectKind
from policies.transaction import Transaction


class Sought(StrEnum):
    """What is searched for; the question's part of that name is empty but for its type."""

    SUBJECT = "subject"
    RESOURCE = "resource"
    ACTION = "action"


class Page(NamedTuple):
    """How many results are wanted at most, and after which candidate to go on; empty at the start.

    ``rules`` is the fingerprint of the rules by which the pages before were made; empty at the start.
    """

    limit: int
    after: str = ""
    rules: str = ""


class Found(NamedTuple):
    """Results in order, the candidate after which to go on (empty at the end), and by which rules."""

    results: tuple[dict[str, object], ...]
    next: str
    rules: str


class OtherRulesError(Exception):
    """The rules have changed since the page before; going on would mix two answers."""


class IncompleteError(Exception):
    """A candidate could not be judged, so whatever were told would not be all."""


class _Candidate(NamedTuple):
    """One thing that may be a result: its key in the order, how it is told, and whether it is one."""

    key: str
    told: dict[str, object]
    allowed: bool
    about: SubjectId | None = None
    field: FieldName | None = None


class _Search(NamedTuple):
    """One page of one search, inside its transaction."""

    service: Service
    rules: Rules
    caller: Caller
    sought: Sought
    question: Question
    after: str
    request_id: str
    now: int

    def candidates(self, tx: Transaction) -> Iterator[_Candidate]:
        """Return every candidate after the place, in order, judged; one more chunk each time it is asked."""
        if not self.question.about_households:
            return self._further(tx)
        if self.sought is Sought.RESOURCE and self.question.resource.type == FIELD:
            return self._seen(tx)
        place = place_of(self.rules.book, self.question.resource, self.question.context)
        if isinstance(place, Reason):
            return iter(())
        match self.sought:
            case Sought.SUBJECT:
                return self._actors(tx, place)
            case Sought.RESOURCE:
                return self._purposes(tx, place)
            case Sought.ACTION:
                return self._deeds(tx, place)

    def _ask(self, actor: str, action: Action, place: Place, fields: tuple[FieldName, ...] = ()) -> Ask:
        acting = actor_of(Entity(_type_of(actor), actor))
        assert acting is not None
        return ask(
            self.caller,
            acting,
            action,
            place.subject,
            fields or (place.field,),
            place.purpose,
            self.request_id,
        )

    def _effects(self, tx: Transaction, asks: Sequence[Ask]) -> list[tuple[tuple[FieldName, Effect], ...]]:
        """Return each ask's effects, nothing where the two may not know of each other."""
        found = []
        for what in self.service.gate.foresee(tx, asks, self.now):
            decisions = what or ()
            if any(Reason.FACTS_UNAVAILABLE in one.reasons for one in decisions):
                raise IncompleteError
            found.append(tuple((one.field, one.effect) for one in decisions))
        return found

    def _actors(self, tx: Transaction, place: Place) -> Iterator[_Candidate]:
        kind, deed = self.question.subject.type, DEEDS.get(self.question.action)
        if kind not in ACTORS or deed is None:
            return
        for some in candidates.near(tx, kind, place.subject, self.after, self.now):
            effects = self._effects(tx, [self._ask(actor, deed.action, place) for actor in some])
            for actor, what in zip(some, effects, strict=True):
                allowed = any(effect in deed.enough for _, effect in what)
                told: dict[str, object] = {"type": kind, "id": actor}
                yield _Candidate(actor, told, allowed, place.subject, place.field)

    def _purposes(self, tx: Transaction, place: Place) -> Iterator[_Candidate]:
        actor, deed = actor_of(self.question.subject), DEEDS.get(self.question.action)
        if actor is None or deed is None:
            return
        purposes = [one for one in sorted(self.rules.book.purposes) if one > self.after]
        asks = [self._ask(actor, deed.action, place._replace(purpose=one)) for one in purposes]
        for purpose, what in zip(purposes, self._effects(tx, asks), strict=True):
            allowed = any(effect in deed.enough for _, effect in what)
            told: dict[str, object] = {"type": PURPOSE, "id": purpose, "properties": {"field": place.id}}
            yield _Candidate(purpose, told, allowed, place.subject, place.field)

    def _deeds(self, tx: Transaction, place: Place) -> Iterator[_Candidate]:
        actor = actor_of(self.question.subject)
        if actor is None:
            return
        asks = [self._ask(actor, action, place) for action in Action]
        effects = dict(zip(Action, self._effects(tx, asks), strict=True))
        for name in sorted(DEEDS):
            if name > self.after:
                allowed = any(effect in DEEDS[name].enough for _, effect in effects[DEEDS[name].action])
                yield _Candidate(name, {"name": name}, allowed, place.subject, place.field)

    def _seen(self, tx: Transaction) -> Iterator[_Candidate]:
        actor, deed = actor_of(self.question.subject), DEEDS.get(self.question.action)
        if actor is None or deed is None:
            return
        narrowed = self.question.resource.properties.get("subject")
        only = None if narrowed is None else str(narrowed)
        if only is not None and kind_of(only) not in (Prefix.MEMBER, Prefix.HOUSEHOLD):
            return
        purpose = purpose_of(self.rules.book, self.question.context.get("purpose"))
        subject, _, field = self.after.partition("/")
        for some in candidates.known_to(tx, actor, only, subject, self.now):
            whole = [(one, self._names(one, deed.action, field if one == subject else "")) for one in some]
            wanted = [(one, names) for one, names in whole if names]
            asks = [
                self._ask(actor, deed.action, Place(one, names[0], purpose), names) for one, names in wanted
            ]
            for (one, _), what in zip(wanted, self._effects(tx, asks), strict=True):
                for name, effect in what:
                    place = Place(one, name, purpose)
                    told: dict[str, object] = {"type": FIELD, "id": place.id}
                    yield _Candidate(place.id, told, effect in deed.enough, one, name)

    def _names(self, subject: SubjectId, action: Action, after: str) -> tuple[FieldName, ...]:
        """Return what can be asked about a subject with an action, in order, after a name."""
        household = kind_of(subject) is Prefix.HOUSEHOLD
        kind = SubjectKind.HOUSEHOLD if household else SubjectKind.MEMBER
        return tuple(
            name
            for name, entry in sorted(self.rules.book.fields.items())
            if name > after and entry.subject is kind and entry.admits(action)
        )

    def _further(self, tx: Transaction) -> Iterator[_Candidate]:
        for some in self._keys(tx):
            questions = [self._filled(key) for key in some]
            judged = evaluating.judge(tx, self.rules, questions)
            for key, what in zip(some, judged, strict=True):
                yield _Candidate(key, self._told(key), what.allowed)

    def _keys(self, tx: Transaction) -> Iterator[Sequence[str]]:
        declared = self.rules.book.resources
        match self.sought:
            case Sought.SUBJECT if self.question.subject.type in ACTORS:
                return candidates.of_kind(tx, self.question.subject.type, self.after)
            case Sought.SUBJECT:
                keys = [name for kind, name in declared.subjects if kind == self.question.subject.type]
            case Sought.RESOURCE:
                keys = [name for kind, name in declared.resources if kind == self.question.resource.type]
            case Sought.ACTION:
                known = declared.types.get(self.question.resource.type)
                keys = [] if known is None else list(known.verbs)
        return candidates.chunks(sorted(key for key in keys if key > self.after))

    def _filled(self, key: str) -> Question:
        if self.sought is Sought.ACTION:
            return self.question._replace(action=key)
        if self.sought is Sought.SUBJECT:
            return self.question._replace(subject=self.question.subject._replace(id=key))
        return self.question._replace(resource=self.question.resource._replace(id=key))

    def _told(self, key: str) -> dict[str, object]:
        if self.sought is Sought.ACTION:
            return {"name": key}
        part = self.question.subject if self.sought is Sought.SUBJECT else self.question.resource
        told: dict[str, object] = {"type": part.type, "id": key}
        # A result is allowed as it was asked for: with the properties that the caller stated for it.
        return told | ({"properties": dict(part.properties)} if part.properties else {})


def search(
    service: Service,
    caller: Caller,
    sought: Sought,
    question: Question,
    page: Page,
    request_id: str,
    now: int,
) -> Found | Unrecorded:
    """Find, record and then tell one page.

    Raises:
        IncompleteError: a candidate could not be judged; nothing is told then.
        OtherRulesError: the pages before were made by rules that are no longer in force.
    """

    def turn() -> Found:
        with service.database.transaction() as tx:
            rules = service.keeper.in_force(tx).rules
            if page.rules not in ("", rules.book.fingerprint):
                raise OtherRulesError
            one = _Search(service, rules, caller, sought, question, page.after, request_id, now)
            found, last = _turn(one.candidates(tx), page.limit)
            ledger.append(tx, _entries(one, tx, found))
            # A crash before the next line: no entry, nothing told. After it: an entry, and nobody was told.
            tx.commit()
        return Found(tuple(candidate.told for candidate in found), last, rules.book.fingerprint)

    try:
        return service.keeper.attempt(turn)
    except RulesUnavailableError:
        return Unrecorded(no_rules=True)
    except CANNOT_RECORD:
        return Unrecorded()


def _turn(judged: Iterator[_Candidate], limit: int) -> tuple[list[_Candidate], str]:
    """Return a page of results and where to go on, having looked at a bounded number of candidates.

    It looks past the last result for one more, so that a page that is the last one says so.
    """
    found: list[_Candidate] = []
    last = ""
    for candidate in islice(judged, MOST):
        if candidate.allowed and len(found) == limit:
            return found, found[-1].key
        if candidate.allowed:
            found.append(candidate)
        last = candidate.key
    return found, last if next(judged, None) is not None else ""


def _entries(one: _Search, tx: Transaction, found: Sequence[_Candidate]) -> list[Entry]:
    """Return an entry for each person the page is about, or one if it is about nobody by name."""
    about: dict[SubjectId | None, dict[FieldName, None]] = {}
    for candidate in found:
        fields = about.setdefault(candidate.about, {})
        if candidate.field is not None:
            fields[candidate.field] = None
    if not about:
        about = _asked_about(one)
    names = names_of(tx, {str(who) for who in about if who} | evaluating.people(one.caller, [_asker(one)]))
    asked = f"{_declared(one)} {evaluating.digest(one.service, one.question)}"
    purpose = one.question.context.get("purpose") if one.question.about_households else ""
    results = {who: sum(candidate.about == who for candidate in found) for who in about}
    return [
        Entry(
            t=one.now,
            kind=Kind.DECISION,
            act=_act(one),
            dec=Verdict.PERMIT,
            actor=Actor(
                testimony.party(one.caller.actor_id, names),
                on_behalf_of=evaluating.behalf(one.caller, _asker(one), names),
            ),
            subjects=() if who is None else (names[who],),
            resource=asked,
            fields=tuple(FieldOutcome(field, Effect.SHOW) for field in fields),
            purpose=purpose_of(one.rules.book, purpose),
            policy=one.rules.book.fingerprint,
            request=one.request_id,
            corr=one.request_id,
            n=results[who],
        )
        for who, fields in about.items()
    ]


def _asker(one: _Search) -> Entity:
    """Return for whom is asked: nobody but the caller, where it is subjects that are searched."""
    return Entity("", "") if one.sought is Sought.SUBJECT else one.question.subject


def _asked_about(one: _Search) -> dict[SubjectId | None, dict[FieldName, None]]:
    """Return whom a search without a result was about: its field's owner, or whom it was narrowed to."""
    if not one.question.about_households:
        return {None: {}}
    resource = one.question.resource
    named = resource.properties.get("subject") if resource.type == FIELD and not resource.id else None
    if isinstance(named, str) and kind_of(named) in (Prefix.MEMBER, Prefix.HOUSEHOLD):
        return {SubjectId(named): {}}
    place = place_of(one.rules.book, resource, {})
    return {None: {}} if isinstance(place, Reason) else {place.subject: {place.field: None}}


def _act(one: _Search) -> str:
    of_purposes = one.sought is Sought.RESOURCE and one.question.resource.type == PURPOSE
    return "search.purpose" if of_purposes else f"search.{one.sought.value}"


def _declared(one: _Search) -> str:
    kind = one.question.resource.type
    return kind if one.question.about_households or kind in one.rules.book.resources.types else "?"


def _type_of(actor: str) -> str:
    return next(name for name, prefix in ACTORS.items() if actor.startswith(prefix))
