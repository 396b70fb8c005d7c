"""`git bisect run`: real git, real processes, histories whose truth is known."""

from __future__ import annotations

import contextlib
import os
import py_compile
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing import forkserver, resource_tracker
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_bisect import errors
from keras_bisect.errors import INTERRUPTED, git_code
from keras_bisect.outcome import Ended, Outcome
from keras_bisect.probe import daemon
from keras_bisect.probe.client import ask, identity
from keras_bisect.probe.daemon import Request, Run
from keras_bisect.probe.predicate import (
    Step,
    bisect_run,
    checkout,
    is_bisect_run,
    predicate,
)
from keras_bisect.probe.prober import Script
from keras_bisect.verdict import Judged, Verdict
from probing import fake_keras, survivors
from upstream import NOW, THEN, Tree, Upstream, snapshot

RIGHT, WRONG = "def add(x, y):\n    return x + y\n", "def add(x, y):\n    return x - y\n"
BROKEN = "def add(x, y)\n"

FILES: Tree = NOW | {"keras/api/__init__.py": "from keras.src.ops import add\n"}

SCRIPT = """
import os, sys
from pathlib import Path
here = Path(__file__).parent
with (here / "keepers").open("a") as keepers:
    # Below a server: the process that forks hosts, or starts them.
    import psutil
    print(psutil.Process().parent().ppid(), file=keepers)
if any(Path(folder, "keras/src/trap").exists() for folder in sys.path):
    sys.path.insert(0, str(here / "other"))
import keras
from keras.src.ops import add
print("sum", add(1, 2))
sys.exit(add(1, 2) != 3)
"""

STEP = """
import sys
try:
    from pathlib import Path
    from keras_bisect.probe.predicate import predicate
    from keras_bisect.probe.prober import Script
    script, cache, start = sys.argv[1:]
    told = lambda text: print("notice:", text)
    step = predicate(Script.read(Path(script)), folder=Path(), cache=Path(cache), start=start,
                     notice=told)
    print(step.judged.verdict, step.judged.detail, step.outcome and step.outcome.stdout)
    sys.exit(step.code)
except Exception as error:
    from keras_bisect.errors import git_code
    print(type(error).__name__, error)
    sys.exit(git_code(getattr(error, "exit_code", 5)))
"""


class Bench:
    """A folder for all that is temporary, a script, and `git bisect run` with them."""

    def __init__(self, root: Path) -> None:
        self.temporary = root / "temporary"
        self.cache = root / "cache"
        self.script = root / "script.py"
        self.temporary.mkdir()
        self.script.write_text(SCRIPT)
        (root / "step.py").write_text(STEP)
        self.step = [sys.executable, "-P", str(root / "step.py")]
        fake_keras(root / "other")

    def begin(self, upstream: Upstream, *, start: str = "fresh") -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["git", "bisect", "run", *self.step, str(self.script), str(self.cache), start],
            cwd=upstream.path,
            env=os.environ | {"TMPDIR": str(self.temporary)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, upstream: Upstream, *, start: str = "fresh") -> tuple[int, str]:
        process = self.begin(upstream, start=start)
        said, _ = process.communicate()
        return process.returncode, said

    def keepers(self) -> list[int]:
        """What kept TensorFlow, as each probe saw it."""
        return [int(line) for line in (self.script.parent / "keepers").read_text().split()]

    def remains(self, *, within: float = 15.0) -> list[object]:
        """What is left of processes and temporary folders, when it had time to end."""
        end = time.monotonic() + within
        while True:
            found = [*self._processes(), *self.temporary.iterdir()]
            if not found or time.monotonic() > end:
                return found
            time.sleep(0.05)

    def _processes(self) -> Iterator[psutil.Process]:
        own = {
            forkserver._forkserver._forkserver_pid,  # type: ignore[attr-defined]
            resource_tracker._resource_tracker._pid,  # type: ignore[attr-defined]
        }
        for one in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if one.pid not in own and one.environ().get("TMPDIR") == str(self.temporary):
                    yield one


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    return Upstream(tmp_path / "upstream")


def line(upstream: Upstream, changes: dict[int, Tree], length: int = 8) -> list[str]:
    """A straight history in which some commits change what is named."""
    shas = [upstream.commit("start", FILES)]
    for number in range(1, length):
        more = changes.get(number, {})
        shas.append(upstream.commit(f"change {number}", {"keras/src/x.py": f"{number}\n", **more}))
    return shas


# -- the whole, under git ------------------------------------------------------


