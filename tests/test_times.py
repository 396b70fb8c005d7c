"""Builds that import only in an environment of their own time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import cast

import pytest

from keras_bisect.builds.index import Index
from keras_bisect.builds.store import Source, Store
from keras_bisect.documents import event_document
from keras_bisect.events import Probed
from keras_bisect.lab import Lab
from keras_bisect.outcome import Outcome, Raised, Tree
from keras_bisect.probe.era import Era, Eras
from keras_bisect.probe.prober import Prober, Script, Task
from keras_bisect.record.recorded import event_of
from keras_bisect.record.results import Results
from keras_bisect.search.line import Found, changes
from keras_bisect.search.trial import Trial
from keras_bisect.verdict import Failure, Verdict
from worlds import OUTCOMES, SCRIPT, World

NO_IMPORT = replace(
    OUTCOMES["B"], loaded=None, import_error=Raised("ImportError", "cannot import name 'x'")
)
HERE_AND_THERE = {"o": "UG", "n": "BB", "e": "BG"}
"""A letter of a line: what it shows here and in its time; U does not import here."""


class Aged(World):
    """A history whose old builds import in their own time only."""

    there = 0

    def of(self, made: datetime) -> Era:
        return self.on(date(2024, 2, 1))

    def on(self, day: date) -> Era:
        return Era("/old/python", "2024", day, {})

    def outcome(self, task: Task) -> Outcome:
        here, _ = HERE_AND_THERE[self.behaviour(task.source.files)]
        return NO_IMPORT if here == "U" else OUTCOMES[here]

    def run(
        self, script: Script, source: Source, tree: Tree = "optree", *, python: str = ""
    ) -> Outcome:
        assert python == "/old/python"
        self.there += 1
        return OUTCOMES[HERE_AND_THERE[self.behaviour(source.files)][1]]

    def aged_lab(self, results: Results | None = None) -> Lab:
        parts = (cast(Index, self), cast(Store, self), cast(Prober, self))
        return Lab(*parts, eras=cast(Eras, self), results=results, listener=self.events.append)


def search(
    world: Aged, results: Results | None = None, before: Sequence[Probed] = ()
) -> list[Found]:
    lab = world.aged_lab(results)
    lab.remember(before)
    trial = Trial(lab, SCRIPT, Failure.of(OUTCOMES["B"]))
    line = world.nightlies()
    trial.entries([line[0], line[-1]])
    return changes(trial, line, Verdict.GOOD, Verdict.BAD)


@pytest.mark.parametrize(("line", "sure"), [("oooonnnn", True), ("ooooeeee", False)])
def test_neighbours_of_two_times_are_judged_in_one(line: str, sure: bool) -> None:
    """Without it a new NumPy would be blamed on the Keras commit beside it."""
    [found] = search(Aged(line))
    assert (found.last.name, found.first.name) == ("3.4.1.dev2024010403", "3.4.1.dev2024010503")
    assert (not found.between) == sure
    assert sure or "environment of 2024-02-01" in found.between[0].detail


@pytest.mark.parametrize("line", ["ooeeee", "eeeeeeeeeooo"])
def test_a_build_that_was_not_run_itself_is_of_the_time_of_its_like(line: str) -> None:
    """Without it a neighbour with the sources of an earlier one would hide what made the change."""
    world = Aged(line)
    order = (Verdict.GOOD, Verdict.BAD) if line[0] == "o" else (Verdict.BAD, Verdict.GOOD)
    trial = Trial(world.aged_lab(), SCRIPT, Failure.of(OUTCOMES["B"]))
    builds = world.nightlies()
    for build in builds:
        trial.verdict(build)
    assert len(world.probed) < len(builds)
    [found] = changes(trial, builds, *order)
    assert found.between


def test_what_a_killed_search_saw_in_another_time_stays_of_that_time() -> None:
    """Without it a search that goes on would be certain where one that was not killed is not."""
    world = Aged("ooooeeee")
    [found] = search(world)
    probes = [event for event in world.events if isinstance(event, Probed)]
    written = [event_of(json.loads(json.dumps(event_document(event)))) for event in probes]
    again = Aged("ooooeeee")
    assert search(again, before=cast(list[Probed], written)) == [found] and found.between
    # But the other side of the change was not a part of what was written down.
    assert again.there == 1 and not again.probed


def test_what_was_seen_in_another_time_is_kept(tmp_path: Path) -> None:
    """Without it every command would start old interpreters anew, some ten seconds each."""
    seen: list[Mapping[str, int] | int] = []
    for _ in range(2):
        world = Aged("oooonnnn")
        with Results(tmp_path, "here") as results:
            search(world, results)
        seen.append(world.there)
    assert seen[0] and not seen[1]
