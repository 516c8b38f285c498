"""The Casbin side: the model and the book's rows in a stock Casbin enforcer, as the reference meaning.

Promises that ``policies.plan`` can be held against Casbin itself: the same model text, Casbin's own
parser, matcher and effect, our rows loaded one by one. It serves tests, start-up checks and
explanations, never a walk: an enforcer takes milliseconds and must not be shared between threads. It
loads only; nothing is ever saved through it. Roles come from a frozen table (subject, scope) → closed
roles, so that asking about strangers leaves nothing behind and building never scans.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Self

import casbin
from casbin.persist import Adapter
from casbin.rbac import RoleManager

from policies.book import RuleBook
from policies.entries import ANY, Grant
from policies.grants import ACTS, COLUMNS
from policies.terms import Action, FieldName, Level, Purpose, Relation, Role, Scope

_RANK: Final = {act: int(level) for act, (_, level) in ACTS.items()}
_ALL: Final = int(Level.FULL)
"""The rank of a further resource's verb, which knows only all or nothing."""
_READS: Final = (Level.FULL, Level.MASKED, Level.EXISTS)


class ModelError(Exception):
    """Casbin's parser sees another model than the book was written for."""


class _Roles(NamedTuple):
    """What somebody holds in one scope: as it was given, and with all that is inherited."""

    given: frozenset[tuple[Scope, Role]]
    closed: frozenset[Role]


_NO_ROLES: Final = _Roles(frozenset(), frozenset())


class HeldRoles(RoleManager):  # type: ignore[misc]  # Casbin has no types
    """Who holds which role in which scope, inheritance included. Immutable after construction.

    Nothing in the service keeps such a table: who holds which role is read in the transaction that
    decides. It is for whoever asks Casbin, and for a program that keeps a population in memory: people
    with the same roles share one set, so that an assignment costs little more than the two names it is
    found by, and asking about strangers costs nothing. Casbin's own domain manager scans all roles for
    each new one and keeps a role object for every stranger that is asked about.
    """

    def __init__(self, book: RuleBook, held: Mapping[tuple[str, str], Iterable[Role]]) -> None:
        """Close each (subject, scope name) → roles under inheritance.

        A scope name is ``household:…``, ``portfolio:…`` or ``org``. A role that is unknown, or is never
        held in that kind of scope, is not held.
        """
        names: dict[str, str] = {}
        sets: dict[tuple[str, frozenset[Role]], _Roles] = {}
        table: dict[tuple[str, str], _Roles] = {}
        for (subject, scope), roles in held.items():
            key = (scope.partition(":")[0], frozenset(roles))
            if (found := sets.get(key)) is None:
                found = sets[key] = _closed(book, *key)
            table[names.setdefault(subject, subject), names.setdefault(scope, scope)] = found
        self._held: Mapping[tuple[str, str], _Roles] = MappingProxyType(table)

    def given(self, subject: str, *scopes: str) -> frozenset[tuple[Scope, Role]]:
        """Return the roles held in these scopes without inherited ones: what a plan is asked with."""
        found: frozenset[tuple[Scope, Role]] = frozenset()
        for scope in scopes:
            if roles := self._held.get((subject, scope), _NO_ROLES).given:
                found = found | roles if found else roles
        return found

    def has_link(self, name1: str, name2: str, *domain: str) -> bool:
        """Say whether a subject holds a role in a scope."""
        return name2 in self._held.get((name1, *domain), _NO_ROLES).closed  # type: ignore[arg-type]  # one scope is given

    def get_roles(self, name: str, *domain: str) -> list[Role]:
        """Return the roles a subject holds in a scope."""
        return sorted(self._held.get((name, *domain), _NO_ROLES).closed)  # type: ignore[arg-type]  # as above

    def clear(self) -> None:
        """Do nothing: Casbin clears managers while it loads, and a half-built table is fail-open."""

    def print_roles(self) -> None:
        """Do nothing: who holds which role does not belong in a log."""

    def __len__(self) -> int:
        return len(self._held)

    def __deepcopy__(self, memo: object) -> Self:
        return self  # Casbin copies a model deeply, its role managers included, for each load