def test_git_names_the_commit_and_nothing_is_left(bench: Bench, upstream: Upstream) -> None:
    """Lost otherwise: the promise itself: warm from the first step on, past a commit that does not
    import, to the right commit, and without a process or folder that outlives the bisect."""
    ops = "keras/src/ops.py"
    shas = line(upstream, {3: {ops: BROKEN}, 4: {ops: RIGHT}, 6: {ops: WRONG}})
    upstream("bisect", "start", shas[-1], shas[0])
    code, said = bench.run(upstream, start="fork")
    assert code == 0, said
    assert f"{shas[6]} is the first bad commit" in said
    assert f"git bisect skip {shas[3]}" in upstream("bisect", "log"), said
    assert "untestable keras does not import: SyntaxError" in said
    assert "notice" not in said
    keepers = bench.keepers()
    assert len(keepers) >= 3 and len(set(keepers)) == 1
    assert not bench.remains()
    assert not list((bench.cache / "tmp").iterdir())
    assert upstream("status", "--porcelain") == ""


def test_two_bisects_at_once_over_a_merge(bench: Bench, tmp_path: Path) -> None:
    """Lost otherwise: one bisect could be answered for the checkout of another, and a commit on a
    side branch missed."""
    found = []
    for name in ("a", "b"):
        upstream = Upstream(tmp_path / name)
        line(upstream, {}, 3)
        upstream("checkout", "--quiet", "-b", "side")
        upstream.commit("beside it", {"keras/src/y.py": f"# {name}\n"})
        culprit = upstream.commit("wrong", {"keras/src/ops.py": WRONG})
        upstream("checkout", "--quiet", "master")
        upstream.commit("meanwhile", {"keras/src/x.py": "0\n"})
        upstream.merge("side", "merge")
        upstream("bisect", "start", "master", "master~4")
        found.append((bench.begin(upstream), culprit))
    for process, culprit in found:
        said, _ = process.communicate()
        assert f"{culprit} is the first bad commit" in said
    assert len(set(bench.keepers())) == 2
    assert not bench.remains()


def test_a_fault_stops_git(bench: Bench, upstream: Upstream) -> None:
    """Lost otherwise: a fault of the harness is recorded as `bad`, and an innocent commit named."""
    shas = line(upstream, {4: {"keras/src/trap": ""}})
    upstream("bisect", "start", shas[-1], shas[0])
    code, said = bench.run(upstream)
    assert code != 0 and "exit code 128" in said
    assert "HarnessError" in said and "instead of" in said
    assert "# bad:" not in upstream("bisect", "log").replace(f"# bad: [{shas[-1]}]", "")
    assert "# skip:" not in upstream("bisect", "log")
    bench.script.unlink()
    code, said = bench.run(upstream)
    assert code != 0 and "exit code 129" in said
    assert not bench.remains()


def test_a_git_that_is_killed_takes_the_probe_with_it(bench: Bench, upstream: Upstream) -> None:
    """Lost otherwise: whoever presses Ctrl-C, or loses the terminal, leaves a script that runs."""
    bench.script.write_text(f"{SCRIPT[: SCRIPT.index('if any')]}import time\ntime.sleep(99)\n")
    shas = line(upstream, {}, 4)
    upstream("bisect", "start", shas[-1], shas[0])
    process = bench.begin(upstream)
    _until(lambda: (bench.script.parent / "keepers").exists())
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not bench.remains()


# -- the codes -----------------------------------------------------------------


@given(st.sampled_from(Verdict))
def test_a_verdict_has_a_code_that_git_knows(verdict: Verdict) -> None:
    """Lost otherwise: another failure counts as the one that was asked about."""
    code = Step(Judged(verdict, ""), None).code
    assert code == {Verdict.GOOD: 0, Verdict.BAD: 1}.get(verdict, 125)


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5, INTERRUPTED])
def test_an_error_has_a_code_that_git_takes_for_no_verdict(code: int) -> None:
    """Lost otherwise: a full disk makes a commit bad."""
    assert 128 <= git_code(code) <= 255


@dataclass(frozen=True)
class Raises:
    """A signature: an exception of this type."""

    type: str

    def matches(self, outcome: Outcome) -> bool:
        return outcome.raised is not None and outcome.raised.type == self.type


def test_only_the_failure_that_is_asked_about_is_bad(bench: Bench) -> None:
    """Lost otherwise: a bisect of one failure ends at the commit that began another."""
    source = fake_keras(bench.temporary.parent / "build")
    script = Script("import keras\nraise KeyError('a')\n")
    codes = []
    for type_ in ("KeyError", "ValueError"):
        signature = Raises(type_)
        step = predicate(
            script, folder=source.path, cache=bench.cache, signature=signature, start="fresh"
        )
        codes.append(step.code)
    assert codes == [1, 125]
    assert not survivors()


