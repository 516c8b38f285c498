"""Erasure: nothing leads to the person any more, backups do not bring them back, and a proof remains."""

from __future__ import annotations

import json
import shutil

import happenings
import pytest
from backups import put_back, taken
from living import Living, Wire
from rights_story import ask, count, decide, erase, hold, left_of, passed_on

from audit.tree import leaf_hash
from consent.registry import SubjectClosedError
from governance import seeding, world
from governance.acting import On
from governance.asking import NotYours
from governance.erasureledger import Erased, ErasureLedger, ErasureLedgerError
from governance.holds import HeldError
from governance.identity import Caller
from governance.rights import NoSuchRequestError
from governance.rightsdeciding import Step
from governance.rightsrecords import Right, Status
from governance.showing import Prompt
from governance.starting import StartError
from governance.wiring import assemble
from policies.identifiers import Prefix, new_id
from policies.terms import ActorId, HouseholdId, MemberId, Purpose, SubjectId


def test_nothing_leads_to_an_erased_member_and_the_log_still_verifies(house: Living) -> None:
    house.sign_in(world.ZHANG_LI)
    happenings.emergency(house)
    before = left_of(house, world.ZHANG_LI)
    assert min(before["cell"], before["data_key"], before["index_token"], before["session"]) > 0
    request = erase(house)
    assert set(left_of(house, world.ZHANG_LI).values()) == {0}
    assert count(house, "access_review", "state = 'waiting'") == 0
    assert house.sql(f"SELECT state FROM subject WHERE id = '{world.ZHANG_LI.id}'") == [("erased",)]
    erased = house.log()[-1]
    assert (erased.act, erased.subjects, erased.resource) == ("subject.erased", (), request)
    # Everybody else is as before.
    assert left_of(house, world.LI_QIANG)["cell"] > 0


def test_an_erased_member_looks_like_nobody(house: Living) -> None:
    erase(house)
    asks = [
        happenings.reading(world.WANG_MIN.id, who, "name") for who in (world.ZHANG_LI.id, happenings.NOBODY)
    ]
    assert [type(one) for one in house.service.gate.read(asks, house.clock())] == [NotYours, NotYours]
    nobody = house.service.gate.bearer_of(world.ZHANG_LI.values["mobile"])
    assert nobody != world.ZHANG_LI.id


def test_withdrawals_of_an_erased_member_are_accepted_and_grants_are_not(house: Living) -> None:
    consent = happenings.consent_of(house, world.ZHANG_LI, "marketing.direct")
    erase(house)
    house.clock.advance(1)
    on = passed_on(world.ZHANG_LI)
    assert house.service.consenting.withdraw(on, consent, house.clock()) == house.clock()
    from consent.listing import Terms  # noqa: PLC0415 - only here

    terms = Terms("marketing.direct", frozenset({"outreach.sms"}), "", seeding.notice("marketing.direct"))
    with pytest.raises(SubjectClosedError):
        house.service.consenting.tick(
            on, SubjectId(world.ZHANG_LI.id), terms, house.clock(), prompt=Prompt(opened=True)
        )
    with pytest.raises(NoSuchRequestError):
        ask(house, Right.ACCESS, by=on, evidence="counter-2026-11")


def test_who_withdraws_after_the_erasure_gets_no_new_name_in_the_log(house: Living) -> None:
    consent = happenings.consent_of(house, world.ZHANG_LI, "marketing.direct")
    link = house.service.opting_out.links.make(SubjectId(world.ZHANG_LI.id), Purpose("marketing.direct"))
    erase(house)
    house.service.consenting.withdraw(passed_on(world.ZHANG_LI), consent, house.clock())
    assert house.service.opting_out.by_link(link, "", house.clock()) is not None
    assert [entry.act for entry in house.log()[-2:]] == ["consent.withdrawn", "consent.withdrawn"]
    assert left_of(house, world.ZHANG_LI)["subject_pseudonym"] == 0


def test_what_an_erased_guardian_agreed_to_for_a_child_holds_no_longer(house: Living) -> None:
    erase(house)
    found = house.sql(
        f"SELECT kind FROM consent_event WHERE subject_id = '{world.XIAO_MAN.id}' ORDER BY seq DESC"
    )
    assert found[0][0] == "guardian_ended"


def test_what_an_erased_primary_account_agreed_to_for_others_holds_no_longer(house: Living) -> None:
    erase(house)
    found = house.sql(
        f"SELECT kind, actor_id FROM consent_event WHERE subject_id = '{world.LI_QIANG.id}' ORDER BY seq DESC"
    )
    assert found[0] == ("left", world.ZHANG_LI.id)
    assert (
        count(
            house,
            "relation",
            f"actor_id = '{world.ZHANG_LI.id}' AND relation = 'coresident' AND ends_at IS NULL",
        )
        == 0
    )


