"""Documents of others, filtered by our decision; and values taken in: all of them or none."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import httpx2
import insiders
import pytest
from happenings import HAPPENINGS, NOBODY
from living import Living, Wire

from audit.entry import Verdict
from governance import world

only_sqlite = pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)


NAMED = {
    one.key: one.id
    for one in (*world.HOMES, *(person for home in world.HOMES for person in home.members), *world.STAFF)
}


def id_of(key: str | None) -> str | None:
    return NOBODY if key == "nobody" else NAMED.get(key or "")


def filtered(
    house: Living, wire: Wire, document: Any, mapping: dict[str, str], **how: str
) -> httpx2.Response:
    """Filter for 王敏, who sees 张丽's name, her mobile number masked, and no identity number."""
    body = {
        "subject": {"type": "member", "id": how.get("about", world.ZHANG_LI.id)},
        "purpose": how.get("purpose", "service.delivery"),
        "document": document,
        "mapping": mapping,
        "on_behalf_of": how.get("who", world.WANG_MIN.id),
    }
    return wire.post("/v1/filters", body, key=house.key(world.CRM))


NAME, MOBILE, CARD = "张丽", "15400001002", "990000198605170025"
DOCUMENTS: dict[str, tuple[Any, dict[str, str], Any]] = {
    "shown, masked and removed": (
        {"who": NAME, "tel": MOBILE, "id": CARD, "order": 7},
        {"$.who": "name", "$.tel": "mobile", "$.id": "id_card"},
        {"who": NAME, "tel": "154****1002", "order": 7},
    ),
    "deep inside and in lists": (
        {"orders": [{"to": {"tel": MOBILE, "id": CARD}}, {"to": {"tel": MOBILE}}]},
        {"$.orders[*].to.tel": "mobile", "$.orders[*].to.id": "id_card"},
        {"orders": [{"to": {"tel": "154****1002"}}, {"to": {"tel": "154****1002"}}]},
    ),
    "two neighbours of a list, both removed": (
        {"ids": [CARD, CARD + "#2", "kept"]},
        {"$.ids[0]": "id_card", "$.ids[1]": "bank_card"},
        {"ids": ["kept"]},
    ),
    "an element and all elements": (
        {"ids": [CARD, CARD]},
        {"$.ids[0]": "name", "$.ids[*]": "id_card"},
        {"ids": []},
    ),
    "one place mapped twice is treated by both": (
        {"tel": [MOBILE, MOBILE]},
        {"$.tel[*]": "mobile", "$.tel[0]": "name"},
        {"tel": ["154****1002", "154****1002"]},
    ),
    "a masked value that is no text": (
        {"tel": 15400001002, "more": {"tel": [MOBILE]}},
        {"$.tel": "mobile", "$.more.tel": "mobile"},
        {"more": {}},
    ),
    "a masked value of another form": ({"tel": "ring me: " + MOBILE}, {"$.tel": "mobile"}, {"tel": "***"}),
    "a shown value that is no text": ({"who": {"first": "丽"}}, {"$.who": "name"}, {"who": {"first": "丽"}}),
    "a structure above a place that is removed": (
        {"card": {"id": CARD}},
        {"$.card": "id_card", "$.card.id": "id_card"},
        {},
    ),
    "what is not there": ({"a": 1}, {"$.b[3].c": "name", "$.a[0]": "id_card"}, {"a": 1}),
    "a field nobody declared": ({"x": "y"}, {"$.x": "no_such_field"}, {}),
    "null": ({"id": None, "who": None}, {"$.id": "id_card", "$.who": "name"}, {"who": None}),
}


@pytest.mark.parametrize("name", DOCUMENTS)
@only_sqlite
def test_each_mapped_value_is_shown_masked_or_removed(name: str, house: Living, wire: Wire) -> None:
    document, mapping, expected = DOCUMENTS[name]
    answer = filtered(house, wire, document, mapping)
    assert (answer.status_code, json.loads(answer.content)["document"]) == (200, expected)
    entry = house.log()[-1]
    assert entry.act == "check"


FOREIGN = (
    *("", "$", "who", "$..id", "$.a.*", "$[?(@.a)]", "$['a']", "$.a[-1]", "$.a[01]", "$.a[1:2]", "$.姓名"),
    *("$.a ", "$.a\n", "$" + ".a" * 17),
)


@pytest.mark.parametrize("path", FOREIGN)
@only_sqlite
def test_a_path_we_do_not_speak_is_refused_and_decides_nothing(path: str, house: Living, wire: Wire) -> None:
    before = house.verified()
    answer = filtered(house, wire, {"a": [1]}, {path: "name"})
    assert (answer.status_code, json.loads(answer.content)["code"]) == (422, "invalid_request")
    assert house.verified() == before


@only_sqlite
def test_a_document_of_somebody_who_is_not_yours_does_not_come_back(house: Living, wire: Wire) -> None:
    for who, about in ((world.WANG_MIN.id, world.XIAO_MAN.id), (world.ZHOU_MING.id, NOBODY)):
        answer = filtered(house, wire, {"n": NAME}, {"$.n": "name"}, who=who, about=about)
        assert (answer.status_code, NAME in answer.text) == (404, False)


@only_sqlite
def test_a_filter_follows_what_happens(house: Living, wire: Wire) -> None:
    HAPPENINGS["end_assignment"](house)
    assert filtered(house, wire, {"n": NAME}, {"$.n": "name"}).status_code == 404


