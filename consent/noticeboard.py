"""Where published notices stand: written once, read back, and told to whoever weighs a consent.

Promises that a version is only ever added (the database refuses anything else) and that what a decision
needs to know of notices costs one statement, however many people and consents it is about.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from sqlalchemy import bindparam, insert, select

from consent.events import Event
from consent.notices import LOCALES, Contents, Draft, Notice, Wording, material_changes
from consent.records import NoticeText, NoticeVersion
from consent.superseding import NoticeFact, Notices, by_id
from policies.transaction import Row, Transaction

_V: Final = NoticeVersion.__table__
_T: Final = NoticeText.__table__
_ADD_VERSION: Final = insert(_V)
_ADD_TEXT: Final = insert(_T)
_FULL: Final = (
    select(
        _V.c.id,
        _V.c.version,
        _V.c.purpose,
        _V.c.categories,
        _V.c.methods,
        _V.c.recipients,
        _V.c.processors,
        _V.c.retention_days,
        _V.c.region,
        _V.c.assessment,
        _V.c.changed,
        _V.c.effective_from,
        _V.c.published_by,
        _V.c.published_at,
        _T.c.locale,
        _T.c.title,
        _T.c.body,
    )
    .join_from(_V, _T, (_V.c.id == _T.c.id) & (_V.c.version == _T.c.version))
    .order_by(_V.c.id, _V.c.version, _T.c.locale)
)
_OF_ONE: Final = _FULL.where(_V.c.id == bindparam("notice"))
_OF_SOME: Final = _FULL.where(_V.c.id.in_(bindparam("ids", expanding=True)))
_FACTS: Final = (
    select(
        _V.c.id,
        _V.c.version,
        _V.c.effective_from,
        _V.c.changed,
        _T.c.sha256,
        _V.c.processors,
        _V.c.published_at,
    )
    .join_from(_V, _T, (_V.c.id == _T.c.id) & (_V.c.version == _T.c.version))
    .where(_V.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(_V.c.id, _V.c.version, _T.c.locale)
)
_PARTS: Final = 14
"""How many columns of a full row are the version's; the rest is the wording in one language."""


def post(tx: Transaction, draft: Draft, before: Notice | None, publisher: str, now: int) -> Notice:
    """Add the version that follows ``before``. Two who do so at once: the key refuses one of them."""
    notice = Notice(
        id=draft.id,
        version=1 if before is None else before.version + 1,
        contents=draft.contents,
        wordings={locale: draft.wordings[locale] for locale in LOCALES},
        assessment=draft.assessment,
        changed=() if before is None else material_changes(before.contents, draft.contents),
        effective_from=now if draft.effective_from is None else draft.effective_from,
        published_by=publisher,
        published_at=now,
    )
    contents = notice.contents
    tx.run(
        _ADD_VERSION,
        {
            "id": notice.id,
            "version": notice.version,
            "purpose": contents.purpose,
            "categories": _spaced(contents.categories),
            "methods": _spaced(contents.methods),
            "recipients": _spaced(contents.recipients),
            "processors": _spaced(contents.processors),
            "retention_days": contents.retention_days,
            "region": contents.region,
            "assessment": notice.assessment,
            "changed": " ".join(notice.changed),
            "effective_from": notice.effective_from,
            "published_by": publisher,
            "published_at": now,
        },
    )
    tx.run(
        _ADD_TEXT,
        [
            {
                "id": notice.id,
                "version": notice.version,
                "locale": locale,
                "title": wording.title,
                "body": wording.text,
                "sha256": notice.sha256(locale),
            }
            for locale, wording in notice.wordings.items()
        ],
    )
    return notice


def versions_of(tx: Transaction, notice_id: str) -> tuple[Notice, ...]:
    """Return all versions of a notice, oldest first; empty when there is none."""
    return _notices(tx.rows(_OF_ONE, {"notice": notice_id}))


def named(tx: Transaction, references: Iterable[str]) -> Mapping[str, tuple[Notice, ...]]:
    """Return all versions, oldest first, of the notices that these references name, by id.

    One statement. An id under which nothing is published is not among the keys.
    """
    found: dict[str, tuple[Notice, ...]] = {}
    for notice in _notices(tx.rows(_OF_SOME, {"ids": sorted(_ids(references))})):
        found[notice.id] = (*found.get(notice.id, ()), notice)
    return found


def every_notice(tx: Transaction) -> tuple[Notice, ...]:
    """Return all versions of all notices, by id and version."""
    return _notices(tx.rows(_FULL))


def behind(tx: Transaction, events: Iterable[Event], known_at: int | None = None) -> Notices:
    """Return what is published under the ids that these events name, as standings are asked with it."""
    return published(tx, (event.notice for event in events), known_at)


def published(tx: Transaction, references: Iterable[str], known_at: int | None = None) -> Notices:
    """Return what is published under the ids of these references (``id@version#sha256``; empty ones none).

    One statement, also for no references. To ask again about a past instant, give it as ``known_at``.
    """
    return by_id(
        NoticeFact(name, version, effective_from, bool(changed), digest, _words(processors), published_at)
        for name, version, effective_from, changed, digest, processors, published_at in tx.rows(
            _FACTS, {"ids": sorted(_ids(references))}
        )
        if known_at is None or published_at <= known_at
    )


def _ids(references: Iterable[str]) -> set[str]:
    return {reference.partition("@")[0] for reference in references if reference}


def _notices(rows: Iterable[Row]) -> tuple[Notice, ...]:
    found: dict[tuple[str, int], tuple[Row, dict[str, Wording]]] = {}
    for row in rows:
        _, wordings = found.setdefault((row[0], row[1]), (row, {}))
        locale, title, body = row[_PARTS:]
        wordings[locale] = Wording(title, body)
    return tuple(_notice(row, wordings) for row, wordings in found.values())


def _notice(row: Row, wordings: dict[str, Wording]) -> Notice:
    name, version, purpose, categories, methods, recipients, processors, days, region = row[:9]
    assessment, changed, effective_from, published_by, published_at = row[9:_PARTS]
    return Notice(
        id=name,
        version=version,
        contents=Contents(
            purpose=purpose,
            categories=_words(categories),
            methods=_words(methods),
            recipients=_words(recipients),
            processors=_words(processors),
            retention_days=days,
            region=region,
        ),
        wordings=wordings,
        assessment=assessment,
        changed=tuple(changed.split()),
        effective_from=effective_from,
        published_by=published_by,
        published_at=published_at,
    )


def _spaced(words: Iterable[str]) -> str:
    return " ".join(sorted(words))


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())
