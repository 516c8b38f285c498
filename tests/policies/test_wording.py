"""The sentences in which an officer reads what another rule book would change."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from policies import wording
from policies.book import RuleBook, load_book
from policies.knowledge import Known
from policies.terms import Action, Condition, Level, Purpose, Relation
from policies.whatif import diff


def without(book: RuleBook, rule: str) -> RuleBook:
    rows = {name: row for name, row in book.grants.items() if name != rule}
    return replace(book, grants=MappingProxyType(rows))


def lines(old: RuleBook, new: RuleBook) -> list[tuple[str, str]]:
    titles = [wording.line_of(change, old, new) for change in diff(old, new).changes]
    return [(title.zh, title.en) for title in titles]


def test_a_line_says_who_what_for_what_when_and_from_which_answer_to_which(book: RuleBook) -> None:
    zh, en = lines(book, without(book, "S-CL-03"))[0]
    assert zh == (
        "签约医护（负责人）填写过敏史、血压；目的：健康服务；同意或其他依据：是；"
        "允许（log=high） → 不允许；S-CL-03 → -"
    )
    assert en == (
        "Clinician (the assigned one) writes Allergies, Blood pressure; for Health service; "
        "consent or another basis: yes; allowed (log=high) → not allowed; S-CL-03 → -"
    )


def test_nearly_every_purpose_is_said_by_what_it_leaves_out(book: RuleBook) -> None:
    zh, en = lines(book, without(book, "H-SELF-01"))[0]
    assert "除推广、个性化推广外的任何目的" in zh
    assert "for any purpose but Direct marketing, Profiled marketing" in en
    assert "完整可见 → 不可见" in zh
    assert en.startswith("anybody (the person) reads ")


def test_a_line_about_documents_says_no_purpose_and_no_half_measures() -> None:
    documents = load_book(Path(__file__).parent / "documents")
    zh, en = lines(documents, without(documents, "D-PA-01"))[0]
    assert zh == "合作方 read 文档；向合作方开放：是；允许（log=high） → 不允许；D-PA-01 → -"
    assert en == "Partner read Document; Open to partners: yes; allowed (log=high) → not allowed; D-PA-01 → -"


def test_a_word_that_only_one_book_declares_has_its_title(book: RuleBook) -> None:
    fewer = {name: aim for name, aim in book.purposes.items() if name != Purpose("analytics.usage")}
    old = replace(book, purposes=MappingProxyType(fewer))
    assert all("使用分析" in zh for zh, _ in lines(old, book))
    assert all("使用分析" in zh for zh, _ in lines(book, old))


def test_every_word_of_a_line_is_said_in_both_languages() -> None:
    for said, words in (
        (wording.LEVELS, Level), (wording.ACTIONS, Action), (wording.RELATIONS, Relation),
        (wording.CONDITIONS, Condition), (wording.VALUES, Known),
    ):  # fmt: skip
        assert set(said) == set(words)
        assert (
            len({title.zh for title in said.values()})
            == len({title.en for title in said.values()})
            == len(said)
        )
        assert all(re.search("[\u4e00-\u9fff]", title.zh) and title.en.isascii() for title in said.values())
