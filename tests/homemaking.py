"""How people live in households, for stories: they invite, join, leave and see each other over the wire."""

from __future__ import annotations

import json
from typing import Any

import httpx2
from living import Living, Wire, sent, spell

from governance import world
from governance.homes import OFFER_MS

HOME, OTHER = world.ZHANG_HOME.id, world.ZHOU_HOME.id
GUARDED = {(ward.id, guardian.id) for ward, guardian in world.GUARDIANS}
GONE = (410, "code_refused")
NOT_THERE = (404, "not_found")
NOBODYS_HOME = "hh_019a0000-0000-7d47-8433-b18122cd4e5d"


def act(house: Living, wire: Wire, who: Any, path: str, body: object = None) -> httpx2.Response:
    """Let somebody in a session do something."""
    headers = sent(None, {}, house.sign_in(who))
    return wire.call("POST", f"/v1/me/{path}", content=spell(body or {}), headers=headers)


def told(answer: httpx2.Response) -> tuple[int, str]:
    body = json.loads(answer.content)
    return answer.status_code, body.get("code", "")


def invitation(house: Living, wire: Wire, who: Any = world.ZHANG_LI, home: str = HOME) -> str:
    answer = act(house, wire, who, f"households/{home}/invitations")
    assert answer.status_code == 201, answer.text
    found: str = json.loads(answer.content)["code"]
    house.clock.advance(1)
    return found


def leave(house: Living, wire: Wire, who: Any, home: str = HOME, **body: str) -> tuple[int, str]:
    house.clock.advance(1)
    answer = told(act(house, wire, who, f"households/{home}/leave", body))
    house.clock.advance(1)
    return answer


def homes(house: Living, wire: Wire, who: world.Person) -> dict[str, dict[str, list[str]]]:
    """Return where somebody lives and with whom, as they see it themselves."""
    body = json.loads(wire.get("/v1/me/households", session=house.sign_in(who)).content)
    return {
        home["household"]: {one["member"]: one["roles"] for one in home["residents"]} for home in body["data"]
    }


def sees(house: Living, wire: Wire, viewer: world.Person, about: world.Person, field: str) -> str:
    """Return what a relative gets of one field, through the CRM."""
    ask = {
        "subject": {"type": "member", "id": about.id},
        "fields": [field],
        "purpose": "family.care",
        "on_behalf_of": viewer.id,
    }
    answer = wire.post("/v1/reads", ask, key=house.key(world.CRM))
    if answer.status_code == 404:
        return "not there"
    found: str = json.loads(answer.content)["fields"][0]["effect"]
    return found


def open_ties(house: Living, subject: str, actor: str) -> set[str]:
    rows = house.sql(
        "SELECT relation FROM relation WHERE ends_at IS NULL"
        f" AND subject_id = '{subject}' AND actor_id = '{actor}'"
    )
    return {row[0] for row in rows}


def epoch(house: Living, subject: str) -> int:
    return int(house.sql(f"SELECT epoch FROM subject WHERE id = '{subject}'")[0][0])


def last_offer(house: Living) -> str:
    found: str = house.sql("SELECT id FROM invitation ORDER BY made_at DESC, id DESC")[0][0]
    return found


def test_an_invitation_is_good_until_its_last_millisecond(house: Living, wire: Wire) -> None:
    leave(house, wire, world.LI_QIANG)
    code = invitation(house, wire, world.ZHOU_MING, OTHER)
    house.clock.advance(OFFER_MS - 2)  # the invitation was made a millisecond ago
    assert told(act(house, wire, world.LI_QIANG, "invitations/accept", {"code": code})) == (200, "")


def test_the_code_is_stored_as_a_digest_and_the_log_does_not_know_it(house: Living, wire: Wire) -> None:
    code = invitation(house, wire)
    assert code not in repr(house.sql("SELECT * FROM invitation"))
    assert code not in repr(house.log())
    assert house.sql("SELECT member_id FROM invitation") == [(None,)]  # it names nobody
