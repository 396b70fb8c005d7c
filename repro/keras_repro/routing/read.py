"""Find the plainest wiring of a case that gives the numbers that were observed.

Public: `read`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations, islice, product

from keras_repro.case import Case, One
from keras_repro.oracle import (
    FUNCTIONS,
    INSIDE,
    REFUSED,
    RESULTS,
    Wire,
    expected,
    kept,
    named,
    reports_each,
    wiring,
)
from keras_repro.routing.clashes import all_reported, clash_faults
from keras_repro.routing.faults import Component, Fault, Routing, fault, faults_of
from keras_repro.routing.losses import (
    close,
    loss_faults,
    nameless_faults,
    paired_faults,
    reported_faults,
)
from keras_repro.routing.ways import How, Order, feedings, named_orders, wirings

__all__ = ["read"]

FEEDINGS = 12
"""Ways to feed the inputs that are tried beside something else that went wrong."""


def read(case: Case, observed: Mapping[str, float]) -> Routing:
    """Find the plainest wiring of `case` that gives the numbers that Keras reported.

    `observed` holds every number that was reported, by name, also those the case does not expect.
    """
    if case.refused:
        right = observed.get(REFUSED) == 1.0
        component: Component = "target" if case.untargeted else "input"
        component = "class weight" if case.class_weight is not None else component
        return Routing(() if right else (fault(case, component, "not refused"),))
    if case.entry == "evaluate inside":
        lost = [name for name in INSIDE if not close(observed.get(name, math.nan), 1.0)]
        return Routing((fault(case, "inner metrics", "lost"),) if lost else ())
    if not named(case):
        # What is called `mae_loss` then is after the loss, not after an output of that name.
        observed = {name: value for name, value in observed.items() if name[-5:] != "_loss"}
    wires = wiring(case)
    if case.predicting:
        return Routing(_prediction_faults(case, wires, observed))
    astray = _input_faults(case, wires, observed) or _weights_faults(case, wires, observed)
    if astray:
        return Routing(astray)
    if case.entry == "each loss" and not reports_each(case):
        return Routing(nameless_faults(case, observed))
    asked = (loss_faults, reported_faults)
    if case.entry == "each loss":
        asked = asked[::-1]
    if clash := clash_faults(case, wires, observed):
        return Routing(clash)
    losses: tuple[Fault, ...] = ()
    if case.entry != "compute_metrics":
        losses = asked[0](case, wires, observed) or asked[1](case, wires, observed)
    if losses and losses[0].how == "unexplained":
        losses = _two_causes(case, wires, observed) or losses
    return Routing(losses + _metric_faults(case, wires, observed))


# ---------------------------------------------------------------------------------------------
# Inputs and predictions


def _input_faults(
    case: Case, wires: Sequence[Wire], observed: Mapping[str, float]
) -> tuple[Fault, ...]:
    """The fault of inputs that came in another order: it explains every number, or none."""
    if case.inputs is None or _as_wired(wires, observed):
        return ()
    for shift, how, went in feedings(case):
        moved = [replace(wire, predicts=wire.predicts + shift) for wire in wires]
        if _as_wired(moved, observed):
            return (fault(case, "input", how, went),)
    return ()


def _two_causes(
    case: Case, wires: Sequence[Wire], observed: Mapping[str, float]
) -> tuple[Fault, ...]:
    """The fault of inputs that came in another order, beside those of targets, losses or weights.

    Of many outputs nearly any number could be explained so.
    """
    if len(wires) > 3 or "loss" not in observed:
        return ()
    for shift, how, went in islice(feedings(case), FEEDINGS):
        moved = [replace(wire, predicts=wire.predicts + shift) for wire in wires]
        if faults := paired_faults(case, moved, observed):
            return (fault(case, "input", how, went), *faults)
    return ()


def _weights_faults(
    case: Case, wires: Sequence[Wire], observed: Mapping[str, float]
) -> tuple[Fault, ...]:
    """The fault of weights that were loaded into each other's layers, or of the outputs of a model
    inside that took each other's places.

    The total could be that of swapped targets, too; but a case with a round trip is right without.
    """
    if (case.trip != "weights" and case.within == "nothing") or _as_wired(wires, observed):
        return ()
    for (order,) in wirings(case, 1):
        moved = [
            replace(wire, predicts=wires[other].predicts)
            for wire, other in zip(wires, order, strict=True)
        ]
        if _as_wired(moved, observed):
            return faults_of(case, wires, ("prediction",), (order,))
    for size in range(1, len(wires) + 1 if case.trip == "weights" else 1):
        for left in combinations(wires, size):
            moved = [replace(wire, predicts=0.0) if wire in left else wire for wire in wires]
            if _as_wired(moved, observed):
                return (_not_loaded(case, left),)
    return ()


def _not_loaded(case: Case, left: Sequence[Wire]) -> Fault:
    """The fault of weights that are as they were before they were loaded: zero."""
    return fault(case, "prediction", "not loaded", tuple((wire.name, None) for wire in left))


def _as_wired(wires: Sequence[Wire], observed: Mapping[str, float]) -> bool:
    total = sum(wire.weight * wire.value for wire in wires)
    # Metrics can be asked for alone.
    metrics = _measured(wires)
    if not ("loss" in observed or metrics) or not close(observed.get("loss", total), total):
        return False
    many = len(wires) > 1
    # Not every release reports the loss of each output.
    told = ((wire, observed.get(f"{wire.name}_loss", wire.value)) for wire in wires if many)
    if not all(_told(wire, value) for wire, value in told if wire.loss):
        return False
    return all(close(observed.get(name, math.nan), value) for name, value in metrics.items())


def _measured(wires: Sequence[Wire]) -> dict[str, float]:
    """Each metric that is to be reported, by the name that it has there."""
    return {
        f"{wire.name}_{metric}" if len(wires) > 1 else metric: value
        for wire in wires
        for metric, value, _ in wire.measured()
    }


def _told(wire: Wire, value: float) -> bool:
    """Whether it is the loss of an output: releases differ in whether it is weighted (R6)."""
    return close(value, wire.value) or close(value, wire.weight * wire.value)


def _prediction_faults(
    case: Case, wires: Sequence[Wire], observed: Mapping[str, float]
) -> tuple[Fault, ...]:
    def found(shift: float) -> Order | None:
        order = []
        for index, wire in enumerate(wires):
            value = observed.get(wire.name, math.nan) - shift
            like = [i for i, one in enumerate(wires) if close(one.predicts, value)]
            if not like:
                return None
            # Two outputs that are one tensor predict the same.
            order.append(index if index in like else like[0])
        return tuple(order)

    if case.trip == "weights":
        # Before their number: what is not tracked may have been loaded, or not.
        left = [wire for wire in wires if observed.get(wire.name) == 0.0]
        rest = (wire for wire in wires if wire not in left)
        if left and all(close(observed.get(one.name, math.nan), one.predicts) for one in rest):
            return (_not_loaded(case, left),)
    # Numbers that changed places are worse than what holds them, which may be why.
    order, same = found(0.0), tuple(range(len(wires)))
    if order is not None and order != same:
        return faults_of(case, wires, ("prediction",), (order,))
    for shift, how, went in feedings(case) if order is None else ():
        if found(shift) == same:
            return (fault(case, "input", how, went),)
    lost = [name for name in kept(case) if observed.get(name) != 1.0]
    faults = tuple(fault(case, "prediction", _lost(name), ((name, None),)) for name in lost)
    return faults or ((fault(case, "prediction", "unexplained"),) if order is None else ())


def _lost(name: str) -> How:
    if name == "model.weights":
        return "other number"
    return "other keys" if name.startswith("keys") else "other container"


# ---------------------------------------------------------------------------------------------
# Metrics: which were reported for which output, and from which target.


def _metric_faults(
    case: Case, wires: Sequence[Wire], observed: Mapping[str, float]
) -> tuple[Fault, ...]:
    if case.entry == "compute_loss":
        return ()
    if (case.metrics or case.weighted_metrics) is None:
        kept = any(name.endswith("mae") for name in observed)
        kept = kept and case.compiled_twice
        return (fault(case, "metric", "kept"),) if kept else ()
    many = len(wires) > 1
    reported = {
        name: value
        for name, value in observed.items()
        if name in FUNCTIONS or name.rpartition("_")[2] in FUNCTIONS
    }
    right = _measured(wires)
    if case.metric_names != "own":
        # They are told by their numbers alone, whatever they are called.
        if all_reported(case, observed):
            return ()
        every = case.metric_names == "loss"
        named_so = (name for name in observed if every or name[-4:] != "loss")
        numbers = [observed[name] for name in named_so if " of " not in name]
    components: tuple[Component, ...] = ("metric target", "metric", "name")
    if case.weighted_metrics is not None and not isinstance(case.sample_weight, One | None):
        components = (*components, "metric weight")
    if case.entry == "evaluate as list":
        several = [one.value for one in expected(case) if one.name == RESULTS]
        told = observed.get(RESULTS, math.nan)
        if several and told > several[0]:
            return (fault(case, "metric", "doubled", (("a metric", None),)),)
        if several and told < several[0]:
            return (fault(case, "metric", "left out"),)
    # Of metrics and weighted ones either may have gone astray, or both.
    alone = ((True, True), (True, False), (False, True))
    moving = alone if case.metrics and case.weighted_metrics else alone[:1]
    for orders, (plain, weighted) in product(wirings(case, len(components)), moving):
        targets, metrics, names, *samples = orders
        would = {}
        for index, wire in enumerate(wires):
            wired = replace(
                wire,
                target=wires[targets[index]].target,
                metrics=wires[metrics[index]].metrics if plain else wire.metrics,
                weighted=wires[metrics[index]].weighted if weighted else wire.weighted,
                sample=wires[samples[0][index]].sample if samples else wire.sample,
            )
            name = wires[names[index]].name
            for metric, value, _ in wired.measured():
                would[f"{name}_{metric}" if many else metric] = value
        if case.metric_names != "own":
            found = all(any(close(one, value) for one in numbers) for value in would.values())
        else:
            found = would.keys() == reported.keys() and all(
                close(reported[name], value) for name, value in would.items()
            )
        if found:
            about = case if plain else case.but(metrics=None, metric_names="own")
            return faults_of(about, wires, components, orders)
    if case.entry == "evaluate as list":
        # Outputs with several metrics move those of the others by more than one place.
        values = [observed.get(one.name, math.nan) for one in expected(case) if one.required][1:]
        for order, how in named_orders(case).items():
            moved = [value for index in order for _, value, _ in wires[index].measured()]
            if len(moved) == len(values) and all(map(close, moved, values)):
                return (fault(case, "name", how),)
    more = tuple((name, None) for name in reported if name not in right)
    if more and all(close(observed.get(name, math.nan), value) for name, value in right.items()):
        return (fault(case, "metric", "doubled", more),)
    return (fault(case, "metric", "unexplained"),)
