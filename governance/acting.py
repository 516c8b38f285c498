"""Who acts on consents, and the log entry that says so: the caller, the member it acts for, the subject."""

from __future__ import annotations

from dataclasses import dataclass

from audit import ledger
from audit.entry import Actor, ActorType, Entry, Kind, Party, Verdict
from governance.identity import Caller
from governance.testimony import Pseudonyms, party
from policies.terms import ActorId, SubjectId
from policies.transaction import Transaction


@dataclass(frozen=True, slots=True)
class On:
    """Who acts: the caller and the member it acts for (the same for a signed-in member)."""

    caller: Caller
    member: ActorId
    request_id: str


def log_act(
    tx: Transaction,
    act: str,
    on: On | None,
    subject: SubjectId,
    now: int,
    *,
    dec: Verdict,
    policy: str,
    resource: str = "",
    purpose: str = "",
) -> int:
    """Append what was done to whom, on whose behalf, and return its index. Call it last before the commit.

    ``on`` is None for the operator at the command line.
    """
    names = ledger.pseudonyms(tx, {subject} if on is None else {subject, on.member})
    entry = Entry(
        t=now,
        kind=Kind.CHANGE,
        act=act,
        dec=dec,
        actor=Actor(Party(ActorType.SYSTEM, "operator")) if on is None else _actor(on, names),
        subjects=(names[subject],),
        resource=resource,
        purpose=purpose,
        policy=policy,
        request="" if on is None else on.request_id,
    )
    return ledger.append(tx, [entry])[0].index


def _actor(on: On, names: Pseudonyms) -> Actor:
    caller, person = party(on.caller.actor_id, names), party(on.member, names)
    return Actor(caller, on_behalf_of=None if person == caller else person)
