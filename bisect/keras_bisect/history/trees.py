"""A commit's tree, as the sources of a build: read from git, laid out as its wheel would be.

Public: `Trees`.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from keras_bisect.builds.build import Build
from keras_bisect.builds.content import is_source
from keras_bisect.builds.store import Source, Store
from keras_bisect.errors import UsageError
from keras_bisect.history import layout
from keras_bisect.history.clone import Clone
from keras_bisect.history.commit import Commit
from keras_bisect.history.git import NotInRepository, texts
from keras_bisect.history.names import names_between

__all__ = ["Trees"]

ROOTS = ("keras/", layout.RECIPE)
CONTENTS = 10_000
"""Files that are kept in memory, some 10 kB each: two commits have most of theirs in common."""


class Trees:
    """The trees of one clone. Safe to share between threads."""

    def __init__(self, clone: Clone) -> None:
        """Nothing is read yet."""
        self._clone = clone
        self._blobs: dict[str, Mapping[str, str]] = {}
        self._mutex = threading.Lock()
        self._contents: dict[str, bytes] = {}

    def get(self, commit: Commit, store: Store, names: Sequence[Source]) -> Source:
        """The sources of a commit, kept in the store: see `Repository.tree`."""
        build = Build("commit", f"git:{commit.sha}")
        key = f"git{layout.VERSION}-{commit.sha}"
        if not layout.needs_names(self.blobs(commit.sha)):
            names = ()
        key = "-".join((key, *(wheel.exact[:12] for wheel in names)))
        return store.keep(build, key, lambda: self._files(commit, names))

    def blobs(self, sha: str) -> Mapping[str, str]:
        """The sources of a commit and its recipe: path -> the hash that git gives the file."""
        found = self._blobs.get(sha)
        if found is None:
            listed = texts(self._clone.run("ls-tree", "-r", "-z", "--full-tree", sha, *ROOTS))
            entries = [entry.partition("\t") for entry in listed]
            # Neither links nor submodules: a wheel holds files.
            found = {
                path: head.split()[2]
                for head, _, path in entries
                if (is_source(path) or path == layout.RECIPE)
                and head.startswith(("100644 ", "100755 "))
            }
            self._blobs[sha] = found
        return found

    def _files(self, commit: Commit, names: Sequence[Source]) -> Mapping[str, bytes]:
        blobs = self.blobs(commit.sha)
        if not layout.is_keras(blobs):
            raise UsageError(
                f"git:{commit.sha[:10]} is no Keras 3: it has no keras/src/version.py."
            )
        if not names and layout.needs_names(blobs):
            raise UsageError(
                f"git:{commit.sha[:10]} cannot be tested by itself: before 2024-04-16 the public "
                "names of Keras were made with the wheel. A nightly of its time has them."
            )
        tree = self._read(commit.sha, blobs)
        wheels = [
            {path: (wheel.path / path).read_bytes() for path in wheel.files} for wheel in names
        ]
        return layout.as_wheel(tree, names_between(tree, wheels[0], wheels[-1]) if wheels else {})

    def _read(self, sha: str, blobs: Mapping[str, str]) -> dict[str, bytes]:
        """The contents of files: path -> hash becomes path -> bytes.

        Not by `git archive`, which changes files where attributes or a person's settings say so.
        """
        with self._mutex:
            wanted = list(dict.fromkeys(blobs.values()))
            if len(self._contents) + len(wanted) > CONTENTS:
                self._contents.clear()
            absent = [blob for blob in wanted if blob not in self._contents]
            if absent:
                self._clone.fetch_blobs(sha, set(absent))
                self._contents |= self._cat(absent)
            return {path: self._contents[blob] for path, blob in blobs.items()}

    def _cat(self, blobs: Sequence[str]) -> dict[str, bytes]:
        """The contents of files by their hashes."""
        stdin = "".join(f"{blob}\n" for blob in blobs).encode()
        answer = self._clone.run("cat-file", "--batch", stdin=stdin)
        contents: dict[str, bytes] = {}
        at = 0
        for blob in blobs:
            head, _, _ = answer[at : at + 100].partition(b"\n")
            _, _, size = head.partition(b" blob ")
            if not size:
                lack = self._clone.lack() or ""
                raise NotInRepository(
                    f"{self._clone.name} lacks the file {blob} of a commit. {lack}"
                )
            start = at + len(head) + 1
            contents[blob] = answer[start : start + int(size)]
            at = start + int(size) + 1
        return contents
