"""A tree case: one nested structure, and which law of `keras.tree` is checked on it, as plain data.

A structure is a `Tree`: a leaf (an int or None) or a `Node` (a kind of container, its children, its
keys in the order in which they are written). No Python container stands for itself, so a namedtuple
needs no class and an order of keys is never lost. All ints of a case differ: whichever leaf ends up
in the wrong place is seen.

Public: `Node`, `Tree`, `TreeCase`, `ALL_LAWS`, `numbered`, `reordered`, `from_python`, `to_python`.
"""

import json
from collections import OrderedDict, namedtuple
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from keyword import iskeyword
from typing import Any, Literal, get_args

from keras_bisect.errors import UsageError

__all__ = [
    "ALL_LAWS",
    "KEYED",
    "SCHEMA",
    "Kind",
    "Law",
    "Node",
    "Tree",
    "TreeCase",
    "from_python",
    "leaves_as_written",
    "map_leaves",
    "nodes",
    "numbered",
    "reordered",
    "to_python",
]

SCHEMA = 1

Kind = Literal["dict", "OrderedDict", "list", "tuple", "namedtuple"]
Law = Literal["T1", "T2", "T3", "T4", "T5", "T6"]

KINDS: tuple[Kind, ...] = get_args(Kind)
ALL_LAWS: tuple[Law, ...] = get_args(Law)
KEYED: frozenset[Kind] = frozenset({"dict", "OrderedDict", "namedtuple"})


