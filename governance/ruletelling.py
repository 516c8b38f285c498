"""What an officer reads of a what-if or a replay: lines in Chinese and English, and the same for programs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Final

from governance.rehearsing import Change as Outcome
from governance.rehearsing import Replay
from governance.times import rfc3339
from policies.book import RuleBook
from policies.comparing import Direction
from policies.whatif import Answer, Change, Diff
from policies.wording import line_of

_DIRECTIONS: Final = {
    Direction.RISES: ("新增允许", "newly allowed"),
    Direction.FALLS: ("新增禁止", "newly denied"),
    Direction.DUTIES: ("义务变化", "duties change"),
}
_OUTCOMES: Final = {
    Outcome.NEWLY_ALLOWED: ("新增允许", "newly allowed"),
    Outcome.NEWLY_DENIED: ("新增禁止", "newly denied"),
    Outcome.UNCHANGED: ("不变", "unchanged"),
}
_MARKS: Final = {Direction.RISES: "↑", Direction.FALLS: "↓", Direction.DUTIES: "·"}


def seen_code(in_force: str, other: str) -> str:
    """Return the code that a publisher repeats to say which what-if they have seen."""
    return hashlib.sha256(f"{in_force}:{other}".encode()).hexdigest()[:12]


def diff_document(diff: Diff) -> dict[str, object]:
    """Return a what-if for programs: newly allowed first."""
    return {
        "considered": diff.considered,
        "changed": {direction.value: diff.changed[direction] for direction in Direction},
        "beside": list(diff.beside),
        "changes": [_change_document(change) for change in diff.changes],
    }


def _change_document(change: Change) -> dict[str, object]:
    return {
        "direction": change.direction.value,
        "role_sets": [[f"{role}@{scope}" for scope, role in sorted(roles)] for roles in change.role_sets],
        "things": list(change.things),
        "action": change.action,
        "relations": [relation.value for relation in change.relations],
        "purposes": list(change.purposes),
        "facts": {name: known.value for name, known in change.facts},
        "before": _answer_document(change.before),
        "after": _answer_document(change.after),
        "rules_before": list(change.rules_before),
        "rules_after": list(change.rules_after),
        "cells": change.cells,
    }


def _answer_document(answer: Answer) -> dict[str, object]:
    return {"level": answer.level.name.lower(), "duties": list(answer.duties)}


def diff_lines(diff: Diff, old: RuleBook, new: RuleBook, most: int) -> Iterator[str]:
    """Yield a what-if for a terminal, at most so many lines of changes."""
    counts = "，".join(f"{_DIRECTIONS[one][0]} {diff.changed[one]}" for one in Direction)
    english = ", ".join(f"{diff.changed[one]} {_DIRECTIONS[one][1]}" for one in Direction)
    yield f"共比较 {diff.considered} 种情形：{counts}"
    yield f"{diff.considered} cells compared: {english}"
    for text in diff.beside:
        yield f"· {text}"
    for change in diff.changes[:most]:
        mark, told = _MARKS[change.direction], line_of(change, old, new)
        yield f"{mark} {_DIRECTIONS[change.direction][0]}  {told.zh}  ×{change.cells}"
        yield f"  {_DIRECTIONS[change.direction][1]}  {told.en}"
    if len(diff.changes) > most:
        rest = len(diff.changes) - most
        yield f"… 还有 {rest} 行，加 --json 看全部 / {rest} more lines; all of them with --json"


def replay_document(replay: Replay) -> dict[str, object]:
    """Return a replay for programs: newly allowed first."""
    return {
        "decisions": replay.decisions,
        "counts": {change.value: replay.counts[change] for change in Outcome},
        "moved": replay.moved,
        "lost": replay.lost,
        "changes": [
            {
                "decision_id": cell.decision_id,
                "index": cell.receipt,
                "at": rfc3339(cell.at),
                "field": cell.field,
                "purpose": cell.purpose,
                "change": cell.change.value,
                "was": cell.was,
                "would_be": cell.would_be,
                "rules": list(cell.rules),
            }
            for cell in replay.cells
        ],
    }


def replay_lines(replay: Replay, most: int) -> Iterator[str]:
    """Yield a replay for a terminal."""
    counts = "，".join(f"{_OUTCOMES[one][0]} {replay.counts[one]}" for one in Outcome)
    english = ", ".join(f"{replay.counts[one]} {_OUTCOMES[one][1]}" for one in Outcome)
    yield f"重放 {replay.decisions} 个决定：{counts}；事实已变 {replay.moved}，无法重放 {replay.lost}"
    yield f"{replay.decisions} decisions replayed: {english}; facts moved {replay.moved}, lost {replay.lost}"
    for cell in replay.cells[:most]:
        zh, en = _OUTCOMES[cell.change]
        yield (
            f"{zh} {en}  {cell.decision_id}  {cell.field}  {cell.purpose}  "
            f"{cell.was} → {cell.would_be}  {' '.join(cell.rules)}"
        )
    if len(replay.cells) > most:
        rest = len(replay.cells) - most
        yield f"… 还有 {rest} 行，加 --json 看全部 / {rest} more lines; all of them with --json"
