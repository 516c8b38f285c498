"""The one way out to addresses that others name: a POST that cannot be turned against our own network.

Promises that https is spoken and a public address reached, whatever the name resolves to: the name is
resolved once, every address it has must be public, and the connection goes to the address that was looked
at, so an answer that changes afterwards (DNS rebinding) changes nothing. No redirect is followed, no more of
a body is read than was asked for, and one deadline ends the whole exchange (OWASP API Security Top 10 2023,
API7).
"""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from typing import Final, NamedTuple
from urllib.parse import urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Sequence[str]]

DEADLINE_S: Final = 10.0
LONGEST_URL: Final = 2_048
_LARGEST_PORT: Final = 65_535
_PRINTABLE: Final = re.compile(r"[\x21-\x7e]+\Z")
_HOST: Final = re.compile(r"(?=.{1,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z][a-z0-9-]{0,62}\Z")
_PORTS: Final = {"https": 443, "http": 80}

# IANA's special-purpose registries, multicast, and what clouds answer on at addresses that look public.
_CLOSED_4: Final = tuple(
    map(
        ipaddress.IPv4Network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
            *("192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24"),
            *("192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
            *("224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32"),
        ),
    )
)
# IPv6 the other way round: global unicast only, less what carries or stands for something else in it.
# Mapped, translated (64:ff9b::/96), unique local, link local and multicast forms all lie outside.
_OPEN_6: Final = ipaddress.IPv6Network("2000::/3")
_CLOSED_6: Final = tuple(
    map(
        ipaddress.IPv6Network,
        ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"),
    )
)


class ForbiddenTargetError(Exception):
    """The address is not one that we send anything to. ``word`` says why, without repeating it."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word


class Target(NamedTuple):
    """A well-formed URL, taken apart."""

    secure: bool
    host: str
    port: int
    path: str


def is_public(address: Address) -> bool:
    """Say whether an address is one of somebody else's on the open net."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _CLOSED_4)
    return address in _OPEN_6 and not any(address in network for network in _CLOSED_6)


