"""The bodies that callers send: strict types, no unknown members, bounded sizes.

A body that does not fit is a 422 that says where and what, never the value. Words that the rule book
declares (fields, purposes) are checked for form here and for meaning by the decision, which answers an
unknown word like an unknown anything: withheld, with its reason, and recorded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, StringConstraints, Tag

from policies.identifiers import Prefix, pattern

MOST_FIELDS: Final = 32
MOST_CHECKS: Final = 100
MOST_RECIPIENTS: Final = 500
LONGEST_VALUE: Final = 2_000
LONGEST_TEXT: Final = 4_000
LONGEST_NOTICE: Final = 20_000

Word = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}(?:\.[a-z][a-z0-9_]{0,31}){0,3}$")]
SubjectId = Annotated[str, StringConstraints(pattern=pattern(Prefix.MEMBER, Prefix.HOUSEHOLD))]
MemberId = Annotated[str, StringConstraints(pattern=pattern(Prefix.MEMBER))]
HouseholdId = Annotated[str, StringConstraints(pattern=pattern(Prefix.HOUSEHOLD))]
StaffId = Annotated[str, StringConstraints(pattern=pattern(Prefix.STAFF))]
ActorId = Annotated[str, StringConstraints(pattern=pattern(Prefix.MEMBER, Prefix.STAFF))]
ServiceId = Annotated[str, StringConstraints(pattern=pattern(Prefix.SERVICE))]
# One printable line or paragraph: no controls but line feed and tab.
Printable = r"^[^\x00-\x08\x0b-\x1f\x7f\x80-\x9f\u2028\u2029]*$"
Value = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_VALUE, pattern=Printable)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_TEXT)]
Code = Annotated[str, StringConstraints(pattern=r"^[0-9]{6,8}$")]
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
ChannelWord = Literal["sms", "email", "app_push", "wecom", "wecom_group", "official_account", "mini_program"]


class Form(BaseModel):
    """What all bodies share: strict, closed, frozen."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class SubjectForm(Form):
    """Whom an ask is about."""

    type: Literal["member", "household"]
    id: SubjectId


class AskForm(Form):
    """One ask, of a read or of a check."""

    subject: SubjectForm
    fields: Annotated[list[Word], Field(min_length=1, max_length=MOST_FIELDS)]
    purpose: Word
    on_behalf_of: ActorId | None = None


class EmergencyForm(Form):
    """Why life or health is at stake; kept sealed, for the officer who reviews the read."""

    reason: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=10, max_length=500, pattern=Printable)
    ]


class ReadForm(AskForm):
    """A read may say that there is an emergency."""

    emergency: EmergencyForm | None = None


class CheckForm(Form):
    """Up to 100 asks in one call."""

    checks: Annotated[list[AskForm], Field(min_length=1, max_length=MOST_CHECKS)]


def _one_or_many(body: object) -> str:
    return "(many)" if isinstance(body, dict) and "checks" in body else "(one)"


AskOrCheckForm = Annotated[
    Annotated[AskForm, Tag("(one)")] | Annotated[CheckForm, Tag("(many)")], Discriminator(_one_or_many)
]
"""One ask, or a call with up to 100; the tags are taken out of error pointers again at the door."""


class FilterForm(Form):
    """A document of the caller's, and which paths in it are which fields."""

    subject: SubjectForm
    purpose: Word
    document: dict[str, object]
    mapping: Annotated[dict[str, Word], Field(min_length=1, max_length=MOST_FIELDS)]
    on_behalf_of: ActorId | None = None


class LookupForm(Form):
    """A mobile number, to find whose it is."""

    mobile: Annotated[str, StringConstraints(min_length=1, max_length=40, pattern=Printable)]
    purpose: Word
    on_behalf_of: ActorId | None = None


class FieldsForm(Form):
    """Values to store."""

    values: Annotated[dict[Word, Value], Field(min_length=1, max_length=MOST_FIELDS)]
    purpose: Word
    on_behalf_of: ActorId | None = None


class MessageForm(Form):
    """An outbound message."""

    sender: ServiceId
    channel: ChannelWord
    purpose: Word
    scene: Word | None = None
    campaign: Word | None = None
    text: Text
    recipients: Annotated[list[MemberId], Field(min_length=1, max_length=MOST_RECIPIENTS)]


class ScreeningForm(Form):
    """A text to screen; nothing is sent."""

    text: Text
    channel: ChannelWord
    purpose: Literal["marketing", "service"]
    audience: Literal[
        "adult", "parent", "elder", "minor", "member", "general", "overseas_us", "overseas_eu"
    ] = "general"


class RedactionForm(Form):
    """A text in which personal data is to be found."""

    text: Text


class PermitForm(Form):
    """What a sending gateway is about to hand over, and the permit it was given."""

    permit: Annotated[str, StringConstraints(min_length=1, max_length=4096)]
    text: Text
    recipient: MemberId
    channel: ChannelWord


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
    recipients: Annotated[list[PartyWord], Field(max_length=MOST_FIELDS)] = []
    processors: Annotated[list[PartyWord], Field(max_length=MOST_FIELDS)] = []
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


class TicketForm(Form):
    """A service ticket of a subject with a member of staff, for some hours."""

    subject: SubjectId
    staff: StaffId
    hours: Annotated[int, Field(ge=1, le=168)]


class TicketCloseForm(Form):
    """Which ticket is closed."""

    subject: SubjectId
    staff: StaffId


class ApprovalForm(Form):
    """What is to be approved, and for whom it is asked."""

    subject: MemberId
    action: Literal["read", "write"]
    fields: Annotated[list[Word], Field(min_length=1, max_length=MOST_FIELDS)]
    purpose: Word
    on_behalf_of: ActorId


class OwnApprovalForm(Form):
    """What somebody wants to write of their own and must not alone."""

    fields: Annotated[list[Word], Field(min_length=1, max_length=MOST_FIELDS)]
    purpose: Word


class ApprovalDecisionForm(Form):
    """A guardian's answer."""

    approve: bool


class CodeAgainForm(Form):
    """Asks for a new code; a service says for whom."""

    on_behalf_of: MemberId | None = None


class NothingForm(Form):
    """The body of a call that needs none: an empty object."""


class HideForm(Form):
    """A category to hide, from everybody or from one person."""

    category: Word
    viewer: MemberId | None = None
    hidden: bool = True


def _kinds(form: type[Form]) -> Iterator[type[Form]]:
    for kind in form.__subclasses__():
        yield kind
        yield from _kinds(kind)


MEMBERS: Final = frozenset(name for form in _kinds(Form) for name in form.model_fields)
"""Every member that some body declares. Error pointers repeat these and no other word of a body."""
