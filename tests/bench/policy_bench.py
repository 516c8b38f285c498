"""What one verdict costs, beside stock Casbin, its fast variant and Cedar in the same run.

``measure()`` gives rows of bench.json. Ours is the whole verdict (level, rows, duties, near misses) over
five hundred different questions; the others' figure is one yes-or-no for one level, their cheapest form.
FastEnforcer narrows rows by exact words, and ours use wildcards and groups, so it runs unfiltered. Cedar
gets its policies and entities parsed beforehand; the translation is the one that the tests hold equal.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Mapping
from statistics import median
from threading import Event, Thread
from typing import Any

import casbin
import cedar_oracle
import corners
from casbin.rbac.default_role_manager import DomainManager
from cedarpy import is_authorized
from policy_world import Question, percentiles, questions, ranks, sized, timed, town

from policies.book import RuleBook, load_book, packaged_rules
from policies.plan import Plan, compile_plan
from policies.roles import HeldRoles, reference
from policies.terms import Action, Role

SIZES = (10, 1_000, 10_000)
PASSES, ROUNDS = 5, 8
CASBIN_CALLS = {10: 200, 1_000: 20, 10_000: 4}
SWAPS, EVERY_S = 200, 0.01
STOCK = "casbin Enforcer, one level, p50"
AGENT = {("stf", "portfolio:p"): [Role("agent")]}
Row = dict[str, Any]


def row(
    id_: str, what: str, value: float, unit: str, beside: str, beside_value: float, goal: str, meets: bool
) -> Row:
    """Return one row; its ratio says how many times more the other one costs."""
    return {
        "id": id_, "what": what, "value": round(value, 2), "unit": unit, "beside": beside,
        "beside_value": round(beside_value, 2), "ratio": round(beside_value / value, 1), "goal": goal,
        "meets": bool(meets),
    }  # fmt: skip


def at_most(
    id_: str, what: str, value: float, unit: str, beside: str, beside_value: float, goal: float
) -> Row:
    return row(id_, what, value, unit, beside, beside_value, f"<= {goal:g} {unit}", value <= goal)


def ours_us(books: Mapping[str, RuleBook], asked: list[Question]) -> dict[str, float]:
    """Return the p50 for each book, taken in turns so that a busy machine disturbs all alike."""
    plans = {name: compile_plan(book) for name, book in books.items()}
    seen: dict[str, list[float]] = {name: [] for name in books}
    for _ in range(PASSES):
        for name, plan in plans.items():
            p50, _ = percentiles(lambda question, plan=plan: plan.verdict(*question), asked, ROUNDS)
            seen[name].append(p50)
    return {name: median(each) for name, each in seen.items()}


def casbin_us(enforcer: casbin.Enforcer, asked: list[Question], calls: int, *who: str) -> float:
    """Return the p50 of one yes-or-no in microseconds. ``who``: subject, household and portfolio."""
    who = who or ("stf", "household:h", "portfolio:p")

    def ask(question: Question) -> object:
        _, field, action, relation, purpose, facts = question
        act = "read.masked" if action is Action.READ else action.value
        return enforcer.enforce(*who, field, act, relation.value, purpose, facts)

    return percentiles(ask, asked[: min(calls, 20)], max(1, calls // 20))[0]


def fast(enforcer: casbin.Enforcer) -> casbin.FastEnforcer:
    """Return a FastEnforcer over the same rows, role table and functions."""
    other = casbin.FastEnforcer(enforcer.model)
    other.fm = enforcer.fm
    other.rm_map = enforcer.rm_map
    return other


def cedar_us(book: RuleBook, asked: list[Question], calls: int) -> float:
    """Return the p50 of one yes-or-no of Cedar in microseconds, everything but the request parsed before."""
    engine = cedar_oracle.Cedar(book, cedar_oracle.words(book))
    asking = {f"asker{number}": corners.Question(*question) for number, question in enumerate(asked[:20])}
    people = engine.people(asking)
    requests = [
        cedar_oracle.request(one, asker, "read.masked" if one.action is Action.READ else one.action.value)
        for asker, one in asking.items()
    ]
    return percentiles(lambda one: is_authorized(one, engine.policies, people), requests, calls // 20)[0]


def size_rows(book: RuleBook, asked: list[Question]) -> list[Row]:
    """Measure verdicts by the number of grants, beside the engines that read them one by one."""
    books = {f"{size}": sized(book, size) for size in SIZES} | {"packaged": book}
    ours = ours_us(books, asked)
    rows: list[Row] = []
    for name, grown in books.items():
        stock_us = casbin_us(reference(grown, AGENT), asked, CASBIN_CALLS.get(len(grown.grants), 100))
        what = f"one verdict at {len(grown.grants):,} grants, p50"
        rows.append(at_most(f"policy.verdict.{name}", what, ours[name], "us", STOCK, stock_us, 5))
    thousand, p50 = books["1000"], ours["1000"]
    peers = [
        ("fast", "casbin FastEnforcer", 40, casbin_us(fast(reference(thousand, AGENT)), asked, 20)),
        ("cedar", "cedarpy prepared", 200, cedar_us(thousand, asked, 200)),
    ]
    for id_, peer, times, beside in peers:
        rows.append(
            row(f"policy.verdict.1000.{id_}", "one verdict at 1,000 grants, p50", p50, "us",
                f"{peer}, one level, p50", beside, f">= {times} x", beside / p50 >= times)
        )  # fmt: skip
    biggest, loaded = books["10000"], "loading the same rows into casbin"
    first, _ = first_us(biggest, asked)
    return [
        *rows,
        at_most("policy.verdict.flat", "p50 at 10,000 grants over p50 at 10", ours["10000"] / ours["10"],
                "times", "no growth", 1.0, 1.5),
        at_most("policy.verdict.first", "one verdict never asked before at 10,000 grants, p50", first, "us",
                STOCK, rows[2]["beside_value"], 250),
        at_most("policy.compile", "compiling a plan of 10,000 grants, p50",
                percentiles(compile_plan, [biggest], 9)[0] / 1_000, "ms", loaded,
                ranks(timed(lambda grown: reference(grown, {}), [biggest] * 2))[0] / 1_000, 50),
    ]  # fmt: skip


def first_us(book: RuleBook, asked: list[Question]) -> tuple[float, float]:
    """Return p50 and p99 of questions that no plan remembers: their rows are looked up."""
    plan = compile_plan(book)

    def forget_and_ask(question: Question) -> object:
        plan._ladders.clear()
        return plan.verdict(*question)

    return percentiles(forget_and_ask, asked, 4)


def town_rows(book: RuleBook, asked: list[Question]) -> list[Row]:
    """Measure verdicts with the roles looked up among 160,000 assignments, and what those weigh."""
    living = town(book)
    held, plan, stock = HeldRoles(book, living), compile_plan(book), reference(book, living)
    agents = [place for place in living if place[1].startswith("portfolio:")]
    asking = [(*agents[number * 79], question) for number, question in enumerate(asked)]

    def ask(one: tuple[str, str, Question]) -> object:
        subject, portfolio, question = one
        return plan.verdict(held.given(subject, "household:h", portfolio, "org"), *question[1:])

    passes = [percentiles(ask, asking, ROUNDS) for _ in range(PASSES)]
    p50, p99 = median(p50 for p50, _ in passes), median(p99 for _, p99 in passes)
    subject, portfolio, _ = asking[0]
    stock_us = casbin_us(stock, asked, 20, subject, "household:h", portfolio)
    what = f"roles looked up among {len(held):,} assignments and one verdict at {len(book.grants):,} grants"
    return [
        at_most("policy.town", f"{what}, p50", p50, "us", STOCK, stock_us, 5),
        at_most("policy.town.p99", f"{what}, p99", p99, "us", STOCK, stock_us, 20),
        at_most("policy.assignment", f"one of {len(held):,} assignments in memory, its names included",
                weight(lambda: HeldRoles(book, town(book))) / len(held), "bytes",
                "casbin DomainManager, households of four", stock_weight(2_000), 250),
    ]  # fmt: skip


def weight(build: Callable[[], object]) -> float:
    """Return the bytes that remain when something has been built."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        kept = build()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        assert kept is not None
    finally:
        tracemalloc.stop()
    return after - before


