"""The officers' grammar: one line, one meaning, errors that say where and never what."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from audit_making import DECISION, LI, SERVICE, STAFF, WANG, a_full_entry, a_read
from hypothesis import given
from hypothesis import strategies as st

from audit.entry import Entry, Kind, Verdict
from audit.matching import EVERY, matches, numbers, terms
from audit.search import (
    DOTTED,
    LONGEST,
    MOST_PEOPLE,
    MOST_TERMS,
    NOBODY,
    Fault,
    Qualifier,
    Query,
    SearchError,
    Term,
    parse,
)

MEMBER = "mem_01900000-0000-7000-8000-00000000000a"
OTHER = "mem_01900000-0000-7000-8000-00000000000b"
HOUSE = "hh_01900000-0000-7000-8000-00000000000c"
CONSENT = "con_01900000-0000-7000-8000-000000000004"


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.mark.parametrize(
    ("line", "canonical"),
    [
        ("", ""),
        ("  \u3000 ", ""),
        ("action:read", "action:read"),
        ("action：read", "action:read"),
        ("reason:b reason:a reason:b", "reason:a reason:b"),
        ("reason:a action:read", "action:read reason:a"),
        ("-reason:x decision:deny", "decision:deny -reason:x"),
        ('rule:"lex 7"', 'rule:"lex 7"'),
        ('rule:"lex.7"', "rule:lex.7"),
        (r'rule:"a\"b\\c"', r'rule:"a\"b\\c"'),
        ("request:请求-1", "request:请求-1"),
        ("field:health.*", "field:health.*"),
        ("index:5", "index:>=5 index:<6"),
        ("index:>5 index:<=9", "index:>=6 index:<10"),
        ("index:>=3 index:>=7", "index:>=7"),
        ("created:2026-01-05", "created:>=2026-01-05 created:<2026-01-06"),
        ("created:>2026-01-05", "created:>=2026-01-06"),
        ("created:<=2026-01-05T10:30", "created:<2026-01-05T10:31:00+08:00"),
        ("created:>=2026-01-05T02:00Z", "created:>=2026-01-05T10:00:00+08:00"),
        ("created:>=2026-01-05t02:00:00.25z", "created:>=2026-01-05T10:00:00.250+08:00"),
        ("created:>=2026-01-04T17:00:00+01:00", "created:>=2026-01-05"),
    ],
)
def test_a_line_has_one_canonical_spelling(line: str, canonical: str) -> None:
    assert parse(line).text() == canonical
    assert parse(canonical).text() == canonical


def test_a_date_without_a_zone_is_a_day_in_shanghai() -> None:
    query = parse("created:2026-01-05")
    assert (query.since, query.until) == (at("2026-01-04T16:00:00Z"), at("2026-01-05T16:00:00Z"))


@pytest.mark.parametrize(
    ("line", "fault", "position"),
    [
        ("zhang", Fault.QUALIFIER_MISSING, 0),
        ("action:read zhang", Fault.QUALIFIER_MISSING, 12),
        ("colour:red", Fault.QUALIFIER_UNKNOWN, 0),
        ("-colour:red", Fault.QUALIFIER_UNKNOWN, 1),
        ("Action:read", Fault.QUALIFIER_UNKNOWN, 0),
        ("action:", Fault.VALUE_MISSING, 7),
        ('rule:""', Fault.VALUE_MISSING, 5),
        ('rule:"open', Fault.QUOTE_OPEN, 5),
        (r'rule:"a\n"', Fault.VALUE_UNFIT, 8),
        ('rule:"a"b', Fault.VALUE_UNFIT, 8),
        ("rule:\u202eevil", Fault.UNPRINTABLE, 5),
        ("rule:" + "x" * 129, Fault.VALUE_TOO_LONG, 5),
        ("action:Read", Fault.VALUE_UNFIT, 7),
        ("action:*", Fault.VALUE_UNFIT, 7),
        ("action:co*", Fault.VALUE_UNFIT, 7),
        ("decision:maybe", Fault.VALUE_UNFIT, 9),
        ("kind:thing", Fault.VALUE_UNFIT, 5),
        ("member:zhang", Fault.VALUE_UNFIT, 7),
        (f"member:{HOUSE}", Fault.VALUE_UNFIT, 7),
        (f"consent:{MEMBER}", Fault.VALUE_UNFIT, 8),
        (f"action:{MEMBER}", Fault.VALUE_UNFIT, 7),
        (f"-field:{MEMBER}", Fault.VALUE_UNFIT, 7),
        (f"purpose:{HOUSE}", Fault.VALUE_UNFIT, 8),
        (f"reason:{MEMBER}.*", Fault.VALUE_UNFIT, 7),
        (f"rule:{MEMBER}", Fault.VALUE_UNFIT, 5),
        (f'request:"for {HOUSE}"', Fault.VALUE_UNFIT, 8),
        ("actor:Zhang", Fault.VALUE_UNFIT, 6),
        ("created:yesterday", Fault.NOT_A_TIME, 8),
        ("created:>=2026-02-30", Fault.NOT_A_TIME, 10),
        ("created:>=2026-01-01T25:00", Fault.NOT_A_TIME, 10),
        ("created:9999-01-01", Fault.NOT_A_TIME, 8),
        ("created:1969-12-31", Fault.NOT_A_TIME, 8),
        ("created:２０２６-01-01", Fault.NOT_A_TIME, 8),
        ("index:-1", Fault.NOT_A_NUMBER, 6),
        ("index:01", Fault.NOT_A_NUMBER, 6),
        ("index:9999999999999999", Fault.NOT_A_NUMBER, 6),
        ("-index:1", Fault.CANNOT_EXCLUDE, 0),
        ("-created:2026-01-01", Fault.CANNOT_EXCLUDE, 0),
        ("action:read " * (MOST_TERMS + 1), Fault.TOO_MANY_TERMS, 12 * MOST_TERMS),
        (" " * (LONGEST + 1), Fault.TOO_LONG, LONGEST),
    ],
)
def test_an_error_says_where_and_never_what(line: str, fault: Fault, position: int) -> None:
    with pytest.raises(SearchError) as caught:
        parse(line)
    assert (caught.value.fault, caught.value.position) == (fault, position)
    assert str(caught.value) == f"{fault.value} at {position}"


def test_a_query_names_only_a_few_people() -> None:
    some = [f"member:{number:032x}" for number in range(MOST_PEOPLE + 1)]
    assert parse(" ".join(some[:-1]))
    with pytest.raises(SearchError, match="too_many_people"):
        parse(" ".join(some))


def test_ids_give_way_to_pseudonyms_and_the_unknown_to_nobody() -> None:
    query = parse(f"member:{MEMBER} -household:{HOUSE} actor:{OTHER} actor:{STAFF}")
    assert query.people() == tuple(sorted((MEMBER, HOUSE, OTHER)))
    named = query.naming({MEMBER: WANG, OTHER: LI})
    assert named.people() == ()
    assert named.pseudonyms() == (LI, WANG)
    assert named.text() == (f"actor:{LI.hex()} actor:{STAFF} member:{WANG.hex()} -household:{NOBODY}")
    assert parse(named.text()) == named


def test_an_unknown_person_finds_nothing_and_excludes_nothing() -> None:
    entry = a_full_entry()
    assert not matches(parse(f"member:{MEMBER}").naming({}), entry, 0)
    assert matches(parse(f"-member:{MEMBER}").naming({}), entry, 0)


@pytest.mark.parametrize(
    "line",
    [
        f"actor:{SERVICE}",
        f"actor:{STAFF}",
        f"member:{WANG.hex()}",
        f"member:{LI.hex()} action:read",
        f"household:{b'pseudonym-house-'.hex()}",
        f"household:{WANG.hex()}",
        "field:mobile",
        "purpose:service.delivery",
        "purpose:service.*",
        "decision:permit",
        f"decision:{DECISION}",
        "reason:own_data",
        "reason:masked_by_rule",
        "rule:g40",
        "rule:lex.9",
        f"consent:{CONSENT}",
        "kind:decision",
        "request:请求-1",
        "story:dec_1",
        "action:write action:read",
        "index:12",
        "-action:write -reason:no_consent",
        f"created:>={datetime.fromtimestamp(1_770_000_000, UTC):%Y-%m-%dT%H:%M:%SZ}",
    ],
)
def test_each_qualifier_finds_what_it_is_called_after(line: str) -> None:
    assert matches(parse(line), a_full_entry(), 12)


@pytest.mark.parametrize(
    "line",
    ["action:read.*", "purpose:service.delivery.*", "purpose:serv.*", "action:check", "-decision:permit"],
)
def test_a_wildcard_finds_what_is_below_and_nothing_else(line: str) -> None:
    assert not matches(parse(line), a_full_entry(), 12)


def test_bounds_hold_their_lower_end_and_not_their_upper_one() -> None:
    entry = a_read(0)
    for query, fits in (
        (Query(since=entry.t, until=entry.t + 1), True),
        (Query(since=entry.t + 1), False),
        (Query(until=entry.t), False),
        (Query(first=4, end=5), True),
        (Query(first=5), False),
        (Query(end=4), False),
    ):
        assert matches(query, entry, 4) is fits


WORDS = st.sampled_from(["read", "check.write", "consent.ticked", "consent.code.sent", "no_consent", "a.b"])
VALUES: dict[Qualifier, st.SearchStrategy[str]] = {
    **dict.fromkeys(DOTTED, WORDS | WORDS.map(lambda word: f"{word}.*")),
    Qualifier.ACTOR: st.sampled_from([SERVICE, STAFF, "operator", WANG.hex()]),
    Qualifier.MEMBER: st.sampled_from([WANG.hex(), LI.hex(), NOBODY]),
    Qualifier.HOUSEHOLD: st.sampled_from([WANG.hex(), LI.hex(), NOBODY]),
    Qualifier.DECISION: st.sampled_from([*Verdict, DECISION]).map(str),
    Qualifier.CONSENT: st.just(CONSENT),
    Qualifier.KIND: st.sampled_from(list(Kind)).map(str),
    **dict.fromkeys(
        (Qualifier.RULE, Qualifier.REQUEST, Qualifier.STORY),
        st.text(st.characters(categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=8).filter(
            str.isprintable
        ),
    ),
}


@st.composite
def _terms(draw: Any) -> tuple[Term, ...]:
    names = draw(st.lists(st.sampled_from(list(Qualifier)), unique=True, max_size=3))
    found = [Term(name, tuple(sorted(draw(st.sets(VALUES[name], min_size=1, max_size=3))))) for name in names]
    return tuple(sorted(found, key=lambda term: list(Qualifier).index(term.qualifier)))


BOUND = st.none() | st.integers(0, 4_000_000_000_000)
QUERIES = st.builds(Query, _terms(), _terms(), BOUND, BOUND, BOUND, BOUND)


@given(QUERIES)
def test_a_query_and_its_spelling_are_one_thing(query: Query) -> None:
    assert parse(query.text()) == query


@given(st.text(max_size=80))
def test_any_line_is_a_query_or_an_error_with_a_place_in_it(line: str) -> None:
    def place() -> int:
        try:
            query = parse(line)
        except SearchError as error:
            return error.position
        assert parse(query.text()) == query
        return 0

    assert 0 <= place() <= len(line)


ENTRIES = st.builds(
    lambda base, act, dec, why, subjects, purpose, corr, t: replace(
        base, act=act, dec=dec, why=why, subjects=subjects, purpose=purpose, corr=corr, t=t
    ),
    st.sampled_from([a_full_entry(), a_read(0)]),
    WORDS,
    st.sampled_from(list(Verdict)),
    st.lists(WORDS, max_size=2).map(tuple),
    st.lists(st.sampled_from([WANG, LI]), max_size=2).map(tuple),
    WORDS,
    st.sampled_from(["", "x", "y z"]),
    st.integers(0, 4_000_000_000_000),
)


def _naively(query: Query, entry: Entry, index: int) -> bool:
    """The same question, asked of the entry's own parts without a table."""

    def has(name: Qualifier, value: str) -> bool:
        said = {
            "actor": [entry.actor.party.id, entry.actor.on_behalf_of and entry.actor.on_behalf_of.id],
            "member": [one.hex() for one in entry.subjects],
            "household": [one.hex() for one in (*entry.subjects, entry.household) if one],
            "action": [entry.act],
            "field": [one.name for one in entry.fields],
            "purpose": [entry.purpose],
            "decision": [entry.dec, entry.decision],
            "reason": [*entry.why, *(word for one in entry.fields for word in one.why)],
            "rule": [word for one in entry.fields for word in one.rules]
            + list(entry.message.rules if entry.message else ()),
            "consent": [entry.resource, *(entry.basis.consents if entry.basis else ())],
            "kind": [entry.kind],
            "request": [entry.request],
            "story": [entry.corr],
        }[name.value]
        if value.endswith(".*") and name in DOTTED:
            return any(str(one).startswith(value.removesuffix("*")) for one in said)
        return value in said

    for term in query.wanted:
        if not any(has(term.qualifier, value) for value in term.values):
            return False
    for term in query.unwanted:
        if any(has(term.qualifier, value) for value in term.values):
            return False
    low, high = query.since or 0, 2**62 if query.until is None else query.until
    first, end = query.first or 0, 2**62 if query.end is None else query.end
    return low <= entry.t < high and first <= index < end


@given(QUERIES, ENTRIES, st.integers(0, 2**40))
def test_matching_agrees_with_a_naive_model(query: Query, entry: Entry, index: int) -> None:
    assert matches(query, entry, index) == _naively(query, entry, index)


@given(QUERIES, ENTRIES)
def test_an_entry_that_fits_stands_under_the_terms_of_the_query(query: Query, entry: Entry) -> None:
    stands = terms(entry)
    assert not stands.isdisjoint(EVERY)
    for term in query.wanted:
        assert matches(Query((term,)), entry, 0) == (not stands.isdisjoint(numbers(term)))
