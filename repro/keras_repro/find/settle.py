"""Makes small what a search has seen, and learns on which condition it comes.

Public: `Settling`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

from keras_bisect.errors import UsageError
from keras_bisect.outcome import Tree
from keras_bisect.verdict import judge
from keras_repro.changes import changed
from keras_repro.find.facts import facts
from keras_repro.find.model import Finding
from keras_repro.find.runs import Runs
from keras_repro.find.seen import Memory, Seen, with_tree
from keras_repro.reading import AnyCase, CaseSignature, explain, was_right
from keras_repro.shrink import shrink
from keras_repro.steps import decided, of_fewer, of_one_order, of_one_width, plainer_around
from keras_repro.trees.case import TreeCase

__all__ = ["Settling"]

UNEXPLAINED = ": unexplained"
"""In the signature of numbers that no single mistake gives."""


@dataclass(frozen=True)
class Hold:
    """What a case keeps while it is made small."""

    field: str
    plain: Any
    """The value in the field with which it passes."""


class Settling:
    """Makes failures of one build small, some at a time."""

    def __init__(
        self, runs: Runs, memory: Memory, trees: Sequence[Tree], before: Runs | None = None
    ) -> None:
        """Nothing is run yet.

        Args:
            runs: of the build.
            memory: what was seen under it.
            trees: the implementations each finding is run under.
            before: runs of another build; a case is kept passing there while it is made small.
        """
        self._runs = runs
        self._memory = memory
        self._trees = trees
        self._before = before

    def settle(self, waiting: Sequence[Seen], tell: Callable[[], None]) -> None:
        """Make each of these small, and let the memory learn from it; `tell` after each."""
        with ThreadPoolExecutor(self._runs.jobs, "shrink") as pool:
            futures = [pool.submit(self._smallest, seen) for seen in waiting]
            try:
                for seen, future in zip(waiting, futures, strict=True):
                    small = future.result()
                    finding = self._finding(small) if small is not None else None
                    if small is None or finding is None:
                        self._memory.drop(seen)
                    elif self._memory.turns_into(seen, small):
                        self._memory.learn(small, finding)
                    tell()
            except BaseException:
                # Those that are under way end at their next run.
                self._runs.stop()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _smallest(self, seen: Seen) -> Seen | None:
        """A failure with the smallest case; None if the case does not show it by itself.

        A structure is asked about everything at once when it is drawn, and scripts share what
        Keras keeps globally.

        What stands around a small case is there because without it the failure is another, or
        none. Where it is another, the round trip, say, is not to blame: it only disguises what is
        wrong without it, and so the failure is taken to be that one. So with outputs of several
        shapes, which are refused where those of one would be mixed up in silence.
        """
        small = self._smaller(seen, self._hold(seen))
        known = {seen.signature}
        while small is not None and (plainer := self._plainer(small, known)) is not None:
            known.add(plainer.signature)
            small = self._smaller(plainer, self._hold(plainer)) or small
        if small is not None and not isinstance(small.case, TreeCase):
            others = (case for _, case in changed(small.case))
            for case in self._runs.ahead(others, small.tree):
                self._try(small, case)
                last, its, failed = small.tried[-1]
                if last == case and not failed:
                    small.near.append(its)
        return small

    def _plainer(self, seen: Seen, known: Set[str]) -> Seen | None:
        """The failure, none of those known, that is left where less stands around a case."""
        if isinstance(seen.case, TreeCase):
            return None
        pair = seen.case.beside != "nothing"
        cases: list[AnyCase] = list(decided(seen.case) if pair else plainer_around(seen.case))
        if seen.reading.refused:
            # What goes astray silently among equal shapes is refused among others.
            cases += of_one_width(seen.case)
        disguises = len(cases)
        if UNEXPLAINED in seen.signature:
            # Perhaps it is two failures at once, and one of them comes with the names.
            cases += [*of_one_order(seen.case), *of_fewer(seen.case)]
        elif seen.reading.by_order:
            # Perhaps it only looks as if an order were to blame.
            cases += of_one_order(seen.case)
        for place, case in enumerate(self._runs.ahead(cases, seen.tree)):
            if self._before is not None and not self._before.passes(case, seen.tree):
                continue
            outcome = self._runs.outcome(case, seen.tree)
            reading = explain(case, outcome)
            if reading is None or reading.signature in known:
                continue
            if place >= disguises and seen.reading.by_order and not reading.like(seen.reading):
                continue
            if place < disguises or UNEXPLAINED not in reading.signature:
                return Seen(case, seen.tree, reading, outcome, seen.examples)
        return None

    def _hold(self, seen: Seen) -> Hold | None:
        """What around a case it hangs on: without that it passes."""
        case = seen.case
        if isinstance(case, TreeCase) or case.beside != "nothing":
            return None
        for other in self._runs.ahead(plainer_around(case), seen.tree):
            if self._runs.is_right(other, seen.tree):
                names = [one.name for one in fields(case)]
                apart = [name for name in names if getattr(case, name) != getattr(other, name)]
                if len(apart) == 1:
                    return Hold(apart[0], getattr(other, apart[0]))
        return None

    def _hangs_on(self, hold: Hold, case: AnyCase, seen: Seen) -> bool:
        """Whether a smaller case still hangs on the same thing; else it is another failure.

        That it fails in another way without it says nothing: there may be another bug.
        """
        if isinstance(case, TreeCase) or getattr(case, hold.field) == hold.plain:
            return False
        try:
            plain = case.but(**{hold.field: hold.plain})
        except (ValueError, UsageError):
            return True  # there is no such case
        reading = explain(plain, self._runs.outcome(plain, seen.tree))
        return reading is None or reading.signature != seen.signature

    def _smaller(self, seen: Seen, hold: Hold | None) -> Seen | None:
        def same(case: AnyCase) -> bool:
            failed = self._try(seen, case)
            return failed and (hold is None or self._hangs_on(hold, case, seen))

        if not same(seen.case):
            return None
        ahead = partial(self._runs.ahead, tree=seen.tree)
        return replace(seen, case=shrink(seen.case, same, ahead))

    def _try(self, seen: Seen, case: AnyCase) -> bool:
        """Run a case; whether it fails in the same way. What it shows is remembered."""
        outcome = self._runs.outcome(case, seen.tree)
        reading = explain(case, outcome)
        failed = reading is not None and reading.signature == seen.signature
        if failed and self._before is not None and not self._before.passes(case, seen.tree):
            return False
        if failed or (reading is None and was_right(outcome)):
            seen.tried.append((case, with_tree(facts(case), seen.tree), failed))
        return failed

    def _finding(self, seen: Seen) -> Finding | None:
        case = seen.case
        outcomes = {tree: self._runs.outcome(case, tree) for tree in self._trees}
        signature = CaseSignature(case, seen.signature)
        judged = {tree: judge(outcome, signature) for tree, outcome in outcomes.items()}
        failing = [tree for tree, one in judged.items() if one.verdict == "bad"] or [seen.tree]
        reading = explain(case, outcomes[failing[0]])
        if reading is None:
            return None
        if len({one.verdict for one in judged.values()} - {"untestable"}) > 1:
            # The implementations disagree, whatever else is broken.
            reading = replace(reading, rules=tuple(dict.fromkeys((*reading.rules, "T9"))))
        raised = outcomes[failing[0]].raised
        return Finding(case, reading, failing[0], judged, seen.examples, raised=raised)
