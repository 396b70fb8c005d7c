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


@dataclass
class Hunt:
    """All findings of one search."""

    keras: str
    backend: str
    trees: tuple[Tree, ...]
    seed: int
    examples: int = 0
    findings: list[Hunted] = field(default_factory=list)
    unconfirmed: list[Finding] = field(default_factory=list)
    """What a fresh interpreter did not show again."""
    seconds: float = 0.0
    interrupted: bool = False
    command: str = ""
    """What a person types to have it again; empty where nobody typed anything."""
