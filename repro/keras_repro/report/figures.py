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
from keras_repro.report.ends import End, ends_of
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
    kind: str
    """`outputs` or `inputs`: what stands on the left."""
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
    "sample weight": "sample weights",
    "metric target": "targets, in the metrics",
    "metric": "metrics",
    "metric weight": "sample weights, in the metrics",
    "name": "names in the report",
    "input": "data",
    "prediction": "predictions",
}


def panels(case: Case, misroutes: Sequence[Misroute]) -> list[Panel]:
    """A panel for each kind of thing that outputs of this case are given, the wrong kinds first."""
    parts = list(dict.fromkeys(one.part for one in misroutes))
    if not case.predicting:
        parts += ["target", "loss", *(["weight"] if case.loss_weights is not None else [])]
        parts += ["metric"] if case.metrics is not None else []
    found = []
    for part in dict.fromkeys(parts):
        mine = [one for one in misroutes if one.part == part]
        if ends := ends_of(case, part, mine):
            found.append(_panel(part, ends, {one.output: one.source for one in mine}))
    return found


def _panel(part: str, ends: Sequence[End], wrong: dict[str, str | None]) -> Panel:
    names = [end.name for end in ends]
    of = {end.name: end for end in ends}
    right_x = WIDE - NODE
    outputs, given = [], []
    strands: list[Strand] = []
    words = []
    for row, end in enumerate(ends):
        y = TOP + row * ROW
        outputs.append(_node(0.0, y, end.name, end.says or end.kind))
        given.append(_node(right_x, y, end.name, end.own))
        if end.name not in wrong:
            strands.append(_strand("right", row, row, ""))
            continue
        source = wrong[end.name]
        strands.append(_strand("due", row, row, ""))
        gets = "nothing" if source is None else of[source].own
        label = visible(f"{gets}, not {end.own}", 30)
        if source is not None:
            strands.append(_strand("wrong", row, names.index(source), label))
        whose = "nobody" if source is None else repr(source)
        words.append(f"{end.name!r} is given that of {whose}: {label}")
    if not words:
        words.append("each is given its own")
    order = {"due": 0, "right": 1, "wrong": 2}
    strands.sort(key=lambda one: order[one.way])
    return Panel(
        heading=HEADINGS.get(part, part),
        kind=f"{ends[0].kind}s",
        height=TOP * 2 + (len(ends) - 1) * ROW + HIGH,
        outputs=tuple(outputs),
        given=tuple(given),
        strands=tuple(strands),
        words=tuple(words),
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
