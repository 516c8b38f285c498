"""Requests that no client library would send, written into the socket of a real server.

What the server's own parser refuses gets its short 400 without our form; that is fine. What is never fine:
a 5xx, an answer that repeats the request, a request that is served, a server that is gone afterwards.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import living
import pytest
from attacks import MARK
from living import Template
from processes import ForkServer, Server

from governance import world

pytestmark = pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)
ASK = json.dumps(
    {
        "subject": {"type": "member", "id": world.ZHANG_LI.id},
        "fields": ["name"],
        "purpose": "service.delivery",
    }
)
BODY = ASK.encode()
LINE = "POST /v1/reads HTTP/1.1"
HOST = "Host: house.example"
KEY = "Authorization: Bearer <key>"
TYPE = "Content-Type: application/json"
LENGTH = f"Content-Length: {len(BODY)}"


def request(*lines: str, body: bytes = BODY) -> bytes:
    kept = () if any(line.startswith("Connection:") for line in lines) else ("Connection: close",)
    return "\r\n".join([*lines, *kept]).encode("latin-1") + b"\r\n\r\n" + body


def chunked(size: int) -> bytes:
    return (
        b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in [b"a" * 60_000] * (size // 60_000))
        + b"0\r\n\r\n"
    )


GOOD = request(LINE, HOST, KEY, TYPE, LENGTH)
# name → the bytes, and the statuses that may come back (none: the server just hangs up)
REQUESTS: Mapping[str, tuple[bytes, set[int]]] = {
    "no Host": (request(LINE, KEY, TYPE, LENGTH), {400}),
    "two Hosts": (request(LINE, HOST, f"Host: {MARK}.example", KEY, TYPE, LENGTH), {400}),
    "an empty Host": (request(LINE, "Host:", KEY, TYPE, LENGTH), {400}),
    "a Host that is none": (request(LINE, f"Host: [{MARK}", KEY, TYPE, LENGTH), {400}),
    "two keys": (request(LINE, HOST, KEY, KEY, TYPE, LENGTH), {401}),
    "a header of 100 KB": (request(LINE, HOST, KEY, TYPE, LENGTH, "X-A: " + MARK * 9_000), {400, 431}),
    "two thousand headers": (
        request(LINE, HOST, KEY, TYPE, LENGTH, *(f"X-{i}: {MARK}" for i in range(2_000))),
        {400, 431},
    ),
    "a path of 100 KB": (
        request(f"POST /v1/{MARK * 9_000} HTTP/1.1", HOST, KEY, TYPE, LENGTH),
        {400, 404, 431},
    ),
    "chunks without end": (
        request(LINE, HOST, KEY, TYPE, "Transfer-Encoding: chunked", body=chunked(600_000)),
        {413},
    ),
    "chunks and a length": (
        request(LINE, HOST, KEY, TYPE, LENGTH, "Transfer-Encoding: chunked", body=b"0\r\n\r\n" + BODY),
        {400},
    ),
    "two lengths": (request(LINE, HOST, KEY, TYPE, LENGTH, "Content-Length: 3"), {400}),
    "a negative length": (request(LINE, HOST, KEY, TYPE, "Content-Length: -1"), {400}),
    "a length in words": (request(LINE, HOST, KEY, TYPE, f"Content-Length: {MARK}"), {400}),
    "a length beyond all bounds": (request(LINE, HOST, KEY, TYPE, "Content-Length: " + "9" * 30), {400, 413}),
    "a chunk size that is none": (
        request(LINE, HOST, KEY, TYPE, "Transfer-Encoding: chunked", body=f"{MARK}\r\n".encode() + BODY),
        {400},
    ),
    "an unknown coding": (request(LINE, HOST, KEY, TYPE, f"Transfer-Encoding: {MARK}"), {400, 501}),
    "a header name with a blank": (request(LINE, HOST, KEY, TYPE, LENGTH, f"X {MARK}: 1"), {400}),
    "a folded header": (request(LINE, HOST, KEY, TYPE, LENGTH, "X-A: 1", f" {MARK}"), {400}),
    "a bare line feed in a header": (request(LINE, HOST, KEY, TYPE, LENGTH, f"X-A: 1\nX-B {MARK}: 2"), {400}),
    "NUL in a header": (request(LINE, HOST, KEY, TYPE, LENGTH, f"X-A: \0{MARK}"), {400}),
    "a version from the future": (request(LINE.replace("1.1", "9.9"), HOST, KEY, TYPE, LENGTH), {400, 505}),
    "no version": (request("POST /v1/reads", HOST, KEY, TYPE, LENGTH), {400}),
    "a blank in the path": (request(f"POST /v1/reads {MARK} HTTP/1.1", HOST, KEY, TYPE, LENGTH), {400, 404}),
    "a path upwards": (request(f"POST /v1/{MARK}/../reads HTTP/1.1", HOST, KEY, TYPE, LENGTH), {400, 404}),
    "another host in the path": (
        request(f"POST http://{MARK}.example/v1/nothing HTTP/1.1", HOST, KEY, TYPE, LENGTH),
        {400, 404},
    ),
    "an authority as path": (
        request(f"CONNECT {MARK}.example:443 HTTP/1.1", HOST, KEY, body=b""),
        {400, 404, 405},
    ),
    "an asterisk as path": (request("OPTIONS * HTTP/1.1", HOST, KEY, body=b""), {400, 404, 405}),
    "TRACE": (request("TRACE /v1/reads HTTP/1.1", HOST, KEY, f"X-A: {MARK}", body=b""), {400, 405}),
    "UTF-8 in the path": (b"POST /v1/" + MARK.encode() + "张".encode() + b" " + GOOD[15:], {400, 404}),
    "TLS to a plain port": (b"\x16\x03\x01\x02\x00\x01" + MARK.encode() * 20 + b"\r\n\r\n", {400}),
    "HTTP/2 by prior knowledge": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 405, 505}),
    "an upgrade": (
        request("GET /livez HTTP/1.1", HOST, "Connection: Upgrade, close", f"Upgrade: {MARK}", body=b""),
        {200, 400, 426},
    ),
    "a websocket": (
        request(
            "GET /v1/reads HTTP/1.1", HOST, "Connection: Upgrade", "Upgrade: websocket",
            "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", body=b"",
        ),
        {400, 403, 404, 405, 426},
    ),
    "an expectation": (request(LINE, HOST, KEY, TYPE, LENGTH, f"Expect: {MARK}"), {200, 400, 417}),
}  # fmt: skip


@pytest.fixture(scope="module")
def forked() -> Iterator[dict[str, tuple[Server, str]]]:
    """The one server of this module, once it has been started."""
    kept: dict[str, tuple[Server, str]] = {}
    yield kept
    for server, _ in kept.values():
        server.kill()


@pytest.fixture
def server(
    seeded_copy: tuple[Template, Path, str], forks: ForkServer, forked: dict[str, tuple[Server, str]]
) -> tuple[Server, str]:
    """A real server and the CRM's key to it."""
    if not forked:
        template, home, url = seeded_copy
        settings = living.copy_home(template, home, url)
        forked["one"] = forks.start(settings.home, url), template.keys[world.CRM.id]
    return forked["one"]


