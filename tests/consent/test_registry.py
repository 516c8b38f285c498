"""The registry on both engines: what is recorded is what is read, and a withdrawal always gets through."""

from __future__ import annotations

import pytest
from consent_story import BIRTHS, DAY, MINUTE, NOTICE, START, book_of_rules, event, grant
from sqlalchemy import text

from consent import eventlog, registry, ties
from consent.confirmation import Confirmed
from consent.events import Capacity, EventKind
from consent.listing import Terms
from consent.prompting import quiet_until
from consent.registry import Actor, SubjectClosedError, UnknownConsentError
from consent.rules import Question, hidden, standing
from governance.database import ConflictError, Database, StoreError
from policies.reasons import Reason

BOOK = book_of_rules()
MEI, BAO = "mem_adult", "mem_child"
MARKETING = Terms("marketing.direct", frozenset({"outreach.sms", "outreach.email"}), "", NOTICE)
HEALTH = Terms("service.health", frozenset({"health.record"}), "", NOTICE)
SELF = Actor(MEI, Capacity.SELF, {"channel": "app"})
MOTHER = Actor("mem_mother", Capacity.GUARDIAN, {})


def consented(database: Database, subject: str = MEI, terms: Terms = MARKETING, actor: Actor = SELF) -> str:
    with database.transaction() as tx:
        consent_id = registry.serve_and_tick(tx, subject, terms, actor, START)
        registry.confirm(tx, Confirmed(consent_id, subject, actor.id), START + MINUTE)
        tx.commit()
    return consent_id


def reason_now(database: Database, subject: str, terms: Terms, now: int) -> Reason:
    birth = BIRTHS[subject.removeprefix("mem_")]
    with database.reading() as tx:
        events = eventlog.events_of(tx, [subject])[subject]
    category = min(terms.categories)
    return standing(events, Question(subject, terms.purpose, category, "", "svc_x", now, birth), BOOK).reason


def test_events_come_back_as_they_were_recorded(database: Database) -> None:
    mine = grant("adult", "self", "marketing.direct", ["outreach.sms", "outreach.email"], START, number=1)
    mine.append(event("adult", "self", EventKind.HIDDEN, START, viewer="mem_father", number=2))
    mine[1] = mine[1]._replace(expires_at=START + DAY, evidence='{"channel":"应用"}')
    other = grant("teen", "self", "service.health", ["health.record"], START, number=3)
    with database.transaction() as tx:
        assert eventlog.record(tx, *mine) == 4
        assert eventlog.record(tx, *other) == 3
        tx.commit()
    with database.reading() as tx:
        found = eventlog.events_of(tx, ["mem_teen", "mem_adult", "mem_nobody"])
    assert found == {"mem_adult": tuple(mine), "mem_teen": tuple(other), "mem_nobody": ()}


def test_asking_for_nobody_asks_nothing(database: Database) -> None:
    with database.reading() as tx:
        assert eventlog.events_of(tx, []) == {}


def test_an_event_delivered_twice_is_recorded_once(database: Database) -> None:
    once = grant("adult", "self", "marketing.direct", ["outreach.sms"], START)
    with database.transaction() as tx:
        assert eventlog.record(tx, *once) == 3
        assert eventlog.record(tx, once[0], *once) == 0
        later = event("adult", "self", EventKind.WITHDRAWN, START + DAY, number=8)
        assert eventlog.record(tx, *once, later, later) == 1
        tx.commit()
    with database.reading() as tx:
        assert eventlog.events_of(tx, [MEI])[MEI] == (*once, later)


def test_one_call_records_one_persons_events(database: Database) -> None:
    mixed = [event("adult", "self", "refused", START), event("teen", "self", "refused", START)]
    with database.transaction() as tx, pytest.raises(ValueError, match="one subject"):
        eventlog.record(tx, *mixed)


def test_tick_and_code_make_a_consent(database: Database) -> None:
    with database.transaction() as tx:
        consent_id = registry.serve_and_tick(tx, MEI, MARKETING, SELF, START)
        tx.commit()
    assert reason_now(database, MEI, MARKETING, START + 1) is Reason.UNCONFIRMED
    with database.transaction() as tx:
        consent = registry.confirm(tx, Confirmed(consent_id, MEI, MEI), START + MINUTE)
        tx.commit()
    assert (consent.terms, consent.ticked_at, consent.confirmed_at) == (MARKETING, START, START + MINUTE)
    assert reason_now(database, MEI, MARKETING, START + MINUTE) is Reason.CONSENT_GIVEN
    with database.reading() as tx:
        assert registry.consent_of(tx, consent_id) == consent
        assert registry.consent_of(tx, "con_nobody") is None


def test_a_consent_without_a_notice_is_not_recorded(database: Database) -> None:
    with database.transaction() as tx, pytest.raises(ValueError, match="notice"):
        registry.serve_and_tick(
            tx, MEI, Terms("marketing.direct", frozenset({"outreach.sms"}), "", ""), SELF, START
        )


