"""`predicate`: one step of `git bisect run`.

Public: `predicate`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from keras_repro.cli.common import backend_of, read_script
from keras_repro.cli.options import MatchCommand, Probing, one_tree, probing
from keras_repro.cli.output import say, tell, write
from keras_repro.cli.values import SUBJECT

if TYPE_CHECKING:
    from keras_bisect.outcome import Tree

__all__ = ["predicate"]


@click.command(cls=MatchCommand)
@click.argument("subject", metavar="SCRIPT|CASE", type=SUBJECT)
@click.option(
    "--match",
    default="any",
    show_default=True,
    metavar="any|message REGEX",
    help="Which failures are bad; others are untestable.",
)
@one_tree
@probing
def predicate(probing: Probing, subject: Path, match: str, tree: Tree) -> int:
    """Judge the Keras checked out here, for `git bisect run`.

    Exits 0 good, 1 bad, 125 untestable or another failure; with 128 or more if anything else went
    wrong, which makes git stop. Warm from step to step.
    """
    from keras_bisect.builds.store import cache_folder
    from keras_bisect.probe.predicate import predicate as run_predicate
    from keras_bisect.verdict import Match

    script = read_script(subject)
    step = run_predicate(
        script,
        folder=Path.cwd(),
        cache=cache_folder(),
        backend=backend_of(probing, script),
        tree=tree,
        timeout=probing.timeout,
        memory=probing.memory,
        signature=Match.parse(match).alone(),
        start="fresh" if probing.fresh else None,
        notice=say,
    )
    if step.outcome is not None:
        write(step.outcome.stdout)
        tell(step.outcome.stderr)
    tell(f"{step.judged.verdict}: {step.judged.detail}\n")
    return step.code
