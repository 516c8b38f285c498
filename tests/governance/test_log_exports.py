"""Exports of the log: one officer up to a limit, a second person above it, each step on record."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterable
from urllib.parse import urlencode

import pytest
from bundle_story import entries_of
from export_story import SECOND, as_caller, ask, checked, fetched, waiting_export, with_second_officer
from living import DAY, START, Living, Wire
from logbreaking import Insider

from audit import checkpoint
from audit.bundle import DamagedLogError
from audit.bundlecheck import check_bundle
from audit.entry import Entry, Kind
from audit.ledger import LogError
from audit.verdicts import Exit
from governance import world
from governance.exportfilter import UnfitQueryError, filter_of
from governance.exportrecords import ExportState
from governance.logexports import ExportClosedError, SamePersonError
from governance.logsource import Run, UnfitRunError
from policies.identifiers import Prefix, new_id

HERE = "/v1/audit/exports"
ON_SQLITE = pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)
DAMAGE = (
    "DROP TRIGGER audit_entry_no_update",
    "UPDATE audit_entry SET leaf = CAST('x' AS BLOB) WHERE leaf_index = 7",
)


def acts(entries: Iterable[Entry]) -> list[str]:
    return [entry.act for entry in entries if entry.act.startswith("export.")]


def named(entries: Iterable[Entry]) -> set[bytes]:
    return {subject for entry in entries for subject in entry.subjects}


def test_an_officer_exports_a_run_and_a_stranger_verifies_it(house: Living, wire: Wire) -> None:
    session = house.sign_in(world.OFFICER)
    asked = wire.post(HERE, {"first": 3, "end": 20}, cookie=f"governance_session={session}")
    assert asked.status_code == 201
    told = asked.json()
    assert (told["state"], told["entries"], told["first"], told["end"]) == ("ready", 17, 3, 20)
    data = fetched(wire, session, told["export_id"])
    report = checked(house, data)
    assert (report.report.exit, report.pinned) == (Exit.OK, True)
    assert report.manifest is not None
    assert (report.manifest.first, report.manifest.end, report.manifest.size) == (3, 20, told["log_size"])
    assert [index for index, _ in entries_of(data)] == list(range(3, 20))
    # Fetched again it is the same, and on record again.
    assert fetched(wire, session, told["export_id"]) == data
    assert acts(house.log()) == ["export.asked", "export.downloaded", "export.downloaded"]


@ON_SQLITE
def test_what_was_asked_is_on_record_before_anything_is_given_with_number_and_people(house: Living) -> None:
    asked = ask(house, world.OFFICER, Run(0, 30))
    told = house.log()[-1]
    assert (told.act, told.kind, told.n, told.resource) == ("export.asked", Kind.AUDIT, 30, asked.id)
    assert set(told.subjects) == named(house.log()[:30])
    _, pieces = house.service.log.exports.fetch(as_caller(world.OFFICER), asked.id, "", house.clock())
    fetched_by = house.log()[-1]  # not one piece has been taken yet
    assert (fetched_by.act, fetched_by.n, fetched_by.subjects) == ("export.downloaded", 30, told.subjects)
    assert checked(house, b"".join(pieces)).report.exit is Exit.OK


@ON_SQLITE
def test_whoever_an_export_is_about_finds_it_in_their_own_view(house: Living, wire: Wire) -> None:
    ask(house, world.OFFICER)
    session = house.sign_in(world.ZHANG_LI)
    seen = wire.get("/v1/me/accesses", session=session).json()["data"]
    assert "export.asked" in {one["action"] for one in seen}


def test_above_the_limit_of_a_day_a_second_officer_approves_and_only_the_asker_fetches(
    house: Living, wire: Wire
) -> None:
    export = waiting_export(house)
    second, first = house.sign_in(SECOND), house.sign_in(world.OFFICER)

    def post(session: str, verb: str) -> tuple[int, str]:
        answer = wire.post(f"{HERE}/{export}/{verb}", {}, cookie=f"governance_session={session}")
        return answer.status_code, answer.json().get("code", answer.json().get("state"))

    assert wire.get(f"{HERE}/{export}/download", session=second).json()["code"] == "conflict"
    assert post(second, "approve") == (403, "second_person_needed")
    assert post(second, "refuse") == (403, "second_person_needed")
    assert post(first, "approve") == (200, "approved")
    assert post(first, "approve") == (409, "conflict")
    assert wire.get(f"{HERE}/{export}/download", session=first).json()["code"] == "second_person_needed"
    assert checked(house, fetched(wire, second, export)).report.exit is Exit.OK
    log = house.log()
    assert acts(log)[-3:] == ["export.asked", "export.approved", "export.downloaded"]
    story = [entry for entry in log if entry.corr == export]
    assert {entry.n for entry in story} == {story[0].n}
    assert {entry.subjects for entry in story} == {story[0].subjects} != {()}


@ON_SQLITE
def test_what_was_refused_is_never_fetched(house: Living) -> None:
    export = waiting_export(house)
    desk, officer = house.service.log.exports, as_caller(world.OFFICER)
    refused = desk.decide(officer, export, approve=False, request_id="", now=house.clock())
    assert (refused.state, refused.decided_by) == (ExportState.REFUSED, world.OFFICER.id)
    with pytest.raises(ExportClosedError):
        desk.fetch(as_caller(SECOND), export, "", house.clock())
    with pytest.raises(ExportClosedError):
        desk.decide(officer, export, approve=True, request_id="", now=house.clock())
    assert house.log()[-1].act == "export.refused"
    assert house.log()[-1].dec.value == "deny"


@ON_SQLITE
def test_waiting_and_being_ready_end_by_themselves(house: Living) -> None:
    desk, officer = house.service.log.exports, as_caller(world.OFFICER)
    ready, waiting = ask(house, world.OFFICER, Run(0, 5)), waiting_export(house)
    limits = house.service.rules.book.limits
    house.clock.advance(limits.export_approval_hours * 3_600_000)
    assert desk.one(waiting, house.clock()).state is ExportState.EXPIRED
    with pytest.raises(ExportClosedError):
        desk.decide(officer, waiting, approve=True, request_id="", now=house.clock())
    house.clock.advance(limits.export_days * DAY)
    with pytest.raises(ExportClosedError):
        desk.fetch(officer, ready.id, "", house.clock())
    assert {one.state for one in desk.newest(house.clock())} == {ExportState.EXPIRED}


@ON_SQLITE
def test_many_small_exports_are_one_large_one_until_the_day_is_over(house: Living) -> None:
    waiting_export(house)
    assert ask(house, SECOND, Run(0, house.size())).state is ExportState.PENDING
    assert ask(house, world.OFFICER, Run(0, 5)).state is ExportState.READY  # another officer's day
    house.clock.advance(DAY + 1)
    assert ask(house, SECOND, Run(0, 5)).state is ExportState.READY


def test_two_requests_at_once_do_not_both_use_up_the_day(house: Living) -> None:
    officer = with_second_officer(house)
    limit, run = house.service.rules.book.limits.export_entries_alone, Run(0, 50)
    assert house.size() > 50
    for _ in range(limit // 50 - 1):
        ask(house, officer, run)
    states: list[ExportState] = []
    start = threading.Barrier(4)

    def hurry() -> None:
        start.wait()
        states.append(ask(house, officer, run).state)

    threads = [threading.Thread(target=hurry) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(states) == [ExportState.PENDING] * 3 + [ExportState.READY]


def test_a_key_sent_twice_asks_once(house: Living, wire: Wire) -> None:
    cookie = f"governance_session={house.sign_in(world.OFFICER)}"
    how = {"cookie": cookie, "idempotency_key": "k1"}
    first = wire.post(HERE, {"first": 0, "end": 9}, **how).json()
    again = wire.post(HERE, {"first": 0, "end": 9}, **how).json()
    other = wire.post(HERE, {"first": 0, "end": 8}, **how)
    assert first == again
    assert other.json()["code"] == "key_reused"
    assert acts(house.log()) == ["export.asked"]


@ON_SQLITE
def test_an_export_shows_the_log_as_it_was_when_it_was_asked_for(house: Living) -> None:
    asked = ask(house, world.OFFICER)
    house.clock.advance(1_000)
    ask(house, world.OFFICER, Run(0, 2))  # the log goes on, and is signed again
    house.service.log.checkpoints.publish(house.clock())
    _, pieces = house.service.log.exports.fetch(as_caller(world.OFFICER), asked.id, "", house.clock())
    report = checked(house, b"".join(pieces))
    assert (report.report.exit, report.report.size) == (Exit.OK, asked.size)
    assert asked.size < house.size()


@ON_SQLITE
def test_an_export_is_in_order_while_others_write_between_its_pieces(house: Living) -> None:
    asked = ask(house, world.OFFICER)
    _, pieces = house.service.log.exports.fetch(as_caller(world.OFFICER), asked.id, "", house.clock())
    taken = []
    for piece in pieces:
        taken.append(piece)
        ask(house, world.OFFICER, Run(0, 1))
    assert checked(house, b"".join(taken)).report.exit is Exit.OK


def test_a_filter_gives_what_it_takes_and_the_bundle_says_that_it_is_filtered(house: Living) -> None:
    asked = ask(house, world.OFFICER, query="kind:change -action:member.added")
    log = house.log()[: asked.end]
    expected = [i for i, one in enumerate(log) if one.kind is Kind.CHANGE and one.act != "member.added"]
    assert asked.entries == len(expected) > 0
    _, pieces = house.service.log.exports.fetch(as_caller(world.OFFICER), asked.id, "", house.clock())
    data = b"".join(pieces)
    report = checked(house, data)
    assert report.report.exit is Exit.OK
    assert report.manifest is not None
    assert (report.manifest.filtered, report.manifest.filter) == (True, "kind:change -action:member.added")
    assert [index for index, _ in entries_of(data)] == expected
    assert set(house.log()[-2].subjects) <= named(log)


@pytest.mark.parametrize(
    "query",
    ["张丽", "member:x", "actor:", "kind:change,admin", f"member:{world.ZHANG_LI.id}",
     f"household:{world.HOMES[0].id}", "kind:=1", "a:b:c", "kind:" + "x" * 600],
)  # fmt: skip
def test_what_is_no_filter_or_names_a_member_is_refused(query: str) -> None:
    with pytest.raises(UnfitQueryError):
        filter_of(query)


@ON_SQLITE
@pytest.mark.parametrize(
    "run",
    [Run(0, 10**9), Run(5, 5), Run(9, 3), Run(10**9), Run(since=START + 999 * DAY), Run(until=1)],
)
def test_a_run_without_entries_is_no_run(house: Living, run: Run) -> None:
    with pytest.raises(UnfitRunError):
        ask(house, world.OFFICER, run)
    assert acts(house.log()) == []


@ON_SQLITE
def test_times_choose_the_run_that_holds_all_their_entries(house: Living) -> None:
    before = house.size()
    house.clock.advance(DAY)
    ask(house, world.OFFICER, Run(0, 1))
    asked = ask(house, world.OFFICER, Run(since=house.clock(), until=house.clock() + 1))
    assert (asked.first, asked.end) == (before, before + 1)


@ON_SQLITE
@pytest.mark.parametrize(
    "body",
    [{}, {"first": 0, "since": "2026-11-22T00:00:00Z"}, {"first": -1}, {"first": "0"}, {"first": 1.0},
     {"end": 2**60}, {"since": "yesterday"}, {"until": "2026-13-01T00:00:00Z"}, {"first": 0, "query": "张丽"},
     {"first": 0, "query": ""}, {"first": 0, "query": "what"}, {"first": 0, "more": 1},
     {"first": 9, "end": 9}, []],
    ids=str,
)  # fmt: skip
def test_a_body_that_asks_for_nothing_sensible_is_told_where(house: Living, wire: Wire, body: object) -> None:
    cookie = f"governance_session={house.sign_in(world.OFFICER)}"
    answer = wire.post(HERE, body, cookie=cookie)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert answer.json()["errors"]
    assert acts(house.log()) == []


@ON_SQLITE
@pytest.mark.parametrize(
    "query",
    ["created:>=2026-01-01", "action:consent.* -reason:no_consent", "created:<2099-01-31T09:00+08:00",
     f"-actor:{world.OFFICER.id}", f"-member:{world.ZHANG_LI.id}", 'request:"a b"', "kind：change"],
)  # fmt: skip
def test_what_a_search_takes_an_export_takes_and_both_find_as_many(
    house: Living, wire: Wire, query: str
) -> None:
    session, size = house.sign_in(world.OFFICER), house.size()
    asked = wire.post(HERE, {"first": 0, "end": size, "query": query}, cookie=f"governance_session={session}")
    assert asked.status_code == 201
    address = "/v1/audit/entries?" + urlencode({"q": f"{query} index:<{size}", "limit": 200})
    assert len(wire.get(address, session=session).json()["entries"]) == asked.json()["entries"]


@ON_SQLITE
def test_an_export_says_where_its_query_is_wrong_as_a_search_does(house: Living, wire: Wire) -> None:
    cookie = f"governance_session={house.sign_in(world.OFFICER)}"
    told = wire.post(HERE, {"first": 0, "query": "kind:change what"}, cookie=cookie).json()
    assert (told["errors"], told["position"]) == (
        [{"pointer": "/query", "code": "qualifier_missing"}],
        12,
    )


@ON_SQLITE
def test_an_export_that_nobody_asked_for_is_not_found(house: Living, wire: Wire) -> None:
    session, nothing = house.sign_in(world.OFFICER), new_id(Prefix.EXPORT)
    for path in (f"{HERE}/{nothing}", f"{HERE}/{nothing}/download"):
        assert wire.get(path, session=session).json()["code"] == "not_found"


@ON_SQLITE
def test_a_log_that_does_not_fit_its_signature_is_not_exported(house: Living, wire: Wire) -> None:
    session = house.sign_in(world.OFFICER)
    house.service.log.checkpoints.publish(house.clock())
    Insider(house.service.database).run("UPDATE audit_head SET root = zeroblob(32)")
    answer = wire.post(HERE, {"first": 0}, cookie=f"governance_session={session}")
    assert (answer.status_code, answer.json()["code"]) == (503, "cannot_record")
    with pytest.raises(LogError):
        ask(house, world.OFFICER)


@ON_SQLITE
def test_an_export_that_is_fetched_after_the_key_changed_names_the_key_that_signed_it(house: Living) -> None:
    asked = ask(house, world.OFFICER, Run(0, 30))
    old, new, _ = house.service.log.checkpoints.rotate(house.clock())
    _, pieces = house.service.log.exports.fetch(as_caller(world.OFFICER), asked.id, "", house.clock())
    data = b"".join(pieces)
    alone = check_bundle(io.BytesIO(data), checkpoint.check)
    assert (alone.report.exit, alone.manifest and alone.manifest.key) == (Exit.OK, old.text)
    later = ask(house, world.OFFICER, Run(0, 30))
    _, pieces = house.service.log.exports.fetch(as_caller(world.OFFICER), later.id, "", house.clock())
    alone = check_bundle(io.BytesIO(b"".join(pieces)), checkpoint.check)
    assert (alone.report.exit, alone.manifest and alone.manifest.key) == (Exit.OK, new.text)


@ON_SQLITE
def test_an_entry_altered_below_is_never_part_of_a_bundle(house: Living) -> None:
    asked = ask(house, world.OFFICER, Run(0, 20))
    house.sql(*DAMAGE)
    _, pieces = house.service.log.exports.fetch(as_caller(world.OFFICER), asked.id, "", house.clock())
    with pytest.raises(DamagedLogError) as caught:
        list(pieces)
    assert caught.value.index == 7


@ON_SQLITE
def test_no_row_of_an_export_holds_anything_personal(house: Living) -> None:
    ask(house, world.OFFICER, query="decision:deny")
    names = {one.id for home in world.HOMES for one in home.members} | {home.id for home in world.HOMES}
    stored = [str(value) for row in house.sql("SELECT * FROM log_export") for value in row]
    assert stored
    assert not [value for value in stored for name in names if name in value]


@ON_SQLITE
def test_nobody_decides_on_their_own(house: Living) -> None:
    export = waiting_export(house)
    with pytest.raises(SamePersonError):
        house.service.log.exports.decide(
            as_caller(SECOND), export, approve=True, request_id="", now=house.clock()
        )
