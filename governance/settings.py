"""Settings from the environment, read once, all faults at once.

Every name is listed here; an unknown ``GOVERNANCE_*`` name stops the start, because a misspelt safety
setting that is silently ignored is worse than none. Any setting can be read from a file by the name
with ``_FILE`` added, so that secrets need not stand in the environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from governance import outside
from governance.outside import Outside, read_outside

_PREFIX: Final = "GOVERNANCE_"
NAMES: Final = {
    "HOME": "the folder of key ring, database and lock store; made 0700 (default ./.governance)",
    "DATABASE_URL": "postgresql+psycopg://… or sqlite:///FILE (default: SQLite in the home)",
    "RULES": "a folder of rule files; without it the version in force, at first the packaged rules",
    "PROFILE": "dev or prod; prod refuses weak set-ups (default dev)",
    "TENANT": "the controller's name, bound into every sealed value at init (default household)",
    **outside.NAMES,
}


class Profile(StrEnum):
    """How strict the start is."""

    DEV = "dev"
    PROD = "prod"


class SettingsError(Exception):
    """One or more settings are wrong; the message lists all of them."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Where a deployment lives and how strict it is."""

    home: Path
    database_url: str
    rules: Path
    rules_given: bool
    profile: Profile
    tenant: str
    outside: Outside

    @property
    def key_ring(self) -> Path:
        """The key ring file."""
        return self.home / "keys.json"

    @property
    def lock_store(self) -> Path:
        """The last signed checkpoint, outside the database."""
        return self.home / "checkpoint.lock"

    @property
    def on_sqlite(self) -> bool:
        """Whether the embedded engine is in use."""
        return self.database_url.startswith("sqlite:")


def read_settings(environment: Mapping[str, str], packaged_rules: Path) -> Settings:
    """Return the settings, or raise ``SettingsError`` naming every fault."""
    faults: list[str] = []
    given: dict[str, str] = {}
    for name in sorted(key for key in environment if key.startswith(_PREFIX)):
        word = name.removeprefix(_PREFIX)
        plain = word.removesuffix("_FILE")
        if plain not in NAMES:
            faults.append(f"{name}: no such setting")
        elif word == plain:
            given.setdefault(plain, environment[name])
        elif _PREFIX + plain in environment:
            faults.append(f"{name}: {_PREFIX}{plain} is set as well")
        else:
            try:
                given[plain] = Path(environment[name]).read_text(encoding="utf-8").strip()
            except OSError as error:
                faults.append(f"{name}: cannot be read ({error.strerror})")
    faults.extend(f"{_PREFIX}{word}: empty" for word, value in given.items() if not value)
    home = Path(given.get("HOME") or ".governance").absolute()
    url = given.get("DATABASE_URL") or f"sqlite:///{home / 'governance.sqlite'}"
    if not url.startswith(("sqlite:///", "postgresql+psycopg://")):
        faults.append(f"{_PREFIX}DATABASE_URL: starts with sqlite:/// or postgresql+psycopg://")
    rules = Path(given.get("RULES") or packaged_rules)
    if not rules.is_dir():
        faults.append(f"{_PREFIX}RULES: no such folder")
    profile = given.get("PROFILE") or Profile.DEV.value
    if profile not in set(Profile):
        faults.append(f"{_PREFIX}PROFILE: dev or prod")
    tenant = given.get("TENANT") or "household"
    towards = read_outside(
        given,
        tenant,
        lambda word, sentence: faults.append(f"{_PREFIX}{word}: {sentence}"),
        strict=profile == Profile.PROD,
    )
    if faults:
        raise SettingsError("\n".join(faults))
    return Settings(home, url, rules, "RULES" in given, Profile(profile), tenant, towards)
