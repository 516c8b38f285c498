"""AuthZEN evaluations about the household: the gate's own decisions, in another standard's words."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from authzen_calls import Pep, field, question, who
from happenings import HAPPENINGS, NOBODY
from insiders import REFUSE, REFUSE_AT_COMMIT, count_openings
from living import Living

from audit.entry import Kind, Verdict
from governance import authzen, world
from policies.grants import DUTIES
from policies.reasons import REASONS

only_sqlite = pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)
READS = Path(__file__).parents[1] / "governance" / "reads.toml"
NAMED = {
    one.key: one.id
    for one in (*world.HOMES, *(p for h in world.HOMES for p in h.members), *world.STAFF, *world.SERVICES)
} | {"nobody": NOBODY}
DELIVERY = "service.delivery"
LEAST = {"read": 3, "read.full": 3, "read.masked": 2, "read.exists": 1}
RANK = {"hide": 0, "exists": 1, "mask": 2, "show": 3}


def rows() -> list[dict[str, Any]]:
    """Return the reads of the read walk's table that need nothing to have happened before."""
    return [row for row in tomllib.loads(READS.read_text(encoding="utf-8"))["read"] if "after" not in row]


@only_sqlite
def test_an_evaluation_says_what_a_check_says_and_a_deaf_caller_releases_nothing_too_much(
    crm: Pep, house: Living
) -> None:
    words = {"why", "who", "about", "purpose", "fields", "answer"}
    seen = set()
    for row in rows():
        subject = NAMED[row["about"]]
        fields = row.get("fields") or [word for word in row if word not in words]
        kind = "household" if subject.startswith("hh_") else "member"
        check = {"subject": {"type": kind, "id": subject}, "fields": fields, "purpose": row["purpose"]}
        behalf = {"on_behalf_of": NAMED[row["who"]]} if "who" in row else {}
        answer = crm.wire.post("/v1/checks", {**check, **behalf}, key=house.key(world.CRM))
        for one in json.loads(answer.content)["fields"]:
            for action, least in LEAST.items():
                asked = question(
                    NAMED[row.get("who", "crm")], action, field(subject, one["field"]), row["purpose"]
                )
                told = crm.evaluate(asked, accept_language="en")
                assert told["decision"] is (RANK[one["effect"]] >= least)
                assert told["context"]["effect"] == one["effect"]
                codes = [reason["code"] for reason in told["context"]["reasons"]]
                assert codes == [reason["code"] for reason in one["reasons"]]
                assert [one["text"] for one in told["context"]["reasons"]] == [REASONS[c].en for c in codes]
                assert told["context"]["reason_user"]["zh"] == "".join(REASONS[code].zh for code in codes)
                seen.add((action, told["decision"], one["effect"]))
    assert {("read", False, "mask"), ("read.masked", True, "mask"), ("read", True, "show")} <= seen


@only_sqlite
def test_an_evaluation_is_recorded_before_it_is_told_and_opens_nothing(crm: Pep, house: Living) -> None:
    opened = count_openings(house)
    before = house.verified()
    told = crm.evaluate(question(world.WANG_MIN, "read.masked", field(world.ZHANG_LI, "mobile"), DELIVERY))
    (entry,) = house.log()[before:]
    assert (entry.decision, before) == (told["context"]["id"], house.place(told["context"]))
    assert (entry.kind, entry.act, entry.dec) == (Kind.DECISION, "check", Verdict.PERMIT)
    assert entry.actor.party.id == world.CRM.id
    assert entry.actor.on_behalf_of is not None
    assert entry.actor.on_behalf_of.id == world.WANG_MIN.id
    assert opened == []
    assert "15400001002" not in json.dumps(told)


@pytest.mark.parametrize("refuse", [REFUSE, REFUSE_AT_COMMIT], ids=["at once", "at the commit"])
def test_what_cannot_be_recorded_is_not_answered(
    refuse: dict[str, tuple[str, ...]], crm: Pep, house: Living
) -> None:
    house.sql(*refuse[house.engine])
    about_field = question(world.WANG_MIN, "read", field(world.ZHANG_LI, "name"), DELIVERY)
    foreign = {**about_field, "resource": {"type": "spaceship", "id": "1"}}
    for path, body in (
        ("evaluation", about_field),
        ("evaluation", foreign),
        ("evaluations", {"evaluations": [about_field, foreign]}),
    ):
        answer = crm.post(path, body, x_request_id="7")
        assert (answer.status_code, json.loads(answer.content)["code"]) == (503, "cannot_record")
        assert answer.headers["x-request-id"] == "7"


def without_ids(told: dict[str, Any]) -> str:
    context = {name: part for name, part in told["context"].items() if name != "id"}
    return json.dumps({**told, "context": context})


