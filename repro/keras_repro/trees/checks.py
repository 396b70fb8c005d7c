"""What is asked of `keras.tree` about a structure, and what its documentation says to it: a table.

A check is one call, the law (T1 to T9) that speaks of it, and the answer that the law gives, from
the structure alone. Where the documentation is silent there is no answer, and no check of T1 to T8:
T9 then lets the implementations answer side by side. The further structures that a call takes are
made of the first (`structures.DATA`).

To check one more thing of `keras.tree`, add a line to `CHECKS`: scripts, search, shrinking and
reading take it from there. Public: `CHECKS`, `HAS_PATHS`.
"""

from __future__ import annotations

from keras_repro.trees.answers import (
    indexed,
    leaves,
    met,
    refused,
    replaced,
    shaped,
    tuples,
    visited,
)
from keras_repro.trees.case import (
    Node,
    leaves_as_written,
    map_leaves,
    reordered,
)
from keras_repro.trees.check import (
    ACCEPTS,
    TYPE_ERROR,
    VALUE_ERROR,
    Check,
    Name,
    Value,
    Word,
)
from keras_repro.trees.structures import (
    deep,
    leafy,
    longer,
    more,
    regrouped,
    renamed,
    retyped,
)

__all__ = ["CHECKS", "HAS_PATHS"]

HAS_PATHS = 'hasattr(tree, "flatten_with_path")'
HAS_NONE = '"none_is_leaf" in tree.map_structure.__code__.co_varnames'
HAS_MAP_TO_NONE = 'hasattr(tree, "MAP_TO_NONE")'
PAIR = "lambda *a: a"
WITH_PATH = "tree.flatten_with_path(structure)"

