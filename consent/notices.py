"""Notices: what people are told before they agree, as immutable versions in Chinese and English.

Pure. A version is known by the digest of each of its texts, so a consent proves which words were shown.
Whether a new version needs a new consent follows from comparing the two, field by field, and never from
what its author thinks of it (个人信息保护法 第十四条第二款; 网络数据安全管理条例 第二十二条第四项、第六项).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from hashlib import sha256
from typing import Final, NamedTuple

from consent.listing import Terms

LOCALES: Final = ("zh", "en")
"""Every version says the same in each of these."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a notice tells, as far as two versions can be compared (个人信息保护法 第十七条、第三十条).

    One purpose: what needs another needs a notice of its own. ``recipients`` are other controllers, written
    ``party@region``; ``processors`` work for the controller. ``region`` is where the data is kept.
    """

    purpose: str
    categories: frozenset[str]
    methods: frozenset[str]
    recipients: frozenset[str]
    processors: frozenset[str]
    retention_days: int
    region: str


@dataclass(frozen=True, slots=True)
class Wording:
    """A notice in one language."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Draft:
    """A notice as somebody wants to publish it. ``assessment`` names the impact assessment, if one is due.

    ``effective_from`` None is at once; otherwise milliseconds since the epoch.
    """

    id: str
    contents: Contents
    wordings: Mapping[str, Wording]
    assessment: str = ""
    effective_from: int | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """One published version. ``changed`` are the fields whose change needs a new consent; empty: none."""

    id: str
    version: int
    contents: Contents
    wordings: Mapping[str, Wording]
    assessment: str
    changed: tuple[str, ...]
    effective_from: int
    published_by: str
    published_at: int

    def reference(self, locale: str) -> str:
        """Return how a consent names what was shown: ``id@version#sha256`` of the text in one language."""
        return f"{self.id}@{self.version}#{self.sha256(locale)}"

    def sha256(self, locale: str) -> str:
        """Return the digest of ``document``, in hex."""
        return sha256(document(self, locale)).hexdigest()

    @property
    def digest(self) -> str:
        """The digest of the texts in all languages, as the log keeps it."""
        return sha256("".join(self.sha256(locale) for locale in LOCALES).encode()).hexdigest()


def document(notice: Notice, locale: str) -> bytes:
    """Return the bytes that the digest of one language is made of: JSON in the canonical form of RFC 8785."""
    wording, contents = notice.wordings[locale], notice.contents
    parts = {
        "id": notice.id,
        "version": notice.version,
        "locale": locale,
        "title": wording.title,
        "text": wording.text,
        "purpose": contents.purpose,
        "categories": sorted(contents.categories),
        "methods": sorted(contents.methods),
        "recipients": sorted(contents.recipients),
        "processors": sorted(contents.processors),
        "retention_days": contents.retention_days,
        "region": contents.region,
    }
    return json.dumps(parts, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def material_changes(before: Contents, after: Contents) -> tuple[str, ...]:
    """Return the fields whose change ends older consents. Keeping data for a shorter time ends none."""
    return tuple(
        field.name
        for field in fields(Contents)
        if getattr(before, field.name) != getattr(after, field.name)
        and not (field.name == "retention_days" and after.retention_days < before.retention_days)
    )


def is_repeated(newest: Notice, draft: Draft) -> bool:
    """Say whether a draft says nothing that the newest version does not say already."""
    same = (newest.contents, newest.wordings, newest.assessment) == (
        draft.contents,
        dict(draft.wordings),
        draft.assessment,
    )
    return same and draft.effective_from in (None, newest.effective_from)


class Misfit(StrEnum):
    """Why nobody can agree to something on a notice."""

    UNKNOWN = "unknown"  # no such version, or no such text in it
    OTHER_TERMS = "other_terms"  # it tells of another purpose, or not of these categories or recipients
    NOT_IN_FORCE = "not_in_force"  # it does not count yet, or a later version has changed its terms


class Shown(NamedTuple):
    """The text that somebody was shown: the version, and in which language."""

    notice: Notice
    locale: str


def shown(versions: Iterable[Notice], reference: str) -> Shown | None:
    """Return the text that ``id@version#sha256`` names; None if these versions have no such text."""
    for notice in versions:
        for locale in LOCALES:
            if notice.reference(locale) == reference:
                return Shown(notice, locale)
    return None


def misfit(versions: Sequence[Notice], terms: Terms, now: int) -> tuple[Misfit | None, str]:
    """Say why the terms do not fit the notice they name, or None; beside it the language of its text.

    ``versions`` are all of the notice's, in their order.
    """
    found = shown(versions, terms.notice)
    if found is None:
        return Misfit.UNKNOWN, ""
    notice, locale = found
    contents = notice.contents
    fits = terms.purpose == contents.purpose and terms.categories <= contents.categories
    if not fits or (terms.recipient and terms.recipient not in contents.recipients):
        return Misfit.OTHER_TERMS, locale
    later = (one for one in versions if one.version > notice.version)
    replaced = any(one.changed and one.effective_from <= now for one in later)
    waits = now < notice.effective_from
    return (Misfit.NOT_IN_FORCE if replaced or waits else None), locale
