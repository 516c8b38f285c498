"""How long it takes to know everything that another rule book would change, and to try the cases.

``measure()`` gives rows of bench.json. Beside each comparison stands what it would take to put the same
questions one by one: stock Casbin on a sample of cells, or our own plan, each scaled to the cells that
were considered. Nobody waits for the scaled figure; the sample is timed in the same run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from statistics import median
from time import perf_counter
from types import MappingProxyType
from typing import Any

import policy_bench

from policies import knowledge
from policies.book import RuleBook, load_book, packaged_rules
from policies.plan import compile_plan
from policies.questions import goes_with, holders, questions
from policies.reachability import unreachable
from policies.roles import reference, reference_level
from policies.terms import Action, Condition, FieldName, RuleId
from policies.trials import mutants
from policies.whatif import diff

ROUNDS = 5
SAMPLE, CASBIN_SAMPLE = 20_000, 300
GOAL_MS, GOAL_REPLACED_MS, GOAL_MUTANTS_MS, GOAL_IDLE_MS = 500, 1_000, 2_000, 200
SCOPES = {"household": "household:h", "portfolio": "portfolio:p", "org": "org"}


def milliseconds(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    spent = []
    for _ in range(rounds):
        begun = perf_counter()
        work()
        spent.append((perf_counter() - begun) * 1e3)
    return median(spent)


def neighbours(book: RuleBook) -> dict[str, RuleBook]:
    """Return the book with one allow row less, one deny row less, and with every row replaced."""
    rows = book.grants

    def without(rule: str) -> RuleBook:
        return replace(
            book, grants=MappingProxyType({name: row for name, row in rows.items() if name != rule})
        )

    renamed = {RuleId(f"X-{place}"): row for place, row in enumerate(rows.values())}
    anew = MappingProxyType(
        {
            name: replace(row, id=name, duties=("ttl=60",) if row.allows else ())
            for name, row in renamed.items()
        }
    )
    return {
        "one allow row less": without("S-AG-01"),
        "one deny row less": without("S-AU-03"),
        "every row replaced": replace(book, grants=anew),
    }


def sample(book: RuleBook, number: int) -> list[Any]:
    """Return cells as a walk would ask them: up to two roles that can be held, and random facts."""
    chance, asked, pairs = Random(20240401), list(questions(book.words)), holders(book.words)
    found = []
    for _ in range(number):
        question = chance.choice(asked)
        held = [pair for pair in pairs if goes_with(pair[0], question.relation)]
        facts = {one: chance.choice([True, False]) for one in Condition if chance.random() < 0.67}
        found.append((frozenset(chance.sample(held, k=chance.randint(0, 2))), *question, facts))
    return found


def brute_us(old: RuleBook, new: RuleBook) -> float:
    """Return the microseconds our own plans need for one cell on both sides."""
    cells, plans = sample(old, SAMPLE), (compile_plan(old), compile_plan(new))

    def ask() -> None:
        for cell in cells:
            for plan in plans:
                plan.verdict(*cell)

    return milliseconds(ask, 3) / SAMPLE * 1e3


def casbin_us(old: RuleBook) -> float:
    """Return the microseconds stock Casbin needs for one cell on both sides."""
    cells = sample(old, CASBIN_SAMPLE)
    held: dict[tuple[str, str], list[Any]] = {}
    for place, (roles, *_) in enumerate(cells):
        for scope, role in roles:
            held.setdefault((f"asker{place}", SCOPES[scope]), []).append(role)
    enforcer = reference(old, held)

    def ask() -> None:
        for place, (_, field, action, relation, purpose, facts) in enumerate(cells):
            reference_level(
                enforcer, subject=f"asker{place}", scopes=("household:h", "portfolio:p"),
                field=FieldName(field), action=Action(action), relation=relation, purpose=purpose,
                facts=facts,
            )  # fmt: skip

    return 2 * milliseconds(ask, 3) / CASBIN_SAMPLE * 1e3


def measure() -> list[dict[str, Any]]:
    """Measure and return the rows of bench.json."""
    book = load_book(packaged_rules())
    others = neighbours(book)
    brute, stock = brute_us(book, others["one allow row less"]), casbin_us(book)
    rows = []
    for name, other in others.items():
        found = diff(book, other)
        goal = GOAL_REPLACED_MS if name == "every row replaced" else GOAL_MS
        spent = milliseconds(lambda other=other: cold(book, other))
        what = f"what-if over {found.considered:,} cells, {name}"
        id_ = f"policy.whatif.{name.replace(' ', '_')}"
        for suffix, beside, us in (
            ("", "our plan, cell by cell", brute),
            (".casbin", "stock Casbin, cell by cell", stock),
        ):
            rows.append(
                policy_bench.row(
                    what, f"{beside}, scaled from a sample", spent, us * found.considered / 1e3,
                    id=f"{id_}{suffix}", unit="ms", goal=goal,
                )
            )  # fmt: skip
    spent = milliseconds(lambda: mutants(book))
    whole = milliseconds(lambda: by_compiling(book), 1)
    rows.append(
        policy_bench.row(
            f"{2 * len(book.grants)} mutants tried on {len(book.cases)} cases", "compiling each mutant",
            spent, whole, id="policy.mutants", unit="ms", goal=GOAL_MUTANTS_MS,
        )
    )  # fmt: skip
    grown = policy_bench.sized(book, 1_000)
    grants = tuple(grown.grants.values())
    rows.append(
        policy_bench.row(
            "rows that can never matter, looked for among 1,000", "reading and checking the packaged rules",
            milliseconds(lambda: unreachable(grown.words, grants, "grants.csv")),
            milliseconds(lambda: load_book(packaged_rules())),
            id="policy.unreachable", unit="ms", goal=GOAL_IDLE_MS,
        )
    )  # fmt: skip
    return rows


def cold(old: RuleBook, new: RuleBook) -> object:
    """Compare as for the first time: nothing is remembered from an earlier comparison."""
    for kept in (knowledge.sheets, knowledge.combinations, knowledge.cubes):
        kept.cache_clear()
    return diff(old, new)


def by_compiling(book: RuleBook) -> int:
    """Ask every case of every mutant, each compiled to a plan of its own."""
    changed = 0
    for rule, grant in book.grants.items():
        for rows in (
            {name: row for name, row in book.grants.items() if name != rule},
            {**book.grants, rule: replace(grant, allows=not grant.allows)},
        ):
            plan = compile_plan(replace(book, grants=MappingProxyType(rows)))
            changed += any(
                plan.verdict(*case.question, case.facts).level != case.level for case in book.cases
            )
    return changed


if __name__ == "__main__":
    for line in measure():
        print(line)
