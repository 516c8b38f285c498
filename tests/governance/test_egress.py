"""The way out cannot be turned against our own network: names, redirects, slowness, certificates."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import receivers
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from governance.egress import Egress, ForbiddenTargetError, is_public
from governance.settings import SettingsError, read_settings
from policies.book import packaged_rules

INSIDE = (
    *(
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
    ),
    *("172.16.0.1", "172.31.255.255", "192.0.0.192", "192.168.1.1", "198.18.0.1", "224.0.0.1", "240.0.0.1"),
    *("255.255.255.255", "168.63.129.16", "192.0.2.1", "198.51.100.7", "203.0.113.9", "192.88.99.1"),
    *("::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "fe80::1"),
    *("fc00::1", "fd00:ec2::254", "ff02::1", "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::1", "2001::1"),
    *("2001:db8::1", "100::1", "3fff::1", "fec0::1"),
)
OUTSIDE = ("1.1.1.1", "100.63.255.255", "172.32.0.1", "192.0.1.1", "223.255.255.255", "2606:4700::1111")

HOSTS = {
    "user:password@shop.example": "malformed_url",
    "shop.example:99999": "malformed_url",
    "shop.example:0": "malformed_url",
    "2130706433": "malformed_url",
    "0x7f.1": "malformed_url",
    "0177.0.0.1": "malformed_url",
    "127.1": "malformed_url",
    "127.0.0.1": "forbidden_address",
    "169.254.169.254": "forbidden_address",
    "[::1]": "forbidden_address",
    "[::ffff:169.254.169.254]": "forbidden_address",
    "[fd00:ec2::254]": "forbidden_address",
}
"""Hosts, many of them other spellings of inner addresses, and the word for why each is refused."""
REFUSED = {
    **{f"https://{host}/": word for host, word in HOSTS.items()},
    "http://shop.example/hook": "https_only",
    "ftp://shop.example/hook": "https_only",
    "file:///etc/passwd": "https_only",
    "gopher://shop.example:70/": "https_only",
    "//shop.example/hook": "https_only",
    "https://": "malformed_url",
    "https://shop.example/#part": "malformed_url",
    "https://shop.example/a b": "malformed_url",
    "https://shop.example\\@inside/": "malformed_url",
    "https://商店.example/": "malformed_url",
    "https://localhost/": "forbidden_address",
    "https://db.localhost./": "forbidden_address",
    "https://shop.example/" + "a" * 2_048: "malformed_url",
}


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_that_is_not_on_the_open_net_is_none_of_ours_to_reach(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))
    egress = Egress(resolving=lambda *_: [address])
    assert egress.post("https://shop.example/hook", b"", {}) == "forbidden_address"


@pytest.mark.parametrize("address", OUTSIDE)
def test_an_address_on_the_open_net_may_be_reached(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("url", REFUSED)
def test_a_url_that_hides_where_it_leads_is_refused(url: str) -> None:
    with pytest.raises(ForbiddenTargetError) as stopped:
        Egress().target(url)
    assert stopped.value.word == REFUSED[url]
    assert str(stopped.value) == REFUSED[url]


def test_a_name_with_one_inner_address_among_good_ones_is_refused() -> None:
    egress = Egress(resolving=lambda *_: ["1.1.1.1", "10.0.0.1"])
    assert egress.post("https://shop.example/", b"", {}) == "forbidden_address"
    assert Egress(resolving=lambda *_: []).post("https://shop.example/", b"", {}) == "unresolved"


def test_a_name_is_resolved_once_so_that_a_second_answer_changes_nothing(tmp_path: Path) -> None:
    asked: list[str] = []

    def rebinding(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

    with secure_server(tmp_path, "hooks.example") as (port, trust, heard):
        egress = Egress(loopback=True, resolving=rebinding, context=trust)
        assert egress.post(f"https://hooks.example:{port}/hook", b"{}", {}) == "204"
    assert asked == ["hooks.example"]
    assert f"Host: hooks.example:{port}".encode() in heard[0]


def test_a_certificate_for_another_name_is_refused(tmp_path: Path) -> None:
    with secure_server(tmp_path, "other.example") as (port, trust, heard):
        egress = Egress(loopback=True, resolving=lambda *_: ["127.0.0.1"], context=trust)
        assert egress.post(f"https://hooks.example:{port}/hook", b"{}", {}) == "tls"
    assert heard == [], "nothing was said before the name was proved"


def test_a_certificate_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    with secure_server(tmp_path, "hooks.example") as (port, _, heard):
        egress = Egress(loopback=True, resolving=lambda *_: ["127.0.0.1"])
        assert egress.post(f"https://hooks.example:{port}/hook", b"{}", {}) == "tls"
    assert heard == []


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    with receivers.receiving() as receiver:
        receiver.answer = lambda _: status
        assert Egress(loopback=True).post(receiver.url, b"{}", {}) == str(status)
        assert [one.path for one in receiver.got] == ["/hook"]


def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with receivers.receiving() as receiver:
        assert Egress(loopback=True).post(receiver.url, b"{}", {}) == "204"


TALKS = {
    "says nothing": (b"", "timeout"),
    "stops in the status": (b"HTTP/1.1 20", "timeout"),
    "stops in the headers": (b"HTTP/1.1 200 OK\r\nX: ", "timeout"),
    "goes on and on with 100": (b"HTTP/1.1 100 Continue\r\n\r\n" * 3, "timeout"),
    "sends too many headers": (b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 200 + b"\r\n", "unreachable"),
    "sends an endless header": (b"HTTP/1.1 200 OK\r\nX: " + b"1" * 70_000, "unreachable"),
    "speaks another protocol": (b"SSH-2.0-OpenSSH_9.6\r\n", "unreachable"),
    "promises a body that never comes": (b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n", "200"),
}


@pytest.mark.parametrize("talk", TALKS)
def test_an_answer_that_does_not_end_is_ended_by_us(talk: str) -> None:
    said, expected = TALKS[talk]
    with plain_server(said) as port:
        egress = Egress(loopback=True, deadline_s=0.3 if expected == "timeout" else 60)
        assert egress.post(f"http://127.0.0.1:{port}/", b"{}", {}) == expected


def test_an_address_where_nobody_listens_is_unreachable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        assert Egress(loopback=True).post(f"http://127.0.0.1:{port}/", b"{}", {}) == "unreachable"


def test_loopback_is_for_development_and_http_for_loopback_only(tmp_path: Path) -> None:
    home = {"GOVERNANCE_HOME": str(tmp_path), "GOVERNANCE_WEBHOOK_LOOPBACK": "allow"}
    assert read_settings(home, packaged_rules()).webhook_loopback
    assert not read_settings({"GOVERNANCE_HOME": str(tmp_path)}, packaged_rules()).webhook_loopback
    for wrong in ({"GOVERNANCE_PROFILE": "prod"}, {"GOVERNANCE_WEBHOOK_LOOPBACK": "yes"}):
        with pytest.raises(SettingsError, match="only with the profile dev"):
            read_settings(home | wrong, packaged_rules())
    lenient = Egress(loopback=True, resolving=lambda *_: ["1.1.1.1"])
    assert lenient.post("http://shop.example/", b"", {}) == "https_only"
    for inside in ("10.0.0.1", "169.254.169.254"):
        nearby = Egress(loopback=True, resolving=lambda *_, one=inside: [one])  # type: ignore[misc]
        assert nearby.post("https://shop.example/", b"", {}) == "forbidden_address"


@contextmanager
def plain_server(said: bytes) -> Iterator[int]:
    """Answer one connection with these bytes and then keep silent until the caller goes away."""

    def serve(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(said)
        while connection.recv(65_536):
            pass

    with listening(serve) as port:
        yield port


@contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)

        def one() -> None:
            try:
                connection, _ = listener.accept()
                with connection:
                    serve(connection)
            except OSError:
                pass  # the caller went away, as it should

        thread = threading.Thread(target=one)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


@contextmanager
def secure_server(folder: Path, name: str) -> Iterator[tuple[int, ssl.SSLContext, list[bytes]]]:
    """Serve one TLS exchange as ``name``; gives what clients must trust, and what was heard."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    secret = ec.generate_private_key(ec.SECP256R1())
    about = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(about)
        .issuer_name(about)
        .public_key(secret.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(secret, hashes.SHA256())
    )
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        secret.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.load_cert_chain(certificate, key)
    heard: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        with ours.wrap_socket(connection, server_side=True) as secure:
            heard.append(secure.recv(65_536))
            secure.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
            while secure.recv(65_536):  # to the caller's end: closing on unread bytes would reset the answer
                pass

    with listening(serve) as port:
        yield port, ssl.create_default_context(cafile=str(certificate)), heard
