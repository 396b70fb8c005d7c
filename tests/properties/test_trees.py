"""Without these, nobody notices that the installed Keras breaks, or mended, a law of keras.tree.

The laws are those of the documentation of `keras.tree` (T1 to T8), on structures from the strategy
that users import. T9 needs no test here: both implementations are held to one reference.
"""

import io
from collections import OrderedDict
from contextlib import redirect_stdout
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from keras_repro.tree_case import (
    ALL_LAWS,
    Law,
    Node,
    Tree,
    TreeCase,
    from_python,
    map_leaves,
    nodes,
    reordered,
    to_python,
)
from keras_repro.tree_laws import flattened, read
from keras_repro.tree_script import render
from keras_repro.tree_strategies import tree_cases, trees

# The same examples in every run: a red test means that the code changed, here or in Keras.
lawful = settings(max_examples=200, deadline=None, derandomize=True, database=None)

UNSORTED = OrderedDict(b=1, a=OrderedDict(d=2, c=None))


def same(one: Any, other: Any) -> bool:
    """Equal to the last type and the last key."""
    return bool(one == other) and repr(one) == repr(other)


@lawful
@example(UNSORTED)
@given(trees())
def test_t1_packing_undoes_flattening(tree: Any, structure: Any) -> None:
    """Lost otherwise: outputs that come back under another name after a round trip."""
    assert same(tree.pack_sequence_as(structure, tree.flatten(structure)), structure)


@lawful
@example(UNSORTED)
@given(trees())
def test_t2_flatten_takes_a_dict_by_sorted_keys_and_all_else_in_order(
    tree: Any, structure: Any
) -> None:
    """Lost otherwise: losses that meet the wrong output, as two places order a dict in two ways."""
    assert tree.flatten(structure) == [leaf for _, leaf in flattened(from_python(structure))]


@lawful
@example({"b": 1, "a": {"d": 2, "c": 3}})
@given(trees())
def test_t3_the_order_of_filling_a_dict_does_not_change_flatten(tree: Any, structure: Any) -> None:
    """Lost otherwise: results that depend on the order in which a dict was written."""
    other = to_python(reordered(from_python(structure)))
    assert tree.flatten(other) == tree.flatten(structure)


@lawful
@example(UNSORTED)
@given(trees())
def test_t4_paths_agree_with_flatten_and_lead_to_their_leaves(tree: Any, structure: Any) -> None:
    """Lost otherwise: names in messages and in reports that point at another leaf."""
    pairs = tree.flatten_with_path(structure)
    assert [leaf for _, leaf in pairs] == tree.flatten(structure)
    assert pairs == flattened(from_python(structure))


@lawful
@example(UNSORTED)
@given(trees())
def test_t5_map_structure_keeps_the_structure_and_leaf_meets_leaf(
    tree: Any, structure: Any
) -> None:
    """Lost otherwise: a target that is mapped together with the prediction of another output."""
    data = from_python(structure)
    tens = to_python(map_leaves(lambda leaf: leaf and 10 * leaf, data))
    assert same(tree.map_structure(lambda leaf: leaf and 10 * leaf, structure), tens)
    pairs = to_python(map_leaves(lambda leaf: Node("tuple", (leaf, leaf)), data))
    other = to_python(reordered(data))
    assert same(tree.map_structure(lambda *leaves: leaves, structure, other), pairs)


@lawful
@example(UNSORTED)
@given(trees())
def test_t6_map_structure_up_to_stops_at_the_shallow_structure(tree: Any, structure: Any) -> None:
    """Lost otherwise: values under other keys, or a structure that is opened too far."""
    shallow = to_python(map_leaves(lambda leaf: leaf or 0, from_python(structure)))
    _stops_at(tree, shallow, from_python(structure))


@pytest.mark.breaks("T6", "refuses None in the shallow structure since 3.8.0", tree="optree")
@lawful
@example([None, None])
@example({"b": None, "a": 1})
@given(trees())
def test_t6_none_is_a_leaf_of_the_shallow_structure(tree: Any, structure: Any) -> None:
    """Lost otherwise: the documentation's own example being refused."""
    _stops_at(tree, structure, from_python(structure))


def _stops_at(tree: Any, shallow: Any, data: Tree) -> None:
    deep = to_python(map_leaves(lambda leaf: Node("list", (leaf,)), data))
    assert same(tree.map_structure_up_to(shallow, lambda inner: inner, deep), deep)


