"""From folders to reports, and to the files beside them. What acts is here, and is thin.

    hunts/<slug>/issue.md       what to file
                 report.html    the same for eyes
                 minimal.py     the script in them, where it could be made smaller than the case
    hunts/index.html            where there are several: which release shows which

Public: `Reported`, `report_folders`, `text_of`, `write_files`, `write_index`, `document`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from keras_bisect.atomic import write_atomic
from keras_bisect.errors import KerasBisectError, NotReproduced
from keras_bisect.lab import Lab
from keras_repro.report.facts import Facts, read_facts
from keras_repro.report.issue import issue, new_issue_link, refuse_unspecified
from keras_repro.report.known import Known, Likeness, likenesses
from keras_repro.report.looking import look
from keras_repro.report.minimal import with_minimal
from keras_repro.report.page import Summary, index_page, page
from keras_repro.report.report import Report
from keras_repro.report.terminal import plain_text
from keras_repro.report.wording import plain

__all__ = [
    "Format",
    "Reported",
    "document",
    "link_of",
    "report_folders",
    "text_of",
    "write_files",
    "write_index",
]

Format = Literal["markdown", "html", "text"]


@dataclass(frozen=True)
class Reported:
    """What became of one folder."""

    folder: Path
    facts: Facts | None = None
    report: Report | None = None
    """None where it is known already, or could not be made."""
    like: tuple[Likeness, ...] = ()
    """Known bugs that it looks like."""
    fault: KerasBisectError | None = None
    """Why there is none."""


def report_folders(
    folders: Sequence[Path],
    open_lab: Callable[[str], AbstractContextManager[Lab]],
    known: Sequence[Known],
    *,
    skip_known: bool,
) -> list[Reported]:
    """Report on each folder; what is wrong with one does not stop the others.

    Args:
        folders: of findings or bisects.
        open_lab: makes a lab of a Keras backend.
        known: bugs that were reported already.
        skip_known: make no report of these.
    """
    read = [_read(folder, known) for folder in folders]
    found: dict[Path, Reported] = {one.folder: one for one in read}
    wanted = [
        one
        for one in read
        if one.facts is not None and not (skip_known and any(like.same for like in one.like))
    ]
    for backend in dict.fromkeys(one.facts.backend for one in wanted if one.facts):
        with open_lab(backend) as lab:
            for one in wanted:
                if one.facts is not None and one.facts.backend == backend:
                    found[one.folder] = _looked(lab, one, one.facts)
    return [found[folder] for folder in folders]


def _read(folder: Path, known: Sequence[Known]) -> Reported:
    try:
        facts = read_facts(folder)
        refuse_unspecified(facts)
    except KerasBisectError as fault:
        return Reported(folder, fault=fault)
    return Reported(folder, facts, like=tuple(likenesses(facts, known)))


def _looked(lab: Lab, one: Reported, facts: Facts) -> Reported:
    try:
        smaller = with_minimal(lab, facts, one.folder / "minimal.py")
        try:
            report = Report(smaller, look(lab, smaller))
        except NotReproduced:
            if smaller is facts:
                raise
            # Made for what was known before: the script of the case is as good as ever.
            report = Report(facts, look(lab, facts))
        return Reported(one.folder, report.facts, report, one.like)
    except KerasBisectError as fault:
        return Reported(one.folder, facts, None, one.like, fault)


def text_of(report: Report, form: Format) -> str:
    """A report in one form."""
    match form:
        case "markdown":
            return issue(report)
        case "html":
            return page(report)
        case "text":
            return plain_text(report)


def link_of(report: Report) -> str:
    """The address of a prefilled issue, as a line."""
    return new_issue_link(report) + "\n"


def write_files(report: Report, folder: Path) -> None:
    """Write the issue and the page into a folder."""
    write_atomic(folder / "issue.md", _encoded(text_of(report, "markdown")))
    write_atomic(folder / "report.html", _encoded(text_of(report, "html")))


def write_index(found: Sequence[Reported], folder: Path) -> Path:
    """Write the page that leads to several."""
    path = folder / "index.html"
    write_atomic(path, _encoded(index_page(list(_summaries(found, folder)))))
    return path


def _summaries(found: Sequence[Reported], folder: Path) -> Iterator[Summary]:
    for one in found:
        if one.report is not None:
            href = os.path.relpath(one.folder / "report.html", folder).replace(os.sep, "/")
            yield Summary(href, one.report)


def _encoded(text: str) -> bytes:
    """UTF-8; what it has no bytes for, such as half of a pair of surrogates, as an escape."""
    return text.encode("utf-8", "backslashreplace")


def document(one: Reported) -> dict[str, Any]:
    """What became of a folder, for `--json`."""
    report = one.report
    return {
        "folder": str(one.folder),
        "title": report.title if report else None,
        "headline": plain(report.headline) if report else None,
        "issue": str(one.folder / "issue.md") if report else None,
        "page": str(one.folder / "report.html") if report else None,
        "link": new_issue_link(report) if report else None,
        "known": [
            {"issue": like.known.name, "link": like.known.link, "same": like.same}
            for like in one.like
        ],
        "missing": [{"text": gap.text, "command": gap.command} for gap in report.gaps]
        if report
        else [],
        "error": str(one.fault) if one.fault else None,
    }
