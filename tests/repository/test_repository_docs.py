"""The documents say everything that a caller, an operator and an officer rely on, and nothing gone."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import pages_from_code
import pytest

from governance.__main__ import _parser
from governance.app import describe
from governance.settings import NAMES

ROOT = Path(__file__).parents[2]
READMES = ("README.md", "README.en.md")
DOCUMENTS = (*READMES, "ARCHITECTURE.md", "DECISIONS.md", "CHANGELOG.md", "SECURITY.md")
IMAGE = re.compile(r"!\[[^\]]*\]\(([^)]+)\)")
LINK = re.compile(r"(?<!!)\[[^\]]+\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)")


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def commands() -> set[str]:
    """Return every command the command line takes, with its further words where it needs them."""
    return {" ".join(words) for words in _words(_parser())}


def _words(parser: argparse.ArgumentParser) -> Iterator[tuple[str, ...]]:
    chosen = [one for one in parser._actions if not one.option_strings and one.choices]
    if not chosen or any(one.nargs == "?" for one in chosen):
        yield ()
    for one in chosen:
        for name in one.choices or ():
            further = one.choices[name] if isinstance(one, argparse._SubParsersAction) else None
            yield from ((name, *words) for words in (_words(further) if further else [()]))


@pytest.mark.parametrize("name", sorted(pages_from_code.PAGES))
def test_the_page_made_from_the_code_is_up_to_date(name: str) -> None:
    written = text_of(f"docs/{name}")
    assert written == pages_from_code.PAGES[name](), "run: make docs"


def test_the_routes_page_has_every_route_of_the_schema() -> None:
    schema = {(verb.upper(), path) for path, verbs in describe()["paths"].items() for verb in verbs}
    listed = {(route.method, route.path.replace(":path}", "}")) for route in pages_from_code.routes()}
    assert schema <= listed


def test_every_route_says_what_it_does() -> None:
    assert not [route for route in pages_from_code.routes() if not route.about]


@pytest.mark.parametrize("readme", READMES)
@pytest.mark.parametrize("name", sorted(NAMES))
def test_the_readme_has_a_line_for_each_setting(readme: str, name: str) -> None:
    assert f"| `GOVERNANCE_{name}` |" in text_of(readme)


@pytest.mark.parametrize("readme", READMES)
def test_the_readme_has_no_setting_that_is_gone(readme: str) -> None:
    named = set(re.findall(r"\| `GOVERNANCE_([A-Z_]+)` \|", text_of(readme)))
    assert named == set(NAMES)


@pytest.mark.parametrize("readme", READMES)
def test_the_readme_has_exactly_the_commands_that_there_are(readme: str) -> None:
    row = r"^\| `governance ([a-z][a-z -]*?)(?: [A-Z-][^`]*)?` \|"
    assert set(re.findall(row, text_of(readme), re.MULTILINE)) == commands()


@pytest.mark.parametrize("readme", READMES)
def test_the_readme_has_the_two_commands(readme: str) -> None:
    assert "make demo" in text_of(readme)
    assert "make test" in text_of(readme)


def test_the_two_readmes_show_the_same_commands_settings_and_calls() -> None:
    def code(name: str) -> list[str]:
        return re.findall(r"^curl .*$|^\| `[^`]+` \|", text_of(name), re.MULTILINE)

    assert code("README.md") == code("README.en.md")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_document_points_at_something_that_is_not_there(name: str) -> None:
    pointed = [*IMAGE.findall(text_of(name)), *LINK.findall(text_of(name))]
    assert not [one for one in pointed if not (ROOT / one).exists()]


def test_a_picture_of_a_real_screen_stands_in_the_readme() -> None:
    assert all(IMAGE.search(text_of(name)) for name in READMES)


def test_every_make_target_of_the_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", text_of("Makefile"), re.MULTILINE))
    named = {word for name in DOCUMENTS for word in re.findall(r"`make ([a-z]+)`", text_of(name))}
    assert named <= targets


def test_each_decision_names_the_test_that_enforces_it() -> None:
    records = re.split(r"^## ", text_of("DECISIONS.md"), flags=re.MULTILINE)[1:]
    assert len(records) >= 15
    for record in records:
        title = record.splitlines()[0]
        enforced = [line for line in record.splitlines() if line.startswith("**Enforced by.**")]
        assert len(enforced) == 1, title
        paths = re.findall(r"`([a-zA-Z_./0-9]+\.(?:py|toml|txt))`", enforced[0])
        assert paths, title
        assert [path for path in paths if not (ROOT / path).exists()] == [], title


def test_the_files_a_document_names_exist() -> None:
    """A path in backticks is a promise; folders of the code and of the tests are checked."""
    path = re.compile(r"`((?:policies|consent|audit|redaction|governance|tests|docs)/[\w./-]+\.\w+)`")
    missing = {(name, one) for name in DOCUMENTS for one in path.findall(text_of(name))}
    assert not {(name, one) for name, one in missing if not (ROOT / one).exists()}


def test_the_licence_is_the_one_that_is_declared() -> None:
    licence = text_of("LICENSE")
    assert licence.strip().startswith("Apache License")
    assert "Version 2.0, January 2004" in licence
    assert 'license = "Apache-2.0"' in text_of("pyproject.toml")