def test_withdrawing_takes_one_call_and_the_first_instant_stays(database: Database) -> None:
    consent_id = consented(database)
    with database.transaction() as tx:
        assert registry.withdraw(tx, MEI, consent_id, SELF, START + DAY) == START + DAY
        assert registry.withdraw(tx, MEI, consent_id, SELF, START + 2 * DAY - 1) == START + DAY
        tx.commit()
    with database.reading() as tx:
        events = eventlog.events_of(tx, [MEI])[MEI]
        listed = registry.consents_of(tx, MEI, BIRTHS["adult"], START + 3 * DAY, BOOK)
    assert [e.kind for e in events] == ["served", "ticked", "confirmed", "withdrawn"]
    assert [(one.consent_id, one.withdrawn_at, state) for one, state in listed] == [
        (consent_id, START + DAY, Reason.WITHDRAWN)
    ]


def test_a_withdrawal_is_accepted_when_unconfirmed_expired_or_erased(database: Database) -> None:
    with database.transaction() as tx:
        unconfirmed = registry.serve_and_tick(tx, MEI, HEALTH, SELF, START)
        registry.withdraw(tx, MEI, unconfirmed, SELF, START + 1)
        expired = registry.serve_and_tick(tx, MEI, HEALTH, SELF, START + 2)
        registry.withdraw(tx, MEI, expired, SELF, START + 900 * DAY)
        closed = registry.serve_and_tick(tx, MEI, HEALTH, SELF, START + 900 * DAY)
        registry.erase(tx, MEI, Actor("svc_x", Capacity.SERVICE, {}), START + 901 * DAY)
        registry.withdraw(tx, MEI, closed, SELF, START + 902 * DAY)
        with pytest.raises(SubjectClosedError):
            registry.serve_and_tick(tx, MEI, HEALTH, SELF, START + 903 * DAY)
        tx.commit()
    with database.reading() as tx:
        withdrawn = [one.withdrawn_at for one, _ in registry.consents_of(tx, MEI, None, START, BOOK)]
    assert withdrawn == [START + 1, START + 900 * DAY, START + 902 * DAY]


def test_a_withdrawal_beats_the_tick_even_when_its_clock_lags(database: Database) -> None:
    consent_id = consented(database)
    with database.transaction() as tx:
        assert registry.withdraw(tx, MEI, consent_id, SELF, START - MINUTE) == START + MINUTE
        tx.commit()
    assert reason_now(database, MEI, MARKETING, START + 2 * MINUTE) is Reason.WITHDRAWN


def test_a_guardians_idle_revocation_does_not_swallow_the_persons_own(database: Database) -> None:
    teen = Actor("mem_teen", Capacity.SELF, {})
    consent_id = consented(database, "mem_teen", HEALTH, teen)
    with database.transaction() as tx:
        ties.link_guardian(tx, "mem_teen", "mem_mother", {}, START)
        registry.withdraw(tx, "mem_teen", consent_id, MOTHER, START + DAY)
        tx.commit()
    assert reason_now(database, "mem_teen", HEALTH, START + 2 * DAY) is Reason.CONSENT_GIVEN
    with database.transaction() as tx:
        registry.withdraw(tx, "mem_teen", consent_id, teen, START + 2 * DAY)
        tx.commit()
    assert reason_now(database, "mem_teen", HEALTH, START + 2 * DAY) is Reason.WITHDRAWN


def test_nobody_withdraws_what_is_not_the_subjects(database: Database) -> None:
    consent_id = consented(database)
    for subject, consent in ((BAO, consent_id), (MEI, "con_nobody"), (MEI, "")):
        with database.transaction() as tx, pytest.raises(UnknownConsentError):
            registry.withdraw(tx, subject, consent, SELF, START + DAY)


def noes(database: Database) -> list[int]:
    with database.reading() as tx:
        return [e.occurred_at for e in eventlog.events_of(tx, [MEI])[MEI] if e.kind == EventKind.WITHDRAWN]


@pytest.mark.parametrize("how", ["by_id", "opt_out"])
def test_a_no_said_again_is_recorded_once_a_day_and_the_first_instant_stays(
    database: Database, how: str
) -> None:
    consent_id = consented(database)
    instants = [START + DAY, START + 29 * DAY, START + 30 * DAY - 1, START + 30 * DAY]
    with database.transaction() as tx:
        for now in instants:
            said = (
                registry.withdraw(tx, MEI, consent_id, SELF, now)
                if how == "by_id"
                else registry.opt_out(tx, MEI, "marketing", SELF, now)
            )
            assert said == START + DAY
        tx.commit()
    assert noes(database) == [START + DAY, START + 29 * DAY, START + 30 * DAY]
    with database.reading() as tx:
        events = eventlog.events_of(tx, [MEI])[MEI]
    quiet = quiet_until(events, MEI, "marketing.direct", START + 31 * DAY, BOOK.limits)
    assert quiet == START + 60 * DAY


