"""A living house for tests: the seeded world on either engine, called over HTTP without a network.

The world is seeded once per engine and session and then copied, because a copy costs some milliseconds
and a seeding some hundred. Nothing of ours is replaced by a fake: the application, the gate, the database,
the keys and the rules are the real ones; only the clock is ours, and it moves when a test says so.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import apsw
import httpx2
import psycopg
from fastapi import FastAPI

from audit import ledger, reading
from audit.entry import Entry, decode
from governance import identity, seeding, world
from governance.app import build
from governance.settings import Settings, read_settings
from governance.wiring import Service, assemble, initialise
from policies.book import packaged_rules
from policies.terms import ActorId

START = 1_795_312_800_000
"""2026-11-22T02:00:00Z: when the world was seeded. 小满 is nine."""
PROD = {
    "GOVERNANCE_PROFILE": "prod",
    "GOVERNANCE_CONTROLLER_NAME": "张家小铺有限公司",
    "GOVERNANCE_CONTROLLER_ADDRESS": "上海市示例路1号",
    "GOVERNANCE_CONTROLLER_CONTACT": "privacy@house.example",
    "GOVERNANCE_PUBLIC_URL": "https://house.example",
}
"""What an environment must say before a start in prod is allowed."""
MINUTE = 60_000
DAY = 24 * 60 * MINUTE


class Clock:
    """Milliseconds since the epoch; stands still until a test moves it."""

    def __init__(self, now: int = START + MINUTE) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now

    def advance(self, milliseconds: int) -> None:
        self.now += milliseconds


@dataclass(frozen=True)
class Template:
    """A seeded home that is never served, only copied."""

    home: Path
    url: str
    keys: Mapping[str, str]


def settings_of(home: Path, url: str) -> Settings:
    environment = {"GOVERNANCE_HOME": str(home), "GOVERNANCE_DATABASE_URL": url}
    return read_settings(environment, packaged_rules())


def seed(home: Path, url: str) -> Template:
    """Bring the world to life in an empty home and database."""
    settings = settings_of(home, url)
    initialise(settings)
    service = assemble(settings, clock=lambda: START)
    keys = dict(seeding.seed_once(service))
    service.close()
    return Template(home, url, keys)


def copy_home(template: Template, home: Path, url: str) -> Settings:
    """Copy a home, on SQLite with its database; a PostgreSQL database is copied by its server."""
    shutil.copytree(template.home, home)
    return settings_of(home, url)


@dataclass(frozen=True)
class Living:
    """A house of one test: its service, its callers' credentials and its clock."""

    settings: Settings
    service: Service
    keys: Mapping[str, str]
    clock: Clock

    @property
    def url(self) -> str:
        return self.settings.database_url

    @property
    def engine(self) -> str:
        return "sqlite" if self.settings.on_sqlite else "postgres"

    def key(self, office: world.Office) -> str:
        return self.keys[office.id]

    def sql(self, *statements: str) -> list[Sequence[Any]]:
        """Run statements past the service, as an insider with the database's own tools would."""
        if self.settings.on_sqlite:
            connection = apsw.Connection(self.url.removeprefix("sqlite:///"))
            try:
                return [row for one in statements for row in connection.execute(one).fetchall()]
            finally:
                connection.close()
        with psycopg.connect(self.url.replace("+psycopg", "", 1), autocommit=True) as connection:
            found: list[Sequence[Any]] = []
            for one in statements:
                cursor = connection.execute(one)  # type: ignore[call-overload]
                found += cursor.fetchall() if cursor.description else []
            return found

    def sign_in(self, person: world.Person | world.Office) -> str:
        """Return a session token, got through a single-use link as people get it."""
        with self.service.database.transaction() as tx:
            link = identity.issue_link(tx, ActorId(person.id), self.clock())
            session = identity.redeem_link(tx, link, self.clock())
            tx.commit()
        assert session is not None
        return session

    def size(self) -> int:
        """Return how many entries the log has, without checking them."""
        self.service.log.settle()
        with self.service.database.reading() as tx:
            return ledger.head(tx).size

    def place(self, told: Mapping[str, Any]) -> int:
        """Return where the entry of an answer stands; the answer says so too, where it could know."""
        self.service.log.settle()
        with self.service.database.reading() as tx:
            index = ledger.places_of(tx, [told["entry_id"]])[told["entry_id"]]
        assert told["receipt"] == index or (told["receipt"] is None and self.engine == "postgres")
        return index

    def verified(self) -> int:
        """Check the whole log from its bytes again; return how many entries it has."""
        self.service.log.settle()
        report = self.service.log.checkpoints.verify()
        assert (report.total, report.findings) == (0, ())
        return report.size

    def log(self) -> list[Entry]:
        """Return every entry, decoded from its leaf, in order."""
        size = self.verified()
        return [decode(leaf) for _, leaf in reading.leaves(self.service.database.reading, size)]


def revive(template: Template, home: Path, url: str) -> Living:
    """Start a house of its own on a copy of the template."""
    clock = Clock()
    settings = copy_home(template, home, url)
    return Living(settings, assemble(settings, clock=clock), template.keys, clock)


class Wire:
    """HTTP calls into one application, in this process; answers are those of the real routes."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        self._runner.run(self._open())

    async def _open(self) -> None:
        await self._stack.enter_async_context(self.app.router.lifespan_context(self.app))
        self._client = await self._stack.enter_async_context(
            httpx2.AsyncClient(
                transport=httpx2.ASGITransport(self.app), base_url="http://house.example", timeout=None
            )
        )

    def close(self) -> None:
        self._runner.run(self._stack.aclose())
        self._runner.close()

    def call(self, method: str, path: str, **how: Any) -> httpx2.Response:
        return self._runner.run(self._client.request(method, path, **how))

    def together(self, calls: Iterable[tuple[str, str, Mapping[str, Any]]]) -> list[httpx2.Response]:
        """Make all calls at once."""

        async def all_at_once() -> list[httpx2.Response]:
            return await asyncio.gather(*(self._client.request(m, p, **how) for m, p, how in calls))

        return self._runner.run(all_at_once())

    def run(self, work: Callable[[httpx2.AsyncClient], Awaitable[Any]]) -> Any:
        return self._runner.run(work(self._client))

    def post(self, path: str, body: object, *, key: str | None = None, **headers: str) -> httpx2.Response:
        return self.call("POST", path, content=spell(body), headers=sent(key, headers))

    def put(self, path: str, body: object, *, key: str | None = None, **headers: str) -> httpx2.Response:
        return self.call("PUT", path, content=spell(body), headers=sent(key, headers))

    def get(self, path: str, *, session: str | None = None, **headers: str) -> httpx2.Response:
        return self.call("GET", path, headers=sent(None, headers, session))


def spell(body: object) -> bytes:
    """Return a body as bytes; bytes stay what they are."""
    return body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()


def sent(key: str | None, headers: Mapping[str, str], session: str | None = None) -> dict[str, str]:
    """Return the headers of a JSON call with these credentials."""
    found = {"content-type": "application/json"}
    found |= {name.replace("_", "-"): value for name, value in headers.items()}
    if key is not None:
        found["authorization"] = f"Bearer {key}"
    if session is not None:
        found["cookie"] = f"governance_session={session}"
    return found


def wired(living: Living) -> Wire:
    """Serve a house over the wire. Closing the wire closes the house as the server does at its end."""
    return Wire(build(replace(living.service)))
