"""Brings consents that another system holds into the registry: streamed, in batches, each whole or not.

Promises that a row counts like a complete act only where it states everything such an act needs, judged by
the folding that decides every day; that imported events say so (file digest, line, reference, importer); that
a batch, its log entries, its announcements and the progress commit together; and that a file is known by its
digest: a second import changes nothing, an interrupted one goes on where it stopped.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TextIO

import orjson
from sqlalchemy import bindparam, select, text, update

from audit import ledger
from audit.entry import Actor as LogActor
from audit.entry import ActorType, Entry, Kind, Party, Verdict
from consent import eventlog, noticeboard
from consent.listing import Consent
from governance import announcing, subjects
from governance.announcing import Told
from governance.database import Database
from governance.importfile import Lines, digest
from governance.importjudging import Judge, Outcome
from governance.importrows import Fault, Line
from governance.opening import Opening
from governance.records import Actor, ConsentImport
from governance.rulekeeping import RuleKeeper
from policies.identifiers import Prefix, new_id
from policies.terms import ActorId, SubjectId
from policies.transaction import Transaction

BATCH: Final = 200
"""Rows of one transaction: long enough to share a commit, short enough that a withdrawal need not wait."""
OPERATOR: Final = "operator"

_import, _staff = ConsentImport.__table__, Actor.__table__
_BEGIN: Final = text(
    "INSERT INTO consent_import"
    " (sha256, id, importer, rows, imported, known, refused, started_at, finished_at)"
    " VALUES (:sha256, :id, :importer, 0, 0, 0, 0, :now, NULL) ON CONFLICT (sha256) DO NOTHING"
)
_READ: Final = select(
    _import.c.id,
    _import.c.rows,
    _import.c.imported,
    _import.c.known,
    _import.c.refused,
    _import.c.finished_at,
).where(_import.c.sha256 == bindparam("digest"))
_ADVANCE: Final = (
    update(_import)
    .where(
        _import.c.sha256 == bindparam("digest"),
        _import.c.rows == bindparam("was"),
        _import.c.finished_at.is_(None),
    )
    .values(
        rows=bindparam("to"),
        imported=bindparam("good"),
        known=bindparam("again"),
        refused=bindparam("bad"),
    )
)
_STAFF: Final = select(_staff.c.id).where(_staff.c.id == bindparam("actor"), _staff.c.state == "active")
_FINISH: Final = (
    update(_import)
    .where(_import.c.sha256 == bindparam("digest"), _import.c.finished_at.is_(None))
    .values(finished_at=bindparam("now"))
)


class ImportStoppedError(Exception):
    """The import did not go on; what was committed stands. The message says what to do, in both languages."""


@dataclass
class Tally:
    """How far an import has come. ``again``: the file had been imported before, nothing was done."""

    id: str
    sha256: str
    size: int
    rows: int = 0
    imported: int = 0
    known: int = 0
    refused: int = 0
    bytes_done: int = 0
    resumed: bool = False
    again: bool = False
    seen: set[str] = field(default_factory=set, repr=False)


class Importing:
    """The desk. ``importer`` is a member of staff, or None for the operator at the command line."""

    def __init__(
        self, database: Database, keeper: RuleKeeper, opening: Opening, clock: Callable[[], int]
    ) -> None:
        self._database = database
        self._keeper = keeper
        self._opening = opening
        self._clock = clock

    def run(
        self,
        file: Path,
        report: TextIO,
        *,
        importer: ActorId | None = None,
        dry: bool = False,
        progress: Callable[[Tally], None] = lambda _: None,
    ) -> Tally:
        """Import a file, or with ``dry`` only say what would become of each line.

        Raises:
            HeaderError: the first line of a CSV file does not name the columns.
            ImportStoppedError: the file changed meanwhile, or somebody else imports it.
        """
        self._refuse_stranger(importer)
        with file.open("rb") as source:
            tally = Tally(new_id(Prefix.IMPORT), *digest(source))
            source.seek(0)
            lines = Lines(source)  # looks at the header before anything is written
            if not dry:
                self._begin(tally, importer)
            if tally.again:
                return tally
            _keep_until(report, tally.rows)
            lines.skip(tally.rows)
            for stretch in lines.batches(BATCH):
                self._take(tally, stretch, lines.done, report, importer, dry=dry)
                tally.bytes_done = source.tell()
                progress(tally)
            if lines.hexdigest() != tally.sha256:
                raise ImportStoppedError(
                    "文件在读取过程中被改动；报告中已导入的行仍然有效，请重新导入 / "
                    "the file changed while it was read; the rows reported as imported stand. Import it again"
                )
            if not dry:
                self._finish(tally, importer)
        return tally

    def _refuse_stranger(self, importer: ActorId | None) -> None:
        if importer is not None and not self._database.look(_STAFF, {"actor": importer}):
            raise ImportStoppedError("没有这个编号的在册工作人员 / nobody on record has this staff id")

    def _begin(self, tally: Tally, importer: ActorId | None) -> None:
        now = self._clock()
        with self._database.transaction() as tx:
            row = {"sha256": tally.sha256, "id": tally.id, "importer": importer or OPERATOR, "now": now}
            fresh = tx.run(_BEGIN, row) == 1
            found = tx.rows(_READ, {"digest": tally.sha256})[0]
            tally.id, tally.rows, tally.imported, tally.known, tally.refused, finished = found
            tally.again = finished is not None
            tally.resumed = not fresh and not tally.again
            if not tally.again:
                act = "import.begun" if fresh else "import.resumed"
                ledger.append(tx, [self._entry(tx, act, tally, importer, now)])
                tx.commit()

    def _finish(self, tally: Tally, importer: ActorId | None) -> None:
        now = self._clock()
        with self._database.transaction() as tx:
            if tx.run(_FINISH, {"digest": tally.sha256, "now": now}):
                done = self._entry(tx, "import.finished", tally, importer, now, n=tally.imported)
                refused = self._entry(
                    tx, "import.refused", tally, importer, now, n=tally.refused, dec=Verdict.DENY
                )
                ledger.append(tx, [done, refused] if tally.refused else [done])
                tx.commit()

    def _take(
        self,
        tally: Tally,
        stretch: Sequence[tuple[int, Line | Fault]],
        done: int,
        report: TextIO,
        importer: ActorId | None,
        *,
        dry: bool,
    ) -> None:
        place = report.tell()
        try:
            outcomes = self._keeper.attempt(
                lambda: self._apply(tally, stretch, done, report, importer, dry=dry)
            )
        except BaseException:
            report.seek(place)  # a batch that did not commit is not reported either
            report.truncate()
            raise
        counted = [one.outcome for one in outcomes]
        tally.rows = done
        tally.imported += counted.count("imported")
        tally.known += counted.count("known")
        tally.refused += counted.count("refused")

    def _apply(
        self,
        tally: Tally,
        stretch: Sequence[tuple[int, Line | Fault]],
        done: int,
        report: TextIO,
        importer: ActorId | None,
        *,
        dry: bool,
    ) -> list[Outcome]:
        now = self._clock()
        with self._database.transaction() as tx:
            book = self._keeper.in_force(tx).rules.book
            members = sorted({SubjectId(one.member) for _, one in stretch if isinstance(one, Line)})
            held = subjects.change(tx, members)
            events = eventlog.events_of(tx, members)
            stated = {one.terms.notice for _, one in stretch if isinstance(one, Line)}
            named = stated | {event.notice for known in events.values() for event in known}
            judge = Judge(
                book,
                held,
                events,
                self._opening.births_of(tx, members),
                noticeboard.published(tx, named),
                noticeboard.named(tx, stated),
                _source(tally, importer),
                now,
                tally.seen if dry else set(),
            )
            outcomes = [judge.judged(number, one) for number, one in stretch]
            if dry:
                _tell(report, outcomes)
                return outcomes
            eventlog.record_all(tx, judge.fresh)
            counted = [one.outcome for one in outcomes]
            advance = {
                "digest": tally.sha256,
                "was": tally.rows,
                "to": done,
                "good": tally.imported + counted.count("imported"),
                "again": tally.known + counted.count("known"),
                "bad": tally.refused + counted.count("refused"),
            }
            if not tx.run(_ADVANCE, advance):
                raise ImportStoppedError(
                    "另有导入正在处理这个文件，请稍后再看 / "
                    "somebody else is importing this file; look at it again later"
                )
            self._log(tx, tally, judge.consents, importer, now)
            _tell(report, outcomes)
            tx.commit()
        return outcomes

    def _log(
        self,
        tx: Transaction,
        tally: Tally,
        consents: Sequence[Consent],
        importer: ActorId | None,
        now: int,
    ) -> None:
        names = ledger.pseudonyms(tx, {one.subject_id for one in consents})
        policy = self._keeper.fingerprint(tx)
        entries = [
            Entry(
                t=now,
                kind=Kind.CHANGE,
                act="consent.imported",
                dec=Verdict.PERMIT,
                actor=_actor(importer),
                subjects=(names[one.subject_id],),
                resource=one.consent_id,
                purpose=one.terms.purpose,
                policy=policy,
                corr=tally.id,
            )
            for one in consents
        ]
        receipts = ledger.append(tx, entries)
        announcing.announce(
            tx,
            [
                announcing.of_consent(Told.IMPORTED, consent, receipt.index, now)
                for consent, receipt in zip(consents, receipts, strict=True)
            ],
        )

    def _entry(
        self,
        tx: Transaction,
        act: str,
        tally: Tally,
        importer: ActorId | None,
        now: int,
        *,
        n: int = 0,
        dec: Verdict = Verdict.PERMIT,
    ) -> Entry:
        return Entry(
            t=now,
            kind=Kind.CHANGE,
            act=act,
            dec=dec,
            actor=_actor(importer),
            resource=tally.id,
            policy=self._keeper.fingerprint(tx),
            corr=tally.id,
            n=n,
        )


def _source(tally: Tally, importer: ActorId | None) -> Callable[[Line, int], str]:
    """Return what makes the evidence of an imported event: where it comes from, never what it says."""

    def evidence(line: Line, number: int) -> str:
        said = {
            "file": tally.sha256,
            "import": tally.id,
            "importer": importer or OPERATOR,
            "line": number,
            "reference": line.evidence,
            "via": "import",
        }
        return orjson.dumps(said).decode()

    return evidence


def _actor(importer: ActorId | None) -> LogActor:
    if importer is None:
        return LogActor(Party(ActorType.SYSTEM, "import"))
    return LogActor(Party(ActorType.STAFF, importer))


def _tell(report: TextIO, outcomes: Sequence[Outcome]) -> None:
    """Write a batch into the report: before its commit, so that nothing committed goes unreported."""
    for one in outcomes:
        said = {name: value for name, value in one._asdict().items() if value != ""}
        report.write(orjson.dumps(said).decode() + "\n")
    report.flush()


def _keep_until(report: TextIO, rows: int) -> None:
    """Cut a report back to what was committed: a run that was cut off may have told more."""
    report.seek(0)
    place = 0
    while line := report.readline():
        try:
            told = json.loads(line)["line"]
        except (ValueError, KeyError, TypeError):
            break
        if not line.endswith("\n") or told > rows:
            break
        place = report.tell()
    report.seek(place)
    report.truncate()
