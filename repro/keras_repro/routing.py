"""Observed numbers, read back: which target, loss, weight and metrics reached which output.

A case is made so that every other way to wire it gives other numbers. So the ways are tried, the
plainest first (all right; something taken in the order of the alphabet; in the order of a dict's
keys; in any other order; left out), until one gives the numbers that were observed. What it wires
wrongly are the faults. The signature is that of the first fault: it names no output and counts
none, so a failure stays the same while its case shrinks, and from a release that reports the total
alone to one that reports the loss of each output.

Public: `read` (numbers to `Routing`), `refusal` (an exception to `Refusal`), `Fault`, `Component`,
`How`. Pure.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, permutations, product
from typing import Final, Literal

from keras_repro.case import ByName, Case, InOrder, One
from keras_repro.contract import Strength, strongest
from keras_repro.oracle import FUNCTIONS, Wire, expected, number, rules_of, wiring

__all__ = ["Component", "Fault", "How", "Refusal", "Routing", "read", "refusal"]

Component = Literal["target", "loss", "weight", "metric target", "metric", "name", "total"]
How = Literal[
    "alphabet", "key order", "closed up", "other order", "one for all", "left out", "unexplained"
]
"""`closed up`: each None of a list was dropped, and what stood behind it moved up."""

RTOL: Final = 1e-5
"""As in the scripts: what they call wrong is wrong here."""

Order = tuple[int, ...]
"""Whose share each output was given: output i was given that of output order[i]."""


@dataclass(frozen=True)
class Fault:
    """One component that did not reach its outputs, how it went wrong, the rule that says so.

    `went` pairs each output that was wronged with the output whose share it was given (None: no
    output's, or it cannot be told).
    """

    component: Component
    how: How
    rule: str
    given: str
    went: tuple[tuple[str, str | None], ...] = ()

    @property
    def signature(self) -> str:
        """What went wrong, without the names of outputs and their number."""
        return f"{self.component}: {self.how} ({self.given})"

    @property
    def strength(self) -> Strength:
        """That of the rule. But that a list follows the order in which a dict of outputs was
        written is said of losses and weights alone (functional guide); of the others it is our
        reading.
        """
        if self.given in ("list targets, dict outputs", "list metrics, dict outputs"):
            return "inconsistent"
        return strongest([self.rule])

    @property
    def sentences(self) -> tuple[str, ...]:
        """The fault in words, one sentence an output."""
        if self.how == "unexplained":
            what = "metrics" if self.component == "metric" else "losses"
            return (f"the {what} are those of no wiring of losses, targets and weights",)
        return tuple(_sentence(self.component, output, other) for output, other in self.went)


@dataclass(frozen=True)
class Routing:
    """What the observed numbers say about a case: its faults, the gravest first; none is right."""

    faults: tuple[Fault, ...]

    @property
    def right(self) -> bool:
        """Whether every number is as the rules say."""
        return not self.faults

    @property
    def signature(self) -> str:
        """What makes two failures the same failure: the first fault. `right` without one."""
        return self.faults[0].signature if self.faults else "right"

    @property
    def rules(self) -> tuple[str, ...]:
        """The ids of the rules that are broken, that of the signature first."""
        return tuple(dict.fromkeys(fault.rule for fault in self.faults))

    @property
    def sentences(self) -> tuple[str, ...]:
        """What went wrong, in words."""
        return tuple(sentence for fault in self.faults for sentence in fault.sentences)


@dataclass(frozen=True)
class Refusal:
    """An exception that Keras raised for a case that the rules allow."""

    type: str
    message: str
    rules: tuple[str, ...]

    @property
    def right(self) -> bool:
        """Never: every case is one that the rules allow."""
        return False

    @property
    def signature(self) -> str:
        """The kind of the exception and its message without names, numbers and structures."""
        return f"{self.type}: {self.message}"

    @property
    def sentences(self) -> tuple[str, ...]:
        """What went wrong, in words."""
        return (f"Keras refuses it with {self.type}: {self.message}",)


def read(case: Case, observed: Mapping[str, float]) -> Routing:
    """Find the plainest wiring of `case` that gives the numbers that Keras reported.

    `observed` holds every number that was reported, by name, also those the case does not expect.
    """
    wires = wiring(case)
    return Routing(_loss_faults(case, wires, observed) + _metric_faults(case, wires, observed))


# ---------------------------------------------------------------------------------------------
# Losses: the total, and the loss of each output where it is reported.


def _loss_faults(
    case: Case, wires: Sequence[Wire], observed: Mapping[str, float]
) -> tuple[Fault, ...]:
    checked = [one for one in expected(case) if one.name == "loss" or not one.required]
    if "loss" in observed and all(
        _close(observed[one.name], one.value) for one in checked if one.name in observed
    ):
        return ()
    if "loss" in observed:
        # Names that go astray are the last resort: first, each reported loss is that of its name.
        for named in (True, False):
            for orders in _loss_wirings(case):
                if _explains(wires, orders, observed, named):
                    components: tuple[Component, ...] = ("target", "loss", "weight")
                    faults = _faults(case, wires, components, orders)
                    return faults if named else (*faults, _fault(case, "name", "other order"))
    return (_fault(case, "total", "unexplained"),)


def _explains(
    wires: Sequence[Wire], orders: Sequence[Order], observed: Mapping[str, float], named: bool
) -> bool:
    targets, losses, weights = orders
    plain, total = [], 0.0
    for index, wire in enumerate(wires):
        loss = None if losses[index] < 0 else wires[losses[index]].loss
        value = 0.0 if loss is None else number(loss, wire.predicts, wires[targets[index]].target)
        weight = 1.0 if weights[index] < 0 else wires[weights[index]].weight
        plain.append((value, value * weight))
        total += value * weight
    if not _close(observed["loss"], total):
        return False
    reported = [
        (i, observed[f"{w.name}_loss"]) for i, w in enumerate(wires) if w.name + "_loss" in observed
    ]
    if named:
        # Releases differ in whether they report it before or after weighting (R6).
        return all(any(_close(value, one) for one in plain[index]) for index, value in reported)
    return any(
        all(any(_close(value, one[kind]) for one in plain) for _, value in reported)
        for kind in (0, 1)
    )


# ---------------------------------------------------------------------------------------------
# Metrics: which were reported for which output, and from which target.


def _metric_faults(
    case: Case, wires: Sequence[Wire], observed: Mapping[str, float]
) -> tuple[Fault, ...]:
    if case.metrics is None:
        return ()
    many = len(wires) > 1
    reported = {
        name: value
        for name, value in observed.items()
        if name in FUNCTIONS or name.rpartition("_")[2] in FUNCTIONS
    }
    components: tuple[Component, ...] = ("metric target", "metric", "name")
    for orders in _wirings(case, 3):
        targets, metrics, names = orders
        would = {
            f"{wires[names[index]].name}_{metric}" if many else metric: number(
                metric, wire.predicts, wires[targets[index]].target
            )
            for index, wire in enumerate(wires)
            for metric in wires[metrics[index]].metrics
        }
        if would.keys() == reported.keys() and all(
            _close(reported[name], value) for name, value in would.items()
        ):
            return _faults(case, wires, components, orders)
    return (_fault(case, "metric", "unexplained"),)


# ---------------------------------------------------------------------------------------------
# The ways to wire a case, plainest first.


def _wirings(case: Case, components: int) -> tuple[tuple[Order, ...], ...]:
    return _all_wirings(len(case.outputs), components, tuple(_named_orders(case)))


def _loss_wirings(case: Case) -> Iterator[tuple[Order, Order, Order]]:
    """Yield the orders of targets, losses and weights."""
    same = tuple(range(len(case.outputs)))
    for targets, losses, *weights in _wirings(case, 2 if case.loss_weights is None else 3):
        yield targets, losses, weights[0] if weights else same
    for size in range(1, len(same) + 1):
        for left_out in combinations(same, size):
            yield same, tuple(-1 if index in left_out else index for index in same), same
    yield same, same, (-1,) * len(same)


@lru_cache(maxsize=16)
def _all_wirings(
    outputs: int, components: int, named: tuple[Order, ...]
) -> tuple[tuple[Order, ...], ...]:
    same = tuple(range(outputs))
    every = [*named, *permutations(range(outputs))]
    ones = [(index,) * outputs for index in range(outputs)] if outputs > 1 else []
    found: dict[tuple[Order, ...], None] = {(same,) * components: None}
    for orders in (named, every):
        for size in range(1, components + 1):
            for order, where in product(orders, combinations(range(components), size)):
                found[tuple(order if i in where else same for i in range(components))] = None
    for only, place in product(ones, range(components)):
        found[tuple(only if i == place else same for i in range(components))] = None
    mixed = product((same, *named), repeat=components)
    anyhow = product([same, *every], repeat=components)
    for wiring_ in (*mixed, *anyhow):
        found[wiring_] = None
    return tuple(found)


def _named_orders(case: Case) -> dict[Order, How]:
    """Return the orders that have a reason, and their inverses: that of the alphabet, that in which
    a dict was written, that of a list without its Nones.
    """
    names = case.names
    layers = [output.layer for output in case.outputs]
    same = tuple(range(len(names)))
    found: dict[Order, How] = {}

    def add(order: Order, how: How) -> None:
        if len(order) == len(same) and order != same:
            found.setdefault(order, how)
            found.setdefault(tuple(order.index(index) for index in same), how)

    if isinstance(case.loss, InOrder) and case.container != "dict":
        # A stable sort: those with a loss first, as if the others were not there.
        losses = case.loss.values
        add(tuple(sorted(same, key=lambda index: losses[index] is None)), "closed up")
    add(tuple(sorted(same, key=lambda index: names[index])), "alphabet")
    add(tuple(sorted(same, key=lambda index: layers[index])), "alphabet")
    for given in (case.targets, case.loss, case.loss_weights, case.metrics):
        if isinstance(given, ByName):
            add(tuple(names.index(name) for name in given.names), "key order")
    return found


def _faults(
    case: Case,
    wires: Sequence[Wire],
    components: Sequence[Component],
    orders: Sequence[Order],
) -> tuple[Fault, ...]:
    named = _named_orders(case)
    same = tuple(range(len(wires)))
    faults = []
    for component, order in zip(components, orders, strict=True):
        if order == same:
            continue
        how: How = named.get(order, "other order")
        if -1 in order:
            how = "left out"
        elif len(set(order)) < len(order):
            how = "one for all"
        went = tuple(
            (wires[index].name, None if other < 0 else wires[other].name)
            for index, other in enumerate(order)
            if index != other
        )
        faults.append(_fault(case, component, how, went))
    return tuple(faults)


def _fault(
    case: Case,
    component: Component,
    how: How,
    went: tuple[tuple[str, str | None], ...] = (),
) -> Fault:
    outputs = "dict outputs" if case.container == "dict" else "list outputs"
    rule = {
        "target": _target_rule(case),
        "metric target": _target_rule(case),
        "loss": _loss_rule(case),
        "weight": "R5",
        "metric": "R7",
        "name": "R23",
        "total": _loss_rule(case),
    }[component]
    if how not in ("alphabet", "key order") and rule == _loss_rule(case) and "R4" in rules_of(case):
        rule = "R4"
    passed: Mapping[Component, tuple[str, object]] = {
        "target": ("targets", case.targets),
        "metric target": ("targets", case.targets),
        "loss": ("loss", case.loss),
        "total": ("loss", case.loss),
        "weight": ("weights", case.loss_weights),
        "metric": ("metrics", case.metrics),
    }
    word, value = passed.get(component, ("", None))
    kind = {One: "one ", InOrder: "list ", ByName: "dict "}.get(type(value), "")
    given = f"{kind}{word}, {outputs}" if word else outputs
    return Fault(component, how, "R17" if how == "key order" else rule, given, went)


def _target_rule(case: Case) -> str:
    return "R11" if isinstance(case.targets, ByName) and case.container != "dict" else "R10"


def _loss_rule(case: Case) -> str:
    match case.loss:
        case One():
            return "R1"
        case InOrder():
            return "R2"
        case ByName():
            return "R3"


def _sentence(component: Component, output: str, other: str | None) -> str:
    if other is None:
        return {
            "loss": f"the loss of output {output!r} is not in the total",
            "weight": f"the weight of output {output!r} was not used",
        }.get(component, f"the {component} of output {output!r} is nobody's")
    return {
        "target": f"the loss of output {output!r} was computed from the target of {other!r}",
        "loss": f"output {output!r} was given the loss function of {other!r}",
        "weight": f"the loss of output {output!r} was weighted with the weight of {other!r}",
        "metric target": (
            f"the metrics of output {output!r} were computed from the target of {other!r}"
        ),
        "metric": f"output {output!r} was given the metrics of {other!r}",
        "name": f"the numbers of output {output!r} were reported under the name of {other!r}",
    }[component]


def _close(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=RTOL)


# ---------------------------------------------------------------------------------------------
# Refusals


_QUOTED: Final = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""")
_BRACKETED: Final = re.compile(r"(?:\w+\()?[\[({][^\[\](){}]*[\])}]\)?")
_NUMBER: Final = re.compile(r"0x[0-9a-f]+|\d+(?:\.\d+)?")
# Eager and graph say it differently: a key of a dict came where the dict's value belongs.
_KEY_AS_VALUE: Final = re.compile(r"Cannot convert '.*' to EagerTensor|but got .* of type 'str'")
_LONG: Final = 120


