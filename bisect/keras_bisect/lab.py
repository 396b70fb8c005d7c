"""Builds in, outcomes out: the same sources are never probed twice with the same script.

The one place where the index, the store and the prober meet. Builds are fetched ahead, in threads,
while others are probed; builds with the same content share one probe.

Public: `Lab`.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from hashlib import sha256

from keras_bisect.build import Build, parse_build
from keras_bisect.build import Commit as CommitSpec
from keras_bisect.errors import UsageError
from keras_bisect.events import Listener, Probed, ignore
from keras_bisect.index import Index
from keras_bisect.outcome import Outcome, Tree
from keras_bisect.probe import Prober, Script, Task
from keras_bisect.repository import Repository
from keras_bisect.store import Source, Store

FETCHERS = 4
"""Builds fetched at a time: the index's answer is waited for, not computed."""

Key = tuple[str, str, Tree]

_ASKS_VERSION = re.compile(r"__version__|\bversion\s*\(|importlib.metadata")


class Lab:
    """Probes builds. Safe to use from several threads; use it as a context manager."""

    def __init__(
        self,
        index: Index,
        store: Store,
        prober: Prober,
        *,
        repository: Repository | None = None,
        listener: Listener = ignore,
    ) -> None:
        """Bring the parts together; the lab does not own them."""
        self.index = index
        self.store = store
        self.prober = prober
        self.repository = repository
        self.listener = listener
        self.probes = 0
        """Probes made so far, without those that were known already."""
        self._known: dict[Key, tuple[str, Outcome]] = {}
        self._told: set[tuple[Key, str]] = set()
        self._lock = threading.Lock()
        self._fetchers = ThreadPoolExecutor(FETCHERS, "fetch")
        self._fetching: dict[str, Future[Source]] = {}

    def __enter__(self) -> Lab:
        """The lab itself."""
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

    def prefetch(self, builds: Iterable[Build]) -> None:
        """Fetch builds that will be wanted, in this order, without waiting."""
        for build in builds:
            self._fetch(build)

    def source(self, build: Build) -> Source:
        """A build on disk. Errors as `Store.get`."""
        return self._fetch(build).result()

    def _fetch(self, build: Build) -> Future[Source]:
        with self._lock:
            future = self._fetching.get(build.name)
            if future is None:
                future = self._fetchers.submit(self._get, build)
                self._fetching[build.name] = future
        return future

    def _get(self, build: Build) -> Source:
        if build.kind != "commit" or self.repository is None:
            return self.store.get(build)
        commit = self.repository.resolve(build.name.removeprefix("git:"))
        names = None
        if self.repository.needs_names(commit):
            # The public names of its time: the last nightly before it has what it needs.
            older = [n for n in self.index.nightlies() if n.made and n.made <= commit.commit_date]
            names = self.store.get(older[-1]) if older else None
        return self.repository.tree(commit, self.store, names=names)

    def outcomes(
        self,
        scripts: Sequence[Script],
        builds: Sequence[Build],
        tree: Tree = "optree",
        *,
        share: bool = False,
    ) -> Iterator[tuple[Script, Build, Outcome]]:
        """Every script under every build, as the probes end.

        Args:
            scripts: scripts to run.
            builds: builds, in the order in which they should be probed.
            tree: the tree implementation.
            share: see `Prober.run_all`.
        """
        self.prefetch(builds)
        sources = ((build.name, self.source(build)) for build in builds)
        named = {build.name: build for build in builds}
        for script, name, outcome in self.examine(scripts, sources, tree, share=share):
            yield script, named[name], outcome

    def examine(
        self,
        scripts: Sequence[Script],
        sources: Iterable[tuple[str, Source]],
        tree: Tree = "optree",
        *,
        share: bool = False,
    ) -> Iterator[tuple[Script, str, Outcome]]:
        """Every script under every source, as `outcomes` does.

        Args:
            scripts: scripts to run.
            sources: each with the name that it is reported by.
            tree: the tree implementation.
            share: see `Prober.run_all`.
        """
        ready: list[tuple[Script, str, Outcome]] = []
        waiting: dict[Key, list[str]] = {}

        def tasks() -> Iterator[Task]:
            for name, source in sources:
                for script in scripts:
                    key = _key(script, source, tree)
                    with self._lock:
                        known = self._known.get(key)
                    if known is not None:
                        self._tell(script, source, tree, name, known[1], same_as=known[0])
                        ready.append((script, name, known[1]))
                    elif key in waiting:
                        waiting[key].append(name)
                    else:
                        waiting[key] = [name]
                        yield Task(script, source, tree)

        for task, outcome in self.prober.run_all(tasks(), share=share):
            yield from ready
            ready.clear()
            key = _key(task.script, task.source, tree)
            names = waiting[key]
            with self._lock:
                self._known[key] = names[0], outcome
                self.probes += 1
            for name in names:
                same_as = names[0] if name != names[0] else None
                self._tell(task.script, task.source, tree, name, outcome, same_as=same_as)
                yield task.script, name, outcome
        yield from ready

    def outcome(self, script: Script, build: Build, tree: Tree = "optree") -> Outcome:
        """One script under one build."""
        return next(self.outcomes([script], [build], tree))[2]

    def _tell(
        self,
        script: Script,
        source: Source,
        tree: Tree,
        name: str,
        outcome: Outcome,
        *,
        same_as: str | None,
    ) -> None:
        told = (_key(script, source, tree), name)
        with self._lock:
            if told in self._told:
                return
            self._told.add(told)
        self.listener(
            Probed(
                script=digest(script),
                build=name,
                content=source.content,
                tree=tree,
                backend=self.prober.backend,
                outcome=outcome,
                same_as=same_as,
            )
        )


def digest(script: Script) -> str:
    """The identity of a script: sha256 of its text."""
    return sha256(script.text.encode("utf-8", "surrogatepass")).hexdigest()


def _key(script: Script, source: Source, tree: Tree) -> Key:
    # Content leaves the version out, so that a nightly without a change is not probed again. A
    # script that looks at the version sees a difference there.
    content = source.exact if _ASKS_VERSION.search(script.text) else source.content
    return digest(script), content, tree
