"""Find the plainest wiring of a case that gives the numbers that were observed.

Public: `read`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations, islice

from keras_repro.case import Case
from keras_repro.oracle import (
    INSIDE,
    REFUSED,
    Wire,
    kept,
    named,
    reports_each,
    wiring,
)
from keras_repro.routing.clashes import clash_faults
from keras_repro.routing.faults import Component, Fault, Routing, fault, faults_of
from keras_repro.routing.losses import (
    close,
    loss_faults,
    nameless_faults,
    paired_faults,
    reported_faults,
)
from keras_repro.routing.metrics import measured, metric_faults
from keras_repro.routing.ways import How, Order, feedings, wirings

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
    return Routing(losses + metric_faults(case, wires, observed))


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
    metrics = measured(wires)
    if not ("loss" in observed or metrics) or not close(observed.get("loss", total), total):
        return False
    many = len(wires) > 1
    # Not every release reports the loss of each output.
    told = ((wire, observed.get(f"{wire.name}_loss", wire.value)) for wire in wires if many)
    if not all(_told(wire, value) for wire, value in told if wire.loss):
        return False
    return all(close(observed.get(name, math.nan), value) for name, value in metrics.items())


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
