"""What somebody with the database's own tools can do to a house: break a cell, make the log refuse."""

from __future__ import annotations

from typing import Final

from living import Living

from redaction.sealing import Place, Sealed, Sealer, WrappedKey

REFUSE: Final = {
    "sqlite": (
        "CREATE TRIGGER log_is_full BEFORE INSERT ON audit_entry BEGIN SELECT RAISE(ABORT, 'full'); END",
    ),
    "postgres": (
        """CREATE FUNCTION log_is_full() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN RAISE EXCEPTION 'full'; END $$""",
        "CREATE TRIGGER log_is_full BEFORE INSERT ON audit_entry EXECUTE FUNCTION log_is_full()",
        "CREATE TRIGGER log_is_full BEFORE INSERT ON audit_pending EXECUTE FUNCTION log_is_full()",
    ),
}
"""Every insert into the log fails."""

REFUSE_AT_COMMIT: Final = {
    "sqlite": (
        "CREATE TABLE nowhere (id INTEGER PRIMARY KEY)",
        "CREATE TABLE dangling (id INTEGER REFERENCES nowhere DEFERRABLE INITIALLY DEFERRED)",
        "CREATE TRIGGER log_is_full AFTER INSERT ON audit_entry BEGIN INSERT INTO dangling VALUES (1); END",
    ),
    "postgres": (
        REFUSE["postgres"][0],
        """CREATE CONSTRAINT TRIGGER log_is_full AFTER INSERT ON audit_entry DEFERRABLE INITIALLY DEFERRED
           FOR EACH ROW EXECUTE FUNCTION log_is_full()""",
        """CREATE CONSTRAINT TRIGGER log_is_full AFTER INSERT ON audit_pending DEFERRABLE INITIALLY DEFERRED
           FOR EACH ROW EXECUTE FUNCTION log_is_full()""",
    ),
}
"""Every insert is taken, and the commit fails."""

ACCEPT: Final = {
    "sqlite": ("DROP TRIGGER log_is_full",),
    "postgres": (
        "DROP TRIGGER log_is_full ON audit_entry",
        "DROP TRIGGER log_is_full ON audit_pending",
    ),
}


class CountingSealer(Sealer):
    """The real sealer; it also remembers which values it was asked to open, facts left out.

    Birth date and gender as facts for decisions are opened before the decision, by design: they are cells
    and a class of their own, and no answer is made from them.
    """

    def open(self, key: WrappedKey, place: Place, sealed: Sealed) -> str:
        if not place.field.startswith("@"):
            opened.append(place.field)
        return super().open(key, place, sealed)


opened: list[str] = []
"""The fields that counting sealers were asked to open."""


def count_openings(house: Living) -> list[str]:
    """Let the house open values through a counting sealer from now on; return the growing list."""
    opened.clear()
    house.service.gate._opening._sealer = CountingSealer(house.service.ring)
    return opened


def blob(house: Living, value: bytes) -> str:
    """Return bytes as a literal of the house's engine."""
    return f"x'{value.hex()}'" if house.engine == "sqlite" else f"'\\x{value.hex()}'::bytea"


def cell(house: Living, subject: str, field: str) -> bytes:
    rows = house.sql(f"SELECT value FROM cell WHERE subject_id = '{subject}' AND field = '{field}'")
    return bytes(rows[0][0])


def put_cell(house: Living, subject: str, field: str, value: bytes) -> None:
    house.sql(
        f"UPDATE cell SET value = {blob(house, value)} WHERE subject_id = '{subject}' AND field = '{field}'"
    )


def flip(house: Living, subject: str, field: str, place: int = -1) -> None:
    """Change one bit of a sealed cell."""
    value = bytearray(cell(house, subject, field))
    value[place] ^= 1
    put_cell(house, subject, field, bytes(value))
