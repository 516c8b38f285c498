"""The first walk over HTTP, as a table: who, about whom, for what, and what becomes of each field."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from happenings import HAPPENINGS, NOBODY, hide
from living import MINUTE, Living, Wire

from audit.entry import Verdict
from governance import world
from governance.asking import Answer, Ask, NotYours, Reply
from governance.database import Database, OpenTransaction
from governance.identity import Caller
from policies.identifiers import Prefix, new_id
from policies.terms import Action, ActorId, FieldName, Purpose, SubjectId

ROWS: list[dict[str, Any]] = tomllib.loads(
    Path(__file__).with_name("reads.toml").read_text(encoding="utf-8")
)["read"]
WORDS = {"why", "after", "who", "about", "purpose", "fields", "answer"}
NAMED = {
    one.key: one
    for one in (*world.HOMES, *(p for h in world.HOMES for p in h.members), *world.STAFF, *world.SERVICES)
}
only_sqlite = pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)
only_postgres = pytest.mark.parametrize("seeded_copy", ["postgres"], indirect=True)


def id_of(key: str) -> str:
    return NOBODY if key == "nobody" else NAMED[key].id


def fields_of(row: Mapping[str, Any]) -> list[str]:
    return row.get("fields") or [word for word in row if word not in WORDS]


def ask_of(row: Mapping[str, Any]) -> dict[str, Any]:
    subject = id_of(row["about"])
    kind = "household" if subject.startswith(Prefix.HOUSEHOLD) else "member"
    body = {
        "subject": {"type": kind, "id": subject},
        "fields": fields_of(row),
        "purpose": row["purpose"],
    }
    return body | ({"on_behalf_of": id_of(row["who"])} if "who" in row else {})


def spoken(field: Mapping[str, Any]) -> str:
    return " ".join([field["effect"], *(reason["code"] for reason in field["reasons"])])


def seen(answer: httpx2.Response) -> dict[str, str]:
    return {field["field"]: spoken(field) for field in json.loads(answer.content).get("fields", [])}


def said(row: Mapping[str, Any]) -> str:
    return row.get("why") or f"{row.get('who', 'crm')} about {row['about']} for {row['purpose']}"


@pytest.mark.parametrize("row", ROWS, ids=said)
@only_sqlite
def test_each_read_ends_as_the_table_says(row: dict[str, Any], house: Living, wire: Wire) -> None:
    assert_ends_as_told(row, house, wire)


@pytest.mark.parametrize("row", [row for row in ROWS if "after" in row], ids=said)
@only_postgres
def test_on_postgresql_what_happened_before_counts_as_well(
    row: dict[str, Any], house: Living, wire: Wire
) -> None:
    assert_ends_as_told(row, house, wire)


@only_postgres
def test_on_postgresql_each_other_read_ends_as_the_table_says(house: Living, wire: Wire) -> None:
    for row in ROWS:
        if "after" not in row:
            assert_ends_as_told(row, house, wire)


def assert_ends_as_told(row: Mapping[str, Any], house: Living, wire: Wire) -> None:
    """Ask what the row asks; assert the answer, the values in it and the log."""
    for happening in row.get("after", ()):
        HAPPENINGS[happening](house)
    before = house.verified()
    answer = wire.post("/v1/reads", ask_of(row), key=house.key(world.CRM))
    body = json.loads(answer.content)
    values = NAMED[row["about"]].values if row["about"] != "nobody" else {}
    if "answer" in row:
        assert f"{answer.status_code} {body['code']}" == row["answer"]
        assert {effect.split(" ")[0] for effect in seen(answer).values()} <= {"hide"}
    else:
        assert (answer.status_code, seen(answer)) == (200, {field: row[field] for field in fields_of(row)})
    for field in body.get("fields", ()):
        if field["effect"] == "show":
            assert field["value"] == values[FieldName(field["field"])]
        elif field["effect"] == "mask":
            assert field["value"] not in ("", values[FieldName(field["field"])])
        else:
            assert "value" not in field
    # What was decided stands in the log, in the same words, before anybody was told.
    entry = house.log()[-1]
    assert house.verified() == before + 1
    assert (entry.act, entry.purpose) == ("read", row["purpose"])
    logged = {one.name: " ".join([one.effect, *one.why]) for one in entry.fields}
    if body.get("fields"):
        assert logged == seen(answer)
        assert (body["decision_id"], house.place(body)) == (entry.decision, before)
    assert (entry.dec is Verdict.PERMIT) == (answer.status_code == 200)
    assert not any(value in answer.text for field, value in values.items() if field not in fields_of(row))


@only_sqlite
def test_a_check_is_the_read_without_values(house: Living, wire: Wire) -> None:
    for row in ROWS:
        if "after" in row:
            continue
        # Whoever checks holds the data; which fields are filled, ours or theirs, is not asked.
        present = [field for field in fields_of(row) if "not_available" not in row.get(field, "")]
        ask = {**ask_of(row), "fields": present}
        read = wire.post("/v1/reads", ask, key=house.key(world.CRM))
        check = wire.post("/v1/checks", ask, key=house.key(world.CRM))
        assert check.status_code == 200
        assert "value" not in {key for field in check.json()["fields"] for key in field}
        if read.status_code == 404:
            assert set(seen(check).values()) == {"hide not_available"}
        else:
            assert seen(check) == seen(read)
    acts = [entry.act for entry in house.log()[-2:]]
    assert acts == ["read", "check"]


def test_a_hundred_checks_in_one_call_say_what_a_hundred_calls_say(house: Living, wire: Wire) -> None:
    asks = [ask_of(row) for row in ROWS if "after" not in row]
    batch = (asks * 100)[:100]
    key = house.key(world.CRM)
    together = json.loads(wire.post("/v1/checks", {"checks": batch}, key=key).content)["checks"]
    alone = [json.loads(wire.post("/v1/checks", ask, key=key).content) for ask in asks]
    passing = {"decision_id", "entry_id", "receipt"}
    plain = [{k: v for k, v in one.items() if k not in passing} for one in together]
    singly = [{k: v for k, v in one.items() if k not in passing} for one in alone]
    assert plain == (singly * 100)[:100]
    receipts = [house.place(one) for one in together if "receipt" in one]
    assert receipts == sorted(set(receipts))
    too_many = wire.post("/v1/checks", {"checks": [asks[0]] * 101}, key=key)
    assert (too_many.status_code, house.verified()) == (422, len(house.log()))


class Counting:
    """A database that counts the statements of each transaction; everything else is the real one's."""

    def __init__(self, inner: Database) -> None:
        self.inner = inner
        self.inline = inner.inline
        self.statements = 0

    @contextmanager
    def transaction(self) -> Iterator[OpenTransaction]:
        with self.inner.transaction() as tx:
            yield CountedTransaction(tx, self)

    def reading(self) -> Any:
        return self.inner.reading()

    def close(self) -> None:
        self.inner.close()


