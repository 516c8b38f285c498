"""Who looked at my data, complete: every entry of every story is in the view of each whom it concerns.

And in nobody else's. The stories are those of the other tests, and every route there is, tried by every kind
of caller; the views are paged through as a member does. Whoever left sees what was before, whoever joined
what came after, and whoever was erased nothing, for there is nobody left to see it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import callers
import concerned
import happenings
import homemaking
import import_story
import pytest
import rights_story
from callers import PEOPLE, SERVICES, Call
from concerned import Names
from living import DAY, MINUTE, Living, Wire
from rights_story import SECOND

from consent.ages import reached_at
from governance import explaining, identity, traffic, world
from governance.accesses import of_member
from governance.acting import OPERATOR
from governance.exposing import Question, dossier
from governance.holds import HeldError
from governance.moving import UnknownPartyError
from governance.rehearsing import replay
from governance.rightsdeciding import Step
from governance.rightsrecords import Right
from governance.sentences import ACTS
from policies.identifiers import Prefix
from policies.terms import ActorId, SubjectId
from policies.whys import WHYS

ACTS_ABOUT_NOBODY = frozenset(
    {
        # What is done with rules, services, staff, notices, addresses and files.
        "actor.added",
        "actor.ended",
        "audit.reindexed",
        "import.begun",
        "import.finished",
        "import.refused",
        "import.resumed",
        "limit.asked",
        "limit.granted",
        "limit.read",
        "limit.refused",
        "log.key_rotated",
        "log.pruned",
        "notice.published",
        "review.scanned",
        "rules.drafted",
        "rules.published",
        "rules.refused",
        "rules.rehearsed",
        "rules.replayed",
        "rules.shadowed",
        "webhook.added",
        "webhook.disabled",
        "webhook.ended",
        "webhook.replayed",
        "webhook.secret_renewed",
        # A page of the log, in which people have pseudonyms only; opening one entry names whom it is about.
        "audit.searched",
        # A part of the log may speak of nobody.
        "export.approved",
        "export.asked",
        "export.downloaded",
        "export.refused",
        "log.read",
        "rights.read",
        "review.read",
        "audit.exposure",
        # A batch of birth dates; whoever is concerned has an entry of their own.
        "transition.examined",
        # The log must forget who that was.
        "subject.erased",
        # What an application asked about things of its own.
        "evaluate",
        "search.action",
        "search.purpose",
        "search.resource",
        "search.subject",
    }
)

HAPPENED = (
    "hide_content",
    "unhide_content",
    "hide_content_from_zhang_li",
    "share_with_li_qiang",
    "end_shares_of_grandmother",
    "open_ticket",
    "close_ticket",
    "nobody_asks_for_a_gender",
    "end_guardian",
    "end_assignment",
    "assign_xiao_man_for_a_minute",
    "withdraw_care",
    "withdraw_health",
    "retire_wang_min",
)


@dataclass(frozen=True)
class Stage:
    """Where a story is played."""

    house: Living
    wire: Wire
    folder: Path
    names: Names


Story = Callable[[Stage], None]


def everyday(on: Stage) -> None:
    house, wire = on.house, on.wire
    traffic.play(house.service, house.keys, 2)
    officer = house.sign_in(world.OFFICER)
    for view in ("all", "blocked", "readings"):
        assert wire.get(f"/console/decisions?view={view}", session=officer).status_code == 200
    decision = next(one.decision for one in reversed(house.log()) if one.decision and one.subjects)
    assert wire.get(f"/console/decisions/{decision}", session=officer).status_code == 200
    assert explaining.look_into(house.service, decision, "zh") is not None
    dossier(house.service, Question(actor=world.WANG_MIN.id))
    replay(house.service, house.service.rules.book, 50, OPERATOR)


def what_happens(on: Stage) -> None:
    house, wire = on.house, on.wire
    happenings.emergency(house, world.GRANDMOTHER)
    happenings.ask_for_access(house)
    happenings.approved_purchase(house)
    for happening in HAPPENED:
        house.clock.advance(1)
        happenings.HAPPENINGS[happening](house)
    assert wire.get("/console/access-reviews", session=house.sign_in(world.OFFICER)).status_code == 200


def homes(on: Stage) -> None:
    """李强 leaves, what happens at home is not his any more; he joins 周明's, and comes back."""
    house, wire = on.house, on.wire

    def somebody_reads_addresses() -> None:
        for home in world.HOMES:
            ask = happenings.reading(world.WANG_MIN.id, home.id, "address", purpose="service.delivery")
            house.service.gate.read([ask], house.clock())

    somebody_reads_addresses()
    assert homemaking.leave(house, wire, world.LI_QIANG)[0] == 200
    somebody_reads_addresses()
    house.clock.advance(MINUTE)
    for host, home in ((world.ZHOU_MING, homemaking.OTHER), (world.ZHANG_LI, homemaking.HOME)):
        code = homemaking.invitation(house, wire, host, home)
        house.clock.advance(1)
        accepted = homemaking.act(house, wire, world.LI_QIANG, "invitations/accept", {"code": code})
        assert accepted.status_code == 200
        house.clock.advance(1)
        somebody_reads_addresses()
        house.clock.advance(1)
        if home == homemaking.OTHER:
            assert homemaking.leave(house, wire, world.LI_QIANG, home)[0] == 200
            somebody_reads_addresses()
    happenings.handed_over(house, world.ZHANG_LI, world.LI_QIANG)


