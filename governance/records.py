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

REVISION: Final = "0019"
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
    """A member or a household. Its row is what deciding transactions lock.

    ``wishes`` are what the household asks for, words separated by spaces, copied to each of its members.
    """

    __tablename__ = "subject"
    id: str = Field(sa_column=text_column(key=True))
    kind: str = Field(sa_column=text_column())
    household_id: str = Field(sa_column=text_column())
    state: str = Field(sa_column=text_column())
    epoch: int = Field(sa_column=time_column())
    wishes: str = Field(default="", sa_column=text_column())


class RelationRow(Record, table=True):
    """What one actor is to one subject, from when until when; or (``ticket``) a case open between them."""

    __tablename__ = "relation"
    # Decisions ask by subject; where somebody lives and whose guardian somebody is, is asked by actor.
    __table_args__ = (Index("relation_actor", "actor_id", "relation"),)
    subject_id: str = Field(sa_column=text_column(key=True))
    actor_id: str = Field(sa_column=text_column(key=True))
    relation: str = Field(sa_column=text_column(key=True))
    role: str = Field(sa_column=text_column(key=True))
    starts_at: int = Field(sa_column=time_column(key=True))
    ends_at: int | None = Field(sa_column=time_column(null=True))


class Actor(Record, table=True):
    """A service, a member of staff or a member as somebody who acts. ``roles`` are held everywhere.

    ``gender`` is that of a member of staff, empty where it is not known; a member's is sealed (``cell``).
    """

    __tablename__ = "actor"
    id: str = Field(sa_column=text_column(key=True))
    kind: str = Field(sa_column=text_column())
    label: str = Field(sa_column=text_column())
    state: str = Field(sa_column=text_column())
    roles: str = Field(sa_column=text_column())
    gender: str = Field(default="", sa_column=text_column())


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
    __table_args__ = (Index("cell_age", "field", "written_at"),)
    subject_id: str = Field(sa_column=text_column(key=True))
    field: str = Field(sa_column=text_column(key=True))
    kid: str = Field(sa_column=text_column())
    value: bytes = Field(sa_column=bytes_column())
    written_at: int = Field(sa_column=time_column())


class HeldCell(Record, table=True):
    """A value that was written over while a legal hold stood: kept as it was, read by no decision."""

    __tablename__ = "held_cell"
    subject_id: str = Field(sa_column=text_column(key=True))
    field: str = Field(sa_column=text_column(key=True))
    kept_at: int = Field(sa_column=time_column(key=True))
    kid: str = Field(sa_column=text_column())
    value: bytes = Field(sa_column=bytes_column())
    written_at: int = Field(sa_column=time_column())


class LegalHold(Record, table=True):
    """Nothing of this subject is deleted from ``starts_at`` until ``ends_at``; the reason is sealed."""

    __tablename__ = "legal_hold"
    subject_id: str = Field(sa_column=text_column(key=True))
    id: str = Field(sa_column=text_column(key=True))
    reason: bytes = Field(sa_column=bytes_column())
    set_by: str = Field(sa_column=text_column())
    starts_at: int = Field(sa_column=time_column())
    ends_at: int = Field(sa_column=time_column())
    lifted_by: str | None = Field(sa_column=text_column(null=True))


class RightsRequest(Record, table=True):
    """What a person asked for under a law, and what became of it; the details are sealed.

    ``known_by`` is how the person was identified, empty while a code is awaited. ``refusal`` is proposed by
    ``proposed_by`` and holds once another officer, ``decided_by``, has agreed.
    """

    __tablename__ = "rights_request"
    __table_args__ = (
        Index("rights_request_id", "id", unique=True),
        Index("rights_request_waiting", "state", "due_at"),
    )
    subject_id: str = Field(sa_column=text_column(key=True))
    id: str = Field(sa_column=text_column(key=True))
    kind: str = Field(sa_column=text_column())
    regime: str = Field(sa_column=text_column())
    state: str = Field(sa_column=text_column())
    actor_id: str = Field(sa_column=text_column())
    via: str = Field(sa_column=text_column())
    known_by: str = Field(sa_column=text_column())
    detail: bytes = Field(sa_column=bytes_column())
    asked_at: int = Field(sa_column=time_column())
    verify_by: int | None = Field(sa_column=time_column(null=True))
    due_at: int = Field(sa_column=time_column())
    exact: int = Field(sa_column=time_column())
    refusal: str = Field(sa_column=text_column())
    proposed_by: str | None = Field(sa_column=text_column(null=True))
    decided_by: str | None = Field(sa_column=text_column(null=True))
    decided_at: int | None = Field(sa_column=time_column(null=True))


