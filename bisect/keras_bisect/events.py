"""What happens during a search, as it happens. Whoever wants to show, count or keep it listens.

Public: `Event` and its kinds, `Listener`, `ignore`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from keras_bisect.outcome import Outcome, Tree
from keras_bisect.verdict import Judged

__all__ = ["Event", "Judgement", "Listener", "Narrowed", "Notice", "Probed", "Stage", "ignore"]


@dataclass(frozen=True)
class Stage:
    """A new part of the work begins."""

    name: str
    total: int | None = None
    """How many probes it takes, where that is known."""


@dataclass(frozen=True)
class Probed:
    """A probe ended, or is known to be that of a build with the same sources. Told once a build."""

    script: str
    """sha256 of its text."""
    build: str
    content: str
    """Content identity of the build."""
    tree: Tree
    backend: str
    outcome: Outcome
    same_as: str | None = None
    """The build with the same sources whose probe this is; None for a probe of its own."""


@dataclass(frozen=True)
class Judgement:
    """A probe was held against the failure that is looked for."""

    build: str
    judged: Judged


@dataclass(frozen=True)
class Narrowed:
    """The range in which a change lies is smaller now."""

    last: str
    first: str
    builds_left: int
    steps_left: int


@dataclass(frozen=True)
class Notice:
    """Something a person should know, and need not act on."""

    text: str


Event = Stage | Probed | Judgement | Narrowed | Notice
Listener = Callable[[Event], None]


def ignore(_event: Event) -> None:
    """Listen to nothing."""
