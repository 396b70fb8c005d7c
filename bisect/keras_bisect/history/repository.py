"""The history of Keras: commits between two builds, a commit's tree, a nightly's commit.

What a line is, and why it is not that of the first parents, `history` says.

Public: `Repository`, `KERAS`; `Commit`, `Relation`, `main_parent` of `history`, `Nightly` of
`nightlies`, `NotInRepository` of `git`.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Self

from keras_bisect.builds.store import Source, Store
from keras_bisect.errors import UsageError
from keras_bisect.history import layout
from keras_bisect.history.clone import Clone
from keras_bisect.history.commit import FORMAT, Commit, Relation, main_parent, read_commits
from keras_bisect.history.git import GitFailed, NotInRepository, texts
from keras_bisect.history.nightlies import Nightly, recognise
from keras_bisect.history.trees import Trees

__all__ = [
    "KERAS",
    "Commit",
    "Nightly",
    "NotInRepository",
    "Relation",
    "Repository",
    "main_parent",
]

KERAS = "https://github.com/keras-team/keras.git"
"""Where the history is read from when a person names no repository."""


class Repository:
    """The history of Keras in one repository. Safe to share between threads and processes."""

    def __init__(
        self,
        path_or_url: str | Path,
        cache: Path,
        *,
        offline: bool = False,
        max_age: timedelta = timedelta(hours=1),
        notice: Callable[[str], None] | None = None,
    ) -> None:
        """Nothing is read or fetched yet.

        Args:
            path_or_url: a clone of any kind (a work tree, bare, a `.git` folder), or a URL.
            cache: the cache folder; mirrors of URLs are kept in its `repository/`.
            offline: never fetch.
            max_age: how old a mirror may be before it is fetched again.
            notice: told what a person should know but need not act on, by any thread. Logs a
                warning by default.

        Raises:
            UsageError: it is written like an option of git.
        """
        self._clone = Clone(path_or_url, cache, offline=offline, max_age=max_age, notice=notice)
        self.name = self._clone.name
        """How a person wrote it, without a password."""
        folder = os.path.expanduser(path_or_url)  # noqa: PTH111 - an odd name raises nothing here
        self.place = os.path.realpath(folder) if os.path.isdir(folder) else self.name  # noqa: PTH112
        """The same, wherever it was written: of a folder, the whole path."""
        self._mutex = threading.RLock()
        self._main: tuple[Commit, ...] | None = None
        self._trees = Trees(self._clone)
        # A whole hash is not a name that could come to mean something else.
        self._seen: dict[str, Commit] = {}

    def start(self) -> None:
        """Begin to fetch the history in the background, if it is a mirror's; returns at once."""
        self._clone.start()

    def ready(self) -> None:
        """Wait until the history can be read. Whatever asks for a commit does so, too.

        Raises:
            UsageError: there is no clone in the folder, or git may not read it.
            Unreachable, NotCached: there is no mirror, and none can be fetched. Found out within
                seconds, and said again at once when it is asked again.
        """
        self._clone.folder()

    def close(self) -> None:
        """End what is being fetched. Nothing can be fetched any more; what is there can be read."""
        self._clone.close()

    def __enter__(self) -> Self:
        """Close it at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """End what is being fetched."""
        self.close()

    # -- commits -------------------------------------------------------------------------

    def resolve(self, rev: str) -> Commit:
        """The commit that a revision means: a hash, a tag, a branch, whatever git understands.

        Raises:
            UsageError: there is no such commit, or no such folder.
            Unreachable, NotCached: there is no repository to look in.
        """
        # A dash in front would make it an option, and a range is no commit.
        if not rev or rev.startswith("-") or ".." in rev or " " in rev or not rev.isprintable():
            raise UsageError(f"git:{rev}: expected one revision, such as git:v3.5.0.")
        found = self._find(rev)
        if found is None and self._clone.renew():
            # What is missing may have been pushed since the mirror was fetched.
            self._main = None
            found = self._find(rev)
        if found is None:
            hint = self._clone.lack() or (
                f"`git -C {self.name} fetch --tags` gets what is new."
                if self._clone.local
                else "Write a hash, a tag such as v3.5.0, or a branch such as master."
            )
            raise UsageError(f"git:{rev}: there is no such commit in {self.name}. {hint}")
        return found

    def tag_of(self, release: object) -> Commit | None:
        """The commit that was released as `release` ("3.5.0", or a version); None without a tag."""
        return self._find(f"refs/tags/v{release}") or self._find(f"refs/tags/{release}")

    def tip(self) -> Commit:
        """The newest commit of the default branch."""
        return self._line()[0]

    def relation(self, one: Commit, other: Commit) -> Relation:
        """What `one` is to `other`: its `ancestor`, its `descendant`, the `same`...

        Raises:
            NotInRepository: a shallow clone cannot tell.
        """
        bases = self._bases(one, other)
        if one.sha == other.sha:
            return "same"
        if one.sha in bases:
            return "ancestor"
        if other.sha in bases:
            return "descendant"
        return "diverged" if bases else "unrelated"

    def is_ancestor(self, old: Commit, new: Commit) -> bool:
        """Whether `new` holds all that `old` does. A commit is its own ancestor.

        Raises:
            NotInRepository: a shallow clone cannot tell.
        """
        return self.relation(old, new) in ("same", "ancestor")

    def merge_bases(self, one: Commit, other: Commit) -> tuple[Commit, ...]:
        """The newest commits that both hold: several where branches were merged crosswise.

        What is to be tested when neither holds the other. git's best comes first.

        Raises:
            UsageError: they have nothing in common.
            NotInRepository: a shallow clone ends before it.
        """
        bases = self._bases(one, other)
        if not bases:
            raise UsageError(f"{one} and {other} have no commit in common: expected two of Keras.")
        commits = {commit.sha: commit for commit in self._commits("--no-walk", *bases)}
        return tuple(commits[sha] for sha in bases)

    def merge_base(self, one: Commit, other: Commit) -> Commit:
        """The best of `merge_bases`. Raises as that."""
        return self.merge_bases(one, other)[0]

    def count(self, last: Commit, first: Commit) -> int:
        """How many commits `first` holds that `last` does not, those of merged branches with it."""
        return int(self._clone.run("rev-list", "--count", f"{last.sha}..{first.sha}"))

    def _bases(self, one: Commit, other: Commit) -> list[str]:
        found = (self._clone.attempt("merge-base", "--all", one.sha, other.sha) or b"").decode()
        bases = found.split()
        if (one.sha in bases) or (other.sha in bases) or not (cut := self._clone.cut()):
            return bases
        # What was cut off could hold a newer one, unless all after these is there.
        after = self._clone.run("rev-list", one.sha, other.sha, *(f"^{base}" for base in bases))
        if cut.intersection(after.decode().split()):
            raise NotInRepository(
                f"{self.name} ends before {one} and {other} meet. {self._clone.lack() or ''}"
            )
        return bases

    def between(self, last: Commit, first: Commit) -> tuple[Commit, ...]:
        """The line from `last` to `first`, oldest first, with both ends.

        Every commit of it holds `last`, and each but the first is where the branch came next.

        Raises:
            UsageError: `first` does not hold `last`; `merge_base` says where they part.
            NotInRepository: a shallow clone lacks a part of it.
        """
        if not self.is_ancestor(last, first):
            raise UsageError(
                f"{last} is no ancestor of {first}: there is no line between them. They part at "
                f"{self.merge_base(last, first)}."
            )
        # Whichever way is taken among what lies between, it leads to `last`.
        within = {c.sha: c for c in self._commits("--ancestry-path", f"{last.sha}..{first.sha}")}
        within[last.sha] = last
        line = [first]
        while line[-1].sha != last.sha:
            ways = (main_parent(line[-1]), *line[-1].parents)
            line.append(next(within[sha] for sha in ways if sha in within))
        return tuple(reversed(line))

    def brought(self, commit: Commit) -> tuple[Commit, ...]:
        """What a commit added to its line, oldest first: itself, or the commits it merged."""
        parent = main_parent(commit)
        if parent is None or len(commit.parents) < 2:
            return (commit,)
        found = self._commits("--topo-order", "--no-merges", f"{parent}..{commit.sha}")
        return tuple(reversed(found)) or (commit,)

    def touched(self, commit: Commit) -> tuple[str, ...]:
        """The files in which a commit differs from the one before it on its line."""
        parent = main_parent(commit)
        trees = [parent, commit.sha] if parent else ["--root", "--no-commit-id", commit.sha]
        command = ("diff-tree", "-r", "-z", "--name-only", "--no-renames", "--no-ext-diff")
        return tuple(texts(self._clone.run(*command, *trees)))

    def touching(self, path: str, last: Commit, first: Commit) -> tuple[str, ...]:
        """The commits of the line from `last` to `first` that changed a file, or a folder.

        As with `touched`, a merge changed what it brought. Raises as `between`.
        """
        line = self.between(last, first)[1:]
        pairs = "".join(f"{commit.sha} {main_parent(commit)}\n" for commit in line)
        command = ("diff-tree", "--stdin", "-r", "--name-only", "--no-renames", "--no-ext-diff")
        told = self._clone.run(*command, "--", f":(literal){path}", stdin=pairs.encode())
        changed = set(os.fsdecode(told).split("\n"))
        return tuple(commit.sha for commit in line if commit.sha in changed)

    # -- links ---------------------------------------------------------------------------

    def commit_link(self, commit: Commit) -> str | None:
        """Where a person reads a commit; None if the repository is not on GitHub."""
        home = self._clone.home()
        return home and f"{home}/commit/{commit.sha}"

    # -- nightlies -----------------------------------------------------------------------

    def commit_of_nightly(self, source: Source) -> Nightly:
        """The commit of the default branch that a nightly was made from: see `recognise`.

        Raises:
            UsageError: nobody knows when the build was made.
            NotInRepository: the repository has no commits of that time.
        """
        made = source.build.made
        if made is None:
            raise UsageError(f"{source.build}: expected a nightly, with the hour it was made.")
        line = self._line()
        if line[0].commit_date < made and self._clone.renew():
            self._main = None
            line = self._line()
        found = recognise(source, made, line, self._trees.blobs)
        if found is not None:
            return found
        if line[-1].commit_date > made:
            raise NotInRepository(
                f"{self.name} begins with {line[-1]} of {line[-1].commit_date:%Y-%m-%d}, after "
                f"{source.build} was made. {self._clone.lack() or 'Name a whole clone.'}"
            )
        raise NotInRepository(
            f"{self.name} ends on {line[0].commit_date:%Y-%m-%d} and has no commit with the "
            f"sources of {source.build}. `git fetch` there gets more, or leave --repo out."
        )

    def _line(self) -> tuple[Commit, ...]:
        """The line of the default branch, newest first."""
        with self._mutex:
            if self._main is None:
                # git puts the commit that was asked for first.
                commits = {commit.sha: commit for commit in self._commits(self._default())}
                here: Commit | None = next(iter(commits.values()))
                line = []
                while here is not None:
                    line.append(here)
                    here = commits.get(main_parent(here) or "")
                self._main = tuple(line)
            return self._main

    def _default(self) -> str:
        """The default branch of the project: of its remote, if a person's clone has one."""
        if not self._clone.local and self._find("HEAD"):
            return "HEAD"
        for folder in self._clone.branch_folders():
            found = [f"{folder}/{name}" for name in ("HEAD", "master", "main")]
            branches = {name: tip for name in found if (tip := self._find(name))}
            # A branch that was renamed goes on under its new name; a clone may hold both.
            for name, tip in branches.items():
                if not any(self._goes_on(tip, other) for other in branches.values()):
                    return name
        if self._find("HEAD"):
            return "HEAD"
        raise UsageError(f"{self.name} has no commits: expected a clone of Keras.")

    def _goes_on(self, tip: Commit, other: Commit) -> bool:
        with contextlib.suppress(NotInRepository):
            return tip.sha != other.sha and self.is_ancestor(tip, other)
        return False

    # -- trees ---------------------------------------------------------------------------

    def tree(self, commit: Commit, store: Store, *, names: Sequence[Source] = ()) -> Source:
        """The sources of a commit as its wheel would hold them, kept in the store.

        Args:
            commit: which one.
            store: where they are kept; a second time nothing is read from git.
            names: for a commit before 2024-04-16 (see `needs_names`), the nightlies before and
                after it, or one of its time, from which it gets its public names (`names.py`).
                Ignored for any other commit.

        Raises:
            UsageError: it is no Keras 3; or it needs `names`, and there are none.
            NotInRepository: a partial clone lacks its files.
            Unreachable, NotCached: its files cannot be fetched.
        """
        return self._trees.get(commit, store, names)

    def needs_names(self, commit: Commit) -> bool:
        """Whether a commit is from before the files of public names were part of the repository."""
        return layout.needs_names(self._trees.blobs(commit.sha))

    def _find(self, rev: str) -> Commit | None:
        if rev in self._seen:
            return self._seen[rev]
        try:
            found = self._clone.run("rev-parse", "--verify", "--quiet", f"{rev}^{{commit}}")
        except GitFailed:
            # Whatever is wrong with a revision, it means no commit.
            return None
        return self._commits("--no-walk", found.decode().strip())[0]

    def _commits(self, *arguments: str) -> list[Commit]:
        options = ("-z", "--encoding=UTF-8", "--no-show-signature", "--no-color", FORMAT)
        written = self._clone.run("log", *options, *arguments, "--")
        found = read_commits(written)
        self._seen |= {commit.sha: commit for commit in found}
        return found
