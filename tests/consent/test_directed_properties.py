"""One generator for each rule: it builds the very logs that would tell if the rule were broken.

Random logs almost never contain the dangerous one, so each log here is one complete grant and the one
disturbance that its rule speaks of. What is expected is worked out beside the test, from its own literals.
"""

from __future__ import annotations

from consent_story import DAY, MINUTE, START, actor_of, book_of_rules, event, grant
from hypothesis import given, settings
from hypothesis import strategies as st
from test_standing_properties import NOW, ask, by_consent, logs, rightful

from consent.events import EventKind
from consent.rules import standing, standings
from consent.superseding import NoticeFact, by_id
from policies.reasons import Reason

BOOK = book_of_rules()
directed = settings(max_examples=80, deadline=None, database=None)
HEALTH = ("service.health", "health.record")
SMS = ("marketing.direct", "outreach.sms")
NOES = st.sampled_from(["refused", "withdrawn", "revoked", "objected", "restricted", "of_a_later_version"])


@directed
@given(st.data(), st.sampled_from(["adult", "teen", "child"]))
def test_p3_several_categories_are_answered_as_each_alone(data: st.DataObject, person: str) -> None:
    log = data.draw(logs(person, *SMS))
    words = ["outreach.sms", "health.record", "content.history", "finance.account", "comms.messages"]
    asks = [ask(person, "marketing.direct", word) for word in words]
    assert standings(log, asks, BOOK) == [standing(log, one, BOOK) for one in asks]


@directed
@given(st.data(), st.sampled_from(["adult", "teen", "child"]))
def test_p6_a_grant_for_another_purpose_or_controller_permits_nothing_here(
    data: st.DataObject, person: str
) -> None:
    log = data.draw(logs(person, *HEALTH))
    elsewhere = data.draw(
        st.sampled_from(
            [
                {"purpose": "family.care"},
                {"purpose": "service"},
                {"recipient": "partner"},
                {"recipient": "@us"},
            ]
        )
    )
    who = "mother" if person == "child" else "self"
    more = [
        e._replace(**elsewhere)
        for e in grant(person, who, *HEALTH[:1], ["health.record"], NOW - DAY, number=80)
    ]
    question = ask(person, *HEALTH)
    assert standing([*log, *more], question, BOOK).permits is standing(log, question, BOOK).permits


@directed
@given(
    st.sampled_from(
        ["service.household", "service.delivery", "service.health", "marketing.direct", "analytics.usage"]
    ),
    st.sets(
        st.sampled_from(["household", "contact.address", "identity", "location.precise", "content.history"]),
        min_size=1,
    ),
    st.sampled_from(["", "partner"]),
    st.sampled_from(["adult", "teen", "child"]),
)
def test_d7_a_primary_account_agrees_to_basic_data_for_the_service_only(
    purpose: str, words: set[str], recipient: str, person: str
) -> None:
    log = [event(person, "primary", EventKind.JOINED, START, viewer="hh_home")]
    log += grant(person, "primary", purpose, words, START + DAY, number=1, recipient=recipient)
    mild = words <= {"household", "contact.address", "identity"}
    service = purpose in {"service.household", "service.delivery"}
    for word in words:
        answer = standing(log, ask(person, purpose, word, recipient=recipient), BOOK)
        may = mild and service and not recipient and person != "child"
        assert by_consent(answer) is may or answer.reason is Reason.LEGAL_BASIS


@directed
@given(
    st.sampled_from(["self", "primary", "father"]),
    st.sampled_from(["", "hh_home", "hh_other"]),
    st.integers(-2, 2),
    st.integers(-1, 1),
)
def test_d10_what_the_primary_account_agreed_to_ends_with_the_household(
    who: str, left: str, day: int, joined: int
) -> None:
    log = [event("adult", "primary", EventKind.JOINED, START + joined * MINUTE, viewer="hh_home")]
    log += grant("adult", "primary", "service.household", ["household"], START, number=1)
    capacity = {"capacity": "primary"} if who == "father" else {}  # the other primary account's leaving
    log.append(event("adult", who, EventKind.LEFT, START + day * DAY, number=2, viewer=left, **capacity))
    ended = left != "hh_other" and who != "father" and day * DAY >= joined * MINUTE
    permits = standing(log, ask("adult", "service.household", "household"), BOOK).permits
    assert permits is (joined <= 0 and not ended)


