"""The ladder of one decision, gate by gate, as it stands in the log entry.

Promises to say only what the entry says: which gate let pass, which stopped, which was not reached, with
the rule ids, the consent and the sentences that were recorded. It decides nothing again, and titles come
from the rule book in use, so an entry made under another version says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from audit.entry import Entry, FieldOutcome, encode
from audit.entry import Verdict as Dec
from audit.tree import leaf_hash
from governance.languages import Say, noted, saying
from policies.book import RuleBook
from policies.entries import Title
from policies.reasons import Reason
from policies.terms import Condition, Effect, FieldName, Purpose, Relation, Role, RuleId


class Gate(Enum):
    """The gates in the order in which people think of them; the value is the title."""

    IDENTITY = noted("身份")
    RELATION = noted("分配与关系")
    PURPOSE = noted("目的")
    CONSENT = noted("同意")
    MINORS = noted("未成年人保护")
    RULE = noted("字段与脱敏")
    CONTENT = noted("内容审核")
    CADENCE = noted("发送频次")
    LOG = noted("日志")


class State(Enum):
    """What one gate said; the value is the word for it."""

    PASS = noted("通过")
    PARTLY = noted("部分通过")
    HELD = noted("待人工复核")
    FAIL = noted("未通过")
    NOT_REACHED = noted("未走到")


@dataclass(frozen=True, slots=True)
class Rung:
    """One gate: its state, what it found in sentences, and marks such as rule and consent ids."""

    gate: Gate
    state: State
    title: str
    word: str
    lines: tuple[str, ...]
    marks: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Labels:
    """What ids are called: titles from the rule book, display names of staff and services."""

    book: RuleBook
    actors: Mapping[str, str]


_FAILS_AT: Final = {
    Gate.RELATION: (Reason.SUBJECT_CLOSED, Reason.RECIPIENT_UNAVAILABLE),
    Gate.PURPOSE: (Reason.UNKNOWN_PURPOSE,),
    Gate.CONSENT: (
        Reason.FACTS_UNAVAILABLE,
        Reason.NO_CONSENT,
        Reason.NOT_SHARED,
        Reason.NOTICE_SUPERSEDED,
        Reason.NOTICE_MISMATCH,
        Reason.CROSS_BORDER_NOT_COVERED,
        Reason.UNCONFIRMED,
        Reason.WITHDRAWN,
        Reason.REVOKED,
        Reason.OBJECTED,
        Reason.RESTRICTED,
        Reason.REFUSED_BY_PERSON,
        Reason.EXPIRED,
        Reason.NOT_SEPARATE,
        Reason.NO_AUTHORITY,
        Reason.RECIPIENT_NOT_COVERED,
        Reason.NO_BASIS_TO_COLLECT,
    ),
    Gate.MINORS: (
        Reason.GUARDIAN_REQUIRED,
        Reason.AGE_UNKNOWN,
        Reason.AGE_TRANSITION,
        Reason.MINOR_PROTECTED,
    ),
    Gate.RULE: (
        Reason.NO_RULE,
        Reason.DENIED_BY_RULE,
        Reason.NOT_AVAILABLE,
        Reason.BULK_LIMIT,
        Reason.COMMS_SECRECY,
        Reason.UNKNOWN_CATEGORY,
        Reason.UNKNOWN_FIELD,
        Reason.ROLE_MAY_NOT_SEND,
    ),
    Gate.CONTENT: (Reason.CONTENT_BLOCKED, Reason.CONTENT_NEEDS_REVIEW),
    Gate.CADENCE: (Reason.DAILY_CAP,),
}
_GATE_OF: Final = {reason: gate for gate, reasons in _FAILS_AT.items() for reason in reasons}
_OF_MINORS: Final = {Condition.UNDER_14, Condition.UNDER_18, Condition.UNAPPROVED}
_BASES: Final = (
    Reason.OWN_DATA,
    Reason.CONSENT_GIVEN,
    Reason.GUARDIAN_CONSENT,
    Reason.PRIMARY_CONSENT,
    Reason.LEGAL_BASIS,
    Reason.EMERGENCY_ACCESS,
)
# Reasons that end the asking before consent and age have been looked at.
_EARLY: Final = (Reason.UNKNOWN_FIELD, Reason.UNKNOWN_PURPOSE, Reason.RECIPIENT_UNAVAILABLE)
# Reasons of a rule that holds whatever was consented to.
_BY_RULE: Final = (Reason.NO_RULE, Reason.DENIED_BY_RULE, Reason.ROLE_MAY_NOT_SEND)
_REASONS: Final = {reason.value: reason for reason in Reason}
_PER_FIELD: Final = (Gate.PURPOSE, Gate.CONSENT, Gate.MINORS, Gate.RULE)

RELATIONS: Final = {
    Relation.SELF: noted("本人"),
    Relation.WARD: noted("其监护人"),
    Relation.CORESIDENT: noted("同住家人"),
    Relation.ASSIGNED: noted("负责这位客户"),
    Relation.NONE: noted("没有关系"),
}
EFFECTS: Final = {
    Effect.SHOW: noted("显示"),
    Effect.MASK: noted("脱敏显示"),
    Effect.EXISTS: noted("只告知是否存在"),
    Effect.HIDE: noted("拒绝"),
}


def in_language(title: Title, language: str) -> str:
    """Return a title in ``"zh"`` or ``"en"``."""
    return title.en if language == "en" else title.zh


def reasons_of(codes: Iterable[str]) -> tuple[Reason, ...]:
    """Return the reasons that codes name; codes of another version are left out."""
    return tuple(_REASONS[code] for code in codes if code in _REASONS)


def field_title(name: str, book: RuleBook, language: str) -> str:
    """Return what a field is called, or its own word if the book does not declare it."""
    entry = book.fields.get(FieldName(name))
    return name if entry is None else in_language(entry.title, language)


def purpose_title(name: str, book: RuleBook, language: str) -> str:
    """Return what a purpose is called, or its own word."""
    entry = book.purposes.get(Purpose(name))
    return name if entry is None else in_language(entry.title, language)


def listed(names: Sequence[str], language: str) -> str:
    """Join names as the language does."""
    return (", " if language == "en" else "、").join(names)


def climb(index: int, entry: Entry, labels: Labels, language: str) -> tuple[Rung, ...]:
    """Return the rungs of an entry that records a decision; any other entry has identity and log only."""
    say = saying(language)
    if entry.message is not None:
        middle = _message_rungs(entry, labels, language)
    elif entry.act == "evaluate":
        middle = [_rule_alone(entry, language)]
    elif entry.fields and not entry.act.startswith("search."):
        middle = _field_rungs(entry, labels, language)
    else:
        middle = []
    return (_identity(entry, labels, say), *middle, _log(index, entry, labels, say))


def unrelated(entry: Entry) -> bool:
    """Say whether the asking party was nobody to the subject, so that no gate after that was reached."""
    return entry.actor.relation == Relation.NONE and not entry.actor.roles


def _rung(gate: Gate, state: State, say: Say, lines: Iterable[str], *marks: tuple[str, str]) -> Rung:
    return Rung(gate, state, say(gate.value), say(state.value), tuple(lines), marks)


def _identity(entry: Entry, labels: Labels, say: Say) -> Rung:
    party, person = entry.actor.party, entry.actor.on_behalf_of
    lines = [say("凭据有效：%(who)s。", who=labels.actors.get(party.id, say("成员会话")))]
    if party.type.value == "system":
        lines = [say("由系统自身执行。")]
    if person is not None:
        lines.append(say("代为行事：%(who)s。", who=labels.actors.get(person.id, say("一位成员"))))
    return _rung(Gate.IDENTITY, State.PASS, say, lines, (say("调用方"), party.id))


def _relation(entry: Entry, labels: Labels, language: str, *, reached: bool) -> Rung:
    say = saying(language)
    if not reached:
        return _rung(
            Gate.RELATION, State.FAIL, say, [say("没有这样的对象，或者与它没有关系；两种情况回答相同。")]
        )
    known = {relation.value: words for relation, words in RELATIONS.items()}
    lines = [say("与对象的关系：%(relation)s。", relation=say(known.get(entry.actor.relation, "没有关系")))]
    roles = [labels.book.roles.get(Role(role)) for role in entry.actor.roles]
    titles = [in_language(role.title, language) for role in roles if role is not None]
    if titles:
        lines.append(say("岗位或身份：%(roles)s。", roles=listed(titles, language)))
    return _rung(Gate.RELATION, State.PASS, say, lines)


def _minor_rule(rules: Iterable[str], book: RuleBook) -> bool:
    grants = (book.grants.get(RuleId(rule)) for rule in rules)
    return any(grant is not None and grant.conditions & _OF_MINORS for grant in grants)


def _stopped_at(reasons: Sequence[Reason], rules: Sequence[str], book: RuleBook) -> Gate | None:
    for reason in reasons:
        if reason is Reason.DENIED_BY_RULE and _minor_rule(rules, book):
            return Gate.MINORS
        if reason in _GATE_OF:
            return _GATE_OF[reason]
    return None


def _states(reasons: Sequence[Reason], stopped: Gate | None) -> dict[Gate, State]:
    """Return what each per-field gate said, given where the asking stopped."""
    order = _PER_FIELD
    if stopped is None:
        return dict.fromkeys(order, State.PASS)
    at = order.index(stopped) if stopped in order else len(order)
    states = {
        gate: State.PASS if place < at else State.FAIL if place == at else State.NOT_REACHED
        for place, gate in enumerate(order)
    }
    if any(reason in (*_EARLY, *_BY_RULE) for reason in reasons):
        for gate in (Gate.CONSENT, Gate.MINORS):
            if states[gate] is State.PASS:
                states[gate] = State.NOT_REACHED
    if Reason.UNKNOWN_FIELD in reasons:
        states[Gate.PURPOSE] = State.NOT_REACHED
    return states


def _together(states: Sequence[State]) -> State:
    seen = set(states)
    if State.FAIL in seen:
        return State.FAIL if State.PASS not in seen else State.PARTLY
    return State.PASS if State.PASS in seen else State.NOT_REACHED


def _field_rungs(entry: Entry, labels: Labels, language: str) -> list[Rung]:
    say = saying(language)
    missing = unrelated(entry) or all(_no_such(one, labels.book) for one in entry.fields)
    relation = _relation(entry, labels, language, reached=not missing)
    if missing:
        return [relation, *(_rung(gate, State.NOT_REACHED, say, ()) for gate in _PER_FIELD)]
    walked = [
        (one, reasons, _states(reasons, _stopped_at(reasons, one.rules, labels.book)))
        for one in entry.fields
        for reasons in [reasons_of(one.why)]
    ]
    rungs = [relation]
    for gate in _PER_FIELD:
        state = _together([states[gate] for _, _, states in walked])
        said: dict[str, list[str]] = {}
        marks: dict[tuple[str, str], None] = {}
        for one, reasons, states in walked:
            if states[gate] is State.NOT_REACHED:
                continue
            title = field_title(one.name, labels.book, language)
            line = _field_line(
                gate, states[gate], one, reasons=reasons, entry=entry, labels=labels, language=language
            )
            said.setdefault(line, []).append(title)
            if gate is _rule_gate(states):
                marks |= dict.fromkeys((say("规则"), rule) for rule in one.rules)
        if gate is Gate.CONSENT and entry.basis is not None:
            marks |= dict.fromkeys((say("同意编号"), consent) for consent in entry.basis.consents)
        lines = [
            text
            if gate is Gate.PURPOSE
            else say("%(fields)s：%(text)s", fields=listed(fields, language), text=text)
            for text, fields in said.items()
        ]
        rungs.append(_rung(gate, state, say, lines, *marks))
    return rungs


def _rule_alone(entry: Entry, language: str) -> Rung:
    """Return the one rung of a question that is not about a person: the rules."""
    say = saying(language)
    state = State.PASS if entry.dec is Dec.PERMIT else State.FAIL
    marks = [(say("规则"), rule) for one in entry.fields for rule in one.rules]
    reasons = [reason.sentence(language) for one in entry.fields for reason in reasons_of(one.why)]
    return _rung(Gate.RULE, state, say, reasons, *marks)


def _rule_gate(states: Mapping[Gate, State]) -> Gate:
    """Return the gate at which a field's rule ids are shown: where it stopped, else at the rules."""
    return next((gate for gate, state in states.items() if state is State.FAIL), Gate.RULE)


