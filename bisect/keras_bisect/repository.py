"""The history of Keras: commits between two builds, a commit's tree, a nightly's commit.

The line of a branch is not always that of the first parents. Who commits locally, pulls and pushes
makes a merge whose *second* parent is where the branch was ("Merge branch 'master' of github.com:
keras-team/keras", sixty times from 2023 to 2024); following the first would skip what others did
meanwhile, and no nightly was made from those commits. So a line here follows `main_parent`.

Public: `Repository`, `Commit`, `Nightly`, `main_parent`, `KERAS`; `NotInRepository` of `git.py`.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from keras_bisect import layout
from keras_bisect.build import Build
from keras_bisect.content import is_source
from keras_bisect.errors import UsageError
from keras_bisect.git import Clone, GitFailed, NotInRepository
from keras_bisect.store import Source, Store

__all__ = ["KERAS", "Commit", "Nightly", "NotInRepository", "Repository", "main_parent"]

KERAS = "https://github.com/keras-team/keras.git"
"""Where the history is read from when a person names no repository."""

MARGIN = timedelta(days=1)
NEAR, FAR = 40, 400
"""How many commits before a nightly are compared with it at first, and at most."""

ROOTS = ("keras/", layout.RECIPE)
FORMAT = "--format=%H%x00%P%x00%ct%x00%at%x00%s"
GITHUB = re.compile(r"github\.com[:/]([\w.-]+/[\w.-]+?)(?:\.git)?/?$", re.IGNORECASE)
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


def main_parent(commit: Commit) -> str | None:
    """Where the branch was before a commit, as far as the subject tells; None at the root.

    The first parent, unless the subject says that the main branch was merged into something else.
    """
    if len(commit.parents) > 1 and MERGED_MAIN.match(commit.subject):
        return commit.parents[1]
    return commit.parents[0] if commit.parents else None


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
            notice: told what a person should know but need not act on. Logs a warning by default.

        Raises:
            UsageError: it is written like an option of git.
        """
        self._clone = Clone(path_or_url, cache, offline=offline, max_age=max_age, notice=notice)
        self._name = self._clone.name
        self._mutex = threading.RLock()
        self._main: tuple[Commit, ...] | None = None
        self._blobs: dict[str, Mapping[str, str]] = {}

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
                f"`git -C {self._name} fetch --tags` gets what is new."
                if self._clone.local
                else "Write a hash, a tag such as v3.5.0, or a branch such as master."
            )
            raise UsageError(f"git:{rev}: there is no such commit in {self._name}. {hint}")
        return found

    def tag_of(self, release: object) -> Commit | None:
        """The commit that was released as `release` ("3.5.0", or a version); None without a tag."""
        return self._find(f"refs/tags/v{release}") or self._find(f"refs/tags/{release}")

    def tip(self) -> Commit:
        """The newest commit of the default branch."""
        return self._line()[0]

    def is_ancestor(self, old: Commit, new: Commit) -> bool:
        """Whether `new` holds all that `old` does. A commit is its own ancestor.

        Raises:
            NotInRepository: a shallow clone cannot tell.
        """
        found = self._clone.attempt("merge-base", "--is-ancestor", old.sha, new.sha) is not None
        if not found and (lack := self._clone.lack()):
            raise NotInRepository(
                f"{self._name} does not tell whether {old} came before {new}. {lack}"
            )
        return found

    def merge_base(self, one: Commit, other: Commit) -> Commit:
        """The newest commit that both hold: what is to be tested when neither holds the other.

        Raises:
            UsageError: they have nothing in common.
            NotInRepository: a shallow clone ends before it.
        """
        found = self._clone.attempt("merge-base", one.sha, other.sha)
        if found:
            return self._commits("--no-walk", found.decode().split()[0])[0]
        if lack := self._clone.lack():
            raise NotInRepository(f"{self._name} ends before {one} and {other} meet. {lack}")
        raise UsageError(f"{one} and {other} have no commit in common: expected two of Keras.")

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
        return tuple(_texts(self._clone.run(*command, *trees)))

    # -- links ---------------------------------------------------------------------------

    def commit_link(self, commit: Commit) -> str | None:
        """Where a person reads a commit; None if the repository is not on GitHub."""
        home = self._home()
        return home and f"{home}/commit/{commit.sha}"

    def pull_link(self, commit: Commit) -> str | None:
        """Where a person reads a commit's pull request; None if none is known."""
        home = self._home()
        return f"{home}/pull/{commit.pull}" if home and commit.pull else None

    def compare_link(self, last: Commit, first: Commit) -> str | None:
        """Where a person reads all that happened from `last` to `first`."""
        home = self._home()
        return home and f"{home}/compare/{last.sha}...{first.sha}"

    def _home(self) -> str | None:
        found = [match[1] for match in map(GITHUB.search, self._clone.remotes().values()) if match]
        # The numbers of pull requests are those of the project, whatever fork was cloned.
        found.sort(key=lambda name: name != "keras-team/keras")
        return f"https://github.com/{found[0]}" if found else None

    # -- nightlies -----------------------------------------------------------------------

    def commit_of_nightly(self, source: Source) -> Nightly:
        """The commit of the default branch that a nightly was made from.

        It is recognised by the hashes that git gives its `keras/src/**/*.py`; only the file of the
        version is not compared. Of commits with the same sources it is the last one before the
        nightly. Where none has them, it goes by the time, with a day to both sides.

        Raises:
            UsageError: nobody knows when the build was made.
            NotInRepository: the repository has no commits of that time.
        """
        made = source.build.made
        if made is None:
            raise UsageError(f"{source.build}: expected a nightly, with the hour it was made.")
        wanted, line = layout.Hashes(source), self._line()
        if line[0].commit_date < made and self._clone.renew():
            self._main = None
            line = self._line()
        # A stamp is the hour, rounded down.
        hour = made + timedelta(hours=1)
        before = [commit for commit in line if commit.commit_date <= hour]
        after = [c for c in reversed(line) if hour < c.commit_date <= hour + MARGIN]
        older = before[NEAR:FAR] if line[0].commit_date > hour else []
        for commit in (*before[:NEAR], *after, *older):
            if wanted.are_of(self._tree(commit.sha)):
                return Nightly(commit, True, commit, commit)
        if not before:
            raise NotInRepository(
                f"{self._name} begins with {line[-1]} of {line[-1].commit_date:%Y-%m-%d}, after "
                f"{source.build} was made. {self._clone.lack() or 'Name a whole clone.'}"
            )
        if line[0].commit_date < made - MARGIN:
            raise NotInRepository(
                f"{self._name} ends on {line[0].commit_date:%Y-%m-%d} and has no commit with the "
                f"sources of {source.build}. `git fetch` there gets more, or leave --repo out."
            )
        sure = [c for c in before if c.commit_date <= made - MARGIN]
        later = [c for c in reversed(line) if c.commit_date >= hour + MARGIN]
        return Nightly(before[0], False, (sure or before[-1:])[0], (later or line)[0])

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
        if self._clone.local:
            remotes = self._clone.remotes()
            names = sorted(
                (
                    name
                    for name in remotes
                    if "keras-team/keras" in remotes[name] or name == "origin"
                ),
                key=lambda name: "keras-team/keras" not in remotes[name],
            )
            for folder in (*(f"refs/remotes/{name}" for name in names), "refs/heads"):
                for branch in ("HEAD", "master", "main"):
                    if self._find(f"{folder}/{branch}"):
                        return f"{folder}/{branch}"
        return "HEAD"

    # -- trees ---------------------------------------------------------------------------

    def tree(self, commit: Commit, store: Store, *, names: Source | None = None) -> Source:
        """The sources of a commit as its wheel would hold them, kept in the store.

        Args:
            commit: which one.
            store: where they are kept; a second time nothing is read from git.
            names: for a commit before 2024-04-16 (see `needs_names`), a nightly or a release of its
                time, whose files of public names are used. Ignored for any other commit.

        Raises:
            UsageError: it is no Keras 3; or it needs `names`, and there are none.
            NotInRepository: a partial clone lacks its files.
            Unreachable, NotCached: its files cannot be fetched.
        """
        build = Build("commit", f"git:{commit.sha}")
        key = f"git{layout.VERSION}-{commit.sha}"
        if names is None or not self.needs_names(commit):
            return store.keep(build, key, lambda: self._files(commit, None))
        return store.keep(build, f"{key}-{names.exact[:12]}", lambda: self._files(commit, names))

    def needs_names(self, commit: Commit) -> bool:
        """Whether a commit is from before the files of public names were part of the repository."""
        return layout.needs_names(self._tree(commit.sha))

    def _files(self, commit: Commit, names: Source | None) -> Mapping[str, bytes]:
        blobs = self._tree(commit.sha)
        if not layout.is_keras(blobs):
            raise UsageError(
                f"git:{commit.sha[:10]} is no Keras 3: it has no keras/src/version.py."
            )
        if names is None and layout.needs_names(blobs):
            raise UsageError(
                f"git:{commit.sha[:10]} cannot be tested by itself: before 2024-04-16 the public "
                "names of Keras were made with the wheel. A nightly of its time has them."
            )
        others = {path: (names.path / path).read_bytes() for path in names.files} if names else {}
        return layout.as_wheel(self._read(commit.sha, blobs), others)

    def _tree(self, sha: str) -> Mapping[str, str]:
        """The sources of a commit and its recipe: path -> the hash that git gives the file."""
        found = self._blobs.get(sha)
        if found is None:
            listed = _texts(self._clone.run("ls-tree", "-r", "-z", "--full-tree", sha, *ROOTS))
            entries = [entry.partition("\t") for entry in listed]
            # Neither links nor submodules: a wheel holds files.
            found = {
                path: head.split()[2]
                for head, _, path in entries
                if (is_source(path) or path == layout.RECIPE)
                and head.startswith(("100644 ", "100755 "))
            }
            self._blobs[sha] = found
        return found

    def _read(self, sha: str, blobs: Mapping[str, str]) -> dict[str, bytes]:
        """The contents of files: path -> hash becomes path -> bytes.

        Not by `git archive`, which changes files where attributes or a person's settings say so.
        """
        wanted = list(dict.fromkeys(blobs.values()))
        self._clone.fetch_blobs(sha, set(wanted))
        stdin = "".join(f"{blob}\n" for blob in wanted).encode()
        answer = self._clone.run("cat-file", "--batch", stdin=stdin)
        contents: dict[str, bytes] = {}
        at = 0
        for blob in wanted:
            head, _, _ = answer[at : at + 100].partition(b"\n")
            _, _, size = head.partition(b" blob ")
            if not size:
                raise NotInRepository(
                    f"{self._name} lacks the file {blob} of a commit. {self._clone.lack() or ''}"
                )
            start = at + len(head) + 1
            contents[blob] = answer[start : start + int(size)]
            at = start + int(size) + 1
        return {path: contents[blob] for path, blob in blobs.items()}

    def _find(self, rev: str) -> Commit | None:
        try:
            found = self._clone.run("rev-parse", "--verify", "--quiet", f"{rev}^{{commit}}")
        except GitFailed:
            # Whatever is wrong with a revision, it means no commit.
            return None
        return self._commits("--no-walk", found.decode().strip())[0]

    def _commits(self, *arguments: str) -> list[Commit]:
        options = ("-z", "--encoding=UTF-8", "--no-show-signature", "--no-color", FORMAT)
        written = self._clone.run("log", *options, *arguments, "--")
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


def _texts(data: bytes) -> list[str]:
    """What git separated by NUL. The name of a file need not be text: it survives."""
    return [os.fsdecode(part) for part in data.split(b"\0") if part]
