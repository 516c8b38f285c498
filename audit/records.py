"""The tables of the log.

Promises that ``audit_entry.leaf`` holds the hashed bytes verbatim and that everything beside it is a
search copy nobody trusts (``audit.copies`` compares them). No foreign key leads from here to business
tables: the trail must not vanish with the person it speaks of. Only ``audit_head``, the last tiles and
``subject_pseudonym`` ever change, and bodies go by a statement (``audit_pruned``); erasing a pseudonym row
unlinks a person and leaves every proof whole.
"""

from __future__ import annotations

from typing import ClassVar

from sqlalchemy import DDL, BigInteger, Column, Index, Integer, LargeBinary, Table, Text, event, text
from sqlmodel import Field, SQLModel

from audit import guards, partitions, roomguards


def _text(*, key: bool = False) -> Column[str]:
    return Column(Text, primary_key=key, nullable=False)


def _number(*, key: bool = False) -> Column[int]:
    # On SQLite only INTEGER, not BIGINT, makes a primary key the row id itself.
    kind = BigInteger().with_variant(Integer, "sqlite")
    return Column(kind, primary_key=key, nullable=False, autoincrement=False)


def _bytes(*, key: bool = False) -> Column[bytes]:
    return Column(LargeBinary, primary_key=key, nullable=False)


class _Record(SQLModel):
    """What the log's tables share: a typed way to the Core table."""

    __table__: ClassVar[Table]


class AuditEntry(_Record, table=True):
    """One entry: its place in the log, its leaf, and search copies (empty text where there is nothing)."""

    __tablename__ = "audit_entry"
    __table_args__ = (
        # Not unique: over pieces, only what contains the place can be.
        Index("audit_entry_id", "entry_id"),
        Index("audit_entry_decision", "decision_id"),
        Index(
            "audit_entry_story", "corr", sqlite_where=text("corr <> ''"), postgresql_where=text("corr <> ''")
        ),
        partitions.BY,
    )
    leaf_index: int = Field(sa_column=_number(key=True))
    leaf: bytes = Field(sa_column=_bytes())
    entry_id: str = Field(sa_column=_text())
    decision_id: str = Field(sa_column=_text())
    corr: str = Field(sa_column=_text())
    t: int = Field(sa_column=_number())
    kind: str = Field(sa_column=_text())
    act: str = Field(sa_column=_text())
    dec: str = Field(sa_column=_text())
    actor_id: str = Field(sa_column=_text())
    behalf_id: str = Field(sa_column=_text())
    purpose: str = Field(sa_column=_text())


class AuditSubject(_Record, table=True):
    """Which entries speak of a pseudonym, in order: "who saw my data"."""

    __tablename__ = "audit_subject"
    __table_args__ = ({"sqlite_with_rowid": False, **partitions.BY},)
    subject: bytes = Field(sa_column=_bytes(key=True))
    leaf_index: int = Field(sa_column=_number(key=True))
    t: int = Field(sa_column=_number())


class AuditPending(_Record, table=True):
    """A leaf that is committed and waits for its place; only where writers run beside one another.

    ``seq`` orders them. Two transactions may commit in another order than they drew their numbers.
    """

    __tablename__ = "audit_pending"
    seq: int | None = Field(
        default=None,
        sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    )
    entry_id: str = Field(sa_column=_text())
    leaf: bytes = Field(sa_column=_bytes())
    leaf_hash: bytes = Field(sa_column=_bytes())


class AuditTile(_Record, table=True):
    """One tile of the tree, at most 8,192 bytes; see ``audit.tiles``."""

    __tablename__ = "audit_tile"
    level: int = Field(sa_column=_number(key=True))
    idx: int = Field(sa_column=_number(key=True))
    data: bytes = Field(sa_column=_bytes())


class AuditHead(_Record, table=True):
    """The state of the log: origin, size, frontier (one hash per set bit of the size) and root."""

    __tablename__ = "audit_head"
    log_id: int = Field(sa_column=_number(key=True))
    origin: str = Field(sa_column=_text())
    size: int = Field(sa_column=_number())
    frontier: bytes = Field(sa_column=_bytes())
    root: bytes = Field(sa_column=_bytes())


