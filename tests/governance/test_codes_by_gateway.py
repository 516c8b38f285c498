"""Codes that leave the house by the real gateways: to the person's own number or address, and no other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace

import gateways
import living
import pytest
from gateways import MailServer, SmsServer
from living import Living, Wire
from ticking import HELD, acts, code_of, page, step, tick_of, ticked

from audit.entry import Verdict
from governance import world
from governance.app import build
from governance.outside import MailAccess, SmsAccess
from governance.wiring import assemble

only_sqlite = pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)


def with_gateways(house: Living, sms: SmsAccess | None, mail: MailAccess | None) -> Wire:
    outside = replace(house.settings.outside, site="https://house.example", sms=sms, mail=mail)
    settings = replace(house.settings, outside=outside)
    return living.Wire(build(assemble(settings, clock=house.clock)))


@pytest.fixture
def sms() -> Iterator[SmsServer]:
    with gateways.sms_server() as stage:
        yield stage


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with gateways.mail_server() as stage:
        yield stage


def test_the_code_reaches_the_persons_own_number_and_confirms(house: Living, sms: SmsServer) -> None:
    wire = with_gateways(house, sms.access, None)
    consent_id = json.loads(ticked(house, wire).content)["consent_id"]
    (took,) = sms.took
    body = json.loads(took.body)
    assert body["to"] == world.LI_QIANG.values["mobile"]  # type: ignore[index]
    code = re.search(r"(?<!\d)\d{8}(?!\d)", body["text"])
    assert code is not None
    assert step(house, wire, consent_id, "confirm", code=code[0]).status_code == 200
    wire.close()


@only_sqlite
def test_a_guardians_code_goes_to_the_guardian_and_has_eight_digits(house: Living, sms: SmsServer) -> None:
    wire = with_gateways(house, sms.access, None)
    tick = {**tick_of(world.XIAO_MAN), "on_behalf_of": world.ZHANG_LI.id}
    answer = wire.post(HELD, tick, key=house.key(world.CRM))
    assert json.loads(answer.content)["digits"] == 8
    assert json.loads(sms.took[0].body)["to"] == world.ZHANG_LI.values["mobile"]  # type: ignore[index]
    wire.close()


def test_a_real_gateway_that_is_down_is_told_without_the_number(house: Living, sms: SmsServer) -> None:
    sms.status = 503
    wire = with_gateways(house, sms.access, None)
    answer = ticked(house, wire)
    assert (answer.status_code, code_of(answer)) == (503, "code_not_sent")
    assert len(sms.took) == 1
    assert world.LI_QIANG.values["mobile"] not in answer.text  # type: ignore[index]
    assert house.sql("SELECT count(*) FROM consent_challenge WHERE used_at IS NULL") == [(1,)]
    wire.close()


def test_a_mail_brings_a_link_that_confirms(house: Living, mail: MailServer) -> None:
    wire = with_gateways(house, None, mail.access)
    consent_id = json.loads(ticked(house, wire).content)["consent_id"]
    ((to, one),) = mail.mails
    assert to == [world.LI_QIANG.values["email"]]  # type: ignore[index]
    link = re.search(r"https://house\.example/confirm/(\S+)", one.get_content())
    assert link is not None
    assert page(wire, "GET", link[1]).status_code == 200
    assert page(wire, "POST", link[1]).status_code == 200
    assert ("consent.confirmed", Verdict.PERMIT) in acts(house, consent_id)
    wire.close()


@only_sqlite
def test_somebody_who_can_be_reached_in_no_way_is_told_so(house: Living, mail: MailServer) -> None:
    wire = with_gateways(house, None, mail.access)
    tick = {**tick_of(world.GRANDMOTHER)}
    answer = wire.post(HELD, tick, key=house.key(world.CRM))
    assert (answer.status_code, code_of(answer)) == (503, "code_not_sent")
    assert mail.mails == []
    wire.close()
