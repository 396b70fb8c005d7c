"""A build on disk: fetched, verified, unpacked once, and checked each time it is handed out.

    builds/NAME-WHEEL/    keras/ and what it should hold (`manifest.py`); git-SHA for a commit
    blobs/, bytecode/     the files themselves, shared by all builds (`pool.py`)
    tmp/, locks/          what is being made, and by whom (`workplace.py`)

A build comes into being by one rename of a finished folder, so it is there whole or not at all.
Handing out a build that is right takes no lock and writes nothing: a read-only cache serves. One
that is damaged is made again, from the pool where that still holds its files, else from the index.

Public: `Store`, `Source`, `cache_folder`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Self

from keras_bisect.builds import local
from keras_bisect.builds.build import Build, Wheel
from keras_bisect.builds.content import identify, is_source
from keras_bisect.builds.manifest import Finding, Manifest, State, inspect, stat_of
from keras_bisect.builds.pool import Pool
from keras_bisect.builds.wheel import fetch as fetch_wheel
from keras_bisect.builds.wheel import read as read_wheel
from keras_bisect.builds.workplace import Workplace
from keras_bisect.errors import HarnessError, NotCached, UsageError

__all__ = ["Source", "Store", "cache_folder"]

USABLE = (State.RIGHT, State.TOUCHED)

Fetch = Callable[[Wheel], bytes]
Files = Callable[[], Mapping[str, bytes]]


def cache_folder() -> Path:
    """Where builds and listings are kept: KERAS_REPRO_CACHE, else the user's cache folder."""
    named = os.environ.get("KERAS_REPRO_CACHE")
    if named:
        return Path(named).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_cache_dir("keras-repro", appauthor=False))


@dataclass(frozen=True)
class Source:
    """The sources of a build, ready to be put on the path."""

    build: Build
    path: Path
    """The folder to put first on `sys.path`; it holds `keras/`."""
    content: str
    """Equal for builds that differ in nothing but the version they state."""
    exact: str
    """Equal for builds that do not differ at all."""
    version: str | None
    """What `keras.__version__` will be; not always the wheel's, see `local.source_version`."""
    files: Mapping[str, str] = field(repr=False)
    """Posix path below `path` -> sha256, without tests."""


