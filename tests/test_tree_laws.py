"""Without these, a broken `keras.tree` could pass, or a right one be blamed.

The worlds here are implementations of `keras.tree` in a few lines, right or with one planted bug.
"""

import io
import itertools
import sys
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_repro.trees.asked import checks_of
from keras_repro.trees.case import UNNAMED, Kind, Node, TreeCase, from_python, nodes
from keras_repro.trees.checks import CHECKS, HAS_PATHS
from keras_repro.trees.laws import flattened, read
from keras_repro.trees.script import render
from keras_repro.trees.strategies import tree_cases

Entries = list[tuple[Any, Any]]
NESTED = list | tuple | dict | deque


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


def _alike(one: Any, other: Any) -> bool:
    """Whether two containers have the same entries, and are of one kind, or both dicts."""
    if isinstance(one, dict) and isinstance(other, dict):
        return set(one) == set(other)
    return type(one) is type(other) and len(one) == len(other)


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
    accepts: str = ""
    leaf: Callable[[Any], Any] = field(default=lambda leaf: leaf)
    walk: Callable[[Any], Entries] = right_order

    def module(self) -> ModuleType:
        tree = ModuleType("keras.tree")
        tree.MAP_TO_NONE = MAP_TO_NONE  # type: ignore[attr-defined]
        for name in FUNCTIONS:
            made = self.refuse if name == self.refuses else getattr(self, name)
            setattr(tree, name, (lambda *_: None) if name == self.accepts else made)
        if not self.has_paths:
            del tree.flatten_with_path, tree.assert_same_paths
        return tree

    def refuse(self, *_: Any) -> Any:
        raise ValueError("planted")

    def is_nested(self, node: Any) -> bool:
        return isinstance(node, NESTED)

    def flatten(self, node: Any) -> list[Any]:
        if not isinstance(node, NESTED):
            return [node]
        return [leaf for _, child in self.flat(node) for leaf in self.flatten(child)]

    def flatten_with_path(self, node: Any, path: tuple[Any, ...] = ()) -> Entries:
        if not isinstance(node, NESTED):
            return [(path, node)]
        fields = getattr(node, "_fields", None) if self.named_paths else None
        return [
            pair
            for key, child in self.path(node)
            for pair in self.flatten_with_path(child, (*path, fields[key] if fields else key))
        ]

    def pack_sequence_as(self, node: Any, flat: list[Any]) -> Any:
        if len(flat) != len(World().flatten(node)):
            raise ValueError("another number of leaves")
        return self.fill(node, iter(flat), self.pack)

    def fill(self, node: Any, flat: Iterator[Any], order: Callable[[Any], Entries]) -> Any:
        if not isinstance(node, NESTED):
            return self.leaf(next(flat))
        return self.build(node, {key: self.fill(child, flat, order) for key, child in order(node)})

    def build(self, node: Any, children: dict[Any, Any]) -> Any:
        if self.make is not None:
            return self.make(node, children)
        if isinstance(node, dict):
            pairs = [(key, children[key]) for key in node]
            return defaultdict(list, pairs) if type(node) is defaultdict else type(node)(pairs)
        items = [children[i] for i in range(len(node))]
        return type(node)(*items) if hasattr(node, "_fields") else type(node)(items)

    def map_structure(
        self, function: Callable[..., Any], *nodes: Any, none_is_leaf: bool = True
    ) -> Any:
        if not nodes:
            raise TypeError("no structure")
        for other in nodes[1:]:
            World().assert_same_structure(nodes[0], other)

        # In the right order each path has its own leaf; in a planted one another's.
        others = [
            dict(
                zip(
                    (path for path, _ in World().flatten_with_path(other)),
                    World(flat=self.meet).flatten(other),
                    strict=True,
                )
            )
            for other in nodes[1:]
        ]

        def mapped(node: Any, path: tuple[Any, ...]) -> Any:
            if isinstance(node, NESTED):
                inner = {key: mapped(child, (*path, key)) for key, child in as_filled(node)}
                return World().build(node, inner)
            if node is None and not none_is_leaf:
                return None
            return function(node, *(other[path] for other in others))

        return mapped(nodes[0], ())

    def map_structure_up_to(self, shallow: Any, function: Callable[..., Any], *deep: Any) -> Any:
        if not isinstance(shallow, NESTED):
            return function(*deep)
        for other in deep:
            if not isinstance(other, NESTED) or not _alike(shallow, other):
                raise ValueError("shallower, or another structure")
        children = dict(self.up_to(shallow))
        placed = {}
        for (key, _), other in zip(right_order(shallow), children, strict=True):
            inner = [one[other] for one in deep]
            placed[key] = self.map_structure_up_to(children[other], function, *inner)
        return World().build(shallow, placed)

    def assert_same_structure(self, one: Any, other: Any) -> None:
        if not isinstance(one, NESTED) or not isinstance(other, NESTED):
            same = isinstance(one, NESTED) == isinstance(other, NESTED)
        else:
            same = _alike(one, other)
        if not same:
            raise ValueError("another structure")
        if isinstance(one, NESTED):
            for key, child in as_filled(one):
                self.assert_same_structure(child, other[key])

    def assert_same_paths(self, one: Any, other: Any) -> None:
        if {p for p, _ in self.flatten_with_path(one)} != {
            p for p, _ in World().flatten_with_path(other)
        }:
            raise ValueError("other paths")

    def traverse(self, function: Callable[[Any], Any], node: Any, top_down: bool = True) -> Any:
        def kept(node: Any) -> Any:
            if not isinstance(node, NESTED):
                return node
            return self.build(
                node,
                {key: self.traverse(function, child, top_down) for key, child in self.walk(node)},
            )

        found = function(node if top_down else (node := kept(node)))
        if found is None:
            return kept(node) if top_down else node
        return None if found is MAP_TO_NONE else found

    def lists_to_tuples(self, node: Any) -> Any:
        return self.traverse(lambda n: tuple(n) if isinstance(n, list) else None, node, False)

    def map_shape_structure(self, function: Callable[[Any], Any], node: Any) -> Any:
        if isinstance(node, list | tuple) and all(isinstance(n, int | None) for n in node):
            return function(node)
        return self.build(
            node, {k: self.map_shape_structure(function, c) for k, c in as_filled(node)}
        )


