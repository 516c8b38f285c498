"""The kinds of caller there are, and one well-formed request for each route; from ``callers.toml``."""

from __future__ import annotations

import hmac
import json
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import export_story
import happenings
from fastapi import FastAPI
from fastapi.routing import APIRoute
from living import Living

from governance import announcing, identity, pages, seeding, world
from governance.accesses import of_member
from governance.announcing import Told
from governance.identity import Scope
from policies.identifiers import Prefix
from policies.terms import ActorId, Purpose, SubjectId

TABLE: Final = Path(__file__).with_name("governance") / "callers.toml"
PEOPLE: Final = {
    "officer": world.OFFICER,
    "auditor": world.AUDITOR,
    "agent": world.WANG_MIN,
    "member": world.ZHANG_LI,
    "child": world.XIAO_MAN,
}
SERVICES: Final = {"crm": world.CRM, "sender": world.SENDER, "gateway": world.GATEWAY}
CALLERS: Final = ("nobody", "forged", "revoked", "retired", *SERVICES, *PEOPLE, "signed_out")
_NAMED: Final = (*world.HOMES, *(p for h in world.HOMES for p in h.members), *world.STAFF, *world.SERVICES)


@dataclass(frozen=True)
class Call:
    """One well-formed request, with what each caller gets for it."""

    method: str
    path: str
    route: str
    body: bytes | None
    page: bool
    unless: str
    answers: Mapping[str, str]
    headers: Mapping[str, str] = field(default_factory=dict)

    def expected(self, caller: str) -> str:
        return self.answers.get(caller, self.unless)

    def __str__(self) -> str:
        return self.route


def calls() -> list[Call]:
    """Return the table, with placeholders where ids stand."""
    rows = tomllib.loads(TABLE.read_text(encoding="utf-8"))["route"]
    found = []
    for row in rows:
        method, path = row["call"].split(" ")
        route = row.get("route", row["call"])
        body = row["body"].encode() if "body" in row else None
        page, headers = row.get("page", False), row.get("headers", {})
        found.append(Call(method, path, route, body, page, row["unless"], row["answers"], headers))
    return found


_MADE: Final[Mapping[str, Callable[[Living], str]]] = {
    "approval": lambda house: happenings.ask_for_access(house).id,
    "act": happenings.approved_purchase,
    "offer": happenings.role_offered,
    "share": lambda house: happenings.share(house, world.ZHANG_LI, world.GRANDMOTHER),
    "review": happenings.emergency,
    "right": happenings.erasure_asked,
    "hold": happenings.held,
    "search": happenings.search_kept,
    "ready_export": export_story.ready_export,
    "waiting_export": export_story.waiting_export,
    "lift": happenings.limit_asked,
}
"""What is made to happen first where a path names it; each returns the id."""


def filled(call: Call, house: Living) -> Call:
    """Return the call with the ids of this house."""
    ids = {one.key: one.id for one in _NAMED}
    mine = house.service.consenting.of_member(SubjectId(world.ZHANG_LI.id), house.clock())
    ids["consent"] = next(one.consent_id for one, _ in mine if one.terms.purpose == "marketing.direct")
    ids["decision"] = next(one.decision for one in reversed(house.log()) if one.decision)
    ids["receipt"] = str(of_member(house.service, SubjectId(world.ZHANG_LI.id), None, 200)[0][0].index)
    ids["notice"] = seeding.notice("service.health")
    ids["stylesheet"] = pages._address("house.css")
    for name, make in _MADE.items():
        if f"<{name}>" in call.path:
            ids[name] = make(house)
    if call.path == "/v1/tickets/close":
        happenings.ticket(house)
    if call.path.startswith("/v1/audit/tile"):  # only what is signed is handed out
        house.service.log.checkpoints.publish(house.clock())
    ids["opt_out"] = house.service.opting_out.links.make(
        SubjectId(world.LI_QIANG.id), Purpose("marketing.direct")
    )
    if "<webhook>" in call.path:
        ids["webhook"], ids["event"] = _told(house)
    path, body = call.path, None if call.body is None else call.body.decode()
    headers = dict(call.headers)
    for name, id_ in ids.items():
        path = path.replace(f"<{name}>", id_)
        headers = {key: value.replace(f"<{name}>", id_) for key, value in headers.items()}
        body = None if body is None else body.replace(f"<{name}>", id_)
    return replace(call, path=path, body=None if body is None else body.encode(), headers=headers)


