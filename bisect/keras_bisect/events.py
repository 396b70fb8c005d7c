"""What happens during a search, as it happens. Whoever wants to show, count or keep it listens.

Public: `Event` and its kinds, `Listener`, `ignore`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from keras_bisect.outcome import Outcome, Tree
from keras_bisect.run import Run
from keras_bisect.verdict import Judged, Signature

__all__ = [
    "Began",
    "Ended",
    "Event",
    "Judgement",
    "Learned",
    "Listener",
    "Narrowed",
    "Notice",
    "Probed",
    "Stage",
    "ignore",
]


@dataclass(frozen=True)
class Began:
    """A command began its work, or goes on with the work of one that was interrupted."""

    run: Run
    time: datetime
    """When, UTC."""
    pid: int
    """The process that does the work."""
    started: float | None
    """When that process was started, seconds since 1970: a pid alone is soon another's."""
    resumed: bool = False
    """It goes on: what was recorded since the `Began` before it belongs to it, too."""


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
    sample: int = 0
    """Which run of this script under this content it is, the first is 0."""
    folder: str = ""
    """Where modules of the script's own are looked for; empty for a text that was made."""


@dataclass(frozen=True)
class Learned:
    """The failure that is looked for is known now; what follows is judged by it."""

    signature: Signature


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


@dataclass(frozen=True)
class Ended:
    """The work of a command ended, with an answer or without."""

    code: int
    """Its exit code."""
    time: datetime
    """When, UTC."""
    reason: str = ""
    """Why there is no answer, as it was told to the person; empty where there is one."""
    transitions: tuple[Mapping[str, Any], ...] = ()
    """The answer, as documents (`documents.transition_document`): shown, never judged."""


Event = Began | Stage | Probed | Learned | Judgement | Narrowed | Notice | Ended
Listener = Callable[[Event], None]


def ignore(_event: Event) -> None:
    """Listen to nothing."""
