"""Which entries of the log a person should look at, and why: a pure function over one decoded leaf.

Promises that nothing but the leaf, the rules and what the log said before it decides, so the same log gives
the same queue; and that what is drawn by chance is drawn by a keyed digest of the entry's id, which neither
reader nor officer can influence, and which anybody with the key can draw again.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final, NamedTuple

from audit.entry import ActorType, Entry, Party, Verdict
from policies.oversight import WHOLE, Ceiling, Oversight
from policies.reasons import Reason
from policies.terms import Effect, Relation
from policies.triggers import Trigger

RANGE: Final = 1_000_000
_SHOWING: Final = (Effect.SHOW, Effect.MASK)
_KIN: Final = (Relation.SELF, Relation.WARD, Relation.CORESIDENT)
_KIND_OF: Final = {ActorType.STAFF: "staff", ActorType.SERVICE: "service"}
_STANDS_BEHIND: Final = frozenset(
    {Reason.GUARDIAN_CONSENT.value, Reason.APPROVED.value, Reason.EMERGENCY_ACCESS.value}
)


class Seen(NamedTuple):
    """How many different people a reader was shown in a window up to an entry, the entry's included.

    ``fresh``: the entry's subject was not among them before.
    """

    people: int
    fresh: bool


class Context(NamedTuple):
    """What the log said before an entry, and what stands beside it.

    ``draw`` is the entry's lot in ``[0, RANGE)``. ``denied`` are fields of this subject that were denied to
    this reader within the time the rules look back. ``met``: the reader was shown this subject's data before.
    ``minor`` and ``kin`` are about the subject and the reader, False where nothing is known.
    """

    oversight: Oversight
    at_work: bool
    draw: int
    met: bool
    hour: Seen
    day: Seen
    denied: frozenset[str] = frozenset()
    minor: bool = False
    kin: bool = False
    mass_told: bool = False


def lot(key: bytes, entry_id: str) -> int:
    """Return an entry's lot in ``[0, RANGE)``: the first 8 bytes of HMAC-SHA256 over its id."""
    digest = hmac.digest(key, entry_id.encode(), hashlib.sha256)
    return int.from_bytes(digest[:8], "big") % RANGE


def reader_of(entry: Entry) -> Party | None:
    """Return whose look an entry of a read is, if it is staff's or a service's own; else None."""
    party = entry.actor.on_behalf_of or entry.actor.party
    return party if entry.act == "read" and len(entry.subjects) == 1 and party.type in _KIND_OF else None


def shown(entry: Entry) -> frozenset[str]:
    """Return the fields whose value was shown, in full or masked."""
    if entry.dec is not Verdict.PERMIT:
        return frozenset()
    return frozenset(one.name for one in entry.fields if one.effect in _SHOWING)


def refused(entry: Entry) -> frozenset[str]:
    """Return the fields that were denied; that there is nothing to show is no denial."""
    return frozenset(
        one.name
        for one in entry.fields
        if one.effect is Effect.HIDE and Reason.NOT_AVAILABLE.value not in one.why
    )


def unguarded(entry: Entry) -> frozenset[str]:
    """Return the fields that staff saw in full with neither guardian, approval nor emergency behind them."""
    party = reader_of(entry)
    if party is None or party.type is not ActorType.STAFF or entry.dec is not Verdict.PERMIT:
        return frozenset()
    full = (one for one in entry.fields if one.effect is Effect.SHOW)
    return frozenset(one.name for one in full if not _STANDS_BEHIND & {*one.why})


def suspicions(entry: Entry, context: Context) -> tuple[Trigger, ...]:
    """Return why a person should look at this entry, the gravest first; empty if nothing says so."""
    party, fields = reader_of(entry), shown(entry)
    if party is None or not fields:
        return ()
    staff = party.type is ActorType.STAFF
    broken = any(Reason.EMERGENCY_ACCESS.value in one.why for one in entry.fields)
    holds = {
        Trigger.BREAK_GLASS: broken,
        Trigger.MASS_READ: _goes_over(entry, party, context) and not context.mass_told,
        Trigger.GUARDIAN_BYPASS: context.minor and bool(unguarded(entry)),
        Trigger.SELF_ACCESS: staff and (context.kin or entry.actor.relation in _KIN),
        Trigger.DENIED_THEN_PERMITTED: bool(fields & context.denied),
        Trigger.OUT_OF_HOURS: staff and not context.at_work,
        Trigger.FIRST_ACCESS: staff and not context.met,
        Trigger.SAMPLED: _in_share(
            context.draw, context.oversight.sample_rate(entry.actor.roles, entry.purpose)
        ),
    }
    return tuple(trigger for trigger in Trigger if holds[trigger] and _counts(trigger, context))


def _counts(trigger: Trigger, context: Context) -> bool:
    watch = context.oversight.watches.get(trigger)
    return watch is not None and watch.active and _in_share(context.draw, watch.per_mille)


def _in_share(draw: int, per_mille: int) -> bool:
    return draw < per_mille * (RANGE // WHOLE)


def _goes_over(entry: Entry, party: Party, context: Context) -> bool:
    bulk = context.oversight.limit_of(entry.actor.roles, _KIND_OF[party.type])
    if bulk is None:
        return False
    return _crosses(context.hour, bulk.hour) or _crosses(context.day, bulk.day)


def _crosses(seen: Seen, ceiling: Ceiling) -> bool:
    return seen.fresh and seen.people == ceiling.soft + 1
