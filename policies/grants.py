"""grants.csv: one row, one permission or prohibition, read with no tolerance at all.

Promises that a row either becomes a ``Grant`` whose every word is declared or becomes faults with its
line. Casbin itself ignores a misspelt effect (the deny row vanishes), takes a quoted comma for a cell
and drops unknown row kinds in silence; here each of these stops the start. An allow row that reaches a
sensitive or closed field carries the ``consent`` condition (个人信息保护法 第二十九条), except for the
person and the guardian, and except for a read in an emergency (第十三条第一款第四项), which is never for
closed fields and always reviewed. Deny rows carry no condition that would punish an agreement.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from policies.entries import ANY, FieldEntry, Grant, PurposeEntry, RoleEntry
from policies.resources import NO_RESOURCES, Resources, TypeEntry
from policies.rulefile import Fault, read_text
from policies.terms import Action, Condition, FieldName, Level, Purpose, Relation, Role, RuleId, Scope, Tier

COLUMNS: Final = ("p", "sub", "dom", "obj", "act", "rel", "pur", "cond", "eft", "obl", "id", "src")
"""The cells of a row, as Casbin's policy definition in model.conf names them."""

NOTHING: Final = "-"
"""No condition, or no duty."""

ACTS: Final = {
    "read.full": (Action.READ, Level.FULL),
    "read.masked": (Action.READ, Level.MASKED),
    "read.exists": (Action.READ, Level.EXISTS),
    "write": (Action.WRITE, Level.FULL),
    "send": (Action.SEND, Level.FULL),
}
"""What a row may say in ``act``; ``*`` as well, but only to forbid."""

LAWS: Final = {
    "PIPL": "个人信息保护法",
    "MINORS": "未成年人保护法",
    "MINORS_ONLINE": "未成年人网络保护条例",
    "ADS": "广告法",
    "CONSUMER": "消费者权益保护法",
    "ECOMMERCE": "电子商务法",
    "CIVIL": "民法典",
}
"""The statutes a row may cite as ``LAW-article[-paragraph[-item]]``; otherwise a business row S1 to S27."""

DUTIES: Final = {
    "log": re.compile(r"high"),
    "notify": re.compile(r"subject|guardian"),
    "approval": re.compile(r"guardian|minor_access"),
    "optout": re.compile(r"required"),
    "choice": re.compile(r"non_personal"),
    "ttl": re.compile(r"[1-9][0-9]{1,4}"),
    "review": re.compile(r"after"),
}
"""What an answer may oblige its receiver to: ``ttl`` in seconds, the others by word."""

_SOURCE: Final = re.compile(r"S(?:[1-9]|1[0-9]|2[0-7])|([A-Z_]+)(?:-[1-9][0-9]{0,3}){1,3}")
RULE_ID: Final = re.compile(r"[A-Z]{1,2}(?:-[A-Z]{2,6})?-[0-9]{2}")
"""The form of a rule's id."""

