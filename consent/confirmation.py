"""One-time codes: the second half of tick box + code (S9).

Promises that a code is random, lives some minutes, works once, and can be guessed at most a few times even
by parallel guesses: the counter goes up by a conditional UPDATE before anything is compared. Only a MAC is
stored, bound to the consent, the person, the actor and the terms, so that a code never confirms anything
else. Wrong, expired, used, exhausted and unknown give the same answer. Answers are values: the caller
commits either way, otherwise the count of wrong guesses would be rolled back with the refusal.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import bindparam, delete, func, insert, select, update

from consent.events import Capacity, EventKind
from consent.facts import above
from consent.listing import Consent
from consent.records import ConsentChallenge, ConsentEvent
from consent.weighing import confirm_before
from policies.entries import Limits
from policies.transaction import Transaction

SHORT: Final = 6
"""Digits of an ordinary code."""
LONG: Final = 8
"""Digits where more is at stake: a guardian confirms, or health data is concerned."""
MOST_CODES: Final = 3
"""How many codes go out for one tick: a person is not to be pestered with somebody's clicks."""

_T: Final = ConsentChallenge.__table__
_OPEN: Final = insert(_T)
_OPENED: Final = select(_T.c.used_at).where(_T.c.consent_id == bindparam("consent"))
_FORGET: Final = delete(_T).where(_T.c.subject_id == bindparam("subject"))
_REPLACE: Final = (
    update(_T)
    .where(_T.c.consent_id == bindparam("consent"), _T.c.used_at.is_(None), _T.c.codes < MOST_CODES)
    .values(code_hmac=bindparam("mac"), bound=bindparam("terms"), codes=_T.c.codes + 1)
)
_TRY: Final = (
    update(_T)
    .where(
        _T.c.consent_id == bindparam("consent"),
        _T.c.tries < bindparam("most"),
        _T.c.expires_at > bindparam("at"),
        _T.c.used_at.is_(None),
    )
    .values(tries=_T.c.tries + 1)
)
_E: Final = ConsentEvent.__table__
_OUT: Final = (
    select(func.count())
    .select_from(_E.join(_T, _T.c.consent_id == _E.c.consent_id))
    .where(
        _E.c.subject_id.in_(bindparam("subjects", expanding=True)),
        _E.c.kind == EventKind.TICKED.value,
        _E.c.actor_id == bindparam("actor"),
        _T.c.expires_at > bindparam("at"),
        _T.c.used_at.is_(None),
    )
)
_LEFT: Final = select(_T.c.consent_id).where(
    _T.c.consent_id == bindparam("consent"), _T.c.tries < bindparam("most"), _T.c.used_at.is_(None)
)
_READ: Final = select(_T.c.subject_id, _T.c.code_hmac, _T.c.bound).where(
    _T.c.consent_id == bindparam("consent")
)
_USE: Final = (
    update(_T)
    .where(_T.c.consent_id == bindparam("consent"), _T.c.used_at.is_(None))
    .values(used_at=bindparam("at"))
)


@dataclass(frozen=True, slots=True)
class Confirmed:
    """Proof that the right code was given. Only ``answer`` makes one; ``registry.confirm`` asks for it."""

    consent_id: str
    subject_id: str
    actor_id: str


@dataclass(frozen=True, slots=True)
class NotConfirmed:
    """The code was not accepted. There is deliberately nothing else to know."""


def digits_for(consent: Consent) -> int:
    """Return the length of the code for a consent."""
    health = any("health" in above(category) for category in consent.terms.categories)
    return LONG if health or consent.capacity == Capacity.GUARDIAN else SHORT


