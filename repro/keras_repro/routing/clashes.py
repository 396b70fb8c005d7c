"""Metrics whose names clash: are they all reported, and is nothing reported in their place?

Public: `clash_faults`, `all_reported`, `under_any_name`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from keras_repro.case import Case
from keras_repro.oracle import Wire, expected
from keras_repro.routing.faults import Fault, fault
from keras_repro.routing.losses import close

__all__ = ["all_reported", "clash_faults", "under_any_name"]


def clash_faults(
    case: Case, wires: Sequence[Wire], observed: Mapping[str, float]
) -> tuple[Fault, ...]:
    """The fault of a number that is missing because another is called the same."""
    if case.metric_names == "own":
        return ()
    lost = not all_reported(case, observed)
    covered = {
        "one object": _merged,
        "loss": _covered_by_loss,
        "prefixed": _of_another,
    }.get(case.metric_names, _fewer)(wires, observed)
    replaced = case.metric_names == "loss" and _in_place_of_total(wires, observed)
    if not replaced and not (lost and covered):
        return ()
    if case.metric_names == "one object":
        return (fault(case, "metric", "merged"),)
    return (fault(case, "name", "covered"),)


def all_reported(case: Case, observed: Mapping[str, float]) -> bool:
    """Whether the number of each metric is there, whatever it is called."""
    wanted = [one for one in expected(case) if one.required and one.name != "loss"]
    return all(close(observed.get(one.name, math.nan), one.value) for one in wanted)


def under_any_name(observed: Mapping[str, float], *, losses: bool = False) -> Iterator[float]:
    """Yield what could be a metric, whatever it is called; what was looked for is there again."""
    for name, value in observed.items():
        if " of " not in name and (losses or name[-4:] != "loss"):
            yield value


def _merged(wires: Sequence[Wire], observed: Mapping[str, float]) -> bool:
    """Whether outputs with different numbers have the same one reported."""
    told = [observed.get(f"{one.name}_mae") for one in wires if "mae" in one.metrics]
    return len(told) > 1 and None not in told and len(set(told)) == 1


def _of_another(wires: Sequence[Wire], observed: Mapping[str, float]) -> bool:
    """Whether a metric is reported under the name of another output's."""
    others = [value for wire in wires for metric, value, _ in wire.measured() if metric == "mse"]
    told = [observed.get(f"{one.name}_mae", math.nan) for one in wires if "mae" in one.metrics]
    return any(close(one, other) for one in told for other in others)


def _fewer(wires: Sequence[Wire], observed: Mapping[str, float]) -> bool:
    """Whether fewer numbers are reported than there are metrics."""
    told = list(under_any_name(observed))
    return len(told) < sum(len(wire.metrics) for wire in wires)


def _covered_by_loss(wires: Sequence[Wire], observed: Mapping[str, float]) -> bool:
    """Whether the loss of each output whose metric is called loss stands in the metric's place."""
    trained = [one for one in wires if one.metrics and one.loss]
    told = [(one, observed.get(f"{one.name}_loss")) for one in trained]
    # Before 3.7.0 it is reported weighted (R6).
    return bool(told) and all(
        value is not None and (close(value, one.value) or close(value, one.weight * one.value))
        for one, value in told
    )


def _in_place_of_total(wires: Sequence[Wire], observed: Mapping[str, float]) -> bool:
    """Whether a metric is reported as the loss."""
    total = sum(wire.weight * wire.value for wire in wires)
    told = observed.get("loss", total)
    first = [next((value for _, value, _ in wire.measured()), total) for wire in wires]
    return not close(told, total) and any(close(told, value) for value in first)
