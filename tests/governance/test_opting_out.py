"""One call withdraws everywhere: by session, service, link, or a word in a text message. It needs no key."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import pytest
from happenings import FALLEN, NOBODY, consent_of, reading
from living import Living, Wire, sent, spell

from consent import eventlog
from consent.events import EventKind
from governance import seeding, world
from governance.asking import Answer
from governance.optingout import says_no
from governance.rulekeeping import RulesUnavailableError
from policies.reasons import Reason
from policies.terms import Effect, FieldName, Purpose, SubjectId

only_sqlite = pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)

WHO: Final = world.ZHANG_LI
PROMOTION: Final = Purpose("marketing.direct")
TEXT: Final = "【张家小铺】周末绘本八折，拒收请回复R"
ONE_CLICK: Final = b"List-Unsubscribe=One-Click"
FORM: Final = {"content-type": "application/x-www-form-urlencoded"}


def link(house: Living, person: world.Person = WHO, purpose: Purpose = PROMOTION) -> str:
    return "/opt-out/" + house.service.opting_out.links.make(SubjectId(person.id), purpose)


def _by_session(house: Living, wire: Wire) -> Any:
    return wire.call("POST", "/v1/me/consents/withdraw", headers=sent(None, {}, house.sign_in(WHO)))


def _by_service(house: Living, wire: Wire) -> Any:
    return wire.post("/v1/consents/withdraw", {"on_behalf_of": WHO.id}, key=house.key(world.CRM))


def _by_link(house: Living, wire: Wire) -> Any:
    return wire.call("POST", link(house), content=ONE_CLICK, headers=FORM)


def _by_text(house: Living, wire: Wire) -> Any:
    body = {"from": WHO.values[FieldName("mobile")], "text": "TD"}
    return wire.post("/v1/inbound/sms", body, key=house.key(world.GATEWAY))


WAYS: Final[Mapping[str, Callable[[Living, Wire], Any]]] = {
    "session": _by_session,
    "service": _by_service,
    "link": _by_link,
    "text message": _by_text,
}


def sends(house: Living, wire: Wire) -> dict[str, Any]:
    message = {"sender": world.SENDER.id, "channel": "sms", "purpose": PROMOTION, "text": TEXT}
    body = {**message, "recipients": [WHO.id]}
    sent_ = json.loads(wire.post("/v1/messages", body, key=house.key(world.SENDER)).content)
    told: dict[str, Any] = sent_["recipients"][0]
    return told


def withdrawals(house: Living) -> int:
    with house.service.database.reading() as tx:
        events = eventlog.events_of(tx, [WHO.id])[WHO.id]
    return sum(event.kind == EventKind.WITHDRAWN for event in events)


@pytest.mark.parametrize("way", WAYS)
def test_the_next_message_is_refused_and_a_permit_that_waited_fails(
    way: str, house: Living, wire: Wire
) -> None:
    before = sends(house, wire)
    assert before["outcome"] == "admit"
    assert WAYS[way](house, wire).status_code == 200
    after = sends(house, wire)
    assert (after["outcome"], after["reasons"][0]["code"]) == ("refuse", "withdrawn")
    waiting = {"permit": before["permit"], "text": TEXT, "recipient": WHO.id, "channel": "sms"}
    used = wire.post("/v1/permits/verify", waiting, key=house.key(world.GATEWAY))
    assert json.loads(used.content) == {"valid": False}
    entry = next(one for one in house.log() if one.act == "consent.withdrawn")
    assert entry.purpose == {"link": PROMOTION, "text message": "marketing"}.get(way, "")


@pytest.mark.parametrize("way", WAYS)
@only_sqlite
def test_saying_it_again_changes_nothing(way: str, house: Living, wire: Wire) -> None:
    first = WAYS[way](house, wire)
    house.clock.advance(1)
    again = WAYS[way](house, wire)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert withdrawals(house) == 1


def _one_consent(house: Living) -> Callable[[Living, Wire], Any]:
    path = f"/v1/me/consents/{consent_of(house, WHO, PROMOTION)}/withdraw"
    return lambda house, wire: wire.call("POST", path, headers=sent(None, {}, house.sign_in(WHO)))


@pytest.mark.parametrize("way", [*WAYS, "one consent"])
def test_no_key_of_data_is_needed(way: str, house: Living, wire: Wire) -> None:
    # The consent is looked up while its owner's age can still be opened; nothing after that opens anything.
    withdrawn = {**WAYS, "one consent": _one_consent(house)}[way]
    house.sql("DELETE FROM data_key")
    object.__setattr__(house.service.ring, "tenant_key", bytes(32))
    reply = house.service.gate.read([reading(WHO.id, WHO.id, "name")], house.clock())[0]
    assert not isinstance(reply, Answer) or reply.fields[0].effect is Effect.HIDE
    assert withdrawn(house, wire).status_code == 200
    assert withdrawals(house) == 1


@pytest.mark.parametrize("way", WAYS)
@only_sqlite
def test_no_rules_are_needed(way: str, house: Living, wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_how: object) -> Any:
        raise RulesUnavailableError

    monkeypatch.setattr(type(house.service.keeper), "in_force", broken)
    monkeypatch.setattr(type(house.service.keeper), "latest", property(broken))
    assert WAYS[way](house, wire).status_code == 200
    assert withdrawals(house) == 1


@only_sqlite
def test_everything_means_every_purpose_and_one_means_that_and_what_lies_below(
    house: Living, wire: Wire
) -> None:
    def states() -> dict[str, Reason]:
        mine = house.service.consenting.of_member(SubjectId(WHO.id), house.clock())
        return {one.terms.purpose: state for one, state in mine}

    path, headers = "/v1/me/consents/withdraw", sent(None, {}, house.sign_in(WHO))
    wire.call("POST", path, content=spell({"purpose": "marketing"}), headers=headers)
    assert states() == {"marketing.direct": Reason.WITHDRAWN, "service.health": Reason.CONSENT_GIVEN}
    wire.call("POST", path, content=b"", headers=headers)
    assert set(states().values()) == {Reason.WITHDRAWN}


@only_sqlite
def test_who_agrees_again_can_opt_out_again(house: Living, wire: Wire) -> None:
    for times in (1, 2):
        _by_link(house, wire)
        assert withdrawals(house) == times
        house.clock.advance(1)
        seeding.give_consent(house.service, WHO, PROMOTION, ("outreach.sms",))
        house.clock.advance(1)
        assert sends(house, wire)["outcome"] == "admit"


@only_sqlite
def test_a_mistyped_purpose_is_told_and_an_unknown_member_is_not_found(house: Living, wire: Wire) -> None:
    body = {"on_behalf_of": WHO.id, "purpose": "marketing.drect"}
    answer = wire.post("/v1/consents/withdraw", body, key=house.key(world.CRM))
    assert json.loads(answer.content)["errors"] == [{"pointer": "/purpose", "code": "unknown_purpose"}]
    nobody = wire.post("/v1/consents/withdraw", {"on_behalf_of": NOBODY}, key=house.key(world.CRM))
    assert nobody.status_code == 404


@pytest.mark.parametrize("spoken", ["zh", "en"])
@only_sqlite
def test_looking_at_a_link_changes_nothing(spoken: str, house: Living, wire: Wire) -> None:
    before = house.size()
    page = wire.get(link(house), accept_language=spoken)
    assert page.status_code == 200
    assert {"zh": "不需要登录", "en": "No sign-in"}[spoken] in page.text
    assert WHO.id not in page.text + link(house)
    assert sends(house, wire)["outcome"] == "admit"
    assert withdrawals(house) == 0
    assert house.size() == before + 1  # the message


@only_sqlite
def test_an_admitted_promotion_comes_with_its_link_and_other_messages_without(
    house: Living, wire: Wire
) -> None:
    address = sends(house, wire)["opt_out"]
    path = re.sub(r"^https?://[^/]+", "", address)
    part = b'Content-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click'
    body = b"--frontier\r\n" + part + b"\r\n--frontier--\r\n"
    headers = {"content-type": "multipart/form-data; boundary=frontier"}
    assert wire.call("POST", path, content=body, headers=headers).status_code == 200
    refused = sends(house, wire)
    assert (refused["outcome"], "opt_out" in refused) == ("refuse", False)


NOT_ONE_CLICK: Final = {
    "no body": (b"", FORM),
    "another value": (b"List-Unsubscribe=No", FORM),
    "JSON": (b'{"List-Unsubscribe": "One-Click"}', {"content-type": "application/json"}),
    "a broken form": (b"--x\r\n", {"content-type": "multipart/form-data; boundary=frontier"}),
    "no type": (ONE_CLICK, {}),
}


@pytest.mark.parametrize("name", NOT_ONE_CLICK)
@only_sqlite
def test_what_is_no_one_click_call_changes_nothing(name: str, house: Living, wire: Wire) -> None:
    body, headers = NOT_ONE_CLICK[name]
    answer = wire.call("POST", link(house), content=body, headers=headers)
    assert (answer.status_code, withdrawals(house)) == (403, 0)


@only_sqlite
def test_a_link_ends_one_purpose_of_one_person_and_no_other_spelling_of_it_is_one(
    house: Living, wire: Wire
) -> None:
    _by_link(house, wire)
    mine = house.service.consenting.of_member(SubjectId(WHO.id), house.clock())
    assert {state for one, state in mine if one.terms.purpose != PROMOTION} == {Reason.CONSENT_GIVEN}
    token = link(house).removeprefix("/opt-out/")
    forged = {token[:-1], token + "A", token[:5] + token[5:][::-1], "A" * len(token), "A"}
    forged |= {token[:at] + ("B" if token[at] == "A" else "A") + token[at + 1 :] for at in (0, 20, 40)}
    for wrong in forged:
        assert house.service.opting_out.links.read(wrong) is None
        answers = [
            wire.get(f"/opt-out/{wrong}"),
            wire.call("POST", f"/opt-out/{wrong}", content=ONE_CLICK, headers=FORM),
        ]
        assert {one.status_code for one in answers} == {404}
    others = [link(house, person, Purpose(f"a.{n}")) for person in world.HOMES[0].members for n in range(9)]
    assert len(set(others)) == len(others)


YES: Final = (
    "TD",
    " td ",
    "ＴＤ",
    "退订",
    "退订。",
    "R",
    "r!",
    "T",
    "N",
    "STOP",
    "Unsubscribe",
    "取消订阅",
    "0000",
)
NO: Final = ("", "好", "谢谢", "TDD", "请问怎么退订之前的课程", "R2", "不退订", FALLEN)


@pytest.mark.parametrize(("said", "out"), [*((one, True) for one in YES), *((one, False) for one in NO)])
def test_a_word_for_opting_out_is_one_however_it_is_written(said: str, out: bool) -> None:
    assert says_no(said) is out


@only_sqlite
def test_the_gateway_gets_one_answer_for_every_number_and_text(house: Living, wire: Wire) -> None:
    mobile = WHO.values[FieldName("mobile")]
    answers = set()
    for number, text in ((mobile, "好"), ("15400009999", "TD"), ("no number", "TD"), ("+86 " + mobile, "td")):
        body = {"from": number, "text": text}
        answer = wire.post("/v1/inbound/sms", body, key=house.key(world.GATEWAY))
        answers.add((answer.status_code, answer.content))
    assert answers == {(200, b'{"status":"received"}')}
    assert withdrawals(house) == 1
