"""What time alone changes, changes at its instant: no job has to run first; each answer says until when."""

from __future__ import annotations

from datetime import date

import happenings
from happenings import reading
from living import DAY, MINUTE, Living

from consent import registry
from consent.ages import reached_at
from consent.events import Capacity
from consent.listing import Terms
from governance import subjects, world
from governance.asking import Answer
from policies.terms import SubjectId

BIRTH = date(2017, 5, 21)  # 小满
AT_14, AT_18 = reached_at(BIRTH, 14), reached_at(BIRTH, 18)
CHILD = world.XIAO_MAN


def answer(house: Living, viewer: str, subject: str, *fields: str) -> Answer:
    ask = reading(viewer, subject, *fields, purpose="service.household")
    reply = house.service.gate.read([ask], house.clock())[0]
    assert isinstance(reply, Answer)
    return reply


def told(house: Living, viewer: str, subject: str, *fields: str) -> list[str]:
    found = answer(house, viewer, subject, *fields).fields
    return [f"{one.effect.value} {one.reasons[0].value}" for one in found]


def written_lately(house: Living) -> None:
    house.sql(f"UPDATE cell SET written_at = {house.clock()} WHERE field = 'viewing_history'")


def test_from_the_first_minute_after_fourteen_relatives_do_not_see_what_can_be_hidden(house: Living) -> None:
    house.clock.now = AT_14 - MINUTE
    written_lately(house)
    assert told(house, world.ZHANG_LI.id, CHILD.id, "viewing_history") == ["show rule_allows"]
    house.clock.now = AT_14
    assert told(house, world.GRANDMOTHER.id, CHILD.id, "viewing_history") == ["hide not_available"]
    assert told(house, world.ZHANG_LI.id, CHILD.id, "viewing_history") == ["hide no_rule"]
    assert told(house, CHILD.id, CHILD.id, "viewing_history") == ["show own_data"]
    house.clock.now = AT_14 + 200 * DAY  # and not only for some days, should the job never run
    assert told(house, world.GRANDMOTHER.id, CHILD.id, "viewing_history") == ["hide not_available"]


def test_guardianship_ends_at_eighteen_whether_or_not_its_end_is_recorded(house: Living) -> None:
    house.clock.now = AT_18 - MINUTE
    assert told(house, world.ZHANG_LI.id, CHILD.id, "birth_date")[0].startswith("show")
    house.clock.now = AT_18
    assert told(house, world.ZHANG_LI.id, CHILD.id, "birth_date") == ["hide no_rule"]


def test_an_answer_lasts_no_longer_than_the_tie_it_rests_on(house: Living) -> None:
    now = house.clock()
    happenings._assign_for_a_minute(house)
    assert answer(house, world.WANG_MIN.id, CHILD.id, "name").valid_until == now + MINUTE


def test_an_answer_about_a_minor_lasts_a_day_at_most_and_never_beyond_the_age(house: Living) -> None:
    assert answer(house, world.ZHANG_LI.id, CHILD.id, "name").valid_until == house.clock() + DAY
    house.clock.now = AT_14 - MINUTE
    assert answer(house, world.ZHANG_LI.id, CHILD.id, "name").valid_until == AT_14
    house.clock.now = AT_18
    assert answer(house, CHILD.id, CHILD.id, "name").valid_until is None


def restrict(house: Living, subject: str) -> None:
    actor = registry.Actor(subject, Capacity.SELF, {})
    with house.service.database.transaction() as tx:
        subjects.change(tx, [SubjectId(subject)])
        registry.restrict(tx, subject, Terms("", frozenset(), "", ""), actor, house.clock())
        tx.commit()
    house.clock.advance(1)


def test_what_may_only_be_stored_is_shown_to_the_person_and_to_nobody_else(house: Living) -> None:
    fields = ("name", "mobile")
    assert told(house, world.ZHANG_LI.id, world.LI_QIANG.id, *fields) == ["show legal_basis"] * 2
    restrict(house, world.LI_QIANG.id)
    assert told(house, world.ZHANG_LI.id, world.LI_QIANG.id, *fields) == ["hide restricted"] * 2
    assert told(house, world.LI_QIANG.id, world.LI_QIANG.id, *fields) == ["show own_data"] * 2
    assert told(house, world.ZHANG_LI.id, world.GRANDMOTHER.id, "name") == ["show legal_basis"]


def test_a_childs_restricted_values_are_closed_to_the_guardian_too(house: Living) -> None:
    restrict(house, CHILD.id)
    assert told(house, world.ZHANG_LI.id, CHILD.id, "name") == ["hide restricted"]
