"""Begins the process of a script: a fork of this one, or a fresh interpreter.

Either way it runs `child.run` on a job, in a session and a folder of its own, with its standard
streams and its reports on pipes.

Public: `fork`, `fresh`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from keras_bisect.probe import child
from keras_bisect.probe.pristine import LateTensorflow, end, forget

_SAFE_PATH = (
    "import sys; del sys.argv[0], sys.path[0]; __file__ = sys.argv[0]; "
    "exec(compile(open(__file__, 'rb').read(), __file__, 'exec'))"
)
"""What `-P` does, for a Python before 3.11: the folder of `child.py` is not searched."""


def fork(
    job: dict[str, str],
    folder: str,
    ends: Sequence[int],
    reads: Sequence[int],
    connection: Connection,
    *,
    shares: bool,
) -> int:
    """Run a script in a fork of this process; the number of the fork.

    Args:
        job: see `child.run`.
        folder: its working folder.
        ends: of the pipes for its output, its errors and its reports.
        reads: the other ends of these pipes, which it must not have.
        connection: of this process to the toolkit, which it must not have either.
        shares: keras is in this process already.
    """
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        try:
            connection.close()
            _enter(folder, ends, reads)
            if not shares:
                sys.meta_path.insert(0, LateTensorflow(job["path"]))
        except BaseException:  # noqa: BLE001 - whatever it is, it is not the script that failed
            fault = {"fault": traceback.format_exc()[-child.MESSAGE_LIMIT :]}
            os.write(ends[2], child.report_line(job["token"], fault))
        else:
            code = end(child.run(job, ends[2]))
    except BaseException as error:  # noqa: BLE001 - nothing may unwind into the host's own frames
        os.write(2, f"{type(error).__name__}: {error}\n".encode("utf-8", "replace"))
    finally:
        os._exit(code)


def _enter(folder: str, ends: Sequence[int], reads: Sequence[int]) -> None:
    child.die_with_parent()
    os.setsid()
    null = os.open(os.devnull, os.O_RDONLY)
    for fd, wanted in ((null, 0), (ends[0], 1), (ends[1], 2)):
        os.dup2(fd, wanted)
    for fd in (null, *reads, *ends[:2]):
        os.close(fd)
    os.chdir(folder)
    os.environ["TMPDIR"] = folder
    tempfile.tempdir = None
    forget()


def fresh(job: dict[str, str], folder: str, ends: Sequence[int], *, python: str) -> int:
    """Run a script in a fresh interpreter; the number of its process.

    Args:
        job: see `child.run`.
        folder: its working folder.
        ends: of the pipes for its output, its errors and its reports.
        python: the interpreter of another environment; empty: our own.
    """
    described = Path(folder, "job.json")
    described.write_text(json.dumps(job), "utf-8")
    arguments = [child.__file__, str(described), str(ends[2])]
    command = [python, "-c", _SAFE_PATH] if python else [sys.executable, "-P"]
    # What leads back into our environment is not for another one.
    ours = ("PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV") if python else ()
    variables = {name: value for name, value in os.environ.items() if name not in ours}
    return subprocess.Popen(
        [*command, *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=ends[0],
        stderr=ends[1],
        pass_fds=(ends[2],),
        start_new_session=True,
        env={**variables, "PYTHONIOENCODING": child.ENCODING, "TMPDIR": folder},
    ).pid
