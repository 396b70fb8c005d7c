"""From an index's word to the files of a build: fetch a wheel, check it, read what matters.

A wheel is read whole into memory (1 to 3 MB) and trusted only after its sha256 is the index's.
Nothing of it touches the disk here, so nothing has to be cleaned up when it is wrong.

Public: `fetch`, `read`.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib

from keras_bisect import web
from keras_bisect.builds.build import Wheel
from keras_bisect.builds.content import is_source
from keras_bisect.errors import BrokenBuild, HarnessError

__all__ = ["fetch", "read"]

MOST_BYTES = 512 * 2**20
"""More than fifty times the largest Keras: whoever offers more is not offering Keras."""
GONE = (404, 410)
"""The answers of HTTP by which a server says that it does not have a file."""


def fetch(wheel: Wheel) -> bytes:
    """Download a wheel and check it.

    Raises:
        BrokenBuild: the index names it, and does not have it.
        Unreachable: it cannot be fetched, or not to its end.
        HarnessError: what came is not what the index announced.
    """
    data = bytearray()
    with (
        web.reachable(wheel.filename, wheel.url),
        web.session() as session,
        session.get(wheel.url, stream=True, timeout=web.TIMEOUT) as answer,
    ):
        if answer.status_code in GONE:
            raise BrokenBuild(
                f"{wheel.filename} is gone: {web.redact(wheel.url)} answers {answer.status_code}. "
                "Leave this build out, or choose another index with KERAS_REPRO_INDEX_URL."
            )
        answer.raise_for_status()
        for chunk in answer.iter_content(1 << 16):
            data += chunk
            if len(data) > MOST_BYTES:
                raise ValueError(f"more than {MOST_BYTES >> 20} MiB came")
    found = hashlib.sha256(data).hexdigest()
    if found != wheel.sha256:
        announced = "" if wheel.size in (None, len(data)) else f" of {wheel.size} announced"
        raise HarnessError(
            f"{wheel.filename} from {web.redact(wheel.url)} is not the file that the index "
            f"announced: expected sha256 {wheel.sha256}, found {found} ({len(data)} "
            f"bytes{announced}). Nothing was kept. Try again; if it stays, a proxy or mirror "
            "changes files: choose another index with KERAS_REPRO_INDEX_URL."
        )
    return bytes(data)


def read(wheel: Wheel, data: bytes) -> dict[str, bytes]:
    """The files of a wheel that belong to the build: posix path -> bytes.

    Raises:
        BrokenBuild: it is no zip archive, is damaged, or names files outside of itself.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            hostile = [member.filename for member in members if not _inside(member.filename)]
            if hostile:
                raise _unusable(wheel, f"it names files outside of itself: {hostile[0]!r}")
            wanted = [member for member in members if is_source(member.filename)]
            if sum(member.file_size for member in wanted) > MOST_BYTES:
                raise _unusable(wheel, f"it unpacks to more than {MOST_BYTES >> 20} MiB")
            # Reading a member to its end checks its CRC.
            files = {member.filename: archive.read(member) for member in wanted}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise _unusable(wheel, str(error)) from error
    if "keras/__init__.py" not in files:
        raise _unusable(wheel, "it holds no keras/__init__.py")
    return files


def _inside(name: str) -> bool:
    folders = name.replace("\\", "/").split("/")
    return ".." not in folders and "" not in folders and "." not in folders and ":" not in name


def _unusable(wheel: Wheel, why: str) -> BrokenBuild:
    return BrokenBuild(
        f"{wheel.filename} ({web.redact(wheel.url)}) cannot be used: {why}. Nothing was unpacked. "
        "Leave this build out, or choose another index with KERAS_REPRO_INDEX_URL."
    )
