"""Probes: real processes, and everything a script can do to them."""

from __future__ import annotations

import os
import py_compile
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from keras_bisect.builds.store import Source
from keras_bisect.errors import HarnessError, UsageError
from keras_bisect.outcome import Ended, Loaded, Outcome, Raised, Tree
from keras_bisect.probe.prober import Prober, Script, Start, Task
from keras_bisect.probe.worker import Worker
from probing import fake_keras, living, script, survivors

STARTS: list[Start] = ["fork", "fresh"]
MB = 1 << 20


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """No test leaves a process or a folder behind."""
    yield
    assert not survivors()
    assert not list(Path(tempfile.gettempdir()).glob(f"keras-probe-{os.getpid()}-*"))


@pytest.fixture
def build(tmp_path: Path) -> Source:
    return fake_keras(tmp_path / "build")


@pytest.fixture(params=STARTS)
def start(request: pytest.FixtureRequest) -> Start:
    if request.param == "fork" and not hasattr(os, "fork"):
        pytest.skip("this system cannot fork")
    chosen: Start = request.param
    return chosen


def probe(
    text: str | Script,
    source: Source,
    start: Start = "fork",
    tree: Tree = "optree",
    *,
    timeout: float = 60.0,
    memory: int = 4 << 30,
) -> Outcome:
    given = script(text) if isinstance(text, str) else text
    with Prober(start=start, timeout=timeout, memory=memory, jobs=1) as prober:
        return prober.run(given, source, tree)


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


@pytest.mark.parametrize("function", ["outer", "filtered"])
def test_an_exception_and_its_frames_in_keras_are_reported(
    tmp_path: Path, start: Start, function: str
) -> None:
    """Without it one `KeyError` could not be told from another, as Keras hides its own frames."""
    source = fake_keras(
        tmp_path,
        init="import keras.src.utils.traceback_utils",
        src__utils__traceback_utils=FILTER,
        src__trainers__compile_utils=RAISES,
    )
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


# -- fork and fresh ------------------------------------------------------------

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


# -- what it reads and touches -------------------------------------------------

CHECKS = """
from pathlib import Path
import helper
try:
    helper.check({})
except KeyError as error:
    raise ValueError(
        "no"
    ) from error
"""


def test_the_line_of_the_script_is_reported(build: Source, tmp_path: Path, start: Start) -> None:
    """Without it two assertions of one script without a message would be the same failure."""
    path = tmp_path / "repro.py"
    (tmp_path / "helper.py").write_text("\n\n\ndef check(x):\n    x['a']\n")
    path.write_text("import keras\n" + CHECKS)
    outcome = probe(Script.read(path), build, start)
    assert outcome.raised and (outcome.raised.type, outcome.raised.line) == ("ValueError", 8)
    path.write_text("import helper\ndef inner():\n    helper.check({})\n\ninner()")
    outcome = probe(Script.read(path), build, start)
    assert outcome.raised and (outcome.raised.type, outcome.raised.line) == ("KeyError", 3)


READS = """
import os, sys, json, helper
from pathlib import Path
here = Path(__file__).parent
(here / "data.bin").read_bytes()
open(str(here / "data.bin").encode(), "rb").close()
os.close(os.open(here / "more.txt", os.O_RDONLY))
os.listdir(here / "folder")
os.listdir("/usr"); open("/etc/hostname", "w+" if 0 else "r").close()
Path("mine.txt").write_text("x"); Path("mine.txt").read_text()
Path(os.environ["KERAS_HOME"], "keras.json").write_text("x")
out = here / "out.txt"
out.write_text("x"); out.read_text()
sys.modules["keras"].__spec__.loader.get_data(sys.modules["keras"].__file__)
from importlib import import_module
import_module("keras.late")
keras_opens_it_itself = "weights.h5"
try: (here / "missing").read_text()
except FileNotFoundError: pass
"""


def test_what_a_script_reads_of_the_user_is_reported(tmp_path: Path, start: Start) -> None:
    """Without it a kept outcome would outlive a change of the data or the module it came from."""
    build = fake_keras(tmp_path / "build", late="import json.tool")
    here = tmp_path / "here"
    (here / "folder").mkdir(parents=True)
    (here / "helper.py").write_text("import helper_too\n")
    (here / "helper_too.py").write_text("")
    for name in ("data.bin", "more.txt", "weights.h5", "never"):
        (here / name).write_text(name)
    (here / "repro.py").write_text("import keras\n" + READS)
    outcome = probe(Script.read(here / "repro.py"), build, start)
    assert outcome.code == 0, outcome.stderr
    expected = ["data.bin", "folder", "helper.py", "helper_too.py", "missing", "more.txt"]
    expected.append("weights.h5")
    assert outcome.read == tuple(str(here / name) for name in expected)
    assert (outcome.beyond, outcome.touched) == ("", False)


