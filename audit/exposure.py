"""Adds up, from leaves alone, whose which fields somebody could have seen: the heart of an incident dossier.

Promises to leave nothing out that the leaves tell: what was shown, masked or admitted to exist, what a
service was told it may use, messages that were let through, and every other thing done about a person, each
with how often, first and last, by whom, for whom and for which purpose. Pure: leaves in, figures out. It
counts too much rather than too little (what was allowed and then did not open counts as seen).
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeVar

import orjson

from audit.entry import Verdict
from policies.terms import Effect, Outcome

_RELEASING: Final = frozenset({"read", "check"})
"""What hands fields out: a read, and a check by a service that holds the values itself."""
_SEEN: Final = frozenset({Effect.SHOW.value, Effect.MASK.value, Effect.EXISTS.value})
_PERMIT: Final = Verdict.PERMIT.value
_ADMIT: Final = Outcome.ADMIT.value
_NOBODY: Final = ("",)
NEVER: Final = 2**62


class Wanted(NamedTuple):
    """Whose acts, and when: an actor as the log names it (empty: anybody), ``since <= t < until`` in ms."""

    actor: str = ""
    since: int = 0
    until: int = NEVER


class Through(NamedTuple):
    """By whom, for whom (empty: for itself) and for which purpose."""

    by: str
    behalf: str
    purpose: str


class FieldSeen(NamedTuple):
    """What was seen of one field of one subject (a pseudonym in hex); ``act`` is ``read`` or ``check``."""

    subject: str
    field: str
    effect: str
    act: str
    through: Through


class Told(NamedTuple):
    """Messages that were let through to one subject over one channel."""

    subject: str
    channel: str
    through: Through


class Done(NamedTuple):
    """Anything else that was done about one subject; an empty subject: about nobody by name."""

    subject: str
    act: str
    through: Through


@dataclass(slots=True)
class Times:
    """How often, first and last (milliseconds); ``n`` adds up the values or rows of the entries."""

    count: int = 0
    first: int = NEVER
    last: int = 0
    n: int = 0

    def merge(self, other: Times) -> None:
        """Count what another counted."""
        self.count += other.count
        self.n += other.n
        self.first = min(self.first, other.first)
        self.last = max(self.last, other.last)


class Figures(NamedTuple):
    """What was added up, by what was seen, told or done."""

    fields: dict[FieldSeen, Times]
    messages: dict[Told, Times]
    others: dict[Done, Times]


_Key = TypeVar("_Key", FieldSeen, Told, Done)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the collector of cycles away: a million small objects make none."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


class _Shape(NamedTuple):
    """What entries of one kind have in common; many entries about one subject share few shapes."""

    act: str
    by: str
    behalf: str
    purpose: str
    seen: tuple[str, ...]
    """Field, effect, field, effect …; for a message its channel alone."""


class Exposure:
    """Adds up leaves. ``blocked``: stopped attempts; ``failed``: what was allowed and did not open.

    Entries are counted by subject and shape, and told field by field at the end: a log of a million entries
    has few shapes, and one dictionary look-up an entry is what there is time for.
    """

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.entries = self.blocked = self.failed = self.unreadable = 0
        self._shapes: dict[_Shape, int] = {}
        self._times: dict[tuple[str, int], list[int]] = {}

    def subjects(self) -> set[str]:
        """Return the pseudonyms of everybody concerned."""
        return {subject for subject, _ in self._times} - {""}

    def take(self, leaves: Iterable[tuple[int, bytes]]) -> None:
        """Add the leaves that are wanted; a leaf that is no entry is counted as unreadable."""
        with _uncollected():
            for _, leaf in leaves:
                try:
                    self._take(orjson.loads(leaf))
                except (ValueError, KeyError, TypeError, AttributeError):
                    self.unreadable += 1

    def figures(self, name_of: Callable[[str], str]) -> Figures:
        """Return what was added up, with subjects under the names that ``name_of`` gives their pseudonyms.

        Subjects of one name are counted together.
        """
        found = Figures({}, {}, {})
        shapes = [(shape, Through(shape.by, shape.behalf, shape.purpose)) for shape in self._shapes]
        with _uncollected():
            for (pseudonym, number), (count, first, last, n) in self._times.items():
                shape, through = shapes[number]
                subject = name_of(pseudonym) if pseudonym else ""
                if shape.act in _RELEASING:
                    for name, effect in zip(shape.seen[::2], shape.seen[1::2], strict=True):
                        key = FieldSeen(subject, name, effect, shape.act, through)
                        _merge(found.fields, key, Times(count, first, last, n))
                elif shape.seen:
                    _merge(
                        found.messages, Told(subject, shape.seen[0], through), Times(count, first, last, n)
                    )
                else:
                    _merge(found.others, Done(subject, shape.act, through), Times(count, first, last, n))
        return found

    def _take(self, tree: dict[str, Any]) -> None:
        actor, t = tree["actor"], tree["t"]
        by, person = actor["id"], actor.get("on_behalf_of")
        behalf = "" if person is None else person["id"]
        wanted = self.wanted
        if not wanted.since <= t < wanted.until or (wanted.actor and wanted.actor not in (by, behalf)):
            return
        act = tree["act"]
        if tree["dec"] != _PERMIT:
            self.failed += act == "read.failed"
            self.blocked += act != "read.failed"
            self.entries += 1
            return
        seen: tuple[str, ...] = ()
        if act in _RELEASING:
            found = [(one["field"], one["effect"]) for one in tree["fields"] if one["effect"] in _SEEN]
            seen = tuple([word for pair in found for word in pair])
        elif "msg" in tree and tree["msg"]["outcome"] == _ADMIT:
            seen = (tree["msg"]["channel"],)
        shape = (act, by, behalf, tree.get("purpose", ""), seen)
        shapes = self._shapes
        number = shapes.get(shape)  # type: ignore[call-overload]
        if number is None:
            number = shapes[_Shape(*shape)] = len(shapes)
        n = tree.get("n", 0)
        for subject in tree.get("subj") or _NOBODY:
            times = self._times.get((subject, number))
            if times is None:
                self._times[subject, number] = [1, t, t, n]
            else:
                times[0] += 1
                if t < times[1]:
                    times[1] = t
                elif t > times[2]:
                    times[2] = t
                times[3] += n
        self.entries += 1


def _merge(table: dict[_Key, Times], key: _Key, times: Times) -> None:
    known = table.setdefault(key, times)
    if known is not times:
        known.merge(times)
