"""Every code that may stand as a why in an entry of the log: one table, so that no code is made up.

Most are reasons of decisions. Steps of requests under the law say which right it is and why it was denied,
steps of rules what stood in the way; their own modules define those words, and a test compares.
"""

from __future__ import annotations

from typing import Final

from policies.reasons import REASONS

OF_REQUESTS: Final = frozenset(
    {
        "access",
        "portability",
        "rectification",
        "erasure",
        "restriction",
        "objection",
        "explanation",
        "suspected_fraud",
        "insuf_verification",
        "no_match",
        "claim_not_covered",
        "outside_jurisdiction",
    }
)
OF_RULES: Final = frozenset(
    {
        "no_such_version",
        "not_in_office",
        "own_draft",
        "refused",
        "in_force",
        "cases_fail",
        "whatif_not_seen",
    }
)
WHYS: Final = REASONS.keys() | OF_REQUESTS | OF_RULES