def test_an_approval_that_an_erased_guardian_gave_opens_nothing(house: Living) -> None:
    approval = happenings.approved_purchase(house)
    assert house.sql(f"SELECT state FROM approval WHERE id = '{approval}'") == [("approved",)]
    erase(house)
    assert house.sql(f"SELECT state FROM approval WHERE id = '{approval}'") == [("cancelled",)]


def test_offers_to_an_erased_member_and_ages_that_were_told_go_as_well(house: Living) -> None:
    happenings.handed_over(house, world.ZHANG_LI, world.LI_QIANG)
    home = HouseholdId(world.ZHANG_HOME.id)
    house.service.homes.offer_role(
        happenings.person_acts(world.LI_QIANG), home, MemberId(world.ZHANG_LI.id), house.clock()
    )
    house.sql(
        f"INSERT INTO transition (subject_id, years, state) VALUES ('{world.ZHANG_LI.id}', 18, 'reached')"
    )
    assert left_of(house, world.ZHANG_LI)["invitation"] > 0
    assert left_of(house, world.ZHANG_LI)["transition"] == 1
    erase(house)
    assert set(left_of(house, world.ZHANG_LI).values()) == {0}


def test_the_certificate_verifies_offline_and_a_changed_byte_is_noticed(house: Living) -> None:
    request = erase(house)
    body = house.service.rights.certificate(passed_on(world.ZHANG_LI), request)
    document = json.loads(body)
    entry = house.log()[document["log"]["index"]]
    assert entry.act == "subject.erased"
    [[leaf]] = house.sql(f"SELECT leaf FROM audit_entry WHERE leaf_index = {document['log']['index']}")
    assert leaf_hash(bytes(leaf)).hex() == document["log"]["leaf"]
    assert sum(document["destroyed"].values()) == entry.n > 0
    assert world.ZHANG_LI.id not in body.decode()
    verifies = house.service.certificates.verifies
    assert verifies(body)
    changed = [
        place
        for place in range(len(body))
        if verifies(body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :])
    ]
    assert changed == []
    other = On(
        Caller(ActorId(world.SENDER.id), Prefix.SERVICE), ActorId(world.ZHANG_LI.id), new_id(Prefix.REQUEST)
    )
    with pytest.raises(NoSuchRequestError):
        house.service.rights.certificate(other, request)


def test_an_officer_fetches_the_certificate_of_whoever_asked_in_person(house: Living, wire: Wire) -> None:
    request = ask(house, Right.ERASURE).request.id
    cookie = f"governance_session={house.sign_in(world.OFFICER)}"
    address = f"/console/rights/{request}/certificate"
    assert wire.get(address, cookie=cookie).status_code == 404
    decide(house, request, Step.FULFIL)
    answer = wire.get(address, cookie=cookie)
    assert answer.status_code == 200
    assert house.service.certificates.verifies(answer.content)
    assert address in wire.get(f"/console/rights?done={request}", cookie=cookie).text
    assert (
        "/certificate" not in wire.get(f"/console/rights?done={house.log()[0].resource}", cookie=cookie).text
    )
    # The row names nobody either.
    assert house.sql("SELECT via FROM erasure_certificate") == [("",)]


def test_a_certificate_verifies_with_the_published_key_and_another_library(house: Living) -> None:
    from base64 import urlsafe_b64decode  # noqa: PLC0415 - only here

    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415 - only here
        Ed25519PublicKey,
    )

    body = house.service.rights.certificate(passed_on(world.ZHANG_LI), erase(house))
    document = json.loads(body)
    header, _, signature = document.pop("signature").split(".")
    payload = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    [key] = house.service.certificates.key_set()["keys"]
    public = Ed25519PublicKey.from_public_bytes(urlsafe_b64decode(key["x"] + "=="))
    public.verify(urlsafe_b64decode(signature + "=="), header.encode() + b"." + payload)


def test_a_restored_backup_does_not_bring_an_erased_member_back(house: Living) -> None:
    home = house.settings.home
    house.service.log.checkpoints.publish(house.clock())
    backup = taken(house)
    shutil.copy(house.settings.lock_store, home.with_name("lock"))
    erase(house)
    house.service.close()
    # Database and lock store come back as they were; the list of erasures lies elsewhere and does not.
    shutil.copy(home.with_name("lock"), house.settings.lock_store)
    settings = put_back(house, backup)
    again = Living(settings, assemble(settings, clock=house.clock), house.keys, house.clock)
    assert set(left_of(again, world.ZHANG_LI).values()) == {0}
    assert again.log()[-1].actor.party.id == "erasures"
    assert again.service.erasing.replay_erasures(house.clock()) == 0
    again.service.close()