def write(
    house: Living, wire: Wire, about: str | None, values: dict[str, str], purpose: str, who: str | None
) -> httpx2.Response:
    assert about is not None
    kind = "households" if about.startswith("hh_") else "members"
    body: dict[str, Any] = {"values": values, "purpose": purpose}
    if who is not None:
        body["on_behalf_of"] = who
    return wire.put(f"/v1/{kind}/{about}/fields", body, key=house.key(world.CRM))


WRITES: list[dict[str, Any]] = tomllib.loads(
    Path(__file__).with_name("writes.toml").read_text(encoding="utf-8")
)["write"]


@pytest.mark.parametrize("row", WRITES, ids=lambda row: row["why"])
def test_values_are_taken_in_all_or_none_and_never_without_a_basis(
    row: dict[str, Any], house: Living, wire: Wire
) -> None:
    subject = id_of(row["about"])
    before, kept = house.verified(), house.sql("SELECT subject_id, field, value FROM cell ORDER BY 1, 2")
    answer = write(house, wire, subject, row["values"], row["purpose"], id_of(row.get("who")))
    body = json.loads(answer.content)
    refused = [one["reasons"][0]["code"] for one in body.get("fields", []) if one["effect"] != "show"]
    assert " ".join([str(answer.status_code), *refused]) == row["answer"]
    assert house.verified() == before + 1
    entry = house.log()[-1]
    stored = row["answer"] == "200"
    assert (entry.act, entry.dec) == ("write", Verdict.PERMIT if stored else Verdict.DENY)
    now = house.sql("SELECT subject_id, field, value FROM cell ORDER BY 1, 2")
    changed = {tuple(one[:2]) for one in now if one not in kept}
    assert changed == ({(subject, field) for field in row["values"]} if stored else set())
    assert len(now) >= len(kept)
    # The log keeps a digest of each new cell, of nothing that was refused, and no value.
    assert all(bool(one.cell) == stored for one in entry.fields)
    assert not any(value in answer.text for value in row["values"].values())


@only_sqlite
def test_a_new_birth_date_counts_for_the_next_decision(house: Living, wire: Wire) -> None:
    """李强 turns out to be a child, and what the law forbids towards children binds at once."""
    read = {
        "subject": {"type": "member", "id": world.LI_QIANG.id},
        "fields": ["name"],
        "purpose": "service.delivery",
        "on_behalf_of": world.WANG_MIN.id,
    }
    key = house.key(world.CRM)
    assert wire.post("/v1/reads", read, key=key).status_code == 200
    # Nobody changes a birth date alone: the CRM does, after it has verified the correction.
    args = (world.LI_QIANG.id, {"birth_date": "2017-01-01"}, "account.manage")
    assert write(house, wire, *args, world.LI_QIANG.id).status_code == 403
    assert write(house, wire, *args, None).status_code == 200
    assert wire.post("/v1/reads", read, key=key).status_code == 403
    wrongs = ("2017-1-1", "20170101", "2017-02-30", "17-01-01", "２０１７-01-01", "2017-01-01T00:00:00")
    for wrong in wrongs:
        args = (world.LI_QIANG.id, {"birth_date": wrong}, "account.manage", world.LI_QIANG.id)
        answer = write(house, wire, *args)
        assert (answer.status_code, wrong in answer.text) == (422, False)


STRANGE = (
    *("㐧一", "𠮷野家", "买买提·吐尔逊", "阿卜杜拉‧热合曼", "👨‍👩‍👧", "张", "é", "e\u0301", "n" * 2000),
    *("=HYPERLINK(1)", "<b>丽</b>", "{{7*7}}", "%n%s", "' OR 1=1 --", "a\tb\nc"),
)


@only_sqlite
def test_values_come_back_byte_for_byte(house: Living, wire: Wire) -> None:
    own = {"purpose": "personal.access", "on_behalf_of": world.ZHANG_LI.id}
    read = {"subject": {"type": "member", "id": world.ZHANG_LI.id}, "fields": ["name"], **own}
    for name in STRANGE:
        stored = write(house, wire, world.ZHANG_LI.id, {"name": name}, "account.manage", world.ZHANG_LI.id)
        assert stored.status_code == 200
        answer = wire.post("/v1/reads", read, key=house.key(world.CRM))
        assert json.loads(answer.content)["fields"][0]["value"] == name


@only_sqlite
def test_a_value_that_is_not_printable_is_refused(house: Living, wire: Wire) -> None:
    for value in ("", "a\x1b[31m", "a\u2028b", "a\x00b", "a\x7f", "n" * 2001):
        answer = write(house, wire, world.ZHANG_LI.id, {"name": value}, "account.manage", world.ZHANG_LI.id)
        assert answer.status_code in (400, 422)


@only_sqlite
def test_what_is_stored_is_sealed_anew_each_time(house: Living, wire: Wire) -> None:
    cells = set()
    for _ in range(3):
        args = (world.ZHANG_LI.id, {"name": "张丽"}, "account.manage", world.ZHANG_LI.id)
        assert write(house, wire, *args).status_code == 200
        cells.add(insiders.cell(house, world.ZHANG_LI.id, "name"))
    assert len(cells) == 3
    assert not any("张丽".encode() in cell for cell in cells)
