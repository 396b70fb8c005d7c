"""Without these, a broken `keras.tree` could pass, or a right one be blamed.

The worlds here are implementations of `keras.tree` in a few lines, right or with one planted bug.
"""

import io
import itertools
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from keras_repro.tree_case import Node, TreeCase, from_python
from keras_repro.tree_laws import disagreements, flattened, read
from keras_repro.tree_script import render
from keras_repro.tree_strategies import tree_cases

Entries = list[tuple[Any, Any]]


def right_order(node: Any) -> Entries:
    if isinstance(node, OrderedDict):
        return list(node.items())
    if isinstance(node, dict):
        return sorted(node.items())
    return list(enumerate(node))


def as_filled(node: Any) -> Entries:
    return list(node.items()) if isinstance(node, dict) else list(enumerate(node))


def all_sorted(node: Any) -> Entries:
    return sorted(node.items()) if isinstance(node, dict) else list(enumerate(node))


def fields_backwards(node: Any) -> Entries:
    return right_order(node)[::-1] if hasattr(node, "_fields") else right_order(node)


@dataclass
class World:
    """`keras.tree` with the order in which each of its functions goes through a container."""

    flat: Callable[[Any], Entries] = right_order
    pack: Callable[[Any], Entries] = right_order
    path: Callable[[Any], Entries] = right_order
    up_to: Callable[[Any], Entries] = right_order
    meet: Callable[[Any], Entries] = right_order
    has_paths: bool = True
    named_paths: bool = False
    make: Callable[[Any, dict[Any, Any]], Any] | None = None
    refuses: str = ""
    leaf: Callable[[Any], Any] = field(default=lambda leaf: leaf)

    def module(self) -> ModuleType:
        tree = ModuleType("keras.tree")
        for name in ("flatten", "pack_sequence_as", "map_structure", "map_structure_up_to"):
            setattr(tree, name, getattr(self, name) if name != self.refuses else self.refuse)
        if self.has_paths:
            tree.flatten_with_path = self.flatten_with_path  # type: ignore[attr-defined]
        return tree

    def refuse(self, *_: Any) -> Any:
        raise ValueError("planted")

    def flatten(self, node: Any) -> list[Any]:
        if not isinstance(node, list | tuple | dict):
            return [node]
        return [leaf for _, child in self.flat(node) for leaf in self.flatten(child)]

    def flatten_with_path(self, node: Any, path: tuple[Any, ...] = ()) -> Entries:
        if not isinstance(node, list | tuple | dict):
            return [(path, node)]
        fields = getattr(node, "_fields", None) if self.named_paths else None
        return [
            pair
            for key, child in self.path(node)
            for pair in self.flatten_with_path(child, (*path, fields[key] if fields else key))
        ]

    def pack_sequence_as(self, node: Any, flat: list[Any]) -> Any:
        return self.fill(node, iter(flat), self.pack)

    def fill(self, node: Any, flat: Iterator[Any], order: Callable[[Any], Entries]) -> Any:
        if not isinstance(node, list | tuple | dict):
            return self.leaf(next(flat))
        return self.build(node, {key: self.fill(child, flat, order) for key, child in order(node)})

    def build(self, node: Any, children: dict[Any, Any]) -> Any:
        if self.make is not None:
            return self.make(node, children)
        if isinstance(node, dict):
            return type(node)((key, children[key]) for key in node)
        items = [children[i] for i in range(len(node))]
        return type(node)(*items) if hasattr(node, "_fields") else type(node)(items)

    def map_structure(self, function: Callable[..., Any], *nodes: Any) -> Any:
        flats = [
            World.flatten(World(flat=self.meet if i else right_order), n)
            for i, n in enumerate(nodes)
        ]
        packed = [function(*leaves) for leaves in zip(*flats, strict=True)]
        return World().fill(nodes[0], iter(packed), right_order)

    def map_structure_up_to(self, shallow: Any, function: Callable[..., Any], deep: Any) -> Any:
        if not isinstance(shallow, list | tuple | dict):
            return function(deep)
        children = dict(self.up_to(shallow))
        placed = {}
        for (key, _), other in zip(right_order(shallow), children, strict=True):
            inner = deep[other]
            placed[key] = self.map_structure_up_to(children[other], function, inner)
        return World().build(shallow, placed)


