"""New rules while everybody asks: no answer that neither the old nor the new rules would give.

The same watch is set on stock Casbin, whose ``load_policy`` empties its role manager in place and fills it
again: while it does, a prohibition that hangs on a role is not there. A watch that did not see that would
prove nothing about ours.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from threading import Event, Thread

import casbin
import pytest
from casbin.persist import Adapter
from corners import with_grants

from policies.book import RuleBook
from policies.plan import Plan, Verdict, compile_plan
from policies.roles import HeldRoles
from policies.terms import Action, Condition, FieldName, Level, Purpose, Relation, Role, RuleId

THREADS, SWAPS = 8, 200
Answer = tuple[Verdict, ...]


@pytest.fixture(autouse=True)
def _restless() -> Iterator[None]:
    """Threads take turns a hundred times as often, so that few changes meet many askers."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(before / 100)
    yield
    sys.setswitchinterval(before)


class Watch:
    """Threads that ask until they are told to stop, and keep what was wrong. An exception is wrong."""

    def __init__(self, ask: Callable[[], str | None]) -> None:
        self.wrong: Counter[str] = Counter()
        self._ask, self._done = ask, Event()
        self._answered = [Event() for _ in range(THREADS)]
        self._threads = [Thread(target=self._run, args=[answered]) for answered in self._answered]

    def _run(self, answered: Event) -> None:
        while not self._done.is_set():
            try:
                found = self._ask()
            except Exception as error:  # noqa: BLE001 - whatever it is, somebody who asked got no answer
                found = type(error).__name__
            if found is not None:
                self.wrong[found] += 1
            answered.set()

    def beside(self, change: Callable[[], object], times: int, *, until: str = "") -> Counter[str]:
        """Make the changes, each followed by an answer to a thread in turn; stop when ``until`` was found."""
        for thread in self._threads:
            thread.start()
        try:
            for time in range(times):
                change()
                answered = self._answered[time % THREADS]
                answered.clear()
                assert answered.wait(30)
                if self.wrong[until]:
                    break
        finally:
            self._done.set()
            for thread in self._threads:
                thread.join()
        return +self.wrong


# --- ours

FIELDS = ("name", "mobile", "blood_pressure", "purchase_history")
SCOPES = ("household:h1", "portfolio:p1", "org")


class Snapshot:
    """Rules and held roles of one moment: whoever answers from it answers from nothing else."""

    def __init__(self, book: RuleBook, roles: list[str]) -> None:
        self.plan: Plan = compile_plan(book)
        self.held = HeldRoles(book, {("stf_1", "portfolio:p1"): [Role(role) for role in roles]})

    def answer(self, field: str) -> Verdict:
        facts = dict.fromkeys(Condition, False) | {Condition.CONSENT: True, Condition.TICKET: True}
        roles = self.held.given("stf_1", *SCOPES)
        asked = (FieldName(field), Action.READ, Relation.ASSIGNED, Purpose("service.health"))
        return self.plan.verdict(roles, *asked, facts)


def open_and_closed(book: RuleBook) -> list[tuple[RuleBook, list[str]]]:
    """Return two states that answer every field differently: by their rows, and by who holds what."""
    name = book.grants[RuleId("S-AG-01")]
    closed = with_grants(
        book,
        [
            replace(row, level=Level.EXISTS) if row.id in {"S-AG-02", "S-AG-03"} else row
            for row in [
                *book.grants.values(),
                replace(name, id=RuleId("T-01"), level=Level.MASKED, allows=False),
            ]
        ],
    )
    history = replace(name, id=RuleId("T-02"), object="purchase_history", level=Level.MASKED)
    return [
        (
            with_grants(book, [*(row for row in book.grants.values() if row.id != "S-AG-05"), history]),
            ["agent", "clinician"],
        ),
        (closed, ["agent"]),
    ]


def test_answers_beside_two_hundred_swaps_are_each_of_one_whole_snapshot(book: RuleBook) -> None:
    states = open_and_closed(book)
    right = {tuple(map(Snapshot(*state).answer, FIELDS)) for state in states}
    for field, one, other in zip(FIELDS, *right, strict=True):
        assert one.level != other.level, f"{field} is answered alike before and after"
    published = [Snapshot(*states[0])]
    seen: Counter[Answer] = Counter()

    def ask() -> str | None:
        snapshot = published[0]
        answer = tuple(map(snapshot.answer, FIELDS))
        seen[answer] += 1
        return None if answer in right else str(answer)

    def swap() -> None:
        states.reverse()
        published[0] = Snapshot(*states[0])

    assert Watch(ask).beside(swap, SWAPS) == {}
    assert seen.keys() == right


def test_a_request_that_takes_the_snapshot_anew_for_each_field_is_caught(book: RuleBook) -> None:
    states = open_and_closed(book)
    fields = FIELDS * 25  # a request longer than a thread's turn
    right = {tuple(map(Snapshot(*state).answer, fields)) for state in states}
    published = [Snapshot(*states[0])]

    def ask() -> str | None:
        return None if tuple(published[0].answer(field) for field in fields) in right else "torn"

    def swap() -> None:
        states.reverse()
        published[0] = Snapshot(*states[0])

    assert Watch(ask).beside(swap, SWAPS * 10, until="torn")["torn"]


# --- stock Casbin

BANNED = 1_000
MODEL = """
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act, eft
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = (p.sub == "*" || g(r.sub, p.sub)) && r.obj == p.obj && r.act == p.act
"""


class SameRows(Adapter):
    """Everybody may read the diary but for the banned, and at each load the same are banned."""

    def load_policy(self, model: casbin.Model) -> None:
        model["p"]["p"].policy.extend([["*", "diary", "read", "allow"], ["banned", "diary", "read", "deny"]])
        model["g"]["g"].policy.extend([f"person{number}", "banned"] for number in range(BANNED))


def test_the_same_watch_sees_stock_casbin_allow_what_is_forbidden_while_it_reloads() -> None:
    enforcer = casbin.Enforcer(casbin.Enforcer.new_model(text=MODEL), SameRows())
    last = f"person{BANNED - 1}"
    assert enforcer.enforce("person-1", "diary", "read")
    assert not enforcer.enforce(last, "diary", "read")

    def ask() -> str | None:
        return "allowed" if enforcer.enforce(last, "diary", "read") else None

    assert Watch(ask).beside(enforcer.load_policy, 200, until="allowed")["allowed"]
    assert not enforcer.enforce(last, "diary", "read")
