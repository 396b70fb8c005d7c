"""Without these, what is filed could be unlike what a person writes, or judge Keras wrongly."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from keras_repro.case import ByName, Case, InOrder, One, Output
from keras_repro.oracle import expected
from keras_repro.script import literal, read_table, render
from keras_repro.strategies import cases
from test_case import EVERY_FORM, EVERYTHING, FOUNDING

GOLDEN = Path(__file__).parent / "golden"


def _formatter(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "ruff", *arguments, "--isolated"]


@pytest.mark.parametrize(
    "name, case",
    [("founding", FOUNDING), ("everything", EVERYTHING), ("every-form", EVERY_FORM)],
)
def test_the_script_is_the_one_that_people_know(name: str, case: Case) -> None:
    """Lost: the program that is filed could change without anybody reading it."""
    assert render(case) == (GOLDEN / f"{name}.script.py").read_text(encoding="utf-8")


def test_scripts_are_formatted_as_they_stand(tmp_path: Path) -> None:
    """Lost: who pastes a script into a repository would have it rewritten by the formatter."""
    pytest.importorskip("ruff", reason="the formatter is not installed")
    long = "a_rather_long_name_for_an_output"
    drawn = [
        FOUNDING,
        EVERYTHING,
        EVERY_FORM,
        Case((Output("a", 9.0),), "tuple", One("mse"), InOrder((3.0,))),
        Case(
            (Output(long, 9.0), Output(long + "_1", 1.0)),
            "list",
            ByName(((long + "_1", "mse"), (long, "mae"))),
            ByName(((long + "_1", 3.0), (long, 4.0))),
            metrics=ByName(((long + "_1", ("mse", "mae")), (long, ("mse",)))),
        ),
    ]

    @settings(
        max_examples=150,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases())
    def draw(case: Case) -> None:
        drawn.append(case)

    draw()
    for number, case in enumerate(drawn):
        (tmp_path / f"case_{number}.py").write_text(render(case), encoding="utf-8")
    command = _formatter("format", "--check", "--diff", str(tmp_path))
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    command = _formatter("check", "--select", "F,E7,E9,B", str(tmp_path))
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@given(cases(twists=()))
def test_the_script_says_what_the_case_says(case: Case) -> None:
    """Lost: an order or a name could be lost between the case and its program."""
    tree = ast.parse(render(case))
    calls = {ast.unparse(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    keywords = {word.arg: word.value for word in calls["model.compile"].keywords}
    for field in ("loss", "loss_weights", "metrics"):
        given_ = getattr(case, field)
        if given_ is None:
            assert field not in keywords
            continue
        value = ast.literal_eval(keywords[field])
        if isinstance(given_, ByName):
            assert tuple(value) == given_.names
            value = tuple(value.values())
        shown = given_.value if isinstance(given_, One) else _lists(given_)
        assert (value if isinstance(given_, One) else list(value)) == shown
    assert ("run_eagerly" in keywords) == case.eager
    assert f"model.{case.entry}" in calls
    tables = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AugAssign)
        and ast.unparse(node.target if isinstance(node, ast.AugAssign) else node.targets[0])
        == "expected"
    ]
    merged = {name: value for table in tables for name, value in table.items()}
    assert merged == {one.name: one.value for one in expected(case)}


def _lists(given_: InOrder[object] | ByName[object]) -> list[object]:
    values = given_.values if isinstance(given_, InOrder) else [value for _, value in given_.items]
    return [list(value) if isinstance(value, tuple) else value for value in values]


@given(cases(max_outputs=2, twists=()))
def test_two_outputs_fit_on_a_screen(case: Case) -> None:
    """Lost: a script for a maintainer would grow beyond what is read at a glance."""
    text = render(case)
    # A finding is shrunk to names of a letter; long ones take a line each.
    short = all(len(name) <= 3 for one in case.outputs for name in (one.name, one.layer))
    assert text.count("\n") <= (40 if short else 50)
    assert "keras_repro" not in text
    assert "__version__" not in text


@given(st.text())
def test_a_literal_is_its_text(text: str) -> None:
    """Lost: a name with a quote or a backslash would be another name in the script."""
    assert ast.literal_eval(literal(text)) == text


@pytest.mark.parametrize(
    "text, shown",
    [
        ("b", '"b"'),
        ("it's", '"it\'s"'),
        ('say "b"', "'say \"b\"'"),
        ("a\\b", '"a\\\\b"'),
        ("'\"", '"\'\\""'),
        ("é\n", '"é\\n"'),
    ],
)
def test_a_literal_has_the_quotes_of_a_formatter(text: str, shown: str) -> None:
    """Lost: one odd name, and the script is not as a formatter leaves it."""
    assert literal(text) == shown


def _table(rows: dict[str, tuple[float | None, float | None]]) -> str:
    cells = {
        name: ["-" if cell is None else str(cell) for cell in row] for name, row in rows.items()
    }
    return "\n".join(
        f"{name!r:10} expected {want:8} observed {got} " for name, (want, got) in cells.items()
    )


_NUMBER = st.none() | st.floats(allow_nan=False)


@given(
    st.dictionaries(st.text(), st.tuples(_NUMBER, _NUMBER)),
    st.lists(st.sampled_from(["1/1 - 0s", "", "'a'", "'' expected observed", "W0000 'b' 1.0 2.0"])),
)
def test_the_table_is_read_from_among_other_output(
    rows: dict[str, tuple[float | None, float | None]], noise: list[str]
) -> None:
    """Lost: a warning that Keras prints would hide a number, or be taken for one."""
    text = "\n".join([*noise, _table(rows), *noise])
    assert read_table(text) == rows


def _run(text: str, tmp_path: Path, keras: str | None = None) -> subprocess.CompletedProcess[str]:
    program = tmp_path / "repro.py"
    program.write_text(text, encoding="utf-8")
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    if keras is not None:
        (tmp_path / "shadow").mkdir()
        (tmp_path / "shadow" / "keras.py").write_text(keras, encoding="utf-8")
        environment["PYTHONPATH"] = str(tmp_path / "shadow")
    return subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, env=environment, timeout=120
    )


def test_a_right_keras_exits_0(tmp_path: Path) -> None:
    """Lost: no test would run the program that is filed against a Keras that has no bug in it."""
    done = _run(render(FOUNDING), tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    table = read_table(done.stdout)
    assert table["loss"] == (45.0, 45.0)
    assert table["b_loss"] == (36.0, 36.0)


def test_what_keras_raises_is_shown_and_exits_1(tmp_path: Path) -> None:
    """Lost: a refusal, which is a finding too, could end as good or as untestable."""
    program = render(FOUNDING).replace('loss={"b": "mse", "a": "mse"}', 'loss={"b": "no such"}')
    done = _run(program, tmp_path)
    assert done.returncode == 1
    assert "Traceback" in done.stderr


@pytest.mark.parametrize("keras", ["raise ImportError('no backend')", "import numpy; numpy.gone"])
def test_a_keras_that_cannot_be_imported_exits_125(tmp_path: Path, keras: str) -> None:
    """Lost: an environment that cannot run Keras at all would be blamed on Keras."""
    done = _run(render(FOUNDING), tmp_path, keras)
    assert done.returncode == 125, done.stdout + done.stderr
    assert "Keras cannot be imported here" in done.stdout


# A stand-in for Keras that reports what it is told to: only the script is under test.
_STAND_IN = """
class Model:
    def __init__(self, x, outputs): pass
    def compile(self, **options): pass
    def evaluate(self, *data, **options): return {reported}