class CountedTransaction:
    def __init__(self, tx: OpenTransaction, counting: Counting) -> None:
        self._tx = tx
        self._counting = counting

    def rows(self, *how: Any) -> Sequence[Any]:
        self._counting.statements += 1
        return self._tx.rows(*how)

    def run(self, *how: Any) -> int:
        self._counting.statements += 1
        return self._tx.run(*how)

    def commit(self) -> None:
        self._counting.statements += 1
        self._tx.commit()

    @property
    def concurrent(self) -> bool:
        return self._tx.concurrent


def _read(
    house: Living, who: str, about: str, *fields: str, purpose: str = "family.care"
) -> tuple[Reply, int]:
    """Read through the gate itself and count the statements."""
    gate = house.service.gate
    counting = Counting(gate._database)
    gate._database = counting
    ask = Ask(
        Caller(ActorId(world.CRM.id), Prefix.SERVICE),
        ActorId(who),
        Action.READ,
        SubjectId(about),
        tuple(map(FieldName, fields)),
        Purpose(purpose),
        new_id(Prefix.REQUEST),
        new_id(Prefix.DECISION),
        reveal=True,
    )
    try:
        return gate.read([ask], house.clock())[0], counting.statements
    finally:
        gate._database = counting.inner


def test_a_refusal_costs_the_same_whether_unknown_or_not_yours(house: Living) -> None:
    costs = {}
    for who, about in [
        (world.ZHOU_MING.id, world.ZHANG_LI.id),  # not yours
        (world.ZHOU_MING.id, NOBODY),  # nobody
        (NOBODY, world.ZHANG_LI.id),  # asked by nobody
        (NOBODY, NOBODY),
        # It is counted whom staff see, so they cost one statement more, whoever it is about.
        (world.WANG_MIN.id, world.XIAO_MAN.id),  # a child that is nobody's case
        (world.WANG_MIN.id, NOBODY),
    ]:
        reply, cost = _read(house, who, about, "name")
        assert isinstance(reply, NotYours)
        costs[who, about] = cost - (who == world.WANG_MIN.id)
    assert len(set(costs.values())) == 1, costs


