"""Probes many at a time, interrupted, and scripts as files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
import pytest

from keras_bisect.builds.store import Source
from keras_bisect.errors import HarnessError, UsageError
from keras_bisect.outcome import Ended
from keras_bisect.probe import handle, starting
from keras_bisect.probe import prober as prober_module
from keras_bisect.probe.prober import Prober, Script, Start, Task
from probing import fake_keras, living, script, survivors

pytestmark = pytest.mark.usefixtures("nothing_is_left")


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


def test_a_host_that_ended_before_it_was_asked_is_heard(tmp_path: Path) -> None:
    """Without it a release that does not import ends a whole hunt, once in a hundred times."""
    source = fake_keras(tmp_path, init="raise ImportError('no')")
    with Prober(jobs=1, start="fork") as prober, prober.host(source, share=True) as host:
        # It is slow to be asked here, and on a busy machine anywhere.
        host._process.join(30)
        with pytest.raises(handle.Unshared):
            host.run(script("print()"))


def test_a_failed_import_is_not_shared(tmp_path: Path) -> None:
    """Without it what a failed import leaves behind would be the failure of the build."""
    init = "import sys; again = hasattr(sys, 'tried'); sys.tried = True\n"
    source = fake_keras(tmp_path, init=init + "raise ImportError('again' if again else 'first')")
    tasks = [Task(script(f"print({n})"), source) for n in range(3)]
    with Prober(jobs=2, start="fork") as prober:
        outcomes = [outcome for _, outcome in prober.run_all(tasks, share=True)]
    assert [o.import_error and o.import_error.message for o in outcomes] == ["first"] * 3


def test_each_probe_of_a_shared_import_is_told_as_it_ends(build: Source, tmp_path: Path) -> None:
    """Without it a kill would lose all probes of a build, and not only the one that runs."""
    flag = tmp_path / "flag"
    wait = f"import os, time\nwhile not os.path.exists({str(flag)!r}): time.sleep(0.01)"
    tasks = [Task(script("print(1)"), build), Task(script(wait), build)]
    with Prober(jobs=1, start="fork", timeout=30) as prober:
        outcomes = prober.run_all(tasks, share=True)
        assert next(outcomes)[1].stdout == "1\n"
        flag.touch()
        assert next(outcomes)[1].ended is Ended.EXIT


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


def test_a_host_that_is_stopped_is_a_fault(
    build: Source, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it a script that stops the process that watches over it would stop a bisect."""
    monkeypatch.setattr(handle, "MARGIN", 1.0)
    text = "import os, signal, time\nos.kill(os.getppid(), signal.SIGSTOP)\ntime.sleep(99)"
    with (
        Prober(start=start, timeout=2.0) as prober,
        pytest.raises(HarnessError, match="did not answer and was ended"),
    ):
        prober.run(script(text), build)


def test_a_prober_ends_hosts_that_are_stopped(
    build: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it a command would be done, and never end."""
    monkeypatch.setattr(prober_module, "GRACE", 0.5)
    with Prober(start="fork") as prober, prober.host(build) as host:
        host.run(script(""))
        (below,) = survivors(within=0)
        below.suspend()


def test_a_warm_process_that_is_stopped_is_replaced(
    build: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it a script that stops every process above it would stop all that come after."""
    monkeypatch.setattr(starting, "ANSWERING", 1.0)
    text = "import os, signal, psutil\nos.kill(psutil.Process(os.getppid()).ppid(), signal.SIGSTOP)"
    with Prober(start="fork") as prober:
        assert prober.run(script(text), build).code == 0
        assert prober.run(script("print(2)"), build).stdout == "2\n"


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


WARMS = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from keras_bisect.probe.prober import Prober, Task
from probing import fake_keras, script
source = fake_keras(Path(sys.argv[2]))
with Prober(jobs=2, start=sys.argv[3]) as prober:
    list(prober.run_all([Task(script(f"print({n})"), source) for n in range(3)]))
"""


def test_an_interruption_while_it_warms_up_is_one_traceback(tmp_path: Path, start: Start) -> None:
    """Without it Ctrl-C in the first seconds would show what the user never wrote."""
    program = subprocess.Popen(
        [sys.executable, "-c", WARMS, str(Path(__file__).parent), str(tmp_path), start],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    server = "forkserver" if start == "fork" else "spawn_main"
    end = time.monotonic() + 60
    while True:
        below = psutil.Process(program.pid).children(recursive=True)
        if any(server in " ".join(one.cmdline()) for one in below if one.is_running()):
            break
        assert program.poll() is None and time.monotonic() < end
        time.sleep(0.01)
    os.killpg(program.pid, signal.SIGINT)
    _, err = program.communicate(timeout=30)
    assert err.count("Traceback") == 1 and err.endswith("KeyboardInterrupt\n"), err
    while left := living([one.pid for one in below]):
        assert time.monotonic() < end, left
        time.sleep(0.05)


def test_a_long_name_of_the_temporary_folder_is_no_hindrance(tmp_path: Path) -> None:
    """Without it nothing could be probed where TMPDIR is longer than a socket's address may be."""
    place = tmp_path / ("long" * 25)
    place.mkdir()
    build = fake_keras(tmp_path / "build")
    program = tmp_path / "program.py"
    program.write_text(
        f"""
import sys
from pathlib import Path
from keras_bisect.builds.build import Build
from keras_bisect.builds.store import Store
from keras_bisect.probe.prober import Prober, Script
store = Store(Path({str(tmp_path / "cache")!r}))
source = store.get(Build("folder", {f"path:{build.path}"!r}))
with Prober(start="fork") as prober:
    print(prober.run(Script("import keras, sys; sys.exit(7)"), source).code)
"""
    )
    env = os.environ | {"TMPDIR": str(place)}
    done = subprocess.run(
        [sys.executable, str(program)], env=env, capture_output=True, text=True, check=False
    )
    assert done.stdout == "7\n", done.stderr
    assert not list(place.iterdir())


def test_what_killed_toolkits_left_is_swept_up() -> None:
    """Without it each kill would leave folders for ever, as numbers of processes come again."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    folders = [
        Path(tempfile.gettempdir(), f"{prefix}{pid}-test")
        for prefix in (starting.SCRATCH, starting.SERVER)
        for pid in (dead.pid, os.getpid(), psutil.Process().ppid())
    ]
    for folder in folders:
        folder.mkdir()
    for folder in folders[2::3]:
        # Its number is that of a process which began later.
        os.utime(folder, (0, 0))
    starting.sweep()
    try:
        assert [folder for folder in folders if folder.exists()] == folders[1::3]
    finally:
        for folder in folders[1::3]:
            folder.rmdir()


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
        (b"\xff\xfe", "not text in UTF-8"),
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
