"""What an answer obliges its receiver to do, beside doing it or leaving it.

Pure. Duties are spelt as in the rule book's grants (``policies.grants``); a refusal has two more. What is
hidden obliges to nothing: a duty would tell it from what is absent.
"""

from __future__ import annotations

from typing import Final

from consent.weighing import DENIAL_REASONS, Case
from policies.identifiers import Prefix
from policies.reasons import Reason
from policies.terms import ScreeningPurpose

NON_PERSONAL: Final = "choice=non_personal"
"""Offer what does not rest on personal traits beside it (个人信息保护法 第二十四条第二款)."""
OPT_OUT: Final = "optout=required"
"""Say in the message how to be rid of it (广告法 第四十三条第二款)."""
APPROVAL: Final = "approval=minor_access"
"""Have a responsible person approve staff looking into a minor's data
(未成年人网络保护条例 第三十六条)."""
UNCHANGED: Final = "service=unchanged"
"""Serve as before: a no to what is not necessary must not be punished (个人信息保护法 第十六条)."""
DELETE: Final = "delete=due"
"""Delete, or keep in storage only, what was held for this alone (个人信息保护法 第四十七条)."""

_NOES: Final = frozenset(DENIAL_REASONS.values())
_OVER: Final = frozenset({Reason.WITHDRAWN, Reason.REVOKED, Reason.EXPIRED})


def of_permit(case: Case, viewer: str) -> tuple[str, ...]:
    """Return the duties of whoever is permitted."""
    duties = []
    if case.purpose.profiled:
        duties.append(NON_PERSONAL)
    if case.purpose.screening is ScreeningPurpose.MARKETING and "outreach" in case.line:
        duties.append(OPT_OUT)
    if case.facts.is_minor and viewer.startswith(Prefix.STAFF):
        duties.append(APPROVAL)
    return tuple(duties)


def of_refusal(case: Case, reason: Reason) -> tuple[str, ...]:
    """Return the duties of whoever is refused. What no row of the rule book needs is not necessary."""
    duties = []
    if reason in _NOES and case.book.basis(case.purpose.id, case.category) is None:
        duties.append(UNCHANGED)
    if reason in _OVER:
        duties.append(DELETE)
    return tuple(duties)
