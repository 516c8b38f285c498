"""Every entry is one event of OCSF class 6003, and says nothing that the leaf does not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from audit_making import LI, SERVICE, STAFF, WANG, a_full_entry, a_read

from audit.entry import Actor, ActorType, Kind, Party, Verdict, encode
from audit.ocsf import ocsf_line, to_ocsf
from governance.sentences import ASKED, CHANGES, SEARCHED

REQUIRED = (
    "activity_id", "actor", "api", "category_uid", "class_uid", "metadata", "severity_id", "src_endpoint",
    "time", "type_uid",
)  # fmt: skip
"""The attributes that class 6003 requires in schema 1.3.0."""


def test_an_event_has_what_the_class_requires() -> None:
    event = to_ocsf(41, a_full_entry())
    assert set(REQUIRED) <= set(event)
    assert (event["class_uid"], event["category_uid"]) == (6003, 6)
    assert event["metadata"]["version"] == "1.3.0"
    assert {"name", "vendor_name"} <= set(event["metadata"]["product"])
    assert event["api"]["operation"] == "read"


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("dec", Verdict)
def test_every_kind_and_verdict_has_an_event(kind: Kind, dec: Verdict) -> None:
    event = to_ocsf(0, a_read(kind=kind, dec=dec))
    assert event["activity_id"] in {1, 2, 3, 4, 99}
    assert event["type_uid"] == 600300 + event["activity_id"]
    assert (event["status_id"] == 1) == (event["action_id"] == 1) == (dec is Verdict.PERMIT)
    assert (event["unmapped"]["kind"], event["unmapped"]["verdict"]) == (kind.value, dec.value)


@pytest.mark.parametrize("act", [*ASKED, *CHANGES, *SEARCHED, "send", "deliver"])
def test_every_act_of_the_service_has_an_activity(act: str) -> None:
    assert to_ocsf(0, a_read(act=act))["activity_id"] in {1, 2, 3, 4, 99}


@pytest.mark.parametrize(
    ("kind", "act", "name"),
    [
        (Kind.DECISION, "read", "Read"),
        (Kind.DECISION, "send", "Other"),
        (Kind.CHANGE, "write", "Update"),
        (Kind.CHANGE, "member.added", "Create"),
        (Kind.CHANGE, "consent.withdrawn", "Delete"),
        (Kind.CHANGE, "subject.erased", "Delete"),
        (Kind.KEY, "key.destroyed", "Delete"),
        (Kind.AUDIT, "log.read", "Read"),
        (Kind.OUTCOME, "read.failed", "Read"),
    ],
)
def test_an_act_is_the_activity_that_it_is(kind: Kind, act: str, name: str) -> None:
    assert to_ocsf(0, a_read(kind=kind, act=act))["activity_name"] == name


@pytest.mark.parametrize("type_", ActorType)
def test_every_kind_of_actor_is_a_user(type_: ActorType) -> None:
    event = to_ocsf(0, a_read(actor=Actor(Party(type_, "x"))))
    assert (event["actor"]["user"]["uid"], event["src_endpoint"]["uid"]) == ("x", "x")


def test_the_person_is_the_user_and_the_service_is_the_application() -> None:
    actor = to_ocsf(0, a_read())["actor"]
    assert (actor["user"]["uid"], actor["app_uid"]) == (STAFF, SERVICE)
    assert actor["user"]["groups"] == [{"name": "agent"}]


def words(tree: Any) -> Iterator[str]:
    if isinstance(tree, dict):
        for value in tree.values():
            yield from words(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from words(value)
    elif isinstance(tree, str):
        yield tree


SCHEMA_WORDS = {
    "Application Activity", "API Activity", "Read", "API Activity: Read", "Success", "Allowed",
    "Informational", "1.3.0", "household-governance", "security_control", "audit", "User", "service",
    "rules", "subject", "household", "resource", "field",
}  # fmt: skip


def test_nothing_leaves_but_what_the_leaf_says_and_the_words_of_the_schema() -> None:
    entry = a_full_entry()
    leaf = encode(entry).decode()
    assert [word for word in words(to_ocsf(7, entry)) if word not in leaf and word not in SCHEMA_WORDS] == []
    assert {WANG.hex(), LI.hex()} <= set(words(to_ocsf(7, entry)))
    assert entry.salt.hex() not in ocsf_line(7, entry)


def test_a_line_is_one_event() -> None:
    entry = a_full_entry()
    assert ocsf_line(3, entry).count("\n") == 1
    assert json.loads(ocsf_line(3, entry)) == json.loads(json.dumps(to_ocsf(3, entry)))
