"""A package index on this machine, whose truth is known and whose faults are chosen.

It speaks the JSON form of the simple API and serves wheels that are made on the fly.
"""

from __future__ import annotations

import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from packaging.version import Version

from keras_bisect.builds.build import Build, Kind, Wheel

JSON = "application/vnd.pypi.simple.v1+json"
TIME = "%Y-%m-%dT%H:%M:%S.%fZ"
EARLY = datetime(2024, 1, 1, tzinfo=UTC)


def tree(version: str, **modules: str) -> dict[str, bytes]:
    """The files of a small Keras; `modules` are more files of `keras/src/`: stem -> text."""
    files = {
        "keras/__init__.py": "from keras.src.version import __version__\n",
        "keras/src/__init__.py": "",
        "keras/src/layers/__init__.py": "",
        "keras/src/layers/layer.py": "class Layer:\n    units = 3\n",
        "keras/src/version.py": f'# The version.\n__version__ = "{version}"\n',
    }
    files |= {f"keras/src/{stem}.py": text for stem, text in modules.items()}
    return {path: text.encode() for path, text in files.items()}


def wheel_bytes(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in files.items():
            archive.writestr(path, data)
        archive.writestr("keras-0.dist-info/METADATA", "Name: keras\n")
    return buffer.getvalue()


@dataclass
class Offered:
    project: str
    filename: str
    data: bytes
    uploaded: datetime | None
    """None: the index does not say."""
    yanked: str | bool = False
    sha256: str = ""
    """What the index announces; the true one by default."""
    cut: int = 0
    """How many bytes are held back when it is served."""

    def __post_init__(self) -> None:
        self.sha256 = self.sha256 or hashlib.sha256(self.data).hexdigest()


class _Server(ThreadingHTTPServer):
    request_queue_size = 64
    """uv asks for everything at once; whoever finds the queue full waits for a second."""


@dataclass
class LocalIndex:
    """A context manager; the server runs in a thread until the end."""

    offered: list[Offered] = field(default_factory=list)
    requests: list[str] = field(default_factory=list, repr=False)
    _running: bool = field(default=False, repr=False)

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self._running = True
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """From here on nobody answers."""
        if self._running:
            self._running = False
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/simple/"

    def offer(
        self, version: str, files: Mapping[str, bytes] | None = None, **options: object
    ) -> Build:
        """Offer a release or a nightly; the build it should be read as."""
        project = "keras-nightly" if "dev" in version else "keras"
        filename = f"{project.replace('-', '_')}-{version}-py3-none-any.whl"
        data = wheel_bytes(tree(version) if files is None else files)
        options = {"uploaded": EARLY, **options}
        item = Offered(project, filename, data, **options)  # type: ignore[arg-type]
        self.offered.append(item)
        kind: Kind = "nightly" if "dev" in version else "release"
        return Build(kind, version, Version(version), self._wheel(item))

    def downloads(self) -> int:
        return sum(path.startswith("/files/") for path in self.requests)

    def _wheel(self, item: Offered) -> Wheel:
        url = f"http://127.0.0.1:{self._server.server_port}/files/{item.filename}"
        yanked = None if item.yanked is False else "" if item.yanked is True else item.yanked
        size = len(item.data)
        return Wheel(item.filename, url, item.sha256, item.uploaded, size, yanked)


def _handler(index: LocalIndex) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            index.requests.append(self.path)
            _, kind, name, *_ = [*self.path.split("/"), "", ""]
            if kind == "simple":
                self._answer(JSON, json.dumps(_page(index, name)).encode())
                return
            found = [item for item in index.offered if item.filename == name]
            if not found:
                self.send_error(404)
                return
            self._answer("application/zip", found[0].data, found[0].cut)

        def do_HEAD(self) -> None:
            # As uv does, before it reads the metadata of a wheel.
            self.do_GET()

        def _answer(self, kind: str, data: bytes, cut: int = 0) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(data[: len(data) - cut])

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def _page(index: LocalIndex, project: str) -> dict[str, object]:
    files = [
        {
            "filename": item.filename,
            "url": f"/files/{item.filename}",
            "hashes": {"sha256": item.sha256},
            "size": len(item.data),
            "yanked": item.yanked,
        }
        | ({"upload-time": item.uploaded.strftime(TIME)} if item.uploaded else {})
        for item in index.offered
        if item.project == project
    ]
    return {"meta": {"api-version": "1.1"}, "name": project, "versions": [], "files": files}
