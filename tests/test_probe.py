"""Probes: real processes, how they end, what they leave, and which Keras they see."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest

from keras_bisect.builds.store import Source
from keras_bisect.errors import HarnessError
from keras_bisect.outcome import Ended, Loaded, Raised
from keras_bisect.probe.prober import Prober, Start
from probing import fake_keras, living, probe, script

pytestmark = pytest.mark.usefixtures("nothing_is_left")

MB = 1 << 20


# -- how a script can end ------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "ended", "code"),
    [
        ("", Ended.EXIT, 0),
        ("raise SystemExit(7)", Ended.EXIT, 7),
        ("raise SystemExit(125)", Ended.EXIT, 125),
        ("raise SystemExit('no')", Ended.EXIT, 1),
        ("import os; os._exit(0)", Ended.EXIT, 0),
        ("import os; os.kill(os.getpid(), 11)", Ended.SIGNAL, 11),
        ("import os; os.abort()", Ended.SIGNAL, 6),
    ],
)
def test_how_it_ended(
    build: Source, start: Start, text: str, ended: Ended, code: int | None
) -> None:
    """Without it exit codes and crashes could be mistaken for each other, and so for verdicts."""
    outcome = probe(text, build, start)
    assert (outcome.ended, outcome.code) == (ended, code)
    path = str(build.path / "keras" / "__init__.py")
    assert outcome.loaded == Loaded(path, "3.5.0", "optree")
    assert outcome.import_error is None and outcome.raised is None


@pytest.mark.parametrize("text", ["import os; os._exit(0)\n", "raise SystemExit(0)\n", ""])
def test_a_script_that_ends_before_it_imports_keras(build: Source, start: Start, text: str) -> None:
    """Without it a script that tested nothing would make every build good."""
    outcome = probe(script(text, keras=False), build, start)
    assert (outcome.ended, outcome.code, outcome.loaded) == (Ended.EXIT, 0, None)


def test_a_hang_is_ended(build: Source, start: Start) -> None:
    """Without it one script that never ends would stop a bisect for good."""
    outcome = probe("print('here', flush=True)\nwhile True: pass", build, start, timeout=1.0)
    assert (outcome.ended, outcome.code, outcome.stdout) == (Ended.TIMEOUT, None, "here\n")
    assert 1.0 <= outcome.seconds < 5.0


def test_a_hang_that_ignores_signals_is_ended(build: Source) -> None:
    """Without it a script that catches signals would outlive its time."""
    text = "import signal, time\nfor n in (2, 15): signal.signal(n, signal.SIG_IGN)\ntime.sleep(99)"
    assert probe(text, build, timeout=1.0).ended is Ended.TIMEOUT


@pytest.mark.parametrize("where", ["itself", "child"])
def test_a_script_that_eats_memory_is_ended(build: Source, where: str) -> None:
    """Without it one script could take the machine, and every other probe, with it."""
    text = f"x = b'x' * ({800 * MB})\nimport time; time.sleep(99)"
    if where == "child":
        text = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {text!r}])"
    outcome = probe(text, build, memory=700 * MB)
    assert (outcome.ended, outcome.code) == (Ended.MEMORY, None)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what processes share")
def test_what_forked_processes_share_is_counted_once(build: Source) -> None:
    """Without it a script with a pool of processes would be untestable, whatever it holds."""
    text = f"""
import os, time
held = b"x" * ({150 * MB})
for _ in range(6):
    if os.fork() == 0:
        sum(held[::4096])
        time.sleep(1.5)
        os._exit(0)
time.sleep(1.5)
"""
    assert probe(text, build, memory=1100 * MB).ended is Ended.EXIT


JUNK = """
import os
for fd in range(3, 40):
    try:
        os.write(fd, b'\\n[1]\\n5\\n{"touched": true, "loaded": 5, "beyond": "x"}\\n')
        os.write(fd, b"[" * 100_000)
        for _ in range(30):
            os.write(fd, b"x" * (1 << 16))
        os.write(fd, b'\\n{"read": 1}\\nhalf a line')
    except OSError:
        pass
