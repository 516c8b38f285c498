"""The service's own tables: subjects and who is what to them, callers, cells and keys, messages.

Every table that a decision about a subject reads has ``subject_id`` first, so a decision is one
shard's transaction. Columns are text, integers, booleans and bytes only: statements on the walks run
without type processors (``policies.transaction``). Times are milliseconds since the epoch, UTC. What
ends is given an end, never deleted in place. Values are sealed before they come here.
"""

from __future__ import annotations

from typing import ClassVar, Final

from sqlalchemy import BigInteger, Column, Index, LargeBinary, Table, Text
from sqlmodel import Field, SQLModel

REVISION: Final = "0004"
"""The migration that this version's tables stand at."""


def text_column(*, key: bool = False, null: bool = False) -> Column[str]:
    """Return a fresh text column."""
    return Column(Text, primary_key=key, nullable=null)


def time_column(*, key: bool = False, null: bool = False) -> Column[int]:
    """Return a fresh column of milliseconds (or another whole number)."""
    return Column(BigInteger, primary_key=key, nullable=null, autoincrement=False)


def bytes_column(*, key: bool = False, null: bool = False) -> Column[bytes]:
    """Return a fresh column of bytes."""
    return Column(LargeBinary, primary_key=key, nullable=null)


class Record(SQLModel):
    """What the tables of this module share: a typed way to their Core table."""

    __table__: ClassVar[Table]


class Subject(Record, table=True):
    """A member or a household. Its row is what deciding transactions lock."""

    __tablename__ = "subject"
    id: str = Field(sa_column=text_column(key=True))
    kind: str = Field(sa_column=text_column())
    household_id: str = Field(sa_column=text_column())
    state: str = Field(sa_column=text_column())
    epoch: int = Field(sa_column=time_column())


class RelationRow(Record, table=True):
    """What one actor is to one subject, from when until when."""

    __tablename__ = "relation"
    subject_id: str = Field(sa_column=text_column(key=True))
    actor_id: str = Field(sa_column=text_column(key=True))
    relation: str = Field(sa_column=text_column(key=True))
    role: str = Field(sa_column=text_column(key=True))
    starts_at: int = Field(sa_column=time_column(key=True))
    ends_at: int | None = Field(sa_column=time_column(null=True))


class Actor(Record, table=True):
    """A service, a member of staff or a member as somebody who acts. ``roles`` are held everywhere."""

    __tablename__ = "actor"
    id: str = Field(sa_column=text_column(key=True))
    kind: str = Field(sa_column=text_column())
    label: str = Field(sa_column=text_column())
    state: str = Field(sa_column=text_column())
    roles: str = Field(sa_column=text_column())


class ApiKey(Record, table=True):
    """A service's key, as its SHA-256. The key itself is shown once and never stored."""

    __tablename__ = "api_key"
    key_hash: bytes = Field(sa_column=bytes_column(key=True))
    actor_id: str = Field(sa_column=text_column())
    scopes: str = Field(sa_column=text_column())
    created_at: int = Field(sa_column=time_column())
    expires_at: int | None = Field(sa_column=time_column(null=True))
    revoked_at: int | None = Field(sa_column=time_column(null=True))


class Link(Record, table=True):
    """A single-use sign-in link, as its SHA-256."""

    __tablename__ = "link"
    token_hash: bytes = Field(sa_column=bytes_column(key=True))
    actor_id: str = Field(sa_column=text_column())
    expires_at: int = Field(sa_column=time_column())
    used_at: int | None = Field(sa_column=time_column(null=True))


class Session(Record, table=True):
    """A person's session on the pages, as the SHA-256 of its token."""

    __tablename__ = "session"
    token_hash: bytes = Field(sa_column=bytes_column(key=True))
    actor_id: str = Field(sa_column=text_column())
    created_at: int = Field(sa_column=time_column())
    expires_at: int = Field(sa_column=time_column())
    ended_at: int | None = Field(sa_column=time_column(null=True))


class Cell(Record, table=True):
    """One sealed value of one subject. ``digest`` also stands in the log's write entry."""

    __tablename__ = "cell"
    subject_id: str = Field(sa_column=text_column(key=True))
    field: str = Field(sa_column=text_column(key=True))
    kid: str = Field(sa_column=text_column())
    value: bytes = Field(sa_column=bytes_column())
    written_at: int = Field(sa_column=time_column())


