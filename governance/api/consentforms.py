"""The bodies about consents: notices, ticks, codes, withdrawals, shares and hidings."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from governance.api.forms import MOST_FIELDS, Code, Form, MemberId, NothingForm, Printable, Word
from policies.identifiers import Prefix, pattern

LONGEST_NOTICE: Final = 20_000

NoticeId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9._-]{1,64}$")]
ConsentId = Annotated[str, StringConstraints(pattern=pattern(Prefix.CONSENT))]
PartyWord = Annotated[str, StringConstraints(pattern=r"^[a-z0-9._-]{1,64}(?:@[a-z]{2})?$")]
MethodWord = Literal[
    "collect",
    "store",
    "use",
    "refine",
    "transmit",
    "provide",
    "publish",
    "delete",
    "automated_decision",
]


class PromptForm(Form):
    """Whether somebody may be asked about a purpose."""

    subject: MemberId
    purpose: Word
    on_behalf_of: MemberId | None = None


class ServedForm(PromptForm):
    """A notice that was shown. ``opened_by_person``: they came by themselves and were not asked again."""

    categories: Annotated[list[Word], Field(min_length=1, max_length=MOST_FIELDS)]
    notice: Annotated[str, StringConstraints(pattern=r"^[a-z0-9._-]{1,64}@[0-9]{1,9}#[0-9a-f]{64}$")]
    opened_by_person: bool = False


class ConsentForm(ServedForm):
    """A tick under a notice that was shown: the first half of a consent.

    ``served`` is the consent whose notice was recorded as shown before; without it, both are recorded now.
    """

    ticked: Literal[True]
    served: ConsentId | None = None


class WordingForm(Form):
    """A notice in one language."""

    title: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=Printable)]
    text: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_NOTICE, pattern=Printable)]


class WordingsForm(Form):
    """A notice in Chinese and in English: both, always."""

    zh: WordingForm
    en: WordingForm


class NoticeForm(Form):
    """A notice to publish, for one purpose. ``recipients`` are other controllers, ``party@region``."""

    id: NoticeId
    purpose: Word
    categories: Annotated[list[Word], Field(min_length=1, max_length=MOST_FIELDS)]
    methods: Annotated[list[MethodWord], Field(min_length=1, max_length=9)]
    recipients: Annotated[list[PartyWord], Field(max_length=MOST_FIELDS, default_factory=list)]
    processors: Annotated[list[PartyWord], Field(max_length=MOST_FIELDS, default_factory=list)]
    retention_days: Annotated[int, Field(ge=0, le=36_500)]
    region: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}$")]
    assessment: Annotated[str, StringConstraints(max_length=64, pattern=r"^[A-Za-z0-9._-]*$")] = ""
    effective_from: Annotated[str, StringConstraints(max_length=24)] | None = None
    texts: WordingsForm


class CodeForm(Form):
    """The one-time code: the second half of a consent."""

    code: Code
    on_behalf_of: MemberId | None = None


class WithdrawForm(Form):
    """A withdrawal needs nothing; a service says for whom it passes it on."""

    on_behalf_of: MemberId | None = None


class WithdrawAllForm(Form):
    """Withdraw all that a member agreed to, or what it agreed to for one purpose and all below it.

    ``subject`` is the member itself, as when left out, or a ward of this member.
    """

    on_behalf_of: MemberId
    purpose: Word | None = None
    subject: MemberId | None = None


class RefuseForm(Form):
    """A no to what was asked; ``later``: "not now", which ends what is open and is no refusal."""

    on_behalf_of: MemberId | None = None
    later: bool = False


class CodeAgainForm(Form):
    """Asks for a new code; a service says for whom."""

    on_behalf_of: MemberId | None = None


class OwnWithdrawAllForm(NothingForm):
    """The body of a withdrawal of everything may be empty; a purpose narrows it, a ward may be named."""

    purpose: Word | None = None
    subject: MemberId | None = None


class ShareForm(Form):
    """What a member shares, with whom, and for how many days (left out: until it is ended)."""

    viewer: MemberId
    category: Word
    days: Annotated[int, Field(ge=1, le=3650)] | None = None


class HideForm(Form):
    """A category to hide, from everybody or from one person."""

    category: Word
    viewer: MemberId | None = None
    hidden: bool = True
