"""Without these, a search that was killed could lose what it saw, or go on as another search."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_bisect.documents import event_document
from keras_bisect.errors import HarnessError, UsageError
from keras_bisect.events import (
    Began,
    Ended,
    Event,
    Judgement,
    Learned,
    Narrowed,
    Notice,
    Probed,
    Stage,
)
from keras_bisect.outcome import Ended as How
from keras_bisect.outcome import Loaded, Outcome, Raised
from keras_bisect.record.journal import (
    EventsFile,
    Journal,
    alive,
    began,
    ended,
    first_began,
    read,
    resume,
)
from keras_bisect.record.recorded import RecordedProbe, event_of, line_of, recorded
from keras_bisect.record.status import status_of
from keras_bisect.run import Run, differences
from keras_bisect.verdict import Judged, Verdict, learn

SCRIPT = "5c" * 32
LOADED = Loaded("/x/keras/__init__.py", "3.5.0", "optree")
GOOD = Outcome(How.EXIT, 0, 0.25, LOADED)
BAD = Outcome(How.EXIT, 1, 0.5, LOADED, raised=Raised("KeyError", "'é'", ("src/a.py:call",)))
RUN = Run(
    "bisect",
    SCRIPT,
    "/home/me/repro.py",
    "3.4.1",
    None,
    "optree",
    "tensorflow",
    {"python": "3.11.7", "tensorflow": "2.19.0"},
    {"to": "file", "match": "signature"},
)


def probed(build: str, outcome: Outcome = GOOD, *, sample: int = 0) -> Probed:
    content = f"content of {build}"
    return Probed(SCRIPT, build, content, "optree", "tensorflow", outcome, None, sample)


# A lone surrogate is what a name of a file that is no UTF-8 becomes.
texts = st.text(max_size=8) | st.sampled_from(["é\n\r\u2028\u0085\0", "\udc80 lone", '"check": "'])
counts = st.integers(0, 10**9)
seconds = st.floats(0, 1e6)
times = st.datetimes(timezones=st.just(UTC))
outcomes = st.builds(
    Outcome,
    st.sampled_from(How),
    st.none() | st.sampled_from([0, 1, 9, 11, 125]),
    seconds,
    st.none() | st.builds(Loaded, texts, st.none() | texts, st.none() | texts),
    st.none() | st.builds(Raised, texts, texts, st.lists(texts, max_size=3).map(tuple)),
    st.none() | st.builds(Raised, texts, texts, st.lists(texts, max_size=3).map(tuple)),
    texts,
    texts,
)
mappings = st.dictionaries(texts, texts, max_size=3)
runs = st.builds(
    Run,
    texts,
    texts,
    texts,
    st.none() | texts,
    st.none() | texts,
    texts,
    texts,
    mappings,
    mappings,
)
judgements = st.builds(Judgement, texts, st.builds(Judged, st.sampled_from(Verdict), texts))
events: st.SearchStrategy[Event] = st.one_of(
    st.builds(Began, runs, times, counts, st.none() | seconds, st.booleans()),
    st.builds(Stage, texts, st.none() | counts),
    st.builds(
        Probed,
        texts,
        texts,
        texts,
        st.sampled_from(["optree", "dm-tree"]),
        texts,
        outcomes,
        st.none() | texts,
        counts,
        texts,
    ),
    judgements,
    st.builds(Narrowed, texts, texts, counts, counts),
    st.builds(Notice, texts),
    st.builds(Ended, st.integers(0, 255), times, texts, st.lists(mappings, max_size=2).map(tuple)),
)


def lines_of(told: list[Event]) -> bytes:
    return b"".join(line_of(event_document(event)) for event in told)


@given(st.lists(events, max_size=6))
def test_what_was_told_is_read_again(told: list[Event]) -> None:
    """Lost: a resumed search would go on from something that was never seen."""
    data = lines_of(told)
    assert [one.event for one in recorded(data, "journal")] == told
    assert data.isascii() and data.count(b"\n") == len(told)
    for line in data.splitlines():
        assert list(json.loads(line))[:2] == ["schema", "event"]


@given(st.lists(events, min_size=1, max_size=4), st.data())
def test_a_file_that_is_cut_anywhere_holds_its_whole_lines(
    told: list[Event], data: st.DataObject
) -> None:
    """Lost: a kill in the wrong moment would make a journal unreadable, or a half line a probe."""
    whole = lines_of(told)
    cut = data.draw(st.integers(0, len(whole)))
    count = whole[:cut].count(b"\n")
    assert [one.event for one in recorded(whole[:cut], "journal")] == told[:count]


@settings(max_examples=300)
@given(st.lists(events, min_size=2, max_size=4), st.data())
def test_damage_is_found_and_named(told: list[Event], data: st.DataObject) -> None:
    """Lost: a bit that fell over on the disk would be taken for what a build did."""
    whole = lines_of(told)
    last = whole[:-1].rindex(b"\n") + 1
    at = data.draw(st.integers(0, last - 1))
    damaged = bytearray(whole)
    damaged[at] ^= data.draw(st.integers(1, 255))
    number = whole[:at].count(b"\n") + 1
    try:
        found = [one.event for one in recorded(bytes(damaged), "x/journal.jsonl")]
    except HarnessError as error:
        # A line feed that came or went moves the damage to the line it made.
        named = [f"x/journal.jsonl, line {n}," in str(error) for n in (number, number + 1)]
        assert any(named) and "ove the file away" in str(error)
    else:
        # Damage to the name of the check sum is damage to nothing that was recorded.
        assert found == told


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"", "is damaged"),
        (b"\0" * 40, "is damaged"),
        (b'{"schema": 1, "event": "notice"', "is damaged"),
        (b'["schema"]', "is damaged: it is no JSON object"),
        (b'{"event": "notice", "text": "x"}', "is damaged: it has no 'schema'"),
        (b'{"schema": 1, "event": "notice"}', "is damaged: it has no 'text'"),
        (b'{"schema": 1, "event": "notice", "text": 3}', "is damaged: its text is 3"),
        (b'{"schema": 2, "event": "notice", "text": "x"}', "has schema 2"),
        (b"[" * 100_000, "is damaged"),
    ],
)
def test_a_line_that_is_none_is_refused(line: bytes, says: str) -> None:
    """Lost: a resumed search would leave out, without a word, what somebody once saw."""
    with pytest.raises(HarnessError, match=f"^j, line 2, {says}"):
        recorded(lines_of([Notice("x")]) + line + b"\n", "j")


def test_what_a_later_version_adds_is_passed_over() -> None:
    """Lost: nobody could look at, or go on with, what a newer version wrote."""
    document = event_document(probed("3.5.0")) | {"mood": "sunny"}
    document["outcome"]["weather"] = {"rain": 0}
    lines = [
        line_of(document),
        line_of({"schema": 1, "event": "eclipse", "moon": 1}),
        b'{"schema": 1, "event": ["odd"]}\n',
        b'{"schema": 1, "build": "3.5.0"}\n',
        b'{"schema": 1, "event": "notice", "text": "by hand"}\n',
    ]
    found = recorded(b"".join(lines), "journal")
    assert [one.event for one in found] == [probed("3.5.0"), Notice("by hand")]
    assert [one.line for one in found] == [1, 5]


def test_a_probe_has_a_verdict_once_the_failure_is_known(tmp_path: Path) -> None:
    """Lost: the ends of a search, probed before anybody knows the failure, could not be kept."""
    path = tmp_path / "hunt" / "journal.jsonl"
    failure = learn(BAD)
    assert failure is not None
    with Journal(path, SCRIPT) as journal:
        journal(Stage("both ends"))
        journal(probed("3.5.0", BAD))
        journal(Judgement("3.5.0", Judged(Verdict.BAD, "KeyError")))
        journal(Learned(failure))
        journal(probed("3.4.1"))
        journal(replace(probed("3.4.1"), script="another"))
    stage, bad, good = read(path)
    assert stage.event == Stage("both ends")
    assert isinstance(bad, RecordedProbe) and isinstance(good, RecordedProbe)
    assert (bad.judged, bad.signature, bad.event) == (None, None, probed("3.5.0", BAD))
    assert good.judged == Judged(Verdict.GOOD, "passes") and good.signature == str(failure)
    assert read(path)[2].event == probed("3.4.1")


def test_a_search_goes_on_with_all_its_parts(tmp_path: Path) -> None:
    """Lost: a search that was killed three times would remember only what it saw last."""
    path = tmp_path / "journal.jsonl"
    parts = [["3.1.0", "3.5.0"], ["3.3.0"], ["3.4.0"]]
    with Journal(path, SCRIPT) as journal:
        journal(began(replace(RUN, good="2.0.0")))
        journal(probed("of another search"))
        journal(ended(0))
    for part in parts:
        with Journal(path, SCRIPT) as journal:
            known = resume(path, RUN) if part is not parts[0] else []
            first = first_began(path, RUN)
            journal(began(RUN, resumed=part is not parts[0]))
            # What is known is told again, and is still one probe.
            for event in [*known, *map(probed, part)]:
                journal(event)
            journal(probed("3.5.0", BAD, sample=1))
        with path.open("ab") as file:
            file.write(b'{"schema": 1, "event": "probe", "bui')
    assert [(e.build, e.sample) for e in resume(path, RUN)] == [
        ("3.1.0", 0),
        ("3.5.0", 0),
        ("3.5.0", 1),
        ("3.3.0", 0),
        ("3.4.0", 0),
    ]
    assert first_began(path, RUN) == first
    told = [one.event for one in read(path) if isinstance(one.event, Probed)]
    assert len(told) == 1 + 5, "no probe is written twice"


def test_a_mistyped_search_in_between_costs_nothing(tmp_path: Path) -> None:
    """Lost: a wrong --good, given once, would be all that --resume knows of hours of probes."""
    path = tmp_path / "journal.jsonl"
    mistyped = replace(RUN, good="2.0.0")
    with Journal(path, SCRIPT) as journal:
        journal(began(RUN))
        journal(probed("3.1.0"))
    for code in (3, None):
        with Journal(path, SCRIPT) as journal:
            journal(began(mistyped))
            journal(probed("2.0.0"))
            if code is not None:
                journal(ended(code, "The good end fails."))
    with Journal(path, SCRIPT) as journal:
        [known] = resume(path, RUN)
        assert known.build == "3.1.0"
        first = first_began(path, RUN)
        journal(began(RUN, resumed=first is not None))
        journal(known)
        journal(probed("3.3.0"))
    assert first_began(path, RUN) == first
    assert [event.build for event in resume(path, RUN)] == ["3.1.0", "3.3.0"]
    assert [event.build for event in resume(path, mistyped)] == ["2.0.0"]
    told = [one.event.build for one in read(path) if isinstance(one.event, Probed)]
    assert told == ["3.1.0", "2.0.0", "2.0.0", "3.3.0"], "each once in its search"
    # What was begun anew is begun anew.
    with Journal(path, SCRIPT) as journal:
        journal(began(RUN))
    assert resume(path, RUN) == []


@pytest.mark.parametrize(
    "changed",
    [
        {"time": "2024-07-20T12:00:00"},
        {"time": "0"},
        {"pid": None},
        {"started": 10**400},
        {"started": float("nan")},
        {"run": {**asdict(RUN), "options": None}},
    ],
)
def test_odd_values_are_damage_and_no_crash(tmp_path: Path, changed: dict[str, object]) -> None:
    """Lost: a journal that was edited by hand would end in a traceback, wherever it is read."""
    path = tmp_path / "journal.jsonl"
    path.write_text(json.dumps(event_document(began(RUN)) | changed) + "\n")
    for ask in (status_of, lambda path: resume(path, RUN), lambda path: Journal(path, SCRIPT)):
        with pytest.raises((UsageError, HarnessError), match=r"line 1, is damaged"):
            ask(path)


@pytest.mark.parametrize("pid", [-1, 0, 2**31, 10**30])
def test_no_process_has_an_odd_number(tmp_path: Path, pid: int) -> None:
    """Lost: `status` of such a journal would be a traceback."""
    path = tmp_path / "journal.jsonl"
    path.write_text(json.dumps(event_document(replace(began(RUN), pid=pid))) + "\n")
    assert status_of(path).state == "interrupted"


def test_a_journal_is_a_file(tmp_path: Path) -> None:
    """Lost: a device in its place would be read until there is no memory."""
    path = tmp_path / "journal.jsonl"
    path.symlink_to("/dev/zero")
    with pytest.raises(HarnessError, match="no file that can be read twice"):
        Journal(path, SCRIPT)
    with pytest.raises(UsageError):
        status_of(tmp_path)


def test_what_stopped_in_the_middle_of_a_line_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lost: Ctrl-C in the wrong moment would glue the end of a search to half a probe."""
    write = os.write

    def stopped(fd: int, data: bytes) -> int:
        write(fd, data[:50])
        raise KeyboardInterrupt

    path = tmp_path / "journal.jsonl"
    with Journal(path, SCRIPT) as journal:
        journal(Notice("before"))
        with monkeypatch.context() as patch:
            patch.setattr("keras_bisect.record.lines.os.write", stopped)
            with pytest.raises(KeyboardInterrupt):
                journal(probed("3.5.0"))
        assert [one.event for one in read(path)] == [Notice("before")]
        journal(probed("3.5.0"))
    assert [one.event for one in read(path)] == [Notice("before"), probed("3.5.0")]