Input = lambda shape: None
class initializers: Constant = float
class layers: Dense = lambda units, bias_initializer, name: lambda x: name
"""


@pytest.mark.parametrize(
    "reported, code",
    [
        ({"loss": 45.0}, 0),
        ({"loss": 45.0, "b_loss": 36.0, "a_loss": 9.0}, 0),
        ({"loss": 45.0, "b_loss": 36.0, "a_loss": 9.0, "lr": 0.1}, 0),
        ({"loss": 45.0001}, 0),
        ({"loss": 45.01}, 1),
        ({"loss": float("nan")}, 1),
        ({"loss": 45.0, "b_loss": 9.0, "a_loss": 36.0}, 1),
        ({"b_loss": 36.0, "a_loss": 9.0}, 1),
        ({}, 1),
    ],
)
def test_the_exit_code_is_that_of_the_numbers(
    tmp_path: Path, reported: dict[str, float], code: int
) -> None:
    """Lost: a number that a release leaves out could be held against it, or a wrong one pass."""
    shown = repr(reported).replace("nan", "float('nan')")
    done = _run(render(FOUNDING), tmp_path, _STAND_IN.replace("{reported}", shown))
    assert done.returncode == code, done.stdout + done.stderr


def test_a_metric_that_is_not_reported_is_wrong(tmp_path: Path) -> None:
    """Lost: metrics that went to the wrong outputs are reported under other names, and pass."""
    case = Case(
        FOUNDING.outputs,
        "list",
        FOUNDING.loss,
        FOUNDING.targets,
        metrics=ByName((("b", ("mae",)), ("a", ("mse",)))),
    )
    reported = {"loss": 45.0, "b_mse": 36.0, "a_mae": 3.0}
    done = _run(render(case), tmp_path, _STAND_IN.replace("{reported}", repr(reported)))
    assert done.returncode == 1
    assert read_table(done.stdout)["b_mae"] == (6.0, None)
    assert read_table(done.stdout)["a_mae"] == (None, 3.0)
