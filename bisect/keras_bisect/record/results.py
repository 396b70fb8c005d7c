"""What probes of earlier runs showed, kept in the cache folder: nothing is probed twice.

    results-1.sqlite     one row a probe, one for each build that was seen with some content

A result holds for one script, one content of Keras, one tree implementation and one environment
(`environment.py`, which knows the backend), and as long as the files that the script read are the
same. The number in the name is the schema: another one is another file.

Results are a convenience (`database.py`): nothing that happens to them fails a search. Several
processes and threads may use them at a time.

Public: `Results`, `Kept`, `not_kept`.
"""

from __future__ import annotations

import hashlib
import json
import re
import stat
import time
import zlib
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from keras_bisect.outcome import Ended, Outcome, Tree, outcome_document, outcome_of
from keras_bisect.record.database import Database

__all__ = ["Kept", "Results", "not_kept"]

NAME = "results-1.sqlite"
SIZE_LIMIT = 128 << 20
"""Bytes of the database; beyond them the oldest results go."""
FILE_LIMIT = 64 << 20
"""Bytes of a file that is read again and again to see whether it is the same."""
RECENT = 2.0
"""Seconds: a file that was changed this lately may change again within one tick of its clock."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS outcomes (
    id INTEGER PRIMARY KEY,
    made INTEGER NOT NULL,       -- microseconds since 1970
    environment TEXT NOT NULL,
    script TEXT NOT NULL,
    content TEXT NOT NULL,
    tree TEXT NOT NULL,
    folder BLOB NOT NULL,
    files TEXT NOT NULL,         -- JSON, pairs of path and state
    outcome BLOB NOT NULL        -- JSON, compressed
);
CREATE INDEX IF NOT EXISTS outcomes_by_key
    ON outcomes (script, environment, tree, content);
CREATE TABLE IF NOT EXISTS builds (
    content TEXT NOT NULL,
    name BLOB NOT NULL,
    named INTEGER NOT NULL,      -- microseconds since 1970
    PRIMARY KEY (content, name)
) WITHOUT ROWID;
"""
OF_KEY = "script = ? AND environment = ? AND tree = ? AND (files = '[]' OR folder = ?)"

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TICK = timedelta(microseconds=1)
EVER = (1 << 63) - 1

MACHINE_FAILED = re.compile(
    r"\[Errno (11|12|23|24|28)\]|can't start new thread"
    r"|No space left on device|Cannot allocate memory|Too many open files"
)
"""In the message of an exception: memory, disk, processes or descriptors had run out."""


@dataclass(frozen=True)
class Kept:
    """The outcome of a probe that was made before."""

    outcome: Outcome
    """As it was: `loaded` may name another build with the same content."""
    made: datetime
    """When, UTC."""


def not_kept(outcome: Outcome) -> str | None:
    """Why an outcome must not be kept, to follow "the script"; None if it may be. Pure.

    Time and memory that run out, and signals, depend on the load and the limits of the day. What
    depends on files is for `Results`, which looks at them.
    """
    if outcome.ended is not Ended.EXIT:
        return "did not end by itself"
    if outcome.beyond:
        return outcome.beyond
    for raised in (outcome.import_error, outcome.raised):
        if raised is not None and (
            raised.type == "MemoryError"
            or raised.type.endswith("ResourceExhaustedError")
            or MACHINE_FAILED.search(raised.message)
        ):
            return "found the machine out of resources"
    return None


