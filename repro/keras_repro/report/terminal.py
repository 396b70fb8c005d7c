"""A report for a terminal: what matters most, on one screen. Pure.

Public: `plain_text`.
"""

from __future__ import annotations

from collections.abc import Iterator

from keras_repro.report.markdown import visible
from keras_repro.report.report import Report
from keras_repro.report.wording import plain

__all__ = ["plain_text"]


def plain_text(report: Report) -> str:
    """The report as plain text."""
    return "\n".join(line.rstrip() for line in _lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    facts, seen = report.facts, report.seen
    yield report.title
    yield "=" * min(len(report.title), 79)
    yield plain(report.headline)
    yield ""
    for sentence in report.sentences:
        yield f"- {visible(sentence)}"
    for rule in facts.rules:
        yield f"  breaks {rule.id} ({report.kind}): {rule.sentence}"
        yield f"  {rule.source}"
    if facts.rules:
        yield ""
    for line in report.sight.lines:
        yield f"  {visible(line)}"
    yield ""
    if seen.neighbour:
        yield f"It passes with {seen.neighbour.change}."
        for line in seen.neighbour.diff:
            yield f"  {visible(line)}"
        yield ""
    if report.timeline:
        yield f"Releases: {report.line}"
    for gap in report.gaps:
        yield visible(gap.text, 600) + (f" To go on: {gap.command}" if gap.command else "")
    yield ""
    for command in (*report.again, *report.replay):
        yield f"  {command}"