@contextmanager
def installed(tree: ModuleType | None) -> Iterator[None]:
    keras = ModuleType("keras")
    if tree is not None:
        keras.tree = tree  # type: ignore[attr-defined]
    # A real one may be there, with its submodules, from the property tests of the same run.
    real = {name: sys.modules[name] for name in list(sys.modules) if name.split(".")[0] == "keras"}
    for name in real:
        del sys.modules[name]
    sys.modules["keras"] = keras
    try:
        yield
    finally:
        del sys.modules["keras"]
        sys.modules.update(real)


def run(case: TreeCase, world: World | None) -> tuple[Any, str, str | None]:
    """Exit code, standard output and the exception of the script of `case` in that world."""
    text, namespace = io.StringIO(), {"__name__": "__main__"}
    with installed(world.module() if world else None), redirect_stdout(text):
        try:
            exec(compile(render(case), "script", "exec"), namespace)
        except SystemExit as end:
            return end.code, text.getvalue(), None
        except Exception as error:  # noqa: BLE001 - a script may raise anything
            return 1, text.getvalue(), type(error).__name__
    raise AssertionError("a script ends by sys.exit")


@given(tree_cases(), st.booleans(), st.booleans())
def test_a_right_implementation_is_never_blamed(case: TreeCase, paths: bool, named: bool) -> None:
    """Lost otherwise: false alarms, the one thing that a report must never be."""
    code, text, error = run(case, World(has_paths=paths, named_paths=named))
    assert error is None
    assert code == (125 if case.law == "T4" and not paths else 0)
    assert read(case, text) == ()


PLANTED = {
    "T1 pack_sequence_as OrderedDict: returned the values in another order": World(pack=all_sorted),
    "T2 flatten OrderedDict: gave the leaves in another order": World(
        flat=all_sorted, pack=all_sorted, path=all_sorted
    ),
    "T2 flatten dict: gave the leaves in another order": World(
        flat=as_filled, pack=as_filled, path=as_filled
    ),
    "T2 flatten namedtuple: gave the leaves in another order": World(
        flat=fields_backwards, pack=fields_backwards, path=fields_backwards
    ),
    "T4 flatten_with_path OrderedDict: gave the leaves in another order": World(path=all_sorted),
    "T5 map_structure dict: let leaves of different paths meet": World(meet=as_filled),
    "T6 map_structure_up_to: raised ValueError": World(refuses="map_structure_up_to"),
    "T5 map_structure: raised ValueError": World(refuses="map_structure"),
}


@pytest.mark.parametrize("signature", PLANTED)
def test_a_planted_bug_has_one_name_whatever_the_keys_and_sizes(signature: str) -> None:
    """Lost otherwise: one bug under many names, so that it cannot be shrunk or dated."""
    law = signature.split()[0]
    world = PLANTED[signature]
    hits = 0

    @settings(max_examples=150, database=None, derandomize=True)
    @given(tree_cases(laws=(law,)))  # type: ignore[arg-type]
    def check(case: TreeCase) -> None:
        nonlocal hits
        code, text, error = run(case, world)
        found = {breach.signature for breach in read(case, text, error)}
        assert found <= {signature}
        assert code == (1 if found else 0)
        hits += bool(found)

    check()
    assert hits >= 10


def test_insertion_order_that_reaches_flatten_breaks_t3() -> None:
    """Lost otherwise: T3, the law behind every bug with reordered dicts, is never seen broken."""
    case = TreeCase(Node("dict", (1, 2), ("b", "a")), "T3")
    code, text, error = run(case, World(flat=as_filled))
    [breach] = read(case, text, error)
    assert (code, breach.rule) == (1, "T3")
    assert breach.sentence == (
        "flatten gave the leaves of a dict in another order: expected [1, 2], observed [2, 1]"
    )


