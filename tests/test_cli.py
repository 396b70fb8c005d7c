"""Without these, what a person types wrongly could end in a traceback, or in a wrong exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

import psutil
import pytest

from keras_repro.reading import dump
from probing import fake_keras
from test_case import FOUNDING
from tiny_keras import tiny_keras

COMMAND = Path(sys.executable).parent / "keras-repro"
MARK = "KERAS_REPRO_TEST_RUN"
UNREACHABLE = "http://127.0.0.1:9/"


@pytest.fixture
def plain(tmp_path: Path) -> str:
    """A build that does nothing, for whom Keras is not the point."""
    return f"path:{fake_keras(tmp_path / 'plain').path}"


@pytest.fixture
def empty(tmp_path: Path) -> dict[str, str]:
    """An environment with a cache of its own that holds nothing."""
    return {"KERAS_REPRO_CACHE": str(tmp_path / "cache")}


def keras_repro(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command as a person does; it never falls over, and leaves no process."""
    mark = uuid.uuid4().hex
    run = subprocess.run(
        [str(COMMAND), *map(str, arguments)],
        env=os.environ | environment | {MARK: mark},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert "keras_repro/cli" not in run.stderr, run.stderr
    assert not _left(mark)
    return run


def _left(mark: str) -> list[psutil.Process]:
    """What still runs of a command, after a moment of grace: its processes inherit its mark."""
    end = time.monotonic() + 5
    while True:
        left = []
        for one in psutil.process_iter(["environ"]):
            if (one.info["environ"] or {}).get(MARK) == mark:
                left.append(one)
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.05)


def script(folder: Path, text: str, *, keras: bool = True) -> Path:
    path = folder / "a script.py"
    path.write_text(("import keras\n" if keras else "") + text, "utf-8")
    return path


# -- what is typed wrongly -------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["fnid"], "fnid"),
        (["run"], "SCRIPT"),
        (["run", "missing.py"], "missing.py"),
        (["bisect", "missing.json"], "missing.json"),
        (["timeline", "."], "cannot be read"),
        (["hunt", "--tree", "fir"], "fir"),
        (["hunt", "--seed", "-1"], "--seed"),
        (["hunt", "--max-examples", "0"], "--max-examples"),
        (["run", "x.py", "--timeout", "0"], "--timeout"),
        (["hunt", "--keras", "three"], "three"),
        (["hunt", "--keras", "path:/no/such/folder"], "no such folder"),
        (["hunt", "--no-such-option"], "--no-such-option"),
    ],
)
def test_bad_arguments_are_refused(arguments: list[str], said: str, empty: dict[str, str]) -> None:
    """Lost: a typing error would be a traceback, or be taken for something else."""
    run = keras_repro(*arguments, **empty)
    assert run.returncode == 2, run.stderr
    assert said in run.stderr
    assert run.stdout == ""


@pytest.mark.network
def test_a_keras_that_is_not_there_is_named_with_the_newest(tmp_path: Path) -> None:
    """Lost: who mistypes a version would not be told which there are."""
    path = script(tmp_path, "")
    for arguments in (["run", path, "--keras", "3.99"], ["hunt", "--keras", "3.99"]):
        run = keras_repro(*arguments, "--timeout", "5")
        newest = json.loads(keras_repro("builds", "--kind", "release", "--json").stdout)["builds"]
        assert run.returncode == 2
        assert "3.99" in run.stderr and newest[-1]["build"] in run.stderr


def test_a_script_that_is_not_python_is_refused_with_its_line(tmp_path: Path, plain: str) -> None:
    """Lost: a syntax error would make every build bad."""
    run = keras_repro("run", script(tmp_path, "x = (\ny = 1\n"), "--keras", plain)
    assert run.returncode == 2
    assert "line 2" in run.stderr or "line 3" in run.stderr
    assert "a script.py" in run.stderr


def test_a_broken_case_is_refused_with_its_field(tmp_path: Path, plain: str) -> None:
    """Lost: a case that was edited by hand would be a traceback."""
    path = tmp_path / "case.json"
    path.write_text(dump(FOUNDING).replace('"evaluate"', '"predict"'), "utf-8")
    for command in ("run", "timeline", "bisect"):
        run = keras_repro(command, path)
        assert run.returncode == 2
        assert "entry" in run.stderr and "case.json" in run.stderr


# -- what a script does ----------------------------------------------------------------


@pytest.mark.parametrize(
    "text, code, said",
    [
        ("", 0, "good: passes"),
        ("raise SystemExit(1)", 1, "bad: exits 1"),
        ("print('so it is')\nraise SystemExit(7)", 1, "bad: exits 7: so it is"),
        ("raise KeyError('b')", 1, "bad: KeyError: 'b'"),
        ("raise SystemExit(125)", 125, "untestable: the script exits 125"),
        ("while True: pass", 125, "untestable: does not end within 3 s"),
        ("import os; os.abort()", 1, "bad: is killed by SIGABRT"),
        ("import os; os._exit(0)", 0, "good"),
    ],
)
def test_run_ends_as_git_bisect_expects(
    tmp_path: Path, plain: str, text: str, code: int, said: str
) -> None:
    """Lost: `git bisect run keras-repro run …` would go astray."""
    run = keras_repro("run", script(tmp_path, text), "--keras", plain, "--timeout", "3")
    assert run.returncode == code, run.stderr
    assert said in run.stderr


