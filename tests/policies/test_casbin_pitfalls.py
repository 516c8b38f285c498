"""What stock Casbin does that a gate must not do: shown on Casbin itself, and shown to be absent here.

Reloading while somebody asks has a file of its own, ``test_reload_race.py``. A pitfall that Casbin mends one
day turns its test red, and then the sentence above it is what has to change.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread, current_thread

import casbin
import pytest
from casbin.model import FastModel, FunctionMap
from casbin.persist.adapters import FileAdapter
from casbin.rbac.default_role_manager import DomainManager
from corners import Question, with_grants

from policies.book import BookError, RuleBook, fingerprint, load_book, packaged_rules
from policies.plan import NO_RULE, compile_plan
from policies.roles import HeldRoles, reference
from policies.terms import Action, Condition, FieldName, Level, Purpose, Relation, Role, RuleId, Scope

DIARY = """
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act, eft
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = r.sub == p.sub && r.obj == p.obj && r.act == p.act
"""
"""The smallest model with deny rows: who may read whose diary."""

TWO_SETS = """
[request_definition]
r = sub, obj, act
r2 = sub, obj, act
[policy_definition]
p = sub, obj, act, eft
p2 = sub, obj, act, eft
[policy_effect]
e = some(where (p.eft == allow))
e2 = some(where (p2.eft == allow)) && !some(where (p2.eft == deny))
[matchers]
m = r.sub == p.sub && r.obj == p.obj && r.act == p.act
m2 = r2.sub == p2.sub && r2.obj == p2.obj && r2.act == p2.act
"""
"""As above with a second set of rules, in which a deny row forbids."""


def diary(text: str, *rows: list[str]) -> casbin.Enforcer:
    enforcer = casbin.Enforcer(casbin.Enforcer.new_model(text=text))
    enforcer.add_policies([*rows])
    return enforcer


def agent_reads(field: str, *true: Condition, roles: tuple[str, ...] = ("agent",)) -> Question:
    return Question(
        frozenset((Scope.PORTFOLIO, Role(role)) for role in roles),
        FieldName(field),
        Action.READ,
        Relation.ASSIGNED,
        Purpose("service.health"),
        {Condition.UNDER_18: False} | dict.fromkeys(true, True),
    )


def edit(path: Path, found: str, written: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert found in text
    path.write_text(text.replace(found, written, 1), encoding="utf-8")


# --- 1. One row for an answer that has two reasons


def test_casbin_explains_by_one_row_where_a_verdict_names_all(book: RuleBook) -> None:
    asked = agent_reads("mobile", Condition.CONSENT, Condition.TICKET)
    enforcer = reference(book, asked.held())
    scopes = ("household:h1", "portfolio:p1")
    allowed, row = enforcer.enforce_ex(
        "asker", *scopes, "mobile", "read.masked", "assigned", asked.purpose, asked.facts
    )
    assert (allowed, row[9]) == (True, "S-AG-03")
    assert asked.to_plan(compile_plan(book)).rules == ("S-AG-02", "S-AG-03")


def test_casbin_explains_an_allow_by_a_row_that_allows_nothing() -> None:
    enforcer = diary(DIARY, ["ann", "diary", "read", "allow"], ["ann", "diary", "read", "maybe"])
    assert enforcer.enforce_ex("ann", "diary", "read") == (True, ["ann", "diary", "read", "maybe"])


# --- 2. A capital letter turns a prohibition off


def test_a_misspelt_effect_opens_casbin_and_stops_our_start(book: RuleBook, rules: Path) -> None:
    asked = agent_reads("blood_pressure", Condition.CONSENT, roles=("agent", "clinician"))
    enforcer = reference(book, asked.held())
    assert asked.to_casbin(enforcer) is Level.MASKED
    next(row for row in enforcer.get_policy() if row[9] == "S-AG-05")[7] = "Deny"
    assert asked.to_casbin(enforcer) is Level.FULL
    edit(rules / "grants.csv", ", deny, -, S-AG-05,", ", Deny, -, S-AG-05,")
    with pytest.raises(BookError, match="eft must be allow or deny, not 'Deny'"):
        load_book(rules)


# --- 3. No rules, no refusal


def test_without_rows_casbin_may_allow_anyone_and_ours_hides_everything(book: RuleBook) -> None:
    wildcard = diary(DIARY.replace("r.sub == p.sub", '(p.sub == "" || r.sub == p.sub)')
                     .replace("r.obj == p.obj", '(p.obj == "" || r.obj == p.obj)')
                     .replace("r.act == p.act", '(p.act == "" || r.act == p.act)'))  # fmt: skip
    assert wildcard.enforce("anyone", "diary", "read")
    unless_denied = diary(DIARY.replace("some(where (p.eft == allow)) && ", ""))
    assert unless_denied.enforce("anyone", "diary", "read")
    everything = agent_reads("name", *Condition)
    verdict = everything.to_plan(compile_plan(with_grants(book, [])))
    assert (verdict.level, verdict.rules) == (Level.HIDDEN, ())


def test_a_file_without_rows_stops_the_start(rules: Path) -> None:
    (rules / "grants.csv").write_text("# nothing\n", encoding="utf-8")
    with pytest.raises(BookError, match="an empty set of grants"):
        load_book(rules)


def test_an_unknown_word_is_hidden_even_where_a_wildcard_row_would_let_casbin_in(book: RuleBook) -> None:
    asked = Question(
        frozenset(), FieldName("mobile"), Action.READ, Relation.SELF, Purpose("world.domination"), {}
    )
    assert asked.to_casbin(reference(book, {})) is Level.FULL
    assert asked.to_plan(compile_plan(book)) is NO_RULE


# --- 4. A second effect that nobody evaluates


def test_casbin_judges_a_second_rule_set_by_the_effect_of_the_first(rules: Path) -> None:
    enforcer = diary(TWO_SETS)
    for effect in ("allow", "deny"):
        enforcer.add_named_policy("p2", "ann", "diary", "read", effect)
    assert enforcer.enforce(enforcer.new_enforce_context("2"), "ann", "diary", "read")
    edit(rules / "model.conf", "[matchers]", "e2 = !some(where (p.eft == deny))\n[matchers]")
    with pytest.raises(BookError, match="not the model that the plan compiles"):
        load_book(rules)


# --- 5. Whoever asks about strangers fills the memory


def test_strangers_fill_casbins_memory_and_leave_nothing_in_ours(book: RuleBook) -> None:
    stock = DomainManager()
    held = HeldRoles(book, {("stf_1", "portfolio:p1"): [Role("agent")]})
    plan = compile_plan(book)
    before = len(held)
    for number in range(300):
        for manager in (stock, held):
            assert not manager.has_link(f"stranger{number}", "agent", "org")
            assert not manager.has_link("stf_1", "agent", f"portfolio:{number}")
        assert replace(agent_reads("mobile"), field=FieldName(f"field{number}")).to_plan(plan) is NO_RULE
        agent_reads("mobile", roles=(f"role{number}",)).to_plan(plan)
    assert (len(stock.rm_map), len(stock.rm_map["org"].all_roles)) == (301, 301)
    assert (before, len(held), len(plan._ladders)) == (1, 1, 1)


# --- 6. A filter on an object that threads share


class TakingTurns(FunctionMap):
    """Holds the first thread, once it has set its filter, until the second has set another."""

    def __init__(self, second: Callable[[], object]) -> None:
        super().__init__()
        self.second = Thread(target=second)
        self.second_is_in, self.first_is_out = Event(), Event()

    def get_functions(self) -> dict[str, object]:
        if current_thread() is self.second:
            self.second_is_in.set()
            self.first_is_out.wait(10)
        else:
            self.second.start()
            self.second_is_in.wait(10)
        return super().get_functions()


def test_fast_enforcer_answers_one_thread_from_the_rows_of_another() -> None:
    rows = ["ann", "diary", "read", "allow"], ["bob", "menu", "read", "allow"]
    model = FastModel([1, 2])
    model.load_model_from_text(DIARY)
    enforcer = casbin.FastEnforcer(model, cache_key_order=[1, 2])
    enforcer.add_policies([*rows])
    assert enforcer.enforce("ann", "diary", "read")
    turns = enforcer.fm = TakingTurns(lambda: enforcer.enforce("bob", "menu", "read"))
    assert not enforcer.enforce("ann", "diary", "read")
    turns.first_is_out.set()
    turns.second.join()


class Interrupted(dict[Condition, bool]):
    """Facts that let another thread ask while they are being read."""

    def __init__(self, facts: Mapping[Condition, bool], other: Callable[[], object]) -> None:
        super().__init__(facts)
        self.others = [other]

    def get(self, key: Condition, default: object = None) -> object:
        if self.others:
            other = Thread(target=self.others.pop())
            other.start()
            other.join()
        return super().get(key, default)


def test_a_verdict_is_the_same_when_another_thread_asks_in_the_middle(book: RuleBook) -> None:
    plan = compile_plan(book)
    asked = agent_reads("mobile", Condition.CONSENT, Condition.TICKET)
    others = [
        agent_reads("mobile"),
        agent_reads("mobile", Condition.CONSENT),
        agent_reads("blood_pressure", Condition.CONSENT),
    ]
    expected = asked.to_plan(compile_plan(book))
    for other in others:
        facts = Interrupted(asked.facts, lambda other=other: other.to_plan(plan))
        assert replace(asked, facts=facts).to_plan(plan) == expected
        assert facts.others == []


# --- 7. A text format that drops what it does not understand

CELLS = (
    "p, agent, portfolio, category:contact.phone, read.masked, assigned, service, consent, "
    "allow, -, S-AG-02, S6;S11"
)
LOST = [
    ("a quoted comma", CELLS.replace("S6;S11", '"S6,S11"'), RuntimeError),
    ("a short row", CELLS.removesuffix(", S6;S11"), RuntimeError),
    ("an unknown kind", CELLS.replace("p, ", "policy, ", 1), None),
]


@pytest.mark.parametrize(("row", "raised"), [row[1:] for row in LOST], ids=[row[0] for row in LOST])
def test_a_row_that_casbin_breaks_on_or_loses_stops_our_start(
    book: RuleBook, rules: Path, row: str, raised: type[Exception] | None
) -> None:
    asked = agent_reads("mobile", Condition.CONSENT)
    edit(rules / "grants.csv", CELLS, row)
    enforcer = reference(book, asked.held())
    enforcer.set_adapter(FileAdapter(str(rules / "grants.csv")))
    enforcer.load_policy()
    if raised:
        with pytest.raises(raised, match="invalid policy size"):
            asked.to_casbin(enforcer)
    else:
        assert "S-AG-02" not in [row[9] for row in enforcer.get_policy()]
    with pytest.raises(BookError, match=r"grants\.csv:[0-9]+: "):
        load_book(rules)


# --- 8. A refusal is written to the log with the words of the asker


def test_casbin_logs_what_was_asked_and_a_verdict_logs_nothing(
    book: RuleBook, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    enforcer = diary(DIARY, ["ann", "diary", "read", "allow"])
    monkeypatch.setattr(logging.getLogger("casbin.enforcer"), "disabled", False)
    assert not enforcer.enforce("13812345678", "diary", "read")
    assert [(one.levelname, one.args) for one in caplog.records if "13812345678" in one.getMessage()] == [
        ("WARNING", ())
    ]
    caplog.clear()
    plan = compile_plan(book)
    agent_reads("mobile", roles=("13812345678",)).to_plan(plan)
    agent_reads("13812345678").to_plan(plan)
    assert caplog.records == []


# --- 9. Rules that are programs


def test_an_expression_in_a_row_fails_while_it_is_asked_in_casbin_and_at_the_start_here(rules: Path) -> None:
    model = DIARY.replace("p = sub,", "p = rule,").replace("r.sub == p.sub", "eval(p.rule)")
    enforcer = diary(model, ["r.sub.age > 18", "diary", "read", "allow"])
    with pytest.raises(Exception, match="Attribute 'age' does not exist"):
        enforcer.enforce({"name": "ann"}, "diary", "read")
    edit(
        rules / "grants.csv", "consent&ticket, allow, log=high;notify", "r.ctx.age>18, allow, log=high;notify"
    )
    with pytest.raises(BookError, match="unknown condition"):
        load_book(rules)


def test_casbin_rewrites_signs_inside_a_quoted_word() -> None:
    model = DIARY.replace("r.sub == p.sub", 'r.sub == "ann&&bob!"')
    enforcer = diary(model, ["*", "diary", "read", "allow"])
    assert not enforcer.enforce("ann&&bob!", "diary", "read")
    assert enforcer.enforce("annandbobnot ", "diary", "read")


# --- 10. A switch that lets everything through


def test_casbin_can_be_switched_off_and_a_plan_cannot_be_changed_at_all(book: RuleBook) -> None:
    enforcer = diary(DIARY)
    enforcer.enable_enforce(enabled=False)
    assert enforcer.enforce("anyone", "anything", "any act")
    plan = compile_plan(book)
    for name in ("enabled", "verdict", "_find"):
        with pytest.raises(AttributeError):
            setattr(plan, name, False)


# --- 11. Loading that looks at every row for each new one


class Counted(str):
    """A word that counts how often it is compared."""

    __slots__ = ()
    compared = 0

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return super().__eq__(other)

    __hash__ = str.__hash__


def compared(work: Callable[[], object]) -> int:
    Counted.compared = 0
    work()
    return Counted.compared


def test_casbin_compares_each_new_row_with_all_before_it_and_a_plan_with_none(book: RuleBook) -> None:
    number = 300
    words = [Counted(f"role{index}") for index in range(number)]
    enforcer = diary(DIARY)
    stock = compared(lambda: [enforcer.add_policy(word, "diary", "read", "allow") for word in words])
    assert stock >= number * (number - 1) / 2
    row = book.grants[RuleId("S-AG-02")]
    rows = [replace(row, id=RuleId(f"T-{index}"), role=word) for index, word in enumerate(words)]
    many = with_grants(book, rows)
    assert compared(lambda: compile_plan(many)) <= number


def test_casbins_roles_compare_each_holder_with_all_others_and_ours_with_none(book: RuleBook) -> None:
    number = 100
    people = [Counted(f"stf_{index}") for index in range(number)]
    stock = DomainManager()
    for person in people:
        stock.add_link(person, "agent", "org")
    assert compared(lambda: stock.has_link(people[0], "agent", "org")) >= number * (number - 1) / 2
    held = {(person, "portfolio:p1"): [Role("agent")] for person in people}
    assert compared(lambda: HeldRoles(book, held)) <= number


# --- 12. Saving that writes what one process remembers over what all others wrote


def test_a_second_process_saves_away_what_the_first_one_saved_and_ours_never_saves(
    book: RuleBook, tmp_path: Path
) -> None:
    model, policy = tmp_path / "model.conf", tmp_path / "policy.csv"
    model.write_text(DIARY, encoding="utf-8")
    policy.write_text("p, ann, diary, read, allow", encoding="utf-8")
    first, second = (casbin.Enforcer(str(model), str(policy)) for _ in range(2))
    for enforcer, row in (
        (first, ["ann", "diary", "read", "deny"]),
        (second, ["bob", "menu", "read", "allow"]),
    ):
        enforcer.add_policy(*row)
        enforcer.save_policy()
    assert casbin.Enforcer(str(model), str(policy)).enforce("ann", "diary", "read"), "the prohibition is lost"

    before, ours = fingerprint(packaged_rules()), reference(book, {})
    ours.add_policy(*ours.get_policy()[0][:-1], "S2")
    ours.save_policy()
    assert fingerprint(packaged_rules()) == before
    ours.load_policy()
    assert len(ours.get_policy()) == len(book.grants)
