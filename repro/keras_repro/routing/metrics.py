"""What is wrong with the metrics that were reported: of which output they are, from which target.

Public: `measured`, `metric_faults`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Final

from keras_repro.case import Case, One
from keras_repro.oracle import FUNCTIONS, RESULTS, Wire, expected
from keras_repro.routing.clashes import all_reported, under_any_name
from keras_repro.routing.faults import Component, Fault, fault, faults_of
from keras_repro.routing.losses import close
from keras_repro.routing.ways import named_orders, wirings

__all__ = ["measured", "metric_faults"]

MOVING: Final = ((True, True), (True, False), (False, True))
"""Of metrics and weighted ones either may have gone astray, or both."""


def measured(wires: Sequence[Wire]) -> dict[str, float]:
    """Return each metric that is to be reported, by the name that it has there."""
    return {
        f"{wire.name}_{metric}" if len(wires) > 1 else metric: value
        for wire in wires
        for metric, value, _ in wire.measured()
    }


def metric_faults(
    case: Case, wires: Sequence[Wire], observed: Mapping[str, float]
) -> tuple[Fault, ...]:
    """The faults of what is reported of metrics."""
    if case.entry == "compute_loss":
        return ()
    if (case.metrics or case.weighted_metrics) is None:
        kept = case.compiled_twice and any(name.endswith("mae") for name in observed)
        return (fault(case, "metric", "kept"),) if kept else ()
    if case.metric_names != "own" and all_reported(case, observed):
        return ()
    for explanation in EXPLANATIONS:
        faults = explanation(case, wires, observed)
        if faults is not None:
            return faults
    return (fault(case, "metric", "unexplained"),)


def _miscounted(
    case: Case, wires: Sequence[Wire], observed: Mapping[str, float]
) -> tuple[Fault, ...] | None:
    """A list of results is too long, or too short."""
    if case.entry != "evaluate as list":
        return None
    several = next((one.value for one in expected(case) if one.name == RESULTS), None)
    told = observed.get(RESULTS, math.nan)
    if several is not None and told > several:
        return (fault(case, "metric", "doubled", (("a metric", None),)),)
    if several is not None and told < several:
        return (fault(case, "metric", "left out"),)
    return None


def _rewired(
    case: Case, wires: Sequence[Wire], observed: Mapping[str, float]
) -> tuple[Fault, ...] | None:
    """Targets, metrics or names of metrics are those of other outputs; none where all are right."""
    components: tuple[Component, ...] = ("metric target", "metric", "name")
    if case.weighted_metrics is not None and not isinstance(case.sample_weight, One | None):
        components = (*components, "metric weight")
    reported = _reported(observed)
    numbers = list(under_any_name(observed, losses=case.metric_names == "loss"))
    moving = MOVING if case.metrics and case.weighted_metrics else MOVING[:1]
    for orders, (plain, weighted) in product(wirings(case, len(components)), moving):
        targets, metrics, names, *samples = orders
        rewired = [
            replace(
                wire,
                name=wires[names[index]].name,
                target=wires[targets[index]].target,
                metrics=wires[metrics[index]].metrics if plain else wire.metrics,
                weighted=wires[metrics[index]].weighted if weighted else wire.weighted,
                sample=wires[samples[0][index]].sample if samples else wire.sample,
            )
            for index, wire in enumerate(wires)
        ]
        would = measured(rewired)
        if case.metric_names != "own":
            found = all(any(close(one, value) for one in numbers) for value in would.values())
        else:
            found = would.keys() == reported.keys() and all(
                close(reported[name], value) for name, value in would.items()
            )
        if found:
            about = case if plain else case.but(metrics=None, metric_names="own")
            return faults_of(about, wires, components, orders)
    return None


def _moved_in_list(
    case: Case, wires: Sequence[Wire], observed: Mapping[str, float]
) -> tuple[Fault, ...] | None:
    """A list of results is in another order: many metrics of one output move all that follow."""
    if case.entry != "evaluate as list":
        return None
    values = [observed.get(one.name, math.nan) for one in expected(case) if one.required][1:]
    for order, how in named_orders(case).items():
        moved = [value for index in order for _, value, _ in wires[index].measured()]
        if len(moved) == len(values) and all(map(close, moved, values)):
            return (fault(case, "name", how),)
    return None


def _doubled(
    case: Case, wires: Sequence[Wire], observed: Mapping[str, float]
) -> tuple[Fault, ...] | None:
    """More is reported than was asked for."""
    right = measured(wires)
    more = tuple((name, None) for name in _reported(observed) if name not in right)
    told = all(close(observed.get(name, math.nan), value) for name, value in right.items())
    return (fault(case, "metric", "doubled", more),) if more and told else None


EXPLANATIONS: Final = (_miscounted, _rewired, _moved_in_list, _doubled)
"""Of metrics that are not the promised ones, the plainest first: the first that fits is told."""


def _reported(observed: Mapping[str, float]) -> dict[str, float]:
    """What has the name of a metric."""
    return {
        name: value
        for name, value in observed.items()
        if name in FUNCTIONS or name.rpartition("_")[2] in FUNCTIONS
    }
