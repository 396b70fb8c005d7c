"""Runs one script in a process of its own and proves which Keras it loaded.

The file stands alone, with `watch.py` beside it (standard library only): a warm process forks and
calls `run`, a fresh interpreter executes the file itself and reads the same job. So a script sees
the same world either way.

The proof does not rest on the script's good will. A finder at the head of `sys.meta_path` sees the
import of keras, whenever it comes, and reports over a pipe of its own what was loaded and what
became of it; a script that ends in `os._exit` or a crash has reported by then.
"""

from __future__ import annotations

import contextlib
import importlib.machinery
import importlib.util
import json
import os
import signal
import sys
import traceback
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or __package__:
    from keras_bisect.probe.watch import Watcher
else:
    # Executed by itself, perhaps where the toolkit is not installed.
    _spec = importlib.util.spec_from_file_location("watch", Path(__file__).with_name("watch.py"))
    _watch = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(_watch)
    Watcher = _watch.Watcher

Report = Callable[[dict[str, Any]], None]

ENCODING = "utf-8:replace"
"""Of what a script prints, as `PYTHONIOENCODING` has it: the same on every machine."""
MESSAGE_LIMIT = 4_000
FRAMES_KEPT = 4
KERAS_HOME = "keras"
"""Below the home of a probe: the folder for the settings and downloads of Keras."""
HIDDEN = 'raise ModuleNotFoundError("optree is hidden in this probe", name="optree")\n'
"""What stands for optree in the Pythons that a script starts, where it is hidden."""


def die_with_parent() -> None:
    """Let the kernel kill this process when its parent dies (elsewhere than on Linux: nobody)."""
    if sys.platform == "linux":
        import ctypes

        pr_set_pdeathsig = 1
        ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGKILL)


def prepare(path: str, tree: str, backend: str, home: str) -> None:
    """Choose the Keras, the tree implementation and the backend that an import will find.

    Args:
        path: the folder that holds `keras/`; it goes first on `sys.path`.
        tree: `optree` leaves the choice to Keras; `dm-tree` hides optree.
        backend: the value of `KERAS_BACKEND`.
        home: an empty folder; a `keras.json` of the user would change results.
    """
    os.environ["KERAS_BACKEND"] = backend
    os.environ["KERAS_HOME"] = str(Path(home, KERAS_HOME))
    Path(home, KERAS_HOME).mkdir(exist_ok=True)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
    # The store made the bytecode; what a probe wrote would be a difference for the next.
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    first = [path]
    if tree == "dm-tree":
        sys.modules["optree"] = None  # type: ignore[assignment]
        hidden = Path(home, "hidden")
        hidden.mkdir(exist_ok=True)
        (hidden / "optree.py").write_text(HIDDEN, "utf-8")
        first.append(str(hidden))
    sys.path[:0] = first
    # A Python that the script starts must find what the script finds.
    os.environ["PYTHONPATH"] = os.pathsep.join([*first, *_given(os.environ.get("PYTHONPATH"))])


def _given(variable: str | None) -> list[str]:
    return [variable] if variable else []


class Witness:
    """Sees the first import of keras and reports it. Stands first in `sys.meta_path`."""

    def __init__(self, report: Report) -> None:
        """Report to `report`."""
        self.report = report
        self.frames: list[str] = []
        self.done = False

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Let the path decide which keras it is, and watch it being loaded."""
        if name != "keras" or self.done:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return None
        # To look it up (`importlib.util.find_spec`) is not to import it.
        spec.loader = _WatchedLoader(spec.loader, self)  # type: ignore[assignment]
        return spec

    def keep_frames(self) -> None:
        """Remember Keras' own frames of an error: Keras cuts them out of what others see."""
        module = sys.modules.get("keras.src.utils.traceback_utils")
        cut = getattr(module, "_process_traceback_frames", None)
        if cut is None:
            return

        def kept(tb: types.TracebackType | None) -> Any:
            self.frames = keras_frames(tb) or self.frames
            return cut(tb)

        module._process_traceback_frames = kept  # type: ignore[union-attr]


class _WatchedLoader:
    """Loads as the loader it wraps, and reports the end of it."""

    def __init__(self, loader: Any, witness: Witness) -> None:
        self._loader = loader
        self._witness = witness

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType | None:
        made: types.ModuleType | None = self._loader.create_module(spec)
        return made

    def exec_module(self, module: types.ModuleType) -> None:
        # From here on everything is as if nobody had watched.
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        report = self._witness.report
        report({"loaded": {"path": module.__file__ or ""}})
        try:
            self._loader.exec_module(module)
        except BaseException as error:
            report({"import_error": describe(error, [])})
            raise
        # One that failed before may have been tried again.
        report({"loaded": loaded(module), "import_error": None})
        self._witness.done = True
        self._witness.keep_frames()


def loaded(keras: types.ModuleType) -> dict[str, str | None]:
    """What `import keras` has put into this process."""
    trees = {"torchtree_impl": "torchtree", "optree_impl": "optree", "dmtree_impl": "dm-tree"}
    found = [word for name, word in trees.items() if f"keras.src.tree.{name}" in sys.modules]
    if not found:
        # Before keras.src.tree (3.0 to 3.2) there was one implementation, imported by its own name.
        found = [w for m, w in (("optree", "optree"), ("tree", "dm-tree")) if sys.modules.get(m)]
    return {
        "path": getattr(keras, "__file__", None) or "",
        "version": getattr(keras, "__version__", None),
        "tree": found[0] if found else None,
    }


