"""Which rules are in force: the version that the database points to, read in the deciding transaction.

Promises that a decision is made by the version the pointer names at that moment, on every replica: one
that does not have it loads it, or decides nothing; it never goes on with the one before. A version is
immutable and known by its fingerprint, so loaded ones may be remembered; the pointer never is. The
pointer carries a seal under a key outside the database: somebody who can write to the database alone
cannot put rules in force. A version that is only rehearsed never stops a decision.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeVar

from sqlalchemy import bindparam, select

from governance.database import Database, StoreError
from governance.records import RulePointer, RuleVersion
from policies.archive import ArchiveError
from policies.book import BookError, RuleBook
from policies.plan import Plan
from policies.transaction import Transaction
from redaction.screening import Screener

IN_FORCE: Final = "published"
REHEARSED: Final = "shadow"
_KEPT: Final = 4
"""Loaded versions that are remembered: the one in force, the one before, a shadow, a draft."""

_T = TypeVar("_T")
_pointer, _version = RulePointer.__table__, RuleVersion.__table__
READ_POINTERS: Final = select(
    _pointer.c.name, _pointer.c.number, _pointer.c.fingerprint, _pointer.c.seal
).order_by(_pointer.c.name)
_BODY: Final = select(_version.c.body).where(_version.c.fingerprint == bindparam("fingerprint"))


class RulesUnavailableError(StoreError):
    """The rules in force cannot be loaded or are not sealed by us; nothing is decided."""


class UnknownRulesError(Exception):
    """The pointer names a version this process has not loaded yet. Leave the transaction and learn it."""

    def __init__(self, pointer: Pointer) -> None:
        super().__init__(pointer.fingerprint)
        self.pointer = pointer


class Pointer(NamedTuple):
    """Which version is in force (or rehearsed). ``seal`` authenticates the other three."""

    name: str
    number: int
    fingerprint: str
    seal: bytes


@dataclass(frozen=True, slots=True)
class Rules:
    """One version of the rules, ready to use: a batch is decided by it from its first line to its last."""

    book: RuleBook
    plan: Plan
    screener: Screener
    rehearsed: tuple[RuleBook, Plan] | None
    """The version with its shadow rows counted, if it has any."""


@dataclass(frozen=True, slots=True)
class InForce:
    """What one transaction decides by, and what it only rehearses beside."""

    rules: Rules
    rehearsals: tuple[tuple[RuleBook, Plan], ...] = ()


class RuleKeeper:
    """Loads versions once and says in each transaction which one counts. One per process."""

    def __init__(self, database: Database, key: bytes, load: Callable[[bytes], Rules]) -> None:
        self._database = database
        self._key = hmac.digest(key, b"rule pointer", hashlib.sha256)
        self._load = load
        self._loading = threading.Lock()
        self._known: OrderedDict[str, Rules] = OrderedDict()
        self._sealed: frozenset[Pointer] = frozenset()
        self._failed: frozenset[Pointer] = frozenset()
        self._latest: Rules | None = None

    @property
    def latest(self) -> Rules:
        """The version used last, for titles and pages; decisions ask ``in_force``."""
        if self._latest is None:
            self.attempt(self._look)
        assert self._latest is not None
        return self._latest

    def _look(self) -> None:
        with self._database.reading() as tx:
            self.in_force(tx)

    def in_force(self, tx: Transaction) -> InForce:
        """Return the rules that this transaction decides by.

        Raises:
            UnknownRulesError: they are not loaded yet; ``attempt`` learns them and tries again.
            RulesUnavailableError: there is no pointer.
        """
        rules: Rules | None = None
        rehearsals: list[tuple[RuleBook, Plan]] = []
        for row in tx.rows(READ_POINTERS):
            pointer = Pointer(*row)
            if pointer not in self._sealed:
                if pointer.name == REHEARSED and pointer in self._failed:
                    continue
                raise UnknownRulesError(pointer)
            known = self._known.get(pointer.fingerprint)
            if known is None:
                raise UnknownRulesError(pointer)
            if pointer.name == IN_FORCE:
                rules = known
            else:
                rehearsals.append((known.book, known.plan))
        if rules is None:
            raise RulesUnavailableError("no_rules")
        if rules.rehearsed is not None:
            rehearsals.append(rules.rehearsed)
        self._latest = rules
        return InForce(rules, tuple(rehearsals))

    def fingerprint(self, tx: Transaction) -> str:
        """Return which version is in force, without needing it loaded: a withdrawal waits for no rules."""
        return next((row[2] for row in tx.rows(READ_POINTERS) if row[0] == IN_FORCE), "")

    def attempt(self, walk: Callable[[], _T]) -> _T:
        """Run a walk; where it meets a version not yet loaded, load that one and run it again.

        Raises:
            RulesUnavailableError: the version in force cannot be used.
        """
        while True:
            try:
                return walk()
            except UnknownRulesError as unknown:
                pointer = unknown.pointer
            if not self._learn(pointer) and pointer.name == IN_FORCE:
                raise RulesUnavailableError("rules_not_loaded")

    def _learn(self, pointer: Pointer) -> bool:
        """Load what a pointer names, once however many wait for it; False if it cannot be used."""
        with self._loading:
            if pointer in self._sealed and pointer.fingerprint in self._known:
                return True
            rules = self._read(pointer.fingerprint) if self.is_genuine(pointer) else None
            if rules is None:
                self._failed |= {pointer}
                return False
            self._known[pointer.fingerprint] = rules
            self._known.move_to_end(pointer.fingerprint)
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
            kept = {one for one in self._sealed if one.fingerprint in self._known}
            self._sealed = frozenset(kept | {pointer})
            return True

    def _read(self, fingerprint: str) -> Rules | None:
        try:
            rules = self._known.get(fingerprint) or self.load(self.body(fingerprint))
        except (BookError, ArchiveError, StoreError):
            return None
        return rules if rules.book.fingerprint == fingerprint else None

    def version(self, fingerprint: str) -> Rules:
        """Return a version that was ever kept, in force or not.

        Raises:
            RulesUnavailableError: the database holds none, or it cannot be used by this program.
        """
        rules = self._known.get(fingerprint) or self._read(fingerprint)
        if rules is None:
            raise RulesUnavailableError("rules_not_loaded")
        return rules

    def body(self, fingerprint: str) -> bytes:
        """Return the archive of a version.

        Raises:
            RulesUnavailableError: the database holds no such version.
        """
        rows = self._database.look(_BODY, {"fingerprint": fingerprint})
        body = rows[0][0] if rows else None
        if not isinstance(body, bytes):  # SQLite keeps whatever an insider puts there
            raise RulesUnavailableError("no_such_version")
        return body

    def load(self, archive: bytes) -> Rules:
        """Load, check and compile an archive of rules.

        Raises:
            BookError: the rules have faults under this version of the program.
            ArchiveError: the bytes are not an archive.
        """
        return self._load(archive)

    def is_genuine(self, pointer: Pointer) -> bool:
        """Say whether a pointer was made by this service and not with the database's own tools."""
        return hmac.compare_digest(pointer.seal, self.seal(pointer))

    def seal(self, pointer: Pointer) -> bytes:
        """Return the seal that makes a pointer genuine."""
        told = f"{pointer.name}\n{pointer.number}\n{pointer.fingerprint}"
        return hmac.digest(self._key, told.encode(), hashlib.sha256)
