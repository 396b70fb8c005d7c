"""The cases of a search, in batches: drawn by Hypothesis, each once, the same for the same seed.

Public: `draw_cases`, `batches`, `fitting`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

from keras_bisect.errors import UsageError
from keras_repro.find.model import Budget
from keras_repro.oracle import promised
from keras_repro.reading import AnyCase
from keras_repro.trees.case import TreeCase

__all__ = ["batches", "draw_cases", "fitting"]

BATCH = 60
"""Models in a batch: what they teach is used from the next batch on."""
PLAIN = 4
"""Of the models one in so many has no twist."""
APART = 1_000_003
"""Seeds of batches lie so far apart that those of two searches do not meet."""


def draw_cases(strategy: Any, count: int, seed: int) -> list[AnyCase]:
    """Distinct cases that Hypothesis draws, in its order: the plainest first, then at random."""
    import hypothesis
    from hypothesis import HealthCheck, Phase, Verbosity

    drawn: dict[AnyCase, None] = {}
    if not count:
        return []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count,
        database=None,
        deadline=None,
        derandomize=False,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )
    @hypothesis.given(strategy)
    def draw(case: AnyCase) -> None:
        drawn.setdefault(case)

    draw()
    return list(drawn)


def batches(budget: Budget, seed: int, backend: str = "tensorflow") -> Iterator[list[AnyCase]]:
    """Models and then structures, batch after batch, without an end.

    What a backend does not do at all is not drawn: no training with numpy, no model is
    exported but by TensorFlow, and a DataLoader only with torch, which need not be installed
    otherwise.
    """
    from keras_repro.contract import RULES
    from keras_repro.strategies import cases, tree_cases

    seen: set[AnyCase] = set()
    laws: Any = [one for one in RULES if one.startswith("T") and one not in budget.without]
    if budget.only:
        laws = [one for one in laws if one in budget.only]
    structures = tree_cases(
        max_depth=4 if budget.deep else 3, max_size=6 if budget.deep else 4, laws=laws
    )
    models = min(BATCH, budget.max_examples or BATCH)
    plain, mixed = cases(twists=()), _mixed()
    number = 0
    while True:
        drawn: list[AnyCase] = []
        if budget.models:
            # The plain ones first: what is common shows there at once, and under its own rule.
            several = models // PLAIN or 1
            drawn += draw_cases(plain, several, seed + APART * (2 * number))
            drawn += draw_cases(mixed, models - several, seed + APART * (2 * number + 1))
        if budget.structures and laws:
            count = models * budget.structures_per_model
            drawn += draw_cases(structures, count, seed + APART * number)
        drawn = list(fitting(drawn, backend))
        fresh = [case for case in drawn if case not in seen]
        fresh = list(dict.fromkeys(fresh))
        seen.update(fresh)
        number += 1
        yield fresh


def _mixed() -> Any:
    """Odd models of all kinds: where a thing is rare, it is drawn on purpose, with another one."""
    from hypothesis import strategies as st

    from keras_repro.loosened import open_cases
    from keras_repro.strategies import cases
    from keras_repro.twists import (
        ARGUMENTS,
        BESIDE_PARTIAL,
        CALLS,
        INPUTS,
        KEPT,
        MODELS,
        NESTED,
        PARTIAL,
        USES,
        WEIGHTED,
        held_layers,
        level,
        prediction,
        trip,
    )

    shares: tuple[tuple[int, Any], ...] = (
        (2, cases(first=(ARGUMENTS, ARGUMENTS))),
        (2, cases(first=(ARGUMENTS, ARGUMENTS, (level,)))),
        (2, cases(first=(MODELS, USES))),
        (2, cases(first=(INPUTS, USES))),
        (1, cases(first=(KEPT, (trip,), (prediction, trip)))),
        (1, cases(first=((held_layers,),))),
        (1, cases(first=(NESTED, (*ARGUMENTS, *USES)))),
        (1, cases(first=(WEIGHTED, CALLS))),
        (1, cases(first=(PARTIAL, BESIDE_PARTIAL))),
        (1, cases(first=(ARGUMENTS, MODELS))),
        (1, cases(first=(ARGUMENTS, USES))),
        (2, cases(first=(ARGUMENTS, CALLS))),
        (1, cases(first=(CALLS, USES))),
        (1, open_cases()),
    )
    return st.one_of([strategy for count, strategy in shares for _ in range(count)])


def fitting(cases: Iterable[AnyCase], backend: str) -> Iterator[AnyCase]:
    """The cases that a backend can run; what trains is evaluated instead, where it must be."""
    for case in cases:
        if isinstance(case, TreeCase):
            yield case
            continue
        fit = case
        with contextlib.suppress(ValueError, UsageError):
            if backend == "torch":
                fit = fit.but(steps_per_execution=1)  # it takes no other, and says so
            if case.data == "DataLoader" and backend != "torch":
                fit = fit.but(data="generator")
            if case.trip == "export" and backend != "tensorflow":
                fit = fit.but(trip="save")
            if backend == "numpy":
                fit = fit.untrained()
            if fit == case or promised(fit):
                yield fit
