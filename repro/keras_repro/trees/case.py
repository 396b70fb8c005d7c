"""A tree case: one nested structure, and what of `keras.tree` is checked on it, as plain data.

A structure is a `Tree`: a leaf (an int or None) or a `Node` (a kind of container, its children, its
keys in the order in which they are written). No Python container stands for itself, so a namedtuple
needs no class and an order of keys is never lost. All ints of a case differ: whichever leaf ends up
in the wrong place is seen. Further structures that a call takes are made of the first
(`checks.py`), so that a case is one structure, whatever is called.

Public: `Node`, `Tree`, `TreeCase`, `ALL_LAWS`, `numbered`, `reordered`, `from_python`, `to_python`.
"""

import json
from collections import OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from keyword import iskeyword
from typing import Any, Literal, get_args

from keras_bisect.errors import UsageError

__all__ = [
    "ALL_LAWS",
    "BOUND",
    "DICTS",
    "KEYED",
    "SCHEMA",
    "UNNAMED",
    "Box",
    "Key",
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

Kind = Literal[
    "dict",
    "OrderedDict",
    "list",
    "tuple",
    "namedtuple",
    "defaultdict",
    "deque",
    "bounded deque",
    "dict subclass",
]
Law = Literal["T1", "T2", "T3", "T4", "T5", "T6", "T7", "T8", "T9"]
Key = str | int

KINDS: tuple[Kind, ...] = get_args(Kind)
ALL_LAWS: tuple[Law, ...] = get_args(Law)
DICTS: frozenset[Kind] = frozenset({"dict", "OrderedDict", "defaultdict", "dict subclass"})
KEYED: frozenset[Kind] = DICTS | {"namedtuple"}
UNNAMED: frozenset[Kind] = frozenset({"bounded deque", "dict subclass"})
"""Of these the documentation of `keras.tree` says nothing; the implementations must agree."""


class Box(dict[Any, Any]):
    """The dict subclass of cases: no more than a dict."""

    def __repr__(self) -> str:
        """As the scripts print it."""
        return f"Box({super().__repr__()})"


@dataclass(frozen=True, slots=True)
class Node:
    """A container. `keys` are a dict's keys or a namedtuple's fields, empty for all others."""

    kind: Kind
    children: "tuple[Tree, ...]"
    keys: tuple[Key, ...] = ()

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
        if len(set(map(type, self.keys))) > 1:
            raise ValueError(f"the keys of a {self.kind} must be sortable: {self.keys!r}")
        if self.kind == "namedtuple":
            for field in self.keys:
                if not _can_be_a_field(field):
                    raise ValueError(f"{field!r} cannot be the field of a namedtuple")


def _can_be_a_field(name: Key) -> bool:
    if not isinstance(name, str) or iskeyword(name):
        return False
    return name.isidentifier() and not name.startswith("_")


Tree = Node | int | None


@dataclass(frozen=True, slots=True)
class TreeCase:
    """A structure and what is checked on it.

    `law` is a law (`T5`), one check of a law (`T5.kinds`, see `checks.CHECKS`), or None for
    all that is promised of the structure.
    """

    structure: Tree
    law: str | None = None

    def __post_init__(self) -> None:
        """Refuse equal leaves: they would hide a swap."""
        if self.law is not None and self.law.partition(".")[0] not in ALL_LAWS:
            raise ValueError(f"a law is one of {', '.join(ALL_LAWS)}, not {self.law!r}")
        numbers = [leaf for leaf in leaves_as_written(self.structure) if leaf is not None]
        if len(set(numbers)) != len(numbers):
            raise ValueError(f"the leaves of a case must all differ, but are {numbers}")

    @property
    def laws(self) -> tuple[str, ...]:
        """The laws that are checked, where they speak of the structure."""
        return ALL_LAWS if self.law is None else (self.law.partition(".")[0],)

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
            law = document.get("law")
            if not isinstance(law, str | None):
                raise ValueError(f"a law is one of {', '.join(ALL_LAWS)}, not {law!r}")
            return cls(_decode(document["structure"]), law)
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
            if all(isinstance(i, list) and len(i) == 2 and type(i[0]) in (str, int) for i in items):
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
    if tree.kind in DICTS - {"OrderedDict"}:
        return Node(tree.kind, children[::-1], tree.keys[::-1])
    return Node(tree.kind, children, tree.keys)


@lru_cache(maxsize=1024)
def _point(fields: tuple[str, ...]) -> Callable[..., Any]:
    return namedtuple("Point", fields)


def to_python(tree: Tree) -> Any:
    """The Python structure itself. Namedtuples with the same fields are of one class, `Point`."""
    if not isinstance(tree, Node):
        return tree
    children = [to_python(child) for child in tree.children]
    pairs = zip(tree.keys, children, strict=tree.kind in KEYED)
    match tree.kind:
        case "list":
            return children
        case "tuple":
            return tuple(children)
        case "deque":
            return deque(children)
        case "bounded deque":
            return deque(children, maxlen=BOUND)
        case "namedtuple":
            return _point(tuple(map(str, tree.keys)))(*children)
        case "OrderedDict":
            return OrderedDict(pairs)
        case "defaultdict":
            return defaultdict(list, pairs)
        case "dict subclass":
            return Box(pairs)
    return dict(pairs)


BOUND = 9
"""The `maxlen` of a bounded deque."""

CLASSES: dict[type, Kind] = {
    dict: "dict",
    OrderedDict: "OrderedDict",
    list: "list",
    tuple: "tuple",
    defaultdict: "defaultdict",
    deque: "deque",
    Box: "dict subclass",
}


def from_python(structure: Any) -> Tree:
    """The tree of a Python structure; TypeError where it holds anything a tree cannot say."""
    if structure is None or type(structure) is int:
        return structure
    kind = CLASSES.get(type(structure))
    if kind is None and isinstance(structure, tuple) and hasattr(structure, "_fields"):
        return Node("namedtuple", tuple(map(from_python, structure)), structure._fields)
    if kind is None:
        raise TypeError(f"a tree holds ints, None and plain containers, not {structure!r}")
    if kind in DICTS:
        return Node(kind, tuple(map(from_python, structure.values())), tuple(structure))
    bounded = isinstance(structure, deque) and structure.maxlen is not None
    return Node("bounded deque" if bounded else kind, tuple(map(from_python, structure)))
