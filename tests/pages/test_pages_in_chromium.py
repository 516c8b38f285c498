"""The pages in a real browser: both languages, phone and desktop, no script, no violation of the policy."""

from __future__ import annotations

from pathlib import Path

import pytest
from page_stage import DESKTOP, LANGUAGES, PHONE, SIZES, Served, screenshots, stays_within, visit
from playwright.sync_api import Browser

from audit import ledger
from governance import world
from governance.story import effects
from governance.traffic import Reading
from governance.world import Office, fixed_id
from policies.identifiers import Prefix
from policies.terms import ActorId, Effect, Role, SubjectId

pytestmark = pytest.mark.browser

MIXED = {Effect.SHOW, Effect.MASK, Effect.HIDE}


@pytest.mark.parametrize("spoken", LANGUAGES)
@pytest.mark.parametrize("device", SIZES)
def test_the_members_pages_work_without_scripts(
    chromium: Browser, served: Served, tmp_path: Path, spoken: str, device: str
) -> None:
    pictures = screenshots(tmp_path)
    with visit(chromium, served, world.ZHANG_LI, spoken, SIZES[device], java_script_enabled=False) as (
        page,
        complaints,
    ):
        assert page.locator("h1").inner_text() == {"zh": "谁看过我", "en": "Who looked at my data"}[spoken]
        assert page.locator(".card.stop").count() >= 2
        page.screenshot(path=pictures / f"member-{spoken}-{device}.png")
        page.locator("nav a").nth(1).click()
        assert page.locator(".consent button").count() >= 1
        page.screenshot(path=pictures / f"consents-{spoken}-{device}.png")
        assert complaints == []


@pytest.mark.parametrize("spoken", LANGUAGES)
@pytest.mark.parametrize("device", SIZES)
def test_the_officers_pages_show_the_list_and_the_ladder(
    chromium: Browser, served: Served, tmp_path: Path, spoken: str, device: str
) -> None:
    pictures = screenshots(tmp_path)
    with served.stage.service.database.reading() as tx:
        entries = [entry for _, entry in ledger.recent(tx, None, 200)]
    decision = next(entry.decision for entry in entries if {one.effect for one in entry.fields} == MIXED)
    with visit(chromium, served, world.OFFICER, spoken, SIZES[device]) as (page, complaints):
        assert page.locator("tbody tr").count() >= 10
        page.screenshot(path=pictures / f"decisions-{spoken}-{device}.png")
        page.goto(f"/console/decisions/{decision}")
        assert page.locator(".rung").count() == 7
        page.screenshot(path=pictures / f"decision-{spoken}-{device}.png")
        assert complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_dark_mode_and_double_size_fit_the_phone_and_every_target_is_large_enough(
    chromium: Browser, served: Served, tmp_path: Path, scheme: str
) -> None:
    doubled = {"width": 195, "height": 422}
    with visit(chromium, served, world.LI_QIANG, "zh", doubled, color_scheme=scheme) as (page, complaints):
        for path in ("/centre", "/centre/consents"):
            page.goto(path)
            assert stays_within(page)
            boxes = [one.bounding_box() for one in page.locator("a:not(.skip), button").all()]
            assert all(box["height"] >= 44 and box["width"] >= 44 for box in boxes)
        page.set_viewport_size(PHONE)
        page.goto("/centre")
        if scheme == "dark":
            page.screenshot(path=screenshots(tmp_path) / "member-zh-phone-dark.png")
        ground = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        assert ground == {"light": "rgb(245, 246, 243)", "dark": "rgb(18, 23, 25)"}[scheme]
        assert complaints == []


def test_a_hostile_name_stays_text(chromium: Browser, served: Served) -> None:
    label = '<img src=x onerror="alert(1)"><script>alert(2)</script>{{ 7*7 }}'
    staff = Office("hostile", Prefix.STAFF, label)
    service = served.stage.service
    with service.database.transaction() as tx:
        now = service.clock()
        service.lifecycle.add_actor(tx, ActorId(staff.id), label, (), now)
        service.lifecycle.assign(tx, SubjectId(world.ZHANG_LI.id), ActorId(staff.id), Role("agent"), now)
        tx.commit()
    assert staff.id == fixed_id(Prefix.STAFF, "hostile")
    decision = served.stage.read(Reading(staff, world.ZHANG_LI, ("blood_pressure",), "service.delivery"))
    with visit(chromium, served, world.ZHANG_LI, "zh", PHONE) as (page, complaints):
        dialogs: list[str] = []
        page.on("dialog", lambda dialog: dialogs.append(dialog.message))
        page.goto("/centre")
        assert page.locator("strong", has_text=label).count() == 1
        assert page.locator("main img, main script").count() == 0
        assert (dialogs, complaints) == ([], [])
    with visit(chromium, served, world.OFFICER, "zh", DESKTOP) as (page, complaints):
        page.goto(f"/console/decisions/{decision.body['decision_id']}")
        assert label in page.locator("h1").inner_text()
        assert complaints == []


def test_one_tap_on_withdraw_makes_the_doctors_next_read_refused(chromium: Browser, served: Served) -> None:
    scene = Reading(world.DOCTOR_CHEN, world.GRANDMOTHER, ("blood_pressure",), "service.health")
    assert effects(served.stage.read(scene)) == {"blood_pressure": "show"}
    with visit(chromium, served, world.GRANDMOTHER, "zh", PHONE) as (page, complaints):
        page.locator("nav a", has_text="我的同意").click()
        page.get_by_role("button", name="撤回“健康服务”").click()
        assert "已撤回“健康服务”" in page.get_by_role("status").inner_text()
        assert effects(served.stage.read(scene)) == {"blood_pressure": "hide"}
        assert complaints == []
