"""The officers' search of the log and their reviews of accesses, in a real browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from page_stage import LANGUAGES, SIZES, Served, screenshots, stays_within, visit
from playwright.sync_api import Browser

from governance import world
from governance.identity import Caller
from policies.identifiers import Prefix
from policies.terms import ActorId

pytestmark = pytest.mark.browser
TARGETS = "a:not(.skip), button, select, input:not([type=hidden]), textarea"
ASKED = "action:read -decision:permit"
HEADING = {"zh": "检索日志", "en": "Search the log"}


@pytest.mark.parametrize("spoken", LANGUAGES)
@pytest.mark.parametrize("device", SIZES)
def test_the_search_of_the_log_works_without_scripts_and_fits(
    chromium: Browser, served: Served, tmp_path: Path, spoken: str, device: str
) -> None:
    with visit(chromium, served, world.OFFICER, spoken, SIZES[device], java_script_enabled=False) as (
        page,
        complaints,
    ):
        page.goto("/console/audit")
        page.locator("#q").fill(ASKED)
        page.locator("form.search button").click()
        assert page.locator("h1").inner_text() == HEADING[spoken]
        assert page.locator("#q").input_value() == ASKED
        assert page.locator("tbody tr").count() > 0
        page.screenshot(path=screenshots(tmp_path) / f"search-{spoken}-{device}.png", full_page=True)
        assert stays_within(page)
        assert complaints == []


@pytest.mark.parametrize("path", ["/console/audit", "/console/audit?q=read", "/console/access-reviews"])
def test_the_desks_of_the_log_fit_a_phone_at_double_size_with_large_targets(
    chromium: Browser, served: Served, path: str
) -> None:
    with visit(chromium, served, world.OFFICER, "zh", {"width": 195, "height": 422}) as (page, _):
        page.goto(path)
        assert stays_within(page)
        boxes = [one.bounding_box() for one in page.locator(TARGETS).all() if one.is_visible()]
        assert all(box["height"] >= 44 and box["width"] >= 44 for box in boxes)


def test_the_cards_of_reviews_stand_apart(chromium: Browser, served: Served) -> None:
    service = served.stage.service
    for reader in (world.WANG_MIN, world.DOCTOR_CHEN):
        service.log.oversight.lifting.ask(
            Caller(ActorId(reader.id), Prefix.STAFF),
            ActorId(reader.id),
            100,
            400,
            4,
            "回访",
            "req",
            service.clock(),
        )
    with visit(chromium, served, world.OFFICER, "zh", SIZES["phone"]) as (page, complaints):
        page.goto("/console/access-reviews")
        first, second = (one.bounding_box() for one in page.locator(".card", has_text="每小时").all()[:2])
        assert second["y"] - first["y"] - first["height"] >= 8
        assert complaints == []


def test_counts_say_what_people_call_things(chromium: Browser, served: Served) -> None:
    with visit(chromium, served, world.OFFICER, "zh", SIZES["desktop"]) as (page, complaints):
        page.goto(f"/console/audit?q={ASKED.replace(' ', '+')}")
        said = page.locator(".facets").inner_text()
        assert "拒绝" in said
        assert "亲属照护" in said
        assert "没有规则允许这次访问。" in said
        assert not re.search(r"[0-9a-f]{32}", said)
        assert complaints == []
