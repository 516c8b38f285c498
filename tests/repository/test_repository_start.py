"""A start that must not happen does not happen, and says everything that is wrong at once."""

from __future__ import annotations

import os
import stat
from importlib.metadata import distributions
from pathlib import Path

import apsw
import pytest
from living import PROD

from audit.publishing import Standing
from governance import outside, wiring, witnesssettings
from governance.settings import NAMES, Profile, Settings, SettingsError, read_settings
from governance.sqlite import SqliteDatabase, journal_pragmas
from policies.book import packaged_rules
from policies.distributions import TwinDistributionsError, providers, refuse_twin_distributions
from redaction.keys import KeyRing
from redaction.logkeys import KeyRingError

JOURNALS = [
    ((3, 40, 1), ("DELETE", "EXTRA")),
    ((3, 51, 2), ("DELETE", "EXTRA")),
    ((3, 51, 3), ("WAL", "FULL")),
    ((3, 54, 1), ("WAL", "FULL")),
    ((4, 0, 0), ("WAL", "FULL")),
]


@pytest.mark.parametrize(("version", "pragmas"), JOURNALS, ids=[".".join(map(str, v)) for v, _ in JOURNALS])
def test_the_write_ahead_log_is_used_only_where_its_reset_is_mended(
    version: tuple[int, ...], pragmas: tuple[str, str]
) -> None:
    assert journal_pragmas(version) == pragmas


def test_the_sqlite_that_comes_along_has_the_mended_reset_and_runs_fully_durable(tmp_path: Path) -> None:
    assert tuple(map(int, apsw.sqlite_lib_version().split("."))) >= (3, 51, 3)
    path = tmp_path / "governance.sqlite"
    path.touch()
    database = SqliteDatabase(path)
    connection = database._connect()
    pragmas = {
        name: connection.execute(f"PRAGMA {name}").fetchall()[0][0]
        for name in ("journal_mode", "synchronous", "secure_delete", "trusted_schema")
    }
    connection.close()
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1, "trusted_schema": 0}


def test_no_two_distributions_own_the_casbin_package_here() -> None:
    refuse_twin_distributions()
    assert providers() == ("pycasbin",)


def test_two_distributions_of_the_casbin_package_stop_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    assert providers(["casbin", "pycasbin", "casbin-sqlalchemy-adapter"]) == ("casbin", "pycasbin")
    monkeypatch.setattr("policies.distributions.providers", lambda: ("casbin", "pycasbin"))
    with pytest.raises(TwinDistributionsError):
        refuse_twin_distributions()


def test_no_installed_distribution_lays_a_package_over_one_of_ours() -> None:
    rooms = set(wiring.ROOMS)
    others = {
        found.name
        for found in distributions()
        if found.name != "household-governance"
        and rooms & {file.parts[0] for file in found.files or () if len(file.parts) > 1}
    }
    assert others == set()


def test_every_fault_of_the_settings_is_named_at_once(tmp_path: Path) -> None:
    environment = {
        "GOVERNANCE_HOEM": "spelt wrongly",
        "GOVERNANCE_PROFILE": "production",
        "GOVERNANCE_DATABASE_URL": "mysql://somewhere",
        "GOVERNANCE_RULES": str(tmp_path / "nowhere"),
        "GOVERNANCE_TENANT": "",
        "GOVERNANCE_PUBLIC_URL": "https://pdp.example/with/a/path",
        "PATH": "what others set is not ours to judge",
    }
    with pytest.raises(SettingsError) as stopped:
        read_settings(environment, packaged_rules())
    lines = str(stopped.value).splitlines()
    assert {line.partition(":")[0] for line in lines} == environment.keys() - {"PATH"}


def test_a_fault_of_the_settings_does_not_repeat_what_was_set() -> None:
    environment = {
        "GOVERNANCE_DATABASE_URL": "mysql://user:canary-7f3a@host/db",
        "GOVERNANCE_X": "canary-7f3a",
    }
    with pytest.raises(SettingsError) as stopped:
        read_settings(environment, packaged_rules())
    assert "canary-7f3a" not in str(stopped.value)


def test_a_setting_can_stand_in_a_file_but_not_in_two_places(tmp_path: Path) -> None:
    url = tmp_path / "url"
    url.write_text("postgresql+psycopg://db.example/governance\n", encoding="utf-8")
    environment = {"GOVERNANCE_DATABASE_URL_FILE": str(url), "GOVERNANCE_HOME": str(tmp_path)}
    assert read_settings(environment, packaged_rules()).database_url == url.read_text().strip()
    with pytest.raises(SettingsError, match="is set as well"):
        read_settings({**environment, "GOVERNANCE_DATABASE_URL": "sqlite:///x"}, packaged_rules())


