"""Pruning empties the oldest pieces of the log, and the daily work drops them (real PostgreSQL)."""

from __future__ import annotations

import psycopg
import pytest
from living import DAY, Living
from pieces_making import as_owner, narrow, pieces
from test_log_retention import TERM, newest, some_day

from governance.logpieces import LogPieces
from governance.wiring import assemble

ON_POSTGRESQL = pytest.mark.parametrize("seeded_copy", ["postgres"], indirect=True)


@ON_POSTGRESQL
def test_the_work_of_a_day_drops_what_pruning_emptied_and_the_log_stays_sound(
    house: Living, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = house.size()
    narrow(house.url, 4, first, monkeypatch)
    some_day(house, newest(house) + DAY)
    for _ in range(4):
        some_day(house, house.clock())
    some_day(house, newest(house) + TERM + DAY)
    before = pieces(house.url)
    house.service.tidy()
    [[below]] = house.sql("SELECT max(size) FROM audit_pruned")
    after = pieces(house.url)
    # The first piece holds what is kept for ever, the one with the milestone and all above are there.
    assert [one for one in before if one not in after] == [one for one in before[1:] if one[1] < below] != []
    assert after[0] == before[0]
    assert [one for one in pieces(house.url, "audit_subject") if one[1] < below] == []
    report = house.service.log.checkpoints.verify()
    assert (int(report.exit), report.pruned > 0) == (0, True)
    assert house.service.log.checkpoints.altered_copies() == []
    some_day(house, house.clock())
    assert int(house.service.log.checkpoints.verify().exit) == 0
    assert LogPieces(house.service.database).tidy() == 0


@ON_POSTGRESQL
def test_a_piece_that_is_empty_before_its_prefix_was_pruned_stays(
    house: Living, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow(house.url, 4, house.size(), monkeypatch)
    before = pieces(house.url)
    assert LogPieces(house.service.database).tidy() == 0
    assert pieces(house.url) == before


@ON_POSTGRESQL
def test_dropping_waits_for_nobody_who_reads_for_long(house: Living, monkeypatch: pytest.MonkeyPatch) -> None:
    narrow(house.url, 4, house.size(), monkeypatch)
    some_day(house, newest(house) + DAY)
    for _ in range(4):
        some_day(house, house.clock())
    some_day(house, newest(house) + TERM + DAY)
    house.service.log.pruning.run(house.clock())
    before = pieces(house.url)
    with psycopg.connect(house.url.replace("+psycopg", "", 1)) as reader:
        reader.execute("SELECT count(*) FROM audit_entry")
        assert LogPieces(house.service.database).tidy() == 0
        assert pieces(house.url) == before
    assert LogPieces(house.service.database).tidy() > 0
    assert int(house.service.log.checkpoints.verify().exit) == 0


@ON_POSTGRESQL
def test_a_start_makes_what_is_missing_ahead(house: Living) -> None:

    [*_, (last, _beyond)] = pieces(house.url)
    as_owner(house.url, f"DROP TABLE audit_entry_p{last}")
    assemble(house.settings).close()
    assert pieces(house.url)[-1][0] == last


@pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)
def test_a_file_has_no_pieces(house: Living) -> None:
    assert LogPieces(house.service.database).grow() == 0
    assert LogPieces(house.service.database).tidy() == 0
