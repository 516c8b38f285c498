"""Entries: one spelling, no ids of people, no surprises on the way back."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from audit_making import SERVICE, WANG, a_full_entry, a_read
from hypothesis import given
from hypothesis import strategies as st

from audit.entry import (
    MAX_LEAF,
    Actor,
    ActorType,
    Basis,
    Entry,
    EntryRefusedError,
    FieldOutcome,
    Party,
    decode,
    encode,
)
from policies.terms import Effect

MEMBER = "mem_01900000-0000-7000-8000-00000000000a"
HOUSEHOLD = "hh_01900000-0000-7000-8000-00000000000b"


@pytest.mark.parametrize("entry", [a_read(), a_full_entry()])
def test_an_entry_comes_back_from_its_leaf_as_it_was(entry: Entry) -> None:
    assert decode(encode(entry)) == entry


def test_a_leaf_is_compact_json_with_the_empty_parts_left_out() -> None:
    entry = replace(a_read(), fields=(), id="aud_01900000-0000-7000-8000-00000000000c", salt=b"\xab" * 16)
    assert encode(entry).decode() == (
        '{"v":1,"id":"aud_01900000-0000-7000-8000-00000000000c","salt":"' + "ab" * 16 + '",'
        '"t":1770000000000,"kind":"decision","act":"read","dec":"permit",'
        '"actor":{"type":"service","id":"' + SERVICE + '","role":["agent"],"rel":"assigned",'
        '"on_behalf_of":{"type":"staff","id":"stf_01900000-0000-7000-8000-000000000002"}},'
        '"subj":["' + WANG.hex() + '"],"purpose":"service.delivery","n":2}'
    )


def test_two_entries_that_say_the_same_have_different_leaves() -> None:
    assert encode(a_read()) != encode(a_read())


@given(st.text(max_size=40), st.lists(st.text(max_size=10), max_size=4), st.binary(min_size=16, max_size=16))
def test_any_words_survive_or_are_refused_whole(word: str, words: list[str], name: bytes) -> None:
    entry = a_read(0, name, request=word, why=tuple(words))
    try:
        leaf = encode(entry)
    except EntryRefusedError:
        assert "mem_" in word + "".join(words) or "hh_" in word + "".join(words)
    else:
        assert decode(leaf) == entry


@pytest.mark.parametrize(
    "changes",
    [
        {"resource": MEMBER},
        {"request": HOUSEHOLD},
        {"why": (MEMBER,)},
        {"fields": (FieldOutcome(HOUSEHOLD, Effect.HIDE),)},
        {"basis": Basis((MEMBER,))},
        {"actor": Actor(Party(ActorType.MEMBER, MEMBER))},
        {"actor": Actor(Party(ActorType.STAFF, SERVICE))},
        {"actor": Actor(Party(ActorType.SYSTEM, "Robert Tables"))},
        {"actor": Actor(Party(ActorType.SERVICE, SERVICE), on_behalf_of=Party(ActorType.STAFF, "nobody"))},
        {"subjects": (b"short",)},
        {"subjects": (WANG,) * 101},
        {"household": b"short"},
        {"salt": b"short"},
        {"id": SERVICE},
        {"t": -1},
        {"act": "Read it"},
        {"n": -1},
        {"request": "x" * MAX_LEAF},
        {"request": "\ud800"},
        {"request": b"bytes"},
    ],
)
def test_an_entry_that_breaks_a_rule_is_refused_and_the_message_quotes_nothing(
    changes: dict[str, Any],
) -> None:
    with pytest.raises(EntryRefusedError) as caught:
        encode(a_read(**changes))
    assert "01900000" not in str(caught.value)
    assert "Robert" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "changes",
    [
        {"actor": Actor(Party(ActorType.MEMBER, WANG.hex()), ("primary_account",), "self")},
        {"actor": Actor(Party(ActorType.SYSTEM, "retention.run"))},
        {"subjects": (WANG,) * 100, "fields": ()},
        {"resource": "a memo_ about hh and mem"},
        {"n": 0},
    ],
)
def test_a_near_miss_is_written(changes: dict[str, Any]) -> None:
    entry = a_read(**changes)
    assert decode(encode(entry)) == entry


def spelt(**changes: Any) -> bytes:
    """A good leaf with some parts replaced (None: taken out), still compact JSON."""
    tree = json.loads(encode(a_full_entry())) | changes
    kept = {name: part for name, part in tree.items() if part is not None}
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":")).encode()


def test_the_helper_spells_as_the_serializer_does() -> None:
    leaf = spelt()
    assert encode(decode(leaf)) == leaf


@pytest.mark.parametrize(
    "leaf",
    [
        b"",
        b"null",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        spelt(v=2),
        spelt(v=True),
        spelt(v=None),
        spelt(extra="part"),
        spelt(why=[]),
        spelt(why="own_data"),
        spelt(why=[1]),
        spelt(n=0),
        spelt(n="2"),
        spelt(n=2.0),
        spelt(t=None),
        spelt(kind="rumour"),
        spelt(dec="maybe"),
        spelt(actor="svc"),
        spelt(actor=None),
        spelt(subj=["xyz"]),
        spelt(fields=[{"field": "mobile", "effect": "shout"}]),
        spelt(msg={}),
        spelt(salt="AB" * 16),
        spelt(request="unknown name"),
        encode(a_full_entry()) + b" ",
        encode(a_full_entry()).replace(b'","', b'", "', 1),
        encode(a_full_entry()).replace("请".encode(), b"\\u8bf7"),
        encode(a_read()).replace(b'"v":1', b'"v":1,"v":1'),
    ],
)
def test_bytes_in_any_other_spelling_are_no_leaf(leaf: bytes) -> None:
    with pytest.raises(EntryRefusedError):
        decode(leaf)