def test_nothing_to_go_on_with_is_said(tmp_path: Path) -> None:
    """Lost: `--resume` of a mistyped folder would pass for a search that goes on."""
    told: list[Event] = []
    path = tmp_path / "journal.jsonl"
    assert resume(path, RUN, told.append) == []
    with Journal(path, SCRIPT) as journal:
        assert resume(path, RUN, told.append) == [] and first_began(path, RUN) is None
        journal(probed("3.5.0"))
    assert resume(path, RUN, told.append) == []
    assert len(told) == 3 and all(isinstance(e, Notice) and str(path) in e.text for e in told)


CHANGES = [
    ({"command": "hunt"}, "the command was bisect and is hunt now"),
    ({"script": "0" * 64}, "the script has changed"),
    ({"filename": "/b.py"}, "the script was /home/me/repro.py and is /b.py now"),
    ({"good": None}, "--good was 3.4.1 and is not given now"),
    ({"bad": "3.6.0"}, "--bad was not given and is 3.6.0 now"),
    ({"tree": "dm-tree"}, "--tree was optree and is dm-tree now"),
    ({"backend": "jax"}, "--backend was tensorflow and is jax now"),
    ({"options": {"to": "file", "match": "any"}}, "--match was signature and is any now"),
    ({"options": {"to": "file", "match": ""}}, "--match was signature and is empty now"),
    ({"options": {**RUN.options, "memory": "4294967296"}}, "--memory was not given and is 4g now"),
    ({"options": {**RUN.options, "start": "fresh"}}, "--fresh was not given and is given now"),
    ({"options": {**RUN.options, "all": "True"}}, "--all was not given and is given now"),
    (
        {"environment": {"python": "3.11.7", "tensorflow": "2.21.0"}},
        "tensorflow was 2.19.0 and is 2.21.0 now",
    ),
    (
        {"environment": {**RUN.environment, "torch": "2.9"}},
        "torch was absent and is 2.9 now",
    ),
]


