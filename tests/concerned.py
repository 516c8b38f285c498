"""Whom each entry concerns, from leaves alone: who is named, and who lived at a home that is named.

Independent of the service's own way: where somebody lived is read from what the log says about joining and
leaving, not from the table of relations, and no search column is asked.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

from living import Living

from audit import reading
from policies.identifiers import Prefix

_CAME = {"member.added", "home.joined"}
_WENT = {"home.left", "home.removed"}
NEVER = 2**62


class Names:
    """Every pseudonym that the log ever gave, also of those whom it has forgotten since."""

    def __init__(self, house: Living) -> None:
        self._house = house
        self.ids: dict[str, str] = {}
        self.look()

    def look(self) -> None:
        """Take note of the names there are now; called before anybody can be erased."""
        for id_, name in self._house.sql("SELECT subject_id, pseudonym FROM subject_pseudonym"):
            assert self.ids.setdefault(bytes(name).hex(), id_) == id_

    def members(self) -> set[str]:
        return {id_ for id_ in self.ids.values() if id_.startswith(Prefix.MEMBER)}


def trees(house: Living) -> list[dict[str, Any]]:
    """Return every leaf as plain JSON, in order."""
    size = house.verified()
    return [json.loads(leaf) for _, leaf in reading.leaves(house.service.database.reading, size)]


def stays(log: list[dict[str, Any]], names: Names) -> dict[tuple[str, str], list[tuple[int, int]]]:
    """Return from when to when each member lived at which home."""
    found: defaultdict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    for tree in log:
        if tree["act"] not in _CAME | _WENT:
            continue
        people = [names.ids[name] for name in tree["subj"]]
        home = next(id_ for id_ in people if id_.startswith(Prefix.HOUSEHOLD))
        lived = found[people[0], home]
        if tree["act"] in _CAME:
            lived.append((tree["t"], NEVER))
        else:
            since, until = lived.pop()
            assert until == NEVER, "nobody leaves twice"
            lived.append((since, tree["t"]))
    return dict(found)


def concerned(log: list[dict[str, Any]], names: Names) -> dict[str, list[int]]:
    """Return for each member the indexes of what concerns them, newest first."""
    lived = stays(log, names)
    found: dict[str, list[int]] = {member: [] for member in names.members()}
    for index, tree in enumerate(log):
        # An ask about nobody (or about somebody erased) stands under a name that is given once and not kept.
        about = {names.ids.get(name, "") for name in tree.get("subj", ())}
        at_home = {
            member
            for (member, home), some in lived.items()
            if home in about and any(since <= tree["t"] <= until for since, until in some)
        }
        for member in at_home | (about & found.keys()):
            found[member].insert(0, index)
    return found
