"""Accesses that people judge: found in the log, claimed by one, closed by one or two, never by the reader."""

from __future__ import annotations

import json
from typing import Any

import callers
import happenings
import pytest
from callers import Call
from living import DAY, MINUTE, Living, Wire
from oversight_story import AGENT, NARROW, OFFICER, OTHER, PEOPLE, asked, effects, queue, scan, under
from rights_story import erase

from governance import seeding, world
from governance.__main__ import main
from governance.reviewing import (
    Judgement,
    NoSuchReviewError,
    ReviewClaimedError,
    ReviewClosedError,
)
from policies.terms import MemberId

LI, QIANG, OLD = PEOPLE
MONDAY = 1_795_406_400_000 + 4 * 3_600_000
ALWAYS = (
    'id = "out_of_hours"\nactive = true\nper_mille = 200',
    'id = "out_of_hours"\nactive = true\nper_mille = 1000',
)
FIRST_TIMES = (
    'id = "first_access"\nactive = true\nper_mille = 50',
    'id = "first_access"\nactive = true\nper_mille = 1000',
)
NO_FIRST_TIMES = ('id = "first_access"\nactive = true', 'id = "first_access"\nactive = false')
NO_SAMPLE = ('id = "sampled"\nactive = true', 'id = "sampled"\nactive = false')
_MINORS = "p, agent, portfolio, all:member, read.full, assigned, *, under_18&unapproved, deny, "
APPROVAL_FORGOTTEN = (_MINORS + "approval=minor_access, L-MIN-03, MINORS_ONLINE-36\n", "")
SEVEN_YEARS = 7 * 365 * DAY
EVERYTHING = ("[[sample]]\nper_mille = 10\n", "[[sample]]\nper_mille = 1000\n")


def begin(house: Living, *changes: tuple[str, str]) -> None:
    """Start on a Monday at noon, with nothing of the seeding left to look at."""
    under(house, *changes)
    house.clock.now = MONDAY
    scan(house)
    house.sql("DELETE FROM access_review")


# --- what the scanner finds


def test_what_the_log_shows_is_put_before_an_officer_once_however_often_it_is_looked_at(
    house: Living,
) -> None:
    begin(house, ALWAYS, FIRST_TIMES, NO_SAMPLE)
    effects(house, asked(LI))
    assert scan(house) == {"first_access": 1}
    assert scan(house) == {}
    house.clock.now += 12 * 60 * MINUTE  # midnight
    effects(house, asked(LI))
    assert scan(house) == {"out_of_hours": 1}
    house.sql("DELETE FROM review_scan")
    scan(house)
    assert [row[0] for row in queue(house)] == ["first_access", "out_of_hours"]


def test_it_goes_on_where_it_stopped_whatever_the_batch(house: Living) -> None:
    begin(house, FIRST_TIMES, NO_SAMPLE)
    effects(house, *map(asked, PEOPLE))
    assert scan(house, batch=1) == {"first_access": 3}
    assert len(queue(house)) == 3
    assert house.log()[-1].act == "review.scanned"


def test_a_run_that_finds_nothing_leaves_no_trace_in_the_log(house: Living) -> None:
    begin(house)
    scan(house)
    size = house.size()
    scan(house)
    assert house.size() == size


def test_a_denial_makes_the_permit_that_follows_worth_a_look(house: Living) -> None:
    begin(house, NO_SAMPLE)
    happenings.withdraw(house, OLD, "service.health")
    how: dict[str, Any] = {"who": world.DOCTOR_CHEN.id, "purpose": "service.health"}
    assert effects(house, asked(OLD, "blood_pressure", **how)) == ["hide withdrawn"]
    house.clock.advance(MINUTE)
    seeding.give_consent(house.service, OLD, "service.health", frozenset({"health.record"}))
    assert effects(house, asked(OLD, "blood_pressure", **how)) == ["show"]
    assert scan(house)["denied_then_permitted"] == 1
    house.clock.advance(31 * MINUTE)
    effects(house, asked(OLD, "blood_pressure", **how))
    assert "denied_then_permitted" not in scan(house)


