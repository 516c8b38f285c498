"""A server and its visitors on one machine: the application on a loopback port, callers over real HTTP.

For demonstrations: services call with their keys, people with the browser's manners (cookies, the origin
of the page, redirects after forms). Standard library only on the visitors' side.
"""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Final, cast
from urllib.parse import urlencode

import uvicorn
from starlette.types import ASGIApp

_HOST: Final = "127.0.0.1"
_PATIENCE: Final = 60
_TOKEN: Final = re.compile(r'name="token" value="([0-9a-f]+)"')


class DidNotStartError(Exception):
    """The server did not come up; most often the port is taken."""


@contextmanager
def serving(app: ASGIApp, port: int) -> Iterator[int]:
    """Serve on a loopback port (0: any free one) until the block is left; gives the port."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((_HOST, port))
        except OSError:
            raise DidNotStartError(f"port {port} cannot be used") from None
        config = uvicorn.Config(app, log_level="critical", access_log=False, server_header=False)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="server")
        thread.start()
        try:
            while not server.started:
                if not thread.is_alive():
                    raise DidNotStartError("the server ended while starting")
                thread.join(0.02)
            yield int(listener.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join(_PATIENCE)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    status: int
    text: str
    location: str
    cookies: tuple[str, ...]

    @property
    def body(self) -> dict[str, object]:
        """The JSON object in it."""
        return cast("dict[str, object]", json.loads(self.text))


class Program:
    """A service that calls with its key."""

    def __init__(self, port: int, key: str) -> None:
        self._port = port
        self._headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}

    def post(self, path: str, body: Mapping[str, object]) -> Reply:
        """Call and return the reply, whatever its status."""
        return _exchange(
            self._port, "POST", path, json.dumps(body, ensure_ascii=False).encode(), self._headers
        )


class Visitor:
    """A person with a browser: keeps cookies, sends forms as their page would."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._cookies: dict[str, str] = {}

    def get(self, path: str) -> Reply:
        """Open a page, following where it leads."""
        reply = self._ask("GET", path, b"", {})
        return self.get(reply.location) if reply.location else reply

    def press(self, path: str, page: Reply | None = None) -> Reply:
        """Press the button whose form goes to ``path``; ``page`` is where the form stands."""
        found = None if page is None else _TOKEN.search(page.text)
        form = {} if found is None else {"token": found[1]}
        headers = {
            "content-type": "application/x-www-form-urlencoded",
            "origin": f"http://{_HOST}:{self._port}",
            "sec-fetch-site": "same-origin",
        }
        reply = self._ask("POST", path, urlencode(form).encode(), headers)
        return self.get(reply.location) if reply.location else reply

    def _ask(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        kept = {"cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items())}
        reply = _exchange(self._port, method, path, body, {**headers, **(kept if self._cookies else {})})
        for cookie in reply.cookies:
            name, _, value = cookie.partition(";")[0].partition("=")
            self._cookies[name] = value
        return reply


def _exchange(port: int, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
    connection = HTTPConnection(_HOST, port, timeout=_PATIENCE)
    try:
        connection.request(method, path, body or None, dict(headers))
        response = connection.getresponse()
        return Reply(
            response.status,
            response.read().decode(),
            response.getheader("location") or "",
            tuple(response.headers.get_all("set-cookie") or ()),
        )
    finally:
        connection.close()
