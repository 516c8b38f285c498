"""What a decision about consent costs: pure, with its reads, and for everybody at once.

``measure()`` gives rows of bench.json. The member asked about has fifty events; the others have one each and
are written by the database itself, so that a million of them take seconds. The product keeps no table of
current standings (decision 10), so rebuilding them all is folding all events again, streamed from the
database in the order of its key; what is measured is a slice, in CPU time, at the rate that a full run
would have.
"""

from __future__ import annotations

import gc
import itertools
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from time import perf_counter_ns, process_time_ns
from typing import Any

import apsw
from sqlalchemy import bindparam, select

from consent import eventlog
from consent.events import Capacity, Event, EventKind
from consent.records import ConsentEvent
from consent.rules import Question, standings
from governance.database import Database
from governance.schema import migrate
from governance.wiring import open_database
from policies.book import RuleBook, load_book, packaged_rules

ADULT, MEMBER = date(1985, 5, 5), "mem_asked"
START, MINUTE, DAY = 1_772_294_400_000, 60_000, 86_400_000
NOW = START + 30 * DAY
CATEGORIES = (
    "outreach.sms", "outreach.email", "contact.phone", "contact.address",
    "content.history", "purchase.history", "health.record", "location.precise",
)  # fmt: skip
GRANTS = (
    ("marketing.direct", "outreach.sms outreach.email"),
    ("analytics.usage", "content.history purchase.history"),
    ("service.health", "health.record"),
    ("family.care", "health.record"),
    ("recommend.personal", "content.history"),
)
FEW, MANY, FOLDED = 1_000, 1_000_000, 20_000
EVENTS_A_MEMBER, PAGE = 5, 10_000
Row = dict[str, Any]
_T = ConsentEvent.__table__
_PAGE = (
    select(*(_T.c[name] for name in Event._fields))
    .where(_T.c.subject_id > bindparam("after"))
    .order_by(_T.c.subject_id, _T.c.seq)
    .limit(bindparam("most"))
)
_OTHERS = """
WITH RECURSIVE n(i) AS (SELECT ? UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?)
INSERT INTO consent_event
  (subject_id, seq, event_id, kind, consent_id, purpose, categories, recipient, notice, actor_id, capacity,
   viewer, occurred_at, recorded_at, expires_at, evidence)
SELECT printf('mem_other_%08d', i), 1, printf('evt_%08d', i), 'withdrawn', printf('con_%08d', i),
       'marketing.direct', 'outreach.sms', '', 'n@1#00', printf('mem_other_%08d', i), 'self', '',
       ?3, ?3, NULL, '{}' FROM n
"""


def row(
    id_: str, what: str, value: float, unit: str, beside: tuple[str, float], goal: str, *, meets: bool
) -> Row:
    name, other = beside
    return {
        "id": id_, "what": what, "value": round(value, 2), "unit": unit, "beside": name,
        "beside_value": round(other, 2), "ratio": round(value / other, 2), "goal": goal, "meets": meets,
    }  # fmt: skip


def event(subject: str, number: int, kind: EventKind, at: int, **more: object) -> Event:
    fields: dict[str, object] = {
        "subject_id": subject, "event_id": f"evt_{subject}_{number:03}", "kind": kind.value, "consent_id": "",
        "purpose": "", "categories": frozenset(), "recipient": "", "notice": "", "actor_id": subject,
        "capacity": Capacity.SELF.value, "viewer": "", "occurred_at": at, "recorded_at": at,
        "expires_at": None, "evidence": "{}",
    }  # fmt: skip
    return Event(**{**fields, **more})


def life(subject: str) -> list[Event]:
    """Return fifty events: fifteen consents, renewed again and again, and what else happens to a member."""
    log: list[Event] = []
    numbers = itertools.count()
    for turn, (purpose, words) in enumerate(GRANTS * 3):
        terms = {
            "consent_id": f"con_{turn:02}",
            "purpose": purpose,
            "categories": frozenset(words.split()),
            "notice": "n@1#00",
        }
        for kind in (EventKind.SERVED, EventKind.TICKED, EventKind.CONFIRMED):
            at = START + turn * DAY + (kind is EventKind.CONFIRMED) * MINUTE
            log.append(event(subject, next(numbers), kind, at, **terms))
    at = START + 20 * DAY
    words = frozenset({"content"})
    log.append(event(subject, next(numbers), EventKind.WITHDRAWN, at, purpose="marketing.profiled"))
    log.append(event(subject, next(numbers), EventKind.REFUSED, at, purpose="publish.story"))
    log.append(event(subject, next(numbers), EventKind.HIDDEN, at, categories=words, viewer="mem_father"))
    log.append(
        event(subject, next(numbers), EventKind.UNHIDDEN, at + 1, categories=words, viewer="mem_father")
    )
    log.append(event(subject, next(numbers), EventKind.JOINED, at, viewer="hh_home", actor_id="mem_mother"))
    return log


