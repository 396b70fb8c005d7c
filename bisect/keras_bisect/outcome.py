"""What one run of a script did, before anybody judges it.

What happened and what it means are two types: an `Outcome` says that the script ended with exit
code 1 after a `KeyError` inside Keras; whether that is *bad* is for `verdict.py`. Pure data.

Public: `Outcome`, `Ended`, `Loaded`, `Raised`, `Tree`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

__all__ = ["TREES", "Ended", "Loaded", "Outcome", "Raised", "Tree"]

Tree = Literal["optree", "dm-tree"]
"""What `keras.tree` rests on: what Keras takes by itself, or what it takes without optree."""

TREES: tuple[Tree, Tree] = ("optree", "dm-tree")


class Ended(StrEnum):
    """How the process of a script ended."""

    EXIT = "exit"
    """By itself, with an exit code."""
    SIGNAL = "signal"
    """Killed by a signal that the harness did not send: a crash."""
    TIMEOUT = "timeout"
    """Killed by the harness: it ran longer than it was given."""
    MEMORY = "memory"
    """Killed by the harness: it and its children used more memory than they were given."""


@dataclass(frozen=True)
class Loaded:
    """The Keras that a script imported, as its own process saw it."""

    path: str
    """The file `keras/__init__.py` was loaded from."""
    version: str | None = None
    """`keras.__version__`; None where the import did not get that far."""
    tree: str | None = None
    """`optree`, `dm-tree` or `torchtree`, under `keras.tree`; None where it could not be told."""


@dataclass(frozen=True)
class Raised:
    """An exception that left the script, or the import of Keras."""

    type: str
    """The class, with its module unless it is a built-in: `KeyError`, `keras.src.…Error`."""
    message: str
    frames: tuple[str, ...] = ()
    """The last frames inside Keras, outermost first, as `src/trainers/compile_utils.py:call`."""

    def __str__(self) -> str:
        """One line, as the end of a traceback."""
        line = " ".join(self.message.split())
        return f"{self.type}: {line}" if line else self.type


@dataclass(frozen=True)
class Outcome:
    """One probe: one run of one script under one build."""

    ended: Ended
    code: int | None
    """The exit code, or the number of the signal; None where the harness ended it."""
    seconds: float
    loaded: Loaded | None = None
    """None where the script never imported keras."""
    import_error: Raised | None = None
    """Why `import keras` failed, where it did."""
    raised: Raised | None = None
    """The exception that ended the script, where one did."""
    stdout: str = ""
    """What it printed, bounded: the beginning and the end are kept."""
    stderr: str = ""
