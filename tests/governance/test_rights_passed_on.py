"""What a service learns of an erasure that it passed on, or asked for beside another."""

from __future__ import annotations

from living import Living, Wire
from rights_story import decide

from governance import world
from governance.rightsdeciding import Step


def test_a_service_reads_that_its_erasure_was_fulfilled_and_so_does_a_second_that_asked(
    house: Living, wire: Wire
) -> None:
    body = {"kind": "erasure", "on_behalf_of": world.ZHANG_LI.id, "evidence": "counter-2026-11"}
    key = house.key(world.CRM)
    first = wire.post("/v1/requests", body, key=key).json()["request_id"]
    other = house.key(world.SENDER)
    house.sql(f"UPDATE api_key SET scopes = 'consents on_behalf' WHERE actor_id = '{world.SENDER.id}'")
    second, again = (wire.post("/v1/requests", body, key=other).json()["request_id"] for _ in range(2))
    assert second == again != first
    paths = [(f"/v1/requests/{one}", who) for one, who in ((first, key), (second, other))]

    def told(path: str, who: str) -> str:
        answer = wire.get(path, authorization=f"Bearer {who}")
        return str(answer.json().get("status", answer.status_code))

    assert [told(*one) for one in paths] == ["in_progress", "in_progress"]
    assert wire.get(f"{paths[1][0]}/certificate", authorization=f"Bearer {other}").status_code == 404
    decide(house, first, Step.FULFIL)
    assert [told(*one) for one in paths] == ["fulfilled", "fulfilled"]
    bodies = [wire.get(f"{path}/certificate", authorization=f"Bearer {who}").json() for path, who in paths]
    assert bodies[0] == bodies[1]
    # Nobody reads the other's.
    assert [told(paths[0][0], other), told(paths[1][0], key)] == ["404", "404"]
