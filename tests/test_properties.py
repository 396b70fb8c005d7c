"""Without these, what others run against their Keras could pass whatever it does, or not start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from keras_repro.checking import check
from keras_repro.trees.case import Node, TreeCase

KNOWN = Path(__file__).parent / "properties" / "known.txt"


def run(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # An installation knows the options by itself.
    plugins = ["-p", "no:cacheprovider", "-p", "keras_repro.properties.options"]
    command = [sys.executable, "-m", "pytest", "-q", *plugins, "--pyargs"]
    environment = {name: value for name, value in os.environ.items() if "KERAS_REPRO" not in name}
    return subprocess.run(
        [*command, *arguments],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=540,
        check=False,
    )


@pytest.mark.parametrize("tree", ["optree", "dm-tree"])
def test_the_installed_keras_breaks_of_keras_tree_what_is_known_and_no_more(
    tmp_path: Path, tree: str
) -> None:
    """Lost: nobody notices that the installed Keras breaks one more law of keras.tree."""
    module = "keras_repro.properties.test_trees"
    ran = run(tmp_path, module, f"--keras-repro-tree={tree}", f"--keras-repro-known={KNOWN}")
    assert ran.returncode == 0, ran.stdout
    missing = [line for line in ran.stdout.splitlines() if "accepted, and not seen" in line]
    elsewhere = [line for line in KNOWN.read_text("utf-8").splitlines() if "# " in line[1:]]
    others = [line.partition("  # ")[0] for line in elsewhere if not line.endswith(f"# {tree}")]
    assert {line.partition(": ")[2] for line in missing} == set(others)


def test_what_is_not_accepted_fails_with_its_script(tmp_path: Path) -> None:
    """Lost: a run that is green whatever Keras does."""
    known = tmp_path / "known.txt"
    known.write_text("# nothing\n", "utf-8")
    module = "keras_repro.properties.test_trees"
    ran = run(tmp_path, module, "-k", "T5.without", f"--keras-repro-known={known}")
    assert ran.returncode == 1
    assert "T5 map_structure(f): raises ValueError" in ran.stdout
    assert "from keras import tree" in ran.stdout


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """Lost: with a mistyped name every accepted bug would fail, or none would be looked at."""
    ran = run(tmp_path, "keras_repro.properties", "--keras-repro-known=nowhere.txt")
    assert ran.returncode == 4
    assert "nowhere.txt" in ran.stderr + ran.stdout


def test_one_case_can_be_checked_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lost: whoever debugs Keras would have to start a process for each try."""
    ordered = TreeCase(Node("OrderedDict", (1, 2), ("b", "a")), "T2")
    assert check(ordered) == ()
    monkeypatch.setitem(sys.modules, "keras", None)
    assert check(ordered) == ()


@pytest.mark.parametrize("profile", ["ci", "night"])
def test_the_profiles_are_there(tmp_path: Path, profile: str) -> None:
    """Lost: the nightly run would fail before its first test."""
    module = "keras_repro.properties.test_trees"
    ran = run(tmp_path, module, f"--hypothesis-profile={profile}", "--collect-only")
    assert ran.returncode == 0, ran.stdout + ran.stderr
