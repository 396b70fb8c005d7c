"""Without these, a test pasted into Keras' suite could pass where the bug is, or not be Python."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings

from keras_repro.case import Case
from keras_repro.contract import RULES
from keras_repro.reading import dump, render
from keras_repro.regression import regression_test
from keras_repro.strategies import cases
from keras_repro.trees.asked import checks_of
from keras_repro.trees.case import Node, TreeCase
from keras_repro.trees.strategies import tree_cases
from test_case import EVERY_FORM, EVERYTHING, FOUNDING
from test_cli import keras_repro
from tiny_keras import tiny_keras

RULE = (RULES["R11"],)

# What Keras' own test case does for the tests that are written here.
TESTING = """
import unittest
class TestCase(unittest.TestCase):
    def assertAllClose(self, got, want, rtol, msg):
        assert abs(got - want) <= rtol * abs(want), msg
"""

TREES = """
def flatten(structure):
    return [structure[key] for key in {order}]
"""


def _passes(folder: Path, test: str) -> bool:
    """Whether a test passes under the Keras in a folder."""
    (folder / "keras" / "src" / "testing.py").write_text(TESTING)
    path = folder / "pasted_test.py"
    path.write_text(test, "utf-8")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", path.name],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode in (0, 1), run.stdout
    assert "1 passed" in run.stdout or "AssertionError" in run.stdout, run.stdout
    return run.returncode == 0


@pytest.mark.parametrize("bugs, passes", [((), True), (("alphabet",), False)])
def test_it_fails_where_the_script_does(
    tmp_path: Path, bugs: tuple[str, ...], passes: bool
) -> None:
    """Lost: a regression test that no regression would break."""
    folder = tiny_keras(tmp_path, *bugs).path
    path = tmp_path / "case.json"
    path.write_text(dump(FOUNDING))
    run = keras_repro("script", path, "--pytest")
    assert run.returncode == 0, run.stderr
    assert "and goes by name" in run.stdout
    assert _passes(folder, run.stdout) is passes


@pytest.mark.parametrize("order, passes", [("sorted(structure)", True), ("structure", False)])
def test_a_law_of_trees_is_asserted(tmp_path: Path, order: str, passes: bool) -> None:
    """Lost: the test of a tree finding would print what is wrong, and pass."""
    folder = tiny_keras(tmp_path).path
    (folder / "keras" / "src" / "tree" / "__init__.py").write_text(TREES.replace("{order}", order))
    case = TreeCase(Node("dict", (1, 2), ("b", "a")), "T2")
    assert _passes(folder, regression_test(render(case).text, RULE)) is passes


def test_the_implementations_are_named_as_the_keras_that_is_installed_has_them(
    tmp_path: Path,
) -> None:
    """Lost: the kinds of test that name private parts of Keras were never run."""
    structure = Node("dict", (1, Node("tuple", (2,))), ("b", "a"))
    laws = {
        "compared": regression_test(render(TreeCase(structure, "T9")).text, RULE),
        "asked": regression_test(render(TreeCase(structure, "T2")).text, RULE, "dm-tree"),
    }
    assert "dmtree_impl as tree" in laws["asked"]
    for name, text in laws.items():
        (tmp_path / f"{name}_test.py").write_text(text)
        assert max(map(len, text.splitlines())) <= 80
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "2 passed" in run.stdout, run.stdout


def _same(script: str, test: str) -> bool:
    """Whether both make the same calls, with the same arguments."""
    told = []
    for text in (script, test):
        calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
        named = ("model.", "keras.", "output", "head", "Outputs", "np.", "tree.")
        kept = (node for node in calls if ast.unparse(node.func).startswith(named))
        told.append(sorted(ast.dump(node) for node in kept if "isclose" not in ast.unparse(node)))
    return told[0] == told[1]


@example(FOUNDING)
@example(EVERYTHING)
@example(EVERY_FORM)
@settings(max_examples=50)
@given(cases())
def test_it_asks_what_the_script_asks(case: Case) -> None:
    """Lost: a name with a quote in it would end a literal, or a form would become another."""
    script = render(case).text
    assert _same(script, regression_test(script, RULE))


@settings(max_examples=30)
@given(tree_cases())
def test_it_asks_of_trees_what_the_script_asks(case: TreeCase) -> None:
    """Lost: as above, for structures."""
    for law in (None, *{check.name for check in checks_of(case)[:5]}):
        script = render(TreeCase(case.structure, law)).text
        assert _same(script, regression_test(script, RULE))


def test_tests_are_formatted_as_keras_formats(tmp_path: Path) -> None:
    """Lost: the first thing a contributor would see is a refusal of Keras' own linter."""
    pytest.importorskip("ruff", reason="the formatter is not installed")
    drawn = [FOUNDING, EVERYTHING, EVERY_FORM]

    @settings(
        max_examples=60,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases())
    def draw(case: Case) -> None:
        drawn.append(case)

    draw()
    for number, case in enumerate(drawn):
        text = regression_test(render(case).text, RULE)
        (tmp_path / f"case_{number}_test.py").write_text(text, "utf-8")
    (tmp_path / "ruff.toml").write_text(
        'line-length = 80\n[lint]\nselect = ["E4", "E7", "E9", "F", "I"]\n'
        '[lint.isort]\nforce-single-line = true\nknown-first-party = ["keras"]\n'
    )
    for command in (["format", "--diff"], ["check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, str(tmp_path)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout


def test_a_test_cannot_choose_the_implementation_of_trees(tmp_path: Path) -> None:
    """Lost: a test that says dm-tree and runs under optree."""
    (tmp_path / "case.json").write_text(dump(FOUNDING))
    run = keras_repro("script", tmp_path, "--pytest", "--tree", "dm-tree")
    assert run.returncode == 2 and "--tree" in run.stderr
