"""A rule folder as one value: what a version in the database is made of.

Promises that packing and unpacking lose nothing that the fingerprint covers, that an archive has one
spelling, and that a name inside it can lead nowhere but into the folder it is unpacked to.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from policies.book import FILES, FURTHER, RuleBook, load_book, rule_files

_LEXICON: Final = re.compile(r"lexicon/[A-Za-z0-9_-]{1,64}\.toml")


class ArchiveError(Exception):
    """These bytes are not an archive of rules."""


def pack(folder: Path) -> bytes:
    """Return all rules of a folder, with what it borrows from the packaged ones.

    The folder has been loaded before (``policies.book.load_book``), so its files are UTF-8.
    """
    texts = {name: path.read_bytes().decode() for name, path in rule_files(folder).items()}
    return spelt(texts)


def texts_of(archive: bytes) -> dict[str, str]:
    """Return the files of an archive by name.

    Raises:
        ArchiveError: the bytes are not an archive in its one spelling.
    """
    try:
        texts = json.loads(archive)
    except ValueError:
        raise ArchiveError("not an archive of rules") from None
    sound = isinstance(texts, dict) and all(
        isinstance(text, str) and (name in (*FILES, *FURTHER) or _LEXICON.fullmatch(name))
        for name, text in texts.items()
    )
    if not sound or spelt(texts) != archive:
        raise ArchiveError("not an archive of rules")
    return dict(texts)


def unpack(archive: bytes, folder: Path) -> None:
    """Write the files of an archive into an empty folder.

    Raises:
        ArchiveError: the bytes are not an archive in its one spelling.
    """
    for name, text in texts_of(archive).items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text.encode())


def book_of(archive: bytes) -> RuleBook:
    """Load and check the rules of an archive.

    Raises:
        ArchiveError: the bytes are not an archive.
        BookError: the rules have faults under this version of the program.
    """
    with TemporaryDirectory(prefix="rules-") as folder:
        unpack(archive, Path(folder))
        return load_book(Path(folder))


def spelt(texts: dict[str, str]) -> bytes:
    """Return the one spelling of an archive with these files."""
    return json.dumps(texts, ensure_ascii=False, sort_keys=True, indent=0).encode()
