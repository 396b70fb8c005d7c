"""Builds in, outcomes out: what is known is never probed again.

The one place where the supply of builds, the prober and the kept results meet. Builds are fetched
ahead while others are probed; builds with the same content share their probes; what an earlier
command saw under the same content in the same environment is taken from there.

A script that is not always of one mind is run several times under one build. These *samples* are
counted from 0, in the order in which they end; who asks for sample 3 gets the fourth run there was.

Public: `Lab`, `Wanted`, `ScriptWrites`, `folder_of`.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from keras_bisect.builds.build import Build
from keras_bisect.builds.index import Index
from keras_bisect.builds.store import Source, Store
from keras_bisect.errors import BrokenBuild
from keras_bisect.events import Listener, Notice, Probed, ignore
from keras_bisect.history.repository import Repository
from keras_bisect.outcome import Ended, Outcome, Tree
from keras_bisect.probe.era import Era, Eras
from keras_bisect.probe.prefix import imports_keras_first
from keras_bisect.probe.prober import Prober, Script, Task, digest
from keras_bisect.record.results import Results
from keras_bisect.search.bisection import Cost
from keras_bisect.supply import Supply
from keras_bisect.times import Times

__all__ = ["Lab", "ScriptWrites", "Wanted", "folder_of"]

AHEAD = 8
"""Builds that are fetched before they are wanted."""

_ASKS_VERSION = re.compile(r"__version__|\bversion\s*\(|importlib.metadata")


class ScriptWrites(Exception):  # noqa: N818
    """A script wrote into the Keras folder it was given, which it shares with others.

    Nothing that was seen until now can be trusted. It is forgotten, and from here on every probe
    gets a copy of its own: whoever searches begins again.
    """


@dataclass(frozen=True)
class Wanted:
    """One run that is wanted."""

    script: Script
    name: str
    """What it is reported by; the build's name, as a rule."""
    source: Source | BrokenBuild
    sample: int = 0


@dataclass(frozen=True)
class _Key:
    script: str
    folder: str
    content: str
    tree: Tree


@dataclass
class _Known:
    name: str
    """The build that was probed."""
    outcomes: list[Outcome] = field(default_factory=list)
    told: set[tuple[str, int]] = field(default_factory=set)


