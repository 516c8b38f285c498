"""Exports of the log in the seeded house: two officers, and what they ask of each other."""

from __future__ import annotations

import io
from typing import Final

from living import Living, Wire

from audit import checkpoint
from audit.bundlecheck import BundleReport, check_bundle
from audit.policyfile import pinned
from governance import world
from governance.exportrecords import Asked, ExportState
from governance.identity import Caller
from governance.logexports import Wish
from governance.logsource import Run
from governance.world import Office
from policies.identifiers import Prefix, new_id
from policies.terms import ActorId

SECOND: Final = Office("second_officer", Prefix.STAFF, "合规官 周洁", world.OFFICER.roles)
"""Another compliance officer than the world's, for whom nothing waits yet."""


def as_caller(who: Office) -> Caller:
    return Caller(ActorId(who.id), Prefix.STAFF, roles=frozenset(map(str, who.roles)))


def with_second_officer(house: Living) -> Office:
    """Take the second officer on, once."""
    service = house.service
    if house.sql(f"SELECT 1 FROM actor WHERE id = '{SECOND.id}'"):
        return SECOND
    with service.database.transaction() as tx:
        service.lifecycle.add_actor(tx, ActorId(SECOND.id), SECOND.label, SECOND.roles, house.clock())
        tx.commit()
    return SECOND


def ask(house: Living, who: Office, run: Run | None = None, query: str = "") -> Asked:
    wish = Wish(run or Run(0), query)
    return house.service.log.exports.ask(as_caller(who), wish, new_id(Prefix.REQUEST), house.clock(), None)


def ready_export(house: Living) -> str:
    """An export that the world's officer may fetch."""
    return ask(house, world.OFFICER, Run(0, 20)).id


def waiting_export(house: Living) -> str:
    """An export of the second officer's that waits for somebody else: it is one too many for a day."""
    officer = with_second_officer(house)
    large = ask(house, officer)
    if large.state is ExportState.READY:
        # As if it had been a large one: asking for small ones until the day is full takes a second.
        house.sql(f"UPDATE log_export SET entries = 1000000 WHERE id = '{large.id}'")
        large = ask(house, officer)
    assert large.state is ExportState.PENDING
    return large.id


def checked(house: Living, data: bytes) -> BundleReport:
    """Verify a bundle with the key that this house signs with."""
    policy = pinned(house.service.log.checkpoints.key)
    return check_bundle(io.BytesIO(data), checkpoint.check, policy)


def fetched(wire: Wire, session: str, export: str) -> bytes:
    answer = wire.get(f"/v1/audit/exports/{export}/download", session=session)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    return answer.content