def test_with_nothing_set_the_embedded_engine_serves_from_a_home_of_its_own() -> None:
    settings = read_settings({}, packaged_rules())
    assert settings.home.name == ".governance"
    assert settings.on_sqlite
    assert settings.profile is Profile.DEV
    assert settings.public_url == "http://127.0.0.1:8080"
    names = {"HOME", "DATABASE_URL", "RULES", "PROFILE", "TENANT", "PUBLIC_URL", "WEBHOOK_LOOPBACK"}
    assert set(NAMES) == {*names, *outside.NAMES, *witnesssettings.NAMES}
    assert not settings.webhook_loopback


HTTPS = "https"


@pytest.mark.parametrize(
    "url",
    [
        *("http://pdp.example", "https://pdp.example/", "https://pdp.example?a=b", "https://pdp.example#a"),
        *(f"{HTTPS}://", f"{HTTPS}://a b.example", f"{HTTPS}://user@pdp.example", f"{HTTPS}://PDP.example"),
        *(
            f"{HTTPS}://pdp.example:0",
            f"{HTTPS}://pdp.example:999999",
            f"{HTTPS}://pdp.example\n",
            "pdp.example",
        ),
    ],
)
def test_a_public_address_is_https_and_a_host_and_nothing_else(url: str) -> None:
    for profile in Profile:
        environment = {**PROD, "GOVERNANCE_PUBLIC_URL": url, "GOVERNANCE_PROFILE": profile.value}
        with pytest.raises(SettingsError, match="GOVERNANCE_PUBLIC_URL: https, a host"):
            read_settings(environment, packaged_rules())


def test_the_public_address_of_prod_is_said_and_never_guessed() -> None:
    unsaid = {name: value for name, value in PROD.items() if name != "GOVERNANCE_PUBLIC_URL"}
    with pytest.raises(SettingsError, match="PUBLIC_URL: prod needs it"):
        read_settings(unsaid, packaged_rules())
    said = read_settings({**PROD, "GOVERNANCE_PUBLIC_URL": f"{HTTPS}://pdp.example:8443"}, packaged_rules())
    assert said.public_url == f"{HTTPS}://pdp.example:8443"
    with pytest.raises(SettingsError, match="PUBLIC_URL: https"):
        read_settings({**PROD, "GOVERNANCE_PUBLIC_URL": "http://127.0.0.1:8080"}, packaged_rules())


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o601])
def test_a_key_ring_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "keys.json"
    KeyRing.create(path, "household")
    path.chmod(mode)
    with pytest.raises(KeyRingError, match="chmod 600"):
        KeyRing.load(path)


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_key_ring_that_only_its_owner_can_read_is_accepted(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "keys.json"
    made = KeyRing.create(path, "household")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(mode)
    assert KeyRing.load(path) == made


def test_two_deployments_share_no_key(tmp_path: Path) -> None:
    one = KeyRing.create(tmp_path / "one.json", "household")
    two = KeyRing.create(tmp_path / "two.json", "household")
    names = ("tenant_key", "index_key", "log_key", "permit_key", "pepper", "cursor_key")
    assert len({getattr(ring, name) for ring in (one, two) for name in names}) == 12
    assert not any(getattr(one, name).hex() in repr(one) for name in names)


def test_a_home_is_for_its_owner_only_even_if_it_was_open_before(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    wiring.initialise(read_settings({"GOVERNANCE_HOME": str(home)}, packaged_rules()))
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    open_to_others = [file.name for file in home.iterdir() if stat.S_IMODE(file.stat().st_mode) & 0o077]
    assert set(open_to_others) <= {"governance.sqlite"}  # lies in the closed folder; its values are sealed
    assert os.access(home / "keys.json", os.R_OK)


def test_serving_makes_nothing_that_is_missing(tmp_path: Path) -> None:
    settings = read_settings({"GOVERNANCE_HOME": str(tmp_path / "home")}, packaged_rules())
    with pytest.raises(wiring.StartError, match="governance init"):
        wiring.assemble(settings)
    assert not settings.home.exists()


def home_of(tmp_path: Path) -> Settings:
    settings = read_settings({"GOVERNANCE_HOME": str(tmp_path / "home")}, packaged_rules())
    wiring.initialise(settings)
    return settings


def test_a_database_that_is_gone_stops_the_start_and_is_not_made_anew(tmp_path: Path) -> None:
    settings = home_of(tmp_path)
    file = settings.home / "governance.sqlite"
    file.unlink()
    with pytest.raises(wiring.StartError, match="governance init"):
        wiring.assemble(settings)
    assert not file.exists()


@pytest.mark.parametrize("revision", ["0000", "9999"])
def test_a_database_with_the_schema_of_another_version_stops_the_start(tmp_path: Path, revision: str) -> None:
    settings = home_of(tmp_path)
    connection = apsw.Connection(str(settings.home / "governance.sqlite"))
    connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    connection.close()
    with pytest.raises(wiring.StartError, match="another version"):
        wiring.assemble(settings)


def test_a_home_as_it_was_made_starts(tmp_path: Path) -> None:
    service = wiring.assemble(home_of(tmp_path))
    standing = service.log.checkpoints.examine()
    service.close()
    assert standing is Standing.OK
