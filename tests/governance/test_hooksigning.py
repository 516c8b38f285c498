"""Signatures as the Standard Webhooks specification computes them, and when an attempt is made again."""

from __future__ import annotations

import base64

import pytest

from governance import hooksigning, retrying

# The worked example of the specification's own libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
EXAMPLE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_published_example_comes_out_as_published() -> None:
    got = hooksigning.headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330_999, b'{"test": 2432232314}', [SECRET]
    )
    assert got == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": EXAMPLE,
    }


def test_two_secrets_give_two_signatures_newest_first() -> None:
    new = hooksigning.new_secret()
    both = hooksigning.headers("evt_1", 1_000, b"{}", [new, SECRET])["webhook-signature"].split(" ")
    alone = [hooksigning.headers("evt_1", 1_000, b"{}", [one])["webhook-signature"] for one in (new, SECRET)]
    assert both == alone


def test_a_secret_has_the_published_form_and_length() -> None:
    made = hooksigning.new_secret()
    assert made.startswith("whsec_")
    assert len(base64.b64decode(made.removeprefix("whsec_"), validate=True)) == 32
    assert made != hooksigning.new_secret()


@pytest.mark.parametrize(
    ("result", "arrived", "gone", "address"),
    [
        ("200", True, False, True),
        ("204", True, False, True),
        ("301", False, False, True),
        ("400", False, False, False),
        ("404", False, False, False),
        ("410", False, True, False),
        ("408", False, False, True),
        ("429", False, False, True),
        ("500", False, False, True),
        ("timeout", False, False, True),
        ("forbidden_address", False, False, True),
    ],
)
def test_what_an_answer_means(result: str, arrived: bool, gone: bool, address: bool) -> None:
    assert retrying.acknowledged(result) is arrived
    assert retrying.gone(result) is gone
    if not arrived:
        assert retrying.troubles_address(result) is address


def test_waits_grow_spread_and_end() -> None:
    waits = [retrying.next_attempt(failures, 0, 0.5) for failures in range(1, 10)]
    assert waits == [1000 * seconds for seconds in retrying.AFTER_S]
    assert retrying.next_attempt(10, 0, 0.5) is None
    assert (retrying.next_attempt(1, 0, 0.0), retrying.next_attempt(1, 0, 1.0)) == (4_000, 6_000)
    assert retrying.resume(1_000, 0, 0.5) == 1000 * retrying.LONGEST_PAUSE_S
