"""What the gate itself puts before an officer: reads in an emergency, and readers who saw very many people.

Promises that a review is opened in the transaction of the decision, and for an emergency only when that is
what let something through (个人信息保护法 第十三条第一款第四项); that its reason is sealed and never logged.
Everything else that deserves a look is found in the log afterwards (``governance.scanning``), and joins the
review that is here already. The member is told afterwards (第十八条第二款).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from governance import reviewrecords
from governance.asking import Ask
from governance.grounds import FieldDecision
from governance.opening import Opening
from governance.reviewrecords import Fresh
from policies.book import RuleBook
from policies.reasons import Reason
from policies.transaction import Transaction
from policies.triggers import Trigger


def open_reviews(
    tx: Transaction,
    opening: Opening,
    book: RuleBook,
    asks: Sequence[Ask],
    decisions: Sequence[Sequence[FieldDecision]],
    crossed: Collection[str],
    names: Mapping[str, bytes],
    now: int,
) -> None:
    """Open a review for each ask whose emergency let something through, or that went over a soft limit.

    ``crossed`` are the decisions of the latter.
    """
    for ask, decided in zip(asks, decisions, strict=True):
        triggers = set()
        if any(Reason.EMERGENCY_ACCESS in one.reasons for one in decided):
            triggers.add(Trigger.BREAK_GLASS)
        if ask.decision_id in crossed:
            triggers.add(Trigger.MASS_READ)
        if triggers:
            fresh = Fresh(ask.decision_id, ask.acting, names[ask.subject], frozenset(triggers), now)
            emergency = Trigger.BREAK_GLASS in triggers
            reviewrecords.add(tx, opening, book, fresh, now, ask.emergency if emergency else "")
