"""The oracle: every number that a case must report, from its names alone.

An output, its target, its loss, its weight and its metrics are brought together by the rules of
`contract.py` and by nothing else: no Keras is asked. The constants below are such that any other
way to bring them together gives another total, so that a right number cannot be right by luck. A
number rests on rules, and on no more of them than it needs: a wrong one breaks one of these.

Public: `expected` and `Expectation`, `wiring` and `Wire`, `rules_of` and its parts, `promised`,
`number`, `FUNCTIONS`, and the `CONSTANTS` to make a case of. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, TypeVar

from keras_bisect.errors import UsageError
from keras_repro.case import ByName, Case, InOrder, One

__all__ = [
    "CONSTANTS",
    "FUNCTIONS",
    "Constants",
    "Expectation",
    "Wire",
    "expected",
    "loss_rules",
    "metric_rules",
    "number",
    "promised",
    "rules_of",
    "target_rules",
    "weight_rules",
    "wiring",
]

T = TypeVar("T")

# The losses and metrics whose value is known here. For whole numbers both are exact in float32, on
# every backend, and since 3.0.0 Keras knows them by these strings, as a loss and as a metric.
FUNCTIONS: Final[Mapping[str, Callable[[float, float], float]]] = MappingProxyType(
    {
        "mse": lambda predicted, target: (predicted - target) ** 2,
        "mae": lambda predicted, target: abs(predicted - target),
    }
)


@dataclass(frozen=True)
class Constants:
    """Predictions, targets and loss weights, in the order of the outputs."""

    predicts: tuple[float, ...]
    targets: tuple[float, ...]
    weights: tuple[float, ...]


# Found by a search; tests/test_oracle.py says what they keep apart. With all targets above all
# predictions, as one would choose, swapped targets leave a sum of absolute errors as it was.
CONSTANTS: Final[Mapping[int, Constants]] = MappingProxyType(
    {
        1: Constants((9.0,), (3.0,), (2.0,)),
        2: Constants((9.0, 1.0), (3.0, 4.0), (2.0, 3.0)),
        3: Constants((25.0, 10.0, 7.0), (20.0, 28.0, 3.0), (3.0, 5.0, 4.0)),
        4: Constants((67.0, 47.0, 8.0, 90.0), (93.0, 30.0, 6.0, 62.0), (6.0, 10.0, 4.0, 9.0)),
    }
)


@dataclass(frozen=True)
class Wire:
    """What must reach one output: its target, its loss (or none), its weight, its metrics."""

    name: str
    predicts: float
    target: float
    loss: str | None
    weight: float
    metrics: tuple[str, ...]


@dataclass(frozen=True)
class Expectation:
    """A number that Keras must report under `name`, and the rules (ids) it rests on.

    Where `required` is false a release may leave it out (3.4.1 reports the total loss alone).
    """

    name: str
    value: float
    rules: tuple[str, ...]
    required: bool


def number(function: str, predicted: float, target: float) -> float:
    """Return the loss or metric `function` of one constant prediction and one constant target.

    >>> number("mse", 1.0, 4.0)
    9.0
    """
    if function not in FUNCTIONS:
        known = ", ".join(FUNCTIONS)
        raise UsageError(
            f"The value of {function!r} is not known here: a case uses one of {known}. "
            "Any other program can be run and bisected as a script."
        )
    return FUNCTIONS[function](predicted, target)


def wiring(case: Case) -> tuple[Wire, ...]:
    """Bring together what belongs to each output, in the order of the outputs (R1 to R5, R7, R10).

    A target is needed for every output. Raises `UsageError` for a case that leaves one out.
    """
    targets = _by_output(case, case.targets)
    losses: Mapping[str, str | None] = _by_output(case, case.loss)
    weights = _by_output(case, case.loss_weights)
    metrics = _by_output(case, case.metrics)
    wires = []
    for output in case.outputs:
        if output.name not in targets:
            raise UsageError(f"This case has no target for the output {output.name!r}.")
        wires.append(
            Wire(
                name=output.name,
                predicts=output.predicts,
                target=targets[output.name],
                loss=losses.get(output.name),
                weight=weights.get(output.name, 1.0),
                metrics=metrics.get(output.name, ()),
            )
        )
    return tuple(wires)


def promised(case: Case) -> bool:
    """Whether the rules say what every number of `case` must be: only then may anything be wrong.

    What they leave open: a model without any loss; which targets a list holds where an output has
    no loss; what weights and metrics mean for such an output; weights of, and lists of metrics for,
    a single output.
    """
    wires = wiring(case)
    losses = [wire.loss for wire in wires]
    if len(wires) == 1:
        return losses != [None] and case.loss_weights is None and not _in_order(case.metrics)
    if None not in losses:
        return True
    plain = case.loss_weights is None and case.metrics is None
    return any(losses) and plain and not _in_order(case.targets)


def _in_order(given: object) -> bool:
    return isinstance(given, InOrder)


def expected(case: Case) -> tuple[Expectation, ...]:
    """Return each number that `case` must report, the total loss first.

    The loss of one output is not in it where there are loss weights: releases differ in whether
    they report it before or after weighting (R6), and no sentence of the documentation says.
    """
    wires = wiring(case)
    many = len(wires) > 1
    total = sum(
        wire.weight * number(wire.loss, wire.predicts, wire.target) for wire in wires if wire.loss
    )
    losses, targets = loss_rules(case), target_rules(case)
    numbers = [Expectation("loss", total, _ordered(losses, targets, weight_rules(case)), True)]
    if many and case.loss_weights is None:
        for wire in wires:
            if wire.loss:
                value = number(wire.loss, wire.predicts, wire.target)
                rules = _ordered(losses, targets)
                numbers.append(Expectation(f"{wire.name}_loss", value, rules, False))
    for wire in wires:
        for metric in wire.metrics:
            value = number(metric, wire.predicts, wire.target)
            name = f"{wire.name}_{metric}" if many else metric
            rules = _ordered(metric_rules(case), targets)
            numbers.append(Expectation(name, value, rules, True))
    return tuple(numbers)


def rules_of(case: Case) -> tuple[str, ...]:
    """Return the ids of all rules that the numbers of `case` rest on, in the contract's order."""
    return _ordered(loss_rules(case), target_rules(case), weight_rules(case), metric_rules(case))


