"""The script that a report shows: that of the case, without what it does not need.

It is made once, and kept beside the issue, so that a second report is the same to the byte.

Public: `with_minimal`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from keras_bisect.atomic import write_atomic
from keras_bisect.builds.build import Build
from keras_bisect.errors import BrokenBuild, NotCached, Unreachable, UsageError
from keras_bisect.lab import Lab
from keras_bisect.probe.prober import Script
from keras_bisect.verdict import Verdict
from keras_repro.case import Case
from keras_repro.minimize import Ends
from keras_repro.polish import polished
from keras_repro.reading import AnyCase, render
from keras_repro.report.facts import Facts

__all__ = ["with_minimal"]


def with_minimal(lab: Lab, facts: Facts, file: Path) -> Facts:
    """The facts, with the smaller script where there is one.

    Args:
        lab: what probes.
        facts: of a finding, or of anybody's script, which stays as it is.
        file: where the smaller script is kept; it is made if it is not there.
    """
    case, good, bad = facts.case, facts.good, facts.bad
    if case is None:
        return facts
    try:
        small = Script(Script.read(file).text)
    except UsageError:
        if good is None or bad is None:
            return facts
        try:
            ends = Ends(lab.resolve(good), lab.resolve(bad), tuple(_edges(lab, facts)))
            lab.source(ends.good)
        except (BrokenBuild, NotCached, Unreachable, UsageError):
            return facts
        small = polished(lab, facts.script, facts.signature, ends, facts.tree)
        write_atomic(file, small.text)
    if "run_eagerly" in small.text:
        return replace(facts, script=small, whole=facts.script)
    # What is told beside it is told of models that are not eager, either.
    plain = _not_eager(case)
    passing = None if facts.passing is None else _not_eager(facts.passing)
    whole = render(plain, facts.tree)
    return replace(facts, script=small, whole=whole, case=plain, passing=passing)


def _edges(lab: Lab, facts: Facts) -> Iterator[tuple[Build, Verdict]]:
    """The releases at the ends of the timeline, and where it changes: the report tells of all."""
    tested = [one for one in facts.timeline if one.verdict is not Verdict.UNTESTABLE]
    pairs = zip([None, *tested], tested, [*tested[1:], None], strict=False)
    for before, here, after in pairs:
        if {before and before.verdict, here.verdict, after and after.verdict} != {here.verdict}:
            yield lab.resolve(here.build), here.verdict


def _not_eager(case: AnyCase) -> AnyCase:
    return case.but(eager=False) if isinstance(case, Case) else case
