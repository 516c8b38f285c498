"""Large rule books, many questions and a whole town of role holders for the policy benchmark."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random
from statistics import median
from time import perf_counter_ns
from types import MappingProxyType
from typing import Any

from policies.book import RuleBook
from policies.identifiers import Prefix, new_id
from policies.plan import compile_plan
from policies.terms import Action, Condition, FieldName, Purpose, Relation, Role, RuleId, Scope

QUESTIONS = 500
HOUSEHOLDS = 40_000
LIVING_THERE = ("primary_account", "adult_member", "minor_member")
HOUSEHOLDS_AN_AGENT = 100
Asked = tuple[FieldName, Action, Relation, Purpose, Mapping[Condition, bool]]
Question = tuple[
    frozenset[tuple[Scope, Role]], FieldName, Action, Relation, Purpose, Mapping[Condition, bool]
]


def sized(book: RuleBook, number: int) -> RuleBook:
    """Return a book with this many grants: the agent's ten, then the same for one team after another."""
    agents = [grant for grant in book.grants.values() if grant.id.startswith("S-AG")]
    roles, rows = dict(book.roles), agents[:number]
    for index in range(number - len(rows)):
        role = Role(f"team_{index // len(agents)}")
        roles[role] = replace(book.roles[Role("agent")], id=role, closure=frozenset({role}))
        rows.append(replace(agents[index % len(agents)], id=RuleId(f"T-{index}"), role=role))
    return replace(
        book, roles=MappingProxyType(roles), grants=MappingProxyType({row.id: row for row in rows})
    )


def asked(book: RuleBook, chance: Random) -> Asked:
    """Return what an agent may ask about a member: any field, any purpose, half of the facts true."""
    fields = [field.name for field in book.fields.values() if field.channel is None]
    facts = {condition: chance.random() < 0.5 for condition in Condition}
    purpose = chance.choice(list(book.purposes))
    action = chance.choice([Action.READ, Action.READ, Action.WRITE])
    return chance.choice(fields), action, Relation.ASSIGNED, purpose, facts


def questions(book: RuleBook) -> list[Question]:
    """Return different questions by agents, most of them with a second role, all with rows that speak.

    Two in three questions at random meet no row at all; a median over those would flatter.
    """
    chance, plan = Random(20240401), compile_plan(sized(book, 10))
    pairs = [(scope, role.id) for role in book.roles.values() for scope in role.scopes]
    found: list[Question] = []
    while len(found) < QUESTIONS:
        roles = frozenset({(Scope.PORTFOLIO, Role("agent")), chance.choice(pairs)})
        question = (roles, *asked(book, chance))
        verdict = plan.verdict(*question)
        if verdict.rules or verdict.unmet:
            found.append(question)
    return found


def town(book: RuleBook) -> dict[tuple[str, str], list[Role]]:
    """Return 160,000 assignments: three people in each household, and the agent of its portfolio.

    Each agent also holds a role in the office, so that an agent's roles come from two scopes.
    """
    chance = Random(20240402)
    teams = [role for role in book.roles if role.startswith("team_")] or [Role("agent")]
    held: dict[tuple[str, str], list[Role]] = {}
    for number in range(HOUSEHOLDS):
        household = new_id(Prefix.HOUSEHOLD)
        for role in LIVING_THERE:
            held[new_id(Prefix.MEMBER), f"household:{household}"] = [Role(role)]
        if number % HOUSEHOLDS_AN_AGENT == 0:
            agent = new_id(Prefix.STAFF)
            held[agent, "org"] = [Role("auditor")]
        held[agent, f"portfolio:{household}"] = [chance.choice(teams)]
    return held


def percentiles(call: Callable[[Any], object], asked: list[Any], rounds: int) -> tuple[float, float]:
    """Return the p50 and p99 in microseconds of calls that have been made before."""
    for question in asked:
        call(question)
    return ranks(timed(call, asked * rounds))


def timed(call: Callable[[Any], object], asked: list[Any]) -> list[int]:
    """Return the nanoseconds of each call."""
    times: list[int] = []
    gc.disable()
    try:
        for question in asked:
            start = perf_counter_ns()
            call(question)
            times.append(perf_counter_ns() - start)
    finally:
        gc.enable()
    return times


def ranks(times: list[int]) -> tuple[float, float]:
    """Return the p50 and p99 in microseconds."""
    return median(times) / 1_000, sorted(times)[len(times) * 99 // 100] / 1_000
