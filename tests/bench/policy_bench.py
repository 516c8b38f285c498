"""How long one verdict takes at 10, 1,000 and 10,000 grants, beside stock Casbin in the same run.

``measure()`` gives rows of bench.json. Ours is the whole verdict (level, rows, duties, near misses) over
five hundred different questions; Casbin's figure is one yes-or-no for one level, its cheapest form.
FastEnforcer narrows rows by exact words, and ours use wildcards and groups, so it runs unfiltered.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random
from statistics import median
from time import perf_counter_ns
from types import MappingProxyType
from typing import Any

import casbin

from policies.book import RuleBook, load_book, packaged_rules
from policies.plan import compile_plan
from policies.roles import reference
from policies.terms import Action, Condition, FieldName, Purpose, Relation, Role, RuleId, Scope

SIZES = (10, 1_000, 10_000)
QUESTIONS = 500
PASSES, ROUNDS = 5, 8
GOAL_US, GOAL_P99_US, GOAL_FIRST_US, GOAL_COMPILE_US = 5.0, 20.0, 250.0, 50_000.0
GOAL_FLAT = 1.5
CASBIN_CALLS = {10: 200, 1_000: 20, 10_000: 4}
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


def questions(book: RuleBook) -> list[Question]:
    """Return different questions by agents, most of them with a second role."""
    chance = Random(20240401)
    pairs = [(scope, role.id) for role in book.roles.values() for scope in role.scopes]
    fields = [field.name for field in book.fields.values() if field.channel is None]
    found: list[Question] = []
    for _ in range(QUESTIONS):
        roles = frozenset({(Scope.PORTFOLIO, Role("agent")), chance.choice(pairs)})
        facts = {condition: chance.random() < 0.5 for condition in Condition}
        purpose = chance.choice(list(book.purposes))
        action = chance.choice([Action.READ, Action.READ, Action.WRITE])
        found.append((roles, chance.choice(fields), action, Relation.ASSIGNED, purpose, facts))
    return found


def percentiles(call: Callable[[Any], object], asked: list[Any], rounds: int) -> tuple[float, float]:
    """Return the p50 and p99 of single calls in microseconds."""
    for question in asked:
        call(question)
    times: list[int] = []
    gc.disable()
    try:
        for _ in range(rounds):
            for question in asked:
                start = perf_counter_ns()
                call(question)
                times.append(perf_counter_ns() - start)
    finally:
        gc.enable()
    times.sort()
    return median(times) / 1_000, times[len(times) * 99 // 100] / 1_000


def ours_us(books: Mapping[str, RuleBook], asked: list[Question]) -> dict[str, tuple[float, float]]:
    """Return p50 and p99 for each book, taken in turns so that a busy machine disturbs all alike."""
    plans = {name: compile_plan(book) for name, book in books.items()}
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in books}
    for _ in range(PASSES):
        for name, plan in plans.items():
            seen[name].append(percentiles(lambda question, plan=plan: plan.verdict(*question), asked, ROUNDS))
    return {
        name: (median(p50 for p50, _ in each), median(p99 for _, p99 in each)) for name, each in seen.items()
    }


def casbin_us(enforcer: casbin.Enforcer, asked: list[Question], calls: int) -> float:
    """Return the p50 of one yes-or-no in microseconds."""

    def ask(question: Question) -> object:
        _, field, action, relation, purpose, facts = question
        act = "read.masked" if action is Action.READ else action.value
        return enforcer.enforce(
            "stf", "household:h", "portfolio:p", field, act, relation.value, purpose, facts
        )

    return percentiles(ask, asked[: min(calls, 20)], max(1, calls // 20))[0]


def fast(enforcer: casbin.Enforcer) -> casbin.FastEnforcer:
    """Return a FastEnforcer over the same rows, role table and functions."""
    other = casbin.FastEnforcer(enforcer.model)
    other.fm = enforcer.fm
    other.rm_map = enforcer.rm_map
    return other


def row(what: str, beside: str, value: float, beside_value: float, **more: Any) -> dict[str, Any]:
    return {
        "id": more["id"],
        "what": what,
        "value": round(value, 2),
        "unit": more.get("unit", "us"),
        "beside": beside,
        "beside_value": round(beside_value, 2),
        "ratio": round(beside_value / value, 1),
        "goal": more["goal"],
        "meets": value <= more["goal"],
    }


def measure() -> list[dict[str, Any]]:
    """Measure and return the rows of bench.json."""
    book = load_book(packaged_rules())
    asked = questions(book)
    held = {("stf", "portfolio:p"): [Role("agent")]}
    books = {f"{size}": sized(book, size) for size in SIZES} | {"packaged": book}
    ours = ours_us(books, asked)
    rows: list[dict[str, Any]] = []
    enforcer = "casbin Enforcer, one level, p50"
    for name, grown in books.items():
        stock = reference(grown, held)
        calls = CASBIN_CALLS.get(len(grown.grants), 100)
        one_level = casbin_us(stock, asked, calls)
        what = f"one verdict at {len(grown.grants):,} grants"
        p50, p99 = ours[name]
        rows += [
            row(f"{what}, p50", enforcer, p50, one_level, id=f"policy.verdict.{name}", goal=GOAL_US),
            row(f"{what}, p99", enforcer, p99, one_level, id=f"policy.verdict.{name}.p99", goal=GOAL_P99_US),
            row(f"{what}, p50", "casbin FastEnforcer, one level, p50", p50,
                casbin_us(fast(stock), asked, calls), id=f"policy.verdict.{name}.fast", goal=GOAL_US),
        ]  # fmt: skip
    biggest = books[f"{SIZES[-1]}"]
    stock_us = casbin_us(reference(biggest, held), asked, CASBIN_CALLS[SIZES[-1]])
    return [
        *rows,
        row("p50 at 10,000 grants over p50 at 10", "no growth", ours["10000"][0] / ours["10"][0], 1.0,
            id="policy.verdict.flat", unit="times", goal=GOAL_FLAT),
        row("one verdict never asked before at 10,000 grants, p50", enforcer, first_us(biggest, asked),
            stock_us, id="policy.verdict.first", goal=GOAL_FIRST_US),
        row("compiling a plan of 1,000 grants, p50", "loading the same rows into casbin",
            percentiles(compile_plan, [books["1000"]] * 5, 4)[0],
            percentiles(lambda grown: reference(grown, {}), [books["1000"]] * 2, 2)[0],
            id="policy.compile", goal=GOAL_COMPILE_US),
    ]  # fmt: skip


def first_us(book: RuleBook, asked: list[Question]) -> float:
    """Return the p50 of a question that no plan remembers: its rows are looked up."""
    plan = compile_plan(book)

    def forget_and_ask(question: Question) -> object:
        plan._ladders.clear()
        return plan.verdict(*question)

    return percentiles(forget_and_ask, asked, 4)[0]


if __name__ == "__main__":
    for line in measure():
        print(line)
