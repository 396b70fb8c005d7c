"""`report` and `script`: what to file, and the program that shows it.

Public: `report`, `script`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from keras_bisect.errors import UsageError
from keras_repro.cli.common import open_lab_of
from keras_repro.cli.options import Shared, as_json, shared
from keras_repro.cli.output import say, write, write_json
from keras_repro.cli.values import SUBJECT

if TYPE_CHECKING:
    from keras_bisect.lab import Lab
    from keras_bisect.outcome import Tree
    from keras_repro.report.writing import Format, Reported

__all__ = ["report", "script"]


@click.command()
@click.argument("hunt", metavar="HUNT", type=SUBJECT)
@click.option(
    "--format",
    "form",
    type=click.Choice(["markdown", "html", "text"]),
    help="Write one report to standard output in this form, and no files.",
)
@click.option("--title-only", is_flag=True, help="Write the title of the issue and nothing else.")
@click.option(
    "--link", is_flag=True, help="Write the address of a prefilled new issue and nothing else."
)
@click.option(
    "--known",
    "skip_known",
    is_flag=True,
    help="Make no report of what was reported to Keras already.",
)
@click.option(
    "--known-bugs",
    metavar="FOLDER",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A list of known bugs of your own, a TOML file each.  [default: that of the project]",
)
@shared
@as_json
def report(
    shared: Shared,
    json_: bool,
    hunt: Path,
    form: Format | None,
    title_only: bool,
    link: bool,
    skip_known: bool,
    known_bugs: Path | None,
) -> int:
    """Write the issue and the page of a hunt or a bisect.

    HUNT is the folder of a finding or of a bisect, or one that holds several. The script is run
    again, in a fresh interpreter: what an issue shows was seen when it was written.
    """
    from keras_repro.report import facts, wording, writing
    from keras_repro.report.known import known_bugs as read_known

    folders = facts.folders(hunt)
    if len(folders) > 1 and (form or title_only or link):
        names = ", ".join(folder.name for folder in folders[:3])
        raise UsageError(f"{hunt} holds {len(folders)} folders. Name one of them: {names}, …")
    if title_only:
        write(wording.title(facts.read_facts(folders[0])) + "\n")
        return 0
    given = click.get_current_context().get_parameter_source("backend")

    @contextlib.contextmanager
    def lab_of(backend: str) -> Iterator[Lab]:
        named = given is ParameterSource.COMMANDLINE and shared.backend != "auto"
        if named and shared.backend != backend:
            raise UsageError(f"{hunt} is of the backend {backend}. Leave --backend out.")
        with open_lab_of(replace(shared, backend=backend)) as (lab, _):
            yield lab

    found = writing.report_folders(folders, lab_of, read_known(known_bugs), skip_known=skip_known)
    faults = [one.fault for one in found if one.fault]
    if len(folders) == 1 and faults:
        raise faults[0]
    if form is not None or link:
        for one in found:
            _like(one)
            if one.report is not None:
                write(writing.text_of(one.report, form) if form else writing.link_of(one.report))
        return 0
    for one in found:
        if one.report is not None:
            writing.write_files(one.report, one.folder)
    index = writing.write_index(found, hunt) if len(folders) > 1 else None
    if json_:
        documents = [writing.document(one) for one in found]
        write_json({"schema": 1, "index": str(index) if index else None, "reports": documents})
    else:
        for one in found:
            _tell(one)
        write(f"index   {index}\n" if index else "")
    return faults[0].exit_code if faults else 0


def _tell(one: Reported) -> None:
    """Say what became of a folder."""
    from keras_repro.report.wording import plain

    if one.fault is not None:
        say(f"{one.folder.name}: {one.fault}")
        return
    _like(one)
    if one.report is None:
        return
    write(f"{one.report.title}\n{plain(one.report.headline)}\n")
    for gap in one.report.gaps:
        write(f"missing {gap.text}" + (f" To go on: {gap.command}\n" if gap.command else "\n"))
    write(f"issue   {one.folder / 'issue.md'}\npage    {one.folder / 'report.html'}\n")
    write("file it from the page, or with the address that --link gives\n\n")


def _like(one: Reported) -> None:
    for like in one.like:
        nothing = " Nothing was written." if one.report is None else ""
        say(f"{like}{nothing}")


@click.command()
@click.argument("case", metavar="CASE", type=SUBJECT)
@click.option(
    "--tree",
    type=click.Choice(["optree", "dm-tree"]),
    help="Implementation of keras.tree that is asked.  "
    "[default: that of the finding beside it, or optree]",
)
@click.option(
    "--pytest",
    "as_test",
    is_flag=True,
    help="Write it as a regression test for the test suite of Keras.",
)
def script(case: Path, tree: Tree | None, as_test: bool) -> int:
    """Write the script of a case to standard output.

    CASE is a `case.json`, or the folder of a finding.
    """
    from keras_repro.reading import load, render
    from keras_repro.regression import regression_test
    from keras_repro.report.facts import rules_of, tree_of
    from keras_repro.trees.case import TreeCase

    path = case / "case.json" if case.is_dir() else case
    subject = load(path)
    tree = tree or tree_of(path)
    if not as_test:
        write(render(subject, tree).text)
        return 0
    if tree != "optree" and not isinstance(subject, TreeCase):
        raise UsageError(
            "A test of a model runs with the keras.tree of its suite, and cannot choose dm-tree. "
            "Name --tree optree for one that may pass."
        )
    write(regression_test(render(subject).text, rules_of(path), tree))
    return 0
