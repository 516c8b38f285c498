"""The officers' desk for requests and holds, and the page behind an opt-out link, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from happenings import office_acts, person_acts
from page_stage import LANGUAGES, SIZES, Served, screenshots, stays_within, visit
from playwright.sync_api import Browser

from consent.listing import Terms
from governance import world
from governance.acting import On
from governance.app import build
from governance.demo import throwaway
from governance.identity import Caller
from governance.loopback import serving
from governance.rightsrecords import Right
from governance.rightswishes import Wish
from governance.seeding import notice
from governance.story import Stage
from governance.wiring import Service
from policies.identifiers import Prefix, new_id
from policies.terms import ActorId, Purpose, SubjectId

pytestmark = pytest.mark.browser
DAY = 86_400_000


@pytest.fixture(scope="module")
def waiting() -> Iterator[Served]:
    """A served world of its own: an erasure and a correction wait for an officer, and a legal hold stands."""
    with throwaway() as (service, keys), serving(build(service), 0) as port:
        _prepare(service)
        yield Served(Stage(service, keys, port, lambda _: None), f"http://127.0.0.1:{port}")


def _prepare(service: Service) -> None:
    crm = On(
        Caller(ActorId(world.CRM.id), Prefix.SERVICE), ActorId(world.LI_QIANG.id), new_id(Prefix.REQUEST)
    )
    now = service.clock()
    service.rights.open(
        crm,
        SubjectId(world.LI_QIANG.id),
        Wish(Right.ERASURE, "pipl", {}, "counter-2026-11"),
        now,
    )
    wish = Wish(Right.RECTIFICATION, "pipl", {"values": {"name": "李强强"}}, "")
    service.rights.open(person_acts(world.LI_QIANG), SubjectId(world.LI_QIANG.id), wish, now)
    service.holds.place(
        office_acts(world.OFFICER).caller,
        SubjectId(world.GRANDMOTHER.id),
        "诉讼中",
        now + 30 * DAY,
        now,
        request_id=new_id(Prefix.REQUEST),
    )


@pytest.mark.parametrize("spoken", LANGUAGES)
@pytest.mark.parametrize("device", SIZES)
def test_the_desk_of_requests_works_without_scripts_and_fits(
    chromium: Browser, waiting: Served, tmp_path: Path, spoken: str, device: str
) -> None:
    with visit(chromium, waiting, world.OFFICER, spoken, SIZES[device], java_script_enabled=False) as (
        page,
        complaints,
    ):
        page.goto("/console/rights")
        assert page.locator(".card.held").count() == 2
        assert page.locator(".card").count() == 3
        heading = page.locator("h1").inner_text()
        assert heading == {"zh": "个人请求", "en": "Rights requests"}[spoken]
        page.screenshot(path=screenshots(tmp_path) / f"requests-{spoken}-{device}.png", full_page=True)
        assert stays_within(page)
        assert complaints == []


def test_the_desk_of_requests_fits_a_phone_at_double_size_with_large_targets(
    chromium: Browser, waiting: Served
) -> None:
    with visit(chromium, waiting, world.OFFICER, "zh", {"width": 195, "height": 422}) as (page, complaints):
        page.goto("/console/rights")
        assert stays_within(page)
        targets = page.locator("a:not(.skip), button, select, input:not([type=hidden]), textarea")
        boxes = [one.bounding_box() for one in targets.all()]
        assert all(box["height"] >= 44 and box["width"] >= 44 for box in boxes)
        assert complaints == []


@pytest.mark.parametrize("spoken", LANGUAGES)
def test_an_opt_out_link_ends_it_with_one_button_and_without_signing_in(
    chromium: Browser, waiting: Served, tmp_path: Path, spoken: str
) -> None:
    links = waiting.stage.service.opting_out.links
    token = links.make(SubjectId(world.LI_QIANG.id), Purpose("marketing.direct"))
    context = chromium.new_context(
        locale=LANGUAGES[spoken], viewport=SIZES["phone"], base_url=waiting.address, java_script_enabled=False
    )
    page = context.new_page()
    page.goto(f"/opt-out/{token}")
    page.screenshot(path=screenshots(tmp_path) / f"opt-out-{spoken}-phone.png")
    assert page.locator("main button").count() == 1
    page.locator("main button").click()
    assert page.locator("main button").count() == 0
    page.screenshot(path=screenshots(tmp_path) / f"opted-out-{spoken}-phone.png")
    context.close()


@pytest.mark.parametrize("spoken", LANGUAGES)
def test_the_link_of_a_mail_confirms_by_its_button_and_not_by_being_looked_at(
    chromium: Browser, waiting: Served, tmp_path: Path, spoken: str
) -> None:
    service = waiting.stage.service
    terms = Terms("marketing.direct", frozenset({"outreach.sms"}), "", notice("marketing.direct"))
    member = SubjectId(world.ZHOU_MING.id)
    ticked = service.consenting.tick(person_acts(world.ZHOU_MING), member, terms, service.clock())

    def state() -> str:
        mine = service.consenting.of_member(member, service.clock())
        return next(state.value for one, state in mine if one.consent_id == ticked.consent_id)

    with visit(chromium, waiting, world.ZHOU_MING, spoken, SIZES["phone"], java_script_enabled=False) as (
        page,
        complaints,
    ):
        page.goto("/centre/outbox")
        page.screenshot(path=screenshots(tmp_path) / f"outbox-{spoken}-phone.png")
        page.locator(".card a").first.click()
        page.screenshot(path=screenshots(tmp_path) / f"confirm-{spoken}-phone.png")
        assert state() == "unconfirmed"
        box = page.locator("main button").bounding_box()
        assert box is not None
        assert box["height"] >= 44
        page.locator("main button").click()
        page.screenshot(path=screenshots(tmp_path) / f"confirmed-{spoken}-phone.png")
        assert state() == "consent_given"
        assert stays_within(page)
        assert complaints == []
