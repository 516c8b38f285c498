"""Writes docs/codes.md and docs/routes.md from the code; the tests compare them. Run it with: make docs

What a caller relies on is written down once, in the code, and copied here, so that the pages cannot lag.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from governance.importrows import Fault
from governance.problems import Problem
from policies.reasons import Reason

ROOT = Path(__file__).parents[2]
VERBS = ("get", "post", "put", "patch", "delete")
MADE = "<!-- Made from the code with `make docs`; a test compares it. -->"


@dataclass(frozen=True, slots=True)
class Route:
    """One address the service answers at, and what its author says about it."""

    method: str
    path: str
    about: str

    @property
    def page(self) -> bool:
        return not self.path.startswith(
            ("/v1/", "/access/", "/.well-known/", "/livez", "/readyz", "/problems")
        )


def routes() -> list[Route]:
    """Return every route, in the order of the address, read from the source: pages are in no schema."""
    folder = ROOT / "governance"
    found = [route for file in sorted(folder.rglob("*.py")) for route in _routes_of(file)]
    return sorted(found, key=lambda route: (route.page, route.path, route.method))


def _routes_of(file: Path) -> Iterator[Route]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    prefixes = dict(_prefixes(tree))
    for function in ast.walk(tree):
        if not isinstance(function, ast.AsyncFunctionDef | ast.FunctionDef):
            continue
        for call in function.decorator_list:
            match call:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id=router), attr=verb),
                    args=[ast.Constant(value=str(path))],
                ) if router in prefixes and verb in VERBS:
                    about = (ast.get_docstring(function) or "").partition("\n")[0]
                    yield Route(verb.upper(), prefixes[router] + path, about)


def _prefixes(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in tree.body:
        match node:
            case ast.Assign(
                targets=[ast.Name(id=name)], value=ast.Call(func=ast.Name(id="APIRouter"), keywords=named)
            ):
                given = {one.arg: one.value for one in named}
                prefix = given.get("prefix")
                yield name, str(prefix.value) if isinstance(prefix, ast.Constant) else ""


def codes_page() -> str:
    """Return docs/codes.md."""
    lines = [
        "# 代码与含义 · Codes and what they mean",
        "",
        MADE,
        "",
        "一个代码，一句中文，一句英文；运行中的服务也会回答：`GET /problems/{code}`。",
        "One code, one sentence in each language; a running service tells as well: `GET /problems/{code}`.",
        "",
        "## 理由 Reasons: why something was shown, withheld, sent or not",
        "",
        "| code | 中文 | English |",
        "|---|---|---|",
        *(f"| `{one.value}` | {one.zh} | {one.en} |" for one in Reason),
        "",
        "## 问题 Problems: what went wrong at the door (RFC 9457)",
        "",
        "| code | status | 中文 | English |",
        "|---|---|---|---|",
        *(f"| `{one.value}` | {one.status} | {one.zh} | {one.en} |" for one in Problem),
        "",
        "## 导入 Import: why a line of `governance consent import` was refused, besides the reasons above",
        "",
        "| code | 中文 | English |",
        "|---|---|---|",
        *(f"| `{one.value}` | {one.zh} | {one.en} |" for one in Fault),
        "",
    ]
    return "\n".join(lines)


def routes_page() -> str:
    """Return docs/routes.md."""
    api = [one for one in routes() if not one.page]
    pages = [one for one in routes() if one.page]
    lines = [
        "# 地址 · Routes",
        "",
        MADE,
        "",
        "完整的请求与回答结构 / bodies and answers in full: `governance openapi`.",
        "",
        "## 接口 API",
        "",
        "| | path | |",
        "|---|---|---|",
        *(f"| {one.method} | `{one.path}` | {one.about} |" for one in api),
        "",
        "## 页面 Pages",
        "",
        "| | path | |",
        "|---|---|---|",
        *(f"| {one.method} | `{one.path}` | {one.about} |" for one in pages),
        "",
    ]
    return "\n".join(lines)


PAGES = {"codes.md": codes_page, "routes.md": routes_page}


def main() -> None:
    """Write both pages."""
    for name, page in PAGES.items():
        (ROOT / "docs" / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
