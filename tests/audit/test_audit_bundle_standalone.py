"""``verify.py``: one file, word for word this package, that an old Python without packages can run."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from audit_making import a_signer
from bundle_making import SIZE, lines_changed, made, members, small_log

import audit
from audit import standalone
from audit.bundlefile import CSV, VERIFIER

FOLDER = Path(audit.__file__).parent


def old_python() -> str:
    found = shutil.which("python3.9")
    works = found and subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0
    return found if found and works else ""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What an auditor has: the bundle, and the verifier taken out of it."""
    log = small_log()
    data = made(log, 100, 500)
    (tmp_path / "export.zip").write_bytes(data)
    (tmp_path / "verify.py").write_bytes(members(data)[VERIFIER])
    altered = lines_changed(data, lambda lines: lines.__setitem__(57, lines[57].replace(b'"n":2', b'"n":3')))
    (tmp_path / "shown.zip").write_bytes(altered)
    (tmp_path / "table.zip").write_bytes(
        lines_changed(data, lambda rows: rows.__setitem__(9, rows[9].replace(b"sms", b"")[::-1]), CSV)
    )
    (tmp_path / "noise.zip").write_bytes(data[:900])
    (tmp_path / "policy").write_text(f"log {a_signer(seed=8).key.text}\nquorum none\n")
    (tmp_path / "nobody").write_text("quorum none\n")
    (tmp_path / "known").write_text(log.note(300))
    (tmp_path / "later").write_text(small_log(SIZE + 5).note())
    return tmp_path


def run(folder: Path, *arguments: str, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, "-I", "-S", "verify.py", *arguments],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


CASES: Sequence[tuple[int, str, tuple[str, ...]]] = [
    (0, "none missing", ("export.zip",)),
    (0, "self-asserted", ("export.zip",)),
    (0, "none missing", ("export.zip", "--key", a_signer().key.text)),
    (0, "agrees with the checkpoint", ("export.zip", "--known", "known")),
    (1, "first bad index: 157", ("shown.zip",)),
    (1, "first bad index: 108", ("table.zip",)),
    (2, "rolled back", ("export.zip", "--known", "later")),
    (4, "lacks the signatures", ("export.zip", "--key", a_signer(seed=8).key.text)),
    (4, "lacks the signatures", ("export.zip", "--policy", "policy")),
    (6, "no bundle", ("noise.zip",)),
    (6, "no bundle", ("verify.py",)),
]


@pytest.mark.parametrize(("code", "words", "arguments"), CASES)
def test_it_ends_with_the_code_of_the_contract_and_says_why(
    folder: Path, code: int, words: str, arguments: tuple[str, ...]
) -> None:
    done = run(folder, *arguments)
    assert (done.returncode, done.stderr) == (code, "")
    assert words in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("nowhere.zip",),
        (".",),
        ("export.zip", "--key", "nonsense"),
        ("export.zip", "--policy", "export.zip"),
        ("export.zip", "--policy", "nowhere"),
        ("export.zip", "--policy", "nobody"),
        ("export.zip", "--policy", "policy", "--key", a_signer().key.text),
        ("export.zip", "--known", "nowhere"),
        ("export.zip", "--nonsense"),
    ],
)
def test_wrong_use_is_code_six_and_told_on_stderr(folder: Path, arguments: tuple[str, ...]) -> None:
    done = run(folder, *arguments)
    assert (done.returncode, done.stdout) == (6, "")
    assert done.stderr
    assert "Traceback" not in done.stderr


def test_it_prints_json_where_a_program_asks(folder: Path) -> None:
    found = json.loads(run(folder, "shown.zip", "--json").stdout)
    assert (found["exit"], found["first_bad_index"], found["key"]) == (1, 157, "self-asserted")
    assert found["run"] == {"first": 100, "end": 500}


@pytest.mark.skipif(not old_python(), reason="no Python 3.9 here")
def test_a_real_python_3_9_says_the_same(folder: Path) -> None:
    for arguments in (("export.zip",), ("shown.zip", "--json"), ("noise.zip",)):
        ours, theirs = run(folder, *arguments), run(folder, *arguments, python=old_python())
        assert (theirs.returncode, theirs.stdout, theirs.stderr) == (
            ours.returncode,
            ours.stdout,
            ours.stderr,
        )


def test_the_file_holds_every_module_word_for_word_and_nothing_else() -> None:
    built = standalone.source()
    for part in standalone.PARTS:
        text = (FOLDER / f"{part}.py").read_text("utf-8")
        assert built.count(text) == 1
        built = built.replace(f"_module({part!r}, r'''{text}''')\n", "")
    assert built == standalone._HEAD + standalone._TAIL


def test_the_file_in_a_bundle_is_the_one_that_the_sources_give() -> None:
    assert members(made(small_log(9), 0, 9))[VERIFIER].decode() == standalone.source()


def test_the_whole_file_is_written_in_python_3_9() -> None:
    tree = ast.parse(standalone.source(), feature_version=(3, 9))
    held = [
        one.args[1]
        for one in ast.walk(tree)
        if isinstance(one, ast.Call) and getattr(one.func, "id", "") == "_module"
    ]
    assert len(held) == len(standalone.PARTS)
    for source in held:
        assert isinstance(source, ast.Constant)
        ast.parse(str(source.value), feature_version=(3, 9))


@pytest.mark.parametrize("part", standalone.PARTS)
def test_a_part_imports_the_standard_library_and_earlier_parts_only(part: str) -> None:
    earlier = standalone.PARTS[: standalone.PARTS.index(part)]
    for node in ast.walk(ast.parse((FOLDER / f"{part}.py").read_text("utf-8"))):
        names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module == "audit":
            assert {one.name for one in node.names} <= set(earlier)
        elif isinstance(node, ast.ImportFrom):
            names = [str(node.module)]
        for name in names:
            first, _, rest = name.partition(".")
            assert (first == "audit" and rest in earlier) or first in sys.stdlib_module_names, name


def test_a_module_that_would_end_its_quotes_is_not_built() -> None:
    for text in ("x = '''a'''\n", "x = 1\\"):
        with pytest.raises(ValueError, match="cannot stand"):
            standalone._part("tree", text)
