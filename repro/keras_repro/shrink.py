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

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from keras_repro.case import ByName, Case, InOrder, One, Output
from keras_repro.oracle import CONSTANTS, promised
from keras_repro.reading import AnyCase
from keras_repro.tree_case import TreeCase
from keras_repro.tree_shrink import simpler_tree_cases

__all__ = ["shrink", "simpler"]

T = TypeVar("T")

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def shrink(case: AnyCase, same: Callable[[AnyCase], bool]) -> AnyCase:
    """The simplest case that can be reached by steps that keep the failure.

    Args:
        case: a case that fails.
        same: whether a case fails in the same way. It is asked about each case once.
    """
    tried = {case}
    while True:
        for candidate in simpler(case):
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
    for step in STEPS:
        for candidate in step(case):
            # A simpler case that nobody promised anything about would shrink into a false alarm.
            if candidate != case and promised(candidate):
                yield candidate


# -- models --------------------------------------------------------------------------


def without_arguments(case: Case) -> Iterator[Case]:
    """Compile without metrics, without weights."""
    if case.metrics is not None and case.loss_weights is not None:
        yield replace(case, metrics=None, loss_weights=None)
    yield replace(case, metrics=None)
    yield replace(case, loss_weights=None)


def fewer_outputs(case: Case) -> Iterator[Case]:
    """Leave out an output and all that belongs to it, the last first."""
    for index in reversed(range(len(case.outputs)) if len(case.outputs) > 1 else ()):
        yield _without(case, index)


def plain_call(case: Case) -> Iterator[Case]:
    """Call `evaluate`, eagerly: it is what most people know, and runs fastest."""
    yield replace(case, entry="evaluate", eager=True)
    yield replace(case, entry="evaluate")
    yield replace(case, eager=True)


def plain_outputs(case: Case) -> Iterator[Case]:
    """Hold the outputs in a list; or in a dict under the names of their layers."""
    if case.container == "dict":
        plain = tuple(replace(output, layer=output.name, key=None) for output in case.outputs)
        yield replace(case, container="list", outputs=plain)
        same = tuple(replace(output, layer=output.name) for output in case.outputs)
        yield replace(case, outputs=same)
    else:
        yield replace(case, container="list")


def plain_loss(case: Case) -> Iterator[Case]:
    """Give one loss for all, or a list of them; every output one, and the same."""
    if not isinstance(case.loss, One):
        yield replace(case, loss=One("mse"))
    yield replace(case, loss=_map(case.loss, lambda _: "mse"))
    if not isinstance(case.loss, One):
        yield replace(case, loss=_for_all(case, case.loss))
        yield from (replace(case, loss=loss) for loss in _plainer(case, case.loss))


def plain_targets(case: Case) -> Iterator[Case]:
    """Give a list of targets."""
    yield from (replace(case, targets=targets) for targets in _plainer(case, case.targets))


def plain_weights(case: Case) -> Iterator[Case]:
    """Give a list of weights."""
    if case.loss_weights is not None:
        plainer = _plainer(case, case.loss_weights)
        yield from (replace(case, loss_weights=weights) for weights in plainer)


def plain_metrics(case: Case) -> Iterator[Case]:
    """Give one metric an output, by name before in order: a list of lists is the odd form."""
    if case.metrics is None:
        return
    yield replace(case, metrics=_map(case.metrics, lambda _: ("mae",)))
    if isinstance(case.metrics, InOrder):
        named = zip(case.names, case.metrics.values, strict=True)
        yield replace(case, metrics=ByName(tuple(named)))
    else:
        yield replace(case, metrics=_in_order_of(case, case.metrics))


def plain_names(case: Case) -> Iterator[Case]:
    """Name the outputs by the first letters: in order, else in the order of the names they have."""
    letters = LETTERS[: len(case.outputs)]
    layers = [output.layer for output in case.outputs]
    for names in (letters, _ranked(case.names)):
        for under in (names, letters, _ranked(layers)):
            candidate = _renamed(case, names, under)
            if candidate == case:
                # What follows is less plain than what is there.
                return
            yield candidate


