"""Which commit a nightly was made from.

A nightly's wheel names no commit, but the hashes that git gives its `keras/src/**/*.py` do; only
the file of the version is not compared, since a nightly's is rewritten.

Public: `Nightly`, `recognise`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from keras_bisect.builds.store import Source
from keras_bisect.history.commit import Commit
from keras_bisect.history.layout import Hashes

__all__ = ["Nightly", "recognise"]

MARGIN = timedelta(days=1)
HOUR = timedelta(hours=1)
NEAR, FAR = 40, 400
"""How many commits before a nightly are compared with it at first, and at most."""


@dataclass(frozen=True)
class Nightly:
    """Where a nightly lies on the line of the default branch."""

    commit: Commit
    exact: bool
    """Whether the sources are those of `commit`; else `commit` only goes by the time."""
    earliest: Commit
    """A commit that is surely no later than the nightly: `commit` itself if it is exact."""
    latest: Commit
    """A commit that is surely no earlier."""


def recognise(
    source: Source,
    made: datetime,
    line: Sequence[Commit],
    blobs: Callable[[str], Mapping[str, str]],
) -> Nightly | None:
    """Find a nightly on a line.

    Of commits with the same sources it is the last one before the nightly. Where none has them, it
    goes by the time, with a day to both sides.

    Args:
        source: the nightly.
        made: the hour of its stamp, which is rounded down.
        line: the line of the default branch, newest first, not empty.
        blobs: the hashes of a commit's sources.

    Returns:
        None where the line has no commit of that time.
    """
    wanted, hour = Hashes(source), made + HOUR
    before = [commit for commit in line if commit.commit_date <= hour]
    after = [c for c in reversed(line) if hour < c.commit_date <= hour + MARGIN]
    older = before[NEAR:FAR] if line[0].commit_date > hour else []
    for commit in (*before[:NEAR], *after, *older):
        if wanted.are_of(blobs(commit.sha)):
            return Nightly(commit, True, commit, commit)
    if not before or line[0].commit_date < made - MARGIN:
        return None
    sure = [c for c in before if c.commit_date <= made - MARGIN]
    later = [c for c in reversed(line) if c.commit_date >= hour + MARGIN]
    return Nightly(before[0], False, (sure or before[-1:])[0], (later or line)[0])
