"""Made-up rule books and questions about them, for whoever compares two engines.

A book made of words drawn at random would hardly ever have a row that speaks about the question. So one
seed makes one corner of the rules' world (a field, a purpose, a relation, three roles), and nine in ten
rows and questions stay in it; the tenth strays, and must not match.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from random import Random
from types import MappingProxyType
from typing import Any

import casbin
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from policies.book import RuleBook
from policies.entries import ANY, Grant
from policies.plan import Plan, Verdict
from policies.roles import reference_level
from policies.terms import Action, Condition, FieldName, Level, Purpose, Relation, Role, RuleId, Scope

SCOPE_NAMES = {Scope.HOUSEHOLD: "household:h1", Scope.PORTFOLIO: "portfolio:p1", Scope.ORG: "org"}
SEEDS = st.integers(min_value=0, max_value=2**63)


def unshrunk(examples: int) -> settings:
    """Return how to make so many books: one from each seed, and a smaller seed makes no smaller book."""
    return settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )


@dataclass(frozen=True)
class Question:
    roles: frozenset[tuple[Scope, Role]]
    field: FieldName
    action: Action
    relation: Relation
    purpose: Purpose
    facts: Mapping[Condition, bool]

    def to_plan(self, plan: Plan) -> Verdict:
        return plan.verdict(self.roles, self.field, self.action, self.relation, self.purpose, self.facts)

    def to_casbin(self, enforcer: casbin.Enforcer, asker: str = "asker") -> Level:
        return reference_level(
            enforcer,
            subject=asker,
            scopes=(SCOPE_NAMES[Scope.HOUSEHOLD], SCOPE_NAMES[Scope.PORTFOLIO]),
            field=self.field,
            action=self.action,
            relation=self.relation,
            purpose=self.purpose,
            facts=self.facts,
        )

    def held(self, asker: str = "asker") -> dict[tuple[str, str], list[Role]]:
        held: dict[tuple[str, str], list[Role]] = {}
        for scope, role in self.roles:
            held.setdefault((asker, SCOPE_NAMES[scope]), []).append(role)
        return held


def with_grants(book: RuleBook, grants: Iterable[Grant]) -> RuleBook:
    return replace(book, grants=MappingProxyType({grant.id: grant for grant in grants}))


class Corner:
    """A small part of the rules' world, where made-up rows and questions meet; one seed, one corner."""

    def __init__(self, seed: int, book: RuleBook) -> None:
        self.book = book
        self.chance = Random(seed)
        self.field = self.chance.choice(list(book.fields.values()))
        self.purpose = self.chance.choice(list(book.purposes))
        self.relation = self.chance.choice(list(Relation))
        self.roles = self.chance.sample(list(book.roles.values()), k=3)

    def mostly(self, usual: Any, others: Iterable[Any]) -> Any:
        return usual if self.chance.random() < 0.9 else self.chance.choice(list(others))

    def row(self, place: int) -> Grant:
        """Make up a row as the reader would accept it: an act to allow, all or nothing beside reading."""
        role = self.chance.choice([ANY, *(role.id for role in self.roles)])
        allows = self.chance.random() < 0.6
        usual = Action.SEND if self.field.channel else Action.READ
        action = self.mostly(usual, list(Action) if allows else [*Action, None])
        level = self.chance.choice([Level.EXISTS, Level.MASKED, Level.FULL])
        group = self.purpose.partition(".")[0]
        return Grant(
            id=RuleId(f"T-{place:02}"),
            role=role,
            scope=ANY if role == ANY else self.chance.choice([ANY, *Scope]),
            object=self.mostly(self.chance.choice(self.field.objects), ["name", "tier:hideable"]),
            action=action,
            level=level if action is Action.READ else Level.FULL if allows else Level.EXISTS,
            relation=self.mostly(self.chance.choice([ANY, self.relation]), Relation),
            purpose=self.mostly(self.chance.choice([ANY, group, self.purpose]), self.book.purposes),
            conditions=frozenset(self.chance.sample(list(Condition), k=self.chance.choice([0, 1, 1, 2]))),
            allows=allows,
            duties=(),
            sources=("S1",),
            line=1,
        )

    def rows(self) -> list[Grant]:
        return [self.row(place) for place in range(self.chance.randint(6, 14))]

    def question(self) -> Question:
        """Make up a question; one role in ten is held where it is never held, or is no role at all."""
        field = self.mostly(self.field, self.book.fields.values())
        usual = Action.SEND if field.channel else Action.READ
        facts = {condition: self.chance.choice([True, True, False, None]) for condition in Condition}
        heirs = [role for role in self.book.roles.values() if role.closure & {one.id for one in self.roles}]
        pairs = [(scope, role.id) for role in heirs for scope in role.scopes]
        never = [(scope, role.id) for role in heirs for scope in Scope if scope not in role.scopes]
        held = self.chance.sample(pairs, k=self.chance.randint(1, 3))
        return Question(
            roles=frozenset(self.mostly(pair, [*never, (Scope.ORG, Role("wizard"))]) for pair in held),
            field=field.name,
            action=usual if field.channel else self.mostly(usual, [Action.WRITE]),
            relation=self.mostly(self.relation, Relation),
            purpose=self.mostly(self.purpose, self.book.purposes),
            facts={condition: fact for condition, fact in facts.items() if fact is not None},
        )