class Store:
    """The builds of one cache folder. Safe to share between threads, processes and Pythons.

    A context manager: what `overlay` made is removed at its end.
    """

    def __init__(self, cache: Path, *, offline: bool = False, fetch: Fetch = fetch_wheel) -> None:
        """Nothing is read or written yet.

        Args:
            cache: the cache folder, see `cache_folder`; made when it is first written.
            offline: never fetch.
            fetch: gets the checked bytes of a wheel; for tests.
        """
        self.cache = cache
        self.offline = offline
        self._fetch = fetch
        self._pool = Pool(cache)
        self._workplace = Workplace(cache)
        self._mutex = threading.Lock()
        self._overlays: dict[str, Source] = {}

    def __enter__(self) -> Self:
        """The store itself, swept of what killed runs left."""
        with contextlib.suppress(OSError):
            # What cannot even be listed will be told by whoever needs it.
            self._workplace.sweep()
        return self

    def __exit__(self, *_: object) -> None:
        """Remove what `overlay` made."""
        self.close()

    def close(self) -> None:
        """Remove what `overlay` made. The store can be used again."""
        with self._mutex:
            self._overlays.clear()
            self._workplace.close()

    def get(self, build: Build) -> Source:
        """The sources of a build, fetched and unpacked if they are not in the cache yet.

        Raises:
            NotCached: offline, and the build is not in the cache, or damaged there.
            Unreachable: its wheel cannot be fetched.
            HarnessError: the wheel is not what the index announced, or the cache cannot be written.
            UsageError: a folder without keras, or a commit (git makes those).
        """
        if build.kind == "folder":
            return _in_place(build, local.folder_root(build.name.removeprefix("path:")))
        if build.kind == "installed":
            return _in_place(build, local.installed_root())
        if build.wheel is None:
            raise UsageError(f"{build}: expected a release or a nightly; only those have a wheel.")
        wheel = build.wheel
        files = None if self.offline else lambda: read_wheel(wheel, self._fetch(wheel))
        return self._kept(build, _key(build.name, wheel), wheel.sha256, files)

    def holds(self, build: Build, before: datetime | None = None) -> bool:
        """Whether a release or a nightly is on disk, and was before a moment; it is not checked."""
        if build.wheel is None:
            return False
        try:
            made = (self.cache / "builds" / _key(build.name, build.wheel)).stat().st_mtime
        except OSError:
            return False
        return before is None or made < before.timestamp()

    def keep(self, build: Build, key: str, files: Files) -> Source:
        """The sources of a build that comes from elsewhere (git), kept and checked like a wheel's.

        Args:
            build: what it is.
            key: a folder name that no other sources ever have, such as git-SHA.
            files: makes posix path -> bytes; asked only for what the cache does not hold.

        Raises:
            HarnessError: the cache cannot be written.
        """
        return self._kept(build, key, key, files)

    def _kept(self, build: Build, key: str, origin: str, files: Files | None) -> Source:
        root = self.cache / "builds" / key
        found = inspect(root, origin)
        if not _settled(found):
            found = self._settle(build, origin, key, root, found, files)
        assert found.manifest is not None
        return _source(build, root, found.manifest)

    def overlay(self, base: Source, other: Source, files: Iterable[str]) -> Source:
        """`base` with the named files as they are in `other`, or absent where `other` has none.

        The same base, other and files give the same folder. It lasts until `close`.

        Raises:
            UsageError: a file is in neither.
            HarnessError: nothing can be written, or a file changed since its source was made.
        """
        named = sorted(set(files))
        unknown = [path for path in named if path not in base.files and path not in other.files]
        if unknown:
            raise UsageError(f"{unknown[0]} is neither in {base.build} nor in {other.build}.")
        chosen = set(named)
        home = {path: base for path in base.files if path not in chosen}
        home |= {path: other for path in named if path in other.files}
        wanted = {path: source.files[path] for path, source in home.items()}
        with self._mutex:
            identity = identify(wanted, lambda path: (home[path].path / path).read_bytes())
            if identity.exact not in self._overlays:
                with _writing(self.cache):
                    root = self._workplace.scratch() / identity.exact[:16]
                    root.mkdir()
                    try:
                        right = self._mix(root, home, wanted)
                    except FileNotFoundError:
                        right = False
                if not right:
                    raise HarnessError(
                        f"The files of {base.build} or {other.build} changed while they were used. "
                        "Run again."
                    )
                version = local.source_version(root)
                self._overlays[identity.exact] = Source(
                    base.build, root, identity.content, identity.exact, version, wanted
                )
            return self._overlays[identity.exact]

    def copy(self, source: Source) -> Source:
        """The same sources as files that nobody shares, for a script that writes into them.

        They last until `close`, or until who asked for them removes the folder.

        Raises:
            HarnessError: nothing can be written.
        """
        with _writing(self.cache):
            with self._mutex:
                root = self._workplace.scratch() / f"copy-{secrets.token_hex(4)}"
            shutil.copytree(source.path / "keras", root / "keras")
        return replace(source, path=root)

    def _mix(self, root: Path, home: Mapping[str, Source], wanted: Mapping[str, str]) -> bool:
        """Put files of several sources into an empty folder; whether they are what is wanted."""
        folders = {path: source.path for path, source in home.items()}
        if {folder.parent for folder in folders.values()} <= {self.cache / "builds"}:
            # Checked when they were handed out, and run as they are by every other probe.
            bare = self._pool.link(folders, root)
        else:
            # A folder that somebody works in: its files are never shared, and may have changed.
            data = {path: (folder / path).read_bytes() for path, folder in folders.items()}
            if self._pool.place(data, root)[0] != wanted:
                return False
            bare = list(wanted)
        self._pool.add_bytecode({path: wanted[path] for path in bare}, root)
        return True

    def _settle(
        self, build: Build, origin: str, key: str, root: Path, found: Finding, files: Files | None
    ) -> Finding:
        """Make a build right, under its lock; or accept one that cannot be made better."""
        if files is None and found.manifest is None:
            raise self._not_cached(build, found)
        try:
            with self._workplace.locked(key):
                # Whoever held the lock may have done all there was to do.
                found = inspect(root, origin)
                if not _settled(found):
                    self._workplace.clear(key)
                    try:
                        found = self._repair(build, origin, key, root, found, files)
                    finally:
                        self._workplace.clear(key)
        except OSError as error:
            # A cache that cannot be written still serves what it holds, slower without bytecode.
            if found.manifest and found.sources in USABLE and found.bytecode is not State.DAMAGED:
                return found
            raise _unwritable(self.cache, error) from error
        if not _settled(found):
            raise HarnessError(
                f"{root} was damaged again while it was repaired. Something else writes there: "
                "choose another folder with KERAS_REPRO_CACHE."
            )
        return found

    def _repair(
        self, build: Build, origin: str, key: str, root: Path, found: Finding, files: Files | None
    ) -> Finding:
        manifest = found.manifest
        if manifest is None or found.sources is State.DAMAGED:
            sources = self._from_pool(manifest) if manifest else None
            if sources is None:
                if files is None:
                    raise self._not_cached(build, found)
                sources = files()
            new = self._workplace.folder(key)
            made = self._make(new, sources, origin)
            if root.exists():
                root.rename(self._workplace.aside(key))
            root.parent.mkdir(parents=True, exist_ok=True)
            new.rename(root)
            # Every file of it was checked as it was put there.
            return Finding(made, State.RIGHT, State.RIGHT)
        if found.sources is State.TOUCHED:
            stats = {path: stat_of(root / path) for path in manifest.files}
            Manifest(**{**manifest.__dict__, "stats": stats}).write(root)
        if found.bytecode is not State.RIGHT:
            self._pool.add_bytecode(manifest.files, root).write(root)
        return inspect(root, origin)

    def _make(self, root: Path, files: Mapping[str, bytes], wheel_sha256: str) -> Manifest:
        """Put a whole build into an empty folder."""
        shas, stats = self._pool.place(files, root)
        identity = identify(shas, files.__getitem__)
        version = local.source_version(root)
        manifest = Manifest(wheel_sha256, identity.content, identity.exact, version, shas, stats)
        self._pool.add_bytecode(shas, root).write(root)
        manifest.write(root)
        return manifest

    def _from_pool(self, manifest: Manifest) -> Mapping[str, bytes] | None:
        files = {}
        for path, sha256 in manifest.files.items():
            data = self._pool.source(sha256)
            if data is None:
                return None
            files[path] = data
        return files

    def _not_cached(self, build: Build, found: Finding) -> NotCached:
        state = "is not" if found.sources is State.MISSING else "is damaged"
        return NotCached(
            f"Offline, and Keras {build} {state} in {self.cache}. Run once without --offline to "
            "fetch it."
        )


