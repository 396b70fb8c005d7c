"""`predicate`: one step of `git bisect run`.

Public: `predicate`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from keras_repro.cli.options import MatchCommand, Shared, one_tree, shared
from keras_repro.cli.output import say, tell, write

if TYPE_CHECKING:
    from keras_bisect.outcome import Tree

__all__ = ["predicate"]


@click.command(cls=MatchCommand)
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
    """Judge the Keras checked out here, for `git bisect run`.

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
        notice=say,
    )
    if step.outcome is not None:
        write(step.outcome.stdout)
        tell(step.outcome.stderr)
    tell(f"{step.judged.verdict}: {step.judged.detail}\n")
    return step.code