class Results:
    """The results of one environment. Use it as a context manager, or `close` it."""

    def __init__(
        self,
        cache: Path,
        environment: str,
        *,
        recall: bool = True,
        notice: Callable[[str], None] | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        limit: int = SIZE_LIMIT,
    ) -> None:
        """Nothing is opened yet.

        Args:
            cache: the cache folder; made where it is missing.
            environment: the identity of the environment of the probes.
            recall: without it nothing is found, and new outcomes are kept all the same.
            notice: told, once each, what is wrong with the database.
            clock: gives the time, UTC.
            limit: bytes of the database, about.
        """
        self._path = cache / NAME
        self._database = Database(self._path, SCHEMA, what="kept results", notice=notice)
        self._environment = environment
        self.recall = recall
        """Whether what was kept is found."""
        self._clock = clock
        self._limit = limit
        self._named: set[tuple[str, str]] = set()
        self._states: dict[str, tuple[tuple[int, ...], str]] = {}

    def elsewhere(self, environment: str) -> Results:
        """The results of another environment, in the same database; not to be closed."""
        other = copy(self)
        other._environment = environment
        return other

    def __enter__(self) -> Results:
        """The results themselves."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the database."""
        self.close()

    def close(self) -> None:
        """Close the database. It is opened again by whoever asks for something."""
        self._database.close()

    def get(self, script: str, folder: str, content: str, tree: Tree) -> list[Kept]:
        """What is kept, in the order in which it was made: a script may have been run repeatedly.

        Args:
            script: the digest of the script.
            folder: where the script is; empty for a text that was made. A result that comes from no
                file is found from everywhere.
            content: the identity of the Keras.
            tree: the tree implementation.
        """
        rows = self._ask(
            f"SELECT made, files, outcome FROM outcomes WHERE {OF_KEY} AND content = ? ORDER BY id",
            (*self._key(script, folder, tree), content),
        )
        kept = []
        for made, files, outcome in rows:
            if self._hold(files):
                try:
                    kept.append(Kept(_unpacked(outcome), EPOCH + made * TICK))
                except ValueError:
                    self._database.tell(
                        "row", f"A kept result in {self._path} is damaged, and left out."
                    )
        return kept

    def knows(self, script: str) -> bool:
        """Whether anything is kept of a script, whatever it was run under. For a guess."""
        query = "SELECT 1 FROM outcomes WHERE script = ? AND environment = ? LIMIT 1"
        return bool(self._ask(query, (script, self._environment)))

    def builds(
        self, script: str, folder: str, tree: Tree, before: datetime | None = None
    ) -> set[str]:
        """The names (`name`) of builds of which a result is kept.

        Args:
            script: as for `get`, and so are `folder` and `tree`.
            before: only results that were made, and builds that were named, before this moment
                count.
        """
        rows = self._ask(
            "SELECT DISTINCT builds.name, files FROM outcomes JOIN builds USING (content)"
            f" WHERE {OF_KEY} AND made < ? AND named < ?",
            (*self._key(script, folder, tree), _moment(before), _moment(before)),
        )
        return {_text(name) for name, files in rows if self._hold(files)}

    def add(self, script: str, folder: str, content: str, tree: Tree, outcome: Outcome) -> bool:
        """Keep a new outcome, right after its probe; whether it was kept.

        It is not if `not_kept` has a reason, or a file that the script read is gone, is too large,
        or was changed since the probe began.
        """
        now = self._clock()
        if not_kept(outcome) is not None:
            return False
        began = now.timestamp() - outcome.seconds
        states = [(path, self._state(path, began)) for path in outcome.read]
        if not all(state for _, state in states):
            return False
        key = self._key(script, folder, tree)
        kept = self._database.do(
            "INSERT INTO outcomes"
            " (script, environment, tree, folder, content, made, files, outcome)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (*key, content, _moment(now), json.dumps(states), _packed(outcome)),
        )
        self._prune()
        return kept

    def name(self, build: str, content: str) -> None:
        """Note that a build has this content; see `builds`."""
        if (build, content) not in self._named:
            self._named.add((build, content))
            self._database.do(
                "INSERT OR IGNORE INTO builds (content, name, named) VALUES (?, ?, ?)",
                (content, _bytes(build), _moment(self._clock())),
            )

    def forget(self, script: str) -> None:
        """Drop all results of a script, those of other environments as well."""
        self._database.do("DELETE FROM outcomes WHERE script = ?", (script,))

    def _key(self, script: str, folder: str, tree: Tree) -> tuple[str, str, str, bytes]:
        return (script, self._environment, tree, _bytes(folder))

    def _prune(self) -> None:
        """Let the oldest tenth go where there is too much; their room is used again."""
        if self._database.size() > self._limit:
            self._database.do(
                "DELETE FROM outcomes WHERE id <="
                " (SELECT min(id) + (max(id) - min(id)) / 10 FROM outcomes)"
            )
            self._database.do(
                "DELETE FROM builds WHERE content NOT IN (SELECT content FROM outcomes)"
            )
            self._named.clear()

    def _ask(self, query: str, values: tuple[str | bytes | int, ...]) -> list[Any]:
        return self._database.ask(query, values) if self.recall else []

    # -- files -----------------------------------------------------------------------------------

    def _hold(self, files: str) -> bool:
        """Whether the files of a result are what they were."""
        return all(self._state(path) == state for path, state in json.loads(files))

    def _state(self, path: str, unchanged_since: float | None = None) -> str | None:
        """What is in a file, or the names in a folder, as a hash; None where it cannot be told."""
        try:
            found = Path(path).stat()
            changed = max(found.st_mtime, found.st_ctime)
            if unchanged_since is not None and changed > unchanged_since:
                return None
            stamp = (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)
            known = self._states.get(path)
            if known is not None and known[0] == stamp:
                return known[1]
            if stat.S_ISDIR(found.st_mode):
                names = sorted(one.name for one in Path(path).iterdir())
                names = [name for name in names if name != "__pycache__"]
                state = "folder " + hashlib.sha256(_bytes("\0".join(names))).hexdigest()
            elif stat.S_ISREG(found.st_mode) and found.st_size <= FILE_LIMIT:
                with Path(path).open("rb") as file:
                    state = hashlib.file_digest(file, "sha256").hexdigest()
            else:
                return None
        except (OSError, ValueError):
            # It is gone, or is no name of a file.
            return None
        if changed < time.time() - RECENT:
            self._states[path] = (stamp, state)
        return state


def _packed(outcome: Outcome) -> bytes:
    text = json.dumps(outcome_document(outcome), ensure_ascii=False)
    return zlib.compress(_bytes(text))


def _unpacked(data: bytes) -> Outcome:
    """The outcome that was packed.

    Raises:
        ValueError: the data is damaged.
    """
    try:
        text = _text(zlib.decompress(data))
    except zlib.error as error:
        raise ValueError(str(error)) from error
    return outcome_of(json.loads(text))


def _bytes(text: str) -> bytes:
    # Names of files may hold what UTF-8 has no bytes for, and so may messages.
    return text.encode("utf-8", "surrogatepass")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


def _moment(time: datetime | None) -> int:
    return EVER if time is None else (time - EPOCH) // TICK
