"""The kinds of build, and how a person writes them.

What a person writes (`Spec`) and what it turns out to be (`Build`) are two types: a spec is pure
text, read here without looking anywhere; the index, the disk or git turn it into a build.

    3.5.0                     a release                  Numbered
    3.4.1.dev2024072003       a nightly                  Numbered
    nightly                   the newest nightly         NewestNightly
    nightly:2024-07-20        the last nightly of a day  NightlyOn
    git:REV                   a commit                   Commit
    path:DIR                  a folder                   Folder
    installed                 the installed keras        Installed

`str(spec)` is what a person writes, and `parse_build(str(spec)) == spec`.

Public: `parse_build`, `nightly_stamp`, `Build`, `Wheel`, `Spec` and the six spec classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal

from packaging.version import InvalidVersion, Version

from keras_bisect.errors import UsageError

__all__ = [
    "Build",
    "Commit",
    "Folder",
    "Installed",
    "Kind",
    "NewestNightly",
    "NightlyOn",
    "Numbered",
    "Spec",
    "Wheel",
    "nightly_stamp",
    "parse_build",
]

Kind = Literal["release", "nightly", "commit", "folder", "installed", "mixed"]
"""`mixed` is one with some files of another; nobody writes it."""

FORMS = "3.5.0, nightly, nightly:2024-07-20, 3.4.1.dev2024072003, git:REV, path:DIR or installed"


@dataclass(frozen=True)
class Wheel:
    """One wheel, as an index offers it."""

    filename: str
    url: str
    sha256: str
    """64 lower-case hexadecimal digits."""
    uploaded: datetime | None
    """In UTC; None where an index does not say (PyPI does)."""
    size: int | None = None
    """In bytes, where the index says it."""
    yanked: str | None = None
    """The reason ("" where none was given); None is a wheel that was not yanked."""


@dataclass(frozen=True)
class Build:
    """A Keras that can be put on the path. `name` is how a person writes it."""

    kind: Kind
    name: str
    version: Version | None = None
    """Of a release or a nightly, and of the installed one; None where only the sources know it."""
    wheel: Wheel | None = None

    def __str__(self) -> str:
        """How a person writes it."""
        return self.name

    @property
    def yanked(self) -> bool:
        """Whether the index says that nobody should install it any more."""
        return self.wheel is not None and self.wheel.yanked is not None

    @property
    def made(self) -> datetime | None:
        """When it was made (UTC): a nightly's stamp, a release's upload; None if unknown."""
        stamp = nightly_stamp(self.version) if self.kind == "nightly" else None
        return stamp or (self.wheel.uploaded if self.wheel else None)


@dataclass(frozen=True)
class Numbered:
    """A release or a nightly by its version."""

    version: Version

    def __str__(self) -> str:
        """How a person writes it."""
        return str(self.version)


@dataclass(frozen=True)
class NewestNightly:
    """The newest nightly there is."""

    def __str__(self) -> str:
        """How a person writes it."""
        return "nightly"


@dataclass(frozen=True)
class NightlyOn:
    """The last nightly that was made on a day (UTC)."""

    day: date

    def __str__(self) -> str:
        """How a person writes it."""
        return f"nightly:{self.day.isoformat()}"


@dataclass(frozen=True)
class Commit:
    """A commit of the Keras repository: a hash, a tag, a branch, whatever git understands."""

    rev: str

    def __str__(self) -> str:
        """How a person writes it."""
        return f"git:{self.rev}"


@dataclass(frozen=True)
class Folder:
    """A folder that holds `keras/`."""

    path: str

    def __str__(self) -> str:
        """How a person writes it."""
        return f"path:{self.path}"


@dataclass(frozen=True)
class Installed:
    """The keras of the environment that the toolkit runs in."""

    def __str__(self) -> str:
        """How a person writes it."""
        return "installed"


Spec = Numbered | NewestNightly | NightlyOn | Commit | Folder | Installed


def parse_build(text: str) -> Spec:
    """Read what a person wrote.

    >>> parse_build("3.5.0")
    Numbered(version=<Version('3.5.0')>)
    >>> str(parse_build("nightly:2024-07-20"))
    'nightly:2024-07-20'

    Raises:
        UsageError: the text is none of the forms above, or names a Keras older than 3.
    """
    text = text.strip()
    head, colon, rest = text.partition(":")
    if text == "nightly":
        return NewestNightly()
    if text == "installed":
        return Installed()
    if colon and head == "nightly":
        return NightlyOn(_day(rest))
    if colon and head == "git":
        # A revision that starts with a dash would be read by git as an option.
        if not rest or rest.startswith("-") or any(c.isspace() or c == "\0" for c in rest):
            raise UsageError(f"{text!r}: expected a revision after git:, such as git:v3.5.0.")
        return Commit(rest)
    if colon and head == "path":
        if not rest or "\0" in rest:
            raise UsageError(f"{text!r}: expected a folder after path:, such as path:../keras.")
        return Folder(rest)
    try:
        version = Version(text)
    except InvalidVersion:
        raise UsageError(f"{text!r} is not a build. A build is written {FORMS}.") from None
    if version.major < 3:
        raise UsageError(f"{text}: expected a Keras 3. Builds before 3.0.0 are another program.")
    return Numbered(version)


def nightly_stamp(version: Version | None) -> datetime | None:
    """When a nightly was made (UTC, to the hour), by the stamp in its version; None without one.

    >>> nightly_stamp(Version("3.4.1.dev2024072003"))
    datetime.datetime(2024, 7, 20, 3, 0, tzinfo=datetime.timezone.utc)
    """
    if version is None or version.dev is None:
        return None
    try:
        return datetime.strptime(f"{version.dev:010d}", "%Y%m%d%H").replace(tzinfo=UTC)
    except ValueError:
        return None


def _day(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        raise UsageError(
            f"nightly:{text}: expected a day, year-month-day, such as nightly:2024-07-20."
        ) from None
