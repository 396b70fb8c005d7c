"""Without these, a full disk or a closed pipe could be a verdict, and an odd name a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType

import click
import pytest

from keras_bisect.errors import UsageError
from keras_repro.cli import main
from keras_repro.cli.commands import cli
from keras_repro.cli.values import Size
from keras_repro.reading import dump
from probing import fake_keras
from test_case import FOUNDING
from test_cli import COMMAND

OK, BAD, SAYS = "", "raise SystemExit(1)\n", "print('so it is')\n"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a Keras that does nothing, with scripts beside it."""
    folder = fake_keras(tmp_path / "checkout").path
    for name, text in (("ok", OK), ("bad", BAD), ("says", SAYS)):
        (folder / f"{name}.py").write_text("import keras\n" + text)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("KERAS_REPRO_CACHE", str(tmp_path / "cache"))
    return folder


def ends(
    arguments: list[str], *, out: str | None = None, err: str | None = None, **environment: str
) -> tuple[int, str, str]:
    """The exit code, and what was said where it could be read.

    `out` and `err`: `full` is a full disk, `gone` a pipe that nobody reads, `closed` nothing.
    """
    closes = "".join(f" {number}>&-" for number, to in ((1, out), (2, err)) if to == "closed")
    with ExitStack() as stack:

        def stream(to: str | None) -> int:
            if to == "full":
                return stack.enter_context(Path("/dev/full").open("wb")).fileno()
            if to == "gone":
                reading, writing = os.pipe()
                os.close(reading)
                stack.callback(os.close, writing)
                return writing
            return subprocess.PIPE

        run = subprocess.run(
            ["sh", "-c", f'exec "$0" "$@"{closes}', str(COMMAND), *arguments],
            stdout=stream(out),
            stderr=stream(err),
            stdin=subprocess.DEVNULL,
            env=os.environ | environment,
            timeout=90,
            check=False,
        )
    said = ((one or b"").decode("utf-8", "replace") for one in (run.stdout, run.stderr))
    return run.returncode, *said


STREAMS = ["full", "gone", "closed"]
needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")


@needs_full
@pytest.mark.parametrize("err", STREAMS)
def test_what_cannot_be_said_aside_changes_no_verdict(checkout: Path, err: str) -> None:
    """Lost: `git bisect` would name a good commit, because a disk was full."""
    assert ends(["predicate", "ok.py", "--fresh"], err=err)[0] == 0
    assert ends(["predicate", "bad.py", "--fresh"], err=err)[0] == 1
    assert ends(["predicate", "missing.py"], err=err)[0] == 129
    assert ends(["predicate", "--no-such"], err=err)[0] == 129


@needs_full
def test_an_answer_that_cannot_be_written_is_a_fault(checkout: Path) -> None:
    """Lost: an answer that nobody got would count as given, or as `bad`."""
    run = ["run", "says.py", "--keras", "path:.", "--fresh", "--offline"]
    for arguments, code in ((run, 5), (["--help"], 5), (["predicate", *run[1:2], "--fresh"], 128)):
        for out in ("full", "closed"):
            ended, _, said = ends(arguments, out=out)
            assert ended == code
            assert said.count("\n") == 1 and "tandard output" in said, said


def test_a_reader_that_has_seen_enough_is_no_fault(checkout: Path) -> None:
    """Lost: `keras-repro builds | head` would end in a traceback, or say that something is bad."""
    run = ["run", "says.py", "--keras", "path:.", "--fresh", "--offline"]
    for arguments in (["--help"], ["bisect", "--help"], [*run, "--json"]):
        assert ends(arguments, out="gone") == (0, "", "")
    assert ends(run, out="gone")[0] == 0
    assert ends(["run", "bad.py", *run[2:]], out="gone")[0] == 1


