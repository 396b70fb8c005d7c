"""Kept results: real files, real databases, and everything that can become of them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keras_bisect.outcome import Ended, Loaded, Outcome, Raised, Tree, outcome_document, outcome_of
from keras_bisect.probe.prober import Prober, Script
from keras_bisect.record.results import Kept, Results, not_kept
from probing import fake_keras

GOOD = Outcome(Ended.EXIT, 0, 0.0, Loaded("keras/__init__.py", "3.5.0", "optree"))

TEXT = st.text(st.characters() | st.just("\udc80"), max_size=6)
RAISED = st.builds(
    Raised, TEXT, TEXT, st.lists(TEXT, max_size=3).map(tuple), st.none() | st.integers(1, 99)
)
OUTCOMES = st.builds(
    Outcome,
    st.sampled_from(Ended),
    st.none() | st.integers(0, 255),
    st.floats(0, 1e6),
    st.none() | st.builds(Loaded, TEXT, st.none() | TEXT, st.none() | TEXT),
    st.none() | RAISED,
    st.none() | RAISED,
    TEXT,
    TEXT,
    st.lists(TEXT, max_size=3).map(tuple),
    TEXT,
    st.booleans(),
)


class Clock:
    """A clock that goes on by a second whenever it is looked at."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC) + timedelta(hours=1)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def outcomes(kept: list[Kept]) -> list[Outcome]:
    return [one.outcome for one in kept]


# -- as JSON -------------------------------------------------------------------


@given(OUTCOMES, st.booleans())
def test_an_outcome_is_its_document(outcome: Outcome, ascii_only: bool) -> None:
    """Lost without it: a search that goes on, or is repeated, sees other outcomes than before."""
    text = json.dumps(outcome_document(outcome), ensure_ascii=ascii_only)
    assert outcome_of(json.loads(text)) == outcome


def test_documents_of_other_versions_are_understood() -> None:
    """Lost without it: an upgrade of the toolkit makes every journal unreadable."""
    document = outcome_document(GOOD) | {"something": "new"}
    for key in ("read", "beyond", "touched"):
        del document[key]
    assert outcome_of(document) == GOOD


WRONG: list[Any] = [7, True, "text", [], [7], {}, {"type": 5}, {"path": "x", "version": 3}]


@given(OUTCOMES, st.data())
def test_what_is_no_outcome_is_refused(outcome: Outcome, data: st.DataObject) -> None:
    """Lost without it: a damaged journal becomes a verdict, or a traceback."""
    document = outcome_document(outcome)
    key = data.draw(st.sampled_from(sorted(document)))
    value = data.draw(st.sampled_from(WRONG))
    try:
        found = outcome_of(document | {key: value})
    except ValueError:
        return
    # It is one after all.
    assert outcome_of(outcome_document(found)) == found
    with pytest.raises(ValueError, match="expected"):
        outcome_of([])  # type: ignore[arg-type]


# -- what is found again -------------------------------------------------------

KEYS = st.tuples(
    st.sampled_from("st"),
    st.sampled_from(["", "/a", "/b\udc80"]),
    st.sampled_from("cd"),
    st.sampled_from(["optree", "dm-tree"]),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(KEYS, OUTCOMES, st.booleans()), max_size=8), KEYS)
def test_what_was_kept_is_found(
    steps: list[tuple[tuple[str, str, str, Tree], Outcome, bool]],
    asked: tuple[str, str, str, Tree],
) -> None:
    """Lost without it: a build is probed twice, or gets the outcome of another one."""
    with tempfile.TemporaryDirectory() as folder:
        results = Results(Path(folder), "here")
        model: list[tuple[tuple[str, str, str, Tree], Outcome]] = []
        for key, drawn, again in steps:
            outcome = replace(drawn, read=())
            assert results.add(*key, outcome) == (not_kept(outcome) is None)
            results.name(key[2], key[2])
            if not_kept(outcome) is None:
                model.append((key, outcome))
            if again:
                results.close()
        # What comes from no file is found from any folder.
        same = [(key, one) for key, one in model if key[::3] == asked[::3]]
        assert outcomes(results.get(*asked)) == [one for key, one in same if key[2] == asked[2]]
        script, where, _, tree = asked
        assert results.builds(script, where, tree) == {key[2] for key, _ in same}
        assert results.knows(script) == any(key[0] == script for key, _ in model)
        results.forget(script)
        assert results.get(*asked) == [] and not results.knows(script)
        results.close()


