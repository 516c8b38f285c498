"""What an officer can write wrongly, and that each fault is told with its file and line."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from policies.book import FILES, BookError, RuleBook, fingerprint, load_book, packaged_rules
from policies.lexicon import LexiconRule, load_lexicon
from policies.terms import Category, Channel, FieldName, Purpose, Role, RuleId, SubjectKind, Tier


def line_of(text: str, found: str) -> int:
    return text[: text.index(found)].count("\n") + 1


FAULTS = tomllib.loads((Path(__file__).parent / "faults.toml").read_text(encoding="utf-8"))["rows"]


@pytest.mark.parametrize("row", FAULTS, ids=[f"{row[0]}-{row[4]}" for row in FAULTS])
def test_each_fault_stops_the_start_and_is_told_with_file_and_line(
    rules: Path, row: tuple[str, str, str, int | str, str]
) -> None:
    file, found, written, offset, said = row
    path = rules / file
    text = path.read_text(encoding="utf-8")
    line = line_of(text, found) + offset if isinstance(offset, int) else 1
    path.write_text(text.replace(found, written, 1), encoding="utf-8")
    with pytest.raises(BookError) as caught:
        load_book(rules)
    matching = [fault for fault in caught.value.faults if said in fault.text]
    assert (file, line) in [(fault.file, fault.line) for fault in matching], caught.value
    assert f"{file}:{line}: " in str(caught.value)


def break_everything(rules: Path) -> None:
    for file, found, written in [
        ("grants.csv", ", allow, -, S-AG-02,", ", Allow, -, S-AG-02,"),
        ("grants.csv", ", S-AG-04, PIPL-13-1-2", ", S-AG-04, "),
        ("fields.toml", 'key_class = "age"', 'key_class = "ages"'),
        ("purposes.toml", "consent_days = 180", "consent_days = -1"),
        ("roles.toml", 'inherits = ["auditor"]', 'inherits = ["audit"]'),
        ("limits.toml", "value = 500", "value = 0"),
        ("lexicon/claims.toml", 'category = "absolute_claim"', 'category = "bragging"'),
        ("model.conf", "deny", "denied"),
    ]:
        path = rules / file
        path.write_text(path.read_text(encoding="utf-8").replace(found, written, 1), encoding="utf-8")


def test_all_faults_of_all_files_are_told_at_once(rules: Path) -> None:
    break_everything(rules)
    with pytest.raises(BookError) as caught:
        load_book(rules)
    assert {fault.file for fault in caught.value.faults} == {*FILES, "lexicon/claims.toml"}
    assert list(caught.value.faults) == sorted(caught.value.faults)


def add_byte_order_mark(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())


DAMAGES: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "a missing file": ("limits.toml", lambda path: path.unlink(), "the file is missing"),
    "no grants at all": ("grants.csv", lambda path: path.write_text("# none\n"), "an empty set of grants"),
    "no fields at all": ("fields.toml", lambda path: path.write_text(""), "no [[field]]: an empty set"),
    "a misnamed file": ("grant.csv", lambda path: path.write_text("p, agent\n"), "unknown file"),
    "a stray file": ("lexicon/old.bak", lambda path: path.write_text(""), "unknown file"),
    "a byte order mark": ("roles.toml", add_byte_order_mark, "byte order mark"),
    "another encoding": ("grants.csv", lambda path: path.write_bytes("# 客服\n".encode("gbk")), "not UTF-8"),
}


@pytest.mark.parametrize("what", DAMAGES)
def test_a_damaged_folder_stops_the_start(rules: Path, what: str) -> None:
    file, damage, said = DAMAGES[what]
    damage(rules / file)
    with pytest.raises(BookError) as caught:
        load_book(rules)
    assert any(fault.file == file and said in fault.text for fault in caught.value.faults)


def test_a_folder_without_a_lexicon_stops_the_start(rules: Path) -> None:
    (rules / "lexicon" / "claims.toml").unlink()
    with pytest.raises(BookError, match="lexicon:1: the library has no rule"):
        load_book(rules)


def test_comments_blank_lines_and_padding_are_no_faults(rules: Path, book: RuleBook) -> None:
    path = rules / "grants.csv"
    spaced = path.read_text(encoding="utf-8").replace(", allow,", ",   allow  ,")
    path.write_text(f'# "quoted", (bracketed)\n\n{spaced}\n\n', encoding="utf-8")
    assert load_book(rules).grants.keys() == book.grants.keys()


def test_the_packaged_rules_declare_what_the_documents_ask(book: RuleBook) -> None:
    tiers = {name: field.tier for name, field in book.fields.items() if field.channel is None}
    assert tiers == {
        "name": Tier.BASIC, "mobile": Tier.BASIC, "email": Tier.BASIC, "birth_date": Tier.BASIC,
        "gender": Tier.BASIC,
        "id_card": Tier.SENSITIVE, "bank_card": Tier.SENSITIVE, "location": Tier.SENSITIVE,
        "blood_pressure": Tier.SENSITIVE, "allergies": Tier.SENSITIVE,
        "viewing_history": Tier.HIDEABLE, "purchase_history": Tier.HIDEABLE,
        "chat_messages": Tier.CLOSED, "address": Tier.BASIC, "household_structure": Tier.BASIC,
    }  # fmt: skip
    shared = {name for name, field in book.fields.items() if field.subject is SubjectKind.HOUSEHOLD}
    assert shared == {"address", "household_structure"}
    assert {field.channel for field in book.fields.values()} - {None} == set(Channel)
    assert book.limits.promotions_per_member_per_day == 5
    assert (book.limits.code_minutes, book.limits.code_tries) == (10, 5)
    assert book.limits.sensitive_consent_days == 180
    assert {purpose for purpose, entry in book.purposes.items() if entry.profiled} == {
        "marketing.profiled",
        "recommend.personal",
    }


def test_a_delivery_may_use_name_phone_and_address_by_contract_and_nothing_else(book: RuleBook) -> None:
    basis = book.basis(Purpose("service.delivery"), Category("contact.address"))
    assert basis is not None
    assert basis.law == "个人信息保护法 第十三条第一款第二项"
    assert not basis.under_14
    for category in ("identity.name", "contact.phone", "outreach.sms"):
        assert book.basis(Purpose("service.delivery"), Category(category)) is basis
    for category in ("contact.email", "contact", "health.record", "purchase.history"):
        assert book.basis(Purpose("service.delivery"), Category(category)) is None


def test_no_purpose_of_promotion_or_health_has_a_basis_beside_consent(book: RuleBook) -> None:
    assert not [
        entry.purpose for entry in book.bases if entry.purpose.startswith(("marketing", "service.health"))
    ]


def test_each_sensitive_category_rests_on_consent_except_for_rights_and_audits(book: RuleBook) -> None:
    grave = {name for name, entry in book.categories.items() if entry.tier in (Tier.SENSITIVE, Tier.CLOSED)}
    assert {entry.purpose for entry in book.bases if entry.categories & grave} == {
        "personal.access",
        "legal.compliance",
        "audit.review",
    }


def test_inheritance_is_closed_and_keeps_the_role_itself(book: RuleBook) -> None:
    assert book.roles[Role("primary_account")].closure == {"primary_account", "adult_member"}
    assert book.roles[Role("compliance_officer")].closure == {"compliance_officer", "auditor"}
    assert book.roles[Role("agent")].closure == {"agent"}


def test_the_book_cannot_be_changed(book: RuleBook) -> None:
    with pytest.raises(TypeError):
        book.grants[RuleId("X-XX-01")] = book.grants[RuleId("S-AG-02")]  # type: ignore[index]
    with pytest.raises(AttributeError):
        book.fields[FieldName("mobile")].tier = Tier.BASIC  # type: ignore[misc]


def test_one_byte_anywhere_changes_the_fingerprint(rules: Path) -> None:
    seen = {fingerprint(rules)}
    files = sorted(path for path in rules.rglob("*") if path.is_file())
    for path in files:
        path.write_bytes(path.read_bytes() + b"\n")
        seen.add(fingerprint(rules))
    (rules / "limits.toml").rename(rules / "limit.toml")
    seen.add(fingerprint(rules))
    assert len(seen) == len(files) + 2


def test_the_fingerprint_does_not_depend_on_where_the_folder_is(rules: Path, tmp_path: Path) -> None:
    before = fingerprint(rules)
    moved = rules.rename(tmp_path / "elsewhere")
    assert fingerprint(moved) == before == load_book(moved).fingerprint


def test_the_fingerprint_tells_names_from_contents(tmp_path: Path) -> None:
    for folder, name, content in (("one", "a", "bc"), ("two", "ab", "c")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text(content)
    assert fingerprint(tmp_path / "one") != fingerprint(tmp_path / "two")


def test_rules_that_change_while_they_are_read_are_refused(
    rules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_while_somebody_edits(folder: Path) -> tuple[LexiconRule, ...]:
        with (rules / "grants.csv").open("a") as file:
            file.write("# one more\n")
        return load_lexicon(folder)

    monkeypatch.setattr("policies.book.load_lexicon", read_while_somebody_edits)
    with pytest.raises(BookError, match="changed while it was being read"):
        load_book(rules)


def test_the_packaged_folder_loads_whole() -> None:
    book = load_book(packaged_rules())
    assert book.lexicon
    assert book.fingerprint == fingerprint(packaged_rules())


def test_each_limit_says_where_it_comes_from() -> None:
    document = tomllib.loads((packaged_rules() / "limits.toml").read_text(encoding="utf-8"))
    assert all(limit["source"] for limit in document["limit"])


def test_what_the_law_forbids_about_minors_cannot_be_dropped(rules: Path) -> None:
    path = rules / "purposes.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("under = 18", "under = 14"), encoding="utf-8")
    with pytest.raises(BookError) as caught:
        load_book(rules)
    line = line_of(text, 'id = "marketing.profiled"')
    assert f"purposes.toml:{line}: no [[prohibition]] keeps 'marketing.profiled' from minors" in str(
        caught.value
    )


def test_every_purpose_stands_in_a_group_and_under_a_law(rules: Path) -> None:
    book = load_book(rules)
    assert {purpose.parent for purpose in book.purposes.values()} == set(book.groups)
    assert {basis.jurisdiction for basis in book.bases} == {"cn"}
    assert [name for name, entry in book.categories.items() if entry.both_required] == ["finance"]
