"""A made-up history of Keras in which it is known which build behaves how, for tests of narrowing.

A line such as `GGGDDUUBBB` is one nightly a day. The file `culprit.py` says how a build behaves;
other files change now and then. Nothing is fetched and no process is started.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

from packaging.version import Version

from keras_bisect.builds.build import Build, Spec, Wheel
from keras_bisect.builds.content import identify
from keras_bisect.builds.index import Index, NoSuchNightly
from keras_bisect.builds.store import Source, Store
from keras_bisect.events import Event
from keras_bisect.history.repository import Repository
from keras_bisect.lab import Lab
from keras_bisect.outcome import Ended, Loaded, Outcome, Raised
from keras_bisect.probe.prober import Prober, Script, Task
from keras_bisect.verdict import Verdict

VERDICTS = {
    "G": Verdict.GOOD,
    "B": Verdict.BAD,
    "D": Verdict.DIFFERENT,
    "U": Verdict.UNTESTABLE,
}
LOADED = Loaded("/x/keras/__init__.py", "3.5.0", "optree")
OUTCOMES = {
    "G": Outcome(Ended.EXIT, 0, 0.1, LOADED),
    "B": Outcome(Ended.EXIT, 1, 0.1, LOADED),
    "D": Outcome(Ended.EXIT, 1, 0.1, LOADED, raised=Raised("KeyError", "'b'")),
    "U": Outcome(Ended.EXIT, 125, 0.1, LOADED),
}
BEGIN = datetime(2024, 1, 1, 3, tzinfo=UTC)
CULPRIT = "keras/src/culprit.py"
SCRIPT = Script("import keras\n")


class World:
    """Index, store and prober of a history. Remembers what was probed."""

    jobs = 2
    backend = "tensorflow"
    offline = False

    def __init__(self, line: str, *, jobs: int = 2) -> None:
        self.line = line
        self.jobs = jobs
        self.probed: list[str] = []
        self.overlays: list[tuple[str, ...]] = []
        self.events: list[Event] = []
        self.on_disk: set[str] = set()
        self._files: dict[str, dict[str, str]] = {}
        self._releases: list[Build] = []
        self._nightlies = tuple(self._nightly(day) for day in range(len(line)))

    def _nightly(self, day: int) -> Build:
        made = BEGIN + timedelta(days=day)
        version = Version(f"3.4.1.dev{made:%Y%m%d%H}")
        run = next(d for d in range(day, -1, -1) if d == 0 or self.line[d - 1] != self.line[day])
        files = {CULPRIT: f"{self.line[day]} {run}"}
        files |= {f"keras/src/other{n}.py": f"{n} {(day + n) // 7}" for n in range(5)}
        self._files[str(version)] = files
        return Build("nightly", str(version), version)

    def release(self, name: str, day: int, behaves: str) -> Build:
        """A release that was uploaded on a day, and how it behaves, whatever the nightlies do."""
        uploaded = BEGIN + timedelta(days=day, hours=6)
        wheel = Wheel(f"keras-{name}.whl", "", "0" * 64, uploaded)
        self._files[name] = {CULPRIT: behaves, "keras/src/version.py": name}
        build = Build("release", name, Version(name), wheel)
        self._releases.append(build)
        return build

    def release_line(self, line: str) -> list[Build]:
        """A release for each letter, 3.0.0 and on, ten days apart."""
        return [self.release(f"3.{n}.0", 10 * n, f"{c} {n}") for n, c in enumerate(line)]

    def tree(self, name: str, **files: str) -> Build:
        """A build of these files and no date: file stem -> text. It behaves as `culprit` says."""
        self._files[name] = {f"keras/src/{stem}.py": text for stem, text in files.items()}
        return Build("folder", name)

    def lab(self, repository: Repository | None = None) -> Lab:
        return Lab(
            cast(Index, self),
            cast(Store, self),
            cast(Prober, self),
            repository=repository,
            listener=self.events.append,
        )

    # -- as an index, a store and a prober -----------------------------------------

    @property
    def store(self) -> World:
        return self

    def nightlies(self) -> tuple[Build, ...]:
        return self._nightlies

    def releases(self) -> tuple[Build, ...]:
        return tuple(self._releases)

    def resolve(self, spec: Spec) -> Build:
        named = {build.name: build for build in (*self._releases, *self._nightlies)}
        if str(spec) in named:
            return named[str(spec)]
        below = [one for one in self._nightlies if one.name < str(spec)]
        above = [one for one in self._nightlies if one.name > str(spec)]
        raise NoSuchNightly(f"There is no {spec}.", below, above)

    def get(self, build: Build) -> Source:
        return self._source(build, self._files[build.name])

    def keep(self, build: Build, key: str, files: Callable[[], Mapping[str, bytes]]) -> Source:
        """The sources of a commit, which behaves as its `culprit.py` says."""
        return self._source(build, {path: data.decode() for path, data in files().items()})

    def holds(self, build: Build, before: datetime | None = None) -> bool:
        return build.name in self.on_disk

    def overlay(self, base: Source, other: Source, files: Sequence[str]) -> Source:
        self.overlays.append(tuple(files))
        mixed = dict(base.files)
        for path in files:
            mixed.pop(path, None)
            if path in other.files:
                mixed[path] = other.files[path]
        return self._source(base.build, mixed)

    def _source(self, build: Build, files: dict[str, str]) -> Source:
        identity = identify(files, lambda path: files[path].encode())
        return Source(build, Path("/x"), identity.content, identity.exact, None, files)

    def run_all(
        self, tasks: Iterable[Task], *, share: bool = False
    ) -> Iterator[tuple[Task, Outcome]]:
        """Some at a time, and the last of them ends first."""
        waiting = iter(tasks)
        running: list[Task] = []
        while True:
            while len(running) < self.jobs and (task := next(waiting, None)) is not None:
                running.append(task)
            if not running:
                return
            task = running.pop()
            self.probed.append(task.source.build.name)
            yield task, self.outcome(task)

    def outcome(self, task: Task) -> Outcome:
        """How a script behaves under a build."""
        return OUTCOMES[self.behaviour(task.source.files)]

    def behaviour(self, files: dict[str, str] | object) -> str:
        """G, B, D or U; a test may have another rule than the culprit's."""
        return cast(dict[str, str], files)[CULPRIT][0]