def test_another_environment_and_another_wish(tmp_path: Path) -> None:
    """Lost without it: an upgrade of TensorFlow, or `--no-cache`, changes nothing."""
    with (
        Results(tmp_path, "here") as here,
        Results(tmp_path, "there") as there,
        Results(tmp_path, "here", recall=False) as anew,
    ):
        assert here.add("s", "", "c", "optree", GOOD)
        here.name("3.5.0", "c")
        assert here.builds("s", "", "optree") == {"3.5.0"}
        assert there.get("s", "", "c", "optree") == anew.get("s", "", "c", "optree") == []
        assert not there.knows("s") and not anew.knows("s")
        assert not there.builds("s", "", "optree") and not anew.builds("s", "", "optree")
        assert anew.add("s", "", "c", "optree", replace(GOOD, code=1))
        assert [kept.outcome.code for kept in here.get("s", "", "c", "optree")] == [0, 1]


def test_what_was_known_at_a_moment(tmp_path: Path) -> None:
    """Lost without it: a search that goes on after a kill takes another way than before."""
    clock = Clock()
    with Results(tmp_path, "here", clock=clock) as results:
        for content in ("one", "two"):
            results.add("s", "", content, "optree", GOOD)
            results.name(f"3.{content}", content)
            results.name(f"nightly {content}", content)
        one, two = (results.get("s", "", content, "optree")[0].made for content in ("one", "two"))
        assert two - one == timedelta(seconds=3) and one.tzinfo is UTC
        assert results.builds("s", "", "optree", one) == set()
        assert results.builds("s", "", "optree", two) == {"3.one", "nightly one"}
        assert len(results.builds("s", "", "optree")) == 4
        assert results.builds("s", "", "dm-tree") == results.builds("t", "", "optree") == set()


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (GOOD, None),
        (replace(GOOD, code=125), None),
        (replace(GOOD, code=1, raised=Raised("KeyError", "'b'")), None),
        (replace(GOOD, code=1, import_error=Raised("ImportError", "no optree")), None),
        (replace(GOOD, touched=True), None),
        (replace(GOOD, ended=Ended.TIMEOUT), "did not end"),
        (replace(GOOD, ended=Ended.MEMORY), "did not end"),
        (replace(GOOD, ended=Ended.SIGNAL), "did not end"),
        (replace(GOOD, ended=Ended.ABSENT), "did not end"),
        (replace(GOOD, beyond="uses the network"), "uses the network"),
        (replace(GOOD, raised=Raised("MemoryError", "")), "out of resources"),
        (replace(GOOD, raised=Raised("OSError", "[Errno 28] No space left")), "out of resources"),
        (replace(GOOD, import_error=Raised("tf.errors.ResourceExhaustedError", "")), "resources"),
        (replace(GOOD, raised=Raised("RuntimeError", "can't start new thread")), "resources"),
    ],
)
def test_what_depends_on_the_day_is_not_kept(
    tmp_path: Path, outcome: Outcome, reason: str | None
) -> None:
    """Lost without it: a machine that was busy once makes a build untestable for ever."""
    found = not_kept(outcome)
    assert found is None if reason is None else reason in (found or "")
    with Results(tmp_path, "here") as results:
        assert results.add("s", "", "c", "optree", outcome) == (reason is None)
        assert len(results.get("s", "", "c", "optree")) == (reason is None)


# -- files ---------------------------------------------------------------------


def test_a_result_holds_as_long_as_its_files(tmp_path: Path) -> None:
    """Lost without it: a module is changed, and the script still does what the old one did."""
    file, folder = tmp_path / "helper.py", tmp_path / "data"
    file.write_text("1")
    folder.mkdir()
    outcome = replace(GOOD, read=(str(file), str(folder)))
    with Results(tmp_path / "cache", "here", clock=Clock()) as results:
        results.name("3.5.0", "c")

        def found(where: str = "/a") -> bool:
            kept = bool(results.get("s", where, "c", "optree"))
            assert results.builds("s", where, "optree") == ({"3.5.0"} if kept else set())
            return kept

        assert results.add("s", "/a", "c", "optree", outcome)
        # The files beside a script of the same text may be others.
        assert found() and not found("/b") and not found("")
        file.write_text("2")
        assert not found()
        file.write_text("1")
        assert found()
        (folder / "__pycache__").mkdir()
        assert found()
        (folder / "new").touch()
        assert not found()
        (folder / "new").unlink()
        assert found()
        file.unlink()
        assert not found()


def test_a_file_that_changes_within_a_tick_of_its_clock(tmp_path: Path) -> None:
    """Lost without it: an editor that is fast keeps a result of what is gone."""
    file = tmp_path / "helper.py"
    with Results(tmp_path / "cache", "here", clock=Clock()) as results:
        file.write_text("1")
        assert results.add("s", "/a", "c", "optree", replace(GOOD, read=(str(file),)))
        stamp = file.stat()
        for text in "2345":
            file.write_text(text)
            os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
            assert not results.get("s", "/a", "c", "optree")


