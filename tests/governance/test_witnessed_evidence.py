"""What is handed out bears the witnesses' signatures, so that a stranger can hold it against a quorum."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace

import pytest
from export_story import as_caller
from living import Living

from audit import checkpoint, cosignatures, proof
from audit.bundlecheck import check_bundle
from audit.checkpoint import Cosigner
from audit.note import parse
from audit.policyfile import Policy, parse_policy
from audit.verdicts import Exit
from governance import world
from governance.logexports import Wish
from governance.logsource import Run
from governance.wiring import Service, assemble
from governance.witnesssettings import Watched

WITNESS = Cosigner("witness.example/w1", bytes(range(32)))


@pytest.fixture
def policy(house: Living) -> Policy:
    log = house.service.log.checkpoints.key
    return parse_policy(f"log {log.text}\nwitness w1 {WITNESS.key.text}\nquorum w1\n")


@pytest.fixture
def watched(house: Living, policy: Policy) -> Iterator[Service]:
    """The house's service, watched by a witness that signs when a test says so."""
    service = assemble(replace(house.settings, watched=Watched(policy, ())), clock=house.clock)
    yield service
    service.close()


def cosign(service: Service, size: int) -> None:
    signed = parse(service.log.checkpoints.note_at(size)).text
    with service.database.transaction() as tx:
        cosignatures.keep(tx, size, WITNESS.key, WITNESS.cosign(signed, service.clock() // 1000))
        tx.commit()


def test_the_newest_checkpoint_and_every_proof_under_it_satisfy_the_quorum(
    house: Living, watched: Service, policy: Policy
) -> None:
    now = house.clock()
    size = watched.log.checkpoints.head(now).size
    assert not policy.satisfied(watched.log.proofs.newest(now).note, checkpoint.check)
    cosign(watched, size)
    assert policy.satisfied(watched.log.proofs.newest(now).note, checkpoint.check)
    shown = watched.log.proofs.proof(3, now)
    assert shown is not None
    assert policy.satisfied(proof.parse(shown).note, checkpoint.check)


def test_an_export_verifies_against_a_policy_that_asks_for_a_witness(
    house: Living, watched: Service, policy: Policy
) -> None:
    caller, exports = as_caller(world.OFFICER), watched.log.exports
    asked = exports.ask(caller, Wish(Run(0, 30)), "", house.clock(), None)

    def exit_code() -> Exit:
        _, pieces = exports.fetch(caller, asked.id, "", house.clock())
        return check_bundle(io.BytesIO(b"".join(pieces)), checkpoint.check, policy).report.exit

    assert exit_code() is Exit.UNSIGNED
    cosign(watched, asked.size)
    assert exit_code() is Exit.OK