def test_a_script_that_never_imports_keras_tests_nothing(tmp_path: Path, plain: str) -> None:
    """Lost: a script that ends too early would make every build good."""
    path = script(tmp_path, "import os; os._exit(0)\nimport keras\n", keras=False)
    run = keras_repro("run", path, "--keras", plain)
    assert run.returncode == 125
    assert "before it imported keras" in run.stderr


def test_what_a_script_prints_is_passed_on(tmp_path: Path, plain: str) -> None:
    """Lost: nobody would see what their script says."""
    path = script(tmp_path, "import sys\nprint('é out')\nprint('é err', file=sys.stderr)\n")
    run = keras_repro("run", path, "--keras", plain)
    assert run.stdout == "é out\n"
    assert "é err" in run.stderr


def test_a_script_under_the_installed_keras(tmp_path: Path) -> None:
    """Lost: the build that everybody has could not be asked about."""
    run = keras_repro("run", script(tmp_path, "raise SystemExit(7)"), "--keras", "installed")
    assert run.returncode == 1
    assert "exits 7" in run.stderr


def test_json_is_the_only_thing_on_standard_output(tmp_path: Path, plain: str) -> None:
    """Lost: what reads the answer would stumble over what a script prints."""
    path = script(tmp_path, "print('{')\nraise SystemExit(7)\n")
    run = keras_repro("run", path, "--keras", plain, "--tree", "both", "--json")
    assert run.returncode == 1
    document = json.loads(run.stdout)
    assert document["schema"] == 1
    assert [(one["verdict"], one["tree"]) for one in document["runs"]] == [
        ("bad", "optree"),
        ("bad", "dm-tree"),
    ]


def test_find_on_a_folder(tmp_path: Path, empty: dict[str, str]) -> None:
    """Lost: whoever works on Keras could not search their own checkout, without a network."""
    build = tiny_keras(tmp_path / "build", "alphabet")
    run = keras_repro(
        *("find", "--keras", f"path:{build.path}", "--first", "--only", "R11", "--json"),
        *("--tree", "optree"),
        *("--offline", "--out", tmp_path / "hunts", "--exit-code"),
        **empty,
    )
    assert run.returncode == 1, run.stderr
    [finding] = json.loads(run.stdout)["findings"]
    assert finding["rules"][0] == "R11"
    again = keras_repro("run", finding["script"], "--keras", f"path:{build.path}")
    assert again.returncode == 1
    again = keras_repro("run", finding["case"], "--keras", f"path:{build.path}")
    assert again.returncode == 1


# -- the index -------------------------------------------------------------------------


def test_an_index_that_cannot_be_reached_is_said(tmp_path: Path, empty: dict[str, str]) -> None:
    """Lost: a network that is down would be taken for a bad build, or be a traceback."""
    path = script(tmp_path, "")
    for arguments in (["builds"], ["run", path, "--keras", "3.5.0"], ["hunt"]):
        run = keras_repro(*arguments, "--index-url", UNREACHABLE, **empty)
        assert run.returncode == 5, run.stderr
        assert "127.0.0.1:9" in run.stderr
        assert run.stdout == ""


def test_offline_says_what_is_missing(tmp_path: Path, empty: dict[str, str]) -> None:
    """Lost: `--offline` would wait for a network, or end without a word."""
    path = script(tmp_path, "")
    for arguments in (["builds"], ["run", path, "--keras", "3.5.0"], ["timeline", path]):
        run = keras_repro(*arguments, "--offline", **empty)
        assert run.returncode == 5, run.stderr
        assert "offline" in run.stderr


@pytest.mark.network
def test_ends_that_are_swapped_are_said(tmp_path: Path) -> None:
    """Lost: a bisect would go on from ends that mean the opposite, and blame a wrong build."""
    path = script(tmp_path, "raise SystemExit(keras.__version__ == '3.4.1')")
    run = keras_repro("bisect", path, "--good", "3.4.1", "--bad", "3.5.0", "--to", "release")
    assert run.returncode == 3, run.stderr
    assert "swapped" in run.stderr and "--good 3.5.0 --bad 3.4.1" in run.stderr


@pytest.mark.network
def test_output_that_is_not_read_to_its_end_is_no_error() -> None:
    """Lost: `keras-repro builds | head` would end in a traceback."""
    with subprocess.Popen(
        [str(COMMAND), "builds", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == "{\n"
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(30) in (0, 1)


# -- help ------------------------------------------------------------------------------


def test_help_is_quick_and_loads_nothing_heavy() -> None:
    """Lost: `--help` would take the seconds that TensorFlow takes."""
    heavy = ("tensorflow", "keras", "hypothesis", "optree", "numpy", "pydantic", "requests")
    text = (
        "import sys, time\n"
        "sys.argv = ['keras-repro', '--help']\n"
        "from keras_repro.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    assert not end.code, end\n"
        f"print('loaded:', [one for one in {heavy!r} if one in sys.modules])\n"
        "print('seconds:', time.process_time())\n"
    )
    run = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    *shown, loaded, seconds = run.stdout.splitlines()
    assert "Usage: keras-repro" in shown[0]
    assert loaded == "loaded: []"
    assert float(seconds.partition(":")[2]) < 0.5


@pytest.mark.parametrize("command", ["hunt", "find", "run", "timeline", "bisect", "builds"])
def test_every_command_explains_itself(command: str) -> None:
    """Lost: an option without a word on it, or a help text that does not fit its command."""
    run = keras_repro(command, "--help")
    assert run.returncode == 0
    assert f"keras-repro {command}" in run.stdout
    assert max(map(len, run.stdout.splitlines())) <= 100