STEPS: tuple[Callable[[Case], Iterator[Case]], ...] = (
    without_arguments,
    fewer_outputs,
    plain_call,
    plain_outputs,
    plain_loss,
    plain_targets,
    plain_weights,
    plain_metrics,
    plain_names,
)


def _without(case: Case, index: int) -> Case:
    gone = case.outputs[index].name
    kept = [output for output in case.outputs if output.name != gone]
    constants = CONSTANTS[len(kept)]
    outputs = tuple(map(replace_predicts, kept, constants.predicts))
    names = [output.name for output in outputs]

    def drop(given: Any) -> Any:
        if isinstance(given, InOrder):
            return InOrder(given.values[:index] + given.values[index + 1 :])
        if isinstance(given, ByName):
            return ByName(tuple(item for item in given.items if item[0] != gone))
        return given

    return replace(
        case,
        outputs=outputs,
        loss=drop(case.loss),
        metrics=drop(case.metrics),
        targets=_refilled(drop(case.targets), names, constants.targets),
        loss_weights=_refilled(drop(case.loss_weights), names, constants.weights),
    )


def replace_predicts(output: Output, predicts: float) -> Output:
    """The same output with another prediction."""
    return replace(output, predicts=predicts)


def _refilled(given: Any, names: Sequence[str], values: Sequence[float]) -> Any:
    if isinstance(given, InOrder):
        return InOrder(tuple(values))
    if isinstance(given, ByName):
        by_name = dict(zip(names, values, strict=True))
        return ByName(tuple((name, by_name[name]) for name in given.names))
    return given


def _map(given: Any, function: Callable[[Any], Any]) -> Any:
    if isinstance(given, One):
        return One(function(given.value))
    if isinstance(given, InOrder):
        return InOrder(tuple(map(function, given.values)))
    return ByName(tuple((name, function(value)) for name, value in given.items))


def _for_all(case: Case, given: Any) -> Any:
    """Losses where there were none; names that were not there come last."""
    given = _map(given, lambda loss: loss or "mse")
    if isinstance(given, InOrder):
        return given
    missing = tuple((name, "mse") for name in case.names if name not in given.names)
    return ByName(given.items + missing)


def _in_order_of(case: Case, given: ByName[T]) -> ByName[T]:
    values = given.as_dict()
    return ByName(tuple((name, values[name]) for name in case.names if name in values))


def _plainer(case: Case, given: InOrder[T] | ByName[T]) -> Iterator[InOrder[T] | ByName[T]]:
    """A list for a dict; a dict in the order of the outputs."""
    if isinstance(given, ByName):
        values = given.as_dict()
        if set(values) == set(case.names):
            yield InOrder(tuple(values[name] for name in case.names))
        yield _in_order_of(case, given)


def _ranked(names: Sequence[str]) -> list[str]:
    """Letters that sort as the names do."""
    letters = dict(zip(sorted(names), LETTERS, strict=False))
    return [letters[name] for name in names]


def _renamed(case: Case, names: Sequence[str], layers: Sequence[str]) -> Case:
    new = dict(zip(case.names, names, strict=True))
    if case.container == "dict":
        triples = zip(case.outputs, names, layers, strict=True)
        outputs = tuple(replace(o, key=name, layer=layer) for o, name, layer in triples)
    else:
        outputs = tuple(replace(o, layer=new[o.name]) for o in case.outputs)

    def rename(given: Any) -> Any:
        if isinstance(given, ByName):
            return ByName(tuple((new[name], value) for name, value in given.items))
        return given

    return replace(
        case,
        outputs=outputs,
        loss=rename(case.loss),
        loss_weights=rename(case.loss_weights),
        targets=rename(case.targets),
        metrics=rename(case.metrics),
    )