def _accepts(check: Any, one: Any, other: Any) -> bool:
    try:
        check(one, other)
    except ValueError:
        return False
    return True


def _as(data: Tree, kinds: dict[str, Any]) -> Any:
    """The same entries in containers of other kinds."""
    if not isinstance(data, Node):
        return data
    children = [_as(child, kinds) for child in data.children]
    if data.kind in ("dict", "OrderedDict"):
        return kinds.get(data.kind, dict if data.kind == "dict" else OrderedDict)(
            zip(data.keys, children, strict=True)
        )
    if data.kind in kinds:
        return kinds[data.kind](children)
    return (
        type(to_python(data))(*children)
        if data.kind == "namedtuple"
        else (children if data.kind == "list" else tuple(children))
    )


@lawful
@given(trees())
def test_t7_dict_kinds_with_the_same_keys_are_the_same_structure(tree: Any, structure: Any) -> None:
    """Lost otherwise: an OrderedDict refused where a dict is meant."""
    data = from_python(structure)
    other = _as(reordered(data), {"dict": OrderedDict, "OrderedDict": dict})
    assert _accepts(tree.assert_same_structure, structure, other)
    assert _accepts(tree.assert_same_paths, structure, other)


@lawful
@given(trees())
def test_t7_a_list_is_not_a_tuple_but_has_its_paths(tree: Any, structure: Any) -> None:
    """Lost otherwise: a list taken for a tuple, or refused where paths alone count."""
    data = from_python(structure)
    kinds = {node.kind for node in nodes(data)}
    assume(kinds & {"list", "namedtuple"})
    other = _as(data, {"list": tuple, "namedtuple": tuple})
    assert not _accepts(tree.assert_same_structure, structure, other)
    assert _accepts(tree.assert_same_paths, structure, other)


@lawful
@given(trees(), st.data())
def test_t7_a_leaf_more_is_another_structure(
    tree: Any, structure: Any, data: st.DataObject
) -> None:
    """Lost otherwise: structures of different depth that are taken for the same."""
    leaves = [leaf for _, leaf in flattened(from_python(structure))]
    assume(leaves)
    chosen = data.draw(st.sampled_from(leaves))
    other = to_python(
        map_leaves(
            lambda leaf: Node("list", (leaf,)) if leaf == chosen else leaf, from_python(structure)
        )
    )
    for one, two in ((structure, other), (other, structure)):
        assert not _accepts(tree.assert_same_structure, one, two)
        assert not _accepts(tree.assert_same_paths, one, two)


@lawful
@given(trees())
def test_t8_is_nested_and_lists_to_tuples_are_as_documented(tree: Any, structure: Any) -> None:
    """Lost otherwise: a container that is taken for a leaf, or changed on the way."""
    data = from_python(structure)
    assert tree.is_nested(structure) == isinstance(data, Node)
    assert same(tree.lists_to_tuples(structure), _as(data, {"list": tuple}))


@lawful
@example(UNSORTED)
@given(trees())
def test_t8_traverse_visits_parents_first_or_last(tree: Any, structure: Any) -> None:
    """Lost otherwise: a walk that skips or repeats a part, or rebuilds another structure."""
    for top_down in (True, False):
        seen: list[Any] = []
        assert same(tree.traverse(seen.append, structure, top_down=top_down), structure)
        assert same(seen, [to_python(part) for part in _visited(from_python(structure), top_down)])


def _visited(data: Tree, top_down: bool) -> list[Tree]:
    children: list[Tree] = []
    if isinstance(data, Node):
        entries = list(zip(data.keys or range(len(data.children)), data.children, strict=True))
        if data.kind == "dict":
            entries.sort(key=lambda entry: str(entry[0]))
        children = [part for _, child in entries for part in _visited(child, top_down)]
    return [data, *children] if top_down else [*children, data]


@pytest.mark.parametrize("law", [law for law in ALL_LAWS if law != "T6"])
def test_scripts_find_what_these_tests_find(tree: Any, law: Law) -> None:
    """Lost otherwise: scripts and property tests that disagree about the same Keras."""

    @settings(lawful, max_examples=50)
    @given(tree_cases(laws=(law,)))
    def check(case: TreeCase) -> None:
        text = io.StringIO()
        with redirect_stdout(text), pytest.raises(SystemExit) as end:
            exec(render(case), {"__name__": "__main__"})
        assert (end.value.code, read(case, text.getvalue())) == (0, ())

    check()
