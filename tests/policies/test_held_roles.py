"""The table of held roles: closed, bounded by what was put in, and small."""

from __future__ import annotations

import gc
import tracemalloc
from copy import deepcopy

from policies.book import RuleBook
from policies.identifiers import Prefix, new_id
from policies.roles import HeldRoles
from policies.terms import Role, Scope

HOUSEHOLDS, MEMBERS = 40_000, ("primary_account", "adult_member", "elder", "minor_member")
BYTES_AN_ASSIGNMENT = 250


def test_a_role_is_held_only_where_it_is_declared_and_brings_what_it_inherits(book: RuleBook) -> None:
    held = HeldRoles(
        book,
        {
            ("mem_1", "household:h1"): [Role("primary_account"), Role("agent"), Role("wizard")],
            ("stf_1", "org"): [Role("agent")],
        },
    )
    assert held.get_roles("mem_1", "household:h1") == ["adult_member", "primary_account"]
    assert held.get_roles("stf_1", "org") == []
    held.clear()
    assert held.has_link("mem_1", "adult_member", "household:h1")


def test_a_plan_is_asked_with_the_roles_that_were_given_in_the_scopes_that_concern_it(book: RuleBook) -> None:
    held = HeldRoles(
        book,
        {
            ("stf_1", "portfolio:p1"): [Role("agent"), Role("primary_account")],
            ("stf_1", "portfolio:p2"): [Role("advisor")],
            ("stf_1", "org"): [Role("compliance_officer")],
        },
    )
    assert held.given("stf_1", "household:h1", "portfolio:p1", "org") == {
        (Scope.PORTFOLIO, Role("agent")),
        (Scope.ORG, Role("compliance_officer")),
    }
    assert held.given("stranger", "household:h1", "portfolio:p1", "org") == frozenset()


def test_a_copy_of_an_unchangeable_table_is_the_table(book: RuleBook) -> None:
    held = HeldRoles(book, {("stf_1", "org"): [Role("auditor")]})
    assert deepcopy(held) is held


def test_people_with_the_same_roles_share_one_set(book: RuleBook) -> None:
    held = HeldRoles(book, {(f"mem_{number}", f"household:{number}"): [Role("elder")] for number in range(9)})
    assert len({id(held.given(f"mem_{number}", f"household:{number}")) for number in range(9)}) == 1


def population() -> dict[tuple[str, str], list[Role]]:
    """Return who lives where; each name is written anew, as rows from a database are."""
    return {
        (new_id(Prefix.MEMBER), f"household:{household}"): [Role(role)]
        for household in (new_id(Prefix.HOUSEHOLD) for _ in range(HOUSEHOLDS))
        for role in MEMBERS
    }


def test_an_assignment_costs_at_most_250_bytes_with_its_names_and_a_stranger_nothing(book: RuleBook) -> None:
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        held = HeldRoles(book, population())
        gc.collect()
        kept, _ = tracemalloc.get_traced_memory()
        assert len(held) == HOUSEHOLDS * len(MEMBERS)
        assert (kept - before) / len(held) <= BYTES_AN_ASSIGNMENT
        for number in range(1_000):
            assert not held.given(f"stranger{number}", f"household:{number}", "org")
            assert not held.has_link(f"stranger{number}", "elder", "org")
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] - kept < 10_000
    finally:
        tracemalloc.stop()
