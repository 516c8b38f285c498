"""A decision in a sentence, and the ladder below it, from the log entry alone.

Promises that officer page and command line tell the same story, in plain Chinese or English, and that
members appear by the short form of their pseudonym, never by name. Pure, but for ``explain_decision``,
which reads the entry.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from audit import ledger
from audit.entry import Actor, ActorType, Entry, FieldOutcome, Kind, Party, Verdict
from governance.accesses import labels_of
from governance.ladder import (
    EFFECTS,
    Labels,
    Rung,
    State,
    climb,
    field_title,
    in_language,
    listed,
    purpose_title,
    reasons_of,
    unrelated,
)
from governance.languages import noted, saying
from governance.reasoning import FieldReasons, reasons_of_rules
from governance.sentences import ASKED, CHANGES, DONE, SEARCHED
from governance.times import rfc3339
from governance.wiring import Service
from policies.identifiers import Prefix, kind_of
from policies.reasons import Reason
from policies.terms import Effect, FieldName, Outcome, Relation, SubjectKind
from policies.transaction import Transaction

_SHORT: Final = 6

_ACTORS: Final = {
    Relation.SELF: noted("成员 %(name)s 本人"),
    Relation.WARD: noted("监护人 %(name)s"),
    Relation.CORESIDENT: noted("同住家人 %(name)s"),
    Relation.NONE: noted("无关成员 %(name)s"),
}
_SIGNS: Final = {
    State.PASS: "✓",
    State.PARTLY: "◐",
    State.HELD: "…",
    State.FAIL: "✕",
    State.NOT_REACHED: "·",
}
_SENT: Final = {
    Outcome.ADMIT: noted("放行。"),
    Outcome.HOLD: noted("等待人工复核。"),
    Outcome.REFUSE: noted("拒绝。"),
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """What happened, in one sentence, and why, gate by gate."""

    index: int
    at: int
    sentence: str
    verdict: str
    blocked: bool
    ladder: tuple[Rung, ...]

    def as_document(self) -> dict[str, object]:
        """Return the explanation for programs."""
        return {
            "index": self.index,
            "at": rfc3339(self.at),
            "sentence": self.sentence,
            "verdict": self.verdict,
            "blocked": self.blocked,
            "ladder": [
                {
                    "gate": rung.gate.name.lower(),
                    "title": rung.title,
                    "state": rung.state.name.lower(),
                    "lines": list(rung.lines),
                    "marks": [{"name": name, "value": value} for name, value in rung.marks],
                }
                for rung in self.ladder
            ],
        }

    def as_text(self) -> str:
        """Return the explanation for a terminal."""
        lines = [self.sentence, ""]
        for rung in self.ladder:
            lines.append(f"{_SIGNS[rung.state]} {rung.title}  {rung.word}")
            lines += [f"    {line}" for line in rung.lines]
            lines += [f"    {name}: {value}" for name, value in rung.marks]
        return "\n".join(lines)


def short(pseudonym: str) -> str:
    """Return the short form of a pseudonym in hex, long enough to tell people apart on a page."""
    return pseudonym[:_SHORT]


def explain(index: int, entry: Entry, labels: Labels, language: str) -> Explanation:
    """Explain the entry that stands at ``index``."""
    return Explanation(
        index,
        entry.t,
        sentence(entry, labels, language),
        verdict(entry, language),
        entry.dec is not Verdict.PERMIT,
        climb(index, entry, labels, language),
    )


def explain_decision(service: Service, decision_id: str, language: str = "zh") -> Explanation | None:
    """Explain a decision by its id, or a message's or any other entry by its entry id."""
    service.log.settle()
    with service.database.reading() as tx:
        found = entry_of(tx, decision_id)
        if found is None:
            return None
        actors = labels_of(tx, [found[1]])
    return explain(*found, Labels(service.rules.book, actors), language)


def look_into(
    service: Service, decision_id: str, language: str
) -> tuple[Explanation, tuple[FieldReasons, ...] | None] | None:
    """Explain a decision for the operator, with every row of the rules, once the look is on record."""
    service.log.settle()
    with service.database.transaction() as tx:
        found = entry_of(tx, decision_id)
        if found is None:
            return None
        actors = labels_of(tx, [found[1]])
        ledger.append(tx, [_look(found[1], decision_id, service.keeper.fingerprint(tx), service.clock())])
        tx.commit()
    explanation = explain(*found, Labels(service.rules.book, actors), language)
    return explanation, reasons_of_rules(service, found[1], language)


def _look(entry: Entry, decision_id: str, policy: str, now: int) -> Entry:
    return Entry(
        t=now,
        kind=Kind.AUDIT,
        act="log.read",
        dec=Verdict.PERMIT,
        actor=Actor(Party(ActorType.SYSTEM, "operator")),
        subjects=entry.subjects,
        resource=decision_id,
        purpose="audit.review",
        policy=policy,
    )


def entry_of(tx: Transaction, decision_id: str) -> tuple[int, Entry] | None:
    """Return the entry that a decision id (``dec_…``) or an entry id (``aud_…``) names, with its index."""
    match kind_of(decision_id):
        case Prefix.DECISION:
            return ledger.entry_of_decision(tx, decision_id)
        case Prefix.ENTRY:
            return ledger.entry_with_id(tx, decision_id)
        case _:
            return None


