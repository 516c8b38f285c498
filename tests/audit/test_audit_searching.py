"""Pages of a search against a naive reading of the whole log, on both engines, and the index behind them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from audit_making import LI, NOW, ORIGIN, SERVICE, STAFF, WANG, Insider, a_read
from sqlalchemy import text

from audit import indexing, ledger, searching
from audit.copies import Difference, differences
from audit.entry import Actor, ActorType, Entry, FieldOutcome, Kind, Party, Verdict
from audit.matching import matches
from audit.search import Qualifier, Query, parse
from governance.database import Database
from policies.terms import Effect

SIZE = 900
OTHER_STAFF = "stf_01900000-0000-7000-8000-000000000009"


def an_entry(number: int) -> Entry:
    """One of a log in which reads are common, denials rarer, and one officer's deeds rare."""
    entry = a_read(number * 1_000, LI if number % 37 == 0 else WANG)
    if number % 10 == 3:
        hidden = FieldOutcome("mobile", Effect.HIDE, ("no_consent",), ("g12",))
        entry = replace(entry, dec=Verdict.DENY, fields=(hidden,), n=0)
    if number % 100 == 50:
        officer = Actor(Party(ActorType.STAFF, OTHER_STAFF), ("compliance_officer",))
        entry = replace(
            entry, kind=Kind.CHANGE, act="consent.withdrawn", actor=officer, purpose="", fields=()
        )
    return entry


@pytest.fixture
def log(database: Database) -> Database:
    with database.transaction() as tx:
        ledger.create(tx, ORIGIN)
        ledger.append(tx, [an_entry(number) for number in range(SIZE)])
        tx.commit()
    return database


def index(log: Database, most: int = SIZE) -> int:
    return indexing.keep_up(log.reading, log.transaction, most)


def pages(log: Database, query: Query, most: int) -> Iterator[searching.Page]:
    before: int | None = None
    while True:
        with log.reading() as tx:
            page = searching.page(tx, query, before, most)
        yield page
        if page.next is None:
            return
        assert before is None or page.next < before
        before = page.next


def found(log: Database, line: str, most: int = 40) -> list[int]:
    return [hit.index for page in pages(log, parse(line), most) for hit in page.hits]


def wanted(line: str) -> list[int]:
    query = parse(line)
    return [number for number in range(SIZE - 1, -1, -1) if matches(query, an_entry(number), number)]


LINES = (
    "",
    "action:read",
    "decision:deny",
    f"actor:{OTHER_STAFF}",
    f"actor:{STAFF} decision:deny member:{LI.hex()}",
    f"member:{LI.hex()} member:{WANG.hex()} action:consent.*",
    "action:consent.withdrawn decision:deny",
    "reason:no_consent reason:consent_given",
    "-action:read",
    "-decision:permit -member:" + WANG.hex(),
    "-kind:decision -kind:change",
    "reason:nobody_says_so",
    "member:nobody",
    "index:>=700 index:<820 decision:deny",
    "index:899",
    "created:<1990-01-01",
    f"created:>={'2026-02-02T10:45:00+08:00'} created:<{'2026-02-02T10:52:00+08:00'} rule:g12",
    "purpose:service.* field:mobile -reason:no_consent kind:decision rule:g12 household:" + LI.hex(),
)


@pytest.mark.parametrize("indexed", [0, 500, SIZE])
def test_all_pages_together_are_what_a_reading_of_the_whole_log_finds(log: Database, indexed: int) -> None:
    index(log, indexed)
    for line in LINES:
        assert found(log, line) == wanted(line), line


def test_the_lines_above_find_something_and_nothing_in_turn() -> None:
    counts = [len(wanted(line)) for line in LINES]
    assert 0 in counts
    assert SIZE in counts
    assert {9, 90} <= set(counts)


