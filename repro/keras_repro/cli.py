"""The command line: reads what a person wrote, calls one function, writes the answer. Nothing else.

Exit codes are a contract: 0 answered, 1 only where `run` or `--exit-code` says so, 2 usage, 3 not
reproduced, 4 inconclusive, 5 the harness failed, 125 from `run` for what cannot be tested, 130
interrupted.

Imports are made where they are used: `--help` must not wait for Hypothesis.

Public: `main`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from keras_repro.options import (
    BUILD_HELP,
    MatchCommand,
    Repeats,
    Shared,
    as_json,
    matching,
    one_tree,
    searching,
    shared,
)

if TYPE_CHECKING:
    from keras_bisect.builds.build import Build
    from keras_bisect.events import Event
    from keras_bisect.lab import Lab
    from keras_bisect.outcome import Outcome, Tree
    from keras_bisect.probe.prober import Script
    from keras_bisect.verdict import Signature
    from keras_repro.reading import AnyCase

__all__ = ["main"]

INTERRUPTED = 130
HARNESS = 5
INCONCLUSIVE = 4
USAGE = 2


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="keras-repro")
def cli() -> None:
    """Find, shrink and date bugs of Keras 3."""


@cli.command()
@searching
@shared
@as_json
def hunt(shared: Shared, json_: bool, exit_code: bool, **options: Any) -> int:
    """Find bugs of a Keras, shrink them, date them to the release, the nightly and the file."""
    return _hunt(shared, json_, exit_code, search_only=False, **options)


@cli.command()
@searching
@shared
@as_json
def find(shared: Shared, json_: bool, exit_code: bool, **options: Any) -> int:
    """Find bugs of a Keras and shrink them."""
    return _hunt(shared, json_, exit_code, search_only=True, **options)


def _hunt(
    shared: Shared,
    json_: bool,
    exit_code: bool,
    *,
    search_only: bool,
    keras: str | None,
    tree: str,
    seed: int,
    max_examples: int,
    first: bool,
    out: Path,
) -> int:
    from keras_repro import documents, screen
    from keras_repro.find import Budget
    from keras_repro.hunt import hunt as run_hunt

    with _lab(shared) as (lab, listener):
        build = lab.resolve(keras) if keras else lab.index.releases()[-1]
        result = run_hunt(
            lab,
            build,
            trees=_trees(tree),
            seed=seed,
            budget=Budget(max_examples=max_examples, first=first),
            out=out,
            search_only=search_only,
            listener=listener,
        )
    if json_:
        _write(documents.text(documents.hunt_document(result)))
    else:
        _write(screen.hunt_summary(result))
    if result.interrupted:
        return INTERRUPTED
    return 1 if exit_code and result.findings else 0


@cli.command()
@click.argument("subject", metavar="SCRIPT|CASE", type=click.Path(path_type=Path))
@click.option(
    "--keras", metavar="BUILD[,BUILD…]", help=f"{BUILD_HELP}  [default: the newest release]"
)
@click.option(
    "--tree",
    default="optree",
    show_default=True,
    type=click.Choice(["optree", "dm-tree", "both"]),
    help="Implementation of keras.tree.",
)
@shared
@as_json
def run(shared: Shared, json_: bool, subject: Path, keras: str | None, tree: str) -> int:
    """Run a script under builds.

    Exits as `git bisect run` expects: 0 good, 1 bad, 125 untestable.
    """
    from keras_bisect.verdict import Verdict, first_look

    script, _ = _subject(subject)
    with _lab(shared) as (lab, _listener):
        names = [name.strip() for name in keras.split(",")] if keras else []
        builds = [lab.resolve(name) for name in names if name] or [lab.index.releases()[-1]]
        runs = []
        for one in _trees(tree):
            # A build that was named and cannot be had is an error, and not untestable.
            lab.prefetch(builds)
            list(map(lab.source, builds))
            found = lab.table(script, builds, one)
            runs += [(name, one, outcome) for name, outcome in found.items()]
    judged = [first_look(outcome) for _, _, outcome in runs]
    if json_:
        _write_json({"schema": 1, "runs": [_run_document(*one) for one in runs]})
    elif len(runs) == 1:
        _write(runs[0][2].stdout)
        sys.stderr.write(runs[0][2].stderr)
        sys.stderr.write(f"keras {runs[0][0]}: {judged[0].verdict}: {judged[0].detail}\n")
    else:
        for (name, one, _), look in zip(runs, judged, strict=True):
            _write(f"{name:24} {one:8} {look.verdict:10}  {look.detail}\n")
    verdicts = {look.verdict for look in judged}
    if Verdict.BAD in verdicts:
        return 1
    return 125 if Verdict.UNTESTABLE in verdicts else 0


@cli.command()
@click.argument("subject", metavar="SCRIPT|CASE", type=click.Path(path_type=Path))
@click.option(
    "--keras",
    metavar="BUILD",
    help="A build that shows the failure to follow.  "
    "[default: the failure that most releases show]",
)
@click.option("--exit-code", is_flag=True, help="Exit with 1 if a release fails.")
@one_tree
@shared
@as_json
def timeline(
    shared: Shared, json_: bool, subject: Path, keras: str | None, exit_code: bool, tree: Tree
) -> int:
    """Give the verdict of every release on a script, and where it changes."""
    from keras_bisect.api import judged_timeline
    from keras_bisect.documents import timeline_document
    from keras_bisect.events import Stage
    from keras_bisect.verdict import Verdict
    from keras_repro import screen

    script, case = _subject(subject)
    with _lab(shared) as (lab, listener):
        releases = lab.index.releases()
        shown = lab.resolve(keras) if keras else None
        builds = [
            *releases,
            *([shown] if shown and shown.name not in {b.name for b in releases} else []),
        ]
        listener(Stage(f"{len(builds)} builds", len(builds)))
        outcomes = lab.table(script, builds, tree)
    signature = _signature(
        case, [outcomes[shown.name]] if shown else [outcomes[b.name] for b in builds]
    )
    told = judged_timeline([(b.name, outcomes[b.name]) for b in releases], signature)
    if json_:
        _write_json(timeline_document(told.entries, told.transitions))
    else:
        _write(screen.timeline_summary(told.entries, told.transitions))
    verdicts = {entry.verdict for entry in told.entries}
    if verdicts == {Verdict.UNTESTABLE}:
        _say(f"No release could be tested: {told.entries[-1].detail}.")
        return INCONCLUSIVE
    return 1 if exit_code and verdicts & {Verdict.BAD, Verdict.DIFFERENT} else 0


@cli.command(cls=MatchCommand)
@click.argument("subject", metavar="SCRIPT|CASE", type=click.Path(path_type=Path))
@click.option(
    "--good",
    metavar="BUILD",
    help="A build where the script passes.  [default: looked for among older releases]",
)
@click.option(
    "--bad",
    metavar="BUILD",
    help=f"A build where it fails. {BUILD_HELP}  [default: the newest release]",
)
@click.option(
    "--find-fix",
    is_flag=True,
    help="Find where it was fixed: the older end is bad. A --good newer than --bad says it, too.",
)
@click.option(
    "--to",
    default="file",
    show_default=True,
    type=click.Choice(["release", "nightly", "commit", "file"]),
    help="How far to narrow.",
)
@matching
@click.option(
    "--all", "every_change", is_flag=True, help="Narrow every change of verdict between the ends."
)
@click.option(
    "--suspect",
    "suspects",
    metavar="COMMIT|FILE",
    multiple=True,
    help="Try this commit, or commits that touch this file, first.",
)
@click.option(
    "--repeat",
    type=Repeats(),
    default="auto",
    show_default=True,
    help="Runs of the ends and of the answer's neighbours; 1 trusts each run.",
)
@click.option(
    "--confidence",
    type=click.FloatRange(0.5, 1, min_open=True, max_open=True),
    default=0.99,
    show_default=True,
    help="How sure the answer must be if the script does not always show the same.",
)
@click.option(
    "--out",
    default="hunts",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for hunt folders, with the journal.",
)
@click.option("--resume", is_flag=True, help="Go on with the same bisect after it was killed.")
@click.option(
    "--git-log",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the search of commits as a log for `git bisect replay`.",
)
@one_tree
@shared
@as_json
def bisect(
    shared: Shared,
    json_: bool,
    subject: Path,
    to: str,
    match: str,
    repeat: int | None,
    confidence: float,
    out: Path,
    git_log: Path | None,
    **options: Any,
) -> int:
    """Find the release, nightly, commit and file that broke, or mended, any script."""
    from keras_bisect.api import bisect as run_bisect
    from keras_bisect.api import git_log as log_of
    from keras_bisect.atomic import write_atomic
    from keras_bisect.documents import bisect_document
    from keras_bisect.errors import KerasBisectError
    from keras_bisect.search.narrow import Grain
    from keras_bisect.search.trial import Repeat
    from keras_bisect.verdict import Match
    from keras_repro import screen

    wanted = Match.parse(match)
    script, case = _subject(subject)
    with _lab(shared, script) as (lab, _listener):
        result = run_bisect(
            lab,
            script,
            to=Grain[to.upper()],
            match=wanted,
            recognise=_recognise(case) if case and wanted.kind == "signature" else None,
            repeat=Repeat(repeat, confidence),
            journal=_hunt_folder(subject, out) / "journal.jsonl",
            **options,
        )
        # The log comes after the answer, which must not be lost to what is wrong with the log.
        log, fault = "", None
        if git_log is not None:
            try:
                log = log_of(lab, result)
            except KerasBisectError as error:
                fault = error
    if json_:
        document = bisect_document(
            result.transitions,
            good=result.good.name,
            bad=result.bad.name,
            signature=str(result.signature),
            probes=result.probes,
            seconds=result.seconds,
        )
        _write_json(document)
    else:
        _write(screen.bisect_summary(result, subject))
    if fault is not None:
        raise fault
    if git_log is not None:
        write_atomic(git_log, log)
    return INCONCLUSIVE if result.ambiguous else 0


@cli.command()
@click.argument("hunt", metavar="HUNT", type=click.Path(path_type=Path))
@as_json
def status(json_: bool, hunt: Path) -> int:
    """Tell how a search stands, running or dead, from its journal."""
    from keras_bisect.record.status import status_document, status_lines, status_of

    found = status_of(hunt)
    if json_:
        _write_json(status_document(found))
    else:
        _write("\n".join(status_lines(found)) + "\n")
    return 0


@cli.command(cls=MatchCommand)
@click.argument("subject", metavar="SCRIPT", type=click.Path(path_type=Path))
@click.option(
    "--match",
    default="any",
    show_default=True,
    metavar="any|message REGEX",
    help="Which failures are bad; others are untestable.",
)
@one_tree
@shared
def predicate(shared: Shared, subject: Path, match: str, tree: Tree) -> int:
    """Judge the Keras that is checked out here, for `git bisect run`.

    Exits 0 good, 1 bad, 125 untestable or another failure; with 128 or more if anything else went
    wrong, which makes git stop. Warm from step to step.
    """
    from keras_bisect.builds.store import cache_folder
    from keras_bisect.probe.predicate import predicate as run_predicate
    from keras_bisect.probe.prober import Script
    from keras_bisect.verdict import Match

    step = run_predicate(
        Script.read(subject),
        folder=Path.cwd(),
        cache=cache_folder(),
        backend=shared.backend,
        tree=tree,
        timeout=shared.timeout,
        memory=shared.memory,
        signature=Match.parse(match).alone(),
        start="fresh" if shared.fresh else None,
        notice=_say,
    )
    if step.outcome is not None:
        _write(step.outcome.stdout)
        sys.stderr.write(step.outcome.stderr)
    sys.stderr.write(f"{step.judged.verdict}: {step.judged.detail}\n")
    return step.code


@cli.command()
@click.option("--kind", type=click.Choice(["release", "nightly"]), help="Only these.")
@click.option("--offline", is_flag=True, help="Use only what is in the cache.")
@click.option("--index-url", metavar="URL", help="The package index.  [default: as pip, else PyPI]")
@as_json
def builds(json_: bool, kind: str | None, offline: bool, index_url: str | None) -> int:
    """List the builds that can be tested, in the order in which they were made."""
    from keras_bisect.builds.index import Index
    from keras_bisect.builds.store import cache_folder

    index = Index(cache_folder(), url=index_url, offline=offline, notice=_say)
    listed: list[Build] = []
    if kind != "nightly":
        listed += index.releases()
    if kind != "release":
        listed += index.nightlies()
    if json_:
        _write_json({"schema": 1, "builds": [_build_document(build) for build in listed]})
    else:
        for build in listed:
            made = build.made.strftime("%Y-%m-%d") if build.made else ""
            yanked = "  yanked" if build.yanked else ""
            _write(f"{build.name:24} {build.kind:8} {made}{yanked}\n")
    return 0


# -- what the commands share ---------------------------------------------------------


@contextlib.contextmanager
def _lab(
    shared: Shared, script: Script | None = None
) -> Iterator[tuple[Lab, Callable[[Event | Any], None]]]:
    from keras_bisect.events import Event
    from keras_bisect.laboratory import open_lab
    from keras_bisect.record.journal import EventsFile
    from keras_repro.screen import Progress

    _check_backend(shared.backend)
    with contextlib.ExitStack() as stack:
        progress = stack.enter_context(Progress())
        file = stack.enter_context(EventsFile(shared.events)) if shared.events else None

        def listener(event: Event | Any) -> None:
            # The search for cases tells more, which only the screen understands.
            if file is not None and isinstance(event, Event):
                file(event)
            progress(event)

        lab = open_lab(
            backend=shared.backend,
            timeout=shared.timeout,
            memory=shared.memory,
            jobs=shared.jobs,
            fresh=shared.fresh,
            offline=shared.offline,
            index_url=shared.index_url,
            repo=None if shared.repo == "none" else shared.repo or "",
            use_results=not shared.no_cache,
            era=shared.era,
            script=script,
            listener=listener,
        )
        yield stack.enter_context(lab), listener


def _check_backend(backend: str) -> None:
    from importlib.util import find_spec

    from keras_bisect.errors import UsageError

    if backend not in ("tensorflow", "numpy") and find_spec(backend) is None:
        raise UsageError(f"The backend {backend} is not installed: pip install {backend}.")


def _subject(path: Path) -> tuple[Script, AnyCase | None]:
    """A script, or the script of a case."""
    from keras_bisect.probe.prober import Script

    if path.suffix == ".json":
        from keras_repro.reading import load, render

        case = load(path)
        return render(case), case
    script = Script.read(path)
    if (path.parent / "case.json").is_file():
        # The script of a hunt: what it shows is known by what its case means.
        from keras_repro.reading import load, render

        case = load(path.parent / "case.json")
        if script.text in (render(case, tree).text for tree in _trees("both")):
            return script, case
    return script, None


def _signature(case: AnyCase | None, outcomes: Sequence[Outcome]) -> Signature | None:
    """The failure that most of the outcomes show; of several, the last."""
    if case is None:
        from keras_bisect.transitions import reference

        return reference(outcomes)
    from collections import Counter

    from keras_repro.reading import CaseSignature, explain

    shown = [reading.signature for one in outcomes if (reading := explain(case, one)) is not None]
    if not shown:
        return None
    counts = Counter(shown)
    return CaseSignature(case, max(reversed(shown), key=lambda one: counts[one]))


def _recognise(case: AnyCase) -> Callable[[Outcome], Signature | None]:
    """Learns the failure of a case by what it means, and not by its exit code."""
    from keras_repro.reading import CaseSignature, explain

    def recognised(outcome: Outcome) -> Signature | None:
        reading = explain(case, outcome)
        return CaseSignature(case, reading.signature) if reading is not None else None

    return recognised


def _hunt_folder(subject: Path, out: Path) -> Path:
    """Where a bisect is written down: with the hunt that a script is of, or in a folder of its own.

    The folder goes by the script's path, so a changed script is noticed where its search goes on.
    """
    if (subject.parent / "case.json").exists():
        return subject.parent
    path = subject.resolve()
    mark = hashlib.sha256(os.fsencode(path)).hexdigest()[:6]
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-.") or "script"
    return out / f"{stem[:56]}-{mark}"


def _trees(tree: str) -> tuple[Tree, ...]:
    from keras_bisect.outcome import TREES

    return tuple(one for one in TREES if tree in (one, "both"))


def _run_document(build: str, tree: str, outcome: Outcome) -> dict[str, Any]:
    from keras_bisect.verdict import first_look

    judged = first_look(outcome)
    described = asdict(outcome)
    return {
        "build": build,
        "tree": tree,
        "verdict": str(judged.verdict),
        "detail": judged.detail,
    } | described


def _build_document(build: Build) -> dict[str, Any]:
    return {
        "build": build.name,
        "kind": build.kind,
        "made": build.made.isoformat() if build.made else None,
        "yanked": build.wheel.yanked if build.wheel else None,
    }


def _write(text: str) -> None:
    sys.stdout.write(text)


def _write_json(document: dict[str, Any]) -> None:
    _write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def _say(text: str) -> None:
    sys.stderr.write(f"keras-repro: {text}\n")


def main() -> NoReturn:
    """Run the command line; every end is an exit code of the contract."""
    # SIGINT, too: a shell starts its background jobs with it ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        code = cli.main(standalone_mode=False) or 0
        sys.stdout.flush()
    except click.exceptions.Exit as end:
        code = end.exit_code
    except BaseException as error:  # noqa: BLE001 - a traceback would end with 1, and 1 is a verdict
        code = _failed(error)
    sys.exit(code)


def _failed(error: BaseException) -> int:
    """Tell an error, and the exit code of it."""
    from keras_bisect.errors import KerasBisectError

    if isinstance(error, BrokenPipeError):
        # Whoever read the output has seen enough; Python must not complain once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    elif isinstance(error, click.ClickException):
        error.show()
        code = error.exit_code
    elif isinstance(error, KerasBisectError):
        _say(str(error))
        code = error.exit_code
    elif isinstance(error, KeyboardInterrupt | click.Abort):
        _say("interrupted.")
        code = INTERRUPTED
    elif isinstance(error, OSError):
        _say(f"{error}. Nothing that was written before is lost; run again when it is mended.")
        code = HARNESS
    else:
        traceback.print_exception(error)
        _say("This is a fault of keras-repro itself: please report it with the lines above.")
        code = HARNESS
    if sys.argv[1:2] != ["predicate"]:
        return code
    # Whatever is below 128 git would take for a verdict.
    return {USAGE: 129, INTERRUPTED: 130}.get(code, 128)


def _interrupt(_signal: int, _frame: Any) -> NoReturn:
    raise KeyboardInterrupt
