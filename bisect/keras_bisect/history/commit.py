"""A commit, and where its branch was before it. Pure.

The line of a branch is not always that of the first parents. Who commits locally, pulls and pushes
makes a merge whose *second* parent is where the branch was ("Merge branch 'master' of github.com:
keras-team/keras", sixty times from 2023 to 2024); following the first would skip what others did
meanwhile, and no nightly was made from those commits. So a line follows `main_parent`.

Public: `Commit`, `Relation`, `main_parent`, `read_commits`, `FORMAT`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

__all__ = ["FORMAT", "Commit", "Relation", "main_parent", "read_commits"]

Relation = Literal["same", "ancestor", "descendant", "diverged", "unrelated"]
"""What one commit is to another: an `ancestor` came before it and is a part of it, `diverged` ones
have a common past, `unrelated` ones none."""

FORMAT = "--format=%H%x00%P%x00%ct%x00%at%x00%s"
"""How `git log -z` writes what `read_commits` reads."""

PULLED = re.compile(r"\(#(\d+)\)\s*$|^Merge pull request #(\d+)\b")
MERGED_MAIN = re.compile(
    r"^Merge (?:remote-tracking )?(?:branch(?:es)? )?(?:'[^']*' and )?"
    r"'?(?:[\w.-]+/)?(?:master|main)'?(?: |$)"
)


@dataclass(frozen=True)
class Commit:
    """One commit."""

    sha: str
    """Forty hexadecimal digits."""
    subject: str
    author_date: datetime
    """In UTC, as `commit_date`."""
    commit_date: datetime
    pull: int | None
    """The number of its pull request, if its subject names one."""
    parents: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Fit for a person."""
        return f"{self.sha[:10]} ({self.subject})"


def main_parent(commit: Commit) -> str | None:
    """Where the branch was before a commit, as far as the subject tells; None at the root.

    The first parent, unless the subject says that the main branch was merged into something else.
    """
    if len(commit.parents) > 1 and MERGED_MAIN.match(commit.subject):
        return commit.parents[1]
    return commit.parents[0] if commit.parents else None


def read_commits(written: bytes) -> list[Commit]:
    """The commits that `git log -z` wrote in `FORMAT`."""
    fields = written.removesuffix(b"\0").decode(errors="replace").split("\0")
    return [_commit(*fields[at : at + 5]) for at in range(0, len(fields) - 4, 5)]


def _commit(sha: str, parents: str, committed: str, authored: str, subject: str) -> Commit:
    pulled = PULLED.search(subject)
    return Commit(
        sha=sha,
        subject=subject,
        author_date=datetime.fromtimestamp(int(authored), UTC),
        commit_date=datetime.fromtimestamp(int(committed), UTC),
        pull=int(pulled[1] or pulled[2]) if pulled else None,
        parents=tuple(parents.split()),
    )
