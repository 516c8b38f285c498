"""Every question that can be put to a rule book, and which rows speak about it, as sets of bits.

Promises to name each combination of thing, action, relation and purpose that the service can be asked,
and none that it cannot: a role in a household comes with a tie of the household, a role in a portfolio
with some tie, and a household is nobody's self or ward (``governance.facts`` computes relations so). The
rows of one question are the AND of a few whole numbers, so that all of them are looked through at once.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple, TypeVar

from policies.entries import ANY, FieldEntry, Grant
from policies.grants import Vocabulary
from policies.resources import NO_PURPOSE, TypeEntry
from policies.terms import Action, Condition, FieldName, Purpose, Relation, Role, Scope, SubjectKind

Holder = tuple[Scope, Role]
"""A role and the kind of scope in which it is held."""

_Key = TypeVar("_Key", bound=Hashable)
_HELD_WITH: Final = {
    Scope.HOUSEHOLD: frozenset({Relation.SELF, Relation.WARD, Relation.CORESIDENT}),
    # The strongest tie is the relation: an agent may live with the member who is assigned to them.
    Scope.PORTFOLIO: frozenset(Relation) - {Relation.NONE},
    Scope.ORG: frozenset(Relation),
}
_TIES_OF_A_HOUSEHOLD: Final = frozenset({Relation.CORESIDENT, Relation.ASSIGNED, Relation.NONE})


class Question(NamedTuple):
    """What is asked, apart from who asks and what is known. ``thing`` is a field, a channel or type:x."""

    thing: str
    action: str
    relation: Relation
    purpose: Purpose


def goes_with(scope: str, relation: Relation) -> bool:
    """Say whether somebody with this relation can hold a role in this kind of scope."""
    return relation in _HELD_WITH[Scope(scope)]


def things(words: Vocabulary) -> dict[str, FieldEntry | TypeEntry]:
    """Return everything that can be asked about, by the name a question uses."""
    return {
        **{str(name): entry for name, entry in words.fields.items()},
        **{f"type:{name}": entry for name, entry in words.resources.types.items()},
    }


def holders(words: Vocabulary) -> tuple[Holder, ...]:
    """Return every role with every kind of scope in which it may be held."""
    return tuple((scope, role.id) for role in words.roles.values() for scope in Scope if scope in role.scopes)


def questions(words: Vocabulary) -> Iterator[Question]:
    """Yield every question that can be asked about a book's declared words."""
    for thing, entry in things(words).items():
        for action in actions_of(entry):
            for relation in relations_of(entry):
                for purpose in words.purposes if isinstance(entry, FieldEntry) else (NO_PURPOSE,):
                    yield Question(thing, action, relation, purpose)


def actions_of(entry: FieldEntry | TypeEntry) -> tuple[str, ...]:
    """Return what can be done with a thing."""
    if isinstance(entry, TypeEntry):
        return tuple(sorted(entry.verbs))
    return tuple(action.value for action in Action if entry.admits(action))


def relations_of(entry: FieldEntry | TypeEntry) -> tuple[Relation, ...]:
    """Return what somebody can be to the subject that a thing belongs to."""
    if isinstance(entry, TypeEntry):
        return (Relation.NONE,)
    if entry.subject is SubjectKind.HOUSEHOLD:
        return tuple(relation for relation in Relation if relation in _TIES_OF_A_HOUSEHOLD)
    return tuple(Relation)


def given(words: Vocabulary, thing: str, purpose: Purpose) -> tuple[tuple[str, bool], ...]:
    """Return the facts that the question itself settles: profiling by the purpose, no age of a household."""
    entry = words.fields.get(FieldName(thing))
    if entry is None or purpose not in words.purposes:
        return ()
    facts = [(str(Condition.PROFILED), words.purposes[purpose].profiled)]
    if entry.subject is SubjectKind.HOUSEHOLD:
        facts += [(str(Condition.UNDER_14), False), (str(Condition.UNDER_18), False)]
    return tuple(facts)


class Speakers:
    """The rows of one book by what they speak about. A row's place is its bit."""

    __slots__ = ("_about", "_purposes", "_relations", "anyone", "held")

    def __init__(self, words: Vocabulary, placed: Iterable[tuple[int, Grant]]) -> None:
        """Index rows; ``anyone`` are the rows for everybody, ``held`` those that a holder has."""
        objects: dict[tuple[str, str | None], int] = {}
        relations: dict[str, int] = {}
        purposes: dict[str, int] = {}
        roles: dict[tuple[str, str], int] = {}
        for place, grant in placed:
            bit = 1 << place
            _add(objects, (grant.object, grant.action), bit)
            _add(relations, grant.relation, bit)
            _add(purposes, grant.purpose, bit)
            _add(roles, (grant.scope, grant.role), bit)
        self._about = {
            (name, action): _any(objects, [(word, act) for word in entry.objects for act in (action, None)])
            for name, entry in things(words).items()
            for action in actions_of(entry)
        }
        anywhere = relations.get(ANY, 0)
        self._relations = {
            (name, relation): anywhere | relations.get(relation.value, 0)
            for name, entry in things(words).items()
            for relation in relations_of(entry)
        }
        self._purposes = {
            purpose: _any(purposes, [ANY, *_line(purpose)]) for purpose in (*words.purposes, NO_PURPOSE)
        }
        self.anyone = roles.get((ANY, ANY), 0)
        self.held = {
            (scope, role): _any(
                roles,
                [(where, one) for one in words.roles[role].closure for where in (scope.value, ANY)],
            )
            for scope, role in holders(words)
        }

    def of(self, question: Question) -> int:
        """Return the rows that speak about a question, whoever asks; 0 when the book cannot be asked it."""
        thing, action, relation, purpose = question
        return (
            self._about.get((thing, action), 0)
            & self._relations.get((thing, relation), 0)
            & self._purposes.get(purpose, 0)
        )


def _add(index: dict[_Key, int], key: _Key, bit: int) -> None:
    index[key] = index.get(key, 0) | bit


def _any(index: Mapping[_Key, int], keys: Iterable[_Key]) -> int:
    found = 0
    for key in keys:
        found |= index.get(key, 0)
    return found


def _line(purpose: str) -> Iterator[str]:
    """Yield a purpose and every group it lies in."""
    while purpose:
        yield purpose
        purpose = purpose.rpartition(".")[0]
