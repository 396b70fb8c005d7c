"""The answers that the documentation of `keras.tree` gives, from a structure alone.

Public: a function for each kind of answer, see `checks.CHECKS`. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from keras_repro.trees.case import Kind, Node, Tree, leaves_as_written, map_leaves, nodes, reordered
from keras_repro.trees.check import VALUE_ERROR, Answer, Paths, Value, Word
from keras_repro.trees.structures import entries, flattened

__all__ = ["indexed", "leaves", "met", "refused", "replaced", "shaped", "tuples", "visited"]


def leaves(tree: Tree) -> Answer:
    """All leaves, in the order of `flatten`."""
    return Value(Node("list", tuple(leaf for _, leaf in flattened(tree))))


def met(count: int, other: Callable[[Tree], Tree]) -> Callable[[Tree], Answer | None]:
    """Leaf meets leaf, if `other` makes another structure of this one."""

    def answer(tree: Tree) -> Answer | None:
        if other(tree) == tree and other is not reordered:
            return None
        return Value(map_leaves(lambda leaf: Node("tuple", (leaf,) * count), tree))

    return answer


def refused(
    other: Callable[[Tree], Tree], word: Word = VALUE_ERROR
) -> Callable[[Tree], Answer | None]:
    """A word, usually an exception, if `other` makes another structure of this one."""
    return lambda tree: word if other(tree) != tree else None


def tuples(tree: Tree) -> Tree:
    """Tuples in the place of lists."""
    if not isinstance(tree, Node):
        return tree
    kind: Kind = "tuple" if tree.kind == "list" else tree.kind
    return Node(kind, tuple(map(tuples, tree.children)), tree.keys)


def visited(tree: Tree, top_down: bool) -> Answer:
    """All parts, as a walk meets them."""

    def parts(tree: Tree) -> Iterator[Tree]:
        if top_down:
            yield tree
        if isinstance(tree, Node):
            for _, child in entries(tree):
                yield from parts(child)
        if not top_down:
            yield tree

    return Value(Node("list", tuple(parts(tree))))


def replaced(tree: Tree, leaf: int | None) -> Answer | None:
    """Another leaf in the place of 1."""
    if 1 not in leaves_as_written(tree):
        return None
    return Value(map_leaves(lambda old: leaf if old == 1 else old, tree))


def shaped(tree: Tree) -> Answer | None:
    """A list in the place of each leaf, which was a shape."""
    # An empty tuple is a shape, too; of a list the documentation does not say it.
    if any(
        not node.children and node.kind in ("list", "tuple", "namedtuple") for node in nodes(tree)
    ):
        return None
    return Value(map_leaves(lambda leaf: Node("list", (leaf, None)), tree))


def indexed(tree: Tree) -> Answer | None:
    """The paths, in which the fields of a namedtuple are numbers; None where there is none."""
    if all(node.kind != "namedtuple" for node in nodes(tree)):
        return None
    return Paths(tuple(path for path, _ in flattened(tree)))
