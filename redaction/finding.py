"""Find personal data in a text.

Promises places in code points of the original, end exclusive, in order and without overlap; no network, no
model. What cannot be searched to the end raises (``Unreadable``, ``Unfinished``): silence would mean "nothing
found". Numbers are found by shape, check digit and company; names, addresses and health by grammar.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from redaction import words
from redaction.cues import possible_kinds
from redaction.entities import Entity, settle
from redaction.health import health_facts
from redaction.normalise import Normalised, normalise
from redaction.people import people
from redaction.places import places

if TYPE_CHECKING:
    from redaction.recognisers import Analyser


class Finder:
    """Finds personal data. Safe to share between threads; loads its engine once, at first need."""

    def __init__(self) -> None:
        self._loading = threading.Lock()
        self._analyser: Analyser | None = None

    def ready(self) -> None:
        """Load everything now: seconds and about 150 MB that the first message should not pay."""
        self._engine()
        words.ready()

    def find(self, text: str) -> tuple[Entity, ...]:
        """Return the personal data in the text.

        Raises:
            Unreadable: the text cannot be examined.
            Unfinished: the search ran out of time.
        """
        return self.search(normalise(text))

    def search(self, plain: Normalised) -> tuple[Entity, ...]:
        """Return the personal data in a text that is already normalised; places are the original's."""
        text = plain.text
        kinds = possible_kinds(text)
        found = self._engine().analyse(text, kinds) if kinds else []
        found += places(text)
        named = people(text)
        found += named
        found += health_facts(text, named)
        if not found:
            return ()
        return tuple(Entity(e.type, *plain.span(e.start, e.end), e.score) for e in settle(found))

    def _engine(self) -> Analyser:
        if self._analyser is None:
            with self._loading:
                if self._analyser is None:
                    from redaction.recognisers import Analyser  # noqa: PLC0415 - see its docstring

                    self._analyser = Analyser()
        return self._analyser