def questions(subject: str, purpose: str = "marketing.direct") -> list[Question]:
    return [Question(subject, purpose, word, "", "svc_crm", NOW, ADULT) for word in CATEGORIES]


def timed(work: Callable[[], object], rounds: int = 200, times: int = 10) -> float:
    """Return the microseconds of a call in the quickest round: what else the machine does only adds."""
    for _ in range(times):
        work()
    spent = []
    gc.disable()
    try:
        for _ in range(rounds):
            begun = perf_counter_ns()
            for _ in range(times):
                work()
            spent.append((perf_counter_ns() - begun) / times / 1000)
    finally:
        gc.enable()
    return min(spent)


def pure(book: RuleBook) -> Row:
    log = tuple(life(MEMBER))
    assert len(log) == 50
    answers = standings(log, questions(MEMBER), book)
    assert [one.permits for one in answers] == [True, True, False, False, False, False, False, False]
    value = timed(lambda: standings(log, questions(MEMBER), book))
    floor = timed(lambda: [(e.subject_id, e.kind, e.purpose, e.categories, e.occurred_at) for e in log])
    return row(
        "consent.decision", "standing of 8 categories from 50 events, pure", value, "us",
        ("merely reading the 50 events", floor), "<= 150 us", meets=value <= 150,
    )  # fmt: skip


def others(path: Path, first: int, last: int) -> None:
    """Let the database write one event for each of many other members."""
    connection = apsw.Connection(str(path))
    try:
        connection.execute("BEGIN")
        connection.execute(_OTHERS, (first, last, START))
        connection.execute("COMMIT")
    finally:
        connection.close()


def decided(database: Database, book: RuleBook) -> None:
    with database.reading() as tx:
        events = eventlog.events_of(tx, [MEMBER])[MEMBER]
    assert standings(events, questions(MEMBER), book)[0].permits


def with_reads(path: Path, database: Database, book: RuleBook) -> Row:
    with database.transaction() as tx:
        eventlog.record(tx, *life(MEMBER))
        tx.commit()
    others(path, 0, FEW)
    few = timed(lambda: decided(database, book))
    others(path, FEW, MANY)
    many = timed(lambda: decided(database, book))
    return row(
        "consent.reads", f"the same with its reads from SQLite, beside {MANY:,} other members", many, "us",
        (f"beside {FEW:,} other members", few), "<= 1.5 x", meets=many <= 1.5 * few,
    )  # fmt: skip


def everybodys(database: Database) -> Iterator[tuple[str, list[Event]]]:
    """Stream every member with its events, a page at a time."""
    after, last = "", "-"
    with database.reading() as tx:
        while last:
            page = [eventlog.event_of(one) for one in tx.rows(_PAGE, {"after": after, "most": PAGE})]
            # The last member of a full page may go on in the next one: it is read again from its start.
            last = page[-1].subject_id if len(page) == PAGE else ""
            for subject, events in itertools.groupby(page, key=lambda e: e.subject_id):
                if subject != last:
                    after = subject
                    yield subject, list(events)


def rebuilt(database: Database, book: RuleBook) -> Row:
    with database.transaction() as tx:
        for number in range(FOLDED):
            subject = f"mem_{number:08}"
            log = life(subject)  # one consent, a withdrawal and a refusal of other purposes
            eventlog.record(tx, *log[:3], *log[45:47])
        tx.commit()
    begun, read = process_time_ns(), 0
    for _, events in everybodys(database):
        read += len(events)
    floor = read / (process_time_ns() - begun) * 1e9
    begun, folded, permits = process_time_ns(), 0, 0
    for subject, events in everybodys(database):
        said = {(e.purpose, word) for e in events if e.kind == EventKind.TICKED for word in e.categories}
        asks = [Question(subject, purpose, word, "", "", NOW, ADULT) for purpose, word in sorted(said)]
        permits += sum(one.permits for one in standings(events, asks, book))
        folded += len(events)
    value = folded / (process_time_ns() - begun) * 1e9
    assert folded == FOLDED * EVENTS_A_MEMBER
    assert permits >= FOLDED
    return row(
        "consent.rebuild", f"standings of {FOLDED:,} members folded anew from streamed events", value,
        "events/s", ("merely streaming them", floor), ">= 20,000 events/s", meets=value >= 20_000,
    )  # fmt: skip


def measure() -> list[Row]:
    book = load_book(packaged_rules())
    rows = [pure(book)]
    with emptied() as (path, database):
        rows.append(with_reads(path, database, book))
        print(".", end="", flush=True)
    with emptied() as (_, database):
        rows.append(rebuilt(database, book))
        print(".", end="", flush=True)
    return rows


@contextmanager
def emptied() -> Iterator[tuple[Path, Database]]:
    """A fresh SQLite database with the whole schema."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "consent.sqlite"
        migrate(f"sqlite:///{path}")
        database = open_database(f"sqlite:///{path}")
        try:
            yield path, database
        finally:
            database.close()


if __name__ == "__main__":
    for each in measure():
        print(each)