def test_any_encoding_takes_any_word(checkout: Path) -> None:
    """Lost: a script that prints an é, on a machine of another language, would be a traceback."""
    (checkout / "words.py").write_text("import keras\nprint('é ✗')\nprint('\\udc80')\n", "utf-8")
    ascii_only = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0"}
    run = ["run", "words.py", "--keras", "path:.", "--fresh", "--offline"]
    code, out, err = ends(run, **ascii_only)
    assert (code, err.count("\n")) == (0, 1) and "\\xe9" in out
    for environment in ({}, ascii_only):
        code, out, _ = ends([*run, "--json"], **environment)
        assert code == 0
        assert json.loads(out)["runs"][0]["stdout"].startswith("é ✗\n")
    name = os.fsdecode(b"\xff.py")
    code, _, err = ends(["run", name], **ascii_only)
    assert code == 2 and "udcff" in err and "Traceback" not in err


def test_a_broken_installation_is_no_verdict(checkout: Path, tmp_path: Path) -> None:
    """Lost: a package that is gone would make a commit bad: Python ends with 1."""
    (tmp_path / "click.py").write_text("raise ImportError('no click')\n")
    code, _, said = ends(["predicate", "ok.py"], PYTHONPATH=str(tmp_path))
    assert code == 128 and "no click" in said
    assert ends(["run", "ok.py"], PYTHONPATH=str(tmp_path))[0] == 5


# -- what is named ---------------------------------------------------------------------


ODD = [
    *(("--memory", size) for size in ("nan", "inf", "-1", "0", "", "4x", "1e3", "9" * 20)),
    *(("--timeout", seconds) for seconds in ("nan", "inf", "0", "-1", "1e300", "")),
    *(("--confidence", chance) for chance in ("nan", "1", "0.5", "-inf")),
    *(("--repeat", runs) for runs in ("0", "-1", "nan", "9" * 30, "²")),
    *(("--match", match) for match in ("", "message", "message (", "message a{" + "9" * 20 + "}")),
    *(("--jobs", jobs) for jobs in ("0", "nan", "9" * 20)),
    *((option, " ") for option in ("--good", "--bad", "--repo", "--index-url", "--suspect")),
    *((option, path) for option in ("--git-log", "--events") for path in ("", "-", ".", "ok.py/x")),
    *(("--out", path) for path in ("", "-", "/dev/null", "ok.py")),
]


def refused(*arguments: str) -> str:
    """What is said of arguments that are wrong."""
    with pytest.raises((click.UsageError, UsageError)) as error:
        cli.main(list(arguments), standalone_mode=False)
    one = error.value
    said = one.format_message() if isinstance(one, click.UsageError) else str(one)
    assert "\n" not in said
    return said


@pytest.mark.parametrize("option, value", ODD)
def test_an_odd_value_is_refused_in_one_line(checkout: Path, option: str, value: str) -> None:
    """Lost: `--memory nan` was a traceback, and `--git-log ''` was found wrong after an hour."""
    assert option in refused("bisect", "ok.py", option, value)


def test_what_is_refused_is_said_in_one_line_with_where_to_look(checkout: Path) -> None:
    """Lost: four lines, of which only the last says what is wrong."""
    for arguments in (["bisect", "ok.py", "--memory", "nan"], ["bisect"], ["bisect", "--no"]):
        code, out, err = ends(arguments)
        assert (code, out) == (2, "")
        assert err.startswith("keras-repro: ") and err.endswith("bisect --help` tells more.\n")
        assert err.count("\n") == 1
    code, out, err = ends([])
    assert (code, out) == (2, "") and "predicate" in err


def test_sizes_are_written_as_people_write_them(checkout: Path) -> None:
    """Lost: 4g would be refused, or 512m be five hundred gigabytes."""
    sizes = {"4": 4096, "4g": 4096, "0.5": 512, "512m": 512, "1.5GiB": 1536, "300 MB": 300}
    for size, megabytes in sizes.items():
        assert Size().convert(size, None, None) == megabytes << 20
    (checkout / "eats.py").write_text(
        "import keras\nx = bytearray(400 << 20)\nimport time\ntime.sleep(20)\n"
    )
    run = ["run", "eats.py", "--keras", "path:.", "--fresh", "--memory", "200m"]
    code, _, said = ends(run)
    assert code == 125 and "more memory" in said


