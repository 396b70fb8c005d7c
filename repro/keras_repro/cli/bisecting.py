"""`bisect` and `status`: which change did it, and how does the search for it stand?

Public: `bisect`, `status`.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Any

import click

from keras_bisect.errors import HarnessError, Inconclusive
from keras_repro.cli.again import given
from keras_repro.cli.common import CASE, open_lab_of, read_subject, recognised_by
from keras_repro.cli.options import (
    BUILD_HELP,
    MatchCommand,
    Shared,
    as_json,
    matching,
    one_tree,
    out_option,
    shared,
)
from keras_repro.cli.output import write, write_json
from keras_repro.cli.values import SUBJECT, TO_WRITE, Number, Repeats, Word

__all__ = ["bisect", "status"]

FOR_ONCE = ("good", "bad", "repo", "resume", "json_", "git_log", "events")
"""Options that are not said again by who goes on from an answer."""


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
    type=Word(),
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
    metavar="P",
    type=Number(0.5, 1, min_open=True, max_open=True),
    default=0.99,
    show_default=True,
    help="How sure the answer must be if the script does not always show the same.",
)
@out_option("Folder for hunt folders, with the journal.")
@click.option("--resume", is_flag=True, help="Go on with the same bisect after it was killed.")
@click.option(
    "--git-log",
    metavar="FILE",
    type=TO_WRITE,
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
    """Find the release, commit and file that broke a script.

    Or, with --find-fix, that mended it. SCRIPT is a Python file that fails, with an exception or
    any exit code but 0; 125 says that it cannot tell. CASE is a case.json of a hunt.
    """
    from keras_bisect.verdict import Match

    wanted = Match.parse(match)
    script, case = read_subject(subject)
    with open_lab_of(shared, script) as (lab, _listener):
        # What is imported here is imported while TensorFlow is.
        from keras_bisect.api import bisect as run_bisect
        from keras_bisect.api import git_log as log_of
        from keras_bisect.atomic import write_atomic
        from keras_bisect.documents import bisect_document
        from keras_bisect.errors import KerasBisectError
        from keras_bisect.search.narrow import Grain
        from keras_bisect.search.trial import Repeat
        from keras_repro import screen

        result = run_bisect(
            lab,
            script,
            to=Grain[to.upper()],
            match=wanted,
            recognise=recognised_by(case) if case and wanted.kind == "signature" else None,
            repeat=Repeat(repeat, confidence),
            journal=hunt_folder_of(subject, out, of_a_hunt=case is not None) / "journal.jsonl",
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
        write_json(document)
    else:
        typed = given("resume", "json_", "git_log", "events")
        write(screen.bisect_summary(result, subject, given(*FOR_ONCE), typed))
    if fault is not None:
        raise fault
    if git_log is not None:
        try:
            write_atomic(git_log, log)
        except OSError as error:
            raise HarnessError(f"{git_log} cannot be written: {error.strerror}.") from error
    return Inconclusive.exit_code if result.ambiguous else 0


@click.command()
@click.argument("hunt", metavar="HUNT", type=SUBJECT)
@as_json
def status(json_: bool, hunt: Path) -> int:
    """Tell how a search stands, running or dead.

    HUNT is its folder, or the journal.jsonl in it.
    """
    from keras_bisect.record.status import status_document, status_lines, status_of

    found = status_of(hunt)
    if json_:
        write_json(status_document(found))
    else:
        write("\n".join(status_lines(found)) + "\n")
    return 0


def hunt_folder_of(subject: Path, out: Path, *, of_a_hunt: bool) -> Path:
    """Where a bisect is written down: with the hunt that a script is of, or in a folder of its own.

    The folder goes by the script's path, so a changed script is noticed where its search goes on.
    """
    if of_a_hunt and subject.with_name(CASE).exists():
        return subject.parent
    path = subject.resolve()
    mark = hashlib.sha256(os.fsencode(path)).hexdigest()[:6]
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-.") or "script"
    return out / f"{stem[:56]}-{mark}"
