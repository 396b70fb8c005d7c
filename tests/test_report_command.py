"""`keras-repro report` as a person uses it: after a real hunt and a real bisect.

Without these a report could be of another failure than the folder's.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from keras_repro.case import Case
from keras_repro.changes import changed
from keras_repro.report.facts import Facts, folders, read_facts
from local_index import LocalIndex
from test_cli import keras_repro
from tiny_keras import tiny_keras

SCRIPT = """
\"\"\"Targets are mixed up.\"\"\"

import sys
import keras
import numpy as np

def output(name, value):
    return keras.layers.Dense(1, bias_initializer=value, name=name)("x")

model = keras.Model("x", [output("b", 9.0), output("a", 1.0)])
model.compile(loss="mse")
y = {"b": np.full((2, 1), 3.0), "a": np.full((2, 1), 4.0)}
print("loss", model.evaluate(None, y)["loss"])
assert model.evaluate(None, y)["loss"] == 45.0, "mixed | up"
"""

HUNT = ("hunt", "--keras", "3.5.0", "--max-examples", "120", "--only", "R11")
COMMAND = "keras-repro hunt --keras 3.5.0 --tree optree --seed 0 --max-examples 120 --only R11"


@dataclass(frozen=True)
class World:
    """Releases 3.4.1 to 3.6.0, of which 3.5.0 alone is wrong, what was found in them, and where."""

    finding: Path
    bisect: Path
    script: Path
    shared: tuple[str, ...]
    environment: dict[str, str]

    def __call__(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return keras_repro(*arguments, *self.shared, **self.environment)

    def report(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return self("report", *arguments)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    root = tmp_path_factory.mktemp("reports")
    with LocalIndex() as index:
        for version, bugs in {"3.4.1": [], "3.5.0": ["alphabet"], "3.6.0": []}.items():
            source = tiny_keras(root / version, *bugs)
            made = {
                path.relative_to(source.path).as_posix(): path.read_bytes()
                for path in source.path.rglob("*.py")
            }
            made["keras/__init__.py"] = made["keras/__init__.py"].replace(
                b"3.5.0", version.encode()
            )
            index.offer(version, made)
        hunts, script = root / "hunts", root / "mixed.py"
        script.write_text(SCRIPT)
        shared = ("--index-url", index.url, "--repo", "none")
        environment = {"KERAS_REPRO_CACHE": str(root / "cache")}
        world = World(hunts / "found", hunts / "bisect", script, shared, environment)
        # This Keras computes nothing, and no backend need be imported.
        plain = ("--backend", "numpy", "--tree", "optree")
        run = world(*HUNT, *plain, "--out", root / "all")
        assert run.returncode == 0, run.stderr
        (slug,) = (p for p in (root / "all").iterdir() if "target-alphabet-dict" in p.name)
        shutil.copytree(slug, world.finding)
        ends = ("--good", "3.4.1", "--bad", "3.5.0")
        run = world("bisect", script, *ends, *plain, "--out", root / "b")
        assert run.returncode == 0, run.stderr
        shutil.move(next((root / "b").iterdir()), world.bisect)
        # Both, and the page that leads to them.
        run = world("report", hunts, "--json")
        assert run.returncode == 0, run.stderr
        titles = [one["title"] for one in json.loads(run.stdout)["reports"]]
        assert titles[0] == "Targets are mixed up since 3.5.0"
        yield world


@pytest.fixture
def facts(world: World) -> Facts:
    return read_facts(world.finding)


def test_a_finding_is_reported(world: World) -> None:
    text = (world.finding / "issue.md").read_text("utf-8")
    assert text.startswith("Works in 3.4.1, wrong since 3.5.0; fixed in 3.6.0.\n")
    assert "#> 'loss'     expected 45.0     observed 29.0 <- wrong" in text
    assert "It passes with a list of targets:" in text
    assert f"{COMMAND} --backend numpy" in text
    assert "between 3.4.1 and 3.5.0 was not narrowed to a commit" in text


def test_a_second_report_changes_no_byte(world: World) -> None:
    files = (world.finding / "issue.md", world.finding / "report.html")
    before = [file.read_bytes() for file in files]
    run = world.report(world.finding)
    assert run.returncode == 0, run.stderr
    assert "This looks like #20346" in run.stderr
    assert [file.read_bytes() for file in files] == before


def test_the_script_of_an_issue_runs_as_it_is_pasted(world: World, tmp_path: Path) -> None:
    text = (world.finding / "issue.md").read_text("utf-8")
    pasted = tmp_path / "pasted.py"
    pasted.write_text(text.partition("```python\n")[2].partition("\n```")[0])
    ends = {"3.4.1": 0, "3.5.0": 1, "3.6.0": 0}
    for version, code in ends.items():
        root = next((Path(world.environment["KERAS_REPRO_CACHE"]) / "builds").glob(f"{version}-*"))
        made = subprocess.run(
            [sys.executable, pasted], env={"PYTHONPATH": str(root)}, capture_output=True, timeout=60
        )
        assert made.returncode == code, made.stderr


def test_a_bisect_of_anybodys_script_is_reported(world: World) -> None:
    text = (world.bisect / "issue.md").read_text("utf-8")
    assert text.startswith("Works in 3.4.1, fails since 3.5.0; fixed in 3.6.0.\n")
    assert text.count("#> loss 29.0\n") == 1
    assert "`AssertionError: mixed \\| up`" in text
    assert "It passes with Keras 3.4.1, unchanged." in text
    assert "What Keras promises" not in text


def test_several_folders_get_an_index(world: World) -> None:
    index = (world.finding.parent / "index.html").read_text("utf-8")
    assert 'href="found/report.html"' in index and 'href="bisect/report.html"' in index


def test_a_script_that_was_changed_since_is_not_reported(world: World) -> None:
    before = world.script.read_text()
    world.script.write_text(before + "\n")
    try:
        run = world.report(world.bisect)
    finally:
        world.script.write_text(before)
    assert run.returncode == 2
    assert "the script has changed since" in run.stderr


def test_a_failure_that_is_gone_is_not_reported(world: World, tmp_path: Path) -> None:
    """Lost: an issue would show what nobody can see."""
    other = tmp_path / "hunt"
    shutil.copytree(world.finding, other, ignore=shutil.ignore_patterns("*.md", "*.html"))
    document = json.loads((other / "hunt.json").read_text())
    for entry in document["findings"][0]["timeline"]:
        entry["verdict"] = "bad" if entry["build"] == "3.4.1" else "good"
    document["findings"][0]["transitions"] = []
    (other / "hunt.json").write_text(json.dumps(document))
    run = world.report(other)
    assert run.returncode == 3
    assert "search again" in run.stderr
    assert not (other / "issue.md").exists()


def test_what_is_known_is_not_filed_again(world: World, tmp_path: Path) -> None:
    other = tmp_path / "hunt"
    shutil.copytree(world.finding, other, ignore=shutil.ignore_patterns("*.md", "*.html"))
    run = world.report(other, "--known")
    assert run.returncode == 0
    assert "This looks like #20346" in run.stderr
    assert not (other / "issue.md").exists()


def test_one_line_can_be_had_alone(world: World) -> None:
    assert world.report(world.bisect, "--title-only").stdout == "Targets are mixed up since 3.5.0\n"
    link = world.report(world.finding, "--link").stdout
    assert link.startswith("https://github.com/keras-team/keras/issues/new?title=The+loss+of")
    assert link.count("\n") == 1


@pytest.mark.parametrize(
    "name, text, said",
    [
        ("hunt.json", "{", "not the result of a hunt"),
        ("hunt.json", '{"schema": 2, "findings": []}', "another schema"),
        ("hunt.json", '{"schema": 1, "findings": [{}]}', "not the result of a hunt"),
        ("case.json", "[]", "not a case"),
        ("repro.py", "(", "not valid Python"),
        ("journal.jsonl", "{}\n", "is damaged"),
    ],
)
def test_a_damaged_folder_is_told_in_one_line(
    world: World, tmp_path: Path, name: str, text: str, said: str
) -> None:
    other = tmp_path / "hunt"
    shutil.copytree(world.finding, other)
    (other / name).write_text(text)
    run = world.report(other, "--title-only")
    assert run.returncode == 2
    assert said in run.stderr
    assert run.stderr.count("\n") == 1


def test_a_folder_that_is_no_hunt_is_said(tmp_path: Path, world: World) -> None:
    run = world.report(tmp_path)
    assert run.returncode == 2
    assert "expected to be the folder of a hunt" in run.stderr
    assert folders(world.finding / "case.json") == [world.finding]


def test_every_neighbour_is_a_case_that_differs(facts: Facts) -> None:
    case = facts.case
    assert isinstance(case, Case)
    found = dict(changed(case))
    assert case not in found.values()
    assert len(set(found.values())) == len(found) >= 5


def test_the_script_of_a_case_is_rendered_alone(world: World) -> None:
    run = keras_repro("script", world.finding)
    assert run.stdout == (world.finding / "repro.py").read_text()
