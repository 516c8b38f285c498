"""Policy files: what they may say, what is told where they say it wrong, and who satisfies them."""

from __future__ import annotations

import pytest
from audit_making import ORIGIN, a_signer
from witness_making import SECONDS, GrowingLog, a_cosigner

from audit import checkpoint, ed25519
from audit.note import Check, NoteError
from audit.policyfile import PolicyError, parse_policy

LOG = a_signer().key.text
W = {
    name: a_cosigner(f"{name}.example/w", seed)
    for seed, name in enumerate(("x1", "x2", "x3", "y1", "y2"), 20)
}
WITNESSES = "".join(f"witness {name} {one.key.text}\n" for name, one in W.items())
TWO_LEVELS = (
    f"log {LOG} https://log.example \n{WITNESSES}\n"
    "group x 2 x1 x2 x3\n\tgroup y any y1 y2 \n # both of them\ngroup both all x y\nquorum both\n"
)


def note(*cosigners: str, size: int = 3) -> str:
    log = GrowingLog()
    text = log.checkpoint(size).text
    return log.note(size) + "".join(W[name].cosign(text, SECONDS).line for name in cosigners)


@pytest.mark.parametrize("check", [checkpoint.check, ed25519.verify], ids=["library", "plain python"])
@pytest.mark.parametrize(
    ("cosigners", "enough"),
    [
        ((), False),
        (("x1", "x2"), False),
        (("x1", "y1"), False),
        (("x1", "x2", "y2"), True),
        (("x3", "x2", "y1"), True),
        (("x1", "x1", "y1"), False),
        (tuple(W), True),
    ],
)
def test_a_quorum_of_two_levels(cosigners: tuple[str, ...], enough: bool, check: Check) -> None:
    assert parse_policy(TWO_LEVELS).satisfied(note(*cosigners), check) is enough


def test_the_parts_of_a_file() -> None:
    policy = parse_policy(TWO_LEVELS)
    assert [(one.key.name, one.url) for one in policy.logs] == [(ORIGIN, "https://log.example")]
    assert [one.name for one in policy.witnesses] == list(W)
    assert {name: group.needed for name, group in policy.groups.items()} == {"x": 2, "y": 1, "both": 2}
    assert policy.quorum == "both"


def test_a_policy_without_witnesses_asks_for_the_logs_signature_only() -> None:
    policy = parse_policy(f"log {LOG}\nquorum none\n")
    assert policy.satisfied(note(), checkpoint.check)
    assert not policy.satisfied(GrowingLog(a_signer(seed=8)).note(3), checkpoint.check)
    renamed = GrowingLog(a_signer(), origin="other.example/log")
    assert not policy.satisfied(renamed.note(3), checkpoint.check)
    assert parse_policy("quorum none\n").satisfied(renamed.note(3), checkpoint.check)


def test_cosignatures_without_the_logs_own_signature_are_not_enough() -> None:
    policy = parse_policy(f"log {LOG}\nwitness x1 {W['x1'].key.text}\nquorum x1\n")
    text = GrowingLog().checkpoint(3).text
    stranger = GrowingLog(a_signer(seed=8)).note(3) + W["x1"].cosign(text, SECONDS).line
    assert not policy.satisfied(stranger, checkpoint.check)
    assert policy.satisfied(note("x1"), checkpoint.check)


def test_a_line_of_a_known_witness_that_does_not_hold_spoils_the_note() -> None:
    policy = parse_policy(TWO_LEVELS)
    other = GrowingLog().checkpoint(4).text
    for line in (W["x1"].cosign(other, SECONDS).line, W["x1"].cosign(other, SECONDS + 1).line):
        with pytest.raises(NoteError):
            policy.satisfied(note("x1", "x2", "y1") + line, checkpoint.check)
    stranger = a_cosigner("stranger.example/w", 99).cosign(other, SECONDS).line
    assert policy.satisfied(note("x1", "x2", "y1") + stranger, checkpoint.check)


def test_a_kelvin_sign_is_not_a_k_and_octets_are_opaque() -> None:
    key, other = W["x1"].key.text, W["x2"].key.text
    text = f"witness K {key}\nwitness \N{KELVIN SIGN} {other}\nquorum \N{KELVIN SIGN}\n"
    assert parse_policy(text).is_quorum({"\N{KELVIN SIGN}"})
    assert not parse_policy(text).is_quorum({"K"})
    raw = b"witness \xff " + key.encode() + b"\nquorum \xff\n"
    assert parse_policy(raw.decode("utf-8", "surrogateescape")).quorum == "\udcff"


HEAD = f"log {LOG}\nwitness a {W['x1'].key.text}\nwitness b {W['x2'].key.text}\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "quorum"),
        (HEAD, "quorum"),
        (HEAD + "quorum a\nquorum a\n", "line 5"),
        (HEAD + "quorum c\n", "line 4"),
        (HEAD + "quorum a b\n", "line 4"),
        (HEAD + "quorum a", "line 4"),
        (HEAD + f"log {LOG}\nquorum a\n", "line 4"),
        (HEAD + f"log {W['x3'].key.text}\nquorum a\n", "line 4"),
        (HEAD + f"witness c {W['x1'].key.text}\nquorum a\n", "line 4"),
        (HEAD + f"witness a {W['x3'].key.text}\nquorum a\n", "line 4"),
        (HEAD + f"witness none {W['x3'].key.text}\nquorum a\n", "line 4"),
        (HEAD + f"witness c {LOG}\nquorum a\n", "line 4"),
        (HEAD + "witness c\nquorum a\n", "line 4"),
        (HEAD + "group g 1\nquorum a\n", "line 4"),
        (HEAD + "group g 3 a b\nquorum a\n", "line 4"),
        (HEAD + "group g 0 a b\nquorum a\n", "line 4"),
        (HEAD + "group g 01 a b\nquorum a\n", "line 4"),
        (HEAD + "group g most a b\nquorum a\n", "line 4"),
        (HEAD + "group g any g\nquorum a\n", "line 4"),
        (HEAD + "group g any none\nquorum a\n", "line 4"),
        (HEAD + "group g any a a\nquorum a\n", "line 4"),
        (HEAD + "group a any b\nquorum a\n", "line 4"),
        (HEAD + "group g any a\ngroup h any a b\nquorum h\n", "line 5"),
        (HEAD + "quorum g\ngroup g any a\n", "line 4"),
        (HEAD + "sink file x\nquorum a\n", "line 4"),
        (HEAD + "quorum\N{NO-BREAK SPACE}a\n", "line 4"),
        (HEAD + "quorum a\r\n", "control"),
        (HEAD + "# \x7f\nquorum a\n", "control"),
    ],
)
def test_a_wrong_line_is_named(text: str, line: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse_policy(text)
    assert any(line in fault for fault in caught.value.faults)


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(PolicyError) as caught:
        parse_policy("nonsense\nlog x\nwitness\nquorum c\n")
    assert [fault.split(":")[0] for fault in caught.value.faults[:4]] == [f"line {n}" for n in range(1, 5)]
