"""The bodies of oversight: a claim, an opinion, a wish for a higher limit and the answer to it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from governance.api.forms import Form, Printable
from governance.lifting import LONGEST_REASON
from governance.reviewing import LONGEST_NOTE
from policies.identifiers import Prefix, pattern

Note = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_NOTE, pattern=Printable)
]
Reader = Annotated[str, StringConstraints(pattern=pattern(Prefix.STAFF, Prefix.SERVICE))]


class JudgementForm(Form):
    """What an officer thinks of an access, and why."""

    verdict: Literal["justified", "unjustified", "inquiry"]
    note: Note


class LiftForm(Form):
    """A higher limit that is wanted for some hours; ``reader`` is a colleague, left out for oneself."""

    reader: Reader | None = None
    people_per_hour: Annotated[int, Field(ge=1, le=1_000_000)]
    people_per_day: Annotated[int, Field(ge=1, le=1_000_000)]
    hours: Annotated[int, Field(ge=1, le=168)]
    reason: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=5, max_length=LONGEST_REASON, pattern=Printable),
    ]


class LiftDecisionForm(Form):
    """An officer's answer."""

    decision: Literal["grant", "refuse"]