def _told(house: Living) -> tuple[str, str]:
    """Register an address of the CRM's; return its id and that of something it may know."""
    with house.service.database.reading() as tx:
        crm = identity.service(tx.rows, house.key(world.CRM), house.clock())
        event = announcing.after(tx, -1, 1)[0].event_id
    assert crm is not None
    made, _ = house.service.webhooks.register(
        crm, "https://hooks.example/governance", frozenset(Told), house.clock(), ""
    )
    return made.id, event


def sendable(call: Call, house: Living, caller: str) -> tuple[bytes, dict[str, str]]:
    """Return body and headers with which this caller makes a call that is already filled."""
    headers = credentials(house, caller)
    if not call.page:
        return call.body or b"", {"content-type": "application/json", **call.headers, **headers}
    if call.method != "POST":
        return b"", headers
    session = headers.get("cookie", "=").partition("=")[2]
    token = hmac.digest(house.service.ring.cursor_key, b"form:" + session.encode(), "sha256").hex()
    form = {"content-type": "application/x-www-form-urlencoded", "origin": "http://house.example"}
    filled_in = b"" if call.body is None else b"&" + call.body
    return f"token={token}".encode() + filled_in, {**form, **headers}


def routes_of(app: FastAPI) -> set[str]:
    """Return every route that the application answers, as the table spells them."""
    return set(_routes(app.routes, ""))


def _routes(routes: Iterable[Any], before: str) -> Iterator[str]:
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:  # FastAPI keeps an included router as it is
            yield from _routes(inner.routes, before + route.include_context.prefix)
            continue
        assert isinstance(route, APIRoute), "what is not an API route needs a test of its own"
        yield from (f"{method} {before}{route.path}" for method in route.methods)


def credentials(house: Living, caller: str) -> dict[str, str]:
    """Return the headers with which this kind of caller comes."""
    if caller in SERVICES:
        return _bearer(house.key(SERVICES[caller]))
    if caller in PEOPLE:
        return _cookie(house.sign_in(PEOPLE[caller]))
    if caller == "signed_out":
        session = house.sign_in(world.ZHANG_LI)
        with house.service.database.transaction() as tx:
            identity.end_session(tx, session, house.clock())
            tx.commit()
        return _cookie(session)
    if caller == "forged":
        secret = "A" * 43
        return _bearer(f"gov_live_{secret}{identity._checksum(secret)}")
    return {} if caller == "nobody" else _bearer(_ended_key(house, caller))


def _ended_key(house: Living, how: str) -> str:
    """Return the key of a service that could do everything until now."""
    office = world.Office(how, Prefix.SERVICE, how, world.CRM.roles)
    service, now = house.service, house.clock()
    with service.database.transaction() as tx:
        service.lifecycle.add_actor(tx, ActorId(office.id), office.label, office.roles, now)
        key = identity.issue_key(tx, ActorId(office.id), frozenset(Scope), now)
        assert identity.service(tx.rows, key, now) is not None
        if how == "revoked":
            identity.revoke_key(tx, key, now)
        else:
            service.lifecycle.retire_actor(tx, ActorId(office.id), now)
        tx.commit()
    return key


def _bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def _cookie(session: str) -> dict[str, str]:
    return {"cookie": f"governance_session={session}"}


def summary(response: Any) -> str:
    """Return an answer as the table spells it."""
    if response.status_code < 400 or response.headers["content-type"].startswith("text/html"):
        return str(response.status_code)
    return f"{response.status_code} {json.loads(response.content)['code']}"
