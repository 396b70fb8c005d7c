"""The script of a case, made smaller than the case can say.

A case has the plainest form that shows its failure, but not every line of its script is needed for
that. What goes is what goes of any script (`minimize`); what stays is what makes it a script that
tells: the end with 125 where Keras cannot be imported, what is expected, and how it is held against
what was observed.

Public: `harness`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

__all__ = ["harness"]

HELPERS: Final = ("check", "compare")
SILENT: Final = ("verbose", "return_dict")
"""Arguments that say what is printed, and in which form it comes back."""


def harness(program: ast.Module) -> Iterator[ast.AST]:
    """What stays of the script of a case."""
    told = False
    for one in program.body:
        match one:
            case ast.Assign([ast.Name("expected" | "bad")]):
                told = True
            case ast.FunctionDef(name) if name in HELPERS:
                yield one
            case ast.Assign([ast.Subscript()]):
                yield one  # optree is hidden
            case ast.Try(body) if all(isinstance(n, ast.Import | ast.ImportFrom) for n in body):
                yield one
        if told and not isinstance(one, ast.If):
            yield one
    for node in ast.walk(program):
        if isinstance(node, ast.keyword) and node.arg in SILENT:
            yield node
        if isinstance(node, ast.ExceptHandler) and "sys.exit" in ast.unparse(node):
            yield node