_SPEAKS_FOR_ITSELF: Final = frozenset({Relation.SELF, Relation.WARD})
_NEVER_ON_DENY: Final = frozenset(
    {Condition.CONSENT, Condition.SHARED, Condition.TICKET, Condition.EMERGENCY}
)
_NEVER_ON_ALLOW: Final = frozenset(
    {Condition.HIDDEN, Condition.UNAPPROVED, Condition.SAME_GENDER_ASKED, Condition.OTHER_GENDER}
)
_EMERGENCY_LAW: Final = "PIPL-13-1-4"
_EMERGENCY_DUTIES: Final = frozenset({"log=high", "notify=subject", "review=after"})
_Word = TypeVar("_Word", Scope, Relation)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The declared words that a row may use. An empty part means that its file could not be read."""

    roles: Mapping[Role, RoleEntry]
    fields: Mapping[FieldName, FieldEntry]
    purposes: Mapping[Purpose, PurposeEntry]
    resources: Resources = NO_RESOURCES


def read_grants(
    path: Path, vocabulary: Vocabulary, faults: list[Fault], *, opens: bool = True
) -> tuple[Grant, ...]:
    """Read all rows in the order of the file, reporting every fault.

    ``opens``: a file without an allow row is an empty set, with which nobody could do anything.
    """
    content = read_text(path, faults)
    if content is None:
        return ()
    grants: list[Grant] = []
    first: dict[str, int] = {}
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        row = _Row(path.name, number, vocabulary, faults)
        if (grant := row.read(line)) is None:
            continue
        if first.setdefault(grant.id, number) != number:
            row.fault(f"duplicate id {grant.id!r}, first in line {first[grant.id]}")
        grants.append(grant)
    if opens and not any(grant.allows for grant in grants):
        faults.append(Fault(path.name, 1, "no allow row: an empty set of grants"))
    return tuple(grants)


@dataclass(frozen=True, slots=True)
class _Row:
    file: str
    line: int
    vocabulary: Vocabulary
    faults: list[Fault]

    def fault(self, text: str) -> None:
        self.faults.append(Fault(self.file, self.line, text))

    def read(self, line: str) -> Grant | None:
        if any(sign in line for sign in "\"'()[]") or not line.isprintable():
            self.fault("quotes, brackets and control characters have no place in a row")
            return None
        cells = dict(zip(COLUMNS, (cell.strip() for cell in line.split(",")), strict=False))
        if line.count(",") + 1 != len(COLUMNS):
            self.fault(f"{line.count(',') + 1} cells instead of {len(COLUMNS)}: {', '.join(COLUMNS)}")
            return None
        for name, cell in cells.items():
            if not cell:
                self.fault(f"{name} is empty; write {NOTHING} for none")
            elif name not in ("id", "src") and cell != cell.lower():
                self.fault(f"{name}: {cell!r} has capital letters where small ones belong")
        if cells["p"] != "p":
            self.fault(f"unknown row kind {cells['p']!r}; every row starts with p")
        allows = self._effect(cells["eft"])
        type_ = self._type(cells["obj"])
        action, level = self._act(cells["act"], allows) if type_ is None else self._verb(cells["act"], allows)
        grant = Grant(
            id=RuleId(self._id(cells["id"])),
            role=cells["sub"],
            scope=cells["dom"],
            object=cells["obj"],
            action=action,
            level=level,
            relation=cells["rel"],
            purpose=cells["pur"],
            conditions=self._conditions(cells["cond"], allows, type_),
            allows=allows,
            duties=self._duties(cells["obl"]),
            sources=self._sources(cells["src"]),
            line=self.line,
        )
        self._one_of("rel", grant.relation, Relation)
        self._check_holder(grant)
        self._check_emergency(grant)
        if type_ is None:
            self._check_object(grant)
            self._check_purpose(grant)
        else:
            self._check_resource(grant, type_)
        return grant

    def _type(self, cell: str) -> TypeEntry | None:
        """Return the further type of resource that a row is about, or None for a row about households."""
        prefix, _, name = cell.partition(":")
        return self.vocabulary.resources.types.get(name) if prefix == "type" else None

    def _verb(self, cell: str, allows: bool) -> tuple[str | None, Level]:
        if cell == ANY and allows:
            self.fault("an allow row names its act; * only forbids")
        return (None if cell == ANY else cell), Level.FULL if allows else Level.EXISTS

    def _effect(self, cell: str) -> bool:
        if cell not in ("allow", "deny"):
            self.fault(f"eft must be allow or deny, not {cell!r}")
        return cell == "allow"

    def _act(self, cell: str, allows: bool) -> tuple[str | None, Level]:
        if cell == ANY:
            if allows:
                self.fault("an allow row names its act; * only forbids")
            return None, Level.EXISTS
        if cell not in ACTS:
            self.fault(f"act must be one of {', '.join(ACTS)}, not {cell!r}")
            return Action.READ, Level.EXISTS
        action, level = ACTS[cell]
        return action, level if allows or action is Action.READ else Level.EXISTS

    def _id(self, cell: str) -> str:
        if not RULE_ID.fullmatch(cell):
            self.fault(f"id {cell!r} is not of the form S-AG-02")
        return cell

    def _conditions(self, cell: str, allows: bool, type_: TypeEntry | None) -> frozenset[str]:
        if cell == NOTHING:
            return frozenset()
        names = cell.split("&")
        if len(set(names)) != len(names):
            self.fault(f"cond names a condition twice: {cell!r}")
        known: Mapping[str, str] = {condition.value: condition for condition in Condition}
        if type_ is not None:
            known = {name: name for name in self.vocabulary.resources.conditions}
        for name in names:
            if name not in known:
                self.fault(f"unknown condition {name!r}; known: {', '.join(known)}")
        found = {known[name] for name in names if name in known}
        for condition in sorted(found & (_NEVER_ON_ALLOW if allows else _NEVER_ON_DENY)):
            self.fault(f"{condition} has no place on {'an allow' if allows else 'a deny'} row")
        return frozenset(found)

    def _duties(self, cell: str) -> tuple[str, ...]:
        if cell == NOTHING:
            return ()
        for duty in cell.split(";"):
            name, _, value = duty.partition("=")
            if name not in DUTIES or not DUTIES[name].fullmatch(value):
                self.fault(f"unknown duty {duty!r}; known: {', '.join(DUTIES)}")
        return tuple(cell.split(";"))

    def _sources(self, cell: str) -> tuple[str, ...]:
        for source in cell.split(";"):
            match = _SOURCE.fullmatch(source)
            if not match or (match.group(1) and match.group(1) not in LAWS):
                self.fault(f"src {source!r} is neither S1 to S27 nor a known law such as PIPL-28")
        return tuple(cell.split(";"))

    def _one_of(self, column: str, cell: str, kind: type[_Word]) -> None:
        if cell != ANY and cell not in kind.__members__.values():
            self.fault(f"{column} must be * or one of {', '.join(kind)}, not {cell!r}")

    def _check_holder(self, grant: Grant) -> None:
        self._one_of("dom", grant.scope, Scope)
        if grant.role == ANY:
            if grant.scope != ANY:
                self.fault("sub * is nobody's role, so dom must be *")
            if grant.allows and grant.relation not in _SPEAKS_FOR_ITSELF:
                self.fault("an allow row for sub * must be for rel self or ward")
            return
        holders = [role for role in self.vocabulary.roles.values() if grant.role in role.closure]
        if self.vocabulary.roles and not holders:
            self.fault(f"unknown role {grant.role!r}")
        elif holders and grant.scope != ANY and all(grant.scope not in role.scopes for role in holders):
            self.fault(f"{grant.role} is never held in {grant.scope}")

    def _check_object(self, grant: Grant) -> None:
        reached = [field for field in self.vocabulary.fields.values() if grant.object in field.objects]
        if not self.vocabulary.fields:
            return
        if not reached:
            self.fault(f"obj {grant.object!r} names no declared field")
        elif grant.action and not any(field.admits(grant.action) for field in reached):
            self.fault(f"obj {grant.object!r} has nothing to {grant.action}")
        if not grant.allows or Condition.CONSENT in grant.conditions or grant.relation in _SPEAKS_FOR_ITSELF:
            return
        free = (Tier.SENSITIVE,) if Condition.EMERGENCY in grant.conditions else ()
        grave = [
            field.name
            for field in reached
            if field.tier in (Tier.SENSITIVE, Tier.CLOSED) and field.tier not in free
        ]
        if grave:
            self.fault(f"an allow row that reaches {', '.join(grave)} needs the condition consent")

    def _check_emergency(self, grant: Grant) -> None:
        """Check that an emergency opens reads only, cites the one article, and cannot pass unnoticed."""
        if Condition.EMERGENCY not in grant.conditions:
            return
        if grant.action is not Action.READ or _EMERGENCY_LAW not in grant.sources:
            self.fault(
                f"{Condition.EMERGENCY} is for a read that cites {_EMERGENCY_LAW}, and for nothing else"
            )
        if missing := sorted(_EMERGENCY_DUTIES - set(grant.duties)):
            self.fault(f"a row for an emergency has the duties {', '.join(missing)} as well")

    def _check_resource(self, grant: Grant, type_: TypeEntry) -> None:
        """Check a row about a further type of resource: no relation or purpose of a household fits it."""
        if grant.action is not None and grant.action not in type_.verbs:
            self.fault(f"act must be one of {', '.join(sorted(type_.verbs))}, not {grant.action!r}")
        if grant.relation not in (ANY, Relation.NONE):
            self.fault(f"rel must be * or {Relation.NONE} for obj {grant.object}")
        if grant.purpose != ANY:
            self.fault(f"pur must be * for obj {grant.object}")

    def _check_purpose(self, grant: Grant) -> None:
        covered = [entry for entry in self.vocabulary.purposes.values() if grant.covers_purpose(entry.id)]
        if not self.vocabulary.purposes:
            return
        if not covered:
            self.fault(f"pur {grant.purpose!r} names no declared purpose")
        if grant.allows and grant.action is Action.SEND and any(entry.screening is None for entry in covered):
            self.fault(f"pur {grant.purpose!r} includes a purpose for which no message may be sent")
