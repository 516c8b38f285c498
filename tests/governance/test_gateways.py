"""The two gateways against real servers: signed, once, over in time, and silent about whom and what."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import traceback
from collections.abc import Callable, Iterator

import gateways
import pytest
from gateways import KEY, MailServer, SmsServer

from consent.outbox import NotSentError
from governance import mailgateway, smsgateway
from governance.mailgateway import MailGateway
from governance.outside import MailAccess, SmsAccess
from governance.smsgateway import SmsGateway, signature

NUMBER = "15400001002"
ADDRESS = "zhangli@example.com"
CODE = "31415926"


@pytest.fixture
def sms() -> Iterator[SmsServer]:
    with gateways.sms_server() as stage:
        yield stage


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with gateways.mail_server() as stage:
        yield stage


def assert_unsent(send: Callable[[], None]) -> None:
    """Let it fail, and see that nothing of the person is in what would be printed."""
    with pytest.raises(NotSentError) as failed:
        send()
    told = "".join(traceback.format_exception(failed.value))
    assert failed.value.__cause__ is None
    assert failed.value.args == ()
    assert not [word for word in (NUMBER, ADDRESS, CODE, KEY) if word in told]


def test_a_text_arrives_once_signed_over_id_time_and_body(sms: SmsServer) -> None:
    SmsGateway(sms.access, clock=lambda: 1_795_312_800.9).send(NUMBER, f"验证码 {CODE}")
    (took,) = sms.took
    assert took.path == "/send?account=7"
    body = json.loads(took.body)
    assert (body["to"], body["text"]) == (NUMBER, f"验证码 {CODE}")
    assert took.headers["webhook-timestamp"] == "1795312800"
    assert body["id"] == took.headers["idempotency-key"] == took.headers["webhook-id"]
    signed = f"{body['id']}.1795312800.".encode() + took.body
    mac = hmac.new(KEY.encode(), signed, hashlib.sha256).digest()
    assert took.headers["webhook-signature"] == "v1," + base64.b64encode(mac).decode()


def test_the_signature_changes_with_each_part() -> None:
    first = ("k" * 32, "msg_1", "1795312800", b"{}")
    others = [("j" * 32, *first[1:]), (first[0], "msg_2", *first[2:]), (*first[:2], "1795312801", b"{}")]
    made = {signature(*one) for one in [first, *others, (*first[:3], b"{ }")]}
    assert len(made) == 5


def test_two_texts_have_two_ids(sms: SmsServer) -> None:
    gateway = SmsGateway(sms.access)
    for _ in range(2):
        gateway.send(NUMBER, CODE)
    assert len({one.headers["idempotency-key"] for one in sms.took}) == 2


@pytest.mark.parametrize("status", [301, 400, 401, 429, 500, 503])
def test_a_refusal_is_one_error_and_no_second_try(status: int, sms: SmsServer) -> None:
    sms.status = status
    assert_unsent(lambda: SmsGateway(sms.access).send(NUMBER, CODE))
    assert len(sms.took) == 1


def test_a_redirect_is_not_followed(sms: SmsServer) -> None:
    with gateways.sms_server() as elsewhere:
        sms.status, sms.location = 307, elsewhere.access.url
        assert_unsent(lambda: SmsGateway(sms.access).send(NUMBER, CODE))
        assert elsewhere.took == []


def test_a_gateway_that_says_nothing_is_given_up(sms: SmsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smsgateway, "TIMEOUT_S", 0.2)
    sms.silent = True
    assert_unsent(lambda: SmsGateway(sms.access).send(NUMBER, CODE))
    assert len(sms.took) == 1


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def test_a_gateway_that_is_not_there_is_the_same_error() -> None:
    port = closed_port()
    assert_unsent(lambda: SmsGateway(SmsAccess(f"http://127.0.0.1:{port}/", KEY)).send(NUMBER, CODE))
    access = MailAccess("127.0.0.1", port, "none", "consent@house.example")
    assert_unsent(lambda: MailGateway(access).send(ADDRESS, "s", CODE))


def test_neither_key_nor_password_prints() -> None:
    access = MailAccess("mail.example", 465, "implicit", "consent@house.example", "user", KEY)
    assert KEY not in repr(SmsAccess("https://sms.example/", KEY)) + repr(access)


def test_a_mail_arrives_once_as_it_was_written(mail: MailServer) -> None:
    MailGateway(mail.access).send(ADDRESS, "确认您的同意 · Confirm", f"验证码：{CODE}\n")
    ((to, one),) = mail.mails
    assert to == [ADDRESS]
    assert one["Subject"] == "确认您的同意 · Confirm"
    assert one["From"] == "consent@house.example"
    assert one["Auto-Submitted"] == "auto-generated"
    assert CODE in one.get_content()


def test_a_refused_recipient_is_told_without_the_address(mail: MailServer) -> None:
    mail.refusal = "550 no such user {address}"
    assert_unsent(lambda: MailGateway(mail.access).send(ADDRESS, "s", CODE))
    assert mail.mails == []


def test_an_address_cannot_carry_a_second_header(mail: MailServer) -> None:
    assert_unsent(lambda: MailGateway(mail.access).send(f"{ADDRESS}\r\nBcc: other@example.com", "s", CODE))
    assert mail.mails == []


def test_nothing_is_said_to_a_server_that_does_not_encrypt(mail: MailServer) -> None:
    access = MailAccess("127.0.0.1", mail.access.port, "starttls", "consent@house.example")
    assert_unsent(lambda: MailGateway(access).send(ADDRESS, "s", CODE))
    assert mail.mails == []


def test_a_mail_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailgateway, "TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        access = MailAccess("127.0.0.1", silent.getsockname()[1], "none", "consent@house.example")
        assert_unsent(lambda: MailGateway(access).send(ADDRESS, "s", CODE))
