"""``governance audit witness``: the witness's own machine, and an officer's laptop.

None of the three reads the service's settings. Exit codes of ``pull``: 0 OK, 1 could not be asked,
2 ROLLBACK, 3 FORK, 4 not signed by the log, 5 no usable proof, 6 usage.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Final, NoReturn, cast

from audit.note import Key, NoteError, parse_key
from audit.verdicts import Exit
from governance import commands

_SAID: Final = {
    "OK": "日志延续了上次保存的检查点 / the log extends the checkpoint kept before",
    "ROLLBACK": "日志被截断或回退：比上次保存的检查点短 / the log is shorter than the checkpoint kept before",
    "FORK": "日志分叉：与上次保存的检查点不是同一段历史 / another history than the one kept before",
    "SIGNATURE": "检查点没有所给密钥的有效签名 / no given key has signed the checkpoint",
    "PROOF": "没有得到可用的一致性证明，无法判断 / no usable proof was given; nothing can be said",
}


class _Parser(argparse.ArgumentParser):
    """A parser whose usage errors do not look like a rollback to scripts."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and exit with the code for usage."""
        self.print_usage()
        self.exit(Exit.USAGE, f"{self.prog}: {message}\n")


def add_to(witness: argparse.ArgumentParser, spoken: argparse.ArgumentParser) -> None:
    """Declare the subcommands."""
    names = witness.add_subparsers(dest="how", required=True, metavar="HOW", parser_class=_Parser)
    parents = [cast("_Parser", spoken)]
    made = names.add_parser("init", help="make a witness's key and memory", parents=parents)
    made.add_argument("--home", type=Path, required=True, metavar="DIR", help="where it keeps them")
    made.add_argument("--name", required=True, help="its name in keys, such as witness.example/compliance")
    made.set_defaults(run=init)
    served = names.add_parser("serve", help="sign checkpoints of logs that only grow", parents=parents)
    served.add_argument("--home", type=Path, required=True, metavar="DIR")
    served.add_argument("--host", default="127.0.0.1")
    served.add_argument("--port", type=int, default=8090)
    _add_logs(served)
    served.set_defaults(run=serve)
    text = "look at a log once, hold it against what was kept before, and keep it"
    pulled = names.add_parser("pull", help=text, description=text, parents=parents)
    pulled.add_argument("url", help="the address of the service, https")
    pulled.add_argument("--file", type=Path, required=True, help="where the checkpoints are kept, one a line")
    pulled.add_argument("--key-file", type=Path, help="a file with the API key to ask with")
    _add_logs(pulled)
    pulled.set_defaults(run=pull)


def _add_logs(one: argparse.ArgumentParser) -> None:
    text = "the log's verifier key, name+id+base64; after a rotation: the old one, then the new one"
    one.add_argument("--log", action="append", required=True, type=_log_key, metavar="KEYLINE", help=text)


def _log_key(text: str) -> Key:
    try:
        return parse_key(text.strip())
    except NoteError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def init(chosen: argparse.Namespace) -> int:
    """Make a witness and print its verifier key, which the service's policy file names."""
    from governance.witnessserver import make_home  # noqa: PLC0415 - only a witness needs it

    key = make_home(chosen.home, chosen.name).text
    commands.say(chosen, {"key": key}, key)
    return commands.DONE


def serve(chosen: argparse.Namespace) -> int:
    """Serve until told to stop."""
    import uvicorn  # noqa: PLC0415 - only commands that serve need the server

    from governance.witnessserver import application, open_home  # noqa: PLC0415 - as above

    app = application(open_home(chosen.home, chosen.log), lambda: int(time.time()))
    config = uvicorn.Config(
        app,
        host=chosen.host,
        port=chosen.port,
        lifespan="off",
        access_log=False,
        server_header=False,
        log_level="warning",
        limit_concurrency=64,
    )
    listener = config.bind_socket()  # ends the process with a message where the port is taken
    listener.listen()  # who reads the next line may ask at once
    address = f"http://{chosen.host}:{listener.getsockname()[1]}"
    commands.say(chosen, {"address": address}, f"见证中 / witnessing: {address}")
    sys.stdout.flush()
    uvicorn.Server(config).run(sockets=[listener])
    return commands.DONE


def pull(chosen: argparse.Namespace) -> int:
    """Look once; the exit code says what was found."""
    from governance import witnesspull  # noqa: PLC0415 - only this command fetches

    if len({key.name for key in chosen.log}) > 1:
        raise witnesspull.NotKeptError("the keys are of different logs; each log has a file of its own")
    try:
        api_key = chosen.key_file.read_text("ascii").strip() if chosen.key_file else ""
    except (OSError, UnicodeDecodeError):
        raise witnesspull.NotFetchedError("the file with the API key cannot be read") from None
    fetch = witnesspull.fetcher(chosen.url, api_key)
    look = witnesspull.pull(fetch, chosen.log, chosen.file, time.time_ns() // 1_000_000)
    document = {"result": look.word, "size": look.size, "kept_size": look.kept_size, "exit": int(look.exit)}
    commands.say(chosen, document, f"{look.word} {look.size}\n{_SAID[look.word]}")
    return int(look.exit)
