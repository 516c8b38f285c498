"""The bodies of requests under a law: what a member, or a service for a member, may ask for."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from governance.api.forms import MOST_FIELDS, Form, Impersonal, MemberId, Value, Word
from policies.identifiers import Prefix, pattern

RightWord = Literal[
    "access", "portability", "rectification", "erasure", "restriction", "objection", "explanation"
]
DecisionId = Annotated[str, StringConstraints(pattern=pattern(Prefix.DECISION))]


class OwnRightForm(Form):
    """What somebody asks for under a law; a guardian names the ward as ``subject``.

    ``values`` are for a rectification, ``purpose`` for an objection or a restriction, ``decision_id`` for an
    explanation.
    """

    kind: RightWord
    regime: Literal["pipl", "gdpr"] = "pipl"
    subject: MemberId | None = None
    values: Annotated[dict[Word, Value], Field(min_length=1, max_length=MOST_FIELDS)] | None = None
    purpose: Word | None = None
    decision_id: DecisionId | None = None


class RightForm(OwnRightForm):
    """The same, passed on by a service; ``evidence`` names how it identified the person, else a code goes."""

    on_behalf_of: MemberId
    evidence: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{8,100}$"), Impersonal] | None = None
