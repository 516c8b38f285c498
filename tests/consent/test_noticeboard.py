"""Published notices on both engines: read back as written, never changed, told in one statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from consent_story import START, event
from sqlalchemy import text
from test_notices import CONTENTS, WORDINGS

from consent import noticeboard
from consent.notices import Draft, Notice, Wording
from consent.superseding import NoticeFact
from governance.database import ConflictError, Database, StoreError

DRAFT = Draft("offers", CONTENTS, WORDINGS, assessment="pia-7")
WIDER = replace(DRAFT, contents=replace(CONTENTS, region="sg"), effective_from=START + 50)


def posted(database: Database, draft: Draft, before: Notice | None = None, now: int = START) -> Notice:
    with database.transaction() as tx:
        notice = noticeboard.post(tx, draft, before, "stf_1", now)
        tx.commit()
    return notice


def test_versions_come_back_as_they_were_published(database: Database) -> None:
    first = posted(database, DRAFT)
    second = posted(database, WIDER, first, START + 1)
    other = posted(database, replace(DRAFT, id="another"))
    with database.reading() as tx:
        assert noticeboard.versions_of(tx, "offers") == (first, second)
        assert noticeboard.every_notice(tx) == (other, first, second)
        assert noticeboard.versions_of(tx, "nothing") == ()
    assert (first.version, first.changed, first.effective_from) == (1, (), START)
    assert (second.version, second.changed, second.effective_from) == (2, ("region",), START + 50)


def test_two_who_publish_the_next_version_at_once_do_not_both_succeed(database: Database) -> None:
    first = posted(database, DRAFT)
    posted(database, WIDER, first)
    with pytest.raises(ConflictError):
        posted(database, replace(DRAFT, wordings={**WORDINGS, "en": Wording("a", "b")}), first)
    with database.reading() as tx:
        assert [one.version for one in noticeboard.versions_of(tx, "offers")] == [1, 2]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE notice_version SET retention_days = 1",
        "UPDATE notice_text SET body = 'x'",
        "DELETE FROM notice_version",
        "DELETE FROM notice_text WHERE locale = 'en'",
    ],
)
def test_the_database_refuses_to_change_what_was_published(database: Database, statement: str) -> None:
    first = posted(database, DRAFT)
    with database.transaction() as tx, pytest.raises(StoreError):
        tx.run(text(statement), {})
    with database.reading() as tx:
        assert noticeboard.versions_of(tx, "offers") == (first,)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "statement",
    [
        "INSERT OR REPLACE INTO notice_text VALUES ('offers', 1, 'zh', 'x', 'y', 'z')",
        "INSERT OR REPLACE INTO notice_version VALUES ('offers',1,'','','','','',9,'','','',0,'',0)",
    ],
)
def test_sqlite_refuses_to_replace_what_was_published(database: Database, statement: str) -> None:
    posted(database, DRAFT)
    with database.transaction() as tx, pytest.raises(StoreError):
        tx.run(text(statement), {})


class Counting:
    """A transaction that counts what it is asked; the answers are the real one's."""

    def __init__(self, tx: Any) -> None:
        self._tx = tx
        self.asked = 0

    def rows(self, statement: Any, parameters: Mapping[str, object] | None = None) -> Sequence[Any]:
        self.asked += 1
        found: Sequence[Any] = self._tx.rows(statement, parameters)
        return found

    def run(self, *_: Any) -> int:
        raise AssertionError("telling what is published changes nothing")


@pytest.mark.parametrize("size", [0, 1, 40])
def test_what_a_standing_needs_of_notices_is_one_statement(database: Database, size: int) -> None:
    first = posted(database, DRAFT)
    second = posted(database, WIDER, first, START + 1)
    about = [
        event(
            "adult", "self", "ticked", START, number, notice=first.reference("zh") if number else "lost@1#00"
        )
        for number in range(size)
    ]
    with database.reading() as tx:
        counting = Counting(tx)
        found = noticeboard.behind(counting, about)
        known_then = noticeboard.behind(counting, about, START)
    assert counting.asked == 2
    facts = [
        NoticeFact(
            "offers",
            one.version,
            one.effective_from,
            bool(one.changed),
            one.sha256(locale),
            CONTENTS.processors,
            one.published_at,
        )
        for one in (first, second)
        for locale in ("en", "zh")
    ]
    assert dict(found) == ({"offers": tuple(facts)} if size > 1 else {})
    assert dict(known_then) == ({"offers": tuple(facts[:2])} if size > 1 else {})
