"""Hypothesis strategies for nested structures, and for the cases that check `keras.tree` on them.

Two things make a structure interesting: the order in which its keys are written differs from the
order of the alphabet, and its containers are of different kinds. Both come often. A failure shrinks
to the plainest structure that still fails: fewer entries, then a dict before an OrderedDict before
the others, then keys from the start of the alphabet: `{"b": 1, "a": 2}`.

Public: `trees` (the Python structures), `tree_cases`.
"""

from collections.abc import Sequence
from dataclasses import replace
from keyword import iskeyword
from typing import Any, get_args

from hypothesis import assume
from hypothesis import strategies as st

from keras_repro.trees.asked import checks_of
from keras_repro.trees.case import (
    ALL_LAWS,
    KEYED,
    UNNAMED,
    Key,
    Kind,
    Law,
    Node,
    Tree,
    TreeCase,
    numbered,
    to_python,
)

__all__ = ["tree_cases", "trees"]

# Names whose order surprises: digits sort as text, capitals before small letters.
SURPRISING = ("output_10", "output_2", "loss", "B", "y_true", "x1", "A", "Z")
LETTERS = tuple("abcdefghijklmnopqrstuvwxyz")

FIELDS = st.sampled_from(LETTERS + tuple(n for n in SURPRISING if not iskeyword(n)))
# Not `st.text`: Hypothesis mixes in constants of the modules it finds loaded, and a seed must draw
# the same cases whatever else is installed.
CHARACTERS = st.sampled_from("abAB01 _-./:'\"\\\n\0{}é日😀")
KEYS = FIELDS | st.lists(CHARACTERS, max_size=3).map("".join)
# 0 stands for "a number", `numbered` says which; it keeps one None at most.
LEAVES: st.SearchStrategy[Tree] = st.sampled_from((0, 0, 0, None))


NUMBERS = st.integers(0, 20)


def _container(kind: Kind, children: st.SearchStrategy[Tree], size: int) -> st.SearchStrategy[Tree]:
    if kind not in KEYED:
        return st.lists(children, max_size=size).map(lambda items: Node(kind, tuple(items)))

    def node(drawn: list[tuple[Key, Tree]]) -> Tree:
        # Written in reverse: shrinking makes the first key that is drawn an "a", and the key before
        # it must then sort after "a" to fail: {"b": 1, "a": 2}, not {"a": 1, "A": 2}.
        items = drawn[::-1]
        return Node(kind, tuple(child for _, child in items), tuple(key for key, _ in items))

    def entries(keys: st.SearchStrategy[Any]) -> st.SearchStrategy[Tree]:
        pairs = st.tuples(keys, children)
        return st.lists(pairs, max_size=size, unique_by=lambda pair: pair[0]).map(node)

    if kind == "namedtuple":
        return entries(FIELDS)
    # Keys of both types in one dict cannot be sorted, which the documentation leaves out.
    return st.integers(0, 7).flatmap(lambda kind: entries(NUMBERS if kind == 7 else KEYS))


def _structures(*, max_depth: int, max_size: int, kinds: Sequence[Kind]) -> st.SearchStrategy[Tree]:
    unknown = [kind for kind in kinds if kind not in get_args(Kind)]
    if unknown or not kinds:
        raise ValueError(f"kinds must be some of {', '.join(get_args(Kind))}, not {kinds!r}")
    if max_depth < 0 or max_size < 0:
        raise ValueError(f"{max_depth=} and {max_size=} must not be negative")
    # Levels are written out rather than `st.recursive`, which bounds leaves but not depth.
    level = LEAVES
    for depth in range(max_depth):
        containers = [_container(kind, level, max_size) for kind in kinds]
        # Inner levels hold as many leaves as containers: deep structures stay readable.
        leaves = [LEAVES] * (1 if depth == max_depth - 1 else len(kinds))
        level = st.one_of(*leaves, *containers)
    return level.map(numbered)


NAMED: tuple[Kind, ...] = tuple(kind for kind in get_args(Kind) if kind not in UNNAMED)


def trees(
    *, max_depth: int = 3, max_size: int = 4, kinds: Sequence[Kind] = NAMED
) -> st.SearchStrategy[Any]:
    """Nested Python structures of the containers that `keras.tree` names, None and ints.

    The ints are 1, 2, 3 ... as they are written, and one leaf at most is None: any two leaves can
    be told apart, so no swap goes unseen.

    Args:
        max_depth: how many containers may lie within each other.
        max_size: how many children a container may have.
        kinds: the kinds of containers, the plainest first.
    """
    return _structures(max_depth=max_depth, max_size=max_size, kinds=kinds).map(to_python)


def tree_cases(
    *,
    max_depth: int = 3,
    max_size: int = 4,
    kinds: Sequence[Kind] = NAMED,
    laws: Sequence[Law] = ALL_LAWS,
) -> st.SearchStrategy[TreeCase]:
    """Cases for `keras.tree`; most check every law at once, and shrink to the one that fails.

    Args:
        max_depth: how many containers may lie within each other.
        max_size: how many children a container may have.
        kinds: the kinds of containers, the plainest first.
        laws: what may be checked. With T9, some structures hold a container of which the
            documentation says nothing.
    """
    return _tree_cases(_structures(max_depth=max_depth, max_size=max_size, kinds=kinds), laws)


@st.composite
def _tree_cases(
    draw: st.DrawFn, structures: st.SearchStrategy[Tree], laws: Sequence[Law]
) -> TreeCase:
    structure = draw(structures)
    if "T9" in laws and (len(laws) == 1 or draw(st.integers(0, 9)) == 9):
        kind = draw(st.sampled_from(sorted(UNNAMED)))
        case = TreeCase(_with_unnamed(structure, kind), "T9")
    else:
        choices: list[str | None] = [law for law in laws if law != "T9"]
        if tuple(laws) == ALL_LAWS:
            choices += (None,) * 10
        case = TreeCase(structure, draw(st.sampled_from(choices)))
    assume(checks_of(case))
    return case


def _with_unnamed(tree: Tree, kind: Kind) -> Tree:
    """The outermost container that can be is one of a kind that the documentation does not name."""
    if not isinstance(tree, Node):
        return tree
    if tree.kind in KEYED if kind in KEYED else tree.kind not in KEYED:
        return replace(tree, kind=kind)
    return replace(tree, children=tuple(_with_unnamed(child, kind) for child in tree.children))
