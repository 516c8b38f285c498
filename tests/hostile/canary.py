"""What must never be found outside its cell, in every spelling somebody might grep for."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from ahocorasick_rs import BytesAhoCorasick

from governance import world


def seeded_values() -> list[str]:
    """Return every personal value of the seeded world."""
    people = (*world.HOMES, *(person for home in world.HOMES for person in home.members))
    return sorted({value for person in people for value in person.values.values()})


def spellings(secret: str) -> Iterator[bytes]:
    """Yield the ways in which a text may lie about: encodings, escapes, with and without separators."""
    plain = secret.replace(" ", "").replace("-", "")
    forms = {secret, plain}
    if plain.isdigit() and len(plain) == 11:
        forms |= {f"{plain[:3]} {plain[3:7]} {plain[7:]}", f"{plain[:3]}-{plain[3:7]}-{plain[7:]}"}
    if plain.isdigit() and len(plain) in (16, 18):
        forms |= {" ".join(plain[i : i + 4] for i in range(0, len(plain), 4))}
    for form in forms:
        yield form.encode()
        yield json.dumps(form)[1:-1].encode()
        yield form.encode().hex().encode()
        yield base64.b64encode(form.encode()).rstrip(b"=")[: len(form.encode()) // 3 * 4]
        if len(form) > 2:  # two signs of UTF-16 are four bytes, which turn up by chance
            yield form.encode("utf-16-le")
            yield form.encode("utf-16-be")


class Search:
    """Finds any spelling of any secret."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._names: list[str] = []
        needles: list[bytes] = []
        for secret in secrets:
            for needle in spellings(secret):
                needles.append(needle)
                self._names.append(f"{secret[:2]}… as {needle[:12]!r}…")
        self._automaton = BytesAhoCorasick(needles)

    def found_in(self, content: bytes) -> set[str]:
        return {self._names[place] for place, _, _ in self._automaton.find_matches_as_indexes(content)}

    def found_in_files(self, files: Iterable[Path]) -> dict[str, set[str]]:
        found = {str(file): self.found_in(file.read_bytes()) for file in files if file.is_file()}
        return {file: names for file, names in found.items() if names}
