"""More than one build at a time: every release of a line, or what got worse between two builds.

    search_releases   one stream of cases under many releases, and the timeline of what fails
    regressions       what fails in one build and passes in another

Public: `regressions`, `search_releases`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from keras_bisect.builds.build import Build
from keras_bisect.events import Event, Stage
from keras_bisect.lab import Lab
from keras_bisect.outcome import Tree
from keras_repro.find import Budget, Searched, search, search_line
from keras_repro.hunt import confirm, keeping, timelines, write_down
from keras_repro.hunted import Hunt

__all__ = ["regressions", "search_releases"]

Listener = Callable[[Event | Searched], None]


def search_releases(
    lab: Lab,
    builds: Sequence[Build],
    *,
    trees: tuple[Tree, ...],
    seed: int,
    budget: Budget,
    out: Path | None,
    command: str = "",
    listener: Listener,
) -> Hunt:
    """Search builds of a line with the same cases, and date what fails within the line.

    Args:
        lab: what probes.
        builds: from the oldest to the newest.
        trees: the tree implementations to search under.
        seed: the same seed draws the same cases.
        budget: what the search may spend.
        out: the folder for hunt folders; None writes nothing.
        command: what was typed, for whoever wants to have it again.
        listener: told what happens.
    """
    start = time.monotonic()
    name = f"{builds[0].name}..{builds[-1].name}"
    result = Hunt(name, lab.prober.backend, trees, seed, command=command)
    lab.prefetch(builds)
    listener(Stage(f"searching {len(builds)} builds, {name}, under {' and '.join(trees)}"))
    sources = [lab.source(build) for build in builds]
    found = search_line(
        lab.prober, sources, trees=trees, seed=seed, budget=budget, listener=listener
    )
    result.examples = found.examples
    with keeping(result, found, out, start):
        write_down(found, result, out, lambda: confirm(lab, sources[-1], found, result, listener))
        _date(lab, result, builds, listener)
    return result


def regressions(
    lab: Lab,
    before: Build,
    after: Build,
    *,
    trees: tuple[Tree, ...],
    seed: int,
    budget: Budget,
    out: Path | None,
    command: str = "",
    light: str = "",
    listener: Listener,
) -> Hunt:
    """What fails in one build and passes in another.

    Args:
        lab: what probes.
        before: the build in which it must pass.
        after: the build in which it fails.
        trees: the tree implementations to search under.
        seed: see `find.search`.
        budget: what the search may spend.
        out: the folder for hunt folders; None writes nothing.
        command: what was typed, for whoever wants to have it again.
        light: see `find.search`.
        listener: told what happens.
    """
    start = time.monotonic()
    result = Hunt(after.name, lab.prober.backend, trees, seed, command=command)
    listener(Stage(f"searching {after} for what passes in {before}"))
    found = search(
        lab.prober,
        lab.source(after),
        trees=trees,
        seed=seed,
        budget=budget,
        listener=listener,
        against=lab.source(before),
        light=light,
    )
    result.examples, result.avoided = found.examples, found.avoided
    result.rate = found.examples / found.seconds if found.seconds else 0.0
    with keeping(result, found, out, start):
        source = lab.source(after)
        write_down(found, result, out, lambda: confirm(lab, source, found, result, listener))
        _date(lab, result, [before, after], listener)
        # In a process of its own it may fail in the build before, too: then nothing got worse.
        result.findings = [one for one in result.findings if one.transitions or result.early]
    return result


def _date(lab: Lab, result: Hunt, builds: Sequence[Build], listener: Listener) -> None:
    """Give each finding its verdicts along the line."""
    if result.early or not result.findings:
        return
    listener(Stage(f"{len(builds)} builds", len(builds) * len(result.findings)))
    told = timelines(lab, result.findings, builds)
    for hunted, timeline in zip(result.findings, told, strict=True):
        hunted.entries, hunted.transitions = timeline.entries, timeline.transitions
