"""The consent room's tables: the append-only events, the open one-time codes, the published notices.

Events are keyed by their subject first, so a decision about a subject reads one range of one shard. The
database itself refuses to change or delete an event on both engines: whoever wants to rewrite history needs
the rights of the table's owner and leaves a trigger missing; the same holds for notices. Codes are kept as
a MAC only.
"""

from __future__ import annotations

from typing import ClassVar, Final

from sqlalchemy import DDL, BigInteger, Column, Index, Integer, Table, Text, UniqueConstraint, event
from sqlmodel import Field, SQLModel


def _text(*, key: bool = False) -> Column[str]:
    return Column(Text, primary_key=key, nullable=False)


def _number(*, key: bool = False, null: bool = False) -> Column[int]:
    return Column(BigInteger, primary_key=key, nullable=null, autoincrement=False)


class ConsentEvent(SQLModel, table=True):
    """One row per ``consent.events.Event``; ``seq`` counts within the subject."""

    __tablename__ = "consent_event"
    # Uniqueness within the subject, not over all: a table partitioned by subject can keep no other.
    __table_args__ = (
        UniqueConstraint("subject_id", "event_id", name="consent_event_id"),
        Index("consent_event_consent", "consent_id"),
    )
    __table__: ClassVar[Table]
    subject_id: str = Field(sa_column=_text(key=True))
    seq: int = Field(sa_column=_number(key=True))
    event_id: str = Field(sa_column=_text())
    kind: str = Field(sa_column=_text())
    consent_id: str = Field(sa_column=_text())
    purpose: str = Field(sa_column=_text())
    categories: str = Field(sa_column=_text())
    recipient: str = Field(sa_column=_text())
    notice: str = Field(sa_column=_text())
    actor_id: str = Field(sa_column=_text())
    capacity: str = Field(sa_column=_text())
    viewer: str = Field(sa_column=_text())
    occurred_at: int = Field(sa_column=_number())
    recorded_at: int = Field(sa_column=_number())
    expires_at: int | None = Field(sa_column=_number(null=True))
    evidence: str = Field(sa_column=_text())


class ConsentChallenge(SQLModel, table=True):
    """One one-time code: its MAC, how often it was guessed, what it was bound to, the how-manieth it is."""

    __tablename__ = "consent_challenge"
    __table__: ClassVar[Table]
    consent_id: str = Field(sa_column=_text(key=True))
    subject_id: str = Field(sa_column=_text())
    code_hmac: str = Field(sa_column=_text())
    tries: int = Field(sa_column=Column(Integer, nullable=False))
    expires_at: int = Field(sa_column=_number())
    used_at: int | None = Field(sa_column=_number(null=True))
    bound: str = Field(sa_column=_text())
    codes: int = Field(sa_column=Column(Integer, nullable=False))


class NoticeVersion(SQLModel, table=True):
    """One published version of a notice; see ``consent.notices``. Sets of words are separated by spaces."""

    __tablename__ = "notice_version"
    __table__: ClassVar[Table]
    id: str = Field(sa_column=_text(key=True))
    version: int = Field(sa_column=_number(key=True))
    purpose: str = Field(sa_column=_text())
    categories: str = Field(sa_column=_text())
    methods: str = Field(sa_column=_text())
    recipients: str = Field(sa_column=_text())
    processors: str = Field(sa_column=_text())
    retention_days: int = Field(sa_column=_number())
    region: str = Field(sa_column=_text())
    assessment: str = Field(sa_column=_text())
    changed: str = Field(sa_column=_text())
    effective_from: int = Field(sa_column=_number())
    published_by: str = Field(sa_column=_text())
    published_at: int = Field(sa_column=_number())


class NoticeText(SQLModel, table=True):
    """A version's words in one language, with the digest by which consents name them."""

    __tablename__ = "notice_text"
    __table__: ClassVar[Table]
    id: str = Field(sa_column=_text(key=True))
    version: int = Field(sa_column=_number(key=True))
    locale: str = Field(sa_column=_text(key=True))
    title: str = Field(sa_column=_text())
    body: str = Field(sa_column=_text())
    sha256: str = Field(sa_column=_text())


_INSERT_ONLY: Final = {
    "sqlite": (
        """CREATE TRIGGER consent_event_no_update BEFORE UPDATE ON consent_event
           BEGIN SELECT RAISE(ABORT, 'consent events are append-only'); END""",
        """CREATE TRIGGER consent_event_no_delete BEFORE DELETE ON consent_event
           BEGIN SELECT RAISE(ABORT, 'consent events are append-only'); END""",
    ),
    "postgresql": (
        """CREATE FUNCTION consent_event_append_only() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN RAISE EXCEPTION 'consent events are append-only'; END $$""",
        """CREATE TRIGGER consent_event_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON consent_event
           FOR EACH STATEMENT EXECUTE FUNCTION consent_event_append_only()""",
    ),
}

for _dialect, _statements in _INSERT_ONLY.items():
    for _statement in _statements:
        _guard = DDL(_statement).execute_if(dialect=_dialect)  # type: ignore[no-untyped-call]
        event.listen(ConsentEvent.__table__, "after_create", _guard)


def _fixed(table: Table, key: tuple[str, ...]) -> None:
    """Have both engines refuse to change, delete or replace a row of a table."""
    name = table.name
    same = " AND ".join(f"{column} = NEW.{column}" for column in key)
    # INSERT OR REPLACE deletes without firing delete triggers.
    taken = f"WHEN EXISTS (SELECT 1 FROM {name} WHERE {same})"  # noqa: S608 (our own names)
    refuse = f"BEGIN SELECT RAISE(ABORT, '{name} is append-only'); END"
    statements = {
        "sqlite": (
            f"CREATE TRIGGER {name}_no_update BEFORE UPDATE ON {name} {refuse}",
            f"CREATE TRIGGER {name}_no_delete BEFORE DELETE ON {name} {refuse}",
            f"CREATE TRIGGER {name}_no_replace BEFORE INSERT ON {name} {taken} {refuse}",
        ),
        "postgresql": (
            f"""CREATE FUNCTION {name}_append_only() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN RAISE EXCEPTION '{name} is append-only'; END $$""",
            f"""CREATE TRIGGER {name}_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {name}
                FOR EACH STATEMENT EXECUTE FUNCTION {name}_append_only()""",
        ),
    }
    for dialect, written in statements.items():
        for statement in written:
            guard = DDL(statement).execute_if(dialect=dialect)  # type: ignore[no-untyped-call]
            event.listen(table, "after_create", guard)


_fixed(NoticeVersion.__table__, ("id", "version"))
_fixed(NoticeText.__table__, ("id", "version", "locale"))
