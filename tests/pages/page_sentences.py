"""The sentences that pages and explanations say, gathered from templates and code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from jinja2 import Environment, nodes

import governance

PACKAGE = Path(governance.__file__).parent
TEMPLATES = sorted((PACKAGE / "templates").glob("*.html"))
_MARKS = {"say", "noted"}


def said() -> set[str]:
    """Return every sentence that is marked for the catalogue, nested calls included."""
    return {sentence for path in TEMPLATES for sentence in _in_template(path)} | {
        sentence for path in PACKAGE.rglob("*.py") for sentence in _in_code(path)
    }


def _in_template(path: Path) -> Iterator[str]:
    tree = Environment(autoescape=True).parse(path.read_text(encoding="utf-8"))
    for call in tree.find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name == "_":
            assert isinstance(call.args[0], nodes.Const), f"{path.name}: a computed sentence"
            yield str(call.args[0].value)


def _in_code(path: Path) -> Iterator[str]:
    for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        marked = isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in _MARKS
        if marked and call.args and isinstance(call.args[0], ast.Constant):
            yield str(call.args[0].value)
