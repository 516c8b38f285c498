"""Whose which fields could have been seen, added up from leaves; one that the tree does not know is told."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from audit_making import LI, NOW, ORIGIN, SERVICE, STAFF, WANG, Insider, a_read
from hypothesis import given
from hypothesis import strategies as st

from audit import exposure, leafscan, ledger
from audit.entry import Actor, ActorType, Entry, FieldOutcome, Kind, Message, Party, Verdict, encode
from audit.exposure import Done, Exposure, FieldSeen, Figures, Through, Told, Wanted
from audit.leafscan import Damage
from governance.database import Database
from policies.terms import Effect, Outcome

OTHER = "stf_01900000-0000-7000-8000-000000000099"
ALL = Wanted()
THROUGH = Through(SERVICE, STAFF, "service.delivery")


def taken(entries: Iterable[Entry], wanted: Wanted = ALL) -> Exposure:
    found = Exposure(wanted)
    found.take((index, encode(entry)) for index, entry in enumerate(entries))
    return found


def figures(entries: Iterable[Entry], wanted: Wanted = ALL) -> Figures:
    return taken(entries, wanted).figures(lambda name: name)


def a_message(number: int, outcome: Outcome, dec: Verdict = Verdict.PERMIT) -> Entry:
    message = Message("msg_1", "sms", b"\x01" * 32, outcome)
    return a_read(number, WANG, act="send", dec=dec, message=message, fields=(), n=0)


def test_each_field_is_told_with_its_effect_how_often_and_first_and_last() -> None:
    found = figures([a_read(5), a_read(3), a_read(9)])
    assert {key: (times.count, times.first, times.last) for key, times in found.fields.items()} == {
        FieldSeen(WANG.hex(), "mobile", "mask", "read", THROUGH): (3, NOW + 3, NOW + 9),
        FieldSeen(WANG.hex(), "blood_pressure", "show", "read", THROUGH): (3, NOW + 3, NOW + 9),
    }
    assert not found.messages
    assert not found.others


def test_what_was_hidden_or_stopped_was_not_seen() -> None:
    hidden = (FieldOutcome("mobile", Effect.HIDE, ("no_rule",)), FieldOutcome("name", Effect.EXISTS))
    found = taken(
        [
            a_read(1, fields=hidden),
            a_read(2, dec=Verdict.DENY),
            a_read(3, dec=Verdict.REFUSE),
            a_read(4, act="read.failed", dec=Verdict.ERROR, fields=()),
        ]
    )
    assert [(key.field, key.effect) for key in found.figures(str).fields] == [("name", "exists")]
    assert (found.entries, found.blocked, found.failed) == (4, 2, 1)


def test_messages_that_went_out_and_everything_else_that_was_done_are_told_too() -> None:
    export = a_read(7, act="rights.exported", fields=(), n=12)
    page = Entry(
        t=NOW,
        kind=Kind.AUDIT,
        act="log.read",
        dec=Verdict.PERMIT,
        actor=Actor(Party(ActorType.STAFF, STAFF)),
        n=40,
    )
    found = figures(
        [
            a_message(1, Outcome.ADMIT),
            a_message(2, Outcome.HOLD, Verdict.REFUSE),
            export,
            a_read(8, act="check"),
            page,
        ]
    )
    assert found.messages.keys() == {Told(WANG.hex(), "sms", THROUGH)}
    assert {(key.subject, key.act): times.n for key, times in found.others.items()} == {
        (WANG.hex(), "rights.exported"): 12,
        ("", "log.read"): 40,
    }
    assert {key.act for key in found.fields} == {"check"}
    assert Done("", "log.read", Through(STAFF, "", "")) in found.others


def test_an_actor_is_found_as_the_caller_and_as_the_person_acted_for() -> None:
    alone = a_read(1, actor=Actor(Party(ActorType.STAFF, STAFF)))
    other = a_read(
        2, actor=Actor(Party(ActorType.SERVICE, SERVICE), on_behalf_of=Party(ActorType.STAFF, OTHER))
    )
    entries = [a_read(0), alone, other]
    assert taken(entries, Wanted(STAFF)).entries == 2
    assert taken(entries, Wanted(SERVICE)).entries == 2
    assert taken(entries, Wanted(OTHER)).entries == 1
    assert taken(entries, Wanted(since=NOW + 1, until=NOW + 2)).entries == 1


def test_subjects_of_one_name_are_counted_together() -> None:
    found = taken([a_read(1, WANG), a_read(2, LI), a_read(3, WANG, LI)]).figures(lambda _: "")
    assert {(key.subject, key.field): times.count for key, times in found.fields.items()} == {
        ("", "mobile"): 4,
        ("", "blood_pressure"): 4,
    }


@given(
    st.lists(
        st.tuples(
            st.sampled_from([WANG, LI]),
            st.sampled_from(["mobile", "name", "id_card"]),
            st.sampled_from(list(Effect)),
            st.sampled_from(list(Verdict)),
            st.sampled_from([STAFF, OTHER]),
            st.integers(0, 5),
        ),
        max_size=30,
    )
)
def test_the_figures_are_those_of_counting_one_by_one(
    acts: list[tuple[bytes, str, Effect, Verdict, str, int]],
) -> None:
    entries = [
        a_read(
            at,
            subject,
            dec=dec,
            fields=(FieldOutcome(name, effect),),
            actor=Actor(Party(ActorType.SERVICE, SERVICE), on_behalf_of=Party(ActorType.STAFF, who)),
        )
        for subject, name, effect, dec, who, at in acts
    ]
    counted: dict[tuple[str, str, str, str], int] = {}
    for subject, name, effect, dec, who, _ in acts:
        if dec is Verdict.PERMIT and effect is not Effect.HIDE:
            key = (subject.hex(), name, effect.value, who)
            counted[key] = counted.get(key, 0) + 1
    found = figures(entries).fields
    assert {
        (key.subject, key.field, key.effect, key.through.behalf): times.count for key, times in found.items()
    } == counted


def test_what_is_no_entry_is_counted_as_unreadable() -> None:
    found = Exposure(Wanted())
    found.take([(0, b"{"), (1, b"[]"), (2, b'{"t": 1}'), (3, encode(a_read()))])
    assert (found.unreadable, found.entries) == (3, 1)


@pytest.fixture
def log(database: Database) -> Database:
    with database.transaction() as tx:
        ledger.create(tx, ORIGIN)
        tx.commit()
    with database.transaction() as tx:
        ledger.append(tx, [a_read(n, actor=a_reader(n)) for n in range(600)])
        tx.commit()
    return database


def a_reader(number: int) -> Actor:
    return Actor(Party(ActorType.STAFF, STAFF if number % 3 else OTHER))


def test_a_narrowed_scan_and_a_whole_one_find_the_same_in_an_honest_log(log: Database) -> None:
    damage = Damage()
    some = list(leafscan.narrowed(log.reading, OTHER, NOW + 100, NOW + 200, 600))
    assert [index for index, _ in some] == [n for n in range(100, 200) if n % 3 == 0]
    every = list(leafscan.sound(log.reading, leafscan.everything(log.reading, 600, damage), damage))
    assert len(every) == 600
    assert damage == Damage()
    wanted = Wanted(OTHER, NOW + 100, NOW + 200)
    first, second = Exposure(wanted), Exposure(wanted)
    first.take(leafscan.sound(log.reading, some, damage))
    second.take(every)
    assert first.figures(str) == second.figures(str)


def test_an_edited_leaf_is_left_out_and_told_and_a_missing_one_is_missed(log: Database) -> None:
    insider = Insider(log)
    insider.alter(400)
    damage = Damage()
    found = list(
        leafscan.sound(log.reading, leafscan.narrowed(log.reading, "", 0, exposure.NEVER, 600), damage)
    )
    assert len(found) == 599
    assert (damage.count, damage.first) == (1, 400)
    insider.remove(10, 11)
    insider.remove(599)
    damage = Damage()
    found = list(leafscan.sound(log.reading, leafscan.everything(log.reading, 600, damage), damage))
    assert len(found) == 596
    assert (damage.count, damage.first) == (4, 10)


def test_an_edited_copy_hides_an_entry_from_the_narrowed_scan_only(log: Database) -> None:
    Insider(log).run("UPDATE audit_entry SET actor_id = 'nobody' WHERE leaf_index = 3")
    damage = Damage()
    narrowed, every = Exposure(Wanted(OTHER)), Exposure(Wanted(OTHER))
    narrowed.take(leafscan.narrowed(log.reading, OTHER, 0, exposure.NEVER, 600))
    every.take(leafscan.everything(log.reading, 600, damage))
    assert (narrowed.entries, every.entries) == (199, 200)
