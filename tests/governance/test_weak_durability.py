"""A start in prod is refused where an answered commit could still be lost, on each engine by its settings."""

from __future__ import annotations

from dataclasses import replace

import pytest
from living import Living

from governance.settings import Profile
from governance.starting import StartError
from governance.wiring import assemble, open_database


@pytest.mark.parametrize("seeded_copy", ["postgres"], indirect=True)
@pytest.mark.parametrize(
    ("value", "weak"),
    [("off", True), ("local", True), ("remote_write", True), ("on", False), ("remote_apply", False)],
)
def test_a_server_that_acknowledges_before_the_disk_has_it_is_refused(
    house: Living, value: str, weak: bool
) -> None:
    name = house.sql("SELECT current_database()")[0][0]
    house.sql(f"ALTER DATABASE {name} SET synchronous_commit = {value}")
    strict = replace(house.settings, profile=Profile.PROD)
    if weak:
        with pytest.raises(StartError, match=f"synchronous_commit is {value}"):
            assemble(strict)
    else:
        assemble(strict).close()


@pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)
@pytest.mark.parametrize("pragma", ["synchronous=NORMAL", "synchronous=OFF", "fullfsync=OFF"])
def test_a_connection_that_does_not_wait_for_the_disk_is_refused(house: Living, pragma: str) -> None:
    database = open_database(house.url)
    assert database.weaknesses() == []
    with database.reading() as tx:
        connection = tx._connection  # type: ignore[attr-defined]  # as if it had been opened otherwise
    connection.execute(f"PRAGMA {pragma}")
    strict = replace(house.settings, profile=Profile.PROD)
    with pytest.raises(StartError, match=pragma.partition("=")[0]):
        assemble(strict, database=database)