def open_challenge(tx: Transaction, consent: Consent, limits: Limits, pepper: bytes) -> str | None:
    """Make the code of a consent, store its MAC, and return the code for sending after the commit.

    The code lasts as long as the tick may be confirmed. Asking again replaces it and gives neither more
    time nor more tries. None when the consent's code has been used already, or was asked for too often.
    """
    length = digits_for(consent)
    code = f"{secrets.randbelow(10**length):0{length}d}"
    bound = _bound(consent)
    mac = _mac(pepper, consent.consent_id, code, bound)
    earlier = tx.rows(_OPENED, {"consent": consent.consent_id})
    if earlier:
        replaced = tx.run(_REPLACE, {"consent": consent.consent_id, "mac": mac, "terms": bound})
        return code if replaced else None
    tx.run(
        _OPEN,
        {
            "consent_id": consent.consent_id,
            "subject_id": consent.subject_id,
            "code_hmac": mac,
            "tries": 0,
            "expires_at": confirm_before(consent.ticked_at, limits),
            "used_at": None,
            "bound": bound,
            "codes": 1,
        },
    )
    return code


def has_tries(tx: Transaction, consent_id: str, limits: Limits) -> bool:
    """Say whether a code of this consent could still be answered, apart from the time."""
    return bool(tx.rows(_LEFT, {"consent": consent_id, "most": limits.code_tries}))


def codes_out(tx: Transaction, subjects: Sequence[str], actor_id: str, now: int) -> int:
    """Return for how many ticks of one actor about these people a code is still waited for."""
    if not subjects:
        return 0
    return int(tx.rows(_OUT, {"subjects": tuple(subjects), "actor": actor_id, "at": now})[0][0])


def link_of(pepper: bytes, consent_id: str, code: str) -> str:
    """Return the token of a confirmation link: consent, code and a MAC over both.

    Without the MAC, whoever knows the consent's id could use up the person's tries.
    """
    return f"{consent_id}.{code}.{_link_mac(pepper, consent_id, code)}"


def read_link(pepper: bytes, token: str) -> tuple[str, str] | None:
    """Return consent id and code of a link that we made; None for anything else. No try is counted."""
    parts = token.split(".") if token.isascii() else []
    if len(parts) != len(("consent", "code", "mac")):
        return None
    consent_id, code, mac = parts
    return (consent_id, code) if hmac.compare_digest(_link_mac(pepper, consent_id, code), mac) else None


def answer(
    tx: Transaction, consent_id: str, actor_id: str, code: str, *, limits: Limits, pepper: bytes, now: int
) -> Confirmed | NotConfirmed:
    """Try a code. The caller commits whatever comes back, so that the try counts.

    Only the actor who ticked can confirm: for anybody else the right code is a wrong one.
    """
    counted = tx.run(_TRY, {"consent": consent_id, "most": limits.code_tries, "at": now})
    found = tx.rows(_READ, {"consent": consent_id})
    subject_id, expected, bound = found[0] if found else ("", "", "[]")
    given = _mac(pepper, consent_id, code, bound)  # also for nothing, so that every no costs the same
    if not counted or not hmac.compare_digest(given, expected):
        return NotConfirmed()
    if json.loads(bound)[_ACTOR] != actor_id or not tx.run(_USE, {"consent": consent_id, "at": now}):
        return NotConfirmed()
    return Confirmed(consent_id, subject_id, actor_id)


_ACTOR: Final = 1


def _bound(consent: Consent) -> str:
    terms = consent.terms
    who = [consent.subject_id, consent.actor_id, consent.capacity]
    what = [terms.purpose, sorted(terms.categories), terms.recipient, terms.notice]
    return json.dumps([*who, *what], ensure_ascii=True, separators=(",", ":"))


def _link_mac(pepper: bytes, consent_id: str, code: str) -> str:
    text = json.dumps(["link", consent_id, code], ensure_ascii=True, separators=(",", ":"))
    return hmac.new(pepper, text.encode(), hashlib.sha256).hexdigest()


def _mac(pepper: bytes, consent_id: str, code: str, bound: str) -> str:
    # JSON keeps the parts apart: no two different triples have the same text.
    text = json.dumps([consent_id, code, bound], ensure_ascii=True, separators=(",", ":"))
    return hmac.new(pepper, text.encode(), hashlib.sha256).hexdigest()


def forget_codes(tx: Transaction, subject_id: str) -> None:
    """Delete the one-time codes of a person who is erased; the events stay as evidence."""
    tx.run(_FORGET, {"subject": subject_id})
