"""Ties between people as events of a person's log: guardians, primary accounts, leaving a household.

What rests on a tie stops holding when its end is recorded. The caller holds the subject's lock.
"""

from __future__ import annotations

from collections.abc import Mapping

from consent.eventlog import Actor, happened, not_before, record
from consent.events import Capacity, EventKind
from policies.transaction import Transaction


def link_guardian(
    tx: Transaction, ward_id: str, guardian_id: str, evidence: Mapping[str, str], now: int
) -> None:
    """Record a verified guardian of a minor; ``evidence`` says how it was verified, without values."""
    actor = Actor(guardian_id, Capacity.GUARDIAN, evidence)
    record(tx, happened(EventKind.GUARDIAN_LINKED, ward_id, actor, now))


def end_guardian(
    tx: Transaction, ward_id: str, guardian_id: str, evidence: Mapping[str, str], now: int
) -> None:
    """Record the end of a guardianship; every consent that rested on it stops holding."""
    actor = Actor(guardian_id, Capacity.GUARDIAN, evidence)
    record(tx, happened(EventKind.GUARDIAN_ENDED, ward_id, actor, not_before(tx, ward_id, now)))


def link_primary(tx: Transaction, member_id: str, primary_id: str, household_id: str, now: int) -> None:
    """Record in the member's log that an account is primary in the household the member lives in."""
    actor = Actor(primary_id, Capacity.PRIMARY, {})
    record(tx, happened(EventKind.JOINED, member_id, actor, now, viewer=household_id))


def end_primary(tx: Transaction, member_id: str, primary_id: str, household_id: str, now: int) -> None:
    """Record in the member's log that the primary account left the household or handed its role over."""
    _left(tx, member_id, Actor(primary_id, Capacity.PRIMARY, {}), household_id, now)


def leave(tx: Transaction, member_id: str, household_id: str, now: int) -> None:
    """Record that the member left the household; what its primary account agreed to stops holding."""
    _left(tx, member_id, Actor(member_id, Capacity.SELF, {}), household_id, now)


def _left(tx: Transaction, member_id: str, actor: Actor, household_id: str, now: int) -> None:
    instant = not_before(tx, member_id, now)
    record(tx, happened(EventKind.LEFT, member_id, actor, instant, viewer=household_id))
