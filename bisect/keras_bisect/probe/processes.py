"""Finds, measures and ends processes: those a script started, and those the toolkit did.

Public: `adopt_orphans`, `ending`, `exceeds`, `kill_all`, `kill_descendants`, `reap`.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

REAP_TICK = 0.002
"""Seconds between two rounds of killing what a script left."""
PROPORTIONAL = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)


def adopt_orphans() -> None:
    """Become the parent of whatever a script leaves behind (Linux), so that it can be found."""
    if sys.platform == "linux":
        import ctypes

        pr_set_child_subreaper = 36
        ctypes.CDLL(None, use_errno=True).prctl(pr_set_child_subreaper, 1)


@contextlib.contextmanager
def ending(pid: int) -> Iterator[int | None]:
    """A descriptor that turns readable when a process ends; None where the system has none."""
    if not hasattr(os, "pidfd_open"):
        yield None
        return
    fd = os.pidfd_open(pid)
    try:
        yield fd
    finally:
        os.close(fd)


def reap(pid: int) -> int | None:
    """The status of a child that ended; None while it runs."""
    done, status = os.waitpid(pid, os.WNOHANG)
    return status if done else None


def exceeds(process: psutil.Process, limit: int, *, everything: bool) -> bool:
    """Whether a process holds more memory than a limit, with all it started if `everything`.

    Processes that were forked from each other share most of what they hold, which is in the
    resident size of each. That is cheap to read, so what is shared is looked at only where the sum
    is beyond the limit.
    """
    held: dict[int, int] = {}
    try:
        for one in [process, *(process.children(recursive=True) if everything else ())]:
            with contextlib.suppress(psutil.NoSuchProcess):
                held[one.pid] = int(one.memory_info().rss)
    except psutil.NoSuchProcess:
        return False
    if sum(held.values()) <= limit:
        return False
    return sum(_share(pid, resident) for pid, resident in held.items()) > limit


def _share(pid: int, resident: int) -> int:
    """Bytes of a process, each shared page divided by how many share it (Linux)."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii")
    except ProcessLookupError:
        # It has ended since.
        return 0
    except OSError:
        return resident if Path(f"/proc/{pid}").exists() else 0
    found = PROPORTIONAL.search(text)
    # Of one that is ending, what it held is gone already.
    return int(found[1]) << 10 if found else resident if text else 0


def kill_descendants() -> None:
    """Kill every process below this one, and reap it, until there is none."""
    while _any_child():
        for one in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        # One forked meanwhile is seen in the next round; to wait for it could take forever.
        time.sleep(REAP_TICK)


def _any_child() -> bool:
    """Whether there is a living child; those that ended are reaped."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def kill_all(pid: int) -> None:
    """Kill a process and all below it, be it stopped or not."""
    with contextlib.suppress(psutil.NoSuchProcess):
        top = psutil.Process(pid)
        for one in [top, *top.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
