"""The cases of earlier searches, kept as JSON: what was found before is tried first.

A file a case, named by its content, so that it outlives every version of the toolkit that can still
read it. A file that cannot be read any more is passed over: it was a help, and no promise.

Public: `Kept`.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from keras_bisect.atomic import write_atomic
from keras_bisect.errors import UsageError
from keras_repro.reading import AnyCase, dump, load

__all__ = ["Kept"]

MOST = 200
"""As many are tried; the newest, as they are the likeliest to fail still."""


class Kept:
    """The cases in one folder."""

    def __init__(self, folder: Path) -> None:
        """The folder need not be there."""
        self.folder = folder

    def cases(self) -> list[AnyCase]:
        """The newest cases, in the order of their names: the same folder gives the same order."""
        try:
            files = sorted(self.folder.glob("*.json"), key=_when)[-MOST:]
        except OSError:
            return []
        found = []
        for file in sorted(files):
            try:
                found.append(load(file))
            except UsageError:
                continue
        return found

    def add(self, case: AnyCase) -> None:
        """Keep a case."""
        text = dump(case)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomic(self.folder / f"{sha256(text.encode()).hexdigest()[:16]}.json", text)


def _when(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0
