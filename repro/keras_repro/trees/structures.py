"""A structure gone through, and further structures made of it, as the calls of a check take them.

Public: `flattened`, `entries`, `DATA`, and the functions that it names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from keras_repro.trees.case import (
    DICTS,
    Key,
    Kind,
    Node,
    Tree,
    leaves_as_written,
    map_leaves,
    reordered,
)

__all__ = [
    "DATA",
    "Path",
    "deep",
    "entries",
    "flattened",
    "leafy",
    "longer",
    "more",
    "regrouped",
    "renamed",
    "retyped",
]

Path = tuple[Key, ...]


def flattened(tree: Tree, path: Path = ()) -> list[tuple[Path, int | None]]:
    """The paths and leaves of `tree` in the order of `keras.tree.flatten` (rule T2).

    Paths hold indices for list, tuple, deque and namedtuple, keys for dicts.

    >>> flattened(Node("dict", (1, None), ("b", "a")))
    [(('a',), None), (('b',), 1)]
    >>> flattened(Node("OrderedDict", (1, None), ("b", "a")))
    [(('b',), 1), (('a',), None)]
    """
    if not isinstance(tree, Node):
        return [(path, tree)]
    return [pair for key, child in entries(tree) for pair in flattened(child, (*path, key))]


def entries(node: Node) -> list[tuple[Key, Tree]]:
    """The keys and children of a container, in the order in which it is gone through."""
    if node.kind not in DICTS:
        return list(enumerate(node.children))
    pairs = list(zip(node.keys, node.children, strict=True))
    return pairs if node.kind == "OrderedDict" else sorted(pairs, key=lambda pair: pair[:1])


def regrouped(tree: Tree) -> Tree:
    """The same entries in other kinds of dict, the other way round: the same structure (T7)."""
    if not isinstance(tree, Node):
        return tree
    children = tuple(map(regrouped, tree.children))
    if tree.kind not in DICTS:
        return replace(tree, children=children)
    kind: Kind = "dict" if tree.kind == "OrderedDict" else "OrderedDict"
    return Node(kind, children[::-1], tree.keys[::-1])


RETYPED: dict[Kind, Kind] = {
    "list": "tuple",
    "tuple": "list",
    "namedtuple": "tuple",
    "deque": "list",
}


def retyped(tree: Tree) -> Tree:
    """The last sequence as one of another kind: another structure with the same paths (T7)."""
    return _last(
        tree,
        lambda node: node.kind in RETYPED,
        lambda node: replace(node, kind=RETYPED[node.kind], keys=()),
    )


def renamed(tree: Tree) -> Tree:
    """The last key of the last dict that has a leaf is another: another structure, other paths."""

    def rename(node: Node) -> Node:
        words = [key for key in node.keys if isinstance(key, str)]
        numbers = [key for key in node.keys if isinstance(key, int)]
        other = max(words, key=len) + "z" if words else max(numbers) + 1
        return replace(node, keys=(*node.keys[:-1], other))

    return _last(tree, lambda n: n.kind in DICTS and bool(n.keys) and leafy(n.children[-1]), rename)


def longer(tree: Tree) -> Tree:
    """The last leaf is a list that holds it: another structure, other paths."""
    leaves = list(leaves_as_written(tree))
    return map_leaves(lambda leaf: Node("list", (leaf,)) if leaf == leaves[-1] else leaf, tree)


def more(tree: Tree) -> Tree:
    """The last container has one entry more: another structure, other paths."""

    def add(node: Node) -> Node:
        children = (*node.children, 0)
        if node.kind not in DICTS:
            return replace(node, children=children)
        numbers = [key for key in node.keys if isinstance(key, int)]
        key: Key = max(numbers) + 1 if numbers else "zz"
        return replace(node, children=children, keys=(*node.keys, key))

    return _last(tree, lambda node: node.kind != "namedtuple" and leafy(node), add)


def deep(tree: Tree) -> Tree:
    """Every leaf is a list that holds it."""
    return map_leaves(lambda leaf: Node("list", (leaf,)), tree)


def shapes(tree: Tree) -> Tree:
    """Every leaf is a shape tuple that holds it."""
    return map_leaves(lambda leaf: Node("tuple", (leaf, None)), tree)


DATA: dict[str, Callable[[Tree], Tree]] = {
    "structure": lambda tree: tree,
    "reordered": reordered,
    "regrouped": regrouped,
    "retyped": retyped,
    "renamed": renamed,
    "longer": longer,
    "more": more,
    "deep": deep,
    "shapes": shapes,
}


def _last(tree: Tree, chosen: Callable[[Node], bool], made: Callable[[Node], Node]) -> Tree:
    """`tree` with the last container that is chosen, as they are written, made another one."""
    if not isinstance(tree, Node):
        return tree
    for index in reversed(range(len(tree.children))):
        child = _last(tree.children[index], chosen, made)
        if child != tree.children[index]:
            children = (*tree.children[:index], child, *tree.children[index + 1 :])
            return replace(tree, children=children)
    return made(tree) if chosen(tree) else tree


def leafy(tree: Tree) -> bool:
    """Whether there is anything in it: a leaf, if only None."""
    return next(leaves_as_written(tree), 0) != 0
