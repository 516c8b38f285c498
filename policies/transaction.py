"""What a database transaction looks like to the rooms.

Promises that consent, audit and the vault read and write inside the *caller's* transaction and can
neither open, commit nor roll back one: facts and the entry that reports them share one transaction,
and the only commit stands visibly in the walk (``governance.gate``).

Statements are SQLAlchemy Core, built once at import and selecting columns, never entities: an entity
from an identity map can be stale after another session's withdrawal. On the walks they run without
type processors, so their columns are text, integers, booleans and bytes only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy.sql import Executable

Row = Sequence[Any]
"""One result row, by position in the order of the statement's columns."""


class Transaction(Protocol):
    """An open transaction that somebody else will commit."""

    @property
    def concurrent(self) -> bool:
        """Whether other writers run beside this one, or have queued behind it since its first line."""
        ...

    def rows(self, statement: Executable, parameters: Mapping[str, object] | None = None) -> Sequence[Row]:
        """Return all rows of a select (or of a statement with RETURNING)."""
        ...

    def run(
        self, statement: Executable, parameters: Mapping[str, object] | Sequence[Mapping[str, object]]
    ) -> int:
        """Execute a write, once or once per mapping, and return the number of rows it touched."""
        ...
