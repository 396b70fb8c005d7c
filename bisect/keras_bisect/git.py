"""A clone that is read with git: a person's, where it lies, or a mirror of a URL in the cache.

A person's clone (a work tree, bare, a `.git` folder) is never written: nothing is fetched into it,
and only commands run that touch neither index nor refs. A URL becomes a bare mirror without file
contents, `cache/repository/KEY`, fetched again when it is an hour old; the contents of a commit are
fetched when they are asked for, all at once.

Public: `Clone`, `GitFailed`, `NotInRepository`.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import secrets
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Container, Iterator, Sequence
from datetime import timedelta
from pathlib import Path

from keras_bisect import web
from keras_bisect.errors import HarnessError, NotCached, Unreachable, UsageError

__all__ = ["Clone", "GitFailed", "NotInRepository"]

SECONDS = 120.0
FETCH_SECONDS = 1800.0
LOCK_SECONDS = 1900.0
FETCH = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--filter=blob:none")
HEADS = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
URL = re.compile(r"[a-z][a-z0-9+.-]*://|[\w.-]+@[\w.-]+:", re.IGNORECASE)
ABSENT = re.compile(r"transport '\w+' not allowed|promisor remote|bad object|unable to read")
# What tells git of another repository, as it is set in a hook or under `git bisect run`.
ELSEWHERE = (
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR"),
    *("GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE", "GIT_PREFIX", "GIT_SHALLOW_FILE"),
    *("GIT_GRAFT_FILE", "GIT_CONFIG", "GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT"),
    *("GIT_REPLACE_REF_BASE", "GIT_QUARANTINE_PATH"),
)


class NotInRepository(HarnessError):  # noqa: N818
    """The repository at hand does not hold what was asked: it is shallow, partial, or too old."""


class GitFailed(HarnessError):  # noqa: N818
    """git ended with an error: `code` is its exit code, `said` what it printed."""

    def __init__(self, message: str, code: int, said: str) -> None:
        """Keep what git said apart: callers explain what they can."""
        super().__init__(message)
        self.code = code
        self.said = said


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
        self.name = self.origin if self.local else web.redact(self.origin)
        self.offline = offline
        self._cache = cache
        self._max_age = max_age
        self._notice = notice or logging.getLogger(__name__).warning
        self._mutex = threading.RLock()
        self._folder: Path | None = None
        self._fresh = False

    def run(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """What git writes.

        Raises:
            NotInRepository: a partial clone lacks what git needs.
            GitFailed: git ends with an error.
            Unreachable, NotCached, UsageError: there is no repository.
        """
        folder = self._open()
        try:
            return _run(["--git-dir", str(folder), *arguments], stdin=stdin)
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
        if self.local or self.offline or self._fresh:
            return False
        with self._mutex:
            self._folder = self._mirror(now=True)
        return self._fresh

    def remotes(self) -> dict[str, str]:
        """Name -> URL of what a person's clone was cloned from; of a mirror, its URL."""
        if not self.local:
            return {"origin": self.origin}
        found = self.attempt("config", "--get-regexp", r"^remote\..*\.url$") or b""
        lines = [line.partition(" ") for line in found.decode(errors="replace").splitlines()]
        return {key.removeprefix("remote.").removesuffix(".url"): url for key, _, url in lines}

    def lack(self) -> str | None:
        """What a person's clone is known to lack, and how to get it; None if it is whole."""
        if not self.local:
            return None
        if (self.attempt("rev-parse", "--is-shallow-repository") or b"").strip() == b"true":
            return (
                f"It is a shallow clone: `git -C {self.origin} fetch --unshallow --tags` gets the "
                "rest, or leave --repo out."
            )
        if self.attempt("config", "--get-regexp", r"^remote\..*\.promisor$"):
            return "It is a partial clone, and nothing is fetched into it here: leave --repo out."
        return None

    def fetch_blobs(self, sha: str, wanted: Container[str]) -> None:
        """Fetch the files of a commit that a mirror lacks in one go.

        git itself would ask for one file after the other.

        Args:
            sha: the commit.
            wanted: the hashes of the files of it that are needed.

        Raises:
            Unreachable, NotCached: they cannot be fetched.
        """
        if self.local:
            return
        listed = self.run("rev-list", "--objects", "--no-walk", "--missing=print", sha)
        absent = [line[1:] for line in listed.decode("latin-1").splitlines() if line[:1] == "?"]
        missing = [blob for blob in absent if blob in wanted]
        if not missing:
            return
        if self.offline:
            raise NotCached(
                f"Offline, and {len(missing)} files of a commit are not in the mirror of "
                f"{self.name}. Run once without --offline, or name a clone: --repo PATH."
            )
        # As git itself fetches what a partial clone lacks: no question of what is there already.
        quick = ("-c", "fetch.negotiationAlgorithm=noop")
        with self._locked():
            self._fetch(
                self._open(), *quick, *FETCH, "--stdin", "origin", stdin="\n".join(missing).encode()
            )

    def _open(self) -> Path:
        """The git folder; a mirror is made or fetched first where it is time."""
        with self._mutex:
            if self._folder is None:
                self._folder = self._find() if self.local else self._mirror(now=False)
            return self._folder

    def _find(self) -> Path:
        path = Path(self.origin).expanduser()
        if not path.is_dir():
            raise UsageError(f"--repo {self.origin}: there is no such folder.")
        try:
            found = _run(["-C", str(path.resolve()), "rev-parse", "--absolute-git-dir"])
        except GitFailed as error:
            raise UsageError(
                f"--repo {self.origin}: expected a clone of Keras. git says: {error.said}"
            ) from error
        return Path(os.fsdecode(found.removesuffix(b"\n")))

    # -- mirror --------------------------------------------------------------------------

    def _mirror(self, *, now: bool) -> Path:
        folder = self._mirror_folder()
        there = (folder / "HEAD").is_file()
        if there and (self.offline or (not now and self._is_young(folder))):
            return folder
        if self.offline:
            raise NotCached(
                f"Offline, and there is no mirror of {self.name} in {folder.parent}. Run once "
                "without --offline, or name a clone: --repo PATH."
            )
        try:
            with self._locked():
                # Whoever held the lock may have fetched it.
                if now or not self._is_young(folder):
                    self._update(folder)
                    (folder / "fetched").touch()
            self._fresh = True
        except (Unreachable, OSError) as error:
            if not (folder / "HEAD").is_file():
                if isinstance(error, Unreachable):
                    raise
                raise self._unwritable(error) from error
            self._notice(f"{error} Using the history as it was fetched last.")
        return folder

    def _update(self, folder: Path) -> None:
        if (folder / "HEAD").is_file():
            self._fetch(folder, *FETCH, "--prune", "origin", *HEADS)
            return
        for left in folder.parent.glob(f"{folder.name}.*"):
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
        # A name of its own, and one rename: a clone that was killed is never taken for a whole one.
        new = folder.with_name(f"{folder.name}.{secrets.token_hex(4)}")
        clone = ("clone", "--quiet", "--bare", "--filter=blob:none", "--", self.origin, str(new))
        try:
            self._fetch(None, *clone)
            new.rename(folder)
        finally:
            shutil.rmtree(new, ignore_errors=True)

    def _fetch(self, folder: Path | None, *arguments: str, stdin: bytes = b"") -> None:
        where = ("--git-dir", str(folder)) if folder else ()
        try:
            _run([*where, *arguments], stdin=stdin, network=True, seconds=FETCH_SECONDS)
        except GitFailed as error:
            said = error.said.replace(self.origin, self.name)
            raise Unreachable(
                f"Could not fetch the Keras repository from {self.name}: {said}. Check the "
                "connection and the proxy (HTTPS_PROXY), or name a clone of it: --repo PATH."
            ) from None

    def _mirror_folder(self) -> Path:
        key = hashlib.sha256(self.origin.encode()).hexdigest()[:16]
        return (self._cache / "repository" / key).absolute()

    def _is_young(self, folder: Path) -> bool:
        try:
            age = time.time() - (folder / "fetched").stat().st_mtime
        except OSError:
            return False
        return 0 <= age < self._max_age.total_seconds()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        from filelock import FileLock

        folder = self._mirror_folder()
        lock = FileLock(folder.with_name(f"{folder.name}.lock"))
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=LOCK_SECONDS)
        except TimeoutError:
            raise HarnessError(
                f"Another process has fetched {self.name} for {LOCK_SECONDS:.0f} s. Wait for it, "
                "or end it."
            ) from None
        try:
            yield
        finally:
            lock.release()

    def _unwritable(self, error: OSError) -> HarnessError:
        return HarnessError(
            f"The cache folder {self._cache} cannot be written: {error}. Choose another with "
            "KERAS_REPRO_CACHE, or name a clone: --repo PATH."
        )


