"""The command line: reads what a person wrote, calls one function, writes the answer. Nothing else.

Exit codes are a contract: 0 answered, 1 only where `run` or `--exit-code` says so, 2 usage, 3 not
reproduced, 4 inconclusive, 5 the harness failed, 125 from `run` for what cannot be tested, 130
interrupted.

Imports are made where they are used: `--help` must not wait for Hypothesis.

Public: `main`.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

if TYPE_CHECKING:
    from keras_bisect.build import Build
    from keras_bisect.events import Event
    from keras_bisect.lab import Lab
    from keras_bisect.outcome import Outcome, Tree
    from keras_bisect.probe import Script
    from keras_bisect.timeline import Transition
    from keras_bisect.verdict import Signature
    from keras_repro.reading import AnyCase

__all__ = ["main"]

F = TypeVar("F", bound=Callable[..., Any])

INTERRUPTED = 130
HARNESS = 5
INCONCLUSIVE = 4

BUILD_HELP = (
    "A build: 3.5.0, nightly, nightly:2024-07-20, 3.4.1.dev2024072003, git:REV, path:DIR, "
    "installed."
)


@dataclass(frozen=True)
class Shared:
    """The options that mean the same for every command that probes."""

    backend: str
    timeout: float
    memory: int
    jobs: int | None
    offline: bool
    fresh: bool
    index_url: str | None
    repo: str | None


def shared(command: F) -> F:
    """Add the options that mean the same everywhere, as one argument `shared`."""

    def gathered(
        *args: Any,
        backend: str,
        timeout: float,
        memory: float,
        jobs: int | None,
        offline: bool,
        fresh: bool,
        index_url: str | None,
        repo: str | None,
        **others: Any,
    ) -> Any:
        size = int(memory * (1 << 30))
        return command(
            *args,
            shared=Shared(backend, timeout, size, jobs, offline, fresh, index_url, repo),
            **others,
        )

    gathered.__name__, gathered.__doc__ = command.__name__, command.__doc__
    gathered.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    options = (
        click.option(
            "--backend",
            default="tensorflow",
            show_default=True,
            type=click.Choice(["tensorflow", "jax", "torch", "numpy"]),
            help="Keras backend of every probe.",
        ),
        click.option(
            "--timeout",
            default=120.0,
            show_default=True,
            type=click.FloatRange(min=0.1),
            help="Seconds a script may run.",
        ),
        click.option(
            "--memory",
            default=4.0,
            show_default=True,
            type=click.FloatRange(min=0.1),
            help="GiB a script may use.",
        ),
        click.option(
            "--jobs",
            type=click.IntRange(min=1),
            help="Probes at a time.  [default: one a processor]",
        ),
        click.option("--offline", is_flag=True, help="Use only what is in the cache."),
        click.option(
            "--fresh",
            is_flag=True,
            help="A fresh interpreter for each probe: slower, same results.",
        ),
        click.option(
            "--index-url", metavar="URL", help="The package index.  [default: as pip, else PyPI]"
        ),
        click.option(
            "--repo",
            metavar="PATH|URL",
            help="A clone of the Keras repository: for commits, git:REV.",
        ),
    )
    for option in reversed(options):
        gathered = option(gathered)
    return gathered  # type: ignore[return-value]


def as_json(command: F) -> F:
    """Add `--json`."""
    text = "One JSON document on standard output, nothing else there."
    return click.option("--json", "json_", is_flag=True, help=text)(command)


def one_tree(command: F) -> F:
    """Add `--tree` for commands that probe under one implementation."""
    kinds = click.Choice(["optree", "dm-tree"])
    text = "Implementation of keras.tree."
    return click.option("--tree", default="optree", show_default=True, type=kinds, help=text)(
        command
    )


def searching(command: F) -> F:
    """Add the options of a search."""
    options = (
        click.option(
            "--keras", metavar="BUILD", help=f"{BUILD_HELP}  [default: the newest release]"
        ),
        click.option(
            "--tree",
            default="both",
            show_default=True,
            type=click.Choice(["optree", "dm-tree", "both"]),
            help="Implementation of keras.tree.",
        ),
        click.option(
            "--seed",
            default=0,
            show_default=True,
            type=click.IntRange(min=0),
            help="The same seed draws the same cases.",
        ),
        click.option(
            "--max-examples",
            default=150,
            show_default=True,
            type=click.IntRange(min=1),
            help="Models drawn; shrinking comes on top.",
        ),
        click.option("--first", is_flag=True, help="Stop at the first finding."),
        click.option(
            "--out",
            default="hunts",
            show_default=True,
            type=click.Path(file_okay=False, path_type=Path),
            help="Folder for hunt folders.",
        ),
        click.option("--exit-code", is_flag=True, help="Exit with 1 if something was found."),
    )
    for option in reversed(options):
        command = option(command)
    return command


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
            found = {b.name: o for _, b, o in lab.outcomes([script], builds, one)}
            runs += [(build.name, one, found[build.name]) for build in builds]
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
        outcomes = {b.name: o for _, b, o in lab.outcomes([script], builds, tree)}
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


@cli.command()
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
    "--to",
    default="file",
    show_default=True,
    type=click.Choice(["release", "nightly", "commit", "file"]),
    help="How far to narrow.",
)
@one_tree
@shared
@as_json
def bisect(
    shared: Shared,
    json_: bool,
    subject: Path,
    good: str | None,
    bad: str | None,
    to: str,
    tree: Tree,
) -> int:
    """Find the release, the nightly and the file between a good and a bad build of any script."""
    from keras_bisect.api import bisect as run_bisect
    from keras_bisect.documents import bisect_document
    from keras_bisect.narrow import Grain
    from keras_repro import screen

    script, case = _subject(subject)
    with _lab(shared) as (lab, _listener):
        bad_build = lab.resolve(bad) if bad else lab.index.releases()[-1]
        good_build = lab.resolve(good) if good else None
        signature = _signature(case, [lab.outcome(script, bad_build, tree)]) if case else None
        result = run_bisect(
            lab,
            script,
            good=good_build,
            bad=bad_build,
            to=Grain[to.upper()],
            tree=tree,
            signature=signature,
        )
    if json_:
        _write_json(
            bisect_document(result.transitions, probes=result.probes, seconds=result.seconds)
        )
    else:
        lines = [line for one in result.transitions for line in screen.transition_lines(one)]
        _write("\n".join(lines) + f"\n{result.probes} probes, {result.seconds:.1f} s\n")
    return INCONCLUSIVE if _ambiguous(result.transitions) else 0


@cli.command()
@click.option("--kind", type=click.Choice(["release", "nightly"]), help="Only these.")
@click.option("--offline", is_flag=True, help="Use only what is in the cache.")
@click.option("--index-url", metavar="URL", help="The package index.  [default: as pip, else PyPI]")
@as_json
def builds(json_: bool, kind: str | None, offline: bool, index_url: str | None) -> int:
    """List the builds that can be tested, in the order in which they were made."""
    from keras_bisect.index import Index
    from keras_bisect.store import cache_folder

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
def _lab(shared: Shared) -> Iterator[tuple[Lab, Callable[[Event | Any], None]]]:
    from keras_bisect.events import Notice
    from keras_bisect.index import Index
    from keras_bisect.lab import Lab
    from keras_bisect.probe import Prober
    from keras_bisect.store import Store, cache_folder
    from keras_repro.screen import Progress

    _check_backend(shared.backend)
    cache = cache_folder()
    with contextlib.ExitStack() as stack:
        progress = stack.enter_context(Progress())
        # Warming up takes seconds; it goes on while the index is asked.
        prober = stack.enter_context(
            Prober(
                backend=shared.backend,
                timeout=shared.timeout,
                memory=shared.memory,
                jobs=shared.jobs,
                start="fresh" if shared.fresh else None,
            )
        )
        store = stack.enter_context(Store(cache, offline=shared.offline))
        index = Index(
            cache,
            url=shared.index_url,
            offline=shared.offline,
            notice=lambda text: progress(Notice(text)),
        )
        repository = None
        if shared.repo:
            from keras_bisect.repository import Repository

            repository = Repository(
                shared.repo,
                cache,
                offline=shared.offline,
                notice=lambda text: progress(Notice(text)),
            )
        lab = Lab(index, store, prober, repository=repository, listener=progress)
        yield stack.enter_context(lab), progress


def _check_backend(backend: str) -> None:
    from importlib.util import find_spec

    from keras_bisect.errors import UsageError

    if backend not in ("tensorflow", "numpy") and find_spec(backend) is None:
        raise UsageError(f"The backend {backend} is not installed: pip install {backend}.")


def _subject(path: Path) -> tuple[Script, AnyCase | None]:
    """A script, or the script of a case."""
    from keras_bisect.probe import Script

    if path.suffix != ".json":
        return Script.read(path), None
    from keras_repro.reading import load, render

    case = load(path)
    return render(case), case


def _signature(case: AnyCase | None, outcomes: Sequence[Outcome]) -> Signature | None:
    """The failure that most of the outcomes show; of several, the last."""
    if case is None:
        from keras_bisect.timeline import reference

        return reference(outcomes)
    from collections import Counter

    from keras_repro.reading import CaseSignature, explain

    shown = [reading.signature for one in outcomes if (reading := explain(case, one)) is not None]
    if not shown:
        return None
    counts = Counter(shown)
    return CaseSignature(case, max(reversed(shown), key=lambda one: counts[one]))


def _ambiguous(transitions: Sequence[Transition]) -> bool:
    return any(one.between for one in transitions)


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
    from keras_bisect.errors import KerasBisectError

    # SIGINT, too: a shell starts its background jobs with it ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        code = cli.main(standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as end:
        code = end.exit_code
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except KerasBisectError as error:
        _say(str(error))
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        _say("interrupted.")
        code = INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has seen enough; Python must not complain once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:
        _say(f"{error}. Nothing that was written before is lost; run again when it is mended.")
        code = HARNESS
    sys.exit(code or 0)


def _interrupt(_signal: int, _frame: Any) -> NoReturn:
    raise KeyboardInterrupt
