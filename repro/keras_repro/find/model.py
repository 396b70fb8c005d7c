"""What a search may spend, and what it brings home, as data.

Public: `Budget`, `Finding`, `Found`, `Searched`, `size`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from keras_bisect.builds.build import Build
from keras_bisect.outcome import Raised, Tree
from keras_bisect.probe.prober import Script
from keras_bisect.verdict import Judged
from keras_repro.contract import rule
from keras_repro.find.condition import Condition
from keras_repro.reading import AnyCase, CaseSignature, Reading, render
from keras_repro.trees.case import TreeCase

__all__ = ["Budget", "Finding", "Found", "Searched", "size"]


BY_ACCIDENT = ("KeyError", "IndexError", "TypeError", "AttributeError", "StopIteration")
"""Exceptions that Python raises where something is not what Keras takes it for: which of them, and
what it says, depends on what it is instead."""

ORDERS = ("alphabet", "key order", "other order")
"""How what goes by an order goes astray when that is another."""


@dataclass(frozen=True)
class Budget:
    """How much a search may spend, and what it looks for."""

    max_examples: int | None = 150
    """Models drawn and run; shrinking comes on top. None: as many as the time allows."""
    structures_per_model: int = 2
    """Nested structures drawn for `keras.tree`, for each model; they cost a fiftieth of one."""
    first: bool = False
    """Stop at the first finding."""
    seconds: float | None = None
    """No case is begun after this time; what was found by then is still made small."""
    only: frozenset[str] = frozenset()
    """Rules; what breaks none of them is passed over. Empty: all of them."""
    without: frozenset[str] = frozenset()
    """Rules and signatures that are passed over."""
    deep: bool = False
    """Larger structures, and no end before the budget's."""

    def wants(self, reading: Reading) -> bool:
        """Whether a failure is one that is looked for."""
        if reading.signature in self.without or set(reading.rules) <= self.without:
            return False
        return not self.only or bool(self.only & set(reading.rules))

    def may_want(self, reading: Reading) -> bool:
        """Whether a failure may be one that is looked for, when it is small.

        What stands around a case decides by which rule it is wrong, as long as it stands there.
        """
        own = {fault.own for fault in reading.faults}
        return self.wants(reading) or bool(self.only & own and not own <= self.without)

    @property
    def models(self) -> bool:
        """Whether models are worth running: some rule is looked for that they can break."""
        return not self.only or any(not rule(one).id.startswith("T") for one in self.only)

    @property
    def structures(self) -> bool:
        """Whether structures are worth running."""
        named = not self.only or any(one.startswith("T") for one in self.only)
        return named and self.structures_per_model > 0


@dataclass(frozen=True)
class Finding:
    """A rule, the smallest case that was found to break it, and how."""

    case: AnyCase
    reading: Reading
    tree: Tree
    """The implementation it is shown under: optree, unless only dm-tree shows it."""
    trees: Mapping[Tree, Judged]
    """The verdict under each implementation that was searched."""
    examples: int
    """Cases that had been run when it was first seen; 0 if an earlier search had found it."""
    condition: Condition | None = None
    """What a case must be like to fail in this way; None where that was not learned."""
    share: float | None = None
    """Of the cases that were drawn, how many meet the condition."""
    passing: AnyCase | None = None
    """The nearest case that passes."""
    raised: Raised | None = None
    """The exception, where Keras said something."""
    build: Build | None = None
    """The build it was made small under, where more than one was searched."""

    @property
    def signature(self) -> CaseSignature:
        """What is the same failure in another build."""
        return CaseSignature(self.case, self.reading.signature)

    @property
    def script(self) -> Script:
        """The standalone script that shows it."""
        return render(self.case, self.tree)

    @property
    def cause(self) -> str:
        """What findings of one cause have in common, as far as one run can tell.

        The frames of Keras that raised, and what they said if they meant to say something; else
        what was wired wrongly by what was given; of a structure, the container. Only a bisect knows
        it for certain.
        """
        if self.raised is not None and self.raised.frames:
            said = "" if self.raised.type in BY_ACCIDENT else self.reading.signature
            return " ".join([*self.raised.frames, said])
        if self.reading.faults:
            fault = self.reading.faults[0]
            if self._reordered:
                return f"{fault.rule} {fault.how} {self._reordered}"
            part = fault.component.removeprefix("metric ")
            if fault.rule == "R24":
                # Where keys are not looked at, one too many moves the others, and a wrong one does.
                return f"{fault.rule} {part} {fault.given}"
            return f"{part} {fault.how} {fault.given}"
        if isinstance(self.case, TreeCase):
            return self.reading.signature.partition(" ")[2]
        return self.reading.signature

    @property
    def part(self) -> str:
        """What is wrong, in a word: `target`, `total`; of a structure, its function."""
        if self._reordered:
            return self._reordered
        return self.reading.signature.removeprefix("metric ").partition(" ")[0].rstrip(":")

    @property
    def _reordered(self) -> str:
        """The outputs that have another order after a round trip: what goes by it goes astray."""
        fault = next(iter(self.reading.faults), None)
        if fault is None or isinstance(self.case, TreeCase) or fault.rule != "R20":
            return ""
        by_order = fault.how in ORDERS and fault.component not in ("prediction", "input")
        return f"{self.case.container} outputs" if by_order else ""

    @property
    def order(self) -> tuple[bool, bool, float, bool, tuple[int, int, str]]:
        """The strongest first, models before structures, and of these the commonest: the rarer, the
        later. Of two as common, what trains wrongly and says nothing before what is refused; then
        the simplest.
        """
        return (
            self.reading.strength != "contract",
            isinstance(self.case, TreeCase),
            -round(self.share or 0.0, 1),
            self.reading.refused,
            size(self.case),
        )


@dataclass(frozen=True)
class Searched:
    """How far a search is."""

    examples: int
    findings: int
    shrunk: int
    avoided: int = 0
    """Cases that were drawn and not run: it is known how they fail."""
    seconds: float = field(default=0.0, compare=False)

    @property
    def rate(self) -> float:
        """Cases a second."""
        return self.examples / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class Found:
    """What a search brought home."""

    findings: tuple[Finding, ...]
    """In the order in which a person wants to read them, see `Finding.order`."""
    examples: int
    """Cases that were drawn and run, without those of shrinking."""
    seconds: float
    """Of drawing and running them."""
    shrinking_seconds: float
    interrupted: bool
    avoided: int = 0
    replayed: int = 0
    """Cases of earlier searches that were run first."""
    fault: Exception | None = None
    """What the search ended with before its time; the findings are those from before it."""


def size(case: AnyCase) -> tuple[int, int, str]:
    """Simpler is smaller: fewer lines, then fewer characters, then earlier in the alphabet."""
    text = render(case).text
    return text.count("\n"), len(text), text