def test_staff_who_read_their_own_family_are_found(house: Living) -> None:
    begin(house, NO_SAMPLE)
    house.service.log.oversight.link(AGENT, MemberId(LI.id), house.clock())
    effects(house, asked(LI), asked(QIANG))
    assert scan(house)["self_access"] == 2
    assert "staff.linked" in [entry.act for entry in house.log()]


def test_a_minors_data_that_staff_see_in_full_with_nobody_behind_it_is_found(house: Living) -> None:
    """Under rules that somebody has made too wide: the packaged ones do not let it happen."""
    happenings.assign(house, world.XIAO_MAN, world.WANG_MIN, "agent")
    begin(house, NO_SAMPLE)
    house.clock.advance(SEVEN_YEARS)  # 小满 is sixteen
    assert effects(house, asked(world.XIAO_MAN)) == ["mask"]
    assert "guardian_bypass" not in scan(house)
    under(house, NO_SAMPLE, APPROVAL_FORGOTTEN)
    assert effects(house, asked(world.XIAO_MAN), asked(LI)) == ["show", "show"]
    assert scan(house)["guardian_bypass"] == 1


def test_a_read_in_an_emergency_is_in_the_queue_once_with_all_that_is_found(house: Living) -> None:
    begin(house, FIRST_TIMES, NO_SAMPLE)
    review = happenings.emergency(house)
    assert scan(house) == {"break_glass": 1, "first_access": 1}
    assert [row[0] for row in queue(house)] == ["break_glass first_access"]
    assert house.sql("SELECT id FROM access_review")[0][0] == review


def test_what_the_gate_told_of_many_people_the_scanner_does_not_tell_again(house: Living) -> None:
    begin(house, *NARROW, NO_SAMPLE, NO_FIRST_TIMES)
    effects(house, *map(asked, PEOPLE))
    before = [tuple(row) for row in queue(house)]
    scan(house)
    assert [row[0] for row in queue(house)] == [row[0] for row in before] == ["mass_read"]


def test_many_people_are_found_in_the_log_alone(house: Living) -> None:
    """The gate's own review is taken away, as by somebody with the database's tools."""
    begin(house, *NARROW, NO_SAMPLE, NO_FIRST_TIMES)
    effects(house, *map(asked, PEOPLE))
    house.sql("DELETE FROM access_review", "DELETE FROM shown")
    assert scan(house)["mass_read"] == 1
    assert [row[2] for row in queue(house)] == [AGENT]


def test_drill_staff_who_reach_too_far_are_caught_and_shown_as_caught(house: Living, wire: Wire) -> None:
    """A member of staff who only plays reads one after another: S22, the system shows that it noticed."""
    begin(house, *NARROW, NO_SAMPLE, NO_FIRST_TIMES)
    told = effects(house, *map(asked, PEOPLE), asked(world.ZHANG_HOME, "address"))
    assert told == ["show", "show", "hide bulk_limit", "hide bulk_limit"]
    house.service.oversee()
    page = wire.get("/console/access-reviews", session=house.sign_in(world.OFFICER)).text
    assert "同一人在短时间内查看了很多人的信息。" in page
    assert world.WANG_MIN.label in page
    english = wire.get("/console/access-reviews?lang=en", session=house.sign_in(world.OFFICER)).text
    assert "One reader saw the data of many people in a short time." in english
    assert house.verified()