def test_bytecode_stands_for_its_source(build: Source, tmp_path: Path, start: Start) -> None:
    """Without it a module would be held against its bytecode, which a change of it leaves alone."""
    (tmp_path / "helper.py").write_text("VALUE = 3\n")
    py_compile.compile(str(tmp_path / "helper.py"))
    (tmp_path / "repro.py").write_text("import keras, helper\nprint(helper.VALUE)")
    outcome = probe(Script.read(tmp_path / "repro.py"), build, start)
    assert outcome.stdout == "3\n"
    assert outcome.read == (str(tmp_path / "helper.py"),)


def test_a_fork_of_a_script_is_watched_too(build: Source, tmp_path: Path, start: Start) -> None:
    """Without it what worker processes of a script read would not be known."""
    data = tmp_path / "data"
    data.write_text("x")
    text = f"import os\nif os.fork() == 0:\n    open({str(data)!r}).read()\n    os._exit(0)\n"
    text = text.replace(str(data), f"{tmp_path}/' + 'data") + "os.wait()"
    assert probe(text, build, start).read == (str(data),)


@pytest.mark.parametrize(
    ("text", "beyond"),
    [
        ("import subprocess, sys; subprocess.run([sys.executable, '-c', ''])", "another program"),
        ("import os; os.system('true'); os.system('true')", "another program"),
        ("import platform; platform.processor(); platform.uname()", ""),
        ("import socket\ntry: socket.create_connection(('127.0.0.1', 1))\nexcept OSError: pass",
         "the network"),
        ("import os\nfor n in range(300):\n    try: open(f'/nowhere/{n}')\n"
         "    except OSError: pass", "more than 200 files"),
        ("import os\ntry: open('/nowhere/' + 'x' * 3000)\nexcept OSError: pass", "cannot be told"),
        ("import multiprocessing as m\n"
         "if __name__ == '__main__':\n    p = m.get_context('spawn').Process(target=print)\n"
         "    p.start(); p.join()", "starts Python anew"),
    ],
)  # fmt: skip
def test_what_cannot_be_held_against_later_is_reported(
    build: Source, start: Start, text: str, beyond: str
) -> None:
    """Without it a download that failed once would be the verdict of that build for ever."""
    outcome = probe(text, build, start)
    assert beyond in outcome.beyond and bool(beyond) == bool(outcome.beyond)
    assert len(outcome.beyond) < 100


@pytest.mark.parametrize(
    "text",
    [
        "open(here / 'new.py', 'w').close()",
        "open(here / '__init__.py', 'a').close()",
        "os.open(here / '__init__.py', os.O_RDWR)",
        "os.remove(here / 'src' / '__init__.py')",
        "os.replace(here / '__init__.py', here / 'x')",
        "os.mkdir(str(here / 'folder').encode())",
        "import shutil; shutil.rmtree(here)",
        "os.chdir(here); open('new', 'x').close()",
    ],
)
def test_a_script_that_writes_into_its_keras_is_noticed(
    build: Source, start: Start, text: str
) -> None:
    """Without it every later probe of that build would see another Keras than it is said to be."""
    begin = "import os\nfrom pathlib import Path\nhere = Path(keras.__file__).parent\n"
    assert probe(begin + text, build, start).touched


