"""Servers in processes of their own, and plain HTTP to them over loopback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from living import MINUTE, START

_TESTS = Path(__file__).parent


@dataclass(frozen=True)
class Server:
    """One serving process."""

    pid: int
    port: int
    log: Path

    def kill(self) -> None:
        """End it as a power cut would."""
        os.kill(self.pid, signal.SIGKILL)

    def connect(self) -> Connection:
        return Connection(self.port)


class ForkServer:
    """Forks servers that have already imported everything."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._since = time.time_ns()
        self._made = 0
        path = os.pathsep.join(filter(None, [str(_TESTS), os.environ.get("PYTHONPATH")]))
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(_TESTS / "fork_server.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
            text=True,
        )

    def now(self) -> int:
        """Return the time that the servers' clocks show."""
        return START + MINUTE + (time.time_ns() - self._since) // 1_000_000

    def start(self, home: Path, url: str, variant: str = "") -> Server:
        """Start a server and return it once its socket listens."""
        self._made += 1
        log = self._folder / f"server-{self._made}.log"
        order = {"home": str(home), "url": url, "log": str(log), "since": self._since, "variant": variant}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the fork server ended"
        answer = json.loads(line)
        return Server(answer["pid"], answer["port"], log)

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


class Connection:
    """One kept-alive connection of one caller."""

    def __init__(self, port: int) -> None:
        self._http = HTTPConnection("127.0.0.1", port, timeout=30)

    def call(self, method: str, path: str, body: object, headers: Mapping[str, str]) -> tuple[int, Any]:
        """Return status and document. Raises OSError or HTTPException when the server goes away."""
        content = json.dumps(body, ensure_ascii=False).encode()
        self._http.request(method, path, content, {"content-type": "application/json", **headers})
        response = self._http.getresponse()
        return response.status, json.loads(response.read())

    def send(self, path: str, content: bytes, kind: str) -> tuple[int, bytes]:
        """Post a form without any credential; return status and page."""
        self._http.request("POST", path, content, {"content-type": kind})
        response = self._http.getresponse()
        return response.status, response.read()

    def post(self, path: str, body: object, key: str) -> tuple[int, Any]:
        return self.call("POST", path, body, {"authorization": f"Bearer {key}"})

    def close(self) -> None:
        self._http.close()
