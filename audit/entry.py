"""One entry of the log: a typed value and the bytes that stand in the tree for it.

Promises that an entry becomes bytes once, by one serializer (compact UTF-8 JSON, at most 16 KiB, empty
parts left out), and that ``decode`` accepts exactly what ``encode`` makes: a leaf has one spelling.
Never holds names, numbers, texts or member ids: people appear as random pseudonyms that can be erased,
values as hashes. The random salt keeps a leaf hash from being guessed after its body has been deleted.
Reason, rule, role and purpose words are plain text here, because a leaf outlives the rule book of its day.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain
from json import loads
from typing import Any, Final, NamedTuple

import orjson

from policies.identifiers import Prefix, new_id, pattern
from policies.terms import Effect, Outcome
from policies.whys import WHYS

VERSION: Final = 1
MAX_LEAF: Final = 16 * 1024
"""Bytes of one leaf; the tlog-tiles entry bundles could carry 65,535."""
MAX_SUBJECTS: Final = 100
PSEUDONYM_BYTES: Final = 16
SALT_BYTES: Final = 16


class EntryRefusedError(ValueError):
    """An entry breaks a rule of this module. The message names the rule, never the content."""


class Kind(StrEnum):
    """What sort of thing happened."""

    DECISION = "decision"
    OUTCOME = "outcome"
    CHANGE = "change"
    KEY = "key"
    ADMIN = "admin"
    AUDIT = "audit"


class Verdict(StrEnum):
    """What was decided: permit, deny (a rule or the person says no), refuse (cannot be decided), error."""

    PERMIT = "permit"
    DENY = "deny"
    REFUSE = "refuse"
    ERROR = "error"


class ActorType(StrEnum):
    """Who acts; ``system`` is the service itself (a job, a command)."""

    SERVICE = "service"
    STAFF = "staff"
    MEMBER = "member"
    SYSTEM = "system"


class Party(NamedTuple):
    """One acting identity: ``svc_…`` or ``stf_…``, a word for the system, a member's pseudonym in hex."""

    type: ActorType
    id: str


class Actor(NamedTuple):
    """The caller, its role names, its relation to the subject, and the person it acts for, if any."""

    party: Party
    roles: tuple[str, ...] = ()
    relation: str = ""
    on_behalf_of: Party | None = None


class FieldOutcome(NamedTuple):
    """What happened to one field, why, and by which rules.

    ``cell`` is for writes: the first 16 bytes of SHA-256 over the sealed cell, so that an old cell put
    back later can be told from the one written last.
    """

    name: str
    effect: Effect
    why: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    cell: bytes = b""


class Basis(NamedTuple):
    """On what the processing rests: consent ids, or the word of another legal ground."""

    consents: tuple[str, ...] = ()
    ground: str = ""


class Message(NamedTuple):
    """One message to one recipient (the entry's subject): never the text, only its SHA-256."""

    id: str
    channel: str
    sha256: bytes
    outcome: Outcome
    rules: tuple[str, ...] = ()
    """Ids of the rules that found something in the text."""


class Detail(NamedTuple):
    """A sealed detail kept beside the log and erasable: its algorithm, key id and ciphertext hash."""

    alg: int
    kid: str
    sha256: bytes


def _entry_id() -> str:
    return new_id(Prefix.ENTRY)


