"""An import that is cut off, cannot be recorded, or meets another: nothing half, nothing twice."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import insiders
import pytest
from import_story import jsonl, many, run
from living import Living

from governance.database import StoreError
from governance.importfile import Lines
from governance.importing import BATCH, ImportStoppedError


def test_an_import_that_is_cut_off_goes_on_where_it_stopped(
    house: Living, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = jsonl(tmp_path, many(2 * BATCH + 50))
    read = Lines.batches

    def cut(self: Lines, size: int) -> Any:
        for number, batch in enumerate(read(self, size)):
            if number == 2:
                raise KeyboardInterrupt
            yield batch

    monkeypatch.setattr(Lines, "batches", cut)
    with pytest.raises(KeyboardInterrupt):
        run(house, file)
    monkeypatch.undo()
    path = file.with_suffix(".report")
    with path.open("a", encoding="utf-8") as report:  # told by a run that died before its commit
        report.write('{"line":401,"outcome":"imported","code":"consent_given"}\n{"line":4')
    tally, told = run(house, file)
    assert (tally.resumed, tally.imported, tally.known) == (True, 2 * BATCH + 50, 0)
    assert [one["line"] for one in told] == list(range(1, 2 * BATCH + 51))
    assert len({one["consent_id"] for one in told}) == len(told)
    acts = [one.act for one in house.log() if one.act.startswith(("import", "consent.imported"))]
    assert acts.count("consent.imported") == len(told)
    assert [one for one in acts if one != "consent.imported"] == [
        "import.begun",
        "import.resumed",
        "import.finished",
    ]


@pytest.mark.parametrize("refusal", [insiders.REFUSE, insiders.REFUSE_AT_COMMIT], ids=["insert", "commit"])
def test_a_batch_that_cannot_be_recorded_leaves_nothing_and_is_not_reported(
    refusal: Mapping[str, Sequence[str]], house: Living, tmp_path: Path
) -> None:
    file = jsonl(tmp_path, many(5))
    read = Lines.batches

    def refuse(self: Lines, size: int) -> Any:
        house.sql(*refusal[house.engine])
        yield from read(self, size)

    before = house.sql("SELECT count(*) FROM consent_event")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Lines, "batches", refuse)
        with pytest.raises(StoreError):
            run(house, file)
    house.sql(*insiders.ACCEPT[house.engine])
    assert house.sql("SELECT count(*) FROM consent_event") == before
    assert file.with_suffix(".report").read_text(encoding="utf-8") == ""
    assert house.sql("SELECT rows FROM consent_import") == [(0,)]
    tally, _ = run(house, file)
    assert tally.imported == 5


@pytest.mark.parametrize("finished", [True, False], ids=["to the end", "one batch"])
def test_two_imports_of_one_file_at_once_do_not_both_go_on(
    finished: bool, house: Living, tmp_path: Path
) -> None:
    file = jsonl(tmp_path, many(3 * BATCH))
    read = Lines.batches

    def one_batch(self: Lines, size: int) -> Any:
        yield next(read(self, size))
        raise KeyboardInterrupt

    def overtaken(self: Lines, size: int) -> Any:
        batches = read(self, size)
        yield next(batches)
        with pytest.MonkeyPatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
            patch.setattr(Lines, "batches", read if finished else one_batch)
            run(house, file)
        yield from batches

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Lines, "batches", overtaken)
        with pytest.raises(ImportStoppedError):
            run(house, file)
    assert house.sql("SELECT rows FROM consent_import") == [((3 if finished else 2) * BATCH,)]
    imported = [one.resource for one in house.log() if one.act == "consent.imported"]
    assert len(imported) == len(set(imported)) == (3 if finished else 2) * BATCH