@pytest.mark.parametrize(("change", "phrase"), CHANGES)
def test_another_search_does_not_go_on(
    tmp_path: Path, change: dict[str, object], phrase: str
) -> None:
    """Lost: probes of another script, range or TensorFlow would be counted as this one's."""
    path = tmp_path / "journal.jsonl"
    with Journal(path, SCRIPT) as journal:
        journal(began(RUN))
    other = replace(RUN, **change)  # type: ignore[arg-type]
    assert differences(RUN, other) == [phrase]
    before = path.read_bytes()
    with Journal(path, SCRIPT), pytest.raises(UsageError) as refused:
        resume(path, other)
    assert phrase in str(refused.value) and "without --resume" in str(refused.value)
    assert path.read_bytes() == before


@given(runs, runs)
def test_only_the_same_run_has_no_differences(one: Run, other: Run) -> None:
    """Lost: a new part of a run could be left out of the comparison."""
    assert (differences(one, other) == []) == (one == other)
    assert differences(one, one) == []


def test_two_writers_are_one_too_many(tmp_path: Path) -> None:
    """Lost: two searches in one folder would mix their probes."""
    path = tmp_path / "journal.jsonl"
    with Journal(path, SCRIPT) as journal:
        with pytest.raises(UsageError, match="is in use by another process"):
            Journal(path, SCRIPT)
        journal(began(RUN))
        code = (
            "import sys\nfrom pathlib import Path\n"
            "from keras_bisect.record.journal import Journal\n"
            "try: Journal(Path(sys.argv[1]), 'x')\n"
            "except Exception as error: print(type(error).__name__, error)"
        )
        other = subprocess.run(
            [sys.executable, "-c", code, path], capture_output=True, text=True, check=True
        )
        assert other.stdout.startswith(f"UsageError {path} is in use by process {os.getpid()}.")
    with Journal(path, SCRIPT), pytest.raises(UsageError), EventsFile(path):
        pass
    assert len(read(path)) == 1