@dataclass(frozen=True, slots=True)
class Node:
    """A container. `keys` are a dict's keys or a namedtuple's fields, empty for list and tuple."""

    kind: Kind
    children: "tuple[Tree, ...]"
    keys: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what no Python container could be."""
        if self.kind not in KINDS:
            raise ValueError(f"a container is one of {', '.join(KINDS)}, not {self.kind!r}")
        if self.kind not in KEYED:
            if self.keys:
                raise ValueError(f"a {self.kind} has no keys, but got {self.keys!r}")
            return
        if len(self.keys) != len(self.children):
            raise ValueError(f"{len(self.children)} children need as many keys: {self.keys!r}")
        if len(set(self.keys)) != len(self.keys):
            raise ValueError(f"the keys of a {self.kind} must differ: {self.keys!r}")
        if self.kind == "namedtuple":
            for field in self.keys:
                if not field.isidentifier() or iskeyword(field) or field.startswith("_"):
                    raise ValueError(f"{field!r} cannot be the field of a namedtuple")


Tree = Node | int | None


@dataclass(frozen=True, slots=True)
class TreeCase:
    """A structure and the law to check on it; `law=None` checks all of them."""

    structure: Tree
    law: Law | None = None

    def __post_init__(self) -> None:
        """Refuse equal leaves: they would hide a swap."""
        if self.law is not None and self.law not in ALL_LAWS:
            raise ValueError(f"a law is one of {', '.join(ALL_LAWS)}, not {self.law!r}")
        numbers = [leaf for leaf in leaves_as_written(self.structure) if leaf is not None]
        if len(set(numbers)) != len(numbers):
            raise ValueError(f"the leaves of a case must all differ, but are {numbers}")

    @property
    def laws(self) -> tuple[Law, ...]:
        """The laws that are checked."""
        return ALL_LAWS if self.law is None else (self.law,)

    def to_json(self) -> str:
        """One line of JSON; `from_json` reads it back.

        >>> TreeCase(Node("dict", (1, None), ("b", "a")), "T3").to_json()
        '{"schema": 1, "kind": "tree", "law": "T3", "structure": {"dict": [["b", 1], ["a", null]]}}'
        """
        document = {
            "schema": SCHEMA,
            "kind": "tree",
            "law": self.law,
            "structure": _encode(self.structure),
        }
        return json.dumps(document)

    @classmethod
    def from_json(cls, text: str) -> "TreeCase":
        """The case that `to_json` wrote; UsageError says what is wrong with any other text."""
        try:
            document = json.loads(text)
            if not isinstance(document, dict) or document.get("kind") != "tree":
                raise ValueError('a tree case is a JSON object with "kind": "tree"')
            if document.get("schema") != SCHEMA:
                found = document.get("schema")
                raise ValueError(f"a tree case of schema {SCHEMA} was expected, found {found!r}")
            if "structure" not in document:
                raise ValueError('a tree case needs a "structure"')
            return cls(_decode(document["structure"]), document.get("law"))
        except ValueError as error:
            raise UsageError(f"this is no tree case: {error}") from error


def _encode(tree: Tree) -> Any:
    if not isinstance(tree, Node):
        return tree
    children = [_encode(child) for child in tree.children]
    if tree.kind in KEYED:
        return {tree.kind: [list(pair) for pair in zip(tree.keys, children, strict=True)]}
    return {tree.kind: children}


def _decode(value: Any) -> Tree:
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if isinstance(value, dict) and len(value) == 1:
        [(kind, items)] = value.items()
        if isinstance(items, list):
            if kind not in KEYED:
                return Node(kind, tuple(map(_decode, items)))
            if all(isinstance(i, list) and len(i) == 2 and isinstance(i[0], str) for i in items):
                keys = tuple(key for key, _ in items)
                return Node(kind, tuple(_decode(child) for _, child in items), keys)
    expected = 'an int, null, or {"list": [...]}, {"dict": [[key, value], ...]} and the like'
    raise ValueError(f"a structure is {expected}, not {json.dumps(value)}")


def nodes(tree: Tree) -> Iterator[Node]:
    """Every container of `tree`, outer ones first."""
    if isinstance(tree, Node):
        yield tree
        for child in tree.children:
            yield from nodes(child)


def leaves_as_written(tree: Tree) -> Iterator[int | None]:
    """The leaves in the order in which a reader meets them (not the order of `flatten`)."""
    if isinstance(tree, Node):
        for child in tree.children:
            yield from leaves_as_written(child)
    else:
        yield tree


def map_leaves(function: Callable[[int | None], Tree], tree: Tree) -> Tree:
    """`tree` with every leaf replaced by what `function` makes of it, in the order of writing."""
    if not isinstance(tree, Node):
        return function(tree)
    children = tuple(map_leaves(function, child) for child in tree.children)
    return Node(tree.kind, children, tree.keys)


def numbered(tree: Tree) -> Tree:
    """`tree` with its leaves replaced by 1, 2, 3 ... as they are written; the first None stays.

    A second None would hide a swap of the two.

    >>> numbered(Node("dict", (0, None, None), ("b", "c", "a")))
    Node(kind='dict', children=(1, None, 2), keys=('b', 'c', 'a'))
    """
    numbers, nones = count(1), count()
    return map_leaves(
        lambda leaf: None if leaf is None and next(nones) == 0 else next(numbers), tree
    )


def reordered(tree: Tree) -> Tree:
    """The same structure with the keys of every plain dict written the other way round.

    An OrderedDict and a namedtuple stay: their order is part of what they are.
    """
    if not isinstance(tree, Node):
        return tree
    children = tuple(map(reordered, tree.children))
    if tree.kind == "dict":
        return Node("dict", children[::-1], tree.keys[::-1])
    return Node(tree.kind, children, tree.keys)


@lru_cache(maxsize=1024)
def _point(fields: tuple[str, ...]) -> Callable[..., Any]:
    return namedtuple("Point", fields)


def to_python(tree: Tree) -> Any:
    """The Python structure itself. Namedtuples with the same fields are of one class, `Point`."""
    if not isinstance(tree, Node):
        return tree
    children = [to_python(child) for child in tree.children]
    if tree.kind == "list":
        return children
    if tree.kind == "tuple":
        return tuple(children)
    if tree.kind == "namedtuple":
        return _point(tree.keys)(*children)
    pairs = zip(tree.keys, children, strict=True)
    return dict(pairs) if tree.kind == "dict" else OrderedDict(pairs)


def from_python(structure: Any) -> Tree:
    """The tree of a Python structure; TypeError where it holds anything a tree cannot say."""
    if structure is None or type(structure) is int:
        return structure
    kind = type(structure)
    if kind is dict or kind is OrderedDict:
        children = tuple(map(from_python, structure.values()))
        return Node("dict" if kind is dict else "OrderedDict", children, tuple(structure))
    if kind is list or kind is tuple:
        return Node("list" if kind is list else "tuple", tuple(map(from_python, structure)))
    if isinstance(structure, tuple) and hasattr(structure, "_fields"):
        return Node("namedtuple", tuple(map(from_python, structure)), structure._fields)
    raise TypeError(f"a tree holds ints, None and plain containers, not {structure!r}")
