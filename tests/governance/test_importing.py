"""Consents of other systems: who gets in, as what, and that nothing is half done."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import happenings
import pytest
from import_story import GIVEN, ROW, consents, jsonl, many, row, run
from living import DAY, START, Living

from consent import eventlog
from governance import seeding, world
from governance.announcing import Told
from governance.importfile import Lines
from governance.importing import BATCH, ImportStoppedError
from governance.importrows import Fault, HeaderError
from governance.problems import Problem
from governance.times import rfc3339
from policies.reasons import Reason
from policies.terms import ActorId


def test_a_row_that_states_everything_counts_like_a_consent_given_here(house: Living, tmp_path: Path) -> None:
    before = house.size()
    tally, report = run(house, jsonl(tmp_path, [row()]), importer=ActorId(world.OFFICER.id))
    assert (tally.imported, tally.known, tally.refused) == (1, 0, 0)
    (told,) = report
    assert (told["line"], told["outcome"], told["code"], told["counts"]) == (
        1,
        "imported",
        "consent_given",
        True,
    )
    assert consents(house, world.LI_QIANG)[told["consent_id"]] is Reason.CONSENT_GIVEN
    entries = house.log()[before:]
    assert [one.act for one in entries] == ["import.begun", "consent.imported", "import.finished"]
    assert {one.actor.party.id for one in entries} == {world.OFFICER.id}
    assert entries[1].resource == told["consent_id"]
    with house.service.database.reading() as tx:
        events = eventlog.events_of(tx, [world.LI_QIANG.id])[world.LI_QIANG.id]
    mine = [one for one in events if one.consent_id == told["consent_id"]]
    assert [one.kind for one in mine] == ["served", "ticked", "confirmed"]
    assert {one.recorded_at for one in mine} == {house.clock()}
    assert json.loads(mine[0].evidence) == {
        "file": tally.sha256,
        "import": tally.id,
        "importer": world.OFFICER.id,
        "line": 1,
        "reference": "archive/2026/000123",
        "via": "import",
    }
    assert house.sql("SELECT kind FROM outbox_event ORDER BY position DESC")[0][0] == Told.IMPORTED


def test_a_read_is_let_through_by_an_imported_consent_and_stopped_by_its_withdrawal(
    house: Living, tmp_path: Path
) -> None:
    _, (told,) = run(house, jsonl(tmp_path, [row()]))
    assert consents(house, world.LI_QIANG)[told["consent_id"]] is Reason.CONSENT_GIVEN
    house.service.consenting.withdraw(
        happenings.person_acts(world.LI_QIANG), told["consent_id"], house.clock()
    )
    assert consents(house, world.LI_QIANG)[told["consent_id"]] is Reason.WITHDRAWN


# a consent that another system took on a notice of ours; it was published at START
OURS: Mapping[str, object] = {
    "notice": seeding.notice("service.health"),
    "given_at": rfc3339(START + 1_000),
    "confirmed_at": rfc3339(START + 2_000),
}
# what a row states → what becomes of it, and why; as a compliance officer would list it
REFUSED: Mapping[str, tuple[Mapping[str, object], str]] = {
    "nobody of that id": ({"member": happenings.NOBODY}, "unknown_member"),
    "a household": ({"member": world.ZHANG_HOME.id}, "malformed_line"),
    "a purpose the rules do not know": ({"purpose": "service.magic"}, "unknown_purpose"),
    "a category the rules do not know": ({"categories": "health.aura"}, "unknown_category"),
    "a purpose that rests on law": ({"purpose": "legal.compliance"}, "not_consentable"),
    "no evidence": ({"evidence": None}, "no_evidence"),
    "blank evidence": ({"evidence": "  "}, "no_evidence"),
    "a telephone number as evidence": ({"evidence": "tel-15400001002"}, "personal_evidence"),
    "an identity number as evidence": ({"evidence": "990000198605170025"}, "personal_evidence"),
    "a name as evidence": ({"evidence": "张丽签字"}, "malformed_line"),
    "given tomorrow": ({"given_at": rfc3339(START + DAY), "confirmed_at": None}, "future_dated"),
    "confirmed tomorrow": ({"confirmed_at": rfc3339(START + DAY)}, "future_dated"),
    "confirmed before it was given": ({"confirmed_at": rfc3339(GIVEN - 1)}, "out_of_order"),
    "expired before it was given": ({"expires_at": rfc3339(GIVEN)}, "out_of_order"),
    "expired by its own date": ({"expires_at": rfc3339(GIVEN + DAY)}, "expired"),
    "older than the purpose allows": (
        {"given_at": rfc3339(START - 200 * DAY), "confirmed_at": rfc3339(START - 200 * DAY + 1)},
        "expired",
    ),
    "a guardian who is none": (
        {"actor": world.ZHOU_MING.id, "capacity": "guardian"},
        "no_authority",
    ),
    "a guardian of an adult": ({"actor": world.ZHANG_LI.id}, "no_authority"),
    "a primary account for another's health": (
        {"actor": world.ZHANG_LI.id, "capacity": "primary"},
        "no_authority",
    ),
    "oneself in another's name": ({"actor": world.ZHANG_LI.id, "capacity": "self"}, "no_authority"),
    "a child alone": ({"member": world.XIAO_MAN.id}, "no_authority"),
    "a guardian before the guardianship": (
        {"member": world.XIAO_MAN.id, "actor": world.ZHANG_LI.id},
        "no_authority",
    ),
    "tiers mixed in one": ({"categories": "health.record;contact.phone"}, "not_separate"),
    "a time without a zone": ({"given_at": "2026-11-12T02:00:00"}, "malformed_line"),
    "a day that is none": ({"given_at": "2026-02-30T02:00:00Z"}, "malformed_line"),
    "a notice without a digest": ({"notice": "service.health@1"}, "malformed_line"),
    "a column nobody knows": ({"granted": True}, "malformed_line"),
    "a number for a word": ({"purpose": 7}, "malformed_line"),
    "no purpose": ({"purpose": None}, "malformed_line"),
    "a role nobody has": ({"capacity": "officer"}, "malformed_line"),
    "our notice, for a purpose it does not tell of": (
        {**OURS, "purpose": "marketing.direct", "categories": "outreach.sms"},
        "notice_differs",
    ),
    "our notice, for a category it does not tell of": (
        {**OURS, "categories": "health.record;finance.account"},
        "notice_differs",
    ),
    "our notice, for a recipient it does not tell of": (
        {**OURS, "recipient": world.CRM.id},
        "notice_differs",
    ),
    "our notice, before it was in force": (
        {**OURS, "given_at": rfc3339(START - 1)},
        "notice_not_in_force",
    ),
    "our notice, in a version never published": (
        {**OURS, "notice": "service.health@2#" + "5" * 64},
        "notice_mismatch",
    ),
    "our notice, in words never published": (
        {**OURS, "notice": "service.health@1#" + "5" * 64},
        "notice_mismatch",
    ),
}


@pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)
def test_what_is_forged_early_late_or_without_evidence_is_refused_with_its_reason_and_line(
    house: Living, tmp_path: Path
) -> None:
    before = house.sql("SELECT count(*) FROM consent_event")
    rows = [row(**changes) for changes, _ in REFUSED.values()]
    tally, report = run(house, jsonl(tmp_path, rows))
    got = {name: told["code"] for name, told in zip(REFUSED, report, strict=True)}
    assert got == {name: code for name, (_, code) in REFUSED.items()}
    assert [told["line"] for told in report] == list(range(1, len(REFUSED) + 1))
    assert {told["outcome"] for told in report} == {"refused"}
    assert (tally.imported, tally.refused) == (0, len(REFUSED))
    assert house.sql("SELECT count(*) FROM consent_event") == before
    assert [one.n for one in house.log() if one.act == "import.refused"] == [len(REFUSED)]


def test_a_consent_on_a_notice_of_ours_counts_where_it_fits_the_notice_and_its_time(
    house: Living, tmp_path: Path
) -> None:
    _, (told,) = run(house, jsonl(tmp_path, [row(**OURS)]))
    assert (told["outcome"], told["code"], told["counts"]) == ("imported", "consent_given", True)


@pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)
def test_the_report_says_in_both_languages_why_a_line_was_refused(house: Living, tmp_path: Path) -> None:
    rows = [row(evidence=None), row(purpose="service.magic"), row(**OURS, recipient=world.CRM.id), row()]
    _, report = run(house, jsonl(tmp_path, rows))
    causes = (Fault.NO_EVIDENCE, Reason.UNKNOWN_PURPOSE, Problem.NOTICE_DIFFERS)
    assert [(one["zh"], one["en"]) for one in report[:-1]] == [(one.zh, one.en) for one in causes]
    assert not {"zh", "en"} & set(report[-1])


BROKEN = ("{", "[]", "7", '{"member": "a", "member": "b"}', "not JSON", '{"x": NaN}', '{"member": "\\ud800"}')


def test_a_line_that_is_no_row_is_refused_and_the_next_one_read(house: Living, tmp_path: Path) -> None:
    too_long = json.dumps(row(evidence="a" * 40_000))
    tally, report = run(house, jsonl(tmp_path, [json.dumps(row()), *BROKEN, too_long, "", row(evidence="b")]))
    assert [told["code"] for told in report[1:-1]] == ["malformed_line"] * (len(BROKEN) + 1)
    assert (report[0]["outcome"], report[-1]["outcome"]) == ("imported", "imported")
    assert report[-1]["line"] == len(BROKEN) + 4, "an empty line is a line and no row"
    assert tally.refused == len(BROKEN) + 1


def test_without_the_confirmation_its_purpose_needs_a_row_is_on_record_and_does_not_count(
    house: Living, tmp_path: Path
) -> None:
    late = row(evidence="late", confirmed_at=rfc3339(GIVEN + DAY))
    single = row(
        purpose="analytics.usage", categories="content.history", confirmed_at=None, notice="a@1#" + "0" * 64
    )
    _, report = run(house, jsonl(tmp_path, [row(confirmed_at=None), late, single]))
    assert [(one["outcome"], one["code"], one["counts"]) for one in report] == [
        ("imported", "unconfirmed", False),
        ("imported", "unconfirmed", False),
        ("imported", "consent_given", True),
    ]


def test_a_guardian_on_record_counts_for_a_child_from_the_guardianship_on(
    house: Living, tmp_path: Path
) -> None:
    given = {"given_at": rfc3339(START + 1_000), "confirmed_at": rfc3339(START + 2_000)}
    child = row(member=world.XIAO_MAN.id, actor=world.ZHANG_LI.id, **given)
    _, (told,) = run(house, jsonl(tmp_path, [child]))
    assert (told["code"], told["counts"]) == ("guardian_consent", True)
    happenings.HAPPENINGS["end_guardian"](house)
    assert consents(house, world.XIAO_MAN)[told["consent_id"]] is Reason.NO_AUTHORITY


def test_an_older_consent_does_not_undo_a_withdrawal_on_record(house: Living, tmp_path: Path) -> None:
    happenings.withdraw(house, world.ZHANG_LI, "service.health")
    _, (told,) = run(house, jsonl(tmp_path, [row(member=world.ZHANG_LI.id)]))
    assert (told["outcome"], told["code"], told["counts"]) == ("imported", "withdrawn", False)


def test_a_second_import_of_a_file_changes_nothing_and_says_so(house: Living, tmp_path: Path) -> None:
    file = jsonl(tmp_path, [row(), row(evidence="b")])
    first, report = run(house, file)
    size, events = house.size(), house.sql("SELECT count(*) FROM consent_event")
    second, again = run(house, file)
    assert (first.again, second.again) == (False, True)
    assert (second.id, second.imported) == (first.id, 2)
    assert again == report
    assert (house.size(), house.sql("SELECT count(*) FROM consent_event")) == (size, events)


def test_the_same_act_in_another_file_is_known(house: Living, tmp_path: Path) -> None:
    run(house, jsonl(tmp_path, [row(member=happenings.NOBODY), row()]))
    tally, report = run(house, jsonl(tmp_path, [row(evidence="b"), row(), row()], "mended.jsonl"))
    assert [one["outcome"] for one in report] == ["imported", "known", "known"]
    assert (tally.imported, tally.known) == (1, 2)


def test_a_dry_run_tells_what_would_become_of_each_line_and_changes_nothing(
    house: Living, tmp_path: Path
) -> None:
    rows = [*many(BATCH), many(1)[0], row(member=happenings.NOBODY), row(evidence="new")]
    size, events = house.size(), house.sql("SELECT count(*) FROM consent_event")
    dry, would = run(house, jsonl(tmp_path, rows), dry=True)
    assert (house.size(), house.sql("SELECT count(*) FROM consent_event")) == (size, events)
    assert house.sql("SELECT sha256 FROM consent_import") == []
    real, told = run(house, jsonl(tmp_path, rows))
    assert [(one["line"], one["outcome"], one["code"]) for one in would] == [
        (one["line"], one["outcome"], one["code"]) for one in told
    ]
    assert (dry.imported, dry.known, dry.refused) == (real.imported, real.known, real.refused) == (201, 1, 1)


def test_csv_says_the_same_as_json_lines(house: Living, tmp_path: Path) -> None:
    written = io.StringIO()
    table = csv.DictWriter(written, [*ROW, "expires_at", "actor"])
    table.writeheader()
    table.writerows([row(), row(evidence="b", actor=world.ZHANG_LI.id), row(evidence="")])
    file = tmp_path / "consents.csv"
    file.write_bytes(b"\xef\xbb\xbf" + written.getvalue().encode() + b'"open\r\na,b\r\n')
    _, report = run(house, file)
    assert [(one["line"], one["code"]) for one in report] == [
        (2, "consent_given"),
        (3, "no_authority"),
        (4, "no_evidence"),
        (5, "malformed_line"),
        (6, "malformed_line"),
    ]
    _, (told,) = run(house, jsonl(tmp_path, [row()]))
    assert (told["outcome"], told["consent_id"]) == ("known", report[0]["consent_id"])


@pytest.mark.parametrize(
    "header", ["member,purpose", "a,b,c", "", ",".join([*ROW, "member"]), ",".join([*ROW, "granted"]), "\xff"]
)
@pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)
def test_a_file_whose_columns_are_not_the_agreed_ones_is_refused_as_a_whole(
    header: str, house: Living, tmp_path: Path
) -> None:
    file = tmp_path / "consents.csv"
    file.write_bytes(header.encode("latin-1") + b"\n")
    with pytest.raises(HeaderError):
        run(house, file)
    assert house.sql("SELECT sha256 FROM consent_import") == []


@pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)
def test_a_file_that_changes_while_it_is_read_is_not_finished(house: Living, tmp_path: Path) -> None:
    file = jsonl(tmp_path, many(BATCH + 1))
    read = Lines.batches

    def changing(self: Lines, size: int) -> Any:
        for batch in read(self, size):
            yield batch
            with file.open("a", encoding="utf-8") as more:
                more.write(json.dumps(row(evidence="slipped-in")) + "\n")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Lines, "batches", changing)
        with pytest.raises(ImportStoppedError, match="changed"):
            run(house, file)
    assert house.sql("SELECT finished_at FROM consent_import") == [(None,)]


def test_only_staff_on_record_can_be_named_as_importer(house: Living, tmp_path: Path) -> None:
    stranger = ActorId("stf_019a0000-0000-7d47-8433-b18122cd4e5d")
    with pytest.raises(ImportStoppedError, match="staff id"):
        run(house, jsonl(tmp_path, [row()]), importer=stranger)
