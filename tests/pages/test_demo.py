"""The demonstration as a stranger starts it: one command, links that work, nothing left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from governance import world
from governance.loopback import Visitor


def test_the_demo_prints_three_links_ticks_and_ends_cleanly_on_ctrl_c(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GOVERNANCE_")}
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "governance", "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**environment, "TMPDIR": str(tmp_path), "PYTHONUTF8": "1"},
    ) as demo:
        assert demo.stdout is not None
        told: list[str] = []
        for line in demo.stdout:
            told.append(line)
            if re.match(r"\d\d:\d\d:\d\d ", line):
                break
        links = re.findall(r"http://127\.0\.0\.1:(\d+)(/link/\S+)", "".join(told))
        assert len(links) == 3
        pages = [Visitor(int(port)).press(path) for port, path in links]
        demo.send_signal(signal.SIGINT)
        rest = demo.stdout.read()
        assert demo.wait(60) == 0
    assert [page.status for page in pages] == [200, 200, 200]
    assert ["谁看过我" in page.text for page in pages] == [True, True, False]
    assert "决策记录" in pages[2].text
    assert "演示数据已删除" in rest
    assert "Traceback" not in rest
    assert list(tmp_path.iterdir()) == []
    values = [value for home in world.HOMES for person in home.members for value in person.values.values()]
    assert not [value for value in values if value in "".join(told[10:]) + rest]
