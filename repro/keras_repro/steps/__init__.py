"""The steps that make a model case simpler, in the order in which they are tried.

Each takes a case and yields cases that are plainer in one way. What can be left out comes first,
then each form becomes plainer, then names become letters. No step undoes another, so a case cannot
come back to what it was.

Public: `simpler_cases`, `plainer_around`, `of_one_width`, `of_one_order`, `of_fewer`, `decided`,
`STEPS`, `LETTERS`, `ranked`. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from keras_bisect.errors import UsageError
from keras_repro.case import Case, One
from keras_repro.case.beside import changed
from keras_repro.oracle import doubts, promised
from keras_repro.steps.arguments import (
    every_key_once,
    plain_kinds,
    plain_loss,
    plain_metrics,
    plain_targets,
    plain_weights,
)
from keras_repro.steps.around import (
    plain_call,
    plain_data,
    plain_inputs,
    plain_model,
    without_arguments,
    without_surroundings,
)
from keras_repro.steps.base import LETTERS, Step, ranked
from keras_repro.steps.outputs import (
    fewer_outputs,
    of_their_own,
    one_order,
    plain_names,
    plain_outputs,
    same_widths,
)

__all__ = [
    "LETTERS",
    "STEPS",
    "decided",
    "of_fewer",
    "of_one_order",
    "of_one_width",
    "plainer_around",
    "ranked",
    "simpler_cases",
]


def simpler_cases(case: Case) -> Iterator[Case]:
    """Cases that are one step simpler, the biggest steps first."""
    for step in STEPS:
        for candidate in _cases(case, step(case)):
            # What is plainer, and rests on less, would make a bug look like a matter of opinion.
            if case.beside != "nothing" or set(doubts(candidate)) <= set(doubts(case)):
                yield candidate


def plainer_around(case: Case) -> Iterator[Case]:
    """Cases with the same arguments, and one thing less around them: no round trip, say."""
    yield from _cases(case, without_surroundings(case))


def of_one_width(case: Case) -> Iterator[Case]:
    """The case with outputs of one shape, where nothing that goes astray is refused for its own."""
    yield from _cases(case, same_widths(case))


def of_one_order(case: Case) -> Iterator[Case]:
    """The case with all that goes by name in one order, so that no order is to blame."""
    yield from _cases(case, one_order(case))


def of_fewer(case: Case) -> Iterator[Case]:
    """The case with an output less, as of many outputs not every mixture can be told."""
    yield from _cases(case, fewer_outputs(case))


def decided(case: Case) -> Iterator[Case]:
    """Either of two cases that stand side by side, without what no rule says the numbers of."""
    for one in (case.but(beside="nothing"), changed(case)):
        for loss in (one.loss, One("mse")):
            yield from _cases(one, (less | {"loss": loss} for less in without_arguments(one)))


def _cases(case: Case, several: Iterable[dict[str, Any]]) -> Iterator[Case]:
    for changes in several:
        try:
            candidate = case.but(**changes)
            # What nobody promised anything about would shrink into a false alarm.
            if candidate != case and promised(candidate):
                yield candidate
        except (ValueError, UsageError):
            continue  # plainer, but no case: a list where the outputs are nested, say


STEPS: Final[tuple[Step, ...]] = (
    plain_model,
    plain_data,
    without_arguments,
    fewer_outputs,
    plain_call,
    plain_outputs,
    of_their_own,
    same_widths,
    plain_kinds,
    every_key_once,
    plain_loss,
    plain_targets,
    plain_weights,
    plain_metrics,
    plain_names,
    plain_inputs,
)