class ErasureCertificate(Record, table=True):
    """The signed statement that somebody was erased, by the request's id; it does not say who."""

    __tablename__ = "erasure_certificate"
    request_id: str = Field(sa_column=text_column(key=True))
    via: str = Field(sa_column=text_column())
    body: bytes = Field(sa_column=bytes_column())
    made_at: int = Field(sa_column=time_column())


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


class Approval(Record, table=True):
    """What somebody asks to be approved about one subject, and what became of it.

    ``decided_by`` is the guardian who said yes or whoever said no, ``cleared_by`` the officer who said yes
    to access by staff. ``fields`` are separated by spaces and sorted; where an act in a host application is
    asked for, there are none, and ``resource`` is that application's own id of the thing. ``asked_by`` is the
    caller that asked.
    """

    __tablename__ = "approval"
    __table_args__ = (Index("approval_id", "id", unique=True),)
    subject_id: str = Field(sa_column=text_column(key=True))
    id: str = Field(sa_column=text_column(key=True))
    actor_id: str = Field(sa_column=text_column())
    act: str = Field(sa_column=text_column())
    fields: str = Field(sa_column=text_column())
    purpose: str = Field(sa_column=text_column())
    state: str = Field(sa_column=text_column())
    asked_at: int = Field(sa_column=time_column())
    expires_at: int = Field(sa_column=time_column())
    decided_by: str | None = Field(sa_column=text_column(null=True))
    decided_at: int | None = Field(sa_column=time_column(null=True))
    cleared_by: str | None = Field(sa_column=text_column(null=True))
    used_at: int | None = Field(sa_column=time_column(null=True))
    resource: str = Field(default="", sa_column=text_column())
    asked_by: str = Field(default="", sa_column=text_column())


class Invitation(Record, table=True):
    """An offer of a household: to live there (``join``, by code) or to be its primary account (``primary``).

    Whom an invitation to live there is meant for is nowhere: only the SHA-256 of its code is kept.
    """

    __tablename__ = "invitation"
    __table_args__ = (
        Index("invitation_id", "id", unique=True),
        Index("invitation_code", "code_hash", unique=True),
        Index("invitation_member", "member_id"),
    )
    subject_id: str = Field(sa_column=text_column(key=True))
    id: str = Field(sa_column=text_column(key=True))
    kind: str = Field(sa_column=text_column())
    code_hash: bytes | None = Field(sa_column=bytes_column(null=True))
    member_id: str | None = Field(sa_column=text_column(null=True))
    role: str = Field(sa_column=text_column())
    made_by: str = Field(sa_column=text_column())
    made_at: int = Field(sa_column=time_column())
    expires_at: int = Field(sa_column=time_column())
    state: str = Field(sa_column=text_column())


class Transition(Record, table=True):
    """That a person's coming 14th or 18th year was announced, or was carried out. Never when.

    A time here would tell the birthday to whoever reads the table.
    """

    __tablename__ = "transition"
    subject_id: str = Field(sa_column=text_column(key=True))
    years: int = Field(sa_column=time_column(key=True))
    state: str = Field(sa_column=text_column())


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


class ConsentImport(Record, table=True):
    """A file of consents, by its digest, and how far it has been imported; ``rows`` are lines done.

    ``known`` counts rows that were on record already. ``finished_at`` None: interrupted, or under way.
    """

    __tablename__ = "consent_import"
    sha256: str = Field(sa_column=text_column(key=True))
    id: str = Field(sa_column=text_column())
    importer: str = Field(sa_column=text_column())
    rows: int = Field(sa_column=time_column())
    imported: int = Field(sa_column=time_column())
    known: int = Field(sa_column=time_column())
    refused: int = Field(sa_column=time_column())
    started_at: int = Field(sa_column=time_column())
    finished_at: int | None = Field(sa_column=time_column(null=True))
