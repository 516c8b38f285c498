"""Malformed requests against every route: a 4xx problem document in the caller's language, and no echo.

AuthZEN's addresses differ in two things that the standard asks for: every kind of bad request is a 400, and
members nobody declared are ignored.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping

import attacks
import callers
import httpx2
import pytest
from attacks import ALIASES, BODIES, HEADS, MARK, Attempt
from callers import CALLERS, Call
from living import Living, Wire

from governance.problems import Problem

pytestmark = pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)
LANGUAGES: Mapping[str, str] = {"zh-CN,zh;q=0.9,en;q=0.1": "zh", "en-GB,en;q=0.9": "en"}
AUTHZEN = ("/access/", "/.well-known/authzen-configuration")
ITS_STATUSES = {400, 401, 403, 404, 405, 413, 429, 500, 503}
IGNORED = (
    *("an unknown member", "a name as a member", "guessed members", "a number of 4,000 digits"),
    "every text a number in full width",
)
"""What is no fault to AuthZEN: unknown members, and words that nothing is called by."""
_ID = re.compile(r"(?:mem|hh|con|stf|apr)_[0-9a-f-]{36}")


def fault_in(answer: httpx2.Response, codes: frozenset[str], language: str) -> str | None:
    """Return what is wrong with the answer to a malformed request, None if nothing."""
    if answer.headers.get("content-type") != "application/problem+json":
        return f"{answer.status_code} is no problem document"
    body = json.loads(answer.content)
    if body["code"] not in codes:
        return f"{answer.status_code} {body['code']}"
    problem = Problem(body["code"])
    wanted = problem.status
    if answer.request.url.path.startswith(AUTHZEN) and wanted not in ITS_STATUSES:
        wanted = 400
    if not 400 <= wanted < 500 or not answer.status_code == body["status"] == wanted:
        return f"status {answer.status_code}, {body['status']}"
    if body["detail"] != problem.sentence(language) or answer.headers["content-language"] != language:
        return "not in the caller's language"
    if set(body) - {"type", "title", "status", "detail", "instance", "code", "errors"}:
        return f"members {sorted(body)}"
    if answer.headers["cache-control"] != "no-store":
        return "may be cached"
    said = str(answer.headers) + answer.text
    return "echoes the request" if MARK.lower() in said.lower() else None


def keeper_of(call: Call) -> str:
    """Return a caller whom this route serves."""
    # What was never offered cannot be asked for well (400), and a route may look for what is not there (404).
    served = ("200", "201", "303", "409", "410", "400", "404")
    found = [one for one in reversed(CALLERS) if call.expected(one)[:3] in served]
    return min(found, key=lambda one: call.expected(one).startswith("404"))


def attempts(house: Living, *, with_body: bool = False) -> list[tuple[Call, Attempt]]:
    """Return the well-formed request of each route, as a caller whom it serves."""
    found = []
    for call in callers.calls():
        if call.page or (with_body and call.body is None):
            continue
        ready = callers.filled(call, house)
        body, headers = callers.sendable(ready, house, keeper_of(ready))
        found.append((call, Attempt(ready.method, ready.path, body, headers)))
    return found


def send(wire: Wire, one: Attempt, language: str) -> httpx2.Response:
    headers = {**one.headers, "accept-language": language}
    return wire.call(one.method, one.path, content=one.body, headers=headers)


@pytest.mark.parametrize("name", BODIES)
def test_a_malformed_body_is_refused_by_every_route_that_takes_one(
    name: str, house: Living, wire: Wire
) -> None:
    attack, codes = BODIES[name]
    ready = attempts(house, with_body=True)
    before = house.verified()
    faults = {}
    for call, attempt in ready:
        if name == "no body" and attempt.body == b"{}":
            continue  # a call that needs nothing may also bring nothing
        if name in IGNORED and attempt.path.startswith(AUTHZEN):
            continue  # tried below
        if name == "every text an enormous word" and attempt.path == "/access/v1/evaluations":
            continue  # the fault of an item is told in its place: tests/authzen/test_batches.py
        for header, language in LANGUAGES.items():
            fault = fault_in(send(wire, attack(attempt), header), codes, language)
            if fault is not None:
                faults[str(call), language] = fault
    assert faults == {}
    assert house.verified() == before, "a malformed request decides nothing"


@pytest.mark.parametrize("name", IGNORED)
def test_what_is_no_fault_to_authzen_is_ignored_there_and_neither_echoed_nor_logged(
    name: str, house: Living, wire: Wire
) -> None:
    attack, _ = BODIES[name]
    for call, attempt in attempts(house, with_body=True):
        if call.path.startswith(AUTHZEN):
            answer = send(wire, attack(attempt), "en")
            assert answer.status_code == int(call.expected(keeper_of(call))[:3]), call
            assert MARK.lower() not in (str(answer.headers) + answer.text).lower()
    log = repr(house.log())
    assert MARK not in log
    assert "１２３" not in log


@pytest.mark.parametrize("name", HEADS)
def test_a_malformed_head_is_refused_by_every_route(name: str, house: Living, wire: Wire) -> None:
    attack, codes = HEADS[name]
    faults = {}
    for call, attempt in attempts(house):
        for header, language in LANGUAGES.items():
            fault = fault_in(send(wire, attack(attempt), header), codes, language)
            if fault is not None:
                faults[str(call), language] = fault
    assert faults == {}


@pytest.mark.parametrize("name", ALIASES)
def test_an_id_has_one_spelling_in_paths_and_in_bodies(name: str, house: Living, wire: Wire) -> None:
    misspell = ALIASES[name]
    codes = frozenset(
        {"invalid_request", "not_found", "bad_request_line", "malformed_json", "unstorable_text"}
    )
    faults = {}
    for call, one in attempts(house):
        for place in _ID.findall(one.path):
            twin = Attempt(one.method, one.path.replace(place, misspell(place)), one.body, one.headers)
            faults[str(call), "path"] = fault_in(send(wire, twin, "en"), codes, "en")
        for place in set(_ID.findall(one.body.decode())):
            spelt = one.body.replace(place.encode(), in_json(misspell(place), place))
            twin = Attempt(one.method, one.path, spelt, one.headers)
            answer = send(wire, twin, "en")
            if not denied_by_authzen(answer):
                faults[str(call), "body"] = fault_in(answer, codes, "en")
    assert {place: fault for place, fault in faults.items() if fault is not None} == {}


def denied_by_authzen(answer: httpx2.Response) -> bool:
    """Say whether this is AuthZEN's answer about what is not there: nothing is allowed, nothing is found."""
    if answer.status_code != 200 or not answer.request.url.path.startswith(AUTHZEN):
        return False
    body = json.loads(answer.content)
    decisions = [one["decision"] for one in body.get("evaluations", [body]) if "decision" in one]
    return not any(decisions) and body.get("results", []) == []