WRITER = """
import sys
from pathlib import Path
from keras_bisect.events import Probed
from keras_bisect.record.journal import Journal
from keras_bisect.outcome import Ended, Outcome
with Journal(Path(sys.argv[1]), "s") as journal:
    print("open", flush=True)
    for n in range(10**6):
        outcome = Outcome(Ended.EXIT, 0, 0.1, stdout=sys.argv[2] * (n % 7 * 9000))
        journal(Probed("s", f"{sys.argv[2]}{n}", "c", "optree", "numpy", outcome))
        print(n, flush=True)
"""


def test_no_probe_is_lost_to_a_kill(tmp_path: Path) -> None:
    """Lost: a search that is killed could forget, or garble, what it had on the disk."""
    path = tmp_path / "journal.jsonl"
    kept: list[str] = []
    for name in "abcdefghijkl":
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, path, name], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        for _ in range(2 + 3 * (ord(name) % 5)):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        # What it said after the last line that was read was on the disk, too.
        said = [
            int(line) for line in process.stdout.read().splitlines(keepends=True) if "\n" in line
        ]
        process.stdout.close()
        process.wait()
        builds = [one.event.build for one in read(path) if isinstance(one.event, Probed)]
        own = builds[len(kept) :]
        assert builds[: len(kept)] == kept
        assert own == [f"{name}{n}" for n in range(len(own))]
        assert len(own) > max(said, default=0)
        kept = builds


