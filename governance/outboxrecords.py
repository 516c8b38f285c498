"""The tables of propagation: what others are to be told, whom, what came of it, and what became urgent.

An outbox row is written in the transaction of the change it reports, so neither can be there without the
other. Rows hold ids and words of the rule book, never a value or a name. What ends is given an end and stays.
"""

from __future__ import annotations

from sqlalchemy import Column, Index, Text
from sqlmodel import Field

from governance.records import Record, bytes_column, text_column, time_column


class OutboxEvent(Record, table=True):
    """One change that other services need to know of.

    ``position`` is the index of the log entry that reports the change. The log's head is locked until the
    commit, so positions appear in the order of commits: who has read up to one has missed none before it.
    """

    __tablename__ = "outbox_event"
    position: int = Field(sa_column=time_column(key=True))
    event_id: str = Field(sa_column=Column(Text, nullable=False, unique=True))
    kind: str = Field(sa_column=text_column())
    subject_id: str = Field(sa_column=text_column())
    consent_id: str = Field(sa_column=text_column())
    purpose: str = Field(sa_column=text_column())
    categories: str = Field(sa_column=text_column())
    recipient: str = Field(sa_column=text_column())
    at: int = Field(sa_column=time_column())


class Webhook(Record, table=True):
    """An address of a service. ``fanned_to`` is the position up to which deliveries have been made out.

    ``wide``: its owner may act for people and is told of every purpose. ``resume_at``: the address as a
    whole is in trouble and gets nothing before then.
    """

    __tablename__ = "webhook"
    __table_args__ = (Index("webhook_owner", "owner_id"),)
    id: str = Field(sa_column=text_column(key=True))
    owner_id: str = Field(sa_column=text_column())
    url: str = Field(sa_column=text_column())
    kinds: str = Field(sa_column=text_column())
    wide: int = Field(sa_column=time_column())
    state: str = Field(sa_column=text_column())
    created_at: int = Field(sa_column=time_column())
    ended_at: int | None = Field(sa_column=time_column(null=True))
    fanned_to: int = Field(sa_column=time_column())
    failures: int = Field(sa_column=time_column())
    resume_at: int = Field(sa_column=time_column())


class WebhookSecret(Record, table=True):
    """A signing secret, sealed with a key of its own. While two are valid, both sign."""

    __tablename__ = "webhook_secret"
    webhook_id: str = Field(sa_column=text_column(key=True))
    number: int = Field(sa_column=time_column(key=True))
    sealed: bytes = Field(sa_column=bytes_column())
    made_at: int = Field(sa_column=time_column())
    ends_at: int | None = Field(sa_column=time_column(null=True))


class WebhookDelivery(Record, table=True):
    """One event for one address. ``lease`` names the attempt that is under way until ``lease_until``."""

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        Index("webhook_delivery_due", "state", "next_at"),
        Index("webhook_delivery_order", "webhook_id", "subject_id", "position"),
    )
    webhook_id: str = Field(sa_column=text_column(key=True))
    position: int = Field(sa_column=time_column(key=True))
    subject_id: str = Field(sa_column=text_column())
    state: str = Field(sa_column=text_column())
    attempts: int = Field(sa_column=time_column())
    next_at: int = Field(sa_column=time_column())
    lease: str = Field(sa_column=text_column())
    lease_until: int = Field(sa_column=time_column())
    last_at: int | None = Field(sa_column=time_column(null=True))
    last_result: str = Field(sa_column=text_column())
    acknowledged_at: int | None = Field(sa_column=time_column(null=True))


class EventPull(Record, table=True):
    """Up to where a service that pulls has acknowledged."""

    __tablename__ = "event_pull"
    actor_id: str = Field(sa_column=text_column(key=True))
    position: int = Field(sa_column=time_column())
    at: int = Field(sa_column=time_column())


class Incident(Record, table=True):
    """A withdrawal that an address has not acknowledged in time; closed when it does."""

    __tablename__ = "incident"
    webhook_id: str = Field(sa_column=text_column(key=True))
    position: int = Field(sa_column=time_column(key=True))
    id: str = Field(sa_column=Column(Text, nullable=False, unique=True))
    opened_at: int = Field(sa_column=time_column())
    closed_at: int | None = Field(sa_column=time_column(null=True))