def refusal(case: Case, exception: str, message: str) -> Refusal:
    """Read an exception (its type and message) that Keras raised for `case`.

    The message loses what depends on the names and the number of outputs. The rules are the one
    that the message is about, where it says so, or else all that the case relies on: two refusals
    are the same where their signatures are, whatever the rules.
    """
    lines = [line.strip() for line in message.splitlines() if line.strip()] or [""]
    # A graph wraps the message of an exception: "in user code:", a traceback, the message.
    text = lines[-1] if lines[0].startswith("in user code") else lines[0]
    name = exception.rpartition(".")[2]
    text = text.removeprefix(f"{name}: ").partition(" Received")[0]
    if _KEY_AS_VALUE.search(text):
        return Refusal(name, "a key came in the place of a tensor", (_target_rule(case),))
    text = _QUOTED.sub("…", text)
    while (shorter := _BRACKETED.sub("…", text)) != text:
        text = shorter
    text = _NUMBER.sub("N", text)
    return Refusal(name, text[:_LONG].rstrip(), _refused(case, name, text))


def _refused(case: Case, exception: str, text: str) -> tuple[str, ...]:
    relied = rules_of(case)
    if "loss_weight" in text and "R5" in relied:
        return ("R5",)
    if "metrics" in text and "R7" in relied:
        return ("R7",)
    if exception == "StopIteration":  # of the data, which no name and no container is about
        return ("R19",)
    if "R4" in relied:
        return ("R4",)
    if "`loss`" in text:
        return (_loss_rule(case),)
    return tuple(rule for rule in relied if rule not in ("R8", "R12", "R17"))