class Lab(Supply):
    """Probes builds. Safe to use from several threads; use it as a context manager."""

    def __init__(
        self,
        index: Index,
        store: Store,
        prober: Prober,
        *,
        repository: Repository | None = None,
        results: Results | None = None,
        eras: Eras | None = None,
        listener: Listener = ignore,
    ) -> None:
        """Bring the parts together; the lab does not own them.

        Args:
            index: what builds there are.
            store: where they are kept.
            prober: what runs scripts.
            repository: where commits come from; without it there are none.
            results: where outcomes are kept from one command to the next.
            eras: environments for what does not import in this one; without it that is untestable.
            listener: told what happens.
        """
        super().__init__(index, store, repository)
        self.prober = prober
        self.results = results
        self.listener = listener
        self.probes = 0
        """Probes made so far, without those that were known already."""
        self.times = None
        """Environments of other times, if what does not import in this one is probed there."""
        if eras is not None:
            self.times = Times(eras, prober, results, lambda text: self.listener(Notice(text)))
        self._copies = False
        self._known: dict[_Key, _Known] = {}
        self._lock = threading.Lock()

    # -- probes ----------------------------------------------------------------------------------

    def outcomes(
        self,
        scripts: Sequence[Script],
        builds: Sequence[Build],
        tree: Tree = "optree",
        *,
        share: bool = False,
    ) -> Iterator[tuple[Script, Build, Outcome]]:
        """Every script under every build, as the probes end.

        A build that cannot be had gives an outcome that says so (`Ended.ABSENT`).

        Args:
            scripts: scripts to run.
            builds: builds, in the order in which they should be probed.
            tree: the tree implementation.
            share: see `Prober.run_all`.
        """

        def wanted() -> Iterator[Wanted]:
            for place, build in enumerate(builds):
                # Who asked may stop listening, so not all of them are fetched at once.
                self.prefetch(builds[place : place + AHEAD])
                source = self.had(build)
                yield from (Wanted(script, build.name, source) for script in scripts)

        named = {build.name: build for build in builds}
        for run, outcome in self.runs(wanted(), tree, share=share):
            yield run.script, named[run.name], outcome

    def table(
        self, script: Script, builds: Sequence[Build], tree: Tree = "optree"
    ) -> dict[str, Outcome]:
        """One script under every build: name -> outcome.

        Unlike the others it begins again by itself where it must (`ScriptWrites`).
        """
        for _ in range(2):
            with contextlib.suppress(ScriptWrites):
                found = {b.name: outcome for _, b, outcome in self.outcomes([script], builds, tree)}
                return {build.name: found[build.name] for build in builds}
        raise AssertionError("copies are told from what they were copied from")

    def outcome(self, script: Script, build: Build, tree: Tree = "optree") -> Outcome:
        """One script under one build."""
        return next(self.outcomes([script], [build], tree))[2]

    def samples(
        self, script: Script, wanted: Iterable[tuple[Build, int]], tree: Tree = "optree"
    ) -> Iterator[tuple[Build, int, Outcome]]:
        """Single runs of a script under builds: which build, and which run of it, from 0."""
        pairs = list(wanted)
        named = {build.name: build for build, _ in pairs}
        runs = (Wanted(script, build.name, self.had(build), sample) for build, sample in pairs)
        share = imports_keras_first(script.text, self.prober.backend)
        for run, outcome in self.runs(runs, tree, share=share):
            yield named[run.name], run.sample, outcome

    def identity(self, script: Script, build: Build, tree: Tree = "optree") -> str:
        """What two builds have in common if a script cannot tell them apart."""
        source = self.had(build)
        if isinstance(source, BrokenBuild):
            return build.name
        return _key_of(script, source, tree).content

    def runs(
        self, wanted: Iterable[Wanted], tree: Tree = "optree", *, share: bool = False
    ) -> Iterator[tuple[Wanted, Outcome]]:
        """Runs, `jobs` at a time, in the order in which they end.

        Args:
            wanted: taken as probes become free.
            tree: the tree implementation.
            share: see `Prober.run_all`.

        Raises:
            ScriptWrites: see there.
        """
        ready: list[tuple[Wanted, Outcome]] = []
        waiting: dict[_Key, list[Wanted]] = {}
        flying: Counter[_Key] = Counter()
        copied: list[Path] = []

        def tasks() -> Iterator[Task]:
            for run in wanted:
                if isinstance(run.source, BrokenBuild):
                    ready.append((run, _absent(run.source)))
                    continue
                key = _key(run, run.source, tree)
                with self._lock:
                    known = self._recalled(key, run)
                    if run.sample < len(known.outcomes):
                        ready.append((run, known.outcomes[run.sample]))
                        continue
                    waiting.setdefault(key, []).append(run)
                    if run.sample < len(known.outcomes) + flying[key]:
                        continue
                    flying[key] += 1
                source = run.source
                if self._copies and source.path.is_relative_to(self.store.cache):
                    source = self.store.copy(source)
                    copied.append(source.path)
                yield Task(run.script, source, tree)

        def take() -> Iterator[tuple[Wanted, Outcome]]:
            for run, outcome in ready:
                self._tell(run, tree, outcome)
                yield run, outcome
            ready.clear()

        try:
            for task, seen in self.prober.run_all(tasks(), share=share):
                yield from take()
                key = _key_of(task.script, task.source, task.tree)
                outcome = self._in_its_time(task, key, seen)
                if outcome.touched and not self._copies and task.source.build.kind != "folder":
                    self._begin_again(task.script)
                flying[key] -= 1
                there = self._add(key, outcome, seen)
                ready += [
                    (run, there[run.sample]) for run in waiting[key] if run.sample < len(there)
                ]
                waiting[key] = [run for run in waiting[key] if run.sample >= len(there)]
                yield from take()
            yield from take()
        finally:
            for path in copied:
                shutil.rmtree(path, ignore_errors=True)

    def remember(self, events: Iterable[Probed]) -> None:
        """Take what a journal holds as known: nothing of it is probed again."""
        with self._lock:
            for event in events:
                key = _Key(event.script, event.folder, event.content, event.tree)
                known = self._known.setdefault(key, _Known(event.build))
                if event.sample == len(known.outcomes):
                    known.outcomes.append(event.outcome)

    def costs(
        self, script: Script, builds: Sequence[Build], tree: Tree, before: datetime | None
    ) -> dict[int, Cost]:
        """Which of these builds cost less than others, by position.

        Args:
            script: the script to be run.
            builds: a line of builds.
            tree: the tree implementation.
            before: only what was known, or on disk, before this moment counts: a search that goes
                on after a kill then takes the way that it took before.
        """
        known: set[str] = set()
        if self.results is not None:
            known = self.results.builds(digest(script), folder_of(script), tree, before)
        costs = {i: Cost.LITTLE for i, one in enumerate(builds) if self.store.holds(one, before)}
        return costs | {i: Cost.NOTHING for i, one in enumerate(builds) if one.name in known}

    def _recalled(self, key: _Key, run: Wanted) -> _Known:
        """What is known of a key, from this command or an earlier one."""
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = _Known(run.name)
            known.outcomes += self._kept(key, run)
        return known

    def _kept(self, key: _Key, run: Wanted) -> list[Outcome]:
        """What earlier commands saw of a key."""
        if self.results is None:
            return []
        kept = self.results.get(key.script, key.folder, key.content, key.tree)
        outcomes = [one.outcome for one in kept]
        if any(one.touched for one in outcomes):
            # It writes into Keras: whatever else it is run under gets a copy at once.
            self._copies = True
        if self.times is None or all(one.import_error is None for one in outcomes):
            return outcomes
        assert not isinstance(run.source, BrokenBuild)
        era = self.times.era(run.source.build, self.made(run.source.build))
        if era is None:
            return outcomes
        return self.times.kept(era, key.script, key.folder, key.content, key.tree)

    def _add(self, key: _Key, outcome: Outcome, seen: Outcome) -> list[Outcome]:
        """Write a new outcome down; all that there are of its key.

        Args:
            key: what was probed.
            outcome: what counts.
            seen: what was seen in the present environment.
        """
        with self._lock:
            self.probes += 1
            outcomes = self._known[key].outcomes
            outcomes.append(outcome)
            there = list(outcomes)
        if self.results is not None:
            self.results.add(key.script, key.folder, key.content, key.tree, seen)
        return there

    def _in_its_time(self, task: Task, key: _Key, outcome: Outcome) -> Outcome:
        """The outcome in an environment of the build's own time, if it does not import in ours."""
        if outcome.import_error is None or self.times is None:
            return outcome
        era = self.times.era(task.source.build, self.made(task.source.build))
        if era is None:
            return outcome
        where = (key.folder, key.content, key.tree)
        return self.times.outcome(era, task.script, task.source, *where)

    def judged_in(self, script: Script, build: Build, tree: Tree = "optree") -> Era | None:
        """The environment that a build, or one with its content, was run in, if not the present."""
        source = self.had(build)
        if self.times is None or isinstance(source, BrokenBuild):
            return None
        known = self._known.get(_key_of(script, source, tree))
        return self.times.of(known.outcomes[0]) if known and known.outcomes else None

    def in_the_time_of(
        self, era: Era, script: Script, build: Build, tree: Tree = "optree"
    ) -> Outcome | None:
        """One script under one build in an environment of another time; None without the build."""
        source = self.had(build)
        if self.times is None or isinstance(source, BrokenBuild):
            return None
        key = _key_of(script, source, tree)
        where = (key.folder, key.content, key.tree)
        known = self.times.kept(era, key.script, *where)
        return known[0] if known else self.times.outcome(era, script, source, *where)

    def _begin_again(self, script: Script) -> None:
        self._copies = True
        with self._lock:
            self._known.clear()
        self.forget()
        if self.results is not None:
            self.results.forget(digest(script))
        self.listener(
            Notice(
                "The script writes into the Keras folder. What was seen is forgotten; from here on "
                "each probe gets a copy of its own."
            )
        )
        raise ScriptWrites

    def _tell(self, run: Wanted, tree: Tree, outcome: Outcome) -> None:
        if isinstance(run.source, BrokenBuild):
            return
        key = _key(run, run.source, tree)
        with self._lock:
            known = self._known[key]
            if (run.name, run.sample) in known.told:
                return
            known.told.add((run.name, run.sample))
        if self.results is not None and run.source.build.name == run.name:
            self.results.name(run.name, key.content)
        self.listener(
            Probed(
                script=key.script,
                folder=key.folder,
                build=run.name,
                content=key.content,
                tree=tree,
                backend=self.prober.backend,
                outcome=outcome,
                same_as=known.name if known.name != run.name else None,
                sample=run.sample,
            )
        )


def _absent(broken: BrokenBuild) -> Outcome:
    return Outcome(Ended.ABSENT, None, 0.0, stderr=str(broken))


def folder_of(script: Script) -> str:
    """Where its own modules are looked for; empty for a text that was made."""
    return str(Path(script.filename).parent) if script.filename else ""


def _key(run: Wanted, source: Source, tree: Tree) -> _Key:
    return _key_of(run.script, source, tree)


def _key_of(script: Script, source: Source, tree: Tree) -> _Key:
    # Content leaves the version out, so that a nightly without a change is not probed again. A
    # script that looks at the version sees a difference there.
    content = source.exact if _ASKS_VERSION.search(script.text) else source.content
    return _Key(digest(script), folder_of(script), content, tree)