def test_hidden_and_absent_get_the_same_bytes_at_the_same_cost(house: Living, wire: Wire) -> None:
    """李强 hides what he watched; 张丽 has no viewing history at all."""
    hide(house, world.LI_QIANG, "content.history")
    asks = {
        "hidden": (world.GRANDMOTHER, world.LI_QIANG),
        "absent": (world.GRANDMOTHER, world.ZHANG_LI),
    }
    bodies, costs = set(), set()
    for who, about in asks.values():
        ask = {
            "subject": {"type": "member", "id": about.id},
            "fields": ["viewing_history"],
            "purpose": "family.care",
            "on_behalf_of": who.id,
        }
        answer = wire.post("/v1/reads", ask, key=house.key(world.CRM))
        assert answer.status_code == 403
        body = json.loads(answer.content)
        bodies.add(
            answer.text.replace(body["decision_id"], "dec")
            .replace(body["instance"], "req")
            .replace(body["entry_id"], "aud")
            .replace(f'"receipt":{json.dumps(body["receipt"])}', '"receipt":0')
        )
        reply, cost = _read(house, who.id, about.id, "viewing_history")
        assert isinstance(reply, Answer)
        costs.add(cost)
    assert len(bodies) == len(costs) == 1, (bodies, costs)


def test_unknown_and_not_yours_get_the_same_bytes(house: Living, wire: Wire) -> None:
    bodies = set()
    for about in (world.ZHANG_LI.id, NOBODY):
        for path in ("/v1/reads", "/v1/filters"):
            ask: dict[str, Any] = {"subject": {"type": "member", "id": about}, "purpose": "family.care"}
            ask |= {"on_behalf_of": world.ZHOU_MING.id}
            ask |= (
                {"fields": ["name"]}
                if path == "/v1/reads"
                else {"document": {"n": "张"}, "mapping": {"$.n": "name"}}
            )
            answer = wire.post(path, ask, key=house.key(world.CRM))
            assert answer.status_code == 404
            bodies.add(answer.text.replace(json.loads(answer.content)["instance"], "req"))
    assert len(bodies) == 1


def test_a_batch_costs_as_many_statements_as_a_single_ask(house: Living) -> None:
    gate = house.service.gate
    counting = Counting(gate._database)
    gate._database = counting
    people = [world.ZHANG_LI, world.LI_QIANG, world.GRANDMOTHER, world.XIAO_MAN]
    costs = []
    try:
        for size in (1, 4, 40):
            counting.statements = 0
            house.clock.advance(2 * MINUTE)  # whom somebody saw within the minute is not written down again
            asks = [
                Ask(
                    Caller(ActorId(world.CRM.id), Prefix.SERVICE),
                    ActorId(world.CRM.id),
                    Action.READ,
                    SubjectId(people[place % 4].id),
                    (FieldName("name"),),
                    Purpose("service.delivery"),
                    new_id(Prefix.REQUEST),
                    new_id(Prefix.DECISION),
                    reveal=True,
                )
                for place in range(size)
            ]
            gate.read(asks, house.clock())
            costs.append(counting.statements)
    finally:
        gate._database = counting.inner
    assert len(set(costs)) == 1, costs


@only_sqlite
def test_a_key_that_is_revoked_reads_nothing_from_then_on(house: Living, wire: Wire) -> None:
    from governance import identity  # noqa: PLC0415 - only here

    row = next(one for one in ROWS if one.get("who") == "wang_min" and "mobile" in one)
    assert wire.post("/v1/reads", ask_of(row), key=house.key(world.CRM)).status_code == 200
    with house.service.database.transaction() as tx:
        assert identity.revoke_key(tx, house.key(world.CRM), house.clock())
        tx.commit()
    before = house.verified()
    assert wire.post("/v1/reads", ask_of(row), key=house.key(world.CRM)).status_code == 401
    assert house.verified() == before