def test_watching_breaks_nothing(build: Source, start: Start) -> None:
    """Without it a script that fails in a probe could pass by itself."""
    text = """
import os, sys, threading

class Odd:
    def __fspath__(self):
        open("inner", "w").close()
        raise TypeError("mine")

for wrong, error in ((Odd(), TypeError), (1.5, TypeError), ("a\\0b", ValueError), (77, OSError)):
    try:
        open(wrong)
    except error:
        continue
    raise AssertionError(wrong)

def deep(n):
    return open("/nowhere/x") if n == 0 else deep(n - 1)

for depth in range(900, 1000):
    try:
        deep(depth)
    except (RecursionError, FileNotFoundError):
        pass

os.rmdir(os.mkdir("gone") or "gone")
os.mkdir("gone"); os.chdir("gone"); os.rmdir("../gone")
try:
    open("relative")
except FileNotFoundError:
    pass
sys.path.insert(0, 5)
os.listdir("/"); os.scandir("/").close()
os.closerange(3, 50)
with open(os.environ["TMPDIR"] + "/mine", "w+") as mine:
    for number in range(3, 50):
        if number != mine.fileno():
            os.dup2(mine.fileno(), number)
    try:
        open("/nowhere/y")
    except FileNotFoundError:
        pass
    mine.seek(0)
    assert mine.read() == ""
threads = [threading.Thread(target=lambda: [open(os.devnull).close() for _ in range(300)])
           for _ in range(4)]
for one in threads: one.start()
for one in threads: one.join()
print("whole")
"""
    outcome = probe(text, build, start)
    assert (outcome.code, outcome.stdout) == (0, "whole\n"), outcome.stderr


# -- many at a time ------------------------------------------------------------


@pytest.mark.parametrize("jobs", [1, 4])
@pytest.mark.parametrize("share", [False, True])
def test_each_task_gets_its_own_outcome(tmp_path: Path, jobs: int, share: bool) -> None:
    """Without it a verdict could be given to the wrong build."""
    sources = [fake_keras(tmp_path / str(n), version=f"3.{n}.0") for n in range(3)]
    scripts = [script(f"print({n}, keras.__version__)\nraise SystemExit({n})") for n in range(3)]
    tasks = [Task(one, source) for source in sources for one in scripts]
    with Prober(jobs=jobs, start="fork") as prober:
        found = list(prober.run_all(tasks, share=share))
    assert sorted(tasks.index(task) for task, _ in found) == list(range(9))
    for task, outcome in found:
        number = scripts.index(task.script)
        assert outcome.code == number
        assert outcome.stdout == f"{number} {task.source.version}\n"
        assert outcome.loaded and outcome.loaded.version == task.source.version


def test_sharing_imports_keras_once(tmp_path: Path) -> None:
    """Without it each further finding of a hunt would pay for its imports again."""
    log = tmp_path / "log"
    source = fake_keras(tmp_path, init=f"open({str(log)!r}, 'a').write('x')")
    tasks = [Task(script(f"keras.mark = getattr(keras, 'mark', {n})\nprint(keras.mark)"), source)
             for n in range(3)]  # fmt: skip
    with Prober(jobs=2, start="fork") as prober:
        shared = [outcome.stdout for _, outcome in prober.run_all(tasks, share=True)]
        assert log.read_text() == "x"
        alone = [outcome.stdout for _, outcome in prober.run_all(tasks)]
        assert log.read_text() == "xxxx"
    assert sorted(shared) == sorted(alone) == ["0\n", "1\n", "2\n"]


@pytest.mark.parametrize(
    ("init", "ended"), [("raise ImportError('no')", Ended.EXIT), ("while 1: pass", Ended.TIMEOUT)]
)
def test_an_import_that_cannot_be_shared(tmp_path: Path, init: str, ended: Ended) -> None:
    """Without it a build that does not import would stop a timeline instead of being a point."""
    source = fake_keras(tmp_path, init=init)
    tasks = [Task(script(f"print({n})"), source) for n in range(2)]
    with Prober(jobs=2, timeout=1.0, start="fork") as prober:
        outcomes = [outcome for _, outcome in prober.run_all(tasks, share=True)]
    assert [outcome.ended for outcome in outcomes] == [ended, ended]
    assert all(outcome.loaded for outcome in outcomes)
    assert all((o.import_error is not None) == (ended is Ended.EXIT) for o in outcomes)


def test_who_stops_listening_does_not_wait(build: Source, tmp_path: Path, start: Start) -> None:
    """Without it a file that was found would be waited for until the slowest probe ends."""
    tasks = [Task(script("print(1)"), build), Task(script("import time; time.sleep(99)"), build)]
    begin = time.monotonic()
    with Prober(jobs=2, start=start) as prober:
        outcomes = prober.run_all(tasks)
        assert next(outcomes)[1].stdout == "1\n"
        outcomes.close()  # type: ignore[attr-defined]
        assert not survivors()
        # The prober can be used again.
        assert prober.run(script("print(2)"), build).stdout == "2\n"
    assert time.monotonic() - begin < 20


