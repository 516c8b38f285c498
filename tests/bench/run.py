"""``make bench``: each speed goal measured beside its floor or peer, in one run; writes bench.json.

Ratios are what counts: absolute figures are the machine's. Servers run as processes of their own, on
loopback, one worker each, and alternate slice by slice so that both see the same weather.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import consent_bench
import import_bench
import load
import log_bench
import policy_bench
import whatif_bench
import withdrawal_bench

from governance import seeding, world
from governance.settings import read_settings
from governance.wiring import Service, assemble, initialise, load_rules
from policies.book import packaged_rules
from policies.terms import Audience, Channel, ScreeningPurpose
from redaction.finding import Finder
from redaction.screening import Draft, Screener

HERE = Path(__file__).parent
SLICES = 5
SLICE_S = 1.5
SERVICE = (
    "尊敬的客户，您预约的家庭保洁服务已安排在明天上午九点，服务人员会提前半小时与您联系，请保持电话畅通，"
    "如需改约请在今晚八点前通过小程序办理，感谢您的理解与配合，祝您生活愉快，阖家安康，我们将竭诚为您服务。"
)[:100]
PROMOTION = (
    "【张家小铺】周末亲子绘本课周六上午10点在3楼活动室开讲，会员价59元，名额30个，请提前10分钟到场签到，"
    "教室备有饮水与拖鞋，如需改期请在周五20点前回复本信息，祝您和家人周末愉快，感谢一路支持，拒收请回复R"
)[:100]

Row = dict[str, object]


def row(
    id_: str, what: str, value: float, unit: str, beside: str, beside_value: float, goal: str, meets: bool
) -> Row:
    ratio = round(value / beside_value, 3) if beside_value else None
    return {
        "id": id_,
        "what": what,
        "value": round(value, 3),
        "unit": unit,
        "beside": beside,
        "beside_value": round(beside_value, 3),
        "ratio": ratio,
        "goal": goal,
        "meets": bool(meets),
    }


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def server(
    target: str, ready: str, *, factory: bool, environment: dict[str, str]
) -> Iterator[tuple[int, int, float]]:
    """Start a server process; give its port, its pid and the seconds until it answered."""
    port = free_port()
    command = [sys.executable, "-P", "-m", "uvicorn", target, "--port", str(port), "--no-access-log"]
    command += ["--log-level", "warning", "--loop", "uvloop", "--http", "httptools"]
    command += ["--factory"] if factory else []
    begun = time.perf_counter()
    process = subprocess.Popen(command, cwd=HERE, env={**os.environ, "PYTHONPATH": str(HERE), **environment})
    try:
        payload = load.request("GET", ready, b"", {})
        while True:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=5) as asked:
                    asked.sendall(payload)
                    if b" 200 " in asked.recv(4096):
                        break
            except OSError:
                if process.poll() is not None or time.perf_counter() - begun > 60:
                    raise
                time.sleep(0.05)
        yield port, process.pid, time.perf_counter() - begun
    finally:
        process.terminate()
        process.wait(20)


def resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmRSS")


def http_rows(home: str) -> list[Row]:
    environment = {"GOVERNANCE_HOME": home}
    keys = json.loads(seeding.credentials_file(Path(home)).read_text())
    read = {
        "subject": {"type": "member", "id": world.ZHANG_LI.id},
        "fields": ["name", "mobile", "email"],
        "purpose": "service.household",
    }
    body = json.dumps(read).encode()
    hundred = json.dumps({"checks": [read] * 100}).encode()
    plain = {"content-type": "application/json"}
    keyed = {**plain, "authorization": f"Bearer {keys[world.CRM.id]}"}
    rows: list[Row] = []
    with ExitStack() as stack:
        floor, _, _ = stack.enter_context(server("floor:app", "/livez", factory=False, environment={}))
        gate, pid, started = stack.enter_context(
            server("governance.serving:app", "/readyz", factory=True, environment=environment)
        )
        rows.append(row("start", "start to ready", started, "s", "goal", 4.0, "<= 4 s", started <= 4))
        ask_floor = load.request("POST", "/v1/reads", body, plain)
        ask_gate = load.request("POST", "/v1/reads", body, keyed)
        one = load.request("POST", "/v1/checks", body, keyed)
        many = load.request("POST", "/v1/checks", hundred, keyed)
        for connections in (16, 1):
            floors, gates = [], []
            for _ in range(SLICES):
                floors.append(load.run(floor, ask_floor, connections, SLICE_S))
                gates.append(load.run(gate, ask_gate, connections, SLICE_S))
                print(".", end="", flush=True)
            for each in (*floors, *gates):
                assert set(each.statuses) == {200}, each.statuses
            if connections == 16:
                value = statistics.median(each.per_second for each in gates)
                beside = statistics.median(each.per_second for each in floors)
                rows.append(
                    row(
                        "read.rps",
                        "durable gated read of 3 sealed fields over HTTP, 16 connections",
                        value,
                        "req/s",
                        "typed async endpoint that does nothing",
                        beside,
                        ">= 0.5 x",
                        value / beside >= 0.5,
                    )
                )
            else:
                value = statistics.median(each.p50 for each in gates)
                beside = statistics.median(each.p50 for each in floors)
                rows.append(
                    row(
                        "read.p50",
                        "durable gated read, one connection, p50",
                        value,
                        "ms",
                        "typed async endpoint that does nothing",
                        beside,
                        "<= 2.2 x",
                        value / beside <= 2.2,
                    )
                )
        singles, batches = [], []
        for _ in range(3):
            singles.append(load.run(gate, one, 1, SLICE_S).per_second)
            batches.append(load.run(gate, many, 1, SLICE_S).per_second * 100)
            print(".", end="", flush=True)
        value, beside = statistics.median(batches), statistics.median(singles)
        rows.append(
            row(
                "checks.batch",
                "100 checks in one call",
                value,
                "decisions/s",
                "single calls",
                beside,
                ">= 10 x",
                value / beside >= 10,
            )
        )
        memory = resident_mb(pid)
        rows.append(
            row(
                "memory", "resident memory of a worker", memory, "MB", "goal", 220, "<= 220 MB", memory <= 220
            )
        )
    return rows


def screening_rows() -> list[Row]:
    rules, finder = load_rules(packaged_rules()), Finder()
    finder.ready()
    filler = [rule_like(rules.book.lexicon[0], number) for number in range(2_000 - len(rules.book.lexicon))]
    screener = Screener((*rules.book.lexicon, *filler), finder)
    rows = []
    for id_, what, text, purpose, goal in (
        ("screen.clean", "clean service message", SERVICE, ScreeningPurpose.SERVICE, 250),
        ("screen.promotion", "clean promotion with figures", PROMOTION, ScreeningPurpose.MARKETING, 500),
    ):
        draft = Draft(text, Channel.APP_PUSH, purpose, Audience.ADULT)
        assert screener.screen(draft).findings == () or id_ == "screen.promotion"
        spent = timed(lambda draft=draft: screener.screen(draft))
        searched = timed(lambda text=text: finder.find(text))
        rows.append(
            row(
                id_,
                f"screening a {what}, 100 characters, 2,000 rules, personal data included",
                spent,
                "us",
                "the personal-data search alone",
                searched,
                f"<= {goal} us",
                spent <= goal,
            )
        )
    return rows


def rule_like(model: object, number: int) -> object:
    from dataclasses import replace  # noqa: PLC0415 - only the filler needs it

    return replace(model, id=f"filler-{number}", terms=(f"占位词{number:05d}甲",), patterns=())  # type: ignore[type-var]


def timed(work: object, rounds: int = 7, times: int = 200) -> float:
    """Return the median microseconds of a call over rounds."""
    assert callable(work)
    for _ in range(50):
        work()
    spent = []
    for _ in range(rounds):
        begun = time.perf_counter()
        for _ in range(times):
            work()
        spent.append((time.perf_counter() - begun) / times * 1e6)
    return statistics.median(spent)


def seeded(home: str) -> None:
    settings = read_settings({"GOVERNANCE_HOME": home}, packaged_rules())
    initialise(settings)
    service: Service = assemble(settings)
    seeding.seed_once(service)
    service.close()


def main() -> int:
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as home:
        print("policy ", end="", flush=True)
        rows += policy_bench.measure()
        print("\nwhat-if ", end="", flush=True)
        rows += whatif_bench.measure()
        print("\nscreening ", end="", flush=True)
        rows += screening_rows()
        print("\nHTTP ", end="", flush=True)
        seeded(home)
        rows += http_rows(home)
        print("\nconsent ", end="", flush=True)
        rows += consent_bench.measure()
        print("\nimport ", end="", flush=True)
        rows += import_bench.measure()
        print("\nlog ", end="", flush=True)
        rows += log_bench.measure()
        print("\nwithdrawal ", end="", flush=True)
        rows += withdrawal_bench.measure()
    print()
    Path("bench.json").write_text(json.dumps(rows, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    width = max(len(str(one["what"])) for one in rows)
    for one in rows:
        mark = "meets " if one["meets"] else "MISSES"
        print(
            f"{mark} {one['what']:<{width}}  {one['value']:>10} {one['unit']:<11} "
            f"beside {one['beside_value']:>10} ({one['beside']})  ratio {one['ratio']}  goal {one['goal']}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
