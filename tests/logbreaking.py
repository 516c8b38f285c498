"""What the owner of the database can do to the log: drop its guards and write what they like."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text

from audit.partitions import WIDTH
from audit.tiles import grow
from audit.tree import EMPTY, extend, leaf_hash, root
from governance.database import Database
from governance.sqlite import SqliteDatabase

_GUARDS = {
    True: (
        "SELECT name FROM sqlite_master WHERE type = 'trigger' AND substr(tbl_name, 1, 6) = 'audit_'",
        "DROP TRIGGER {}",
    ),
    False: (
        "SELECT tablename FROM pg_tables WHERE left(tablename, 6) = 'audit_'",
        "ALTER TABLE {} DISABLE TRIGGER ALL",
    ),
}
"""How the guards are listed and dropped, on SQLite and elsewhere."""


class Insider:
    """Somebody who owns the database: drops the guards and writes what they like."""

    def __init__(self, database: Database) -> None:
        self._database = database
        listing, dropping = _GUARDS[isinstance(database, SqliteDatabase)]
        with database.reading() as tx:
            names = [row[0] for row in tx.rows(text(listing))]
        for name in names:
            self.run(dropping.format(name))

    def run(self, statement: str, **values: object) -> None:
        with self._database.transaction() as tx:
            tx.run(text(statement), values)
            tx.commit()

    def one(self, statement: str, **values: object) -> Any:
        with self._database.reading() as tx:
            return tx.rows(text(statement), values)[0][0]

    def leaf(self, index: int) -> bytes:
        return bytes(self.one("SELECT leaf FROM audit_entry WHERE leaf_index = :i", i=index))

    def put_leaf(self, index: int, leaf: bytes) -> None:
        self.run("UPDATE audit_entry SET leaf = :leaf WHERE leaf_index = :i", i=index, leaf=leaf)

    def alter(self, index: int) -> None:
        self.put_leaf(index, self.leaf(index).replace(b'"permit"', b'"deny"'))

    def swap(self, one: int, other: int) -> None:
        first, second = self.leaf(one), self.leaf(other)
        self.put_leaf(one, second)
        self.put_leaf(other, first)

    def remove(self, first: int, last: int | None = None) -> None:
        span = {"a": first, "b": first if last is None else last}
        self.run("DELETE FROM audit_entry WHERE leaf_index BETWEEN :a AND :b", **span)

    def renumber(self, after: int, by: int) -> None:
        """Move every entry above ``after`` by ``by`` places."""
        far = WIDTH // 2  # where nothing stands, and still in the first piece
        self.run(
            "UPDATE audit_entry SET leaf_index = leaf_index + :by WHERE leaf_index > :a", a=after, by=by + far
        )
        self.run("UPDATE audit_entry SET leaf_index = leaf_index - :far WHERE leaf_index >= :far", far=far)

    def tile(self, level: int, index: int) -> bytes:
        return bytes(self.one("SELECT data FROM audit_tile WHERE level = :l AND idx = :i", l=level, i=index))

    def put_tile(self, level: int, index: int, data: bytes) -> None:
        self.run("UPDATE audit_tile SET data = :d WHERE level = :l AND idx = :i", l=level, i=index, d=data)

    def rebuild(self) -> None:
        """Make tiles and head fit the entries as they are now."""
        with self._database.reading() as tx:
            leaves = [
                bytes(leaf) for (leaf,) in tx.rows(text("SELECT leaf FROM audit_entry ORDER BY leaf_index"))
            ]
        hashes = [leaf_hash(leaf) for leaf in leaves]
        grown = extend(EMPTY, hashes)
        self.run("DELETE FROM audit_tile")
        for tile in grow(0, hashes, lambda _level, _index: b""):
            self.run(
                "INSERT INTO audit_tile (level, idx, data) VALUES (:l, :i, :d)",
                l=tile.level,
                i=tile.number,
                d=tile.data,
            )
        self.run(
            "UPDATE audit_head SET size = :s, frontier = :f, root = :r",
            s=len(hashes),
            f=b"".join(grown.hashes),
            r=root(grown),
        )