SCRIPTS: dict[str, tuple[bytes, str]] = {
    "parentheses": (b"(" * 100_000 + b")" * 100_000, "nested"),
    "signs": (b"x = " + b"-" * 100_000 + b"1", "nested too deeply"),
    "sum": (b"x = " + b"+".join([b"a"] * 200_000), "nested too deeply"),
    "null": (b"import keras\n\0", "null bytes"),
    "no such encoding": (b"# coding: nope\nimport keras\n", "not text"),
    "no text encoding": (b"# coding: hex\nimport keras\n", "not text"),
    "latin-1 by surprise": (b"import keras  # \xe9\n", "not text"),
    "utf-16": ("import keras\n".encode("utf-16"), "not text"),
}


@pytest.mark.parametrize("kind", SCRIPTS)
def test_an_odd_script_is_refused_in_one_line(checkout: Path, kind: str) -> None:
    """Lost: it would be a traceback, and with `predicate` a verdict."""
    text, said = SCRIPTS[kind]
    (checkout / "odd.py").write_bytes(text)
    shown = refused("run", "odd.py")
    assert said in shown and "odd.py" in shown and "None" not in shown


def test_a_script_that_is_no_script_is_no_verdict(checkout: Path) -> None:
    """Lost: git would call a commit bad for a script that never ran."""
    (checkout / "odd.py").write_bytes(SCRIPTS["signs"][0])
    (checkout / "odd.json").write_text("{")
    for name in ("odd.py", "odd.json", "."):
        code, _, said = ends(["predicate", name])
        assert code == 129 and said.count("\n") == 1


def test_a_script_in_its_own_encoding_is_run(checkout: Path) -> None:
    """Lost: Python would run it, and this would not."""
    (checkout / "odd.py").write_bytes(b"# coding: latin-1\nimport keras\nassert ord('\xe9') == 233")
    assert ends(["run", "odd.py", "--keras", "path:.", "--fresh"])[0] == 0


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 30)


@pytest.mark.parametrize("make", [_fifo, _endless, _huge, Path.mkdir])
@pytest.mark.parametrize("name", ["odd.py", "odd.json"])
def test_what_is_no_small_file_is_refused_at_once(
    checkout: Path, name: str, make: Callable[[Path], None]
) -> None:
    """Lost: it would be waited for without end, or be read until there is no memory."""
    make(checkout / name)
    assert name in refused("run", name)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000 + "]" * 100_000,
        '{"schema": 1, "kind": "tree", "laws": ["T1"], "structure": '
        + '{"list": [' * 300
        + "1"
        + "]}" * 300
        + "}",
        dump(FOUNDING).replace("9.0", "1" + "0" * 400),
        dump(FOUNDING).replace("9.0", "NaN"),
        "",
        "null",
    ],
)
def test_an_odd_case_is_refused_in_one_line(checkout: Path, text: str) -> None:
    """Lost: a case that somebody made by hand, or sent by mail, would be a traceback."""
    (checkout / "odd.json").write_text(text)
    assert "odd.json" in refused("run", "odd.json")


def test_a_file_of_the_name_of_a_case_is_no_case(checkout: Path) -> None:
    """Lost: whoever has a case.json of their own could not bisect a script beside it."""
    (checkout / "case.json").write_text('{"mine": true}')
    assert ends(["run", "ok.py", "--keras", "path:.", "--fresh"])[0] == 0


def test_a_script_comes_through_a_pipe(checkout: Path) -> None:
    """Lost: `keras-repro run <(…)` and `run /dev/stdin` would be refused."""
    run = subprocess.run(
        [str(COMMAND), "run", "/dev/stdin", "--keras", "path:.", "--fresh"],
        input=b"import keras\nraise SystemExit(1)\n",
        capture_output=True,
        timeout=90,
        check=False,
    )
    assert run.returncode == 1, run.stderr


def test_ctrl_c_while_it_starts_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lost otherwise: whoever changes their mind at once is shown the toolkit's insides."""

    class Interrupted(ModuleType):
        def __getattr__(self, name: str) -> object:
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "keras_repro.cli.commands", Interrupted("commands"))
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 130
