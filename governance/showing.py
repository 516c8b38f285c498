"""What must hold when somebody is shown a notice: it is on record and fits, and they are not asked too soon.

Reads, decides and puts the answer into words that stay as evidence; what is recorded is up to the desk
(``governance.consenting``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from consent import eventlog, noticeboard, registry
from consent.listing import Terms
from consent.notices import Misfit, misfit
from consent.prompting import quiet_until
from policies.book import RuleBook
from policies.terms import Category, Purpose, SubjectId
from policies.transaction import Transaction


class UnfitConsentError(Exception):
    """No consent for this purpose or category; ``faults`` are members of the body, each with a code."""

    def __init__(self, *faults: tuple[str, str]) -> None:
        super().__init__("unfit")
        self.faults = faults


class MisfitNoticeError(Exception):
    """What is to be agreed to does not fit the notice it names; ``misfit`` says how."""

    def __init__(self, how: Misfit) -> None:
        super().__init__(how.value)
        self.misfit = how


class AskedTooSoonError(Exception):
    """The person said no to this purpose lately, and must not be asked before ``until`` (milliseconds)."""

    def __init__(self, until: int) -> None:
        super().__init__("asked_too_soon")
        self.until = until


@dataclass(frozen=True, slots=True)
class Prompt:
    """How it came that somebody sees a notice.

    ``opened``: the person opened the page of their own accord, so it is no asking again. ``served`` is the
    consent whose notice was recorded as shown before; without it, showing and ticking are recorded at once.
    """

    opened: bool = False
    served: str | None = None


def refuse_unfit(book: RuleBook, terms: Terms) -> None:
    """Refuse a purpose for which nobody is asked, or a category that the rules do not know.

    Raises:
        UnfitConsentError: with every fault.
    """
    purpose = book.purposes.get(Purpose(terms.purpose))
    faults = []
    if purpose is None:
        faults.append(("purpose", "unknown_purpose"))
    elif purpose.consent_days <= 0:
        faults.append(("purpose", "needs_no_consent"))
    if any(Category(one) not in book.categories for one in terms.categories):
        faults.append(("categories", "unknown_category"))
    if faults:
        raise UnfitConsentError(*faults)


def locale_of(tx: Transaction, terms: Terms, now: int) -> str:
    """Return the language of the notice that the terms name, or refuse what does not fit it."""
    how, locale = misfit(noticeboard.versions_of(tx, terms.notice.partition("@")[0]), terms, now)
    if how is not None:
        raise MisfitNoticeError(how)
    return locale


def asked_from(
    tx: Transaction, book: RuleBook, subject: SubjectId, purpose: str, now: int, served: str | None = None
) -> int:
    """Return the instant from which the person may be asked about a purpose; 0 if never denied.

    Where a notice was shown before, as ``served``, a no that is older than that stands in nobody's way.
    """
    asked = None if served is None else registry.asked_of(tx, served)
    since = 0 if asked is None else asked.consent.ticked_at
    events = eventlog.events_of(tx, [subject])[subject]
    return quiet_until(events, subject, purpose, now, book.limits, since=since)


def shown_to(actor: registry.Actor, locale: str, prompt: Prompt) -> registry.Actor:
    """Return the actor with what can be shown later: the language, and whether they came by themselves."""
    opened = {"opened": "person"} if prompt.opened else {}
    return replace(actor, evidence={**actor.evidence, "locale": locale, **opened})
