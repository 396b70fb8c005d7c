"""A forked script does what it does in a fresh interpreter."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from keras_bisect.builds.store import Source
from keras_bisect.outcome import Tree
from keras_bisect.probe.prober import Prober, Script, Start
from probing import STARTS, fake_keras, probe, script

pytestmark = pytest.mark.usefixtures("nothing_is_left")


ALIKE = {
    "good": "print('fine')",
    "exit": "print('é \\udc80 ∞'); raise SystemExit(3)",
    "message": "raise SystemExit('a message')",
    "raises": "def f(x):\n    return 1 / x\nf(0)",
    "crash": "import os; print('now', flush=True); os.kill(os.getpid(), 11)",
    "stdin": "print(repr(input()))",
    "main": "import sys; print(__name__, __file__, sys.argv)\n"
    "print(sys.modules['__main__'].__dict__ is globals())",
    "atexit": "import atexit, sys; atexit.register(print, 'bye'); print('in')",
    "thread": "import threading, time\n"
    "threading.Thread(target=lambda: (time.sleep(0.2), print('later'))).start()",
    "process": "import multiprocessing as m; print(m.current_process(), m.parent_process())\n"
    "print(m.get_start_method(allow_none=True), m.active_children())",
    "pool": "import multiprocessing as m\nwith m.Pool(2) as pool: print(pool.map(abs, [-1, -2]))",
    "child": "import multiprocessing as m, time\n"
    "m.Process(target=lambda: (time.sleep(0.2), print('later'))).start()",
    "finalizer": "import weakref\nclass A: pass\na = A(); weakref.finalize(a, print, 'gone')",
    "signals": "import signal; print([signal.getsignal(n) for n in (1, 2, 13, 15, 17)])\n"
    "print(signal.pthread_sigmask(signal.SIG_BLOCK, []))",
    "folder": "import os; print([name for name in os.listdir('.') if name != 'repro.py'])",
    "loader": "print(type(keras.__spec__.loader), type(keras.__loader__))",
    "environment": "import os; home = os.listdir(os.environ['KERAS_HOME'])\n"
    "print(os.environ['KERAS_BACKEND'], home)",
    "bytecode": "import sys; print(sys.dont_write_bytecode)",
    "neighbour": "import neighbour; print(neighbour.VALUE)",
    "own path": "import sys; print(sys.path[:2])",
    "stderr": "import sys; print('é \\udc80', file=sys.stderr)",
    "closed": "import sys; print('x'); sys.stdout.close()",
}


@pytest.mark.parametrize("name", ALIKE)
def test_forked_and_fresh_scripts_do_the_same(build: Source, tmp_path: Path, name: str) -> None:
    """Without it what was found in a fork could be gone when a person runs the script."""
    path = tmp_path / "repro.py"
    path.write_text("import keras\n" + ALIKE[name], "utf-8")
    (tmp_path / "neighbour.py").write_text("VALUE = 5\n")
    forked, fresh = (replace(probe(Script.read(path), build, s), seconds=0) for s in STARTS)
    assert forked == fresh
    assert forked.loaded is not None


def test_the_paths_of_the_environment_are_kept(
    build: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it a fresh interpreter would miss the first folder of PYTHONPATH."""
    (tmp_path / "far_module.py").write_text("VALUE = 5\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert probe("import far_module; print(far_module.VALUE)", build, "fresh").stdout == "5\n"


def test_forks_do_not_share_their_random_numbers(build: Source) -> None:
    """Without it a script run twice would be one run, and chance would look like certainty."""
    text = "import random, numpy; print(random.random(), numpy.random.rand())"
    with Prober(jobs=1, start="fork") as prober, prober.host(build) as host:
        numbers = [n for _ in range(2) for n in host.run(script(text)).stdout.split()]
    assert len(set(numbers)) == 4


# -- what a fresh interpreter would find ---------------------------------------


def test_to_look_keras_up_is_not_to_import_it(build: Source, start: Start) -> None:
    """Without it a script that asks whether keras is there could not be tested."""
    text = "from importlib.util import find_spec\nassert find_spec('keras')\n"
    outcome = probe(script(text, keras=False), build, start)
    assert (outcome.code, outcome.loaded) == (0, None)
    outcome = probe(script(text + "import keras", keras=False), build, start)
    assert outcome.loaded and outcome.loaded.version == "3.5.0"


def test_an_import_that_is_tried_again(tmp_path: Path, start: Start) -> None:
    """Without it a script that mends what keeps keras from importing would be untestable."""
    init = "import sys\nif not hasattr(sys, 'mended'): raise ImportError"
    source = fake_keras(tmp_path, init=init)
    text = "import sys\ntry: import keras\nexcept ImportError: sys.mended = True\nimport keras"
    outcome = probe(script(text, keras=False), source, start)
    assert outcome.code == 0 and outcome.import_error is None
    assert outcome.loaded and outcome.loaded.version == "3.5.0"


OPTIMIZERS = "import sys; print('tensorflow' in sys.modules, 'keras.src.late' in sys.modules)"


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("from tensorflow.keras.layers import Dense; print(Dense)", "True True\nmine\n"),
        ("import tensorflow as tf; print(tf.keras.layers.Dense)", "True True\nmine\n"),
        # Keras is on its way when it imports TensorFlow, which imports the rest of Keras.
        ("import keras", "True False\n"),
        ("import tensorflow.python; import tensorflow", "True True\n"),
    ],
)
def test_tensorflow_comes_with_the_keras_of_the_build(
    tmp_path: Path, text: str, printed: str
) -> None:
    """Without it no script that uses tf.keras, or minds the order of imports, could be tested."""
    source = fake_keras(
        tmp_path,
        init="import tensorflow\nimport keras.src.late",
        src__late="",
        src__optimizers=OPTIMIZERS,
        _tf_keras__keras__layers="Dense = 'mine'",
    )
    (tmp_path / "keras" / "_tf_keras" / "keras" / "__init__.py").write_text("from . import layers")
    outcome = probe(script(text, keras=False), source)
    assert (outcome.stdout, outcome.stderr) == (printed, "")
    assert outcome.loaded and outcome.loaded.version == "3.5.0"


ASKS = '''
import os, subprocess, sys
from multiprocessing import get_context
text = """import keras
print(keras.__file__)
try: import optree; print(True)
except ImportError: print(False)"""
if __name__ == "__main__":
    subprocess.run([sys.executable, "-c", text], check=True)
    child = get_context("spawn").Process(target=exec, args=(text,))
    child.start(); child.join()
'''


def test_the_pythons_of_a_script_find_its_keras(build: Source, start: Start) -> None:
    """Without it a script that starts itself anew would test the Keras that is installed."""
    found = f"{build.path / 'keras' / '__init__.py'}\n"
    trees: tuple[tuple[Tree, bool], ...] = (("optree", True), ("dm-tree", False))
    for tree, expected in trees:
        assert probe(ASKS, build, start, tree).stdout == f"{found}{expected}\n" * 2
    assert not list(build.path.rglob("*.pyc")), "nor do they leave bytecode in it"


def test_what_one_script_leaves_in_the_home_of_keras_is_not_met_by_the_next(
    build: Source,
) -> None:
    """Without it a download, or settings, of one script would change what the next one does."""
    text = "import os; home = os.environ['KERAS_HOME']\nprint(os.listdir(home))\n"
    text += "open(os.path.join(home, 'keras.json'), 'w').close()"
    with Prober(start="fork") as prober, prober.host(build) as host:
        assert [host.run(script(text)).stdout for _ in range(2)] == ["[]\n"] * 2
