"""How the service stands towards the outside: who the controller is, where its pages are, what carries codes.

Part of the settings, read with them. A gateway is whole or absent: an address without its secret is a fault,
and so is a secret without an address. Plain HTTP and plain SMTP are accepted on this machine only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parseaddr
from typing import Final
from urllib.parse import SplitResult, urlsplit

NAMES: Final = {
    "CONTROLLER_NAME": "who the controller is, as receipts name it (prod needs it; default: the tenant)",
    "CONTROLLER_ADDRESS": "the controller's postal address, for receipts (prod needs it)",
    "CONTROLLER_CONTACT": "where the controller is asked about personal data (prod needs it)",
    "SMS_URL": "the SMS gateway for one-time codes: https://…",
    "SMS_KEY": "the key with which requests to the SMS gateway are signed, 32 characters or more",
    "SMTP_URL": "the mail server for one-time codes: smtps://[user@]host[:port], or smtp:// with STARTTLS",
    "SMTP_PASSWORD": "the password of the user in SMTP_URL",
    "SMTP_FROM": "the sender's address of mails with codes",
}
_SHORTEST_KEY: Final = 32
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
_PORTS: Final = {"smtps": 465, "smtp": 587}


@dataclass(frozen=True, slots=True)
class SmsAccess:
    """An SMS gateway: where it is and the key that signs requests to it."""

    url: str
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class MailAccess:
    """A mail server. ``tls`` is ``implicit``, ``starttls`` or, on this machine only, ``none``."""

    host: str
    port: int
    tls: str
    sender: str
    user: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Outside:
    """The controller, the address of its pages, and the gateways that there are."""

    site: str
    name: str
    address: str
    contact: str
    sms: SmsAccess | None
    mail: MailAccess | None


def read_outside(
    given: Mapping[str, str], tenant: str, site: str, fault: Callable[[str, str], None], *, strict: bool
) -> Outside:
    """Return this part of the settings; what is wrong goes to ``fault`` as a name and a sentence."""
    for word in ("CONTROLLER_NAME", "CONTROLLER_ADDRESS", "CONTROLLER_CONTACT"):
        if strict and not given.get(word):
            fault(word, "prod needs it: receipts name the controller")
    return Outside(
        site,
        given.get("CONTROLLER_NAME") or tenant,
        given.get("CONTROLLER_ADDRESS") or "未设置 (GOVERNANCE_CONTROLLER_ADDRESS)",
        given.get("CONTROLLER_CONTACT") or "未设置 (GOVERNANCE_CONTROLLER_CONTACT)",
        _sms(given, fault),
        _mail(given, fault),
    )


def _sms(given: Mapping[str, str], fault: Callable[[str, str], None]) -> SmsAccess | None:
    url, key = given.get("SMS_URL", ""), given.get("SMS_KEY", "")
    if not url and not key:
        return None
    where = _split(url)
    if where is None or where.username is not None or not _is_safe(where, "https", "http"):
        fault("SMS_URL", "https:// and a host, without a user (http:// on this machine only)")
    if len(key) < _SHORTEST_KEY:
        fault("SMS_KEY", f"{_SHORTEST_KEY} characters or more")
    return SmsAccess(url, key)


def _mail(given: Mapping[str, str], fault: Callable[[str, str], None]) -> MailAccess | None:
    url, sender = given.get("SMTP_URL", ""), given.get("SMTP_FROM", "")
    password = given.get("SMTP_PASSWORD", "")
    if not (url or sender or password):
        return None
    where = _split(url)
    if where is None or where.scheme not in _PORTS:
        fault("SMTP_URL", "smtps://[user@]host[:port] or smtp://[user@]host[:port]")
        return None
    if bool(where.username) != bool(password) or where.password is not None:
        fault("SMTP_PASSWORD", "goes with a user in GOVERNANCE_SMTP_URL, and never stands in the address")
    if parseaddr(sender)[1] != sender or "@" not in sender:
        fault("SMTP_FROM", "a plain e-mail address")
    host = where.hostname or ""
    tls = "implicit" if where.scheme == "smtps" else "none" if host in _LOOPBACK else "starttls"
    port = where.port or _PORTS[where.scheme]
    return MailAccess(host, port, tls, sender, where.username or "", password)


def _split(url: str) -> SplitResult | None:
    try:
        where = urlsplit(url)
        _ = where.port  # raises for one that is no number
    except ValueError:
        return None
    return where if where.hostname else None


def _is_safe(where: SplitResult, safe: str, plain: str) -> bool:
    return where.scheme == safe or (where.scheme == plain and where.hostname in _LOOPBACK)
