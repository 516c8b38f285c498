"""Searches of the household: complete, page by page, and never another answer than an evaluation gives."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from authzen_calls import Pep, field, question, who
from happenings import HAPPENINGS, NOBODY
from insiders import REFUSE, flip
from living import Living

from governance import world
from governance.candidates import MOST
from policies.archive import book_of, spelt, texts_of
from policies.book import RuleBook

only_sqlite = pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)
PEOPLE = [person for home in world.HOMES for person in home.members]
ACTORS = [one.id for one in (*PEOPLE, *world.STAFF, *world.SERVICES)]
KINDS = ("member", "staff", "service")
ACTIONS = ("read", "read.exists", "read.full", "read.masked", "send", "write")
PURPOSES = ("service.delivery", "service.health", "family.care", "marketing.direct", "account.manage")
DELIVERY = "service.delivery"


def resources(book: RuleBook) -> list[dict[str, Any]]:
    """Return every field and channel of everybody in the seeded world."""
    found = []
    for subject in (*world.HOMES, *PEOPLE):
        kind = "household" if isinstance(subject, world.Home) else "member"
        names = sorted(name for name, entry in book.fields.items() if entry.subject == kind)
        found += [field(subject, name) for name in names]
    return found


def evaluated(crm: Pep, asks: list[dict[str, Any]]) -> Iterator[bool]:
    """Evaluate as many questions as there are, a hundred a call."""
    for start in range(0, len(asks), 100):
        told = crm.told("evaluations", {"evaluations": asks[start : start + 100]})["evaluations"]
        yield from (one["decision"] for one in told)


@only_sqlite
def test_every_result_of_a_search_evaluates_to_allow_and_everything_else_to_deny(
    crm: Pep, house: Living
) -> None:
    for happening in ("assign_xiao_man_for_a_minute", "hide_content", "withdraw_health"):
        HAPPENINGS[happening](house)
    book = house.service.rules.book
    things = resources(book)
    # Each purpose and action with everybody and everything, and each actor and thing with every other.
    turns = itertools.cycle(itertools.product(PURPOSES, ACTIONS))
    found = 0
    for actor, purpose in itertools.product(ACTORS, PURPOSES):
        for action in ACTIONS:
            body = question(actor, action, {"type": "field"}, purpose)
            results = crm.search("resource", body)
            asks = [question(actor, action, thing, purpose) for thing in things]
            allowed = [thing for thing, yes in zip(things, evaluated(crm, asks), strict=True) if yes]
            assert sorted(results, key=json.dumps) == sorted(allowed, key=json.dumps), body
            found += len(results)
    assert found > 500
    found = 0
    for thing in things:
        purpose, action = next(turns)
        asks = [question(actor, action, thing, purpose) for actor in ACTORS]
        allowed = {actor for actor, yes in zip(ACTORS, evaluated(crm, asks), strict=True) if yes}
        results = [
            one
            for kind in KINDS
            for one in crm.search(
                "subject", {**question(NOBODY, action, thing, purpose), "subject": {"type": kind}}
            )
        ]
        assert {one["id"] for one in results} == allowed
        assert all(one == who(one["id"]) for one in results)
        found += len(results)
    assert found > 50
    found = 0
    for thing, actor in zip(things, itertools.cycle(ACTORS), strict=False):
        purpose, action = next(turns)
        body = {"subject": who(actor), "resource": thing, "context": {"purpose": purpose}}
        results = crm.search("action", body)
        asks = [question(actor, one, thing, purpose) for one in ACTIONS]
        expected = [{"name": one} for one, yes in zip(ACTIONS, evaluated(crm, asks), strict=True) if yes]
        assert results == expected
        aims = [
            {"type": "purpose", "id": one, "properties": {"field": thing["id"]}}
            for one in (*sorted(book.purposes), "no.such_purpose")
        ]
        body = question(actor, action, {"type": "purpose", "properties": {"field": thing["id"]}})
        asks = [question(actor, action, aim) for aim in aims]
        expected = [aim for aim, yes in zip(aims, evaluated(crm, asks), strict=True) if yes]
        assert crm.search("resource", body) == expected
        found += len(expected)
    assert found > 20


SEARCHES = {
    "subject": {
        **question(NOBODY, "read.masked", field(world.ZHANG_LI, "mobile"), DELIVERY),
        "subject": {"type": "member"},
    },
    "resource": question(world.ZHANG_LI, "read.masked", {"type": "field"}, DELIVERY),
    "action": {
        "subject": who(world.ZHANG_LI.id),
        "resource": field(world.ZHANG_LI, "email"),
        "context": {"purpose": DELIVERY},
    },
}


def test_pages_of_any_size_give_the_same_list_on_either_engine(crm: Pep) -> None:
    for sought, body in SEARCHES.items():
        whole = crm.search(sought, body)
        assert len(whole) > 2
        assert [crm.search(sought, body, limit) for limit in (1, 2, 7, 100, 5_000)] == [whole] * 5
    narrowed = question(
        world.ZHANG_LI, "read", {"type": "field", "properties": {"subject": world.XIAO_MAN.id}}, DELIVERY
    )
    one_child = [
        one
        for one in crm.search("resource", {**SEARCHES["resource"], "action": {"name": "read"}})
        if one["id"].startswith(world.XIAO_MAN.id)
    ]
    assert one_child
    assert all(crm.search("resource", narrowed, limit) == one_child for limit in (1, 2, 7, 100))


@only_sqlite
def test_a_page_looks_at_a_bounded_number_and_a_short_page_is_not_the_last(crm: Pep, house: Living) -> None:
    rows = ", ".join(
        f"('stf_019a0000-0000-7000-8000-{n:012x}', 'staff', 'x', 'active', 'clerk')" for n in range(MOST + 5)
    )
    house.sql(f"INSERT INTO actor (id, kind, label, state, roles) VALUES {rows}")
    body = {**SEARCHES["subject"], "subject": {"type": "staff"}}
    first = crm.told("search/subject", {**body, "page": {"limit": 1}})
    assert first["results"] == []
    assert first["page"]["next_token"]
    near = (world.WANG_MIN, world.SUN_YUE, world.LIU_YANG)
    assert crm.search("subject", body, 1) == [who(one) for one in sorted(office.id for office in near)]


@only_sqlite
def test_a_token_fits_its_own_search_its_own_caller_and_its_own_rules_only(crm: Pep, house: Living) -> None:
    body = {**SEARCHES["resource"], "page": {"limit": 2}}
    token = crm.told("search/resource", body)["page"]["next_token"]
    again = {**SEARCHES["resource"], "page": {"token": token}}
    # The token carries the limit, and a new one may be asked for.
    assert len(crm.told("search/resource", again)["results"]) == 2
    assert len(crm.told("search/resource", {**again, "page": {"token": token, "limit": 3}})["results"]) == 3
    other = [
        {**again, "action": {"name": "read"}},
        {**again, "context": {"purpose": "family.care"}},
        {**again, "subject": who(world.LI_QIANG.id)},
        {**again, "page": {"token": token[:-1] + ("A" if token[-1] != "A" else "B")}},
        {**again, "page": {"token": "AAAA" + token}},
        {**again, "page": {"token": token + "="}},
        {**again, "page": {"token": "张"}},
    ]
    for one in other:
        answer = crm.post("search/resource", one)
        assert (answer.status_code, json.loads(answer.content)["errors"]) == (
            400,
            [{"pointer": "/page/token", "code": "another_search"}],
        )
    another = Pep(house, crm.wire, world.SENDER).with_scopes("searches on_behalf")
    assert another.post("search/resource", again).status_code == 400
    assert crm.post("search/resource", {**again, "page": {"limit": 0}}).status_code == 400
    assert crm.post("search/resource", {**again, "page": {"limit": True}}).status_code == 400
    assert crm.told("search/resource", {**again, "page": {"token": "", "limit": None}})["results"]
    archive = house.service.keeper.body(house.service.rules.book.fingerprint)
    texts = texts_of(archive)
    newer = spelt({**texts, "limits.toml": texts["limits.toml"] + "# one more line\n"})
    house.service.desk.establish(newer, book_of(newer).fingerprint, "newer", house.clock())
    assert crm.post("search/resource", again).status_code == 400
    assert crm.told("search/resource", body)["results"]


def nothing_found(crm: Pep) -> Iterator[bytes]:
    """Search for what is not there, not the asker's, and misspelt."""
    stranger = [NOBODY, world.ZHOU_MING.id, "mem_1", "", "张丽"]
    for subject in stranger:
        yield crm.post(
            "search/resource",
            question(world.ZHANG_LI, "read", {"type": "field", "properties": {"subject": subject}}, DELIVERY),
        ).content
    for subject in (NOBODY, world.ZHOU_MING.id, "mem_1"):
        asked = {"subject": who(world.ZHANG_LI.id), "context": {"purpose": DELIVERY}}
        yield crm.post("search/action", {**asked, "resource": field(subject, "mobile")}).content
        yield crm.post("search/action", {**asked, "resource": field(subject, "no_such_field")}).content
    for action in ("fly", "READ"):
        yield crm.post("search/resource", question(world.ZHANG_LI, action, {"type": "field"})).content
    yield crm.post("search/subject", {**SEARCHES["subject"], "resource": field(NOBODY, "mobile")}).content
    yield crm.post("search/subject", {**SEARCHES["subject"], "subject": {"type": "user"}}).content
    yield crm.post("search/action", {**SEARCHES["action"], "subject": {"type": "user", "id": "x"}}).content
    yield crm.post("search/action", {**SEARCHES["action"], "resource": {"type": "x", "id": "x"}}).content
    yield crm.post(
        "search/resource", question(world.ZHANG_LI, "read", {"type": "purpose", "properties": {"field": 7}})
    ).content


