"""What an index offers: the Keras 3 releases and the Keras 3 nightlies, in order.

A listing is fetched whole, reduced to the wheels that can be used, and kept as readable JSON under
`cache/index/` for a while: a bisect asks the index once, not once a step. `pypi_simple` is known
only to `fetch_listing`; everything else works on `Wheel` and `Build`.

Public: `Index`, `NoSuchNightly`, `index_url`, `Client`.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import Version

from keras_bisect import web
from keras_bisect.atomic import write_atomic
from keras_bisect.builds import local
from keras_bisect.builds.build import (
    Build,
    Commit,
    Folder,
    Installed,
    NewestNightly,
    NightlyOn,
    Numbered,
    Spec,
    Wheel,
)
from keras_bisect.errors import NotCached, Unreachable, UsageError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = ["Client", "Index", "NoSuchNightly", "index_url"]

PYPI = "https://pypi.org/simple/"
RELEASES, NIGHTLIES = "keras", "keras-nightly"
FIRST = Version("3.0.0.dev0")

Client = Callable[[str, str], tuple[Wheel, ...]]
"""(index URL, project) -> every wheel of the project. Raises `Unreachable`."""


def index_url(explicit: str | None = None) -> str:
    """The index to ask: what was given, else what pip or uv would ask, else PyPI."""
    named = (
        explicit,
        os.environ.get("KERAS_REPRO_INDEX_URL"),
        os.environ.get("PIP_INDEX_URL"),
        # uv lets an index be written as name=url.
        (os.environ.get("UV_DEFAULT_INDEX") or "").rpartition("=")[2],
    )
    return next((url.rstrip("/") + "/" for url in named if url), PYPI)


class NoSuchNightly(UsageError):  # noqa: N818
    """No nightly was made then, or it is gone: `below` and `above` are those around it, if any."""

    def __init__(self, message: str, below: Sequence[Build], above: Sequence[Build]) -> None:
        """Keep the neighbours: a search may take one of them."""
        super().__init__(message)
        self.below = below[-1] if below else None
        self.above = above[0] if above else None


@dataclass(frozen=True)
class Listing:
    """One project's wheels as they are kept. `checksum` is of all the rest: a file that was damaged
    but still reads as JSON is not believed.
    """

    schema: int
    index: str
    project: str
    fetched: datetime
    checksum: str
    wheels: tuple[Wheel, ...]


class Index:
    """The builds an index offers, and what a person's words mean among them.

    A listing younger than `max_age` is used as it is. An older one is fetched again, and used with
    a notice where the index cannot be reached. Safe to share between threads.
    """

    def __init__(
        self,
        cache: Path,
        *,
        url: str | None = None,
        offline: bool = False,
        max_age: timedelta = timedelta(hours=1),
        client: Client | None = None,
        notice: Callable[[str], None] | None = None,
    ) -> None:
        """Nothing is read or fetched yet.

        Args:
            cache: the cache folder; listings are kept in its `index/`.
            url: the index; see `index_url` for what is asked by default.
            offline: never ask the index.
            max_age: how long a listing that was kept is used without asking.
            client: what asks the index; for tests.
            notice: told what a person should know but need not act on. Logs a warning by default.
        """
        self.url = index_url(url)
        self.offline = offline
        self._cache = cache
        self._max_age = max_age
        self._client = client or fetch_listing
        self._notice = notice or logging.getLogger(__name__).warning
        self._lock = threading.RLock()
        self._builds: dict[str, tuple[Build, ...]] = {}
        self._fresh: set[str] = set()

    def releases(self) -> tuple[Build, ...]:
        """The final releases of Keras 3, by version.

        By version and not by upload: 3.12.1 to 3.12.4 were uploaded after 3.13.0 and go on from
        3.12.0. Between 3.13 and 3.15 they would show changes that nobody made.

        Raises:
            Unreachable: no listing in the cache and none from the index.
            NotCached: the same, offline.
        """
        return self._project(RELEASES)

    def nightlies(self) -> tuple[Build, ...]:
        """The nightlies of Keras 3, in the order in which they were made. Errors as `releases`.

        By the stamp in the version, which says when the sources were taken. From 2023 to 2026 the
        orders of versions, of stamps and of uploads are one and the same (929 nightlies), but only
        the stamp stays right when a branch lowers its version or a wheel is uploaded late.
        """
        return self._project(NIGHTLIES)

    def resolve(self, spec: Spec) -> Build:
        """The build that a person's words mean.

        A commit is only named here (its tree is git's affair); a folder's name is made absolute.

        Raises:
            UsageError: there is no such build; the message names the closest ones.
        """
        match spec:
            case Numbered(version):
                return self._numbered(version)
            case NewestNightly():
                return self._last(self.nightlies(), "nightly")
            case NightlyOn():
                return self._nightly_on(spec)
            case Commit():
                return Build("commit", str(spec))
            case Folder(path):
                return Build("folder", f"path:{local.folder_root(path)}")
            case Installed():
                found = local.source_version(local.installed_root())
                return Build("installed", "installed", Version(found) if found else None)

    def _numbered(self, version: Version) -> Build:
        project = NIGHTLIES if version.is_devrelease else RELEASES
        found = self._search(project, lambda build: build.version == version)
        if found:
            return found[-1]
        known = self._project(project)
        below = [b for b in known if b.version and b.version < version]
        above = [b for b in known if b.version and b.version > version]
        word = "nightly" if project == NIGHTLIES else "release"
        message = (
            f"There is no Keras {word} {version}. {self._closest(below, above)} "
            "`keras-repro builds` lists them all."
        )
        raise NoSuchNightly(message, below, above) if word == "nightly" else UsageError(message)

    def _nightly_on(self, spec: NightlyOn) -> Build:
        def day(build: Build) -> str:
            return build.made.date().isoformat() if build.made else ""

        wanted = spec.day.isoformat()
        found = self._search(NIGHTLIES, lambda build: day(build) == wanted)
        if found:
            return found[-1]
        below = [b for b in self.nightlies() if day(b) < wanted]
        above = [b for b in self.nightlies() if day(b) > wanted]
        message = (
            f"No Keras nightly was made on {wanted} (UTC). {self._closest(below, above)} "
            "`keras-repro builds` lists them all."
        )
        raise NoSuchNightly(message, below, above)

    def _search(self, project: str, wanted: Callable[[Build], bool]) -> list[Build]:
        found = [build for build in self._project(project) if wanted(build)]
        if not found and not self.offline and project not in self._fresh:
            # What is missing may have been made since the listing was kept.
            with self._lock:
                self._builds.pop(project, None)
                found = [build for build in self._project(project, timedelta(0)) if wanted(build)]
        return found

    def _closest(self, below: list[Build], above: list[Build]) -> str:
        near = [build.name for build in (*below[-2:], *above[:2])]
        return f"The closest: {', '.join(near)}." if near else f"{web.redact(self.url)} has none."

    def _last(self, builds: tuple[Build, ...], word: str) -> Build:
        if not builds:
            raise UsageError(
                f"{web.redact(self.url)} offers no Keras {word}. Set KERAS_REPRO_INDEX_URL to an "
                f"index that does, such as {PYPI}"
            )
        return builds[-1]

    def _project(self, project: str, max_age: timedelta | None = None) -> tuple[Build, ...]:
        with self._lock:
            if project not in self._builds:
                wheels = self._wheels(project, self._max_age if max_age is None else max_age)
                self._builds[project] = _in_order(project, wheels)
            return self._builds[project]

    def _wheels(self, project: str, max_age: timedelta) -> tuple[Wheel, ...]:
        path = self._path(project)
        kept = self._kept(path, project)
        if self.offline:
            if kept is None:
                raise NotCached(
                    f"Offline, and {path.parent} holds no usable listing of {project} from "
                    f"{web.redact(self.url)}. Run once without --offline."
                )
            return kept.wheels
        now = datetime.now(UTC)
        if kept is not None and timedelta(0) <= now - kept.fetched < max_age:
            return kept.wheels
        try:
            wheels = tuple(_usable(self._client(self.url, project)))
        except Unreachable as error:
            if kept is None:
                raise
            self._notice(f"{error} Using the listing of {kept.fetched:%Y-%m-%d %H:%M} UTC.")
            return kept.wheels
        self._fresh.add(project)
        listing = _sealed(Listing(1, web.redact(self.url), project, now, "", wheels))
        try:
            write_atomic(path, _adapter().dump_json(listing, indent=1))
        except OSError as error:
            # The answer is at hand; that it is not kept costs the next run a fetch.
            self._notice(f"The listing of {project} could not be kept in {path.parent}: {error}")
        return wheels

    def _path(self, project: str) -> Path:
        key = hashlib.sha256(self.url.encode()).hexdigest()[:12]
        return self._cache / "index" / f"{project}-{key}.json"

    def _kept(self, path: Path, project: str) -> Listing | None:
        """The listing that was kept, or None where there is none or it is damaged: a damaged one is
        fetched again, so nobody needs to be told.
        """
        try:
            data = path.read_bytes()
        except OSError:
            return None
        from pydantic import ValidationError

        try:
            listing = _adapter().validate_json(data)
        except ValidationError:
            return None
        right = listing.schema == 1 and listing.project == project and listing == _sealed(listing)
        return listing if right else None


def fetch_listing(url: str, project: str) -> tuple[Wheel, ...]:
    """Every wheel of a project, from an index (JSON or HTML, PEP 503 and 691).

    Raises:
        Unreachable: the index cannot be reached, or does not know the project.
    """
    from pypi_simple import PyPISimple, UnsupportedContentTypeError, UnsupportedRepoVersionError
    from pypi_simple.errors import NoSuchProjectError

    strange = (NoSuchProjectError, UnsupportedContentTypeError, UnsupportedRepoVersionError)
    with web.reachable(f"the listing of {project}", url), web.session() as session:
        try:
            page = PyPISimple(url, session=session).get_project_page(project, timeout=web.TIMEOUT)
        except strange as error:
            raise ValueError(web.redact(str(error))) from error
    return tuple(
        Wheel(
            filename=package.filename,
            url=package.url,
            sha256=package.digests.get("sha256", "").lower(),
            uploaded=package.upload_time.astimezone(UTC) if package.upload_time else None,
            size=package.size,
            yanked=(package.yanked_reason or "") if package.is_yanked else None,
        )
        for package in page.packages
        if package.filename.endswith(".whl")
    )


def _usable(wheels: Iterable[Wheel]) -> Iterable[Wheel]:
    """The wheels that run anywhere, are of Keras 3, and can be checked when they are fetched."""
    for wheel in wheels:
        try:
            _, version, _, tags = parse_wheel_filename(wheel.filename)
        except InvalidWheelFilename:
            continue
        if version >= FIRST and wheel.sha256 and any(str(tag) == "py3-none-any" for tag in tags):
            yield wheel


def _in_order(project: str, wheels: Iterable[Wheel]) -> tuple[Build, ...]:
    """One build a version, as `Index.releases` and `Index.nightlies` promise."""
    builds: dict[Version, Build] = {}
    # Two wheels of one version differ in their build tag; the installers take the last.
    for wheel in sorted(wheels, key=lambda wheel: wheel.filename):
        version = parse_wheel_filename(wheel.filename)[1]
        if project == NIGHTLIES and version.is_devrelease:
            builds[version] = Build("nightly", str(version), version, wheel)
        elif project == RELEASES and not version.is_prerelease:
            builds[version] = Build("release", str(version), version, wheel)
    by_version = [builds[version] for version in sorted(builds)]
    if project == RELEASES:
        return tuple(by_version)
    long_ago = datetime.min.replace(tzinfo=UTC)
    return tuple(sorted(by_version, key=lambda build: build.made or long_ago))


def _sealed(listing: Listing) -> Listing:
    body = _adapter().dump_json(replace(listing, checksum=""))
    return replace(listing, checksum=hashlib.sha256(body).hexdigest())


@cache
def _adapter() -> TypeAdapter[Listing]:
    from pydantic import TypeAdapter

    return TypeAdapter(Listing)
