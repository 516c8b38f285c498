"""Backups of a house's database: taken while it serves, put back when it does not."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import psycopg
from living import Living
from sqlalchemy.engine import make_url

from governance.settings import Settings


def taken(house: Living, name: str = "backup") -> str:
    """Copy the database as a backup does; return the URL of the copy."""
    if house.engine == "sqlite":
        house.sql("PRAGMA wal_checkpoint(TRUNCATE)")
        copy = house.settings.home.with_name(name)
        shutil.copy(house.settings.home / "governance.sqlite", copy)
        return f"sqlite:///{copy}"
    url = make_url(house.url)
    plain = url.set(drivername="postgresql", database="postgres").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        # A template must have no users; the house's own steps aside meanwhile.
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [url.database]
        )
        connection.execute(f"CREATE DATABASE {url.database}_{name} TEMPLATE {url.database}")
    house.service.database._pool.check()  # type: ignore[attr-defined]
    return url.set(database=f"{url.database}_{name}").render_as_string(hide_password=False)


def put_back(house: Living, backup: str) -> Settings:
    """Put a copy in the place of the database of a house that was closed; return the settings it has then."""
    if house.engine == "postgres":
        return replace(house.settings, database_url=backup)
    for file in house.settings.home.glob("governance.sqlite*"):
        file.unlink()
    shutil.copy(Path(backup.removeprefix("sqlite:///")), house.settings.home / "governance.sqlite")
    return house.settings
