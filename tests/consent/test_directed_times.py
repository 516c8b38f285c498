"""One generator for each rule of time: ages, notices, expiry, and what was known when.

As in ``test_directed_properties``, each log is one complete grant and the one disturbance that its rule
speaks of, and what is expected is worked out beside the test.
"""

from __future__ import annotations

from datetime import date

from consent_story import DAY, MINUTE, START, book_of_rules, event, grant
from hypothesis import given, settings
from hypothesis import strategies as st
from test_standing_properties import NOW, ask, instants

from consent.events import Event, EventKind
from consent.rules import Question, standing
from consent.superseding import NoticeFact, by_id
from policies.reasons import Reason

BOOK = book_of_rules()
directed = settings(max_examples=80, deadline=None, database=None)
HEALTH = ("service.health", "health.record")
SMS = ("marketing.direct", "outreach.sms")
NOES = st.sampled_from(["refused", "withdrawn", "revoked", "objected", "restricted", "of_a_later_version"])


def midnight(day: date) -> int:
    """The first millisecond of a day in Shanghai."""
    return (day - date(1970, 1, 1)).days * DAY - 8 * 60 * MINUTE


def with_age(birth: date, now: int, purpose: str, category: str) -> Question:
    return ask("adult", purpose, category, now=now, birth=birth)


@directed
@given(st.dates(date(2007, 1, 1), date(2013, 12, 31)), st.integers(-400, 400))
def test_d5_no_profiled_marketing_before_the_day_after_the_eighteenth_birthday(
    birth: date, days: int
) -> None:
    leap = (birth.month, birth.day) == (2, 29)
    birthday = date(birth.year + 18, 2, 28) if leap else birth.replace(year=birth.year + 18)
    now = midnight(birthday) + days * DAY
    log = grant("adult", "self", "marketing.profiled", ["outreach.sms"], now - DAY)
    answer = standing(log, with_age(birth, now, "marketing.profiled", "outreach.sms"), BOOK)
    assert answer.permits is (days >= 1)


@directed
@given(st.integers(-400, 2000), st.integers(-400, 2000), st.booleans())
def test_d3_whose_yes_counts_changes_at_fourteen_and_an_old_one_does_not_grow_up(
    tick: int, later: int, guardian: bool
) -> None:
    birth = date(2012, 3, 10)
    turns = midnight(date(2026, 3, 11))
    log = [event("adult", "mother", EventKind.GUARDIAN_LINKED, turns - 900 * DAY)]
    at = turns + tick * DAY
    log += grant("adult", "mother" if guardian else "self", *HEALTH[:1], ["health.record"], at, number=1)
    now = at + MINUTE + abs(later) % 180 * DAY
    answer = standing(log, with_age(birth, now, *HEALTH), BOOK)
    assert answer.permits is (now < turns if guardian else at >= turns)


@directed
@given(
    st.lists(st.tuples(st.integers(-3, 6), st.booleans()), max_size=4),
    st.integers(1, 5),
    st.integers(-3, 6),
)
def test_t2_a_material_later_version_ends_older_consents_when_it_takes_effect(
    later: list[tuple[int, bool]], version: int, day: int
) -> None:
    facts = [NoticeFact("n", number, START - 9 * DAY, material=False) for number in range(1, 6)]
    facts = [
        fact._replace(effective_from=START + later[n][0] * DAY, material=later[n][1])
        if n < len(later)
        else fact
        for n, fact in enumerate(facts)
    ]
    tick = START - 5 * DAY
    log = grant("adult", "self", *SMS[:1], ["outreach.sms"], tick, notice=f"n@{version}")
    now = START + day * DAY
    ends = [at for n, (at, material) in enumerate(later, start=1) if material and n > version]
    answer = standing(log, ask("adult", *SMS, now=now), BOOK, by_id(facts))
    expected = all(day < at for at in ends)
    assert answer.permits is expected
    assert answer.reason is (Reason.CONSENT_GIVEN if expected else Reason.NOTICE_SUPERSEDED)
    if expected:
        assert answer.valid_until == min([tick + MINUTE + 365 * DAY, *[START + at * DAY for at in ends]])


