"""Rules that outlive their program: what a start after an upgrade does with them, and what only people do."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from living import Living

from governance import world
from governance.starting import StartError
from governance.wiring import assemble, initialise
from policies.archive import pack
from policies.book import BookError, fingerprint, load_book, packaged_rules
from policies.terms import ActorId

OFFICER = ActorId(world.OFFICER.id)
NO_MOBILE = "p, agent, *, category:contact.phone, read.exists, *, service.delivery, -, deny, -, S-AG-99, S6\n"


@pytest.fixture
def older(tmp_path: Path) -> tuple[bytes, str]:
    """Rules of an earlier program: purposes without what this one asks of them."""
    folder = Path(shutil.copytree(packaged_rules(), tmp_path / "older"))
    path = folder / "purposes.toml"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(one for one in lines if not one.startswith("retention_days")), encoding="utf-8")
    with pytest.raises(BookError):
        load_book(folder)
    return pack(folder), fingerprint(folder)


def test_after_an_upgrade_packaged_rules_that_have_outlived_their_program_are_replaced(
    house: Living, older: tuple[bytes, str]
) -> None:
    house.service.desk.establish(*older, "init", house.clock())
    house.service.close()
    with pytest.raises(StartError, match="after an upgrade: governance init"):
        assemble(house.settings)
    initialise(house.settings)
    again = assemble(house.settings, clock=house.clock)
    assert again.rules.book.fingerprint == load_book(packaged_rules()).fingerprint
    log = Living(house.settings, again, house.keys, house.clock).log()
    last = [one for one in log if one.act == "rules.published"][-1]
    assert (last.policy, last.actor.party.id) == (again.rules.book.fingerprint, "operator")
    again.close()


def test_what_people_published_is_replaced_only_by_the_folder_that_the_operator_names(
    house: Living, older: tuple[bytes, str], tmp_path: Path
) -> None:
    house.service.desk.draft(*older, "ours", OFFICER, house.clock())
    house.service.desk.establish(*older, "ours", house.clock())
    house.service.close()
    with pytest.raises(StartError, match="GOVERNANCE_RULES=FOLDER governance init"):
        initialise(house.settings)
    mended = Path(shutil.copytree(packaged_rules(), tmp_path / "mended"))
    grants = mended / "grants.csv"
    grants.write_text(grants.read_text(encoding="utf-8") + NO_MOBILE, encoding="utf-8")
    initialise(replace(house.settings, rules=mended, rules_given=True))
    again = assemble(house.settings, clock=house.clock)
    assert again.rules.book.fingerprint == fingerprint(mended)
    again.close()


def test_a_pointer_that_was_forged_is_not_mended_by_starting_anew(
    house: Living, older: tuple[bytes, str]
) -> None:
    house.service.desk.establish(*older, "init", house.clock())
    house.sql("UPDATE rule_pointer SET number = 1")
    house.service.close()
    initialise(house.settings)
    with pytest.raises(StartError, match="cannot be used"):
        assemble(house.settings)
