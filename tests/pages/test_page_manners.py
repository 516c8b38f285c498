"""Who may open which page, what a form needs, and what every page carries."""

from __future__ import annotations

import re
from http.client import HTTPConnection

import pytest
from page_stage import Served

from audit import ledger
from governance import world
from governance.demo import headless
from governance.loopback import Visitor
from governance.pages import POLICY
from governance.traffic import Reading

PAGES = ("/centre", "/centre/consents", "/console", "/console/decisions", "/console/access-reviews")
FORM = {"content-type": "application/x-www-form-urlencoded"}


def raw(
    served: Served, method: str, path: str, body: str = "", **headers: str
) -> tuple[int, dict[str, str], str]:
    connection = HTTPConnection("127.0.0.1", served.stage.port, timeout=30)
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body or None, sent)
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, {name.lower(): value for name, value in response.getheaders()}, text


def session_of(served: Served, person: world.Person | world.Office) -> str:
    status, headers, _ = raw(
        served, "POST", served.stage.link(person), "x=1", sec_fetch_site="same-origin", **FORM
    )
    assert status == 303
    cookie = headers["set-cookie"]
    assert {"HttpOnly", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
    return cookie.partition(";")[0]


def consent_and_token(served: Served, cookie: str) -> tuple[str, str]:
    _, _, text = raw(served, "GET", "/centre/consents", cookie=cookie)
    found = re.search(r"/centre/consents/(con_[^/]+)/withdraw.*?value=\"([0-9a-f]{64})\"", text)
    assert found is not None
    return found[1], found[2]


@pytest.mark.parametrize("path", PAGES)
def test_every_page_needs_its_sign_in_and_says_so_kindly(served: Served, path: str) -> None:
    status, headers, text = raw(served, "GET", path)
    assert status == 401
    assert headers["content-type"].startswith("text/html")
    assert "请先登录" in text


@pytest.mark.parametrize(
    ("person", "path", "status"),
    [
        (world.ZHANG_LI, "/centre", 200),
        (world.ZHANG_LI, "/console/decisions", 404),
        (world.ZHANG_LI, "/console", 404),
        (world.OFFICER, "/console/decisions", 200),
        (world.OFFICER, "/centre", 404),
        (world.OFFICER, "/centre/consents", 404),
        (world.AUDITOR, "/console/decisions", 200),
        (world.OFFICER, "/console/access-reviews", 200),
        (world.AUDITOR, "/console/access-reviews", 404),
        (world.ZHANG_LI, "/console/access-reviews", 404),
        (world.WANG_MIN, "/console/decisions", 404),
        (world.DOCTOR_CHEN, "/centre", 404),
        (world.OFFICER, "/console/decisions/dec_019a0000-0000-7000-8000-000000000000", 404),
        (world.OFFICER, "/console/decisions/nonsense", 422),
        (world.OFFICER, "/console/decisions?before=invented", 404),
        (world.ZHANG_LI, "/centre?before=invented", 404),
        (world.ZHANG_LI, "/centre/nowhere", 404),
    ],
)
def test_each_page_is_open_to_its_own_people_only(served: Served, person, path: str, status: int) -> None:
    found, headers, _ = raw(served, "GET", path, cookie=session_of(served, person))
    assert found == status
    assert headers["content-type"].startswith("text/html")


def test_looking_at_a_link_never_burns_it_and_pressing_the_button_does_once(served: Served) -> None:
    link = served.stage.link(world.LI_QIANG)
    for _ in range(3):
        status, headers, text = raw(served, "GET", link)
        assert (status, "set-cookie" in headers) == (200, False)
        assert f'action="{link}"' in text
    assert raw(served, "HEAD", link)[0] == 405
    assert Visitor(served.stage.port).press(link).status == 200
    used = Visitor(served.stage.port).press(link)
    unknown = Visitor(served.stage.port).press("/link/" + "A" * 43)
    malformed = Visitor(served.stage.port).press("/link/short")
    assert used.status == unknown.status == malformed.status == 410
    assert "这个链接已经用过或已过期" in used.text


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"sec_fetch_site": "none"},
        {"sec_fetch_site": "same-origin", "origin": "https://evil.example"},
    ],
)
def test_a_form_from_elsewhere_changes_nothing(served: Served, headers: dict[str, str]) -> None:
    cookie = session_of(served, world.LI_QIANG)
    consent, token = consent_and_token(served, cookie)
    path = f"/centre/consents/{consent}/withdraw"
    assert raw(served, "POST", path, f"token={token}", cookie=cookie, **FORM, **headers)[0] == 403
    assert raw(served, "POST", served.stage.link(world.LI_QIANG), "x=1", **FORM, **headers)[0] == 403
    assert consent_and_token(served, cookie) == (consent, token)


