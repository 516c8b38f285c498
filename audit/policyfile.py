"""Which logs and witnesses to trust, and how many witnesses are enough: C2SP tlog-policy files.

Promises to read exactly what the specification allows, to tell every fault with its line at once, and to
judge a note by a pure function: signed by one of the logs under that log's own name, cosigned by a quorum.
Standard library only, Python 3.9, so that an auditor checks a bundle against a policy without us.
Source: c2sp.org/tlog-policy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from audit.note import (
    COSIGNATURE,
    ED25519,
    Check,
    Key,
    Note,
    NoteError,
    holds,
    parse,
    parse_checkpoint,
    parse_key,
)

NONE: Final = "none"
"""The quorum that needs no witness."""
MOST: Final = 64
"""Logs, witnesses and groups of each a file may hold; the specification asks for 32 or more."""
_OTHER_SIGNS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_BLANK: Final = re.compile(r"[ \t]+")
_COUNT: Final = re.compile(r"[1-9][0-9]{0,3}")
_LEAST_WORDS: Final = 3


class PolicyError(ValueError):
    """The policy is malformed; ``faults`` lists all that is wrong, each with its line."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class LogLine(NamedTuple):
    """A log that is trusted, and where it is (empty: not said)."""

    key: Key
    url: str


class WitnessLine(NamedTuple):
    """A witness that is known under ``name`` in this file, and its submission prefix (empty: not said)."""

    name: str
    key: Key
    url: str


class Group(NamedTuple):
    """At least ``needed`` of the members, which are witnesses or groups, must have witnessed."""

    needed: int
    members: tuple[str, ...]


class Policy(NamedTuple):
    """What a policy file says. ``quorum`` names a witness or a group, or is ``none``."""

    logs: tuple[LogLine, ...]
    witnesses: tuple[WitnessLine, ...]
    groups: Mapping[str, Group]
    quorum: str

    def cosigners(self, note: str, check: Check) -> set[str]:
        """Return the names of the witnesses whose cosignature on the note holds.

        Raises:
            NoteError: the note is malformed, or a line that names a known witness does not hold.
        """
        parsed = parse(note)
        return {one.name for one in self.witnesses if _has_signed(parsed, one.key, check)}

    def satisfied(self, note: str, check: Check) -> bool:
        """Tell whether the note is a checkpoint of one of the logs, cosigned by the quorum.

        A policy without logs says nothing about who signed: the caller knows the log from elsewhere.

        Raises:
            NoteError: it is malformed, or a line under a known name and key id does not hold.
        """
        parsed = parse(note)
        origin = parse_checkpoint(parsed.text, extended=True).origin
        own = [_has_signed(parsed, one.key, check) for one in self.logs if one.key.name == origin]
        return (any(own) or not self.logs) and self.is_quorum(self.cosigners(note, check))

    def is_quorum(self, names: set[str]) -> bool:
        """Tell whether these witnesses together are enough."""
        if self.quorum == NONE:
            return True
        met = set(names)
        for name, group in self.groups.items():  # in the order of the file: members stand before
            if sum(member in met for member in group.members) >= group.needed:
                met.add(name)
        return self.quorum in met


def _has_signed(note: Note, key: Key, check: Check) -> bool:
    lines = [one for one in note.signatures if (one.name, one.key_id) == (key.name, key.id)]
    if not all(holds(key, note.text, one.signature, check) for one in lines):
        raise NoteError("a signature on the note does not hold")
    return bool(lines)


def pinned(key: Key) -> Policy:
    """Return the policy that trusts one log's key and asks for no witness."""
    return Policy((LogLine(key, ""),), (), {}, NONE)


