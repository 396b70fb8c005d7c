"""What is wrong with the losses that were reported: the total, and that of each output.

Public: `loss_faults`, `paired_faults`, `reported_faults`, `nameless_faults`, `close`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from keras_repro.case import LEVEL, ByName, Case
from keras_repro.oracle import Wire, expected, reports_each
from keras_repro.routing.faults import Component, Fault, fault, faults_of
from keras_repro.routing.ways import Order, loss_wirings

__all__ = ["close", "loss_faults", "nameless_faults", "paired_faults", "reported_faults"]

RTOL: Final = 1e-5
"""As in the scripts: what they call wrong is wrong here."""

PAIRED: Final[tuple[Component, ...]] = ("target", "loss", "weight", "sample weight")
"""What meets an output to give its loss."""

INNER: Final = (0.0, 1.0)
"""The loss of the compiled model inside, before and after it is evaluated; no case has these."""


def close(one: float, other: float) -> bool:
    """Whether two numbers are the same, as the scripts hold them against each other."""
    return math.isclose(one, other, rel_tol=RTOL)


def loss_faults(
    case: Case, wires: Sequence[Wire], observed: Mapping[str, float]
) -> tuple[Fault, ...]:
    """The faults that explain the total, and the loss of each output where it is reported."""
    each = case.entry == "each loss"
    checked = [one for one in expected(case) if each or one.name == "loss" or not one.required]
    if (each or "loss" in observed) and all(
        close(observed[one.name], one.value) for one in checked if one.name in observed
    ):
        return ()
    if "loss" not in observed:
        return (fault(case, "total", "unexplained" if each else "left out"),)
    for explanation in EXPLANATIONS:
        if faults := explanation(case, wires, observed):
            return faults
    return (fault(case, "total", "unexplained"),)


def _inner(case: Case, wires: Sequence[Wire], observed: Mapping[str, float]) -> tuple[Fault, ...]:
    """The total is that of the model inside."""
    inner = case.inner and observed["loss"] in INNER
    return (fault(case, "total", "inner model"),) if inner else ()


def paired_faults(
    case: Case, wires: Sequence[Wire], observed: Mapping[str, float]
) -> tuple[Fault, ...]:
    """Targets, losses or weights met other outputs, and each reported loss is that of its name."""
    for orders in loss_wirings(case):
        if _explains(wires, orders, observed, told=True):
            return faults_of(case, wires, PAIRED, orders)
    return ()


def _paired_and_renamed(
    case: Case, wires: Sequence[Wire], observed: Mapping[str, float]
) -> tuple[Fault, ...]:
    """As `paired_faults`, and the names of what is reported went astray as well."""
    for orders in loss_wirings(case):
        if _explains(wires, orders, observed, told=False):
            return (*faults_of(case, wires, PAIRED, orders), fault(case, "name", "other order"))
    return ()


def _misreported(
    case: Case, wires: Sequence[Wire], observed: Mapping[str, float]
) -> tuple[Fault, ...]:
    """The total is right, and the losses of outputs beside it are wrong."""
    total = sum(wire.weight * wire.value for wire in wires)
    if not close(observed["loss"], total):
        return ()
    told = [(one, observed[f"{one.name}_loss"]) for one in wires if f"{one.name}_loss" in observed]
    wrong = tuple((wire.name, None) for wire, value in told if not close(value, wire.value))
    if all(close(value, _by_batch(wire)) for wire, value in told):
        return (fault(case, "reported loss", "by batch", wrong),)
    parts = [value / wire.value for wire, value in told if wire.value]
    if len(parts) == len(told) and all(close(part, parts[0]) for part in parts):
        return (fault(case, "reported loss", "in part", wrong),)
    return (fault(case, "reported loss", "unexplained"),)


def _by_place(
    case: Case, wires: Sequence[Wire], observed: Mapping[str, float]
) -> tuple[Fault, ...]:
    """A dict with other names than those of the outputs was taken as a list of its values."""
    for component, total in _totals_by_place(case, wires):
        if close(observed["loss"], total):
            return (fault(case, component, "by place"),)
    return ()


EXPLANATIONS: Final = (_inner, paired_faults, _paired_and_renamed, _misreported, _by_place)
"""Of a loss that is not the promised one, the plainest first: the first that fits is told."""


def _totals_by_place(case: Case, wires: Sequence[Wire]) -> Iterator[tuple[Component, float]]:
    """The totals if the values of such a dict are sorted by their keys, or as they were written;
    and so are the outputs.
    """
    parts: tuple[tuple[Component, str, Any], ...] = (
        ("target", "target", case.targets),
        ("weight", "weight", case.loss_weights),
        ("sample weight", "sample", case.sample_weight),
    )
    for component, part, given in parts:
        if not isinstance(given, ByName) or set(given.names) == set(case.names):
            continue
        for items in (sorted(given.items), given.items):
            for order in (sorted(wires, key=lambda wire: wire.name), wires):
                moved = [
                    replace(wire, **{part: items[place][1]}) if place < len(items) else wire
                    for place, wire in enumerate(order)
                ]
                yield component, sum(wire.weight * wire.value for wire in moved)


def _by_batch(wire: Wire) -> float:
    """The mean of the losses of the batches, as if they had equally many rows."""
    one_each = replace(wire, rows=(1,) * len(wire.rows), sample=None)
    return one_each.value


def reported_faults(
    case: Case, wires: Sequence[Wire], observed: Mapping[str, float]
) -> tuple[Fault, ...]:
    """The faults of what is reported of the loss of each output, beside the total."""
    if case.entry in LEVEL or not reports_each(case):
        return ()
    want = {f"{wire.name}_loss": wire for wire in wires if wire.loss}
    each = case.entry == "each loss"
    told = {
        name: value
        for name, value in observed.items()
        if name.endswith("_loss") or (each and name != "loss")
    }
    missing = tuple((wire.name, None) for name, wire in want.items() if name not in told)
    if missing and (told or each):
        return (fault(case, "reported loss", "left out", missing),)
    more = tuple((name, None) for name in told if name not in want)
    if not each:
        return ()
    if more:
        return (fault(case, "reported loss", "doubled", more),)
    weighted = {name: wire.weight * wire.value for name, wire in want.items()}
    if case.loss_weights is not None and all(close(told[n], v) for n, v in weighted.items()):
        went = tuple((wire.name, None) for wire in want.values() if wire.weight != 1.0)
        return (fault(case, "reported loss", "weighted", went),)
    return ()


def nameless_faults(case: Case, observed: Mapping[str, float]) -> tuple[Fault, ...]:
    """The faults of losses that are reported under whatever names: are they all there?"""
    want = expected(case)
    if len(observed) < len(want):
        return (fault(case, "reported loss", "left out"),)
    if all(close(observed.get(one.name, math.nan), one.value) for one in want):
        return ()
    return (fault(case, "total", "unexplained"),)


def _explains(
    wires: Sequence[Wire], orders: Sequence[Order], observed: Mapping[str, float], told: bool
) -> bool:
    targets, losses, weights, samples = orders
    plain, total = [], 0.0
    for index, wire in enumerate(wires):
        value = replace(
            wire,
            target=wires[targets[index]].target,
            loss=None if losses[index] < 0 else wires[losses[index]].loss,
            sample=_sample(wires, samples[index]),
        ).value
        weight = 1.0 if weights[index] < 0 else wires[weights[index]].weight
        plain.append((value, value * weight))
        total += value * weight
    if not close(observed["loss"], total):
        return False
    reported = [
        (i, observed[f"{w.name}_loss"]) for i, w in enumerate(wires) if w.name + "_loss" in observed
    ]
    if told:
        # Releases differ in whether they report it before or after weighting (R6).
        return all(any(close(value, one) for one in plain[index]) for index, value in reported)
    return any(
        all(any(close(value, one[kind]) for one in plain) for _, value in reported)
        for kind in (0, 1)
    )


def _sample(wires: Sequence[Wire], index: int) -> float | None:
    """The sample weight of an output; where it was not used, all rows weigh one."""
    return 1.0 if index < 0 else wires[index].sample
