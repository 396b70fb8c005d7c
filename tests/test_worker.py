"""Workers: many scripts in one process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from keras_bisect.builds.store import Source
from keras_bisect.outcome import Ended, Raised
from keras_bisect.probe.prober import Prober
from keras_bisect.probe.worker import Worker
from probing import fake_keras, script

pytestmark = pytest.mark.usefixtures("nothing_is_left")


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


def test_what_scripts_leave_goes_with_the_worker(worker: Worker) -> None:
    """Without it a search would leave thousands of saved models in the temporary folder."""
    made = worker.run(script("import os, tempfile; print(tempfile.mkdtemp()); print(os.getcwd())"))
    left, home = map(Path, made.stdout.splitlines())
    assert left.is_relative_to(home)


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
