"""Builds ``verify.py``: the verifier of bundles in one file, from the very sources that run here.

Promises that the file holds each module word for word, so that reading it is reading this package, and that
it needs Python 3.9 or later and nothing else: no packages, no network, no settings.
"""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

PARTS: Final = (
    "tree",
    "tiles",
    "ed25519",
    "note",
    "verdicts",
    "ranges",
    "spelling",
    "pruned",
    "bundlepruned",
    "policyfile",
    "bundlefile",
    "bundlerows",
    "bundlecheck",
    "bundlemain",
)
"""The modules of this package in the file, each after those it imports."""
_HEAD: Final = '''#!/usr/bin/env python3
"""Checks an export of a tamper-evident log, offline: python3 verify.py EXPORT.zip [--key KEY | --policy FILE]

Needs Python 3.9 or later and nothing else. Exit codes: 0 in order, 1 altered, 2 rolled back or cut, 3 forked,
4 not signed as it must be, 5 incomplete, 6 usage or no such export. It is made of the modules below, word for
word as they stand in the package. A verifier that comes with what it verifies is worth as much as its sender:
compare this file's SHA-256 with one from a source of your own, or use a copy that you trust.
"""

import sys
from types import ModuleType

if sys.version_info < (3, 9):
    sys.exit("Python 3.9 or later is needed")
sys.modules["audit"] = ModuleType("audit")


def _module(name, source):
    module = sys.modules["audit." + name] = ModuleType("audit." + name)
    setattr(sys.modules["audit"], name, module)
    exec(compile(source, "audit/" + name + ".py", "exec"), module.__dict__)


'''
_TAIL: Final = """
if __name__ == "__main__":
    sys.exit(sys.modules["audit.bundlemain"].main(sys.argv[1:]))
"""


@cache
def source() -> str:
    """Return the text of ``verify.py``.

    Raises:
        ValueError: a module holds what would end its quotes; the tests keep that from happening.
    """
    folder = Path(__file__).parent
    return _HEAD + "".join(_part(name, (folder / f"{name}.py").read_text("utf-8")) for name in PARTS) + _TAIL


def digest() -> str:
    """Return the SHA-256 of ``verify.py`` in hex, as it stands in bundles made by this program."""
    return sha256(source().encode()).hexdigest()


def _part(name: str, text: str) -> str:
    if "'''" in text or text.endswith("\\"):
        raise ValueError(f"audit.{name} cannot stand between three single quotes")
    return f"_module({name!r}, r'''{text}''')\n"
