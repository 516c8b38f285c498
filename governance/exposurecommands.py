"""``governance audit exposure``: whose which fields could have been seen, for whoever handles an incident."""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Final

from audit.exposure import NEVER
from governance import commands
from governance.commands import DONE, FAILED, USAGE
from governance.exposing import (
    SHORTEST_KEY,
    Dossier,
    KeyNotFoundError,
    Question,
    UnknownActorError,
    dossier,
)
from governance.exposuretelling import as_csv, as_document, summary
from governance.times import instant
from governance.wiring import Service, assemble
from policies.identifiers import Prefix, kind_of

_FINGERPRINT: Final = re.compile(rf"[0-9a-f]{{{SHORTEST_KEY},64}}")
_WORD: Final = re.compile(r"[a-z]+(?:_[a-z]+)*")
_ACTORS: Final = (Prefix.SERVICE, Prefix.STAFF, Prefix.MEMBER)


def add_to(exposure: argparse.ArgumentParser) -> None:
    """Declare the options."""
    exposure.add_argument(
        "--actor", default="", metavar="ID", help="a service, a member of staff or a member"
    )
    exposure.add_argument(
        "--key",
        default="",
        metavar="KEY_ID",
        help="an API key, by the first digits (8 or more) of its SHA-256: printf %%s KEY | sha256sum",
    )
    exposure.add_argument(
        "--between",
        nargs=2,
        metavar=("FROM", "TO"),
        help="times such as 2026-11-22T01:46:00Z, without TO",
    )
    exposure.add_argument("--out", type=Path, metavar="FILE", help="write it to a new .csv or .json file")
    exposure.add_argument("--thorough", action="store_true", help="read every entry, use no search column")
    exposure.add_argument(
        "--check-copies", action="store_true", help="compare the search columns with all entries first"
    )
    exposure.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Tell the dossier; exit code 1 where something speaks against its figures."""
    question = _question(chosen)
    if isinstance(question, str):
        print(question, file=sys.stderr)
        return USAGE
    service = assemble(commands.settings())
    try:
        made = _made(service, question, chosen.out)
    except UnknownActorError:
        print("没有这个主体 / no such actor", file=sys.stderr)
        return FAILED
    except KeyNotFoundError:
        print("没有唯一匹配的密钥 / no single key has this KEY_ID", file=sys.stderr)
        return FAILED
    except OSError as error:
        print(f"无法新建文件 / the file cannot be made: {error.strerror}", file=sys.stderr)
        return FAILED
    finally:
        service.close()
    return _tell(chosen, made)


def _made(service: Service, question: Question, out: Path | None) -> Dossier:
    if out is None:
        return dossier(service, question)
    # The file is made first: a dossier that is on record and then cannot be written is a reading in vain.
    with out.open("x", encoding="utf-8", newline="") as file:
        try:
            out.chmod(0o600)
            made = dossier(service, question)
            file.write(_written(made, out))
        except BaseException:
            out.unlink()
            raise
    return made


def _question(chosen: argparse.Namespace) -> Question | str:
    """Return what is asked, or what is wrong with how it was asked."""
    if bool(chosen.actor) + bool(chosen.key) > 1 or not (chosen.actor or chosen.key or chosen.between):
        return "one of --actor, --key and --between is needed; --between goes with either"
    if chosen.key and _FINGERPRINT.fullmatch(chosen.key) is None:
        return "--key takes 8 to 64 hexadecimal digits of the key's SHA-256, never the key itself"
    if chosen.actor and kind_of(chosen.actor) not in _ACTORS and _WORD.fullmatch(chosen.actor) is None:
        return "--actor takes the id of a service, a member of staff or a member"
    if chosen.out is not None and chosen.out.suffix not in {".csv", ".json"}:
        return "--out takes a file name that ends in .csv or .json"
    since, until = (instant(one) for one in chosen.between) if chosen.between else (0, NEVER)
    if since is None or until is None or since >= until:
        return "--between takes two times such as 2026-11-22T01:46:00Z, the earlier one first"
    return Question(chosen.actor, chosen.key, since, until, chosen.thorough, chosen.check_copies)


def _written(made: Dossier, out: Path) -> str:
    if out.suffix == ".csv":
        return as_csv(made)
    return json.dumps(as_document(made), ensure_ascii=False, indent=1) + "\n"


def _tell(chosen: argparse.Namespace, made: Dossier) -> int:
    lines = [summary(made, "zh"), summary(made, "en")]
    if chosen.out is None:
        lines.append("逐项请用 --out FILE.csv 或 --json / line by line: --out FILE.csv or --json")
    else:
        lines.append(f"已写入 / written to {chosen.out}")
    commands.say(chosen, as_document(made), "\n".join(lines))
    return DONE if made.basis.sound else FAILED
