"""Every route, tried as every kind of caller: the table is complete, or this fails."""

from __future__ import annotations

import callers
import pytest
from callers import CALLERS, Call
from living import Living, Wire

from governance.app import build

CALLS = callers.calls()
only_sqlite = pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)


@only_sqlite
def test_the_table_names_every_route_of_the_application_and_no_other(house: Living) -> None:
    assert {call.route for call in CALLS} == callers.routes_of(build(house.service))
    assert len(CALLS) == len({call.route for call in CALLS})


@pytest.mark.parametrize("call", CALLS, ids=str)
@only_sqlite
def test_each_route_answers_each_caller_as_the_table_says(call: Call, house: Living, wire: Wire) -> None:
    ready = callers.filled(call, house)
    got, wanted = {}, {}
    # Whoever may comes last: what the call changes must not decide what the others are told.
    for caller in sorted(CALLERS, key=lambda one: ready.expected(one)[0] in "23"):
        body, headers = callers.sendable(ready, house, caller)
        got[caller] = callers.summary(wire.call(ready.method, ready.path, content=body, headers=headers))
        wanted[caller] = ready.expected(caller)
    assert got == wanted
    house.verified()
