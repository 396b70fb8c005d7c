"""The pictures of a page, laid out: where each node, wire and mark stands. Pure.

Only places are reckoned here; the templates write them as inline SVG, and escape what they write.
(The libraries that write SVG from Python put text and attributes into it as they are, and names
hold anything.) Sizes are in units of the picture; a page scales it.

Public: `Panel`, `panels`, `Funnel`, `funnel`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from keras_bisect.verdict import Verdict
from keras_repro.case import Case
from keras_repro.oracle import Wire, wiring
from keras_repro.report.facts import Misroute
from keras_repro.report.looking import Stage
from keras_repro.report.markdown import visible

__all__ = ["Funnel", "Panel", "funnel", "panels"]

Way = Literal["right", "wrong", "due"]
"""`due`: where a wire should have led that went wrong."""

NODE: Final = 150.0
HIGH: Final = 40.0
ROW: Final = 64.0
WIDE: Final = 480.0
TOP: Final = 12.0
LETTERS: Final = 17
"""Characters that fit into a node."""


@dataclass(frozen=True)
class Node:
    """A box with a name and, below it, a value."""

    x: float
    y: float
    name: str
    """As much of it as fits."""
    whole: str
    """All of it, for whoever points at the box."""
    value: str


@dataclass(frozen=True)
class Strand:
    """A wire from an output to what it is given."""

    way: Way
    path: str
    label: str
    x: float
    y: float
    """Where the label stands."""


@dataclass(frozen=True)
class Panel:
    """One kind of thing that outputs are given, and who was given whose."""

    heading: str
    height: float
    outputs: tuple[Node, ...]
    given: tuple[Node, ...]
    strands: tuple[Strand, ...]
    """The wrong ones last, so that they lie on top."""
    words: tuple[str, ...]
    """The same as sentences, for whoever cannot see it."""

    width = WIDE
    node = (NODE, HIGH)


HEADINGS: Final = {
    "target": "targets",
    "loss": "losses",
    "weight": "loss weights",
    "metric target": "targets, in the metrics",
    "metric": "metrics",
    "name": "names in the report",
}


def panels(case: Case, misroutes: Sequence[Misroute]) -> list[Panel]:
    """A panel for each kind of thing that outputs of this case are given, the wrong kinds first."""
    wires = wiring(case)
    wrong = dict.fromkeys(one.part for one in misroutes)
    plain = ["target", "loss", *(["weight"] if case.loss_weights is not None else [])]
    plain += ["metric"] if case.metrics is not None else []
    return [
        _panel(part, wires, {m.output: m.source for m in misroutes if m.part == part})
        for part in dict.fromkeys([*wrong, *plain])
    ]


def _value(part: str, wire: Wire) -> str:
    match part:
        case "target" | "metric target":
            return f"{wire.target:g}"
        case "weight":
            return f"{wire.weight:g}"
        case "loss":
            return wire.loss or "no loss"
        case "metric":
            return ", ".join(wire.metrics) or "no metrics"
        case _:
            return wire.name


def _panel(part: str, wires: Sequence[Wire], wrong: dict[str, str | None]) -> Panel:
    names = [wire.name for wire in wires]
    of = {wire.name: wire for wire in wires}
    right_x = WIDE - NODE
    outputs, given = [], []
    strands: list[Strand] = []
    words = []
    for row, wire in enumerate(wires):
        y = TOP + row * ROW
        outputs.append(_node(0.0, y, wire.name, f"predicts {wire.predicts:g}"))
        given.append(_node(right_x, y, wire.name, _value(part, wire)))
        if wire.name not in wrong:
            strands.append(_strand("right", row, row, ""))
            continue
        source = wrong[wire.name]
        strands.append(_strand("due", row, row, ""))
        gets = "nothing" if source is None else _value(part, of[source])
        label = visible(f"{gets}, not {_value(part, wire)}", 30)
        if source is not None and source in of:
            strands.append(_strand("wrong", row, names.index(source), label))
        whose = "nobody" if source is None else repr(source)
        words.append(f"{wire.name!r} is given that of {whose}: {label}")
    if not words:
        words.append("each output is given its own")
    order = {"due": 0, "right": 1, "wrong": 2}
    strands.sort(key=lambda one: order[one.way])
    height = TOP * 2 + (len(wires) - 1) * ROW + HIGH
    return Panel(
        HEADINGS.get(part, part), height, tuple(outputs), tuple(given), tuple(strands), tuple(words)
    )


def _node(x: float, y: float, name: str, value: str) -> Node:
    return Node(x, y, visible(name, LETTERS), visible(name, 400), visible(value, LETTERS))


def _strand(way: Way, start: int, end: int, label: str) -> Strand:
    left, right = NODE, WIDE - NODE
    one, other = (TOP + row * ROW + HIGH / 2 for row in (start, end))
    bend = (right - left) * 0.45
    path = (
        f"M{left:g} {one:g}C{left + bend:g} {one:g} {right - bend:g} {other:g} {right:g} {other:g}"
    )
    # Beside the output, on the side that the wire turns away from: wires cross further on.
    return Strand(way, path, label, left + 10, one + (22 if end < start else -9))


# -- the funnel ------------------------------------------------------------------------------------

LEFT: Final = 178.0
RIGHT: Final = 850.0
STEP: Final = 84.0
MANY: Final = 20
"""Probes in a stage that can still be numbered."""


@dataclass(frozen=True)
class Mark:
    """A probe: its verdict, its number, where it stands."""

    x: float
    verdict: Verdict
    number: str
    whole: str


@dataclass(frozen=True)
class Level:
    """A stage: a line of builds, and those of them that were probed."""

    y: float
    heading: str
    detail: str
    ticks: tuple[float, ...]
    marks: tuple[Mark, ...]
    throat: str
    """The outline from the two neighbours it came down to, to the next level; empty at the last."""


@dataclass(frozen=True)
class Funnel:
    """The whole way from all releases to a file."""

    levels: tuple[Level, ...]
    height: float

    width = RIGHT + 20
    span = (LEFT, RIGHT)


WORDS: Final = {
    "releases": ("release", "releases"),
    "nightlies": ("nightly", "nightlies"),
    "commits": ("commit", "commits"),
    "files": ("file", "files"),
}


def funnel(stages: Sequence[Stage]) -> Funnel | None:
    """The funnel of a bisect; None where nothing was narrowed."""
    if not stages:
        return None
    return Funnel(tuple(_levels(stages)), STEP * len(stages))


def _levels(stages: Sequence[Stage]) -> Iterator[Level]:
    for place, stage in enumerate(stages):
        y = 44.0 + place * STEP
        one, many = WORDS[stage.kind]
        seconds = f"{stage.seconds:.1f} s" if stage.seconds else "known already"
        last = place == len(stages) - 1
        yield Level(
            y=y,
            heading=f"{stage.builds} {one if stage.builds == 1 else many}",
            detail=f"{len(stage.steps)} probed, {seconds}",
            ticks=tuple(_x(n / max(stage.builds - 1, 1)) for n in range(min(stage.builds, 400))),
            marks=tuple(_marks(stage)),
            throat="" if last or not stage.ends else _throat(stage.ends, y),
        )


def _x(place: float) -> float:
    return LEFT + 14 + (RIGHT - LEFT - 28) * place


def _marks(stage: Stage) -> Iterator[Mark]:
    numbered = len(stage.steps) <= MANY
    first = min(step.order for step in stage.steps)
    for step in sorted(stage.steps, key=lambda step: step.place):
        runs = f", {step.runs} runs" if step.runs > 1 else ""
        yield Mark(
            _x(step.place),
            step.verdict,
            str(step.order - first + 1) if numbered else "",
            f"{step.order}: {step.build} {step.verdict}, {step.seconds:.1f} s{runs}",
        )


def _throat(ends: tuple[float, ...], y: float) -> str:
    left, right = _x(ends[0]), _x(ends[1])
    below = y + STEP - 26
    return f"M{left:g} {y + 12:g}L{LEFT:g} {below:g}L{RIGHT:g} {below:g}L{right:g} {y + 12:g}Z"
