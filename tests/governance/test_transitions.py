"""Who reaches 14 or 18: the day itself, the notice before, what ends, what is hidden, and what is logged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date
from typing import Any

import pytest
from happenings import HOUR, approved_purchase, host_acts, person_acts
from living import DAY, Living, Wire, sent, spell

from audit.entry import ActorType
from consent.ages import reached_at
from governance import world
from governance.approvalrecords import HostAct
from governance.seeding import give_consent
from governance.transitions import NOTICE_MS, Report, Stage, Step, due
from policies.terms import SubjectId

BIRTH = date(2017, 5, 21)  # 小满
AT_14, AT_18 = reached_at(BIRTH, 14), reached_at(BIRTH, 18)
SAYS_14, IS_14 = Step(14, Stage.ANNOUNCED), Step(14, Stage.REACHED)
SAYS_18, IS_18 = Step(18, Stage.ANNOUNCED), Step(18, Stage.REACHED)


def at(text: str) -> int:
    """Return the start of a day in Shanghai."""
    return (date.fromisoformat(text).toordinal() - date(1970, 1, 1).toordinal()) * DAY - 8 * HOUR


@pytest.mark.parametrize(
    ("birth", "now", "marks", "steps"),
    [
        ("2017-05-21", at("2031-04-22") - 1, {}, []),
        ("2017-05-21", at("2031-04-22"), {}, [SAYS_14]),
        ("2017-05-21", at("2031-04-23"), {14: "announced"}, []),
        ("2017-05-21", at("2031-05-21"), {14: "announced"}, []),  # the birthday itself is too early
        ("2017-05-21", at("2031-05-22") - 1, {14: "announced"}, []),
        ("2017-05-21", at("2031-05-22"), {14: "announced"}, [IS_14]),
        ("2017-05-21", at("2031-05-22"), {}, [IS_14]),  # the job did not run for a month
        ("2017-05-21", at("2031-05-23"), {14: "reached"}, []),
        ("2017-05-21", at("2035-04-22"), {14: "reached"}, [SAYS_18]),
        ("2017-05-21", at("2035-05-22"), {14: "reached", 18: "announced"}, [IS_18]),
        ("2017-05-21", at("2035-05-22"), {}, [IS_14, IS_18]),
        ("2016-02-29", at("2030-02-28"), {14: "announced"}, []),  # a common year: the birthday is 28 February
        ("2016-02-29", at("2030-03-01") - 1, {14: "announced"}, []),
        ("2016-02-29", at("2030-03-01"), {14: "announced"}, [IS_14]),
        ("2016-02-29", at("2030-01-30"), {}, [SAYS_14]),
        ("2012-02-29", at("2030-03-01"), {14: "reached"}, [IS_18]),
    ],
    ids=str,
)
def test_the_days(birth: str, now: int, marks: dict[int, str], steps: list[Step]) -> None:
    assert due(date.fromisoformat(birth), 0, marks, now) == steps


def test_whoever_came_at_fifteen_is_not_told_of_fourteen() -> None:
    assert due(BIRTH, AT_14, {}, AT_14 + DAY) == []
    assert due(BIRTH, AT_14 - 1, {}, AT_14 + DAY) == [IS_14]
    assert due(BIRTH, AT_14, {}, AT_18) == [IS_18]


def run(house: Living, now: int, *, dry_run: bool = False) -> dict[str, int]:
    """Run the job on a day; return what it counted, zeros left out."""
    house.clock.now = now
    report = house.service.transitions.run(now, dry_run=dry_run)
    return {name: number for name in Report.__slots__ if (number := getattr(report, name))}


def seen(house: Living, wire: Wire, who: world.Person) -> list[str]:
    body = json.loads(wire.get("/v1/me/accesses?limit=200", session=house.sign_in(who)).content)
    return [one["action"] for one in body["data"] if one["action"].startswith("transition.")]


def sees(house: Living, wire: Wire, viewer: world.Person, field: str) -> str:
    ask = {
        "subject": {"type": "member", "id": world.XIAO_MAN.id},
        "fields": [field],
        "purpose": "family.care",
        "on_behalf_of": viewer.id,
    }
    answer = wire.post("/v1/reads", ask, key=house.key(world.CRM))
    found: str = json.loads(answer.content)["fields"][0]["effect"]
    return found


def test_the_notice_comes_thirty_days_before_to_the_child_and_both_guardians_once(
    house: Living, wire: Wire
) -> None:
    assert run(house, AT_14 - NOTICE_MS - 1) == {"examined": 1}
    assert run(house, AT_14 - NOTICE_MS) == {"examined": 1, "announced_14": 1}
    assert run(house, AT_14 - DAY) == {"examined": 1}
    for person in (world.XIAO_MAN, world.ZHANG_LI, world.LI_QIANG):
        assert seen(house, wire, person) == ["transition.announced.14"]
    assert seen(house, wire, world.GRANDMOTHER) == []


def test_at_fourteen_guardians_consents_end_and_what_can_be_hidden_is_hidden(
    house: Living, wire: Wire
) -> None:
    house.clock.now = AT_14 - DAY
    given = give_consent(house.service, world.ZHANG_LI, "family.care", ("health.record",), world.XIAO_MAN)
    # Written lately: what was seeded years ago has been kept long enough by now.
    house.sql(f"UPDATE cell SET written_at = {AT_14 - DAY} WHERE field = 'viewing_history'")
    assert sees(house, wire, world.ZHANG_LI, "viewing_history") == "show"
    assert run(house, AT_14) == {"examined": 1, "reached_14": 1}
    entry = next(one for one in reversed(house.log()) if one.act == "transition.reached.14")
    assert (entry.why, entry.n, len(entry.subjects)) == (("age_transition",), 1, 3)
    assert entry.actor.party.type is ActorType.SYSTEM
    listed = house.service.consenting.of_member(SubjectId(world.XIAO_MAN.id), house.clock())
    assert [(one.consent_id, state.value) for one, state in listed] == [(given, "age_transition")]
    # The guardian still is one; what can be hidden waits for the person's own word.
    assert sees(house, wire, world.ZHANG_LI, "name") == "show"
    assert sees(house, wire, world.ZHANG_LI, "viewing_history") == "hide"
    assert sees(house, wire, world.GRANDMOTHER, "viewing_history") == "hide"
    assert sees(house, wire, world.XIAO_MAN, "viewing_history") == "show"
    house.clock.advance(1)
    for category in protected_categories(house):
        body = {"category": category, "hidden": False}
        headers = sent(None, {}, house.sign_in(world.XIAO_MAN))
        assert wire.call("POST", "/v1/me/hides", content=spell(body), headers=headers).status_code == 200
    assert sees(house, wire, world.GRANDMOTHER, "viewing_history") == "show"
    assert run(house, AT_14 + DAY) == {"examined": 1}
    assert sees(house, wire, world.GRANDMOTHER, "viewing_history") == "show"  # once, and not again each day


def protected_categories(house: Living) -> set[str]:
    rows = house.sql(
        f"SELECT categories FROM consent_event WHERE kind = 'hidden' AND subject_id = '{world.XIAO_MAN.id}'"
    )
    return {row[0] for row in rows}


def test_at_eighteen_guardianship_the_guardians_view_and_waiting_approvals_end(
    house: Living, wire: Wire
) -> None:
    house.clock.now = AT_18 - DAY
    own = give_consent(house.service, world.XIAO_MAN, "service.health", ("health.record",))
    asked = house.service.approving.open_act(
        host_acts(), SubjectId(world.XIAO_MAN.id), HostAct.JOIN, "club-1", house.clock()
    )
    used = approved_purchase(house)
    assert sees(house, wire, world.ZHANG_LI, "mobile") == "show"
    assert run(house, AT_18) == {"examined": 1, "reached_14": 1, "reached_18": 1}
    ties = house.sql(
        f"SELECT relation, role FROM relation WHERE subject_id = '{world.XIAO_MAN.id}' AND ends_at IS NULL"
    )
    assert "ward" not in {row[0] for row in ties}
    assert ("self", "adult_member") in {tuple(row) for row in ties}
    listed = house.service.consenting.of_member(SubjectId(world.XIAO_MAN.id), house.clock())
    assert (own, "consent_given") in {(one.consent_id, state.value) for one, state in listed}
    mine = house.service.approving.of_person(person_acts(world.XIAO_MAN).member, house.clock())
    assert {(one.id, one.state.value) for one in mine} == {(asked.id, "cancelled"), (used, "cancelled")}
    assert house.service.approving.of_person(person_acts(world.ZHANG_LI).member, house.clock()) == []
    # Whoever is of age is nobody's business here any more.
    assert run(house, AT_18 + DAY) == {}


def test_a_dry_run_counts_the_same_and_changes_nothing_but_is_on_record(house: Living) -> None:
    before = house.size()
    assert run(house, AT_14, dry_run=True) == {"examined": 1, "reached_14": 1}
    assert [one.act for one in house.log()[before:]] == ["transition.examined"]
    assert house.sql("SELECT * FROM transition") == []
    assert run(house, AT_14) == {"examined": 1, "reached_14": 1}


def test_each_batch_of_birth_dates_is_counted_in_the_log_and_names_nobody(house: Living) -> None:
    before = house.size()
    run(house, house.clock())
    (entry,) = house.log()[before:]
    assert (entry.act, entry.n, entry.subjects) == ("transition.examined", 1, ())


def test_nothing_that_is_stored_says_when_somebody_was_born(house: Living) -> None:
    run(house, AT_14 - NOTICE_MS)
    assert house.sql("SELECT * FROM transition") == [(world.XIAO_MAN.id, 14, "announced")]


def test_one_birth_date_that_does_not_open_holds_nobody_else_up(house: Living) -> None:
    house.sql(f"UPDATE cell SET value = substr(value, 2) WHERE subject_id = '{world.XIAO_MAN.id}'")
    assert run(house, AT_14) == {"examined": 1, "unreadable": 1}


def test_the_command_prints_numbers_and_no_names(house: Living) -> None:
    environment = {
        **os.environ,
        "GOVERNANCE_HOME": str(house.settings.home),
        "GOVERNANCE_DATABASE_URL": house.url,
    }
    done = subprocess.run(
        [sys.executable, "-P", "-m", "governance", "transitions", "run", "--dry-run", "--json"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    said: dict[str, Any] = json.loads(done.stdout)
    assert (said["dry_run"], said["examined"], said["unreadable"]) == (True, 1, 0)
    assert "mem_" not in done.stdout


@pytest.mark.parametrize("now", [AT_14 - 4 * 365 * DAY, AT_14 - 1, AT_14, AT_18 - 1, AT_18], ids=str)
def test_no_guardian_and_no_relative_reads_the_communications_at_any_age(
    now: int, house: Living, wire: Wire
) -> None:
    house.clock.now = now
    for viewer in (world.ZHANG_LI, world.LI_QIANG, world.GRANDMOTHER):
        assert sees(house, wire, viewer, "chat_messages") == "hide"
