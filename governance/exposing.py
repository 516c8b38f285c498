"""The incident dossier: whose which fields an actor, a key's holder or anybody in a span of time could see.

Decoded from leaves, each compared with the tree; the search copies only narrow, unless every leaf is asked
for. The dossier is a reading of the log: before a line of it is shown, an entry stands that names who was
looked into, and everybody concerned finds it in their own view (a hundred people an entry, one ``corr``).
People who were erased are counted together, unnamed. The register of keys does not say which key made which
entry: a key stands for everything its service did while the key was good, and a minute longer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import bindparam, select

from audit import exposure, leafscan, ledger
from audit.entry import MAX_SUBJECTS, Actor, Entry, Kind, Verdict
from audit.exposure import NEVER, Exposure, Figures, Wanted
from audit.leafscan import Damage
from audit.records import SubjectPseudonym
from governance.acting import OPERATOR
from governance.records import Actor as ActorRow
from governance.records import ApiKey
from governance.wiring import Service
from policies.identifiers import Prefix, kind_of, new_id
from policies.transaction import Transaction

MARGIN_MS: Final = 60_000
"""What a key's holder asked in its last moment may be recorded a little later."""
SHORTEST_KEY: Final = 8
_CHUNK: Final = 500
_HEX: Final = 32

_key, _name, _actor = ApiKey.__table__.c, SubjectPseudonym.__table__.c, ActorRow.__table__.c
_KEYS: Final = select(_key.key_hash, _key.actor_id, _key.created_at, _key.expires_at, _key.revoked_at)
_BEHIND: Final = select(_name.pseudonym, _name.subject_id).where(
    _name.pseudonym.in_(bindparam("names", expanding=True))
)
_LABELS: Final = select(_actor.id, _actor.label).where(_actor.id.in_(bindparam("actors", expanding=True)))


class UnknownActorError(Exception):
    """There is no such actor, or the log does not know it any more."""


class KeyNotFoundError(Exception):
    """No key, or more than one, has this fingerprint."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is looked into: an actor's id, a key's fingerprint, a span of time, or a span with one of them."""

    actor: str = ""
    key: str = ""
    since: int = 0
    until: int = NEVER
    thorough: bool = False
    check_copies: bool = False


@dataclass(frozen=True, slots=True)
class Basis:
    """What the figures rest on. ``copies``: ``not used``, ``unchecked``, ``clean`` or ``differ``."""

    size: int
    copies: str
    damaged: int
    first_damaged: int | None
    unreadable: int

    @property
    def sound(self) -> bool:
        """Whether nothing is known that speaks against the figures."""
        return not self.damaged and not self.unreadable and self.copies != "differ"


@dataclass(frozen=True, slots=True)
class Dossier:
    """The figures, under ids of people; ``names`` are the labels of services and staff."""

    question: Question
    wanted: Wanted
    figures: Figures
    names: Mapping[str, str]
    people: int
    erased: int
    entries: int
    blocked: int
    failed: int
    basis: Basis
    receipt: int


def dossier(service: Service, question: Question) -> Dossier:
    """Put the dossier together; that it was made is on record before it is returned.

    Raises:
        UnknownActorError: there is no such actor in the log.
        KeyNotFoundError: the fingerprint does not lead to one key.
        LogError: there is no log.
    """
    reader = service.database.reading
    service.log.settle()
    with reader() as tx:
        wanted = _wanted(tx, question, service.clock())
        size = ledger.head(tx).size
    damage, found = Damage(), Exposure(wanted)
    if question.thorough:
        leaves = leafscan.everything(reader, size, damage)
    else:
        leaves = leafscan.narrowed(reader, wanted.actor, wanted.since, wanted.until, size)
    found.take(leafscan.sound(reader, leaves, damage))
    basis = Basis(size, _copies(service, question), damage.count, damage.first, found.unreadable)
    concerned = found.subjects()
    with service.database.transaction() as tx:
        behind = _people(tx, concerned)
        policy = service.keeper.fingerprint(tx)
        entries = list(_entries(question, wanted, sorted(behind), len(concerned), policy, service.clock()))
        receipt = ledger.append(tx, entries)[0].index
        tx.commit()
    figures = found.figures(lambda name: behind.get(name, ""))
    with reader() as tx:
        names = _labels(tx, figures)
    return Dossier(
        question,
        wanted,
        figures,
        names,
        len(behind),
        len(concerned) - len(behind),
        found.entries,
        found.blocked,
        found.failed,
        basis,
        receipt,
    )