@only_sqlite
def test_unknown_not_yours_and_misspelt_give_the_same_bytes(crm: Pep) -> None:
    mine = field(world.ZHANG_LI, "name")
    asked = [
        question(world.ZHANG_LI, "read", field(NOBODY, "mobile"), DELIVERY),
        question(world.ZHANG_LI, "read", field(world.ZHOU_MING, "mobile"), DELIVERY),
        question(world.DOCTOR_CHEN, "write", field(world.ZHOU_MING, "mobile"), DELIVERY),
        question(world.DOCTOR_CHEN, "send", field(world.ZHOU_MING, "channel.sms"), DELIVERY),
        question(world.ZHANG_LI, "read", field("mem_1", "mobile"), DELIVERY),
        question(world.ZHANG_LI, "read", {"type": "field", "id": "mobile"}, DELIVERY),
        {**question(world.ZHANG_LI, "read", mine, DELIVERY), "subject": {"type": "user", "id": "x"}},
        {**question(world.ZHANG_LI, "read", mine, DELIVERY), "subject": {"type": "member", "id": "x"}},
        {
            **question(world.ZHANG_LI, "read", mine, DELIVERY),
            "subject": {"type": "staff", "id": world.ZHANG_LI.id},
        },
        question(NOBODY, "read", mine, DELIVERY),
        question(world.ZHANG_LI, "read", {"type": "spaceship", "id": "1"}, DELIVERY),
        question(world.ZHANG_LI, "read", {"type": "purpose", "id": DELIVERY}),
        question(world.ZHANG_LI, "read", {"type": "purpose", "id": DELIVERY, "properties": {"field": 7}}),
    ]
    assert len({without_ids(crm.evaluate(one)) for one in asked}) == 1
    # An undeclared field and an unknown action are told apart from these, and not from one another's owner.
    for one in (("no_such_field", "read", "unknown_field"), ("mobile", "fly", "no_rule")):
        name, action, code = one
        told = [
            crm.evaluate(question(world.ZHANG_LI, action, field(subject, name), DELIVERY))
            for subject in (world.ZHANG_LI, world.ZHOU_MING, NOBODY)
        ]
        assert len(set(map(without_ids, told))) == 1
        assert told[0]["context"]["reasons"][0]["code"] == code


@only_sqlite
def test_without_a_declared_purpose_nothing_is_allowed(crm: Pep, house: Living) -> None:
    mine = field(world.ZHANG_LI, "name")
    for context in (
        {},
        {"context": None},
        {"context": {"purpose": "curiosity"}},
        {"context": {"purpose": 7}},
    ):
        for action, thing in (
            ("read", mine),
            ("write", mine),
            ("send", field(world.ZHANG_LI, "channel.sms")),
        ):
            told = crm.evaluate({**question(world.ZHANG_LI, action, thing), **context})
            assert told["decision"] is False
            assert [one["code"] for one in told["context"]["reasons"]] == ["unknown_purpose"]
    assert "curiosity" not in repr(house.log())


@only_sqlite
def test_a_purpose_as_a_resource_asks_the_same_as_a_field_for_that_purpose(crm: Pep) -> None:
    for purpose in (DELIVERY, "marketing.direct", "service.health"):
        for name in ("name", "mobile", "blood_pressure"):
            thing = field(world.ZHANG_LI, name)
            aim = {"type": "purpose", "id": purpose, "properties": {"field": thing["id"]}}
            one = crm.evaluate(question(world.WANG_MIN, "read.masked", thing, purpose))
            other = crm.evaluate(question(world.WANG_MIN, "read.masked", aim))
            assert (one["decision"], one["context"]["reasons"]) == (
                other["decision"],
                other["context"]["reasons"],
            )


WRITES = [
    (world.ZHANG_LI, world.ZHANG_LI, "email", "account.manage", True, "own_data"),
    (world.XIAO_MAN, world.XIAO_MAN, "mobile", "account.manage", False, "denied_by_rule"),
    (world.ZHANG_LI, world.XIAO_MAN, "mobile", "account.manage", True, None),
    (world.CRM, world.ZHANG_LI, "mobile", "account.manage", True, "legal_basis"),
    (world.CRM, world.ZHANG_LI, "blood_pressure", "account.manage", False, None),
    (world.WANG_MIN, world.ZHANG_LI, "channel.sms", "account.manage", False, "unknown_field"),
]


@only_sqlite
def test_whether_one_may_write_is_asked_like_reading_and_writes_nothing(crm: Pep, house: Living) -> None:
    cells = house.sql("SELECT * FROM cell")
    for asking, about, name, purpose, allowed, code in WRITES:
        told = crm.evaluate(question(asking, "write", field(about, name), purpose))
        assert told["decision"] is allowed, told
        assert code is None or told["context"]["reasons"][0]["code"] == code
        entry = house.log()[-1]
        assert (entry.kind, entry.act) == (Kind.DECISION, "check.write")
        assert entry.dec is (Verdict.PERMIT if allowed else Verdict.DENY)
    assert house.sql("SELECT * FROM cell") == cells