def verdict(entry: Entry, language: str) -> str:
    """Return the outcome as one word for lists."""
    say = saying(language)
    if entry.dec is Verdict.ERROR:
        return say("出错")
    if entry.message is not None:
        words = {
            Outcome.ADMIT: noted("放行"),
            Outcome.HOLD: noted("待复核"),
            Outcome.REFUSE: noted("拒绝"),
        }
        return say(words[entry.message.outcome])
    if entry.dec is not Verdict.PERMIT:
        return say("拒绝")
    effects = {one.effect for one in entry.fields}
    if Effect.HIDE in effects:
        return say("部分允许")
    return say("脱敏") if Effect.MASK in effects else say("允许")


def sentence(entry: Entry, labels: Labels, language: str) -> str:
    """Return what happened in one or two sentences."""
    # A full-width bracket brings its own space along.
    return _sentence(entry, labels, language).replace("） ", "）")


def _sentence(entry: Entry, labels: Labels, language: str) -> str:
    say = saying(language)
    places = {
        "who": who(entry, labels, language),
        "subject": _subject(entry, labels, language),
        "purpose": purpose_title(entry.purpose, labels.book, language),
        "kind": _kind(entry, labels, language),
        "verb": entry.resource.split(" ")[1] if entry.act == "evaluate" else "",
    }
    if entry.message is not None:
        return say(
            "%(who)s 想以“%(purpose)s”为目的通过%(channel)s给%(subject)s发送一条消息：%(verdict)s",
            **places,
            channel=field_title(f"channel.{entry.message.channel}", labels.book, language),
            verdict=_with_reasons(say(_SENT[entry.message.outcome]), reasons_of(entry.why), language),
        )
    if entry.act == "deliver":
        ended = say("许可有效，交付。") if entry.dec is Verdict.PERMIT else say("许可不再有效，拦下。")
        return say("%(who)s 准备向%(subject)s交付一条消息：%(verdict)s", **places, verdict=ended)
    pattern = ASKED.get(entry.act)
    if pattern is not None and entry.fields:
        names = [field_title(one.name, labels.book, language) for one in entry.fields]
        return say(
            pattern, **places, fields=listed(names, language), verdict=_verdicts(entry, labels, language)
        )
    if entry.act in SEARCHED and not entry.subjects:
        return say("%(who)s 查询了与%(kind)s有关的权限。", **places)
    change = CHANGES.get(entry.act) or SEARCHED.get(entry.act)
    if change is None:
        return say("%(who)s：%(act)s。", **places, act=entry.act)
    return say(change, **places)


def who(entry: Entry, labels: Labels, language: str) -> str:
    """Return who acted: the person a service acted for is named, and the service as the way."""
    say = saying(language)
    person = entry.actor.on_behalf_of
    if person is None:
        return _party(entry.actor.party, entry.actor.relation, labels, language)
    return say(
        "%(who)s（经%(via)s）",
        who=_party(person, entry.actor.relation, labels, language),
        via=_party(entry.actor.party, "", labels, language),
    )


def _party(party: Party, relation: str, labels: Labels, language: str) -> str:
    say = saying(language)
    if party.type is ActorType.SYSTEM:
        return say("系统")
    if party.type is ActorType.MEMBER:
        words = {kind.value: pattern for kind, pattern in _ACTORS.items()}
        return say(words.get(relation, noted("成员 %(name)s")), name=short(party.id))
    return labels.actors.get(party.id, party.id)


def _subject(entry: Entry, labels: Labels, language: str) -> str:
    say = saying(language)
    if not entry.subjects:
        return say("一个对象")
    name = short(entry.subjects[0].hex())
    declared = [labels.book.fields.get(FieldName(one.name)) for one in entry.fields]
    if declared and all(one is not None and one.subject is SubjectKind.HOUSEHOLD for one in declared):
        return say("家庭 %(name)s ", name=name)
    return say("成员 %(name)s ", name=name)


def _kind(entry: Entry, labels: Labels, language: str) -> str:
    """Return what a further type of resource is called, or fields of members and households."""
    word = entry.resource.partition(" ")[0]
    declared = labels.book.resources.types.get(word)
    if declared is not None:
        return in_language(declared.title, language)
    say = saying(language)
    return say("成员和家庭的信息") if word in ("field", "purpose") else say("一种未知的资源")


def _with_reasons(first: str, reasons: Collection[Reason], language: str) -> str:
    told = [reason.sentence(language) for reason in reasons]
    return (" " if language == "en" else "").join([first, *told])


def _verdicts(entry: Entry, labels: Labels, language: str) -> str:
    """Return what happened to the fields: one word where all went the same way, else field by field."""
    say = saying(language)
    if unrelated(entry):
        return say("拒绝。对它来说，这个对象与不存在没有区别。")
    groups: dict[Effect, list[FieldOutcome]] = {}
    for one in entry.fields:
        groups.setdefault(one.effect, []).append(one)
    words = {**EFFECTS, Effect.SHOW: DONE[entry.act]} if entry.act in DONE else EFFECTS
    hidden = groups.get(Effect.HIDE, [])
    why = tuple(dict.fromkeys(reason for one in hidden for reason in reasons_of(one.why)))
    if len(groups) == 1:
        (effect, outcomes), *_ = groups.items()
        told = why if hidden else tuple(dict.fromkeys(r for one in outcomes for r in reasons_of(one.why)))
        return _with_reasons(say("%(effect)s。", effect=say(words[effect])), told, language)
    parts = [
        say(
            "%(effect)s%(fields)s",
            effect=say(words[effect]),
            fields=listed([field_title(one.name, labels.book, language) for one in outcomes], language),
        )
        for effect, outcomes in groups.items()
    ]
    joined = say("%(parts)s。", parts=("; " if language == "en" else "；").join(parts))
    return _with_reasons(joined, why, language)
