"""How the sources in Keras' repository become those of its wheels.

Four ways, by time; a commit is laid out here as its own wheel would be, so that it is the same
build (`content`), and fails in the same files, as a nightly with the same sources.

    to 2024-04-16   `keras/` was moved to `keras/src/`, its imports rewritten, and files with the
                    public names were added (by namex, which imports the package to find them)
    from then on    (#19530) `keras/` as it is, the public names in `keras/api/`
    from 2024-04-22 the same, with `keras/api/_tf_keras/` moved to `keras/_tf_keras/`
    from 2025-04-22 (#21187) the same, with all that is in `keras/api/` moved to `keras/`

The rewriting of the first can be undone, which is how the commit of such a wheel is recognised. Its
public names are those of the nightlies on both sides of it (`names.py`).

Public: `as_wheel`, `is_keras`, `needs_names`, `RECIPE`, `VERSION`, `Hashes`, `as_built`,
`as_written`, `git_hash`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Mapping

from keras_bisect.builds.store import Source

__all__ = [
    "RECIPE",
    "VERSION",
    "Hashes",
    "as_built",
    "as_wheel",
    "as_written",
    "git_hash",
    "is_keras",
    "needs_names",
]

VERSION = 2
"""To be raised with whatever changes what `as_wheel` makes: such trees are kept by it."""

NOW, THEN = "keras/src/", "keras/"
"""Where the sources lie in git: since #19530, and before. In a wheel they always lie in `NOW`."""

VERSION_FILE = "version.py"
"""States the version, below `NOW` or `THEN`; nightlies rewrite it. Keras 2 had none."""

API = "keras/api/"
INIT = "keras/__init__.py"
NOT_PACKAGED = b"This file should NEVER be packaged"
"""In `INIT` of a repository whose wheels have the public names in `keras/` itself."""

RECIPE = "pip_build.py"
"""What makes the wheel. It is not part of one, but tells which way it is made."""

MOVES_LEGACY = b"def move_tf_keras_directory("
LEGACY = "_tf_keras/"


def is_keras(paths: Container[str]) -> bool:
    """Whether the paths of a tree are those of a Keras 3."""
    return NOW + VERSION_FILE in paths or THEN + VERSION_FILE in paths


def needs_names(paths: Container[str]) -> bool:
    """Whether a tree is from before the public names were part of it."""
    return NOW + VERSION_FILE not in paths


def as_wheel(tree: Mapping[str, bytes], names: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files of a commit as its wheel would hold them.

    Args:
        tree: path -> bytes, of the sources of the commit and of its `RECIPE`.
        names: path -> bytes of the files of public names, which are taken if the commit has none.
    """
    if needs_names(tree):
        files = dict(names)
        for path, data in tree.items():
            if path == RECIPE:
                continue
            built = as_built(data) if path.endswith(".py") else data
            files[NOW + path.removeprefix(THEN)] = built
        return files
    files = {path: data for path, data in tree.items() if path != RECIPE}
    if NOT_PACKAGED in tree.get(INIT, b""):
        kept = {path: data for path, data in files.items() if path.startswith(NOW)}
        return kept | {
            path.replace(API, THEN, 1): data for path, data in files.items() if path.startswith(API)
        }
    if MOVES_LEGACY in tree.get(RECIPE, b""):
        legacy = {path: files.pop(path) for path in tree if path.startswith(API + LEGACY)}
        for path, data in legacy.items():
            moved = data.replace(b"keras.api._tf_keras", b"keras._tf_keras")
            files[path.replace(API, THEN, 1)] = moved
        public = API + "__init__.py"
        files[public] = files[public].replace(b"from keras.api import _tf_keras", b"")
    return files


class Hashes:
    """The hashes that git would give the sources of a wheel, in either layout."""

    def __init__(self, source: Source) -> None:
        """Read the sources."""
        self._data = {
            path.removeprefix(NOW): (source.path / path).read_bytes()
            for path in source.files
            if path.startswith(NOW) and path.endswith(".py")
        }
        self._data.pop(VERSION_FILE, None)
        self._made: dict[str, dict[str, str]] = {}

    def are_of(self, blobs: Mapping[str, str]) -> bool:
        """Whether the sources of a commit (path -> git's hash) are these."""
        root = THEN if needs_names(blobs) else NOW
        theirs = {
            path.removeprefix(root): blob
            for path, blob in blobs.items()
            if path.startswith(root) and path.endswith(".py")
        }
        theirs.pop(VERSION_FILE, None)
        if root not in self._made:
            undo: Callable[[bytes], bytes] = bytes if root == NOW else as_written
            self._made[root] = {path: git_hash(undo(data)) for path, data in self._data.items()}
        return theirs == self._made[root]


def git_hash(data: bytes) -> str:
    """The name that git gives a file.

    >>> git_hash(b"")
    'e69de29bb2d1d6434b8b29ae775ad8c2e48c5391'
    """
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def as_built(data: bytes) -> bytes:
    r"""A source as namex (its `convert.py`) put it into wheels: imports lead to `keras.src`.

    >>> as_built(b"import keras\nfrom keras import ops")
    b'import keras.src as keras\nfrom keras.src import ops\n'
    """
    in_string = False
    lines = []
    for line in data.split(b"\n"):
        bare = line.strip()
        if bare.startswith(b'"""') or bare.endswith(b'"""'):
            if line.count(b'"') % 2 == 1:
                in_string = not in_string
        elif not in_string:
            if bare == b"import keras":
                line = line.replace(b"import keras", b"import keras.src as keras")
            else:
                line = line.replace(b"import keras.", b"import keras.src.")
                line = line.replace(b"from keras.", b"from keras.src.")
                line = line.replace(b"from keras import", b"from keras.src import")
        lines.append(line)
    return b"\n".join(lines) + b"\n"


def as_written(data: bytes) -> bytes:
    """The source that `as_built` was given, if that did not name `keras.src` itself."""
    plain = data.removesuffix(b"\n").replace(b"import keras.src as keras", b"import keras")
    plain = plain.replace(b"import keras.src.", b"import keras.")
    plain = plain.replace(b"from keras.src.", b"from keras.")
    return plain.replace(b"from keras.src import", b"from keras import")
