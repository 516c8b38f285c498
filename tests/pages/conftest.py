"""A served world with some traffic behind it, and a real browser in front of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from page_stage import Served
from playwright.sync_api import Browser, sync_playwright

from governance.app import build
from governance.demo import throwaway
from governance.loopback import serving
from governance.story import Stage
from governance.traffic import SCENES, Reading


@pytest.fixture(scope="session")
def served() -> Iterator[Served]:
    """The seeded world after one round of traffic over HTTP."""
    with throwaway() as (service, keys), serving(build(service), 0) as port:
        stage = Stage(service, keys, port, lambda _: None)
        for scene in SCENES:
            if isinstance(scene, Reading):
                stage.read(scene)
            else:
                stage.send(scene)
        yield Served(stage, f"http://127.0.0.1:{port}")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The system's Chromium. Missing is a failure in CI and a skip elsewhere."""
    path = shutil.which("chromium")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is not installed")
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()