def _key(name: str, wheel: Wheel) -> str:
    return f"{name}-{wheel.sha256[:12]}"


def _settled(found: Finding) -> bool:
    return found.sources is State.RIGHT and found.bytecode is State.RIGHT


def _source(build: Build, root: Path, made: Manifest) -> Source:
    return Source(build, root, made.content, made.exact, made.version, made.files)


def _in_place(build: Build, root: Path) -> Source:
    """A tree that somebody else owns: read and hashed, nothing written."""
    files = {}
    for path in sorted((root / "keras").rglob("*")):
        name = path.relative_to(root).as_posix()
        if is_source(name) and path.is_file():
            try:
                files[name] = hashlib.sha256(path.read_bytes()).hexdigest()
            except OSError as error:
                raise UsageError(f"{build}: expected readable files, but {error}.") from error
    identity = identify(files, lambda name: (root / name).read_bytes())
    version = local.source_version(root)
    return Source(build, root, identity.content, identity.exact, version, files)


@contextlib.contextmanager
def _writing(cache: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _unwritable(cache, error) from error


def _unwritable(cache: Path, error: OSError) -> HarnessError:
    return HarnessError(
        f"The cache folder {cache} cannot be written: {error}. Make it writable, free some space, "
        "or choose another folder with KERAS_REPRO_CACHE."
    )
