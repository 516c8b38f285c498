"""What a rule book declares: fields, categories, purposes, legal bases, roles and grants, as values.

These are the words an officer may add without a release. Each value was checked when the book was
loaded (``policies.book``), so a reader may rely on every reference inside it. Nothing here decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from policies.reasons import Reason
from policies.terms import (
    Action,
    Assurance,
    Category,
    Channel,
    EntityType,
    FieldName,
    Jurisdiction,
    KeyClass,
    Level,
    Purpose,
    Relation,
    Role,
    RuleId,
    Scope,
    ScreeningPurpose,
    SubjectKind,
    Tier,
)

ANY: Final = "*"
"""In a grant: any role, scope, object, action, relation or purpose."""

_SENT: Final = frozenset({Action.SEND})
_HELD: Final = frozenset({Action.READ, Action.WRITE})

OPAQUE: Final = "opaque"
"""A mask that shows nothing of the value's shape."""


@dataclass(frozen=True, slots=True)
class Title:
    """What people read, in Chinese and in English."""

    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class CategoryEntry:
    """A kind of data and how grave it is. ``dpv`` is a W3C Data Privacy Vocabulary term or empty.

    ``both_required``: from 14 to 17 the person and a guardian must both agree to its use, and to that of
    every category below it. ``record``: how sure the entry of a decision must be before a value of it, or of
    a category below it, is revealed.
    """

    id: Category
    parent: Category | None
    tier: Tier
    title: Title
    dpv: str
    both_required: bool = False
    record: Assurance = Assurance.COMMITTED


@dataclass(frozen=True, slots=True)
class AgeTier:
    """What a tier becomes for somebody below an age, and the article that says so."""

    under: int
    tier: Tier
    becomes: Tier
    law: str


@dataclass(frozen=True, slots=True)
class GroupEntry:
    """A group in the tree of purposes. A denial of the group reaches each purpose in it."""

    id: str
    parent: str
    title: Title


@dataclass(frozen=True, slots=True)
class FieldEntry:
    """A stored field, or (with ``channel``) a way of writing to a member.

    ``tier`` is the category's. ``collected_for`` lists the purposes for which a value may be written;
    a channel holds no value, so it has neither a key class nor a mask and is collected for nothing.
    ``objects`` are the words by which grants name this field: itself, its categories, its tier …
    ``record`` is the most that its category or one above asks for.
    """

    name: FieldName
    subject: SubjectKind
    category: Category
    tier: Tier
    key_class: KeyClass | None
    mask: EntityType | Literal["opaque"] | None
    title: Title
    collected_for: tuple[Purpose, ...]
    channel: Channel | None
    objects: tuple[str, ...]
    record: Assurance = Assurance.COMMITTED

    def admits(self, action: str) -> bool:
        """Say whether the action makes sense: channels are sent through, fields read and written."""
        return action in (_SENT if self.channel is not None else _HELD)


@dataclass(frozen=True, slots=True)
class PurposeEntry:
    """A purpose and what a consent for it must look like.

    ``needs_consent``: no legal basis other than consent exists for it. ``separate``: a consent of its
    own, never bundled. ``double_confirm``: tick box and one-time code. ``profiled``: it works by
    automated decision. ``screening``: which content rules a message meets, None when no message may be
    sent for it. ``consent_days``: the longest validity of a consent in days, 0 when consent is never
    asked because the purpose rests on law alone. ``both_required``: from 14 to 17 the person and a guardian
    must both agree. ``retention_days``: the longest time for which a notice may say that data is kept.
    ``parent`` is its group.
    """

    id: Purpose
    title: Title
    dpv: str
    needs_consent: bool
    separate: bool
    double_confirm: bool
    profiled: bool
    screening: ScreeningPurpose | None
    consent_days: int
    both_required: bool
    retention_days: int
    jurisdiction: Jurisdiction
    parent: str


@dataclass(frozen=True, slots=True)
class Prohibition:
    """What no consent can lift. Every part that is set must apply; what is empty applies always.

    ``purpose`` is a purpose or a group, ``category`` one or all below it. ``profiled``: only purposes that
    work by automated decision. ``under``: only below that age, and where the age is unknown. ``others``:
    only towards everybody but the person.
    """

    reason: Reason
    law: str
    title: Title
    purpose: str
    category: str
    tier: Tier | None
    screening: ScreeningPurpose | None
    profiled: bool
    under: int
    others: bool


@dataclass(frozen=True, slots=True)
class BasisEntry:
    """A legal basis other than consent: one article, one purpose, the categories it covers, where it holds.

    ``under_14``: it also holds for a person under 14, where otherwise a guardian must consent
    (个人信息保护法 第三十一条).
    """

    purpose: Purpose
    law: str
    categories: frozenset[Category]
    under_14: bool
    jurisdiction: Jurisdiction


@dataclass(frozen=True, slots=True)
class RoleEntry:
    """A role, where it may be held, and every role whose grants it has (itself included)."""

    id: Role
    scopes: frozenset[Scope]
    title: Title
    closure: frozenset[Role]


@dataclass(frozen=True, slots=True)
class Grant:
    """One row of grants.csv: who may (or must not) do what, how far, when, and where that comes from.

    ``action`` is None for any action (deny rows only), and a verb of its own for a further type of
    resource (``policies.resources``). ``level`` is the level an allow row reaches up to, or the first level
    a deny row forbids; everything but reading a field knows only all or nothing. ``conditions`` are of the
    closed set ``policies.terms.Condition``, or declared by the book for further resources.
    """

    id: RuleId
    role: str
    scope: str
    object: str
    action: str | None
    level: Level
    relation: str
    purpose: str
    conditions: frozenset[str]
    allows: bool
    duties: tuple[str, ...]
    sources: tuple[str, ...]
    line: int

    def covers_relation(self, relation: Relation) -> bool:
        """Say whether the row speaks about this relation."""
        return self.relation in (ANY, relation)

    def covers_purpose(self, purpose: Purpose) -> bool:
        """Say whether the row speaks about this purpose: itself, or a group such as ``service``."""
        return self.purpose in (ANY, purpose) or purpose.startswith(f"{self.purpose}.")


@dataclass(frozen=True, slots=True)
class Limits:
    """The numbers of limits.toml."""

    promotions_per_member_per_day: int
    code_minutes: int
    code_tries: int
    sensitive_consent_days: int
    ask_again_days: int
    permit_seconds: int
    approval_hours: int
    checks_per_call: int
    recipients_per_message: int
