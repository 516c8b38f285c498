"""AuthZEN calls as a policy enforcement point makes them, and the household's questions in its words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import httpx2
from living import Living, Wire

from governance import identity, world
from governance.identity import Scope
from policies.terms import ActorId

PREFIXES = {"mem_": "member", "stf_": "staff", "svc_": "service"}


def who(id_: str) -> dict[str, Any]:
    """Return one of ours as a subject."""
    return {"type": next(kind for prefix, kind in PREFIXES.items() if id_.startswith(prefix)), "id": id_}


def field(subject: world.Person | world.Home | str, name: str) -> dict[str, Any]:
    """Return a field of somebody as a resource."""
    return {"type": "field", "id": f"{subject if isinstance(subject, str) else subject.id}/{name}"}


def question(
    asking: world.Person | world.Office | str,
    action: str,
    resource: Mapping[str, Any],
    purpose: str | None = None,
) -> dict[str, Any]:
    """Return an evaluation about a field."""
    context = {} if purpose is None else {"context": {"purpose": purpose}}
    subject = who(asking if isinstance(asking, str) else asking.id)
    return {"subject": subject, "action": {"name": action}, "resource": dict(resource), **context}


@dataclass(frozen=True)
class Pep:
    """A service with its key, calling one house."""

    house: Living
    wire: Wire
    office: world.Office = world.CRM

    def with_scopes(self, scopes: str) -> Pep:
        """Return the same service with a fresh key that has these scopes and no others."""
        with self.house.service.database.transaction() as tx:
            wanted = frozenset(map(Scope, scopes.split()))
            key = identity.issue_key(tx, ActorId(self.office.id), wanted, self.house.clock())
            tx.commit()
        return replace(self, house=replace(self.house, keys={self.office.id: key}))

    def post(self, path: str, body: object, **headers: str) -> httpx2.Response:
        return self.wire.post(f"/access/v1/{path}", body, key=self.house.key(self.office), **headers)

    def told(self, path: str, body: object, **headers: str) -> Any:
        """Return the body of an answer that must be a 200."""
        answer = self.post(path, body, **headers)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json"), answer.text
        return json.loads(answer.content)

    def evaluate(self, body: Mapping[str, Any], **headers: str) -> Any:
        return self.told("evaluation", body, **headers)

    def allows(self, body: Mapping[str, Any]) -> bool:
        allowed = self.evaluate(body)["decision"]
        assert isinstance(allowed, bool)
        return allowed

    def search(self, sought: str, body: Mapping[str, Any], limit: int | None = None) -> list[dict[str, Any]]:
        """Return all results of a search, going through its pages."""
        page: dict[str, Any] = {} if limit is None else {"limit": limit}
        found: list[dict[str, Any]] = []
        while True:
            told = self.told(f"search/{sought}", {**body, "page": page})
            assert told["page"]["count"] == len(told["results"]) <= (limit or 100)
            found += told["results"]
            if told["page"]["next_token"] == "":
                return found
            page = {"token": told["page"]["next_token"]}
