"""Which of the checks are asked of a case, and since when their answers are documented.

Public: `checks_of`, `said_since`.
"""

from __future__ import annotations

from functools import lru_cache

from keras_repro.trees.case import UNNAMED, Tree, TreeCase, nodes
from keras_repro.trees.check import Check
from keras_repro.trees.checks import CHECKS

__all__ = ["checks_of", "said_since"]


def said_since(check: Check, tree: Tree) -> str:
    """The first release whose documentation says what is checked; empty if it always did.

    Of a deque and a defaultdict it speaks since 3.8.0, and of the paths of a namedtuple.
    """
    kinds = {node.kind for node in nodes(tree)}
    if kinds & {"deque", "defaultdict"} or (
        check.name == "T7.paths-type" and "namedtuple" in kinds
    ):
        return "3.8"
    return check.since


@lru_cache(maxsize=4096)
def checks_of(case: TreeCase) -> tuple[Check, ...]:
    """What is checked on a case: all of its law that is promised of its structure.

    Of a container that the documentation does not name nothing is promised but T9, and T9 is asked
    of no other: there a difference breaks another law already.
    """
    silent = any(node.kind in UNNAMED for node in nodes(case.structure))
    return tuple(
        check
        for check in CHECKS
        if case.law in (None, check.law, check.name)
        and (silent if check.law == "T9" else not silent and check.answer(case.structure))
    )
