"""The verifier alone: no service, no packages, an old Python."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import audit
from audit import standalone

PARTS = (
    "__init__",
    "tree",
    "tiles",
    "note",
    "policyfile",
    "ed25519",
    "verdicts",
    "pruned",
    "comparing",
    "verify",
    "proof",
)
FOLDER = Path(audit.__file__).parent

STORY = """
from audit import verify
from audit.note import Checkpoint, parse_key
from audit.tiles import grow
from audit.tree import EMPTY, extend, leaf_hash, root

leaves = [b"leaf %d" % number for number in range(600)]
hashes = [leaf_hash(leaf) for leaf in leaves]
tiles = {(tile.level, tile.number): tile.data for tile in grow(0, hashes, lambda level, index: b"")}
tree = extend(EMPTY, hashes)
head = verify.Head("log.example", 600, root(tree), b"".join(tree.hashes), 600)
fetch = lambda level, index: tiles.get((level, index), b"")
good = verify.verify(enumerate(leaves), fetch, head)
leaves[137] = b"other"
bad = verify.verify(enumerate(leaves), fetch, head)
import sys
loaded = {name.partition(".")[0] for name in sys.modules} - {"audit", "__main__"}
foreign = sorted(loaded - set(sys.stdlib_module_names))
print(int(good.exit), int(bad.exit), bad.first.first, bad.first.what.name, foreign)
"""


@pytest.mark.parametrize("part", dict.fromkeys([*PARTS, *standalone.PARTS]))
def test_the_verifier_is_written_in_python_3_9(part: str) -> None:
    source = (FOLDER / f"{part}.py").read_text("utf-8")
    tree = ast.parse(source, feature_version=(3, 9))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "zip":
            assert not node.keywords, "zip(strict=) came with Python 3.10"
    assert "slots=True" not in source
    assert "StrEnum" not in source
    assert "bit_count()" not in source


def test_the_verifier_runs_with_the_standard_library_alone(tmp_path: Path) -> None:
    (tmp_path / "audit").mkdir()
    for part in PARTS:
        shutil.copy(FOLDER / f"{part}.py", tmp_path / "audit")
    story = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{STORY}"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", story], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "0 1 137 ALTERED []"
