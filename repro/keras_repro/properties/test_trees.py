"""Every function of `keras.tree` does with every structure as its documentation says (T1 to T9)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_repro.reading import AnyCase
from keras_repro.trees.asked import checks_of
from keras_repro.trees.case import TreeCase
from keras_repro.trees.check import Check
from keras_repro.trees.checks import CHECKS
from keras_repro.trees.strategies import tree_cases


def _asked(check: Check) -> st.SearchStrategy[TreeCase]:
    """Structures of which something is promised about this check."""
    law: Any = check.law
    structures = tree_cases(laws=(law,)).map(lambda case: case.structure)
    named = structures.map(lambda structure: TreeCase(structure, check.name))
    return named.filter(lambda case: bool(checks_of(case)))


@pytest.mark.parametrize("asked", CHECKS, ids=lambda check: check.name)
def test_keras_tree(asked: Check, holds: Callable[[AnyCase], None]) -> None:
    """What one function of keras.tree answers about one structure."""

    @given(_asked(asked))
    def test(case: TreeCase) -> None:
        holds(case)

    test()
