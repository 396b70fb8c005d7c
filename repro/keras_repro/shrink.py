"""Make a failing case simpler while it stays the same failure.

What *simpler* means is a list of small steps, in the order in which they are tried (`simpler`):
what can be left out is left out first, then each form becomes plainer, then names become letters. A
step is kept if the failure is still the same, and the list begins again, until no step is kept.
Each step makes a case smaller in an order without cycles, so this ends; and since a step speaks of
the case and not of how it was drawn, a finding needs some twenty runs of a model, where shrinking
the draws takes some hundred.

Public: `shrink`, `simpler`. Pure, but for the test it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from keras_repro.reading import AnyCase
from keras_repro.steps import simpler_cases
from keras_repro.trees.case import TreeCase
from keras_repro.trees.shrink import simpler_tree_cases

__all__ = ["shrink", "simpler"]


def shrink(
    case: AnyCase,
    same: Callable[[AnyCase], bool],
    ahead: Callable[[Iterable[AnyCase]], Iterable[AnyCase]] = iter,
) -> AnyCase:
    """The simplest case that can be reached by steps that keep the failure.

    Args:
        case: a case that fails.
        same: whether a case fails in the same way. It is asked about each case once.
        ahead: hands on the cases that `same` may be asked about next, which it may look at before.
    """
    tried = {case}
    while True:
        for candidate in ahead(simpler(case)):
            if candidate in tried:
                continue
            tried.add(candidate)
            if same(candidate):
                case = candidate
                break
        else:
            return case


def simpler(case: AnyCase) -> Iterator[AnyCase]:
    """Cases that are one step simpler, the biggest steps first."""
    if isinstance(case, TreeCase):
        yield from simpler_tree_cases(case)
        return
    yield from simpler_cases(case)
