"""The bodies that callers send: strict types, no unknown members, bounded sizes.

A body that does not fit is a 422 that says where and what, never the value. Words that the rule book
declares (fields, purposes) are checked for form here and for meaning by the decision, which answers an
unknown word like an unknown anything: withheld, with its reason, and recorded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, StringConstraints, Tag
from pydantic_core import PydanticCustomError

from governance.announcing import Told
from governance.egress import LONGEST_URL
from governance.references import PERSONAL, holds_personal_data
from policies.identifiers import Prefix, pattern

MOST_FIELDS: Final = 32
MOST_CHECKS: Final = 100
MOST_RECIPIENTS: Final = 500
LONGEST_VALUE: Final = 2_000
LONGEST_TEXT: Final = 4_000


def _no_personal_data(reference: str) -> str:
    if holds_personal_data(reference):
        raise PydanticCustomError(PERSONAL, "a reference holds no telephone or identity number")
    return reference


Impersonal: Final = AfterValidator(_no_personal_data)
"""Refuses a reference that holds a telephone or identity number."""
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
# What others call their things and documents; no blanks and no letters but Latin ones, so never a sentence.
Reference = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}$"), Impersonal]
HostActWord = Literal["download", "purchase", "share", "join"]
InvitationCode = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{43}$")]
ChannelWord = Literal["sms", "email", "app_push", "wecom", "wecom_group", "official_account", "mini_program"]

EventWord = Annotated[str, StringConstraints(pattern="^(?:" + "|".join(Told).replace(".", "[.]") + ")$")]


class Form(BaseModel):
    """What all bodies share: strict, closed, frozen."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class NothingForm(Form):
    """The body of a call that needs none: an empty object."""


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


class InboundTextForm(Form):
    """A text message that somebody sent to us."""

    sender: Annotated[str, Field(alias="from", min_length=1, max_length=40)]
    text: Annotated[str, StringConstraints(max_length=LONGEST_TEXT)]


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
    """Which fields somebody is to read or write, and for whom it is asked."""

    subject: MemberId
    action: Literal["read", "write"]
    fields: Annotated[list[Word], Field(min_length=1, max_length=MOST_FIELDS)]
    purpose: Word
    on_behalf_of: ActorId


class ActApprovalForm(Form):
    """What a child wants to do in the calling application, with that application's own id of the thing."""

    subject: MemberId
    action: HostActWord
    resource: Reference
    on_behalf_of: MemberId


class OwnApprovalForm(Form):
    """What somebody wants to write of their own and must not alone."""

    fields: Annotated[list[Word], Field(min_length=1, max_length=MOST_FIELDS)]
    purpose: Word


class OwnActApprovalForm(Form):
    """What a child wants to do in an application."""

    action: HostActWord
    resource: Reference


def _fields_or_act(body: object) -> str:
    return "(act)" if isinstance(body, dict) and "resource" in body else "(fields)"


AnyApprovalForm = Annotated[
    Annotated[ApprovalForm, Tag("(fields)")] | Annotated[ActApprovalForm, Tag("(act)")],
    Discriminator(_fields_or_act),
]
AnyOwnApprovalForm = Annotated[
    Annotated[OwnApprovalForm, Tag("(fields)")] | Annotated[OwnActApprovalForm, Tag("(act)")],
    Discriminator(_fields_or_act),
]


class ApprovalUseForm(Form):
    """What exactly the calling application is about to let the child do."""

    action: HostActWord
    resource: Reference
    on_behalf_of: MemberId


class ApprovalCancelForm(Form):
    """For whom an application takes a request back."""

    on_behalf_of: ActorId


class ApprovalDecisionForm(Form):
    """A guardian's answer."""

    approve: bool


class WebhookForm(Form):
    """An address to be told at, and of which changes."""

    url: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_URL, pattern=r"^[\x21-\x7e]+$")]
    events: Annotated[list[EventWord], Field(min_length=1, max_length=MOST_FIELDS)]


class ReplayForm(Form):
    """From which event on everything is delivered again."""

    event_id: Annotated[str, StringConstraints(pattern=pattern(Prefix.EVENT))]


class NewMemberForm(Form):
    """Who comes to live in a household; the birth date decides what the law forbids towards a minor."""

    role: Literal["primary_account", "adult_member", "elder", "minor_member"]
    birth_date: Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]


class AssignmentForm(Form):
    """A subject that a member of staff is put in charge of, for a term or until it is ended."""

    subject: SubjectId
    staff: StaffId
    role: Word
    days: Annotated[int, Field(ge=1, le=3660)] | None = None


class AssignmentEndForm(Form):
    """Which assignment ends."""

    subject: SubjectId
    staff: StaffId


class GuardianshipForm(Form):
    """Who is whose guardian, where the document lies that says so, and which member of staff saw it."""

    ward: MemberId
    guardian: MemberId
    evidence: Reference
    verifier: StaffId


class InvitationForm(NothingForm):
    """As what an adult who accepts will live in the household; a minor who is let in is always a minor."""

    role: Literal["adult_member", "elder"] = "adult_member"


class AcceptForm(Form):
    """The code of an invitation, and the ward for whom a guardian accepts it."""

    code: InvitationCode
    member: MemberId | None = None


class LeaveForm(NothingForm):
    """Who leaves, if a guardian takes a ward out; whoever leaves themselves need not send anything."""

    member: MemberId | None = None


class HandoverForm(Form):
    """Who is to become the primary account, should they accept."""

    successor: MemberId


def _kinds(form: type[Form]) -> Iterator[type[Form]]:
    for kind in form.__subclasses__():
        yield kind
        yield from _kinds(kind)


def members() -> frozenset[str]:
    """Return every member that some body declares; error pointers repeat these and no other word."""
    return frozenset(
        field.alias or name for form in _kinds(Form) for name, field in form.model_fields.items()
    )
