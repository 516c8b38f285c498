"""The way of a one-time code: ticked, sent, confirmed; and what is told when it could not be sent."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import living
import pytest
from living import MINUTE, Living, Wire
from ticking import HELD, Outbox, acting, acts, code_of, page, sending_by, step, ticked, wrong

from audit.entry import Verdict
from consent.confirmation import MOST_CODES, NotConfirmed
from governance import world

only_sqlite = pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)


@pytest.fixture
def outbox() -> Outbox:
    return Outbox()


@pytest.fixture
def reached(house: Living, outbox: Outbox) -> Iterator[tuple[Living, Wire]]:
    with sending_by(house, outbox) as both:
        yield both


def test_a_code_that_went_out_is_evidence_and_in_the_log(
    reached: tuple[Living, Wire], outbox: Outbox
) -> None:
    house, wire = reached
    consent_id = json.loads(ticked(house, wire).content)["consent_id"]
    assert step(house, wire, consent_id, "confirm", code=outbox.took[0].code).status_code == 200
    assert acts(house, consent_id) == [
        ("consent.ticked", Verdict.PERMIT),
        ("consent.code_sent", Verdict.PERMIT),
        ("consent.confirmed", Verdict.PERMIT),
    ]
    sent = house.sql(f"SELECT kind FROM consent_event WHERE consent_id = '{consent_id}' ORDER BY seq")
    assert [row[0] for row in sent] == ["served", "ticked", "code_sent", "confirmed"]


def test_when_the_gateway_is_down_the_tick_stands_and_a_new_code_can_be_asked_for(
    reached: tuple[Living, Wire], outbox: Outbox
) -> None:
    house, wire = reached
    outbox.up = False
    failed = ticked(house, wire)
    told = json.loads(failed.content)
    assert (failed.status_code, told["code"]) == (503, "code_not_sent")
    assert set(told) - {"type", "title", "status", "detail", "instance", "code"} == {
        "consent_id",
        "confirm_by",
        "digits",
    }
    assert not [v for v in world.LI_QIANG.values.values() if v in failed.text]
    again = step(house, wire, told["consent_id"], "code")
    assert (again.status_code, code_of(again)) == (503, "code_not_sent")
    outbox.up = True
    sent = step(house, wire, told["consent_id"], "code")
    assert (sent.status_code, json.loads(sent.content)["status"]) == (200, "sent")
    assert json.loads(sent.content)["confirm_by"] == told["confirm_by"], "no more time"
    done = step(house, wire, told["consent_id"], "confirm", code=outbox.took[0].code)
    assert done.status_code == 200
    assert [act for act, _ in acts(house, told["consent_id"])] == [
        *("consent.ticked", "consent.code_unsent", "consent.code_asked", "consent.code_unsent"),
        *("consent.code_asked", "consent.code_sent", "consent.confirmed"),
    ]


def test_a_repeated_request_does_not_turn_a_code_that_never_went_out_into_a_success(
    reached: tuple[Living, Wire], outbox: Outbox
) -> None:
    house, wire = reached
    outbox.up = False
    first = ticked(house, wire, idempotency_key="a")
    outbox.up = True
    second = ticked(house, wire, idempotency_key="a")
    assert [code_of(one) for one in (first, second)] == ["code_not_sent"] * 2
    assert json.loads(first.content)["consent_id"] == json.loads(second.content)["consent_id"]
    assert outbox.took == []


def test_asking_again_ends_and_gives_back_no_tries(reached: tuple[Living, Wire], outbox: Outbox) -> None:
    house, wire = reached
    consent_id = json.loads(ticked(house, wire).content)["consent_id"]
    for _ in range(4):
        assert code_of(step(house, wire, consent_id, "confirm", code=wrong(outbox.took[-1].code))) == (
            "code_refused"
        )
    for _ in range(MOST_CODES - 1):
        assert step(house, wire, consent_id, "code").status_code == 200
    stopped = step(house, wire, consent_id, "code")
    assert (stopped.status_code, code_of(stopped)) == (429, "too_often")
    assert len(outbox.took) == MOST_CODES
    for code in (wrong(outbox.took[-1].code), outbox.took[-1].code):  # the fifth try, and one too many
        assert code_of(step(house, wire, consent_id, "confirm", code=code)) == "code_refused"


@only_sqlite
def test_a_new_code_is_for_who_ticked_and_only_while_one_is_waited_for(
    reached: tuple[Living, Wire], outbox: Outbox
) -> None:
    house, wire = reached
    consent_id = json.loads(ticked(house, wire).content)["consent_id"]
    other = step(house, wire, consent_id, "code", on_behalf_of=world.ZHANG_LI.id)
    assert (other.status_code, code_of(other)) == (404, "not_found")
    house.clock.advance(10 * MINUTE)
    assert code_of(step(house, wire, consent_id, "code")) == "conflict"
    again = json.loads(ticked(house, wire).content)["consent_id"]
    step(house, wire, again, "confirm", code=outbox.took[-1].code)
    assert code_of(step(house, wire, again, "code")) == "conflict"


@only_sqlite
def test_without_any_gateway_nothing_is_recorded(house: Living) -> None:
    service = replace(house.service, consenting=house.service.consenting.with_sender(None))  # type: ignore[arg-type]
    wire, before = living.wired(replace(house, service=service)), house.size()
    answer = ticked(house, wire)
    assert (answer.status_code, code_of(answer)) == (503, "no_gateway")
    assert house.size() == before
    wire.close()


# --- guessing


def test_fifty_parallel_guesses_at_the_desk_leave_five_tries_and_a_full_log(
    reached: tuple[Living, Wire], outbox: Outbox
) -> None:
    house, wire = reached
    consent_id = json.loads(ticked(house, wire).content)["consent_id"]
    right = outbox.took[0].code
    on = acting(world.LI_QIANG)
    desk, now = house.service.consenting, house.clock()
    with ThreadPoolExecutor(10) as pool:
        guesses = [pool.submit(desk.confirm, on, consent_id, wrong(right), now) for _ in range(50)]
        assert {type(one.result()) for one in guesses} == {NotConfirmed}
    assert isinstance(desk.confirm(on, consent_id, right, now), NotConfirmed)
    assert house.sql("SELECT max(tries) FROM consent_challenge") == [(5,)]
    assert Counter(act for act, _ in acts(house, consent_id))["consent.code_refused"] == 51


def test_of_parallel_right_answers_at_the_desk_one_confirms(
    reached: tuple[Living, Wire], outbox: Outbox
) -> None:
    house, wire = reached
    consent_id = json.loads(ticked(house, wire).content)["consent_id"]
    on = acting(world.LI_QIANG)
    desk, now, right = house.service.consenting, house.clock(), outbox.took[0].code
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(desk.confirm, on, consent_id, right, now) for _ in range(8)]
        refused = [isinstance(one.result(), NotConfirmed) for one in answers]
    assert sorted(refused) == [False, *[True] * 7]
    assert Counter(act for act, _ in acts(house, consent_id))["consent.confirmed"] == 1


def test_codes_asked_for_in_parallel_are_three_at_most(reached: tuple[Living, Wire], outbox: Outbox) -> None:
    house, wire = reached
    consent_id = json.loads(ticked(house, wire).content)["consent_id"]
    answers = wire.together(
        ("POST", f"{HELD}/{consent_id}/code", {"content": body, "headers": head})
        for body, head in [
            (
                living.spell({"on_behalf_of": world.LI_QIANG.id}),
                living.sent(house.key(world.CRM), {}),
            )
        ]
        * 12
    )
    assert Counter(one.status_code for one in answers) == {200: MOST_CODES - 1, 429: 13 - MOST_CODES}
    assert len(outbox.took) == MOST_CODES


# --- by mail: the link


def test_looking_at_the_link_changes_nothing_and_only_the_button_confirms(
    reached: tuple[Living, Wire], outbox: Outbox
) -> None:
    house, wire = reached
    consent_id = json.loads(ticked(house, wire).content)["consent_id"]
    link, before = outbox.took[0].link, house.size()
    for method in ("GET", "GET", "HEAD"):
        assert page(wire, method, link).status_code in (200, 405)
    assert house.size() == before
    assert page(wire, "POST", link).status_code == 200
    assert page(wire, "POST", link).status_code == 410
    assert ("consent.confirmed", Verdict.PERMIT) in acts(house, consent_id)
    kept = house.sql(f"SELECT kind, evidence FROM consent_event WHERE consent_id = '{consent_id}'")
    assert json.loads(dict(kept)["confirmed"])["method"] == "email_link"


@only_sqlite
def test_the_button_says_nothing_about_the_link_before_it_is_pressed(
    reached: tuple[Living, Wire], outbox: Outbox
) -> None:
    house, wire = reached
    ticked(house, wire)
    link = outbox.took[0].link
    real, made_up = page(wire, "GET", link), page(wire, "GET", "x" * len(link))
    assert real.text.replace(link, "") == made_up.text.replace("x" * len(link), "")
    for language, word in (("zh", "确认您的同意"), ("en", "Confirm your consent")):
        assert word in wire.get(f"/confirm/{link}?lang={language}").text


@only_sqlite
def test_links_that_are_old_or_made_up_get_one_page_and_use_up_nobodys_tries(
    reached: tuple[Living, Wire], outbox: Outbox
) -> None:
    house, wire = reached
    consent_id = json.loads(ticked(house, wire).content)["consent_id"]
    link, code = outbox.took[0].link, outbox.took[0].code
    forged = [
        link.replace(code, wrong(code)),
        link.replace(consent_id, f"con_{consent_id[4:-1]}{'1' if consent_id[-1] == '0' else '0'}"),
        link[:-1] + ("0" if link[-1] != "0" else "1"),
        f"{consent_id}.{code}.",
        f"{consent_id}.{code}",
        "x" * 43,
    ]
    pages = [page(wire, "POST", one) for one in forged * 2]
    assert {one.status_code for one in pages} == {410}
    assert house.sql("SELECT max(tries) FROM consent_challenge WHERE used_at IS NULL") == [(0,)]
    house.clock.advance(10 * MINUTE)
    late = page(wire, "POST", link)
    without_id = {
        re.sub(r"req_[0-9a-f-]+", "", one.text.replace(token, ""))
        for one, token in zip([*pages, late], [*forged, *forged, link], strict=True)
    }
    assert late.status_code == 410
    assert len(without_id) == 1


@only_sqlite
def test_a_link_works_from_our_own_page_only(reached: tuple[Living, Wire], outbox: Outbox) -> None:
    house, wire = reached
    ticked(house, wire)
    headers = {"origin": "https://evil.example", "content-type": "application/x-www-form-urlencoded"}
    assert wire.call("POST", f"/confirm/{outbox.took[0].link}", headers=headers).status_code == 403
    assert page(wire, "POST", outbox.took[0].link).status_code == 200


# --- in development


@only_sqlite
def test_in_development_a_member_reads_the_codes_sent_to_them_and_nobody_elses(
    house: Living, wire: Wire
) -> None:
    ticked(house, wire)
    code = house.service.sender.messages()[0].code  # type: ignore[union-attr]
    assert code in wire.get("/centre/outbox", session=house.sign_in(world.LI_QIANG)).text
    assert code not in wire.get("/centre/outbox", session=house.sign_in(world.ZHANG_LI)).text


@only_sqlite
def test_with_a_gateway_there_is_no_such_page(reached: tuple[Living, Wire]) -> None:
    house, wire = reached
    assert wire.get("/centre/outbox", session=house.sign_in(world.LI_QIANG)).status_code == 404
