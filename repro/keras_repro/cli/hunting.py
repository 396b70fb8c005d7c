"""`hunt`, `find` and `regressions`: what is wrong with a Keras, and what got worse?

Public: `find`, `hunt`, `regressions`.
"""

from __future__ import annotations

import glob
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from keras_bisect.bounded import read_bounded
from keras_bisect.errors import INTERRUPTED, UsageError
from keras_repro.cli.again import again
from keras_repro.cli.common import light_of, open_lab_of, trees_of
from keras_repro.cli.options import Shared, as_json, comparing, searching, shared
from keras_repro.cli.output import say, write, write_json

if TYPE_CHECKING:
    from keras_repro.find import Budget
    from keras_repro.hunted import Hunt

__all__ = ["find", "hunt", "regressions"]

LIMIT = 16 << 20
"""Bytes of a hunt.json, far more than one finding takes."""


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
    """Find bugs of a Keras, and shrink them.

    With --keras 3.0.0..3.15.1, of all releases between: each case is run under all of them, and
    what fails in one of them is shown with its verdict in each.
    """
    keras = options["keras"]
    if keras and (ends := re.fullmatch(r"(\d[\w.]*?)\.\.(\d[\w.]*)", keras)):
        options.pop("keras")
        return _find_in_line(shared, json_, exit_code, ends=(ends[1], ends[2]), **options)
    return _hunt(shared, json_, exit_code, search_only=True, **options)


@click.command()
@comparing
@shared
@as_json
def regressions(
    shared: Shared,
    json_: bool,
    exit_code: bool,
    *,
    before: str | None,
    after: str | None,
    tree: str,
    seed: int,
    out: Path,
    **wanted: Any,
) -> int:
    """Find what fails in a Keras and passes in an older one: what got worse?"""
    from keras_repro.across import regressions as run_regressions

    budget = _budget(out=out, **wanted)
    with open_lab_of(shared) as (lab, listener):
        old = lab.resolve(before) if before else lab.index.releases()[-1]
        new = lab.resolve(after or "nightly")
        result = run_regressions(
            lab,
            old,
            new,
            trees=trees_of(tree, lab.prober.backend),
            seed=seed,
            budget=budget,
            out=out,
            light=light_of(shared),
            command=again(before=old.name, after=new.name, seed=str(seed)),
            listener=listener,
        )
    return _tell(result, out, json_, exit_code)


def _find_in_line(
    shared: Shared,
    json_: bool,
    exit_code: bool,
    *,
    ends: tuple[str, str],
    tree: str,
    seed: int,
    out: Path,
    **wanted: Any,
) -> int:
    from keras_repro.across import search_releases

    budget = _budget(out=out, **wanted)
    with open_lab_of(shared) as (lab, listener):
        releases = lab.index.releases()
        names = [build.name for build in releases]
        for end in ends:
            if end not in names:
                raise UsageError(f"{end} is no release. `keras-repro builds` lists them.")
        first, last = map(names.index, ends)
        if first >= last:
            raise UsageError(f"{ends[0]} is not older than {ends[1]}: write the older one first.")
        result = search_releases(
            lab,
            releases[first : last + 1],
            trees=trees_of(tree, lab.prober.backend),
            seed=seed,
            budget=budget,
            out=out,
            command=again(keras="..".join(ends), seed=str(seed)),
            listener=listener,
        )
    return _tell(result, out, json_, exit_code)


def _hunt(
    shared: Shared,
    json_: bool,
    exit_code: bool,
    *,
    search_only: bool,
    keras: str | None,
    tree: str,
    seed: int,
    out: Path,
    **wanted: Any,
) -> int:
    from keras_repro.hunt import hunt as run_hunt

    budget = _budget(out=out, **wanted)
    with open_lab_of(shared) as (lab, listener):
        build = lab.resolve(keras) if keras else lab.index.releases()[-1]
        result = run_hunt(
            lab,
            build,
            trees=trees_of(tree, lab.prober.backend),
            seed=seed,
            budget=budget,
            out=out,
            search_only=search_only,
            light=light_of(shared),
            command=again(keras=build.name, seed=str(seed)),
            replay=not shared.no_cache,
            listener=listener,
        )
    return _tell(result, out, json_, exit_code)


def _tell(result: Hunt, out: Path, json_: bool, exit_code: bool) -> int:
    """Tell what was found; then raise what the hunt ended with, if it was a fault."""
    from keras_repro import documents, screen

    if json_:
        write_json(documents.hunt_document(result))
    else:
        write(screen.hunt_summary(result))
    if result.fault is not None:
        if result.findings:
            say(f"It did not come to its end. What it had found is in {out}: see below why.")
        raise result.fault
    if result.interrupted:
        return INTERRUPTED
    return 1 if exit_code and result.findings else 0


def _budget(
    *,
    out: Path,
    max_examples: int | None,
    budget: float | None,
    first: bool,
    only: str | None,
    without: Sequence[str],
    deep: bool,
) -> Budget:
    from keras_repro.find import Budget

    if max_examples is None and budget is None:
        max_examples = 1500 if deep else 150
    return Budget(
        max_examples=max_examples,
        first=first,
        seconds=budget,
        only=frozenset(map(_rule, only.split(",") if only is not None else ())),
        without=frozenset(_passed_over(name, out) for name in without),
        deep=deep,
    )


def _rule(name: str) -> str:
    from keras_repro.contract import RULES

    if (rule := name.strip().upper()) in RULES:
        return rule
    if not rule:
        raise UsageError("--only: a rule is missing. They are listed in docs/rules.md: R1, R5, T6.")
    raise UsageError(f"{name!r} is no rule. They are listed in docs/rules.md: R1, R5, T6.")


def _passed_over(name: str, out: Path) -> str:
    """A rule, or the signature of a finding that is named by its folder."""
    from keras_repro.contract import RULES

    if name.strip().upper() in RULES:
        return name.strip().upper()
    if not name.strip():
        raise UsageError("--not: expected a rule or the folder of a finding, found nothing.")
    folders = [Path(name), out / name, *sorted(out.glob(f"*-{glob.escape(name)}"))]
    for folder in folders:
        file = folder / "hunt.json"
        if not file.is_file():
            continue
        try:
            [finding] = json.loads(read_bounded(file, LIMIT))["findings"]
            return str(finding["signature"])
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{file} is not of one finding: {error}.") from None
    raise UsageError(f"{name!r} is neither a rule nor the folder of a finding under {out}.")
