"""The property tests of Keras itself, under both implementations of `keras.tree`.

Keras picks its implementation when it is imported, optree before dm-tree, so one process sees one.
A plain `pytest` runs these tests under optree, and `test_other_tree.py` runs each module of this
folder once more, under dm-tree, in a process of its own. With KERAS_REPRO_TREE=optree or dm-tree in
the environment that one alone is run, in this process (for a debugger, say).

A module here needs to do nothing for it but import keras inside its tests, not at its top (the
fixture `tree` does, and makes sure of the implementation). What the installed Keras is known to
break is marked `@pytest.mark.breaks("T6", "what happens", tree="optree")`: a strict expected
failure under that implementation (both, without `tree`), so that a Keras that is mended makes the
test say so.
"""

import os
import sys
from importlib import import_module
from typing import Any

import pytest

CHOSEN = os.environ.get("KERAS_REPRO_TREE")
TREES = ("optree", "dm-tree")
CURRENT = CHOSEN or TREES[0]

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if CURRENT not in TREES:
    raise pytest.UsageError(f"KERAS_REPRO_TREE must be one of {', '.join(TREES)}, not {CURRENT!r}")
if CURRENT == "dm-tree":
    if "keras" in sys.modules:
        raise pytest.UsageError("keras was imported before its tree implementation was chosen")
    # optree is a dependency of Keras: it takes dm-tree only where optree cannot be imported.
    sys.modules["optree"] = None  # type: ignore[assignment]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "breaks(rule, what, tree=None): Keras is known to fail here")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for mark in item.iter_markers("breaks"):
            rule, what = mark.args
            if mark.kwargs.get("tree", CURRENT) == CURRENT:
                item.add_marker(pytest.mark.xfail(strict=True, reason=f"{rule}: {what}"))


@pytest.fixture(scope="session")
def tree() -> Any:
    """`keras.tree` of the installed Keras, with the implementation that was asked for."""
    keras = import_module("keras")
    taken = import_module("keras.src.tree.tree_api").tree_impl.__name__.rpartition(".")[2]
    assert {"optree_impl": "optree", "dmtree_impl": "dm-tree"}.get(taken) == CURRENT, taken
    return keras.tree
