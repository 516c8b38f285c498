"""Who watches the log from outside: the policy file of the witnesses, and the outside copies.

Part of the settings, read with them, strictly: every fault of both files is told at the start. The policy is
a C2SP tlog-policy file, so that it can be handed to whoever checks a bundle. The copies are lines of our own:
``file PATH``, ``webhook URL [every SECONDS]``, ``mail ADDRESS [every SECONDS]``; ``#`` starts a comment.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parseaddr
from pathlib import Path
from typing import Final

from audit.policyfile import Policy, PolicyError, parse_policy
from governance.egress import Egress, ForbiddenTargetError

NAMES: Final = {
    "WITNESSES": "a file: which witnesses sign the log's checkpoints and how many must (C2SP tlog-policy)",
    "CHECKPOINT_COPIES": "a file: where checkpoints are copied to, a line each: file, webhook or mail",
}
_KINDS: Final = {"file": 0, "webhook": 60, "mail": 86_400}
"""How many seconds lie between two copies, where the line does not say."""
_LEAST: Final = {"webhook": 1, "mail": 600}
_SECONDS: Final = re.compile(r"[1-9][0-9]{0,6}")
_WITH_EVERY: Final = 4
_PLAIN: Final = 2
_OPERATORS: Final = Egress(inside=True)

Fault = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Copy:
    """One place that checkpoints are copied to: ``file``, ``webhook`` or ``mail``, and how often at most."""

    kind: str
    where: str
    every_s: int


@dataclass(frozen=True, slots=True)
class Watched:
    """Who watches. Without a policy file no witness is asked and every checkpoint counts as witnessed."""

    policy: Policy
    copies: tuple[Copy, ...]


UNWATCHED: Final = Watched(Policy((), (), {}, "none"), ())


def read_watched(given: Mapping[str, str], fault: Fault, *, mail: bool, loopback: bool) -> Watched:
    """Return this part of the settings; what is wrong goes to ``fault`` as a name and a sentence.

    ``mail`` says whether there is a mail server, ``loopback`` whether webhooks may go to this machine.
    """
    policy = UNWATCHED.policy
    if (text := _text(given, "WITNESSES", fault)) is not None:
        policy = _policy(text, fault) or policy
    copies: list[Copy] = []
    if (text := _text(given, "CHECKPOINT_COPIES", fault)) is not None:
        for number, line in enumerate(text.split("\n"), 1):
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            found = _copy(words, mail=mail, egress=Egress(loopback=loopback))
            if isinstance(found, str):
                fault("CHECKPOINT_COPIES", f"line {number}: {found}")
            elif any((one.kind, one.where) == (found.kind, found.where) for one in copies):
                fault("CHECKPOINT_COPIES", f"line {number}: this place stands in the file already")
            else:
                copies.append(found)
    return Watched(policy, tuple(copies))


def _text(given: Mapping[str, str], word: str, fault: Fault) -> str | None:
    if not given.get(word):
        return None
    try:
        return Path(given[word]).read_bytes().decode("utf-8", "surrogateescape")
    except OSError as error:
        fault(word, f"cannot be read ({error.strerror})")
        return None


def _policy(text: str, fault: Fault) -> Policy | None:
    try:
        policy = parse_policy(text)
    except PolicyError as error:
        for one in error.faults:
            fault("WITNESSES", one)
        return None
    for witness in policy.witnesses:
        try:
            _OPERATORS.target(address_of(witness.url))
        except ForbiddenTargetError:
            fault("WITNESSES", f"witness {witness.name}: its line ends with the address to ask it at")
    return policy


def address_of(url: str) -> str:
    """Return where a witness is asked: its submission prefix and the name of the call."""
    return url.rstrip("/") + "/add-checkpoint"


def _copy(words: list[str], *, mail: bool, egress: Egress) -> Copy | str:
    kind, count = words[0], len(words)
    if kind not in _KINDS or count not in (_PLAIN, _WITH_EVERY):
        return "a line is: file PATH, webhook URL [every SECONDS], or mail ADDRESS [every SECONDS]"
    every = _KINDS[kind]
    if count == _WITH_EVERY:
        if kind not in _LEAST or words[2] != "every" or not _SECONDS.fullmatch(words[3]):
            return "only a webhook and a mail have: every SECONDS"
        every = int(words[3])
    if kind in _LEAST and every < _LEAST[kind]:
        return f"a {kind} goes out at most every {_LEAST[kind]} seconds"
    return _placed(kind, words[1], mail=mail, egress=egress) or Copy(kind, words[1], every)


def _placed(kind: str, where: str, *, mail: bool, egress: Egress) -> str:
    if kind == "file":
        path = Path(where)
        return "" if path.is_absolute() and path.parent.is_dir() else "a file is an absolute path in a folder"
    if kind == "mail":
        if parseaddr(where)[1] != where or "@" not in where:
            return "a plain e-mail address"
        return "" if mail else "a mail needs GOVERNANCE_SMTP_URL and GOVERNANCE_SMTP_FROM"
    try:
        egress.target(where)
    except ForbiddenTargetError as error:
        return f"a webhook's address is https and public ({error.word})"
    return ""
