"""What an officer can write wrongly, and that each fault is told with its file and line."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from policies.book import FILES, BookError, RuleBook, fingerprint, load_book, packaged_rules
from policies.terms import Category, Channel, FieldName, Purpose, Role, RuleId, SubjectKind, Tier

MOBILE_ROW = "p, agent, portfolio, category:contact.phone, read.masked, assigned, service, consent, allow, -, S-AG-02, S6;S11"


def line_of(text: str, found: str) -> int:
    return text[: text.index(found)].count("\n") + 1


# file, what stands there, what is written instead, the line after the replacement's start, what is said
FAULTS = [
    # grants.csv
    ("grants.csv", ", allow, -, S-AG-02,", ", Allow, -, S-AG-02,", 0, "eft must be allow or deny, not 'Allow'"),
    ("grants.csv", ", deny, -, S-AG-05,", ", Deny, -, S-AG-05,", 0, "'Deny' has capital letters"),
    ("grants.csv", ", deny, -, S-AG-05,", ", deni, -, S-AG-05,", 0, "eft must be allow or deny, not 'deni'"),
    ("grants.csv", ", S-AG-02, S6;S11", ", S-AG-02", 0, "11 cells instead of 12"),
    ("grants.csv", ", S-AG-02, S6;S11", ", S-AG-02, S6, S11", 0, "13 cells instead of 12"),
    ("grants.csv", ", S-AG-02, S6;S11", ", S-AG-02,", 0, "src is empty"),
    ("grants.csv", ", S-AG-02, S6;S11", ", S-AG-02, -", 0, "src '-' is neither"),
    ("grants.csv", ", S-AG-02, S6;S11", ", S-AG-02, S28", 0, "src 'S28' is neither"),
    ("grants.csv", ", S-AG-02, S6;S11", ", S-AG-02, GDPR-6", 0, "src 'GDPR-6' is neither"),
    ("grants.csv", ", S-AG-02, S6;S11", ", S-AG-01, S6;S11", 0, "duplicate id 'S-AG-01'"),
    ("grants.csv", ", S-AG-02, S6;S11", ", s-ag-02, S6;S11", 0, "id 's-ag-02' is not of the form"),
    ("grants.csv", "p, agent, portfolio, category:contact.phone, read.masked", "p, Agent, portfolio, category:contact.phone, read.masked", 0, "'Agent' has capital letters"),
    ("grants.csv", "p, agent, portfolio, category:contact.phone, read.masked", "p, agnet, portfolio, category:contact.phone, read.masked", 0, "unknown role 'agnet'"),
    ("grants.csv", "p, agent, portfolio, category:contact.phone, read.masked", "p, agent, household, category:contact.phone, read.masked", 0, "agent is never held in household"),
    ("grants.csv", "p, agent, portfolio, category:contact.phone, read.masked", "p, agent, folder, category:contact.phone, read.masked", 0, "dom must be"),
    ("grants.csv", "p, agent, portfolio, category:contact.phone, read.masked", "p, *, portfolio, category:contact.phone, read.masked", 0, "so dom must be *"),
    ("grants.csv", "p, agent, portfolio, category:contact.phone, read.masked", "p, *, *, category:contact.phone, read.masked", 0, "must be for rel self or ward"),
    ("grants.csv", "p, agent, portfolio, category:contact.phone, read.masked", "g, agent, portfolio, category:contact.phone, read.masked", 0, "unknown row kind 'g'"),
    ("grants.csv", "p, agent, portfolio, category:contact.phone, read.masked", 'p, agent, portfolio, "category:contact.phone", read.masked', 0, "quotes, brackets"),
    ("grants.csv", "p, agent, portfolio, category:contact.phone, read.masked", "p, agent, portfolio, tier:contact, read.masked", 0, "'tier:contact' names no declared field"),
    ("grants.csv", "p, agent, portfolio, category:contact.phone, read.masked", "p, agent, portfolio, category:contact.phone, read.half", 0, "act must be one of"),
    ("grants.csv", "p, agent, portfolio, category:contact.phone, read.masked", "p, agent, portfolio, category:contact.phone, *", 0, "* only forbids"),
    ("grants.csv", "p, agent, portfolio, category:contact.phone, read.masked", "p, agent, portfolio, category:contact.phone, send", 0, "has nothing to send"),
    ("grants.csv", "p, agent, portfolio, category:contact.phone, read.masked", "p, agent, portfolio, category:outreach, read.masked", 0, "has nothing to read"),
    ("grants.csv", MOBILE_ROW, MOBILE_ROW.replace("assigned", "asigned"), 0, "rel must be"),
    ("grants.csv", MOBILE_ROW, MOBILE_ROW.replace("service", "servise"), 0, "'servise' names no declared purpose"),
    ("grants.csv", MOBILE_ROW, MOBILE_ROW.replace("consent", "concent"), 0, "unknown condition 'concent'"),
    ("grants.csv", MOBILE_ROW, MOBILE_ROW.replace("consent", "consent&consent"), 0, "names a condition twice"),
    ("grants.csv", MOBILE_ROW, MOBILE_ROW.replace("consent", "consent&"), 0, "unknown condition ''"),
    ("grants.csv", MOBILE_ROW, MOBILE_ROW.replace("consent", "hidden"), 0, "hidden has no place on an allow row"),
    ("grants.csv", MOBILE_ROW, MOBILE_ROW.replace("allow, -", "allow, mask"), 0, "unknown duty 'mask'"),
    ("grants.csv", MOBILE_ROW, MOBILE_ROW.replace("allow, -", "allow, ttl=0"), 0, "unknown duty 'ttl=0'"),
    ("grants.csv", "tier:sensitive, read.full, *, *, -, deny", "tier:sensitive, read.full, *, *, consent, deny", 0, "consent has no place on a deny row"),
    ("grants.csv", "tier:sensitive, read.masked, assigned, service, consent&ticket", "tier:sensitive, read.masked, assigned, service, ticket", 0, "needs the condition consent"),
    ("grants.csv", "all:member, read.exists, *, audit.review, consent", "all:member, read.exists, *, audit.review, -", 0, "chat_messages"),
    ("grants.csv", "all:channel, send, *, account.manage", "all:channel, send, *, legal.compliance", 0, "no message may be sent"),
    # fields.toml
    ("fields.toml", 'name = "mobile"', 'name = "Mobile"', 0, "'Mobile' has capital letters"),
    ("fields.toml", 'name = "mobile"', 'name = "name"', 0, "duplicate name 'name'"),
    ("fields.toml", 'name = "mobile"', 'nane = "mobile"', 0, "unknown key 'nane'"),
    ("fields.toml", 'name = "mobile"\n', "", -1, "[[field]] has no 'name'"),
    ("fields.toml", 'category = "contact.phone"', 'category = "contact.fone"', 0, "unknown category 'contact.fone'"),
    ("fields.toml", 'mask = "CN_MOBILE"', 'mask = "cn_mobile"', 0, "mask must be one of"),
    ("fields.toml", 'key_class = "age"', 'key_class = "ages"', 0, "key_class must be one of"),
    ("fields.toml", 'subject = "household"', 'subject = "family"', 0, "subject must be one of"),
    ("fields.toml", 'collected_for = ["service.health", "family.care"]', "collected_for = []", 0, "collected_for is an empty set"),
    ("fields.toml", 'collected_for = ["service.health", "family.care"]', 'collected_for = ["service.wealth"]', 0, "unknown purpose 'service.wealth'"),
    ("fields.toml", 'collected_for = ["service.health", "family.care"]', 'collected_for = ["family.care", "family.care"]', 0, "twice"),
    ("fields.toml", 'channel = "wecom"', 'channel = "wechat"', 0, "channel must be one of"),
    ("fields.toml", 'parent = "health"', 'parent = "finance"', 0, "must have its prefix as its declared parent"),
    ("fields.toml", 'tier = "closed"', 'tier = "close"', 0, "tier must be one of"),
    ("fields.toml", 'dpv = "pd:Name"', 'dpv = "name"', 0, "is not a vocabulary term"),
    ("fields.toml", 'zh = "手机号"', 'zh = ""', 0, "zh must be one line of text"),
    ("fields.toml", "[[channel]]", "[[chanel]]", 0, "unknown table 'chanel'"),
    # purposes.toml
    ("purposes.toml", 'id = "service.health"', 'id = "service.delivery"', 0, "duplicate id 'service.delivery'"),
    ("purposes.toml", "needs_consent = true", "needs_consent = 1", 0, "needs_consent must be true or false"),
    ("purposes.toml", "consent_days = 180", "consent_days = 366", 0, "whole number from 0 to 365"),
    ("purposes.toml", "consent_days = 180", "consent_days = 0", 0, "needs consent_days of at least 1"),
    ("purposes.toml", 'screening = "marketing"', 'screening = "promotion"', 0, "screening must be one of"),
    ("purposes.toml", 'law = "个人信息保护法 第十三条第一款第二项"', 'law = "PIPL 13"', 0, "is not of the form"),
    ("purposes.toml", 'purpose = "service.delivery"', 'purpose = "marketing.direct"', 0, "needs consent, so it cannot"),
    ("purposes.toml", "under_14 = false", 'under_14 = "no"', 0, "under_14 must be true or false"),
    # roles.toml
    ("roles.toml", 'inherits = ["auditor"]', 'inherits = ["audit"]', 0, "unknown role 'audit'"),
    ("roles.toml", 'inherits = ["auditor"]', 'inherits = ["compliance_officer"]', 0, "inherits from itself"),
    ("roles.toml", 'scopes = ["portfolio"]', 'scopes = ["team"]', 0, "unknown scope 'team'"),
    ("roles.toml", 'scopes = ["portfolio"]', 'scopes = "portfolio"', 0, "must be a list of words"),
    ("roles.toml", 'id = "crm"', 'id = "crm', 0, "not TOML"),
    # limits.toml
    ("limits.toml", "value = 5\n", "value = 0\n", 0, "whole number from 1"),
    ("limits.toml", "value = 5\n", 'value = "5"\n', 0, "whole number from 1"),
    ("limits.toml", 'id = "code_tries"', 'id = "code_trys"', 0, "unknown limit 'code_trys'"),
    ("limits.toml", 'source = "S9"\n', "", -3, "[[limit]] has no 'source'"),
    # model.conf
    ("model.conf", "some(where", "!some(where", None, "not the model that the plan compiles"),
    # the lexicon, whose own loader tells the faults
    ("lexicon/claims.toml", 'severity = "block"', 'severity = "Block"', -2, "unknown word Block"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "found", "written", "offset", "said"), FAULTS)
def test_each_fault_stops_the_start_and_is_told_with_file_and_line(
    rules: Path, file: str, found: str, written: str, offset: int | None, said: str
) -> None:
    path = rules / file
    text = path.read_text(encoding="utf-8")
    line = 1 if offset is None else line_of(text, found) + offset
    path.write_text(text.replace(found, written, 1), encoding="utf-8")
    with pytest.raises(BookError) as caught:
        load_book(rules)
    matching = [fault for fault in caught.value.faults if said in fault.text]
    assert matching, caught.value
    assert (file, line) in [(fault.file, fault.line) for fault in matching]
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


FOLDERS: list[tuple[str, Callable[[Path], object], str, str]] = [
    ("a missing file", lambda rules: (rules / "limits.toml").unlink(), "limits.toml", "the file is missing"),
    ("no grants at all", lambda rules: (rules / "grants.csv").write_text("# nothing\n"), "grants.csv", "an empty set of grants"),
    ("no fields at all", lambda rules: (rules / "fields.toml").write_text(""), "fields.toml", "no [[field]]: an empty set"),
    ("no lexicon", lambda rules: (rules / "lexicon" / "claims.toml").unlink(), "lexicon", "no rule"),
    ("a misnamed file", lambda rules: (rules / "grant.csv").write_text("p, agent\n"), "grant.csv", "unknown file"),
    ("a stray file beside the lexicon", lambda rules: (rules / "lexicon" / "old.bak").write_text(""), "lexicon/old.bak", "unknown file"),
    ("a byte order mark", lambda rules: (rules / "roles.toml").write_bytes(b"\xef\xbb\xbf" + (rules / "roles.toml").read_bytes()), "roles.toml", "byte order mark"),
    ("another encoding", lambda rules: (rules / "grants.csv").write_bytes("p, 客服\n".encode("gbk")), "grants.csv", "not UTF-8"),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "file", "said"), [row[1:] for row in FOLDERS], ids=[row[0] for row in FOLDERS])
def test_a_damaged_folder_stops_the_start(
    rules: Path, damage: Callable[[Path], object], file: str, said: str
) -> None:
    damage(rules)
    with pytest.raises(BookError) as caught:
        load_book(rules)
    assert any(fault.file == file and said in fault.text for fault in caught.value.faults)


def test_comments_blank_lines_and_padding_are_no_faults(rules: Path, book: RuleBook) -> None:
    path = rules / "grants.csv"
    spaced = path.read_text(encoding="utf-8").replace(", allow,", ",   allow  ,")
    path.write_text(f'# "quoted", (bracketed)\n\n{spaced}\n\n', encoding="utf-8")
    assert load_book(rules).grants.keys() == book.grants.keys()


def test_the_packaged_rules_declare_what_the_documents_ask(book: RuleBook) -> None:
    tiers = {name: field.tier for name, field in book.fields.items() if field.channel is None}
    assert tiers == {
        "name": Tier.BASIC, "mobile": Tier.BASIC, "email": Tier.BASIC, "birth_date": Tier.BASIC,
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
    for path in sorted(path for path in rules.rglob("*") if path.is_file()):
        path.write_bytes(path.read_bytes() + b"\n")
        seen.add(fingerprint(rules))
    (rules / "limits.toml").rename(rules / "limit.toml")
    seen.add(fingerprint(rules))
    assert len(seen) == len(FILES) + 3


def test_the_fingerprint_does_not_depend_on_where_the_folder_is(rules: Path, tmp_path: Path) -> None:
    before = fingerprint(rules)
    moved = rules.rename(tmp_path / "elsewhere")
    assert fingerprint(moved) == before == load_book(moved).fingerprint


def test_the_packaged_folder_loads_whole() -> None:
    book = load_book(packaged_rules())
    assert book.lexicon
    assert book.fingerprint == fingerprint(packaged_rules())


def test_each_limit_says_where_it_comes_from() -> None:
    document = tomllib.loads((packaged_rules() / "limits.toml").read_text(encoding="utf-8"))
    assert all(limit["source"] for limit in document["limit"])
