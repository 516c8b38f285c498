"""Makes entries, keys and public vectors for the tests of the log. Everybody here is fictional."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from logbreaking import Insider  # noqa: F401 - the tests of the log find it here

from audit.checkpoint import Signer
from audit.entry import (
    Actor,
    ActorType,
    Basis,
    Detail,
    Entry,
    FieldOutcome,
    Kind,
    Message,
    Party,
    Verdict,
)
from policies.terms import Effect, Outcome

VECTORS = Path(__file__).resolve().parents[3] / "shared" / "vectors"
ORIGIN = "family.example/audit/main"
NOW = 1_770_000_000_000
SERVICE = "svc_01900000-0000-7000-8000-000000000001"
STAFF = "stf_01900000-0000-7000-8000-000000000002"
DECISION = "dec_01900000-0000-7000-8000-000000000003"
WANG = b"pseudonym-wang--"
LI = b"pseudonym-li----"


def vectors(name: str) -> Any:
    """Return a public vector file, or skip the test where the folder is missing."""
    path = VECTORS / name
    if not path.exists():
        pytest.skip("the public vectors are not here")
    return json.loads(path.read_text("utf-8"))


def a_read(number: int = 0, *subjects: bytes, **changes: Any) -> Entry:
    """A read of two fields by a service for a member of staff, at a time that grows with ``number``."""
    parts: dict[str, Any] = {
        "t": NOW + number,
        "kind": Kind.DECISION,
        "act": "read",
        "dec": Verdict.PERMIT,
        "actor": Actor(
            Party(ActorType.SERVICE, SERVICE), ("agent",), "assigned", Party(ActorType.STAFF, STAFF)
        ),
        "subjects": subjects or (WANG,),
        "fields": (
            FieldOutcome("mobile", Effect.MASK, ("masked_by_rule",), ("g12",)),
            FieldOutcome("blood_pressure", Effect.SHOW, ("consent_given",), ("g40",)),
        ),
        "purpose": "service.delivery",
        "n": 2,
    }
    return Entry(**(parts | changes))


def a_full_entry() -> Entry:
    """An entry that uses every part there is."""
    return a_read(
        7,
        WANG,
        LI,
        decision=DECISION,
        why=("own_data",),
        household=b"pseudonym-house-",
        resource="con_01900000-0000-7000-8000-000000000004",
        message=Message("msg_1", "sms", b"\x01" * 32, Outcome.HOLD, ("lex.7", "lex.9")),
        basis=Basis(("con_01900000-0000-7000-8000-000000000004",), "contract"),
        policy="ab" * 32,
        request="请求-1",
        corr="dec_1",
        detail=Detail(1, "k1", b"\x02" * 32),
    )


def a_signer(name: str = ORIGIN, seed: int = 7) -> Signer:
    """A signer with a fixed key that is used nowhere else."""
    return Signer(name, bytes([seed]) * 32)


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Run the work in as many threads at once; a failure in any of them is the test's."""
    failures: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001 - carried to the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
