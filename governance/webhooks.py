"""Webhooks as services manage them: register, list, renew the secret, replay, end; and pulling instead.

Promises that a secret is shown once and lies sealed; that a service sees and changes only its own, with the
same answer for unknown and not yours; that what ends is given an end and stays on record; and that each
change of an address commits with its log entry. Pulling acknowledges by asking on: who gives a cursor back
says that everything up to it has arrived.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from sqlalchemy import bindparam, func, insert, or_, select, text, update

from audit import ledger
from audit.entry import Actor as LogActor
from audit.entry import Entry, Kind, Verdict
from governance import announcing, hooksigning, hookstore
from governance.announcing import Announcement, Audience, Told
from governance.database import Database
from governance.egress import Egress
from governance.hookstore import ACTIVE, ENDED, WAITING
from governance.identity import Caller, Scope
from governance.opening import Opening
from governance.outboxrecords import EventPull, Incident, OutboxEvent, Webhook, WebhookDelivery, WebhookSecret
from governance.rulekeeping import RuleKeeper
from governance.testimony import party
from policies.identifiers import Prefix, new_id
from policies.transaction import Transaction

ENTITY: Final = "webhook"
"""The logical name under which a secret is sealed."""
OVERLAP_MS: Final = 24 * 3_600_000
"""How long the secret before signs as well after it has been renewed."""
MOST_WEBHOOKS: Final = 20
"""Active addresses of one service."""
_STRETCH: Final = 1_000
"""How many announcements one pull looks through at most, known to the caller or not."""

_hook, _secret, _delivery = Webhook.__table__, WebhookSecret.__table__, WebhookDelivery.__table__
_event, _pull, _incident = OutboxEvent.__table__, EventPull.__table__, Incident.__table__
_ADD: Final = insert(_hook)
_OF_OWNER: Final = (
    select(_hook.c.id, _hook.c.url, _hook.c.kinds, _hook.c.state, _hook.c.created_at, _hook.c.ended_at)
    .where(_hook.c.owner_id == bindparam("owner"))
    .order_by(_hook.c.created_at, _hook.c.id)
)
_OWN: Final = (
    select(_hook.c.state)
    .where(_hook.c.id == bindparam("hook"), _hook.c.owner_id == bindparam("owner"))
    .with_for_update()
)
_CLOSE: Final = (
    update(_hook)
    .where(_hook.c.id == bindparam("hook"), _hook.c.state == ACTIVE)
    .values(state=bindparam("becomes"), ended_at=bindparam("now"))
)
_DROP: Final = (
    update(_delivery)
    .where(_delivery.c.webhook_id == bindparam("hook"), _delivery.c.state != hookstore.ACKNOWLEDGED)
    .values(state=ENDED)
)
_END_SECRETS: Final = (
    update(_secret)
    .where(
        _secret.c.webhook_id == bindparam("hook"),
        or_(_secret.c.ends_at.is_(None), _secret.c.ends_at > bindparam("then")),
    )
    .values(ends_at=bindparam("then"))
)
_NUMBER: Final = select(func.max(_secret.c.number)).where(_secret.c.webhook_id == bindparam("hook"))
# What is under way right now is left to whoever has it: it will be noted, and it is being delivered.
_AGAIN: Final = (
    update(_delivery)
    .where(
        _delivery.c.webhook_id == bindparam("hook"),
        _delivery.c.position >= bindparam("from_position"),
        _delivery.c.lease_until <= bindparam("now"),
    )
    .values(state=WAITING, attempts=0, next_at=bindparam("now"))
)
_REWIND: Final = (
    update(_hook)
    .where(_hook.c.id == bindparam("hook"))
    .values(
        fanned_to=bindparam("before"),
        failures=0,
        resume_at=0,
    )
)
_DELIVERIES: Final = (
    select(
        _delivery.c.position,
        _event.c.event_id,
        _event.c.kind,
        _delivery.c.state,
        _delivery.c.attempts,
        _delivery.c.next_at,
        _delivery.c.last_at,
        _delivery.c.last_result,
        _delivery.c.acknowledged_at,
        _incident.c.opened_at,
    )
    .join(_event, _event.c.position == _delivery.c.position)
    .outerjoin(
        _incident,
        (_incident.c.webhook_id == _delivery.c.webhook_id) & (_incident.c.position == _delivery.c.position),
    )
    .where(_delivery.c.webhook_id == bindparam("hook"), _delivery.c.position < bindparam("before"))
    .order_by(_delivery.c.position.desc())
    .limit(bindparam("most"))
)
_PULLED: Final = text(
    "INSERT INTO event_pull (actor_id, position, at) VALUES (:actor_id, :position, :at)"
    " ON CONFLICT (actor_id) DO UPDATE SET position = excluded.position, at = excluded.at"
    " WHERE excluded.position > event_pull.position"
)


class NoSuchWebhookError(Exception):
    """There is no such webhook or event, or it is not this caller's."""


