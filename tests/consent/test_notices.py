"""What a notice says, what is a change that matters, and what may be agreed to on it."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from consent.listing import Terms
from consent.notices import (
    LOCALES,
    Contents,
    Draft,
    Misfit,
    Notice,
    Wording,
    document,
    is_repeated,
    material_changes,
    misfit,
)

CONTENTS = Contents(
    purpose="marketing.direct",
    categories=frozenset({"outreach.sms", "outreach.email"}),
    methods=frozenset({"use"}),
    recipients=frozenset({"partner@sg"}),
    processors=frozenset({"press"}),
    retention_days=90,
    region="cn",
)
WORDINGS = {"zh": Wording("推广", "每天不超过五条。"), "en": Wording("Offers", "Five a day at most.")}
FIRST = Notice("offers", 1, CONTENTS, WORDINGS, "", (), 1_000, "stf_1", 500)
CHANGES = [
    ("purpose", "marketing.profiled", ("purpose",)),
    ("categories", frozenset({"outreach.sms", "outreach.email", "outreach.wecom"}), ("categories",)),
    ("categories", frozenset({"outreach.sms"}), ("categories",)),
    ("methods", frozenset({"use", "automated_decision"}), ("methods",)),
    ("recipients", frozenset({"partner@sg", "other"}), ("recipients",)),
    ("recipients", frozenset({"partner@us"}), ("recipients",)),
    ("processors", frozenset({"press", "lab"}), ("processors",)),
    ("retention_days", 91, ("retention_days",)),
    ("retention_days", 89, ()),
    ("region", "sg", ("region",)),
]


@pytest.mark.parametrize(("field", "value", "material"), CHANGES)
def test_what_is_material_follows_from_comparing_the_fields(
    field: str, value: Any, material: tuple[str, ...]
) -> None:
    changed = replace(CONTENTS, **{field: value})
    assert material_changes(CONTENTS, changed) == material


def test_nothing_else_is_compared_and_several_changes_are_all_named() -> None:
    assert material_changes(CONTENTS, CONTENTS) == ()
    both = replace(CONTENTS, region="sg", retention_days=400)
    assert material_changes(CONTENTS, both) == ("retention_days", "region")


def test_the_digest_is_that_of_canonical_json_with_everything_the_person_was_told() -> None:
    for locale in LOCALES:
        spelt = document(FIRST, locale)
        told = json.loads(spelt)
        assert json.dumps(told, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode() == spelt
        assert told["text"] == WORDINGS[locale].text
        assert FIRST.reference(locale) == f"offers@1#{sha256(spelt).hexdigest()}"
    parts = {"id", "version", "locale", "title", "text"}
    assert set(json.loads(document(FIRST, "zh"))) == parts | set(CONTENTS.__slots__)


@pytest.mark.parametrize(("field", "value", "_material"), CHANGES)
def test_every_part_of_the_contents_changes_the_digest(field: str, value: Any, _material: object) -> None:
    other = replace(FIRST, contents=replace(CONTENTS, **{field: value}))
    assert {other.sha256(locale) for locale in LOCALES}.isdisjoint(FIRST.sha256(one) for one in LOCALES)


def test_a_draft_repeats_only_what_says_exactly_the_same() -> None:
    draft = Draft("offers", CONTENTS, WORDINGS)
    assert is_repeated(FIRST, draft)
    assert is_repeated(FIRST, replace(draft, effective_from=1_000))
    assert not is_repeated(FIRST, replace(draft, effective_from=2_000))
    assert not is_repeated(FIRST, replace(draft, assessment="pia-7"))
    assert not is_repeated(FIRST, replace(draft, wordings={**WORDINGS, "en": Wording("Offers", "Five.")}))


TEXT = replace(
    FIRST, version=2, wordings={**WORDINGS, "zh": Wording("推广", "至多五条。")}, effective_from=2_000
)
WIDER = replace(TEXT, version=3, changed=("region",), effective_from=3_000)
VERSIONS = (FIRST, TEXT, WIDER)
SMS = Terms("marketing.direct", frozenset({"outreach.sms"}), "", FIRST.reference("zh"))


@pytest.mark.parametrize(
    ("terms", "now", "expected"),
    [
        (SMS, 999, (Misfit.NOT_IN_FORCE, "zh")),  # it does not count yet
        (SMS, 1_000, (None, "zh")),
        (replace(SMS, notice=FIRST.reference("en")), 1_000, (None, "en")),
        (SMS, 2_999, (None, "zh")),  # other words for the same leave it in force
        (SMS, 3_000, (Misfit.NOT_IN_FORCE, "zh")),  # a later version changed its terms
        (replace(SMS, notice=WIDER.reference("en")), 3_000, (None, "en")),
        (replace(SMS, categories=CONTENTS.categories), 1_000, (None, "zh")),
        (replace(SMS, categories=frozenset({"outreach.wecom"})), 1_000, (Misfit.OTHER_TERMS, "zh")),
        (replace(SMS, purpose="marketing.profiled"), 1_000, (Misfit.OTHER_TERMS, "zh")),
        (replace(SMS, recipient="partner@sg"), 1_000, (None, "zh")),
        (replace(SMS, recipient="stranger"), 1_000, (Misfit.OTHER_TERMS, "zh")),
        (replace(SMS, notice="offers@1#" + "0" * 64), 1_000, (Misfit.UNKNOWN, "")),
        (replace(SMS, notice=SMS.notice.replace("@1", "@2")), 2_000, (Misfit.UNKNOWN, "")),
        (replace(SMS, notice="offers@1"), 1_000, (Misfit.UNKNOWN, "")),
    ],
)
def test_what_is_agreed_to_fits_the_notice_it_names(
    terms: Terms, now: int, expected: tuple[Misfit | None, str]
) -> None:
    assert misfit(VERSIONS, terms, now) == expected
