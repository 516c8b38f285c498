"""Who is calling: services by hashed, prefixed API key, people by single-use link and session.

Promises that no credential is stored (only SHA-256 of 256 random bits), that there is no default one,
and that a revoked key or an ended session is refused from the commit of that change on, because it is
looked up on each request. Whatever is wrong with a credential, the answer is the same 401.
"""

from __future__ import annotations

import hashlib
import secrets
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import bindparam, insert, or_, select, update
from sqlalchemy.sql import Executable

from governance.records import Actor, ApiKey, Link, Session
from policies.identifiers import Prefix, kind_of
from policies.terms import ActorId
from policies.transaction import Row, Transaction

_PREFIX: Final = "gov_live_"
_SECRET_CHARS: Final = 43
_SUM_CHARS: Final = 8
LINK_MS: Final = 24 * 3600 * 1000
SESSION_MS: Final = 8 * 3600 * 1000

_key, _actor, _link, _session = ApiKey.__table__, Actor.__table__, Link.__table__, Session.__table__

_BY_KEY: Final = (
    select(_actor.c.id, _actor.c.roles, _key.c.scopes)
    .join_from(_key, _actor, _key.c.actor_id == _actor.c.id)
    .where(
        _key.c.key_hash == bindparam("digest"),
        _key.c.revoked_at.is_(None),
        or_(_key.c.expires_at.is_(None), _key.c.expires_at > bindparam("now")),
        _actor.c.state == "active",
    )
)
_BY_SESSION: Final = (
    select(_actor.c.id, _actor.c.roles)
    .join_from(_session, _actor, _session.c.actor_id == _actor.c.id)
    .where(
        _session.c.token_hash == bindparam("digest"),
        _session.c.ended_at.is_(None),
        _session.c.expires_at > bindparam("now"),
        _actor.c.state == "active",
    )
)
_BY_ID: Final = select(_actor.c.roles).where(_actor.c.id == bindparam("actor"), _actor.c.state == "active")
_ADD_KEY: Final = insert(_key)
_REVOKE_KEY: Final = (
    update(_key)
    .where(_key.c.key_hash == bindparam("digest"), _key.c.revoked_at.is_(None))
    .values(revoked_at=bindparam("now"))
)
_ADD_LINK: Final = insert(_link)
_USE_LINK: Final = (
    update(_link)
    .where(
        _link.c.token_hash == bindparam("digest"),
        _link.c.used_at.is_(None),
        _link.c.expires_at > bindparam("now"),
    )
    .values(used_at=bindparam("now"))
)
_LINK_ACTOR: Final = select(_link.c.actor_id).where(_link.c.token_hash == bindparam("digest"))
_ADD_SESSION: Final = insert(_session)
_END_SESSION: Final = (
    update(_session)
    .where(_session.c.token_hash == bindparam("digest"), _session.c.ended_at.is_(None))
    .values(ended_at=bindparam("now"))
)


