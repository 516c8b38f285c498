"""An entry as an event of the Open Cybersecurity Schema Framework, for collectors of security events (SIEM).

Promises one event of class API Activity (6003 in OCSF 1.3.0) for every entry, with the profile
``security_control`` for what was decided, and nothing that the leaf does not say: members stay pseudonyms,
values hashes. The log knows no network addresses, so the required ``src_endpoint`` names the caller by id.
The vendor's form is made on the way out and never stored.
"""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple

from audit.entry import Actor, ActorType, Entry, FieldOutcome, Kind, Party, Verdict
from audit.spelling import visible

VERSION: Final = "1.3.0"
"""The version of the schema that the events name; later ones read them as well."""
_CATEGORY: Final = 6
_CLASS: Final = 6003


class _Activity(NamedTuple):
    id: int
    name: str


_CREATE, _READ, _UPDATE, _DELETE, _OTHER = (
    _Activity(1, "Create"),
    _Activity(2, "Read"),
    _Activity(3, "Update"),
    _Activity(4, "Delete"),
    _Activity(99, "Other"),
)
_OF_KIND: Final = {
    Kind.DECISION: _READ,
    Kind.OUTCOME: _OTHER,
    Kind.CHANGE: _UPDATE,
    Kind.KEY: _UPDATE,
    Kind.ADMIN: _UPDATE,
    Kind.AUDIT: _READ,
}
_OF_WORD: Final = {
    **dict.fromkeys(
        ("added", "asked", "begun", "created", "given", "imported", "invited", "joined", "linked", "made",
         "opened", "published", "requested", "served", "set", "ticked"), _CREATE,
    ),
    **dict.fromkeys(
        ("cancelled", "closed", "destroyed", "disabled", "ended", "erased", "left", "lifted", "removed",
         "retired", "revoked", "swept", "withdrawn"), _DELETE,
    ),
    "rehearsed": _OTHER,
    "send": _OTHER,
    "failed": _READ,
}  # fmt: skip
"""What the last word of an act says, where the kind alone would say too little."""


class _Ending(NamedTuple):
    """What a verdict is in status, control and severity."""

    status_id: int
    status: str
    action_id: int
    action: str
    disposition_id: int
    disposition: str
    severity_id: int
    severity: str


_ENDINGS: Final = {
    Verdict.PERMIT: _Ending(1, "Success", 1, "Allowed", 1, "Allowed", 1, "Informational"),
    Verdict.DENY: _Ending(2, "Failure", 2, "Denied", 2, "Blocked", 2, "Low"),
    Verdict.REFUSE: _Ending(2, "Failure", 2, "Denied", 2, "Blocked", 2, "Low"),
    Verdict.ERROR: _Ending(2, "Failure", 0, "Unknown", 0, "Unknown", 3, "Medium"),
}
_USERS: Final = {
    ActorType.MEMBER: (1, "User"),
    ActorType.STAFF: (1, "User"),
    ActorType.SYSTEM: (3, "System"),
    ActorType.SERVICE: (99, "Service"),
}


def to_ocsf(index: int, entry: Entry) -> dict[str, Any]:
    """Return the event of the entry that stands at ``index``."""
    activity = _activity(entry)
    return {
        "category_uid": _CATEGORY,
        "category_name": "Application Activity",
        "class_uid": _CLASS,
        "class_name": "API Activity",
        "activity_id": activity.id,
        "activity_name": activity.name,
        "type_uid": _CLASS * 100 + activity.id,
        "type_name": f"API Activity: {activity.name}",
        "time": entry.t,
        **_ENDINGS[entry.dec]._asdict(),
        **_kept(status_code=" ".join(entry.why)),
        "metadata": _metadata(index, entry),
        "actor": _actor(entry.actor),
        "api": {
            "operation": entry.act,
            "service": {"name": "household-governance"},
            **_kept(request=entry.request and {"uid": entry.request}),
        },
        "src_endpoint": {"uid": entry.actor.party.id, "name": entry.actor.party.type.value},
        **_kept(
            resources=_resources(entry),
            policy=entry.policy and {"uid": entry.policy, "name": "rules"},
        ),
        "unmapped": _unmapped(entry),
    }


def ocsf_line(index: int, entry: Entry) -> str:
    """Return the event as one line of JSON, with control and direction characters escaped."""
    tree = to_ocsf(index, entry)
    return visible(json.dumps(tree, ensure_ascii=False, separators=(",", ":"))) + "\n"


def _activity(entry: Entry) -> _Activity:
    return _OF_WORD.get(entry.act.rpartition(".")[2], _OF_KIND[entry.kind])


def _kept(**parts: object) -> dict[str, object]:
    return {name: part for name, part in parts.items() if part}


def _metadata(index: int, entry: Entry) -> dict[str, object]:
    return {
        "version": VERSION,
        "product": {"name": "household-governance", "vendor_name": "household-governance"},
        "profiles": ["security_control"],
        "uid": entry.id,
        "sequence": index,
        "log_name": "audit",
        "event_code": entry.act,
        **_kept(correlation_uid=entry.corr),
    }


def _actor(actor: Actor) -> dict[str, object]:
    """Return who acted: the person where a service acted for one, and the service as the application."""
    person = actor.on_behalf_of or actor.party
    user: dict[str, object] = {**_user(person), **_kept(groups=[{"name": role} for role in actor.roles])}
    return {"user": user, **_kept(app_uid=actor.party.id if actor.party.type is ActorType.SERVICE else "")}


def _user(party: Party) -> dict[str, object]:
    type_id, type_ = _USERS[party.type]
    return {"uid": party.id, "type_id": type_id, "type": type_}


def _resources(entry: Entry) -> list[dict[str, object]]:
    found: list[dict[str, object]] = [{"uid": one.hex(), "type": "subject"} for one in entry.subjects]
    if entry.household:
        found.append({"uid": entry.household.hex(), "type": "household"})
    if entry.resource:
        found.append({"uid": entry.resource, "type": "resource"})
    return found + [_field(one) for one in entry.fields]


def _field(outcome: FieldOutcome) -> dict[str, object]:
    said = _kept(effect=outcome.effect.value, why=list(outcome.why), rules=list(outcome.rules))
    return {"name": outcome.name, "type": "field", "data": said}


def _unmapped(entry: Entry) -> dict[str, object]:
    message, basis = entry.message, entry.basis
    return {
        "kind": entry.kind.value,
        "verdict": entry.dec.value,
        "n": entry.n,
        **_kept(
            decision=entry.decision,
            purpose=entry.purpose,
            relation=entry.actor.relation,
            consents=[] if basis is None else list(basis.consents),
            ground="" if basis is None else basis.ground,
            message=None
            if message is None
            else {
                "uid": message.id,
                "channel": message.channel,
                "sha256": message.sha256.hex(),
                "outcome": message.outcome.value,
                "rules": list(message.rules),
            },
            detail_sha256="" if entry.detail is None else entry.detail.sha256.hex(),
        ),
    }
