"""Why the rules said so, row by row: for officers, of one past decision, under the rules that made it.

Promises every row that spoke about each field, which of them applied, what the others lacked, and the allow
rows that came nearest; a nearest row is a fact about the rules and no advice. The facts are those on record
for the instant of the decision (``governance.recollecting``), as if the person had hidden nothing, and rows
about hiding are left out: what somebody hid is not told here either. Whoever calls has logged the look.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from audit.entry import Entry
from governance.decision import conditions_of
from governance.grounds import Facts, Lift
from governance.ladder import in_language, listed
from governance.languages import Say, noted, saying
from governance.recollecting import Past, past, people_behind
from governance.rulekeeping import Rules, RulesUnavailableError
from governance.wiring import Service
from policies.entries import Grant
from policies.nearest import Explanation, Near, Spoken, explain
from policies.questions import Question
from policies.terms import EFFECT_OF_LEVEL, Condition, FieldName, Level
from policies.wording import CONDITIONS, RELATIONS

_LEVELS: Final = {
    Level.FULL: noted("完整内容"),
    Level.MASKED: noted("脱敏内容"),
    Level.EXISTS: noted("有无"),
    Level.HIDDEN: noted("什么也没有"),
}


@dataclass(frozen=True, slots=True)
class FieldReasons:
    """One field of a past decision: its rows, and the rows that came nearest to allowing more.

    ``moved``: what is on record for that instant today gives another answer than the log has, because a
    record was made or ended after the fact.
    """

    field: str
    title: str
    rows: tuple[str, ...]
    nearest: tuple[str, ...]
    moved: bool


def reasons_of_rules(service: Service, entry: Entry, language: str) -> tuple[FieldReasons, ...] | None:
    """Return the rows behind each field of an entry; None where it cannot be asked again.

    That is so for other entries than decisions, when somebody in it was erased, and when the version that
    decided cannot be loaded any more.
    """
    try:
        rules = service.keeper.version(entry.policy)
    except RulesUnavailableError:
        return None
    with service.database.reading() as tx:
        question = past(entry, people_behind(tx, [entry]))
        if question is None:
            return None
        fact = question.facts(service, tx, rules.book)
    told = [_of_field(rules, question, fact, field, language) for field in question.things]
    return tuple(one for one in told if one is not None)


def _of_field(
    rules: Rules, question: Past, fact: Facts, field: FieldName, language: str
) -> FieldReasons | None:
    entry = rules.book.fields.get(field)
    if entry is None or question.purpose not in rules.book.purposes:
        return None
    approval = fact.approvals.get(field)
    facts = conditions_of(
        rules.book, entry.category, question.purpose, fact, Lift(approval, emergency=fact.emergency)
    )
    asked = Question(field, question.action.value, fact.relation, question.purpose)
    found = explain(rules.book, rules.plan, fact.roles, asked, facts)
    say = saying(language)
    return FieldReasons(
        field,
        in_language(entry.title, language),
        tuple(_row(one, say, language) for one in found.spoken if not _about_hiding(one.grant)),
        tuple(_near(one, rules, say, language) for one in found.nearest),
        _moved(question, field, found),
    )


def _moved(question: Past, field: FieldName, found: Explanation) -> bool:
    recorded = next((one for one in question.entry.fields if one.name == field), None)
    if recorded is None or "not_available" in recorded.why:
        return False
    return recorded.effect is not EFFECT_OF_LEVEL[found.verdict.level] and bool(recorded.rules)


def _about_hiding(grant: Grant) -> bool:
    """Say whether a row is about hiding: telling whether it applied would tell what was hidden."""
    return Condition.HIDDEN in grant.conditions


def _row(one: Spoken, say: Say, language: str) -> str:
    grant = one.grant
    words = {"rule": grant.id, "level": say(_LEVELS[grant.level]), "source": ";".join(grant.sources)}
    if grant.allows:
        if one.applied:
            return say("%(rule)s（%(source)s）许可到%(level)s：适用。", **words)
        lacking = _conditions(one.lacking, language)
        return say(
            "%(rule)s（%(source)s）许可到%(level)s：没有适用，缺“%(lacking)s”。", **words, lacking=lacking
        )
    words["level"] = say(_LEVELS[Level(grant.level - 1)])
    if one.applied:
        return say("%(rule)s（%(source)s）至多给%(level)s：适用。", **words)
    lacking = _conditions(one.lacking, language)
    return say(
        "%(rule)s（%(source)s）至多给%(level)s：没有适用，因为“%(lacking)s”不成立。", **words, lacking=lacking
    )


def _near(one: Near, rules: Rules, say: Say, language: str) -> str:
    differences = []
    if one.role is not None:
        role = rules.book.roles[one.role[1]].title
        differences.append(say("岗位或身份：%(role)s", role=in_language(role, language)))
    if one.relation is not None:
        differences.append(say("关系：%(relation)s", relation=in_language(RELATIONS[one.relation], language)))
    if one.purpose is not None:
        purpose = rules.book.purposes[one.purpose].title
        differences.append(say("目的：%(purpose)s", purpose=in_language(purpose, language)))
    if one.conditions:
        differences.append(say("条件：%(conditions)s", conditions=_conditions(one.conditions, language)))
    return say(
        "最接近的许可：%(rule)s，可到%(level)s；不同之处：%(differences)s。",
        rule=_named(one.grant),
        level=say(_LEVELS[one.level]),
        differences=listed(differences, language),
    )


def _named(grant: Grant) -> str:
    return f"{grant.id} ({';'.join(grant.sources)})"


def _conditions(names: Iterable[str], language: str) -> str:
    known = {str(condition): title for condition, title in CONDITIONS.items()}
    return listed([in_language(known[name], language) if name in known else name for name in names], language)
