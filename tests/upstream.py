"""A made-up history to try things on: a real repository whose every commit is known."""

from __future__ import annotations

import hashlib
import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

from packaging.version import Version

from keras_bisect.builds.build import Build
from keras_bisect.builds.content import identify
from keras_bisect.builds.store import Source
from keras_bisect.history.repository import Commit

START = datetime(2024, 7, 1, tzinfo=UTC)
GITHUB = "https://github.com/keras-team/keras.git"
Tree = dict[str, str]

NOW: Tree = {
    "keras/__init__.py": "from keras.api import *\n",
    "keras/api/__init__.py": "from keras.api import _tf_keras\nfrom keras.src.ops import add\n",
    "keras/api/_tf_keras/__init__.py": "from keras.api._tf_keras import keras\n",
    "keras/src/__init__.py": "",
    "keras/src/version.py": '__version__ = "3.5.0"\n',
    "keras/src/ops.py": "def add(x, y):\n    return x + y\n",
    "keras/src/ops_test.py": "import nothing\n",
    "pip_build.py": "def move_tf_keras_directory():\n    pass\n",
    "README.md": "Keras\n",
}
"""A Keras as it lies in git since April 2024."""

THEN: Tree = {
    "keras/__init__.py": "from keras import ops\nfrom keras.version import __version__\n",
    "keras/version.py": '__version__ = "3.0.0"\n',
    "keras/ops.py": "import keras\nfrom keras import version\n\ndef add(x, y):\n    return x + y\n",
    "keras/ops_test.py": "import nothing\n",
}
"""A Keras as it lay in git before."""


class Upstream:
    """A repository to try things on: every command is real, every commit an hour later."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.hours = 0
        path.mkdir(parents=True)
        self("init", "--quiet", "--initial-branch=master")
        self("config", "uploadpack.allowFilter", "true")
        self("config", "uploadpack.allowAnySHA1InWant", "true")

    def __call__(self, *arguments: str) -> str:
        when = f"{int((START + timedelta(hours=self.hours)).timestamp())} +0000"
        who = {
            "GIT_AUTHOR_NAME": "a",
            "GIT_AUTHOR_EMAIL": "a@example.org",
            "GIT_COMMITTER_NAME": "a",
            "GIT_COMMITTER_EMAIL": "a@example.org",
            "GIT_AUTHOR_DATE": when,
            "GIT_COMMITTER_DATE": when,
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
        }
        command = ["git", "-C", str(self.path), *arguments]
        done = subprocess.run(
            command, env=os.environ | who, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, subject: str, files: Tree | None = None, *, hours: int = 1) -> str:
        for path, text in (files or {}).items():
            target = self.path / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        self.hours += hours
        self("add", "--all")
        self("commit", "--quiet", "--allow-empty", "-m", subject)
        return self("rev-parse", "HEAD")

    def merge(self, branch: str, subject: str) -> str:
        self.hours += 1
        self("merge", "--quiet", "--no-ff", "-m", subject, branch)
        return self("rev-parse", "HEAD")


def snapshot(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """All that is below a folder: its mode, its time of change, and what it holds."""
    found = {}
    for path in sorted((folder, *folder.rglob("*"))):
        status, data = path.lstat(), b""
        if path.is_symlink():
            data = os.fsencode(path.readlink())
        elif path.is_file():
            data = hashlib.sha256(path.read_bytes()).digest()
        found[str(path.relative_to(folder))] = (status.st_mode, status.st_mtime_ns, data)
    return found


def nightly(root: Path, name: str, files: Tree) -> Source:
    """The source of a nightly, as the store would hand it out."""
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    shas = {path: hashlib.sha256(text.encode()).hexdigest() for path, text in files.items()}
    identity = identify(shas, lambda path: files[path].encode())
    build = Build("nightly", name, Version(name))
    return Source(build, root, identity.content, identity.exact, name, shas)


def stamped(commit: Commit, hours: int = 2) -> str:
    return f"3.5.0.dev{commit.commit_date + timedelta(hours=hours):%Y%m%d%H}"


def sources(tree: Tree) -> Tree:
    """What of a tree of today is in the wheel's `keras/src/`, its version rewritten."""
    kept = {p: t for p, t in tree.items() if p.startswith("keras/src/") and "_test" not in p}
    return kept | {"keras/src/version.py": '__version__ = "3.5.0.dev2024070103"\n'}
