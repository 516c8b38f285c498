"""Webhooks end to end: real transactions on both engines, real HTTP on loopback, our own clock."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import insiders
import pytest
import receivers
from happenings import hide, person_acts, withdraw
from living import DAY, MINUTE, Living, Template, wired
from receivers import Got, Receiver, announce, caller, register, signed_by

from audit.entry import Verdict
from consent.listing import Terms
from governance import hookstore, seeding, world
from governance.announcing import Told
from governance.database import StoreError
from governance.delivering import LEASE_MS, MOST_AT_ONCE, UNACKNOWLEDGED_MS
from governance.retrying import AFTER_S, SPREAD
from governance.webhooks import Delivery, NoSuchWebhookError, NotActiveError
from policies.terms import ActorId, SubjectId


@pytest.fixture
def house(seeded_copy: tuple[Template, Path, str]) -> Iterator[Living]:
    opened = receivers.open_house(seeded_copy)
    yield opened
    opened.service.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receivers.receiving() as opened:
        yield opened


def deliveries(house: Living, webhook_id: str) -> list[Delivery]:
    """Return what became of each event at an address, oldest first."""
    found, _ = house.service.webhooks.deliveries(caller(house, world.CRM), webhook_id, None, 200)
    return found[::-1]


def test_a_withdrawal_is_told_with_ids_and_purposes_and_a_signature_others_can_check(
    house: Living, receiver: Receiver
) -> None:
    made, secret = register(house, receiver.url)
    withdraw(house, world.GRANDMOTHER, "family.care")
    assert receiver.got == [], "nothing leaves before a worker looks"
    assert house.service.delivering.round() == 1
    (one,) = receiver.got
    data = one.document.pop("data")
    assert one.document["type"] == "consent.withdrawn"
    assert data["subject"] == world.GRANDMOTHER.id
    assert (data["purpose"], data["categories"]) == ("family.care", ["health.record"])
    assert set(data) == {"event_id", "subject", "consent_id", "purpose", "categories"}
    assert one.id == data["event_id"]
    assert signed_by(one, secret)
    assert not signed_by(Got(one.path, one.headers, one.body.replace(b"withdrawn", b"confirmed")), secret)
    assert [(x.state, x.last_result) for x in deliveries(house, made.id)] == [("acknowledged", "204")]
    assert house.service.delivering.round() == 0


def test_a_confirmation_is_told_and_ticks_and_hidings_are_not(house: Living, receiver: Receiver) -> None:
    register(house, receiver.url)
    terms = Terms("service.health", frozenset({"health.record"}), "", seeding.notice("service.health"))
    on = person_acts(world.LI_QIANG)
    house.service.consenting.tick(on, SubjectId(world.LI_QIANG.id), terms, house.clock())
    hide(house, world.LI_QIANG, "content.history")
    hide(house, world.LI_QIANG, "content.history", hidden=False)
    house.service.delivering.round()
    assert receiver.got == []
    seeding.give_consent(house.service, world.LI_QIANG, "marketing.direct", ("outreach.sms",))
    house.service.delivering.round()
    assert receiver.types() == ["consent.confirmed"]


def test_a_withdrawal_that_is_said_twice_is_told_once(house: Living, receiver: Receiver) -> None:
    register(house, receiver.url)
    withdraw(house, world.GRANDMOTHER, "family.care")
    house.clock.advance(MINUTE)
    withdraw(house, world.GRANDMOTHER, "family.care")
    house.service.delivering.round()
    assert receiver.types() == ["consent.withdrawn"]


def test_a_change_that_was_not_recorded_is_not_told(house: Living, receiver: Receiver) -> None:
    register(house, receiver.url)
    house.sql(*insiders.REFUSE[house.engine])
    with pytest.raises(StoreError):
        withdraw(house, world.GRANDMOTHER, "family.care")
    house.sql(*insiders.ACCEPT[house.engine])
    assert house.service.delivering.round() == 0
    assert receiver.got == []


def test_an_event_whose_process_died_after_the_commit_goes_out_from_the_next(
    house: Living, receiver: Receiver
) -> None:
    register(house, receiver.url)
    withdraw(house, world.GRANDMOTHER, "family.care")
    with house.service.database.reading() as tx:
        last = hookstore.last_position(tx)
    house.service.close()
    again = Living(
        house.settings, receivers.living.assemble(house.settings, clock=house.clock), house.keys, house.clock
    )
    assert again.service.delivering.round() == 1
    assert receiver.types() == ["consent.withdrawn"]
    assert [one.position for one in deliveries(again, again.sql("SELECT id FROM webhook")[0][0])] == [last]
    again.service.close()


def test_a_failed_attempt_is_made_again_on_schedule_under_the_same_id(
    house: Living, receiver: Receiver
) -> None:
    made, secret = register(house, receiver.url)
    event = announce(house, Told.WITHDRAWN, world.ZHANG_LI)
    receiver.answer = lambda _: 503
    for failures, seconds in enumerate(AFTER_S, start=1):
        assert house.service.delivering.round() == 1
        (one,) = deliveries(house, made.id)
        assert (one.state, one.attempts, one.last_result) == ("waiting", failures, "503")
        wait = one.next_at - house.clock()
        assert 1000 * seconds * (1 - SPREAD) <= wait <= 1000 * seconds * (1 + SPREAD)
        assert house.service.delivering.round() == 0, "not before its time"
        house.clock.advance(int(1000 * seconds * (1 + SPREAD)))
    assert house.service.delivering.round() == 1
    assert deliveries(house, made.id)[0].state == "given_up"
    assert {one.id for one in receiver.got} == {event}
    assert len({one.body for one in receiver.got}) == 1
    assert len({one.headers["webhook-timestamp"] for one in receiver.got}) == len(receiver.got) == 10
    assert all(signed_by(one, secret) for one in receiver.got)


def test_an_address_in_trouble_is_left_alone_as_a_whole(house: Living, receiver: Receiver) -> None:
    register(house, receiver.url)
    for person in (world.ZHANG_LI, world.LI_QIANG, world.GRANDMOTHER):
        announce(house, Told.CONFIRMED, person)
    receiver.answer = lambda _: 500
    assert house.service.delivering.round() == 1
    receiver.answer = lambda _: 200
    house.clock.advance(2 * AFTER_S[0] * 1000)
    assert house.service.delivering.round() == 3
    assert len(receiver.got) == 4


def test_an_address_that_says_gone_is_disabled_and_the_log_says_so(house: Living, receiver: Receiver) -> None:
    made, _ = register(house, receiver.url)
    announce(house, Told.CONFIRMED, world.ZHANG_LI)
    receiver.answer = lambda _: 410
    house.service.delivering.round()
    announce(house, Told.CONFIRMED, world.LI_QIANG)
    house.clock.advance(2 * DAY)
    assert house.service.delivering.round() == 0
    assert [one.state for one in house.service.webhooks.of(caller(house, world.CRM))] == ["disabled"]
    assert [one.resource for one in house.log() if one.act == "webhook.disabled"] == [made.id]
    with pytest.raises(NotActiveError):
        house.service.webhooks.renew(caller(house, world.CRM), made.id, house.clock(), "")


def test_one_persons_events_keep_their_order_while_others_go_on(house: Living, receiver: Receiver) -> None:
    register(house, receiver.url)
    first = announce(house, Told.CONFIRMED, world.ZHANG_LI)
    second = announce(house, Told.WITHDRAWN, world.ZHANG_LI)
    other = announce(house, Told.CONFIRMED, world.LI_QIANG)
    receiver.answer = lambda one: 422 if one.id == first else 204  # about this event, not about the address
    assert house.service.delivering.round() == 2
    assert [one.id for one in receiver.got] == [first, other]
    receiver.answer = lambda _: 204
    house.clock.advance(2 * AFTER_S[0] * 1000)
    house.service.delivering.round()
    assert [one.id for one in receiver.got] == [first, other, first, second]


def test_what_is_under_way_is_nobody_elses_until_its_lease_runs_out(
    house: Living, receiver: Receiver
) -> None:
    register(house, receiver.url)
    event = announce(house, Told.WITHDRAWN, world.ZHANG_LI)
    house.service.delivering.make_out()
    with house.service.database.transaction() as tx:  # a worker that takes it and is never seen again
        now = house.clock()
        letter = hookstore.take(tx, "lost", now, now + LEASE_MS, MOST_AT_ONCE)
        tx.commit()
    assert letter is not None
    assert house.service.delivering.round() == 0
    house.clock.advance(LEASE_MS)
    assert house.service.delivering.round() == 1
    assert [one.id for one in receiver.got] == [event]
    with house.service.database.transaction() as tx:  # and comes back after all: too late to say anything
        hookstore.failed(tx, letter, "timeout", house.clock(), house.clock())
        tx.commit()
    assert [row[0] for row in house.sql("SELECT state FROM webhook_delivery")] == ["acknowledged"]


def test_several_workers_never_make_one_attempt_twice_and_keep_each_persons_order(
    house: Living, receiver: Receiver
) -> None:
    register(house, receiver.url)
    people = (world.ZHANG_LI, world.LI_QIANG, world.GRANDMOTHER, world.XIAO_MAN)
    told = [announce(house, Told.CONFIRMED, people[turn % 4]) for turn in range(40)]
    house.service.delivering.make_out()
    flying: defaultdict[str, int] = defaultdict(int)
    counting, faults = threading.Lock(), []

    def answer(one: Got) -> int:
        with counting:
            flying[one.id] += 1
            if flying[one.id] > 1:
                faults.append(one.id)
        with counting:
            flying[one.id] -= 1
        return 204

    receiver.answer = answer

    def work() -> None:
        while len({one.id for one in receiver.got}) < len(told):
            house.service.delivering.deliver()

    workers = [threading.Thread(target=work) for _ in range(6)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    while house.service.delivering.deliver():
        pass
    assert faults == []
    assert sorted(one.id for one in receiver.got) == sorted(told), "each exactly once"
    for person in people:
        seen = [one.id for one in receiver.got if one.document["data"]["subject"] == person.id]
        assert seen == [one for one in told if one in seen]


def test_a_withdrawal_nobody_acknowledges_becomes_one_incident_that_ends_with_the_acknowledgement(
    house: Living, receiver: Receiver
) -> None:
    made, _ = register(house, receiver.url)
    announce(house, Told.CONFIRMED, world.LI_QIANG)
    withdraw(house, world.ZHANG_LI, "marketing.direct")
    receiver.answer = lambda _: 503
    house.service.delivering.round()
    house.clock.advance(UNACKNOWLEDGED_MS - MINUTE)
    house.service.delivering.look_for_silence()
    assert house.sql("SELECT id FROM incident") == []
    house.clock.advance(2 * MINUTE)
    for _ in range(2):
        house.clock.advance(2 * MINUTE)
        house.service.delivering.look_for_silence()
    ((incident, closed),) = house.sql("SELECT id, closed_at FROM incident")
    assert closed is None
    (entry,) = [one for one in house.log() if one.act == "withdrawal.unacknowledged"]
    assert (entry.resource, entry.corr, entry.dec) == (made.id, incident, Verdict.ERROR)
    assert len(entry.subjects) == 1
    assert [one.incident_at is not None for one in deliveries(house, made.id)] == [False, True]
    receiver.answer = lambda _: 204
    house.clock.advance(DAY)
    house.service.delivering.round()
    assert house.sql("SELECT closed_at FROM incident")[0][0] == house.clock()


def test_a_renewed_secret_and_the_one_before_both_sign_for_a_day(house: Living, receiver: Receiver) -> None:
    made, old = register(house, receiver.url)
    new = house.service.webhooks.renew(caller(house, world.CRM), made.id, house.clock(), "")
    assert new != old
    announce(house, Told.CONFIRMED, world.ZHANG_LI)
    house.service.delivering.round()
    assert signed_by(receiver.got[-1], old)
    assert signed_by(receiver.got[-1], new)
    house.clock.advance(DAY)
    announce(house, Told.CONFIRMED, world.ZHANG_LI)
    house.service.delivering.round()
    assert not signed_by(receiver.got[-1], old)
    assert signed_by(receiver.got[-1], new)


def test_replaying_delivers_again_from_one_event_on_even_from_before_the_registration(
    house: Living, receiver: Receiver
) -> None:
    before = announce(house, Told.CONFIRMED, world.ZHANG_LI)
    made, _ = register(house, receiver.url)
    after = [announce(house, Told.CONFIRMED, one) for one in (world.ZHANG_LI, world.LI_QIANG)]
    house.service.delivering.round()
    assert [one.id for one in receiver.got] == after
    crm = caller(house, world.CRM)
    house.service.webhooks.replay(crm, made.id, after[1], house.clock(), "")
    house.service.delivering.round()
    assert [one.id for one in receiver.got] == [*after, after[1]]
    house.service.webhooks.replay(crm, made.id, before, house.clock(), "")
    house.service.delivering.round()
    assert sorted(one.id for one in receiver.got[3:]) == sorted([before, *after])
    with pytest.raises(NoSuchWebhookError):
        house.service.webhooks.replay(
            crm, made.id, "evt_019a0000-0000-7d47-8433-b18122cd4e5d", house.clock(), ""
        )


def test_an_ended_webhook_and_one_of_a_retired_service_get_nothing(house: Living, receiver: Receiver) -> None:
    made, _ = register(house, receiver.url)
    announce(house, Told.WITHDRAWN, world.ZHANG_LI)
    house.service.delivering.make_out()
    house.service.webhooks.end(caller(house, world.CRM), made.id, house.clock(), "")
    register(house, receiver.url)
    with house.service.database.transaction() as tx:
        house.service.lifecycle.retire_actor(tx, ActorId(world.CRM.id), house.clock())
        tx.commit()
    announce(house, Told.WITHDRAWN, world.ZHANG_LI)
    assert house.service.delivering.round() == 0
    assert receiver.got == []


def test_a_service_is_told_what_its_rules_let_it_work_for_and_what_is_meant_for_it(
    house: Living, receiver: Receiver
) -> None:
    register(house, receiver.url, office=world.SENDER)
    for purpose in ("family.care", "marketing.direct"):
        announce(house, Told.CONFIRMED, world.ZHANG_LI, purpose=purpose)
    announce(house, Told.CONFIRMED, world.LI_QIANG, purpose="marketing.direct", recipient=world.CRM.id)
    announce(house, Told.CONFIRMED, world.XIAO_MAN, purpose="family.care", recipient=world.SENDER.id)
    house.service.delivering.round()
    told = {(one.document["data"]["subject"], one.document["data"]["purpose"]) for one in receiver.got}
    assert told == {(world.ZHANG_LI.id, "marketing.direct"), (world.XIAO_MAN.id, "family.care")}


def test_a_secret_is_shown_once_and_lies_nowhere_in_the_clear(house: Living, receiver: Receiver) -> None:
    wire = wired(house)
    body = {"url": receiver.url, "events": ["consent.withdrawn"]}
    made = json.loads(wire.post("/v1/webhooks", body, key=house.key(world.CRM)).content)
    secret = made["secret"]
    listed = wire.get("/v1/webhooks", authorization=f"Bearer {house.key(world.CRM)}")
    assert made["webhook_id"] in listed.text
    assert secret not in listed.text
    ((sealed,),) = house.sql("SELECT sealed FROM webhook_secret")
    assert secret.encode() not in bytes(sealed)
    assert secret not in repr(house.log())
    wire.close()


def test_pulling_pages_through_what_one_may_know_and_acknowledges_by_asking_on(house: Living) -> None:
    wire = wired(house)
    headers = {"authorization": f"Bearer {house.key(world.CRM)}"}
    told = [announce(house, Told.CONFIRMED, world.ZHANG_LI) for _ in range(5)]
    announce(house, Told.CONFIRMED, world.ZHANG_LI, recipient=world.SENDER.id)
    seen, after = [], ""
    while True:
        page = json.loads(wire.get(f"/v1/events?limit=3{after}", **headers).content)
        seen += [one["data"]["event_id"] for one in page["data"]]
        after = f"&after={page['next_cursor']}"
        if not page["has_more"]:
            break
    assert seen[-5:] == told
    assert len(seen) == len(set(seen))
    assert json.loads(wire.get(f"/v1/events?limit=3{after}", **headers).content)["data"] == []
    ((position,),) = house.sql("SELECT position FROM event_pull")
    ((newest,),) = house.sql("SELECT max(position) FROM outbox_event")
    assert position == newest
    early = json.loads(wire.get("/v1/events?limit=1", **headers).content)["next_cursor"]
    wire.get(f"/v1/events?after={early}", **headers)
    assert house.sql("SELECT position FROM event_pull") == [(newest,)], "looking back takes nothing back"
    assert wire.get("/v1/events?after=" + early[:-1] + "x", **headers).status_code == 422
    wire.close()


def test_another_services_webhook_is_as_unknown_as_one_that_is_not_there(
    house: Living, receiver: Receiver
) -> None:
    made, _ = register(house, receiver.url, office=world.SENDER)
    crm = caller(house, world.CRM)
    for webhook_id in (made.id, "whk_019a0000-0000-7d47-8433-b18122cd4e5d"):
        with pytest.raises(NoSuchWebhookError):
            house.service.webhooks.end(crm, webhook_id, house.clock(), "")
        with pytest.raises(NoSuchWebhookError):
            house.service.webhooks.deliveries(crm, webhook_id, None, 10)
        with pytest.raises(NoSuchWebhookError):
            house.service.webhooks.renew(crm, webhook_id, house.clock(), "")
