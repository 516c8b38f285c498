"""``governance audit review``: put what the log shows before officers; say which staff are members too."""

from __future__ import annotations

import argparse

from governance import commands
from governance.overseeing import NoSuchPartyError
from governance.wiring import assemble
from policies.identifiers import Prefix, kind_of
from policies.terms import ActorId, MemberId


def add_to(
    names: argparse._SubParsersAction[argparse.ArgumentParser], spoken: argparse.ArgumentParser
) -> None:
    """Declare the subcommands."""
    review = names.add_parser("review", help="accesses that officers look at")
    what = review.add_subparsers(dest="step", required=True, metavar="STEP")
    text = "look through the log from where the last run stopped, and open reviews"
    one = what.add_parser("run", help=text, description=text, parents=[spoken])
    one.set_defaults(run=run)
    text = "how many reviews are open, overdue, drawn as a sample and done"
    one = what.add_parser("status", help=text, description=text, parents=[spoken])
    one.set_defaults(run=status)
    text = "say that somebody on the staff is a member as well"
    one = what.add_parser("link", help=text, description=text, parents=[spoken])
    one.add_argument("staff", metavar="STAFF_ID")
    one.add_argument("member", metavar="MEMBER_ID")
    one.set_defaults(run=link)


def run(chosen: argparse.Namespace) -> int:
    """Scan; a run that was cut off is resumed by running it again."""
    service = assemble(commands.settings())
    try:
        done = service.log.oversight.scanning.run(service.clock())
    finally:
        service.close()
    document = {
        "entries": done.entries,
        "opened": done.opened,
        "triggers": {one.value: count for one, count in done.triggers.items()},
        "unreadable": done.unreadable,
    }
    lines = [f"看过 {done.entries} 条，新开 {done.opened} 项审查 / {done.opened} reviews opened"]
    lines += [f"  {one.value}: {count}  {one.zh}" for one, count in done.triggers.items()]
    if done.unreadable:
        lines.append(f"✗ {done.unreadable} 条无法读取，请运行 / unreadable; run: governance audit verify")
    commands.say(chosen, document, "\n".join(lines))
    return commands.FAILED if done.unreadable else commands.DONE


def status(chosen: argparse.Namespace) -> int:
    """Print the figures; people are on the officers' page only."""
    service = assemble(commands.settings())
    try:
        figures = service.log.oversight.reviews.figures(service.clock())
    finally:
        service.close()
    document = figures._asdict()
    commands.say(chosen, document, "\n".join(f"{name}: {count}" for name, count in document.items()))
    return commands.DONE


def link(chosen: argparse.Namespace) -> int:
    """Put it on record."""
    fits = kind_of(chosen.staff) is Prefix.STAFF and kind_of(chosen.member) is Prefix.MEMBER
    service = assemble(commands.settings()) if fits else None
    if service is None:
        commands.say(chosen, {"linked": False}, "须为员工编号和成员编号 / a staff id and a member id")
        return commands.USAGE
    try:
        service.log.oversight.link(ActorId(chosen.staff), MemberId(chosen.member), service.clock())
    except NoSuchPartyError:
        commands.say(chosen, {"linked": False}, "没有这样的员工或成员 / one of the two is not on record")
        return commands.FAILED
    finally:
        service.close()
    commands.say(chosen, {"linked": True}, "已登记 / on record")
    return commands.DONE
