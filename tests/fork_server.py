"""A process that has imported everything once and forks servers: real processes at the price of a fork.

Reads one JSON line per server from its input, ``{"home", "url", "log", "since", "variant"}``, and lets the
child write ``{"pid", "port"}`` when its socket listens. The child serves as ``governance serve`` does, with
its output in the file ``log``, until a signal ends it. Ends itself with its input.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

import uvicorn
from living import MINUTE, START, settings_of

from governance import wiring
from governance.app import build
from policies.archive import pack


def serve(order: dict[str, Any], answers: int) -> None:
    """Serve one house until a signal comes. Never returns to the caller's life."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if order["variant"] == "loud":
        logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)

    def clock() -> int:
        return START + MINUTE + (time.time_ns() - order["since"]) // 1_000_000

    service = wiring.assemble(settings_of(Path(order["home"]), order["url"]), clock=clock)
    if order["variant"] == "cached":
        from cached_gate import let_facts_grow_old  # noqa: PLC0415 - the negative control only

        let_facts_grow_old(service)
    if order["variant"].startswith("dies:"):
        from failpoints import arm  # noqa: PLC0415 - only servers that are to die

        _, point, passes = order["variant"].split(":")
        arm(point, int(passes))
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    os.write(answers, json.dumps({"pid": os.getpid(), "port": listener.getsockname()[1]}).encode() + b"\n")
    config = uvicorn.Config(build(service), access_log=False, server_header=False, log_level="warning")
    uvicorn.Server(config).run(sockets=[listener])


def main() -> None:
    """Load what all servers share, then fork one for each line."""
    wiring.Finder = functools.cache(wiring.Finder)  # type: ignore[assignment,misc]
    wiring.load_archive = functools.cache(wiring.load_archive)  # type: ignore[assignment]
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    answers = os.dup(1)
    for line in sys.stdin:
        order = json.loads(line)
        wiring.load_archive(pack(settings_of(Path(order["home"]), order["url"]).rules), wiring.Finder())
        wiring.Finder().ready()
        if os.fork() == 0:
            sys.stdin.close()
            try:
                serve(order, answers)
            finally:
                os._exit(0)


if __name__ == "__main__":
    main()