def requests_and_erasure(on: Stage) -> None:
    house, wire = on.house, on.wire
    with house.service.database.transaction() as tx:
        house.service.lifecycle.add_actor(tx, ActorId(SECOND.id), SECOND.label, SECOND.roles, house.clock())
        tx.commit()
    for kind, detail in (
        (Right.ACCESS, {}),
        (Right.PORTABILITY, {}),
        (Right.RESTRICTION, {"purpose": "marketing.direct"}),
        (Right.OBJECTION, {"purpose": "marketing.direct"}),
    ):
        house.clock.advance(1)
        rights_story.ask(house, kind, world.LI_QIANG, **detail)
    assert wire.get("/v1/me/export", session=house.sign_in(world.LI_QIANG)).status_code == 200
    hold = rights_story.hold(house, world.ZHANG_LI.id)
    asked = rights_story.ask(house, Right.ERASURE, by=rights_story.passed_on(world.ZHANG_LI), evidence="c-1")
    with pytest.raises(HeldError):
        rights_story.decide(house, asked.request.id, Step.FULFIL)
    house.service.holds.lift(rights_story.OFFICER.caller, hold, house.clock(), request_id="req")
    assert wire.get("/console/rights", session=house.sign_in(world.OFFICER)).status_code == 200
    on.names.look()
    house.clock.advance(1)
    rights_story.erase(house, world.GRANDMOTHER)
    house.clock.advance(1)
    traffic.play(house.service, house.keys, 1)


def imports(on: Stage) -> None:
    house = on.house
    rows = [*import_story.many(8), import_story.row(member=happenings.NOBODY)]
    tally, _told = import_story.run(house, import_story.jsonl(on.folder, rows))
    assert tally.imported == 8


def growing_up(on: Stage) -> None:
    house = on.house
    for years in (14, 18):
        house.clock.now = reached_at(date(2017, 5, 21), years) - 20 * DAY
        house.service.transitions.run(house.clock(), dry_run=True)
        house.service.tidy()
        house.clock.advance(30 * DAY)
        house.service.tidy()


def _while_it_can_be_prepared(call: Call) -> tuple[bool, bool]:
    """Put first what is prepared by people who leave their roles in later calls; taking a role comes last."""
    prepared = any(f"<{name}>" in call.path for name in ("act", "approval", "offer"))
    return not prepared, call.path.endswith("/accept")


def _end_portfolio_of_the_doctor(house: Living) -> None:
    child, doctor = SubjectId(world.XIAO_MAN.id), ActorId(world.DOCTOR_CHEN.id)
    house.clock.advance(1)
    with suppress(UnknownPartyError), house.service.database.transaction() as tx:
        house.service.lifecycle.end_assignment(tx, child, doctor, house.clock())
        tx.commit()


def every_route(on: Stage) -> None:
    """Every route, asked by every service and person; who may comes last, as in the table of callers."""
    house = on.house
    for call in sorted(callers.calls(), key=_while_it_can_be_prepared):
        if "<approval>" in call.path:
            _end_portfolio_of_the_doctor(house)
        ready = callers.filled(call, house)
        for caller in sorted((*SERVICES, *PEOPLE), key=lambda one: ready.expected(one)[0] in "23"):
            body, headers = callers.sendable(ready, house, caller)
            on.names.look()
            house.clock.advance(1)
            on.wire.call(ready.method, ready.path, content=body, headers=headers)


STORIES: Mapping[str, Story] = {
    story.__name__: story
    for story in (everyday, what_happens, homes, requests_and_erasure, imports, growing_up, every_route)
}


def view_of(house: Living, wire: Wire, member: str) -> list[int]:
    """Page through a member's view, as the member does."""
    with house.service.database.transaction() as tx:
        link = identity.issue_link(tx, ActorId(member), house.clock())
        session = identity.redeem_link(tx, link, house.clock())
        tx.commit()
    assert session is not None
    found: list[int] = []
    cursor = ""
    while True:
        answer = wire.get(f"/v1/me/accesses?limit=17{cursor}", session=session)
        if answer.status_code == 401:
            return []  # a member that is no more signs in no more
        page: dict[str, Any] = json.loads(answer.content)
        found += [one["receipt"] for one in page["data"]]
        if not page["has_more"]:
            return found
        cursor = f"&cursor={page['next_cursor']}"


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
def test_each_entry_is_in_the_view_of_whom_it_concerns_and_in_nobody_elses(
    story: Story, house: Living, wire: Wire, tmp_path: Path
) -> None:
    names = Names(house)
    story(Stage(house, wire, tmp_path, names))
    names.look()
    log = concerned.trees(house)
    expected = concerned.concerned(log, names)
    known = {row[0] for row in house.sql("SELECT subject_id FROM subject_pseudonym")}
    everybody = {row[0] for row in house.sql("SELECT id FROM subject WHERE kind = 'member'")}
    assert len(known & everybody) >= 4
    for member in sorted(everybody | names.members()):
        shown = view_of(house, wire, member) if member in everybody else []
        if member not in known:
            assert shown == [], "the log has forgotten who that was"
            continue
        if member in everybody:
            assert shown == expected[member]
        found, _ = of_member(house.service, SubjectId(member), None, 10_000)
        assert [one.index for one in found] == expected[member]


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
@pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)
def test_no_entry_forgets_whom_it_is_about(story: Story, house: Living, wire: Wire, tmp_path: Path) -> None:
    story(Stage(house, wire, tmp_path, Names(house)))
    trees = concerned.trees(house)
    assert {tree["act"] for tree in trees if not tree.get("subj")} <= ACTS_ABOUT_NOBODY
    for tree in trees:
        assert tree["act"] in ACTS, "an act without a sentence"
        codes = {*tree.get("why", ()), *(why for one in tree.get("fields", ()) for why in one.get("why", ()))}
        assert codes <= WHYS
        assert Prefix.MEMBER not in json.dumps(tree)
