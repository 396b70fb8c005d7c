"""How git is run: the one place that does.

What only reads (`run`) touches no network, no index and no refs, and sees the commits as they were
made, whatever was put in their place locally. What fetches (`Fetching`) can be ended from another
thread, with all that git started for it.

Public: `run`, `texts`, `Fetching`, `GitFailed`, `NotInRepository`.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
from collections.abc import Sequence

from keras_bisect.errors import HarnessError

__all__ = ["Fetching", "GitFailed", "NotInRepository", "run", "texts"]

SECONDS = 120.0
FETCH_SECONDS = 1800.0
END_SECONDS = 2.0
"""How long git may take to tidy up when it is told to end."""

# What tells git of another repository, as it is set in a hook or under `git bisect run`.
ELSEWHERE = (
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR"),
    *("GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE", "GIT_PREFIX", "GIT_SHALLOW_FILE"),
    *("GIT_CONFIG", "GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT"),
    *("GIT_REPLACE_REF_BASE", "GIT_QUARANTINE_PATH"),
)
# Hooks and monitors are programs of someone else, which may write; and what a person names may be
# read though it is bare.
SETTINGS = (
    *("gc.auto=0", "maintenance.auto=false", "core.fsmonitor=", f"core.hooksPath={os.devnull}"),
    "safe.bareRepository=all",
)
COMMAND = ["git", "--no-pager", *(word for setting in SETTINGS for word in ("-c", setting))]
PROGRESS = re.compile(
    r"\s*$|Cloning into|From |POST git|warning: | [ +*=!t-] |.*objects:"
    r"|remote: (?:Enumerating|Total)|Please make sure|and the repository exists"
)
"""A line of what a fetching git prints that is no reason for its failure."""


class NotInRepository(HarnessError):  # noqa: N818
    """The repository at hand does not hold what was asked: it is shallow, partial, or too old."""


class GitFailed(HarnessError):  # noqa: N818
    """git ended with an error: `code` is its exit code, `said` what it printed."""

    def __init__(self, message: str, code: int, said: str) -> None:
        """Keep what git said apart: callers explain what they can."""
        super().__init__(message)
        self.code = code
        self.said = said


def run(arguments: Sequence[str], *, stdin: bytes = b"", seconds: float = SECONDS) -> bytes:
    """Run a git that reads what is on this machine, and return what it wrote.

    Raises:
        GitFailed: git ended with an error.
        HarnessError: there is no git, or it took too long.
    """
    try:
        done = subprocess.run(
            [*COMMAND, *arguments],
            input=stdin,
            capture_output=True,
            # A partial clone would fetch what it lacks, into itself.
            env=_environment(protocols="none"),
            timeout=seconds,
            check=False,
        )
    except (OSError, ValueError) as error:
        raise _cannot_run(error) from error
    except subprocess.TimeoutExpired:
        raise _too_long(arguments, seconds) from None
    return _answer(arguments, done.returncode, done.stdout, done.stderr)


def texts(data: bytes) -> list[str]:
    """What git separated by NUL. The name of a file need not be text: it survives."""
    return [os.fsdecode(part) for part in data.split(b"\0") if part]


class Fetching:
    """Runs a git that speaks with the network. Safe to share between threads.

    It is the first of a process group of its own, which is ended as a whole. It tells its progress,
    which nobody reads: were this process killed, git would end at the next line it cannot write.
    """

    def __init__(self) -> None:
        """Nothing runs yet."""
        self.ended = threading.Event()
        """Set once nothing may be fetched any more."""
        self._mutex = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()

    def run(
        self, arguments: Sequence[str], *, stdin: bytes = b"", seconds: float = FETCH_SECONDS
    ) -> bytes:
        """Run git and return what it wrote. Raises as the function `run`."""
        # `ext::` would run a program.
        environment = _environment(protocols="file:git:http:https:ssh")
        with self._mutex:
            if self.ended.is_set():
                raise HarnessError(f"`git {_shown(arguments)}` was not run: all is being ended.")
            try:
                process = subprocess.Popen(
                    [*COMMAND, *arguments],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    env=environment,
                    process_group=0,
                )
            except (OSError, ValueError) as error:
                raise _cannot_run(error) from error
            self._running.add(process)
        try:
            written, printed = process.communicate(stdin, timeout=seconds)
        except subprocess.TimeoutExpired:
            raise _too_long(arguments, seconds) from None
        finally:
            if process.returncode is None:
                _end(process)
            for pipe in (process.stdin, process.stdout, process.stderr):
                with contextlib.suppress(OSError):
                    pipe.close()  # type: ignore[union-attr]
            with self._mutex:
                self._running.discard(process)
        return _answer(arguments, process.returncode, written, printed)

    def end(self) -> None:
        """End what runs, and let nothing begin any more."""
        with self._mutex:
            self.ended.set()
            running = tuple(self._running)
        for process in running:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and its group. git removes the half of a clone when it is asked to end."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(END_SECONDS)


def _environment(*, protocols: str) -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    environment |= {
        "LC_ALL": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        # The commits as they are, whatever was put in their place locally.
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_GRAFT_FILE": os.devnull,
        "GIT_ALLOW_PROTOCOL": protocols,
        # A server that only says that it is still alive is waited for; a silent one is not.
        "GIT_HTTP_LOW_SPEED_LIMIT": "1",
        "GIT_HTTP_LOW_SPEED_TIME": "30",
    }
    environment.setdefault("GIT_SSH_COMMAND", "ssh -o BatchMode=yes -o ConnectTimeout=10")
    return environment


def _answer(arguments: Sequence[str], code: int, written: bytes, printed: bytes) -> bytes:
    if code == 0:
        return written
    lines = printed.decode(errors="replace").replace("\r", "\n").splitlines()
    said = "\n".join(line for line in lines if not PROGRESS.match(line)) or f"exit code {code}"
    raise GitFailed(f"`git {_shown(arguments)}` failed: {said}", code, said)


def _cannot_run(error: OSError | ValueError) -> HarnessError:
    if isinstance(error, FileNotFoundError):
        return HarnessError(
            "Commits need git, and there is no git on the PATH. Install it, or stop at the "
            "nightly: --to nightly."
        )
    return HarnessError(f"git cannot be run: {error}.")


def _too_long(arguments: Sequence[str], seconds: float) -> HarnessError:
    return HarnessError(
        f"`git {_shown(arguments)}` had not ended after {seconds:.0f} s. Try again, or use a "
        "clone on a faster disk."
    )


def _shown(arguments: Sequence[str]) -> str:
    """The command without what it works on: an address may hold a password."""
    names = [word for word in arguments if re.fullmatch(r"[a-z][a-z-]+", word)]
    return names[0] if names else ""
