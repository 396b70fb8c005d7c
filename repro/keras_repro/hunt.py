"""The main job: search a build, and for each finding confirm it, date it, narrow it, write it down.

The findings of one search share their work: a release is imported once for the scripts of all of
them, and where one finding was narrowed to a nightly and a file, the others try that place first.
Everything is on disk as soon as it is known, so an interrupted hunt keeps what it has.

    hunts/<slug>/case.json      the smallest case
                 repro.py       its script
                 passing.json   the nearest case that passes, where one was run
                 journal.jsonl  every probe
                 hunt.json      what is known of the finding, as in `documents.py`

Public: `hunt`, `Hunt`, `Hunted`; and its steps, `keeping`, `confirm`, `write_down`, `timelines`.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from keras_bisect.api import Timeline, judged_timeline
from keras_bisect.atomic import write_atomic
from keras_bisect.builds.build import Build
from keras_bisect.builds.store import Source
from keras_bisect.documents import transition_document
from keras_bisect.events import Event, Notice, Probed, Stage
from keras_bisect.lab import Lab
from keras_bisect.outcome import Outcome, Tree
from keras_bisect.probe.prober import Script, digest
from keras_bisect.record.journal import Journal, began, ended
from keras_bisect.search.narrow import Grain
from keras_bisect.search.session import asked
from keras_bisect.search.stages import date
from keras_bisect.search.trial import Hints, Trial
from keras_bisect.transitions import Transition
from keras_repro import documents
from keras_repro.find import Budget, Finding, Found, Kept, Searched, search
from keras_repro.hunted import Hunt, Hunted
from keras_repro.reading import dump, explain

__all__ = ["Hunt", "Hunted", "confirm", "hunt", "keeping", "timelines", "write_down"]


def hunt(
    lab: Lab,
    build: Build,
    *,
    trees: tuple[Tree, ...],
    seed: int,
    budget: Budget,
    out: Path | None,
    search_only: bool = False,
    command: str = "",
    replay: bool = True,
    light: str = "",
    listener: Callable[[Event | Searched], None],
) -> Hunt:
    """Search a build and date every finding.

    Args:
        lab: what probes; its listener is led through here while the hunt lasts.
        build: the build to search.
        trees: the tree implementations to search under.
        seed: see `find.search`.
        budget: what the search may spend.
        out: the folder for hunt folders; None writes nothing.
        search_only: find and confirm; date nothing.
        command: what was typed, for whoever wants to have it again.
        replay: run first what earlier searches found, and keep what this one finds.
        light: see `find.search`.
        listener: told what happens.
    """
    start = time.monotonic()
    if lab.repository is not None and not search_only:
        # The first time it takes a while, and goes on during the search.
        lab.repository.start()
    result = Hunt(build.name, lab.prober.backend, trees, seed, command=command)
    source = lab.source(build)
    releases = () if search_only else lab.index.releases()
    lab.prefetch(releases)
    listener(Stage(f"searching {build} under {' and '.join(trees)}"))
    found = search(
        lab.prober,
        source,
        trees=trees,
        seed=seed,
        budget=budget,
        listener=listener,
        kept=Kept(lab.store.cache / "findings") if replay else None,
        light=light,
    )
    result.examples, result.avoided = found.examples, found.avoided
    result.replayed = found.replayed
    result.rate = found.examples / found.seconds if found.seconds else 0.0
    with keeping(result, found, out, start):
        write_down(found, result, out, lambda: confirm(lab, source, found, result, listener))
        if result.findings and not (search_only or result.early):
            with _journals(lab, build, result.findings, out, listener):
                _date(lab, result, releases, listener, out)
    return result


@contextlib.contextmanager
def keeping(result: Hunt, found: Found, out: Path | None, start: float) -> Iterator[None]:
    """Whatever ends the work on what was found, all that is known of it stays, and is reported.

    A fault goes no further than `result.fault`: whoever tells the result raises it then.
    """
    result.interrupted, result.fault = found.interrupted, found.fault
    try:
        yield
    except KeyboardInterrupt:
        result.interrupted = True
    except Exception as error:  # noqa: BLE001 - it is raised when the findings have been told
        result.fault = error
    # Without a process of its own to show it again, a finding is still one.
    left = found.findings if result.early and not result.findings else ()
    for finding in (one for one in left if one not in result.unconfirmed):
        result.findings.append(written_down(finding, result.keras, out))
    result.seconds = time.monotonic() - start
    for hunted in result.findings:
        save(result, hunted, out)
    if out is not None and result.findings:
        write_atomic(out / "hunt.json", documents.text(documents.hunt_document(result)))


def write_down(
    found: Found, result: Hunt, out: Path | None, confirmed: Callable[[], Iterable[Finding]]
) -> None:
    """Give a folder to each finding that is confirmed; to all, if there was no time for that."""
    for finding in found.findings if result.early else list(confirmed()):
        result.findings.append(written_down(finding, result.keras, out))
        save(result, result.findings[-1], out)


def confirm(
    lab: Lab,
    source: Source,
    found: Found,
    result: Hunt,
    listener: Callable[[Event | Searched], None],
) -> Iterator[Finding]:
    """The findings whose script shows the same failure in a process of its own, in their order.

    In the search, scripts share what Keras keeps globally. Where more than one build was searched,
    each is shown in its own.
    """
    findings = found.findings
    if not findings:
        return
    listener(Stage(f"confirming {len(findings)}, each in a process of its own", len(findings)))
    prober = lab.prober
    with ThreadPoolExecutor(prober.jobs, "confirm") as pool:
        sources = [lab.source(one.build) if one.build else source for one in findings]
        outcomes = pool.map(
            lambda one, its: prober.run(one.script, its, one.tree), findings, sources
        )
        for finding, outcome in zip(findings, outcomes, strict=True):
            reading = explain(finding.case, outcome)
            if reading is not None and reading.signature == finding.reading.signature:
                yield finding
                continue
            result.unconfirmed.append(finding)
            text = f"Not shown again in a process of its own: {finding.reading.signature}"
            listener(Notice(text))


def _date(
    lab: Lab,
    result: Hunt,
    releases: Sequence[Build],
    listener: Callable[[Event | Searched], None],
    out: Path | None,
) -> None:
    named = {build.name: build for build in releases}
    listener(Stage(f"{len(releases)} releases", len(releases) * len(result.findings)))
    told = timelines(lab, result.findings, releases)
    for hunted, timeline in zip(result.findings, told, strict=True):
        hunted.entries, hunted.transitions = timeline.entries, timeline.transitions
        save(result, hunted, out)
    hints = Hints()
    for hunted in result.findings:
        finding = hunted.finding
        # The script of a case shows always the same, and every release was probed.
        trial = Trial(lab, finding.script, finding.signature, finding.tree, hints=hints, sweep=0)
        narrowed: list[Transition] = []
        for transition in hunted.transitions:
            narrowed += date(trial, transition, named, Grain.FILE)
        hunted.transitions = tuple(narrowed)
        save(result, hunted, out)


def timelines(lab: Lab, findings: Sequence[Hunted], releases: Sequence[Build]) -> list[Timeline]:
    """The verdict of every build on every finding; builds are imported once for all of them."""
    outcomes: dict[str, dict[str, Outcome]] = {}
    for tree in dict.fromkeys(hunted.finding.tree for hunted in findings):
        scripts = [hunted.finding.script for hunted in findings if hunted.finding.tree == tree]
        # Scripts of cases do nothing before they import keras, so one import serves them all.
        for script, build, outcome in lab.outcomes(scripts, releases, tree, share=True):
            outcomes.setdefault(digest(script), {})[build.name] = outcome
    made = []
    for hunted in findings:
        of = outcomes[digest(hunted.finding.script)]
        line = [(build.name, of[build.name]) for build in releases]
        made.append(judged_timeline(line, hunted.finding.signature))
    return made


@contextlib.contextmanager
def _journals(
    lab: Lab,
    keras: Build,
    findings: Sequence[Hunted],
    out: Path | None,
    listener: Callable[[Event | Searched], None],
) -> Iterator[None]:
    """Let each finding's probes go to its journal, and everything to the listener."""
    with contextlib.ExitStack() as stack:
        journals: list[tuple[Journal, Hunted]] = []
        for hunted in findings if out is not None else ():
            finding = hunted.finding
            path, script = hunted.folder / "journal.jsonl", digest(finding.script)
            journal = stack.enter_context(Journal(path, script, finding.signature))
            options = {"keras": keras.name}
            run = asked(lab, "hunt", finding.script, (None, None), finding.tree, options)
            journal(began(run))
            journals.append((journal, hunted))

        def tell(event: Event) -> None:
            # Of what else happens nobody could tell which finding it belongs to.
            if isinstance(event, Probed):
                for journal, _ in journals:
                    journal(event)
            listener(event)

        kept, lab.listener = lab.listener, tell
        try:
            yield
            for journal, hunted in journals:
                found = [transition_document(one) for one in hunted.transitions]
                journal(ended(0, transitions=found))
        finally:
            lab.listener = kept


def written_down(finding: Finding, keras: str, out: Path | None) -> Hunted:
    """Give a finding its folder."""
    slug = slug_of(finding, keras)
    folder = (out or Path()).absolute() / slug
    hunted = Hunted(finding, slug, folder)
    if out is not None:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(hunted.case_file, dump(finding.case))
        write_atomic(hunted.script_file, finding.script.text)
        if finding.passing is not None:
            write_atomic(hunted.passing_file, dump(finding.passing))
    return hunted


def save(result: Hunt, hunted: Hunted, out: Path | None) -> None:
    """Write down what is known of a finding."""
    if out is not None:
        document = documents.hunt_document(result, only=hunted)
        write_atomic(hunted.folder / "hunt.json", documents.text(document))


def slug_of(finding: Finding, keras: str) -> str:
    """A folder name that says what it holds; the same for the same script, and for no other."""
    name = keras.removeprefix("path:").removeprefix("git:") + "-" + finding.reading.signature
    words = re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-.")
    return f"{words[:56].strip('-.')}-{_mark(finding.script)}"


def _mark(script: Script) -> str:
    return hashlib.sha256(script.text.encode()).hexdigest()[:6]
