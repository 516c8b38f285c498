"""The log in pieces on a real PostgreSQL: nothing changes for who reads, and each piece has all guards."""

from __future__ import annotations

from itertools import pairwise

import psycopg
import pytest
from alembic import command
from audit_making import LI, ORIGIN, WANG, Insider, a_read, a_signer
from pieces_making import WHOLES, as_owner, narrow, pieces

from audit import ledger, partitions
from audit.partitions import WIDTH
from audit.reading import verify_database
from audit.verdicts import Exit
from governance import schema
from governance.database import Database, StoreError
from governance.wiring import open_database

pytestmark = pytest.mark.parametrize("database_url", ["postgres"], indirect=True)


def begin(database: Database) -> Database:
    with database.transaction() as tx:
        ledger.create(tx, ORIGIN)
        tx.commit()
    return database


@pytest.fixture
def log(database: Database) -> Database:
    return begin(database)


def append(log: Database, first: int, end: int) -> None:
    with log.transaction() as tx:
        ledger.append(tx, [a_read(number, WANG, LI) for number in range(first, end)])
        tx.commit()


def sound(log: Database) -> int:
    """Check the whole log; return how many entries it has."""
    report = verify_database(log.reading, [a_signer().key], None)
    assert (report.total, report.findings) == (0, ())
    return report.size


def brought_to(url: str, revision: str) -> None:
    engine = schema.migration_engine(url)
    try:
        with engine.begin() as connection:
            config = schema._config()
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
    finally:
        engine.dispose()


def test_an_upgrade_makes_the_tables_the_first_pieces_without_copying_a_row(database_url: str) -> None:
    files = "SELECT relfilenode FROM pg_class WHERE relname = '{}'"
    brought_to(database_url, "0018")
    log = begin(open_database(database_url))
    try:
        append(log, 0, 300)
        was = [as_owner(database_url, files.format(whole)) for whole in WHOLES]
        schema.migrate(database_url)
        assert [as_owner(database_url, files.format(f"{whole}_p0")) for whole in WHOLES] == was
        assert pieces(database_url) == [(0, WIDTH), (WIDTH, 2 * WIDTH)]
        assert sound(log) == 300
        append(log, 300, 310)
        assert sound(log) == 310
        with log.reading() as tx:
            assert len(ledger.accesses(tx, LI, None, 500)) == 310
    finally:
        log.close()


def test_the_first_piece_of_a_big_log_reaches_above_its_end(database_url: str) -> None:
    brought_to(database_url, "0018")
    begin(open_database(database_url)).close()
    as_owner(database_url, f"UPDATE audit_head SET size = {2 * WIDTH}")
    schema.migrate(database_url)
    for whole in WHOLES:
        assert pieces(database_url, whole) == [(0, 3 * WIDTH), (3 * WIDTH, 4 * WIDTH)]