def _no_such(outcome: FieldOutcome, book: RuleBook) -> bool:
    """Say whether a declared field was called unknown: the subject is not there, or of another kind."""
    return Reason.UNKNOWN_FIELD.value in outcome.why and FieldName(outcome.name) in book.fields


def _field_line(
    gate: Gate,
    state: State,
    outcome: FieldOutcome,
    *,
    reasons: Sequence[Reason],
    entry: Entry,
    labels: Labels,
    language: str,
) -> str:
    say = saying(language)
    if state is State.FAIL:
        return " ".join(reason.sentence(language) for reason in reasons)
    if gate is Gate.PURPOSE:
        title = purpose_title(entry.purpose, labels.book, language)
        claimed = [one.sentence(language) for one in reasons_of(entry.why) if one is Reason.EMERGENCY_CLAIMED]
        return " ".join([say("规则手册里有这个目的：%(purpose)s。", purpose=title), *claimed])
    if gate is Gate.CONSENT:
        basis = next((reason for reason in reasons if reason in _BASES), None)
        return say("规则不要求另行同意。") if basis is None else basis.sentence(language)
    if gate is Gate.MINORS:
        approved = [one.sentence(language) for one in reasons if one is Reason.APPROVED]
        return " ".join([say("没有触发保护未成年人的禁止。"), *approved])
    if entry.act == "write":
        return say("允许写入。") if outcome.effect is Effect.SHOW else say("没有写入。")
    if entry.act in ("check.write", "check.send"):
        return say("允许这样做。")
    told = [
        one.sentence(language) for one in reasons if one in (Reason.MASKED_BY_RULE, Reason.EXISTENCE_ONLY)
    ]
    return " ".join([say("%(effect)s。", effect=say(EFFECTS[outcome.effect])), *told])


