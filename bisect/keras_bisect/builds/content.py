"""Which files of a build matter, and what makes two builds the same Keras.

Tests are not part of a build: no script imports them, and in some wheels they are a third of the
files. The version a build writes into itself is not part of what it *is* either: otherwise no two
nightlies would ever be the same. So there are two identities: `content` without the version,
`exact` with it.

Public: `is_source`, `Identity`, `identify`, `changed`. Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from keras_bisect.builds.local import VERSION_LINE

__all__ = ["Identity", "changed", "identify", "is_source"]

VERSIONED = ("keras/__init__.py", "keras/src/version.py")


def is_source(path: str) -> bool:
    """Whether a file of a wheel or a tree (posix path) belongs to the build that a script sees.

    >>> is_source("keras/src/layers/layer.py"), is_source("keras/src/layers/layer_test.py")
    (True, False)
    >>> is_source("keras/src/testing/test_case.py"), is_source("benchmarks/layer.py")
    (True, False)
    """
    folders = path.split("/")
    name = folders.pop()
    return (
        folders[:1] == ["keras"]
        and "__pycache__" not in folders
        and not name.endswith(("_test.py", ".pyc", ".pyo"))
        and name != "conftest.py"
    )


@dataclass(frozen=True)
class Identity:
    """What a build is made of."""

    content: str
    """Equal for two builds whose Python sources differ in nothing but the version they state."""
    exact: str
    """Equal for two builds whose files are all the same."""


def identify(files: Mapping[str, str], read: Callable[[str], bytes]) -> Identity:
    """The identity of a tree: `files` is posix path -> sha256, `read` gives the bytes of a path."""
    sources = {path: sha for path, sha in files.items() if path.endswith(".py")}
    for path in VERSIONED:
        if path in sources:
            neutral = VERSION_LINE.sub(rb'\1"0"', read(path))
            sources[path] = hashlib.sha256(neutral).hexdigest()
    return Identity(_digest(sources), _digest(files))


def _digest(files: Mapping[str, str]) -> str:
    lines = "".join(f"{files[path]} {path}\n" for path in sorted(files))
    return hashlib.sha256(lines.encode()).hexdigest()


def changed(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    """The Python files that two trees do not have in common, without the one of the version."""
    paths = {path for path in (*before, *after) if path.endswith(".py")} - {"keras/src/version.py"}
    return tuple(sorted(path for path in paths if before.get(path) != after.get(path)))
