"""Threats to the log beside its tables: full disks, silent sinks, wrong clocks, officers, payloads."""

from __future__ import annotations

import csv
import io
import itertools
import os
import re
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import apsw
import living
import pytest
import threats
from export_story import SECOND, waiting_export
from living import Living, Wire
from threats import Governance, TinyDisk

from audit import ledger
from audit.entry import Actor, ActorType, Entry, Kind, Party, Verdict
from governance import world
from governance.settings import read_settings
from governance.wiring import assemble
from governance.witnessserver import make_home
from policies.book import packaged_rules

ON_SQLITE = pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)
ON_POSTGRESQL = pytest.mark.parametrize("seeded_copy", ["postgres"], indirect=True)
HOUR = 3_600_000
READ = {
    "subject": {"type": "member", "id": world.ZHANG_LI.id},
    "fields": ["name", "mobile"],
    "purpose": "service.delivery",
    "on_behalf_of": world.WANG_MIN.id,
}
VALUES = [world.ZHANG_LI.values[name] for name in ("name", "mobile")]


def read_until_refused(house: Living, wire: Wire, most: int = 400) -> int:
    """Read until the log takes no more; return how many reads were answered. The refusal tells nothing."""
    for answered in range(most):
        answer = wire.post("/v1/reads", READ, key=house.key(world.CRM))
        if answer.status_code != 200:
            assert (answer.status_code, answer.json()["code"]) == (503, "cannot_record")
            assert not any(value in answer.text for value in VALUES)
            return answered
    raise AssertionError("the disk is not full")


# --- full disks


@pytest.fixture
def disk(house: Living) -> Iterator[TinyDisk]:
    """A disk under the file of the house, which learns of every connection that is opened from now on."""
    made = TinyDisk(Path(house.url.removeprefix("sqlite:///")))
    apsw.connection_hooks.append(made)
    yield made
    apsw.connection_hooks.remove(made)


@ON_SQLITE
def test_on_a_full_disk_nothing_is_revealed_and_with_space_all_goes_on(
    house: Living, disk: TinyDisk, governance: Governance
) -> None:
    served = replace(house, service=assemble(house.settings, clock=house.clock))
    wire = living.wired(served)
    try:
        before = served.verified()
        disk.fill()
        answered = read_until_refused(served, wire)
        assert read_until_refused(served, wire) == 0  # nor does it open by itself
        assert governance("audit", "verify").code == 0
        assert served.size() == before + answered
        disk.give_space()
        assert wire.post("/v1/reads", READ, key=served.key(world.CRM)).status_code == 200
        assert served.size() == before + answered + 1
        served.service.log.checkpoints.publish(served.clock())
        assert governance("audit", "verify").code == 0
    finally:
        wire.close()


def fill(path: Path) -> None:
    """Write until the volume has no room for another block."""
    with pytest.raises(OSError, match="No space left"), path.open("wb", buffering=0) as file:
        file.writelines(itertools.repeat(bytes(4096)))


@pytest.fixture
def volume() -> Iterator[Path]:
    """A volume of one megabyte on which PostgreSQL may put a table."""
    path = Path("/tmp") / f"volume-{os.getpid()}"
    path.mkdir()
    try:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m,mode=0777", "none", str(path)],
            capture_output=True,
            check=False,
        )
    except OSError:
        mounted = None
    if mounted is None or mounted.returncode:
        path.rmdir()
        pytest.skip("only root may make a small volume here")
    yield path
    subprocess.run(["umount", str(path)], check=True)
    path.rmdir()


@pytest.fixture
def crowded(house: Living, volume: Path) -> Iterator[Path]:
    """The house with the tables of its log on the small volume; gives a file that can fill the rest."""
    space = volume / "space"
    space.mkdir(mode=0o700)
    owner = Path(house.sql("SHOW data_directory")[0][0]).stat()
    os.chown(space, owner.st_uid, owner.st_gid)
    name = f"tiny_{os.getpid()}"
    house.sql(
        f"CREATE TABLESPACE {name} LOCATION '{space}'", f"ALTER TABLE audit_pending SET TABLESPACE {name}"
    )
    yield volume / "filler"
    house.sql("ALTER TABLE audit_pending SET TABLESPACE pg_default", f"DROP TABLESPACE {name}")


@ON_POSTGRESQL
def test_on_a_full_volume_of_postgresql_too(
    house: Living, crowded: Path, wire: Wire, governance: Governance
) -> None:
    before = house.verified()
    fill(crowded)
    answered = read_until_refused(house, wire)
    assert read_until_refused(house, wire) == 0
    assert governance("audit", "verify").code == 0
    crowded.unlink()
    assert wire.post("/v1/reads", READ, key=house.key(world.CRM)).status_code == 200
    assert house.verified() == before + answered + 1
    house.service.log.checkpoints.publish(house.clock())
    assert governance("audit", "verify").code == 0


# --- sinks that never answer


