"""Which rules decide: the version in force, on every replica, published by a second person."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from happenings import consent_of, person_acts
from living import Living, Wire

from audit.entry import Entry, Kind, Verdict
from governance import world
from governance.asking import Answer, Ask, Reply, Unrecorded
from governance.identity import Caller, Scope
from governance.rulekeeping import IN_FORCE, REHEARSED, Pointer, RulesUnavailableError
from governance.rulepublishing import NotTakenError, Obstacle, State
from governance.wiring import Service, assemble
from policies.archive import pack
from policies.book import fingerprint, load_book, packaged_rules
from policies.identifiers import Prefix, new_id
from policies.terms import Action, ActorId, Effect, FieldName, Purpose, SubjectId

NO_PROMOTION = "p, sender, *, channel.sms, send, *, marketing.direct, -, deny, -, S-SE-99, S6\n"
OFFICER, SECOND = ActorId(world.OFFICER.id), ActorId(world.PRIVACY_ADMIN.id)
AGENT = ActorId(world.WANG_MIN.id)
NO_MOBILE = "p, agent, *, category:contact.phone, read.exists, *, service.delivery, -, deny, -, S-AG-99, S6\n"


@pytest.fixture
def changed(tmp_path: Path) -> Callable[..., tuple[bytes, str]]:
    """Makes a version of the packaged rules in which something is different."""

    def make(name: str, edit: Callable[[str], str], file: str = "grants.csv") -> tuple[bytes, str]:
        folder = Path(shutil.copytree(packaged_rules(), tmp_path / name))
        path = folder / file
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        path.write_text(edit(text), encoding="utf-8")
        load_book(folder)
        return pack(folder), fingerprint(folder)

    return make


def stricter(text: str) -> str:
    return text + NO_MOBILE


def ask(service: Service, now: int) -> Reply:
    crm = Caller(ActorId(world.CRM.id), Prefix.SERVICE, frozenset(Scope))
    one = Ask(
        crm, AGENT, Action.READ, SubjectId(world.ZHANG_LI.id), (FieldName("mobile"), FieldName("name")),
        Purpose("service.delivery"), new_id(Prefix.REQUEST), new_id(Prefix.DECISION), reveal=True,
    )  # fmt: skip
    return service.gate.read([one], now)[0]


def effect(reply: Reply) -> Effect:
    assert isinstance(reply, Answer), reply
    return next(one.effect for one in reply.fields if one.field == "mobile")


def publish(house: Living, archive: tuple[bytes, str], service: Service | None = None) -> int:
    """Draft by one officer and publish by the other."""
    service = service or house.service
    version = service.desk.draft(*archive, "stricter", OFFICER, house.clock())
    assert service.desk.publish(
        version.number, SECOND, seen_from=in_force(service), passing=True, now=house.clock()
    )
    return version.number


def in_force(service: Service) -> str:
    with service.database.reading() as tx:
        return service.keeper.fingerprint(tx)


@pytest.fixture
def replica(house: Living) -> Iterator[Service]:
    """Another process on the same database."""
    other = assemble(house.settings, clock=house.clock)
    yield other
    other.close()


def test_a_published_version_decides_the_next_read_on_every_replica(
    house: Living, replica: Service, changed: Callable[..., tuple[bytes, str]]
) -> None:
    assert effect(ask(replica, house.clock())) is Effect.MASK
    archive = changed("stricter", stricter)
    publish(house, archive)
    assert effect(ask(replica, house.clock())) is Effect.HIDE
    assert effect(ask(house.service, house.clock())) is Effect.HIDE
    assert [entry.policy for entry in house.log()[-2:]] == [archive[1]] * 2


def test_rolling_back_is_publishing_an_earlier_version(
    house: Living, replica: Service, changed: Callable[..., tuple[bytes, str]]
) -> None:
    before = in_force(house.service)
    publish(house, changed("stricter", stricter))
    assert house.service.desk.publish(
        1, SECOND, seen_from=in_force(house.service), passing=True, now=house.clock()
    )
    assert in_force(replica) == before
    assert effect(ask(replica, house.clock())) is Effect.MASK


INSIDER = {
    "the archive is changed": "UPDATE rule_version SET body = '{}' WHERE number = 2",
    "the pointer names a draft": "UPDATE rule_pointer SET number = 3, fingerprint = "
    "(SELECT fingerprint FROM rule_version WHERE number = 3)",
    "the pointer names nothing": "UPDATE rule_pointer SET fingerprint = 'none'",
    "the pointer is gone": "DELETE FROM rule_pointer",
}
UNGUARD = {
    "sqlite": "DROP TRIGGER rule_version_no_change",
    "postgres": "DROP TRIGGER rule_version_fixed ON rule_version",
}


@pytest.mark.parametrize("what", INSIDER)
def test_rules_that_cannot_be_trusted_decide_nothing_and_the_version_before_does_not_go_on(
    house: Living, replica: Service, changed: Callable[..., tuple[bytes, str]], what: str
) -> None:
    publish(house, changed("stricter", stricter))
    house.service.desk.draft(
        *changed("draft", lambda text: text + "# one more\n"), "", OFFICER, house.clock()
    )
    statement = INSIDER[what]
    if house.engine == "postgres":
        statement = statement.replace("'{}'", r"'\x7b7d'")
    house.sql(UNGUARD[house.engine], statement)
    assert ask(replica, house.clock()) == Unrecorded(no_rules=True)


def test_a_version_that_does_not_load_answers_503_and_says_what_is_missing(house: Living, wire: Wire) -> None:
    size = house.size()
    house.sql("UPDATE rule_pointer SET fingerprint = 'none'")
    read = {
        "subject": {"type": "member", "id": world.ZHANG_LI.id},
        "fields": ["mobile"],
        "purpose": "service.delivery",
    }
    message = {
        "sender": world.SENDER.id, "channel": "sms", "purpose": "service.delivery", "text": "到货了",
        "recipients": [world.ZHANG_LI.id],
    }  # fmt: skip
    for path, body, office in (
        ("/v1/reads", read, world.CRM),
        ("/v1/checks", {"checks": [read, read]}, world.CRM),
        ("/v1/messages", message, world.SENDER),
    ):
        answer = wire.post(path, body, key=house.key(office))
        assert (answer.status_code, answer.json()["code"]) == (503, "rules_unavailable")
        assert answer.headers["retry-after"] == "1"
    assert wire.get("/readyz").json()["code"] == "rules_unavailable"
    assert house.size() == size


def test_a_withdrawal_waits_for_no_rules(house: Living, replica: Service) -> None:
    consent = consent_of(house, world.ZHANG_LI, "marketing.direct")
    house.sql("UPDATE rule_pointer SET fingerprint = 'none'")
    since = replica.consenting.withdraw(person_acts(world.ZHANG_LI), consent, house.clock())
    assert since == house.clock()


def tries(by: world.Office | world.Person, **how: Any) -> Callable[[Living, int], object]:
    """Return an attempt to publish that is as it should be but for what is said here."""

    def attempt(house: Living, number: int) -> object:
        right = {"seen_from": in_force(house.service), "passing": True, "now": house.clock()}
        return house.service.desk.publish(number, ActorId(by.id), **(right | how))

    return attempt


STEPS: dict[str, tuple[Callable[[Living, int], object], Obstacle]] = {
    "the author publishes": (tries(world.OFFICER), Obstacle.OWN_DRAFT),
    "an auditor publishes": (tries(world.AUDITOR), Obstacle.NOT_IN_OFFICE),
    "a member publishes": (tries(world.ZHANG_LI), Obstacle.NOT_IN_OFFICE),
    "another what-if was seen": (tries(world.PRIVACY_ADMIN, seen_from="x"), Obstacle.WHATIF_NOT_SEEN),
    "its own cases fail": (tries(world.PRIVACY_ADMIN, passing=False), Obstacle.CASES_FAIL),
    "the author refuses": (
        lambda house, number: house.service.desk.refuse(number, OFFICER, house.clock()),
        Obstacle.OWN_DRAFT,
    ),
}


@pytest.mark.parametrize("what", STEPS)
def test_what_a_second_person_has_not_tried_does_not_come_into_force_and_the_attempt_is_logged(
    house: Living, changed: Callable[..., tuple[bytes, str]], what: str
) -> None:
    step, obstacle = STEPS[what]
    before = in_force(house.service)
    version = house.service.desk.draft(*changed("stricter", stricter), "", OFFICER, house.clock())
    with pytest.raises(NotTakenError) as caught:
        step(house, version.number)
    assert caught.value.obstacle is obstacle
    assert in_force(house.service) == before
    assert house.service.desk.version(version.number).state is State.DRAFT
    if what != "a member publishes":
        entry = house.log()[-1]
        assert (entry.kind, entry.dec, entry.why) == (Kind.ADMIN, Verdict.DENY, (obstacle.value,))


def test_a_refused_draft_cannot_be_published(
    house: Living, changed: Callable[..., tuple[bytes, str]]
) -> None:
    version = house.service.desk.draft(*changed("stricter", stricter), "", OFFICER, house.clock())
    house.service.desk.refuse(version.number, SECOND, house.clock())
    with pytest.raises(NotTakenError) as caught:
        house.service.desk.publish(
            version.number, SECOND, seen_from=in_force(house.service), passing=True, now=house.clock()
        )
    assert caught.value.obstacle is Obstacle.REFUSED


def test_each_step_is_an_entry_that_names_person_and_version(
    house: Living, changed: Callable[..., tuple[bytes, str]]
) -> None:
    archive = changed("stricter", stricter)
    number = publish(house, archive)
    drafted, published = house.log()[-2:]
    assert [entry.act for entry in (drafted, published)] == ["rules.drafted", "rules.published"]
    assert [entry.actor.party.id for entry in (drafted, published)] == [OFFICER, SECOND]
    assert {entry.resource for entry in (drafted, published)} == {f"rules:{number}"}
    assert {entry.policy for entry in (drafted, published)} == {archive[1]}


def test_nobody_outside_the_offices_drafts(house: Living, changed: Callable[..., tuple[bytes, str]]) -> None:
    with pytest.raises(NotTakenError) as caught:
        house.service.desk.draft(*changed("stricter", stricter), "", AGENT, house.clock())
    assert caught.value.obstacle is Obstacle.NOT_IN_OFFICE
    assert [version.number for version in house.service.desk.versions()[0]] == [1]


def rehearsals(house: Living) -> list[Entry]:
    return [entry for entry in house.log() if entry.act == "rules.rehearsed"]


def test_a_shadow_version_is_heard_in_the_log_and_changes_no_answer(
    house: Living, changed: Callable[..., tuple[bytes, str]]
) -> None:
    archive = changed("stricter", stricter)
    version = house.service.desk.draft(*archive, "", OFFICER, house.clock())
    house.service.desk.rehearse(version.number, SECOND, house.clock())
    reply = ask(house.service, house.clock())
    assert effect(reply) is Effect.MASK
    (heard,) = rehearsals(house)
    assert isinstance(reply, Answer)
    assert (heard.corr, heard.policy, heard.subjects) == (reply.decision_id, archive[1], ())
    assert [(one.name, one.effect) for one in heard.fields] == [("mobile", Effect.HIDE)]
    house.service.desk.rehearse(None, SECOND, house.clock())
    ask(house.service, house.clock())
    assert len(rehearsals(house)) == 1


def test_shadow_rows_of_the_version_in_force_are_heard_in_the_log_only(
    house: Living, changed: Callable[..., tuple[bytes, str]]
) -> None:
    publish(house, changed("rows", lambda _: NO_MOBILE, "shadow.csv"))
    assert effect(ask(house.service, house.clock())) is Effect.MASK
    assert [one.effect for one in rehearsals(house)[0].fields] == [Effect.HIDE]


def test_a_shadow_version_is_heard_about_messages_too_and_sends_nothing(
    house: Living, wire: Wire, changed: Callable[..., tuple[bytes, str]]
) -> None:
    silent = changed("silent", lambda text: text + NO_PROMOTION)
    version = house.service.desk.draft(*silent, "", OFFICER, house.clock())
    house.service.desk.rehearse(version.number, SECOND, house.clock())
    message = {
        "sender": world.SENDER.id, "channel": "sms", "purpose": "marketing.direct",
        "text": "【张家小铺】周末绘本八折，拒收请回复R",
        "recipients": [world.ZHANG_LI.id, world.GRANDMOTHER.id],
    }  # fmt: skip
    sent = wire.post("/v1/messages", message, key=house.key(world.SENDER)).json()
    assert [one["outcome"] for one in sent["recipients"]] == ["admit", "refuse"]
    (heard,) = rehearsals(house)
    assert heard.message is not None
    assert (heard.message.outcome, heard.subjects, heard.why) == ("refuse", (), ("denied_by_rule",))


def test_a_shadow_version_that_does_not_load_stops_nothing(
    house: Living, replica: Service, changed: Callable[..., tuple[bytes, str]]
) -> None:
    version = house.service.desk.draft(*changed("stricter", stricter), "", OFFICER, house.clock())
    house.service.desk.rehearse(version.number, SECOND, house.clock())
    house.sql(f"UPDATE rule_pointer SET fingerprint = 'none' WHERE name = '{REHEARSED}'")
    assert effect(ask(replica, house.clock())) is Effect.MASK
    assert rehearsals(house) == []


def test_only_a_publisher_lets_a_version_be_rehearsed(house: Living) -> None:
    with pytest.raises(NotTakenError):
        house.service.desk.rehearse(1, AGENT, house.clock())
    assert REHEARSED not in house.service.desk.versions()[1]
    assert house.service.desk.versions()[1] == {IN_FORCE: 1}


def test_publishing_waits_until_no_decision_by_the_version_before_is_under_way(
    house: Living, monkeypatch: pytest.MonkeyPatch
) -> None:
    if house.engine == "sqlite":
        # Whoever decides holds the file's one write lock, so publishing has waited for it already.
        assert house.service.database.drained()
        return
    monkeypatch.setattr("governance.postgres._DRAIN_S", 0.05)
    with psycopg.connect(house.url.replace("+psycopg", "", 1)) as deciding:
        deciding.execute("SELECT 1")
        assert not house.service.database.drained()
        deciding.rollback()
        assert house.service.database.drained()


def test_an_older_pointer_put_back_is_found_by_comparing_with_the_log(
    house: Living, changed: Callable[..., tuple[bytes, str]]
) -> None:
    kept = house.sql("SELECT number, fingerprint FROM rule_pointer")[0]
    genuine = Pointer(IN_FORCE, *kept, b"")
    assert house.service.desk.agrees_with_log()
    publish(house, changed("stricter", stricter))
    assert house.service.desk.agrees_with_log()
    seal = house.service.keeper.seal(genuine).hex()
    literal = f"x'{seal}'" if house.engine == "sqlite" else f"'\\x{seal}'"
    house.sql(f"UPDATE rule_pointer SET number = {kept[0]}, fingerprint = '{kept[1]}', seal = {literal}")
    assert effect(ask(house.service, house.clock())) is Effect.MASK
    assert not house.service.desk.agrees_with_log()


def test_a_version_in_the_database_does_not_change_and_is_not_deleted(house: Living) -> None:
    for statement in (
        "UPDATE rule_version SET drafted_by = 'somebody'",
        "UPDATE rule_version SET number = 7",
        "DELETE FROM rule_version",
    ):
        with pytest.raises(Exception, match="does not change"):
            house.sql(statement)


def test_no_pointer_no_rules(house: Living) -> None:
    house.sql("DELETE FROM rule_pointer")
    with pytest.raises(RulesUnavailableError), house.service.database.reading() as tx:
        house.service.keeper.in_force(tx)