def test_a_prober_is_closed_while_keras_is_imported(tmp_path: Path) -> None:
    """Without it Ctrl-C would wait for an import that hangs."""
    source = fake_keras(tmp_path, init="while True: pass")
    tasks = [Task(script(f"print({n})"), source) for n in range(2)]
    with Prober(jobs=2, start="fork") as prober:
        prober.run(script("", keras=False), source)
        begin = time.monotonic()
        threading.Timer(0.5, prober.close).start()
        with pytest.raises(HarnessError, match="died"):
            list(prober.run_all(tasks, share=True))
    assert time.monotonic() - begin < 10


def test_hosts_that_end_do_not_disturb_hosts_that_begin(build: Source) -> None:
    """Lost without it: a timeline ends in a fault, once in some hundred probes, for no reason."""
    tasks = [Task(script(f"x = {number}"), build) for number in range(250)]
    with Prober(jobs=8) as prober:
        assert {outcome.code for _, outcome in prober.run_all(tasks)} == {0}


def test_a_fault_stops_the_others(build: Source, tmp_path: Path) -> None:
    """Without it a wrong Keras on the path would be told when the slowest probe ended."""
    other = fake_keras(tmp_path / "other")
    wrong = f"import sys; sys.path.insert(0, {str(other.path)!r})\nimport keras\n"
    tasks = [Task(script("import time; time.sleep(99)"), build), Task(Script(wrong), build)]
    begin = time.monotonic()
    with Prober(jobs=2, start="fork") as prober, pytest.raises(HarnessError, match="instead of"):
        list(prober.run_all(tasks))
    assert time.monotonic() - begin < 20


# -- interrupted ---------------------------------------------------------------

PROGRAM = """
import signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
# A shell starts its background jobs, and so this test run, with it ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
from keras_bisect.probe.prober import Prober, Script, Task
from keras_bisect.probe.worker import Worker
from probing import fake_keras, script

root, start, text = Path(sys.argv[2]), sys.argv[3], sys.argv[4]
source = fake_keras(root / "build", init=text if sys.argv[5] == "import" else "")
with Prober(jobs=2, start=start, timeout=60) as prober:
    if sys.argv[5] == "worker":
        Worker(prober, source, "optree").run(script(text))
    else:
        tasks = [Task(script(text + f"# {n}"), source) for n in range(3)]
        list(prober.run_all(tasks, share=sys.argv[5] == "import"))
print("not interrupted")
"""
WAITS = """
import os, subprocess, sys, time
from pathlib import Path
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(99)"])
Path({folder!r}, str(os.getpid())).write_text(str(child.pid))
time.sleep(99)
"""


@pytest.mark.parametrize(
    ("start", "how", "number"),
    [
        ("fork", "probes", signal.SIGINT),
        ("fork", "probes", signal.SIGKILL),
        ("fresh", "probes", signal.SIGINT),
        ("fresh", "probes", signal.SIGKILL),
        ("fork", "worker", signal.SIGINT),
        ("fork", "worker", signal.SIGKILL),
        ("fork", "import", signal.SIGKILL),
    ],
)
def test_an_interrupted_toolkit_leaves_nothing(
    tmp_path: Path, start: Start, how: str, number: signal.Signals
) -> None:
    """Without it Ctrl-C, or a kill, would leave processes that run for hours, and their files."""
    pids = tmp_path / "pids"
    pids.mkdir()
    text = WAITS.format(folder=str(pids))
    if how != "probes":
        text = text.replace(
            "child = subprocess", "import types; child = types.SimpleNamespace(pid=0) #"
        )
    arguments = [str(Path(__file__).parent), str(tmp_path), start, text, how]
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    expected = 2 if how == "probes" else 1
    end = time.monotonic() + 60
    while len([p for p in pids.iterdir() if p.read_text()]) < expected:
        assert program.poll() is None and time.monotonic() < end, program.communicate()
        time.sleep(0.05)
    below = [one.pid for one in psutil.Process(program.pid).children(recursive=True)]
    below += [int(pid.name) for pid in pids.iterdir()]
    # As a terminal does it: to the whole group.
    os.killpg(program.pid, number) if number == signal.SIGINT else program.send_signal(number)
    begin = time.monotonic()
    out, err = program.communicate(timeout=30)
    assert program.returncode in (-number, 130)
    assert "not interrupted" not in out
    assert ("KeyboardInterrupt" in err) == (number == signal.SIGINT)
    while left := living(below):
        assert time.monotonic() - begin < 15, left
        time.sleep(0.05)
    assert len(list(pids.iterdir())) == expected, "no probe was begun after the interruption"
    with Prober(start="fresh"):
        pass
    assert not list(Path(tempfile.gettempdir()).glob(f"keras-probe-{program.pid}-*"))


