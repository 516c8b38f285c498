"""A withdrawal closes a value at once and deletes it a month later, unless something else still needs it."""

from __future__ import annotations

import happenings
from living import DAY, Living
from rights_story import hold

from governance import world
from governance.asking import Answer, WriteAsk
from governance.retaining import GRACE_MS, WITHDRAWN
from governance.seeding import give_consent
from policies.terms import Action, FieldName

WHO = world.GRANDMOTHER
HEALTH = {"allergies", "blood_pressure"}


def stored(house: Living) -> set[str]:
    rows = house.sql(f"SELECT field FROM cell WHERE subject_id = '{WHO.id}'")
    return HEALTH & {row[0] for row in rows}


def withdraw(house: Living, *purposes: str) -> None:
    house.clock.advance(DAY)
    for purpose in purposes or ("service.health", "family.care"):
        happenings.withdraw(house, WHO, purpose)


def sweep(house: Living, later: int) -> dict[str, int]:
    house.clock.advance(later)
    return dict(house.service.retaining.run(house.clock()).fields)


def test_what_was_taken_for_a_withdrawn_consent_is_deleted_a_month_later(house: Living) -> None:
    assert stored(house) == HEALTH
    withdraw(house)
    assert WITHDRAWN not in sweep(house, GRACE_MS - 1)
    assert stored(house) == HEALTH
    dry = house.service.retaining.run(house.clock() + 1, dry=True)
    assert (dry.fields[WITHDRAWN], dry.destroyed.cells) == (1, len(HEALTH))
    assert stored(house) == HEALTH
    assert sweep(house, 1)[WITHDRAWN] == 1
    assert stored(house) == set()
    entry = next(one for one in reversed(house.log()) if one.act == "retention.swept")
    assert (entry.resource, entry.n, len(entry.subjects)) == (WITHDRAWN, len(HEALTH), 1)
    kept = house.sql(f"SELECT field FROM cell WHERE subject_id = '{WHO.id}' AND field = 'name'")
    assert len(kept) == 1, "what the contract needs stays"
    assert WITHDRAWN not in sweep(house, DAY)


def test_nothing_is_deleted_that_another_consent_still_needs(house: Living) -> None:
    withdraw(house, "family.care")
    assert WITHDRAWN not in sweep(house, GRACE_MS)
    assert stored(house) == HEALTH


def test_whoever_agrees_anew_within_the_month_keeps_what_is_there(house: Living) -> None:
    withdraw(house)
    house.clock.advance(DAY)
    give_consent(house.service, WHO, "family.care", ("health.record",))
    assert WITHDRAWN not in sweep(house, GRACE_MS)
    assert stored(house) == HEALTH


def test_what_was_written_after_the_withdrawal_was_given_anew_and_stays(house: Living) -> None:
    withdraw(house)
    house.clock.advance(DAY)
    own = happenings.reading(WHO.id, WHO.id, "allergies", purpose="account.manage")
    asked = own._replace(action=Action.WRITE, reveal=False)
    reply = house.service.gate.write(WriteAsk(asked, {FieldName("allergies"): "花粉"}), house.clock())
    assert isinstance(reply, Answer)
    assert [one.effect.value for one in reply.fields] == ["show"]
    told = house.service.retaining.run(house.clock() + GRACE_MS, dry=True)
    # Her location has lapsed by then as well; of the withdrawn ones it is the blood pressure alone.
    assert told.fields == {"location": 1, WITHDRAWN: 1}
    assert told.destroyed.cells == 1 + 1
    assert sweep(house, GRACE_MS)[WITHDRAWN] == 1
    assert stored(house) == {"allergies"}


def test_a_legal_hold_keeps_withdrawn_values(house: Living) -> None:
    withdraw(house)
    hold(house, WHO.id, days=300)
    assert WITHDRAWN not in sweep(house, GRACE_MS)
    assert stored(house) == HEALTH


def test_saying_no_to_what_was_never_agreed_to_deletes_nothing(house: Living) -> None:
    def values() -> int:
        return len(house.sql(f"SELECT field FROM cell WHERE subject_id = '{world.LI_QIANG.id}'"))

    before = values()
    house.clock.advance(DAY)
    house.service.opting_out.everywhere(happenings.person_acts(world.LI_QIANG), "", house.clock())
    assert WITHDRAWN not in sweep(house, GRACE_MS)
    assert values() == before