class Scope(StrEnum):
    """What an API key may be used for."""

    READS = "reads"
    CHECKS = "checks"
    WRITES = "writes"
    GRAPH = "graph"
    CONSENTS = "consents"
    MESSAGES = "messages"
    SCREENINGS = "screenings"
    REDACTIONS = "redactions"
    LOOKUPS = "lookups"
    PERMITS = "permits"
    AUDIT = "audit"
    ON_BEHALF = "on_behalf"
    SEARCHES = "searches"
    EVENTS = "events"
    INBOUND = "inbound"
    NOTICES = "notices"


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody whose credential held. ``scopes`` is empty for people."""

    actor_id: ActorId
    kind: Prefix
    scopes: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()


Look = Callable[[Executable, Mapping[str, object]], Sequence[Row]]
"""How a credential is looked up: ``tx.rows`` inside a transaction, ``database.look`` by itself."""


def digest(secret: str) -> bytes:
    """Return what is stored of a credential. The secrets are random, so a plain hash is enough."""
    return hashlib.sha256(secret.encode()).digest()


def _checksum(secret: str) -> str:
    return f"{zlib.crc32(secret.encode()):08x}"


def _well_formed(key: str) -> bool:
    # The checksum spares the database a query for a key that was cut or mistyped.
    secret = key[len(_PREFIX) : -_SUM_CHARS]
    return (
        key.startswith(_PREFIX)
        and len(secret) == _SECRET_CHARS
        and key.isascii()
        and key[-_SUM_CHARS:] == _checksum(secret)
    )


def issue_key(
    tx: Transaction, actor_id: ActorId, scopes: frozenset[Scope], now: int, expires_at: int | None = None
) -> str:
    """Make a key for a service and return it; it cannot be read again."""
    secret = secrets.token_urlsafe(32)
    key = _PREFIX + secret + _checksum(secret)
    tx.run(
        _ADD_KEY,
        {
            "key_hash": digest(key),
            "actor_id": actor_id,
            "scopes": " ".join(sorted(scopes)),
            "created_at": now,
            "expires_at": expires_at,
            "revoked_at": None,
        },
    )
    return key


def revoke_key(tx: Transaction, key: str, now: int) -> bool:
    """End a key; True if it was valid until now."""
    return tx.run(_REVOKE_KEY, {"digest": digest(key), "now": now}) == 1


def bearer_of(authorization: str) -> str | None:
    """Return the API key of an Authorization header, or None if it holds no well-formed one."""
    scheme, _, key = authorization.partition(" ")
    return key if scheme.lower() == "bearer" and _well_formed(key) else None


def service(look: Look, key: str, now: int) -> Caller | None:
    """Return the service that holds this key, if key and service are valid now."""
    rows = look(_BY_KEY, {"digest": digest(key), "now": now})
    if not rows:
        return None
    actor, roles, scopes = rows[0]
    return Caller(ActorId(actor), Prefix.SERVICE, frozenset(scopes.split()), frozenset(roles.split()))


def issue_link(tx: Transaction, actor_id: ActorId, now: int) -> str:
    """Make a single-use sign-in token for a person."""
    token = secrets.token_urlsafe(32)
    tx.run(
        _ADD_LINK,
        {"token_hash": digest(token), "actor_id": actor_id, "expires_at": now + LINK_MS, "used_at": None},
    )
    return token


def redeem_link(tx: Transaction, token: str, now: int) -> str | None:
    """Burn a sign-in token and return a fresh session token; None if it is used, old or unknown."""
    if tx.run(_USE_LINK, {"digest": digest(token), "now": now}) != 1:
        return None
    actor_id = tx.rows(_LINK_ACTOR, {"digest": digest(token)})[0][0]
    session = secrets.token_urlsafe(32)
    tx.run(
        _ADD_SESSION,
        {
            "token_hash": digest(session),
            "actor_id": actor_id,
            "created_at": now,
            "expires_at": now + SESSION_MS,
            "ended_at": None,
        },
    )
    return session


def person(look: Look, session: str, now: int) -> Caller | None:
    """Return the person of a session token that is valid now."""
    rows = look(_BY_SESSION, {"digest": digest(session), "now": now})
    kind = kind_of(rows[0][0]) if rows else None
    if kind is None:
        return None
    return Caller(ActorId(rows[0][0]), kind, roles=frozenset(rows[0][1].split()))


def end_session(tx: Transaction, session: str, now: int) -> None:
    """Sign a person out."""
    tx.run(_END_SESSION, {"digest": digest(session), "now": now})


def staff(look: Look, actor_id: str) -> Caller | None:
    """Return the member of staff whom an operator names at the command line; None if not in service."""
    rows = look(_BY_ID, {"actor": actor_id}) if kind_of(actor_id) is Prefix.STAFF else ()
    return Caller(ActorId(actor_id), Prefix.STAFF, roles=frozenset(rows[0][0].split())) if rows else None