def test_the_order_is_on_the_disk_before_the_commit(house: Living, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    append = ErasureLedger.append

    def watched(ledger: ErasureLedger, erased: Erased) -> None:
        append(ledger, erased)
        seen.append(house.sql(f"SELECT state FROM subject WHERE id = '{world.ZHANG_LI.id}'"))

    monkeypatch.setattr(ErasureLedger, "append", watched)
    erase(house)
    assert seen == [[("active",)]]


def test_without_the_list_nothing_is_erased_and_nothing_starts(house: Living) -> None:
    request = ask(house, Right.ERASURE).request.id
    house.settings.erasures.rename(house.settings.erasures.with_name("away"))
    with pytest.raises(ErasureLedgerError):
        decide(house, request, Step.FULFIL)
    assert left_of(house, world.ZHANG_LI)["cell"] > 0
    with pytest.raises(StartError, match="list of erasures"):
        assemble(house.settings, clock=house.clock)


def test_a_request_that_was_taken_back_meanwhile_erases_nobody(house: Living) -> None:
    request = ask(house, Right.ERASURE).request.id
    held = house.service.deciding._look(request)
    house.service.rights.revoke(happenings.person_acts(world.ZHANG_LI), request, house.clock())
    from governance.rights import RequestClosedError  # noqa: PLC0415 - only here

    with pytest.raises(RequestClosedError):
        house.service.deciding._erase(happenings.office_acts(world.OFFICER), held, house.clock())
    assert left_of(house, world.ZHANG_LI)["cell"] > 0
    assert list(ErasureLedger(house.settings.erasures).entries()) == []


def test_a_hold_turns_an_erasure_into_storage_only_until_it_is_over(house: Living) -> None:
    request = ask(house, Right.ERASURE, by=passed_on(world.ZHANG_LI), evidence="counter-1").request.id
    placed = hold(house, world.ZHANG_LI.id)
    with pytest.raises(HeldError):
        decide(house, request, Step.FULFIL)
    assert left_of(house, world.ZHANG_LI)["cell"] > 0
    kinds = [
        row[0]
        for row in house.sql(
            f"SELECT kind FROM consent_event WHERE subject_id = '{world.ZHANG_LI.id}' ORDER BY seq DESC"
        )
    ]
    assert kinds[0] == "restricted"
    assert house.log()[-1].act == "rights.held"
    house.service.holds.lift(
        happenings.office_acts(world.OFFICER).caller, placed, house.clock(), request_id="r"
    )
    house.clock.advance(1)
    assert decide(house, request, Step.FULFIL) is Status.FULFILLED
    assert set(left_of(house, world.ZHANG_LI).values()) == {0}


def test_a_line_that_a_crash_cut_short_spoils_itself_and_no_other(tmp_path) -> None:
    ledger = ErasureLedger.create(tmp_path / "erasures.jsonl")
    one, two = (Erased(SubjectId(new_id(Prefix.MEMBER)), new_id(Prefix.RIGHT), at) for at in (1, 2))
    ledger.append(one)
    whole = (tmp_path / "erasures.jsonl").read_bytes()
    for cut in range(1, len(whole)):
        (tmp_path / "erasures.jsonl").write_bytes(whole + whole[:-cut])
        ledger.append(two)
        found = list(ledger.entries())
        assert found[0] == one
        assert found[-1] == two
        assert len(found) <= 3
    with pytest.raises(FileExistsError):
        ErasureLedger.create(tmp_path / "erasures.jsonl")


def test_a_whole_line_that_was_changed_stops_the_reading_and_is_named(tmp_path) -> None:
    path = tmp_path / "erasures.jsonl"
    ledger = ErasureLedger.create(path)
    for at in (1, 2):
        ledger.append(Erased(SubjectId(new_id(Prefix.MEMBER)), new_id(Prefix.RIGHT), at))
    whole = path.read_bytes()
    first = whole.index(b"\n")
    for place in range(first - 1):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(ErasureLedgerError, match="line 1 of"):
            list(ledger.entries())


def test_lines_of_older_versions_without_a_digest_are_read(tmp_path) -> None:
    path, one = tmp_path / "erasures.jsonl", Erased(SubjectId(new_id(Prefix.MEMBER)), new_id(Prefix.RIGHT), 7)
    ledger = ErasureLedger.create(path)
    path.write_text(
        f'{{"v":1,"subject":"{one.subject}","request":"{one.request}","at":7}}\n', encoding="ascii"
    )
    ledger.append(one)
    assert list(ledger.entries()) == [one, one]
