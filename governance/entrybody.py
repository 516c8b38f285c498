"""One log entry as a program reads it: the leaf's own words, with the sentence that officers read.

Members and households stay pseudonyms; services and staff have their display names beside their ids.
"""

from __future__ import annotations

from collections.abc import Collection

from audit.entry import Entry, Party
from audit.searching import Facets, Hit
from governance.accesses import labels_of
from governance.explaining import sentence, verdict
from governance.ladder import Labels
from governance.times import rfc3339
from governance.wiring import Service


def labels_for(service: Service, hits: Collection[Hit]) -> Labels:
    """Return what the services and staff in some entries are called."""
    with service.database.reading() as tx:
        actors = labels_of(tx, [hit.entry for hit in hits])
    return Labels(service.rules.book, actors)


def entry_body(hit: Hit, labels: Labels, language: str) -> dict[str, object]:
    """Return an entry as a body."""
    entry = hit.entry
    person = entry.actor.on_behalf_of
    return {
        "index": hit.index,
        "entry_id": entry.id,
        "at": rfc3339(entry.t),
        "kind": entry.kind.value,
        "action": entry.act,
        "decision": entry.dec.value,
        "decision_id": entry.decision or None,
        "verdict": verdict(entry, language),
        "sentence": sentence(entry, labels, language),
        "reasons": list(entry.why),
        "actor": _party(entry.actor.party, labels)
        | {"roles": list(entry.actor.roles), "relation": entry.actor.relation or None},
        "on_behalf_of": None if person is None else _party(person, labels),
        "members": [subject.hex() for subject in entry.subjects],
        "household": entry.household.hex() or None,
        "resource": entry.resource or None,
        "fields": _fields(entry),
        "message": _message(entry),
        "purpose": entry.purpose or None,
        "consents": [] if entry.basis is None else list(entry.basis.consents),
        "ground": None if entry.basis is None else entry.basis.ground or None,
        "policy": entry.policy or None,
        "request": entry.request or None,
        "story": entry.corr or None,
        "n": entry.n,
    }


def _party(party: Party, labels: Labels) -> dict[str, object]:
    return {"type": party.type.value, "id": party.id, "label": labels.actors.get(party.id)}


def _fields(entry: Entry) -> list[dict[str, object]]:
    return [
        {
            "field": one.name,
            "effect": one.effect.value,
            "reasons": list(one.why),
            "rules": list(one.rules),
        }
        for one in entry.fields
    ]


def _message(entry: Entry) -> dict[str, object] | None:
    if entry.message is None:
        return None
    return {
        "id": entry.message.id,
        "channel": entry.message.channel,
        "sha256": entry.message.sha256.hex(),
        "outcome": entry.message.outcome.value,
        "rules": list(entry.message.rules),
    }


def facets_body(facets: Facets) -> dict[str, object]:
    """Return counts as a body: over how many entries, whether those are all, and each value's count."""
    return {
        "over": facets.over,
        "all": facets.all,
        "counts": {
            name.value: [{"value": value, "count": count} for value, count in pairs]
            for name, pairs in facets.counts.items()
        },
    }