def stock_weight(households: int) -> float:
    """Return the bytes of an assignment in Casbin's own manager, once each household was asked about."""

    def build() -> DomainManager:
        manager = DomainManager()
        for number in range(households):
            for place in range(4):
                manager.add_link(f"mem_{number:035}{place}", "adult_member", f"household:hh_{number:036}")
            manager.has_link(f"mem_{number:035}0", "adult_member", f"household:hh_{number:036}")
        return manager

    return weight(build) / (households * 4)


def swap_rows(book: RuleBook, asked: list[Question]) -> list[Row]:
    """Measure single verdicts while 200 plans are compiled and published; each begins with nothing seen."""
    published: list[Plan] = [compile_plan(book)]
    pause, done = Event(), Event()

    def swap() -> None:
        for _ in range(SWAPS):
            pause.wait(EVERY_S)
            published[0] = compile_plan(book)
        done.set()

    def ask(question: Question) -> object:
        return published[0].verdict(*question)

    _, calm = percentiles(ask, asked, 100)
    swapper = Thread(target=swap)
    swapper.start()
    times: list[int] = []
    while not done.is_set():
        times += timed(ask, asked)
    swapper.join()
    what = f"one verdict at {len(book.grants):,} grants beside {SWAPS} swaps in {SWAPS * EVERY_S:g} s, p99"
    return [at_most("policy.swaps", what, ranks(times)[1], "us", "the same without swaps", calm, 50)]


def measure() -> list[Row]:
    """Measure and return the rows of bench.json."""
    book = load_book(packaged_rules())
    asked, larger = questions(book), sized(book, 1_200)
    parts: list[Callable[[], list[Row]]] = [
        lambda: size_rows(book, asked),
        lambda: town_rows(larger, asked),
        lambda: swap_rows(larger, asked),
    ]
    return [line for part in parts for line in part()]


if __name__ == "__main__":
    for line in measure():
        print(line)
