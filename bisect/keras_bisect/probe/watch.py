"""Notes which files of the user's a script reads, and whether it writes into its Keras.

What an earlier run showed holds as long as what it read is the same, and a script that changes the
Keras folder has changed what comes after it. Python tells an audit hook what it is about to do;
what native code opens is not seen, so a file that the script names by a literal counts as read.

Like `child.py` this stands alone: standard library only.

Public: `Watcher`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

READS_NOTED = 200
"""Paths that are noted; a script that reads more says so."""
PATH_LIMIT = 2_000
"""Characters of such a path: a report of it must fit into one atomic write to a pipe."""
MADE_NOTED = 2_000
"""Files a script makes of which is remembered that it made them."""
LITERALS_TRIED = 1_000

SYSTEM = frozenset({"/proc", "/sys", "/dev", "/etc", "/usr", "/bin", "/sbin", "/lib", "/lib64"})
SYSTEM |= {"/System", "/Library"}
"""Folders of the machine: what they hold changes with it, and is no input of a script."""

WRITES = os.O_WRONLY | os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC
MAKES = os.O_TRUNC | os.O_EXCL

# Audit events, see "Audit events table" in Python's documentation.
CHANGES = frozenset({"os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink"})
CHANGES |= {"os.truncate", "shutil.rmtree"}
LISTS = frozenset({"os.listdir", "os.scandir"})
LOADS = frozenset({"ctypes.dlopen", "sqlite3.connect"})
STARTS = frozenset({"os.exec", "os.posix_spawn", "os.spawn", "os.startfile", "os.system"})
CONNECTS = frozenset({"socket.connect", "socket.getaddrinfo", "socket.gethostbyname"})
WATCHED = CHANGES | LISTS | LOADS | STARTS | CONNECTS | {"import", "open", "subprocess.Popen"}

LOOK_UPS = frozenset({"cc", "file", "gcc", "ld", "ldconfig", "lscpu", "nvidia-smi", "objdump"})
LOOK_UPS |= {"uname", "which"}
"""Programs that libraries start as they are imported, to know the machine they are on."""
SPAWNS = frozenset({"multiprocessing.popen_spawn_posix", "multiprocessing.popen_forkserver"})
"""Modules that are imported to start a fresh interpreter, for which there is no event."""


class Watcher:
    """Reports `read`, `beyond` and `touched`, as `Outcome` has them, as soon as they are seen.

    Python calls `see` for everything it is about to do, on every thread. It does nothing that is
    watched itself, so it is never called by what it does, and never raises: that would fail what
    was about to be done.
    """

    def __init__(self, job: dict[str, Any], report: Callable[[dict[str, Any]], None]) -> None:
        """The job is that of `child.run`; the working folder is the current one."""
        self._report = report
        self._build = _roots([job["path"], str(Path(job["path"], "keras").resolve())])
        self._ignored = self._build + _roots(_surroundings(job))
        # The folder of a script may lie in one that is ignored, or hold a virtual environment.
        self._folder = job["folder"]
        self._own = _roots([self._folder])
        self._below = tuple(
            root for root in self._ignored if root.startswith(self._own) and root not in self._own
        )
        self._made = {job["filename"], str(Path(job["filename"]).resolve())}
        self._read: set[str] = set()
        self._told: set[str] = set()

    def begin(self, script: types.CodeType) -> None:
        """Watch from here on: the script is about to run. There is no way to stop it."""
        sys.addaudithook(self.see)
        for text in _literals(script):
            for path in _named(text, self._folder):
                with contextlib.suppress(OSError, RuntimeError):
                    # What is no name, or must not be looked at, was not read either.
                    if path.expanduser().is_file():
                        self._note(_absolute(path.expanduser()))

    def see(self, event: str, args: tuple[Any, ...]) -> None:
        """Look at what is about to be done."""
        if event not in WATCHED:
            return
        try:
            self._see(event, args)
        except Exception:  # noqa: BLE001 - see the class
            self._tell("beyond", "reads what cannot be told")

    def _see(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            self._open(_absolute(args[0]), args[2] or 0)
        elif event == "import":
            # The file of a module in native code; others are opened.
            self._open(_absolute(args[1]), 0)
            if args[0] in SPAWNS:
                self._tell("beyond", "starts Python anew")
        elif event in LOADS:
            self._note(_absolute(args[0]))
        elif event in LISTS:
            # What is on the path is listed by every import.
            if event == "os.scandir" or args[0] not in sys.path:
                self._note(_absolute(args[0]))
        elif event in CHANGES:
            for path in map(_absolute, args[:2]):
                if path is not None and (path + os.sep).startswith(self._build):
                    self._tell("touched", True)
        elif event in CONNECTS:
            self._tell("beyond", "uses the network")
        elif event in STARTS or Path(os.fsdecode(args[0])).name not in LOOK_UPS:
            self._tell("beyond", "starts another program")

    def _open(self, path: str | None, flags: int) -> None:
        if path is None:
            return
        if flags & WRITES and path.startswith(self._build):
            self._tell("touched", True)
        elif flags & MAKES:
            # What it reads of this later is its own.
            if path not in self._read and len(self._made) < MADE_NOTED and self._counts(path):
                self._made.add(path)
        elif not flags & os.O_WRONLY and self._counts(path) and not Path(path).is_dir():
            self._note(path)

    def _note(self, path: str | None) -> None:
        if path is None or path in self._read or not self._counts(path):
            return
        if path.endswith(".pyc"):
            path = _source(path)
        if path in self._made or path in self._read:
            return
        if len(self._read) >= READS_NOTED:
            self._tell("beyond", f"reads more than {READS_NOTED} files")
        elif len(path) > PATH_LIMIT:
            self._tell("beyond", "reads what cannot be told")
        else:
            self._read.add(path)
            self._report({"read": path})

    def _counts(self, path: str) -> bool:
        """Whether a file or folder is the user's own."""
        inside = path + os.sep
        return not inside.startswith(self._below if inside.startswith(self._own) else self._ignored)

    def _tell(self, key: str, value: Any) -> None:
        told = f"{key} {value}"
        if told not in self._told:
            self._told.add(told)
            self._report({key: value})