class DataKey(Record, table=True):
    """A wrapped data key of one owner and class."""

    __tablename__ = "data_key"
    owner_id: str = Field(sa_column=text_column(key=True))
    key_class: str = Field(sa_column=text_column(key=True))
    kid: str = Field(sa_column=Column(Text, nullable=False, unique=True))
    wrapped: bytes = Field(sa_column=bytes_column())
    created_at: int = Field(sa_column=time_column())


class IndexToken(Record, table=True):
    """A blind index entry: which subject bears this identifier."""

    __tablename__ = "index_token"
    __table_args__ = (Index("index_token_subject", "subject_id"),)
    name: str = Field(sa_column=text_column(key=True))
    token: bytes = Field(sa_column=bytes_column(key=True))
    subject_id: str = Field(sa_column=text_column())


class SendSlot(Record, table=True):
    """One promotional message of one member on one day; the key makes the cap race-free."""

    __tablename__ = "send_slot"
    subject_id: str = Field(sa_column=text_column(key=True))
    day: str = Field(sa_column=text_column(key=True))
    slot: int = Field(sa_column=time_column(key=True))
    message_id: str = Field(sa_column=text_column())


class Message(Record, table=True):
    """An outbound message that passed the gate; the text itself is not kept, only its SHA-256."""

    __tablename__ = "message"
    id: str = Field(sa_column=text_column(key=True))
    sender_id: str = Field(sa_column=text_column())
    channel: str = Field(sa_column=text_column())
    purpose: str = Field(sa_column=text_column())
    text_sha256: bytes = Field(sa_column=bytes_column())
    created_at: int = Field(sa_column=time_column())


class Review(Record, table=True):
    """A message held for a person's judgement; its text is sealed with a key of the review's own."""

    __tablename__ = "review"
    id: str = Field(sa_column=text_column(key=True))
    message_id: str = Field(sa_column=text_column())
    sender_id: str = Field(sa_column=text_column())
    recipients: int = Field(sa_column=time_column())
    rules: str = Field(sa_column=text_column())
    text: bytes = Field(sa_column=bytes_column())
    state: str = Field(sa_column=text_column())
    created_at: int = Field(sa_column=time_column())


class PermitUse(Record, table=True):
    """A permit that a sending gateway has used; the key makes it single use."""

    __tablename__ = "permit_use"
    permit_id: str = Field(sa_column=text_column(key=True))
    used_at: int = Field(sa_column=time_column())


class Replay(Record, table=True):
    """Which result an Idempotency-Key led to, kept a day."""

    __tablename__ = "replay"
    actor_id: str = Field(sa_column=text_column(key=True))
    key_hash: bytes = Field(sa_column=bytes_column(key=True))
    fingerprint: bytes = Field(sa_column=bytes_column())
    result_id: str = Field(sa_column=text_column())
    created_at: int = Field(sa_column=time_column())


class RuleVersion(Record, table=True):
    """One immutable version of all rules: the whole folder as an archive, by its fingerprint.

    ``state`` is draft, published (at least once) or refused; ``decided_by`` is the second person.
    """

    __tablename__ = "rule_version"
    fingerprint: str = Field(sa_column=text_column(key=True))
    number: int = Field(sa_column=Column(BigInteger, nullable=False, unique=True))
    body: bytes = Field(sa_column=bytes_column())
    note: str = Field(sa_column=text_column())
    drafted_by: str = Field(sa_column=text_column())
    drafted_at: int = Field(sa_column=time_column())
    state: str = Field(sa_column=text_column())
    decided_by: str | None = Field(sa_column=text_column(null=True))
    decided_at: int | None = Field(sa_column=time_column(null=True))


class RulePointer(Record, table=True):
    """Which version is in force (``published``) and which is only rehearsed (``shadow``)."""

    __tablename__ = "rule_pointer"
    name: str = Field(sa_column=text_column(key=True))
    number: int = Field(sa_column=time_column())
    fingerprint: str = Field(sa_column=text_column())
    seal: bytes = Field(sa_column=bytes_column())
    moved_at: int = Field(sa_column=time_column())