FULL = """
import resource, sys
from pathlib import Path
from keras_bisect.errors import HarnessError
from keras_bisect.events import Notice
from keras_bisect.record.journal import Journal
with Journal(Path(sys.argv[1]), "s") as journal:
    journal(Notice("before"))
    limit = Path(sys.argv[1]).stat().st_size + 100
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    for text in ("x" * 200, "y" * 90):
        try: journal(Notice(text))
        except HarnessError as error: print(error)
    journal(Notice("small"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    journal(Notice("after"))
"""


def test_a_full_disk_costs_what_did_not_fit(tmp_path: Path) -> None:
    """Lost: a disk that fills up would take what was there before, or pass unnoticed."""
    path = tmp_path / "journal.jsonl"
    code = FULL
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, check=True
    )
    said = done.stdout.splitlines()
    assert len(said) == 2
    assert all(line.startswith(f"{path} cannot be written: File too large") for line in said)
    assert [one.event for one in read(path)] == [Notice(t) for t in ("before", "small", "after")]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """Lost: a traceback where a person asked for a folder that cannot be made."""
    (tmp_path / "file").write_text("")
    with pytest.raises(HarnessError, match=r"file/journal\.jsonl cannot be opened"):
        Journal(tmp_path / "file" / "journal.jsonl", SCRIPT)
    with pytest.raises(HarnessError, match="cannot be read"):
        read(tmp_path)
    journal = Journal(tmp_path / "journal.jsonl", SCRIPT)
    journal.close()
    journal.close()
    with pytest.raises(HarnessError, match="cannot be written: it is closed"):
        journal(Notice("late"))


