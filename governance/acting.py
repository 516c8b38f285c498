"""Who acts on consents, and the log entry that says so: the caller, the member it acts for, the subject."""

from __future__ import annotations

from dataclasses import dataclass

from audit import ledger
from audit.entry import Actor, Entry, Kind, Verdict
from governance.identity import Caller
from governance.testimony import party
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
    on: On,
    subject: SubjectId,
    now: int,
    *,
    dec: Verdict,
    resource: str,
    purpose: str,
    policy: str,
) -> int:
    """Append what was done to whom, on whose behalf, and return its index. Call it last before the commit."""
    names = ledger.pseudonyms(tx, {subject, on.member})
    caller = party(on.caller.actor_id, names)
    person = party(on.member, names)
    entry = Entry(
        t=now,
        kind=Kind.CHANGE,
        act=act,
        dec=dec,
        actor=Actor(caller, on_behalf_of=None if person == caller else person),
        subjects=(names[subject],),
        resource=resource,
        purpose=purpose,
        policy=policy,
        request=on.request_id,
    )
    return ledger.append(tx, [entry])[0].index