@pytest.mark.parametrize(
    "line", ["action:read", "-kind:decision -kind:change", "member:nobody decision:permit"]
)
def test_a_page_that_may_look_no_further_says_where_to_go_on(
    log: Database, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    index(log)
    monkeypatch.setattr(searching, "LOOKED_AT", 100)
    monkeypatch.setattr(searching, "DECODED", 10)
    some = list(pages(log, parse(line), 30))
    assert [hit.index for page in some for hit in page.hits] == wanted(line)
    assert len(some) == 1 or any(len(page.hits) < 30 for page in some[:-1]) or line == "action:read"


def test_what_is_not_indexed_yet_is_read_a_bounded_number_at_a_time(
    log: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "DECODED", 100)
    some = list(pages(log, parse("reason:nobody_says_so"), 20))
    assert (len(some), [page.hits for page in some if page.hits]) == (8, [])


def test_indexing_twice_or_in_pieces_makes_the_same_index(log: Database) -> None:
    def rows() -> list[list[tuple[object, ...]]]:
        with log.reading() as tx:
            tables = ("audit_term", "audit_span")
            return [sorted(map(tuple, tx.rows(text(f"SELECT * FROM {table}")))) for table in tables]

    with log.reading() as tx:
        again = indexing.read(tx, 300)
    assert (index(log, 300), index(log), index(log)) == (300, SIZE - 300, 0)
    once = rows()
    with log.transaction() as tx:
        indexing.write(tx, again)
        tx.commit()
    assert rows() == once
    with log.transaction() as tx:
        indexing.empty(tx)
        assert indexing.catch_up(tx, SIZE) == SIZE
        tx.commit()
    assert rows() == once


def test_times_that_go_back_hide_nothing(log: Database) -> None:
    late = replace(an_entry(SIZE), t=NOW - 86_400_000)
    with log.transaction() as tx:
        ledger.append(tx, [late, an_entry(SIZE + 1)])
        tx.commit()
    index(log, SIZE + 2)
    assert found(log, "created:<2026-02-02") == [SIZE]


def test_counts_are_taken_over_the_newest_that_fit_and_say_over_how_many(log: Database) -> None:
    index(log)
    with log.reading() as tx:
        some = searching.facets(searching.page(tx, parse(""), None, 200))
        few = searching.facets(searching.page(tx, parse(f"actor:{OTHER_STAFF}"), None, 200))
    assert (some.over, some.all) == (200, False)
    assert some.counts[Qualifier.DECISION] == [("permit", 180), ("deny", 20)]
    assert some.counts[Qualifier.ACTION] == [("read", 198), ("consent.withdrawn", 2)]
    assert dict(some.counts[Qualifier.ACTOR])[SERVICE] == 198
    assert (few.over, few.all, few.counts[Qualifier.PURPOSE]) == (9, True, [])


@pytest.fixture
def insider(log: Database) -> Insider:
    index(log)
    return Insider(log)


def test_a_leaf_decides_whatever_the_index_says(log: Database, insider: Insider) -> None:
    number = next(iter(wanted("decision:deny")))
    with log.reading() as tx:
        terms = tx.rows(text("SELECT DISTINCT term FROM audit_term WHERE leaf_index = :i"), {"i": number})
    for (term,) in terms:  # every term of a denial, put at a permitted read
        insider.run(
            "INSERT INTO audit_term (term, leaf_index) VALUES (:t, :i) ON CONFLICT DO NOTHING", t=term, i=7
        )
    assert found(log, "decision:deny") == wanted("decision:deny")
    assert list(differences(log.reading)) == [Difference(7, "term")]


def test_an_entry_whose_leaf_is_no_entry_is_named_and_not_passed_over(
    log: Database, insider: Insider
) -> None:
    insider.put_leaf(SIZE - 1, b"{}")
    assert [page.unreadable for page in pages(log, parse("action:read index:>880"), 40)] == [[SIZE - 1]]


@pytest.mark.parametrize(
    ("deed", "told"),
    [
        ("DELETE FROM audit_term WHERE leaf_index = 700", [Difference(700, "term")]),
        ("INSERT INTO audit_term (term, leaf_index) VALUES (1, 700)", [Difference(700, "term")]),
        ("INSERT INTO audit_term (term, leaf_index) VALUES (1, 99999)", [Difference(99_999, "term")]),
        ("UPDATE audit_span SET latest = 1 WHERE block = 2", [Difference(512, "span")]),
        ("DELETE FROM audit_span WHERE block = 1", [Difference(256, "span")]),
        ("UPDATE audit_entry SET act = 'write' WHERE leaf_index = 3", [Difference(3, "act")]),
        ("DELETE FROM audit_subject WHERE leaf_index = 4", [Difference(4, "subject")]),
    ],
)
def test_the_check_names_the_entry_that_an_index_hides_or_makes_up(
    log: Database, insider: Insider, deed: str, told: list[Difference]
) -> None:
    assert list(differences(log.reading)) == []
    insider.run(deed)
    assert list(differences(log.reading)) == told


def test_an_index_that_has_not_come_to_the_end_yet_is_no_difference(log: Database) -> None:
    index(log, 400)
    assert list(differences(log.reading)) == []
