"""Saying no at the desk: refused, put off, withdrawn; what is told of it, and what it closes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import happenings
import pytest
from living import DAY, MINUTE, Living, Wire, sent
from ticking import HELD, Outbox, acts, code_of, page, sending_by, step, tick_of, ticked, wrong

from governance import seeding, world
from governance.codes import MOST_OPEN
from governance.times import rfc3339
from policies.terms import FieldName

ONE_ENGINE = pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)
pytestmark = ONE_ENGINE
FIFTEEN = int(datetime(2032, 6, 1, tzinfo=UTC).timestamp()) * 1000
"""小满 is fifteen, and her parents are her guardians until she is eighteen."""


@pytest.fixture
def outbox() -> Outbox:
    return Outbox()


@pytest.fixture
def reached(house: Living, outbox: Outbox) -> Iterator[tuple[Living, Wire]]:
    with sending_by(house, outbox) as both:
        yield both


def told(house: Living, consent_id: str) -> list[str]:
    """Return what others are told of one consent."""
    rows = house.sql(f"SELECT kind FROM outbox_event WHERE consent_id = '{consent_id}' ORDER BY position")
    return [str(row[0]) for row in rows]


def shown(
    house: Living, wire: Wire, consent_id: str, person: world.Person = world.LI_QIANG
) -> dict[str, Any]:
    headers = sent(house.key(world.CRM), {"on_behalf_of": person.id})
    found: dict[str, Any] = json.loads(wire.call("GET", f"{HELD}/{consent_id}", headers=headers).content)
    return found


def served(house: Living, wire: Wire, **changes: object) -> Any:
    body = {key: value for key, value in tick_of(world.LI_QIANG).items() if key != "ticked"} | changes
    return wire.post(f"{HELD}/served", body, key=house.key(world.CRM))


def of_teen(house: Living, wire: Wire, outbox: Outbox) -> str:
    house.clock.now = FIFTEEN
    consent_id = str(json.loads(ticked(house, wire, world.XIAO_MAN).content)["consent_id"])
    said = {"code": outbox.took[-1].code, "on_behalf_of": world.XIAO_MAN.id}
    assert step(house, wire, consent_id, "confirm", **said).status_code == 200
    return consent_id


# --- whose no it is


def test_a_guardian_does_not_withdraw_what_a_teenager_agreed_to(
    reached: tuple[Living, Wire], outbox: Outbox
) -> None:
    house, wire = reached
    consent_id = of_teen(house, wire, outbox)
    before = house.size()
    refused = step(house, wire, consent_id, "withdraw", on_behalf_of=world.LI_QIANG.id)
    assert (refused.status_code, code_of(refused)) == (404, "not_found")
    assert house.size() == before
    assert told(house, consent_id) == ["consent.confirmed"]
    seen = shown(house, wire, consent_id, world.XIAO_MAN)
    assert (seen["state"]["code"], seen["withdrawn_at"]) == ("consent_given", None)
    done = step(house, wire, consent_id, "withdraw", on_behalf_of=world.XIAO_MAN.id)
    assert done.status_code == 200
    assert told(house, consent_id) == ["consent.confirmed", "consent.withdrawn"]


def test_a_guardians_idle_no_of_earlier_versions_does_not_swallow_the_teenagers_own(
    reached: tuple[Living, Wire], outbox: Outbox
) -> None:
    house, wire = reached
    consent_id = of_teen(house, wire, outbox)
    house.sql(
        "INSERT INTO consent_event SELECT subject_id, (SELECT max(seq) + 1 FROM consent_event e WHERE"
        " e.subject_id = consent_event.subject_id), 'evt_idle', 'revoked', consent_id, purpose, categories,"
        f" recipient, notice, '{world.LI_QIANG.id}', 'guardian', viewer, occurred_at, recorded_at,"
        f" expires_at, evidence FROM consent_event WHERE consent_id = '{consent_id}' AND kind = 'confirmed'"
    )
    seen = shown(house, wire, consent_id, world.XIAO_MAN)
    assert (seen["state"]["code"], seen["withdrawn_at"]) == ("consent_given", None)
    step(house, wire, consent_id, "withdraw", on_behalf_of=world.XIAO_MAN.id)
    step(house, wire, consent_id, "withdraw", on_behalf_of=world.XIAO_MAN.id)
    assert told(house, consent_id) == ["consent.confirmed", "consent.withdrawn"]


def test_a_guardian_withdraws_what_was_agreed_to_for_a_child_and_others_hear_once(
    reached: tuple[Living, Wire], outbox: Outbox
) -> None:
    house, wire = reached
    body = tick_of(world.XIAO_MAN) | {"on_behalf_of": world.ZHANG_LI.id}
    consent_id = json.loads(wire.post(HELD, body, key=house.key(world.CRM)).content)["consent_id"]
    said = {"code": outbox.took[-1].code, "on_behalf_of": world.ZHANG_LI.id}
    assert step(house, wire, consent_id, "confirm", **said).status_code == 200
    for parent in (world.LI_QIANG, world.ZHANG_LI):
        assert step(house, wire, consent_id, "withdraw", on_behalf_of=parent.id).status_code == 200
    assert told(house, consent_id) == ["consent.confirmed", "consent.revoked"]


# --- a no closes the code


def everything(house: Living, wire: Wire, _consent_id: str) -> None:
    wire.post(f"{HELD}/withdraw", {"on_behalf_of": world.LI_QIANG.id}, key=house.key(world.CRM))


def by_id(house: Living, wire: Wire, consent_id: str) -> None:
    step(house, wire, consent_id, "withdraw")


def refusing(house: Living, wire: Wire, consent_id: str) -> None:
    step(house, wire, consent_id, "refuse")


def later(house: Living, wire: Wire, consent_id: str) -> None:
    step(house, wire, consent_id, "refuse", later=True)


@pytest.mark.parametrize("no", [everything, by_id, refusing, later])
@pytest.mark.parametrize("by", ["code", "link"])
def test_a_code_that_comes_after_a_no_confirms_nothing(
    reached: tuple[Living, Wire], outbox: Outbox, no: Any, by: str
) -> None:
    house, wire = reached
    consent_id = json.loads(ticked(house, wire).content)["consent_id"]
    house.clock.advance(MINUTE)
    no(house, wire, consent_id)
    house.clock.advance(MINUTE)
    late = (
        step(house, wire, consent_id, "confirm", code=outbox.took[0].code)
        if by == "code"
        else page(wire, "POST", outbox.took[0].link)
    )
    assert late.status_code == 410
    assert "consent.confirmed" not in told(house, consent_id)
    kinds = [row[0] for row in house.sql(f"SELECT kind FROM consent_event WHERE consent_id = '{consent_id}'")]
    assert "confirmed" not in kinds
    assert acts(house, consent_id)[-1][0] == "consent.code_refused"
    again = step(house, wire, consent_id, "code")
    assert (again.status_code, code_of(again), len(outbox.took)) == (409, "conflict", 1)


def test_by_a_word_in_a_text_message_too(reached: tuple[Living, Wire], outbox: Outbox) -> None:
    house, wire = reached
    body = tick_of(world.LI_QIANG, "marketing.direct") | {"categories": ["outreach.sms"]}
    consent_id = json.loads(wire.post(HELD, body, key=house.key(world.CRM)).content)["consent_id"]
    word = {"from": world.LI_QIANG.values[FieldName("mobile")], "text": "TD"}
    assert wire.post("/v1/inbound/sms", word, key=house.key(world.GATEWAY)).status_code == 200
    assert step(house, wire, consent_id, "confirm", code=outbox.took[0].code).status_code == 410
    assert told(house, consent_id) == []


def test_no_code_goes_out_when_the_tries_are_used_up(reached: tuple[Living, Wire], outbox: Outbox) -> None:
    house, wire = reached
    consent_id = json.loads(ticked(house, wire).content)["consent_id"]
    for _ in range(5):
        step(house, wire, consent_id, "confirm", code=wrong(outbox.took[0].code))
    again = step(house, wire, consent_id, "code")
    assert (again.status_code, code_of(again), len(outbox.took)) == (409, "conflict", 1)


def test_nobody_sends_codes_for_more_than_a_few_open_ticks(
    reached: tuple[Living, Wire], outbox: Outbox
) -> None:
    house, wire = reached
    answers = [ticked(house, wire) for _ in range(MOST_OPEN + 1)]
    assert [one.status_code for one in answers] == [*[201] * MOST_OPEN, 429]
    assert (code_of(answers[-1]), len(outbox.took)) == ("too_often", MOST_OPEN)
    child = tick_of(world.XIAO_MAN) | {"on_behalf_of": world.LI_QIANG.id}
    assert wire.post(HELD, child, key=house.key(world.CRM)).status_code == 429, "for a child neither"
    assert ticked(house, wire, world.ZHANG_LI).status_code == 201, "another person may"
    first = json.loads(answers[0].content)["consent_id"]
    assert step(house, wire, first, "confirm", code=outbox.took[0].code).status_code == 200
    assert ticked(house, wire).status_code == 201, "what is confirmed is open no more"
    assert ticked(house, wire).status_code == 429
    house.clock.advance(10 * MINUTE)
    assert ticked(house, wire).status_code == 201


def test_a_repeated_request_is_not_one_more_tick(reached: tuple[Living, Wire], outbox: Outbox) -> None:
    house, wire = reached
    answers = [ticked(house, wire, idempotency_key=str(n % MOST_OPEN)) for n in range(2 * MOST_OPEN)]
    assert Counter(one.status_code for one in answers) == {201: 2 * MOST_OPEN}
    assert len(outbox.took) == MOST_OPEN


# --- a refusal


@pytest.mark.parametrize("how", ["served", "ticked"])
def test_a_refusal_is_recorded_told_and_buys_quiet(reached: tuple[Living, Wire], how: str) -> None:
    house, wire = reached
    asked = served(house, wire) if how == "served" else ticked(house, wire)
    consent_id = json.loads(asked.content)["consent_id"]
    house.clock.advance(MINUTE)
    instant = rfc3339(house.clock())
    for _ in range(2):
        no = step(house, wire, consent_id, "refuse")
        answer = {"consent_id": consent_id, "status": "refused", "refused_at": instant}
        assert (no.status_code, json.loads(no.content)) == (200, answer)
        house.clock.advance(MINUTE)
    assert told(house, consent_id) == ["consent.refused"]
    assert [act for act, _ in acts(house, consent_id)].count("consent.refused") == 1
    [row] = house.sql(
        f"SELECT purpose, categories, notice, actor_id FROM consent_event"
        f" WHERE consent_id = '{consent_id}' AND kind = 'refused'"
    )
    notice = seeding.notice("service.health")
    assert tuple(row) == ("service.health", "health.record", notice, world.LI_QIANG.id)
    for answer in (
        served(house, wire),
        ticked(house, wire),
        wire.post(HELD, tick_of(world.LI_QIANG) | {"served": consent_id}, key=house.key(world.CRM)),
    ):
        assert (answer.status_code, code_of(answer)) == (409, "asked_too_soon")
    prompt = {"subject": world.LI_QIANG.id, "purpose": "service.health", "on_behalf_of": world.LI_QIANG.id}
    may = json.loads(wire.post(f"{HELD}/prompts", prompt, key=house.key(world.CRM)).content)
    assert may["may_ask"] is False
    if how == "ticked":
        seen = shown(house, wire, consent_id)
        assert (seen["state"]["code"], seen["withdrawn_at"]) == ("refused_by_person", instant)


def test_not_now_is_recorded_and_is_no_refusal(reached: tuple[Living, Wire]) -> None:
    house, wire = reached
    consent_id = json.loads(served(house, wire).content)["consent_id"]
    instant = rfc3339(house.clock())
    for _ in range(2):
        answer = json.loads(step(house, wire, consent_id, "refuse", later=True).content)
        assert answer == {"consent_id": consent_id, "status": "deferred", "deferred_at": instant}
        house.clock.advance(DAY)
    assert told(house, consent_id) == []
    assert [act for act, _ in acts(house, consent_id)] == ["consent.served", "consent.deferred"]
    assert served(house, wire).status_code == 201


def test_what_was_confirmed_is_withdrawn_and_what_was_asked_of_somebody_else_is_not_refused(
    reached: tuple[Living, Wire], outbox: Outbox
) -> None:
    house, wire = reached
    consent_id = json.loads(ticked(house, wire).content)["consent_id"]
    other = step(house, wire, consent_id, "refuse", on_behalf_of=world.ZHANG_LI.id)
    assert (other.status_code, code_of(other)) == (404, "not_found")
    step(house, wire, consent_id, "confirm", code=outbox.took[0].code)
    done = step(house, wire, consent_id, "refuse")
    assert (done.status_code, code_of(done)) == (409, "conflict")
    nobodys = step(house, wire, f"con_{'0' * (len(consent_id) - 4)}", "refuse")
    assert nobodys.status_code in (404, 422)


def test_a_guardian_who_says_no_for_a_teenager_is_heard_and_nobody_else_is_told(
    reached: tuple[Living, Wire],
) -> None:
    house, wire = reached
    house.clock.now = FIFTEEN
    asked = served(house, wire, subject=world.XIAO_MAN.id)
    consent_id = json.loads(asked.content)["consent_id"]
    assert step(house, wire, consent_id, "refuse").status_code == 200
    assert told(house, consent_id) == []


# --- quiet time


def test_after_a_no_an_older_showing_is_no_way_around_the_quiet_time(reached: tuple[Living, Wire]) -> None:
    house, wire = reached
    consent_id = json.loads(served(house, wire).content)["consent_id"]
    tick = tick_of(world.LI_QIANG) | {"served": consent_id}
    house.clock.advance(MINUTE)
    everything(house, wire, consent_id)
    house.clock.advance(MINUTE)
    soon = wire.post(HELD, tick, key=house.key(world.CRM))
    assert (soon.status_code, code_of(soon)) == (409, "asked_too_soon")
    assert house.log()[-1].act == "consent.not_asked"
    opened = wire.post(HELD, tick | {"opened_by_person": True}, key=house.key(world.CRM))
    assert opened.status_code == 201


def test_a_showing_that_the_person_opened_after_a_no_may_be_ticked(reached: tuple[Living, Wire]) -> None:
    house, wire = reached
    everything(house, wire, "")
    house.clock.advance(MINUTE)
    consent_id = json.loads(served(house, wire, opened_by_person=True).content)["consent_id"]
    tick = tick_of(world.LI_QIANG) | {"served": consent_id}
    assert wire.post(HELD, tick, key=house.key(world.CRM)).status_code == 201


# --- what the body says


def test_a_body_says_when_a_consent_ends_and_when_it_was_ended(
    reached: tuple[Living, Wire], outbox: Outbox
) -> None:
    house, wire = reached
    consent_id = json.loads(ticked(house, wire).content)["consent_id"]
    step(house, wire, consent_id, "confirm", code=outbox.took[0].code)
    ends = rfc3339(house.clock() + 180 * DAY)
    assert (shown(house, wire, consent_id)["expires_at"]) == ends
    house.clock.advance(DAY)
    everything(house, wire, consent_id)
    house.clock.advance(DAY)
    session = house.sign_in(world.LI_QIANG)
    mine = json.loads(wire.get("/v1/me/consents", session=session).content)["data"]
    for seen in (
        shown(house, wire, consent_id),
        next(one for one in mine if one["consent_id"] == consent_id),
        json.loads(wire.get(f"/v1/me/consents/{consent_id}", session=session).content),
    ):
        assert seen["state"]["code"] == "withdrawn"
        assert (seen["expires_at"], seen["withdrawn_at"]) == (ends, rfc3339(house.clock() - DAY))


def test_a_tick_that_was_withdrawn_is_withdrawn_not_unconfirmed(reached: tuple[Living, Wire]) -> None:
    house, wire = reached
    consent_id = json.loads(ticked(house, wire).content)["consent_id"]
    house.clock.advance(MINUTE)
    by_id(house, wire, consent_id)
    seen = shown(house, wire, consent_id)
    assert (seen["state"]["code"], seen["withdrawn_at"]) == ("withdrawn", rfc3339(house.clock()))


def test_a_withdrawal_waits_for_no_rules(reached: tuple[Living, Wire]) -> None:
    house, wire = reached
    consent_id = happenings.consent_of(house, world.ZHANG_LI, "marketing.direct")
    house.sql("DELETE FROM rule_pointer")
    done = step(house, wire, consent_id, "withdraw", on_behalf_of=world.ZHANG_LI.id)
    assert done.status_code == 200
    assert told(house, consent_id)[-1] == "consent.withdrawn"