def _surroundings(job: dict[str, Any]) -> Iterator[str]:
    """Folders whose files are no input of a script: Python, what is installed, its own."""
    yield from SYSTEM
    yield from (sys.prefix, sys.base_prefix, sys.exec_prefix, str(Path(os.__file__).parent))
    for entry in sys.path:
        if entry.endswith(("site-packages", "dist-packages")):
            yield entry
    yield from (job["home"], str(Path.cwd()), os.environ.get("TMPDIR", ""))
    # The toolkit, whose frames may be in a traceback.
    yield str(Path(__file__).parents[1])


def _roots(folders: Iterable[str]) -> tuple[str, ...]:
    """Folders as prefixes of the paths below them, and what links lead to."""
    found = [Path(one).absolute() for one in folders if one]
    forms = {form for one in found for form in (one, one.resolve()) if form != form.parent}
    return tuple(sorted(str(form) + os.sep for form in forms))


def _absolute(path: Any) -> str | None:
    """A path as it was handed to Python; None for a descriptor, or where there is none."""
    if path is None or isinstance(path, int):
        return None
    return os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - it must not lead where links lead


def _source(path: str) -> str:
    """The source that bytecode was made of; the bytecode where there is none."""
    try:
        source = importlib.util.source_from_cache(path)
    except (ValueError, NotImplementedError):
        return path
    return source if Path(source).exists() else path


def _literals(script: types.CodeType) -> Iterator[str]:
    """The strings in a program that may name a file."""
    left, tried = [script], 0
    while left:
        for one in left.pop().co_consts:
            if isinstance(one, types.CodeType):
                left.append(one)
            for text in one if isinstance(one, tuple) else (one,):
                if isinstance(text, str) and 0 < len(text) < 256 and text.isprintable():
                    tried += 1
                    if tried > LITERALS_TRIED:
                        return
                    yield text


def _named(text: str, folder: str) -> Iterator[Path]:
    """The files that a string may name, from the root or beside the script."""
    if text.startswith(("/", "~")):
        yield Path(text)
    if folder:
        yield Path(folder, text.lstrip("/\\"))
