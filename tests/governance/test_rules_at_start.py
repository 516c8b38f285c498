"""With which rules a service starts, and which stop it; and what an archive of rules is."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from living import Living, settings_of

from governance.settings import Profile
from governance.starting import StartError
from governance.wiring import Service, assemble, initialise
from policies.archive import ArchiveError, pack, texts_of, unpack
from policies.book import BookError, fingerprint, packaged_rules

NO_MOBILE = "p, agent, *, category:contact.phone, read.exists, *, service.delivery, -, deny, -, S-AG-99, S6\n"


def in_force(service: Service) -> str:
    with service.database.reading() as tx:
        return service.keeper.fingerprint(tx)


def folder_of(tmp_path: Path) -> Path:
    folder = Path(shutil.copytree(packaged_rules(), tmp_path / "given"))
    with (folder / "grants.csv").open("a", encoding="utf-8") as file:
        file.write(NO_MOBILE)
    return folder


def test_a_home_without_rules_in_force_does_not_start(house: Living) -> None:
    house.sql("DELETE FROM rule_pointer")
    house.service.close()
    with pytest.raises(StartError, match="governance init"):
        assemble(house.settings)
    initialise(house.settings)
    assemble(house.settings).close()


def test_in_dev_another_folder_is_put_in_force_by_the_operator_and_the_log_says_so(
    house: Living, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path)
    given = replace(house.settings, rules=folder, rules_given=True)
    for _ in range(2):
        service = assemble(given, clock=house.clock)
        assert in_force(service) == fingerprint(folder)
        service.close()
    published = [entry for entry in house.log() if entry.act == "rules.published"]
    assert [entry.actor.party.id for entry in published] == ["operator", "operator"]
    assert published[-1].policy == fingerprint(folder)


def test_in_prod_a_folder_that_nobody_published_stops_the_start(house: Living, tmp_path: Path) -> None:
    given = replace(house.settings, rules=folder_of(tmp_path), rules_given=True, profile=Profile.PROD)
    with pytest.raises(StartError, match="second person"):
        assemble(given, clock=house.clock)
    same = replace(given, rules=packaged_rules())
    assemble(same, clock=house.clock).close()


def test_a_faulty_folder_makes_nothing(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    (folder / "roles.toml").unlink()
    home = tmp_path / "home"
    settings = replace(settings_of(home, f"sqlite:///{home}/g.sqlite"), rules=folder, rules_given=True)
    with pytest.raises(BookError):
        initialise(settings)
    assert not home.exists()


def test_rules_in_force_that_this_program_cannot_use_stop_the_start(house: Living) -> None:
    house.sql("UPDATE rule_pointer SET fingerprint = 'none'")
    with pytest.raises(StartError, match="cannot be used"):
        assemble(house.settings)


def test_an_unpacked_archive_leads_nowhere_else(tmp_path: Path) -> None:
    archive = pack(packaged_rules())
    assert fingerprint_of(archive, tmp_path) == fingerprint(packaged_rules())
    for name in ("../grants.csv", "/etc/passwd", "lexicon/../x.toml", "lexicon/x.py"):
        hostile: Any = {**texts_of(archive), name: "x"}
        body = json.dumps(hostile, ensure_ascii=False, sort_keys=True, indent=0).encode()
        with pytest.raises(ArchiveError):
            unpack(body, tmp_path / "hostile")
    for body in (b"", b"[]", b"{", archive + b"\n", archive.replace(b'": "', b'":"', 1)):
        with pytest.raises(ArchiveError):
            texts_of(body)


def fingerprint_of(archive: bytes, tmp_path: Path) -> str:
    folder = tmp_path / "unpacked"
    folder.mkdir()
    unpack(archive, folder)
    return fingerprint(folder)
