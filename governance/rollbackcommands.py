"""``governance audit accept-rollback``: two officers go on with a log that was put back from a backup."""

from __future__ import annotations

import argparse
import sys
from typing import Final

from audit.publishing import NotPublishedError
from governance import commands
from governance.rollbacks import NotAcceptableError, NotEntitledError, Step, Told
from governance.starting import StartError
from governance.wiring import open_database, rollbacks_of, wall_clock
from policies.terms import ActorId

_LONGEST: Final = 500


def add_to(one: argparse.ArgumentParser) -> None:
    """Declare the command."""
    one.add_argument("--by", required=True, metavar="STAFF_ID", help="who does it, by staff id")
    one.add_argument("--reason", required=True, metavar="TEXT", help="why; kept beside the lock store only")
    one.set_defaults(run=accept)


def accept(chosen: argparse.Namespace) -> int:
    """Propose, or accept another officer's proposal; the service starts after the second."""
    reason = chosen.reason.strip()
    if not 0 < len(reason) <= _LONGEST or not reason.isprintable():
        print(f"--reason: one line of 1 to {_LONGEST} characters", file=sys.stderr)
        return commands.USAGE
    current = commands.settings()
    database = open_database(current.database_url)
    try:
        told = rollbacks_of(current, database).decide(ActorId(chosen.by), reason, wall_clock())
    except NotEntitledError as error:
        print(error, file=sys.stderr)
        return commands.DENIED
    except NotAcceptableError as error:
        raise StartError(str(error)) from None
    except NotPublishedError as error:
        raise StartError(
            f"the restored log was not signed ({error.standing.value}); run the same command again, or: "
            "governance audit verify"
        ) from None
    finally:
        database.close()
    commands.say(chosen, _document(told), "\n".join(_lines(told)))
    return commands.DONE


def _document(told: Told) -> dict[str, object]:
    rollback = told.rollback
    return {
        "step": told.step,
        "proposed_by": rollback.proposal.by,
        "accepted_by": rollback.accepted_by,
        "lost": {"first": rollback.proposal.size, "end": told.lost},
        "erased_again": told.erased,
    }


def _lines(told: Told) -> list[str]:
    first, last = told.rollback.proposal.size, told.lost - 1
    lost = f"已签名的第 {first} 至 {last} 条丢失 / signed entries {first} to {last} are lost"
    if told.step is Step.PROPOSED:
        return [
            f"已提议接受 / proposed. {lost}",
            "请另一名合规官运行同一命令 / now another compliance officer runs the same command",
        ]
    return [
        f"已接受 / accepted. {lost}",
        f"重新删除了 {told.erased} 名成员 / members erased again: {told.erased}",
        "旧检查点留存在 checkpoint.lost / the note of the lost state is kept in checkpoint.lost",
        "见证方会继续报告回退，须由其运营者处理 / witnesses say ROLLBACK, later FORK, and sign no more",
    ]
