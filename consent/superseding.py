"""What a notice's later versions do to the consents that were given on it.

Pure. Which versions there are is a fact from outside (the published notices); this module says only what
they mean for one act of consent. A material change ends what was agreed on an older version at the instant
the new one takes effect (个人信息保护法 第十四条第二款); any other change leaves it alone. A notice that the
table does not know at all is not judged here: consents may come from other services with notices of theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final, NamedTuple


class NoticeFact(NamedTuple):
    """One published version of a notice, as far as a standing depends on it.

    ``effective_from`` and ``recorded_at`` (when it was published) are milliseconds since the epoch.
    ``material``: its changes against the version before need a new consent. ``sha256`` is the digest of the
    text, empty where it is not compared. ``processors`` are the parties it names as working for the
    controller.
    """

    id: str
    version: int
    effective_from: int
    material: bool
    sha256: str = ""
    processors: frozenset[str] = frozenset()
    recorded_at: int = 0


Notices = Mapping[str, tuple[NoticeFact, ...]]
"""All versions of each notice, by its id."""

NO_NOTICES: Final[Notices] = MappingProxyType({})


def by_id(facts: Iterable[NoticeFact]) -> Notices:
    """Return the versions sorted by notice, in the form that standings are asked with."""
    found: dict[str, tuple[NoticeFact, ...]] = {}
    for fact in facts:
        found[fact.id] = (*found.get(fact.id, ()), fact)
    return MappingProxyType(found)


def superseded_at(notices: Notices, notice: str, known_at: int | None) -> int | None:
    """Return the instant from which a consent on ``notice`` (``id@version#sha256``) no longer holds."""
    name, version, _ = _parts(notice)
    ends = [
        later.effective_from
        for later in notices.get(name, ())
        if later.material and later.version > version and (known_at is None or later.recorded_at <= known_at)
    ]
    return min(ends, default=None)


def is_forged(notices: Notices, notice: str) -> bool:
    """Say whether the notice names a version or a text that was never published under its id."""
    name, _, _ = _parts(notice)
    return name in notices and _published(notices, notice) is None


def names_processor(notices: Notices, notice: str, processor: str) -> bool:
    """Say whether the notice tells the person that this party works for the controller."""
    published = _published(notices, notice)
    return published is not None and processor in published.processors


def _published(notices: Notices, notice: str) -> NoticeFact | None:
    name, version, digest = _parts(notice)
    for fact in notices.get(name, ()):
        if fact.version == version and fact.sha256 in ("", digest):
            return fact
    return None


@lru_cache(maxsize=4096)
def _parts(notice: str) -> tuple[str, int, str]:
    text, _, digest = notice.partition("#")
    name, _, version = text.partition("@")
    # No version is older than every version: any material change ends it.
    return name, int(version) if version.isascii() and version.isdecimal() else -1, digest
