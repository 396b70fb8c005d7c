"""The script of a case, made smaller than the case can say.

A case has the plainest form that shows its failure, but not every line of its script is needed for
that. What goes is what goes of any script (`minimize`); what stays is what makes it a script that
tells: the end with 125 where Keras cannot be imported, what is expected, and how it is held against
what was observed.

Public: `harness`, `polished`.
"""

from __future__ import annotations

import ast
import time
from collections.abc import Iterator
from typing import Final

from keras_bisect.errors import NotReproduced
from keras_bisect.lab import Lab
from keras_bisect.outcome import Tree
from keras_bisect.probe.prober import Script
from keras_bisect.verdict import Signature
from keras_repro.cuts import STEPS
from keras_repro.minimize import Ends, cut

__all__ = ["harness", "polished"]

PATIENCE: Final = 120.0
"""Seconds after which a script is smooth enough."""
TAKEN: Final = ("statements", "bodies", "entries", "parameters", "operands")
"""The steps that a person would take: shapes and numbers stay."""

HELPERS: Final = ("check", "compare")
KEPT: Final = ("verbose", "return_dict", "name")
"""Arguments that say what is printed, in which form it comes back, and what things are called: the
keys of a dict are to be the names of what they stand for."""


def harness(program: ast.Module) -> Iterator[ast.AST]:
    """What stays of the script of a case."""
    told = False
    for one in program.body:
        match one:
            case ast.Assign([ast.Name("expected" | "bad")]):
                told = True
            case ast.FunctionDef(name) if name in HELPERS:
                yield one
            case ast.Assign([ast.Name("observed" | "prediction" | "values" | "history")]):
                yield one
            case ast.Assign([ast.Subscript()]):
                yield one  # optree is hidden
            case ast.Try(body) if all(isinstance(n, ast.Import | ast.ImportFrom) for n in body):
                yield one
        if told and not isinstance(one, ast.If):
            yield one
    for node in ast.walk(program):
        if isinstance(node, ast.Tuple) and all(isinstance(n, ast.Constant) for n in node.elts):
            yield node
        if isinstance(node, ast.keyword) and node.arg in KEPT:
            yield node
        if isinstance(node, ast.ExceptHandler) and "sys.exit" in ast.unparse(node):
            yield node


def polished(lab: Lab, script: Script, signature: Signature, ends: Ends, tree: Tree) -> Script:
    """The script of a case without what it does not need; the same where all of it is needed.

    Args:
        lab: what probes.
        script: of a case.
        signature: its failure.
        ends: the builds that have a say.
        tree: the tree implementation.
    """
    steps = [step for step in STEPS if step.__name__ in TAKEN]
    until = time.monotonic() + PATIENCE
    try:
        return Script(cut(lab, script, signature, ends, tree, until, harness, steps)[0])
    except NotReproduced:
        return script  # it needs what a fresh interpreter has not
