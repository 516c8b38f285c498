"""The incident dossier: whose which fields could have been seen, on record before it is told."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import happenings
import pytest
import rights_story
from living import MINUTE, Living, Wire

from audit.entry import Kind
from governance import exposing, identity, traffic, world
from governance.__main__ import main
from governance.database import StoreError
from governance.exposing import KeyNotFoundError, Question, UnknownActorError, dossier
from governance.exposuretelling import as_csv, as_document, lines, summary
from governance.times import rfc3339
from policies.terms import Effect

ON_SQLITE = pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)


def seen_by_hand(house: Living, actor: str) -> dict[tuple[str, str, str], int]:
    """Count what an actor was shown, from decoded leaves, one by one."""
    names = {
        bytes(name): id_ for id_, name in house.sql("SELECT subject_id, pseudonym FROM subject_pseudonym")
    }
    counted: dict[tuple[str, str, str], int] = {}
    for entry in house.log():
        people = {entry.actor.party.id, entry.actor.on_behalf_of and entry.actor.on_behalf_of.id}
        if actor not in people or entry.act != "read" or entry.dec != "permit":
            continue
        for field in entry.fields:
            if field.effect is not Effect.HIDE:
                key = (names.get(entry.subjects[0], ""), field.name, field.effect.value)
                counted[key] = counted.get(key, 0) + 1
    return counted


def told(house: Living, **question: Any) -> dict[str, Any]:
    return as_document(dossier(house.service, Question(**question)))


def test_the_dossier_on_a_member_of_staff_says_whose_what_they_saw_and_how_often(
    house: Living,
) -> None:
    traffic.play(house.service, house.keys, 3)
    by_hand = seen_by_hand(house, world.WANG_MIN.id)
    assert len(by_hand) == 3
    found = dossier(house.service, Question(actor=world.WANG_MIN.id))
    counted: dict[tuple[str, str, str], int] = {}
    for key, times in found.figures.fields.items():
        if key.act == "read":
            one = (key.subject, key.field, key.effect)
            counted[one] = counted.get(one, 0) + times.count
    assert counted == by_hand
    assert {line["for_name"] for line in lines(found)} == {world.WANG_MIN.label}
    assert found.basis.sound
    assert found.blocked
    assert found.names[world.CRM.id] == world.CRM.label


def test_the_dossier_is_on_record_first_and_everybody_concerned_sees_it(house: Living, wire: Wire) -> None:
    traffic.play(house.service, house.keys, 1)
    found = dossier(house.service, Question(actor=world.WANG_MIN.id))
    entry = house.log()[found.receipt]
    assert (entry.kind, entry.act, entry.resource) == (Kind.AUDIT, "audit.exposure", world.WANG_MIN.id)
    assert entry.n == len(entry.subjects) == found.people
    session = house.sign_in(world.ZHANG_LI)
    seen = json.loads(wire.get("/v1/me/accesses?limit=1", session=session).content)["data"][0]
    assert (seen["action"], seen["receipt"]) == ("audit.exposure", found.receipt)


def test_a_dossier_about_more_than_a_hundred_people_is_on_record_for_each_of_them() -> None:
    people = [f"{number:032x}" for number in range(250)]
    made = list(exposing._entries(Question(), exposing.Wanted(), people, 251, "", 1))
    assert [len(entry.subjects) for entry in made] == [100, 100, 50]
    assert {entry.n for entry in made} == {251}
    assert len({entry.corr for entry in made}) == 1
    assert len(list(exposing._entries(Question(), exposing.Wanted(), [], 0, "", 1))) == 1


@ON_SQLITE
def test_what_cannot_be_recorded_is_not_told(house: Living) -> None:
    house.sql("CREATE TRIGGER no_more BEFORE INSERT ON audit_entry BEGIN SELECT RAISE(ABORT, 'full'); END")
    with pytest.raises(StoreError):
        dossier(house.service, Question(actor=world.WANG_MIN.id))


def test_who_was_erased_is_counted_and_not_named(house: Living) -> None:
    traffic.play(house.service, house.keys, 2)
    before = dossier(house.service, Question(actor=world.WANG_MIN.id))
    rights_story.erase(house, world.ZHANG_LI)
    after = dossier(house.service, Question(actor=world.WANG_MIN.id))
    assert (after.people, after.erased) == (before.people - 1, before.erased + 1)
    text = as_csv(after)
    assert world.ZHANG_LI.id in as_csv(before)
    assert world.ZHANG_LI.id not in text
    gone = sum(times.count for key, times in after.figures.fields.items() if not key.subject)
    was = sum(times.count for key, times in before.figures.fields.items() if key.subject == world.ZHANG_LI.id)
    assert gone == was > 0


def test_a_key_stands_for_its_service_while_the_key_was_good(house: Living) -> None:
    traffic.play(house.service, house.keys, 1)
    key = house.key(world.CRM)
    mark = identity.digest(key).hex()[:12]
    house.clock.advance(MINUTE)
    with house.service.database.transaction() as tx:
        identity.revoke_key(tx, key, house.clock())
        tx.commit()
    at_the_end = dossier(house.service, Question(key=mark))
    house.clock.advance(5 * MINUTE)
    with house.service.database.transaction() as tx:
        identity.issue_key(tx, world.CRM.id, frozenset(identity.Scope), house.clock())  # type: ignore[arg-type]
        tx.commit()
    house.service.gate.read(
        [happenings.reading(world.DOCTOR_CHEN.id, world.GRANDMOTHER.id, "blood_pressure")], house.clock()
    )
    later = dossier(house.service, Question(key=mark))
    assert later.entries == at_the_end.entries > 10
    assert dossier(house.service, Question(actor=world.CRM.id)).entries == later.entries + 1
    assert "密钥" in summary(later, "zh")
    assert "key" in summary(later, "en")
    for wrong in ("ffffffff", mark[:7]):
        with pytest.raises(KeyNotFoundError):
            dossier(house.service, Question(key=wrong))


def test_a_span_of_time_tells_what_anybody_saw_in_it(house: Living) -> None:
    house.clock.advance(MINUTE)
    begun = house.clock()
    traffic.play(house.service, house.keys, 1)
    house.clock.advance(MINUTE)
    ended = house.clock()
    traffic.play(house.service, house.keys, 1)
    found = dossier(house.service, Question(since=begun, until=ended))
    assert {line["by"] for line in lines(found)} == {world.CRM.id, world.SENDER.id}
    assert all(begun <= times.first <= times.last < ended for times in found.figures.fields.values())
    assert any(line["kind"] == "message" and line["effect"] == "sent" for line in lines(found))
    members = {world.ZHANG_LI.id, world.LI_QIANG.id}
    assert members & {line["for_name"] for line in lines(found)}, "a member that acted is named by id"


def test_an_edited_copy_is_noticed_by_the_check_and_outdone_by_the_thorough_way(house: Living) -> None:
    traffic.play(house.service, house.keys, 1)
    size = house.size()
    whole = dossier(house.service, Question(actor=world.WANG_MIN.id))
    if house.engine == "sqlite":
        house.sql("DROP TRIGGER audit_entry_no_update")
    else:
        house.sql("ALTER TABLE audit_entry DISABLE TRIGGER ALL")
    house.sql(
        "UPDATE audit_entry SET behalf_id = '' WHERE leaf_index IN (SELECT leaf_index FROM audit_entry"
        f" WHERE behalf_id = '{world.WANG_MIN.id}' AND leaf_index < {size} ORDER BY leaf_index LIMIT 1)"
    )
    quick = dossier(house.service, Question(actor=world.WANG_MIN.id, check_copies=True))
    thorough = dossier(house.service, Question(actor=world.WANG_MIN.id, thorough=True))
    assert quick.entries == whole.entries - 1
    assert (quick.basis.copies, quick.basis.sound) == ("differ", False)
    assert thorough.entries == whole.entries
    assert (thorough.basis.copies, thorough.basis.sound) == ("not used", True)


def test_nobody_in_the_log_is_an_error(house: Living) -> None:
    for actor in (happenings.NOBODY, "stf_019a0000-0000-7d47-8433-b18122cd4e5d"):
        with pytest.raises(UnknownActorError):
            dossier(house.service, Question(actor=actor))
    assert dossier(house.service, Question(actor="nobody")).entries == 0


@ON_SQLITE
@pytest.mark.parametrize("label", ["=cmd|'/c calc'!A1", "＝1+1 客户关系系统", "＠SUM(A1)", "－2"])
def test_no_cell_of_the_table_is_a_formula(house: Living, label: str) -> None:
    kept = label.replace("'", "''")
    house.sql(f"UPDATE actor SET label = '{kept}' WHERE id = '{world.CRM.id}'")
    traffic.play(house.service, house.keys, 1)
    text = as_csv(dossier(house.service, Question(actor=world.CRM.id)))
    assert text.startswith('\ufeff"kind","subject","what"')
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
    assert {row["by_name"] for row in rows} == {f"'{label}"}
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())


@ON_SQLITE
def test_the_command_tells_a_summary_and_writes_a_new_file_only(
    house: Living, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    traffic.play(house.service, house.keys, 1)
    monkeypatch.setenv("GOVERNANCE_HOME", str(house.settings.home))
    monkeypatch.setenv("GOVERNANCE_DATABASE_URL", house.url)
    command = ["audit", "exposure", "--actor", world.WANG_MIN.id]
    out = tmp_path / "dossier.csv"
    assert main([*command, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert world.WANG_MIN.label in said
    assert "shown in full" in said
    assert out.stat().st_mode & 0o777 == 0o600
    written = out.read_text("utf-8")
    size = house.size()
    assert main([*command, "--out", str(out)]) == 1
    assert (out.read_text("utf-8"), house.size()) == (written, size), "nothing was read for nothing"
    capsys.readouterr()
    assert main([*command, "--json", "--thorough"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["basis"]["copies"] == "not used"
    assert document["subjects"] == len({line["subject"] for line in document["lines"]} - {""})
    gone = tmp_path / "nobody.json"
    assert main(["audit", "exposure", "--actor", happenings.NOBODY, "--out", str(gone)]) == 1
    assert not gone.exists()
    span = [rfc3339(house.clock() - MINUTE), rfc3339(house.clock())]
    assert main(["audit", "exposure", "--between", *span]) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        ["--actor", "mem_1"],
        ["--actor", "Nobody"],
        ["--key", "gov_live_secret"],
        ["--key", "1234567"],
        ["--actor", "operator", "--key", "12345678"],
        ["--between", "2026-11-22T02:00:00Z", "2026-11-22T01:00:00Z"],
        ["--between", "yesterday", "today"],
        ["--actor", "operator", "--out", "dossier.pdf"],
    ],
)
def test_what_is_asked_wrongly_is_told_before_anything_is_opened(
    wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", "exposure", *wrong]) == 2
    assert "gov_live" not in capsys.readouterr().err
