"""A copy of the packaged rules that a test may damage, with a lexicon of one rule so that it loads fast."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from policies.book import FILES, RuleBook, load_book, packaged_rules

ONE_LEXICON_RULE = """[[rule]]
id = "superlative"
category = "absolute_claim"
severity = "block"
law = "广告法 第九条第三项"
reason_zh = "绝对化用语。"
reason_en = "An absolute claim."
suggestion = "删去。"
catches = ["最佳选择"]
spares = ["很好的选择"]
terms = ["最佳"]
"""


def copy_rules(folder: Path) -> Path:
    (folder / "lexicon").mkdir(parents=True)
    for name in (*FILES, "cases.toml", "calendar.toml", "retention.toml", "oversight.toml"):
        shutil.copyfile(packaged_rules() / name, folder / name)
    (folder / "lexicon" / "claims.toml").write_text(ONE_LEXICON_RULE, encoding="utf-8")
    return folder


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    return copy_rules(tmp_path / "rules")


@pytest.fixture(scope="session")
def book(tmp_path_factory: pytest.TempPathFactory) -> RuleBook:
    return load_book(copy_rules(tmp_path_factory.mktemp("book") / "rules"))
