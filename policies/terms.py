"""The only words of the house.

Promises that an action, a level, a relation or an outcome is spelt in one way everywhere: in rule
files, in the log, over HTTP and on the pages. What a compliance officer may add without a release
(fields, categories, purposes, roles) is *not* here: those words are declared by the rule book and
checked when it is loaded (``policies.book``). This module imports nothing of the house.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Final, NewType

MemberId = NewType("MemberId", str)
"""A natural person on whom a household company holds data: ``mem_`` + UUIDv7."""
HouseholdId = NewType("HouseholdId", str)
"""A household: ``hh_`` + UUIDv7. It holds shared data (an address); it never consents."""
SubjectId = NewType("SubjectId", str)
"""Whom data is about: a member or a household. Every fact of a decision is keyed by it."""
ActorId = NewType("ActorId", str)
"""Who acts: a service ``svc_``, a member of staff ``stf_`` or a member ``mem_``."""

Role = NewType("Role", str)
"""A role declared in the rule book, e.g. ``agent`` or ``primary_account``."""
Category = NewType("Category", str)
"""A data category declared in the rule book, dotted from general to special: ``health.record``."""
Purpose = NewType("Purpose", str)
"""A purpose declared in the rule book: ``service.delivery``, ``marketing.direct`` …"""
FieldName = NewType("FieldName", str)
"""A field or channel declared in the rule book: ``mobile``, ``blood_pressure``, ``channel.sms``."""
RuleId = NewType("RuleId", str)
"""The id of one grant row or lexicon rule; it appears in decisions and in the log."""


class SubjectKind(StrEnum):
    """The two kinds of subject."""

    MEMBER = "member"
    HOUSEHOLD = "household"


class Action(StrEnum):
    """What somebody asks to do with one field (or, for ``send``, through one channel)."""

    READ = "read"
    WRITE = "write"
    SEND = "send"


class Level(IntEnum):
    """How much of a value a rule lets through. Allow rows reach down, deny rows reach up."""

    HIDDEN = 0
    EXISTS = 1
    MASKED = 2
    FULL = 3


class Assurance(StrEnum):
    """How sure the entry of a decision must be before anything is revealed; the mildest first.

    ``committed``: durable. ``integrated``: covered by a signed checkpoint that is kept outside the database.
    ``witnessed``: by one that the witnesses have signed as well.
    """

    COMMITTED = "committed"
    INTEGRATED = "integrated"
    WITNESSED = "witnessed"


class Effect(StrEnum):
    """What an answer does with one field; ``hide`` is the same as absent."""

    SHOW = "show"
    MASK = "mask"
    EXISTS = "exists"
    HIDE = "hide"


EFFECT_OF_LEVEL: Final = {
    Level.HIDDEN: Effect.HIDE,
    Level.EXISTS: Effect.EXISTS,
    Level.MASKED: Effect.MASK,
    Level.FULL: Effect.SHOW,
}


class Relation(StrEnum):
    """What the asking person is to the subject. Computed by us, never taken from a caller."""

    SELF = "self"
    WARD = "ward"
    CORESIDENT = "coresident"
    ASSIGNED = "assigned"
    NONE = "none"


class Scope(StrEnum):
    """Where a role is held: in a household, in a portfolio of assigned subjects, or everywhere."""

    HOUSEHOLD = "household"
    PORTFOLIO = "portfolio"
    ORG = "org"


class Tier(StrEnum):
    """How grave a category is (S1).

    Everything about a person under 14 is at least sensitive (个人信息保护法 第二十八条).
    """

    BASIC = "basic"
    SENSITIVE = "sensitive"
    HIDEABLE = "hideable"
    CLOSED = "closed"


class Jurisdiction(StrEnum):
    """Whose law a purpose and its legal bases stand under: those whose articles and ages are known here."""

    CN = "cn"


class Condition(StrEnum):
    """The closed set of named facts a rule may ask for.

    Fail-closed both ways: an unknown fact counts as false on an allow row and as true on a deny row.
    """

    CONSENT = "consent"
    """The subject's standing permits this purpose and category (consent or another legal basis)."""
    SHARED = "shared"
    """The subject shares this category with exactly this viewer, for this purpose (S26)."""
    HIDDEN = "hidden"
    """The subject hid this category from this viewer."""
    UNAPPROVED = "unapproved"
    """No approval on record covers this subject, actor, act, purpose and field (``governance.approving``)."""
    UNDER_14 = "under_14"
    UNDER_18 = "under_18"
    PROFILED = "profiled"
    """The purpose works by automated decision (个人信息保护法 第二十四条)."""
    TICKET = "ticket"
    """A service ticket of the subject is open with the actor."""
    SAME_GENDER_ASKED = "same_gender_asked"
    """The household asks for advisors of the member's own gender."""
    OTHER_GENDER = "other_gender"
    """The member and the member of staff are not of the same gender."""
    EMERGENCY = "emergency"
    """Somebody says, with a reason, that life or health is at stake (个人信息保护法 第十三条第一款第四项)."""