# In the order in which a script asks: a run that ends early has answered the first ones.
CHECKS: tuple[Check, ...] = (
    Check("T2", "flatten(structure)", "flat", leaves, "leaves", since="3.8"),
    Check(
        "T3",
        "flatten(reordered)",
        "tree.flatten(reordered)",
        lambda tree: Name("flat"),
        "leaves",
    ),
    Check(
        "T1.back",
        "pack_sequence_as(structure, flat)",
        "tree.pack_sequence_as(structure, flat)",
        lambda tree: Name("structure"),
        "structure",
    ),
    Check(
        "T1.more",
        "pack_sequence_as(structure, a leaf too many)",
        "said(lambda: tree.pack_sequence_as(structure, [*flat, 0]))",
        lambda tree: VALUE_ERROR,
        since="3.8",
    ),
    Check(
        "T1.fewer",
        "pack_sequence_as(structure, a leaf too few)",
        "said(lambda: tree.pack_sequence_as(structure, flat[1:]))",
        lambda tree: VALUE_ERROR if leafy(tree) else None,
        since="3.8",
    ),
    Check(
        "T5.map",
        "map_structure(f, structure)",
        "tree.map_structure(lambda leaf: leaf and 10 * leaf, structure)",
        lambda tree: Value(map_leaves(lambda leaf: leaf and 10 * leaf, tree)),
        "structure",
    ),
    Check(
        "T5.order",
        "map_structure(pair, structure, reordered)",
        f"tree.map_structure({PAIR}, structure, reordered)",
        met(2, reordered),
        "pairs",
    ),
    Check(
        "T5.kinds",
        "map_structure(pair, structure, regrouped)",
        f"tree.map_structure({PAIR}, structure, regrouped)",
        met(2, regrouped),
        "pairs",
        since="3.8",
    ),
    Check(
        "T5.three",
        "map_structure(triple, structure, reordered, regrouped)",
        f"tree.map_structure({PAIR}, structure, reordered, regrouped)",
        met(3, regrouped),
        "pairs",
        since="3.8",
    ),
    Check(
        "T5.none",
        "map_structure(f, structure, none_is_leaf=False)",
        "tree.map_structure(lambda n: 10 * n, structure, none_is_leaf=False)",
        lambda tree: (
            Value(map_leaves(lambda leaf: leaf and 10 * leaf, tree))
            if None in leaves_as_written(tree)
            else None
        ),
        "structure",
        HAS_NONE,
    ),
    Check(
        "T5.other",
        "map_structure(pair, structure, longer)",
        f"said(lambda: tree.map_structure({PAIR}, structure, longer))",
        refused(longer),
        since="3.8",
    ),
    Check(
        "T5.without",
        "map_structure(f)",
        "said(lambda: tree.map_structure(lambda leaf: leaf))",
        lambda tree: TYPE_ERROR,
        since="3.8",
    ),
    Check(
        "T4.leaves",
        "flatten_with_path(structure), leaves",
        f"[leaf for _, leaf in {WITH_PATH}]",
        lambda tree: Name("flat"),
        "leaves",
        HAS_PATHS,
    ),
    Check(
        "T4.lead",
        "flatten_with_path(structure), at each path",
        f"[at(path) for path, _ in {WITH_PATH}]",
        lambda tree: Name("flat"),
        "leaves",
        HAS_PATHS,
    ),
    Check(
        "T4.index",
        "flatten_with_path(structure), paths",
        f"[path for path, _ in {WITH_PATH}]",
        indexed,
        "other",
        HAS_PATHS,
    ),
    Check(
        "T6.map",
        "map_structure_up_to(structure, f, deep)",
        "tree.map_structure_up_to(structure, lambda leaf: leaf, deep)",
        lambda tree: Value(deep(tree)),
        "structure",
    ),
    Check(
        "T6.several",
        "map_structure_up_to(structure, pair, deep, structure)",
        f"tree.map_structure_up_to(structure, {PAIR}, deep, structure)",
        lambda tree: Value(
            map_leaves(lambda leaf: Node("tuple", (Node("list", (leaf,)), leaf)), tree)
        ),
        "structure",
    ),
    Check(
        "T6.shallow",
        "map_structure_up_to(deep, f, structure)",
        "said(lambda: tree.map_structure_up_to(deep, lambda leaf: leaf, structure))",
        refused(deep),
        since="3.8",
    ),
    Check(
        "T6.type",
        "map_structure_up_to(structure, f, retyped)",
        "said(lambda: tree.map_structure_up_to(structure, lambda n: n, retyped))",
        refused(retyped),
        since="3.8",
    ),
    Check(
        "T6.more",
        "map_structure_up_to(structure, f, more)",
        "said(lambda: tree.map_structure_up_to(structure, lambda n: n, more))",
        refused(more),
        since="3.8",
    ),
    Check(
        "T6.fewer",
        "map_structure_up_to(more, f, structure)",
        "said(lambda: tree.map_structure_up_to(more, lambda n: n, structure))",
        refused(more),
        since="3.8",
    ),
    Check(
        "T7.same",
        "assert_same_structure(structure, regrouped)",
        "said(lambda: tree.assert_same_structure(structure, regrouped))",
        lambda tree: ACCEPTS,
        since="3.8",
    ),
    Check(
        "T7.type",
        "assert_same_structure(structure, retyped)",
        "said(lambda: tree.assert_same_structure(structure, retyped))",
        refused(retyped),
        since="3.8",
    ),
    Check(
        "T7.key",
        "assert_same_structure(structure, renamed)",
        "said(lambda: tree.assert_same_structure(structure, renamed))",
        refused(renamed),
    ),
    Check(
        "T7.longer",
        "assert_same_structure(structure, longer)",
        "said(lambda: tree.assert_same_structure(structure, longer))",
        refused(longer),
    ),
    Check(
        "T7.shorter",
        "assert_same_structure(longer, structure)",
        "said(lambda: tree.assert_same_structure(longer, structure))",
        refused(longer),
    ),
    Check(
        "T7.more",
        "assert_same_structure(structure, more)",
        "said(lambda: tree.assert_same_structure(structure, more))",
        refused(more),
    ),
    Check(
        "T7.fewer",
        "assert_same_structure(more, structure)",
        "said(lambda: tree.assert_same_structure(more, structure))",
        refused(more),
    ),
    Check(
        "T7.paths",
        "assert_same_paths(structure, regrouped)",
        "said(lambda: tree.assert_same_paths(structure, regrouped))",
        lambda tree: ACCEPTS,
        "other",
        HAS_PATHS,
    ),
    Check(
        "T7.paths-type",
        "assert_same_paths(structure, retyped)",
        "said(lambda: tree.assert_same_paths(structure, retyped))",
        refused(retyped, ACCEPTS),
        "other",
        HAS_PATHS,
    ),
    Check(
        "T7.paths-key",
        "assert_same_paths(structure, renamed)",
        "said(lambda: tree.assert_same_paths(structure, renamed))",
        refused(renamed),
        "other",
        HAS_PATHS,
    ),
    Check(
        "T7.paths-longer",
        "assert_same_paths(structure, longer)",
        "said(lambda: tree.assert_same_paths(structure, longer))",
        refused(longer),
        "other",
        HAS_PATHS,
    ),
    Check(
        "T7.paths-more",
        "assert_same_paths(structure, more)",
        "said(lambda: tree.assert_same_paths(structure, more))",
        refused(more),
        "other",
        HAS_PATHS,
    ),
    Check(
        "T8.nested",
        "is_nested(structure)",
        "tree.is_nested(structure)",
        lambda tree: Word(isinstance(tree, Node)),
    ),
    Check(
        "T8.tuples",
        "lists_to_tuples(structure)",
        "tree.lists_to_tuples(structure)",
        lambda tree: Value(tuples(tree)),
        "structure",
        since="3.8",
    ),
    Check(
        "T8.kept",
        "traverse(nothing, structure)",
        "tree.traverse(lambda part: None, structure)",
        lambda tree: Name("structure"),
        "structure",
    ),
    Check(
        "T8.down",
        "traverse(see, structure)",
        "seen(top_down=True)",
        lambda tree: visited(tree, True),
    ),
    Check(
        "T8.up",
        "traverse(see, structure, top_down=False)",
        "seen(top_down=False)",
        lambda tree: visited(tree, False),
    ),
    Check(
        "T8.replaced",
        "traverse(replace 1 by 0, structure)",
        "tree.traverse(lambda part: 0 if part == 1 else None, structure)",
        lambda tree: replaced(tree, 0),
        "structure",
    ),
    Check(
        "T8.to-none",
        "traverse(replace 1 by None, structure)",
        "tree.traverse(gone, structure)",
        lambda tree: replaced(tree, None),
        "structure",
        HAS_MAP_TO_NONE,
        since="3.8",
    ),
    Check(
        "T8.shapes",
        "map_shape_structure(list, shapes)",
        "tree.map_shape_structure(list, shapes)",
        shaped,
        "structure",
        since="3.8",
    ),
    *(
        Check(f"T9.{call.partition('(')[0]}", call, observe, lambda tree: None)
        for call, observe in (
            ("is_nested(structure)", "tree.is_nested(structure)"),
            ("flatten(structure)", "tree.flatten(structure)"),
            (
                "pack_sequence_as(structure, flat)",
                "tree.pack_sequence_as(structure, tree.flatten(structure))",
            ),
            ("map_structure(f, structure)", "tree.map_structure(lambda leaf: leaf, structure)"),
            ("flatten_with_path(structure)", "tree.flatten_with_path(structure)"),
            (
                "map_structure_up_to(structure, f, deep)",
                "tree.map_structure_up_to(structure, lambda leaf: leaf, deep)",
            ),
            (
                "assert_same_structure(structure, reordered)",
                "tree.assert_same_structure(structure, reordered)",
            ),
            ("lists_to_tuples(structure)", "tree.lists_to_tuples(structure)"),
        )
    ),
)
