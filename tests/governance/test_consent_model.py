"""The registry and the gate against a model of a dozen lines, in every order that hypothesis thinks of.

A person of a fresh household ticks, confirms, withdraws, refuses, shares, hides and shows, on time and too
late, while days pass; a relative reads through the gate after each step: a health record, for which there
must be a consent and a share, and the viewing history, which relatives see unless it is hidden. Both are
gone when their time is over. The model knows six facts and none of the product's functions. It runs on both
engines.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

import pytest
from happenings import DAY, MINUTE, Living
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from consent import registry
from consent.confirmation import NotConfirmed
from consent.events import Capacity
from consent.listing import Terms
from consent.outbox import DevelopmentOutbox
from governance import seeding, subjects
from governance.acting import NoSuchConsentError, On
from governance.asking import Answer, Ask, WriteAsk
from governance.codes import MOST_OPEN, TooManyCodesError
from governance.identity import Caller
from policies.identifiers import Prefix, new_id
from policies.terms import Action, ActorId, FieldName, HouseholdId, MemberId, Purpose, Role, SubjectId

TERMS = Terms("family.care", frozenset({"health.record"}), "", seeding.notice("family.care"))
VALUES = {FieldName("blood_pressure"): "120/80", FieldName("viewing_history"): "《小猪佩奇》"}
PURPOSE = Purpose("family.care")
KEPT = (730 * DAY, 365 * DAY)
LONGEST, IN_TIME = 180 * DAY, 10 * MINUTE
JUMPS = (0, 1, MINUTE, IN_TIME - 1, IN_TIME, 60 * DAY, LONGEST - MINUTE, LONGEST)


@dataclass
class Model:
    """All that must be known to say what the relative sees."""

    written: int = 0
    ticked: dict[str, int] = field(default_factory=dict)
    confirmed: dict[str, int] = field(default_factory=dict)
    denied: list[int] = field(default_factory=list)
    shared: dict[str, int] = field(default_factory=dict)
    hidden: dict[tuple[str, str], bool] = field(default_factory=dict)

    def agreed(self, now: int) -> bool:
        return any(
            now < at + LONGEST and all(no < self.ticked[consent] for no in self.denied)
            for consent, at in self.confirmed.items()
        )

    @property
    def shares(self) -> bool:
        return any(all(no < at for no in self.denied) for at in self.shared.values())

    @property
    def hides(self) -> bool:
        return any(self.hidden.values())


class Household(RuleBasedStateMachine):
    """One person, one relative, two values."""

    house: Living

    def __init__(self) -> None:
        super().__init__()
        self.model, self.codes, self.used = Model(), {}, set()
        self.outbox = DevelopmentOutbox()
        self.desk = self.house.service.consenting.with_sender(self.outbox)
        home = HouseholdId(new_id(Prefix.HOUSEHOLD))
        self.person, self.relative = MemberId(new_id(Prefix.MEMBER)), MemberId(new_id(Prefix.MEMBER))
        with self.house.service.database.transaction() as tx:
            self.house.service.lifecycle.add_household(tx, home, self.now)
            for one in (self.person, self.relative):
                roles = [Role("adult_member")]
                self.house.service.lifecycle.add_member(tx, one, home, roles, date(1960, 1, 1), self.now)
            tx.commit()
        stored = self.asked(self.person, Action.WRITE, Purpose("account.manage"))
        reply = self.house.service.gate.write(WriteAsk(stored, VALUES), self.now)
        assert isinstance(reply, Answer)
        assert {one.effect.value for one in reply.fields} == {"show"}
        self.model.written = self.now

    @property
    def now(self) -> int:
        return self.house.clock()

    @property
    def on(self) -> On:
        return On(self.caller(self.person), ActorId(self.person), new_id(Prefix.REQUEST))

    def caller(self, who: MemberId) -> Caller:
        return Caller(ActorId(who), Prefix.MEMBER)

    def asked(self, who: MemberId, action: Action, purpose: Purpose) -> Ask:
        return Ask(
            self.caller(who),
            ActorId(who),
            action,
            SubjectId(self.person),
            tuple(VALUES),
            purpose,
            new_id(Prefix.REQUEST),
            new_id(Prefix.DECISION),
            reveal=action is Action.READ,
        )

    @rule(jump=st.sampled_from(JUMPS))
    def time_passes(self, jump: int) -> None:
        self.house.clock.advance(jump)

    @rule()
    def ticks(self) -> None:
        waited_for = [c for c, at in self.model.ticked.items() if self.now < at + IN_TIME]
        if len([consent for consent in waited_for if consent not in self.used]) >= MOST_OPEN:
            with pytest.raises(TooManyCodesError):
                self.desk.tick(self.on, SubjectId(self.person), TERMS, self.now)
            return
        consent = self.desk.tick(self.on, SubjectId(self.person), TERMS, self.now).consent_id
        self.model.ticked[consent] = self.now
        self.codes[consent] = self.outbox.messages()[0].code

    @rule()
    def grants(self) -> None:
        self.ticks()
        if self.codes:
            self.confirms(list(self.codes)[-1], right=True)

    @rule(which=st.integers(0, 5), right=st.booleans())
    def answers(self, which: int, *, right: bool) -> None:
        if self.codes:
            self.confirms(sorted(self.codes)[which % len(self.codes)], right=right)

    def confirms(self, consent: str, *, right: bool) -> None:
        code = self.codes[consent] if right else "not a code"
        answer = self.desk.confirm(self.on, consent, code, self.now)
        in_time = self.now < self.model.ticked[consent] + IN_TIME
        closed = any(no >= self.model.ticked[consent] for no in self.model.denied)
        if right and in_time:
            self.used.add(consent)
        if right and in_time and not closed and consent not in self.model.confirmed:
            assert not isinstance(answer, NotConfirmed)
            self.model.confirmed[consent] = self.now
        else:
            assert isinstance(answer, NotConfirmed)
        if not right or isinstance(answer, NotConfirmed):
            self.codes.pop(consent)  # tries are counted: no second wrong answer in this story

    @rule(which=st.integers(0, 5))
    def withdraws(self, which: int) -> None:
        if self.model.ticked:
            consent = sorted(self.model.ticked)[which % len(self.model.ticked)]
            # The first withdrawal of a consent counts; a repetition changes nothing.
            first = self.desk.withdraw(self.on, consent, self.now)
            assert first <= self.now
            self.model.denied.append(first)

    @rule(purpose=st.sampled_from(["", "family", "family.care"]))
    def refuses(self, purpose: str) -> None:
        actor = registry.Actor(self.person, Capacity.SELF, {})
        with self.house.service.database.transaction() as tx:
            subjects.change(tx, [SubjectId(self.person)])
            registry.refuse(tx, self.person, Terms(purpose, frozenset(), "", ""), actor, self.now)
            tx.commit()
        self.model.denied.append(self.now)

    @rule()
    def shares(self) -> None:
        given = self.house.service.sharing.give(self.on, "health.record", self.relative, None, self.now)
        self.model.shared[given.share.share_id] = self.now

    @rule(which=st.integers(0, 5))
    def ends_a_share(self, which: int) -> None:
        if self.model.shared:
            share = sorted(self.model.shared)[which % len(self.model.shared)]
            assert self.house.service.sharing.end(self.on, share, self.now) == self.now
            del self.model.shared[share]

    @rule(
        category=st.sampled_from(["content", "content.history"]),
        everybody=st.booleans(),
        hidden=st.booleans(),
    )
    def switches(self, category: str, *, everybody: bool, hidden: bool) -> None:
        viewer = "" if everybody else self.relative
        self.house.clock.advance(1)  # at one and the same instant hiding wins, whatever came first
        if hidden or self.model.hidden.get((category, viewer)):
            self.house.service.sharing.hide(self.on, category, viewer, hidden=hidden, now=self.now)
        else:
            with pytest.raises(NoSuchConsentError):
                self.house.service.sharing.hide(self.on, category, viewer, hidden=False, now=self.now)
        self.model.hidden[category, viewer] = hidden

    @rule()
    def hides_from_somebody_else(self) -> None:
        stranger = new_id(Prefix.MEMBER)
        with pytest.raises(NoSuchConsentError):
            self.house.service.sharing.hide(self.on, "content", stranger, hidden=True, now=self.now)

    def read(self, who: MemberId, purpose: Purpose) -> list[str]:
        reply = self.house.service.gate.read([self.asked(who, Action.READ, purpose)], self.now)[0]
        assert isinstance(reply, Answer)
        return [one.value or " ".join(reason.value for reason in one.reasons) for one in reply.fields]

    @invariant()
    def the_relative_sees_what_the_model_says(self) -> None:
        pressure, history = self.read(self.relative, PURPOSE)
        record_there, history_there = self.there
        opened = self.model.agreed(self.now) and self.model.shares and record_there
        assert (pressure == "120/80") is opened
        assert history == ("《小猪佩奇》" if history_there and not self.model.hides else "not_available")

    @invariant()
    def the_person_always_sees_everything(self) -> None:
        expected = zip(VALUES.values(), self.there, strict=True)
        seen = self.read(self.person, Purpose("personal.access"))
        assert seen == [value if there else "not_available" for value, there in expected]

    @property
    def there(self) -> list[bool]:
        return [self.now < self.model.written + days for days in KEPT]


def test_the_house_agrees_with_the_model_whatever_happens(house: Living) -> None:
    machine = type("Household", (Household,), {"house": house})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=25 if house.engine == "sqlite" else 8,
            stateful_step_count=15,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert house.verified() > 0


def test_a_model_that_forgets_withdrawals_is_caught(house: Living) -> None:
    class Forgetful(Model):
        def agreed(self, now: int) -> bool:
            return any(now < at + LONGEST for at in self.confirmed.values())

        @property
        def shares(self) -> bool:
            return bool(self.shared)

    machine = type("Household", (Household,), {"house": house})()
    machine.model = Forgetful(written=house.clock())
    machine.grants()
    machine.shares()
    machine.the_relative_sees_what_the_model_says()
    machine.withdraws(0)
    with pytest.raises(AssertionError):
        machine.the_relative_sees_what_the_model_says()
