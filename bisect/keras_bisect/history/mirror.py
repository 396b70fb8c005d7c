"""A mirror of a Keras repository in the cache: its history, without the contents of files.

A URL becomes a bare repository `cache/repository/KEY`, fetched again when it is an hour old. The
contents of a commit are fetched when they are asked for, all at once. That a host is unreachable is
told within seconds and told once: whoever asks again hears the same without another attempt.

One process at a time writes a mirror, under `KEY.lock`; a first clone is made under another name
and renamed when it is whole. So what a killed process leaves is known to be left over.

Public: `Mirror`.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import secrets
import shutil
import threading
import time
import weakref
from collections.abc import Callable, Container, Iterator
from datetime import timedelta
from pathlib import Path

from keras_bisect import web
from keras_bisect.errors import HarnessError, KerasBisectError, NotCached, Unreachable
from keras_bisect.history import git

__all__ = ["Mirror"]

ANSWER_SECONDS = 10.0
"""How long a host may take to say anything."""
TRUSTED_SECONDS = 60.0
"""How long a host that answered is taken to be reachable."""
LOCK_SECONDS = 1900.0
CLONE = ("clone", "--bare", "--progress", "--filter=blob:none", "--origin=origin", "--template=")
FETCH = ("fetch", "--progress", "--no-tags", "--no-write-fetch-head", "--filter=blob:none")
HEADS = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
# As git itself fetches what a partial clone lacks: no question of what is there already.
QUICK = ("-c", "fetch.negotiationAlgorithm=noop")
DAMAGED = re.compile(r"not a git repository|corrupt|bad object|bad config|is empty|loose object")


class Mirror:
    """The mirror of one URL. Safe to share between threads and processes."""

    def __init__(
        self,
        url: str,
        cache: Path,
        *,
        offline: bool,
        max_age: timedelta,
        notice: Callable[[str], None],
    ) -> None:
        """Nothing is read or fetched yet; the arguments are those of `Repository`."""
        self.name = web.redact(url)
        """The URL, fit to be shown."""
        self._url = url
        self._cache = cache
        self._offline = offline
        self._max_age = max_age
        self._notice = notice
        key = hashlib.sha256(url.encode()).hexdigest()[:16]
        self._path = (cache / "repository" / key).absolute()
        self._mutex = threading.RLock()
        self._starting = threading.Lock()
        self._ready = False
        self._fresh = False
        self._failure: KerasBisectError | None = None
        self._heard: float | None = None
        self._git = git.Fetching()
        self._threads: list[threading.Thread] = []
        # However the program ends, nothing that it started outlives it.
        self._end = weakref.finalize(self, _end, self._git, self._threads)

    def start(self) -> None:
        """Begin to fetch in the background, where there is something to fetch."""
        # A lock of its own: the other is held for as long as a fetch takes.
        with self._starting:
            if self._threads or self._ready or self._offline:
                return
            thread = threading.Thread(target=self._try, name="keras history", daemon=True)
            self._threads.append(thread)
        thread.start()

    def close(self) -> None:
        """End what is being fetched. What is in the mirror can still be read."""
        self._end()

    def folder(self) -> Path:
        """The git folder; it is made or fetched first where it is time, or that is waited for.

        Raises:
            Unreachable: there is no mirror yet, and the host does not answer.
            NotCached: there is no mirror yet, and this is offline.
        """
        with self._mutex:
            if not self._ready:
                self._refresh(now=False)
            return self._path

    def renew(self) -> bool:
        """Fetch now, whatever its age; False if that was done already, or cannot be."""
        with self._mutex:
            if self._offline or self._fresh or self._failure is not None:
                return False
            self._refresh(now=True)
            return self._fresh

    def fetch_blobs(self, sha: str, wanted: Container[str]) -> None:
        """Fetch the files of a commit that are lacking, in one go.

        git itself would ask for one file after the other.

        Args:
            sha: the commit.
            wanted: the hashes of the files of it that are needed.

        Raises:
            Unreachable, NotCached: they cannot be fetched.
        """
        folder = self.folder()
        list_objects = ("rev-list", "--objects", "--no-walk", "--missing=print", sha)
        listed = git.run(["--git-dir", str(folder), *list_objects])
        absent = [line[1:] for line in listed.decode("latin-1").splitlines() if line[:1] == "?"]
        missing = [blob for blob in absent if blob in wanted]
        if not missing:
            return
        if self._offline:
            raise NotCached(
                f"Offline, and {len(missing)} files of a commit are not in the mirror of "
                f"{self.name}. Run once without --offline, or name a clone: --repo PATH."
            )
        if self._failure is not None:
            raise self._failure.with_traceback(None)
        with self._locked():
            stdin = "\n".join(missing).encode()
            self._fetch(folder, *QUICK, *FETCH, "--stdin", "origin", stdin=stdin)

    # -- making it -----------------------------------------------------------------------

    def _try(self) -> None:
        # Whoever needs the mirror asks for its folder, and hears then what went wrong.
        with contextlib.suppress(KerasBisectError):
            self.folder()

    def _refresh(self, *, now: bool) -> None:
        if self._is_there() and (self._offline or (not now and self._is_young())):
            self._ready = True
            return
        if self._offline:
            raise NotCached(
                f"Offline, and there is no mirror of {self.name} in {self._path.parent}. Run once "
                "without --offline, or name a clone: --repo PATH."
            )
        if self._failure is not None:
            raise self._failure.with_traceback(None)
        try:
            with self._locked():
                # Whoever held the lock may have fetched it.
                if now or not (self._is_there() and self._is_young()):
                    self._update()
                    (self._path / "fetched").touch()
            self._fresh = True
        except (KerasBisectError, OSError) as error:
            self._failure = (
                error if isinstance(error, KerasBisectError) else self._unwritable(error)
            )
            if not self._is_there():
                raise self._failure from error
            self._notice(f"{self._failure} Using the history as it was fetched last.")
        self._ready = True

    def _update(self) -> None:
        if not self._is_there():
            self._clone()
            return
        # No git that is alive writes here: this process holds the mirror's own lock.
        for left in (*self._path.rglob("*.lock"), *self._path.glob("objects/pack/tmp_*")):
            left.unlink(missing_ok=True)
        try:
            self._fetch(self._path, *FETCH, "--prune", "origin", *HEADS)
        except Unreachable as error:
            if not DAMAGED.search(str(error)):
                raise
            self._notice(f"The mirror of {self.name} is damaged.")
            self._clone()
            return
        # The default branch may have been renamed.
        told = self._fetch(self._path, "ls-remote", "--symref", "origin", "HEAD").decode()
        if head := re.match(r"ref: (refs/heads/\S+)\tHEAD", told):
            git.run(["--git-dir", str(self._path), "symbolic-ref", "HEAD", head[1]])

    def _clone(self) -> None:
        for left in self._path.parent.glob(f"{self._path.name}.*"):
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
        self._notice(f"Fetching the Keras history from {self.name} (once, some 15 MB).")
        # A name of its own, and one rename: a clone that was killed is never taken for a whole one.
        new = self._path.with_name(f"{self._path.name}.{secrets.token_hex(4)}")
        try:
            self._fetch(None, *CLONE, "--", self._url, str(new))
            # What is here is damaged, or has no HEAD and was never whole.
            shutil.rmtree(self._path, ignore_errors=True)
            new.rename(self._path)
        finally:
            shutil.rmtree(new, ignore_errors=True)

    def _is_there(self) -> bool:
        return (self._path / "HEAD").is_file()

    def _is_young(self) -> bool:
        try:
            age = time.time() - (self._path / "fetched").stat().st_mtime
        except OSError:
            return False
        return 0 <= age < self._max_age.total_seconds()

    # -- the network ---------------------------------------------------------------------

    def _fetch(self, folder: Path | None, *arguments: str, stdin: bytes = b"") -> bytes:
        where = ("--git-dir", str(folder)) if folder else ()
        if self._heard is None or time.monotonic() - self._heard > TRUSTED_SECONDS:
            self._knock()
        self._heard = None
        try:
            written = self._git.run([*where, *arguments], stdin=stdin)
        except git.GitFailed as error:
            said = "; ".join(error.said.replace(self._url, self.name).splitlines())
            raise self._unreachable(said.rstrip(".")) from None
        self._heard = time.monotonic()
        return written

    def _knock(self) -> None:
        """Let nobody wait for a host that says nothing: git would, for minutes.

        Whatever it says is left to git, which knows more ways to be let in, and says better why it
        was not.
        """
        # git may have been told to go elsewhere, or through a proxy of its own.
        url = git.run(["ls-remote", "--get-url", self._url]).decode().strip()
        if not url.startswith(("https://", "http://")):
            return
        try:
            proxy = git.run(["config", "--get-urlmatch", "http.proxy", url]).decode().strip()
        except git.GitFailed:
            proxy = ""
        answered = threading.Event()
        # Resolving a name has no timeout, so this is left behind where it takes too long.
        threading.Thread(target=_knock, args=(url, proxy, answered), daemon=True).start()
        until = time.monotonic() + ANSWER_SECONDS
        while not answered.wait(0.05) and not self._git.ended.is_set():
            if time.monotonic() > until:
                raise self._unreachable(f"no answer within {ANSWER_SECONDS:.0f} s")

    def _unreachable(self, why: str) -> Unreachable:
        return Unreachable(
            f"Could not fetch the Keras repository from {self.name}: {why}. Check the "
            "connection and the proxy (HTTPS_PROXY), or name a clone of it: --repo PATH."
        )

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        from filelock import FileLock

        lock = FileLock(self._path.with_name(f"{self._path.name}.lock"))
        self._path.parent.mkdir(parents=True, exist_ok=True)
        until, told = time.monotonic() + LOCK_SECONDS, False
        while True:
            with contextlib.suppress(TimeoutError):
                lock.acquire(timeout=0.5)
                break
            if self._git.ended.is_set() or time.monotonic() > until:
                raise HarnessError(
                    f"Another process is fetching {self.name}. Wait for it, or end it."
                )
            if not told:
                self._notice(f"Waiting for another process that fetches {self.name}.")
                told = True
        try:
            yield
        finally:
            lock.release()

    def _unwritable(self, error: OSError) -> HarnessError:
        return HarnessError(
            f"The cache folder {self._cache} cannot be written: {error}. Choose another with "
            "KERAS_REPRO_CACHE, or name a clone: --repo PATH."
        )


def _knock(url: str, proxy: str, answered: threading.Event) -> None:
    import requests

    proxies = {"http": proxy, "https": proxy} if proxy else None
    with (
        contextlib.suppress(requests.RequestException, OSError, ValueError),
        web.session() as asker,
    ):
        asker.get(
            f"{url.rstrip('/')}/info/refs",
            params={"service": "git-upload-pack"},
            headers={"Git-Protocol": "version=2"},
            proxies=proxies,
            stream=True,
            timeout=ANSWER_SECONDS,
        ).close()
    answered.set()


def _end(fetching: git.Fetching, threads: list[threading.Thread]) -> None:
    fetching.end()
    for thread in threads:
        if thread.is_alive() and thread is not threading.current_thread():
            thread.join(git.END_SECONDS)
