"""How far each witness and each outside copy has been told of the log's checkpoints."""

from __future__ import annotations

from sqlmodel import Field

from governance.records import Record, text_column, time_column


class CheckpointDelivery(Record, table=True):
    """One target: the largest size it has taken (-1: none), when it is next tried, and how it went last.

    ``next_at`` is moved ahead before somebody is asked, so that of several processes one asks.
    """

    __tablename__ = "checkpoint_delivery"
    target: str = Field(sa_column=text_column(key=True))
    size: int = Field(sa_column=time_column())
    next_at: int = Field(sa_column=time_column())
    failures: int = Field(sa_column=time_column())
    result: str = Field(sa_column=text_column())
