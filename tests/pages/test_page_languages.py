"""Chinese first, English complete, and no sentence that slips past the catalogue."""

from __future__ import annotations

import re

import pytest
from babel.messages.pofile import read_po
from page_sentences import TEMPLATES, said
from page_stage import Served

from governance import world
from governance.languages import CATALOGUE
from governance.loopback import Visitor

CHINESE = re.compile(r"[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]")
PLACE = re.compile(r"%\((\w+)\)s")


def english() -> dict[str, str]:
    with CATALOGUE.open("rb") as file:
        return {
            str(one.id): str(one.string) for one in read_po(file, locale="en") if one.id and not one.fuzzy
        }


def test_english_says_every_sentence_and_none_that_nobody_says() -> None:
    assert set(english()) == said()


def test_each_english_sentence_is_there_has_the_same_places_and_no_chinese() -> None:
    for chinese, sentence in english().items():
        assert sentence.strip(), chinese
        assert sorted(PLACE.findall(sentence)) == sorted(PLACE.findall(chinese)), chinese
        assert not CHINESE.search(sentence), chinese


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_template_has_chinese_outside_the_catalogue(path) -> None:
    text = path.read_text(encoding="utf-8")
    bare = re.sub(r"""_\("(?:[^"\\]|\\.)*\"""", "", text)
    assert not CHINESE.findall(bare)


def test_english_pages_hold_no_chinese_but_the_names_of_staff_and_services(served: Served) -> None:
    labels = sorted((office.label for office in (*world.STAFF, *world.SERVICES)), key=len, reverse=True)
    officer, member = Visitor(served.stage.port), Visitor(served.stage.port)
    officer.press(served.stage.link(world.OFFICER))
    member.press(served.stage.link(world.ZHANG_LI))
    pages = [officer.get("/console/decisions?lang=en"), member.get("/centre?everything=1&lang=en")]
    pages += [member.get("/centre/consents"), member.get("/centre/nowhere")]
    pages += [
        officer.get(path) for path in re.findall(r'href="(/console/decisions/[^"?]+)"', pages[0].text)[:12]
    ]
    for page in pages:
        text = page.text.replace(">\u4e2d\u6587<", "><")
        for label in labels:
            text = text.replace(label, "")
        assert not CHINESE.findall(text)
