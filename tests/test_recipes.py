"""Every command of the recipes is run, in the order in which a reader meets it.

Keras is a tiny one here, with a bug that began in 3.5.0, ended in 3.9.2 and began again in 3.10.0;
the history is a real repository. What stands for something of the reader's (the name of a folder)
is the only thing that is replaced.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from keras_bisect.builds.store import Source
from keras_repro.cli.commands import cli
from local_index import LocalIndex
from test_readme import ROOT
from tiny_keras import tiny_keras
from upstream import Upstream

SCRIPT = """
import keras
from numpy import array

dense = keras.layers.Dense
model = keras.Model("x", [dense(1, 9.0, "b")("x"), dense(1, 1.0, "a")("x")])
model.compile("mse")
logs = model.evaluate(0, {"b": array([3.0]), "a": array([4.0])})
assert logs["loss"] == 45.0, "Unknown variable in the sum"
"""

HISTORY = {
    "3.0.0": [],
    "3.4.1": [],
    "3.5.0": ["alphabet"],
    "3.6.0": ["alphabet"],
    "3.7.0": ["alphabet"],
    "3.9.2": [],
    "3.10.0": ["alphabet"],
}
RECIPES = ("file-a-bug", "bisect", "inconclusive", "flaky", "rules")
SHOWS_IT = ("run", "predicate")
"""Commands whose exit code is the verdict."""
BRIEF = {"hunt": ["--max-examples", "120", "--tree", "optree"]}
MENDED = ["--good", "3.9.2"]
"""Of the script here the newest release is bad, so it cannot be the one that mended it."""


@pytest.fixture
def reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plain_cases: None
) -> Iterator[LocalIndex]:
    """A reader's folder: a script, and a clone of Keras beside it."""
    clone = Upstream(tmp_path / "keras")
    with LocalIndex() as index:
        for version, bugs in HISTORY.items():
            files = _files(tiny_keras(tmp_path / version, *bugs), version)
            index.offer(version, files)
            clone.commit(version, {name: data.decode() for name, data in files.items()})
            clone("tag", f"v{version}")
        index.offer("3.11.0.dev2026010103", files)
        folder = tmp_path / "reader"
        folder.mkdir()
        (folder / "my_script.py").write_text(SCRIPT)
        monkeypatch.chdir(folder)
        monkeypatch.setenv("KERAS_REPRO_CACHE", str(tmp_path / "cache"))
        yield index


def _files(source: Source, version: str) -> dict[str, bytes]:
    found = {
        path.relative_to(source.path).as_posix(): path.read_bytes()
        for path in source.path.rglob("*.py")
    }
    found["keras/__init__.py"] = found["keras/__init__.py"].replace(b"3.5.0", version.encode())
    return found | {"keras/src/version.py": f'__version__ = "{version}"\n'.encode()}


def recipe(name: str) -> Iterator[list[str]]:
    """The commands of a page, as words."""
    text = (ROOT / "docs" / f"{name}.md").read_text("utf-8")
    for found in re.findall(r"(?:^|`|run )keras-repro ([^`#\n]*)", text, re.MULTILINE):
        yield shlex.split(found)


def _there(word: str, home: Path) -> str:
    """A path of the page as it is called here: folders are named after what is in them."""
    if word.startswith("hunts/"):
        return str(next(Path("hunts").glob(word.removeprefix("hunts/").rpartition("-")[0] + "-*")))
    return word.replace("/path/to/", f"{home}/")


@pytest.mark.parametrize("page", RECIPES)
def test_a_recipe_can_be_followed(
    page: str, reader: LocalIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lost: a page whose third step fails, where its reader has nobody to ask."""
    home = Path.cwd()
    for words in recipe(page):
        monkeypatch.chdir(home.parent / "keras" if words[0] == "predicate" else home)
        code = cli.main(_typed(words, reader, home), standalone_mode=False)
        assert code == (1 if words[0] in SHOWS_IT else 0), words
    assert home.joinpath("my_script.py").read_text() == SCRIPT


def _typed(words: list[str], index: LocalIndex, home: Path) -> list[str]:
    name, *rest = words
    known = {option.name for option in cli.commands[name].params}
    typed = [name, *(_there(word, home) for word in rest), *BRIEF.get(name, ())]
    typed += MENDED if "--find-fix" in rest else []
    typed += ["--backend", "numpy"] if "backend" in known else []
    typed += ["--index-url", index.url] if "index_url" in known else []
    return [*typed, "--repo", "../keras"] if "repo" in known and "--repo" not in rest else typed


def test_no_page_of_commands_is_left_out() -> None:
    """Lost: the next recipe is read by people before any machine has."""
    pages = {page.stem for page in (ROOT / "docs").glob("*.md") if list(recipe(page.stem))}
    assert pages == set(RECIPES)