class NotActiveError(Exception):
    """The webhook has ended or was disabled, or the service has too many."""


class Endpoint(NamedTuple):
    """One webhook as its owner sees it."""

    id: str
    url: str
    kinds: tuple[str, ...]
    state: str
    created_at: int
    ended_at: int | None


class Delivery(NamedTuple):
    """What became of one announcement at one address."""

    position: int
    event_id: str
    kind: str
    state: str
    attempts: int
    next_at: int
    last_at: int | None
    last_result: str
    acknowledged_at: int | None
    incident_at: int | None


class Pulled(NamedTuple):
    """A stretch of announcements. ``position`` is where to go on; ``more`` says that there is more now."""

    told: list[Announcement]
    position: int
    more: bool


class Webhooks:
    """The desk."""

    def __init__(self, database: Database, keeper: RuleKeeper, opening: Opening, egress: Egress) -> None:
        self._database = database
        self._keeper = keeper
        self._opening = opening
        self._egress = egress

    def register(
        self, caller: Caller, url: str, kinds: frozenset[Told], now: int, request_id: str
    ) -> tuple[Endpoint, str]:
        """Register an address and return it with its secret, which cannot be read again.

        It is told of what happens from now on; ``replay`` reaches back.

        Raises:
            ForbiddenTargetError: the address is malformed, not https, or points inside.
            NotActiveError: the service has as many active addresses as it may.
        """
        self._egress.target(url)
        webhook = new_id(Prefix.WEBHOOK)
        with self._database.transaction() as tx:
            active = [row for row in tx.rows(_OF_OWNER, {"owner": caller.actor_id}) if row[3] == ACTIVE]
            if len(active) >= MOST_WEBHOOKS:
                raise NotActiveError
            made = Endpoint(webhook, url, tuple(sorted(kinds)), ACTIVE, now, None)
            tx.run(
                _ADD,
                {
                    "id": webhook,
                    "owner_id": caller.actor_id,
                    "url": url,
                    "kinds": " ".join(made.kinds),
                    "wide": int(Scope.ON_BEHALF in caller.scopes),
                    "state": ACTIVE,
                    "created_at": now,
                    "ended_at": None,
                    "fanned_to": hookstore.last_position(tx),
                    "failures": 0,
                    "resume_at": 0,
                },
            )
            secret = self._new_secret(tx, webhook, 1, now)
            self._note(tx, "webhook.added", caller, webhook, now, request_id)
            tx.commit()
        return made, secret

    def of(self, caller: Caller) -> list[Endpoint]:
        """Return the caller's webhooks, oldest first, ended ones included."""
        rows = self._database.look(_OF_OWNER, {"owner": caller.actor_id})
        return [Endpoint(id_, url, tuple(kinds.split()), *rest) for id_, url, kinds, *rest in rows]

    def renew(self, caller: Caller, webhook_id: str, now: int, request_id: str) -> str:
        """Return a new secret; the one before signs beside it for a day."""
        with self._database.transaction() as tx:
            self._own(tx, caller, webhook_id)
            number = int(tx.rows(_NUMBER, {"hook": webhook_id})[0][0]) + 1
            tx.run(_END_SECRETS, {"hook": webhook_id, "then": now + OVERLAP_MS})
            secret = self._new_secret(tx, webhook_id, number, now)
            self._note(tx, "webhook.secret_renewed", caller, webhook_id, now, request_id)
            tx.commit()
        return secret

    def end(self, caller: Caller, webhook_id: str, now: int, request_id: str) -> None:
        """End a webhook: nothing is sent to it any more. Ending twice changes nothing."""
        with self._database.transaction() as tx:
            if self._own(tx, caller, webhook_id, ended_too=True) != ENDED:
                close(tx, webhook_id, ENDED, now)
                tx.run(_DROP, {"hook": webhook_id})
                tx.run(_END_SECRETS, {"hook": webhook_id, "then": now})
                self._note(tx, "webhook.ended", caller, webhook_id, now, request_id)
                tx.commit()

    def replay(self, caller: Caller, webhook_id: str, event_id: str, now: int, request_id: str) -> None:
        """Deliver everything again from one event on, what was announced before the registration included."""
        self._keeper.attempt(lambda: self._replay(caller, webhook_id, event_id, now, request_id))

    def _replay(self, caller: Caller, webhook_id: str, event_id: str, now: int, request_id: str) -> None:
        with self._database.transaction() as tx:
            book = self._keeper.in_force(tx).rules.book
            self._own(tx, caller, webhook_id)
            start = announcing.with_id(tx, event_id)
            if start is None or not announcing.known_to(tx, book, _audience(caller), [start]):
                raise NoSuchWebhookError
            tx.run(_REWIND, {"hook": webhook_id, "before": start.position - 1})
            tx.run(_AGAIN, {"hook": webhook_id, "from_position": start.position, "now": now})
            self._note(tx, "webhook.replayed", caller, webhook_id, now, request_id)
            tx.commit()

    def deliveries(
        self, caller: Caller, webhook_id: str, before: int | None, limit: int
    ) -> tuple[list[Delivery], bool]:
        """Return what became of announcements at this address, newest first, and whether there are more."""
        with self._database.reading() as tx:
            if webhook_id not in {row[0] for row in tx.rows(_OF_OWNER, {"owner": caller.actor_id})}:
                raise NoSuchWebhookError
            start = ledger.NEWEST if before is None else before
            rows = tx.rows(_DELIVERIES, {"hook": webhook_id, "before": start, "most": limit + 1})
        return [Delivery._make(row) for row in rows[:limit]], len(rows) > limit

    def pull(self, caller: Caller, after: int | None, limit: int, now: int) -> Pulled:
        """Return what the caller may know after a position; the position itself is acknowledged by asking."""

        def look() -> Pulled:
            with self._database.transaction() as tx:
                pulled = self._pull(tx, caller, -1 if after is None else after, limit)
                if after is not None:
                    tx.run(_PULLED, {"actor_id": caller.actor_id, "position": after, "at": now})
                    tx.commit()
                return pulled

        return self._keeper.attempt(look)

    def _pull(self, tx: Transaction, caller: Caller, after: int, limit: int) -> Pulled:
        book = self._keeper.in_force(tx).rules.book
        stretch = announcing.after(tx, after, _STRETCH)
        told = announcing.known_to(tx, book, _audience(caller), stretch)
        if len(told) > limit:
            return Pulled(told[:limit], told[limit - 1].position, more=True)
        return Pulled(told, stretch[-1].position if stretch else after, more=len(stretch) == _STRETCH)

    def _own(self, tx: Transaction, caller: Caller, webhook_id: str, *, ended_too: bool = False) -> str:
        """Hold one of the caller's webhooks and return its state."""
        rows = tx.rows(_OWN, {"hook": webhook_id, "owner": caller.actor_id})
        if not rows:
            raise NoSuchWebhookError
        if rows[0][0] != ACTIVE and not ended_too:
            raise NotActiveError
        return str(rows[0][0])

    def _new_secret(self, tx: Transaction, webhook_id: str, number: int, now: int) -> str:
        secret = hooksigning.new_secret()
        owner = hookstore.secret_owner(webhook_id, number)
        sealed = self._opening.seal_alone(tx, owner, ENTITY, secret, now)
        hookstore.add_secret(tx, webhook_id, number, sealed.cell, now)
        return secret

    def _note(
        self, tx: Transaction, act: str, caller: Caller, webhook_id: str, now: int, request_id: str
    ) -> None:
        entry = Entry(
            t=now,
            kind=Kind.ADMIN,
            act=act,
            dec=Verdict.PERMIT,
            actor=LogActor(party(caller.actor_id, {})),
            resource=webhook_id,
            policy=self._keeper.fingerprint(tx),
            request=request_id,
        )
        ledger.append(tx, [entry])


def close(tx: Transaction, webhook_id: str, state: str, now: int) -> None:
    """Let an active webhook end in a state; nothing goes to it any more."""
    tx.run(_CLOSE, {"hook": webhook_id, "becomes": state, "now": now})


def _audience(caller: Caller) -> Audience:
    return Audience(caller.actor_id, caller.roles, Scope.ON_BEHALF in caller.scopes)