def _by_output(case: Case, given: One[T] | InOrder[T] | ByName[T] | None) -> Mapping[str, T]:
    if given is None:
        return {}
    if isinstance(given, One):
        return dict.fromkeys(case.names, given.value)
    if isinstance(given, InOrder):
        return dict(zip(case.names, given.values, strict=True))
    return given.as_dict()


def loss_rules(case: Case) -> set[str]:
    """Return the ids of the rules by which the losses of `case` are paired with its outputs."""
    partial = any(wire.loss is None for wire in wiring(case))
    return _pairing(case, case.loss, one="R1", in_order="R2", by_name="R3") | (
        {"R4"} if partial else set()
    )


def weight_rules(case: Case) -> set[str]:
    """Return the ids of the rules by which the loss weights of `case` reach its outputs."""
    return _pairing(case, case.loss_weights, in_order="R5", by_name="R5")


def metric_rules(case: Case) -> set[str]:
    """Return the ids of the rules by which the metrics of `case` are paired with its outputs."""
    return _pairing(case, case.metrics, in_order="R7", by_name="R7") | (
        {"R8"} if case.metrics else set()
    )


def target_rules(case: Case) -> set[str]:
    """Return the ids of the rules by which the targets of `case` are paired with its outputs."""
    by_name = isinstance(case.targets, ByName) and case.container != "dict"
    return _pairing(case, case.targets, in_order="R10", by_name="R10") | (
        {"R11"} if by_name else set()
    )


def _pairing(
    case: Case,
    given: One[Any] | InOrder[Any] | ByName[Any] | None,
    *,
    in_order: str,
    by_name: str,
    one: str = "",
) -> set[str]:
    match given:
        case None:
            return set()
        case One():
            # For one output there is nothing to apply one loss to but that output.
            return {one}
        case InOrder():
            return {in_order} | ({"R12"} if case.container == "tuple" else set())
        case ByName(items):
            return {by_name} | ({"R17"} if len(items) > 1 else set())


def _ordered(*rules: set[str]) -> tuple[str, ...]:
    return tuple(sorted(set().union(*rules), key=lambda rule: int(rule[1:])))
