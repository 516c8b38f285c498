"""An objection or restriction is taken back by whoever said it, and by that nothing else comes back."""

from __future__ import annotations

import pytest
from consent_story import BIRTHS, DAY, START, actor_of, book_of_rules, event, grant, subject_of
from hypothesis import given, settings
from hypothesis import strategies as st
from test_standing_properties import NOW, actors, ask, logs, people

from consent.events import Event
from consent.rules import standing
from consent.sharing import shared_until
from policies.reasons import Reason
from policies.terms import Category, Purpose

BOOK = book_of_rules()
directed = settings(max_examples=80, deadline=None, database=None)
HEALTH = ("service.health", "health.record")
RIGHT = "rgt_1"
NOES = st.sampled_from(["objected", "restricted"])
reaches = st.sampled_from(["", "service", "service.health", "marketing"])
instants = st.integers(0, 38).map(lambda half_day: START + half_day * DAY // 2)


def said(person: str, who: str, kind: str, at: int, purpose: str = "", number: int = 900) -> Event:
    return event(person, who, kind, at, number, consent_id=RIGHT, purpose=purpose)


def back(person: str, who: str, at: int, **more: object) -> Event:
    return event(person, who, "taken_back", at, 950, **{"consent_id": RIGHT, **more})


@directed
@given(st.data(), people, actors, NOES, reaches, instants, st.integers(0, 3))
def test_after_it_was_taken_back_everything_is_as_if_it_had_never_been_said(
    data: st.DataObject, person: str, who: str, kind: str, purpose: str, at: int, later: int
) -> None:
    log = data.draw(logs(person, *HEALTH))
    more = [said(person, who, kind, at, purpose), back(person, who, min(at + later, NOW))]
    question = ask(person, *HEALTH)
    assert standing([*log, *more], question, BOOK) == standing(log, question, BOOK)


@directed
@given(st.data(), people, actors, actors, NOES, instants)
def test_nobody_takes_back_what_somebody_else_said(
    data: st.DataObject, person: str, who: str, other: str, kind: str, at: int
) -> None:
    if actor_of(who, person) == actor_of(other, person):
        return
    log = [*data.draw(logs(person, *HEALTH)), said(person, who, kind, at)]
    question = ask(person, *HEALTH)
    assert standing([*log, back(person, other, NOW)], question, BOOK) == standing(log, question, BOOK)


@directed
@given(st.data(), st.sampled_from(["refused", "withdrawn", "revoked", "of_a_later_version"]), instants)
def test_a_withdrawal_or_refusal_is_never_taken_back(data: st.DataObject, kind: str, at: int) -> None:
    log = [*data.draw(logs("adult", *HEALTH)), said("adult", "self", kind, at)]
    question = ask("adult", *HEALTH)
    assert standing([*log, back("adult", "self", NOW)], question, BOOK) == standing(log, question, BOOK)


CONSENTED = grant("adult", "self", *HEALTH[:1], ["health.record"], START)
FAULTY = {
    "as somebody else": back("adult", "self", NOW, capacity="guardian"),
    "before it was said": back("adult", "self", START + DAY - 1),
    "of another request": back("adult", "self", NOW, consent_id="rgt_2"),
    "of none": back("adult", "self", NOW, consent_id=""),
    "not yet": back("adult", "self", NOW + 1),
    "recorded before it occurred": back("adult", "self", NOW, recorded_at=NOW - 1),
}


@pytest.mark.parametrize("fault", FAULTY)
def test_a_taking_back_that_fits_badly_takes_nothing_back(fault: str) -> None:
    log = [*CONSENTED, said("adult", "self", "restricted", START + DAY)]
    assert standing(log, ask("adult", *HEALTH), BOOK).reason is Reason.RESTRICTED
    assert standing([*log, FAULTY[fault]], ask("adult", *HEALTH), BOOK).reason is Reason.RESTRICTED
    assert standing([*log, back("adult", "self", NOW)], ask("adult", *HEALTH), BOOK).permits


def test_what_was_said_without_a_request_is_not_taken_back_by_a_taking_back_without_one() -> None:
    log = [*CONSENTED, event("adult", "self", "restricted", START + DAY, 900)]
    none = back("adult", "self", NOW, consent_id="")
    assert standing([*log, none], ask("adult", *HEALTH), BOOK).reason is Reason.RESTRICTED


def test_the_answer_for_an_instant_before_the_taking_back_stays_what_it_was() -> None:
    log = [*CONSENTED, said("adult", "self", "restricted", START + DAY), back("adult", "self", NOW)]
    assert standing(log, ask("adult", *HEALTH, now=NOW - 1), BOOK).reason is Reason.RESTRICTED
    assert standing(log, ask("adult", *HEALTH, now=NOW), BOOK).permits


def test_a_share_that_a_restriction_ended_does_not_come_back() -> None:
    purpose, category = Purpose("family.care"), Category("health.record")
    terms = {"purpose": purpose, "categories": frozenset({category})}
    shared = event("adult", "self", "shared", START, 1, consent_id="shr_1", viewer="mem_father", **terms)

    def shared_now(*more: Event) -> bool:
        events = [shared, *more]
        return category in shared_until(events, purpose, [category], "mem_father", NOW, BIRTHS["adult"], BOOK)

    assert subject_of("adult") == shared.subject_id
    assert shared_now()
    restricted = said("adult", "self", "restricted", START + DAY)
    assert not shared_now(restricted)
    assert not shared_now(restricted, back("adult", "self", NOW))
