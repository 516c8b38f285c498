"""One-time codes on both engines: short-lived, single use, five guesses, and nothing to learn from a no."""

from __future__ import annotations

import hmac
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from consent_story import MINUTE, NOTICE, START, book_of_rules
from sqlalchemy import select

from consent import registry
from consent.confirmation import Confirmed, NotConfirmed, answer, open_challenge
from consent.events import Capacity
from consent.listing import Consent, Terms
from consent.outbox import CodeMessage, DevelopmentOutbox
from consent.records import ConsentChallenge
from consent.registry import Actor
from governance.database import Database

LIMITS = book_of_rules().limits
PEPPER = b"p" * 32
MEI = "mem_adult"
MARKETING = Terms("marketing.direct", frozenset({"outreach.sms"}), "", NOTICE)
HEALTH = Terms("service.health", frozenset({"health.record"}), "", NOTICE)
_CHALLENGES = select(*ConsentChallenge.__table__.c)


def ticked(
    database: Database, terms: Terms = MARKETING, capacity: Capacity = Capacity.SELF
) -> tuple[Consent, str]:
    with database.transaction() as tx:
        actor = Actor(MEI if capacity is Capacity.SELF else "mem_mother", capacity, {})
        consent_id = registry.serve_and_tick(tx, MEI, terms, actor, START)
        consent = registry.consent_of(tx, consent_id)
        assert consent is not None
        code = open_challenge(tx, consent, LIMITS, PEPPER)
        assert code is not None
        tx.commit()
    return consent, code


def tried(
    database: Database,
    consent_id: str,
    code: str,
    *,
    actor: str = MEI,
    now: int = START + MINUTE,
    pepper: bytes = PEPPER,
) -> Confirmed | NotConfirmed:
    with database.transaction() as tx:
        result = answer(tx, consent_id, actor, code, limits=LIMITS, pepper=pepper, now=now)
        tx.commit()
    return result


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10 ** len(code):0{len(code)}d}"


def test_the_right_code_confirms_once(database: Database) -> None:
    consent, code = ticked(database)
    assert tried(database, consent.consent_id, code) == Confirmed(consent.consent_id, MEI, MEI)
    assert tried(database, consent.consent_id, code) == NotConfirmed()


@pytest.mark.parametrize(
    ("terms", "capacity", "length"),
    [(MARKETING, Capacity.SELF, 6), (MARKETING, Capacity.GUARDIAN, 8), (HEALTH, Capacity.SELF, 8)],
)
def test_codes_are_longer_where_more_is_at_stake(
    database: Database, terms: Terms, capacity: Capacity, length: int
) -> None:
    _, code = ticked(database, terms, capacity)
    assert len(code) == length
    assert code.isascii()
    assert code.isdigit()


def test_every_no_is_the_same_no(database: Database) -> None:
    consent, code = ticked(database)
    other, _ = ticked(database)
    nos = [
        tried(database, consent.consent_id, wrong(code)),
        tried(database, consent.consent_id, ""),
        tried(database, consent.consent_id, code, actor="mem_father"),
        tried(database, consent.consent_id, code, pepper=b"q" * 32),
        tried(database, consent.consent_id, code, now=START + 10 * MINUTE),
        tried(database, "con_nobody", code),
    ]
    if code != _:
        nos.append(tried(database, other.consent_id, code))
    assert {repr(no) for no in nos} == {"NotConfirmed()"}
    assert isinstance(tried(database, consent.consent_id, code, now=START + 10 * MINUTE - 1), Confirmed)


def test_after_five_wrong_guesses_the_right_code_is_wrong(database: Database) -> None:
    consent, code = ticked(database)
    for _ in range(5):
        assert tried(database, consent.consent_id, wrong(code)) == NotConfirmed()
    assert tried(database, consent.consent_id, code) == NotConfirmed()


def test_the_fifth_guess_may_still_be_right(database: Database) -> None:
    consent, code = ticked(database)
    for _ in range(4):
        tried(database, consent.consent_id, wrong(code))
    assert isinstance(tried(database, consent.consent_id, code), Confirmed)


def test_fifty_parallel_guesses_are_exactly_five_comparisons(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    consent, code = ticked(database)
    compared: list[int] = []
    compare = hmac.compare_digest

    def counting(one: str, other: str) -> bool:
        compared.append(threading.get_ident())
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", counting)
    with ThreadPoolExecutor(10) as pool:
        guesses = [pool.submit(tried, database, consent.consent_id, wrong(code)) for _ in range(50)]
        results = {type(guess.result()) for guess in guesses}
    monkeypatch.undo()
    assert results == {NotConfirmed}
    assert len(compared) == 5


def test_of_parallel_right_answers_one_confirms(database: Database) -> None:
    consent, code = ticked(database)
    with ThreadPoolExecutor(5) as pool:
        answers = [pool.submit(tried, database, consent.consent_id, code) for _ in range(5)]
        results = [type(one.result()) for one in answers]
    assert sorted(kind.__name__ for kind in results) == ["Confirmed", *["NotConfirmed"] * 4]


def test_a_code_sent_again_replaces_the_first_and_gives_no_more_tries(database: Database) -> None:
    consent, first = ticked(database)
    for _ in range(4):
        tried(database, consent.consent_id, wrong(first))
    with database.transaction() as tx:
        second = open_challenge(tx, consent, LIMITS, PEPPER)
        tx.commit()
    assert second is not None
    if first != second:
        assert tried(database, consent.consent_id, first) == NotConfirmed()
        assert tried(database, consent.consent_id, second) == NotConfirmed()
    with database.transaction() as tx:
        rows = tx.rows(_CHALLENGES)
    assert rows[0][4] == START + 10 * MINUTE


def test_a_used_code_is_not_sent_again(database: Database) -> None:
    consent, code = ticked(database)
    tried(database, consent.consent_id, code)
    with database.transaction() as tx:
        assert open_challenge(tx, consent, LIMITS, PEPPER) is None


def test_only_a_mac_is_stored_and_it_binds_the_terms(database: Database) -> None:
    consent, code = ticked(database)
    with database.reading() as tx:
        (row,) = tx.rows(_CHALLENGES)
    assert all(code not in str(column) for column in row[2:3])
    assert len(row[2]) == 64
    assert "marketing.direct" in row[6]
    with database.transaction() as tx:  # an insider widens what the code is for
        changed = row[6].replace("outreach.sms", "outreach.email")
        table = ConsentChallenge.__table__
        tx.run(table.update().values(bound=changed), {})
        tx.commit()
    assert tried(database, consent.consent_id, code) == NotConfirmed()


def test_a_mac_copied_from_another_consent_confirms_nothing(database: Database) -> None:
    consent, code = ticked(database)
    other, _ = ticked(database)
    table = ConsentChallenge.__table__
    with database.transaction() as tx:
        macs = {row[0]: row[2] for row in tx.rows(_CHALLENGES)}
        tx.run(table.update().values(code_hmac=macs[consent.consent_id]), {})
        tx.commit()
    assert tried(database, other.consent_id, code) == NotConfirmed()
    assert isinstance(tried(database, consent.consent_id, code), Confirmed)


def test_the_development_outbox_shows_codes_and_prints_none() -> None:
    outbox = DevelopmentOutbox()
    for number in range(3):
        outbox.send(CodeMessage(MEI, f"con_{number}", f"00000{number}"))
    assert [message.code for message in outbox.messages()] == ["000002", "000001", "000000"]
    assert "000002" not in repr(outbox.messages())
