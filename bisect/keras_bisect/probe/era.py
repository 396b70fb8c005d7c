"""Environments of another time: what a build needed when it was made, and nothing newer.

    eras/DAY-KEY/           a virtual environment, and era.json, which is written last
    tmp/DAY-KEY.TOKEN/      one that is being made; belongs to whoever holds locks/DAY-KEY.lock

A build that does not import in the present environment is not broken: its dependencies went on
without it. uv makes an environment as the index was on a day shortly after the build was made, with
the Python of the present where there were wheels for it, else with the newest older one. Days are
the first of a month, so that a year of builds needs twelve environments and not hundreds.

An environment comes into being by one rename of a finished folder, so it is there whole or not at
all; temporary folders of killed runs are removed by whoever comes next, as `store.py` has it.

What a script imports beside Keras is there, too, if it is installed here.

Public: `Eras`, `Era`, `EraUnavailable`, `last_day`, `needed_by`.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import json
import logging
import secrets
import shutil
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from keras_bisect.atomic import write_atomic
from keras_bisect.errors import HarnessError, NotCached
from keras_bisect.probe.uv import (
    NoSolution,
    Uv,
    find_uv,
    interpreter,
    present,
    told_index,
    version_of,
)

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = ["Era", "EraUnavailable", "Eras", "last_day", "needed_by"]

LOCK_SECONDS = 2000.0

OLDEST_PYTHON = 9
"""Python 3.9 is the oldest that a Keras 3 was made for, and that a probe runs under."""

TENSORFLOW = (
    # Probes see no GPU: half the size, and the same TensorFlow.
    "tensorflow-cpu; sys_platform == 'linux' and platform_machine == 'x86_64'",
    "tensorflow; sys_platform != 'linux' or platform_machine != 'x86_64'",
)
KERAS = ("absl-py", "dm-tree", "h5py", "ml-dtypes", "namex", "numpy", "packaging", "rich")
"""What any Keras 3 imports. A build goes before the keras that comes with TensorFlow."""
OPTREE = "optree"
"""Keras needs it since 2024. Of its versions before November 2023 none can be installed today."""
SKLEARN = "scikit-learn"
"""Keras imported it outright for some days of December 2024, which its releases never did."""
BACKENDS: Mapping[str, tuple[str, ...]] = {"jax": ("jax[cpu]",), "torch": ("torch",)}


class EraUnavailable(HarnessError):  # noqa: N818
    """There is no environment of that time for any Python at hand: the message says why."""


@dataclass(frozen=True)
class Era:
    """An environment of another time, ready to run probes."""

    python: str
    """Its interpreter; `Task.python` and `Prober.run` take it."""
    identity: str
    """Equal for environments that hold the same versions, whatever their day."""
    day: date
    """Nothing in it was uploaded after this day began (UTC)."""
    packages: Mapping[str, str] = field(repr=False)
    """Name -> version."""


@dataclass(frozen=True)
class _Manifest:
    """`era.json`: what an environment holds. It is there, so the environment is whole."""

    schema: int
    day: date
    python: str
    """Its version, as 3.11.7."""
    packages: dict[str, str]


class Eras:
    """The environments of one cache folder, for one backend. Safe to share between threads."""

    def __init__(
        self,
        cache: Path,
        *,
        backend: str,
        script: str = "",
        offline: bool = False,
        index_url: str | None = None,
        notice: Callable[[str], None] | None = None,
    ) -> None:
        """Nothing is read or made yet.

        Args:
            cache: the cache folder; environments are kept in its `eras/`.
            backend: the Keras backend whose package is wanted beside TensorFlow.
            script: the text of the script that is to run in them.
            offline: use what is there, make nothing.
            index_url: the index; by default what `index.index_url` says, else what uv is set to.
            notice: told when an environment is made, which takes its time. Logs by default.
        """
        self._cache = cache.absolute()
        self._backend = backend
        self._script = script
        self._offline = offline
        self._index = told_index(index_url)
        self._notice = notice or logging.getLogger(__name__).warning
        self._mutex = threading.Lock()
        self._answers: dict[date, Era | EraUnavailable] = {}

    def of(self, made: datetime) -> Era:
        """The environment for a build, made if it is not in the cache yet.

        Args:
            made: when the build was made, with its time zone; see `last_day`.

        Raises:
            EraUnavailable: what Keras needs was not to be had then, for any Python at hand.
            UsageError: uv is missing, or the index does not say when a file was uploaded.
            NotCached: offline, and there is none for this day.
            Unreachable: the index cannot be reached.
            HarnessError: uv failed, took too long, or the cache cannot be written.
        """
        return self.on(last_day(made, datetime.now(UTC)))

    def on(self, day: date) -> Era:
        """The environment of a day, as `Era.day` has it. Raises as `of`."""
        with self._mutex:
            answer = self._answers.get(day)
            if answer is None:
                try:
                    answer = self._era(day)
                except EraUnavailable as error:
                    answer = error
                self._answers[day] = answer
        if isinstance(answer, EraUnavailable):
            raise EraUnavailable(str(answer))
        return answer

    def _era(self, day: date) -> Era:
        root = self._cache / "eras" / self._name(day)
        era = _read(root)
        if era is not None:
            return era
        if self._offline:
            raise NotCached(
                f"Offline, and there is no environment of {day} in {root.parent}. Run once "
                "without --offline to make it."
            )
        uv = Uv(find_uv(), self._index, day)
        try:
            with self._locked(root.name):
                # Whoever held the lock may have made it.
                era = _read(root)
                if era is None:
                    era = self._make(uv, root)
        except OSError as error:
            raise HarnessError(
                f"The cache folder {self._cache} cannot be written: {error}. Make it writable, "
                "free some space, or choose another folder with KERAS_REPRO_CACHE."
            ) from error
        return era

    def _make(self, uv: Uv, root: Path) -> Era:
        new = self._cache / "tmp" / f"{root.name}.{secrets.token_hex(4)}"
        new.parent.mkdir(parents=True, exist_ok=True)
        try:
            packages = self._fill(uv, new)
            manifest = _Manifest(1, uv.day, version_of(new), dict(packages))
            write_atomic(new / "era.json", _adapter().dump_json(manifest, indent=1))
            if root.exists():
                # Its interpreter is gone, or somebody damaged it.
                root.rename(new.with_name(f"{root.name}.{secrets.token_hex(4)}"))
            root.parent.mkdir(parents=True, exist_ok=True)
            new.rename(root)
        finally:
            self._clear(root.name)
        era = _read(root)
        if era is None:
            raise HarnessError(f"{root} was damaged while it was made. Run again.")
        return era

    def _fill(self, uv: Uv, new: Path) -> Mapping[str, str]:
        """Make an environment with the first Python that can have one; what it holds."""
        reasons = []
        for python in _pythons():
            try:
                packages = self._resolve(uv, python)
                uv.venv(python, new)
            except NoSolution as reason:
                reasons.append(f"Python {python}: {reason}")
                continue
            held = {name.removesuffix("-cpu"): version for name, version in packages.items()}
            self._notice(
                f"Making an environment of {uv.day}: Python {python}, TensorFlow "
                f"{held.get('tensorflow')}. This fetches some hundred megabytes, once."
            )
            uv.install(new, packages)
            return packages
        raise EraUnavailable(f"No environment of {uv.day} can be made. {'; '.join(reasons)}.")

    def _resolve(self, uv: Uv, python: str) -> Mapping[str, str]:
        wanted = (*TENSORFLOW, *KERAS, *BACKENDS.get(self._backend, ()))
        all_of_it = (OPTREE, *self._needed)
        # What few need goes first where all is not to be had.
        for more in ((*all_of_it, SKLEARN), all_of_it, self._needed, (OPTREE,)):
            with suppress(NoSolution):
                return uv.resolve(python, (*wanted, *more))
        return uv.resolve(python, wanted)

    @cached_property
    def _needed(self) -> tuple[str, ...]:
        return needed_by(self._script)

    def _name(self, day: date) -> str:
        wanted = [
            *(sys.implementation.name, *map(str, sys.version_info[:3]), sysconfig.get_platform()),
            *(
                self._backend,
                *TENSORFLOW,
                *KERAS,
                OPTREE,
                SKLEARN,
                *BACKENDS.get(self._backend, ()),
            ),
            *self._needed,
            self._index,
        ]
        return f"{day}-{hashlib.sha256(json.dumps(wanted).encode()).hexdigest()[:12]}"

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        from filelock import FileLock

        path = self._cache / "locks" / f"{name}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        try:
            lock.acquire(timeout=LOCK_SECONDS)
        except TimeoutError:
            raise HarnessError(
                f"Another process has made the environment {name} for {LOCK_SECONDS:.0f} s. Wait "
                "for it, or end it."
            ) from None
        try:
            self._clear(name)
            yield
        finally:
            lock.release()

    def _clear(self, name: str) -> None:
        """Remove the temporary folders of an environment whose lock is held."""
        for left in (self._cache / "tmp").glob(f"{name}.*"):
            shutil.rmtree(left, ignore_errors=True)


def last_day(made: datetime, now: datetime) -> date:
    """The day (UTC) before whose beginning everything in a build's environment was uploaded.

    The first of the month after the build. While that is still to come, today: an environment that
    will not be another tomorrow; and for a build of today, tomorrow.

    >>> last_day(datetime(2023, 11, 28, 13, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))
    datetime.date(2023, 12, 1)
    """
    day, today = made.astimezone(UTC).date(), now.astimezone(UTC).date()
    first = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
    return min(first, max(today, day + timedelta(days=1)))


def needed_by(text: str) -> tuple[str, ...]:
    """What a script imports, anywhere in it, that no environment has by itself.

    Returns:
        Names of distributions that are installed here, sorted. What is not installed here fails in
        any environment alike, and what Keras and TensorFlow bring is there already.
    """
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError, RecursionError):
        return ()
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(n.module) for n in nodes if isinstance(n, ast.ImportFrom) and not n.level}
    tops = {name.partition(".")[0] for name in names} - sys.stdlib_module_names
    if tops <= {"keras", "numpy", "tensorflow"}:
        return ()
    installed = importlib.metadata.packages_distributions()
    found = {name.lower() for top in tops for name in installed.get(top, ())}
    return tuple(
        sorted(found - {*KERAS, OPTREE, SKLEARN, "keras", "keras-nightly", "tensorflow", "tree"})
    )


def _pythons() -> Iterator[str]:
    """The Pythons to try: ours, then older ones. A newer one has no wheels where ours has none."""
    yield present()
    older = range(sys.version_info.minor - 1, OLDEST_PYTHON - 1, -1)
    yield from (f"3.{minor}" for minor in older)


def _read(root: Path) -> Era | None:
    """An environment that is whole; None where there is none."""
    from pydantic import ValidationError

    try:
        manifest = _adapter().validate_json((root / "era.json").read_bytes())
    except (OSError, ValidationError):
        return None
    # A link to an interpreter that was uninstalled leads nowhere.
    if manifest.schema != 1 or not interpreter(root).exists():
        return None
    held = [sysconfig.get_platform(), manifest.python, sorted(manifest.packages.items())]
    identity = hashlib.sha256(json.dumps(held).encode()).hexdigest()
    return Era(str(interpreter(root)), identity, manifest.day, manifest.packages)


@cache
def _adapter() -> TypeAdapter[_Manifest]:
    from pydantic import TypeAdapter

    return TypeAdapter(_Manifest)
