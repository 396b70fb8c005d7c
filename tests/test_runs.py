"""Without these, a search could run a script twice, or use one processor of many."""

from __future__ import annotations

import time
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from keras_bisect.builds.store import Source
from keras_bisect.outcome import Ended, Outcome, Tree
from keras_bisect.probe.prober import Prober, Script
from keras_repro.find.runs import Runs
from test_case import FOUNDING


class Slow(Runs):
    """Runs of which no two may be of one script, and that take a while."""

    def __init__(self, jobs: int) -> None:
        super().__init__(
            cast(Prober, SimpleNamespace(jobs=jobs, backend="")),
            cast(Source, SimpleNamespace(build="")),
        )
        self.ran: list[str] = []
        self.most = 0

    def _run(self, script: Script, tree: Tree) -> Outcome:
        self.most = max(self.most, self._busy)
        assert script.text not in self.ran
        self.ran.append(script.text)
        time.sleep(0.02)
        return Outcome(Ended.EXIT, len(self.ran) % 2, 0.0)


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_what_is_run_ahead_is_run_once_and_looked_at_in_its_order(jobs: int) -> None:
    """Lost: more processors would shrink to something else, or never be used."""
    cases = [replace(FOUNDING, batches=count) for count in (1, 2, 3, 4, 2, 5, 6, 7, 8, 1)]
    with Slow(jobs) as runs:
        seen = [case for case in runs.ahead(cases, "optree") if runs.outcome(case, "optree")]
    assert seen == cases
    assert len(runs.ran) == 8
    assert runs.most == jobs if jobs < 5 else 2 < runs.most <= 5