def in_json(misspelt: str, right: str) -> bytes:
    """Return a misspelt id as JSON spells it; escapes are resolved unless that would set it right again."""
    plain = re.sub("(?:%[0-9A-F]{2})+", lambda one: bytes.fromhex(one[0].replace("%", "")).decode(), misspelt)
    return json.dumps(misspelt if plain == right else plain)[1:-1].encode()


def test_a_body_without_a_length_is_cut_off_while_it_streams(house: Living, wire: Wire) -> None:
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while taken < 50_000_000:
            taken += 10_000
            yield b"a" * 10_000

    for _, attempt in attempts(house, with_body=True):
        taken = 0
        answer = wire.call(attempt.method, attempt.path, content=endless(), headers=attempt.headers)
        assert callers.summary(answer) == "413 body_too_large"
        assert "content-length" not in answer.request.headers


MISSPELT = (
    *("limit=%2B1", "limit=1_0", "limit=1.0", "limit=%EF%BC%91", "limit=%201", "limit=0", "limit=201"),
    *("limit=-1", "limit=1e1", "limit=", "limit=1&limit=2", f"{MARK}=1"),
    *(f"cursor={MARK}", "cursor=%00", "cursor=" + "A" * 300),
)
WRONG = {
    "authorization": ("", "Bearer", "Basic Zm9vOmJhcg==", MARK, "Bearer gov_live_", "Bearer " + "A" * 9_000),
    "cookie": ("", "governance_session=", f"governance_session={MARK * 3}", f"governance_session={'A' * 43}"),
}


def test_a_query_that_repeats_or_misspells_a_number_is_refused(house: Living, wire: Wire) -> None:
    session = house.sign_in(callers.PEOPLE["member"])
    for query in MISSPELT:
        answer = wire.get(f"/v1/me/accesses?{query}", session=session, accept_language="en")
        codes = frozenset({"invalid_request", "bad_request_line"})
        assert fault_in(answer, codes, "en") is None, query
    assert wire.get("/v1/me/accesses?limit=1", session=session).status_code == 200


@pytest.mark.parametrize("header", WRONG)
def test_a_wrong_credential_gets_the_same_answer_as_none(header: str, house: Living, wire: Wire) -> None:
    for call, attempt in attempts(house):
        if call.unless != "401 unauthenticated":
            continue
        bare = {k: v for k, v in attempt.headers.items() if k not in ("authorization", "cookie")}
        said = set()
        for value in WRONG[header]:
            answer = wire.call(
                attempt.method, attempt.path, content=attempt.body, headers={**bare, header: value}
            )
            assert fault_in(answer, frozenset({"unauthenticated"}), "zh") is None
            assert answer.headers["www-authenticate"] == "Bearer"
            said.add(json.dumps({**json.loads(answer.content), "instance": ""}))
        assert len(said) == 1


def test_a_caller_is_known_before_the_body_is_read(house: Living, wire: Wire) -> None:
    for call, attempt in attempts(house, with_body=True):
        answer = wire.call(
            attempt.method, attempt.path, content=b"{", headers={"content-type": "application/json"}
        )
        assert callers.summary(answer) == "401 unauthenticated", call


def test_a_problem_names_where_and_what_but_never_a_key_the_caller_invented(
    house: Living, wire: Wire
) -> None:
    body = {
        "subject": {"type": "member", "id": "1"},
        "fields": ["姓名 " + MARK] * 30,
        "purpose": 7,
        MARK + " x": 1,
    }
    answer = wire.post("/v1/reads", body, key=house.key(callers.SERVICES["crm"]))
    assert fault_in(answer, frozenset({"invalid_request"}), "zh") is None
    errors = json.loads(answer.content)["errors"]
    assert len(errors) == 20
    assert {"pointer": "/subject/id", "code": "string_pattern_mismatch"} in errors
    assert attacks.MARK not in answer.text


@pytest.mark.parametrize("name", HEADS)
def test_a_malformed_head_gets_a_4xx_page_at_every_page(name: str, house: Living, wire: Wire) -> None:
    attack, _ = HEADS[name]
    faults = {}
    for call in callers.calls():
        if not call.page:
            continue
        ready = callers.filled(call, house)
        for caller in {"nobody", keeper_of(ready)}:
            body, headers = callers.sendable(ready, house, caller)
            answer = send(wire, attack(Attempt(ready.method, ready.path, body, headers)), "en")
            if (
                not 400 <= answer.status_code < 500
                or MARK.lower() in (answer.text + str(answer.headers)).lower()
            ):
                faults[str(call), caller] = answer.status_code
    assert faults == {}