def exchange(server: Server, key: str, content: bytes) -> bytes:
    """Write bytes into a fresh connection and return everything that comes back until it is quiet."""
    answer = b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=2) as connection:
        with suppress(OSError):  # it may hang up before it has heard everything
            connection.sendall(content.replace(b"<key>", key.encode()))
        with suppress(OSError):  # or wait for more, where it was promised more
            while part := connection.recv(65536):
                answer += part
    return answer


def test_a_good_request_is_served(server: tuple[Server, str]) -> None:
    assert exchange(*server, GOOD).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_no_library_would_send_is_refused_without_an_echo(
    name: str, server: tuple[Server, str]
) -> None:
    content, allowed = REQUESTS[name]
    answer = exchange(*server, content)
    statuses = {int(one) for one in re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", answer)}
    assert statuses <= allowed
    assert MARK.lower().encode() not in answer.lower()
    assert "张丽".encode() not in answer or 200 in allowed
    assert exchange(*server, GOOD).startswith(b"HTTP/1.1 200 "), "the server goes on"


def test_a_second_request_behind_the_first_is_a_request_of_its_own(server: tuple[Server, str]) -> None:
    """No smuggling: what stands behind a body is read as a request with its own, missing credential."""
    smuggled = request("GET /v1/me/accesses HTTP/1.1", HOST, body=b"")
    answer = exchange(*server, request(LINE, HOST, KEY, TYPE, LENGTH, "Connection: keep-alive") + smuggled)
    assert re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", answer) == [b"200", b"401"]
