"""``governance audit rotate-key``: another key signs the log from now on."""

from __future__ import annotations

import argparse

from audit.publishing import NotPublishedError
from governance import commands
from governance.starting import StartError
from governance.wiring import assemble


def add_to(one: argparse.ArgumentParser) -> None:
    """Declare the command."""
    one.set_defaults(run=rotate)


def rotate(chosen: argparse.Namespace) -> int:
    """Make a new key, say so in the log, sign once with both, and put the old key away.

    A rotation that was cut off is taken up where it stopped. Whoever checks the log needs the new key's line.
    """
    service = assemble(commands.settings())
    try:
        old, new, size = service.log.checkpoints.rotate(service.clock())
    except NotPublishedError as error:
        raise StartError(
            f"the log could not be signed ({error.standing.value}), so no key was replaced; run: governance "
            "audit verify, or the same command again if another process signs"
        ) from None
    finally:
        service.close()
    lines = [
        f"旧公钥 / old key: {old.text}",
        f"新公钥 / new key: {new.text}",
        f"长度 {size} 的检查点由两把密钥签名 / the checkpoint of size {size} bears both signatures",
        "请把新公钥交给见证方和审计员 / give the new key to witnesses and auditors",
    ]
    commands.say(chosen, {"old": old.text, "new": new.text, "size": size}, "\n".join(lines))
    return commands.DONE
