"""What goes of a program, in the order in which it is tried.

Public: `STEPS`, `Step`. Pure.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Final

from keras_repro.cuts.inline import constants, functions
from keras_repro.cuts.parts import ENTRIES, OPTIONAL, Parts, Place, chunks, some
from keras_repro.cuts.program import STATEMENTS, spread, well_formed

__all__ = ["STEPS", "Step"]

Step = Callable[[Parts], Iterator[ast.Module]]


def statements(parts: Parts) -> Iterator[ast.Module]:
    """Half of a block, a quarter, …, a statement; the last first: it needs those before it."""
    for node in parts.nodes:
        for field in STATEMENTS:
            if isinstance(getattr(node, field, None), list):
                block = parts.entries(node, field)
                if len(block) == 1 and field == "body" and not isinstance(node, ast.Module):
                    continue  # it goes with what holds it
                yield from chunks(parts, block)


def words(parts: Parts) -> Iterator[ast.Module]:
    """All that speaks of one thing: a name, or a text that stands in several places."""
    spoken: dict[str, list[ast.AST]] = {}
    for node in parts.nodes:
        match node:
            case ast.Constant(str(text)):
                spoken.setdefault(repr(text), []).append(node)
            case ast.Name(name):
                spoken.setdefault(name, []).append(node)
            case ast.keyword(str(name)):
                spoken.setdefault(f"{name}=", []).append(node)
    for nodes in spoken.values():
        if len(nodes) > 1:
            for entry in (True, False):
                places = {parts.around(node, entry=entry) for node in nodes}
                yield from some(parts.without(place for place in places if place))


def columns(parts: Parts) -> Iterator[ast.Module]:
    """The same entry of all lists and dicts of one length: what stands side by side."""
    rows: dict[int, list[list[Place]]] = {}
    for node in parts.nodes:
        if isinstance(node, ast.List | ast.Tuple | ast.Dict):
            field = "values" if isinstance(node, ast.Dict) else "elts"
            held = parts.entries(node, field)
            if len(held) > 1 and not isinstance(getattr(node, "ctx", None), ast.Store):
                rows.setdefault(len(held), []).append(held)
    for length, lists in rows.items():
        if len(lists) > 1:
            for index in reversed(range(length)):
                yield from some(parts.without(held[index] for held in lists))


def entries(parts: Parts) -> Iterator[ast.Module]:
    """Arguments, entries of lists and dicts, decorators, conditions, names of an import."""
    for node in parts.nodes:
        for field in ENTRIES.get(type(node), ()):
            if not isinstance(getattr(node, "ctx", None), ast.Store):
                yield from chunks(parts, parts.entries(node, field))
        for field in OPTIONAL.get(type(node), ()):
            if getattr(node, field) is not None:
                yield from some(parts.without([(parts.number[id(node)], field, -1)]))


def parameters(parts: Parts) -> Iterator[ast.Module]:
    """A parameter of a function, with what it is given and what is made of it."""
    for node in parts.nodes:
        if not isinstance(node, ast.FunctionDef) or parts.stays(node):
            continue
        names = [one.arg for one in node.args.args]
        calls = [
            one
            for one in parts.nodes
            if isinstance(one, ast.Call)
            and isinstance(one.func, ast.Name)
            and one.func.id == node.name
        ]
        for index, name in enumerate(names):
            gone: set[Place] = set()
            for call in calls:
                number = parts.number[id(call)]
                if index < len(call.args):
                    gone.add((number, "args", index))
                gone |= {
                    (number, "keywords", i) for i, k in enumerate(call.keywords) if k.arg == name
                }
            for one in ast.walk(node):
                if isinstance(one, ast.Name) and one.id == name:
                    gone |= {place for place in [parts.around(one)] if place}
            yield from some(_without_parameter(parts, node, index, gone))


def _without_parameter(
    parts: Parts, function: ast.FunctionDef, index: int, gone: set[Place]
) -> ast.Module | None:
    made = parts.removed(gone) if gone else parts.copied()[0]
    if made is None:
        return None
    for one in ast.walk(made):
        if isinstance(one, ast.FunctionDef) and one.name == function.name:
            from_end = len(one.args.args) - index
            if from_end <= len(one.args.defaults):
                del one.args.defaults[-from_end]
            del one.args.args[index]
    return well_formed(made, parts.unbound)


def bodies(parts: Parts) -> Iterator[ast.Module]:
    """What stands in a block, without the block."""
    for node in parts.nodes:
        if isinstance(node, ast.If | ast.With | ast.Try | ast.For | ast.While) and not parts.stays(
            node
        ):
            for field in ("body", "orelse"):
                if getattr(node, field, None):
                    made, nodes = parts.copied()
                    old = nodes[parts.number[id(node)]]
                    yield from some(
                        well_formed(spread(made, old, getattr(old, field)), parts.unbound)
                    )


def operands(parts: Parts) -> Iterator[ast.Module]:
    """An expression that a larger one is made of, in its place."""
    for node in parts.nodes:
        if parts.stays(node):
            continue
        inside: list[ast.expr] = []
        match node:
            case ast.Call(function, given):
                inside = [one for one in given if not isinstance(one, ast.Starred)]
                if isinstance(function, ast.Attribute) and not _is_module(function.value):
                    inside.append(function.value)
            case ast.BinOp(left, _, right):
                inside = [left, right]
            case ast.IfExp(_, one, other):
                inside = [one, other]
            case ast.UnaryOp(_, operand) | ast.Starred(operand):
                inside = [operand] if not isinstance(operand, ast.Constant) else []
            case ast.Subscript(value) if not isinstance(node.ctx, ast.Store):
                inside = [value]
            case ast.List([one]) | ast.Tuple([one]) if not isinstance(node.ctx, ast.Store):
                inside = [one]
            case ast.Dict([_], [one]):
                inside = [one]
        for one in inside:
            yield from some(parts.replaced(node, one))


def _is_module(node: ast.expr) -> bool:
    """Whether it may be the name of a module: `np` in `np.zeros(3)` is no simpler zeros."""
    return isinstance(node, ast.Name) or (
        isinstance(node, ast.Attribute) and _is_module(node.value)
    )


def numbers(parts: Parts) -> Iterator[ast.Module]:
    """Smaller whole numbers: wherever a number stands, then in one place."""
    found: dict[int, list[ast.Constant]] = {}
    for node in parts.nodes:
        if isinstance(node, ast.Constant) and type(node.value) is int and not parts.stays(node):
            found.setdefault(node.value, []).append(node)
    for value, nodes in sorted(found.items(), reverse=True):
        for less in (one for one in (1, 2) if one < value):
            for chosen in [nodes, *([one] for one in nodes if len(nodes) > 1)]:
                made, copied = parts.copied()
                for one in chosen:
                    copied[parts.number[id(one)]].value = less  # type: ignore[attr-defined]
                yield made


STEPS: Final[tuple[Step, ...]] = (
    statements,
    words,
    columns,
    bodies,
    functions,
    entries,
    parameters,
    constants,
    operands,
    numbers,
)
