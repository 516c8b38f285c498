"""Those who are told of checkpoints: witnesses that sign them, and places that keep a copy.

Promises that each holds nothing while it waits and ends by a deadline of its own, and that of a witness's
answer only what verifies under the key in the policy is kept.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from hashlib import sha256
from typing import Final

from audit import checkpoint, cosignatures
from audit.note import NoteError, Signature, holds, parse, parse_signature, time_of
from audit.policyfile import WitnessLine
from audit.reading import tile_fetch
from audit.tiles import TileError, node_reader
from audit.tree import consistency
from audit.witness import SIZE, write_request
from consent.outbox import NotSentError
from governance.database import Database
from governance.egress import Answered, Egress
from governance.mailgateway import MailGateway
from governance.settings import Settings
from governance.witnessing import AHEAD, CONTRADICTED, DONE, Target, Witnessing
from governance.witnesssettings import Copy, address_of

_CLOCKS_APART_S: Final = 3_600
"""How far ahead of ours a witness's clock may be."""
_MOST_ANSWER: Final = 16_384
_OK, _CONFLICT, _INCONSISTENT = 200, 409, 422


class WitnessTarget:
    """One witness, asked by C2SP tlog-witness; what it signs is checked and kept."""

    every_ms = 0

    def __init__(
        self, database: Database, witness: WitnessLine, egress: Egress, clock: Callable[[], int]
    ) -> None:
        self.name = f"witness {witness.key.text}"
        self._database, self._key, self._egress, self._clock = database, witness.key, egress, clock
        self._url = address_of(witness.url)

    def tell(self, known: int, size: int, note: str) -> str:
        """Ask for a cosignature from the size where the witness should stand, then from where it says."""
        word = self._ask(known, size, note)
        if isinstance(word, int):
            word = AHEAD if word > size else self._ask(word, size, note)
        return "witness_moves" if isinstance(word, int) else word

    def _ask(self, old: int, size: int, note: str) -> str | int:
        """Return a word, or the size at which the witness says it stands."""
        try:
            with self._database.reading() as tx:
                proof = consistency(old, size, node_reader(tile_fetch(tx)))
        except (TileError, ValueError):
            return "no_proof"
        headers = {"content-type": "text/plain; charset=utf-8"}
        got = self._egress.ask(self._url, write_request(old, proof, note), headers, _MOST_ANSWER)
        if isinstance(got, str):
            return got
        if got.status == _OK:
            return self._kept(size, note, got)
        if got.status == _CONFLICT and got.type.partition(";")[0].strip() == SIZE:
            digits = got.body.removesuffix(b"\n")
            return int(digits) if digits.isdigit() and len(digits) < 20 else "malformed_answer"  # noqa: PLR2004
        return CONTRADICTED if got.status in (_CONFLICT, _INCONSISTENT) else f"status_{got.status}"

    def _kept(self, size: int, note: str, got: Answered) -> str:
        signature = self._signature(note, got.body)
        if signature is None:
            return "no_cosignature"
        with self._database.transaction() as tx:
            cosignatures.keep(tx, size, self._key, signature)
            tx.commit()
        return DONE

    def _signature(self, note: str, body: bytes) -> Signature | None:
        signed = parse(note).text
        latest = self._clock() // 1000 + _CLOCKS_APART_S
        for line in body.decode("utf-8", "replace").split("\n"):
            try:
                one = parse_signature(line)
            except NoteError:
                continue
            mine = (one.name, one.key_id) == (self._key.name, self._key.id)
            if mine and holds(self._key, signed, one.signature, checkpoint.check) and time_of(one) <= latest:
                return one
        return None


def _named(copy: Copy) -> str:
    # Not the place itself: an address can hold a secret, and names stand in the database and in our own log.
    return f"{copy.kind} {sha256(copy.where.encode()).hexdigest()[:12]}"


class FileCopy:
    """An append-only file, on another machine's disk if it is to be worth something. One JSON a line."""

    def __init__(self, copy: Copy, clock: Callable[[], int]) -> None:
        self.name, self.every_ms = _named(copy), copy.every_s * 1000
        self._path, self._clock = copy.where, clock

    def tell(self, _known: int, size: int, note: str) -> str:
        """Add one line, on the disk when this returns."""
        line = json.dumps({"t": self._clock(), "size": size, "note": note}, ensure_ascii=False) + "\n"
        try:
            handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            with os.fdopen(handle, "ab", buffering=0) as file:
                file.write(line.encode())
                os.fsync(file.fileno())
        except OSError:
            return "not_written"
        return DONE


class WebhookCopy:
    """An https address that takes the note as text; it is signed, so nothing else needs to be."""

    def __init__(self, copy: Copy, egress: Egress) -> None:
        self.name, self.every_ms = _named(copy), copy.every_s * 1000
        self._url, self._egress = copy.where, egress

    def tell(self, _known: int, _size: int, note: str) -> str:
        """Post the note; any answer of success will do."""
        result = self._egress.post(self._url, note.encode(), {"content-type": "text/plain; charset=utf-8"})
        return DONE if result[:1] == "2" and result.isdigit() else result


class MailCopy:
    """A mailbox of somebody who does not run the service."""

    def __init__(self, copy: Copy, gateway: MailGateway) -> None:
        self.name, self.every_ms = _named(copy), copy.every_s * 1000
        self._address, self._gateway = copy.where, gateway

    def tell(self, _known: int, size: int, note: str) -> str:
        """Send the note in a mail to be kept."""
        try:
            self._gateway.send(self._address, f"审计日志检查点 / audit log checkpoint {size}", note)
        except NotSentError:
            return "not_sent"
        return DONE


def witnessing_of(
    settings: Settings, database: Database, egress: Egress, clock: Callable[[], int]
) -> Witnessing:
    """Wire what the settings name; ``egress`` is the way to addresses on the open net."""
    inside = Egress(inside=True)
    policy, mail = settings.watched.policy, settings.outside.mail
    targets: list[Target] = [WitnessTarget(database, one, inside, clock) for one in policy.witnesses]
    for copy in settings.watched.copies:
        if copy.kind == "file":
            targets.append(FileCopy(copy, clock))
        elif copy.kind == "webhook":
            targets.append(WebhookCopy(copy, egress))
        elif mail is not None:
            targets.append(MailCopy(copy, MailGateway(mail)))
    return Witnessing(database, policy, targets, clock)
