"""``make mutants``: break each rule of the decision on purpose, and see whether a test notices.

Each mutant runs in a process of its own, forked from one that has already loaded the libraries; it stops at
the first test that fails. A mutant that no test can kill because it decides the same is listed with the
reason in ``equivalent.toml``; an entry that fits no surviving mutant any more is an error as well. Ends with
1 when fewer than nine of ten are killed, or when an entry lies.
"""

from __future__ import annotations

import functools
import importlib.abc
import importlib.machinery
import os
import resource
import sys
import time
import tomllib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import hypothesis
import mutating
import pytest
from mutating import Mutant

import policies.plan  # noqa: F401 - loaded once, before the forks
from policies import book

ROOT = Path(__file__).parents[2]
TABLES = [
    *("test_standing.py", "test_citing.py", "test_superseding.py", "test_prompting.py", "test_ages.py"),
    *("test_outcome.py", "test_taking_back.py", "test_restricted.py"),
]
PROPERTIES = ["test_directed_times.py", "test_directed_properties.py", "test_standing_properties.py"]
# What is quick to load and to fail comes first; the next group runs only against what is still alive.
STANDING = [[f"tests/consent/{name}" for name in group] for group in (TABLES, PROPERTIES)]
DECIDING = [
    *("test_decision.py", "test_decision_lifts.py", "test_decision_channels.py"),
    "test_decision_restricted.py",
]
DECISION = [[f"tests/governance/{name}" for name in DECIDING]]
TARGETS = {
    "consent/rules.py": STANDING,
    "consent/weighing.py": STANDING,
    "consent/facts.py": STANDING,
    "consent/superseding.py": STANDING,
    "consent/recipients.py": STANDING,
    "consent/prompting.py": STANDING,
    "consent/obliging.py": STANDING,
    "consent/ages.py": STANDING,
    "consent/resets.py": [["tests/consent/test_resets.py"]],
    "governance/decision.py": DECISION,
}
GOAL = 0.9
PATIENCE_S = 40
"""Seconds of CPU after which a mutant that does not end counts as killed; the tests alone take some eight."""
ROOM_BYTES = 2 << 30
"""Memory after which a mutant that only grows counts as killed."""
WIDE = sys.stdout.isatty()


class Instead(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives the mutant's code in place of the module's own."""

    def __init__(self, mutant: Mutant) -> None:
        self.name = mutant.file.removesuffix(".py").replace("/", ".")
        self.code = compile(mutant.code, mutant.file, "exec")

    def find_spec(self, name: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        return importlib.machinery.ModuleSpec(name, self) if name == self.name else None

    def exec_module(self, module: object) -> None:
        exec(self.code, vars(module))


def tried(mutant: Mutant | None, groups: Sequence[Sequence[str]]) -> int:
    """Fork a process that runs groups of tests against the mutant; return its id."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    resource.setrlimit(resource.RLIMIT_CPU, (PATIENCE_S, PATIENCE_S))
    resource.setrlimit(resource.RLIMIT_AS, (ROOM_BYTES, ROOM_BYTES))
    if mutant is not None:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        sys.meta_path.insert(0, Instead(mutant))
    code = 3
    try:
        # The conftest starts databases; these tests are pure and need none.
        for tests in groups:
            code = pytest.main(["-x", "-q", "--noconftest", "--assert=plain", "-o", "timeout=0", *tests])
            if code:
                break
    finally:
        sys.stdout.flush()
        os._exit(int(code))


def survivors(todo: Sequence[Mutant], workers: int) -> Iterator[tuple[Mutant, bool]]:
    """Give each mutant with whether it survived, as they finish."""
    waiting = list(reversed(todo))
    running: dict[int, Mutant] = {}
    while waiting or running:
        while waiting and len(running) < workers:
            mutant = waiting.pop()
            running[tried(mutant, TARGETS[mutant.file])] = mutant
        child, status = os.wait()
        yield running.pop(child), status == 0


def told(done: int, of: int, alive: int, since: float) -> None:
    spent = time.monotonic() - since
    left = spent / done * (of - done)
    line = f"{done}/{of} mutants, {alive} alive, {spent:.0f} s, about {left:.0f} s left"
    say(line, end="" if WIDE else "\n")


def say(line: str, end: str) -> None:
    print(f"\r{line:<78}" if WIDE else line, end=end, flush=True)


def main(wanted: Sequence[str]) -> int:
    hypothesis.settings.register_profile("mutants", derandomize=True, database=None, deadline=None)
    hypothesis.settings.load_profile("mutants")
    os.chdir(ROOT)
    book.load_book = functools.cache(book.load_book)  # the rules are read once, as in the conftest
    book.load_book(book.packaged_rules())
    # Before the forks nothing of the rooms that are mutated may have been loaded.
    assert not {name for name in sys.modules if name.partition(".")[0] in ("consent", "governance")}
    files = [file for file in TARGETS if not wanted or file in wanted]
    for groups in (STANDING, DECISION):
        if os.waitpid(tried(None, groups), 0)[1] != 0:
            print("The tests fail without any mutant.")
            return 1
    entries = tomllib.loads((ROOT / "tests/mutants/equivalent.toml").read_text("utf-8"))["equivalent"]
    excused = [f"{one['in']}: {one['change']}" for one in entries if one["in"].split()[0] in files]
    todo = [one for file in files for one in mutating.mutants((ROOT / file).read_text("utf-8"), file)]
    since, alive = time.monotonic(), []
    for done, (mutant, survived) in enumerate(survivors(todo, os.cpu_count() or 1), start=1):
        if survived:
            alive.append(mutant)
            if mutant.name not in excused:
                say(f"{mutant.file}:{mutant.line} in {mutant.scope}: {mutant.change}", end="\n")
        if WIDE or done % 50 == 0:
            told(done, len(todo), len(alive), since)
    return judged(todo, alive, excused, time.monotonic() - since)


def judged(todo: Sequence[Mutant], alive: Sequence[Mutant], excused: Collection[str], spent: float) -> int:
    """Print the figures; return the exit code."""
    print()
    equivalent = {one.name for one in alive}.intersection(excused)
    unexcused = [one for one in alive if one.name not in equivalent]
    stale = set(excused) - equivalent
    for name in sorted(stale):
        print(f"stale  equivalent.toml: {name} is killed, or there is no such mutant")
    counted = [one for one in todo if one.name not in equivalent]
    for file in dict.fromkeys(one.file for one in todo):
        tell(file, sum(one.file == file for one in unexcused), sum(one.file == file for one in counted))
    tell("all", len(unexcused), len(counted))
    print(f"{len(todo) - len(counted)} more decide the same; {spent:.0f} s")
    return 0 if len(unexcused) <= len(counted) * (1 - GOAL) and not stale else 1


def tell(what: str, lived: int, made: int) -> None:
    print(f"{what:<26} {made - lived:>4} of {made:>4} killed  {100 - 100 * lived / made:5.1f} %")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