@directed
@given(st.integers(-3, 3), st.integers(-3, 3), st.integers(-3, 3))
def test_t2_what_was_not_published_yet_did_not_end_anything_then(
    recorded: int, effective: int, known: int
) -> None:
    later = NoticeFact("n", 2, START + effective * DAY, material=True, recorded_at=START + recorded * DAY)
    published = by_id([NoticeFact("n", 1, 0, material=True), later])
    log = grant("adult", "self", *SMS[:1], ["outreach.sms"], START - 9 * DAY, notice="n@1")
    at = START + known * DAY
    past = standing(log, ask("adult", *SMS, now=at, known_at=at), BOOK, published)
    assert past.permits is not (recorded <= known and effective <= known)


@st.composite
def scheduled(draw: st.DrawFn) -> tuple[list[Event], Question, list[NoticeFact]]:
    """A log in which time alone will change the answer, sooner or later, in several ways."""
    person = draw(st.sampled_from(["adult", "teen", "almost_14", "almost_18", "child"]))
    purpose, category = draw(
        st.sampled_from(
            [HEALTH, SMS, ("service.household", "finance.account"), ("service.household", "household")]
        )
    )
    log = [
        event(person, who, EventKind.GUARDIAN_LINKED, START - DAY, number=n)
        for n, who in enumerate(["mother", "father"])
    ]
    log.append(event(person, "primary", EventKind.JOINED, START - DAY, number=3, viewer="hh_home"))
    for number in range(10, 10 + draw(st.integers(1, 4))):
        who = draw(st.sampled_from(["self", "mother", "father", "primary"]))
        expiry = draw(st.sampled_from([None, 6, 9, 11, 40]))
        at = draw(instants)
        ends = None if expiry is None else START + expiry * DAY
        version = draw(st.sampled_from(["n@1", "n@2"]))
        log += [
            e._replace(expires_at=ends)
            for e in grant(person, who, purpose, [category], at, number=number, notice=version)
        ]
    for number in range(30, 30 + draw(st.integers(0, 2))):
        who = draw(st.sampled_from(["self", "mother", "father", "primary"]))
        log.append(event(person, who, draw(NOES), draw(instants), number=number))
    facts = [NoticeFact("n", 1, 0, material=False)]
    facts.append(NoticeFact("n", 2, START + draw(st.integers(0, 12)) * DAY, material=draw(st.booleans())))
    return log, ask(person, purpose, category, now=START + draw(st.integers(0, 12)) * DAY), facts


@settings(max_examples=250, deadline=None, database=None)
@given(scheduled(), st.lists(st.integers(0, 1000), min_size=3, max_size=3))
def test_d4_nothing_but_a_new_event_changes_the_answer_before_it_says(
    situation: tuple[list[Event], Question, list[NoticeFact]], thousandths: list[int]
) -> None:
    log, question, facts = situation
    published = by_id(facts)
    answer = standing(log, question, BOOK, published)
    span = (answer.valid_until or question.now + 2000 * DAY) - 1 - question.now
    assert span >= 0
    for share in [*thousandths, 1000]:
        then = standing(log, question._replace(now=question.now + span * share // 1000), BOOK, published)
        assert (then.permits, then.reason, then.duties) == (answer.permits, answer.reason, answer.duties)


@directed
@given(st.data(), scheduled(), st.integers(-1, 12))
def test_d2_what_was_recorded_later_was_not_known_then(
    data: st.DataObject, situation: tuple[list[Event], Question, list[NoticeFact]], day: int
) -> None:
    log, question, facts = situation
    log = [e._replace(recorded_at=e.occurred_at + data.draw(st.integers(0, 4)) * DAY) for e in log]
    known = START + day * DAY
    then = question._replace(now=known, known_at=known)
    known_then = [e for e in log if e.recorded_at <= known]
    assert standing(log, then, BOOK, by_id(facts)) == standing(known_then, then, BOOK, by_id(facts))


@directed
@given(st.integers(0, 3), st.integers(-1, 3))
def test_t6_what_opens_counts_once_it_is_recorded_and_what_claims_the_future_never(
    lag: int, day: int
) -> None:
    log = [
        e._replace(recorded_at=e.occurred_at + lag * DAY)
        for e in grant("adult", "self", *SMS[:1], ["outreach.sms"], START)
    ]
    now = START + day * DAY + 2 * MINUTE
    assert standing(log, ask("adult", *SMS, now=now), BOOK).permits is (day >= lag)
    for third in range(3):
        forged = [*log]
        forged[third] = forged[third]._replace(recorded_at=forged[third].occurred_at - 1)
        assert standing(forged, ask("adult", *SMS, now=NOW), BOOK).permits is False