def test_folders_of_running_toolkits_are_kept(build: Source) -> None:
    """Without it the start of a second hunt would take the folders of the first."""
    with Prober(start="fresh") as one, one.host(build) as host:
        host.run(script(""))
        with Prober(start="fresh"):
            pass
        assert host.run(script("open('x', 'w').close()")).code == 0


def test_a_closed_prober_starts_nothing(build: Source) -> None:
    """Without it a thread that is late could start a probe that nobody ends."""
    prober = Prober(start="fresh")
    prober.close()
    with pytest.raises(HarnessError, match="interrupted"):
        prober.run(script(""), build)


# -- scripts as files ----------------------------------------------------------


def test_a_script_is_read(tmp_path: Path) -> None:
    """Without it a script that an editor saved with a byte order mark would not be Python."""
    path = tmp_path / "repro.py"
    path.write_bytes(b"\xef\xbb\xbfprint('\xc3\xa9')\r\n")
    assert Script.read(path) == Script("print('é')\n", str(path.resolve()))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "cannot be read: No such file"),
        (b"\xff\xfe", "not UTF-8"),
        (b"x = 1\nx = = 2\n", "line 2: the script is not valid Python: invalid syntax"),
        (b"x = '\0'\n", "not valid Python"),
    ],
)
def test_what_is_no_script_is_refused(tmp_path: Path, data: bytes | None, message: str) -> None:
    """Without it a typing error would fail alike under every build, and look like a bug."""
    path = tmp_path / "repro.py"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(UsageError, match=message):
        Script.read(path)


# -- workers -------------------------------------------------------------------


@pytest.fixture
def worker(build: Source) -> Iterator[Worker]:
    with Prober(timeout=2.0, start="fork") as prober, Worker(prober, build, "optree") as made:
        yield made


def test_a_worker_runs_many_scripts(worker: Worker) -> None:
    """Without it a search would pay for a process a case, or mix up the cases' numbers."""
    for n in range(50):
        outcome = worker.run(script(f"print({n})\nraise SystemExit({n % 3})"))
        assert (outcome.stdout, outcome.code) == (f"{n}\n", n % 3)
        assert outcome.loaded and outcome.loaded.version == "3.5.0"
    failed = worker.run(script("{}['b']"))
    assert failed.raised == Raised("KeyError", "'b'", line=2)
    assert "KeyError" in failed.stderr
    assert worker.run(script("")).raised is None


def test_a_worker_keeps_scripts_apart(worker: Worker) -> None:
    """Without it a case could fail by what the case before it left."""
    assert worker.run(script("mine = 1\ndef print(*_): pass")).code == 0
    outcome = worker.run(script("print('mine' in globals(), __name__)"))
    assert outcome.stdout == "False __main__\n"


@pytest.mark.parametrize(
    ("text", "ended", "code"),
    [
        ("while True: pass", Ended.TIMEOUT, None),
        ("import os; os._exit(3)", Ended.EXIT, 3),
        ("import os; os.kill(os.getpid(), 11)", Ended.SIGNAL, 11),
    ],
)
def test_a_worker_that_is_lost_is_replaced(
    worker: Worker, text: str, ended: Ended, code: int | None
) -> None:
    """Without it one case that hangs or crashes would end the search."""
    assert worker.run(script("print(1)")).stdout == "1\n"
    outcome = worker.run(script(text))
    assert (outcome.ended, outcome.code) == (ended, code)
    assert worker.run(script("print(2)")).stdout == "2\n"


def test_a_worker_tells_that_keras_does_not_import(tmp_path: Path) -> None:
    """Without it a search under a broken build would fail without a reason."""
    broken = fake_keras(tmp_path, init="raise ImportError('no')")
    with Prober(timeout=5.0, start="fork") as prober, Worker(prober, broken, "optree") as worker:
        outcome = worker.run(script(""))
    assert outcome.import_error and outcome.import_error.message == "no"
    assert outcome.code == 1
