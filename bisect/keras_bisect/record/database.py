"""A small SQLite file that several processes and threads share, and that nobody depends on.

What it holds can be found out again. So whatever happens to it, work goes on: a damaged file is put
aside, one that cannot be written is read, and a person is told once of each.

Public: `Database`.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

__all__ = ["Database"]

BUSY_SECONDS = 10.0
"""How long to wait for somebody else's change."""


class Database:
    """One file, opened, and made where it is missing, when it is first asked for something."""

    def __init__(
        self, path: Path, schema: str, *, what: str, notice: Callable[[str], None] | None = None
    ) -> None:
        """Nothing is opened yet.

        Args:
            path: the file. What is put aside is beside it, with the ending `.damaged`.
            schema: statements that make the tables where they are missing.
            what: what is held, in a few words of the plural, for messages.
            notice: told what is wrong.
        """
        self._path = path
        self._schema = schema
        self._what = what
        self._notice = notice
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._readable = True
        self._fault: Exception | None = None
        """Why nothing can be written, where that is known."""
        self._told: set[str] = set()

    def ask(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        """The rows of a query; none where there is no database to ask."""
        with self._lock:
            try:
                connection = self._open()
                return [] if connection is None else connection.execute(query, values).fetchall()
            except sqlite3.Error as error:
                if _is_damage(error):
                    self._put_aside(error, query, values)
                else:
                    self.tell("read", f"{self._title()} cannot be read: {error}.")
                return []

    def do(self, statement: str, values: Sequence[Any] = ()) -> bool:
        """Change something; whether that was possible."""
        with self._lock:
            error: Exception | None = None
            for _ in range(2):
                try:
                    connection = self._open()
                    error = self._fault
                    if connection is not None and error is None:
                        connection.execute(statement, values)
                        return True
                    break
                except sqlite3.Error as problem:
                    error = problem
                    if not _is_damage(problem):
                        break
                    # Once more, with the one that takes its place.
                    self._put_aside(problem, statement, values)
            self.tell(
                "write",
                f"{self._title()} cannot be added to: {error}. The work goes on; what is found now "
                "will have to be found again.",
            )
            return False

    def size(self) -> int:
        """Bytes that are in use."""
        names = ("page_count", "freelist_count", "page_size")
        found = [self.ask(f"PRAGMA {name}") for name in names]
        if not all(found):
            return 0
        pages, free, size = (rows[0][0] for rows in found)
        return int((pages - free) * size)

    def close(self) -> None:
        """Close the file; whoever asks for something opens it again."""
        with self._lock:
            self._close()

    def tell(self, kind: str, message: str) -> None:
        """Tell a person, once of each kind."""
        if self._notice is not None and kind not in self._told:
            self._told.add(kind)
            self._notice(message)

    def _title(self) -> str:
        return f"The {self._what} in {self._path}"

    def _open(self) -> sqlite3.Connection | None:
        """The connection, to write if possible; None if there is no file and there can be none.

        Raises:
            sqlite3.Error: it is damaged, or somebody else does not let go of it.
        """
        if self._connection is None and self._readable:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._connection = self._opened_to_write()
            except (OSError, sqlite3.OperationalError) as error:
                if _is_damage(error) or _code(error) == sqlite3.SQLITE_BUSY:
                    raise
                self._fault = error
                self._connection = self._opened_to_read()
                self._readable = self._connection is not None
        return self._connection

    def _opened_to_write(self) -> sqlite3.Connection:
        connection = _connected(str(self._path))
        try:
            end = time.monotonic() + BUSY_SECONDS
            while True:
                try:
                    # So nobody waits for somebody who only reads.
                    connection.execute("PRAGMA journal_mode = WAL")
                    break
                except sqlite3.OperationalError as error:
                    # SQLite itself does not wait for another process that makes this change.
                    if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                        raise
                    time.sleep(0.01)
            # The last changes may be lost with the machine, but not with a process.
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA journal_size_limit = 4000000")
            if not _has_tables(connection):
                connection.executescript(f"BEGIN IMMEDIATE;\n{self._schema}\nCOMMIT;")
        except BaseException:
            connection.close()
            raise
        return connection

    def _opened_to_read(self) -> sqlite3.Connection | None:
        # With `immutable` no file need be made beside it, but what is not yet in it is not seen.
        for mode in ("mode=ro", "mode=ro&immutable=1"):
            with contextlib.suppress(sqlite3.OperationalError):
                connection = _connected(f"{self._path.absolute().as_uri()}?{mode}")
                if _has_tables(connection):
                    return connection
                connection.close()
        return None

    def _put_aside(self, error: sqlite3.Error, failed: str, values: Sequence[Any]) -> None:
        """Give a damaged file another name, unless another process was faster."""
        self._close()
        with contextlib.suppress(sqlite3.Error):
            connection = _connected(f"{self._path.absolute().as_uri()}?mode=rw")
            with contextlib.closing(connection):
                # This fails where the tables are not ours.
                connection.execute(f"EXPLAIN {failed}", values)
                if connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",):
                    return
        aside = self._path.with_suffix(".damaged")
        try:
            self._path.replace(aside)
            for suffix in ("-wal", "-shm"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        except OSError as problem:
            self._readable, self._fault = False, problem
            self.tell("damage", f"{self._title()} are damaged ({error}), and left out.")
        else:
            self.tell(
                "damage",
                f"{self._title()} are damaged ({error}). The file is {aside.name} now, and a new "
                "one takes its place.",
            )

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def _connected(name: str) -> sqlite3.Connection:
    return sqlite3.connect(
        name,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        uri=name.startswith("file:"),
    )


def _has_tables(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() != (0,))


def _code(error: Exception) -> int:
    """The number of an error, without what SQLite adds for the curious."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _is_damage(error: Exception) -> bool:
    # SQLITE_ERROR: the tables are not ours.
    damage = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT)
    return _code(error) in (*damage, sqlite3.SQLITE_ERROR)
