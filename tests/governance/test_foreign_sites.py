"""A browser adds the session's cookie to what another site makes it send: the API does nothing with that."""

from __future__ import annotations

from typing import Final

import callers
import pytest
from callers import Call
from living import Living, Wire, sent

from governance import world

only_sqlite = pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)
FOREIGN: Final = {
    "another origin": {"origin": "https://evil.example"},
    "an origin that hides": {"origin": "null"},
    "cross-site": {"sec-fetch-site": "cross-site"},
    "a neighbour": {"sec-fetch-site": "same-site"},
    "both": {"origin": "https://evil.example", "sec-fetch-site": "cross-site"},
    "a claim that does not fit": {"origin": "https://evil.example", "sec-fetch-site": "same-origin"},
}
OWN: Final = {
    "a program": {},
    "the address bar": {"sec-fetch-site": "none"},
    "our own page": {"origin": "http://house.example", "sec-fetch-site": "same-origin"},
}
_CHANGING: Final = [
    call for call in callers.calls() if call.path.startswith("/v1/me/") and call.method not in ("GET", "HEAD")
]


@pytest.mark.parametrize("call", _CHANGING, ids=lambda call: call.route)
@only_sqlite
def test_no_change_of_ones_own_can_be_sent_from_another_site(call: Call, house: Living, wire: Wire) -> None:
    call = callers.filled(call, house)
    cookie = {"cookie": f"governance_session={house.sign_in(world.ZHANG_LI)}"}
    before = house.size()
    for named, headers in FOREIGN.items():
        how = {"content-type": "application/json", **headers, **cookie}
        answer = wire.call(call.method, call.path, content=call.body or b"", headers=how)
        assert callers.summary(answer) == "403 foreign_form", named
    assert house.size() == before


@pytest.mark.parametrize("headers", OWN.values(), ids=OWN)
@only_sqlite
def test_our_own_pages_and_programs_can_change_what_is_ones_own(
    headers: dict[str, str], house: Living, wire: Wire
) -> None:
    how = sent(None, headers, house.sign_in(world.ZHANG_LI))
    answer = wire.call("POST", "/v1/me/consents/withdraw", content=b"{}", headers=how)
    assert answer.status_code == 200


@only_sqlite
def test_looking_and_a_key_of_ones_own_need_no_origin(house: Living, wire: Wire) -> None:
    foreign = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    assert wire.get("/v1/me/consents", session=house.sign_in(world.ZHANG_LI), **foreign).status_code == 200
    body = {"on_behalf_of": world.ZHANG_LI.id}
    answer = wire.post("/v1/consents/withdraw", body, key=house.key(world.CRM), **foreign)
    assert answer.status_code == 200
