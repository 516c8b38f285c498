"""Real gateways for tests, on loopback: an HTTP server that takes texts, an SMTP server that takes mails."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from governance.outside import MailAccess, SmsAccess

KEY = "k" * 40


@dataclass
class Took:
    """One request as it came over the wire."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class SmsServer:
    """What the gateway was sent, and how it answers: a status, or nothing at all until it is let go."""

    access: SmsAccess
    took: list[Took] = field(default_factory=list)
    status: int = 202
    location: str = ""
    go_on: threading.Event = field(default_factory=threading.Event)
    silent: bool = False


@contextmanager
def sms_server() -> Iterator[SmsServer]:
    """Serve until the test is over."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    stage = SmsServer(SmsAccess(f"http://127.0.0.1:{server.server_address[1]}/send?account=7", KEY))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            heads = {name.lower(): value for name, value in self.headers.items()}
            stage.took.append(Took(self.path, heads, body))
            if stage.silent:
                stage.go_on.wait(30)
                return
            self.send_response(stage.status)
            if stage.location:
                self.send_header("location", stage.location)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server.RequestHandlerClass = Handler
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield stage
    finally:
        stage.go_on.set()
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class MailServer:
    """What the mail server was sent, and whether it refuses recipients or goes silent."""

    access: MailAccess
    mails: list[tuple[list[str], EmailMessage]] = field(default_factory=list)
    refusal: str = ""

    async def handle_RCPT(  # noqa: N802 - the library's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if self.refusal:
            return self.refusal.format(address=address)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - the library's name
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        content = envelope.original_content
        assert content is not None
        mail = message_from_bytes(content, policy=default)
        assert isinstance(mail, EmailMessage)
        self.mails.append((list(envelope.rcpt_tos), mail))
        return "250 OK"


@contextmanager
def mail_server() -> Iterator[MailServer]:
    """Serve until the test is over. A loop of its own: the service calls it from ordinary threads."""
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    stage = MailServer(MailAccess("127.0.0.1", port, "none", "consent@house.example"))
    loop = asyncio.new_event_loop()
    made = loop.create_server(lambda: SMTP(stage, hostname="mail.example", loop=loop), sock=listening)
    server = loop.run_until_complete(made)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield stage
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        loop.run_until_complete(server.wait_closed())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
