"""Hypothesis strategies for cases that no rule decides, each with another one beside it.

Such a case is drawn as any other and then loosened: one of its arguments is given a form that the
documentation leaves open. What its numbers must be is not known, but that they are the same after
a change that means nothing is, see `case.beside`.

Public: `open_cases`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final, get_args

from hypothesis import reject
from hypothesis import strategies as st

from keras_bisect.errors import UsageError
from keras_repro.case import Beside, ByName, Case, InOrder, Like, One
from keras_repro.case.beside import changed
from keras_repro.oracle import CONSTANTS, promised
from keras_repro.strategies import cases
from keras_repro.twists import OFTEN, Twist, runs

__all__ = ["open_cases"]

Loosening = Callable[[Case], Case]

TRIES: Final = 3
"""Most ways to loosen a case change nothing in it, or leave its numbers decided."""


@st.composite
def open_cases(draw: st.DrawFn) -> Case:
    """Cases whose numbers no rule decides, with one beside them that must give the same."""
    twists: tuple[Twist, ...] = OFTEN if draw(st.booleans()) else ()
    case = draw(cases(twists=twists))
    for _ in range(TRIES):
        loosened = draw(st.sampled_from(LOOSENINGS))
        beside = draw(st.sampled_from(get_args(Beside)[1:]))
        with suppress(ValueError, UsageError):
            found = loosened(case).but(beside=beside)
            if promised(found) and runs(found.but(beside="nothing")) and runs(changed(found)):
                return found
    return reject()


def one_weight(case: Case) -> Case:
    """One loss weight for all outputs."""
    return case.but(loss_weights=One(CONSTANTS[len(case.outputs)].weights[0]))


def partial_loss(case: Case) -> Case:
    """No loss for the first output; what else is a list may lack it, or not."""
    match case.loss:
        case InOrder(values) | Like(values) if len(values) > 1:
            return case.but(loss=replace(case.loss, values=(None, *values[1:])))
        case ByName(items) if len(items) > 1:
            return case.but(loss=replace(case.loss, items=items[1:]))
    return case


def one_target(case: Case) -> Case:
    """One array of targets for all outputs."""
    return case.but(targets=One(CONSTANTS[len(case.outputs)].targets[0]))


def listed_metrics(case: Case) -> Case:
    """The metrics of one output in a list of lists."""
    return case.but(metrics=InOrder((("mae",),))) if len(case.outputs) == 1 else case


def a_class(case: Case) -> Case:
    """A class of the user's own: Keras knows no names of its outputs."""
    plain: dict[str, Any] = {"trip": "none", "inner": False, "chained": False, "inputs": None}
    return case.but(model="subclass", **plain)


LOOSENINGS: Final[tuple[Loosening, ...]] = (
    partial_loss,
    one_target,
    one_weight,
    listed_metrics,
    a_class,
)
"""Forms that Keras takes in some release: of what it always refuses there are no numbers."""
