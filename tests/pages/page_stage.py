"""A served world for page tests: its address, and where screenshots go."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from governance.story import Stage


@dataclass(frozen=True)
class Served:
    """The stage, and the address under which a browser finds it."""

    stage: Stage
    address: str


def screenshots(otherwise: Path) -> Path:
    """Return where pictures go: out of the way, or into docs when somebody wants new ones.

    A test run must not change the repository. For new pictures, of a world that no other test has touched:
    ``WRITE_SCREENSHOTS=1 pytest tests/pages/test_pages_in_chromium.py``
    """
    if os.environ.get("WRITE_SCREENSHOTS"):
        return Path(__file__).parents[2] / "docs" / "screenshots"
    return otherwise