class Gender(StrEnum):
    """What a decision may know of somebody's gender. Unknown is none of these."""

    FEMALE = "female"
    MALE = "male"
    OTHER = "other"


class Method(StrEnum):
    """What is done with data: the kinds of processing of 个人信息保护法 第四条第二款, and 第二十四条."""

    COLLECT = "collect"
    STORE = "store"
    USE = "use"
    REFINE = "refine"
    TRANSMIT = "transmit"
    PROVIDE = "provide"
    PUBLISH = "publish"
    DELETE = "delete"
    AUTOMATED_DECISION = "automated_decision"


class Channel(StrEnum):
    """How a message travels."""

    SMS = "sms"
    EMAIL = "email"
    APP_PUSH = "app_push"
    WECOM = "wecom"
    WECOM_GROUP = "wecom_group"
    OFFICIAL_ACCOUNT = "official_account"
    MINI_PROGRAM = "mini_program"


class ScreeningPurpose(StrEnum):
    """The two purposes that content rules distinguish."""

    MARKETING = "marketing"
    SERVICE = "service"


class Audience(StrEnum):
    """For whom a text is meant, as content rules see it."""

    ADULT = "adult"
    PARENT = "parent"
    ELDER = "elder"
    MINOR = "minor"
    MEMBER = "member"
    GENERAL = "general"
    OVERSEAS_US = "overseas_us"
    OVERSEAS_EU = "overseas_eu"


class Outcome(StrEnum):
    """What becomes of one message to one recipient."""

    ADMIT = "admit"
    HOLD = "hold"
    REFUSE = "refuse"


class ScreeningOutcome(StrEnum):
    """What the screening of a text says, gravest last."""

    ALLOW = "allow"
    REVIEW = "review"
    BLOCK = "block"


class FindingCategory(StrEnum):
    """What a text can do wrong. One law article or house rule stands behind each finding."""

    ABSOLUTE_CLAIM = "absolute_claim"
    MEDICAL_CLAIM = "medical_claim"
    HEALTH_FOOD_CLAIM = "health_food_claim"
    MISSING_NOTICE = "missing_notice"
    DRUG_AD_RESTRICTED = "drug_ad_restricted"
    INFANT_FORMULA = "infant_formula"
    TOBACCO = "tobacco"
    ALCOHOL = "alcohol"
    EDUCATION_GUARANTEE = "education_guarantee"
    INVESTMENT_GUARANTEE = "investment_guarantee"
    REAL_ESTATE_PROMISE = "real_estate_promise"
    FALSE_OR_MISLEADING = "false_or_misleading"
    TESTIMONIAL = "testimonial"
    DISPARAGEMENT = "disparagement"
    STATE_SYMBOL_OR_ORGAN = "state_symbol_or_organ"
    PUBLIC_ORDER_MORALS = "public_order_morals"
    MINORS_INDUCEMENT = "minors_inducement"
    MISSING_OPTOUT = "missing_optout"
    MISSING_SENDER_IDENTITY = "missing_sender_identity"
    OPTOUT_OBSTACLE = "optout_obstacle"
    INDUCED_SHARING = "induced_sharing"
    PRICE_FRAUD = "price_fraud"
    PRIZE_PROMOTION = "prize_promotion"
    PRIVACY_EXPOSURE = "privacy_exposure"
    FRAUD_PHISHING = "fraud_phishing"
    CONTACT_DIVERSION = "contact_diversion"
    UNFAIR_TERMS = "unfair_terms"


class EntityType(StrEnum):
    """Kinds of personal data that are found in text and known to the masks."""

    CN_ID_CARD = "CN_ID_CARD"
    CN_MOBILE = "CN_MOBILE"
    CN_LANDLINE = "CN_LANDLINE"
    BANK_CARD = "BANK_CARD"
    CN_USCC = "CN_USCC"
    CN_PASSPORT = "CN_PASSPORT"
    CN_HKM_PERMIT = "CN_HKM_PERMIT"
    CN_HOME_RETURN = "CN_HOME_RETURN"
    CN_TW_PERMIT = "CN_TW_PERMIT"
    CN_FOREIGN_PR = "CN_FOREIGN_PR"
    CN_PLATE = "CN_PLATE"
    DRIVER_FILE = "DRIVER_FILE"
    SOCIAL_SECURITY = "SOCIAL_SECURITY"
    MEDICAL_RECORD = "MEDICAL_RECORD"
    WECHAT_ID = "WECHAT_ID"
    QQ = "QQ"
    EMAIL = "EMAIL"
    IP_ADDRESS = "IP_ADDRESS"
    MAC_ADDRESS = "MAC_ADDRESS"
    PERSON = "PERSON"
    ADDRESS = "ADDRESS"
    HEALTH = "HEALTH"
    BIRTH_DATE = "BIRTH_DATE"


class KeyClass(StrEnum):
    """Data keys exist once per subject and class, so that one class can be destroyed alone."""

    AGE = "age"
    CONTACT = "contact"
    BASIC = "basic"
    SENSITIVE = "sensitive"
    CONTENT = "content"
    MESSAGE = "message"
