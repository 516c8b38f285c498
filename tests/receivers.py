"""Real HTTP servers that receive webhooks, and a check of signatures that shares no code with ours."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import living
from living import Living, Template

from audit import ledger
from audit.entry import Actor, ActorType, Entry, Kind, Party, Verdict
from consent.listing import Consent, Terms
from governance import announcing, identity, world
from governance.announcing import Told
from governance.identity import Caller
from governance.webhooks import Endpoint
from policies.identifiers import Prefix, new_id


@dataclass(frozen=True)
class Got:
    """One request as it came in."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass
class Receiver:
    """A listening server. ``answer`` says with which status a request is answered."""

    port: int
    got: list[Got] = field(default_factory=list)
    answer: Callable[[Got], int] = lambda _: 204

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def types(self) -> list[str]:
        return [one.document["type"] for one in self.got]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Listen on loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            one = Got(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            receiver.got.append(one)
            status = receiver.answer(one)
            self.send_response(status)
            if status in (301, 302, 307, 308):
                self.send_header("location", f"{receiver.url}/elsewhere")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            pass  # a caller that was killed on purpose

    server = Quiet(("127.0.0.1", 0), Handler)
    receiver = Receiver(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def signed_by(one: Got, secret: str) -> bool:
    """Verify as the Standard Webhooks specification says, with nothing of ours."""
    key = base64.b64decode(secret.split("_", 1)[1])
    content = f"{one.headers['webhook-id']}.{one.headers['webhook-timestamp']}.".encode() + one.body
    expected = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    offered = [part.split(",", 1) for part in one.headers["webhook-signature"].split(" ")]
    return any(version == "v1" and hmac.compare_digest(mac, expected) for version, mac in offered)


def open_house(seeded_copy: tuple[Template, Path, str]) -> Living:
    """Return a house whose webhooks may go to this machine."""
    template, home, url = seeded_copy
    settings = replace(living.copy_home(template, home, url), webhook_loopback=True)
    clock = living.Clock()
    return Living(settings, living.assemble(settings, clock=clock), template.keys, clock)


def caller(house: Living, office: world.Office) -> Caller:
    """Return a service as its key makes it known."""
    found = identity.service(house.service.database.look, house.key(office), house.clock())
    assert found is not None
    return found


def register(house: Living, url: str, *kinds: Told, office: world.Office = world.CRM) -> tuple[Endpoint, str]:
    """Register an address of a service for these kinds of event, or for all."""
    return house.service.webhooks.register(
        caller(house, office), url, frozenset(kinds or Told), house.clock(), ""
    )


def announce(
    house: Living,
    kind: Told,
    person: world.Person,
    *,
    purpose: str = "service.household",
    recipient: str = "",
) -> str:
    """Announce something together with an entry of the log, as a desk does; return its id."""
    terms = Terms(purpose, frozenset({"contact.phone"}), recipient, "n@1#0")
    consent_id = new_id(Prefix.CONSENT)
    now = house.clock()
    consent = Consent(consent_id, person.id, terms, person.id, "self", now, now, None, None)
    with house.service.database.transaction() as tx:
        party = Party(ActorType.SYSTEM, "test")
        entry = Entry(t=now, kind=Kind.CHANGE, act="test", dec=Verdict.PERMIT, actor=Actor(party))
        told = announcing.of_consent(kind, consent, ledger.append(tx, [entry])[0].index, now)
        announcing.announce(tx, [told])
        tx.commit()
    return told.event_id
