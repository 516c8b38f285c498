"""A rule book in Cedar: another language and another engine, asked the same questions.

Promises a translation that shares no line with ``policies.plan`` or with the Casbin side, so that one
misreading cannot hide in all three. What those compute, Cedar's entities say: a role is below the roles
it inherits, a field below its category and tier, a purpose below its group. The levels are written out
as sets of actions. A fact nobody gave is missing from the context, and each policy tests for that itself:
no policy may ever fail, because Cedar skips one that does.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cedarpy import AuthzResult, Entities, PolicySet, is_authorized_batch
from corners import Question

from policies.book import RuleBook
from policies.entries import ANY, Grant
from policies.terms import Action, Level, RuleId

READS = ("read.exists", "read.masked", "read.full")
"""The levels of reading, lowest first: an allow row covers what stands before it, a deny row what follows."""


@dataclass(frozen=True)
class Answer:
    """What Cedar says, and its own determining policies.

    ``allowed_by`` are the permits that reach the level, ``held_by`` the forbids one level above it.
    """

    level: Level
    allowed_by: frozenset[RuleId]
    held_by: frozenset[RuleId]


def uid(kind: str, name: str) -> str:
    return f"{kind}::{json.dumps(name, ensure_ascii=False)}"


def entity(kind: str, name: str, parents: Iterable[tuple[str, str]] = ()) -> dict[str, Any]:
    return {
        "uid": {"type": kind, "id": name},
        "attrs": {},
        "parents": [{"type": parent, "id": of} for parent, of in parents],
    }


def words(book: RuleBook) -> Entities:
    """Return the declared words as entities; only a declared role in a declared scope leads anywhere."""
    held = [
        entity(
            "Held",
            f"{scope}/{role.id}",
            (("Role", f"{where}/{inherited}") for where in (scope, ANY) for inherited in role.closure),
        )
        for role in book.roles.values()
        for scope in role.scopes
    ]
    fields = [
        entity("Thing", field.name, (("Thing", word) for word in field.objects if word != field.name))
        for field in book.fields.values()
    ]
    above: dict[str, str] = {}
    for purpose in book.purposes:
        name: str = purpose
        while "." in name:
            above[name] = name.rpartition(".")[0]
            name = above[name]
    purposes = [entity("Purpose", name, [("Purpose", group)]) for name, group in above.items()]
    return Entities.from_json_str(json.dumps([*held, *fields, *purposes]))


def acts(grant: Grant) -> tuple[str, ...]:
    """Write out which actions a row speaks about."""
    if grant.action is None:
        return (*READS, "write", "send")
    if grant.action != Action.READ:
        return (str(grant.action),)
    place = READS.index(f"read.{grant.level.name.lower()}")
    return READS[: place + 1] if grant.allows else READS[place:]


def policy(grant: Grant) -> str:
    """Translate one row."""
    who = "principal" if grant.role == ANY else f"principal in {uid('Role', f'{grant.scope}/{grant.role}')}"
    doing = ", ".join(uid("Action", act) for act in acts(grant))
    what = "resource" if grant.object == ANY else f"resource in {uid('Thing', grant.object)}"
    when = []
    if grant.relation != ANY:
        when.append(f"context.relation == {json.dumps(grant.relation)}")
    if grant.purpose != ANY:
        when.append(f"context.purpose in {uid('Purpose', grant.purpose)}")
    for fact in sorted(grant.conditions):
        if grant.allows:
            when.append(f"(context.facts has {fact} && context.facts.{fact})")
        else:
            when.append(f"(!(context.facts has {fact}) || context.facts.{fact})")
    effect, condition = "permit" if grant.allows else "forbid", " && ".join(when) or "true"
    return f'@id("{grant.id}") {effect} ({who}, action in [{doing}], {what}) when {{ {condition} }};'


def request(question: Question, asker: str, act: str) -> dict[str, Any]:
    return {
        "principal": {"type": "User", "id": asker},
        "action": {"type": "Action", "id": act},
        "resource": {"type": "Thing", "id": question.field},
        "context": {
            "relation": question.relation,
            "purpose": {"__entity": {"type": "Purpose", "id": question.purpose}},
            "facts": dict(question.facts),
        },
    }


class Cedar:
    """A book's grants, parsed once. ``known`` are the words of this book or of one with the same words."""

    def __init__(self, book: RuleBook, known: Entities) -> None:
        self.policies = PolicySet.from_str("\n".join(policy(grant) for grant in book.grants.values()))
        self.known = known

    def people(self, asked: Mapping[str, Question]) -> Entities:
        """Return the words and the askers with the roles they hold."""
        askers = [
            entity("User", asker, (("Held", f"{scope}/{role}") for scope, role in question.roles))
            for asker, question in asked.items()
        ]
        return self.known.with_added_json_str(json.dumps(askers))

    def answers(self, asked: Mapping[str, Question]) -> dict[str, Answer]:
        """Ask all levels of all questions in one batch."""
        steps = {
            asker: READS if question.action == Action.READ else (question.action.value,)
            for asker, question in asked.items()
        }
        requests = [request(asked[asker], asker, act) for asker, acts in steps.items() for act in acts]
        results = iter(is_authorized_batch(requests, self.policies, self.people(asked)))
        return {asker: climb([next(results) for _ in acts]) for asker, acts in steps.items()}


def climb(results: list[AuthzResult]) -> Answer:
    """Read the answers to the levels of one question, lowest first."""
    for result in results:
        assert result.diagnostics.errors == []
    allowed = [result.allowed for result in results]
    assert allowed == sorted(allowed, reverse=True), "a level is allowed above one that is not"
    reached = sum(allowed)
    return Answer(
        level=(Level.HIDDEN, Level.EXISTS, Level.MASKED, Level.FULL)[reached]
        if len(results) > 1
        else (Level.HIDDEN, Level.FULL)[reached],
        allowed_by=reasons(results[reached - 1]) if reached else frozenset(),
        held_by=reasons(results[reached]) if reached < len(results) else frozenset(),
    )


def reasons(result: AuthzResult) -> frozenset[RuleId]:
    return frozenset(RuleId(rule) for rule in result.diagnostics.id_annotations_by_reason.values())
