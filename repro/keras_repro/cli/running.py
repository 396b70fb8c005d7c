"""`run` and `timeline`: what does a script do under these builds, under every release?

Public: `run`, `timeline`.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from keras_bisect.errors import Inconclusive
from keras_repro.cli.common import open_lab_of, read_subject, signature_of, trees_of
from keras_repro.cli.options import BUILD_HELP, Shared, as_json, one_tree, shared
from keras_repro.cli.output import say, tell, write, write_json
from keras_repro.cli.values import SUBJECT, Word

if TYPE_CHECKING:
    from keras_bisect.outcome import Outcome, Tree

__all__ = ["run", "timeline"]


@click.command()
@click.argument("subject", metavar="SCRIPT|CASE", type=SUBJECT)
@click.option(
    "--keras",
    metavar="BUILD[,BUILD…]",
    type=Word(),
    help=f"{BUILD_HELP}  [default: the newest release]",
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

    SCRIPT is a Python file that uses Keras, CASE a case.json of a hunt. Exits as `git bisect run`
    expects: 0 good, 1 bad, 125 untestable.
    """
    from keras_bisect.verdict import Verdict, first_look

    script, _ = read_subject(subject)
    with open_lab_of(shared, script) as (lab, _listener):
        names = [name.strip() for name in keras.split(",")] if keras else []
        builds = [lab.resolve(name) for name in names if name] or [lab.index.releases()[-1]]
        runs = []
        for one in trees_of(tree):
            # A build that was named and cannot be had is an error, and not untestable.
            lab.prefetch(builds)
            list(map(lab.source, builds))
            found = lab.table(script, builds, one)
            runs += [(name, one, outcome) for name, outcome in found.items()]
    judged = [first_look(outcome) for _, _, outcome in runs]
    if json_:
        write_json({"schema": 1, "runs": [_run_document(*one) for one in runs]})
    elif len(runs) == 1:
        write(runs[0][2].stdout)
        tell(runs[0][2].stderr)
        tell(f"keras {runs[0][0]}: {judged[0].verdict}: {judged[0].detail}\n")
    else:
        for (name, one, _), look in zip(runs, judged, strict=True):
            write(f"{name:24} {one:8} {look.verdict:10}  {look.detail}\n")
    verdicts = {look.verdict for look in judged}
    if Verdict.BAD in verdicts:
        return 1
    return 125 if Verdict.UNTESTABLE in verdicts else 0


@click.command()
@click.argument("subject", metavar="SCRIPT|CASE", type=SUBJECT)
@click.option(
    "--keras",
    metavar="BUILD",
    type=Word(),
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
    """Tell which releases break a script.

    SCRIPT is a Python file that fails, with an exception or any exit code but 0; 125 says that it
    cannot tell. CASE is a case.json of a hunt.
    """
    from keras_bisect.api import judged_timeline
    from keras_bisect.documents import timeline_document
    from keras_bisect.events import Stage
    from keras_bisect.verdict import Verdict
    from keras_repro import screen

    script, case = read_subject(subject)
    with open_lab_of(shared, script) as (lab, listener):
        releases = lab.index.releases()
        shown = lab.resolve(keras) if keras else None
        builds = [
            *releases,
            *([shown] if shown and shown.name not in {b.name for b in releases} else []),
        ]
        listener(Stage(f"{len(builds)} builds", len(builds)))
        outcomes = lab.table(script, builds, tree)
    signature = signature_of(
        case, [outcomes[shown.name]] if shown else [outcomes[b.name] for b in builds]
    )
    told = judged_timeline([(b.name, outcomes[b.name]) for b in releases], signature)
    if json_:
        write_json(timeline_document(told.entries, told.transitions))
    else:
        write(screen.timeline_summary(told.entries, told.transitions))
    verdicts = {entry.verdict for entry in told.entries}
    if verdicts == {Verdict.UNTESTABLE}:
        say(f"No release could be tested: {told.entries[-1].detail}.")
        return Inconclusive.exit_code
    return 1 if exit_code and verdicts & {Verdict.BAD, Verdict.DIFFERENT} else 0


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
