"""What a bundle gives, read as anybody would read it."""

from __future__ import annotations

import io
import json
import zipfile
from base64 import b64decode


def entries_of(data: bytes) -> list[tuple[int, bytes]]:
    """Return index and leaf of every entry that a bundle gives."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        lines = archive.read("entries.jsonl").splitlines()
    return [(tree["index"], b64decode(tree["leaf_b64"])) for tree in map(json.loads, lines)]
