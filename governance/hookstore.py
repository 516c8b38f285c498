"""Statements about webhooks and deliveries. Thin: what is due, under which lease, and what came of it.

An attempt is leased by one transaction and its result noted by another; between the two nothing is held.
Whoever dies in between leaves a lease that runs out, and the event goes out again with the same id. One
person's events reach one address in their order: a later one is not due while an earlier one waits.
Locks are taken webhook first, then its deliveries.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from sqlalchemy import Select, and_, bindparam, exists, func, insert, or_, select, text, update

from governance.announcing import COLUMNS, Announcement
from governance.outboxrecords import Incident, OutboxEvent, Webhook, WebhookDelivery, WebhookSecret
from governance.records import Actor
from policies.transaction import Transaction

WAITING: Final = "waiting"
ACKNOWLEDGED: Final = "acknowledged"
GIVEN_UP: Final = "given_up"
ACTIVE: Final = "active"
ENDED: Final = "ended"
DISABLED: Final = "disabled"

_hook, _delivery, _secret = Webhook.__table__, WebhookDelivery.__table__, WebhookSecret.__table__
_event, _incident, _actor = OutboxEvent.__table__, Incident.__table__, Actor.__table__
_earlier, _busy = _delivery.alias("earlier"), _delivery.alias("busy")

_ALIVE: Final = and_(_hook.c.state == ACTIVE, _actor.c.state == ACTIVE)
_LAST: Final = select(func.max(_event.c.position))
_BEHIND: Final = (
    select(_hook.c.id)
    .join(_actor, _actor.c.id == _hook.c.owner_id)
    .where(_ALIVE, _hook.c.fanned_to < bindparam("last"))
    .order_by(_hook.c.id)
)
_TO_FAN: Final = (
    select(_hook.c.owner_id, _actor.c.roles, _hook.c.wide, _hook.c.kinds, _hook.c.fanned_to)
    .join(_actor, _actor.c.id == _hook.c.owner_id)
    .where(_ALIVE, _hook.c.id == bindparam("hook"))
    .with_for_update(of=_hook, skip_locked=True)
)
_FANNED: Final = update(_hook).where(_hook.c.id == bindparam("hook")).values(fanned_to=bindparam("last"))
# A replay has made some of them out before; those keep what is known of them.
_MAKE_OUT: Final = text(
    "INSERT INTO webhook_delivery (webhook_id, position, subject_id, state, attempts, next_at, lease,"
    " lease_until, last_at, last_result, acknowledged_at)"
    " VALUES (:webhook_id, :position, :subject_id, :state, 0, :next_at, '', 0, NULL, '', NULL)"
    " ON CONFLICT (webhook_id, position) DO NOTHING"
)


def _due(*, held: bool) -> Select[tuple[str, int]]:
    found = (
        select(_delivery.c.webhook_id, _delivery.c.position)
        .join(_hook, _hook.c.id == _delivery.c.webhook_id)
        .join(_actor, _actor.c.id == _hook.c.owner_id)
        .where(
            _ALIVE,
            _hook.c.resume_at <= bindparam("now"),
            _delivery.c.state == WAITING,
            _delivery.c.next_at <= bindparam("now"),
            _delivery.c.lease_until <= bindparam("now"),
            ~exists(
                select(_earlier.c.position).where(
                    _earlier.c.webhook_id == _delivery.c.webhook_id,
                    _earlier.c.subject_id == _delivery.c.subject_id,
                    _earlier.c.position < _delivery.c.position,
                    _earlier.c.state == WAITING,
                )
            ),
            select(func.count())
            .select_from(_busy)
            .where(_busy.c.webhook_id == _delivery.c.webhook_id, _busy.c.lease_until > bindparam("now"))
            .scalar_subquery()
            < bindparam("most_at_once"),
        )
        .order_by(_delivery.c.next_at, _delivery.c.position)
        .limit(1)
    )
    return found.with_for_update(of=_delivery, skip_locked=True) if held else found


IS_DUE: Final = _due(held=False)
"""Whether anything is due, for a look that locks nothing."""
_TAKE: Final = _due(held=True)
_LEASE: Final = (
    update(_delivery)
    .where(_delivery.c.webhook_id == bindparam("hook"), _delivery.c.position == bindparam("at"))
    .values(lease=bindparam("token"), lease_until=bindparam("until"), attempts=_delivery.c.attempts + 1)
)
_LETTER: Final = (
    select(_hook.c.url, _delivery.c.attempts, *COLUMNS)
    .join(_delivery, _delivery.c.webhook_id == _hook.c.id)
    .join(_event, _event.c.position == _delivery.c.position)
    .where(_delivery.c.webhook_id == bindparam("hook"), _delivery.c.position == bindparam("at"))
)
_SECRETS: Final = (
    select(_secret.c.number, _secret.c.sealed)
    .where(
        _secret.c.webhook_id == bindparam("hook"),
        or_(_secret.c.ends_at.is_(None), _secret.c.ends_at > bindparam("now")),
    )
    .order_by(_secret.c.number.desc())
)
_MINE: Final = and_(
    _delivery.c.webhook_id == bindparam("hook"),
    _delivery.c.position == bindparam("at"),
    _delivery.c.lease == bindparam("token"),
)
_ARRIVED: Final = (
    update(_delivery)
    .where(_MINE)
    .values(
        state=ACKNOWLEDGED,
        lease="",
        lease_until=0,
        last_at=bindparam("now"),
        last_result=bindparam("result"),
        acknowledged_at=func.coalesce(_delivery.c.acknowledged_at, bindparam("now")),
    )
)
_FAILED: Final = (
    update(_delivery)
    .where(_MINE)
    .values(
        state=bindparam("becomes"),
        lease="",
        lease_until=0,
        last_at=bindparam("now"),
        last_result=bindparam("result"),
        next_at=bindparam("then"),
    )
)
_WELL: Final = (
    update(_hook).where(_hook.c.id == bindparam("hook"), _hook.c.failures > 0).values(failures=0, resume_at=0)
)
_FAILURES: Final = select(_hook.c.failures).where(_hook.c.id == bindparam("hook")).with_for_update()
_IN_TROUBLE: Final = (
    update(_hook)
    .where(_hook.c.id == bindparam("hook"))
    .values(failures=bindparam("times"), resume_at=bindparam("then"))
)
_CLOSE: Final = (
    update(_incident)
    .where(
        _incident.c.webhook_id == bindparam("hook"),
        _incident.c.position == bindparam("at"),
        _incident.c.closed_at.is_(None),
    )
    .values(closed_at=bindparam("now"))
)
_OVERDUE: Final = (
    select(_delivery.c.webhook_id, _delivery.c.position, _delivery.c.subject_id)
    .join(_event, _event.c.position == _delivery.c.position)
    .outerjoin(
        _incident,
        and_(_incident.c.webhook_id == _delivery.c.webhook_id, _incident.c.position == _delivery.c.position),
    )
    .where(
        _delivery.c.state.in_((WAITING, GIVEN_UP)),
        _delivery.c.acknowledged_at.is_(None),
        _event.c.kind.in_(bindparam("kinds", expanding=True)),
        _event.c.at <= bindparam("since"),
        _incident.c.id.is_(None),
    )
    .order_by(_delivery.c.position)
    .limit(bindparam("most"))
)
# Two workers may look at the same time; the second finds the first's.
_OPEN: Final = text(
    "INSERT INTO incident (webhook_id, position, id, opened_at, closed_at)"
    " VALUES (:webhook_id, :position, :id, :opened_at, NULL) ON CONFLICT (webhook_id, position) DO NOTHING"
)
_ADD_SECRET: Final = insert(_secret)


class Fan(NamedTuple):
    """A webhook whose deliveries are being made out; its row is held."""

    owner_id: str
    roles: frozenset[str]
    wide: bool
    kinds: frozenset[str]
    fanned_to: int


class Letter(NamedTuple):
    """One attempt that this worker alone makes until its lease runs out."""

    webhook_id: str
    url: str
    attempt: int
    token: str
    announcement: Announcement
    secrets: tuple[tuple[int, bytes], ...]


class Overdue(NamedTuple):
    """A withdrawal that an address should have acknowledged by now."""

    webhook_id: str
    position: int
    subject_id: str


def last_position(tx: Transaction) -> int:
    """Return the newest position of the outbox; -1 when nothing was ever announced."""
    newest = tx.rows(_LAST)[0][0]
    return -1 if newest is None else int(newest)


def behind(tx: Transaction, last: int) -> list[str]:
    """Return the webhooks for which something has yet to be made out."""
    return [row[0] for row in tx.rows(_BEHIND, {"last": last})]


def hold_for_fanning(tx: Transaction, webhook_id: str) -> Fan | None:
    """Hold a webhook to make its deliveries out; None while somebody else does, or when it has ended."""
    for owner, roles, wide, kinds, fanned_to in tx.rows(_TO_FAN, {"hook": webhook_id}):
        return Fan(owner, frozenset(roles.split()), bool(wide), frozenset(kinds.split()), fanned_to)
    return None


def make_out(tx: Transaction, webhook_id: str, told: list[Announcement], last: int, now: int) -> None:
    """Make out one delivery for each announcement and remember how far the outbox was read."""
    rows = [
        {
            "webhook_id": webhook_id,
            "position": one.position,
            "subject_id": one.subject_id,
            "state": WAITING,
            "next_at": now,
        }
        for one in told
    ]
    tx.run(_MAKE_OUT, rows)
    tx.run(_FANNED, {"hook": webhook_id, "last": last})


def take(tx: Transaction, token: str, now: int, until: int, most_at_once: int) -> Letter | None:
    """Lease the one delivery that is due longest; nobody else attempts it before ``until``."""
    for webhook_id, position in tx.rows(_TAKE, {"now": now, "most_at_once": most_at_once}):
        key = {"hook": webhook_id, "at": position}
        tx.run(_LEASE, {**key, "token": token, "until": until})
        url, attempt, *columns = tx.rows(_LETTER, key)[0]
        sealed = tx.rows(_SECRETS, {"hook": webhook_id, "now": now})
        return Letter(
            webhook_id,
            url,
            attempt,
            token,
            Announcement._make(columns),
            tuple((number, bytes(cell)) for number, cell in sealed),
        )
    return None


def arrived(tx: Transaction, letter: Letter, result: str, now: int) -> None:
    """Note an acknowledgement; nothing if the lease has passed to somebody else."""
    tx.run(_WELL, {"hook": letter.webhook_id})
    key = _key(letter)
    if tx.run(_ARRIVED, {**key, "token": letter.token, "result": result, "now": now}):
        tx.run(_CLOSE, {**key, "now": now})


def trouble(tx: Transaction, letter: Letter) -> int:
    """Hold the webhook and return how many failures in a row this one makes."""
    return int(tx.rows(_FAILURES, {"hook": letter.webhook_id})[0][0]) + 1


def pause(tx: Transaction, letter: Letter, failures: int, until: int) -> None:
    """Leave the whole address alone for a while."""
    tx.run(_IN_TROUBLE, {"hook": letter.webhook_id, "times": failures, "then": until})


def failed(tx: Transaction, letter: Letter, result: str, now: int, again_at: int | None) -> None:
    """Note a failure and when the next attempt is due; None: there is none."""
    note = {"result": result, "now": now, "then": now if again_at is None else again_at}
    state = GIVEN_UP if again_at is None else WAITING
    tx.run(_FAILED, {**_key(letter), "token": letter.token, "becomes": state, **note})


def _key(letter: Letter) -> dict[str, object]:
    return {"hook": letter.webhook_id, "at": letter.announcement.position}


def overdue(tx: Transaction, kinds: frozenset[str], since: int, most: int) -> list[Overdue]:
    """Return urgent announcements from before ``since`` that an address has never acknowledged."""
    rows = tx.rows(_OVERDUE, {"kinds": sorted(kinds), "since": since, "most": most})
    return [Overdue._make(row) for row in rows]


def open_incident(tx: Transaction, incident_id: str, one: Overdue, now: int) -> bool:
    """Open an incident; False when there is one."""
    row = {"webhook_id": one.webhook_id, "position": one.position, "id": incident_id, "opened_at": now}
    return tx.run(_OPEN, row) == 1


def add_secret(tx: Transaction, webhook_id: str, number: int, sealed: bytes, now: int) -> None:
    """Store a sealed secret."""
    row = {"webhook_id": webhook_id, "number": number, "sealed": sealed, "made_at": now, "ends_at": None}
    tx.run(_ADD_SECRET, row)


def secret_owner(webhook_id: str, number: int) -> str:
    """Return the name under which one secret's own key is kept."""
    return f"{webhook_id}.{number}"