def _closed(book: RuleBook, kind: str, roles: frozenset[Role]) -> _Roles:
    declared = [book.roles[role] for role in roles if role in book.roles and kind in book.roles[role].scopes]
    return _Roles(
        frozenset((Scope(kind), entry.id) for entry in declared),
        frozenset().union(*(entry.closure for entry in declared)),
    )


class BookAdapter(Adapter):  # type: ignore[misc]  # Casbin has no types
    """Loads a book's grants and object words into a Casbin model."""

    def __init__(self, book: RuleBook) -> None:
        self._book = book

    def load_policy(self, model: Any) -> None:
        """Append each row as it was written; Casbin checks nothing, the book already has."""
        model["p"]["p"].policy.extend(row_of(grant) for grant in self._book.grants.values())
        for field in self._book.fields.values():
            model["g"]["g2"].policy.extend(
                [field.name, word] for word in field.objects if word not in (field.name, ANY)
            )


def row_of(grant: Grant) -> list[str]:
    """Return a grant's cells as grants.csv writes them, without the leading ``p``."""
    act = next((act for act, meaning in ACTS.items() if _same_act(grant, meaning)), grant.action or ANY)
    return [
        grant.role,
        grant.scope,
        grant.object,
        act,
        grant.relation,
        grant.purpose,
        "&".join(sorted(grant.conditions)) or "-",
        "allow" if grant.allows else "deny",
        ";".join(grant.duties) or "-",
        grant.id,
        ";".join(grant.sources),
    ]


def reference(book: RuleBook, held: Mapping[tuple[str, str], Iterable[Role]]) -> casbin.Enforcer:
    """Return a stock Casbin enforcer over the book and a table of held roles.

    Raises:
        ModelError: Casbin's parser sees other columns in the model than the book has.
    """
    model = casbin.Model()
    model.load_model_from_text(book.model)
    columns = tuple(token.removeprefix("p_") for token in model["p"]["p"].tokens)
    if columns != COLUMNS[1:]:
        raise ModelError(f"the model defines the columns {columns}, the book has {COLUMNS[1:]}")
    enforcer = casbin.Enforcer(model)
    enforcer.add_function("lvl", _reaches)
    enforcer.add_function("within", _within)
    enforcer.add_function("cond", _holds)
    enforcer.set_adapter(BookAdapter(book))
    enforcer.set_named_role_manager("g", HeldRoles(book, held))
    enforcer.load_policy()
    return enforcer


def reference_level(
    enforcer: casbin.Enforcer,
    *,
    subject: str,
    scopes: tuple[str, str],
    field: FieldName,
    action: str,
    relation: Relation,
    purpose: Purpose,
    facts: Mapping[Any, bool],
) -> Level:
    """Ask Casbin level by level, from full down, and return the first that it allows.

    ``scopes`` are the household's and the portfolio's scope names of the person asked about.
    """
    acts = {level: f"read.{level.name.lower()}" for level in _READS}
    questions = acts if action is Action.READ else {Level.FULL: str(action)}
    for level, act in questions.items():
        asked = (subject, *scopes, field, act, relation.value, purpose, facts)
        if enforcer.enforce(*asked):
            return level
    return Level.HIDDEN


def _same_act(grant: Grant, meaning: tuple[Action, Level]) -> bool:
    action, level = meaning
    return (
        grant.action == action
        and not grant.object.startswith("type:")
        and (action is not Action.READ or grant.level is level)
    )


def _reaches(asked: str, written: str, effect: str) -> bool:
    """Allow rows reach down, deny rows reach up; ``*`` speaks about every act."""
    if written == ANY:
        return True
    if asked.partition(".")[0] != written.partition(".")[0]:
        return False
    asks, says = _RANK.get(asked, _ALL), _RANK.get(written, _ALL)
    return asks <= says if effect == "allow" else asks >= says


def _within(purpose: str, written: str) -> bool:
    """Say whether a purpose is the written one or lies below it."""
    return purpose == written or purpose.startswith(f"{written}.")


def _holds(written: str, effect: str, facts: Mapping[str, bool]) -> bool:
    """Every condition holds; what nobody knows is false for an allow row and true for a deny row."""
    names = () if written == "-" else written.split("&")
    return all(facts.get(name, effect == "deny") for name in names)