# -- what is probed ------------------------------------------------------------


def test_sources_of_the_same_size_and_time_are_told_apart(bench: Bench, upstream: Upstream) -> None:
    """Lost otherwise: Python takes the bytecode of the commit before, when git is fast; also, the
    checkout is no place for a probe to write, and a cache that cannot be written no reason to
    fail."""
    upstream.commit("start", FILES)
    ops = upstream.path / "keras/src/ops.py"
    time_ = 1_700_000_000 * 10**9
    os.utime(ops, ns=(time_, time_))
    py_compile.compile(str(ops))
    bench.cache.touch()
    codes = []
    for text in (RIGHT, WRONG, RIGHT):
        ops.write_text(text)
        os.utime(ops, ns=(time_, time_))
        before = snapshot(upstream.path)
        step = predicate(
            Script.read(bench.script), folder=upstream.path, cache=bench.cache, start="fresh"
        )
        assert snapshot(upstream.path) == before
        codes.append(step.code)
    assert codes == [0, 1, 0]
    assert not survivors()


SPOILS = """
import subprocess, sys
import keras
from keras.src import ops
subprocess.run([sys.executable, "-c", f"open({ops.__file__!r}, 'a').write('add = None')"])
print("sum", ops.add(1, 2))
"""


def test_what_a_program_of_a_script_spoils_is_not_met_again(
    bench: Bench, upstream: Upstream
) -> None:
    """Lost otherwise: the files of a probe are those of the cache, so it fails from then on."""
    upstream.commit("start", FILES)
    before = snapshot(upstream.path)
    for _ in range(2):
        step = predicate(Script(SPOILS), folder=upstream.path, cache=bench.cache, start="fresh")
        assert step.outcome and (step.code, step.outcome.stdout) == (0, "sum 3\n")
        step = predicate(
            Script.read(bench.script), folder=upstream.path, cache=bench.cache, start="fresh"
        )
        assert step.code == 0
    assert snapshot(upstream.path) == before
    assert not survivors()


def test_what_is_printed_names_the_checkout(bench: Bench, upstream: Upstream) -> None:
    """Lost otherwise: a traceback leads to files that are gone when it is read."""
    upstream.commit(
        "start", FILES | {"keras/src/ops.py": "def add(x, y):\n    raise KeyError(x)\n"}
    )
    step = predicate(
        Script.read(bench.script), folder=upstream.path, cache=bench.cache, start="fresh"
    )
    assert step.outcome is not None and step.code == 1
    assert f'File "{upstream.path}/keras/src/ops.py", line 2, in add' in step.outcome.stderr
    assert str(bench.cache) not in step.outcome.stderr


@pytest.mark.parametrize("files", [THEN, {"keras/src/ops.py": RIGHT}])
def test_sources_that_cannot_be_tested_in_a_checkout(
    bench: Bench, upstream: Upstream, files: Tree
) -> None:
    """Lost otherwise: a commit from before April 2024 is bad because a public name is missing."""
    upstream.commit("start", files)
    step = predicate(Script.read(bench.script), folder=upstream.path, cache=bench.cache)
    assert (step.judged.verdict, step.code, step.outcome) == (Verdict.UNTESTABLE, 125, None)


def test_the_checkout_is_found_from_below(upstream: Upstream, tmp_path: Path) -> None:
    """Lost otherwise: a bisect that was started in a subfolder, or a linked work tree, stops."""
    upstream.commit("start", FILES)
    upstream("worktree", "add", "--quiet", str(tmp_path / "linked"), "HEAD")
    for top in (upstream.path, tmp_path / "linked"):
        assert checkout(top) == checkout(top / "keras" / "src") == top
    plain = fake_keras(tmp_path / "plain").path
    assert checkout(plain) == plain
    shutil.rmtree(plain / "keras")
    with pytest.raises(errors.UsageError, match="no keras/"):
        checkout(plain)


@pytest.mark.parametrize(
    ("command", "found"),
    [
        (["git", "bisect", "run", "x"], True),
        (["/usr/lib/git-core/git", "-c", "a=b", "-C", "k", "bisect", "run", "x"], True),
        (["git", "bisect--helper", "--bisect-run", "x"], True),
        (["/bin/sh", "/usr/lib/git-core/git-bisect", "run", "x"], False),
        (["sh", "-c", "git bisect run x"], False),
        (["git", "bisect", "start"], False),
        ([], False),
    ],
)
def test_a_bisect_is_known_by_its_command(command: list[str], found: bool) -> None:
    """Lost otherwise: each step pays for TensorFlow, or a server outlives the bisect."""
    assert is_bisect_run(command) is found


