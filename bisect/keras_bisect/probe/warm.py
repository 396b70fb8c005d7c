"""What the warm process imports before it is forked: TensorFlow, and no keras.

`import tensorflow` takes seconds and imports the installed keras on its way. With keras hidden for
that time it does not, and a forked child imports whichever build is first on its own path. The
standard library's forkserver imports this module once (`set_forkserver_preload`).
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Iterator

error: str | None = None
"""Why the preload failed, for the child that has to tell; None if all is well."""


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Drop what native code writes while it loads (on drivers, oneDNN): nobody can act on it."""
    sys.stderr.flush()
    saved = os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(null)


def _load() -> None:
    # What an import makes stays: looking for garbage meanwhile takes a quarter of the time.
    gc.disable()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
    sys.modules["keras"] = None  # type: ignore[assignment]
    try:
        with _quiet():
            # What every keras imports when it starts is worth having once, too.
            import h5py  # noqa: F401
            import numpy  # noqa: F401
            import rich.console  # noqa: F401
            import tensorflow  # noqa: F401

            # What every process that is forked from here begins with.
            import keras_bisect.probe.host
            import keras_bisect.probe.worker  # noqa: F401
    finally:
        del sys.modules["keras"]
        # Nor is it looked through in a fork, which would copy each page that is touched.
        gc.freeze()
        gc.enable()


try:
    _load()
except Exception as _problem:  # noqa: BLE001 - the forkserver would swallow it; a child reports it instead
    error = f"{type(_problem).__name__}: {_problem}"
