"""Settings from the environment, read once, all faults at once.

Every name is listed here; an unknown ``GOVERNANCE_*`` name stops the start, because a misspelt safety
setting that is silently ignored is worse than none. Any setting can be read from a file by the name
with ``_FILE`` added, so that secrets need not stand in the environment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from governance import outside, witnesssettings
from governance.outside import Outside, read_outside
from governance.witnesssettings import UNWATCHED, Watched, read_watched

_PREFIX: Final = "GOVERNANCE_"
NAMES: Final = {
    "HOME": "the folder of key ring, database and lock store; made 0700 (default ./.governance)",
    "DATABASE_URL": "postgresql+psycopg://… or sqlite:///FILE (default: SQLite in the home)",
    "RULES": "a folder of rule files; without it the version in force, at first the packaged rules",
    "PROFILE": "dev or prod; prod refuses weak set-ups (default dev)",
    "TENANT": "the controller's name, bound into every sealed value at init (default household)",
    "PUBLIC_URL": "the https address of API and pages, without a path; prod needs it (dev: this machine's)",
    "WEBHOOK_LOOPBACK": "allow: webhooks may go to this machine, over http as well; dev only (default no)",
    **outside.NAMES,
    **witnesssettings.NAMES,
}
_PORT: Final = r"(?::[1-9][0-9]{0,4})?"
_PUBLIC: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?" + _PORT)
_LOCAL: Final = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\])" + _PORT)
_DEV_URL: Final = "http://127.0.0.1:8080"


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
    webhook_loopback: bool = False
    watched: Watched = UNWATCHED

    @property
    def public_url(self) -> str:
        """The base of every address that we name; never the Host header, which a caller writes."""
        return self.outside.site

    @property
    def key_ring(self) -> Path:
        """The key ring file."""
        return self.home / "keys.json"

    @property
    def lock_store(self) -> Path:
        """The last signed checkpoint, outside the database."""
        return self.home / "checkpoint.lock"

    @property
    def lost_notes(self) -> Path:
        """Which signed states of the log officers gave up for a backup; made when it happens."""
        return self.home / "checkpoint.lost"

    @property
    def erasures(self) -> Path:
        """Who was erased, outside the database as well: what a backup must not bring back."""
        return self.home / "erasures.jsonl"

    @property
    def on_sqlite(self) -> bool:
        """Whether the embedded engine is in use."""
        return self.database_url.startswith("sqlite:")


def read_settings(environment: Mapping[str, str], packaged_rules: Path) -> Settings:
    """Return the settings, or raise ``SettingsError`` naming every fault."""
    faults: list[str] = []
    given = _given(environment, faults)
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
    public_url = _public_url(given, faults, in_dev=profile == Profile.DEV)
    faults.extend(_faults_of_loopback(given, profile))

    def fault(word: str, sentence: str) -> None:
        faults.append(f"{_PREFIX}{word}: {sentence}")

    towards = read_outside(given, tenant, public_url, fault, strict=profile == Profile.PROD)
    loopback = "WEBHOOK_LOOPBACK" in given
    watched = read_watched(given, fault, mail=towards.mail is not None, loopback=loopback)
    if faults:
        raise SettingsError("\n".join(faults))
    return Settings(
        home,
        url,
        rules,
        "RULES" in given,
        Profile(profile),
        tenant,
        towards,
        loopback,
        watched,
    )


def _given(environment: Mapping[str, str], faults: list[str]) -> dict[str, str]:
    """Return what the environment says, by name without the prefix; a name ending in _FILE is read."""
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
    return given


def _public_url(given: Mapping[str, str], faults: list[str], *, in_dev: bool) -> str:
    if not in_dev and "PUBLIC_URL" not in given:
        faults.append(f"{_PREFIX}PUBLIC_URL: prod needs it: receipts and messages say where to withdraw")
        return ""
    url = given.get("PUBLIC_URL") or _DEV_URL
    scheme, _, host = url.partition("://")
    local = in_dev and scheme == "http" and _LOCAL.fullmatch(host)
    if not local and (scheme != "https" or not _PUBLIC.fullmatch(host)):
        # No path either: discovery would look for our metadata at another address than we serve it at.
        faults.append(f"{_PREFIX}PUBLIC_URL: https, a host, a port if need be, and nothing after it")
    return url


def _faults_of_loopback(given: Mapping[str, str], profile: str) -> list[str]:
    if given.get("WEBHOOK_LOOPBACK") is None or (given["WEBHOOK_LOOPBACK"], profile) == (
        "allow",
        Profile.DEV,
    ):
        return []
    return [f"{_PREFIX}WEBHOOK_LOOPBACK: only allow, and only with the profile dev"]
