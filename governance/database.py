"""Two engines behind one small face: SQLite in a file, PostgreSQL through psycopg 3.

Promises that a transaction is durable when ``commit`` returns, that nothing of a parameter or a row
ever travels in an exception, and that leaving a transaction without ``commit`` undoes it. Rooms write
SQLAlchemy Core; here each statement is compiled once per engine and then runs on the bare driver,
because compiling and result processing would cost more than the query itself on the two walks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import chain
from typing import Any, Final, Protocol, cast

from sqlalchemy import Insert
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import ClauseElement, Executable

from policies.transaction import Row, Transaction


class StoreError(Exception):
    """The database did not do what was asked. Carries a word for the log, never a value."""


class ConflictError(StoreError):
    """A unique key or a check refused the row."""


class UnreachableError(StoreError):
    """No connection, a lock that did not come free in time, or a server that is not there."""


class SchemaError(Exception):
    """The schema is not what this version needs; the message says what to do."""


class OpenTransaction(Transaction, Protocol):
    """A transaction that its holder may commit, once, visibly."""

    def commit(self) -> None:
        """Make everything durable; when this returns it survives a crash."""
        ...


class Database(Protocol):
    """One database of either engine."""

    @property
    def inline(self) -> bool:
        """Whether a transaction is short enough to run on the event loop itself."""
        ...

    @property
    def concurrent(self) -> bool:
        """Whether writing transactions run beside one another."""
        ...

    def transaction(self) -> AbstractContextManager[OpenTransaction]:
        """Open a writing transaction; without ``commit`` it is rolled back on leaving."""
        ...

    def reading(self) -> AbstractContextManager[Transaction]:
        """Open a read-only transaction over one consistent snapshot."""
        ...

    def look(self, statement: Executable, parameters: Mapping[str, object]) -> Sequence[Row]:
        """Run one select by itself; it sees what is committed when it starts."""
        ...

    def drained(self) -> bool:
        """Wait until every transaction that began before now has ended; False if one outlasts the wait."""
        ...

    def weaknesses(self) -> list[str]:
        """Return the settings under which a commit that was answered could still be lost."""
        ...

    def close(self) -> None:
        """Give all connections back to the operating system."""
        ...


_POSTCOMPILE: Final = re.compile(r"__\[POSTCOMPILE_(\w+?)\](?:~~.*?~~)?")


class _Compiled:
    """One statement for one engine: its text, its literal parameters, its expanding lists."""

    __slots__ = ("defaults", "expanding", "keep", "text", "variants")

    def __init__(self, statement: ClauseElement, dialect: Dialect, keys: Sequence[str] | None) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=keys)
        self.keep = statement
        self.text = compiled.string
        self.defaults = {k: v for k, v in compiled.params.items() if v is not None}
        self.expanding = tuple(dict.fromkeys(_POSTCOMPILE.findall(self.text)))
        self.variants: dict[tuple[int, ...], tuple[str, tuple[str, ...]]] = {}


class Compiler:
    """Turns Core statements into driver calls and remembers each translation.

    ``mark`` is how the driver spells a named parameter, e.g. ``":{}"`` or ``"%({})s"``.
    """

    def __init__(self, dialect: Dialect, mark: str) -> None:
        self._dialect = dialect
        self._mark = mark
        self._known: dict[tuple[int, tuple[str, ...]], _Compiled] = {}

    def call(self, statement: Executable, parameters: Mapping[str, object]) -> tuple[str, Mapping[str, Any]]:
        """Return the text and the bindings of one execution."""
        compiled = self._compiled(statement, parameters)
        if not compiled.defaults and not compiled.expanding:
            return compiled.text, parameters
        bindings = {**compiled.defaults, **parameters}
        if not compiled.expanding:
            return compiled.text, bindings
        lists = [cast("Sequence[object]", bindings.pop(name)) for name in compiled.expanding]
        sizes = tuple([len(values) for values in lists])
        variant = compiled.variants.get(sizes)
        if variant is None:
            variant = compiled.variants[sizes] = self._expand(compiled, sizes)
        bindings.update(zip(variant[1], chain.from_iterable(lists), strict=True))
        return variant[0], bindings

    def calls(
        self, statement: Executable, many: Sequence[Mapping[str, object]]
    ) -> tuple[str, Sequence[Mapping[str, Any]]]:
        """Return the text and the bindings of as many executions; all bind the same names."""
        compiled = self._compiled(statement, many[0])
        if not compiled.defaults and not compiled.expanding:
            return compiled.text, many
        found = [self.call(statement, one) for one in many]
        return found[0][0], [bindings for _, bindings in found]

    def _compiled(self, statement: Executable, parameters: Mapping[str, object]) -> _Compiled:
        # An insert without explicit values takes its columns from the parameters, as in SQLAlchemy itself.
        keys = tuple(parameters) if isinstance(statement, Insert) else ()
        compiled = self._known.get((id(statement), keys))
        if compiled is None:
            element = cast("ClauseElement", statement)
            compiled = _Compiled(element, self._dialect, list(keys) or None)
            self._known[id(statement), keys] = compiled
        return compiled

    def _expand(self, compiled: _Compiled, sizes: tuple[int, ...]) -> tuple[str, tuple[str, ...]]:
        names = {
            name: [f"{name}_{i}" for i in range(size)]
            for name, size in zip(compiled.expanding, sizes, strict=True)
        }

        def placeholders(match: re.Match[str]) -> str:
            return ", ".join(self._mark.format(name) for name in names[match.group(1)]) or "NULL"

        return _POSTCOMPILE.sub(placeholders, compiled.text), tuple(chain.from_iterable(names.values()))