def _salt() -> bytes:
    return os.urandom(SALT_BYTES)


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened. ``t`` is UTC milliseconds; ``n`` counts values released or rows touched.

    ``subjects`` are pseudonyms (16 bytes each, at most 100), ``household`` one or empty. ``resource`` is
    the id of the thing changed (a consent, a key, a notice), ``policy`` the fingerprint of the rule book,
    ``corr`` ties entries of one story together (a decision and its outcome, a child's and a guardian's).
    """

    t: int
    kind: Kind
    act: str
    dec: Verdict
    actor: Actor
    decision: str = ""
    why: tuple[str, ...] = ()
    subjects: tuple[bytes, ...] = ()
    household: bytes = b""
    resource: str = ""
    fields: tuple[FieldOutcome, ...] = ()
    message: Message | None = None
    purpose: str = ""
    basis: Basis | None = None
    policy: str = ""
    request: str = ""
    corr: str = ""
    n: int = 0
    detail: Detail | None = None
    id: str = field(default_factory=_entry_id)
    salt: bytes = field(default_factory=_salt)


_WORD: Final = re.compile(r"[a-z][a-z0-9_.]{0,63}").fullmatch
_ENTRY_ID: Final = re.compile(pattern(Prefix.ENTRY)).fullmatch
_PARTY_ID: Final = {
    ActorType.SERVICE: re.compile(pattern(Prefix.SERVICE)).fullmatch,
    ActorType.STAFF: re.compile(pattern(Prefix.STAFF)).fullmatch,
    ActorType.MEMBER: re.compile(r"[0-9a-f]{32}").fullmatch,
    ActorType.SYSTEM: _WORD,
}
_MEMBER_ID, _HOUSEHOLD_ID = b'"mem_', b'"hh_'


def fresh(entry: Entry) -> bytes:
    """Return the leaf of an entry that is written now: as ``encode``, and each why is one of the table.

    Only on the way in: a leaf outlives the words of its day, and must decode when the table has moved on.

    Raises:
        EntryRefusedError: as ``encode``, or a why that ``policies.whys`` does not hold.
    """
    if not WHYS.issuperset(chain(entry.why, *[one.why for one in entry.fields])):
        raise EntryRefusedError("a why of the entry is not in the table of reasons")
    return encode(entry)


def encode(entry: Entry) -> bytes:
    """Return the leaf of ``entry``.

    Raises:
        EntryRefusedError: a part has the wrong shape, the leaf is too long, or an id of a member or a
            household stands where a pseudonym belongs.
    """
    _check(entry)
    tree: dict[str, object] = {
        "v": VERSION,
        "id": entry.id,
        "salt": entry.salt.hex(),
        "t": entry.t,
        "kind": entry.kind,
        "act": entry.act,
        "dec": entry.dec,
        "actor": _actor_tree(entry.actor),
    }
    tree |= _kept(
        decision=entry.decision,
        why=entry.why,
        subj=[subject.hex() for subject in entry.subjects],
        hh=entry.household.hex(),
        res=entry.resource,
        fields=[_field_tree(outcome) for outcome in entry.fields],
        msg=entry.message and _message_tree(entry.message),
        purpose=entry.purpose,
        basis=entry.basis and _kept(consents=entry.basis.consents, ground=entry.basis.ground),
        policy=entry.policy,
        req=entry.request,
        corr=entry.corr,
        n=entry.n,
        detail=entry.detail and _detail_tree(entry.detail),
    )
    try:
        leaf = orjson.dumps(tree)
    except (UnicodeEncodeError, TypeError, ValueError):  # orjson's error is a TypeError
        raise EntryRefusedError("the entry holds something that JSON in UTF-8 cannot carry") from None
    if len(leaf) > MAX_LEAF:
        raise EntryRefusedError(f"the leaf is longer than {MAX_LEAF} bytes")
    if _MEMBER_ID in leaf or _HOUSEHOLD_ID in leaf:
        raise EntryRefusedError("a member or household id stands where a pseudonym belongs")
    return leaf


def decode(leaf: bytes) -> Entry:
    """Return the entry that ``encode`` made ``leaf`` of.

    Raises:
        EntryRefusedError: these bytes are not a leaf of this version in its one spelling.
    """
    try:
        entry = _entry(loads(leaf.decode()))
        spelt = encode(entry)
    except EntryRefusedError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise EntryRefusedError("these bytes are not an entry") from None
    if spelt != leaf:
        raise EntryRefusedError("the leaf is not in its one spelling")
    return entry


def _check(entry: Entry) -> None:
    if _ENTRY_ID(entry.id) is None or len(entry.salt) != SALT_BYTES:
        raise EntryRefusedError("an entry needs an entry id and 16 bytes of salt")
    if entry.t < 0 or entry.n < 0:
        raise EntryRefusedError("time and count are never negative")
    if _WORD(entry.act) is None:
        raise EntryRefusedError("the action is a dotted word in small letters")
    if len(entry.subjects) > MAX_SUBJECTS:
        raise EntryRefusedError(f"an entry speaks of at most {MAX_SUBJECTS} subjects")
    if any(len(subject) != PSEUDONYM_BYTES for subject in entry.subjects) or (
        entry.household and len(entry.household) != PSEUDONYM_BYTES
    ):
        raise EntryRefusedError("a pseudonym has 16 bytes")
    _check_party(entry.actor.party)
    if entry.actor.on_behalf_of is not None:
        _check_party(entry.actor.on_behalf_of)


def _check_party(party: Party) -> None:
    if _PARTY_ID[party.type](party.id) is None:
        raise EntryRefusedError("the actor's id does not fit its type")


def _kept(**parts: object) -> dict[str, object]:
    """Leave the empty parts out: what is not said is not written."""
    return {name: part for name, part in parts.items() if part}


def _actor_tree(actor: Actor) -> dict[str, object]:
    tree: dict[str, object] = {"type": actor.party.type, "id": actor.party.id}
    if actor.roles:
        tree["role"] = actor.roles
    if actor.relation:
        tree["rel"] = actor.relation
    if actor.on_behalf_of is not None:
        tree["on_behalf_of"] = {"type": actor.on_behalf_of.type, "id": actor.on_behalf_of.id}
    return tree


def _field_tree(outcome: FieldOutcome) -> dict[str, object]:
    tree: dict[str, object] = {"field": outcome.name, "effect": outcome.effect}
    if outcome.why:
        tree["why"] = outcome.why
    if outcome.rules:
        tree["rules"] = outcome.rules
    if outcome.cell:
        tree["cell"] = outcome.cell.hex()
    return tree


def _message_tree(message: Message) -> dict[str, object]:
    tree: dict[str, object] = {
        "id": message.id,
        "channel": message.channel,
        "sha256": message.sha256.hex(),
        "outcome": message.outcome,
    }
    if message.rules:
        tree["rules"] = message.rules
    return tree


def _detail_tree(detail: Detail) -> dict[str, object]:
    return {"alg": detail.alg, "kid": detail.kid, "sha256": detail.sha256.hex()}


def _text(tree: dict[str, Any], name: str) -> str:
    value = tree.get(name, "")
    if type(value) is not str:
        raise TypeError(name)
    return value


def _texts(tree: dict[str, Any], name: str) -> tuple[str, ...]:
    values = tree.get(name, [])
    if type(values) is not list or any(type(value) is not str for value in values):
        raise TypeError(name)
    return tuple(values)


def _number(tree: dict[str, Any], name: str) -> int:
    value = tree.get(name, 0)
    if type(value) is not int:
        raise TypeError(name)
    return value


def _bytes(tree: dict[str, Any], name: str) -> bytes:
    return bytes.fromhex(_text(tree, name))


def _entry(tree: dict[str, Any]) -> Entry:
    if _number(tree, "v") != VERSION:
        raise EntryRefusedError("the leaf has an unknown version")
    message, basis, detail = tree.get("msg"), tree.get("basis"), tree.get("detail")
    return Entry(
        id=_text(tree, "id"),
        salt=_bytes(tree, "salt"),
        t=_number(tree, "t"),
        kind=Kind(tree["kind"]),
        act=_text(tree, "act"),
        dec=Verdict(tree["dec"]),
        actor=_actor(tree["actor"]),
        decision=_text(tree, "decision"),
        why=_texts(tree, "why"),
        subjects=tuple(bytes.fromhex(subject) for subject in _texts(tree, "subj")),
        household=_bytes(tree, "hh"),
        resource=_text(tree, "res"),
        fields=tuple(_field(outcome) for outcome in tree.get("fields", ())),
        message=None if message is None else _message(message),
        purpose=_text(tree, "purpose"),
        basis=None if basis is None else Basis(_texts(basis, "consents"), _text(basis, "ground")),
        policy=_text(tree, "policy"),
        request=_text(tree, "req"),
        corr=_text(tree, "corr"),
        n=_number(tree, "n"),
        detail=None
        if detail is None
        else Detail(_number(detail, "alg"), _text(detail, "kid"), _bytes(detail, "sha256")),
    )


def _party(tree: dict[str, Any]) -> Party:
    return Party(ActorType(tree["type"]), _text(tree, "id"))


def _actor(tree: dict[str, Any]) -> Actor:
    person = tree.get("on_behalf_of")
    return Actor(
        _party(tree), _texts(tree, "role"), _text(tree, "rel"), None if person is None else _party(person)
    )


def _field(tree: dict[str, Any]) -> FieldOutcome:
    return FieldOutcome(
        _text(tree, "field"),
        Effect(tree["effect"]),
        _texts(tree, "why"),
        _texts(tree, "rules"),
        _bytes(tree, "cell"),
    )


def _message(tree: dict[str, Any]) -> Message:
    return Message(
        _text(tree, "id"),
        _text(tree, "channel"),
        _bytes(tree, "sha256"),
        Outcome(tree["outcome"]),
        _texts(tree, "rules"),
    )