def _missing(path: Path) -> None:
    pass


def _large(path: Path) -> None:
    path.touch()
    os.truncate(path, (64 << 20) + 1)


def _pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("make", [_missing, _large, _pipe])
def test_files_that_cannot_be_held_against_later(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    """Lost without it: a result of a file that is gone is kept, or hashing takes for ever."""
    make(tmp_path / "file")
    outcome = replace(GOOD, read=(str(tmp_path / "file"),))
    with Results(tmp_path / "cache", "here", clock=Clock()) as results:
        assert not results.add("s", "/a", "c", "optree", outcome)
        assert not results.knows("s")


def test_a_file_that_was_changed_while_it_was_read(tmp_path: Path) -> None:
    """Lost without it: what the old module did is kept as what the new one does."""
    (tmp_path / "file").write_text("new")
    outcome = replace(GOOD, seconds=60.0, read=(str(tmp_path / "file"),))
    with Results(tmp_path / "cache", "here") as results:
        assert not results.add("s", "/a", "c", "optree", outcome)


def test_a_real_script_and_its_module(tmp_path: Path) -> None:
    """Lost without it: the probe notes what the cache does not look at."""
    source = fake_keras(tmp_path / "build")
    module, path = tmp_path / "helper.py", tmp_path / "repro.py"
    module.write_text("VALUE = 3")
    path.write_text("import keras, helper\nraise SystemExit(helper.VALUE)")
    script = Script.read(path)
    with Results(tmp_path / "cache", "here") as results, Prober(start="fresh", jobs=1) as prober:
        outcome = prober.run(script, source)
        assert results.add("s", str(tmp_path), "c", "optree", outcome)
        assert outcomes(results.get("s", str(tmp_path), "c", "optree")) == [outcome]
        module.write_text("VALUE = 4")
        assert results.get("s", str(tmp_path), "c", "optree") == []
        assert prober.run(script, source).code == 4


# -- what can become of a database ---------------------------------------------


def _garbage(path: Path) -> None:
    path.write_bytes(b"not a database, and longer than the header of one " * 50)


def _overwritten(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[100:] = b"\x5a" * (len(data) - 100)
    path.write_bytes(data)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def _foreign(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE outcomes (something TEXT)")
    database.close()


@pytest.mark.parametrize("damage", [_garbage, _overwritten, _cut, _foreign])
@pytest.mark.parametrize("first", ["get", "add"])
def test_a_damaged_database_is_put_aside(
    tmp_path: Path, damage: Callable[[Path], None], first: str
) -> None:
    """Lost without it: one bad sector ends every search until somebody finds the file."""
    with Results(tmp_path, "here") as results:
        assert results.add("s", "", "c", "optree", GOOD)
    damage(tmp_path / "results-1.sqlite")
    notices: list[str] = []
    with Results(tmp_path, "here", notice=notices.append) as results:
        if first == "get":
            assert results.get("s", "", "c", "optree") == []
        assert results.add("s", "", "c", "optree", GOOD)
        assert outcomes(results.get("s", "", "c", "optree")) == [GOOD]
    assert len(notices) == 1 and "results-1.damaged" in notices[0]
    assert (tmp_path / "results-1.damaged").exists()


def test_a_database_that_is_damaged_while_it_is_used(tmp_path: Path) -> None:
    """Lost without it: two searches that find the same damage throw away each other's results."""
    notices: list[str] = []
    one, other = (Results(tmp_path, "here", notice=notices.append) for _ in range(2))
    one.add("s", "", "c", "optree", GOOD)
    other.add("s", "", "c", "optree", GOOD)
    path = tmp_path / "results-1.sqlite"
    with sqlite3.connect(path) as database:
        database.executescript("DROP TABLE outcomes")
    database.close()
    assert one.add("s", "", "new", "optree", GOOD)
    assert other.add("s", "", "newer", "optree", GOOD)
    one.close()
    assert one.get("s", "", "new", "optree")
    assert len(notices) <= 2
    one.close()
    other.close()


def test_a_damaged_row_is_left_out(tmp_path: Path) -> None:
    """Lost without it: one bad byte becomes a traceback, or a verdict."""
    notices: list[str] = []
    with Results(tmp_path, "here", notice=notices.append) as results:
        for _ in range(3):
            results.add("s", "", "c", "optree", GOOD)
        with sqlite3.connect(tmp_path / "results-1.sqlite") as database:
            database.execute("UPDATE outcomes SET outcome = x'00' WHERE id = 1")
            database.execute("UPDATE outcomes SET outcome = ? WHERE id = 2", [b"x\x9c\x03\x00"])
        database.close()
        for _ in range(2):
            assert outcomes(results.get("s", "", "c", "optree")) == [GOOD]
    assert len(notices) == 1


PROGRAM = """
import os, resource, sys
from pathlib import Path
from keras_bisect.outcome import Ended, Outcome
from keras_bisect.record.results import Results

good = Outcome(Ended.EXIT, 0, 0.0)
"""
READS_ONLY = """
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
assert not os.access(sys.argv[1], os.W_OK)
with Results(Path(sys.argv[1]), "here", notice=print) as results:
    for _ in range(2):
        print(len(results.get("s", "", "c", "optree")))
        print(results.add("s", "", "d", "optree", good))
"""
DISK_FULL = """
with Results(Path(sys.argv[1]), "here", notice=print) as results:
    print(results.add("s", "", "c", "optree", good))
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
    large = [Outcome(Ended.EXIT, 0, 0.0, stdout=os.urandom(9000).hex()) for _ in range(40)]
    print(all([results.add("s", "", "c", "optree", one) for one in large]))
    print(len(results.get("s", "", "c", "optree")) >= 1)
"""


def run(text: str, cache: Path) -> list[str]:
    command = [sys.executable, "-c", PROGRAM + text, str(cache)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that any user may read."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    subprocess.run(["chmod", "-R", "u+w", str(folder)], check=True)
    shutil.rmtree(folder)


@pytest.mark.parametrize("empty", [False, True])
@pytest.mark.parametrize("used", [False, True])
def test_a_read_only_cache_answers(open_folder: Path, empty: bool, used: bool) -> None:
    """Lost without it: a shared cache (an image, another user's) answers nothing, or fails."""
    results = Results(open_folder, "here")
    if not empty:
        results.add("s", "", "c", "optree", GOOD)
    if not used:
        results.close()
    subprocess.run(["chmod", "-R", "a-w,a+rX", str(open_folder)], check=True)
    lines = run(READS_ONLY, open_folder)
    results.close()
    notices = [line for line in lines if line.startswith("The kept results")]
    expected = ["0" if empty else "1", "False"] * 2
    assert [line for line in lines if line not in notices] == expected
    assert len(notices) == 1 and "cannot be added to" in notices[0]


def test_a_full_disk_is_told_once(tmp_path: Path) -> None:
    """Lost without it: a search that went well ends in a traceback of SQLite."""
    first, notice, *rest = run(DISK_FULL, tmp_path)
    assert first == "True" and "cannot be added to" in notice
    assert rest == ["False", "True"]


MANY = """
import threading
results = Results(Path(sys.argv[1]), "here", notice=print)
def work(number):
    for n in range(20):
        results.add("s", "", f"{os.getpid()} {number} {n}", "optree", good)
        assert len(results.get("s", "", f"{os.getpid()} {number} {n}", "optree")) == 1
threads = [threading.Thread(target=work, args=[number]) for number in range(3)]
for one in threads: one.start()
for one in threads: one.join()
results.close()
"""


def test_several_processes_and_threads_keep_results(tmp_path: Path) -> None:
    """Lost without it: of two searches at once one fails, or what it found is lost."""
    said: list[list[str]] = []
    threads = [
        threading.Thread(target=lambda: said.append(run(MANY, tmp_path / "cache")))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == [[]] * 4
    with Results(tmp_path / "cache", "here") as results:
        with contextlib.closing(sqlite3.connect(tmp_path / "cache" / "results-1.sqlite")) as kept:
            assert kept.execute("SELECT count(DISTINCT content) FROM outcomes").fetchone() == (240,)
        assert results.knows("s")
    assert [one.name for one in (tmp_path / "cache").iterdir()] == ["results-1.sqlite"]


def test_the_oldest_results_go(tmp_path: Path) -> None:
    """Lost without it: the cache grows until the disk is full."""
    limit = 400_000
    with Results(tmp_path, "here", limit=limit) as results:
        for number in range(200):
            noise = replace(GOOD, stdout=os.urandom(3000).hex())
            assert results.add("s", "", str(number), "optree", noise)
            results.name(f"3.{number}", str(number))
        left = [n for n in range(200) if results.get("s", "", str(n), "optree")]
        assert 50 < len(left) < 150
        assert left == list(range(left[0], 200))
        assert results.builds("s", "", "optree") == {f"3.{number}" for number in left}
    assert (tmp_path / "results-1.sqlite").stat().st_size < 1.3 * limit
