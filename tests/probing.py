"""Small Keras builds, and what is left of processes, for the tests of probes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection
from multiprocessing import forkserver, resource_tracker
from pathlib import Path

import psutil

from keras_bisect.builds.build import Build
from keras_bisect.builds.store import Source
from keras_bisect.outcome import Outcome, Tree
from keras_bisect.probe.prober import Prober, Script, Start

TREE = """
try:
    import optree
except ImportError:
    from keras.src.tree import dmtree_impl
else:
    from keras.src.tree import optree_impl
"""

STARTS: list[Start] = ["fork", "fresh"]


def fake_keras(root: Path, *, init: str = "", version: str = "3.5.0", **modules: str) -> Source:
    """A package `keras` of a few lines; `modules` are `a__b="text"` for `keras/a/b.py`."""
    files = {"__init__": f'__version__ = "{version}"\nimport keras.src.tree\n{init}\n'}
    files |= {"src/__init__": "", "src/tree/__init__": TREE}
    files |= {"src/tree/optree_impl": "", "src/tree/dmtree_impl": ""}
    files |= {name.replace("__", "/"): text for name, text in modules.items()}
    for name, text in files.items():
        path = root / "keras" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        (path.parent / "__init__.py").touch()
    build = Build("folder", f"path:{root}")
    return Source(build, root, f"content of {root}", f"exact {root}", version, {})


def script(text: str, *, keras: bool = True) -> Script:
    return Script(("import keras\n" if keras else "") + text)


def living(pids: Collection[int]) -> list[psutil.Process]:
    """Those of the processes that still run (one that ended and waits to be reaped does not)."""
    found = []
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def survivors(*, within: float = 5.0) -> list[psutil.Process]:
    """What runs below this process, but for the two servers of `multiprocessing`."""
    servers = {
        forkserver._forkserver._forkserver_pid,  # type: ignore[attr-defined]
        resource_tracker._resource_tracker._pid,  # type: ignore[attr-defined]
    }
    end = time.monotonic() + within
    while True:
        below = {one.pid for one in psutil.Process().children(recursive=True)} - servers
        left = living(below)
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.05)


def probe(
    text: str | Script,
    source: Source,
    start: Start = "fork",
    tree: Tree = "optree",
    *,
    timeout: float = 60.0,
    memory: int = 4 << 30,
) -> Outcome:
    """One probe, by a prober of its own."""
    given = script(text) if isinstance(text, str) else text
    with Prober(start=start, timeout=timeout, memory=memory, jobs=1) as prober:
        return prober.run(given, source, tree)
