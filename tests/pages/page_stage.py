"""A served world for page tests: its address, a signed-in browser, and where screenshots go."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page

from governance.story import Stage
from governance.world import Office, Person

PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 800}
LANGUAGES = {"zh": "zh-CN", "en": "en-GB"}
SIZES = {"phone": PHONE, "desktop": DESKTOP}


@dataclass(frozen=True)
class Served:
    """The stage, and the address under which a browser finds it."""

    stage: Stage
    address: str


def screenshots(otherwise: Path) -> Path:
    """Return where pictures go: out of the way, or into docs when somebody wants new ones.

    A test run must not change the repository. ``make pictures`` takes new ones, each file of tests by itself,
    so that they show a world that no other test has touched.
    """
    if os.environ.get("WRITE_SCREENSHOTS"):
        return Path(__file__).parents[2] / "docs" / "screenshots"
    return otherwise


@contextmanager
def visit(
    chromium: Browser, served: Served, person: Person | Office, spoken: str, size: dict[str, int], **options
) -> Iterator[tuple[Page, list[str]]]:
    """Sign a person in through a link, in a fresh browser; gives the page and what its console said."""
    context = chromium.new_context(
        locale=LANGUAGES[spoken],
        viewport=size,
        base_url=served.address,
        device_scale_factor=2 if size is PHONE else 1,
        **options,
    )
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(served.stage.link(person))
    page.locator("main button").click()
    yield page, complaints
    context.close()


def stays_within(page: Page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
