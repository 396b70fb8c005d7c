"""What outputs are given, or inputs are fed, by name: what the pictures of a routing are made of.

Public: `End`, `ends_of`. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from keras_repro.case import ByName, Case
from keras_repro.oracle import Wire, wiring
from keras_repro.report.facts import Misroute

__all__ = ["End", "ends_of"]


@dataclass(frozen=True)
class End:
    """An output or an input, and what belongs to it."""

    kind: str
    """`output` or `input`."""
    name: str
    says: str
    """What is known of it, in a few words; may be empty."""
    own: str
    """The value that belongs to it."""


def ends_of(case: Case, part: str, misroutes: Sequence[Misroute] = ()) -> tuple[End, ...]:
    """The ends of one part, in their order; none where the misroutes speak of others.

    Args:
        case: the case.
        part: as of a `Misroute`.
        misroutes: what went wrong with it.
    """
    found = tuple(_inputs(case) if part == "input" else _outputs(case, part))
    names = {one.name for one in found}
    spoken = {name for one in misroutes for name in (one.output, one.source) if name is not None}
    return found if spoken <= names else ()


def _inputs(case: Case) -> Iterator[End]:
    inputs = case.inputs
    if inputs is None:
        return
    fed = inputs.fed
    values = (
        fed.as_dict()
        if isinstance(fed, ByName)
        else dict(zip(inputs.names, fed.values, strict=True))
    )
    for name in inputs.names:
        value = values.get(name)
        yield End("input", name, "", "nothing" if value is None else f"{value:g}")


def _outputs(case: Case, part: str) -> Iterator[End]:
    for wire in wiring(case):
        yield End("output", wire.name, f"predicts {wire.predicts:g}", _value(part, wire))


def _value(part: str, wire: Wire) -> str:
    match part:
        case "target" | "metric target":
            return "no target" if wire.target is None else f"{wire.target:g}"
        case "weight":
            return f"{wire.weight:g}"
        case "sample weight" | "metric weight":
            return "none" if wire.sample is None else f"{wire.sample:g}"
        case "loss":
            return wire.loss or "no loss"
        case "metric":
            return ", ".join((*wire.metrics, *wire.weighted)) or "no metrics"
        case "prediction":
            return f"{wire.predicts:g}"
        case _:
            return wire.name