def test_by_hand_there_is_no_server() -> None:
    """Lost otherwise: one call in a terminal leaves half a gigabyte behind."""
    assert bisect_run() is None


# -- the server ----------------------------------------------------------------


class Watched:
    """A process for a server to watch, and the requests of its steps."""

    def __init__(self, bench: Bench) -> None:
        self.process = subprocess.Popen(["sleep", "600"], cwd="/")
        run = Run.of(self.process.pid)
        assert run is not None
        self.run = run
        self.bench = bench
        self.notices: list[str] = []
        self.folder = fake_keras(bench.temporary.parent / "build").path

    def ask(self, text: str, *, timeout: float = 60.0) -> Outcome | None:
        request = Request(
            text=f"import os, signal, psutil\nimport keras\n{text}",
            filename="",
            folder=str(self.folder),
            cache=str(self.bench.cache),
            tree="optree",
            backend="tensorflow",
            timeout=timeout,
            memory=4 << 30,
            start="fresh",
        )
        return ask(request, self.run, self.notices.append)


@pytest.fixture
def watched(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    """Nothing is left when it has ended."""
    monkeypatch.setenv("TMPDIR", str(bench.temporary))
    monkeypatch.setattr(tempfile, "tempdir", str(bench.temporary))
    made = Watched(bench)
    yield made
    made.process.kill()
    made.process.wait()
    assert not bench.remains()


SERVER = "psutil.Process().parent().ppid()"


def printed(outcome: Outcome | None) -> str:
    assert outcome is not None and outcome.code == 0, outcome
    return outcome.stdout.strip()


def test_a_server_serves_until_what_it_serves_changes(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lost otherwise: a step that sets a variable, or installs another TensorFlow, is answered by a
    process that has the old one; or every such step leaves a process behind."""
    first = [printed(watched.ask(f"print({SERVER})")) for _ in range(2)]
    assert first[0] == first[1]
    monkeypatch.setenv("SHLVL", "7")
    assert printed(watched.ask(f"print({SERVER})")) == first[0]
    monkeypatch.setenv("ANSWER", "42")
    pid, answer = printed(watched.ask(f"print({SERVER}, os.environ['ANSWER'])")).split()
    assert answer == "42" and pid != first[0]
    _until(lambda: not _lives(int(first[0])))
    assert not watched.notices


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_server_that_dies_or_hangs_is_done_without(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Lost otherwise: a bisect waits for ever for a process that was only there to make it fast."""
    monkeypatch.setattr(daemon, "SILENCE", 3.0)
    pid = int(printed(watched.ask(f"print({SERVER})")))
    text = f"import time\nos.kill({SERVER}, {int(number)})\ntime.sleep(99)"
    assert watched.ask(text) is None
    assert len(watched.notices) == 1
    _until(lambda: not _lives(pid))
    # Its socket may outlive it by a moment.
    answers: list[Outcome] = []

    def answered() -> bool:
        answers.extend(one for one in [watched.ask(f"print({SERVER})")] if one)
        return bool(answers)

    _until(answered)
    assert int(printed(answers[0])) != pid
    # What a process that is killed leaves in the temporary folder, another one sweeps.
    for left in watched.bench.temporary.iterdir():
        if not left.name.startswith(daemon.FOLDER):
            shutil.rmtree(left, ignore_errors=True)


def test_what_goes_wrong_in_a_server_is_told_as_it_is(watched: Watched) -> None:
    """Lost otherwise: a fault in the server becomes a verdict, or a script's failure a fault."""
    outcome = watched.ask("raise ValueError('\\udcff')")
    assert outcome is not None and outcome.raised is not None
    assert outcome.raised.type == "ValueError"
    hung = watched.ask("while True: pass", timeout=1.0)
    assert hung is not None and hung.ended is Ended.TIMEOUT
    shutil.rmtree(watched.folder)
    with pytest.raises(errors.UsageError, match="no such folder"):
        watched.ask("")
    assert not watched.notices


def test_a_folder_of_others_is_not_trusted(watched: Watched) -> None:
    """Lost otherwise: another user of the machine answers for every commit."""
    watched.run.folder.mkdir()
    watched.run.folder.chmod(0o777)
    assert watched.ask("") is None
    assert "not this user's alone" in watched.notices[0]
    watched.run.folder.rmdir()


def test_an_identity_holds_while_nothing_changes() -> None:
    """Lost otherwise: no step ever finds the server of the step before."""
    assert identity() == identity()


def _until(condition: Callable[[], bool], *, within: float = 15.0) -> None:
    end = time.monotonic() + within
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def _lives(pid: int) -> bool:
    return Run.of(pid) is not None
