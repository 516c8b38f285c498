"""Whose signatures a checkpoint needs, from a short text: verifier keys, one a line, and ``quorum k``.

The first key is the log's own and must have signed; of the keys after it (witnesses) at least ``k`` must
have, none where no quorum is named. Blank lines and lines that start with ``#`` are passed over. Standard
library only, Python 3.9.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from audit.note import Check, Key, NoteError, open_note, parse_key

MAX_POLICY: Final = 64 * 1024
_QUORUM: Final = re.compile(r"quorum[ \t]+(0|[1-9][0-9]{0,2})")


class PolicyError(ValueError):
    """The text is no policy. Names the line, never what stands there."""


class KeyPolicy(NamedTuple):
    """The log's key, the witnesses' keys, and how many of these it takes."""

    log: Key
    witnesses: tuple[Key, ...] = ()
    quorum: int = 0

    def satisfied(self, note: str, check: Check) -> bool:
        """Tell whether the signatures on a note are those that this policy asks for."""
        try:
            opened = open_note(note, [self.log, *self.witnesses], check)
        except NoteError:
            return False
        signed = {(one.name, one.key_id) for one in opened.verified}
        witnessed = sum((one.name, one.id) in signed for one in self.witnesses)
        return (self.log.name, self.log.id) in signed and witnessed >= self.quorum


def parse(text: str) -> KeyPolicy:
    """Return the policy that a text describes.

    Raises:
        PolicyError: it is malformed, names no key, names one twice, or asks for more witnesses than it names.
    """
    keys: list[Key] = []
    quorum: int | None = None
    for number, written in enumerate(text[: MAX_POLICY + 1].splitlines(), 1):
        said = written.strip()
        found = _QUORUM.fullmatch(said)
        if not said or said.startswith("#"):
            continue
        if found is None:
            keys.append(_key(said, number))
        elif quorum is None:
            quorum = int(found.group(1))
        else:
            raise PolicyError(f"line {number}: a quorum is named once")
    if len(text) > MAX_POLICY or not keys:
        raise PolicyError("a policy is short and names at least the log's key")
    if len({(one.name, one.id) for one in keys}) != len(keys) or (quorum or 0) > len(keys) - 1:
        raise PolicyError("a policy names each key once and asks for no more witnesses than it names")
    return KeyPolicy(keys[0], tuple(keys[1:]), quorum or 0)


def _key(said: str, number: int) -> Key:
    try:
        return parse_key(said)
    except NoteError as error:
        raise PolicyError(f"line {number}: {error}") from None