def test_the_log_grows_from_piece_to_piece_and_makes_the_next_ones_itself(
    log: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow(database_url, 8, 0, monkeypatch)
    for first, end in pairwise((0, 3, 8, 9, 15, 40, 41)):  # also further than the next piece, at once
        append(log, first, end)
    for whole in WHOLES:
        reach = pieces(database_url, whole)
        assert reach == [(at, at + 8) for at in range(0, 56, 8)]
    assert as_owner(database_url, "SELECT count(*) FROM audit_entry_p16") == [(8,)]
    assert sound(log) == 41
    with log.reading() as tx:
        assert [index for index, _ in ledger.recent(tx, None, 41)] == [*range(40, -1, -1)]
        assert [index for index, _ in ledger.accesses(tx, WANG, None, 41)] == [*range(40, -1, -1)]


def test_an_entry_that_fits_into_no_piece_is_refused(log: Database, database_url: str) -> None:
    append(log, 0, 1)
    for place in (-1, 2 * WIDTH):
        with pytest.raises(psycopg.errors.CheckViolation):
            as_owner(
                database_url, f"INSERT INTO audit_subject (subject, leaf_index, t) VALUES ('x', {place}, 1)"
            )
    Insider(log)
    as_owner(database_url, *(f"DROP TABLE audit_entry_p{at}" for at in (0, WIDTH)))
    with pytest.raises(StoreError):
        append(log, 1, 2)  # nothing is decided on a log that cannot take it


def test_asking_again_makes_nothing_and_what_was_lost_ahead_is_made_again(
    log: Database, database_url: str
) -> None:
    with log.transaction() as tx:
        assert partitions.grow(tx) == 0
    as_owner(database_url, *(f"DROP TABLE {whole}_p{WIDTH}" for whole in WHOLES))
    with log.transaction() as tx:
        assert partitions.grow(tx) == 2
        tx.commit()
    assert pieces(database_url) == [(0, WIDTH), (WIDTH, 2 * WIDTH)]


def test_making_pieces_keeps_nobody_from_reading_and_appending(log: Database, database_url: str) -> None:
    append(log, 0, 3)
    as_owner(database_url, *(f"DROP TABLE {whole}_p{WIDTH}" for whole in WHOLES))
    with log.transaction() as tx:
        assert partitions.grow(tx) == 2  # and not committed yet
        append(log, 3, 6)
        assert sound(log) == 6
        tx.commit()


def test_whoever_keeps_the_table_busy_does_not_stop_the_log(
    log: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow(database_url, 8, 0, monkeypatch)
    with psycopg.connect(database_url.replace("+psycopg", "", 1)) as busy:
        busy.execute("LOCK TABLE ONLY audit_entry IN SHARE UPDATE EXCLUSIVE MODE")
        append(log, 0, 5)
        append(log, 5, 9)
        assert pieces(database_url) == [(0, 8), (8, 16)]
    append(log, 9, 13)  # half a piece further the log asks again
    assert pieces(database_url) == [(0, 8), (8, 16), (16, 24)]
    assert sound(log) == 13


def test_every_piece_has_every_guard_and_each_fires_always(
    log: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow(database_url, 8, 0, monkeypatch)
    append(log, 0, 20)
    fires = dict(
        as_owner(
            database_url,
            """SELECT t.tgrelid::regclass::text || ' ' || t.tgname, t.tgenabled FROM pg_trigger t
               WHERE t.tgrelid::regclass::text LIKE 'audit_entry%'
               OR t.tgrelid::regclass::text LIKE 'audit_subject%'""",
        )
    )
    assert fires == {
        f"{whole}{piece} {whole}_no_{what}": "A"
        for whole in WHOLES
        for piece in ("", "_p0", "_p8", "_p16", "_p24")
        for what in ("update_or_delete", "truncate")
    }


@pytest.mark.parametrize("deed", ["UPDATE {} SET t = 0", "DELETE FROM {}", "TRUNCATE {}"])
@pytest.mark.parametrize("piece", [f"{whole}{piece}" for whole in WHOLES for piece in ("", "_p0", "_p8")])
def test_not_even_the_owner_changes_a_piece_without_dropping_its_guard(
    log: Database, database_url: str, monkeypatch: pytest.MonkeyPatch, deed: str, piece: str
) -> None:
    narrow(database_url, 8, 0, monkeypatch)
    append(log, 0, 10)
    for silence in ("SET session_replication_role = replica", "SELECT 1"):
        with pytest.raises(psycopg.errors.RestrictViolation):
            as_owner(database_url, silence, deed.format(piece))
    assert sound(log) == 10


def test_a_look_up_by_place_touches_one_piece_and_a_scan_in_order_sorts_nothing(
    log: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plan(query: str) -> str:
        told = as_owner(database_url, "SET enable_seqscan = off", f"EXPLAIN (COSTS OFF) {query}")
        return "\n".join(row[0] for row in told)

    narrow(database_url, 8, 0, monkeypatch)
    append(log, 0, 30)
    one = plan("SELECT leaf FROM audit_entry WHERE leaf_index = 17")
    assert "audit_entry_p16" in one
    assert one.count("audit_entry_p") == one.count("audit_entry_p16")
    for ordered in (
        "SELECT leaf FROM audit_entry WHERE leaf_index > 3 ORDER BY leaf_index LIMIT 5",
        "SELECT leaf_index FROM audit_subject WHERE subject = 'x' ORDER BY leaf_index DESC LIMIT 5",
    ):
        told = plan(ordered)
        assert "Append" in told
        assert "Sort" not in told
        assert "Merge" not in told


def test_an_insider_who_alters_a_piece_is_found(
    log: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow(database_url, 8, 0, monkeypatch)
    append(log, 0, 30)
    insider = Insider(log)
    insider.alter(17)
    report = verify_database(log.reading, [a_signer().key], None)
    assert (report.exit, report.first and report.first.first) == (Exit.ALTERED, 17)
