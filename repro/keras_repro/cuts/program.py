"""A program as its syntax tree: read, written, and made Python again after something was taken out.

Public: `parse`, `text_of`, `blocks`, `put`, `spread`, `well_formed`, `mended`, `is_text`,
`unbound_of`, `STATEMENTS`. Pure.
"""

from __future__ import annotations

import ast
import builtins
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

__all__ = [
    "STATEMENTS",
    "blocks",
    "is_text",
    "mended",
    "parse",
    "put",
    "spread",
    "text_of",
    "unbound_of",
    "well_formed",
]

STATEMENTS: Final = ("body", "orelse", "finalbody", "handlers")


def parse(text: str) -> ast.Module:
    """A program that knows how its statements were written, and where a line was left empty."""
    program = ast.parse(text)
    lines = ["", *text.splitlines()]
    ends = Counter(one.end_lineno for one in program.body)
    for one in program.body:
        first = min([one.lineno, *(d.lineno for d in getattr(one, "decorator_list", ()))])
        above = lines[first - 1].strip()
        one.apart = not above or above.startswith("#")  # type: ignore[attr-defined]
        if one.end_lineno and ends[one.end_lineno] == 1:
            written = "\n".join(lines[first : one.end_lineno + 1])
            one.written = (ast.dump(one), written)  # type: ignore[attr-defined]
    return program


def text_of(program: ast.Module) -> str:
    """A program as text: what did not change as it was written, its paragraphs kept apart."""
    lines = []
    for place, one in enumerate(program.body):
        if place and getattr(one, "apart", False):
            lines.append("")
        was, written = getattr(one, "written", ("", ""))
        same = was == ast.dump(one)
        lines.append(written if same else ast.unparse(ast.Module([one], [])))
    return "\n".join(lines) + "\n"


def blocks(node: ast.AST) -> Iterator[list[ast.stmt]]:
    """The lists of statements that a node holds."""
    for field in STATEMENTS:
        block = getattr(node, field, None)
        if isinstance(block, list):
            yield block


def put(program: ast.Module, old: ast.AST, new: ast.AST) -> ast.Module:
    """A node in the place of another."""
    for node in ast.walk(program):
        for field, value in ast.iter_fields(node):
            if value is old:
                setattr(node, field, new)
                return program
            if isinstance(value, list) and any(one is old for one in value):
                value[:] = [new if one is old else one for one in value]
                return program
    return program


def spread(program: ast.Module, old: ast.AST, new: Sequence[ast.stmt]) -> ast.Module:
    """Statements in the place of one."""
    for node in ast.walk(program):
        for block in blocks(node):
            if any(one is old for one in block):
                index = next(i for i, one in enumerate(block) if one is old)
                for one in new[:1]:
                    one.apart = getattr(old, "apart", False)  # type: ignore[attr-defined]
                block[index : index + 1] = new
                return program
    return program


def well_formed(program: ast.Module, unbound: frozenset[str]) -> ast.Module | None:
    """The program, unless it uses names that are defined nowhere, but for those that are known."""
    return program if unbound_of(program) <= unbound else None


def mended(program: ast.Module) -> ast.Module | None:
    """Python again, after something was taken out; None where what is left says nothing."""
    for node in list(ast.walk(program)):
        if isinstance(node, ast.Import | ast.ImportFrom | ast.Delete | ast.With):
            field = {"Delete": "targets", "With": "items"}.get(type(node).__name__, "names")
            if not getattr(node, field):
                return None
        if isinstance(node, ast.BoolOp) and len(node.values) == 1:
            put(program, node, node.values[0])
        elif isinstance(node, ast.BoolOp) and not node.values:
            return None
        if isinstance(node, ast.Try) and not (node.handlers or node.finalbody):
            return None
        body = getattr(node, "body", None)
        if isinstance(body, list) and not body:
            if isinstance(node, ast.Module):
                return None
            body.append(ast.Pass())
    return program


def is_text(node: ast.stmt) -> bool:
    """Whether a statement is a text alone, as a docstring is."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def unbound_of(program: ast.AST) -> frozenset[str]:
    """Names that are used and nowhere defined."""
    used, known = set(), set(dir(builtins)) | {"__file__", "__name__", "__doc__"}
    for node in ast.walk(program):
        match node:
            case ast.Name(name, ast.Load()):
                used.add(name)
            case ast.Name(name) | ast.arg(name) | ast.ExceptHandler(name=str(name)):
                known.add(name)
            case ast.FunctionDef(name) | ast.ClassDef(name) | ast.AsyncFunctionDef(name):
                known.add(name)
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                known.add(name)
            case ast.alias(name, other):
                known.add(other or name.partition(".")[0])
    return frozenset(used - known)
