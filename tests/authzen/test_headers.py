"""AuthZEN on the wire: request ids come back, bad requests are 400s, metadata is never the Host header's."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from authzen_calls import Pep, field, question
from insiders import flip
from living import Living, Wire

from governance import world
from governance.app import build
from governance.wiring import assemble

pytestmark = pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)
ASK = question(world.WANG_MIN, "read", field(world.ZHANG_LI, "name"), "service.delivery")
METADATA = "/.well-known/authzen-configuration"
JSON = {"content-type": "application/json"}


def test_a_request_id_comes_back_with_every_answer_beside_our_own(crm: Pep, house: Living) -> None:
    key = {"authorization": f"Bearer {house.key(world.CRM)}"}
    mark = "bfe9eb29-ab87-4ca3-be83-a1d5d8305716 ~!"
    calls = [
        ("POST", "/access/v1/evaluation", json.dumps(ASK).encode(), {**JSON, **key}, 200),
        ("POST", "/access/v1/evaluation", b"{}", {**JSON, **key}, 400),
        ("POST", "/access/v1/evaluation", b"{}", JSON, 401),
        ("POST", "/access/v1/search/action", b"", {**JSON, **key}, 400),
        ("GET", "/access/v1/evaluation", b"", key, 405),
        ("GET", "/access/v1/nothing", b"", key, 404),
        ("GET", "/access/v1/evaluation", b"", {"host": "["}, 400),
        ("POST", "/access/v1/evaluation", b"x" * 300_000, {**JSON, **key}, 413),
        ("GET", METADATA, b"", {}, 200),
    ]
    for method, path, body, headers, status in calls:
        answer = crm.wire.call(method, path, content=body, headers={**headers, "x-request-id": mark})
        assert (answer.status_code, answer.headers.get_list("x-request-id")) == (status, [mark]), path
        assert answer.headers["request-id"].startswith("req_")
        without = crm.wire.call(method, path, content=body, headers=headers)
        assert (without.status_code, "x-request-id" in without.headers) == (status, False)


def test_a_request_id_that_is_not_fit_to_be_repeated_is_a_bad_request(crm: Pep) -> None:
    for mark in ("", "a" * 201, "张", "a\tb", "\x7f"):
        answer = crm.wire.call("GET", METADATA, headers={"x-request-id": mark.encode()})
        assert (answer.status_code, "x-request-id" in answer.headers) == (400, False), mark
    twice = [("x-request-id", "a"), ("x-request-id", "a")]
    assert crm.wire.call("GET", METADATA, headers=twice).status_code == 400
    # Elsewhere it means nothing.
    assert (
        "x-request-id" not in crm.wire.call("GET", "/livez", headers={"x-request-id": "张".encode()}).headers
    )


def test_an_answer_of_500_carries_the_request_id_too(crm: Pep, house: Living) -> None:
    flip(house, world.ZHANG_LI.id, "@age", 40)
    answer = crm.post("search/subject", {**ASK, "subject": {"type": "staff"}}, x_request_id="7")
    assert (answer.status_code, answer.headers["x-request-id"]) == (500, "7")
    assert json.loads(answer.content)["code"] == "internal"


@pytest.mark.parametrize(
    ("headers", "body", "code"),
    [
        ({"content-type": "text/plain"}, json.dumps(ASK).encode(), "unsupported_media_type"),
        ({"content-type": ""}, json.dumps(ASK).encode(), "unsupported_media_type"),
        (JSON, b"", "empty_body"),
        (JSON, b"{", "malformed_json"),
        (JSON, b'{"subject": {}, "subject": {}}', "duplicate_key"),
        (JSON, b"[]", "invalid_request"),
        (JSON, b'{"a": ' + b"[" * 40 + b"]" * 40 + b", " + json.dumps(ASK).encode()[1:], "too_deep"),
    ],
)
def test_every_kind_of_bad_request_is_a_400_with_its_own_code(
    headers: dict[str, str], body: bytes, code: str, crm: Pep, house: Living
) -> None:
    key = {"authorization": f"Bearer {house.key(world.CRM)}"}
    answer = crm.wire.call("POST", "/access/v1/evaluation", content=body, headers={**headers, **key})
    told = json.loads(answer.content)
    assert (answer.status_code, told["status"], told["code"]) == (400, 400, code)


def test_a_caller_that_is_unknown_gets_the_one_401(crm: Pep) -> None:
    answer = crm.wire.post("/access/v1/evaluation", ASK)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


def test_unknown_members_are_ignored_and_null_is_absent(crm: Pep) -> None:
    more = {
        **{name: {**ASK[name], "future": [1]} for name in ("subject", "action", "resource")},
        "context": {**ASK["context"], "time": "2026-11-22T10:00:00Z"},
        "future": {"nested": True},
    }
    assert crm.allows(more)
    nothing = {
        **ASK,
        "subject": {**ASK["subject"], "properties": None},
        "action": {"name": "read", "properties": None},
    }
    told = crm.evaluate(nothing)
    assert told["decision"] is True
    assert "null" not in json.dumps(told)
    assert crm.post("evaluation", {**ASK, "subject": {**ASK["subject"], "id": None}}).status_code == 400


def test_metadata_is_made_from_the_setting_and_never_from_the_host_header(crm: Pep) -> None:
    told = [
        crm.wire.call("GET", METADATA, headers={"host": host, "x-forwarded-host": host})
        for host in ("house.example", "evil.example", "evil.example:8443")
    ]
    assert len({answer.content for answer in told}) == 1
    body = json.loads(told[0].content)
    base = "http://127.0.0.1:8080"
    assert body.pop("policy_decision_point") == base
    obligations = body.pop("supported_obligations")
    assert {"notification", "mask", "permit"} <= set(obligations)
    assert body == {
        "access_evaluation_endpoint": f"{base}/access/v1/evaluation",
        "access_evaluations_endpoint": f"{base}/access/v1/evaluations",
        "search_subject_endpoint": f"{base}/access/v1/search/subject",
        "search_resource_endpoint": f"{base}/access/v1/search/resource",
        "search_action_endpoint": f"{base}/access/v1/search/action",
        "access_request_endpoint": f"{base}/access/v1/requests",
    }
    assert told[0].headers["content-type"] == "application/json"


def test_metadata_is_made_from_the_configured_address(house: Living) -> None:
    said = replace(house.settings.outside, site="https://pdp.example")
    wire = Wire(build(assemble(replace(house.settings, outside=said), clock=house.clock)))
    answer = wire.get(METADATA)
    wire.close()
    assert answer.status_code == 200
    assert all(
        value.startswith("https://pdp.example")
        for name, value in json.loads(answer.content).items()
        if name != "supported_obligations"
    )
