"""`hunt` and `find`: what is wrong with a Keras?

Public: `find`, `hunt`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from keras_bisect.errors import INTERRUPTED
from keras_repro.cli.again import again
from keras_repro.cli.common import open_lab_of, trees_of
from keras_repro.cli.options import Shared, as_json, searching, shared
from keras_repro.cli.output import write, write_json

__all__ = ["find", "hunt"]


@click.command()
@searching
@shared
@as_json
def hunt(shared: Shared, json_: bool, exit_code: bool, **options: Any) -> int:
    """Find bugs of a Keras, shrink them, and date them.

    To the release, the nightly, the commit where its history can be had, and the file. Each bug
    gets a folder with its script, its case and what is known of it.
    """
    return _hunt(shared, json_, exit_code, search_only=False, **options)


@click.command()
@searching
@shared
@as_json
def find(shared: Shared, json_: bool, exit_code: bool, **options: Any) -> int:
    """Find bugs of a Keras, and shrink them."""
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

    with open_lab_of(shared) as (lab, listener):
        build = lab.resolve(keras) if keras else lab.index.releases()[-1]
        result = run_hunt(
            lab,
            build,
            trees=trees_of(tree),
            seed=seed,
            budget=Budget(max_examples=max_examples, first=first),
            out=out,
            search_only=search_only,
            command=again(keras=build.name, seed=str(seed)),
            listener=listener,
        )
    if json_:
        write_json(documents.hunt_document(result))
    else:
        write(screen.hunt_summary(result))
    if result.interrupted:
        return INTERRUPTED
    return 1 if exit_code and result.findings else 0
