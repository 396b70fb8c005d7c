"""What a forked script must not inherit: it shall find Python as a fresh interpreter would have it.

A process that is forked from a host carries what the toolkit did to the standard library: it is a
child of multiprocessing, with a start method, a resource tracker and a server that are not its own;
it has exit handlers of the host, and TensorFlow was imported before any keras was. `forget` undoes
the first two, `end` does what Python does at the end of a program, `LateTensorflow` the last.

Public: `forget`, `end`, `LateTensorflow`.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import importlib.machinery
import itertools
import logging
import multiprocessing
import os
import signal
import sys
import threading
import types
import weakref
from collections.abc import Sequence
from multiprocessing import forkserver, process, resource_tracker, spawn, util
from pathlib import Path

from keras_bisect.probe.child import ENCODING, flush

MAIN_PROCESS = type(process.current_process())
"""The class has no name to be called by; this module is imported in a main process."""
LEGACY = ("true", "True", "1")
"""Values of TF_USE_LEGACY_KERAS with which TensorFlow takes tf_keras."""


def forget() -> None:
    """Make a process that was just forked look like one that was just started.

    Its descriptors 0 to 2 and its working folder are in place already.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler if number == 2 else signal.SIG_DFL)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
    _open_streams()
    _leave_multiprocessing()
    atexit._clear()
    # What is imported already would not register them once more.
    for handler in (logging.shutdown, util._exit_function):  # type: ignore[attr-defined]
        atexit.register(handler)
    # Finalizers are of the host's objects; the first of the script's own registers them anew.
    weakref.finalize._registry.clear()  # type: ignore[attr-defined]
    weakref.finalize._registered_with_atexit = False  # type: ignore[attr-defined]


def _open_streams() -> None:
    encoding, errors = ENCODING.split(":")
    # They live as long as the process.
    sys.stdin = open(0, encoding=encoding, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding=encoding, errors=errors, closefd=False)  # noqa: SIM115
    errors = "backslashreplace"
    sys.stderr = open(2, "w", encoding=encoding, errors=errors, closefd=False)  # noqa: SIM115
    for name in ("stdin", "stdout", "stderr"):
        setattr(sys, f"__{name}__", getattr(sys, name))


def _leave_multiprocessing() -> None:
    """Let multiprocessing believe that it was imported in a main process, and never used."""
    parent = process.parent_process()
    inherited = [
        resource_tracker._resource_tracker._fd,  # type: ignore[attr-defined]
        forkserver._forkserver._forkserver_alive_fd,  # type: ignore[attr-defined]
        getattr(parent, "sentinel", None),
    ]
    for fd in inherited:
        if fd is not None:
            with contextlib.suppress(OSError):
                os.close(fd)
    # In place: functions of these modules are bound methods of the one object there is.
    resource_tracker._resource_tracker.__init__()  # type: ignore[misc]
    forkserver._forkserver.__init__()  # type: ignore[misc]
    process._parent_process = None  # type: ignore[attr-defined]
    process._current_process = MAIN_PROCESS()  # type: ignore[attr-defined]
    process._children = set()  # type: ignore[attr-defined]
    process._process_counter = itertools.count(1)  # type: ignore[attr-defined]
    process.ORIGINAL_DIR = str(Path.cwd())  # type: ignore[attr-defined]
    spawn.old_main_modules.clear()
    util._finalizer_registry.clear()  # type: ignore[attr-defined]
    multiprocessing.set_start_method(None, force=True)


def end(code: int) -> int:
    """Do in a forked process what Python does at its end: wait for threads, call exit handlers."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    return flush(code)


class LateTensorflow:
    """Hands out the TensorFlow of the warm process as if it were imported when a script does.

    At its end `import tensorflow` puts the folders of `keras._tf_keras` on its own path and imports
    Keras' optimizers. In the warm process there was no keras, so both is made up for: without it
    `from tensorflow.keras import layers` would not be found, and Keras' modules would be imported
    in another order. Stands in `sys.meta_path`.
    """

    def __init__(self, path: str) -> None:
        """Take the module away, so that the next import of it comes here.

        Args:
            path: the folder that holds `keras/`.
        """
        self.module: types.ModuleType = sys.modules.pop("tensorflow")
        self._spec = self.module.__spec__
        self._loader = self.module.__loader__
        # As TensorFlow itself finds them, in its order; None is where it found no keras.
        folders = [str(Path(path, "keras", *name)) for name in (("api", "_v2"), ("_tf_keras",))]
        rest = [entry for entry in self.module.__path__ if entry is not None]
        missing = min(len(folders), len(self.module.__path__) - len(rest))
        self.module.__path__ = [*folders[len(folders) - missing :], *rest]

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find TensorFlow, and nothing else."""
        if name != "tensorflow":
            return None
        spec = importlib.machinery.ModuleSpec(
            name,
            self,  # type: ignore[arg-type]
            origin=self.module.__file__,
            is_package=True,
        )
        spec.submodule_search_locations = self.module.__path__  # type: ignore[assignment]
        return spec

    def create_module(self, _spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        """The module that is there."""
        return self.module

    def exec_module(self, module: types.ModuleType) -> None:
        """Do what is left to do of its import."""
        module.__spec__ = self._spec
        module.__loader__ = self._loader
        if os.environ.get("TF_USE_LEGACY_KERAS") not in LEGACY:
            with contextlib.suppress(ImportError, AttributeError):
                importlib.import_module("keras.src.optimizers")