def _wanted(tx: Transaction, question: Question, now: int) -> Wanted:
    if question.key:
        actor, since, end = _key_of(tx, question.key, now)
        return Wanted(actor, max(since, question.since), min(end + MARGIN_MS + 1, question.until))
    actor = question.actor
    if actor.startswith(Prefix.MEMBER):
        names = ledger.names_of(tx, [actor])
        if actor not in names:
            raise UnknownActorError
        actor = names[actor].hex()
    elif actor.startswith((Prefix.SERVICE, Prefix.STAFF)) and not tx.rows(_LABELS, {"actors": [actor]}):
        raise UnknownActorError
    return Wanted(actor, question.since, question.until)


def _key_of(tx: Transaction, fingerprint: str, now: int) -> tuple[str, int, int]:
    """Return whose a key is and from when to when it was good."""
    found = [row for row in tx.rows(_KEYS) if bytes(row[0]).hex().startswith(fingerprint)]
    if len(fingerprint) < SHORTEST_KEY or len(found) != 1:
        raise KeyNotFoundError
    _, actor, created, expires, revoked = found[0]
    return actor, created, min(end for end in (expires, revoked, now) if end is not None)


def _copies(service: Service, question: Question) -> str:
    if question.thorough:
        return "not used"
    if not question.check_copies:
        return "unchecked"
    return "differ" if service.log.checkpoints.altered_copies() else "clean"


def _people(tx: Transaction, pseudonyms: Iterable[str]) -> dict[str, str]:
    """Return the ids behind pseudonyms in hex, of those whom the log still knows."""
    found: dict[str, str] = {}
    for some in _parts(sorted(pseudonyms), _CHUNK):
        rows = tx.rows(_BEHIND, {"names": [bytes.fromhex(one) for one in some]})
        found |= {bytes(name).hex(): id_ for name, id_ in rows}
    return found


def _entries(
    question: Question, wanted: Wanted, people: Sequence[str], total: int, policy: str, now: int
) -> Iterator[Entry]:
    story = new_id(Prefix.INCIDENT)
    # A key's fingerprint and an actor's id may stand in the log; a member looked into is a pseudonym there.
    looked_into = f"key:{question.key}" if question.key else wanted.actor or "anybody"
    for some in _parts(people, MAX_SUBJECTS) or [[]]:
        yield Entry(
            t=now,
            kind=Kind.AUDIT,
            act="audit.exposure",
            dec=Verdict.PERMIT,
            actor=Actor(OPERATOR),
            subjects=tuple(bytes.fromhex(one) for one in some),
            resource=looked_into,
            purpose="audit.review",
            policy=policy,
            corr=story,
            n=total,
        )


def _labels(tx: Transaction, figures: Figures) -> dict[str, str]:
    """Return how services, staff and (by id, where still known) members that acted are called."""
    tables: tuple[Iterable[exposure.FieldSeen | exposure.Told | exposure.Done], ...] = (*figures,)
    through = {key.through for table in tables for key in table}
    actors = {one for each in through for one in (each.by, each.behalf) if one}
    names: dict[str, str] = {}
    for some in _parts(sorted(one for one in actors if kind_of(one) is not None), _CHUNK):
        names |= {id_: label for id_, label in tx.rows(_LABELS, {"actors": some}) if label}
    members = {one for one in actors if len(one) == _HEX and kind_of(one) is None}
    return names | _people(tx, members)


def _parts(many: Iterable[str], most: int) -> list[list[str]]:
    whole = list(many)
    return [whole[at : at + most] for at in range(0, len(whole), most)]
