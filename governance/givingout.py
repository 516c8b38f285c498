"""One consent with all that bears on it, as it is given out: to a caller, an operator, or into a receipt."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from consent import eventlog, noticeboard
from consent.events import Event
from consent.listing import Consent
from consent.notices import Shown, shown
from consent.outcome import as_it_stands
from consent.superseding import Notices
from policies.book import RuleBook
from policies.reasons import Reason
from policies.transaction import Transaction


@dataclass(frozen=True, slots=True)
class GivenOut:
    """One consent with all that bears on it, and where the log says that it was given out.

    ``birth`` is a fact for telling how the consent stands; it is never passed on. ``notice`` is the text that
    was agreed to, None where none is on record.
    """

    consent: Consent
    events: tuple[Event, ...]
    birth: date | None
    book: RuleBook
    notices: Notices
    notice: Shown | None
    log_index: int = -1

    def standing(self, now: int) -> tuple[Consent, Reason]:
        """Return the consent with the instants that count, and how it stands."""
        return as_it_stands(self.events, self.consent, self.birth, now, self.book, self.notices)


def gathered(tx: Transaction, consent: Consent, birth: date | None, book: RuleBook) -> GivenOut:
    """Return what bears on a consent, before the log says that it is given out."""
    events = eventlog.events_of(tx, [consent.subject_id])[consent.subject_id]
    reference = consent.terms.notice
    notice = shown(noticeboard.versions_of(tx, reference.partition("@")[0]), reference)
    return GivenOut(consent, events, birth, book, noticeboard.behind(tx, events), notice)