@only_sqlite
def test_nothing_found_looks_the_same_whatever_the_cause(crm: Pep) -> None:
    assert set(nothing_found(crm)) == {b'{"results":[]}'}


@only_sqlite
def test_a_search_is_recorded_for_each_person_it_found_something_about(crm: Pep, house: Living) -> None:
    before = house.verified()
    crm.told("search/subject", SEARCHES["subject"])
    crm.told("search/resource", SEARCHES["resource"])
    first, *others = house.log()[before:]
    assert (first.act, [one.name for one in first.fields], first.purpose) == (
        "search.subject",
        ["mobile"],
        DELIVERY,
    )
    assert first.subjects
    assert {entry.act for entry in others} == {"search.resource"}
    assert len({entry.subjects for entry in others}) == len(others) > 3
    assert all(len(entry.subjects) == 1 and entry.fields for entry in others)
    assert {entry.corr for entry in others} == {others[0].request}
    session = house.sign_in(world.ZHANG_LI)
    listed = json.loads(crm.wire.get("/v1/me/accesses?limit=9", session=session).content)["data"]
    assert {"search.subject", "search.resource"} <= {one["action"] for one in listed}


@only_sqlite
def test_a_search_that_cannot_be_recorded_tells_nothing(crm: Pep, house: Living) -> None:
    house.sql(*REFUSE[house.engine])
    for sought, body in SEARCHES.items():
        answer = crm.post(f"search/{sought}", body)
        assert (answer.status_code, json.loads(answer.content)["code"]) == (503, "cannot_record")
        assert "mem_" not in answer.text


@only_sqlite
def test_a_search_that_cannot_judge_a_candidate_fails_instead_of_leaving_it_out(
    crm: Pep, house: Living
) -> None:
    flip(house, world.GRANDMOTHER.id, "@age", 40)
    before = house.size()
    assert crm.post("search/resource", SEARCHES["resource"]).status_code == 500
    assert house.size() == before
    narrowed = {"type": "field", "properties": {"subject": world.LI_QIANG.id}}
    assert crm.search("resource", {**SEARCHES["resource"], "resource": narrowed})


@only_sqlite
def test_who_searches_needs_a_scope_for_it_and_another_for_the_doings_of_others(
    crm: Pep,
) -> None:
    for scopes in ("checks on_behalf", "searches checks"):
        pep = crm.with_scopes(scopes)
        for sought, body in SEARCHES.items():
            answer = pep.post(f"search/{sought}", body)
            assert (answer.status_code, json.loads(answer.content)["code"]) == (403, "out_of_scope")
    own = {**SEARCHES["resource"], "subject": who(world.CRM.id)}
    assert crm.with_scopes("searches").told("search/resource", own)["results"]
