"""``governance policy``: look at rules, try them, rehearse them on the past, put them in force by two people.

Rules are named by a folder, by ``packaged``, ``in-force`` (also ``published``) or ``shadow``, by a version's
number, or by eight or more characters that a fingerprint starts with. Folders and ``packaged`` need no home
and no database.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from audit.entry import ActorType, Party
from governance import ruletelling
from governance.commands import DENIED, DONE, FAILED, USAGE, settings
from governance.rehearsing import replay
from governance.rulekeeping import IN_FORCE, REHEARSED, RulesUnavailableError
from governance.rulepublishing import DENIED as NOT_ALLOWED
from governance.rulepublishing import NotTakenError, Obstacle, Version
from governance.times import rfc3339
from governance.wiring import Service, assemble
from policies.archive import pack
from policies.book import RuleBook, load_book, packaged_rules
from policies.identifiers import Prefix, kind_of
from policies.terms import ActorId
from policies.trials import run_cases, uncovered
from policies.whatif import Diff, diff

_LINES: Final = 40
_FINGERPRINT: Final = re.compile(r"[0-9a-f]{8,64}")
_SAID: Final = {
    Obstacle.NO_SUCH_VERSION: "没有这一版 / no such version; see: governance policy show",
    Obstacle.NOT_IN_OFFICE: "此人没有这项职责 / this person does not hold the office for it",
    Obstacle.OWN_DRAFT: "自己起草的规则须由另一人决定 / somebody else must decide about one's own draft",
    Obstacle.REFUSED: "这一版已被否决，请另行起草 / this version was refused; draft another",
    Obstacle.IN_FORCE: "这一版已经生效，或已有决定 / this version is in force or was decided already",
    Obstacle.CASES_FAIL: "这一版自己的样例没有全部通过 / its own cases fail; see: governance policy test",
    Obstacle.WHATIF_NOT_SEEN: (
        "--seen 不是与现行规则比较后给出的代码 / --seen is not the code of the what-if against the rules in "
        "force; without --seen the what-if and its code are shown"
    ),
}


class UnknownRulesNameError(Exception):
    """Nothing is known under the name that was given for a set of rules."""


def add_to(policy: argparse.ArgumentParser, spoken: argparse.ArgumentParser) -> None:
    """Declare the subcommands."""
    names = policy.add_subparsers(dest="what", required=True, metavar="WHAT")

    def add(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        one = names.add_parser(name, help=text, description=text, parents=[spoken])
        one.set_defaults(run=run)
        return one

    add("show", show, "the versions, and the rules in force or those named").add_argument(
        "rules", nargs="?", help="a folder, packaged, in-force, shadow, a number or a fingerprint"
    )
    add(
        "test", test, "read rules strictly, run their cases, and see that a case watches each rule"
    ).add_argument("rules", nargs="?")
    compare = add("diff", compare_rules, "what-if: everything that B would decide differently from A")
    compare.add_argument("a")
    compare.add_argument("b")
    again = add("replay", replay_past, "ask past decisions of the log again under other rules")
    again.add_argument("rules", nargs="?", help="default: the shadow version, else those in force")
    again.add_argument("--last", type=int, default=1_000, help="how many decisions (default 1000)")
    draft = add("draft", draft_rules, "keep a folder of rules as a draft")
    draft.add_argument("folder", type=Path)
    draft.add_argument("--note", default="", help="what changes and why")
    publish = add("publish", publish_rules, "put a version in force, as the second person")
    publish.add_argument("number", type=int)
    publish.add_argument("--seen", default="", help="the code that the what-if gave")
    add("refuse", refuse_rules, "say no to a draft, as the second person").add_argument("number", type=int)
    shadow = add("shadow", shadow_rules, "let a version be decided by in the log only; 0 ends it")
    shadow.add_argument("number", type=int)
    for one in (draft, publish, names.choices["refuse"], shadow):
        one.add_argument("--by", required=True, metavar="STAFF_ID", help="who does it, by staff id")


def _say(chosen: argparse.Namespace, document: object, lines: Iterator[str]) -> None:
    print(json.dumps(document, ensure_ascii=False) if chosen.json else "\n".join(lines))


@contextmanager
def _service() -> Iterator[Service]:
    service = assemble(settings())
    try:
        yield service
    finally:
        service.close()


def _book(name: str) -> RuleBook:
    """Return the rules that a name stands for."""
    if name == "packaged":
        return load_book(packaged_rules())
    if Path(name).is_dir():
        return load_book(Path(name))
    with _service() as service:
        return _kept(service, name)


def _kept(service: Service, name: str) -> RuleBook:
    versions, pointers = service.desk.versions()
    wanted = {"in-force": IN_FORCE, "published": IN_FORCE, "shadow": REHEARSED}.get(name)
    number = pointers.get(wanted) if wanted else int(name) if name.isdecimal() else None
    for version in versions:
        if version.number == number or (
            number is None and _FINGERPRINT.fullmatch(name) and version.fingerprint.startswith(name)
        ):
            return service.keeper.version(version.fingerprint).book
    raise UnknownRulesNameError(name)


def _default() -> str:
    """Return the rules that a command is about when none are named: those in force, where there are any."""
    current = settings()
    return "in-force" if current.key_ring.exists() else str(current.rules)


def _guarded(run: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """Let a command end with a sentence where a name or a step is not as it should be."""

    def guarded(chosen: argparse.Namespace) -> int:
        try:
            return run(chosen)
        except UnknownRulesNameError as error:
            print(
                f"no rules are known as {error}; name a folder, packaged, in-force, shadow, a number "
                "or the start of a fingerprint (governance policy show lists them)",
                file=sys.stderr,
            )
            return USAGE
        except NotTakenError as error:
            print(f"governance policy {chosen.what}: {_SAID[error.obstacle]}", file=sys.stderr)
            return DENIED if error.obstacle in NOT_ALLOWED else FAILED
        except RulesUnavailableError as error:
            print(f"governance policy {chosen.what}: these rules cannot be loaded ({error})", file=sys.stderr)
            return FAILED

    return guarded


@_guarded
def show(chosen: argparse.Namespace) -> int:
    """Show the versions and one set of rules."""
    book = _book(chosen.rules or _default())
    versions: list[Version] = []
    pointers: dict[str, int] = {}
    if settings().key_ring.exists():
        with _service() as service:
            versions, pointers = service.desk.versions()
    document = {
        "fingerprint": book.fingerprint,
        "in_force": pointers.get(IN_FORCE),
        "shadow": pointers.get(REHEARSED),
        "versions": [_version_document(one) for one in versions],
        "grants": [
            {"id": grant.id, "line": grant.line, "effect": "allow" if grant.allows else "deny",
             "role": grant.role, "scope": grant.scope, "object": grant.object, "action": grant.action or "*",
             "level": grant.level.name.lower(), "relation": grant.relation, "purpose": grant.purpose,
             "conditions": sorted(grant.conditions), "duties": list(grant.duties),
             "sources": list(grant.sources)}
            for grant in book.grants.values()
        ],
        "cases": len(book.cases),
    }  # fmt: skip
    _say(chosen, document, _show_lines(book, versions, pointers))
    return DONE


def _version_document(version: Version) -> dict[str, object]:
    return {
        "number": version.number,
        "fingerprint": version.fingerprint,
        "state": version.state.value,
        "note": version.note,
        "drafted_by": version.drafted_by,
        "drafted_at": rfc3339(version.drafted_at),
        "decided_by": version.decided_by,
        "decided_at": None if version.decided_at is None else rfc3339(version.decided_at),
    }


def _show_lines(book: RuleBook, versions: list[Version], pointers: dict[str, int]) -> Iterator[str]:
    marks = {
        number: name
        for name, number in (
            (("影子 shadow"), pointers.get(REHEARSED)),
            ("现行 in force", pointers.get(IN_FORCE)),
        )
        if number
    }
    for one in versions:
        yield (
            f"{one.number:>4}  {one.fingerprint[:12]}  {one.state.value:<9}  {one.drafted_by} → "
            f"{one.decided_by or '—'}  {one.note}  {marks.get(one.number, '')}".rstrip()
        )
    yield f"{book.fingerprint}: {len(book.grants)} grants, {len(book.cases)} cases"
    for grant in book.grants.values():
        yield (
            f"{grant.id:<10} {'允许 allow' if grant.allows else '禁止 deny'}  {grant.role}@{grant.scope}  "
            f"{grant.action or '*'} {grant.object} {grant.level.name.lower()}  {grant.relation}  "
            f"{grant.purpose}  {'&'.join(sorted(grant.conditions)) or '-'}  {';'.join(grant.duties) or '-'}  "
            f"{';'.join(grant.sources)}"
        )


@_guarded
def test(chosen: argparse.Namespace) -> int:
    """Try rules on their own cases. A fault of the files is told by ``load_book`` with file and line."""
    book = _book(chosen.rules or _default())
    failures, unwatched = run_cases(book), uncovered(book)
    document = {
        "fingerprint": book.fingerprint,
        "cases": len(book.cases),
        "failures": [{"line": one.case.line, "zh": one.told.zh, "en": one.told.en} for one in failures],
        "uncovered": [
            {
                "rule": one.rule,
                "line": one.line,
                "mutation": one.mutation.value,
                "zh": one.told.zh,
                "en": one.told.en,
            }
            for one in unwatched
        ],
    }  # fmt: skip

    def lines() -> Iterator[str]:
        for told in (*(one.told for one in failures), *(one.told for one in unwatched)):
            yield f"✗ {told.zh}\n  {told.en}"
        if not failures and not unwatched:
            yield f"✓ {len(book.cases)} 个样例全部通过，{len(book.grants)} 条规则都有样例看守"
            yield f"✓ all {len(book.cases)} cases pass, each of {len(book.grants)} rules is watched by one"

    _say(chosen, document, lines())
    return FAILED if failures or unwatched or not book.cases else DONE


@_guarded
def compare_rules(chosen: argparse.Namespace) -> int:
    """Compare two sets of rules exhaustively."""
    old, new = _book(chosen.a), _book(chosen.b)
    found = diff(old, new)
    code = ruletelling.seen_code(old.fingerprint, new.fingerprint)
    _say(chosen, {**ruletelling.diff_document(found), "seen": code}, _diff_lines(found, old, new, code))
    return DONE


def _diff_lines(found: Diff, old: RuleBook, new: RuleBook, code: str) -> Iterator[str]:
    yield from ruletelling.diff_lines(found, old, new, _LINES)
    yield f"--seen {code}"


@_guarded
def replay_past(chosen: argparse.Namespace) -> int:
    """Ask past decisions again."""
    with _service() as service:
        name = chosen.rules or ("shadow" if REHEARSED in service.desk.versions()[1] else "in-force")
        folder = Path(name).is_dir() or name == "packaged"
        book = _book(name) if folder else _kept(service, name)
        found = replay(service, book, max(chosen.last, 0), Party(ActorType.SYSTEM, "operator"))
    _say(chosen, ruletelling.replay_document(found), ruletelling.replay_lines(found, _LINES))
    return DONE


@_guarded
def draft_rules(chosen: argparse.Namespace) -> int:
    """Keep a folder as a draft, after reading it as strictly as a start would."""
    book = load_book(chosen.folder)
    with _service() as service:
        version = service.desk.draft(
            pack(chosen.folder), book.fingerprint, chosen.note, _staff(chosen), service.clock()
        )
    failing = len(run_cases(book))
    _say(
        chosen,
        {**_version_document(version), "failing_cases": failing},
        iter(
            [
                f"第 {version.number} 版，{failing} 个样例未通过 / version {version.number}: {failing} fail",
                f"下一步 / next: governance policy diff in-force {version.number}",
            ]
        ),
    )
    return DONE


@_guarded
def publish_rules(chosen: argparse.Namespace) -> int:
    """Put a version in force; without ``--seen`` the what-if is shown and nothing is changed."""
    with _service() as service:
        version = service.desk.version(chosen.number)
        book = service.keeper.version(version.fingerprint).book
        old = _kept(service, "in-force")
        code = ruletelling.seen_code(old.fingerprint, book.fingerprint)
        if not chosen.seen:
            found = diff(old, book)
            _say(
                chosen,
                {**ruletelling.diff_document(found), "seen": code},
                _diff_lines(found, old, book, code),
            )
            print(
                "看过之后再执行 / having seen this: governance policy publish "
                f"{chosen.number} --by {chosen.by} --seen {code}",
                file=sys.stderr,
            )
            return FAILED
        seen = old.fingerprint if chosen.seen == code else ""
        drained = service.desk.publish(
            chosen.number, _staff(chosen), seen_from=seen, passing=not run_cases(book), now=service.clock()
        )
    said = "" if drained else "；仍有更早开始的决定在进行 / decisions begun earlier are still under way"
    _say(
        chosen,
        {"in_force": chosen.number, "fingerprint": book.fingerprint, "drained": drained},
        iter([f"第 {chosen.number} 版生效 / version {chosen.number} is in force{said}"]),
    )
    return DONE


@_guarded
def refuse_rules(chosen: argparse.Namespace) -> int:
    """Say no to a draft."""
    with _service() as service:
        service.desk.refuse(chosen.number, _staff(chosen), service.clock())
    _say(
        chosen,
        {"refused": chosen.number},
        iter([f"第 {chosen.number} 版被否决 / version {chosen.number} refused"]),
    )
    return DONE


@_guarded
def shadow_rules(chosen: argparse.Namespace) -> int:
    """Let a version be rehearsed beside the one in force, or end that."""
    number = chosen.number or None
    with _service() as service:
        service.desk.rehearse(number, _staff(chosen), service.clock())
    _say(chosen, {"shadow": number}, iter([f"影子版本 / shadow: {number or '—'}"]))
    return DONE


def _staff(chosen: argparse.Namespace) -> ActorId:
    if kind_of(chosen.by) is not Prefix.STAFF:
        raise NotTakenError(Obstacle.NOT_IN_OFFICE)
    return ActorId(chosen.by)
