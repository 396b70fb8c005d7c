"""What a name or a function stands for, in its place.

Public: `constants`, `functions`. Pure.
"""

from __future__ import annotations

import ast
import copy
from collections import Counter
from collections.abc import Iterator

from keras_repro.cuts.parts import Parts, some
from keras_repro.cuts.program import blocks, is_text, mended, put, spread, well_formed

__all__ = ["constants", "functions"]


def functions(parts: Parts) -> Iterator[ast.Module]:
    """What a function does, where it is called, if that is in one place only."""
    called = Counter(
        node.id
        for node in parts.nodes
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    )
    for node in parts.nodes:
        if isinstance(node, ast.FunctionDef) and called[node.name] == 1 and not parts.stays(node):
            made, nodes = parts.copied()
            yield from some(_inlined(made, nodes[parts.number[id(node)]], parts.unbound))


def _inlined(program: ast.Module, function: ast.AST, unbound: frozenset[str]) -> ast.Module | None:
    assert isinstance(function, ast.FunctionDef)
    body = [one for one in function.body if not is_text(one)]
    returns = [one for one in ast.walk(function) if isinstance(one, ast.Return)]
    if function.decorator_list or function.args.vararg or function.args.kwarg:
        return None
    if any(isinstance(one, ast.Yield | ast.YieldFrom | ast.Global) for one in ast.walk(function)):
        return None
    if len(returns) > 1 or (returns and body[-1] is not returns[0]):
        return None
    for node in ast.walk(program):
        for block in blocks(node):
            for one in block:
                match one:
                    case ast.Expr(ast.Call(ast.Name(name)) as call) if name == function.name:
                        targets: list[ast.expr] = []
                    case ast.Assign([target], ast.Call(ast.Name(name)) as call) if (
                        name == function.name
                    ):
                        targets = [target]
                    case _:
                        continue
                passed = _passed(function, call)
                if passed is None or any(child is one for child in ast.walk(function)):
                    return None
                value = returns[0].value if returns else None
                last = body[:-1] if returns else body
                if targets:
                    if value is None:
                        return None
                    if ast.unparse(targets[0]) != ast.unparse(value):
                        last = [*last, ast.Assign(targets, value, lineno=0)]
                spread(program, one, [*passed, *last])
                spread(program, function, [])
                return well_formed(program, unbound)
    return None


def _passed(function: ast.FunctionDef, call: ast.Call) -> list[ast.stmt] | None:
    """Statements that give each parameter what a call passes it."""
    names = [one.arg for one in function.args.args]
    values: dict[str, ast.expr] = {}
    defaults = function.args.defaults
    values |= dict(zip(names[len(names) - len(defaults) :], defaults, strict=True))
    if function.args.kwonlyargs or any(isinstance(one, ast.Starred) for one in call.args):
        return None
    values |= dict(zip(names, call.args, strict=False))
    values |= {one.arg: one.value for one in call.keywords if one.arg}
    if set(values) != set(names):
        return None
    return [
        ast.Assign([ast.Name(name, ast.Store())], values[name], lineno=0)
        for name in names
        if ast.unparse(values[name]) != name
    ]


def constants(parts: Parts) -> Iterator[ast.Module]:
    """What a name stands for, in its place: a number, a text, another name."""
    for scope in parts.nodes:
        if not isinstance(scope, ast.Module | ast.FunctionDef):
            continue
        stored = Counter(
            node.id
            for node in ast.walk(scope)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        )
        for node in scope.body:
            match node:
                case ast.Assign([ast.Name(name)], ast.Constant() | ast.Name()) if stored[
                    name
                ] == 1 and not parts.stays(node):
                    made, nodes = parts.copied()
                    old, where = (nodes[parts.number[id(one)]] for one in (node, scope))
                    assert isinstance(old, ast.Assign)
                    spread(made, old, [])
                    for one in list(ast.walk(where)):
                        if isinstance(one, ast.Name) and one.id == name:
                            put(made, one, copy.deepcopy(old.value))
                    if (whole := mended(made)) is not None:
                        yield from some(well_formed(whole, parts.unbound))
                case ast.Assign([ast.Tuple(targets)], ast.Tuple(values)) if len(targets) == len(
                    values
                ) and not parts.stays(node):
                    made, nodes = parts.copied()
                    pairs = copy.deepcopy(list(zip(targets, values, strict=True)))
                    split = [
                        ast.Assign([target], value, lineno=0)
                        for target, value in pairs
                        if ast.unparse(target) != ast.unparse(value)
                    ]
                    yield spread(made, nodes[parts.number[id(node)]], split)
                case ast.Assign([ast.Name()], ast.Attribute() | ast.Subscript() as value) if (
                    not parts.stays(node)
                ):
                    made, nodes = parts.copied()
                    old = nodes[parts.number[id(value)]]
                    yield put(made, old, ast.Constant(1))