def test_an_old_withdrawal_said_again_leaves_what_was_agreed_to_since(database: Database) -> None:
    old = consented(database)
    with database.transaction() as tx:
        registry.withdraw(tx, MEI, old, SELF, START + DAY)
        new = registry.serve_and_tick(tx, MEI, MARKETING, SELF, START + 3 * DAY)
        registry.confirm(tx, Confirmed(new, MEI, MEI), START + 3 * DAY + MINUTE)
        assert registry.withdraw(tx, MEI, old, SELF, START + 9 * DAY) == START + DAY
        tx.commit()
    assert reason_now(database, MEI, MARKETING, START + 9 * DAY) is Reason.CONSENT_GIVEN


def test_an_opt_out_needs_no_consent_id(database: Database) -> None:
    consented(database)
    with database.transaction() as tx:
        registry.opt_out(
            tx, MEI, "marketing", Actor("svc_sms", Capacity.SERVICE, {"text": "TD"}), START + DAY
        )
        tx.commit()
    assert reason_now(database, MEI, MARKETING, START + DAY) is Reason.WITHDRAWN


def test_a_refusal_is_remembered_as_one(database: Database) -> None:
    with database.transaction() as tx:
        registry.refuse(tx, MEI, MARKETING, SELF, START)
        tx.commit()
    assert reason_now(database, MEI, MARKETING, START) is Reason.REFUSED_BY_PERSON


def test_guardianship_begins_and_ends(database: Database) -> None:
    with database.transaction() as tx:
        ties.link_guardian(tx, BAO, "mem_mother", {"document": "hukou"}, START)
        tx.commit()
    consented(database, BAO, HEALTH, MOTHER)
    assert reason_now(database, BAO, HEALTH, START + DAY) is Reason.GUARDIAN_CONSENT
    with database.transaction() as tx:
        ties.end_guardian(tx, BAO, "mem_mother", {}, START + DAY)
        tx.commit()
    assert reason_now(database, BAO, HEALTH, START + DAY) is Reason.NO_AUTHORITY


@pytest.mark.parametrize("leaver", ["member", "primary"])
def test_what_the_primary_account_agreed_to_ends_when_one_of_them_leaves(
    database: Database, leaver: str
) -> None:
    terms = Terms("service.household", frozenset({"household"}), "", NOTICE)
    with database.transaction() as tx:
        ties.link_primary(tx, MEI, "mem_primary", "hh_home", START)
        tx.commit()
    consented(database, MEI, terms, Actor("mem_primary", Capacity.PRIMARY, {}))
    assert reason_now(database, MEI, terms, START + DAY) is Reason.PRIMARY_CONSENT
    with database.transaction() as tx:
        if leaver == "member":
            ties.leave(tx, MEI, "hh_home", START + DAY)
        else:
            ties.end_primary(tx, MEI, "mem_primary", "hh_home", START + DAY)
        tx.commit()
    assert reason_now(database, MEI, terms, START + DAY) is Reason.NO_AUTHORITY


def test_hiding_is_a_switch(database: Database) -> None:
    def is_hidden(now: int) -> bool:
        with database.reading() as tx:
            return hidden(eventlog.events_of(tx, [MEI])[MEI], "content.history", "mem_father", now)

    with database.transaction() as tx:
        registry.hide(tx, MEI, "content", SELF, START, viewer="mem_father")
        tx.commit()
    assert is_hidden(START) is True
    with database.transaction() as tx:
        registry.unhide(tx, MEI, "content", SELF, START + 1, viewer="mem_father")
        tx.commit()
    assert is_hidden(START + 1) is False


def test_the_list_shows_how_each_consent_stands(database: Database) -> None:
    first = consented(database)
    with database.transaction() as tx:
        second = registry.serve_and_tick(tx, MEI, HEALTH, SELF, START + DAY)
        tx.commit()
    with database.reading() as tx:
        listed = registry.consents_of(tx, MEI, BIRTHS["adult"], START + 2 * DAY, BOOK)
        much_later = registry.consents_of(tx, MEI, BIRTHS["adult"], START + 400 * DAY, BOOK)
    assert [(one.consent_id, state) for one, state in listed] == [
        (first, Reason.CONSENT_GIVEN),
        (second, Reason.UNCONFIRMED),
    ]
    assert [state for _, state in much_later] == [Reason.EXPIRED, Reason.UNCONFIRMED]


def test_two_writers_without_the_lock_collide_instead_of_losing_one(database: Database) -> None:
    event_row = eventlog._row(event("adult", "self", "refused", START, number=1), 1)
    twin = eventlog._row(event("adult", "self", "refused", START, number=2), 1)
    with database.transaction() as tx:
        tx.run(eventlog._INSERT, event_row)
        with pytest.raises(ConflictError):
            tx.run(eventlog._INSERT, twin)


@pytest.mark.parametrize("change", ["UPDATE consent_event SET kind = 'served'", "DELETE FROM consent_event"])
def test_the_database_refuses_to_change_an_event(database: Database, change: str) -> None:
    consent_id = consented(database)
    with database.transaction() as tx, pytest.raises(StoreError):
        tx.run(text(change), {})
    with database.reading() as tx:
        assert registry.consent_of(tx, consent_id) is not None