@directed
@given(NOES, st.integers(-1, 2 * MINUTE), st.sampled_from(["adult", "teen", "child"]), st.booleans())
def test_d9_a_no_at_the_instant_of_the_tick_or_later_wins_and_no_late_code_revives(
    kind: str, after: int, person: str, late_code: bool
) -> None:
    who = "mother" if person == "child" else "self"
    log = rightful(person, *HEALTH)
    if late_code:
        log[-1] = log[-1]._replace(occurred_at=START + DAY + 5 * MINUTE, recorded_at=START + DAY + 5 * MINUTE)
    log.append(event(person, who, kind, START + DAY + after, number=9))
    assert standing(log, ask(person, *HEALTH), BOOK).permits is (after < 0)


@directed
@given(
    st.lists(st.tuples(st.sampled_from(["mother", "father"]), st.booleans()), min_size=1, max_size=6),
    st.sampled_from(["", "mother", "father"]),
    st.integers(0, 6),
)
def test_c4_guardians_must_not_disagree(says: list[tuple[str, bool]], leaves: str, when: int) -> None:
    log = [
        event("child", who, EventKind.GUARDIAN_LINKED, START, number=n)
        for n, who in enumerate(["mother", "father"])
    ]
    for number, (who, yes) in enumerate(says):
        at = START + (2 * number + 1) * DAY // 2
        if yes:
            log += grant("child", who, *HEALTH[:1], ["health.record"], at, number=10 + number)
        else:
            log.append(
                event("child", who, EventKind.REFUSED, at, number=10 + number, purpose="service.health")
            )
    if leaves:
        log.append(event("child", leaves, EventKind.GUARDIAN_ENDED, START + when * DAY, number=50))
    remaining = {"mother", "father"} - {leaves}
    last_no = max((n for n, (_, yes) in enumerate(says) if not yes), default=-1)
    yes_after = {who for n, (who, yes) in enumerate(says) if yes and n > last_no and who in remaining}
    refusers = {who for who, yes in says if not yes} & remaining
    expected = bool(yes_after) and all(_spoke_last(says, who) or yes_after == {who} for who in refusers)
    assert standing(log, ask("child", *HEALTH), BOOK).permits is expected


def _spoke_last(says: list[tuple[str, bool]], who: str) -> bool:
    return [yes for one, yes in says if one == who][-1]


@directed
@given(
    st.sampled_from(["teen", "almost_18", "adult", "child"]),
    st.sets(st.sampled_from(["self", "mother", "father", "primary"])),
    st.sampled_from(["", "self", "mother", "father", "primary"]),
    st.sampled_from(["finance.account", "finance"]),
)
def test_g4_finance_needs_both_from_fourteen_to_seventeen(
    person: str, agree: set[str], denies: str, category: str
) -> None:
    log = [
        event(person, "mother", EventKind.GUARDIAN_LINKED, START - DAY),
        event(person, "primary", EventKind.JOINED, START - DAY, viewer="hh_home"),
    ]
    for number, who in enumerate(sorted(agree), start=1):
        log += grant(person, who, "service.household", [category], START, number=number)
    if denies:
        log.append(event(person, denies, EventKind.REVOKED, START + DAY, number=9, purpose="service"))
    # The day before the asking is in the last minute of minority for almost_18.
    now = START + (9 if person == "almost_18" else 20) * DAY
    have = {"self", "mother"} & agree
    wanted = {"adult": {"self"}, "child": {"mother"}}.get(person, {"self", "mother"})
    # Anybody's no counts, but for a primary account's, and for a guardian's over an adult.
    stopped = denies not in ("", "primary") and not (person == "adult" and denies in ("mother", "father"))
    answer = standing(log, ask(person, "service.household", category, now=now), BOOK)
    assert answer.permits is (wanted <= have and not stopped)


@directed
@given(
    st.sets(st.sampled_from(["lab", "press"])),
    st.sampled_from(["", "lab", "press"]),
    st.sampled_from(["", "partner", "@us", "partner@us"]),
    st.sampled_from(["", "partner", "@us", "partner@us", "partner@sg", "other"]),
)
def test_p19_a_permit_covers_the_named_processor_and_the_very_recipient(
    named: set[str], processor: str, granted: str, asked: str
) -> None:
    published = by_id([NoticeFact("n", 1, 0, material=True, sha256="00", processors=frozenset(named))])
    log = grant("adult", "self", *SMS[:1], ["outreach.sms"], START, recipient=granted)
    question = ask("adult", *SMS, recipient=asked, processor=processor)
    answer = standing(log, question, BOOK, published)
    assert answer.permits is (granted == asked and (not processor or processor in named))
    abroad = {("", "@us"), ("partner", "partner@us"), ("partner", "partner@sg"), ("partner@us", "partner@sg")}
    assert (answer.reason is Reason.CROSS_BORDER_NOT_COVERED) is ((granted, asked) in abroad)


