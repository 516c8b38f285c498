"""Objections and restrictions: who may say one for whom, what a legal hold says by itself, and the way back.

Promises that from 14 on only the person says no, except where person and guardian must both agree
(个人信息保护法 第三十一条); that what a hold imposes is on record as the service's own doing, once; and that
only whoever said no takes it back. Functions work in the caller's transaction, under the subject's lock.
"""

from __future__ import annotations

from datetime import date
from typing import Final

from consent import registry
from consent.ages import CONSENT_AGE, age_on
from consent.events import Capacity
from consent.listing import Terms
from governance.rightsrecords import Request, Right, Status
from policies.book import RuleBook
from policies.terms import ActorId, Purpose
from policies.transaction import Transaction

NOES: Final = frozenset({Right.OBJECTION, Right.RESTRICTION})
"""The rights that take effect at once and can be taken back afterwards."""
_ITSELF: Final = "rights"


def guardian_may(purpose: str, birth: date | None, book: RuleBook, now: int) -> bool:
    """Say whether a guardian's no would count: about somebody of 14 or more it mostly does not.

    ``purpose`` is what the no is about, empty for everything; a person without a birth date is a child.
    """
    if birth is None or age_on(birth, now) < CONSENT_AGE:
        return True
    entry = book.purposes.get(Purpose(purpose))
    return entry is not None and entry.both_required


def say(tx: Transaction, request: Request, purpose: str, by: registry.Actor, now: int) -> None:
    """Record the no that a request asks for; any other request says none."""
    terms = Terms(purpose, frozenset(), "", "")
    if request.kind is Right.OBJECTION:
        registry.object_to(tx, request.subject_id, terms, by, now, request=request.id)
    elif request.kind is Right.RESTRICTION:
        registry.restrict(tx, request.subject_id, terms, by, now, request=request.id)


def is_in_force(request: Request) -> bool:
    """Say whether a request led to a no that stands, as far as the request itself tells."""
    return request.kind in NOES and request.state is Status.FULFILLED


def hold_back(tx: Transaction, request: Request, officer: ActorId, now: int) -> bool:
    """Restrict to storage whoever cannot be erased because of a legal hold, once for each request.

    Nobody asked for that: it is the service's own doing, on the occasion of an officer's
    (个人信息保护法 第四十七条第二款). False if it was restricted already.
    """
    by = registry.Actor(_ITSELF, Capacity.SERVICE, {"request": request.id, "officer": officer})
    return registry.restrict(tx, request.subject_id, registry.EVERYTHING, by, now, request=request.id)


def let_go(tx: Transaction, request: Request, now: int) -> None:
    """End what ``hold_back`` said, if it did: the erasure is not wanted any more, or denied."""
    by = registry.Actor(_ITSELF, Capacity.SERVICE, {"request": request.id})
    try:
        registry.take_back(tx, request.subject_id, request.id, by, now)
    except registry.UnknownConsentError:
        return
