"""Small wrongs, one at a time: every way in which somebody could slip while writing a rule.

``mutants(source, file)`` gives each changed version of a module with a sentence that says what was changed
where. Nothing is changed that decides nothing: annotations, other names of types, docstrings, messages of
errors, decorators.
"""

from __future__ import annotations

import ast
import builtins
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from policies import reasons, terms

FLIPS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
OPPOSITES = {"min": "max", "max": "min", "any": "all", "all": "any"}
LEAVES = (ast.Return, ast.Raise, ast.Continue, ast.Break)
# The words of the consent room are spelt out: importing them here would fix the module that is to be changed.
MEMBERS: dict[str, list[str]] = {
    "EventKind": [
        "SERVED", "TICKED", "CODE_SENT", "CONFIRMED", "REFUSED", "DEFERRED", "WITHDRAWN", "REVOKED", "HIDDEN",
        "UNHIDDEN", "SHARED", "UNSHARED", "OBJECTED", "RESTRICTED", "ERASED", "GUARDIAN_LINKED",
        "GUARDIAN_ENDED", "JOINED", "LEFT",
    ],
    "Capacity": ["SELF", "GUARDIAN", "PRIMARY", "SERVICE"],
    "Prefix": ["MEMBER", "HOUSEHOLD", "STAFF", "SERVICE"],
}  # fmt: skip
for _module in (reasons, terms):
    for _name, _kind in vars(_module).items():
        if isinstance(_kind, type) and issubclass(_kind, Enum) and _kind is not Enum:
            MEMBERS[_name] = list(_kind.__members__)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One changed module. ``name`` does not mention the line, so that it outlives edits elsewhere."""

    file: str
    line: int
    scope: str
    change: str
    code: str

    @property
    def name(self) -> str:
        return f"{self.file} {self.scope}: {self.change}"


def mutants(source: str, file: str) -> Iterator[Mutant]:
    """Return every mutant of a module, in the order of its text."""
    tree = ast.parse(source)
    scopes = dict(_scopes(tree))
    deciding = _deciding(tree)
    seen: set[str] = set()
    for place, node in enumerate(ast.walk(tree)):
        if id(node) not in deciding:
            continue
        for number, changed in enumerate(_variants(node)):
            before, after = _text(node), _text(changed)
            line = getattr(node, "lineno", 0)
            copied = copy.deepcopy(tree)
            _put(copied, place, list(_variants(list(ast.walk(copied))[place]))[number])
            code = ast.unparse(ast.fix_missing_locations(copied))
            if code not in seen:
                seen.add(code)
                yield Mutant(file, line, scopes.get(id(node), "module"), f"{before} -> {after}", code)


def _scopes(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.ClassDef):
            for inside in ast.walk(function):
                yield id(inside), function.name  # inner scopes come later and win


def _deciding(tree: ast.AST) -> set[int]:
    """Return the nodes that decide something."""
    found: set[int] = set()
    generic = set(_generic(tree))

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.Import | ast.ImportFrom | ast.Raise):
            return
        if isinstance(node, ast.Subscript) and _text(node.value) in generic:
            return
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            return
        if isinstance(node, ast.Assign) and _text(node.targets[0]) == "__slots__":
            return
        found.add(id(node))
        for field, value in ast.iter_fields(node):
            if field in ("annotation", "returns", "decorator_list", "bases"):
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    visit(child)

    visit(tree)
    return found


def _generic(tree: ast.AST) -> Iterator[str]:
    """Return the names that make a type where they carry a subscript, such as ``Mapping`` and ``tuple``."""
    yield from (name for name, value in vars(builtins).items() if isinstance(value, type))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in ("collections.abc", "typing"):
            yield from (alias.asname or alias.name for alias in node.names)


def _variants(node: ast.AST) -> Iterator[ast.AST]:
    """Return every wrong version of one node."""
    for way in (_compared, _joined, _counted, _worded, _listed, _chosen, _left_out):
        yield from way(node)


def _compared(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Compare):
        for place, op in enumerate(node.ops):
            for flipped in FLIPS[type(op)]:
                yield _with(node, ops=[*node.ops[:place], flipped(), *node.ops[place + 1 :]])


def _joined(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.BoolOp(op=op, values=values):
            yield _with(node, op=ast.Or() if isinstance(op, ast.And) else ast.And())
            for place in range(len(values)):
                kept = [*values[:place], *values[place + 1 :]]
                yield kept[0] if len(kept) == 1 else _with(node, values=kept)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield operand


def _counted(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.BinOp(op=op) if type(op) in ARITHMETIC:
            yield _with(node, op=ARITHMETIC[type(op)]())
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value)):
            yield ast.Constant(value + 1)
            yield ast.Constant(value - 1)


def _worded(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Constant(value=str(value)):
            yield ast.Constant(value + "x")
        case ast.Name(id=name) if name in OPPOSITES:
            yield ast.Name(OPPOSITES[name], ast.Load())
        case ast.Attribute(value=ast.Name(id=kind), attr=member) if member in MEMBERS.get(kind, ()):
            others = MEMBERS[kind]
            yield _with(node, attr=others[(others.index(member) + 1) % len(others)])


def _listed(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Tuple(elts=elts) | ast.Set(elts=elts) | ast.List(elts=elts) if len(elts) > 1:
            if isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
                for place in range(len(elts)):
                    yield _with(node, elts=[*elts[:place], *elts[place + 1 :]])
        case ast.comprehension(ifs=ifs):
            for place in range(len(ifs)):
                yield _with(node, ifs=[*ifs[:place], *ifs[place + 1 :]])


def _chosen(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.IfExp(test=test, body=body, orelse=orelse):
            yield _with(node, body=orelse, orelse=body)
            yield body
            yield orelse
        case ast.If(test=test):
            yield _with(node, test=ast.UnaryOp(ast.Not(), test))


def _left_out(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.If(body=body, orelse=[]) if isinstance(body[-1], LEAVES):
            yield ast.Pass()
        case ast.Return(value=ast.AST() as value) if not isinstance(value, ast.Constant):
            yield _with(node, value=ast.Constant(None))
        case ast.AugAssign() | ast.Expr(value=ast.Call()):
            yield ast.Pass()


def _with(node: ast.AST, **fields: object) -> ast.AST:
    """Return the node with some parts exchanged; the parts it keeps are the same objects."""
    changed = copy.copy(node)
    for field, value in fields.items():
        setattr(changed, field, value)
    return changed


def _put(tree: ast.AST, place: int, changed: ast.AST) -> None:
    """Put a node into the tree in place of the one that the walk reaches at ``place``."""
    wanted = list(ast.walk(tree))[place]
    for parent in ast.walk(tree):
        for field, value in ast.iter_fields(parent):
            if value is wanted:
                setattr(parent, field, changed)
                return
            if isinstance(value, list) and any(one is wanted for one in value):
                value[:] = [changed if one is wanted else one for one in value]
                return


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.comprehension):
        node = ast.ListComp(ast.Name("…", ast.Load()), [node])
    text = " ".join(ast.unparse(ast.fix_missing_locations(copy.deepcopy(node))).split())
    return text if len(text) <= MOST else text[: MOST - 1] + "…"


MOST = 160
"""Characters of a change that are shown and that name it."""