def _message_rungs(entry: Entry, labels: Labels, language: str) -> list[Rung]:
    say = saying(language)
    assert entry.message is not None
    reasons = reasons_of(entry.why)
    failed = {_stopped_at([reason], (), labels.book): reason for reason in reasons if reason in _GATE_OF}
    early = any(reason in (*_EARLY, Reason.FACTS_UNAVAILABLE) for reason in reasons)
    rungs = [_relation(entry, labels, language, reached=Reason.RECIPIENT_UNAVAILABLE not in reasons)]
    rules_shown = tuple((say("命中规则"), rule) for rule in entry.message.rules)
    basis = next((reason for reason in reasons if reason in _BASES), None)
    passed = {
        Gate.PURPOSE: say(
            "规则手册里有这个目的：%(purpose)s。", purpose=purpose_title(entry.purpose, labels.book, language)
        ),
        Gate.CONSENT: say("规则不要求另行同意。") if basis is None else basis.sentence(language),
        Gate.MINORS: say("没有触发保护未成年人的禁止。"),
        Gate.RULE: say("这个发送方可以用这个渠道。"),
        Gate.CONTENT: Reason.CONTENT_CLEAN.sentence(language),
        Gate.CADENCE: say("没有超过每日上限。"),
    }
    stopped = False
    for gate, text in passed.items():
        reason = failed.get(gate)
        if reason is not None:
            state = State.HELD if reason is Reason.CONTENT_NEEDS_REVIEW else State.FAIL
            line = [reason.sentence(language)]
        elif early or (stopped and gate in (Gate.MINORS, Gate.RULE)):
            state, line = State.NOT_REACHED, []
        else:
            state, line = State.PASS, [text]
        stopped = stopped or state is State.FAIL
        marks: tuple[tuple[str, str], ...] = rules_shown if gate is Gate.CONTENT else ()
        if gate is Gate.CONSENT and entry.basis is not None:
            marks = tuple((say("同意编号"), consent) for consent in entry.basis.consents)
        rungs.append(_rung(gate, state, say, line, *marks))
    return rungs


def _log(index: int, entry: Entry, labels: Labels, say: Say) -> Rung:
    lines = [say("先写入日志，再答复。") if entry.dec is not Dec.ERROR else say("失败也写入了日志。")]
    marks = [(say("日志序号"), str(index)), (say("记录编号"), entry.id)]
    marks.append((say("叶哈希"), leaf_hash(encode(entry)).hex()))
    if entry.policy:
        marks.append((say("规则手册"), entry.policy))
        if entry.policy != labels.book.fingerprint:
            lines.append(say("作出时用的是另一版规则手册；这里的名称取自现行版本。"))
    return _rung(Gate.LOG, State.PASS, say, lines, *marks)