class AuditCheckpoint(_Record, table=True):
    """A signed head, as published: the note's text and when (milliseconds) it was signed."""

    __tablename__ = "audit_checkpoint"
    size: int = Field(sa_column=_number(key=True))
    note: str = Field(sa_column=_text())
    t: int = Field(sa_column=_number())


class AuditCosignature(_Record, table=True):
    """What a witness signed of the checkpoint of a size: its verifier key, its line, and when (milliseconds).

    An untrusted copy like the notes themselves: whoever reads a line checks it under a key known elsewhere.
    """

    __tablename__ = "audit_cosignature"
    size: int = Field(sa_column=_number(key=True))
    witness: str = Field(sa_column=_text(key=True))
    line: str = Field(sa_column=_text())
    t: int = Field(sa_column=_number())


class AuditPruned(_Record, table=True):
    """A statement that entries were pruned: the size of the prefix, where its entry stands, its times.

    The row is a pointer for the guards and for the verifier; what counts is the entry (``audit.pruned``).
    """

    __tablename__ = "audit_pruned"
    size: int = Field(sa_column=_number(key=True))
    entry: int = Field(sa_column=_number())
    cutoff: int = Field(sa_column=_number())
    t: int = Field(sa_column=_number())


class SubjectPseudonym(_Record, table=True):
    """Under which random name the log knows a subject. Deleting the row makes the log forget who it was."""

    __tablename__ = "subject_pseudonym"
    __table_args__ = (Index("subject_pseudonym_name", "pseudonym", unique=True),)
    subject_id: str = Field(sa_column=_text(key=True))
    pseudonym: bytes = Field(sa_column=_bytes())


class AuditTerm(_Record, table=True):
    """Which entries an officer finds under a term (``audit.matching``); made afterwards, trusted by none."""

    __tablename__ = "audit_term"
    __table_args__ = ({"sqlite_with_rowid": False},)
    term: int = Field(sa_column=_number(key=True))
    leaf_index: int = Field(sa_column=_number(key=True))


class AuditSpan(_Record, table=True):
    """One block of indexed entries: the index after its last one, its earliest and its latest time."""

    __tablename__ = "audit_span"
    block: int = Field(sa_column=_number(key=True))
    upto: int = Field(sa_column=_number())
    earliest: int = Field(sa_column=_number())
    latest: int = Field(sa_column=_number())


class AuditDetail(_Record, table=True):
    """The sealed detail of one entry, whose leaf holds the digest of ``ct``. It goes with the person."""

    __tablename__ = "audit_detail"
    __table_args__ = (Index("audit_detail_key", "kid"),)
    entry_id: str = Field(sa_column=_text(key=True))
    kid: str = Field(sa_column=_text())
    ct: bytes = Field(sa_column=_bytes())


GUARDS_SQLITE = guards.GUARDS_SQLITE
GUARDS_POSTGRESQL = guards.GUARDS_POSTGRESQL

for _table in (
    AuditEntry.__table__,
    AuditCheckpoint.__table__,
    AuditCosignature.__table__,
    AuditTile.__table__,
    AuditPending.__table__,
):
    for _dialect, _statements in (("sqlite", guards.SQLITE), ("postgresql", guards.POSTGRESQL)):
        for _statement in _statements[_table.name]:
            event.listen(_table, "after_create", DDL(_statement).execute_if(dialect=_dialect))  # type: ignore[no-untyped-call]

for _table in (AuditSubject.__table__, AuditPruned.__table__, AuditHead.__table__):
    for _dialect, _statements in (("sqlite", roomguards.SQLITE), ("postgresql", roomguards.POSTGRESQL)):
        for _statement in _statements[_table.name]:
            event.listen(_table, "after_create", DDL(_statement).execute_if(dialect=_dialect))  # type: ignore[no-untyped-call]

# After every table, in whatever order they are made: the size of the head is asked for.
for _statement in partitions.POSTGRESQL:
    event.listen(SQLModel.metadata, "after_create", DDL(_statement).execute_if(dialect="postgresql"))  # type: ignore[no-untyped-call]
