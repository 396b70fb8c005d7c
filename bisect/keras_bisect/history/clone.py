"""A repository that is read with git: a person's clone where it lies, or a mirror of a URL.

A person's clone (a work tree, bare, a `.git` folder) is never written: nothing is fetched into it,
and only commands run that touch neither index nor refs.

Public: `Clone`.
"""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Callable, Container
from datetime import timedelta
from pathlib import Path

from keras_bisect.errors import UsageError
from keras_bisect.history import git
from keras_bisect.history.git import GitFailed, NotInRepository
from keras_bisect.history.mirror import Mirror

__all__ = ["Clone"]

URL = re.compile(r"[a-z][a-z0-9+.-]*://|[\w.-]+@[\w.-]+:", re.IGNORECASE)
PROJECT = "keras-team/keras"
GITHUB = re.compile(r"github\.com[:/]([\w.-]+/[\w.-]+?)(?:\.git)?/?$", re.IGNORECASE)
ABSENT = re.compile(r"transport '\w+' not allowed|promisor remote|bad object|unable to read")


class Clone:
    """One repository. Safe to share between threads, and its mirror between processes."""

    def __init__(
        self,
        origin: str | Path,
        cache: Path,
        *,
        offline: bool = False,
        max_age: timedelta = timedelta(hours=1),
        notice: Callable[[str], None] | None = None,
    ) -> None:
        """Nothing is read or fetched yet; the arguments are those of `Repository`."""
        self.origin = str(origin)
        if not self.origin or self.origin.startswith("-") or "\0" in self.origin:
            raise UsageError(f"--repo {self.origin!r}: expected a clone's folder, or a URL.")
        self.local = isinstance(origin, Path) or not URL.match(self.origin)
        self.name = self.origin
        self._mirror: Mirror | None = None
        self._mutex = threading.Lock()
        self._found: Path | None = None
        if not self.local:
            told = notice or logging.getLogger(__name__).warning
            try:
                self._mirror = Mirror(
                    self.origin, cache, offline=offline, max_age=max_age, notice=told
                )
            except ValueError as error:
                raise UsageError(f"--repo: expected a clone's folder, or a URL: {error}.") from None
            self.name = self._mirror.name

    def start(self) -> None:
        """Begin to fetch a mirror in the background; nothing where there is none to fetch."""
        if self._mirror is not None:
            self._mirror.start()

    def close(self) -> None:
        """End what is being fetched."""
        if self._mirror is not None:
            self._mirror.close()

    def folder(self) -> Path:
        """The git folder; a mirror is made or fetched first where it is time.

        Raises:
            UsageError: it is no clone, or git may not read it.
            Unreachable, NotCached: there is no mirror of it.
        """
        if self._mirror is not None:
            return self._mirror.folder()
        with self._mutex:
            if self._found is None:
                self._found = self._find()
            return self._found

    def run(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """What git writes.

        Raises:
            NotInRepository: a partial clone lacks what git needs.
            GitFailed: git ends with an error.
            Unreachable, NotCached, UsageError: there is no repository.
        """
        folder = self.folder()
        try:
            return git.run(["--git-dir", str(folder), *arguments], stdin=stdin)
        except GitFailed as error:
            if ABSENT.search(error.said) and (lack := self.lack()):
                raise NotInRepository(f"{error} {lack}") from error
            raise

    def attempt(self, *arguments: str) -> bytes | None:
        """What git writes, or None where its answer is no (exit code 1). Raises as `run`."""
        try:
            return self.run(*arguments)
        except GitFailed as error:
            if error.code != 1:
                raise
            return None

    def renew(self) -> bool:
        """Fetch a mirror now, whatever its age; False if that was done already, or cannot be."""
        return self._mirror is not None and self._mirror.renew()

    def fetch_blobs(self, sha: str, wanted: Container[str]) -> None:
        """Fetch the files of a commit that a mirror lacks; nothing for a person's clone.

        Args:
            sha: the commit.
            wanted: the hashes of the files of it that are needed.

        Raises:
            Unreachable, NotCached: they cannot be fetched.
        """
        if self._mirror is not None:
            self._mirror.fetch_blobs(sha, wanted)

    def remotes(self) -> dict[str, str]:
        """Name -> URL of what a person's clone was cloned from; of a mirror, its URL."""
        if not self.local:
            return {"origin": self.origin}
        found = self.attempt("config", "--get-regexp", r"^remote\..*\.url$") or b""
        lines = [line.partition(" ") for line in found.decode(errors="replace").splitlines()]
        return {key.removeprefix("remote.").removesuffix(".url"): url for key, _, url in lines}

    def home(self) -> str | None:
        """The page of the project on GitHub; None if it is not there."""
        found = [match[1] for match in map(GITHUB.search, self.remotes().values()) if match]
        # The numbers of pull requests are those of the project, whatever fork was cloned.
        found.sort(key=lambda name: name != PROJECT)
        return f"https://github.com/{found[0]}" if found else None

    def branch_folders(self) -> list[str]:
        """Where the branches of the project lie, the best place first."""
        remotes = self.remotes() if self.local else {}
        found = [name for name in remotes if PROJECT in remotes[name] or name == "origin"]
        found.sort(key=lambda name: PROJECT not in remotes[name])
        return [*(f"refs/remotes/{name}" for name in found), "refs/heads"]

    def cut(self) -> frozenset[str]:
        """The commits whose parents a shallow clone lacks; none for a whole one."""
        if not self.local:
            return frozenset()
        told = os.fsdecode(self.run("rev-parse", "--git-path", "shallow").removesuffix(b"\n"))
        try:
            return frozenset(Path(told).read_text(encoding="ascii").split())
        except FileNotFoundError:
            return frozenset()

    def lack(self) -> str | None:
        """What a person's clone is known to lack, and how to get it; None if it is whole."""
        if not self.local:
            return None
        if self.cut():
            return (
                f"It is a shallow clone: `git -C {self.origin} fetch --unshallow --tags` gets the "
                "rest, or leave --repo out."
            )
        if self.attempt("config", "--get-regexp", r"^remote\..*\.promisor$"):
            return "It is a partial clone, and nothing is fetched into it here: leave --repo out."
        return None

    def _find(self) -> Path:
        path = Path(self.origin).expanduser()
        if not path.is_dir():
            raise UsageError(f"--repo {self.origin}: there is no such folder.")
        try:
            found = git.run(["-C", str(path.resolve()), "rev-parse", "--absolute-git-dir"])
        except GitFailed as error:
            if named := re.search(r"dubious ownership in repository at '(.*)'", error.said):
                raise UsageError(
                    f"--repo {self.origin}: the folder belongs to another user, and git reads it "
                    "only when you say that you trust it: "
                    f"`git config --global --add safe.directory {named[1]}`."
                ) from error
            raise UsageError(
                f"--repo {self.origin}: expected a clone of Keras. git says: {error.said}"
            ) from error
        return Path(os.fsdecode(found.removesuffix(b"\n")))
