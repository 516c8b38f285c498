"""One consent in a list: until when it lasts, since when it is denied, what leaves nothing to confirm."""

from __future__ import annotations

import pytest
from consent_story import BIRTHS, DAY, MINUTE, START, book_of_rules, notices, story

from consent.listing import consents_in
from consent.outcome import as_it_stands, is_closed, noes_to
from policies.reasons import Reason

BOOK = book_of_rules()
TICK = "0 self ticks marketing.direct outreach.sms outreach.email"
CONSENT = TICK.replace("ticks", "consents")
GIVEN = START + MINUTE


def listed(
    lines: list[str], at: int = 5, published: tuple[str, ...] = ()
) -> tuple[int | None, int | None, Reason]:
    events = story("adult", lines)
    consent = consents_in(events)[0]
    seen, reason = as_it_stands(events, consent, BIRTHS["adult"], START + at * DAY, BOOK, notices(published))
    return seen.expires_at, seen.withdrawn_at, reason


def test_a_consent_is_listed_with_the_instant_it_runs_out() -> None:
    assert listed([CONSENT]) == (GIVEN + 365 * DAY, None, Reason.CONSENT_GIVEN)
    assert listed(["0 self consents service.health health.record"])[0] == GIVEN + 180 * DAY
    assert listed([CONSENT], 400) == (GIVEN + 365 * DAY, None, Reason.EXPIRED)


def test_a_notice_that_will_end_it_is_its_end() -> None:
    published = ("n@1 0", "n@2 50 material")
    assert listed([CONSENT], published=published) == (START + 50 * DAY, None, Reason.CONSENT_GIVEN)


def test_a_tick_without_its_code_has_no_end_yet() -> None:
    assert listed([TICK]) == (None, None, Reason.UNCONFIRMED)


@pytest.mark.parametrize(
    ("no", "reason"),
    [
        ("withdraws everything", Reason.WITHDRAWN),
        ("withdraws marketing", Reason.WITHDRAWN),
        ("refuses marketing.direct", Reason.REFUSED_BY_PERSON),
        ("objects marketing.direct", Reason.OBJECTED),
        ("restricts marketing.direct", Reason.RESTRICTED),
        ("invents marketing.direct", Reason.FACTS_UNAVAILABLE),
    ],
)
def test_a_no_that_names_no_consent_is_listed_with_the_instant_of_the_first(no: str, reason: Reason) -> None:
    for yes in (CONSENT, TICK):
        assert listed([yes, f"2 self {no}", f"3 self {no}"])[1:] == (START + 2 * DAY, reason)


def test_a_no_to_something_else_is_not_listed() -> None:
    assert listed([CONSENT, "2 self withdraws service.health"])[1:] == (None, Reason.CONSENT_GIVEN)
    assert listed(["0 self refuses marketing", CONSENT.replace("0", "1")])[1] is None


def test_a_purpose_that_the_rules_dropped_leaves_the_consent_as_it_was_given() -> None:
    events = story("adult", ["0 self consents marketing.psychic outreach.sms"])
    consent = consents_in(events)[0]
    assert as_it_stands(events, consent, BIRTHS["adult"], START, BOOK) == (consent, Reason.UNKNOWN_PURPOSE)
    no = events[1]._replace(kind="withdrawn", event_id="evt_no")
    assert noes_to((*events, no), consent, BIRTHS["adult"], START, BOOK) == [no]


@pytest.mark.parametrize(
    ("said", "closed"),
    [
        ("0+1m self withdraws everything", True),
        ("0 self refuses marketing.direct", True),  # in the very instant of the tick
        ("0+1m self defers marketing.direct", True),
        ("0+1m self withdraws marketing.direct outreach.sms", False),  # the mail is still open
        ("0+1m self withdraws service", False),
        ("0+1m primary defers marketing.direct", False),
        ("0+1m primary withdraws marketing.direct", False),
        ("0-1ms self withdraws everything", False),
    ],
)
def test_a_no_since_the_tick_leaves_nothing_to_confirm(said: str, *, closed: bool) -> None:
    events = story("adult", [TICK, said])
    consent = consents_in(events)[0]
    assert is_closed(events, consent, BIRTHS["adult"], START + MINUTE, BOOK) is closed


def test_a_tick_from_a_clock_that_is_ahead_is_closed_by_a_no_only() -> None:
    events = story("adult", ["1 self ticks marketing.direct outreach.sms"])
    consent = consents_in(events)[0]
    assert is_closed(events, consent, BIRTHS["adult"], START, BOOK) is False


@pytest.mark.parametrize(
    ("person", "who", "terms", "counts"),
    [
        ("teen", "mother", "service.health health.record", False),
        ("teen", "self", "service.health health.record", True),
        ("teen", "mother", "service.household finance.account", True),  # both must agree until 18
        ("child", "mother", "service.health health.record", True),
    ],
)
def test_a_guardians_no_to_a_consent_counts_until_14_or_where_both_must_agree(
    person: str, who: str, terms: str, *, counts: bool
) -> None:
    events = story(person, ["0 mother becomes_guardian", f"0 self consents {terms}"])
    tick = events[2]
    said = story(person, [f"1 {who} revokes {terms}"])[0]._replace(consent_id=tick.consent_id)
    consent = consents_in(events)[0]
    found = noes_to((*events, said), consent, BIRTHS[person], START + 2 * DAY, BOOK)
    assert found == ([said] if counts else [])
