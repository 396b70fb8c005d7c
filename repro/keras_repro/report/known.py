"""Is it known already? A failure, held against the list of reported bugs that the project keeps.

The same signature in the same releases is the same bug. The same rule broken by the same commit is
likely to be. Nothing less counts: to call a new bug a known one is worse than to file one twice.

Public: `Known`, `Likeness`, `known_bugs`, `likenesses`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from packaging.version import Version
from pydantic import ConfigDict, TypeAdapter, ValidationError

from keras_bisect.errors import UsageError
from keras_bisect.transitions import Entry, Transition
from keras_bisect.verdict import Verdict
from keras_repro.report.facts import Facts
from keras_repro.report.wording import KERAS

__all__ = ["Known", "Likeness", "known_bugs", "likenesses"]


@dataclass(frozen=True)
class Known:
    """A bug that was reported."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    title: str
    issues: tuple[int, ...]
    rules: tuple[str, ...] = ()
    pulls: tuple[int, ...] = ()
    signatures: tuple[str, ...] = ()
    releases: tuple[str, ...] = ()
    begun_by: str = ""
    ended_by: str = ""

    @property
    def name(self) -> str:
        """What people call it."""
        return f"#{self.issues[0]}" if self.issues else f"#{self.pulls[0]}"

    @property
    def link(self) -> str:
        """Where it is talked about."""
        return f"{KERAS}/issues/{self.name[1:]}"


@dataclass(frozen=True)
class Likeness:
    """A known bug that a failure looks like, and why."""

    known: Known
    same: bool
    """Whether it is the same failure; else it only has the same cause."""

    def __str__(self) -> str:
        """One line for a person."""
        if self.same:
            return f"This looks like {self.known.name}: {self.known.title}. {self.known.link}"
        return (
            f"The commit that began or ended this did so for {self.known.name}, too: "
            f"{self.known.title}. {self.known.link}"
        )


_KNOWN = TypeAdapter(Known)


def known_bugs(folder: Path | None = None) -> list[Known]:
    """The list, in the order of the files' names.

    Args:
        folder: of TOML files; the project's own by default.

    Raises:
        UsageError: a file cannot be read, or is not one of a known bug.
    """
    root = files("keras_repro.known") if folder is None else folder
    found = []
    try:
        for file in sorted(root.iterdir(), key=lambda one: one.name):
            if file.name.endswith(".toml"):
                name = file.name
                found.append(_KNOWN.validate_python(tomllib.loads(file.read_text("utf-8"))))
    except OSError as error:
        raise UsageError(f"{folder}: known bugs cannot be read: {error.strerror}.") from error
    except (ValidationError, ValueError) as error:
        said = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise UsageError(f"{name} does not describe a known bug: {said}.") from error
    return found


def likenesses(
    facts: Facts,
    known: Iterable[Known],
    timeline: Sequence[Entry] = (),
    changes: Sequence[Transition] = (),
) -> list[Likeness]:
    """The known bugs that a failure is; where it is none, those of its cause."""
    commits = {one.culprit.sha for one in changes or facts.transitions if one.culprit}
    rules = {rule.id for rule in facts.rules}
    bad = [entry.build for entry in timeline or facts.timeline if entry.verdict is Verdict.BAD]
    found = []
    for one in known:
        if facts.failure in one.signatures and _overlap(one, bad):
            found.append(Likeness(one, same=True))
        elif rules & set(one.rules) and commits & ({one.begun_by, one.ended_by} - {""}):
            found.append(Likeness(one, same=False))
    same = [likeness for likeness in found if likeness.same]
    return same or found


def _overlap(known: Known, bad: Sequence[str]) -> bool:
    """Whether a release shows both; a failure that was not dated is given the benefit."""
    if not bad or not known.releases:
        return True
    first, last = Version(known.releases[0]), known.releases[1:2]
    return any(
        first <= Version(build) and (not last or Version(build) <= Version(last[0]))
        for build in bad
    )
