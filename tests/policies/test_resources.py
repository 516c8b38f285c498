"""Resources that are not about households: the same rows, the same plan, the same strictness."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import pytest

from policies.book import BookError, RuleBook, fingerprint, load_book, packaged_rules
from policies.plan import NO_PURPOSE, NO_RULE, Plan, Verdict, compile_plan
from policies.resources import Named
from policies.roles import reference, reference_level
from policies.terms import Action, FieldName, Level, Purpose, Relation

DOCUMENTS = Path(__file__).parent / "documents"
DORA, EMIL, FINN = "dora@example.com", "emil@example.com", "finn@example.org"


@pytest.fixture(scope="module")
def documents() -> RuleBook:
    return load_book(DOCUMENTS)


@pytest.fixture(scope="module")
def plan(documents: RuleBook) -> Plan:
    return compile_plan(documents)


def question(
    book: RuleBook, who: str, verb: str, what: str, action: dict[str, object], stated: dict[str, object]
) -> tuple[object, ...]:
    subject, resource = Named("user", who, {}), Named("document", what, stated)
    facts = book.resources.facts(subject, resource, action, {})
    return book.resources.roles_of(subject), "type:document", verb, Relation.NONE, NO_PURPOSE, facts


TABLE = [
    (DORA, "read", "contract-1", {}, {}, Level.FULL, "D-RD-01"),
    (EMIL, "read", "contract-1", {}, {}, Level.FULL, "D-RD-01"),
    (FINN, "read", "contract-1", {}, {}, Level.HIDDEN, ""),
    (FINN, "read", "manual-2", {}, {}, Level.FULL, "D-PA-01"),
    (DORA, "edit", "contract-1", {}, {}, Level.FULL, "D-RD-02 D-ED-01"),
    (EMIL, "edit", "contract-1", {}, {}, Level.HIDDEN, ""),
    (EMIL, "edit", "manual-2", {}, {}, Level.HIDDEN, "D-ALL-02"),
    (DORA, "edit", "contract-1", {}, {"status": "archived"}, Level.HIDDEN, "D-ALL-02"),
    (DORA, "edit", "contract-1", {}, {"owner": "x", "department": "x"}, Level.FULL, "D-RD-02 D-ED-01"),
    (EMIL, "edit", "contract-1", {}, {"owner": EMIL}, Level.HIDDEN, ""),
    (DORA, "delete", "contract-1", {"soft": True}, {}, Level.FULL, "D-ED-03"),
    (DORA, "delete", "contract-1", {"soft": False}, {}, Level.HIDDEN, "D-ALL-01"),
    (DORA, "delete", "contract-1", {}, {}, Level.HIDDEN, "D-ALL-01"),
    (DORA, "delete", "contract-1", {"soft": 1}, {}, Level.HIDDEN, "D-ALL-01"),
    (DORA, "edit", "unheard-of", {}, {}, Level.HIDDEN, "D-ALL-02"),
    ("stranger@example.net", "read", "contract-1", {}, {}, Level.HIDDEN, ""),
    (DORA, "burn", "contract-1", {}, {}, Level.HIDDEN, ""),
]


def by(verdict: Verdict, book: RuleBook) -> str:
    return " ".join(verdict.denied_by or (rule for rule in verdict.rules if book.grants[rule].allows))


@pytest.mark.parametrize("row", TABLE, ids=lambda row: " ".join(map(str, row[:5])))
def test_documents_are_decided_by_roles_verbs_and_attributes(
    documents: RuleBook, plan: Plan, row: tuple[object, ...]
) -> None:
    *asked, level, rules = row
    verdict = plan.verdict(*question(documents, *asked))  # type: ignore[arg-type]
    assert (verdict.level, by(verdict, documents)) == (level, rules)


def test_stock_casbin_decides_documents_alike(documents: RuleBook, plan: Plan) -> None:
    held = {(one.id, "org"): [role for _, role in one.roles] for one in documents.resources.subjects.values()}
    enforcer = reference(documents, held)
    levels = set()
    for who, verb, what, action, stated, *_ in TABLE:
        asked = question(documents, who, verb, what, action, stated)
        level = reference_level(
            enforcer,
            subject=who,
            scopes=("household:none", "portfolio:none"),
            field=FieldName("type:document"),
            action=verb,
            relation=Relation.NONE,
            purpose=NO_PURPOSE,
            facts=asked[-1],  # type: ignore[arg-type]
        )
        verdict = plan.verdict(*asked)  # type: ignore[arg-type]
        assert level is verdict.level
        levels.add(level)
    assert levels == {Level.FULL, Level.HIDDEN}


def test_what_a_caller_states_counts_only_where_the_book_asks_for_it(documents: RuleBook) -> None:
    facts = documents.resources.facts(
        Named("user", EMIL, {"department": "sales"}),
        Named("document", "contract-1", {"owner": EMIL, "status": "archived"}),
        {},
        {},
    )
    assert facts == {"archived": True, "owner": False, "same_department": True}


def test_a_folder_that_declares_resources_borrows_the_words_of_households_and_none_of_their_grants(
    documents: RuleBook, plan: Plan
) -> None:
    packaged = load_book(packaged_rules())
    assert documents.fields.keys() == packaged.fields.keys()
    assert documents.lexicon == packaged.lexicon
    assert documents.fingerprint == fingerprint(DOCUMENTS) != packaged.fingerprint
    verdict = plan.verdict(
        frozenset(), FieldName("mobile"), Action.READ, Relation.SELF, Purpose("personal.access"), {}
    )
    assert (verdict.level, verdict.rules) == (Level.HIDDEN, ())


def test_a_document_is_not_asked_about_with_a_household_purpose(documents: RuleBook, plan: Plan) -> None:
    asked = list(question(documents, DORA, "read", "contract-1", {}, {}))
    asked[4] = Purpose("service.delivery")
    assert plan.verdict(*asked) is NO_RULE  # type: ignore[arg-type]


FAULTS = tomllib.loads((Path(__file__).parent / "resource_faults.toml").read_text(encoding="utf-8"))["rows"]


@pytest.mark.parametrize("row", FAULTS, ids=[f"{row[1]}-{row[3]}" for row in FAULTS])
def test_a_misspelt_resource_stops_the_start(tmp_path: Path, row: tuple[str, str, str, str]) -> None:
    file, found, written, said = row
    rules = Path(shutil.copytree(DOCUMENTS, tmp_path / "rules"))
    text = (rules / file).read_text(encoding="utf-8")
    assert found in text
    (rules / file).write_text(text.replace(found, written, 1), encoding="utf-8")
    with pytest.raises(BookError) as caught:
        load_book(rules)
    assert any(fault.file == file and said in fault.text for fault in caught.value.faults), caught.value


def test_a_household_condition_does_not_speak_of_documents_and_the_reverse(tmp_path: Path) -> None:
    rules = Path(shutil.copytree(DOCUMENTS, tmp_path / "rules"))
    with (rules / "grants.csv").open("a", encoding="utf-8") as file:
        file.write(
            "p, reader, org, category:identity.name, read.full, *, service, archived, allow, -, D-XX-01, S6\n"
        )
    with pytest.raises(BookError, match="unknown condition 'archived'"):
        load_book(rules)


def test_shadow_rows_are_read_as_strictly_and_change_no_answer(tmp_path: Path) -> None:
    rules = Path(shutil.copytree(DOCUMENTS, tmp_path / "rules"))
    row = "p, partner, org, type:document, edit, *, *, -, allow, -, D-PA-02, S24\n"
    stricter = "p, reader, org, type:document, read, *, *, owner, allow, -, D-RD-01, S6\n"
    (rules / "shadow.csv").write_text(row + stricter, encoding="utf-8")
    book = load_book(rules)
    assert set(book.shadows) == {"D-PA-02", "D-RD-01"}
    assert "D-PA-02" not in book.grants
    rehearsed = book.rehearsed
    assert rehearsed is not None
    asked = question(book, FINN, "edit", "contract-1", {}, {"status": "draft"})
    assert compile_plan(book).verdict(*asked).level is Level.HIDDEN  # type: ignore[arg-type]
    assert compile_plan(rehearsed).verdict(*asked).level is Level.FULL  # type: ignore[arg-type]
    read = question(book, EMIL, "read", "contract-1", {}, {})
    assert compile_plan(book).verdict(*read).level is Level.FULL  # type: ignore[arg-type]
    assert compile_plan(rehearsed).verdict(*read).level is Level.HIDDEN  # type: ignore[arg-type]
    (rules / "shadow.csv").write_text(row.replace("allow", "alow"), encoding="utf-8")
    with pytest.raises(BookError, match=r"shadow\.csv:1: eft must be"):
        load_book(rules)