def test_a_damaged_journal_is_not_added_to(tmp_path: Path) -> None:
    """Lost: an hour of probes would be written into a journal that nobody can read again."""
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b"damage\n")
    with pytest.raises(HarnessError, match=r"journal\.jsonl, line 1, is damaged"):
        Journal(path, SCRIPT)
    path.unlink()
    with Journal(path, SCRIPT) as journal:
        journal(Notice("x"))


def test_threads_share_a_journal(tmp_path: Path) -> None:
    """Lost: probes that end at the same time could write into each other's lines."""
    path, other = tmp_path / "journal.jsonl", tmp_path / "events.jsonl"
    with Journal(path, SCRIPT) as journal, EventsFile(other) as listener:

        def work(name: str) -> None:
            for n in range(25):
                event = probed(f"{name}{n}", replace(GOOD, stdout="x" * 20_000))
                journal(event)
                listener(event)

        threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    found = [one.event for one in read(path)]
    assert len(found) == 100
    assert sorted(map(str, found)) == sorted(map(str, map(read_event, other.open())))


def read_event(line: str) -> Event:
    event = event_of(json.loads(line))
    assert event is not None
    return event


@given(st.lists(events, max_size=4))
@settings(max_examples=25)
def test_a_program_can_follow_the_events(told: list[Event]) -> None:
    """Lost: a program that shows the progress would miss events, or read half of one."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.jsonl"
        path.write_bytes(b'{"schema": 1, "event": "noti')
        with EventsFile(path) as listener:
            for n, event in enumerate(told):
                listener(event)
                lines = path.read_bytes().split(b"\n")
                assert len(lines) == n + 2 and lines[-1] == b""
        if told:
            assert [read_event(line.decode()) for line in lines[:-1]] == told


def test_events_go_to_a_pipe(tmp_path: Path) -> None:
    """Lost: a window that listens to a named pipe would see nothing."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    seen: list[str] = []
    reader = threading.Thread(target=lambda: seen.extend(pipe.open()))
    reader.start()
    with EventsFile(pipe) as listener:
        listener(Notice("hello"))
        listener(Stage("both ends"))
    reader.join()
    assert [read_event(line) for line in seen] == [Notice("hello"), Stage("both ends")]


def test_events_do_not_go_to_standard_output() -> None:
    """Lost: events between the answer's lines, or a file called `-`."""
    with pytest.raises(UsageError, match="not to standard output"):
        EventsFile(Path("-"))


@contextmanager
def process(code: str) -> Iterator[subprocess.Popen[bytes]]:
    started = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    try:
        yield started
    finally:
        started.kill()
        started.wait()
        assert started.stdin is not None
        started.stdin.close()


def test_a_process_is_alive_until_it_is_dead() -> None:
    """Lost: a status would call a dead search running, or take a stranger for it."""
    event = began(RUN)
    assert event.started is not None and (event.pid, event.resumed) == (os.getpid(), False)
    assert alive(event.pid, event.started) and alive(event.pid, None)
    assert not alive(event.pid, event.started - 60)
    assert abs((event.time - datetime.now(UTC)).total_seconds()) < 600
    with process("input()") as one:
        assert alive(one.pid, None)
        one.kill()
        os.waitid(os.P_PID, one.pid, os.WEXITED | os.WNOWAIT)
        # Dead, and nobody has looked yet: a zombie.
        assert not alive(one.pid, None)
    assert not alive(one.pid, None)


def test_the_lock_ends_with_the_process(tmp_path: Path) -> None:
    """Lost: a journal whose process was killed could never be gone on with."""
    path = tmp_path / "journal.jsonl"
    code = WRITER
    with subprocess.Popen(
        [sys.executable, "-c", code, path, "x"], stdout=subprocess.PIPE, text=True
    ) as one:
        assert one.stdout is not None
        one.stdout.readline()
        with pytest.raises(UsageError, match="in use"):
            Journal(path, SCRIPT)
        one.kill()
        one.wait()
        with Journal(path, SCRIPT) as journal:
            journal(Notice("mine now"))
    assert read(path)[-1].event == Notice("mine now")
