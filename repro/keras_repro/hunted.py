"""What is known of the findings of a hunt so far, as data.

Public: `Hunt`, `Hunted`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from keras_bisect.outcome import Tree
from keras_bisect.transitions import Entry, Transition
from keras_repro.find import Finding

__all__ = ["Hunt", "Hunted"]


@dataclass
class Hunted:
    """One finding and what is known of it so far."""

    finding: Finding
    slug: str
    folder: Path
    entries: tuple[Entry, ...] = ()
    transitions: tuple[Transition, ...] = ()

    @property
    def script_file(self) -> Path:
        """The standalone script."""
        return self.folder / "repro.py"

    @property
    def case_file(self) -> Path:
        """The case it was rendered from."""
        return self.folder / "case.json"

    @property
    def passing_file(self) -> Path:
        """The nearest case that passes; only where one is known."""
        return self.folder / "passing.json"

    @property
    def history(self) -> tuple[object, ...] | None:
        """What changed it, where it is narrowed down to files, and what goes wrong.

        The same of two is one cause. A rewrite of a file changes many things at once; so what Keras
        raises is known by its place alone.
        """
        if self.finding.raised is not None:
            return None
        ends = tuple(
            (one.kind, one.first.commit or one.first.nightly, one.files) for one in self.transitions
        )
        known = ends and all(files for _, _, files in ends)
        return (*ends, self.finding.part) if known else None


@dataclass
class Hunt:
    """All findings of one search."""

    keras: str
    backend: str
    trees: tuple[Tree, ...]
    seed: int
    examples: int = 0
    avoided: int = 0
    """Cases that were drawn and not run, as it was known how they fail."""
    replayed: int = 0
    """Cases of earlier searches that were run first."""
    rate: float = 0.0
    """Cases a second."""
    findings: list[Hunted] = field(default_factory=list)
    unconfirmed: list[Finding] = field(default_factory=list)
    """What a process of its own did not show again."""
    seconds: float = 0.0
    interrupted: bool = False
    fault: Exception | None = None
    """What it ended with before its time; the findings are those from before it."""
    command: str = ""
    """What a person types to have it again; empty where nobody typed anything."""

    @property
    def early(self) -> bool:
        """Whether it ended before its time."""
        return self.interrupted or self.fault is not None

    def causes(self) -> list[int]:
        """A number for each finding: the same where, as far as is known, the cause is the same.

        Two have one cause if Keras raises in one place or wires one thing wrongly, see
        `Finding.cause`, or if the same files changed both at every end.
        """
        numbers: dict[object, int] = {}
        found: list[int] = []
        for hunted in self.findings:
            keys = [hunted.finding.cause, *([hunted.history] if hunted.history else [])]
            number = next((numbers[key] for key in keys if key in numbers), len(found) + 1)
            for key in keys:
                numbers.setdefault(key, number)
            found.append(number)
        order = {number: place for place, number in enumerate(dict.fromkeys(found), 1)}
        return [order[number] for number in found]
