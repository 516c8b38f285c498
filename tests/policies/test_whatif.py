"""The comparison of two books: complete, exact, readable, and held against asking everything."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random
from types import MappingProxyType

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from small_books import asked_by, compiled, corner, everything, made_up, neighbour, with_rows

from policies.book import RuleBook, load_book
from policies.comparing import Direction
from policies.knowledge import VALUES, Known, combinations, cubes, sheets
from policies.questions import Holder, Question
from policies.terms import Level, Purpose, Relation, Role, RuleId, Scope
from policies.whatif import Change, Diff, diff

BOOKS = 80
SEEDS = st.integers(min_value=0, max_value=2**63)
FEW = settings(
    max_examples=40,
    deadline=None,
    database=None,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)
Key = tuple[frozenset[Holder], Question, frozenset[tuple[str, bool]]]


def without(book: RuleBook, *rules: str) -> RuleBook:
    return replace(
        book, grants=MappingProxyType({rule: row for rule, row in book.grants.items() if rule not in rules})
    )


def changed(book: RuleBook, rule: str, **cells: object) -> RuleBook:
    row = replace(book.grants[RuleId(rule)], **cells)
    return replace(book, grants=MappingProxyType({**book.grants, row.id: row}))


def by_brute_force(old: RuleBook, new: RuleBook, largest: int) -> tuple[dict[Key, Direction], int]:
    """Ask both books everything; return what parts and how, and how many cells there are."""
    plans, parted, cells = (compiled(old), compiled(new)), {}, 0
    for roles, question, facts in everything(old, largest, asked_by(old, new)):
        cells += 1
        before, after = (plan.verdict(roles, *question, facts) for plan in plans)
        key = (roles, question, frozenset(facts.items()))
        if before.level != after.level:
            parted[key] = Direction.RISES if after.level > before.level else Direction.FALLS
        elif set(before.duties) != set(after.duties):
            parted[key] = Direction.DUTIES
    return parted, cells


def told_about(found: Diff) -> set[tuple[frozenset[Holder], Question, Direction]]:
    return {(cell.roles, cell.question, cell.direction) for cell in found.cells()}


def holds(cell_facts: tuple[tuple[str, Known], ...], facts: dict[str, bool]) -> bool:
    return all(facts.get(name) in VALUES[known] for name, known in cell_facts)


def parts_of(roles: frozenset[Holder]) -> list[frozenset[Holder]]:
    """Return every set of roles that is smaller and lies in this one."""
    return [frozenset(some) for size in range(len(roles)) for some in itertools.combinations(roles, size)]


def test_nothing_parts_that_is_not_told_and_nothing_is_told_that_does_not_part(book: RuleBook) -> None:
    """Brute force over all questions, facts and role sets of up to three roles, on made-up small books."""
    met: Counter[str] = Counter()

    def compare(seed: int) -> None:
        chance = Random(seed)
        rows = [made_up(chance, place) for place in range(chance.randint(4, 8))]
        old, new = (with_rows(corner(book), some) for some in (rows, neighbour(chance, rows)))
        found = diff(old, new)
        parted, _ = by_brute_force(old, new, 3)
        cells: dict[tuple[frozenset[Holder], Question], list[object]] = {}
        for cell in found.cells():
            cells.setdefault((cell.roles, cell.question), []).append(cell)
        told: set[Key] = set()
        for key, direction in parted.items():
            roles, question, known = key
            facts = dict(known)

            def listed(some: frozenset[Holder], question=question, facts=facts) -> list[object]:
                return [one for one in cells.get((some, question), []) if holds(one.facts, facts)]

            shown = [one.direction for one in listed(roles)]
            shown_by_parts = [one.direction for part in parts_of(roles) for one in listed(part)]
            if direction is not Direction.DUTIES:
                assert direction in shown + shown_by_parts, key
            else:
                assert shown + shown_by_parts, key
            if shown:
                assert shown == [direction]
                assert not any(
                    parted.get((part, question, known)) is direction for part in parts_of(roles)
                ), "a part shows it already"
                told.add(key)
                met[f"{direction} by {len(roles)}"] += 1
        every = {(cell.roles, cell.question) for cell in found.cells()}
        assert every == {key[:2] for key in told}

    for seed in range(BOOKS):
        compare(seed)
    assert {"rises by 0", "falls by 0", "rises by 1", "falls by 1", "duties by 1", "rises by 2"} <= met.keys()


def test_the_lines_hold_every_changed_cell_and_no_other(book: RuleBook) -> None:
    """A line says that every combination of what it lists changes; together the lines are the cells."""

    def opened(line: Change) -> set[tuple[object, ...]]:
        return {
            (line.direction, roles, Question(thing, line.action, relation, purpose), line.facts)
            for roles in line.role_sets
            for thing in line.things
            for relation in line.relations
            for purpose in line.purposes
        }

    for rule in ("S-AG-01", "S-AG-05", "L-MIN-02", "S-SE-02"):
        found = diff(book, without(book, rule))
        lines = [one for line in found.changes for one in opened(line)]
        assert len(lines) == len(set(lines))
        cells = list(found.cells())
        for cell in cells:
            covering = [
                one for one in lines
                if one[:3] == (cell.direction, cell.roles, cell.question) and set(one[3]) <= set(cell.facts)
            ]  # fmt: skip
            assert len(covering) == 1, cell
        assert sum(line.cells for line in found.changes) == sum(cell.times for cell in cells)
        assert sum(line.cells for line in found.changes) == sum(found.changed.values())


def test_all_cells_are_counted(book: RuleBook) -> None:
    chance = Random(7)
    rows = [made_up(chance, place) for place in range(6)]
    old = with_rows(corner(book), rows)
    by_question = 0
    for roles, question, _ in everything(old, 2, frozenset()):
        # A cell for each combination of what the rows about its own question ask for.
        about = compiled(old).rows_about(roles, *question)
        asked = {str(one) for row in about for one in row.conditions} - {"profiled"}
        if question.thing == "address":
            asked -= {"under_14", "under_18"}
        by_question += combinations(frozenset(asked))
    assert diff(old, old).considered == by_question


def test_the_same_book_differs_in_nothing(book: RuleBook) -> None:
    found = diff(book, book)
    assert (found.changes, sum(found.changed.values()), found.beside) == ((), 0, ())
    assert found.considered > 500_000


def test_a_row_that_only_moves_or_cites_another_source_changes_nothing(book: RuleBook) -> None:
    moved = changed(book, "S-AG-01", line=999, sources=("S7",))
    assert diff(book, moved).changes == ()


def test_a_removed_permission_is_told_in_three_lines(book: RuleBook) -> None:
    found = diff(book, without(book, "S-AG-01"))
    assert {(line.role_sets, line.things, line.relations) for line in found.changes} == {
        ((frozenset({(Scope.PORTFOLIO, Role("agent"))}),), ("name",), (Relation.ASSIGNED,))
    }
    assert [(line.before.level, line.after.level, line.facts) for line in found.changes] == [
        (Level.FULL, Level.HIDDEN, (("consent", Known.YES), ("under_18", Known.NO))),
        (Level.FULL, Level.HIDDEN,
         (("consent", Known.YES), ("unapproved", Known.NO), ("under_18", Known.NOT_NO))),
        (Level.MASKED, Level.HIDDEN,
         (("consent", Known.YES), ("unapproved", Known.NOT_NO), ("under_18", Known.NOT_NO))),
    ]  # fmt: skip
    assert found.changes[0].rules_before == ("S-AG-01",)


def test_a_removed_prohibition_shows_in_the_pair_of_roles_that_it_capped(book: RuleBook) -> None:
    agent, clinician = (Scope.PORTFOLIO, Role("agent")), (Scope.PORTFOLIO, Role("clinician"))
    found = diff(book, without(book, "S-AG-05"))
    assert not found.changed[Direction.FALLS]
    pair = [line for line in found.changes if frozenset({agent, clinician}) in line.role_sets]
    assert {(line.before.level, line.after.level, line.things) for line in pair} == {
        (Level.MASKED, Level.FULL, ("allergies", "blood_pressure"))
    }


def test_what_is_newly_allowed_comes_first_and_duties_last(book: RuleBook) -> None:
    new = changed(without(book, "S-CD-02"), "S-AG-02", level=Level.FULL)
    new = changed(new, "S-CL-01", duties=("log=high",))
    order = [line.direction for line in diff(book, new).changes]
    assert order == sorted(order, key=list(Direction).index)
    assert set(order) == set(Direction)


def test_a_role_set_in_use_is_listed_even_where_a_part_of_it_shows_the_change(book: RuleBook) -> None:
    both = frozenset({(Scope.PORTFOLIO, Role("agent")), (Scope.ORG, Role("cdp"))})
    new = without(book, "S-AG-01")
    assert not any(roles == both for roles, _, _ in told_about(diff(book, new)))
    assert any(roles == both for roles, _, _ in told_about(diff(book, new, [both])))


def test_a_changed_declaration_shows_like_a_changed_row(book: RuleBook) -> None:
    heir = replace(
        book.roles[Role("legal_reviewer")], closure=frozenset({Role("legal_reviewer"), Role("privacy_admin")})
    )
    new = replace(book, roles=MappingProxyType({**book.roles, heir.id: heir}))
    found = diff(book, new)
    assert {line.role_sets for line in found.changes} == {(frozenset({(Scope.ORG, Role("legal_reviewer"))}),)}
    assert set(found.changed) - {Direction.RISES} == {
        direction for direction, number in found.changed.items() if not number
    }


def test_a_purpose_that_becomes_profiled_shows_its_effect(book: RuleBook) -> None:
    aim = replace(book.purposes[Purpose("marketing.direct")], profiled=True)
    new = replace(book, purposes=MappingProxyType({**book.purposes, aim.id: aim}))
    found = diff(book, new)
    assert {line.purposes for line in found.changes} == {("marketing.direct",)}
    assert found.changed[Direction.FALLS]
    assert not found.changed[Direction.RISES]
    assert found.beside == ("purposes",)


def test_a_changed_basis_is_named_beside_because_no_row_shows_it(book: RuleBook) -> None:
    found = diff(book, replace(book, bases=book.bases[1:]))
    assert (found.changes, found.beside) == ((), ("bases",))


def test_a_field_that_only_one_book_has_is_compared_with_nothing(book: RuleBook) -> None:
    fewer = {name: field for name, field in book.fields.items() if name != "email"}
    found = diff(replace(book, fields=MappingProxyType(fewer)), book)
    assert {line.things for line in found.changes} == {("email",)}
    assert {line.before.level for line in found.changes} == {Level.HIDDEN}


def test_documents_are_compared_like_fields() -> None:
    documents = load_book(Path(__file__).parent / "documents")
    found = diff(documents, without(documents, "D-ALL-02"))
    assert {(line.things, line.action, line.relations) for line in found.changes} == {
        (("type:document",), "edit", (Relation.NONE,))
    }
    assert all(dict(line.facts)["archived"] is Known.NOT_NO for line in found.changes)


# --- fact sheets


@pytest.mark.parametrize("asked", [set(), {"consent"}, {"under_14", "under_18"}, {"under_14", "consent"}])
def test_sheets_stand_for_every_combination_that_does_not_contradict_itself(asked: set[str]) -> None:
    number = 3 ** len(asked) * (6 if len(asked & {"under_14", "under_18"}) == 2 else 9) // 9
    for on_allow, on_deny in ((asked, set()), (set(), asked), (asked, asked)):
        every = sheets(frozenset(on_allow), frozenset(on_deny))
        assert sum(times for _, times in every) == number == combinations(frozenset(asked))


@FEW
@given(SEEDS)
def test_cubes_cover_what_was_chosen_once_and_nothing_else(seed: int) -> None:
    chance = Random(seed)
    every = tuple(
        sheet for sheet, _ in sheets(frozenset({"a", "b", "under_14"}), frozenset({"b", "under_18"}))
    )
    chosen = frozenset(chance.sample(every, k=chance.randint(0, len(every))))
    found = cubes(every, chosen)
    for sheet in every:
        assert sum(set(cube) <= set(sheet) for cube in found) == (sheet in chosen)
