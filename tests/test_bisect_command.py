"""`keras-repro bisect` as a person uses it: real git, real processes, a history that is known.

Master goes 0 … 11 and is wrong from 5 on; release branch `r1` leaves it at 7 and is mended there.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from test_cli import COMMAND, keras_repro
from upstream import NOW, Upstream, snapshot

RIGHT, WRONG = "def add(x, y):\n    return x + y\n", "def add(x, y):\n    return x - y\n"
SCRIPT = """
import sys
import keras
from keras.src.ops import add
print("1 + 2 =", add(1, 2))
sys.exit(add(1, 2) != 3)
"""
WRONG_AT = 5


@dataclass(frozen=True)
class History:
    """A repository, its commits, and a script that shows what is wrong."""

    path: Path
    shas: list[str]
    """Of master, oldest first."""
    mended: str
    """The tip of the release branch, where it is right again."""
    script: Path

    def ends(self, good: int = 0, bad: int = -1) -> list[str]:
        return [
            *("--good", f"git:{self.shas[good]}", "--bad", f"git:{self.shas[bad]}"),
            *("--repo", str(self.path)),
        ]


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    folder = tmp_path_factory.mktemp("history")
    upstream = Upstream(folder / "keras")
    plain = {**NOW, "keras/api/__init__.py": "", "keras/api/_tf_keras/__init__.py": ""}
    shas = [upstream.commit("start", plain)]
    for number in range(1, 12):
        change = {"keras/src/other.py": f"x = {number}\n"}
        if number == WRONG_AT:
            change["keras/src/ops.py"] = WRONG
        shas.append(upstream.commit(f"Change {number} (#{number})", change))
        if number == 7:
            upstream("checkout", "--quiet", "-b", "r1")
            upstream.commit("On the branch", {"keras/src/more.py": "y = 1\n"})
            mended = upstream.commit("Mend it for the release (#90)", {"keras/src/ops.py": RIGHT})
            upstream("checkout", "--quiet", "master")
    script = folder / "add.py"
    script.write_text(SCRIPT)
    return History(upstream.path, shas, mended, script)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder and a cache of one's own."""
    monkeypatch.setenv("KERAS_REPRO_CACHE", str(tmp_path / "cache"))
    # Whoever asks the index for a search of commits fails here.
    monkeypatch.setenv("KERAS_REPRO_INDEX_URL", "http://127.0.0.1:9/")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def document(run: subprocess.CompletedProcess[str]) -> Any:
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def journal(folder: Path) -> list[dict[str, Any]]:
    [path] = folder.glob("hunts/*/journal.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def made(lines: list[dict[str, Any]]) -> list[tuple[str, int]]:
    """Which runs of which content were recorded; twice the same is one made for nothing."""
    return [
        (e["content"], e["sample"]) for e in lines if e["event"] == "probe" and not e["same_as"]
    ]


def test_the_commit_is_named_and_nothing_is_probed_twice(history: History, place: Path) -> None:
    """Lost otherwise: what a maintainer asks first, or minutes of everybody's time."""
    before = snapshot(history.path)
    found = document(keras_repro("bisect", history.script, *history.ends(), "--json"))
    [change] = found["transitions"]
    assert (change["kind"], change["from"], change["to"]) == ("introduced", "good", "bad")
    assert change["culprit"]["sha"] == history.shas[WRONG_AT] == change["first"]["commit"]
    assert change["culprit"]["subject"] == "Change 5 (#5)" and change["culprit"]["pull"] == 5
    assert change["culprit"]["files"] == ["keras/src/ops.py", "keras/src/other.py"]
    assert change["files"] == ["keras/src/ops.py"]
    assert change["confidence"] == 1 and not change["suspects"]
    assert snapshot(history.path) == before
    again = document(keras_repro("bisect", history.script, *history.ends(), "--json"))
    assert again["transitions"] == found["transitions"] and again["probes"] == 0
    shifted = document(keras_repro("bisect", history.script, *history.ends(1), "--json"))
    assert shifted["transitions"] == found["transitions"] and shifted["probes"] <= 4
    anew = document(keras_repro("bisect", history.script, *history.ends(), "--no-cache", "--json"))
    assert anew["transitions"] == found["transitions"] and anew["probes"] > 10


def test_a_killed_bisect_goes_on(history: History, place: Path) -> None:
    """Lost otherwise: hours of probes, whenever a machine is switched off."""
    chance = random.Random(0)
    arguments = ["bisect", history.script, *history.ends(), "--no-cache", "--json"]
    command = [str(COMMAND), *map(str, arguments)]
    whole = document(keras_repro(*arguments, "--out", "whole"))
    for kill in range(4):
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        time.sleep(chance.uniform(1.2, 3.4))
        process.send_signal(signal.SIGKILL)
        process.wait()
        if kill == 0:
            command.append("--resume")
    killed = journal(place)
    found = document(keras_repro(*arguments, "--resume"))
    assert found["transitions"] == whole["transitions"]
    runs = made(journal(place))
    assert len(runs) == len(set(runs))
    assert set(made(killed)) <= set(runs)
    assert found["probes"] == len(runs) - len(set(made(killed)))


def test_only_the_same_bisect_goes_on(history: History, place: Path) -> None:
    """Lost otherwise: an answer put together from two questions."""
    own = place / "own.py"
    shutil.copy(history.script, own)
    other = place / "other"
    subprocess.run(["git", "clone", "--quiet", str(history.path), str(other)], check=True)
    asked = ["bisect", own, *history.ends(), "--to", "commit", "--fresh"]
    document(keras_repro(*asked, "--json"))
    [folder] = Path("hunts").iterdir()
    for change, said in (
        (["--bad", f"git:{history.shas[8]}"], "--bad was"),
        (["--match", "any"], "--match was signature and is any now"),
        (["--timeout", "50"], "--timeout was 120 and is 50 now"),
        (["--memory", "3g"], "--memory was 4g and is 3g now"),
        (["--no-cache"], "--no-cache was not given and is given now"),
        (["--repo", other], f"--repo was {history.path} and is {other} now"),
    ):
        run = keras_repro(*asked, "--resume", *change)
        assert run.returncode == 2 and said in run.stderr, run.stderr
    own.write_text(SCRIPT + "# another\n")
    run = keras_repro(*asked, "--resume")
    assert run.returncode == 2 and "the script has changed" in run.stderr
    lines = (folder / "journal.jsonl").read_bytes()
    (folder / "journal.jsonl").write_bytes(lines.replace(b'"probe"', b'"prbbe"', 1))
    run = keras_repro(*asked)
    assert run.returncode == 5 and "is damaged" in run.stderr


def test_a_mistyped_end_does_not_cost_what_was_probed(history: History, place: Path) -> None:
    """Lost otherwise: hours of probes, for one wrong word on a command line."""
    arguments = ["bisect", history.script, "--repo", history.path, "--to", "commit", "--fresh"]
    arguments += ["--no-cache"]
    right = ["--good", f"git:{history.shas[0]}", "--bad", f"git:{history.shas[-1]}"]
    document(keras_repro(*arguments, *right, "--json"))
    mistyped = keras_repro(*arguments, "--good", f"git:{history.shas[9]}", *right[2:])
    assert mistyped.returncode == 3 and "fails as the bad end does" in mistyped.stderr
    again = document(keras_repro(*arguments, *right, "--json", "--resume"))
    assert again["probes"] == 0
    assert again["transitions"][0]["culprit"]["sha"] == history.shas[WRONG_AT]


def test_a_commit_and_a_folder_differ_in_files(history: History, place: Path) -> None:
    """Lost otherwise: whoever works on a fix could not hold their folder against a commit."""
    work = place / "work"
    subprocess.run(["git", "clone", "--quiet", str(history.path), str(work)], check=True)
    ends = ["--good", f"git:{history.shas[0]}", "--bad", f"path:{work}", "--repo", history.path]
    run = keras_repro("bisect", history.script, *ends, "--fresh")
    assert run.returncode == 0, run.stderr
    assert f"introduced {history.shas[0][:10]} good → path:{work} bad" in run.stdout
    assert "file    keras/src/ops.py" in run.stdout and "only their files" in run.stdout
    ends = ["--bad", f"git:{history.shas[-1]}", "--good", f"path:{work}", "--repo", history.path]
    (work / "keras/src/ops.py").write_text(RIGHT)
    run = keras_repro("bisect", history.script, *ends, "--fresh", "--json")
    assert document(run)["transitions"][0]["files"] == ["keras/src/ops.py"]


def test_what_is_shown_is_short(history: History, place: Path) -> None:
    """Lost otherwise: lines of forty digits, and an answer that does not say what was touched."""
    run = keras_repro("bisect", history.script, *history.ends(), "--fresh")
    assert not re.search("[0-9a-f]{11}", run.stdout + run.stderr)
    assert f"commit  {history.shas[WRONG_AT][:10]}" in run.stdout
    assert "touches keras/src/ops.py, keras/src/other.py" in run.stdout


def test_a_bisect_can_be_watched(history: History, place: Path) -> None:
    """Lost otherwise: nobody could tell a slow bisect from a dead one."""
    keras_repro("bisect", history.script, *history.ends(), "--fresh", "--events", "events.jsonl")
    events = [json.loads(line) for line in Path("events.jsonl").read_text().splitlines()]
    kinds = {event["event"] for event in events}
    assert {"stage", "probe", "learned", "judgement", "narrowed"} <= kinds
    assert (events[0]["event"], events[-1]["event"]) == ("begin", "end")
    assert events[-1]["transitions"][0]["culprit"]["sha"] == history.shas[WRONG_AT]
    [folder] = Path("hunts").iterdir()
    shown = keras_repro("status", folder)
    assert shown.returncode == 0 and "finished" in shown.stdout and "Change 5" in shown.stdout
    told = json.loads(keras_repro("status", folder, "--json").stdout)
    assert told["state"] == "finished"
    assert keras_repro("status", "nowhere").returncode == 2


def test_git_replays_the_search(history: History, place: Path) -> None:
    """Lost otherwise: whoever goes on with git would begin at its beginning."""
    Path("log").symlink_to("elsewhere")
    keras_repro("bisect", history.script, *history.ends(), "--fresh", "--git-log", "log")
    assert Path("log").is_symlink()
    clone = place / "clone"
    subprocess.run(["git", "clone", "--quiet", str(history.path), str(clone)], check=True)
    done = subprocess.run(
        ["git", "-C", str(clone), "bisect", "replay", str(place / "log")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"{history.shas[WRONG_AT]} is the first bad commit" in done.stdout, done.stderr


def test_a_fix_on_a_branch_is_told_apart(history: History, place: Path) -> None:
    """Lost otherwise: a commit of master would be blamed for what a release branch did alone."""
    ends = ["--good", f"git:{history.mended}", "--bad", f"git:{history.shas[-1]}"]
    run = keras_repro("bisect", history.script, *ends, "--repo", history.path, "--json")
    [change] = document(run)["transitions"]
    assert change["kind"] == "fixed"
    assert change["culprit"]["sha"] == history.mended
    assert any("fixed on the branch of" in note for note in change["notes"])


def test_what_fixed_it_is_found(history: History, place: Path) -> None:
    """Lost otherwise: whoever backports a fix would have to look for it by hand."""
    ends = ["--good", f"git:{history.mended}", "--bad", "git:r1~1", "--repo", history.path]
    [change] = document(keras_repro("bisect", history.script, *ends, "--find-fix", "--json"))[
        "transitions"
    ]
    assert change["kind"] == "fixed" and change["culprit"]["pull"] == 90


@pytest.mark.parametrize("right", [True, False])
def test_suspects_save_probes_and_never_mislead(history: History, place: Path, right: bool) -> None:
    """Lost otherwise: a guess could cost the answer, or a good one gain nothing."""
    suspect = "keras/src/ops.py" if right else history.shas[9]
    arguments = ["bisect", history.script, *history.ends(), "--to", "commit", "--json"]
    run = keras_repro(*arguments, "--suspect", suspect, "--suspect", "keras/src/no_such.py")
    [change] = document(run)["transitions"]
    assert change["culprit"]["sha"] == history.shas[WRONG_AT]
    # A mistyped file is not passed over in silence.
    [told] = [line for line in run.stderr.splitlines() if "no_such.py" in line]
    assert "none of them touches it" in told and suspect not in told


def test_the_failure_that_is_meant_is_followed(history: History, place: Path) -> None:
    """Lost otherwise: --match would be a word without effect."""
    arguments = ["bisect", history.script, *history.ends(), "--to", "commit"]
    run = keras_repro(*arguments, "--match", "message", "1 [+] 2 = -1")
    assert run.returncode == 0 and "Change 5" in run.stdout
    run = keras_repro(*arguments, "--match", "message", "no such words")
    assert run.returncode == 3 and "fails in another way" in run.stderr
    run = keras_repro(*arguments, "--match", "message", "[")
    assert run.returncode == 2 and "regular expression" in run.stderr


def test_a_script_that_writes_into_keras_is_answered_all_the_same(
    history: History, place: Path
) -> None:
    """Lost otherwise: builds share their files, and one probe would decide all others."""
    hostile = place / "hostile.py"
    hostile.write_text(
        SCRIPT.replace(
            "sys.exit",
            "from pathlib import Path\n"
            "ops = Path(keras.__file__).parent / 'src' / 'ops.py'\n"
            "ops.chmod(0o644)\n"
            "ops.write_text('def add(x, y): return 3')\n"
            "sys.exit",
        )
    )
    run = keras_repro("bisect", hostile, *history.ends(), "--json")
    assert "writes into the Keras folder" in run.stderr
    [change] = document(run)["transitions"]
    assert change["culprit"]["sha"] == history.shas[WRONG_AT]
    # And nothing of it stays for others.
    [change] = document(keras_repro("bisect", history.script, *history.ends(), "--json"))[
        "transitions"
    ]
    assert change["culprit"]["sha"] == history.shas[WRONG_AT]


def test_a_flaky_script_is_answered_with_its_counts(history: History, place: Path) -> None:
    """Lost otherwise: a race would get the culprit that chance gives it."""
    flaky = place / "flaky.py"
    flaky.write_text(
        SCRIPT.replace("sys.exit(", "import random\nsys.exit(random.random() < 0.6 and ")
    )
    # By chance, two runs of an end may agree; ten do in one of hundreds.
    run = keras_repro(
        "bisect", flaky, *history.ends(), "--to", "commit", "--json", "--repeat", "10"
    )
    [change] = document(run)["transitions"]
    assert "does not always show the same" in run.stderr
    assert 0.99 <= change["confidence"] < 1
    assert change["culprit"]["sha"] == history.shas[WRONG_AT]
    counts = {one["build"]: one["runs"] for one in change["counts"]}
    assert counts[f"git:{history.shas[WRONG_AT]}"]["bad"] > 0


def test_two_at_once_share_a_cache_and_not_a_journal(history: History, place: Path) -> None:
    """Lost otherwise: two terminals could spoil each other's answer."""
    command = [str(COMMAND), "bisect", str(history.script), *history.ends(), "--json"]
    both = [
        subprocess.Popen(
            [*command, "--out", out], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for out in ("one", "other")
    ]
    for process in both:
        out, err = process.communicate(timeout=90)
        assert process.returncode == 0, err
        [change] = json.loads(out)["transitions"]
        assert change["culprit"]["sha"] == history.shas[WRONG_AT]


def test_predicate_never_gives_git_a_fault_for_a_verdict(history: History, place: Path) -> None:
    """Lost otherwise: a mistyped option would be taken for the first bad commit."""
    for arguments in (["--no-such"], ["missing.py"], [history.script, "--match", "type"], []):
        assert keras_repro("predicate", *arguments).returncode >= 128
    os.chdir(history.path)
    assert keras_repro("predicate", history.script).returncode == 1
    other = keras_repro("predicate", history.script, "--match", "message", "another")
    assert other.returncode == 125
