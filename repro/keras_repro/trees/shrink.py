"""Simpler tree cases, one step each: one check instead of many, less of the structure, plainer.

Public: `simpler_tree_cases`. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from keras_repro.trees.asked import checks_of
from keras_repro.trees.case import Key, Kind, Node, Tree, TreeCase, numbered

__all__ = ["simpler_tree_cases"]

LETTERS = "abcdefghijklmnopqrstuvwxyz"

PLAINER: Mapping[Kind, Kind] = {
    "namedtuple": "dict",
    "OrderedDict": "dict",
    "defaultdict": "dict",
    "dict subclass": "dict",
    "tuple": "list",
    "deque": "list",
    "bounded deque": "deque",
}


def simpler_tree_cases(case: TreeCase) -> Iterator[TreeCase]:
    """Cases that are one step simpler, the biggest steps first."""
    checks = checks_of(case)
    if len(checks) > 1:
        # One check is a shorter program than all of them.
        for check in checks:
            yield replace(case, law=check.name)
    for structure in _simpler(case.structure):
        candidate = replace(case, structure=numbered(structure))
        # What is not promised of the simpler structure cannot be broken by it.
        if candidate != case and checks_of(candidate):
            yield candidate


def _simpler(tree: Tree) -> Iterator[Tree]:
    """A part of the structure instead of the whole; less of it; plainer containers and keys."""
    if tree is None:
        yield 1
    if not isinstance(tree, Node):
        return
    yield from tree.children
    for index in range(len(tree.children)):
        children = tree.children[:index] + tree.children[index + 1 :]
        yield replace(tree, children=children, keys=_less(tree.keys, index))
    for index, child in enumerate(tree.children):
        if isinstance(child, Node):
            yield _with_child(tree, index, 1)
        for simpler_child in _simpler(child):
            yield _with_child(tree, index, simpler_child)
    if tree.kind in PLAINER:
        yield replace(tree, kind=PLAINER[tree.kind])
    if tree.keys:
        yield replace(tree, keys=tuple(LETTERS[: len(tree.keys)]))
        yield replace(tree, keys=tuple(_ranked(tree.keys)))


def _ranked(keys: Sequence[Key]) -> list[str]:
    """Letters that sort as the keys do."""
    letters = dict(zip(sorted(keys), LETTERS, strict=False))
    return [letters[key] for key in keys]


def _less(keys: Sequence[Key], index: int) -> tuple[Key, ...]:
    return tuple(keys[:index]) + tuple(keys[index + 1 :])


def _with_child(node: Node, index: int, child: Tree) -> Node:
    children: Mapping[int, Tree] = {**dict(enumerate(node.children)), index: child}
    return replace(node, children=tuple(children.values()))
