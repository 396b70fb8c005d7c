"""The errors of the toolkit: each message is for a person, each class is an exit code.

A message says what was expected, what was found and what to do next. The class says who has to act,
and `exit_code` is what the command line ends with. Small subclasses exist where a program needs to
tell them apart. Some are answers rather than faults, and are named as answers (no "Error" suffix).

git knows other exit codes, see `git_code`.

Public: `KerasBisectError` and its four children, `BrokenBuild`, `NotCached`, `Unreachable`,
`INTERRUPTED`, `git_code`.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "INTERRUPTED",
    "BrokenBuild",
    "HarnessError",
    "Inconclusive",
    "KerasBisectError",
    "NotCached",
    "NotReproduced",
    "Unreachable",
    "UsageError",
    "git_code",
]

INTERRUPTED = 130
"""The exit code of a command that was stopped from the keyboard: what a shell says of it, too."""


class KerasBisectError(Exception):
    """Base of every error that is told to a person as one message, without a traceback."""

    exit_code: ClassVar[int] = 5


class UsageError(KerasBisectError):
    """What was asked for cannot be understood or does not exist: to be written differently."""

    exit_code: ClassVar[int] = 2


class NotReproduced(KerasBisectError):  # noqa: N818
    """An end of the line is not what it was said to be: a bad end is good, or a good end bad."""

    exit_code: ClassVar[int] = 3


class Inconclusive(KerasBisectError):  # noqa: N818
    """Only untestable or ambiguous builds are left: the message holds the range that remains."""

    exit_code: ClassVar[int] = 4


class HarnessError(KerasBisectError):
    """The harness failed (network, disk, environment). It never counts as a verdict."""

    exit_code: ClassVar[int] = 5


class Unreachable(HarnessError):  # noqa: N818
    """The index, or a file of it, could not be fetched."""


class NotCached(HarnessError):  # noqa: N818
    """Offline, and what is needed is not in the cache, or is damaged there."""


class BrokenBuild(HarnessError):  # noqa: N818
    """A build that cannot be had, today or any day: its wheel is gone, or is no usable wheel."""


def git_code(code: int) -> int:
    """The exit code, where there is no verdict, of a command that `git bisect run` runs.

    git takes whatever is below 128 for a verdict. 128 and 129 are what it ends with itself when it
    fails, and when it was asked for something wrong.

    >>> [git_code(code) for code in (1, UsageError.exit_code, HarnessError.exit_code, INTERRUPTED)]
    [128, 129, 128, 130]
    """
    return {UsageError.exit_code: 129, INTERRUPTED: INTERRUPTED}.get(code, 128)
