"""Builds by the names that a person writes, on disk when they are wanted: fetched ahead.

The one place where the index, the store and the repository meet.

Public: `Supply`.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from typing import Self

from keras_bisect.builds.build import Build, parse_build
from keras_bisect.builds.build import Commit as CommitSpec
from keras_bisect.builds.index import Index
from keras_bisect.builds.store import Source, Store
from keras_bisect.errors import BrokenBuild, UsageError
from keras_bisect.history.repository import Repository

__all__ = ["Supply"]

FETCHERS = 2
"""Builds fetched at a time: half of the work is waiting, half is done in this process."""


class Supply:
    """Builds on disk. Safe to use from several threads; use it as a context manager."""

    def __init__(self, index: Index, store: Store, repository: Repository | None = None) -> None:
        """Bring the parts together; they are not owned.

        Args:
            index: what builds there are.
            store: where they are kept.
            repository: where commits come from; without it there are none.
        """
        self.index = index
        self.store = store
        self.repository = repository
        self._mutex = threading.Lock()
        self._fetchers = ThreadPoolExecutor(FETCHERS, "fetch")
        self._fetching: dict[str, Future[Source]] = {}
        self._mixes: dict[str, tuple[Source, Source, tuple[str, ...]]] = {}

    def __enter__(self) -> Self:
        """Stop fetching at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop fetching."""
        self._fetchers.shutdown(wait=True, cancel_futures=True)

    def resolve(self, text: str) -> Build:
        """The build that a person wrote. Errors as `parse_build` and `Index.resolve`.

        Raises:
            UsageError: a commit, and there is no repository, or it does not have it.
        """
        spec = parse_build(text)
        if isinstance(spec, CommitSpec):
            if self.repository is None:
                raise UsageError(
                    f"{text} needs a clone of the Keras repository. Give one with --repo."
                )
            return Build("commit", f"git:{self.repository.resolve(spec.rev).sha}")
        return self.index.resolve(spec)

    def made(self, build: Build) -> datetime | None:
        """When a build was made (UTC); None if nobody knows."""
        if build.kind == "commit" and self.repository is not None:
            return self.repository.resolve(build.name.removeprefix("git:")).commit_date
        return build.made

    def prefetch(self, builds: Iterable[Build]) -> None:
        """Fetch builds that will be wanted, in this order, without waiting."""
        for build in builds:
            self._fetch(build)

    def source(self, build: Build) -> Source:
        """A build on disk. Errors as `Store.get`."""
        return self._fetch(build).result()

    def mix(self, base: Source, other: Source, files: Sequence[str]) -> Build:
        """A build of the files of `base`, but for some that are those of `other`."""
        build = Build("mixed", f"{base.build} with {' + '.join(files)} of {other.build}")
        self._mixes[build.name] = (base, other, tuple(files))
        return build

    def had(self, build: Build) -> Source | BrokenBuild:
        """A build on disk, or why it cannot be had. Other errors as `Store.get`."""
        try:
            return self.source(build)
        except BrokenBuild as broken:
            return broken
        except UsageError as error:
            if build.kind != "commit":
                raise
            # It is in the history, but it is no Keras that can be run.
            return BrokenBuild(str(error))

    def forget(self) -> None:
        """Look at every build anew when it is wanted next."""
        with self._mutex:
            self._fetching.clear()

    def _fetch(self, build: Build) -> Future[Source]:
        with self._mutex:
            future = self._fetching.get(build.name)
            if future is None:
                future = self._fetchers.submit(self._get, build)
                self._fetching[build.name] = future
        return future

    def _get(self, build: Build) -> Source:
        if build.kind == "mixed":
            return self.store.overlay(*self._mixes[build.name])
        if build.kind != "commit" or self.repository is None:
            return self.store.get(build)
        commit = self.repository.resolve(build.name.removeprefix("git:"))
        names: list[Source] = []
        if self.repository.needs_names(commit):
            line = self.index.nightlies()
            older = [n for n in line if n.made and n.made <= commit.commit_date]
            for near in (*older[-1:], *line[len(older) : len(older) + 1]):
                with contextlib.suppress(BrokenBuild):
                    names.append(self.store.get(near))
        return self.repository.tree(commit, self.store, names=names)