def test_sinks_that_never_answer_slow_nothing(house: Living, tmp_path: Path) -> None:
    with threats.silent() as sink:
        key = make_home(tmp_path / "witness", "silent.example/w")
        policy, copies = tmp_path / "policy", tmp_path / "copies"
        address = f"http://127.0.0.1:{sink.port}"
        policy.write_text(f"witness silent {key.text} {address}/witness\nquorum silent\n", "utf-8")
        copies.write_text(f"webhook {address}/webhook every 1\nfile {tmp_path}/copy.jsonl\n", "utf-8")
        environment = threats.environment_of(
            house,
            GOVERNANCE_WITNESSES=str(policy),
            GOVERNANCE_CHECKPOINT_COPIES=str(copies),
            GOVERNANCE_WEBHOOK_LOOPBACK="allow",
        )
        settings = read_settings(environment, packaged_rules())
        watched = replace(house, settings=settings, service=assemble(settings, clock=house.clock))
        before = watched.size()
        wire = living.wired(watched)
        try:
            watched.service.log.checkpoints.publish(watched.clock())
            for _ in range(2):  # both sinks hold what they were sent
                assert sink.arrived.acquire(timeout=60)
            for number in range(1, 6):
                assert wire.post("/v1/reads", READ, key=watched.key(world.CRM)).status_code == 200
                watched.service.log.settle()
                assert watched.service.log.checkpoints.publish(watched.clock()) == before + number
                told = wire.get("/v1/audit/checkpoint").text.split("\n")
                assert told[1] == str(before + number)
            # All of this came after the two were asked and before either of them answered.
            assert not sink.let_go.is_set()
            assert sorted(sink.asked) == ["/webhook", "/witness/add-checkpoint"]
            assert watched.service.log.witnessing.witnessed() is None
            assert watched.verified() == before + 5
        finally:
            sink.let_go.set()
            wire.close()


# --- clocks


def test_a_clock_that_jumps_an_hour_back_and_forth_leaves_the_order_to_the_index(
    house: Living, governance: Governance
) -> None:
    before = house.verified()
    times = []
    for jump in (0, -HOUR, 2 * HOUR, -HOUR, -1, HOUR, -HOUR):
        house.clock.advance(jump)
        times.append(house.clock())
        threats.signed(house.service, house.clock(), 1)
    told = house.log()[before:]
    assert [entry.t for entry in told] == times != sorted(times)
    with house.service.database.reading() as tx:
        places = ledger.places_of(tx, [entry.id for entry in told])
    # An id that sorts before an older one finds its own entry all the same.
    assert [places[entry.id] for entry in told] == list(range(before, before + len(times)))
    assert governance("audit", "reindex").code == 0
    assert governance("audit", "verify").code == 0


# --- people who may


def test_what_an_officer_reads_is_in_the_log_and_a_large_export_needs_somebody_else(
    house: Living, wire: Wire
) -> None:
    before = house.size()
    session = house.sign_in(world.OFFICER)
    assert wire.get("/v1/audit/entries?q=action:read", session=session).status_code == 200
    (looked,) = house.log()[before:]
    assert (looked.act, looked.actor.party.id) == ("audit.searched", world.OFFICER.id)
    export = waiting_export(house)
    greedy = house.sign_in(SECOND)
    path = f"/v1/audit/exports/{export}"
    assert wire.get(f"{path}/download", session=greedy).status_code == 409
    approved = wire.post(f"{path}/approve", {}, cookie=f"governance_session={greedy}")
    assert (approved.status_code, approved.json()["code"]) == (403, "second_person_needed")
    assert wire.get(f"{path}/download", session=greedy).status_code == 409
    assert "export.downloaded" not in {entry.act for entry in house.log()}


# --- payloads

PAYLOADS = (
    '=HYPERLINK("http://evil.example","x")',
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "＝1+1",
    "\t=1",
    "\r\n2026-01-01 permit",
    "\x1b[2J\x1b[31mred",
    "\x9b31mred",
    "\u202eetirw",
    "\u2066hidden\u2069",
    "\u200b\ufeff",
    "\x01end",
    "\u2028next",
    "<script>alert(1)</script>",
    "');DROP TABLE audit_entry;--",
)
STEERING = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


@pytest.fixture
def poisoned(house: Living) -> Living:
    """A house whose log has each payload in the parts of an entry that take free text."""
    caller = Actor(Party(ActorType.SERVICE, world.CRM.id))
    entries = [
        Entry(
            house.clock(), Kind.DECISION, "read", Verdict.PERMIT, caller,
            purpose=one, request=one, corr=one, resource=one,
        )
        for one in PAYLOADS
    ]  # fmt: skip
    with house.service.database.transaction() as tx:
        ledger.append(tx, entries)
        tx.commit()
    return house


def test_no_payload_in_the_log_steers_what_shows_it(
    poisoned: Living, wire: Wire, governance: Governance, tmp_path: Path
) -> None:
    size = poisoned.size()
    first = size - len(PAYLOADS)
    session = poisoned.sign_in(world.OFFICER)
    answer = wire.get(f"/v1/audit/entries?q={quote('action:read')}&limit={len(PAYLOADS)}", session=session)
    assert {one["request"] for one in answer.json()["entries"]} == set(PAYLOADS)
    page = wire.get(f"/console/audit?q={quote('action:read')}", session=session)
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    for words in ((), ("--json",)):
        said = governance("audit", "search", "action:read", *words)
        assert said.code == 0
        assert STEERING.findall(said.out) == []
    out = tmp_path / "export.zip"
    exported = governance("audit", "export", "--from", str(first), "--to", str(size), "--out", str(out))
    assert exported.code == 0
    with zipfile.ZipFile(out) as bundle:
        text = bundle.read("entries.csv").decode("utf-8-sig")
        lines = bundle.read("entries.jsonl").decode()
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert len(rows) == 1 + len(PAYLOADS)
    assert not [cell for row in rows for cell in row if cell[:1] in tuple("=+-@\t\r\n＝")]
    assert STEERING.findall(text.replace("\r\n", "\n")) == []
    assert STEERING.findall(lines) == []
    assert governance("audit", "verify", "--bundle", str(out)).code == 0