@pytest.mark.parametrize(
    ("world", "said"),
    [
        (World(make=lambda node, children: list(children.values())), "a list in the place of a"),
        (World(make=lambda node, children: dict(children)), "a dict in the place of an Ordered"),
        (World(make=lambda node, children: OrderedDict(sorted(children.items()))), "order of the"),
        (World(make=lambda node, children: OrderedDict(b=1)), "lost or added entries of an"),
        (World(make=lambda node, children: 7), "something else in the place of an OrderedDict"),
        (World(make=lambda node, children: {1, 2}), "something that is not such a structure"),
        (World(leaf=lambda leaf: 9), "changed, lost or repeated leaves"),
    ],
)
def test_a_wrong_structure_is_named(world: World, said: str) -> None:
    """Lost otherwise: a report that says *wrong* and not what came back."""
    case = TreeCase(Node("OrderedDict", (1, 2), ("b", "a")), "T1")
    code, text, error = run(case, world)
    [breach] = read(case, text, error)
    assert code == 1
    assert said in breach.sentence


def test_the_outer_container_is_blamed_for_what_it_shifts() -> None:
    """Lost otherwise: an innocent dict is blamed because its OrderedDict handed it other values."""
    inner = Node("dict", (1, 2), ("y", "x"))
    case = TreeCase(Node("OrderedDict", (inner, Node("list", (3, 4))), ("b", "a")), "T1")
    _, text, error = run(case, World(pack=all_sorted))
    [breach] = read(case, text, error)
    assert breach.signature.startswith("T1 pack_sequence_as OrderedDict:")


def test_no_keras_tree_is_untestable() -> None:
    """Lost otherwise: 3.0, which has no keras.tree, is called bad."""
    assert run(TreeCase(1), None)[0] == 125


@given(tree_cases(kinds=("namedtuple", "dict", "list"), laws=("T4",)))
def test_field_names_and_indices_in_paths_are_a_disagreement_only(case: TreeCase) -> None:
    """Lost otherwise: T9 goes unseen, or is taken for a breach that no document names."""
    assume(any(isinstance(key, int) for path, _ in flattened(case.structure) for key in path))
    one, other = run(case, World())[1], run(case, World(named_paths=True))[1]
    assert read(case, one) == read(case, other) == disagreements(case, one, one) == ()
    found = {breach.signature for breach in disagreements(case, one, other)}
    assert found <= {
        "T9 flatten_with_path: fields of a namedtuple by name in one, by index in the other"
    }
    assert bool(found) == (one != other)


def test_a_call_that_already_breaks_a_law_is_no_second_finding() -> None:
    """Lost otherwise: every breach under one implementation is found twice."""
    case = TreeCase(Node("OrderedDict", (1, 2), ("b", "a")))
    one, other = run(case, World())[1], run(case, World(pack=all_sorted))[1]
    assert disagreements(case, one, other) == ()


def test_two_different_wrong_answers_are_a_disagreement() -> None:
    """Lost otherwise: T9 says nothing where both implementations are wrong, each in its own way."""
    case = TreeCase(Node("dict", (1, 2, 3), ("c", "b", "a")), "T2")
    one = "flatten(structure)\n  expected [3, 2, 1]\n  observed [1, 2, 3]\n"
    other = "flatten(structure)\n  expected [3, 2, 1]\n  observed [2, 1, 3]\n"
    assert [b.signature for b in disagreements(case, one, other)] == ["T9 flatten: another answer"]


def test_literal_structures_flatten_as_documented() -> None:
    """Lost otherwise: the reference itself drifts from the examples of the documentation."""
    examples: list[tuple[Any, list[Any]]] = [
        ([[1, 2, 3], [4, [5], [[6]]]], [1, 2, 3, 4, 5, 6]),
        (None, [None]),
        (1, [1]),
        ({"b": 1, "a": 2}, [2, 1]),
        (OrderedDict(b=1, a=2), [1, 2]),
        ({"key3": {"c": (1, 2), "a": 3}, "key1": {"e": 4, "d": 5}}, [5, 4, 3, 1, 2]),
    ]
    for structure, expected in examples:
        assert [leaf for _, leaf in flattened(from_python(structure))] == expected


def test_orders_of_a_world_are_what_they_claim() -> None:
    """Lost otherwise: planted bugs that are none."""
    for keys in itertools.permutations("abc"):
        filled = OrderedDict((key, 0) for key in keys)
        assert [key for key, _ in right_order(filled)] == list(keys)
        assert [key for key, _ in right_order(dict(filled))] == ["a", "b", "c"]