def parse_policy(text: str) -> Policy:
    """Return the policy in a file's text (bytes that are no UTF-8 as ``surrogateescape`` gives them).

    Raises:
        PolicyError: it breaks a rule of the specification; every fault is told.
    """
    reading = _Reading()
    if _OTHER_SIGNS.search(text) is not None:
        reading.faults.append("the file holds a control character other than tab and newline")
    lines = text.split("\n")
    if lines[-1]:
        reading.faults.append(f"line {len(lines)}: the last line does not end in a newline")
    for number, line in enumerate(lines, 1):
        words = _BLANK.split(line.strip(" \t"))
        if words[0] and not words[0].startswith("#"):
            reading.line(number, words)
    if reading.quorum is None:
        reading.faults.append("there is no quorum line; a policy without witnesses says: quorum none")
    for what, many in (("logs", reading.logs), ("witnesses", reading.witnesses), ("groups", reading.groups)):
        if len(many) > MOST:
            reading.faults.append(f"there are more than {MOST} {what}")
    if reading.faults or reading.quorum is None:
        raise PolicyError(reading.faults)
    return Policy(tuple(reading.logs), tuple(reading.witnesses), dict(reading.groups), reading.quorum)


class _Reading:
    """A file as far as it has been read."""

    def __init__(self) -> None:
        self.logs: list[LogLine] = []
        self.witnesses: list[WitnessLine] = []
        self.groups: dict[str, Group] = {}
        self.quorum: str | None = None
        self.faults: list[str] = []
        self._names: set[str] = set()
        self._members: set[str] = set()

    def line(self, number: int, words: list[str]) -> None:
        """Take one line; what is wrong with it goes to the faults."""
        steps = {"log": self._log, "witness": self._witness, "group": self._group, "quorum": self._quorum}
        step = steps.get(words[0])
        fault = "starts with none of log, witness, group, quorum" if step is None else step(words[1:])
        if fault:
            self.faults.append(f"line {number}: {fault}")

    def _log(self, words: list[str]) -> str:
        if len(words) not in (1, 2):
            return "a log line is: log KEY [URL]"
        key = _key(words[0], ED25519)
        if key is None:
            return "this is no log's verifier key (type 0x01)"
        if any(key.public == one.key.public for one in self.logs):
            return "this log's key stands in the file already"
        self.logs.append(LogLine(key, "".join(words[1:])))
        return ""

    def _witness(self, words: list[str]) -> str:
        if len(words) not in (2, 3):
            return "a witness line is: witness NAME KEY [URL]"
        key = _key(words[1], COSIGNATURE)
        if key is None:
            return "this is no witness's verifier key (type 0x04)"
        if any(key.public == one.key.public for one in self.witnesses):
            return "this witness's key stands in the file already"
        fault = self._named(words[0])
        if not fault:
            self.witnesses.append(WitnessLine(words[0], key, "".join(words[2:])))
        return fault

    def _group(self, words: list[str]) -> str:
        if len(words) < _LEAST_WORDS:
            return "a group line is: group NAME all|any|NUMBER MEMBER…"
        name, how, members = words[0], words[1], words[2:]
        count = {"all": len(members), "any": 1}.get(how)
        if count is None:
            count = int(how) if _COUNT.fullmatch(how) else 0
        if not 1 <= count <= len(members):
            return "a group needs all, any, or a number from 1 to the number of its members"
        for member in members:
            if member not in self._names:
                return "a member of a group is a witness or group named on an earlier line"
        if len(set(members)) < len(members) or self._members & set(members):
            return "each name is a member of one group, once"
        fault = self._named(name)
        if not fault:
            self.groups[name] = Group(count, tuple(members))
            self._members |= set(members)
        return fault

    def _quorum(self, words: list[str]) -> str:
        if len(words) != 1:
            return "a quorum line is: quorum NAME"
        if self.quorum is not None:
            return "there is a quorum line already"
        if words[0] != NONE and words[0] not in self._names:
            return "the quorum is none, or a witness or group named on an earlier line"
        self.quorum = words[0]
        return ""

    def _named(self, name: str) -> str:
        if name == NONE or name in self._names:
            return "this name is taken"
        self._names.add(name)
        return ""


def _key(text: str, kind: int) -> Key | None:
    try:
        return parse_key(text, kind)
    except (NoteError, UnicodeEncodeError):
        return None
