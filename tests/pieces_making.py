"""Puts a log into narrow pieces, so that a test need not append a million entries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
import pytest

from audit import partitions

WHOLES = ("audit_entry", "audit_subject")


def as_owner(url: str, *statements: str) -> list[Sequence[Any]]:
    """Run statements as who owns the tables; return the rows of the last."""
    with psycopg.connect(url.replace("+psycopg", "", 1), autocommit=True) as connection:
        cursor = connection.cursor()
        for one in statements:
            cursor.execute(one)
        return cursor.fetchall() if cursor.description else []


def narrow(url: str, width: int, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the first piece end above ``size``, and all further pieces have ``width`` places.

    What there is stays in the first piece; the function that is called by the log gets another number.
    """
    beyond = (size // width + 1) * width
    for whole in WHOLES:
        as_owner(
            url,
            f"DROP TABLE {whole}_p{partitions.WIDTH}",
            f"ALTER TABLE {whole} DETACH PARTITION {whole}_p0",
            f"SELECT audit_piece_joins('{whole}', '{whole}_p0', 0, {beyond})",
        )
    [ahead] = [one for one in partitions.POSTGRESQL if "FUNCTION audit_partitions_ahead()\n" in one]
    as_owner(url, ahead.replace(str(partitions.WIDTH), str(width)), "SELECT audit_partitions_ahead()")
    monkeypatch.setattr(partitions, "WIDTH", width)


def pieces(url: str, whole: str = "audit_entry") -> list[tuple[int, int]]:
    """Return from where to where the pieces of a table reach, in order."""
    return [(row[0], row[1]) for row in as_owner(url, f"SELECT lowest, beyond FROM audit_pieces('{whole}')")]
