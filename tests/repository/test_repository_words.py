"""What no file of the repository may say: where somebody's machine keeps things, or from where it loads."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOSTS = {
    "127.0.0.1",
    "localhost",
    "www.apache.org",  # the licence's own text
    "www.w3.org",  # names of XML vocabularies
    "purl.org",  # as above
    "schema.org",  # as above
    "w3id.org",  # as above
}
RESERVED = (".example", ".invalid", ".test", ".localhost", "example.com", "example.org", "example.net")
HOST = re.compile(r"https?://\[?([A-Za-z0-9.:\u4e00-\u9fff-]*[A-Za-z0-9])")
# A path into somebody's own folders; a path segment called "home" or "work" inside a URL is none.
PERSONAL = re.compile(r"(?<![\w.:/}])/(?:home|root|Users|work|workspace|mnt|srv)/\w+")
BINARY = {".png", ".ico", ".gz"}


def files() -> list[Path]:
    """Return what a commit of this working copy would hold; of an unpacked archive, everything."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0:
        names = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:
        names = [file for file in ROOT.rglob("*") if ".venv" not in file.parts]
    return [file for file in names if file.is_file() and file.suffix not in BINARY]


def texts() -> list[tuple[str, str]]:
    return [(file.relative_to(ROOT).as_posix(), file.read_text(encoding="utf-8")) for file in files()]


def foreign_hosts(text: str) -> set[str]:
    found = {host.lower() for host in HOST.findall(text.replace("\\", ""))}
    return {host for host in found if host.split(":")[0] not in HOSTS and not host.endswith(RESERVED)}


def test_every_host_that_is_named_is_reserved_or_known() -> None:
    named = {name: hosts for name, text in texts() if (hosts := foreign_hosts(text))}
    assert named == {}


def test_a_foreign_host_would_be_noticed_and_a_reserved_one_not() -> None:
    scheme = "https:" + "//"
    assert foreign_hosts(f"see {scheme}packages.somewhere.net/simple/") == {"packages.somewhere.net"}
    assert not foreign_hosts(f"{scheme}shop.example/a {scheme}127.0.0.1:8080/b {scheme}www.example.com")


def test_no_file_points_into_somebodys_folders() -> None:
    named = {
        name: found
        for name, text in texts()
        if name != Path(__file__).relative_to(ROOT).as_posix() and (found := PERSONAL.findall(text))
    }
    assert named == {}


def test_no_file_names_the_folder_it_lies_in() -> None:
    assert not [name for name, text in texts() if str(ROOT) in text]


def test_nothing_is_left_to_do_without_a_number() -> None:
    word = "TO" + "DO"
    bare = re.compile(rf"\b{word}\b(?!\(#\d+\))|\bFIX" + r"ME\b|\bX" + r"XX\b")
    assert not [
        name for name, text in texts() if name.endswith((".py", ".md", ".toml")) and bare.search(text)
    ]
