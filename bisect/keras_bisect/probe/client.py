"""Asks the warm process of a `git bisect run` for a probe, and starts it for the first step.

See `daemon.py` for the other side, and for what goes over the socket.

Public: `ask`, `identity`.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from hashlib import sha256

from keras_bisect.errors import HarnessError, UsageError
from keras_bisect.outcome import Outcome, outcome_of
from keras_bisect.probe import daemon
from keras_bisect.probe.daemon import Request, Run, connect, encode, send_signal

__all__ = ["ask", "identity"]

READY_SECONDS = 30.0
"""How long a server may take until it listens. (TensorFlow is imported after that.)"""
WARMING = 300.0
"""Seconds that TensorFlow may take to be imported, on top of the time of a script."""
NOISE = {"_", "SHLVL", "PWD", "OLDPWD", "COLUMNS", "LINES"}
"""Variables of shells, which change from call to call and mean nothing to a script."""


def ask(request: Request, run: Run, notice: Callable[[str], None]) -> Outcome | None:
    """Let the server of a bisect make a probe; start it if there is none.

    Returns:
        None where no server could answer, after a word to `notice`.

    Raises:
        UsageError, HarnessError: what the server met; see `Probe.run`.
    """
    try:
        connection = connect(run.folder, identity()) or _start(run)
    except OSError as error:
        notice(f"No process could be kept warm for this bisect: {error}")
        return None
    with connection, connection.makefile("rb") as lines:
        connection.settimeout(daemon.SILENCE)
        deadline = time.monotonic() + request.timeout + WARMING
        try:
            connection.sendall(encode(asdict(request)))
            while time.monotonic() < deadline:
                answer = json.loads(lines.readline() or b'{"gone": true}')
                if "outcome" in answer:
                    return outcome_of(answer["outcome"])
                if "fault" in answer:
                    raise (UsageError if answer["usage"] else HarnessError)(answer["fault"])
                if "gone" in answer:
                    raise ConnectionError
            raise TimeoutError
        except TimeoutError:
            # It would hang in every step to come.
            send_signal(connection, signal.SIGKILL)
            notice("The warm process of this bisect did not answer and was ended.")
        except (OSError, ValueError):
            notice("The warm process of this bisect ended before it answered.")
    return None


def identity() -> str:
    """Equal for two processes whose probes of one request would be the same.

    Made of the interpreter, of what is installed (this toolkit, too), and of the environment: after
    a step that installs another TensorFlow, or sets another variable, there is another server.
    """
    parts = [__file__, sys.executable, sys.version, *sys.path]
    for folder in sys.path:
        with contextlib.suppress(OSError), os.scandir(folder or ".") as entries:
            named = (one for one in entries if one.name.endswith((".dist-info", ".egg-info")))
            parts += sorted(f"{one.name} {one.stat().st_mtime_ns}" for one in named)
    parts += sorted(f"{name}={value}" for name, value in os.environ.items() if name not in NOISE)
    return sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _start(run: Run) -> socket.socket:
    """Start a server and wait until it listens. It belongs to no one's terminal, and to no folder.

    Raises:
        OSError: it does not listen.
    """
    name = identity()
    command = [sys.executable, "-P", "-m", daemon.__name__]
    server = subprocess.Popen(
        [*command, str(run.folder), name, str(run.pid), run.born],
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert server.stdout is not None
    said, deadline = b"", time.monotonic() + READY_SECONDS
    with server.stdout as pipe:
        while not said.endswith(daemon.READY):
            left = max(0.0, deadline - time.monotonic())
            data = (
                os.read(pipe.fileno(), 1 << 16) if select.select([pipe], [], [], left)[0] else b""
            )
            if not data:
                server.kill()
                server.wait()
                last = said.decode("utf-8", "replace").strip().rpartition("\n")[2]
                raise OSError(last or "it did not start in time")
            said += data
    connection = connect(run.folder, name)
    if connection is None:
        raise OSError("it ended at once")
    return connection
