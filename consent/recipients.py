"""Who receives the data, and which grants and denials speak of that recipient.

A recipient is written ``party@region``. An empty party is the controller itself with its processors, an
empty region is this country. Giving data to another controller and giving it abroad are each agreed to
separately and by name (个人信息保护法 第二十三条、第三十九条), so a grant covers exactly the recipient it
names. A denial that leaves a part empty reaches every value of that part.
"""

from __future__ import annotations

from policies.reasons import Reason


def not_covered(granted: str, asked: str) -> Reason | None:
    """Say why a grant for one recipient does not cover another, or None when it does."""
    if granted == asked:
        return None
    to, _, _ = granted.partition("@")
    party, _, abroad = asked.partition("@")
    return Reason.CROSS_BORDER_NOT_COVERED if abroad and to == party else Reason.RECIPIENT_NOT_COVERED


def reaches(denied: str, asked: str) -> bool:
    """Say whether a denial towards one recipient speaks of another as well."""
    if not denied or denied == asked:
        return True
    from_party, _, from_region = denied.partition("@")
    party, _, region = asked.partition("@")
    return from_party in ("", party) and from_region in ("", region)