SENDS = [
    (world.SENDER, world.ZHANG_LI, "channel.sms", "marketing.direct", True, "consent_given"),
    (world.SENDER, world.ZHANG_LI, "channel.email", "marketing.direct", False, "no_consent"),
    (world.SENDER, world.ZHANG_LI, "channel.sms", DELIVERY, True, "legal_basis"),
    (world.SENDER, world.XIAO_MAN, "channel.sms", "marketing.direct", False, "minor_protected"),
    (world.SENDER, world.ZHANG_LI, "mobile", "marketing.direct", False, "unknown_field"),
    (world.SENDER, world.ZHANG_LI, "channel.sms", "audit.review", False, "unknown_purpose"),
    (world.CRM, world.ZHANG_LI, "channel.sms", "marketing.direct", False, "role_may_not_send"),
]


@only_sqlite
def test_whether_one_may_send_says_nothing_of_a_text_nobody_has_seen_and_asks_for_a_permit(
    crm: Pep, house: Living
) -> None:
    sender = Pep(house, crm.wire, world.SENDER)
    for asking, about, name, purpose, allowed, code in SENDS:
        told = (sender if asking is world.SENDER else crm).evaluate(
            question(asking, "send", field(about, name), purpose)
        )
        assert (told["decision"], told["context"]["reasons"][0]["code"]) == (allowed, code), (about, name)
        assert "content_clean" not in json.dumps(told)
        wanted = [{"id": "permit=/v1/messages", "type": "permit", "properties": {"endpoint": "/v1/messages"}}]
        assert [one for one in told["context"].get("obligations", []) if one["type"] == "permit"] == (
            wanted if allowed else []
        )
        assert house.log()[-1].act == "check.send"
    assert house.sql("SELECT * FROM send_slot") == []


@only_sqlite
def test_duties_travel_as_obligations_with_permits_only(crm: Pep, house: Living) -> None:
    def obligations(asked: dict[str, Any], **headers: str) -> dict[str, Any]:
        context = crm.evaluate(asked, **headers)["context"]
        return {one["type"]: one["properties"] for one in context.get("obligations", [])}

    pressure = question(
        world.DOCTOR_CHEN, "read", field(world.GRANDMOTHER, "blood_pressure"), "service.health"
    )
    assert obligations(pressure, accept_language="en") == {
        "log": {"level": "high"},
        "notification": {
            "to": "subject",
            "topic": "access",
            "body": "Somebody has just looked at your data. Your access record says who and why.",
        },
    }
    masked = question(world.WANG_MIN, "read.masked", field(world.ZHANG_LI, "mobile"), DELIVERY)
    assert obligations(masked) == {"mask": {"form": "CN_MOBILE"}}
    assert obligations({**masked, "action": {"name": "read"}}) == {}
    HAPPENINGS["withdraw_health"](house)
    assert obligations(pressure) == {}
    offered = {"supported_obligations": ["nothing"], "purpose": DELIVERY}
    assert obligations({**masked, "context": offered}) == {"mask": {"form": "CN_MOBILE"}}


def test_every_duty_that_a_rule_may_name_is_an_obligation() -> None:
    assert set(DUTIES) <= set(authzen._OBLIGATIONS)
    for language in ("zh", "en"):
        told = authzen._obliging(
            ["notify=subject", "notify=guardian", "ttl=900", "log=high", "optout=required"], language
        )
        found = told["obligations"]
        assert isinstance(found, list)
        assert all(set(one) == {"id", "type", "properties"} for one in found)
        assert {one["type"] for one in found} <= set(authzen.OBLIGATIONS)


@only_sqlite
def test_who_asks_about_others_doings_needs_leave_to(crm: Pep) -> None:
    alone = crm.with_scopes("checks")
    own = question(world.CRM, "read", field(world.ZHANG_LI, "name"), DELIVERY)
    assert alone.allows(own)
    for other in (world.WANG_MIN.id, world.ZHANG_LI.id, world.SENDER.id, NOBODY):
        answer = alone.post("evaluation", {**own, "subject": who(other)})
        assert (answer.status_code, json.loads(answer.content)["code"]) == (403, "out_of_scope")
    told = alone.told("evaluations", {**own, "evaluations": [{}, {"subject": who(world.WANG_MIN.id)}]})
    assert [one["decision"] for one in told["evaluations"]] == [True, False]
    assert told["evaluations"][1]["context"]["error"]["status"] == 403
    assert crm.with_scopes("reads").post("evaluation", own).status_code == 403