@directed
@given(
    st.sampled_from(["", "partner", "@us", "partner@us", "other", "@sg"]),
    st.sampled_from(["", "partner", "@us", "partner@us"]),
)
def test_c3_a_no_towards_a_recipient_reaches_what_it_names_and_nothing_else(denied: str, asked: str) -> None:
    log = grant("adult", "self", *SMS[:1], ["outreach.sms"], START, recipient=asked)
    log.append(event("adult", "self", EventKind.WITHDRAWN, START + DAY, number=9, recipient=denied))
    reached = {"": {"", "partner", "@us", "partner@us"}, "partner": {"partner", "partner@us"}}
    reached |= {"@us": {"@us", "partner@us"}, "partner@us": {"partner@us"}, "other": set(), "@sg": set()}
    permits = standing(log, ask("adult", *SMS, recipient=asked), BOOK).permits
    assert permits is (asked not in reached[denied])


@directed
@given(
    st.sampled_from(["refused", "withdrawn", "revoked", "objected", "restricted", "of_a_later_version"]),
    st.sampled_from(["self", "primary", "service"]),
    st.sampled_from(
        [
            ("service.delivery", "contact.address"),
            ("care.complaint", "purchase.history"),
            ("security.fraud", "contact.phone"),
        ]
    ),
    st.sampled_from(["", "contact", "contact.phone", "purchase"]),
)
def test_c7_an_objection_ends_what_rests_on_a_contract_and_not_what_the_law_commands(
    kind: str, who: str, row: tuple[str, str], word: str
) -> None:
    purpose, category = row
    words = frozenset({word} - {""})
    log = [event("adult", who, kind, START, purpose=purpose.split(".")[0], categories=words)]
    answer = standing(log, ask("adult", purpose, category), BOOK)
    about_consent = kind in {"refused", "withdrawn", "revoked"}
    reaches = not word or category == word or category.startswith(f"{word}.")
    ended = reaches and not about_consent and who != "primary" and purpose != "security.fraud"
    assert answer.permits is not ended


@directed
@given(
    st.sampled_from(["self", "mother", "primary"]),
    st.sampled_from(["self", "mother", "primary"]),
    st.sampled_from(["child", "teen", "adult"]),
    st.sampled_from(["mem_mother", "mem_father", "mem_primary", "svc_x"]),
)
def test_c6_only_the_person_or_whoever_hid_it_shows_it_again(
    hides: str, shows: str, person: str, viewer: str
) -> None:
    words = frozenset({"content"})
    log = [
        event(person, "mother", EventKind.GUARDIAN_LINKED, START),
        event(person, hides, EventKind.HIDDEN, START + DAY, number=1, categories=words),
        event(person, shows, EventKind.UNHIDDEN, START + 2 * DAY, number=2, categories=words),
    ]
    answer = standing(log, ask(person, "analytics.usage", "content.history", viewer=viewer), BOOK)
    seen = shows in ("self", hides) or (person == "child" and viewer == actor_of("mother", person))
    assert (answer.reason is Reason.NOT_AVAILABLE) is not seen


@directed
@given(
    st.sets(
        st.sampled_from(["health.record", "location.precise", "contact.phone", "content.history"]), min_size=1
    ),
    st.sampled_from(["adult", "child"]),
    st.sampled_from(["analytics.usage", "publish.story"]),
    st.sampled_from(["", "partner"]),
)
def test_g2_what_must_be_agreed_to_separately_mixes_no_tiers(
    words: set[str], person: str, purpose: str, recipient: str
) -> None:
    log = [event(person, "mother", EventKind.GUARDIAN_LINKED, START)]
    who = "mother" if person == "child" else "self"
    log += grant(person, who, purpose, words, START + DAY, number=1, recipient=recipient)
    tiers = {
        "health.record": "grave",
        "location.precise": "grave",
        "contact.phone": "basic",
        "content.history": "own",
    }
    alike = person == "child" or len({tiers[word] for word in words}) == 1
    for word in words:
        alone = purpose == "publish.story" or recipient or tiers[word] == "grave" or person == "child"
        answer = standing(log, ask(person, purpose, word, recipient=recipient), BOOK)
        assert answer.permits is (alike or not alone)


def test_the_grant_that_every_log_is_seeded_with_is_a_permit() -> None:
    for person in ("adult", "teen", "child"):
        assert standing(rightful(person, *HEALTH), ask(person, *HEALTH), BOOK).permits is True