def resolve(host: str, port: int) -> list[str]:
    """Return every address of a name, as the system knows it."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Answered(NamedTuple):
    """What came back: the status, the content type, and no more of the body than was asked for."""

    status: int
    type: str
    body: bytes


class Egress:
    """Posts to vetted addresses. ``loopback`` (development only) lets it reach this machine, by http too.

    ``inside`` is for addresses that the operator named, not a caller: any address, by http as well.
    """

    def __init__(
        self,
        *,
        loopback: bool = False,
        inside: bool = False,
        resolving: Resolve = resolve,
        context: ssl.SSLContext | None = None,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._loopback = loopback or inside
        self._inside = inside
        self._resolving = resolving
        self._context = context
        self._deadline_s = deadline_s

    def target(self, url: str) -> Target:
        """Take a URL apart, or refuse it; a literal address must be one we may reach.

        Raises:
            ForbiddenTargetError: ``malformed_url``, ``https_only`` or ``forbidden_address``.
        """
        if len(url) > LONGEST_URL or not _PRINTABLE.match(url) or any(sign in url for sign in '\\"<>^`{|}'):
            raise ForbiddenTargetError("malformed_url")
        try:
            parts = urlsplit(url)
            port = _PORTS.get(parts.scheme, 0) if parts.port is None else parts.port
        except ValueError:
            raise ForbiddenTargetError("malformed_url") from None
        host = (parts.hostname or "").removesuffix(".")
        if not host or "@" in parts.netloc or parts.fragment or not 0 < port <= _LARGEST_PORT:
            raise ForbiddenTargetError("https_only" if parts.scheme not in _PORTS else "malformed_url")
        if parts.scheme != "https" and not (parts.scheme == "http" and self._loopback):
            raise ForbiddenTargetError("https_only")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            literal = ipaddress.ip_address(host)
        except ValueError:
            # A number that is no address in its one spelling (2130706433, 0x7f.1) would be read as one.
            if not _HOST.match(host):
                raise ForbiddenTargetError("malformed_url") from None
            if (host == "localhost" or host.endswith(".localhost")) and not self._loopback:
                raise ForbiddenTargetError("forbidden_address") from None
        else:
            self._vet(literal)
        return Target(parts.scheme == "https", host, port, path)

    def _vet(self, address: Address) -> None:
        allowed = self._inside or (self._loopback and address.is_loopback)
        if not is_public(address) and not allowed:
            raise ForbiddenTargetError("forbidden_address")

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> str:
        """Post, and say what came of it: a status such as ``"204"``, or a word for what went wrong."""
        answer = self.ask(url, body, headers, 0)
        return answer if isinstance(answer, str) else str(answer.status)

    def ask(self, url: str, body: bytes, headers: Mapping[str, str], most: int) -> Answered | str:
        """Post, and return the answer, its body up to ``most`` bytes, or a word for what went wrong."""
        try:
            target = self.target(url)
            return self._exchange(target, self._address_of(target), body, headers, most)
        except ForbiddenTargetError as error:
            return error.word
        except TimeoutError:
            return "timeout"
        except ssl.SSLError:
            return "tls"
        except socket.gaierror:
            return "unresolved"
        except (OSError, HTTPException, ValueError):
            return "unreachable"

    def _address_of(self, target: Target) -> str:
        """Resolve the name, once, and return the address to connect to; all it has must be allowed."""
        addresses = self._resolving(target.host, target.port)
        found = [ipaddress.ip_address(address.partition("%")[0]) for address in addresses]
        for address in found:
            self._vet(address)
            if not target.secure and not address.is_loopback and not self._inside:
                raise ForbiddenTargetError("https_only")
        if not found:
            raise ForbiddenTargetError("unresolved")
        return addresses[0]

    def _exchange(
        self, target: Target, address: str, body: bytes, headers: Mapping[str, str], most: int
    ) -> Answered:
        connection = _Vetted(target, address, self._context_for(target), self._deadline_s)
        watch = threading.Timer(self._deadline_s, connection.cut)
        watch.daemon = True
        watch.start()
        try:
            connection.request("POST", target.path, body, dict(headers))
            with connection.getresponse() as response:
                got = response.read(most) if most else b""
                if connection.was_cut:  # headers that end with the connection look complete
                    raise TimeoutError
                return Answered(response.status, response.getheader("content-type", ""), got)
        except (OSError, HTTPException, ValueError):
            if connection.was_cut:
                raise TimeoutError from None
            raise
        finally:
            watch.cancel()
            connection.close()

    def _context_for(self, target: Target) -> ssl.SSLContext | None:
        if not target.secure:
            return None
        if self._context is None:
            self._context = ssl.create_default_context()
        return self._context


class _Vetted(HTTPConnection):
    """A connection to an address that was looked at; the name is only what the certificate must show."""

    def __init__(
        self, target: Target, address: str, context: ssl.SSLContext | None, deadline_s: float
    ) -> None:
        super().__init__(target.host, target.port, timeout=deadline_s)
        self.default_port = _PORTS["https" if target.secure else "http"]
        self._address = address
        self._context = context
        self._open: socket.socket | None = None
        self.was_cut = False

    def connect(self) -> None:
        """Connect to the vetted address and, with TLS, prove the name."""
        self.sock = self._open = socket.create_connection((self._address, self.port), self.timeout)
        if self._context is not None:
            # The handshake apart from the wrapping, so that the deadline can reach the socket meanwhile.
            self.sock = self._open = self._context.wrap_socket(
                self.sock, server_hostname=self.host, do_handshake_on_connect=False
            )
            if self.was_cut:  # while the plain socket was handed over to the TLS layer
                raise TimeoutError
            self._open.do_handshake()

    def cut(self) -> None:
        """End the exchange from another thread: whoever waits on the socket gets an end of file."""
        self.was_cut = True
        if self._open is not None:
            with suppress(OSError):
                # The plain socket's own: the TLS layer's would let the waiting read go on without TLS.
                socket.socket.shutdown(self._open, socket.SHUT_RDWR)
