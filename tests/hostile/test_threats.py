"""The threats to the log, each attacked with the database's own tools, and what catches it.

Exit codes are those of ``governance audit verify``: 0 as it should be, 1 altered, 2 rolled back, 3 forked,
4 not signed as it must be, 5 incomplete.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import threats
from living import Living
from logbreaking import Insider
from threats import Deed, Ran, grown_twice, refused_start, signed

from audit.checkpoint import Signer, sign
from audit.note import Checkpoint
from audit.publishing import NotPublishedError, Standing
from governance.__main__ import main
from governance.wiring import assemble

ON_SQLITE = pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)
ON_POSTGRESQL = pytest.mark.parametrize("seeded_copy", ["postgres"], indirect=True)
Governance = Callable[..., Ran]


@pytest.fixture
def governance(house: Living, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Governance:
    """Run commands of the house, on its database or on another that is named by its URL."""
    for name in [name for name in os.environ if name.startswith("GOVERNANCE_")]:
        monkeypatch.delenv(name)

    def run(*words: str, url: str = "") -> Ran:
        environment = dict(threats.environment_of(house))
        environment["GOVERNANCE_DATABASE_URL"] = url or house.url
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        capsys.readouterr()
        code = main(words)
        return Ran(code, capsys.readouterr().out)

    return run


# --- the log's own rows


def edited(i: Insider, _first: int, second: int) -> None:
    i.alter(second - 1)


def removed(i: Insider, first: int, _second: int) -> None:
    i.remove(first)


def rewritten(i: Insider, first: int, _second: int) -> None:
    i.alter(first)
    i.rebuild()


def cut(i: Insider, first: int, second: int) -> None:
    i.remove(first, second)
    i.rebuild()
    i.run("DELETE FROM audit_checkpoint WHERE size > :first", first=first)


def told_anew(i: Insider, first: int, second: int) -> None:
    i.alter(second - 1)
    i.rebuild()
    i.run("DELETE FROM audit_checkpoint WHERE size > :first", first=first)


def signed_by_a_stranger(i: Insider, first: int, _second: int) -> None:
    origin = str(i.one("SELECT origin FROM audit_head"))
    note = sign(Signer(origin, b"\x2a" * 32), Checkpoint(origin, first + 1, b"\x01" * 32))
    i.run("INSERT INTO audit_checkpoint (size, note, t) VALUES (:s, :n, 0)", s=first + 1, n=note)


def tile_gone(i: Insider, _first: int, _second: int) -> None:
    i.run("DELETE FROM audit_tile WHERE level = 0 AND idx = 0")


def head_gone(i: Insider, _first: int, _second: int) -> None:
    i.run("DELETE FROM audit_head")


@pytest.mark.parametrize(
    ("deed", "code", "index", "starts"),
    [
        (edited, 1, lambda _first, second: second - 1, True),
        (removed, 1, lambda first, _second: first, True),
        (rewritten, 1, lambda first, _second: first, False),
        (cut, 2, lambda first, _second: first, False),
        (told_anew, 3, lambda first, _second: first, False),
        (signed_by_a_stranger, 4, lambda first, _second: first + 1, True),
        (tile_gone, 5, lambda _first, _second: 0, True),
        (head_gone, 5, lambda _first, _second: 0, False),
    ],
)
def test_a_deed_on_the_log_has_its_exit_code_and_its_place(
    house: Living,
    governance: Governance,
    deed: Deed,
    code: int,
    index: Callable[[int, int], int],
    starts: bool,  # noqa: FBT001 - a column of the table
) -> None:
    first, second = grown_twice(house)
    assert governance("audit", "verify").code == 0
    assert refused_start(house.settings, house.clock) == ""
    deed(Insider(house.service.database), first, second)
    found = governance("audit", "verify", "--json")
    assert (found.code, found.document["first_bad_index"]) == (code, index(first, second))
    assert f"first bad index: {index(first, second)}" in governance("audit", "verify").out.splitlines()
    assert (refused_start(house.settings, house.clock) == "") is starts


@pytest.mark.parametrize(
    ("statement", "column"),
    [
        ("UPDATE audit_entry SET act = 'write' WHERE leaf_index = :at", "act"),
        ("UPDATE audit_entry SET actor_id = 'stf_nobody' WHERE leaf_index = :at", "actor_id"),
        ("UPDATE audit_entry SET t = t + 3600000 WHERE leaf_index = :at", "t"),
        ("DELETE FROM audit_subject WHERE leaf_index = :at", "subject"),
        ("UPDATE audit_subject SET t = t + 1 WHERE leaf_index = :at", "subject"),
        ("DELETE FROM audit_term WHERE leaf_index = :at", "term"),
        ("UPDATE audit_term SET term = term + 1 WHERE leaf_index = :at", "term"),
    ],
)
def test_a_copy_that_is_searched_is_compared_with_its_leaf(
    house: Living, governance: Governance, statement: str, column: str
) -> None:
    _, second = grown_twice(house)
    assert governance("audit", "reindex").code == 0
    assert governance("audit", "reindex", "--check").code == 0
    insider = Insider(house.service.database)
    insider.run(statement, at=second - 1)
    differ = [{"index": second - 1, "column": column}]
    for words in (("verify",), ("reindex", "--check")):
        found = governance("audit", *words, "--json")
        assert (found.code, found.document["altered_copies"]) == (1, differ)


# --- the whole database


def test_a_database_put_back_from_a_copy_does_not_start_and_is_told_as_rolled_back(
    house: Living, governance: Governance, tmp_path: Path
) -> None:
    first = signed(house.service, house.clock())
    house.service.close()
    with threats.copied(house, tmp_path) as copy:
        threats.put_back(house, copy)
        assert refused_start(house.settings, house.clock) == ""  # nothing was signed since
        later = assemble(house.settings, clock=house.clock)
        assert signed(later, house.clock()) > first
        later.close()
        assert governance("audit", "verify").code == 0
        threats.put_back(house, copy)
    assert "rollback" in refused_start(house.settings, house.clock)
    found = governance("audit", "verify", "--json")
    assert (found.code, found.document["first_bad_index"]) == (2, first)
    assert found.document["size"] == first


@pytest.mark.parametrize("ahead", [0, 2], ids=["the same size", "a longer one"])
def test_of_two_services_with_one_lock_store_one_cannot_sign(
    house: Living, governance: Governance, tmp_path: Path, ahead: int
) -> None:
    first = signed(house.service, house.clock())
    house.service.close()
    with threats.copied(house, tmp_path) as copy:
        ours = assemble(house.settings, clock=house.clock)
        theirs = assemble(threats.replace(house.settings, database_url=copy), clock=house.clock)
        try:
            threats.read_names(theirs, house.clock(), 3 + ahead)
            theirs.log.settle()
            won = signed(ours, house.clock(), 3)
            with pytest.raises(NotPublishedError) as caught:
                theirs.log.checkpoints.publish(house.clock())
            assert caught.value.standing is Standing.FORK
        finally:
            ours.close()
            theirs.close()
        assert governance("audit", "verify").code == 0
        found = governance("audit", "verify", "--json", url=copy)
        assert found.code == 3
        assert found.document["size"] == won + ahead
        assert found.document["first_bad_index"] == first
        assert "fork" in refused_start(threats.replace(house.settings, database_url=copy), house.clock)
