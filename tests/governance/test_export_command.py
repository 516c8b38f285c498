"""``governance audit export`` and ``verify --bundle`` as a script sees them."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bundle_story import entries_of
from living import Living

from audit.entry import ActorType
from governance import exportcommands
from governance.__main__ import main
from governance.exportfilter import filter_of

ON_SQLITE = pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(house: Living, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run commands on the house."""
    monkeypatch.setenv("GOVERNANCE_HOME", str(house.settings.home))
    monkeypatch.setenv("GOVERNANCE_DATABASE_URL", house.url)

    def run(*words: str) -> tuple[int, str, str]:
        try:
            code = main(words)
        except SystemExit as left:
            code = int(left.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_a_run_goes_to_a_file_that_its_key_verifies(house: Living, command: Command, tmp_path: Path) -> None:
    file, size = tmp_path / "out.zip", house.size()
    code, out, err = command("audit", "export", "--from", "2", "--out", str(file), "--json")
    assert (code, json.loads(out)) == (
        0,
        {"file": str(file), "first": 2, "end": size, "log_size": size, "entries": size - 2},
    )
    assert "100%" in err
    assert file.stat().st_mode & 0o777 == 0o600
    told = house.log()[-1]
    assert (told.act, told.n, told.actor.party.type) == ("log.exported", size - 2, ActorType.SYSTEM)
    assert told.subjects
    key = house.service.log.checkpoints.key.text
    code, out, _ = command("audit", "verify", "--bundle", str(file), "--key", key, "--json")
    found = json.loads(out)
    assert (code, found["key"], found["verifier_is_ours"]) == (0, "given", True)
    code, out, _ = command("audit", "verify", "--bundle", str(file))
    assert code == 0
    assert "自我声明" in out
    assert "self-asserted" in out


@ON_SQLITE
def test_a_changed_bundle_ends_with_its_code_and_names_the_index(
    house: Living, command: Command, tmp_path: Path
) -> None:
    file, bad = tmp_path / "out.zip", tmp_path / "bad.zip"
    command("audit", "export", "--out", str(file))
    with zipfile.ZipFile(file) as whole, zipfile.ZipFile(bad, "w") as other:
        for name in whole.namelist():
            content = whole.read(name)
            if name == "entries.jsonl":
                content = content.replace(b'{"index":31,"leaf_b64":"ey', b'{"index":31,"leaf_b64":"eX', 1)
            how = zipfile.ZIP_STORED if name == "leaf-hashes.bin" else zipfile.ZIP_DEFLATED
            other.writestr(name, content + b"# mine\n" * (name == "verify.py"), how)
    code, out, _ = command("audit", "verify", "--bundle", str(bad))
    assert code == 1
    assert "first bad index: 31" in out.splitlines()
    assert "verify.py is not the one of this program" in out
    assert house.verified()


@ON_SQLITE
def test_events_for_a_collector_are_one_line_each_and_filtered(
    house: Living, command: Command, tmp_path: Path
) -> None:
    file = tmp_path / "out.jsonl"
    words = ("audit", "export", "--format", "ocsf", "--query", "kind:change", "--out", str(file))
    size = house.size()
    assert command(*words)[0] == 0
    takes = filter_of("kind:change")
    assert takes is not None
    events = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    expected = [index for index, entry in enumerate(house.log()[:size]) if takes(index, entry)]
    assert [event["metadata"]["sequence"] for event in events] == expected
    assert {event["class_uid"] for event in events} == {6003}


@ON_SQLITE
def test_a_filtered_bundle_holds_what_was_asked_for_and_a_policy_for_its_reader(
    house: Living, command: Command, tmp_path: Path
) -> None:
    file, policy = tmp_path / "out.zip", tmp_path / "policy"
    policy.write_text(f"log {house.service.log.checkpoints.key.text}\nquorum none\n")
    words = ("audit", "export", "--query", "kind:admin", "--policy", str(policy), "--out", str(file))
    assert command(*words)[0] == 0
    assert all(b'"kind":"admin"' in leaf for _, leaf in entries_of(file.read_bytes()))
    assert zipfile.ZipFile(file).read("policy").decode() == policy.read_text()
    assert command("audit", "verify", "--bundle", str(file), "--policy", str(policy))[0] == 0


@ON_SQLITE
@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("export", "--out", "THERE"), 2),
        (("export", "--out", "NEW", "--from", "0", "--since", "2026-11-22T00:00:00Z"), 2),
        (("export", "--out", "NEW", "--since", "yesterday"), 2),
        (("export", "--out", "NEW", "--from", "9999999"), 2),
        (("export", "--out", "NEW", "--from", "-1"), 2),
        (("export", "--out", "NEW", "--query", "nonsense"), 2),
        (("export", "--out", "NEW", "--policy", "NEW"), 2),
        (("export",), 2),
        (("verify", "--bundle", "NEW"), 6),
        (("verify", "--bundle", "THERE"), 6),
        (("verify", "--key", "nonsense"), 6),
        (("verify", "--bundle", "THERE", "--key", "nonsense"), 6),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_told_with_its_code_and_nothing_is_left_behind(
    house: Living, command: Command, tmp_path: Path, words: tuple[str, ...], code: int
) -> None:
    there, new, size = tmp_path / "there", tmp_path / "new", house.size()
    there.write_text("mine")
    places = {"THERE": str(there), "NEW": str(new)}
    ended, _, err = command("audit", *(places.get(word, word) for word in words))
    assert ended == code
    assert err or words[0] == "verify"
    assert "Traceback" not in err
    assert (there.read_text(), new.exists(), house.size()) == ("mine", False, size)


def test_an_export_that_breaks_off_leaves_no_file(tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise RuntimeError

    with pytest.raises(RuntimeError), exportcommands._new_file(tmp_path / "out.zip") as file:
        file.writelines(broken())
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_made_is_told_before_anything_is_on_record(
    house: Living, command: Command, tmp_path: Path
) -> None:
    size, part = house.size(), tmp_path / "b.zip.part"
    code, _, err = command("audit", "export", "--out", str(tmp_path / "missing" / "a.zip"))
    assert (code, err.count("\n")) == (1, 1)
    part.write_bytes(b"another export, not done yet")
    code, _, err = command("audit", "export", "--out", str(tmp_path / "b.zip"))
    assert (code, err.count("\n")) == (1, 1)
    assert part.read_bytes() == b"another export, not done yet"
    assert house.size() == size
