"""After all kinds of traffic, no personal value and no credential lies about where it does not belong."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import insiders
import living
import pytest
from canary import Search, seeded_values
from happenings import hide, person_acts, withdraw
from living import Living, Template
from processes import ForkServer, Server

from audit import reading
from consent.listing import Terms
from consent.outbox import DevelopmentOutbox
from governance import identity, seeding, world
from policies.terms import ActorId, SubjectId

NEW = {"allergies": "虾蟹与桃毛过敏", "mobile": "15400006543", "name": "张丽丽（曾用名）"}
"""Values that are written while the traffic runs."""
TOLD = "张丽的手机是15400001002，身份证990000198605170025，血压118/76 mmHg，2026-11-18 晚"
"""A message text full of personal data: it must be stopped, and kept sealed if at all."""


@dataclass
class Traffic:
    """What was said to whom."""

    server: Server
    problems: list[bytes] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    def call(self, method: str, path: str, body: object, headers: Mapping[str, str]) -> bytes:
        content = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        http = HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        try:
            http.request(method, path, content, {"content-type": "application/json", **headers})
            response = http.getresponse()
            answer = response.read() + str(response.headers).encode()
        finally:
            http.close()
        self.statuses.append(response.status)
        if response.status >= 400:
            self.problems.append(answer)
        return answer


def play(house: Living, traffic: Traffic) -> list[str]:
    """Play reads, refusals, messages, writes, failures and malformed requests; return the credentials."""
    crm = {"authorization": f"Bearer {house.key(world.CRM)}"}
    sender = {"authorization": f"Bearer {house.key(world.SENDER)}"}
    people = [person for home in world.HOMES for person in home.members]
    for person in people:
        for who in (*people, world.WANG_MIN, world.DOCTOR_CHEN, world.OFFICER):
            ask = {
                "subject": {"type": "member", "id": person.id},
                "fields": list(person.values),
                "purpose": "family.care",
                "on_behalf_of": who.id,
            }
            traffic.call("POST", "/v1/reads", ask, crm)
        traffic.call("POST", "/v1/checks", {"checks": [ask]}, crm)
        document = {"document": dict(person.values), "mapping": {f"$.{one}": one for one in person.values}}
        about = {"subject": ask["subject"], "purpose": "care.complaint", "on_behalf_of": world.WANG_MIN.id}
        traffic.call("POST", "/v1/filters", about | document, crm)
        traffic.call("POST", "/v1/redactions", {"text": "；".join(person.values.values())}, sender)
        _malformed(traffic, person.values, crm)
    own = {"purpose": "account.manage", "on_behalf_of": world.ZHANG_LI.id}
    traffic.call("PUT", f"/v1/members/{world.ZHANG_LI.id}/fields", {"values": NEW, **own}, crm)
    foreign = {"values": NEW, "purpose": "account.manage", "on_behalf_of": world.ZHOU_MING.id}
    traffic.call("PUT", f"/v1/members/{world.ZHANG_LI.id}/fields", foreign, crm)
    for text in (TOLD, f"【张家小铺】请加微信 wxabc12345，{TOLD}，拒收请回复R"):
        message = {"sender": world.SENDER.id, "channel": "sms", "purpose": "marketing.direct", "text": text}
        traffic.call("POST", "/v1/messages", {**message, "recipients": [world.ZHANG_LI.id]}, sender)
        screening = {"text": text, "channel": "sms", "purpose": "marketing"}
        traffic.call("POST", "/v1/screenings", {**screening, "audience": "adult"}, sender)
    return [*house.keys.values(), *_failures(house, traffic, crm), *_people(house, traffic)]


def _malformed(traffic: Traffic, values: Mapping[Any, str], key: Mapping[str, str]) -> None:
    for value in values.values():
        quoted = json.dumps(value, ensure_ascii=False)
        for body in (
            f'{{"subject": {quoted}}}',
            f"{{{quoted}: 1, {quoted}: 2}}",
            f'{{"fields": [{quoted}], "purpose": {quoted}, "on_behalf_of": {quoted}}}',
            f'{{"subject": {{"type": "member", "id": {quoted}}}, {quoted}: {quoted}}}',
            f'{{"x": {quoted}',
            f'{{"x": NaN, "y": {quoted}}}',
        ):
            traffic.call("POST", "/v1/reads", body.encode(), key)
    name = next(iter(values.values()))
    traffic.call("GET", f"/problems/{name.encode().hex()}?name={name.encode().hex()}", b"", key)
    traffic.call("POST", "/v1/reads", b"{}", {"authorization": "Bearer " + name.encode().hex()})
    traffic.call("GET", "/v1/me/accesses?cursor=" + name.encode().hex(), b"", key)


def _failures(house: Living, traffic: Traffic, key: Mapping[str, str]) -> Iterator[str]:
    """Read while the log refuses, and read what does not open."""
    ask = {
        "subject": {"type": "member", "id": world.LI_QIANG.id},
        "fields": ["name", "mobile", "blood_pressure"],
        "purpose": "personal.access",
        "on_behalf_of": world.LI_QIANG.id,
    }
    house.sql(*insiders.REFUSE[house.engine])
    traffic.call("POST", "/v1/reads", ask, key)
    values = {"values": NEW, "purpose": "account.manage", "on_behalf_of": world.LI_QIANG.id}
    traffic.call("PUT", f"/v1/members/{world.LI_QIANG.id}/fields", values, key)
    house.sql(*insiders.ACCEPT[house.engine])
    insiders.flip(house, world.LI_QIANG.id, "blood_pressure")
    traffic.call("POST", "/v1/reads", ask, key)
    assert traffic.statuses[-3:] == [503, 503, 500]
    yield from ()


def _people(house: Living, traffic: Traffic) -> Iterator[str]:
    """Let people sign in, look, agree and withdraw; yield links, sessions and codes."""
    for person in (world.ZHANG_LI, world.OFFICER):
        with house.service.database.transaction() as tx:
            link = identity.issue_link(tx, ActorId(person.id), house.clock())
            tx.commit()
        yield link
        origin = f"http://127.0.0.1:{traffic.server.port}"
        form = {"content-type": "application/x-www-form-urlencoded", "origin": origin}
        traffic.call("GET", f"/link/{link}", b"", {})
        answer = traffic.call("POST", f"/link/{link}", b"", form)
        assert traffic.statuses[-1] == 303
        session = answer.decode().partition("governance_session=")[2].partition(";")[0]
        yield session
        cookie = {"cookie": f"governance_session={session}"}
        for path in (
            "/centre",
            "/centre/consents",
            "/console/decisions",
            "/v1/me/accesses",
            "/v1/me/consents",
        ):
            traffic.call("GET", path, b"", cookie)
        traffic.call("POST", "/sign-out", b"token=0", {**cookie, **form})
        traffic.call("POST", f"/link/{link}", b"", form)  # used
    terms = Terms("service.health", frozenset({"health.record"}), "", seeding.notice("service.health"))
    acts = person_acts(world.LI_QIANG)
    ticked = house.service.consenting.tick(acts, SubjectId(world.LI_QIANG.id), terms, house.clock())
    assert isinstance(house.service.sender, DevelopmentOutbox)
    code = house.service.sender.messages()[0].code
    yield code
    key = {"authorization": f"Bearer {house.key(world.CRM)}"}
    path = f"/v1/consents/{ticked.consent_id}/confirm"
    for guess in ("0" * len(code), code, code):
        traffic.call("POST", path, {"code": guess, "on_behalf_of": world.LI_QIANG.id}, key)
    assert traffic.statuses[-3:] == [410, 200, 410]
    withdraw(house, world.LI_QIANG, "service.health")
    hide(house, world.LI_QIANG, "content.history")


def database_files(house: Living) -> list[Path]:
    """Return every file in which the engine may keep a byte of this database, logs of the server included."""
    if house.engine == "sqlite":
        return [file for file in house.settings.home.iterdir() if "sqlite" in file.name]
    (folder,), (place,) = house.sql("SHOW data_directory"), house.sql(
        "SELECT pg_relation_filepath('cell')"
    )  # fmt: skip
    house.sql("CHECKPOINT")
    root = Path(folder[0])
    wal = sorted((root / "pg_wal").glob("0*"))
    logs = [*root.glob("log*"), *root.glob("log/*"), *root.glob("base/pgsql_tmp/*")]
    return [*(root / place[0]).parent.iterdir(), *wal, *logs]


def test_no_value_and_no_credential_is_found_where_it_does_not_belong(
    seeded_copy: tuple[Template, Path, str], forks: ForkServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    house = living.revive(*seeded_copy)
    house.clock.now = forks.now()
    server = forks.start(house.settings.home, house.url, "loud")
    traffic = Traffic(server)
    try:
        credentials = play(house, traffic)
        alive = database_files(house)
        values = [*seeded_values(), *NEW.values()]
        search = Search([*values, TOLD])
        secrets = Search(one for one in credentials if len(one) >= 8)
        assert {200, 303, 400, 401, 403, 404, 410, 422, 500, 503} <= set(traffic.statuses)
        assert search.found_in(b"\0".join(traffic.problems)) == set()
        assert secrets.found_in(b"\0".join(traffic.problems)) == set()
        assert search.found_in_files(alive) == {}
        assert secrets.found_in_files(alive) == {}
    finally:
        server.kill()
        exported = b"\0".join(leaf for _, leaf in reading.leaves(house.service.database.reading, 10_000))
        house.verified()
        house.service.close()
    assert b'"health' in exported or b"blood_pressure" in exported, "the log tells of fields, not of values"
    for where in (exported, server.log.read_bytes(), caplog.text.encode()):
        assert search.found_in(where) == set()
        assert secrets.found_in(where) == set()
    # What is left after the last connection has gone; the demo's key file is made to hold the keys.
    left = [file for file in house.settings.home.iterdir() if file.name != "demo-keys.json"]
    assert search.found_in_files(left) == {}
    assert secrets.found_in_files(left) == {}
    assert (house.settings.home / "demo-keys.json").stat().st_mode & 0o077 == 0


def test_the_search_finds_what_it_looks_for_in_every_spelling() -> None:
    search = Search(seeded_values())
    for spelt in (
        "她叫张丽，".encode(),
        b"mobile=154-0000-1002",
        b"tel 154 0000 1002;",
        "mobile 15400001002".encode("utf-16"),
        json.dumps({"name": "王桂兰"}).encode(),
        b"6299 9900 0000 1239",
        b"\x00\x01" + "青霉素过敏".encode("utf-16-be"),
        b"cell=" + "张丽".encode().hex().encode(),
    ):
        assert search.found_in(spelt), spelt
    assert search.found_in("张三 15400009999 6299 9900".encode()) == set()
