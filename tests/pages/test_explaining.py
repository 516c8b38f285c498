"""The sentence and the ladder, as tables of real decisions on both engines."""

from __future__ import annotations

import pytest
from living import Living

from audit import ledger
from audit.entry import Actor, ActorType, Entry, Kind, Party, Verdict
from governance import world
from governance.asking import Ask, SendAsk
from governance.dispatch import Sent
from governance.explaining import Explanation, explain, explain_decision
from governance.identity import Caller
from governance.ladder import Labels, State
from governance.tampering import one_byte_changed, tamper
from governance.traffic import BOOKS, CURE, Reading, play
from policies.identifiers import Prefix, new_id
from policies.reasons import Reason
from policies.terms import Action, ActorId, Channel, FieldName, Purpose, SubjectId

PASS, PARTLY, HELD, FAIL, NOT = State.PASS, State.PARTLY, State.HELD, State.FAIL, State.NOT_REACHED
NOBODY = world.Person("nobody", (), {})

# who asks, about whom, which fields, what for -> relation, purpose, consent, minors, rule; a mark; words
READS = [
    (
        world.DOCTOR_CHEN,
        world.GRANDMOTHER,
        ("blood_pressure",),
        "service.health",
        "✓✓✓✓✓",
        "S-CL-01",
        "显示。",
    ),
    (world.WANG_MIN, world.ZHANG_LI, ("mobile",), "service.delivery", "✓✓✓✓✓", "S-AG-02", "脱敏显示。"),
    (
        world.WANG_MIN,
        world.ZHANG_LI,
        ("blood_pressure",),
        "service.delivery",
        "✓✓✕··",
        "",
        "本人尚未就此目的同意",
    ),
    (
        world.WANG_MIN,
        world.ZHANG_LI,
        ("name", "blood_pressure"),
        "service.delivery",
        "✓✓◐✓✓",
        "S-AG-01",
        "拒绝血压",
    ),
    (world.ZHANG_LI, world.LI_QIANG, ("blood_pressure",), "family.care", "✓✓✕··", "", "同住家人"),
    (world.ZHANG_LI, world.ZHANG_LI, ("blood_pressure",), "personal.access", "✓✓✓✓✓", "H-SELF-01", "本人"),
    (world.LI_QIANG, world.ZHANG_LI, ("chat_messages",), "family.care", "✓✓··✕", "H-COMM-02", "有规则禁止"),
    (world.WANG_MIN, world.LI_QIANG, ("purchase_history",), "marketing.direct", "✓✓··✕", "", "没有规则允许"),
    (world.LI_QIANG, world.XIAO_MAN, ("name",), "family.care", "✓✓✓✓✓", "H-WARD-01", "监护人"),
    (None, world.XIAO_MAN, ("name",), "service.household", "✓✓✕··", "", "本人尚未就此目的同意"),
    (world.WANG_MIN, world.XIAO_MAN, ("name",), "service.delivery", "✕····", "", "与不存在没有区别"),
    (world.ZHOU_MING, world.ZHANG_LI, ("name",), "family.care", "✕····", "", "无关成员"),
    (world.ZHOU_MING, NOBODY, ("name",), "family.care", "✕····", "", "无关成员"),
    (world.WANG_MIN, world.ZHANG_LI, ("shoe_size",), "service.delivery", "✓···✕", "", "规则中没有这个字段"),
    (world.WANG_MIN, world.ZHANG_LI, ("name",), "gossip.idle", "✓✕···", "", "规则中没有这个目的"),
    (world.WANG_MIN, world.ZHANG_HOME, ("address",), "service.delivery", "✓✓✓✓✓", "S-AG-04", "家庭"),
]
SIGNS = {PASS: "✓", PARTLY: "◐", HELD: "…", FAIL: "✕", NOT: "·"}
CRM = Caller(ActorId(world.CRM.id), Prefix.SERVICE)


def asked(house: Living, scene: Reading) -> Explanation:
    decision = new_id(Prefix.DECISION)
    ask = Ask(
        CRM,
        CRM.actor_id if scene.acting is None else ActorId(scene.acting.id),
        Action.READ,
        SubjectId(scene.about.id),
        tuple(map(FieldName, scene.fields)),
        Purpose(scene.purpose),
        new_id(Prefix.REQUEST),
        decision,
        reveal=True,
    )
    house.service.gate.read([ask], house.clock())
    found = explain_decision(house.service, decision)
    assert found is not None
    return found


@pytest.mark.parametrize("row", READS)
def test_a_read_is_explained_gate_by_gate(house: Living, row: tuple) -> None:
    acting, about, fields, purpose, ladder, mark, words = row
    found = asked(house, Reading(acting, about, fields, purpose))
    assert "".join(SIGNS[rung.state] for rung in found.ladder[1:-1]) == ladder
    assert (found.ladder[0].state, found.ladder[-1].state) == (PASS, PASS)
    assert words in found.sentence
    marks = [value for rung in found.ladder[1:-1] for _, value in rung.marks]
    assert mark in marks if mark else not [one for one in marks if "-" in one and one[1] == "-"]


