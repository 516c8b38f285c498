"""Changes one byte of the log, as an insider with the database's own tools would.

For demonstrations and drills: it goes around the service, drops the guard that keeps entries from being
updated, changes the last digit of one entry's time, and puts the guard back, so that nothing shows but
the tree. Never used by serving code.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import apsw
import psycopg
from sqlalchemy.engine import make_url

from audit.guards import SQLITE
from governance.settings import Settings

_TIME: Final = b'"t":'
_FIND: Final = "SELECT leaf_index, leaf FROM audit_entry WHERE dec = 'deny' ORDER BY leaf_index DESC LIMIT 1"
_FIND_PIECE: Final = _FIND.replace("leaf FROM", "leaf, tableoid::regclass::text FROM")
"""The guards of the table lie on each of its pieces."""
_TRIGGER: Final = "audit_entry_no_update"
_TRIGGER_PG: Final = "audit_entry_no_update_or_delete"


class NothingToTamperError(Exception):
    """The log holds no refusal that somebody might want to change."""

    def __init__(self) -> None:
        super().__init__("the log holds no refusal to change yet; run: governance demo play")


def one_byte_changed(leaf: bytes) -> bytes:
    """Return the leaf with the last digit of its time changed; everything else stays plausible."""
    start = leaf.index(_TIME) + len(_TIME)
    end = leaf.index(b",", start)
    digit = b"0" if leaf[end - 1 : end] == b"9" else bytes([leaf[end - 1] + 1])
    return leaf[: end - 1] + digit + leaf[end:]


def tamper(settings: Settings) -> int:
    """Change one byte of the newest refusal in the log and return its index."""
    if settings.on_sqlite:
        return _on_sqlite(Path(str(make_url(settings.database_url).database)))
    return _on_postgres(settings.database_url)


def _on_sqlite(path: Path) -> int:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        connection.set_busy_timeout(5_000)
        with connection:
            row: Any = connection.execute(_FIND).fetchone()
            if row is None:
                raise NothingToTamperError
            index, leaf = row
            connection.execute(f"DROP TRIGGER {_TRIGGER}")
            connection.execute(
                "UPDATE audit_entry SET leaf = ? WHERE leaf_index = ?", (one_byte_changed(leaf), index)
            )
            for statement in SQLITE["audit_entry"]:
                connection.execute(statement)
        return int(index)
    finally:
        connection.close()


def _on_postgres(url: str) -> int:
    with psycopg.connect(url.replace("postgresql+psycopg://", "postgresql://", 1)) as connection:
        row: Any = connection.execute(_FIND_PIECE).fetchone()
        if row is None:
            raise NothingToTamperError
        index, leaf, piece = row
        connection.execute(f"ALTER TABLE {piece} DISABLE TRIGGER {_TRIGGER_PG}")
        connection.execute(
            f"UPDATE {piece} SET leaf = %s WHERE leaf_index = %s",  # noqa: S608 (a table's own name)
            (one_byte_changed(bytes(leaf)), index),
        )
        connection.execute(f"ALTER TABLE {piece} ENABLE ALWAYS TRIGGER {_TRIGGER_PG}")
        return int(index)
