"""How long a person must not be asked again after a no.

Pure. After a refusal, a withdrawal or an objection nobody is prompted for the same purpose for some weeks
(网络数据安全管理条例 第二十二条第五项; the number is a limit of the rule book). Whoever opens the page of
their own accord may of course say yes earlier: this is about our asking, never about a standing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from consent.ages import DAY_MS
from consent.events import Event, EventKind
from consent.facts import Facts, above, stamp
from policies.entries import Limits

NEVER: Final = 2**63 - 1
"""Later than every instant: whoever is erased is not asked any more."""


def quiet_until(
    events: Iterable[Event], subject_id: str, purpose: str, now: int, limits: Limits, *, since: int = 0
) -> int:
    """Return the instant from which the person may be asked about a purpose again; 0 if never denied.

    With ``since`` only what was said at or after that instant counts.

    A no to a more general purpose counts, and so does one to a more special purpose: asking for the whole
    asks again for the part.
    """
    facts = Facts(events, subject_id, now, None, None)
    if facts.of(EventKind.ERASED):
        return NEVER
    line = above(purpose)
    noes = [
        stamp(denial)
        for denial in facts.denials
        if not denial.purpose or denial.purpose in line or purpose in above(denial.purpose)
    ]
    newest = max(noes, default=0)
    return newest + limits.ask_again_days * DAY_MS if noes and newest >= since else 0
