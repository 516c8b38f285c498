"""A leaf that somebody changed while it waited for its place: the log says so, and people hear of it."""

from __future__ import annotations

import json
import logging

import happenings
import pytest
from living import Living

from governance import world
from governance.__main__ import main

pytestmark = pytest.mark.parametrize("seeded_copy", ["postgres"], indirect=True)


@pytest.fixture(autouse=True)
def _settings(house: Living, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOVERNANCE_HOME", str(house.settings.home))
    monkeypatch.setenv("GOVERNANCE_DATABASE_URL", house.url)


def altered_on_its_way(house: Living) -> str:
    """Let somebody read, and an insider change what is to be logged of it; return the entry's id."""
    house.service.log.settle()
    house.service.gate.read([happenings.reading(world.ZHANG_LI.id, world.ZHANG_LI.id, "name")], house.clock())
    [[entry]] = house.sql("SELECT entry_id FROM audit_pending")
    house.sql(
        "ALTER TABLE audit_pending DISABLE TRIGGER ALL",
        "UPDATE audit_pending SET leaf = decode(replace(encode(leaf, 'hex'), '6d6974', '6d6973'), 'hex')",
    )
    return str(entry)


def test_an_alarm_is_logged_with_the_id_of_the_entry_that_was_altered(
    house: Living, caplog: pytest.LogCaptureFixture
) -> None:
    entry = altered_on_its_way(house)
    with caplog.at_level(logging.ERROR, "audit.sequencing"):
        size = house.size()
    [told] = caplog.records
    assert entry in told.getMessage()
    assert (told.levelname, told.entry_id) == ("ERROR", entry)
    alarm = house.log()[size - 1]
    assert (alarm.act, alarm.resource, told.alarm_id) == ("log.pending_altered", entry, alarm.id)


def test_an_alarm_is_logged_whoever_places_the_entry(house: Living, caplog: pytest.LogCaptureFixture) -> None:
    entry = altered_on_its_way(house)
    with caplog.at_level(logging.ERROR, "audit.sequencing"):
        happenings.withdraw(house, world.ZHANG_LI, "marketing.direct")
    assert [told.entry_id for told in caplog.records if told.name == "audit.sequencing"] == [entry]


def test_verify_tells_how_many_alarms_there_are_and_where_the_first_stands(
    house: Living, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", "verify"]) == 0
    assert "⚠" not in capsys.readouterr().out
    altered_on_its_way(house)
    first = house.size() - 1
    altered_on_its_way(house)
    house.size()
    assert main(["audit", "verify"]) == 0
    said = capsys.readouterr().out
    assert f"altered before they were placed: 2, the first alarm at {first}" in said
    assert "complete and unaltered；但见上文 ⚠ / but see ⚠ above" in said
    assert main(["audit", "verify", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["alarms"] == {"count": 2, "first_index": first}


def test_the_doctor_tells_it_and_is_well(house: Living, capsys: pytest.CaptureFixture[str]) -> None:
    altered_on_its_way(house)
    first = house.size() - 1
    main(["doctor", "--json"])
    found = {one["check"]: one for one in json.loads(capsys.readouterr().out)["checks"]}
    history = found["history of the log"]
    assert history["well"]
    assert f"the first alarm at {first}" in history["detail"]
