"""Observed numbers, read back: which target, loss, weight and metric reached which output. Pure.

The oracle's constants are such that every way to bring outputs, targets, losses and weights together
gives a total of its own. So the way that Keras took can be found: all ways are tried, the ones that
move the least first, until one gives the number that was observed.

Public: `Routing`, `Wired`, `read`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from keras_repro.case import ByName, Case, InOrder, One
from keras_repro.oracle import (
    Wire,
    loss_rules,
    metric_rules,
    number,
    target_rules,
    weight_rules,
    wiring,
)

__all__ = ["Part", "Routing", "Table", "Wired", "read"]

Table = Mapping[str, tuple[float | None, float | None]]
"""What a script printed: name -> (expected, observed)."""

Part = Literal["output", "loss", "target", "weight", "metric", "report"]
"""What was taken from the wrong place. `output`: everything but the prediction, which is as good as
the prediction alone. `report`: the numbers are right, a name they are reported under is not."""

Order = tuple[int, ...]

TOLERANCE = 1e-5
"""Relative; that of the script."""

# What is moved together, the simplest explanation first.
MOVES: tuple[tuple[Part, ...], ...] = (
    ("output",),
    ("loss",),
    ("target",),
    ("weight",),
    ("output", "weight"),
    ("loss", "target"),
    ("loss", "weight"),
    ("target", "weight"),
    ("loss", "target", "weight"),
)


@dataclass(frozen=True)
class Wired:
    """What one output met: the names of the outputs whose target, loss and weight it was given.

    None where it met nothing (no loss was computed for it), or where that could not be read.
    """

    output: str
    target: str | None
    loss: str | None
    weight: str | None

    @property
    def right(self) -> bool:
        """Whether all that it met was its own."""
        return {self.target, self.loss, self.weight} == {self.output}


@dataclass(frozen=True)
class Routing:
    """How a run with wrong numbers brought things together."""

    part: Part
    how: str
    """`alphabetical`, `reordered`, `left out` or `unexplained`."""
    wires: tuple[Wired, ...]
    sentences: tuple[str, ...]
    rules: tuple[str, ...]
    forms: str
    """The containers that take part, as `list outputs, dict loss, dict targets`."""

    @property
    def signature(self) -> str:
        """Equal for two failures of one kind, whatever the names and however many outputs."""
        return f"{self.part} {self.how}: {self.forms}"


def read(case: Case, table: Table) -> Routing | None:
    """Explain the wrong numbers of a run; None if none is wrong."""
    wrong = {name for name, (want, got) in table.items() if _wrong(name, want, got)}
    if not wrong:
        return None
    wires = wiring(case)
    total = table.get("loss", (None, None))[1]
    if "loss" in wrong:
        return _read_total(case, wires, total)
    straight = tuple(Wired(wire.name, *[wire.name] * 3) for wire in wires)
    metrics = {name for name in wrong if not name.endswith("_loss")}
    if metrics:
        sentences = tuple(_metric_sentence(wires, n, table[n][1]) for n in sorted(metrics))
        missing = all(table[name][1] is None for name in metrics)
        how = "left out" if missing else "reordered"
        return _routing(case, "metric", how, straight, sentences)
    sentences = tuple(
        f"{name!r} is reported as {table[name][1]:g} instead of {table[name][0]:g}"
        for name in sorted(wrong)
    )
    return _routing(case, "report", "reordered", straight, sentences)


def _wrong(name: str, want: float | None, got: float | None) -> bool:
    if want is None:
        return False
    if got is None:
        # Not every release reports the loss of each output.
        return not name.endswith("_loss")
    return not _close(got, want)


def _close(observed: float, wanted: float) -> bool:
    return abs(observed - wanted) <= TOLERANCE * max(1.0, abs(wanted))


def _read_total(case: Case, wires: tuple[Wire, ...], total: float | None) -> Routing:
    straight = tuple(range(len(wires)))
    if total is not None:
        for moved, orders in _ways(len(wires), [wire.name for wire in wires]):
            if _close(total, _total(wires, orders)):
                return _moved(case, wires, moved, orders)
        for kept in _subsets(straight):
            value = sum(_one(wires, i, i, i, i) for i in kept)
            if _close(total, value):
                return _left_out(case, wires, kept)
        if case.loss_weights and _close(total, sum(_one(wires, i, i, i, None) for i in straight)):
            unweighted = tuple(Wired(w.name, w.name, w.name, None) for w in wires)
            said = ("the total is the sum of the losses without their weights",)
            return _routing(case, "weight", "left out", unweighted, said)
    unknown = tuple(Wired(wire.name, None, None, None) for wire in wires)
    said = ("the total loss is not one that any pairing of the outputs gives",)
    return _routing(case, "output", "unexplained", unknown, said)


Orders = Mapping[str, Order]


def _ways(n: int, names: list[str]) -> Iterator[tuple[tuple[Part, ...], Orders]]:
    """Every way to move something, the simplest first: for each part, whose entry position i gets."""
    straight = tuple(range(n))
    alphabetical = tuple(sorted(straight, key=lambda i: names[i]))
    others = [o for o in itertools.permutations(straight) if o not in (straight, alphabetical)]
    moving = ([alphabetical] if alphabetical != straight else []) + others
    for moved in MOVES:
        for chosen in itertools.product(moving, repeat=len(moved)):
            yield moved, dict(zip(moved, chosen, strict=True))


def _total(wires: tuple[Wire, ...], orders: Orders) -> float:
    straight = tuple(range(len(wires)))
    parts = (orders.get(part, straight) for part in ("output", "target", "loss", "weight"))
    return sum(_one(wires, *indexes) for indexes in zip(*parts, strict=True))


def _one(wires: tuple[Wire, ...], output: int, target: int, loss: int, weight: int | None) -> float:
    function = wires[loss].loss
    if function is None:
        return 0.0
    factor = 1.0 if weight is None else wires[weight].weight
    return factor * number(function, wires[output].predicts, wires[target].target)


def _subsets(indexes: Order) -> Iterator[Order]:
    for size in range(len(indexes) - 1, -1, -1):
        yield from itertools.combinations(indexes, size)


def _moved(case: Case, wires: tuple[Wire, ...], moved: tuple[Part, ...], orders: Orders) -> Routing:
    straight = tuple(range(len(wires)))
    names = [wire.name for wire in wires]
    output = orders.get("output", straight)
    met: dict[str, Wired] = {}
    for i in straight:
        met[names[output[i]]] = Wired(
            names[output[i]],
            *(names[orders.get(part, straight)[i]] for part in ("target", "loss", "weight")),
        )
    wired = tuple(met[name] for name in names)
    alphabetical = tuple(sorted(straight, key=lambda i: names[i]))
    inverse = tuple(alphabetical.index(i) for i in straight)
    how = "alphabetical" if set(orders.values()) <= {alphabetical, inverse} else "reordered"
    sentences = tuple(_sentence(one) for one in wired if not one.right)
    return _routing(case, moved[0], how, wired, sentences)


def _sentence(wired: Wired) -> str:
    said = []
    if wired.target != wired.output:
        said.append(f"was computed from the target of {wired.target!r}")
    if wired.loss not in (wired.output, wired.target):
        said.append(f"was computed with the loss function of {wired.loss!r}")
    elif wired.loss != wired.output and wired.target == wired.output:
        said.append(f"was computed with the loss function of {wired.loss!r}")
    if wired.weight not in (wired.output, wired.target):
        said.append(f"was weighted with the weight of {wired.weight!r}")
    elif wired.weight != wired.output and wired.target == wired.output:
        said.append(f"was weighted with the weight of {wired.weight!r}")
    return f"the loss of output {wired.output!r} " + " and ".join(said)


def _left_out(case: Case, wires: tuple[Wire, ...], kept: Order) -> Routing:
    wired = tuple(
        Wired(wire.name, *[wire.name if i in kept else None] * 3) for i, wire in enumerate(wires)
    )
    said = tuple(
        f"the loss of output {wire.name!r} is missing from the total"
        for i, wire in enumerate(wires)
        if i not in kept
    )
    return _routing(case, "loss", "left out", wired, said)


def _metric_sentence(wires: tuple[Wire, ...], name: str, observed: float | None) -> str:
    if observed is None:
        return f"the metric {name!r} is not reported"
    for right, target, metric in itertools.product(wires, wires, ("mse", "mae")):
        if name in (f"{right.name}_{m}" for m in right.metrics):
            value = number(metric, right.predicts, target.target)
            if _close(observed, value) and target is not right:
                return f"the metric {name!r} was computed from the target of {target.name!r}"
    for one, target, metric in itertools.product(wires, wires, ("mse", "mae")):
        if _close(observed, number(metric, one.predicts, target.target)):
            return (
                f"the metric {name!r} is the {metric} of output {one.name!r} "
                f"and the target of {target.name!r}"
            )
    return f"the metric {name!r} is {observed:g}, which no pairing gives"


def _routing(
    case: Case, part: Part, how: str, wires: tuple[Wired, ...], sentences: tuple[str, ...]
) -> Routing:
    rules = {
        "output": loss_rules(case) | target_rules(case),
        "loss": loss_rules(case),
        "target": target_rules(case),
        "weight": weight_rules(case),
        "metric": metric_rules(case) | target_rules(case),
        "report": {"R23"},
    }[part]
    # These say how a form is to be read, not what is paired with what.
    telling = rules - {"R8", "R12", "R17"} or rules
    ordered = tuple(sorted(telling, key=lambda rule: int(rule[1:])))
    return Routing(part, how, wires, sentences, ordered, forms(case, part))


def forms(case: Case, part: Part) -> str:
    """The containers that take part in a failure, in words."""
    outputs = "dict" if case.container == "dict" else "list"
    words = [f"{outputs} outputs"]
    if part != "metric":
        words.append(f"{_kind(case.loss)} loss")
    if part == "weight":
        words.append(f"{_kind(case.loss_weights)} weights")
    if part == "metric":
        words.append(f"{_kind(case.metrics)} metrics")
    if part != "weight":
        words.append(f"{_kind(case.targets)} targets")
    return ", ".join(words)


def _kind(given: object) -> str:
    match given:
        case One():
            return "one"
        case InOrder():
            return "list"
        case ByName():
            return "dict"
    return "no"
