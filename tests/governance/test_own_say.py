"""What somebody agreed to is theirs: relatives, the primary account first, neither end nor confirm it."""

from __future__ import annotations

import json

import pytest
from living import Living, Wire

from governance import seeding, world
from redaction.entities import Unfinished

pytestmark = pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)

MINE = "/v1/me/consents"
NOTICE = seeding.notice("service.health")


def consents_of(house: Living, wire: Wire, person: world.Person) -> list[dict[str, object]]:
    answer = wire.get(MINE, session=house.sign_in(person))
    found: list[dict[str, object]] = json.loads(answer.content)["data"]
    return found


def test_the_primary_account_cannot_end_another_adults_consent(house: Living, wire: Wire) -> None:
    before = consents_of(house, wire, world.LI_QIANG)
    path = f"{MINE}/{before[0]['consent_id']}/withdraw"
    cookie = {"cookie": f"governance_session={house.sign_in(world.ZHANG_LI)}"}
    answer = wire.call("POST", path, content=b"", headers=cookie)
    assert (answer.status_code, json.loads(answer.content)["code"]) == (404, "not_found")
    assert consents_of(house, wire, world.LI_QIANG) == before


def test_nobody_uses_up_the_tries_of_somebody_elses_code(house: Living, wire: Wire) -> None:
    tick = {
        "subject": world.LI_QIANG.id,
        "purpose": "service.health",
        "categories": ["health.record"],
        "notice": NOTICE,
        "ticked": True,
        "on_behalf_of": world.LI_QIANG.id,
    }
    key = house.key(world.CRM)
    ticked = json.loads(wire.post("/v1/consents", tick, key=key).content)
    path = f"/v1/consents/{ticked['consent_id']}/confirm"
    guess = {"code": "0" * ticked["digits"], "on_behalf_of": world.ZHANG_LI.id}
    for _ in range(6):
        assert wire.post(path, guess, key=key).status_code == 404
    sent = house.service.sender.messages()[0]
    right = {"code": sent.code, "on_behalf_of": world.LI_QIANG.id}
    assert wire.post(path, right, key=key).status_code == 200


def test_a_text_whose_search_was_cut_short_waits_for_a_person(
    house: Living, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_short(_plain: object) -> None:
        raise Unfinished

    monkeypatch.setattr(house.service.finder, "search", cut_short)
    message = {
        "sender": world.SENDER.id,
        "channel": "sms",
        "purpose": "marketing.direct",
        "text": "【张家小铺】周末绘本八折，拒收请回复R",
        "recipients": [world.ZHANG_LI.id],
    }
    sent = json.loads(wire.post("/v1/messages", message, key=house.key(world.SENDER)).content)
    assert [one["outcome"] for one in sent["recipients"]] == ["hold"]
