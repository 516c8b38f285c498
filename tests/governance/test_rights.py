"""Rights under the law: who may ask, what takes effect at once, who decides the rest, and by when."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import happenings
import pytest
from happenings import HOUR
from living import DAY, Living, Wire
from rights_story import OFFICER, SECOND_OFFICER, ask, decide, passed_on

from audit.entry import Kind, Verdict
from consent.confirmation import NotConfirmed
from governance import world
from governance.asking import Answer
from governance.codes import NoGatewayError
from governance.erasureledger import ErasureLedger
from governance.rights import NoSuchRequestError, RequestClosedError, Rights
from governance.rightsdeciding import NotAllowedError, Step
from governance.rightsrecords import Extension, Refusal, Right, Status
from governance.rightswishes import UnfitRequestError, Wish
from policies.archive import pack
from policies.book import fingerprint, packaged_rules
from policies.reasons import Reason
from policies.terms import ActorId, SubjectId


def reasons(house: Living, who: str, about: str, field: str, purpose: str) -> set[Reason]:
    [reply] = house.service.gate.read([happenings.reading(who, about, field, purpose=purpose)], house.clock())
    assert isinstance(reply, Answer)
    return set(reply.fields[0].reasons)


def test_who_objects_is_obeyed_at_once_and_even_where_the_law_alone_had_allowed_it(house: Living) -> None:
    before = reasons(house, world.WANG_MIN.id, world.ZHANG_LI.id, "name", "service.delivery")
    assert Reason.OBJECTED not in before
    opened = ask(house, Right.OBJECTION, purpose="service.delivery")
    assert opened.request.state is Status.FULFILLED
    assert Reason.OBJECTED in reasons(house, world.WANG_MIN.id, world.ZHANG_LI.id, "name", "service.delivery")
    assert [e.act for e in house.log()][-2] == "rights.requested"


def test_a_restriction_leaves_storage_and_the_persons_own_access(house: Living) -> None:
    ask(house, Right.RESTRICTION)
    assert Reason.RESTRICTED in reasons(
        house, world.WANG_MIN.id, world.ZHANG_LI.id, "name", "service.delivery"
    )
    own = happenings.reading(world.ZHANG_LI.id, world.ZHANG_LI.id, "name", purpose="personal.access")
    [reply] = house.service.gate.read([own], house.clock())
    assert isinstance(reply, Answer)
    assert reply.fields[0].value == world.ZHANG_LI.values["name"]


WRONG = {
    "another adult": (world.LI_QIANG, world.ZHANG_LI),
    "the primary account for another adult": (world.ZHANG_LI, world.GRANDMOTHER),
    "a child for the parent": (world.XIAO_MAN, world.ZHANG_LI),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("kind", [Right.ERASURE, Right.OBJECTION, Right.ACCESS])
def test_nobody_speaks_for_somebody_else(name: str, kind: Right, house: Living) -> None:
    by, about = WRONG[name]
    before = house.size()
    with pytest.raises(NoSuchRequestError):
        ask(house, kind, by, about=about)
    assert house.size() == before


def test_a_guardian_asks_for_a_child(house: Living) -> None:
    opened = ask(house, Right.RESTRICTION, world.ZHANG_LI, about=world.XIAO_MAN)
    assert opened.request.state is Status.FULFILLED
    # As the guardian, in the event and in the log, and not as the child.
    assert house.sql("SELECT capacity FROM consent_event WHERE kind = 'restricted'") == [("guardian",)]
    [entry] = [e for e in house.log() if e.resource == opened.request.id]
    assert entry.actor.relation == "ward"
    happenings.HAPPENINGS["end_guardian"](house)
    with pytest.raises(NoSuchRequestError):
        ask(house, Right.RESTRICTION, world.ZHANG_LI, about=world.XIAO_MAN)


def test_without_session_and_evidence_nothing_happens_before_the_code(house: Living) -> None:
    on = passed_on(world.ZHANG_LI)
    opened = ask(house, Right.OBJECTION, by=on, purpose="service.delivery")
    assert (opened.request.status(house.clock()), opened.request.reason(house.clock())) == (
        Status.IN_PROGRESS,
        "need_user_verification",
    )
    assert Reason.OBJECTED not in reasons(
        house, world.WANG_MIN.id, world.ZHANG_LI.id, "name", "service.delivery"
    )
    sender = house.service.sender
    message = next(m for m in sender.messages() if m.consent_id == opened.request.id)
    wrong = "0" * len(message.code) if message.code != "0" * len(message.code) else "1" * len(message.code)
    rights = house.service.rights
    assert isinstance(rights.verify(on, opened.request.id, wrong, house.clock()), NotConfirmed)
    done = rights.verify(on, opened.request.id, message.code, house.clock())
    assert not isinstance(done, NotConfirmed)
    assert (done.state, done.known_by) == (Status.FULFILLED, "code")
    assert Reason.OBJECTED in reasons(house, world.WANG_MIN.id, world.ZHANG_LI.id, "name", "service.delivery")
    # Once only.
    assert isinstance(rights.verify(on, opened.request.id, message.code, house.clock()), NotConfirmed)


def test_a_code_is_not_guessed_and_a_request_without_it_expires(house: Living) -> None:
    on = passed_on(world.ZHANG_LI)
    opened = ask(house, Right.ERASURE, by=on)
    message = next(m for m in house.service.sender.messages() if m.consent_id == opened.request.id)
    rights, request = house.service.rights, opened.request
    for guess in range(5):
        wrong = f"{(int(message.code) + 1 + guess) % 10**6:06d}"
        assert isinstance(rights.verify(on, request.id, wrong, house.clock()), NotConfirmed)
    assert isinstance(rights.verify(on, request.id, message.code, house.clock()), NotConfirmed)
    with pytest.raises(RequestClosedError):
        decide(house, request.id, Step.FULFIL)
    assert request.verify_by is not None
    assert request.status(request.verify_by - 1) is Status.IN_PROGRESS
    assert request.status(request.verify_by) is Status.EXPIRED


def test_without_a_gateway_for_codes_there_is_no_request_that_needs_one(house: Living) -> None:
    service = house.service
    erasures = ErasureLedger(house.settings.erasures)
    bare = Rights(service.database, service.keeper, service.opening, service.ring.pepper, None, erasures)
    with pytest.raises(NoGatewayError):
        bare.open(
            passed_on(world.ZHANG_LI),
            SubjectId(world.ZHANG_LI.id),
            Wish(Right.ERASURE, "pipl", {}),
            house.clock(),
        )


def test_a_denial_needs_a_second_officer_and_tells_its_reason(house: Living, wire: Wire) -> None:
    request = ask(house, Right.ERASURE).request.id
    assert decide(house, request, Step.DENY, Refusal.NOT_COVERED) is Status.IN_PROGRESS
    with pytest.raises(NotAllowedError):
        decide(house, request, Step.DENY)
    with pytest.raises(NotAllowedError):
        decide(house, request, Step.RETURN)
    assert decide(house, request, Step.DENY, by=SECOND_OFFICER) is Status.DENIED
    with pytest.raises(RequestClosedError):
        decide(house, request, Step.FULFIL)
    session = house.sign_in(world.ZHANG_LI)
    told = wire.get(f"/v1/me/requests/{request}", session=session, accept_language="en").json()
    assert (told["status"], told["reason"]) == ("denied", "claim_not_covered")
    assert told["text"] == Refusal.NOT_COVERED.en
    assert [e.act for e in house.log() if e.resource == request] == [
        "rights.requested",
        "rights.denial_proposed",
        "rights.denied",
    ]


def test_a_proposal_can_be_sent_back_and_a_denial_needs_a_reason(house: Living) -> None:
    request = ask(house, Right.ERASURE).request.id
    with pytest.raises(NotAllowedError):
        decide(house, request, Step.DENY)
    decide(house, request, Step.DENY, Refusal.NO_MATCH)
    decide(house, request, Step.RETURN, by=SECOND_OFFICER)
    [waiting] = house.service.deciding.queue(OFFICER, house.clock())
    assert (waiting.request.refusal, waiting.request.proposed_by) == ("", None)


def test_a_correction_is_written_through_the_gate_when_an_officer_agrees(house: Living) -> None:
    request = ask(house, Right.RECTIFICATION, values={"email": "new@example.com"}).request.id
    [waiting] = house.service.deciding.queue(OFFICER, house.clock())
    assert waiting.detail == {"values": {"email": "new@example.com"}}
    assert decide(house, request, Step.FULFIL) is Status.FULFILLED
    own = happenings.reading(world.ZHANG_LI.id, world.ZHANG_LI.id, "email", purpose="personal.access")
    [reply] = house.service.gate.read([own], house.clock())
    assert isinstance(reply, Answer)
    assert reply.fields[0].value == "new@example.com"
    # The value never stands in the log or in the clear.
    assert "new@example.com" not in repr(house.log())


def test_a_birth_date_is_corrected_by_two_officers_and_holds_up_nothing_else(house: Living) -> None:
    values = {"birth_date": "1986-05-18", "email": "new@example.com"}
    request = ask(house, Right.RECTIFICATION, values=values).request.id

    def on_record(field: str) -> str | None:
        own = happenings.reading(world.ZHANG_LI.id, world.ZHANG_LI.id, field, purpose="personal.access")
        [reply] = house.service.gate.read([own], house.clock())
        assert isinstance(reply, Answer)
        return reply.fields[0].value

    assert decide(house, request, Step.FULFIL, by=SECOND_OFFICER) is Status.IN_PROGRESS
    assert (on_record("email"), on_record("birth_date")) == ("new@example.com", "1986-05-17")
    with pytest.raises(NotAllowedError):
        decide(house, request, Step.FULFIL, by=SECOND_OFFICER)
    assert decide(house, request, Step.FULFIL) is Status.FULFILLED
    assert on_record("birth_date") == "1986-05-18"
    assert [e.act for e in house.log() if e.resource == request and e.kind is Kind.CHANGE] == [
        "rights.requested",
        "rights.correction_proposed",
        "rights.fulfilled",
    ]


def test_a_second_officer_sends_a_birth_date_back_or_proposes_a_denial(house: Living) -> None:
    request = ask(house, Right.RECTIFICATION, values={"birth_date": "1986-05-18"}).request.id
    decide(house, request, Step.FULFIL)
    decide(house, request, Step.RETURN, by=SECOND_OFFICER)
    decide(house, request, Step.FULFIL)
    assert decide(house, request, Step.DENY, Refusal.NO_MATCH, by=SECOND_OFFICER) is Status.IN_PROGRESS
    assert decide(house, request, Step.DENY) is Status.DENIED


UNFIT = {
    "an unknown field": (Right.RECTIFICATION, {"values": {"shoe_size": "43"}}, "/values/shoe_size unknown"),
    "a field of the household": (
        Right.RECTIFICATION,
        {"values": {"address": "x"}},
        "/values/address unknown",
    ),
    "no values": (Right.RECTIFICATION, {}, "/values missing"),
    "a birth date that is none": (
        Right.RECTIFICATION,
        {"values": {"birth_date": "notadate"}},
        "/values/birth_date not_a_date",
    ),
    "values for an access": (Right.ACCESS, {"values": {"email": "a@example.com"}}, "/values unexpected"),
    "a purpose for an erasure": (Right.ERASURE, {"purpose": "marketing.direct"}, "/purpose unexpected"),
    "an unknown purpose": (Right.OBJECTION, {"purpose": "marketing.telepathy"}, "/purpose unknown"),
    "no decision": (Right.EXPLANATION, {}, "/decision_id missing"),
    "a decision that is not there": (
        Right.EXPLANATION,
        {"decision_id": "dec_019a0000-0000-7d47-8433-b18122cd4e5d"},
        "/decision_id unknown",
    ),
}


@pytest.mark.parametrize("name", UNFIT)
def test_what_cannot_be_asked_for_is_refused_with_its_place(name: str, house: Living, wire: Wire) -> None:
    kind, detail, said = UNFIT[name]
    pointer, code = said.split()
    session = house.sign_in(world.ZHANG_LI)
    answer = wire.post(
        "/v1/me/requests", {"kind": kind.value, **detail}, cookie=f"governance_session={session}"
    )
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"pointer": pointer, "code": code}]


def test_a_decision_is_explained_to_whom_it_was_about_and_to_nobody_else(house: Living, wire: Wire) -> None:
    happenings_ask = happenings.reading(world.WANG_MIN.id, world.ZHANG_LI.id, "mobile")
    house.service.gate.read([happenings_ask], house.clock())
    with pytest.raises(UnfitRequestError):
        ask(house, Right.EXPLANATION, world.LI_QIANG, decision_id=happenings_ask.decision_id)
    session = house.sign_in(world.ZHANG_LI)
    body = {"kind": "explanation", "decision_id": happenings_ask.decision_id}
    asked = wire.post("/v1/me/requests", body, cookie=f"governance_session={session}")
    assert asked.status_code == 201, asked.text
    told = wire.get(f"/v1/me/requests/{asked.json()['request_id']}", session=session).json()
    assert told["status"] == "fulfilled"
    assert "手机号" in told["explanation"]["sentence"]
    assert house.log()[-1].act == "rights.explained"


def test_the_queue_has_the_most_urgent_first_and_reading_it_is_on_record(house: Living) -> None:
    soon = ask(house, Right.ERASURE, regime="gdpr").request
    house.clock.advance(DAY)
    late = ask(house, Right.ERASURE, world.LI_QIANG).request
    found = house.service.deciding.queue(OFFICER, house.clock())
    assert [one.request.id for one in found] == [soon.id, late.id]
    # Whatever law is named: fifteen working days, as for everybody here, and no extension.
    assert [one.days_left for one in found] == [18, 21]
    last = house.log()[-1]
    assert (last.kind, last.act, len(last.subjects)) == (Kind.AUDIT, "rights.read", 2)
    for one in (soon, late):
        with pytest.raises(NotAllowedError):
            decide(house, one.id, Step.EXTEND, extension=Extension.COMPLEX)


def monthly(folder: Path) -> tuple[bytes, str]:
    """Return rules under which the law at home allows an extension."""
    rules = Path(shutil.copytree(packaged_rules(), folder / "monthly"))
    path = rules / "calendar.toml"
    text = path.read_text(encoding="utf-8")
    row = 'length = 15\nunit = "working_days"\ncalendar = "cn"\nextension_months = 0'
    assert row in text
    text = text.replace(row, 'length = 1\nunit = "months"\ncalendar = "cn"\nextension_months = 1')
    path.write_text(text, encoding="utf-8")
    return pack(rules), fingerprint(rules)


def test_who_extends_says_why_and_the_person_reads_it(house: Living, wire: Wire, tmp_path: Path) -> None:
    version = house.service.desk.draft(*monthly(tmp_path), "x", ActorId(world.OFFICER.id), house.clock())
    with house.service.database.reading() as tx:
        before = house.service.keeper.fingerprint(tx)
    house.service.desk.publish(
        version.number, ActorId(world.PRIVACY_ADMIN.id), seen_from=before, passing=True, now=house.clock()
    )
    request = ask(house, Right.ERASURE, regime="gdpr").request
    with pytest.raises(NotAllowedError):
        decide(house, request.id, Step.EXTEND)
    decide(house, request.id, Step.EXTEND, extension=Extension.COMPLEX)
    # A denial that is proposed and sent back leaves the reason as it is.
    decide(house, request.id, Step.DENY, Refusal.NO_MATCH)
    decide(house, request.id, Step.RETURN, by=SECOND_OFFICER)
    told = wire.get(f"/v1/me/requests/{request.id}", session=house.sign_in(world.ZHANG_LI)).json()
    assert told["extended_because"] == {"code": "complexity", "text": Extension.COMPLEX.zh}
    # No further than the stricter law allows: one month and one more.
    assert told["days_left"] > 32
    assert told["days_left"] < 63


def test_a_request_is_taken_back_by_whoever_made_it_and_not_after_it_was_decided(house: Living) -> None:
    request = ask(house, Right.ERASURE).request.id
    rights = house.service.rights
    with pytest.raises(NoSuchRequestError):
        rights.revoke(happenings.person_acts(world.LI_QIANG), request, house.clock())
    rights.revoke(happenings.person_acts(world.ZHANG_LI), request, house.clock())
    with pytest.raises(RequestClosedError):
        rights.revoke(happenings.person_acts(world.ZHANG_LI), request, house.clock())
    with pytest.raises(RequestClosedError):
        decide(house, request, Step.FULFIL)


def test_an_export_has_everything_and_the_log_had_it_first(house: Living, wire: Wire) -> None:
    session = house.sign_in(world.ZHANG_LI)
    document = wire.get("/v1/me/export", session=session).json()
    values = {one["field"]: one.get("value") for one in document["fields"]}
    for field, value in world.ZHANG_LI.values.items():
        assert values[field] == value, field
    assert document["consents"]
    assert document["accesses"]
    exported = house.log()[document["receipt"]]
    assert (exported.act, exported.dec) == ("rights.exported", Verdict.PERMIT)
    # The decisions about its fields were committed before it.
    assert house.log()[document["receipt"] - 1].act == "read"
    page = wire.get("/v1/me/export?format=html", session=session)
    assert page.headers["content-type"].startswith("text/html")
    assert "sandbox" in page.headers["content-security-policy"]
    assert "<script" not in page.text
    assert world.ZHANG_LI.values["name"] in page.text


def test_a_value_in_an_export_page_cannot_become_markup(house: Living, wire: Wire) -> None:
    request = ask(house, Right.RECTIFICATION, values={"email": "<img src=x>@example.com"}).request.id
    decide(house, request, Step.FULFIL)
    page = wire.get("/v1/me/export?format=html", session=house.sign_in(world.ZHANG_LI))
    assert "<img" not in page.text
    assert "&lt;img" in page.text


def test_a_service_exports_only_for_an_identified_request_of_its_own(house: Living, wire: Wire) -> None:
    key = house.key(world.CRM)
    body = {"kind": "access", "on_behalf_of": world.ZHANG_LI.id}
    waiting = wire.post("/v1/requests", body, key=key).json()
    path = f"/v1/requests/{waiting['request_id']}"
    bearer = {"authorization": f"Bearer {key}"}
    assert wire.get(f"{path}/export", **bearer).status_code == 409
    sent = next(m for m in house.service.sender.messages() if m.consent_id == waiting["request_id"])
    code = {"code": sent.code, "on_behalf_of": world.ZHANG_LI.id}
    assert wire.post(f"{path}/verify", code, key=key).json()["status"] == "fulfilled"
    document = json.loads(wire.get(f"{path}/export", **bearer).content)
    assert {one["field"]: one.get("value") for one in document["fields"]}["name"] == "张丽"


@pytest.mark.parametrize("evidence", ["tel:15400001001", "86.15400001001", "id-99000019860517002X"])
def test_evidence_is_a_reference_and_never_a_number_of_a_person(
    evidence: str, house: Living, wire: Wire
) -> None:
    before = house.size()
    body = {"kind": "objection", "on_behalf_of": world.ZHANG_LI.id, "evidence": evidence}
    answer = wire.post("/v1/requests", body, key=house.key(world.CRM))
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"pointer": "/evidence", "code": "personal_evidence"}]
    assert evidence not in answer.text
    assert house.size() == before


def test_the_same_call_twice_is_one_request(house: Living, wire: Wire) -> None:
    key = house.key(world.CRM)
    body = {"kind": "objection", "on_behalf_of": world.ZHANG_LI.id, "evidence": "counter-2026-11"}
    once = {"idempotency_key": "k-1"}
    first, second = (wire.post("/v1/requests", body, key=key, **once).json() for _ in range(2))
    assert first["request_id"] == second["request_id"]
    again = ask(house, Right.ERASURE).request.id
    house.clock.advance(HOUR)
    assert ask(house, Right.ERASURE).request.id == again
