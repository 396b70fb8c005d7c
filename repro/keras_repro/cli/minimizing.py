"""`minimize`: how small can my script be?

Public: `minimize`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from keras_bisect.errors import UsageError
from keras_repro.cli.common import open_lab_of, read_subject, recognised_by
from keras_repro.cli.options import (
    BUILD_HELP,
    MatchCommand,
    Shared,
    as_json,
    matching,
    one_tree,
    shared,
)
from keras_repro.cli.output import say, write, write_json
from keras_repro.cli.values import SUBJECT, TO_WRITE, Duration, Word

if TYPE_CHECKING:
    from keras_bisect.outcome import Tree

__all__ = ["minimize"]


@click.command(cls=MatchCommand)
@click.argument("subject", metavar="SCRIPT|CASE", type=SUBJECT)
@click.option(
    "--good",
    metavar="BUILD",
    type=Word(),
    help="A build where the script passes.  [default: looked for among older releases]",
)
@click.option(
    "--bad",
    metavar="BUILD",
    type=Word(),
    help=f"A build where it fails. {BUILD_HELP}  [default: the newest release]",
)
@matching
@click.option(
    "--budget",
    metavar="TIME",
    type=Duration(),
    default=600.0,
    show_default="10m",
    help="How long to go on: 90s, 10m, 2h.",
)
@click.option(
    "--out",
    metavar="FILE",
    type=TO_WRITE,
    help="Write the smaller script to a file, again whenever it got smaller.  "
    "[default: standard output]",
)
@one_tree
@shared
@as_json
def minimize(
    shared: Shared,
    json_: bool,
    subject: Path,
    good: str | None,
    bad: str | None,
    match: str,
    budget: float,
    out: Path | None,
    tree: Tree,
) -> int:
    """Make a script smaller that fails in one build and passes in another.

    What is left fails in the same way at the bad end and passes at the good one. It is run some
    hundred times with parts of it missing, so it should be one that does no harm. It ends when
    nothing more can be taken out; Ctrl-C keeps the smallest so far.
    """
    from keras_bisect.atomic import write_atomic
    from keras_bisect.verdict import Match, learn
    from keras_repro import minimize as room
    from keras_repro.polish import harness

    wanted = Match.parse(match)
    script, case = read_subject(subject)
    if out is not None and out.exists() and out.samefile(subject):
        raise UsageError(f"--out {out} is the script itself. Name another file.")
    best = ""

    def smaller(text: str) -> None:
        nonlocal best
        best = text
        if out is not None:
            write_atomic(out, text)

    try:
        with open_lab_of(shared, script) as (lab, _listener):
            result = room.minimize(
                lab,
                script,
                good=good,
                bad=bad,
                recognise=(
                    recognised_by(case)
                    if case and wanted.kind == "signature"
                    else lambda outcome: learn(outcome, wanted)
                ),
                tree=tree,
                budget=budget,
                keep=harness if case else lambda _: (),
                smaller=smaller,
            )
    except KeyboardInterrupt:
        if best and out is None and not json_:
            write(best)
        raise
    smaller(result.text)
    before, after = (len(text.splitlines()) for text in (script.text, result.text))
    if json_:
        write_json(
            {
                "schema": 1,
                "script": result.text,
                "signature": str(result.signature),
                "good": result.good.name,
                "bad": result.bad.name,
                "lines": {"before": before, "after": after},
                "finished": result.finished,
                "probes": result.probes,
                "seconds": round(result.seconds, 3),
            }
        )
    elif out is None:
        write(result.text)
    say(
        f"{before} lines, now {after}: {result.signature} in {result.bad}, passes in "
        f"{result.good}. {result.probes} probes, {result.seconds:.0f} s."
        + ("" if result.finished else " The budget ended before it was done: give a larger one.")
    )
    return 0
