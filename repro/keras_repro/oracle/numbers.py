"""What belongs to each output, and the numbers that follow from it.

Public: `Wire`, `wiring`, `Expectation`, `expected`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from keras_bisect.errors import UsageError
from keras_repro.case import ByName, Case, Form, One
from keras_repro.oracle.rules import (
    context_rules,
    loss_rules,
    metric_rules,
    ordered,
    refusal_rules,
    report_rules,
    sample_rules,
    target_rules,
    weight_rules,
)
from keras_repro.oracle.values import scored

__all__ = [
    "INSIDE",
    "REFUSED",
    "RESULTS",
    "Expectation",
    "Wire",
    "expected",
    "kept",
    "misspelt",
    "wiring",
]

INSIDE: Final = ("loss", "mae")
"""What the compiled model inside reports of itself: each is one."""

REFUSED: Final = "refused"
"""What is reported of a case that must be refused: one stands for yes."""

RESULTS: Final = "how many numbers"
"""What is reported of a list of results, where it can be said how long it is."""

T = TypeVar("T")


@dataclass(frozen=True)
class Wire:
    """What must reach one output: its target, its loss (or none), its weights, its metrics."""

    name: str
    predicts: float
    target: float | None
    """None where an output that has neither a loss nor metrics is given no target."""
    loss: str | None
    weight: float
    metrics: tuple[str, ...]
    weighted: tuple[str, ...] = ()
    """The metrics that use the sample weights."""
    sample: float | None = None
    """The weight of the first row; None where all rows are the same."""
    rows: tuple[int, ...] = (2,)
    """Of each batch."""

    @property
    def value(self) -> float:
        """Its loss before weighting, zero where it has none."""
        if self.loss is None or self.target is None:
            return 0.0
        return scored(self.loss, self.predicts, self.target, self.sample, rows=self.rows)

    def measured(self) -> Iterator[tuple[str, float, bool]]:
        """Yield each metric as it is called, its value, and whether it is a weighted one."""
        if self.target is None:
            return
        for metric in dict.fromkeys(self.metrics):
            yield metric, self._metric(metric, None if self.sample is None else 1.0), False
        for metric in dict.fromkeys(self.weighted):
            name = f"weighted_{metric}" if metric in self.metrics else metric
            yield name, self._metric(metric, self.sample), True

    def _metric(self, name: str, sample: float | None) -> float:
        assert self.target is not None
        return scored(name, self.predicts, self.target, sample, mean=True, rows=self.rows)


@dataclass(frozen=True)
class Expectation:
    """A number that Keras must report under `name`, and the rules (ids) it rests on.

    Where `required` is false a release may leave it out (3.4.1 reports the total loss alone). Where
    metrics have names that clash it is reported under any name.
    """

    name: str
    value: float
    rules: tuple[str, ...]
    required: bool


def wiring(case: Case) -> tuple[Wire, ...]:
    """Bring together what belongs to each output, in the order of the outputs (R1 to R5, R7, R10).

    A target is needed for every output that has a loss or metrics. Raises `UsageError` for a case
    that leaves one out.
    """
    targets = by_output(case, case.targets)
    losses: Mapping[str, str | None] = by_output(case, case.loss)
    weights = by_output(case, case.loss_weights)
    metrics = {name: _several(one) for name, one in by_output(case, case.metrics).items()}
    weighted = {name: _several(one) for name, one in by_output(case, case.weighted_metrics).items()}
    samples = by_output(case, case.sample_weight)
    row = case.class_weight if case.classes != "none" and case.class_weight is not None else 1.0
    wires = []
    for output in case.outputs:
        name = output.name
        wire = Wire(
            name=name,
            predicts=output.predicts,
            target=targets.get(name),
            loss=losses.get(name),
            weight=weights.get(name, 1.0),
            metrics=metrics.get(name, ()),
            weighted=weighted.get(name, ()),
            sample=(samples.get(name) or 1.0) * row if case.varied else None,
            rows=case.rows,
        )
        if wire.target is None and (wire.loss or wire.metrics or wire.weighted):
            raise UsageError(f"This case has no target for the output {name!r}.")
        wires.append(wire)
    return tuple(wires)


def expected(case: Case) -> tuple[Expectation, ...]:
    """Return each number that `case` must report, the total loss first.

    The loss of one output is not in it where there are weights: releases differ in whether they
    report it before or after weighting (R6), and no sentence of the documentation says. Nor is it
    where the outputs are nested, or have no names.
    """
    if case.refused:
        return (Expectation(REFUSED, 1.0, ordered(refusal_rules(case)), True),)
    wires = wiring(case)
    context = context_rules(case)
    if case.predicting:
        rules = ordered(context)
        values = {wire.name: wire.predicts for wire in wires}
        # One stands for yes: what held the inputs and outputs holds them still.
        values |= dict.fromkeys(kept(case), 1.0)
        return tuple(Expectation(name, value, rules, True) for name, value in values.items())
    many = len(wires) > 1
    losses, targets = loss_rules(case), target_rules(case)
    relied = ordered(losses, targets, weight_rules(case), sample_rules(case), context)
    total = sum(wire.weight * wire.value for wire in wires)
    numbers = [Expectation("loss", total, relied, True)]
    if case.entry == "compute_loss":
        return tuple(numbers)
    if case.entry == "evaluate inside":
        rules = ordered({"R28"})
        return tuple(Expectation(name, 1.0, rules, True) for name in INSIDE)
    if case.entry == "each loss":
        return tuple(_each_loss(case, wires))
    if case.entry == "compute_metrics":
        numbers = []
    elif case.loss_weights is None and reports_each(case) and case.metric_names != "loss":
        for wire in wires:
            if wire.loss:
                rules = ordered(losses, targets, context)
                numbers.append(Expectation(f"{wire.name}_loss", wire.value, rules, False))
    for wire in wires:
        for metric, value, weighted in wire.measured():
            name = f"{wire.name}_{metric}" if many else metric
            if case.metric_names != "own" and (case.metric_names, metric) != ("prefixed", "mae"):
                name = f"{metric} of {wire.name}"
            rules = ordered(
                metric_rules(case), targets, sample_rules(case) if weighted else set(), context
            )
            numbers.append(Expectation(name, value, rules, True))
    if case.entry == "evaluate as list" and not many:
        numbers.append(Expectation(RESULTS, float(len(numbers)), ordered({"R23"}), True))
    return tuple(numbers)


def kept(case: Case) -> dict[str, str]:
    """What a model keeps over a round trip, each with the expression that is true then.

    Of its inputs and outputs that is the kind of their container, and of an `OrderedDict` the order
    of its keys, which is there for its own sake. Empty where nothing of the kind is looked at.
    """
    if case.counted:
        # Of each layer a kernel and a bias; a layer that is not tracked is not trained.
        return {"model.weights": f"len(model.weights) == {2 * len(case.outputs)}"}
    if not case.compared:
        return {}
    held = case.inputs.container if case.inputs is not None else "tensor"
    of = {"input": held, "output": case.container}
    found = {f"model.{what}": f"type(model.{what}) is type(made.{what})" for what in of}
    for what, container in of.items():
        if container == "OrderedDict":
            found[f"keys of model.{what}"] = f"list(model.{what}) == list(made.{what})"
    return found | {"model.weights": "len(model.weights) == len(made.weights)"}


def misspelt(case: Case) -> bool:
    """Whether some metrics have a name that no output has: nothing is to be reported of them."""
    both = (case.metrics, case.weighted_metrics)
    return any(isinstance(one, ByName) and set(one.names) - set(case.names) for one in both)


def _each_loss(case: Case, wires: Iterable[Wire]) -> Iterator[Expectation]:
    """The loss of each output; where it has no name, in the order of the numbers."""
    rules = ordered(loss_rules(case), target_rules(case), context_rules(case), report_rules(case))
    with_loss = [wire for wire in wires if wire.loss]
    if reports_each(case):
        yield from (Expectation(f"{w.name}_loss", w.value, rules, True) for w in with_loss)
    else:
        values = sorted(wire.value for wire in with_loss)
        yield from (Expectation(f"loss {i}", v, rules, True) for i, v in enumerate(values, 1))


def reports_each(case: Case) -> bool:
    """Whether it can be said what the loss of each output is, and under which name it stands."""
    return tells_each(case) and case.nest is None and named(case)


def tells_each(case: Case) -> bool:
    """Whether it can be said what the loss of each output is; not, under which name it stands.

    Nested outputs are called after their paths, or not; a list of a class has no names at all.
    """
    return not case.varied and len(case.outputs) > 1


def named(case: Case) -> bool:
    """Whether the outputs have names that both Keras and the user know."""
    nameless = case.model == "subclass" or case.auto or case.direct
    nameless = nameless or case.shared != "nothing"
    return not nameless or case.outputs[0].key is not None


def by_output(case: Case, given: Form[T] | None) -> Mapping[str, T]:
    """Return the value that a form gives each output, by the output's name."""
    if given is None:
        return {}
    if isinstance(given, One):
        return dict.fromkeys(case.names, given.value)
    if isinstance(given, ByName):
        return {name: value for name, value in given.items if name in case.names}
    return dict(zip(case.names, given.values, strict=True))


def _several(metrics: tuple[str, ...] | str | None) -> tuple[str, ...]:
    if metrics is None:
        return ()
    return (metrics,) if isinstance(metrics, str) else metrics