def test_the_command_looks_through_the_log_says_what_it_found_and_who_is_family(
    house: Living, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GOVERNANCE_HOME", str(house.settings.home))
    monkeypatch.setenv("GOVERNANCE_DATABASE_URL", house.url)
    begin(house, FIRST_TIMES, NO_SAMPLE)
    effects(house, asked(LI))

    def run(*words: str) -> tuple[int, dict[str, Any]]:
        code = main(["audit", "review", *words, "--json"])
        return code, json.loads(capsys.readouterr().out)

    code, told = run("run")
    assert (code, told["opened"], told["triggers"], told["unreadable"]) == (0, 1, {"first_access": 1}, 0)
    assert run("status")[1]["open"] == 1
    assert run("link", AGENT, LI.id) == (0, {"linked": True})
    assert run("link", AGENT, happenings.NOBODY) == (1, {"linked": False})
    assert run("link", LI.id, AGENT) == (2, {"linked": False})
    house.verified()


def test_an_erased_person_is_tied_to_no_staff_and_waits_in_no_queue(house: Living) -> None:
    begin(house, FIRST_TIMES, NO_SAMPLE)
    house.service.log.oversight.link(AGENT, MemberId(OLD.id), house.clock())
    effects(house, asked(OLD))
    scan(house)
    assert len(queue(house)) == 1
    erase(house, OLD)
    assert queue(house) == []
    assert house.sql("SELECT staff_id FROM staff_member") == []


# --- judging


def opened(house: Living, *changes: tuple[str, str]) -> str:
    """Let one read wait for one officer; return the review."""
    begin(house, FIRST_TIMES, NO_SAMPLE, *changes)
    effects(house, asked(LI))
    scan(house)
    review: str = house.sql("SELECT id FROM access_review")[0][0]
    return review


def decide(house: Living, review: str, verdict: Judgement, by: Any = OFFICER) -> str:
    return house.service.log.oversight.reviews.decide(by, review, verdict, "看过工单", "req", house.clock())


def test_one_officer_is_enough_for_what_is_not_grave_and_justified(house: Living) -> None:
    review = opened(house)
    assert decide(house, review, Judgement.JUSTIFIED) == "justified"
    assert house.log()[-1].act == "review.justified"
    with pytest.raises(ReviewClosedError):
        decide(house, review, Judgement.UNJUSTIFIED, OTHER)


def test_what_is_not_justified_needs_a_second_officer_who_is_another(house: Living) -> None:
    review = opened(house)
    assert decide(house, review, Judgement.UNJUSTIFIED) == "second"
    with pytest.raises(ReviewClosedError):
        decide(house, review, Judgement.UNJUSTIFIED)
    assert decide(house, review, Judgement.UNJUSTIFIED, OTHER) == "unjustified"
    figures = house.service.log.oversight.reviews.figures(house.clock())
    assert (figures.by_two, figures.agreed) == (1, 1)


def test_where_two_differ_the_graver_opinion_holds_and_that_they_differed_is_kept(house: Living) -> None:
    review = opened(house)
    decide(house, review, Judgement.UNJUSTIFIED)
    assert decide(house, review, Judgement.JUSTIFIED, OTHER) == "unjustified"
    figures = house.service.log.oversight.reviews.figures(house.clock())
    assert (figures.by_two, figures.agreed) == (1, 0)


def test_an_inquiry_keeps_a_review_open_and_begins_it_anew(house: Living) -> None:
    review = opened(house)
    decide(house, review, Judgement.UNJUSTIFIED)
    assert decide(house, review, Judgement.INQUIRY, OTHER) == "inquiry"
    assert decide(house, review, Judgement.JUSTIFIED) == "second"
    assert [e.act for e in house.log()][-3:] == [
        "review.first.unjustified",
        "review.inquiry",
        "review.first.justified",
    ]


def test_no_officer_takes_a_colleagues_objection_away_alone_by_asking_for_an_inquiry(house: Living) -> None:
    review = opened(house)
    decide(house, review, Judgement.UNJUSTIFIED)
    decide(house, review, Judgement.INQUIRY, OTHER)
    assert decide(house, review, Judgement.JUSTIFIED, OTHER) == "second"
    with pytest.raises(ReviewClosedError):
        decide(house, review, Judgement.JUSTIFIED, OTHER)
    assert decide(house, review, Judgement.UNJUSTIFIED) == "unjustified"


def test_while_one_officer_works_on_a_review_no_other_does_until_the_lease_ends(house: Living) -> None:
    review, desk = opened(house), house.service.log.oversight.reviews
    until = desk.claim(OFFICER, review, "req", house.clock())
    assert until == house.clock() + 15 * MINUTE
    for step in (
        lambda: desk.claim(OTHER, review, "req", house.clock()),
        lambda: decide(house, review, Judgement.JUSTIFIED, OTHER),
    ):
        with pytest.raises(ReviewClaimedError) as caught:
            step()
        assert caught.value.until == until
    house.clock.now = until
    assert decide(house, review, Judgement.JUSTIFIED, OTHER) == "justified"


def test_nobody_claims_or_judges_a_read_of_their_own(house: Living) -> None:
    review, desk = opened(house), house.service.log.oversight.reviews
    own = happenings.office_acts(world.WANG_MIN, "compliance_officer").caller
    with pytest.raises(ReviewClosedError):
        desk.claim(own, review, "req", house.clock())
    with pytest.raises(ReviewClosedError):
        decide(house, review, Judgement.JUSTIFIED, own)
    with pytest.raises(NoSuchReviewError):
        decide(house, "rev_none", Judgement.JUSTIFIED)


def test_the_figures_say_how_much_of_the_sample_was_looked_at(house: Living) -> None:
    begin(house, EVERYTHING)
    effects(house, *map(asked, PEOPLE))
    scan(house)
    desk = house.service.log.oversight.reviews
    assert desk.figures(house.clock())[:4] == (3, 0, 3, 0)
    decide(house, house.sql("SELECT id FROM access_review")[0][0], Judgement.JUSTIFIED)
    house.clock.advance(7 * DAY)
    assert desk.figures(house.clock())[:4] == (2, 2, 3, 1)


# --- over HTTP


def test_officers_read_claim_and_judge_over_http_and_the_list_goes_on_where_it_stopped(
    house: Living, wire: Wire
) -> None:
    begin(house, FIRST_TIMES, NO_SAMPLE)
    effects(house, *map(asked, PEOPLE))
    scan(house)
    session = house.sign_in(world.OFFICER)
    first = json.loads(wire.get("/v1/reviews?kind=access&limit=2", session=session).content)
    rest = json.loads(
        wire.get(f"/v1/reviews?kind=access&limit=2&cursor={first['next_cursor']}", session=session).content
    )
    found = [*first["data"], *rest["data"]]
    assert (first["has_more"], rest["has_more"], len({one["review_id"] for one in found})) == (True, False, 3)
    assert found[0]["triggers"][0]["code"] == "first_access"
    assert first["figures"]["open"] == 3
    assert house.log()[-1].act == "review.read"
    assert len(house.log()[-1].subjects) == 1
    path = f"/v1/reviews/{found[0]['review_id']}"
    cookie = {"cookie": f"governance_session={session}"}
    claimed = wire.post(f"{path}/claim", {}, **cookie)
    assert json.loads(claimed.content)["claimed_until"].endswith("Z")
    judged = wire.post(f"{path}/decision", {"verdict": "justified", "note": "工单 17"}, **cookie)
    assert json.loads(judged.content)["state"] == "justified"
    again = wire.post(f"{path}/decision", {"verdict": "justified", "note": "工单 17"}, **cookie)
    assert (again.status_code, json.loads(again.content)["code"]) == (409, "conflict")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/reviews",
        "/v1/reviews?kind=message",
        "/v1/reviews?kind=access&cursor=abc",
        "/v1/reviews?kind=access&limit=0",
    ],
)
def test_a_list_that_nobody_can_ask_for_is_refused(house: Living, wire: Wire, path: str) -> None:
    assert wire.get(path, session=house.sign_in(world.OFFICER)).status_code == 422


def test_what_a_colleague_holds_is_told_with_its_end(house: Living, wire: Wire) -> None:
    review = opened(house)
    house.service.log.oversight.reviews.claim(OTHER, review, "req", house.clock())
    session = house.sign_in(world.OFFICER)
    answer = wire.post(f"/v1/reviews/{review}/claim", {}, cookie=f"governance_session={session}")
    told = json.loads(answer.content)
    assert (answer.status_code, told["code"]) == (409, "claimed")
    assert told["until"].endswith("Z")
    page = wire.get("/console/access-reviews", session=session).text
    assert "另一位同事正在处理。" in page


def test_on_the_page_an_officer_takes_a_review_and_judges_it(house: Living, wire: Wire) -> None:
    review = opened(house)
    path = f"/console/access-reviews/{review}"
    for form, status in (
        ("judgement=claim", 303),
        ("judgement=inquiry&note=ask", 303),
        ("judgement=justified", 422),
    ):
        call = Call("POST", path, path, form.encode(), page=True, unless="", answers={})
        body, headers = callers.sendable(call, house, "officer")
        assert wire.call("POST", path, content=body, headers=headers).status_code == status
    assert [row[1] for row in queue(house)] == ["inquiry"]
