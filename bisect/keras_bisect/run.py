"""What was asked of a search: all that, if it were changed, would change what it found. Pure.

A search that was interrupted may go on only as the same search. So its journal begins with the
`Run`, and whoever goes on holds it against theirs.

Public: `Run`, `differences`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from keras_bisect.wording import gigabytes

__all__ = ["Run", "differences"]


@dataclass(frozen=True)
class Run:
    """A command and all that gives its findings their meaning."""

    command: str
    """`bisect`, `hunt`, …"""
    script: str
    """sha256 of its text."""
    filename: str
    """Where the script is: it may import what lies beside it."""
    good: str | None
    """The good end by its full name; None where none was given."""
    bad: str | None
    tree: str
    backend: str
    environment: Mapping[str, str] = field(default_factory=dict)
    """Python, platform, versions of what Keras rests on: name -> value."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Options that change what is found, without the dashes: `to`, `match`, `timeout`, …"""


def differences(old: Run, new: Run) -> list[str]:
    """What has changed from one run to another, a phrase each; empty if it is the same search.

    >>> old = Run("bisect", "1a", "repro.py", "3.4.1", None, "optree", "jax", {"jax": "0.4.30"})
    >>> new = Run("bisect", "1a", "repro.py", "3.4.0", None, "optree", "jax", {"jax": "0.5.0"})
    >>> differences(old, new)
    ['--good was 3.4.1 and is 3.4.0 now', 'jax was 0.4.30 and is 0.5.0 now']
    """
    return list(_differences(old, new))


def _differences(old: Run, new: Run) -> Iterator[str]:
    if old.command != new.command:
        yield f"the command was {old.command} and is {new.command} now"
    if old.script != new.script:
        yield "the script has changed"
    if old.filename != new.filename:
        yield f"the script was {old.filename} and is {new.filename} now"
    for name in ("good", "bad", "tree", "backend"):
        yield from _was(f"--{name}", getattr(old, name), getattr(new, name), "not given")
    for name in _names(old.options, new.options):
        values = (old.options.get(name), new.options.get(name))
        yield from _was(_flag(name), *values, "not given", partial(_written, name))
    for name in _names(old.environment, new.environment):
        yield from _was(name, old.environment.get(name), new.environment.get(name), "absent")


def _was(
    name: str, old: str | None, new: str | None, none: str, written: Callable[[str], str] = str
) -> Iterator[str]:
    if old != new:
        before, now = (none if one is None else written(one) or "empty" for one in (old, new))
        yield f"{name} was {before} and is {now} now"


def _flag(name: str) -> str:
    return "--fresh" if name == "start" else f"--{name}"


def _written(name: str, value: str) -> str:
    """The value of an option as a person writes it."""
    if name == "start" or value in ("True", "False"):
        return "given" if value in ("True", "fresh") else "not given"
    if name == "memory" and re.fullmatch("[0-9]{1,18}", value):
        return gigabytes(int(value))
    return value


def _names(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """The names of both, those of the old first, in their order."""
    return list(dict.fromkeys([*old, *new]))
