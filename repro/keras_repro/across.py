"""More than one build at a time: every release of a line, or what got worse between two builds.

    search_releases   one stream of cases under many releases, and the timeline of what fails
    regressions       what fails in one build and passes in another

Public: `regressions`, `search_releases`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from keras_bisect.atomic import write_atomic
from keras_bisect.builds.build import Build
from keras_bisect.events import Event, Stage
from keras_bisect.lab import Lab
from keras_bisect.outcome import Tree
from keras_repro import documents
from keras_repro.find import Budget, Finding, Searched, search, search_line
from keras_repro.hunt import confirm, save, timelines, written_down
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
    result.interrupted = found.interrupted
    _write(lab, result, found.findings, builds, out, listener)
    result.seconds = time.monotonic() - start
    _save_all(result, out)
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
    )
    result.examples, result.avoided = found.examples, found.avoided
    result.rate = found.examples / found.seconds if found.seconds else 0.0
    result.interrupted = found.interrupted
    confirmed: Iterable[Finding] = found.findings
    if not found.interrupted:
        confirmed = list(confirm(lab, lab.source(after), found.findings, result, listener))
    _write(lab, result, confirmed, [before, after], out, listener)
    # In a process of its own it may fail in the build before, too: then nothing got worse.
    result.findings = [one for one in result.findings if one.transitions or result.interrupted]
    result.seconds = time.monotonic() - start
    _save_all(result, out)
    return result


def _write(
    lab: Lab,
    result: Hunt,
    findings: Iterable[Finding],
    builds: Sequence[Build],
    out: Path | None,
    listener: Listener,
) -> None:
    """Give each finding a folder and its verdicts along the line."""
    for finding in findings:
        result.findings.append(written_down(finding, result.keras, out))
    if not result.interrupted and result.findings:
        listener(Stage(f"{len(builds)} builds", len(builds) * len(result.findings)))
        try:
            told = timelines(lab, result.findings, builds)
            for hunted, timeline in zip(result.findings, told, strict=True):
                hunted.entries, hunted.transitions = timeline.entries, timeline.transitions
        except KeyboardInterrupt:
            result.interrupted = True
    for hunted in result.findings:
        save(result, hunted, out)


def _save_all(result: Hunt, out: Path | None) -> None:
    if out is not None and result.findings:
        write_atomic(out / "hunt.json", documents.text(documents.hunt_document(result)))
