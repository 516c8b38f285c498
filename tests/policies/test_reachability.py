"""Rows that can never matter: exactly those, each told with its line and with what outweighs it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from small_books import answer, asked_by, compiled, corner, everything, made_up, with_rows

from policies.book import BookError, RuleBook, load_book
from policies.entries import Grant
from policies.knowledge import implied
from policies.reachability import unreachable
from policies.terms import Level, RuleId

BOOKS = 60


def matters(book: RuleBook, row: Grant) -> bool:
    """Ask everything with and without a row: does any answer change (or, for a deny row, any cap)?"""
    rows = [other for other in book.grants.values() if other.id != row.id]
    with_it, without_it = compiled(book), compiled(with_rows(book, rows))
    for roles, question, facts in everything(book, 2, asked_by(book)):
        if row.id not in {one.id for one in with_it.rows_about(roles, *question)}:
            continue
        if row.allows:
            if answer(with_it, roles, question, facts) != answer(without_it, roles, question, facts):
                return True
        elif row.id in with_it.verdict(roles, *question, facts).rules:
            denies = [
                other
                for other in without_it.rows_about(roles, *question)
                if not other.allows and other.id in without_it.verdict(roles, *question, facts).rules
            ]
            lowest = min((other.level for other in denies), default=Level.FULL + 1)
            owed = {duty for other in denies if other.level == row.level for duty in other.duties}
            if row.level < lowest or (row.level == lowest and not owed.issuperset(row.duties)):
                return True
    return False


def test_exactly_the_rows_that_change_nothing_are_faults(book: RuleBook) -> None:
    """Held against asking everything, for made-up books in a corner of the words."""
    met: Counter[tuple[bool, bool]] = Counter()

    def compare(seed: int) -> None:
        chance = Random(seed)
        rows = [made_up(chance, place) for place in range(chance.randint(4, 9))]
        small = with_rows(corner(book), rows)
        left = small
        faults = {fault.line: fault for fault in unreachable(small.words, rows, "grants.csv")}
        for row in reversed(rows):
            idle = not matters(left, row)
            assert (row.line in faults) is idle, (row, rows)
            met[row.allows, idle] += 1
            if idle:
                left = with_rows(small, [other for other in left.grants.values() if other.id != row.id])

    for seed in range(BOOKS):
        compare(seed)
    assert min(met[allows, idle] for allows in (True, False) for idle in (True, False)) >= 5, met


TABLE = [
    # rows that are added to the packaged ones, and what is said about the last of them
    ("p, agent, portfolio, name, read.masked, assigned, service.delivery, consent, allow, -, T-01, S6",
     "T-01 changes nothing: whatever it allows is allowed or forbidden already by S-AG-01"),
    ("p, agent, portfolio, chat_messages, read.full, assigned, service, consent, allow, -, T-01, S6",
     "T-01 allows nothing: whatever it allows is forbidden by H-COMM-03"),
    ("p, crm, org, tier:sensitive, write, *, service, consent, allow, -, T-01, S6",
     "T-01 allows nothing: whatever it allows is forbidden by S-CR-08"),
    ("p, crm, org, category:health, read.full, *, service, -, deny, -, T-01, S6",
     "T-01 forbids nothing that is not forbidden already by S-CR-08"),
    ("p, sender, org, all:channel, send, *, marketing.profiled, under_14&profiled, deny, -, T-01, S18",
     "T-01 forbids nothing that is not forbidden already by L-MIN-01"),
    ("p, sender, org, all:channel, send, *, marketing.direct, profiled, deny, -, T-01, S18",
     "T-01 can never apply: profiled never holds for what the row speaks about"),
    ("p, agent, portfolio, all:member, *, none, *, -, deny, -, T-01, S6",
     "T-01 can never apply: nobody can hold agent in dom portfolio with rel none"),
    ("p, adult_member, *, name, read.full, assigned, service, consent, allow, -, T-01, S6",
     "T-01 can never apply: nobody can hold adult_member in dom * with rel assigned"),
    ("p, *, *, all:household, read.full, self, *, -, allow, -, T-01, S6",
     "T-01 can never apply: rel self never meets obj all:household"),
    ("p, *, *, all:household, *, *, *, under_14, deny, -, T-01, S6",
     "T-01 can never apply: under_14 never holds for what the row speaks about"),
]  # fmt: skip

STAY = [
    # a guard against what nothing allows today
    "p, agent, portfolio, bank_card, *, assigned, marketing, -, deny, -, T-01, S6",
    # a duty that no other row owes
    "p, agent, portfolio, name, read.full, assigned, service, consent&ticket, allow, log=high, T-01, S6",
    # an agent who lives with the member they are assigned to
    "p, agent, portfolio, email, read.full, coresident, service, consent, allow, -, T-01, S6",
    # a part of another prohibition, with a duty
    "p, crm, org, category:health, *, *, *, -, deny, log=high, T-01, S6",
]


def added(rules: Path, row: str) -> int:
    path = rules / "grants.csv"
    text = path.read_text(encoding="utf-8").rstrip("\n")
    path.write_text(f"{text}\n{row}\n", encoding="utf-8")
    return text.count("\n") + 2


@pytest.mark.parametrize(("row", "said"), TABLE, ids=[said for _, said in TABLE])
def test_a_row_that_can_never_matter_stops_the_start(rules: Path, row: str, said: str) -> None:
    line = added(rules, row)
    with pytest.raises(BookError) as caught:
        load_book(rules)
    assert [(fault.file, fault.line) for fault in caught.value.faults] == [("grants.csv", line)]
    assert said in str(caught.value)


@pytest.mark.parametrize("row", STAY)
def test_a_row_that_can_matter_once_stays(rules: Path, row: str) -> None:
    added(rules, row)
    assert RuleId("T-01") in load_book(rules).grants


def test_of_two_rows_that_say_the_same_the_first_stays(rules: Path, book: RuleBook) -> None:
    line = added(
        rules, "p, crm, org, category:identity.name, read.full, *, service, consent, allow, -, T-01, S24"
    )
    with pytest.raises(BookError) as caught:
        load_book(rules)
    first = book.grants[RuleId("S-CR-01")].line
    said = "T-01 changes nothing: whatever it allows is allowed or forbidden already by S-CR-01"
    assert str(caught.value) == f"grants.csv:{line}: {said} (line {first})"


def test_a_shadow_row_is_looked_at_as_if_it_counted(rules: Path) -> None:
    row = "p, agent, portfolio, name, read.masked, assigned, service, consent, allow, -, {}, S6\n"
    (rules / "shadow.csv").write_text(row.format("T-01"), encoding="utf-8")
    with pytest.raises(BookError, match=r"shadow\.csv:1: T-01 changes nothing"):
        load_book(rules)
    (rules / "shadow.csv").write_text(row.format("S-AG-01"), encoding="utf-8")
    assert load_book(rules).shadows.keys() == {"S-AG-01"}


def test_two_values_of_one_attribute_never_meet() -> None:
    documents = load_book(Path(__file__).parent / "documents")
    draft = replace(documents.resources.conditions["archived"], id="draft", value="draft")
    resources = replace(documents.resources, conditions={**documents.resources.conditions, "draft": draft})
    words = replace(documents.words, resources=resources)
    for allows, idle in ((True, True), (False, False)):
        row = replace(
            documents.grants[RuleId("D-ED-01")], id=RuleId("T-01"), allows=allows,
            level=Level.FULL if allows else Level.EXISTS, conditions=frozenset({"archived", "draft"}),
        )  # fmt: skip
        # A status that nobody knows is both for a deny row.
        found = unreachable(words, [row], "grants.csv")
        assert bool(found) is idle


def test_faults_of_words_are_told_before_idle_rows_are_looked_for(rules: Path) -> None:
    added(rules, "p, agnet, portfolio, name, read.full, assigned, service, consent, allow, -, T-01, S6")
    with pytest.raises(BookError) as caught:
        load_book(rules)
    assert [fault.text for fault in caught.value.faults] == ["unknown role 'agnet'"]


def test_what_follows_from_a_condition_holds_with_it() -> None:
    assert implied({"under_14", "consent"}) == {"under_14", "under_18", "consent"}
    assert implied({"under_18"}) == {"under_18"}
