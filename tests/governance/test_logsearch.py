"""Officers search the log: on record before it is told, seen by whoever was named, erased with them."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from living import Living, Wire

from audit import ledger
from audit.copies import differences
from audit.entry import Entry, Verdict
from governance import accesses, details, world
from governance.acting import OPERATOR
from governance.erasing import Order
from governance.logsearch import Reader
from policies.identifiers import Prefix, new_id
from policies.terms import SubjectId

UNKNOWN = new_id(Prefix.MEMBER)
ZHANG_LI = SubjectId(world.ZHANG_LI.id)


def asked(
    house: Living, wire: Wire, q: str, person: world.Office = world.OFFICER, status: int = 200, **more: Any
) -> dict[str, Any]:
    extra = "".join(f"&{name}={quote(str(value))}" for name, value in more.items())
    answer = wire.get(f"/v1/audit/entries?q={quote(q)}{extra}", session=house.sign_in(person))
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = json.loads(answer.content)
    return found


def look(house: Living, wire: Wire) -> None:
    body = {
        "subject": {"type": "member", "id": ZHANG_LI},
        "fields": ["name", "mobile"],
        "purpose": "service.delivery",
        "on_behalf_of": world.WANG_MIN.id,
    }
    assert wire.post("/v1/reads", body, key=house.key(world.CRM)).status_code == 200


def pseudonym(house: Living, person: world.Person) -> bytes:
    with house.service.database.reading() as tx:
        return ledger.names_of(tx, [person.id])[person.id]


def searches(house: Living) -> list[Entry]:
    return [entry for entry in house.log() if entry.act == "audit.searched"]


def detail(house: Living, entry: Entry) -> str | None:
    with house.service.database.reading() as tx:
        return details.told(tx, house.service.opening, entry)


def test_an_officer_finds_entries_by_the_id_of_a_member_and_reads_pseudonyms(
    house: Living, wire: Wire
) -> None:
    look(house, wire)
    found = asked(house, wire, f"member:{ZHANG_LI} action:read", facets=True)
    newest = found["entries"][0]
    assert found["query"] == f"member:{ZHANG_LI} action:read"
    assert (newest["action"], newest["decision"], newest["purpose"]) == ("read", "permit", "service.delivery")
    assert newest["members"] == [pseudonym(house, world.ZHANG_LI).hex()]
    assert newest["actor"]["label"] == world.CRM.label
    assert "service.delivery" not in newest["sentence"]
    assert found["facets"]["counts"]["action"] == [{"value": "read", "count": found["facets"]["over"]}]
    without_echo = json.dumps(found["entries"], ensure_ascii=False)
    assert ZHANG_LI not in without_echo
    assert "张丽" not in without_echo


def test_the_search_is_on_record_with_its_count_and_names_whom_it_named(house: Living, wire: Wire) -> None:
    look(house, wire)
    found = asked(house, wire, f"member:{ZHANG_LI} action:read")
    (entry,) = searches(house)
    assert (entry.n, entry.dec, entry.purpose) == (len(found["entries"]), Verdict.PERMIT, "audit.review")
    assert entry.actor.party.id == world.OFFICER.id
    assert entry.subjects == (pseudonym(house, world.ZHANG_LI),)
    assert detail(house, entry) == f"member:{entry.subjects[0].hex()} action:read"
    mine, _ = accesses.of_member(house.service, ZHANG_LI, None, 5)
    others, _ = accesses.of_member(house.service, SubjectId(world.GRANDMOTHER.id), None, 50)
    assert mine[0].action == "audit.searched"
    assert "audit.searched" not in {one.action for one in others}


def test_a_search_that_names_two_people_makes_an_entry_for_each_of_one_story(
    house: Living, wire: Wire
) -> None:
    asked(house, wire, f"member:{ZHANG_LI} member:{world.GRANDMOTHER.id}")
    both = searches(house)
    people = {pseudonym(house, world.ZHANG_LI), pseudonym(house, world.GRANDMOTHER)}
    assert {entry.subjects[0] for entry in both} == people
    assert len({entry.corr for entry in both}) == 1
    assert both[0].corr
    assert len({entry.detail.kid for entry in both if entry.detail}) == 2


def test_a_search_that_names_nobody_is_sealed_for_the_log_itself(house: Living, wire: Wire) -> None:
    asked(house, wire, "decision:deny")
    (entry,) = searches(house)
    assert entry.subjects == ()
    assert detail(house, entry) == "decision:deny"
    raw = house.sql("SELECT ct FROM audit_detail")
    assert b"decision" not in bytes(raw[0][0])


def test_somebody_unknown_has_no_hits_and_nothing_else_shows_it(house: Living, wire: Wire) -> None:
    found = asked(house, wire, f"member:{UNKNOWN}")
    assert (found["entries"], found["has_more"], found["cursor"]) == ([], False, None)
    (entry,) = searches(house)
    assert (entry.n, entry.subjects, detail(house, entry)) == (0, (), "member:nobody")


def erase(house: Living) -> None:
    order = Order(OPERATOR, new_id(Prefix.RIGHT))
    with house.service.database.transaction() as tx:
        house.service.erasing.erase(tx, ZHANG_LI, order, house.clock(), lambda: None)
        tx.commit()


def test_erasing_a_person_erases_what_was_asked_about_them_and_leaves_every_proof(
    house: Living, wire: Wire
) -> None:
    look(house, wire)
    asked(house, wire, f"member:{ZHANG_LI} action:read")
    (entry,) = searches(house)
    assert detail(house, entry)
    erase(house)
    assert detail(house, entry) is None
    assert house.sql("SELECT entry_id FROM audit_detail") == []
    assert house.sql("SELECT kid FROM data_key WHERE key_class = 'audit_detail'") == []
    assert asked(house, wire, f"member:{ZHANG_LI}")["entries"] == []
    house.verified()


def test_a_detail_that_was_exchanged_is_not_told(house: Living, wire: Wire) -> None:
    asked(house, wire, "decision:deny")
    asked(house, wire, "decision:error")
    first, second = searches(house)
    house.sql(f"DELETE FROM audit_detail WHERE entry_id = '{first.id}'")
    house.sql(f"UPDATE audit_detail SET entry_id = '{first.id}' WHERE entry_id = '{second.id}'")
    assert detail(house, first) is None


def test_a_sweep_of_what_has_lapsed_leaves_the_keys_of_details(house: Living, wire: Wire) -> None:
    asked(house, wire, f"member:{ZHANG_LI}")
    with house.service.database.transaction() as tx:
        house.service.retaining._vault.release(tx, ZHANG_LI)
        tx.commit()
    assert detail(house, searches(house)[0])


def test_one_entry_is_told_with_its_detail_once_the_look_is_on_record(house: Living, wire: Wire) -> None:
    asked(house, wire, f"member:{ZHANG_LI}")
    at = next(number for number, one in enumerate(house.log()) if one.act == "audit.searched")
    entry = house.log()[at]
    session = house.sign_in(world.AUDITOR)
    for which in (at, entry.id):
        told = json.loads(wire.get(f"/v1/audit/entries/{which}", session=session).content)
        assert (told["index"], told["entry_id"]) == (at, entry.id)
        assert told["detail"]["text"] == f"member:{entry.subjects[0].hex()}"
        reading = house.log()[-1]
        assert (reading.act, reading.resource, reading.subjects) == ("log.read", entry.id, entry.subjects)
    assert wire.get("/v1/audit/entries/999999", session=session).status_code == 404
    assert wire.get(f"/v1/audit/entries/{new_id(Prefix.ENTRY)}", session=session).status_code == 404


def test_pages_follow_a_cursor_that_fits_one_question_and_one_officer(house: Living, wire: Wire) -> None:
    first = asked(house, wire, "kind:change", limit=5)
    second = asked(house, wire, "kind:change", limit=5, cursor=first["cursor"])
    indexes = [one["index"] for one in (*first["entries"], *second["entries"])]
    assert len(indexes) == 10
    assert indexes == sorted(indexes, reverse=True)
    for q, person in (("kind:decision", world.OFFICER), ("kind:change", world.AUDITOR)):
        refused = asked(house, wire, q, person, 422, cursor=first["cursor"])
        assert refused["errors"] == [{"pointer": "/cursor", "code": "another_search"}]
    assert [entry.n for entry in searches(house)] == [5, 5]


@pytest.mark.parametrize(
    ("q", "code", "position"), [("zhang", "qualifier_missing", 0), ("kind:key a:b", "qualifier_unknown", 9)]
)
def test_a_line_that_means_nothing_is_told_by_its_place_and_not_repeated(
    house: Living, wire: Wire, q: str, code: str, position: int
) -> None:
    size = house.size()
    refused = asked(house, wire, q, status=422)
    assert (refused["errors"], refused["position"]) == ([{"pointer": "/q", "code": code}], position)
    assert "zhang" not in json.dumps(refused)
    assert house.size() == size


def test_a_saved_search_names_nobody_and_is_its_officers_own(house: Living, wire: Wire) -> None:
    mine, other = house.sign_in(world.OFFICER), house.sign_in(world.AUDITOR)

    def send(method: str, path: str, body: object, session: str = mine) -> tuple[int, dict[str, Any]]:
        headers = {"cookie": f"governance_session={session}", "content-type": "application/json"}
        answer = wire.call(method, path, content=json.dumps(body).encode(), headers=headers)
        return answer.status_code, json.loads(answer.content or b"{}")

    status, saved = send("POST", "/v1/audit/searches", {"name": "拒绝", "q": "reason:b reason:a"})
    assert (status, saved["q"]) == (201, "reason:a reason:b")
    assert send("POST", "/v1/audit/searches", {"name": "拒绝", "q": ""})[0] == 409
    status, refused = send("POST", "/v1/audit/searches", {"name": "她", "q": f"member:{ZHANG_LI}"})
    assert (status, refused["errors"]) == (422, [{"pointer": "/q", "code": "names_somebody"}])
    path = f"/v1/audit/searches/{saved['id']}"
    assert send("PUT", path, {"name": "放行", "q": "decision:permit"}, other)[0] == 404
    assert send("PUT", path, {"name": "放行", "q": "decision:permit"})[1]["q"] == "decision:permit"
    assert wire.get("/v1/audit/searches", session=other).content == b'{"searches":[]}'
    assert len(json.loads(wire.get("/v1/audit/searches", session=mine).content)["searches"]) == 1
    assert wire.call("DELETE", path, headers={"cookie": f"governance_session={mine}"}).status_code == 204
    assert wire.get(path, session=mine).status_code == 404


def test_the_operators_rebuilding_makes_the_same_index_and_is_on_record(house: Living, wire: Wire) -> None:
    before = asked(house, wire, "kind:change")["entries"]
    house.sql("DELETE FROM audit_term")
    assert list(differences(house.service.database.reading))
    assert house.service.log.search.rebuild(Reader(OPERATOR), house.clock()) == house.size()
    assert house.log()[-1].act == "audit.reindexed"
    assert list(differences(house.service.database.reading)) == []
    assert asked(house, wire, "kind:change")["entries"] == before


def test_the_page_shows_results_counts_and_where_a_query_is_wrong(house: Living, wire: Wire) -> None:
    session = house.sign_in(world.OFFICER)
    page = wire.get("/console/audit?q=kind:change&lang=en", session=session)
    assert page.status_code == 200
    assert "GET /v1/audit/entries?q=kind%3Achange" in page.text
    assert 'class="facets"' in page.text
    wrong = wire.get("/console/audit?q=kind:change+zhang&lang=en", session=session)
    assert wrong.status_code == 422
    assert "Character 13: A qualifier is missing here" in wrong.text