def _run(
    arguments: Sequence[str], *, stdin: bytes = b"", network: bool = False, seconds: float = SECONDS
) -> bytes:
    """Run git and return what it wrote. The one place that does."""
    environment = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    environment |= {
        "LC_ALL": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        # The commits as they are, whatever was put in their place locally.
        "GIT_NO_REPLACE_OBJECTS": "1",
        # A partial clone would fetch what it lacks, into itself; `ext::` would run a program.
        "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh" if network else "none",
        "GIT_HTTP_LOW_SPEED_LIMIT": "1000",
        "GIT_HTTP_LOW_SPEED_TIME": "30",
    }
    environment.setdefault("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")
    command = ["git", "--no-pager", "-c", "gc.auto=0", "-c", "maintenance.auto=false", *arguments]
    try:
        done = subprocess.run(
            command, input=stdin, capture_output=True, env=environment, timeout=seconds, check=False
        )
    except FileNotFoundError:
        raise HarnessError(
            "Commits need git, and there is no git on the PATH. Install it, or stop at the "
            "nightly: --to nightly."
        ) from None
    except (OSError, ValueError) as error:
        raise HarnessError(f"git cannot be run: {error}.") from error
    except subprocess.TimeoutExpired:
        raise HarnessError(
            f"`git {_shown(arguments)}` had not ended after {seconds:.0f} s. Try again, or use a "
            "clone on a faster disk."
        ) from None
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip() or f"exit code {done.returncode}"
        raise GitFailed(f"`git {_shown(arguments)}` failed: {said}", done.returncode, said)
    return done.stdout


def _shown(arguments: Sequence[str]) -> str:
    """The command without what it works on: an address may hold a password."""
    names = [word for word in arguments if re.fullmatch(r"[a-z][a-z-]+", word)]
    return names[0] if names else ""