def test_a_permitted_read_names_its_consent_its_rules_and_its_place_in_the_log(house: Living) -> None:
    found = asked(house, Reading(world.DOCTOR_CHEN, world.GRANDMOTHER, ("blood_pressure",), "service.health"))
    consent = next(value for name, value in found.ladder[3].marks if name == "同意编号")
    own = house.service.consenting.of_member(SubjectId(world.GRANDMOTHER.id), house.clock())
    assert consent in {one.consent_id for one, _ in own}
    marks = dict(found.ladder[-1].marks)
    assert marks["日志序号"] == str(found.index)
    assert marks["规则手册"] == house.service.rules.book.fingerprint
    assert len(marks["叶哈希"]) == 64


@pytest.mark.parametrize(
    ("text", "to", "ladder"),
    [
        (BOOKS, world.ZHANG_LI, "✓✓✓✓✓✓✓"),
        (CURE, world.ZHANG_LI, "✓✓✓✓✓✕✓"),
        (BOOKS, world.GRANDMOTHER, "✓✓✕··✓✓"),
        (CURE, world.GRANDMOTHER, "✓✓✕··✕✓"),
        (BOOKS, world.XIAO_MAN, "✓✓✓✕·✓✓"),
        (BOOKS, NOBODY, "✕······"),
    ],
)
def test_a_message_is_explained_gate_by_gate(house: Living, text: str, to: world.Person, ladder: str) -> None:
    ask = SendAsk(
        Caller(ActorId(world.SENDER.id), Prefix.SERVICE),
        new_id(Prefix.MESSAGE),
        Channel.SMS,
        Purpose("marketing.direct"),
        text,
        (SubjectId(to.id),),
        new_id(Prefix.REQUEST),
    )
    sent = house.service.dispatch.send(ask, house.clock())
    assert isinstance(sent, Sent)
    entry = house.log()[house.place(sent.recipients[0]._asdict())]
    found = explain_decision(house.service, entry.id)
    assert found is not None
    assert "".join(SIGNS[rung.state] for rung in found.ladder[1:-1]) == ladder
    assert found.sentence.startswith("推广发送系统 想以“推广”为目的通过短信给成员")


def test_every_reason_that_withholds_has_a_gate_at_which_it_stops() -> None:
    bases = {Reason.OWN_DATA, Reason.CONSENT_GIVEN, Reason.GUARDIAN_CONSENT, Reason.PRIMARY_CONSENT}
    others = {Reason.RULE_ALLOWS, Reason.LEGAL_BASIS, Reason.MASKED_BY_RULE, Reason.EXISTENCE_ONLY}
    lifts = {Reason.EMERGENCY_ACCESS, Reason.EMERGENCY_CLAIMED, Reason.APPROVED}
    permits = {*bases, *others, *lifts, Reason.CONTENT_CLEAN}
    from governance.ladder import _GATE_OF  # noqa: PLC0415 - the table itself is what is checked

    assert set(_GATE_OF) == set(Reason) - permits


def test_an_entry_of_another_rule_book_says_so(house: Living) -> None:
    actor = Actor(Party(ActorType.SERVICE, world.CRM.id))
    entry = Entry(t=0, kind=Kind.CHANGE, act="member.added", dec=Verdict.PERMIT, actor=actor, policy="0" * 64)
    found = explain(0, entry, Labels(house.service.rules.book, {}), "en")
    assert any("another version" in line for line in found.ladder[-1].lines)


def test_there_is_no_explanation_of_what_is_not_in_the_log(house: Living) -> None:
    assert explain_decision(house.service, new_id(Prefix.DECISION)) is None
    assert explain_decision(house.service, "1 OR 1=1") is None


def test_every_entry_has_a_sentence_in_both_languages(
    house: Living,
) -> None:
    play(house.service, house.keys, 1)
    book = house.service.rules.book
    for index, entry in enumerate(house.log()):
        zh, en = (explain(index, entry, Labels(book, {}), language) for language in ("zh", "en"))
        assert zh.sentence
        assert en.sentence
        assert not any("\u4e00" <= sign <= "\u9fff" for sign in en.sentence + en.as_text())
        assert zh.as_document()["sentence"] == zh.sentence
        assert zh.as_text().startswith(zh.sentence)


def test_playing_asks_every_scene_of_the_real_gate(house: Living) -> None:
    before = house.verified()
    assert play(house.service, house.keys, 2) == 32
    acts = [entry.act for entry in house.log()[before:]]
    assert (acts.count("read"), acts.count("send")) == (28, 12)


def test_one_changed_byte_is_found_and_named_on_either_engine(house: Living) -> None:
    play(house.service, house.keys, 1)
    house.service.log.checkpoints.publish(house.clock())
    before = house.log()
    index = tamper(house.settings)
    report = house.service.log.checkpoints.verify()
    assert report.exit == 1
    assert report.first is not None
    assert report.first.first == index
    assert before[index].dec is Verdict.DENY
    with house.service.database.reading() as tx:
        (_, after), *_ = ledger.recent(tx, index + 1, 1)
    assert abs(after.t - before[index].t) in (1, 9)


def test_tampering_changes_exactly_one_byte() -> None:
    leaf = b'{"v":1,"id":"aud_x","t":1795312800009,"kind":"decision"}'
    changed = one_byte_changed(leaf)
    assert [at for at, (a, b) in enumerate(zip(leaf, changed, strict=True)) if a != b] == [leaf.index(b"9,")]