MAP_TO_NONE = object()
FUNCTIONS = sorted({check.function for check in CHECKS})


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


@given(tree_cases(), st.booleans(), st.booleans(), st.data())
def test_a_right_implementation_is_never_blamed(
    case: TreeCase, paths: bool, named: bool, data: st.DataObject
) -> None:
    """Lost otherwise: false alarms, the one thing that a report must never be."""
    if data.draw(st.booleans()):
        case = replace(case, law=data.draw(st.sampled_from(checks_of(case))).name)
    code, text, error = run(case, World(has_paths=paths, named_paths=named))
    if any(check.law == "T9" for check in checks_of(case)):
        # Here there are no two implementations.
        assert code == 125
        return
    assert error is None
    without = [check.needs for check in checks_of(case)] == [HAS_PATHS] and not paths
    found = {breach.signature for breach in read(case, text)}
    assert found <= (NAMED_PATHS if named else set())
    assert code == (125 if without else 1 if found else 0)


NAMED_PATHS = {
    "T4 flatten_with_path(structure), paths: named paths in another way",
    "T7 assert_same_paths: raised ValueError",
}
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
    "T7 assert_same_structure: raised ValueError": World(refuses="assert_same_structure"),
    "T8 traverse: went through the parts in another order": World(walk=as_filled),
    "T8 lists_to_tuples: raised ValueError": World(refuses="lists_to_tuples"),
}


BESIDE = {
    # What the same bug does to another check of the law.
    "T4": ["T4 flatten_with_path(structure), paths: gave the paths in another order"],
    "T5": [
        "T5 map_structure OrderedDict: let leaves of different paths meet",
        "T5 map_structure(f): raises ValueError",
    ],
}
OLD: tuple[Kind, ...] = ("dict", "OrderedDict", "list", "tuple", "namedtuple")


@pytest.mark.parametrize("signature", PLANTED)
def test_a_planted_bug_has_one_name_whatever_the_keys_and_sizes(signature: str) -> None:
    """Lost otherwise: one bug under many names, so that it cannot be shrunk or dated."""
    law = signature.split()[0]
    world = PLANTED[signature]
    hits = 0

    @settings(max_examples=150, database=None, derandomize=True)
    @given(tree_cases(laws=(law,), kinds=OLD))  # type: ignore[arg-type]
    def check(case: TreeCase) -> None:
        nonlocal hits
        code, text, error = run(case, world)
        found = {breach.signature for breach in read(case, text, error)}
        assert found <= {signature, *BESIDE.get(law, ())}
        assert code == (1 if found else 0)
        hits += signature in found

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


def test_a_difference_that_must_be_refused_is_told_by_its_container() -> None:
    """Lost otherwise: a deque taken for a list and a list for a tuple are one finding."""
    found = {}
    for kind in ("list", "tuple", "deque"):
        case = TreeCase(Node(kind, (1,)), "T7.type")  # type: ignore[arg-type]
        [breach] = read(case, *run(case, World(accepts="assert_same_structure"))[1:])
        found[kind] = breach.signature
    assert found["deque"] == "T7 assert_same_structure(structure, retyped) deque: accepts"
    assert len(set(found.values())) == 3


def test_another_exception_than_the_documented_one_is_a_lesser_fault() -> None:
    """Lost otherwise: a TypeError for a ValueError is filed like a swapped output."""
    case = TreeCase(1, "T5.without")
    text = "map_structure(f)\n  expected raises TypeError\n  observed {}\n"
    [other] = read(case, text.format("raises ValueError"))
    [none] = read(case, text.format("accepts"))
    assert (other.strength, none.strength) == ("inconsistent", "contract")


def test_of_what_no_document_names_the_implementations_are_compared() -> None:
    """Lost otherwise: T9 goes unseen, or is taken for a breach that a document names."""
    case = TreeCase(Node("dict subclass", (1, 2), ("b", "a")))
    text = "flatten(structure)\n  optree_impl {}\n  dmtree_impl [2, 1]\n"
    assert read(case, text.format("[2, 1]")) == ()
    [breach] = read(case, text.format("[Box({'b': 1, 'a': 2})]"))
    assert (breach.check, breach.strength) == ("T9.flatten", "inconsistent")
    assert breach.signature == "T9 dict subclass: answers differ"


@given(tree_cases())
def test_what_no_document_names_is_held_against_none(case: TreeCase) -> None:
    """Lost otherwise: contract findings about containers of which Keras promised nothing."""
    unnamed = any(node.kind in UNNAMED for node in nodes(case.structure))
    assert {check.law == "T9" for check in checks_of(case)} == {unnamed}


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