def test_a_form_without_this_sessions_token_changes_nothing(served: Served) -> None:
    cookie, other = session_of(served, world.LI_QIANG), session_of(served, world.LI_QIANG)
    consent, token = consent_and_token(served, cookie)
    _, foreign = consent_and_token(served, other)
    assert token != foreign
    for body in ("x=1", "token=", f"token={foreign}", f"token={token}0"):
        path = f"/centre/consents/{consent}/withdraw"
        assert raw(served, "POST", path, body, cookie=cookie, sec_fetch_site="same-origin", **FORM)[0] == 403
    status, *_ = raw(
        served,
        "POST",
        path,
        f"token={token}",
        cookie=cookie,
        sec_fetch_site="same-origin",
        content_type="text/plain",
    )
    assert status == 403
    assert consent_and_token(served, cookie)[0] == consent


def test_nobody_withdraws_somebody_elses_consent_on_the_page(served: Served) -> None:
    consent, _ = consent_and_token(served, session_of(served, world.LI_QIANG))
    stranger = Visitor(served.stage.port)
    page = stranger.press(served.stage.link(world.ZHOU_MING))
    assert stranger.press(f"/centre/consents/{consent}/withdraw", page).status == 404


def test_signing_out_ends_the_session_not_only_the_cookie(served: Served) -> None:
    cookie = session_of(served, world.LI_QIANG)
    _, token = consent_and_token(served, cookie)
    status, headers, _ = raw(
        served, "POST", "/sign-out", f"token={token}", cookie=cookie, sec_fetch_site="same-origin", **FORM
    )
    assert status == 200
    assert 'governance_session=""' in headers["set-cookie"]
    assert raw(served, "GET", "/centre", cookie=cookie)[0] == 401


def test_every_page_carries_the_strict_policy_and_nothing_inline(served: Served) -> None:
    officer, member = session_of(served, world.OFFICER), session_of(served, world.ZHANG_LI)
    decision = served.stage.read(Reading(world.WANG_MIN, world.ZHANG_LI, ("name",), "service.delivery"))
    places = [
        (served.stage.link(world.ZHANG_LI), ""),
        ("/centre", member),
        ("/centre?everything=1", member),
        ("/centre/consents", member),
        ("/console/decisions", officer),
        ("/console/decisions?view=blocked", officer),
        ("/console/decisions?view=readings", officer),
        ("/console/access-reviews", officer),
        (f"/console/decisions/{decision.body['decision_id']}", officer),
        ("/centre", ""),
        ("/console/nowhere", officer),
    ]
    for path, cookie in places:
        _, headers, text = raw(served, "GET", path, cookie=cookie or "none=1")
        assert headers["content-security-policy"] == POLICY
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert not re.search(r"<script|<style|\sstyle=|\son\w+=|javascript:", text)
        assert len(re.findall(r"<h1", text)) == 1


def test_the_stylesheet_is_small_and_may_be_kept(served: Served) -> None:
    _, _, text = raw(served, "GET", "/centre")
    address = re.search(r'href="(/static/house-[0-9a-f]+\.css)"', text)
    assert address is not None
    status, headers, css = raw(served, "GET", address[1])
    assert (status, headers["content-type"]) == (200, "text/css; charset=utf-8")
    assert "immutable" in headers["cache-control"]
    assert len(css) < 16_000
    assert raw(served, "GET", "/static/house-0000000000000000.css")[0] == 404


