"""Books small enough to ask them everything: made-up rows over a corner of the packaged words."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from random import Random
from types import MappingProxyType

from policies.book import RuleBook
from policies.entries import ANY, Grant
from policies.plan import Plan, Verdict, compile_plan
from policies.questions import Holder, Question, given, goes_with, holders, questions
from policies.terms import Action, Condition, Level, RuleId, Scope

ROLES = ("adult_member", "primary_account", "agent", "crm")
FIELDS = ("name", "viewing_history", "address")
PURPOSES = ("service.delivery", "service.household", "marketing.profiled")
CONDITIONS = ("consent", "under_14", "under_18", "profiled")
DUTIES = ((), (), ("log=high",), ("log=high", "optout=required"))


def corner(book: RuleBook) -> RuleBook:
    """Return the book with a few words of each kind and no rows."""

    def some(kept: tuple[str, ...], declared: Mapping[str, object]) -> object:
        return MappingProxyType({name: declared[name] for name in kept})

    return replace(
        book,
        roles=some(ROLES, book.roles),  # type: ignore[arg-type]
        fields=some(FIELDS, book.fields),  # type: ignore[arg-type]
        purposes=some(PURPOSES, book.purposes),  # type: ignore[arg-type]
        grants=MappingProxyType({}),
        shadows=MappingProxyType({}),
        cases=(),
    )


def with_rows(book: RuleBook, rows: list[Grant]) -> RuleBook:
    return replace(book, grants=MappingProxyType({row.id: row for row in rows}))


def made_up(chance: Random, place: int) -> Grant:
    allows = chance.random() < 0.6
    action = chance.choice([Action.READ, Action.READ, Action.READ, Action.WRITE, *([] if allows else [None])])
    level = chance.choice([Level.EXISTS, Level.MASKED, Level.FULL])
    role = ANY if chance.random() < (0.3 if allows else 0.1) else chance.choice(ROLES)
    return Grant(
        id=RuleId(f"T-{place:02}"),
        role=role,
        scope=ANY if role == ANY else chance.choice([ANY, ANY, *Scope]),
        object=chance.choice(["name", "viewing_history", "tier:basic", "all:member", ANY]),
        action=action,
        level=level if action is Action.READ else Level.FULL if allows else Level.EXISTS,
        relation=chance.choice([ANY, ANY, "self", "coresident", "assigned", "none"]),
        purpose=chance.choice([ANY, "service", *PURPOSES]),
        conditions=frozenset(chance.sample(CONDITIONS, k=chance.choice([0, 0, 1, 1, 2]))),
        allows=allows,
        duties=chance.choice(DUTIES),
        sources=("S1",),
        line=place,
    )


def neighbour(chance: Random, rows: list[Grant]) -> list[Grant]:
    """Return the rows without one prohibition, or with one or two rows removed, changed or added."""
    denies = [row for row in rows if not row.allows]
    if denies and chance.random() < 0.4:
        gone = chance.choice(denies)
        return [row for row in rows if row.id != gone.id]
    rows = list(rows)
    for step in range(chance.randint(1, 2)):
        what = chance.choice(["remove", "change", "add"])
        if what == "add" or not rows:
            rows.append(made_up(chance, 50 + step))
        elif what == "remove":
            rows.pop(chance.randrange(len(rows)))
        else:
            place = chance.randrange(len(rows))
            rows[place] = replace(made_up(chance, 0), id=rows[place].id)
    return rows


def role_sets(book: RuleBook, largest: int) -> list[frozenset[Holder]]:
    pairs = holders(book.words)
    return [frozenset(some) for size in range(largest + 1) for some in itertools.combinations(pairs, size)]


def facts_of(book: RuleBook, question: Question, asked: frozenset[str]) -> Iterator[dict[str, bool]]:
    """Yield everything that can be known about the conditions that are asked for."""
    settled = dict(given(book.words, question.thing, question.purpose))
    names = sorted(asked - settled.keys())
    for values in itertools.product((True, False, None), repeat=len(names)):
        facts = dict(zip(names, values, strict=True))
        child, minor = facts.get("under_14"), facts.get("under_18")
        both = {"under_14", "under_18"} <= facts.keys()
        if both and ((child is True and minor is not True) or (minor is False and child is not False)):
            continue
        yield {name: fact for name, fact in facts.items() if fact is not None} | settled


def everything(
    book: RuleBook, largest: int, asked: frozenset[str]
) -> Iterator[tuple[frozenset[Holder], Question, dict[str, bool]]]:
    """Yield every question by every role set that can be held with its relation, under all facts."""
    sets = role_sets(book, largest)
    for question in questions(book.words):
        patterns = list(facts_of(book, question, asked))
        for roles in sets:
            if all(goes_with(scope, question.relation) for scope, _ in roles):
                for facts in patterns:
                    yield roles, question, facts


def answer(plan: Plan, roles: frozenset[Holder], question: Question, facts: dict[str, bool]) -> object:
    verdict: Verdict = plan.verdict(roles, *question, facts)
    return verdict.level, frozenset(verdict.duties)


def asked_by(*books: RuleBook) -> frozenset[str]:
    return frozenset(
        str(condition) for book in books for row in book.grants.values() for condition in row.conditions
    )


def compiled(book: RuleBook) -> Plan:
    return compile_plan(book)


assert set(CONDITIONS) <= {str(condition) for condition in Condition}
