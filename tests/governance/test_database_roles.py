"""Accounts on a real PostgreSQL: the service works without owning its tables, an auditor reads the log."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import happenings
import living
import psycopg
import pytest
from living import DAY, Living
from rights_story import erase
from sqlalchemy.engine import make_url

from audit import records as log_records
from audit import roles
from audit.partitions import WIDTH
from governance import databaseroles, world
from governance.__main__ import main
from governance.accesses import of_member
from governance.asking import Answer
from governance.databaseroles import RoleNameError
from governance.traffic import play
from governance.wiring import open_database
from policies.archive import pack
from policies.book import load_book, packaged_rules
from policies.retention import THREE_YEARS
from policies.terms import ActorId, SubjectId

NO_PROMOTION = "p, sender, *, channel.sms, send, *, marketing.direct, -, deny, -, S-SE-99, S6\n"

ON_POSTGRESQL = pytest.mark.parametrize("seeded_copy", ["postgres"], indirect=True)


OWNED = {
    "TABLE": "SELECT tablename FROM pg_tables WHERE schemaname = 'public'",
    "FUNCTION": ("SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace"),
}
"""What the superuser of the tests has made and the owner is to own."""


@dataclass(frozen=True)
class Ranked:
    """A house whose service works under an account of its own."""

    house: Living
    superuser: str
    service: str
    auditor: str
    owner: str

    def said(self, url: str, statement: str) -> list[tuple[object, ...]]:
        with psycopg.connect(url.replace("+psycopg", "", 1), autocommit=True) as connection:
            cursor = connection.execute(statement)  # type: ignore[call-overload]
            return list(cursor.fetchall()) if cursor.description else []


def _as(url: str, role: str) -> str:
    return make_url(url).set(username=role).render_as_string(hide_password=False)


@pytest.fixture
def ranked(
    seeded_copy: tuple[living.Template, Path, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Ranked]:
    template, home, url = seeded_copy
    mark = uuid4().hex
    owner, service, auditor = (f"{one}_{mark}" for one in ("owner", "service", "auditor"))
    plain = url.replace("+psycopg", "", 1)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {owner} NOLOGIN")
        connection.execute(f"CREATE ROLE {service} LOGIN")
        connection.execute(f"CREATE ROLE {auditor} LOGIN")
        for kind, listing in OWNED.items():
            for (name,) in connection.execute(listing).fetchall():
                connection.execute(f"ALTER {kind} {name} OWNER TO {owner}")
        connection.execute(f"GRANT ALL ON SCHEMA public TO {owner}")
    separator = "&" if "?" in url else "?"
    monkeypatch.setenv("GOVERNANCE_HOME", str(home))
    monkeypatch.setenv("GOVERNANCE_DATABASE_URL", f"{url}{separator}options={quote(f'-c role={owner}')}")
    assert main(["migrate", "--grant-app", service, "--grant-auditor", auditor]) == 0
    house = living.revive(template, home, _as(url, service))
    yield Ranked(house, url, service, auditor, owner)
    house.service.close()
    with psycopg.connect(plain, autocommit=True) as connection:
        for role in (service, auditor, owner):
            connection.execute(f"DROP OWNED BY {role} CASCADE")
            connection.execute(f"DROP ROLE {role}")


REFUSED = {
    "an entry is changed": "UPDATE audit_entry SET act = 'write'",
    "an entry is deleted": "DELETE FROM audit_entry",
    "the log is emptied": "TRUNCATE audit_entry",
    "the index is changed": "UPDATE audit_subject SET t = 0",
    "the index is deleted": "DELETE FROM audit_subject",
    "a checkpoint is changed": "UPDATE audit_checkpoint SET note = ''",
    "a checkpoint is deleted": "DELETE FROM audit_checkpoint",
    "a tile is deleted": "DELETE FROM audit_tile",
    "a tile is rewritten": "UPDATE audit_tile SET data = substring(data FROM 1 FOR 32)",
    "the head is moved back": "UPDATE audit_head SET size = 1",
    "the head is deleted": "DELETE FROM audit_head",
    "a statement is deleted": "DELETE FROM audit_pruned",
    "a waiting leaf is changed": "UPDATE audit_pending SET leaf = ''",
    "a trigger is disabled": "ALTER TABLE audit_entry DISABLE TRIGGER audit_entry_no_update_or_delete",
    "all triggers are disabled": "ALTER TABLE audit_entry DISABLE TRIGGER ALL",
    "a trigger is dropped": "DROP TRIGGER audit_entry_no_update_or_delete ON audit_entry",
    "triggers are silenced": "SET session_replication_role = replica",
    "the table is dropped": "DROP TABLE audit_entry",
    "the guard is replaced": (
        "CREATE OR REPLACE FUNCTION public.audit_keep() RETURNS trigger LANGUAGE plpgsql"
        " AS $$ BEGIN RETURN OLD; END $$"
    ),
    "a function is made": "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "the account becomes the owner": "SET ROLE {owner}",
    "an entry is pruned that no statement covers": (
        "SELECT 1 / (CASE WHEN audit_prune_entry(3) = 0 THEN 0 ELSE 1 END)"
    ),
    "entries are pruned under a table of the same name": (
        "CREATE TEMPORARY TABLE audit_pruned (size bigint, t bigint);"
        "INSERT INTO audit_pruned VALUES (9999999, 9999999999999);"
        "SELECT 1 / (CASE WHEN public.audit_prune_entry(3) = 0 THEN 0 ELSE 1 END)"
    ),
    "a piece is read past the whole": "SELECT leaf FROM audit_entry_p0",
    "a piece is written past the whole": "INSERT INTO audit_subject_p0 SELECT 'x', 5, 5",
    "an entry of a piece is changed": "UPDATE audit_entry_p0 SET act = 'write'",
    "an entry of a piece is deleted": "DELETE FROM audit_entry_p0",
    "a piece is emptied": "TRUNCATE audit_entry_p0",
    "a trigger of a piece is disabled": (
        "ALTER TABLE audit_entry_p0 DISABLE TRIGGER audit_entry_no_update_or_delete"
    ),
    "a trigger of a piece is dropped": "DROP TRIGGER audit_subject_no_truncate ON audit_subject_p0",
    "a piece is taken out": "ALTER TABLE audit_entry DETACH PARTITION audit_entry_p0",
    "a piece is dropped": "DROP TABLE audit_entry_p0",
    "a piece of the account's own is put in": (
        "CREATE TEMPORARY TABLE mine (LIKE audit_subject);"
        "ALTER TABLE audit_subject ATTACH PARTITION mine FOR VALUES FROM (9000000) TO (9000001)"
    ),
    "pieces of another width are made": "SELECT audit_pieces_grow(1)",
    "a piece is made to join": "SELECT audit_piece_joins('audit_entry', 'audit_entry_x', 9000000, 9000001)",
    "a statement is made that no entry stands behind": (
        "INSERT INTO audit_pruned (size, entry, cutoff, t) SELECT 20, 25, 0, max(t) FROM audit_entry"
    ),
}


@ON_POSTGRESQL
def test_the_services_account_can_take_nothing_from_the_log(ranked: Ranked) -> None:
    for deed, statement in REFUSED.items():
        before = ranked.house.size()
        with pytest.raises(psycopg.Error) as caught:
            ranked.said(ranked.house.url, statement.format(owner=ranked.owner))
        assert caught.value.sqlstate in {"42501", "23001", "22012"}, deed
        assert ranked.house.verified() == before


@ON_POSTGRESQL
def test_the_house_lives_under_the_services_account(ranked: Ranked, tmp_path: Path) -> None:
    house = ranked.house
    folder = Path(shutil.copytree(packaged_rules(), tmp_path / "rules"))
    with (folder / "grants.csv").open("a", encoding="utf-8") as file:
        file.write(NO_PROMOTION)
    rules = pack(folder), load_book(folder).fingerprint
    wire = living.wired(house)
    try:
        own = happenings.reading(
            world.GRANDMOTHER.id, world.GRANDMOTHER.id, "allergies", purpose="personal.access"
        )
        [reply] = house.service.gate.read([own], house.clock())
        assert isinstance(reply, Answer)
        assert reply.fields[0].value == world.GRANDMOTHER.values["allergies"]
        happenings.withdraw(house, world.GRANDMOTHER, "service.health")
        happenings.emergency(house)
        happenings.hide(house, world.ZHANG_LI, "content.history", world.LI_QIANG.id)
        assert play(house.service, house.keys, 3) > 10  # reads, writes and messages of agents and services
        version = house.service.desk.draft(*rules, "stricter", ActorId(world.OFFICER.id), house.clock())
        with house.service.database.reading() as tx:
            seen = house.service.keeper.fingerprint(tx)
        assert house.service.desk.publish(
            version.number, ActorId(world.PRIVACY_ADMIN.id), seen_from=seen, passing=True, now=house.clock()
        )
        assert house.service.desk.agrees_with_log()
        erase(house)
        newest = house.sql("SELECT max(t) FROM audit_entry")[0][0]
        house.clock.now = newest + THREE_YEARS.days * DAY + DAY
        house.service.gate.read([own], house.clock())
        house.service.log.settle()
        house.service.log.checkpoints.publish(house.clock())
        house.service.tidy()
        report = house.service.log.checkpoints.verify()
        assert (int(report.exit), report.pruned > 10) == (0, True)
        assert of_member(house.service, SubjectId(world.LI_QIANG.id), None, 10)[0]
    finally:
        wire.close()


@ON_POSTGRESQL
def test_pieces_that_the_service_asks_for_belong_to_the_owner_and_are_read_as_a_whole_only(
    ranked: Ranked,
) -> None:
    lost = [f"{whole}_p{WIDTH}" for whole in ("audit_entry", "audit_subject")]
    for piece in lost:
        ranked.said(ranked.superuser, f"DROP TABLE {piece}")
    assert ranked.house.service.log.pieces.grow() == len(lost)
    for piece in lost:
        owner = f"SELECT tableowner FROM pg_tables WHERE tablename = '{piece}'"
        assert ranked.said(ranked.superuser, owner) == [(ranked.owner,)]
        for url in (ranked.house.url, _as(ranked.superuser, ranked.auditor)):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                ranked.said(url, f"SELECT * FROM {piece}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ranked.said(_as(ranked.superuser, ranked.auditor), "SELECT audit_partitions_ahead()")


@ON_POSTGRESQL
def test_an_auditor_verifies_the_log_and_reads_nothing_else(
    ranked: Ranked, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    house = ranked.house
    house.service.log.settle()
    auditor = _as(ranked.superuser, ranked.auditor)
    monkeypatch.setenv("GOVERNANCE_DATABASE_URL", auditor)
    capsys.readouterr()
    assert main(["audit", "verify", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["size"], told["findings"]) == (house.size(), [])
    business = [
        row[0]
        for row in ranked.said(
            ranked.superuser, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        )
        if row[0] not in roles.AUDITOR
    ]
    assert {"cell", "subject", "subject_pseudonym", "data_key", "consent_event"} <= set(map(str, business))
    for table in business:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            ranked.said(auditor, f"SELECT * FROM {table}")
    for statement in ("DELETE FROM audit_entry", "INSERT INTO audit_pending (entry_id) VALUES ('x')"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            ranked.said(auditor, statement)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ranked.said(auditor, "SELECT audit_prune_entry(3)")


@ON_POSTGRESQL
def test_granting_twice_changes_nothing_and_takes_back_what_was_too_much(
    ranked: Ranked, capsys: pytest.CaptureFixture[str]
) -> None:
    def rights() -> set[tuple[object, ...]]:
        return set(
            ranked.said(
                ranked.superuser,
                "SELECT table_name, privilege_type FROM information_schema.role_table_grants"
                f" WHERE grantee = '{ranked.service}'",
            )
        )

    first = rights()
    assert ("audit_entry", "INSERT") in first
    ranked.said(ranked.superuser, f"GRANT ALL ON audit_entry TO {ranked.service}")
    assert rights() != first
    words = ["migrate", "--grant-app", ranked.service]
    capsys.readouterr()
    assert main([*words, "--print"]) == 0
    shown = capsys.readouterr().out
    assert f"GRANT SELECT, INSERT ON audit_entry TO {ranked.service};" in shown
    assert rights() != first
    assert main(words) == 0
    assert rights() == first


@ON_POSTGRESQL
def test_the_doctor_says_when_the_service_could_drop_the_guards(ranked: Ranked) -> None:
    def note(url: str) -> str:
        database = open_database(url)
        try:
            return databaseroles.note(database)
        finally:
            database.close()

    assert note(ranked.house.url) == ""
    assert "works as a superuser" in note(ranked.superuser)
    ranked.said(ranked.superuser, f"GRANT {ranked.owner} TO {ranked.service}")
    assert "the owner of the tables" in note(ranked.house.url)


def test_every_table_of_the_log_has_its_rights_said() -> None:
    own = {
        table
        for table, rows in log_records.SQLModel.metadata.tables.items()
        if any(
            getattr(one, "__table__", None) is rows
            for one in vars(log_records).values()
            if isinstance(one, type)
        )
    }
    assert set(roles.SERVICE) == own
    for table, rights in roles.SERVICE.items():
        assert "TRUNCATE" not in rights
        # The search index is made from the leaves, details may be erased; the rest of the log only grows.
        if table not in {"audit_pending", "subject_pseudonym", "audit_term", "audit_span", "audit_detail"}:
            assert "DELETE" not in rights


@pytest.mark.parametrize("name", ["", "Robert", "x; DROP TABLE actor", 'a"b', "x" * 64])
def test_an_account_of_a_strange_name_is_refused(name: str) -> None:
    with pytest.raises(RoleNameError):
        databaseroles.statements("service", name, ["actor"])
    with pytest.raises(RoleNameError):
        databaseroles.statements(name, None, ["actor"])


@pytest.mark.parametrize("words", [["--print"], ["--grant-auditor", "a"], ["--grant-app", "a"]], ids=" ".join)
def test_accounts_on_a_file_or_without_the_services_are_a_usage_error(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("GOVERNANCE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GOVERNANCE_HOME", str(tmp_path / "home"))
    assert main(["migrate", *words]) == 2