raise KeyError("mine")
"""


def test_junk_on_every_descriptor_is_no_report(build: Source, start: Start) -> None:
    """Without it a script that writes where it should not could forge its outcome, or lose it."""
    outcome = probe(JUNK, build, start)
    assert outcome.loaded and outcome.loaded.version == "3.5.0"
    assert outcome.raised and outcome.raised.message == "'mine'"
    assert (outcome.touched, outcome.beyond, outcome.read) == (False, "", ())


def test_a_flood_of_output_is_bounded(build: Source, start: Start) -> None:
    """Without it a script that prints in a loop would fill the memory or the pipe."""
    text = "import sys\nprint('first')\nfor _ in range(200): sys.stdout.write('x' * (1 << 20))\n"
    outcome = probe(text + "print('last')", build, start)
    assert (outcome.ended, outcome.code) == (Ended.EXIT, 0)
    assert outcome.stdout.startswith("first\n") and outcome.stdout.endswith("last\n")
    assert "bytes left out" in outcome.stdout
    assert len(outcome.stdout) < 80_000


# -- what it leaves ------------------------------------------------------------

DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print(os.getpid(), flush=True)
        time.sleep(99)
    os._exit(0)
os.wait()
time.sleep(0.2)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process adopt orphans")
@pytest.mark.parametrize("then", ["", "time.sleep(99)", "os.kill(os.getpid(), 9)"])
def test_a_daemon_does_not_outlive_its_script(build: Source, start: Start, then: str) -> None:
    """Without it every probe of such a script would leave a process on the machine."""
    outcome = probe(DAEMON + then, build, start, timeout=2.0)
    assert not living([int(outcome.stdout)])


FORKS_ON = """
import os, time
while True:
    if os.fork():
        time.sleep(0.001)
        os._exit(0)
    os.setsid()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process adopt orphans")
def test_a_chain_of_forks_is_ended(build: Source) -> None:
    """Without it a process forked while its parent is killed would be waited for, forever."""
    begin = time.monotonic()
    assert probe(FORKS_ON, build, timeout=1.0).ended is Ended.EXIT
    assert time.monotonic() - begin < 20


def test_files_and_folders_are_its_own(build: Source, start: Start) -> None:
    """Without it what one probe leaves could change the next, or fill the disk."""
    text = (
        "import os, tempfile\n"
        "print(os.getcwd()); print(tempfile.mkdtemp())\n"
        "open('left', 'w').close(); os.mkdir('sub'); os.chdir('/')"
    )
    with Prober(start=start) as prober:
        with prober.host(build) as host:
            first, second = (host.run(script(text)).stdout.split() for _ in range(2))
        assert len({*first, *second}) == 4
        assert not any(Path(folder).exists() for folder in (*first, *second))


def test_a_script_that_kills_its_host(build: Source, start: Start) -> None:
    """Without it a script that kills other processes would get a verdict, or leave some."""
    text = "import os, time\nos.killpg(os.getpgid(os.getppid()), 9)\ntime.sleep(99)"
    with pytest.raises(HarnessError, match="kills processes that are not its own"):
        probe(text, build, start)


# -- which Keras ---------------------------------------------------------------


def test_another_keras_is_a_fault_of_the_harness(
    build: Source, tmp_path: Path, start: Start
) -> None:
    """Without it a build could be blamed for what another one did."""
    other = fake_keras(tmp_path / "other", version="3.0.0")
    text = f"import sys; sys.path.insert(0, {str(other.path)!r})\nimport keras\n"
    with pytest.raises(
        HarnessError, match=r"loaded .*/other/keras/__init__.py instead of .*/build"
    ):
        probe(script(text, keras=False), build, start)


def test_another_version_is_a_fault_of_the_harness(tmp_path: Path) -> None:
    """Lost otherwise: a build that is exchanged while it is used gives another build's verdict."""
    changed = fake_keras(tmp_path, init='__version__ = "3.6.0"')
    with pytest.raises(HarnessError, match=r"3\.6\.0 instead of 3\.5\.0"):
        probe(script("x = 1"), changed)


def test_a_linked_folder_is_the_keras_it_links_to(build: Source, tmp_path: Path) -> None:
    """Without it a folder that holds a link to a checkout could not be probed."""
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "keras").symlink_to(build.path / "keras")
    assert probe("", replace(build, path=tmp_path / "links")).code == 0


