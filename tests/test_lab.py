"""The lab: which builds are probed, and which need not be."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_bisect.builds.build import Build
from keras_bisect.builds.store import Source
from keras_bisect.errors import NotCached
from keras_bisect.events import Probed
from keras_bisect.outcome import Outcome
from keras_bisect.probe.prober import Script, digest
from worlds import OUTCOMES, SCRIPT, World


def same_twice(world: World) -> list[Build]:
    """Three builds; the first and the last hold the same but for the version."""
    text = '__version__ = "{}"\n'
    return [
        world.tree("one", culprit="G", version=text.format("3.4.0")),
        world.tree("two", culprit="B", version=text.format("3.4.1")),
        world.tree("three", culprit="G", version=text.format("3.4.2")),
    ]


def test_builds_with_the_same_content_are_probed_once() -> None:
    """Without it a third of the nightlies would be probed for nothing."""
    world = World("G", jobs=1)
    builds = same_twice(world)
    with world.lab() as lab:
        found = {build.name: outcome for _, build, outcome in lab.outcomes([SCRIPT], builds)}
        assert found == {"one": OUTCOMES["G"], "two": OUTCOMES["B"], "three": OUTCOMES["G"]}
        assert world.probed == ["one", "two"] and lab.probes == 2
        again = list(lab.outcomes([SCRIPT], builds))
        assert len(again) == 3 and lab.probes == 2
    told = [event for event in world.events if isinstance(event, Probed)]
    # Once a build, however often it is asked for.
    assert sorted((e.build, e.same_as) for e in told if e.same_as is None) == [
        ("one", None),
        ("two", None),
    ]
    assert [(e.build, e.same_as) for e in told if e.same_as is not None] == [("three", "one")]
    assert {e.script for e in told} == {digest(SCRIPT)}
    contents = {e.build: e.content for e in told}
    assert contents["one"] == contents["three"] != contents["two"]


@pytest.mark.parametrize(
    "text",
    [
        "import keras\nprint(keras.__version__)",
        "import keras\nprint(keras.version())",
        "import importlib.metadata",
        "from importlib import metadata\nprint(metadata.version('keras'))",
        "from keras.src.version import __version__",
    ],
)
def test_a_script_that_looks_at_the_version_is_probed_under_each(text: str) -> None:
    """Without it such a script would be answered by a build of another version."""
    world = World("G")
    builds = same_twice(world)
    with world.lab() as lab:
        list(lab.outcomes([Script(text)], builds))
    assert sorted(world.probed) == ["one", "three", "two"]


def test_trees_and_scripts_do_not_share_outcomes() -> None:
    """Without it the verdict of dm-tree could be that of optree."""
    world = World("G")
    builds = same_twice(world)[:1]
    other = Script("import keras\n# another\n")
    with world.lab() as lab:
        list(lab.outcomes([SCRIPT, other], builds))
        list(lab.outcomes([SCRIPT], builds, "dm-tree"))
        assert lab.probes == 3


@given(st.text("ab", max_size=30), st.integers(1, 5))
def test_every_build_is_answered_by_its_own_content(letters: str, jobs: int) -> None:
    """Without it an outcome could be reported for another build, or for none."""
    world = World("G", jobs=jobs)
    kinds = {"a": "G", "b": "B"}
    builds = [world.tree(f"build {n}", culprit=kinds[c]) for n, c in enumerate(letters)]
    with world.lab() as lab:
        found = [(build.name, outcome) for _, build, outcome in lab.outcomes([SCRIPT], builds)]
    expected = [(f"build {n}", OUTCOMES[kinds[c]]) for n, c in enumerate(letters)]
    assert sorted(found, key=repr) == sorted(expected, key=repr)
    assert len(world.probed) == len(set(letters))
    told = [event.build for event in world.events if isinstance(event, Probed)]
    assert sorted(told) == sorted(name for name, _ in expected)


class Slow(World):
    """Counts what is fetched, and how much at a time."""

    def __init__(self) -> None:
        super().__init__("G")
        self.fetched: list[str] = []
        self.barrier = threading.Barrier(2, timeout=10)

    def get(self, build: Build) -> Source:
        self.fetched.append(build.name)
        self.barrier.wait()
        return super().get(build)


def test_builds_are_fetched_at_once_and_each_once() -> None:
    """Without it a bisect would wait for the index between every two probes."""
    world = Slow()
    builds = same_twice(world)[:2]
    with world.lab() as lab:
        lab.prefetch(builds)
        assert len(list(lab.outcomes([SCRIPT], builds))) == 2
        assert lab.source(builds[0]).build == builds[0]
    assert sorted(world.fetched) == ["one", "two"]


class Offline(World):
    def get(self, build: Build) -> Source:
        if build.name == "two":
            raise NotCached("two is not there")
        return super().get(build)


def test_a_build_that_cannot_be_fetched_is_told_when_it_is_needed() -> None:
    """Without it a build that is only fetched ahead could end a bisect, or one be left out."""
    world = Offline("G")
    builds = same_twice(world)
    with world.lab() as lab:
        lab.prefetch(builds)
        assert lab.outcome(SCRIPT, builds[0]) == OUTCOMES["G"]
        outcomes: list[Outcome] = []
        with pytest.raises(NotCached, match="two is not there"):
            outcomes += [outcome for *_, outcome in lab.outcomes([SCRIPT], builds)]
