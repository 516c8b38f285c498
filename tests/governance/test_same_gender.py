"""Advisors of the member's own gender, where the household asks: a wish of all, a fact that stays sealed."""

from __future__ import annotations

from datetime import date

import insiders
import pytest
from happenings import HAPPENINGS, forget_gender, reading
from living import Living, Wire

from governance import world
from governance.asking import Answer, NotYours
from governance.subjects import SAME_GENDER_ADVISOR
from policies.identifiers import Prefix, new_id
from policies.reasons import Reason
from policies.terms import HouseholdId, MemberId, Role


def told(house: Living, staff: world.Office) -> tuple[Reason, ...]:
    """Return why an advisor was shown 张丽's blood pressure, or was not."""
    ask = reading(staff.id, world.ZHANG_LI.id, "blood_pressure")
    (answer,) = house.service.gate.read([ask], house.clock())
    assert isinstance(answer, Answer)
    return answer.fields[0].reasons


def wishes(house: Living) -> dict[str, str]:
    return {row[0]: row[1] for row in house.sql("SELECT id, wishes FROM subject")}


def test_the_wish_is_copied_to_everybody_who_lives_there_and_to_nobody_else(house: Living) -> None:
    asking = {world.ZHANG_HOME.id, *(person.id for person in world.ZHANG_HOME.members)}
    assert {one for one, words in wishes(house).items() if words == SAME_GENDER_ADVISOR} == asking
    HAPPENINGS["nobody_asks_for_a_gender"](house)
    assert set(wishes(house).values()) == {""}
    entry = house.log()[-1]
    assert (entry.act, len(entry.subjects)) == ("profile.unasked", len(asking))


def test_whoever_moves_in_later_is_asked_for_as_well(house: Living) -> None:
    newcomer = MemberId(new_id(Prefix.MEMBER))
    with house.service.database.transaction() as tx:
        house.service.lifecycle.add_member(
            tx,
            newcomer,
            HouseholdId(world.ZHANG_HOME.id),
            (Role("adult_member"),),
            date(1990, 1, 1),
            house.clock(),
        )
        tx.commit()
    assert wishes(house)[newcomer] == SAME_GENDER_ADVISOR


def test_another_gender_and_an_unknown_one_are_denied_by_the_same_rule(house: Living) -> None:
    assert told(house, world.SUN_YUE) == (Reason.CONSENT_GIVEN, Reason.MASKED_BY_RULE)
    assert told(house, world.LIU_YANG) == (Reason.DENIED_BY_RULE,)
    forget_gender(house, world.ZHANG_LI)
    assert told(house, world.SUN_YUE) == (Reason.DENIED_BY_RULE,)


def test_a_gender_cell_that_does_not_open_hides_and_says_so(house: Living) -> None:
    insiders.flip(house, world.ZHANG_LI.id, "@gender")
    assert told(house, world.SUN_YUE) == (Reason.FACTS_UNAVAILABLE,)
    # Where nobody asks, nobody opens it.
    HAPPENINGS["nobody_asks_for_a_gender"](house)
    assert told(house, world.SUN_YUE) == (Reason.CONSENT_GIVEN, Reason.MASKED_BY_RULE)


@pytest.mark.parametrize("field", ["gender", "@gender"])
def test_the_gender_is_never_released_as_a_fact(field: str, house: Living, wire: Wire) -> None:
    ask = {
        "subject": {"type": "member", "id": world.ZHANG_LI.id},
        "fields": ["blood_pressure", field],
        "purpose": "service.health",
        "on_behalf_of": world.SUN_YUE.id,
    }
    answer = wire.post("/v1/reads", ask, key=house.key(world.CRM))
    assert "female" not in answer.text
    assert answer.status_code == (200 if field == "gender" else 422)


@pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)
def test_only_words_that_decisions_know_are_taken_in_as_a_gender(house: Living, wire: Wire) -> None:
    path, own = f"/v1/members/{world.ZHANG_LI.id}/fields", world.ZHANG_LI.id
    for word, status in (("female", 200), ("other", 200), ("女", 422), ("Female", 422)):
        body = {"values": {"gender": word}, "purpose": "account.manage", "on_behalf_of": own}
        assert wire.put(path, body, key=house.key(world.CRM)).status_code == status
    assert told(house, world.SUN_YUE) == (Reason.DENIED_BY_RULE,)  # she wrote "other" last


def test_strangers_are_told_nothing_of_either(house: Living) -> None:
    ask = reading(world.LIU_YANG.id, world.LI_QIANG.id, "blood_pressure")
    assert house.service.gate.read([ask], house.clock()) == [NotYours()]