def test_the_tree_is_chosen(build: Source, start: Start) -> None:
    """Without it both columns of a report could come from one tree implementation."""
    text = "import importlib.util, sys; print(sys.modules.get('optree') is not None)"
    optree, dm_tree = (probe(text, build, start, tree) for tree in ("optree", "dm-tree"))
    assert optree.loaded and optree.loaded.tree == "optree" and optree.stdout == "True\n"
    assert dm_tree.loaded and dm_tree.loaded.tree == "dm-tree" and dm_tree.stdout == "False\n"


def test_an_import_that_fails_is_reported(tmp_path: Path, start: Start) -> None:
    """Without it a build that does not import would look like one under which a script fails."""
    broken = fake_keras(tmp_path, init="raise ImportError('no such thing')")
    outcome = probe("", broken, start)
    assert outcome.import_error == Raised("ImportError", "no such thing", ("__init__.py:<module>",))
    assert outcome.code == 1
    caught = probe(
        script("try: import keras\nexcept ImportError: raise SystemExit(125)", keras=False),
        broken,
        start,
    )
    assert caught.code == 125 and caught.import_error is not None


FILTER = """
def _process_traceback_frames(tb):
    return None

def filtered(function):
    def call():
        try:
            function()
        except Exception as error:
            raise error.with_traceback(_process_traceback_frames(error.__traceback__)) from None
    return call
"""
RAISES = """
from keras.src.utils import traceback_utils

class Odd(ValueError):
    pass

def inner():
    raise Odd("wrong \\udc80 thing")

def outer():
    inner()

filtered = traceback_utils.filtered(outer)
"""


def filtering_keras(root: Path) -> Source:
    """A Keras whose `compile_utils` raises, and that cuts its own frames out of tracebacks."""
    return fake_keras(
        root,
        init="import keras.src.utils.traceback_utils",
        src__utils__traceback_utils=FILTER,
        src__trainers__compile_utils=RAISES,
    )


@pytest.mark.parametrize("function", ["outer", "filtered"])
def test_an_exception_and_its_frames_in_keras_are_reported(
    tmp_path: Path, start: Start, function: str
) -> None:
    """Without it one `KeyError` could not be told from another, as Keras hides its own frames."""
    source = filtering_keras(tmp_path)
    text = f"from keras.src.trainers import compile_utils\ncompile_utils.{function}()"
    outcome = probe(text, source, start)
    assert outcome.code == 1
    assert outcome.raised == Raised(
        "keras.src.trainers.compile_utils.Odd",
        "wrong \udc80 thing",
        ("src/trainers/compile_utils.py:outer", "src/trainers/compile_utils.py:inner"),
        line=3,
    )
    assert "Traceback" in outcome.stderr


def test_an_exception_of_the_script_has_no_frames_of_an_error_it_caught(
    tmp_path: Path, start: Start
) -> None:
    """Without it a mistake of the script after a refusal would be read as Keras' own."""
    source = filtering_keras(tmp_path)
    text = """
    from keras.src.trainers import compile_utils
    try:
        compile_utils.filtered()
    except ValueError:
        None + 1
    """
    outcome = probe(textwrap.dedent(text), source, start)
    assert outcome.raised and outcome.raised.type == "TypeError"
    assert outcome.raised.frames == ()


def test_tensorflow_is_warm_and_keras_is_not(build: Source) -> None:
    """Without it every probe would import TensorFlow, or all would use the installed keras."""
    text = "import sys\nprint('tensorflow.python' in sys.modules, 'keras' in sys.modules)"
    outcome = probe(script(text, keras=False), build)
    assert outcome.stdout == "True False\n"


def test_the_toolkit_itself_stays_cold() -> None:
    """Without it `keras-repro --help` could wait for TensorFlow, and forks would not be clean."""
    heavy = "{'tensorflow', 'keras', 'optree', 'tree'} & set(sys.modules)"
    text = f"import sys, keras_bisect, keras_repro.hunt, keras_repro.strategies; print({heavy})"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
