"""A bisect down to the commit, over a history whose truth is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from keras_bisect import Grain, Index, Lab, Prober, Script, Store, bisect
from keras_bisect.errors import Inconclusive, UsageError
from keras_bisect.history.repository import Repository
from keras_bisect.search.commits import narrow_to_commits
from keras_bisect.search.ends import find_ends
from keras_bisect.search.trial import Trial
from keras_bisect.transitions import Place, Transition
from keras_bisect.verdict import Failure, Verdict, learn
from upstream import NOW, Upstream
from worlds import CULPRIT, OUTCOMES, World
from worlds import SCRIPT as MADE_UP

RIGHT, WRONG = "def add(x, y):\n    return x + y\n", "def add(x, y):\n    return x - y\n"
SCRIPT = "import sys\nimport keras\nfrom keras.src.ops import add\nsys.exit(add(1, 2) != 3)\n"


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    return Upstream(tmp_path / "upstream")


def lab(upstream: Upstream, tmp_path: Path, prober: Prober) -> Lab:
    cache = tmp_path / "cache"
    index = Index(cache, client=lambda *_: ())
    return Lab(index, Store(cache), prober, repository=Repository(upstream.path, cache))


@pytest.mark.parametrize("wrong_at", [1, 4, 7])
def test_the_commit_and_its_file_are_named(
    upstream: Upstream, tmp_path: Path, wrong_at: int
) -> None:
    """Lost otherwise: the one thing a maintainer asks first, which commit it was."""
    files = {**NOW, "keras/api/__init__.py": "", "keras/api/_tf_keras/__init__.py": ""}
    shas = [upstream.commit("start", files)]
    for number in range(1, 8):
        change = {"keras/src/other.py": f"x = {number}\n"}
        if number == wrong_at:
            change["keras/src/ops.py"] = WRONG
        shas.append(upstream.commit(f"change {number} (#{number})", change))
    fixed = upstream.commit("mend (#8)", {"keras/src/ops.py": RIGHT})
    with Prober() as prober, lab(upstream, tmp_path, prober) as made:
        good, bad = made.resolve(f"git:{shas[0]}"), made.resolve(f"git:{shas[-1]}")
        [found] = bisect(made, Script(SCRIPT), good=good, bad=bad).transitions
        back = made.resolve(f"git:{fixed}")
        [mended] = bisect(made, Script(SCRIPT), good=back, bad=bad, to=Grain.COMMIT).transitions
    assert found.kind == "introduced"
    assert (found.last.commit, found.first.commit) == (shas[wrong_at - 1], shas[wrong_at])
    assert found.culprit is not None and found.culprit.pull == wrong_at
    assert found.files == ("keras/src/ops.py",)
    assert mended.kind == "fixed"
    assert mended.culprit is not None and mended.culprit.sha == fixed


def test_a_commit_at_an_end_moves_outward(upstream: Upstream, tmp_path: Path) -> None:
    """Lost otherwise: who names a broken commit would have to look for a whole one by hand."""
    shas = [
        upstream.commit(f"commit {n}", {**NOW, CULPRIT: f"{letter} {n}"})
        for n, letter in enumerate("GGUGBUUBU")
    ]
    made = World("").lab(Repository(upstream.path, tmp_path / "cache"))
    names = [f"git:{sha}" for sha in shas]
    found = find_ends(made, MADE_UP, names[2], names[5], recognise=learn)
    assert (found.good.name, found.bad.name) == (names[1], names[7])
    with pytest.raises(Inconclusive, match="cannot be tested: the script"):
        find_ends(made, MADE_UP, names[0], names[8], recognise=learn)


def test_commits_need_a_repository(tmp_path: Path) -> None:
    """Lost otherwise: a bisect that was asked for a commit works for minutes before it says no."""
    prober, cache = Prober(), tmp_path / "cache"
    made = Lab(Index(cache, client=lambda *_: ()), Store(cache), prober)
    with pytest.raises(UsageError, match="--repo"):
        bisect(made, Script(SCRIPT), to=Grain.COMMIT)
    with pytest.raises(UsageError, match="--repo"):
        made.resolve("git:HEAD")


def test_a_merge_is_looked_into(upstream: Upstream, tmp_path: Path) -> None:
    """Lost otherwise: a merge of other people's work would be blamed for one commit in it."""
    files = {**NOW, "keras/api/__init__.py": "", "keras/api/_tf_keras/__init__.py": ""}
    start = upstream.commit("start", files)
    upstream("checkout", "--quiet", "-b", "work")
    upstream.commit("Harmless", {"keras/src/one.py": "x = 1\n"})
    guilty = upstream.commit("Guilty (#7)", {"keras/src/ops.py": WRONG})
    upstream.commit("Harmless, too", {"keras/src/two.py": "x = 2\n"})
    upstream("checkout", "--quiet", "master")
    upstream.commit("Meanwhile", {"keras/src/three.py": "x = 3\n"})
    merge = upstream.merge("work", "Merge pull request #8 from someone/work")
    tip = upstream.commit("Later", {"keras/src/four.py": "x = 4\n"})
    with Prober() as prober, lab(upstream, tmp_path, prober) as made:
        ends = {"good": f"git:{start}", "bad": f"git:{tip}"}
        [found] = bisect(made, Script(SCRIPT), **ends).transitions
    assert found.culprit is not None and found.culprit.sha == guilty
    assert any(merge[:10] in note for note in found.notes)


@pytest.mark.parametrize(
    ("line", "between"),
    [("UGGGBBU", 0), ("UUGBBBB", 0), ("UUBBBBB", 1), ("GGGGUUU", 2), ("UUU", 1)],
)
def test_a_commit_that_cannot_be_tested_is_no_dead_end(
    upstream: Upstream, tmp_path: Path, line: str, between: int
) -> None:
    """Lost otherwise: where a tag lacks what its wheel has, every search would end at nightlies."""
    shas = [
        upstream.commit(f"commit {n}", {**NOW, CULPRIT: f"{letter} {n}"})
        for n, letter in enumerate(line)
    ]
    upstream("tag", "v3.0.0", shas[0])
    upstream("tag", "v3.1.0", shas[-1])
    world = World("")
    good, bad = world.release("3.0.0", 0, "G"), world.release("3.1.0", 9, "B")
    made = world.lab(Repository(upstream.path, tmp_path / "cache"))
    trial = Trial(made, MADE_UP, Failure.of(OUTCOMES["B"]))
    ends = (Verdict.GOOD, Verdict.BAD)
    whole = Transition("introduced", *ends, Place(release="3.0.0"), Place(release="3.1.0"))
    [found] = narrow_to_commits(trial, whole, good, bad)
    low, high = shas.index(found.last.commit or ""), shas.index(found.first.commit or "")
    assert len(found.between) == high - low - 1 == between
    assert (found.culprit is None) == bool(between)
    assert "B" not in line[: high - between] and "G" not in line[low + 1 :]