def keras_frames(tb: types.TracebackType | None) -> list[str]:
    """The frames of a traceback inside Keras, outermost first."""
    # The wrapper that filters tracebacks is in every one of them.
    inside = [f for f in _inside_keras(tb) if "traceback_utils.py:" not in f]
    return inside[-FRAMES_KEPT:]


def _inside_keras(tb: types.TracebackType | None) -> list[str]:
    root = str(Path(getattr(sys.modules.get("keras"), "__file__", None) or "/nowhere/x").parent)
    frames = [(f.filename, f.name) for f in traceback.extract_tb(tb)]
    return [f"{os.path.relpath(f, root)}:{n}" for f, n in frames if f.startswith(root + os.sep)]


def script_line(tb: types.TracebackType | None, filename: str) -> int | None:
    """The line of a file that was running: the innermost of its frames in a traceback."""
    lines = [n for frame, n in traceback.walk_tb(tb) if frame.f_code.co_filename == filename]
    return lines[-1] if lines else None


def describe(error: BaseException, kept: list[str], filename: str = "") -> dict[str, Any]:
    """An exception as data; `filename` is that of the script."""
    kind = type(error)
    name = kind.__qualname__
    if kind.__module__ != "builtins":
        name = f"{kind.__module__}.{name}"
    try:
        message = str(error)
    except Exception as broken:  # noqa: BLE001 - the message of a foreign exception may do anything
        message = f"(its message could not be read: {type(broken).__name__})"
    frames = keras_frames(error.__traceback__)
    if len(kept) > len(frames) and _inside_keras(error.__traceback__):
        # Else what was kept is of an error that somebody caught, and this one is the script's own.
        frames = kept
    return {
        "type": name,
        "message": message[:MESSAGE_LIMIT],
        "frames": frames,
        "line": script_line(error.__traceback__, filename),
    }


def execute(
    text: str, filename: str, report: Report, witness: Witness, watcher: Watcher | None = None
) -> int:
    """Run a script's text as `__main__`, the way Python does; return its exit code."""
    main = types.ModuleType("__main__")
    main.__file__ = filename
    main.__builtins__ = __builtins__  # type: ignore[attr-defined]
    sys.modules["__main__"] = main
    sys.argv = [filename]
    try:
        code = compile(text, filename, "exec", dont_inherit=True)
        if watcher is not None:
            watcher.begin(code)
        exec(code, main.__dict__)
    except SystemExit as stop:
        if stop.code is None or isinstance(stop.code, int):
            return (stop.code or 0) & 0xFF
        print(stop.code, file=sys.stderr)
        return 1
    except BaseException as error:  # noqa: BLE001 - however a script ends, it is an outcome
        report({"raised": describe(error, witness.frames, filename)})
        # The frames of this file are not part of the script.
        shown = error.__traceback__.tb_next if error.__traceback__ else None
        traceback.print_exception(type(error), error, shown)
        return 1
    return 0


def report_line(token: str, document: dict[str, Any]) -> bytes:
    """A report as it is written; what a script wrote there before need not have ended its line."""
    return f"\n{token}{json.dumps(document)}\n".encode("ascii")


def run(job: dict[str, Any], report_fd: int) -> int:
    """Run the script of a job in this process; return its exit code.

    Args:
        job: `text`, `filename`, `folder` (of the script, searched for its own modules; may be
            empty), `token`, and the arguments of `prepare` unless keras is in the process already.
        report_fd: where one JSON document a line is written, after the token: `loaded`,
            `import_error`, `raised`, `read` (one path), `beyond` (one phrase), `touched`.
    """

    pipe = os.fstat(report_fd)

    def report(document: dict[str, Any]) -> None:
        # A script may close every descriptor, and open a file of its own under the same number.
        with contextlib.suppress(OSError):
            if os.path.samestat(pipe, os.fstat(report_fd)):
                os.write(report_fd, report_line(job["token"], document))

    witness = Witness(report)
    if "keras" in sys.modules:
        report({"loaded": loaded(sys.modules["keras"])})
        witness.keep_frames()
    else:
        prepare(job["path"], job["tree"], job["backend"], job["home"])
        sys.meta_path.insert(0, witness)
    if job["folder"]:
        sys.path.insert(1, job["folder"])
    if "numpy" in sys.modules:
        # A forked process would repeat the random numbers of its siblings; a fresh one does not.
        sys.modules["numpy"].random.seed()
    watcher = Watcher(job, report)
    return flush(execute(job["text"], job["filename"], report, witness, watcher))


def flush(code: int) -> int:
    """Write out what was printed; the exit code, which is a failure if that fails."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            code = code or 1
    return code


def main() -> None:
    """A fresh interpreter: `python -P child.py JOB REPORT_FD` with the job as a JSON file."""
    die_with_parent()
    # A host ignores it, which a program inherits from the one that starts it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    described = Path(sys.argv[1])
    job = json.loads(described.read_text("utf-8"))
    described.unlink()
    # As Python itself ends: exit handlers and threads of the script have their turn.
    sys.exit(run(job, int(sys.argv[2])))


if __name__ == "__main__":
    main()