def test_the_language_follows_the_browser_until_the_person_chooses(served: Served) -> None:
    link = served.stage.link(world.LI_QIANG)
    assert "Welcome" in raw(served, "GET", link, accept_language="en")[2]
    assert "欢迎" in raw(served, "GET", link)[2]
    _, headers, text = raw(served, "GET", link + "?lang=en")
    assert "Welcome" in text
    kept = headers["set-cookie"].partition(";")[0]
    assert "Welcome" in raw(served, "GET", link, cookie=kept, accept_language="zh")[2]
    assert "欢迎" in raw(served, "GET", link + "?lang=xx")[2]


def test_reading_the_log_is_itself_recorded_and_the_member_sees_it(served: Served) -> None:
    service = served.stage.service
    decision = served.stage.read(Reading(world.WANG_MIN, world.LI_QIANG, ("name",), "service.delivery"))
    officer = Visitor(served.stage.port)
    officer.press(served.stage.link(world.AUDITOR))
    assert officer.get(f"/console/decisions/{decision.body['decision_id']}").status == 200
    with service.database.reading() as tx:
        (_, entry), *_ = ledger.recent(tx, None, 1)
        name = ledger.names_of(tx, [world.LI_QIANG.id])[world.LI_QIANG.id]
    assert (entry.act, entry.actor.party.id) == ("log.read", world.AUDITOR.id)
    assert (entry.resource, entry.subjects) == (decision.body["decision_id"], (name,))
    member = Visitor(served.stage.port)
    assert world.AUDITOR.label in member.press(served.stage.link(world.LI_QIANG)).text
    assert world.AUDITOR.label in officer.get("/console/decisions?view=readings").text


def test_no_page_shows_a_members_name_or_a_value(served: Served) -> None:
    officer, member = Visitor(served.stage.port), Visitor(served.stage.port)
    texts = [
        officer.press(served.stage.link(world.OFFICER)).text,
        officer.get("/console/decisions?view=blocked").text,
        member.press(served.stage.link(world.ZHANG_LI)).text,
        member.get("/centre?everything=1").text,
        member.get("/centre/consents").text,
    ]
    values = [value for home in world.HOMES for person in home.members for value in person.values.values()]
    assert not [value for value in values for text in texts if value in text]


def test_older_decisions_are_one_link_away_and_none_is_skipped(served: Served) -> None:
    for _ in range(45):
        served.stage.read(Reading(None, world.ZHOU_MING, ("name",), "service.household"))
    officer = Visitor(served.stage.port)
    page = officer.press(served.stage.link(world.OFFICER))
    seen: list[str] = []
    while True:
        seen += re.findall(r'href="/console/decisions/((?:dec|aud)_[^"]+)"', page.text)
        older = re.search(r'rel="next" href="([^"]+)"', page.text)
        if older is None:
            break
        page = officer.get(older[1].replace("&amp;", "&"))
    with served.stage.service.database.reading() as tx:
        entries = [entry for _, entry in ledger.recent(tx, None, 10_000)]
    wanted = [
        entry.decision or entry.id
        for entry in entries
        if entry.kind.value in ("decision", "outcome", "change")
    ]
    assert seen == wanted


def test_a_withdrawn_consent_is_listed_as_ended(served: Served) -> None:
    member = Visitor(served.stage.port)
    member.press(served.stage.link(world.ZHANG_LI))
    page = member.get("/centre/consents")
    consent = re.search(r"(con_[^/]+)/withdraw", page.text)
    assert consent is not None
    after = member.press(f"/centre/consents/{consent[1]}/withdraw", page)
    assert "已撤回" in after.text
    assert f"{consent[1]}/withdraw" not in after.text


def test_the_two_minute_story_holds_from_beginning_to_end(capsys: pytest.CaptureFixture[str]) -> None:
    assert headless() == 0
    told = capsys.readouterr().out
    assert told.count("✓") >= 20
    assert "✗" not in told
