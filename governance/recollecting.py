"""Past questions as they were put: who asked what of whom, and the facts on record for that instant.

Promises that nothing is guessed: relations have terms, consents are events that only grow, so the facts of
a past instant can be read again. Whoever was erased is nobody any more, and the question is lost with them.
What is opened here as a fact (an age, a gender) is never released; whoever calls has logged it first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from sqlalchemy import bindparam, select

from audit.entry import ActorType, Entry
from audit.records import SubjectPseudonym
from governance import facts
from governance.gate import known_of
from governance.grounds import Facts
from governance.wiring import Service
from policies.book import RuleBook
from policies.reasons import Reason
from policies.terms import Action, ActorId, FieldName, Purpose, SubjectId
from policies.transaction import Transaction

ACTIONS: Final[Mapping[str, Action]] = {
    "read": Action.READ,
    "check": Action.READ,
    "write": Action.WRITE,
    "send": Action.SEND,
}
"""The acts in the log that are questions to the rules."""

_PAGE: Final = 500
_name = SubjectPseudonym.__table__
_BEHIND: Final = select(_name.c.pseudonym, _name.c.subject_id).where(
    _name.c.pseudonym.in_(bindparam("names", expanding=True))
)


class Past(NamedTuple):
    """One past question, with the people it was about and by."""

    entry: Entry
    subject: SubjectId
    acting: ActorId
    action: Action

    @property
    def things(self) -> tuple[FieldName, ...]:
        """The fields, or the one channel, that were asked about."""
        if self.entry.message is not None:
            return (FieldName(f"channel.{self.entry.message.channel}"),)
        return tuple(FieldName(one.name) for one in self.entry.fields)

    @property
    def purpose(self) -> Purpose:
        """The purpose that was named."""
        return Purpose(self.entry.purpose)

    def facts(self, service: Service, tx: Transaction, book: RuleBook) -> Facts:
        """Return the facts of the instant of the decision, which values are filled left out."""
        wanted = facts.Wanted(self.subject, self.acting, self.purpose, self.things, self.action)
        about = service.opening.facts_about(tx, self.subject)
        known = known_of(about, service.opening, book, self.entry.t)
        found = facts.collect(tx, book, [wanted], known, self.entry.t, known_at=self.entry.t)[0]
        codes = {code for one in self.entry.fields for code in one.why}
        return found._replace(present=None, emergency=Reason.EMERGENCY_ACCESS.value in codes)


def people_behind(tx: Transaction, entries: Sequence[Entry]) -> dict[str, str]:
    """Return who stands behind the pseudonyms (in hex) of these entries, as far as the log still knows."""
    names = {name for entry in entries for name in entry.subjects}
    for entry in entries:
        for party in (entry.actor.party, entry.actor.on_behalf_of):
            if party is not None and party.type is ActorType.MEMBER:
                names.add(bytes.fromhex(party.id))
    known: dict[str, str] = {}
    ordered = sorted(names)
    for start in range(0, len(ordered), _PAGE):
        rows = tx.rows(_BEHIND, {"names": ordered[start : start + _PAGE]})
        known |= {bytes(name).hex(): subject for name, subject in rows}
    return known


def past(entry: Entry, behind: Mapping[str, str]) -> Past | None:
    """Return the question that an entry records; None where it records none, or somebody was erased."""
    party = entry.actor.on_behalf_of or entry.actor.party
    acting = behind.get(party.id) if party.type is ActorType.MEMBER else party.id
    subject = behind.get(entry.subjects[0].hex()) if entry.subjects else None
    action = ACTIONS.get(entry.act)
    if acting is None or subject is None or action is None:
        return None
    return Past(entry, SubjectId(subject), ActorId(acting), action)
