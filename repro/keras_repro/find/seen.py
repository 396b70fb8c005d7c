"""What a search knows of the failures it has seen, and what it learns from each run.

Public: `Memory`, `Seen`, `Shown`. Pure.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Literal

from keras_bisect.outcome import Outcome, Tree
from keras_bisect.verdict import judge
from keras_repro.find.condition import AROUND, Evidence
from keras_repro.find.facts import Facts, facts
from keras_repro.find.model import Finding, size
from keras_repro.reading import AnyCase, CaseSignature, Reading, explain_all, render, was_right
from keras_repro.trees.asked import checks_of
from keras_repro.trees.case import TreeCase

__all__ = ["LOG", "Memory", "Seen", "Shown"]

SURE = 5
"""So many cases that a new condition covers are run before it is believed."""
LOOK_AGAIN = 10
"""Of those that it covers afterwards, one in so many is run."""
FORMS = 3
"""Failures of one signature that are told apart by their conditions; and how often it is tried."""
MASKS = 10
"""Failures of one signature that were another in disguise, after which no more of it are tried."""
LOG = 2000
"""Cases whose facts are kept, to learn from when something new is found."""


ALONE = "nothing"
"""What stands beside a model that is held against the rules."""

Kind = Literal["structure", "model", "pair"]


def kind_of(case: AnyCase) -> Kind:
    """What a case is: what is asked of one kind says nothing of the others."""
    if isinstance(case, TreeCase):
        return "structure"
    return "model" if case.beside == ALONE else "pair"


@dataclass
class Seen:
    """A failure: where it was first seen, the smallest case with it, and what is known of it."""

    case: AnyCase
    tree: Tree
    reading: Reading
    outcome: Outcome
    examples: int
    evidence: Evidence | None = None
    """None until it was made small."""
    met: int = 0
    """Cases that its condition covered."""
    tried: list[tuple[AnyCase, Facts, bool]] = field(default_factory=list)
    """What shrinking ran: the case, and whether it failed in this way or passed."""
    near: list[Facts] = field(default_factory=list)
    """Of those that passed, those that differ from the smallest case in one thing."""
    passing: AnyCase | None = None

    @property
    def signature(self) -> str:
        """What makes two failures the same."""
        return self.reading.signature

    def covers(self, found: Facts) -> bool:
        """Whether it is known how a model fails."""
        return (
            self.evidence is not None
            and (found.get("beside") == ALONE) == (kind_of(self.case) == "model")
            and self.evidence.reliable
            and self.evidence.condition.covers(found)
        )

    def looks_again(self) -> bool:
        """Whether a case that is covered is run all the same, so that no condition is too wide."""
        self.met += 1
        return self.met <= SURE or self.met % LOOK_AGAIN == 0

    def unshrunk(self) -> Finding:
        """The finding, as it was seen."""
        judged = judge(self.outcome, CaseSignature(self.case, self.signature))
        trees = {self.tree: judged}
        raised = self.outcome.raised
        return Finding(self.case, self.reading, self.tree, trees, self.examples, raised=raised)


@dataclass(frozen=True)
class Shown:
    """What one run showed, for whoever learns from it at once or later."""

    kind: Kind
    facts: Facts
    """Of the case, with the tree implementation."""
    failures: tuple[tuple[AnyCase, Reading], ...]
    """All that is wrong, each with the case that shows it alone; empty where it passed."""
    failed: frozenset[str]
    """Their signatures."""
    asked: frozenset[str] | None
    """Of a structure, the checks that were made; None for a model, which is one check."""

    @classmethod
    def of(cls, case: AnyCase, found: Facts, outcome: Outcome) -> Shown | None:
        """What an outcome shows; None if it neither failed nor was right."""
        failures = tuple(explain_all(case, outcome))
        if not failures and not was_right(outcome):
            return None
        asked = None
        if isinstance(case, TreeCase):
            asked = frozenset(check.name for check in checks_of(case))
        failed = frozenset(reading.signature for _, reading in failures)
        return cls(kind_of(case), found, failures, failed, asked)

    def without(self, wanted: Callable[[AnyCase], bool]) -> Shown | None:
        """The same without the failures whose cases are not wanted; None if nothing is left."""
        kept = tuple(one for one in self.failures if wanted(one[0]))
        if len(kept) == len(self.failures):
            return self
        if self.asked is None:
            return None
        gone = {case.law for case, _ in self.failures if isinstance(case, TreeCase)}
        gone -= {case.law for case, _ in kept if isinstance(case, TreeCase)}
        failed = frozenset(reading.signature for _, reading in kept)
        return replace(self, failures=kept, failed=failed, asked=self.asked - gone)

    def passes(self, seen: Seen) -> bool:
        """Whether the run passed what a failure fails."""
        if self.asked is not None:
            law = seen.case.law if isinstance(seen.case, TreeCase) else None
            return seen.signature not in self.failed and law in self.asked
        return not self.failed and self.kind == kind_of(seen.case)


class Memory:
    """Every failure that was seen under one build, and what tells the cases that have it."""

    def __init__(self) -> None:
        """Nothing is known."""
        self.waiting: list[Seen] = []
        """What was seen and is not yet small."""
        self.settled: list[tuple[Seen, Finding]] = []
        self._forms: dict[str, list[Seen]] = {}
        self._dropped: Counter[str] = Counter()
        self._masks: Counter[str] = Counter()
        self._log: deque[Shown] = deque(maxlen=LOG)
        self._drawn: dict[Kind, list[Facts]] = {"structure": [], "model": [], "pair": []}
        self._plain: dict[Kind, Facts] = {"structure": facts(TreeCase(1))}

    def __len__(self) -> int:
        """Failures that were told apart."""
        return sum(map(len, self._forms.values()))

    @property
    def signatures(self) -> frozenset[str]:
        """Of all failures."""
        return frozenset(name for name, forms in self._forms.items() if forms)

    def draws(self, case: AnyCase, known: Facts) -> None:
        """Note a case that was drawn, be it run or not."""
        # The first that Hypothesis draws is the plainest.
        self._plain.setdefault(kind_of(case), known)
        drawn = self._drawn[kind_of(case)]
        if len(drawn) < LOG:
            drawn.append(known)

    def avoids(self, found: Facts) -> bool:
        """Whether it is known how a model fails, so that it need not be run."""
        covering = [s for forms in self._forms.values() for s in forms if s.covers(found)]
        # Each counts what it covers, so all of them are asked.
        again = sum(seen.looks_again() for seen in covering)
        return bool(covering) and not again

    def look(self, shown: Shown) -> None:
        """Learn from what passed, and keep it for what is found later."""
        self._log.append(shown)
        for forms in self._forms.values():
            for seen in forms:
                if seen.evidence is not None and shown.passes(seen):
                    seen.evidence.add(shown.facts, failed=False)

    def fails(
        self,
        seen: Seen,
        found: Facts,
        hangs_on: Callable[[Set[str]], bool] = lambda dimensions: False,
    ) -> bool:
        """Learn from a failure. Whether its signature is a new one.

        Args:
            seen: the failure.
            found: the facts of what was run.
            hangs_on: whether the case passes when one of some dimensions of what stands around it
                is plain. Then it is no instance of a failure that was never seen with that.
        """
        if self._dropped[seen.signature] >= FORMS or self._masks[seen.signature] >= MASKS:
            return False
        forms = self._forms.setdefault(seen.signature, [])
        if not forms:
            forms.append(seen)
            self.waiting.append(seen)
            return not self._dropped[seen.signature]
        if forms[0].evidence is None:
            first = forms[0]
            if size(seen.case) < size(first.case):
                first.case, first.tree = seen.case, seen.tree
                first.reading, first.outcome = seen.reading, seen.outcome
            return False
        settled = [form.evidence for form in forms if form.evidence is not None]
        covering = [one for one in settled if one.condition.covers(found)]
        odd = {
            name
            for name in AROUND
            if all(found.get(name, "") not in one.values(name) for one in settled)
        }
        known = covering or not odd or not hangs_on(odd)
        if known and sum(one.add(found, failed=True) for one in covering or settled):
            return False
        # It fails in the same way on another condition: perhaps for another reason.
        if (
            len(forms) == len(settled)
            and len(forms) < FORMS
            and not isinstance(seen.case, TreeCase)
        ):
            forms.append(seen)
            self.waiting.append(seen)
        return False

    def drop(self, seen: Seen) -> None:
        """Take back a failure that its case does not show by itself."""
        forms = self._forms[seen.signature]
        del forms[_place(forms, seen)]
        self._dropped[seen.signature] += 1

    def turns_into(self, seen: Seen, small: Seen) -> bool:
        """Take note of what a failure has become; whether there is something to learn of it.

        Args:
            seen: as it was noted.
            small: the same with a smaller case, or another failure that is behind it.
        """
        forms = self._forms[seen.signature]
        if small.signature == seen.signature:
            forms[_place(forms, seen)] = small
            return True
        del forms[_place(forms, seen)]
        self._masks[seen.signature] += 1
        others = self._forms.setdefault(small.signature, [])
        if others or self._dropped[small.signature] >= FORMS:
            return False  # it is known, or about to be
        others.append(small)
        return True

    def learn(self, seen: Seen, finding: Finding) -> None:
        """Take in a failure that has become small, and learn the condition of it."""
        found = with_tree(facts(seen.case), finding.tree)
        forms = self._forms[seen.signature]
        others = [form.evidence for form in forms if form is not seen and form.evidence]
        if seen is not forms[0] and any(one.condition.explains(found) for one in others):
            # It has become small in the way of another form, so it is that.
            del forms[_place(forms, seen)]
            for one in others:
                one.add(found, failed=True)
            return
        other = [
            (with_tree(found, tree), judged.verdict == "bad")
            for tree, judged in finding.trees.items()
            # That another implementation fails, too, or does not, is evidence like any other.
            if judged.verdict in ("good", "bad")
        ]
        tried = [(its, failed) for _, its, failed in seen.tried]
        logged = [(one.facts, seen.signature in one.failed) for one in self._log]
        fine = [one.facts for one in self._log if one.passes(seen)]
        seen.evidence = Evidence(
            found,
            self._plain.get(kind_of(seen.case), {}),
            failed=[its for its, failed in [*other, *tried, *logged] if failed],
            passed=[its for its, failed in [*other, *tried] if not failed] + fine,
            near=seen.near,
        )
        passed = [(case, f) for case, f, failed in seen.tried if not failed]
        seen.passing = _nearest(seen.case, found, passed)
        self.settled.append((seen, finding))

    def findings(self, *, unshrunk: bool) -> Iterator[Finding]:
        """The findings, with what was learned of them until now.

        Args:
            unshrunk: with what was seen and could not be made small any more.
        """
        for seen, finding in self.settled:
            assert seen.evidence is not None
            condition = seen.evidence.condition
            drawn = self._drawn[kind_of(seen.case)]
            met = sum(condition.meets(with_tree(one, finding.tree)) for one in drawn)
            share = met / len(drawn) if drawn else None
            yield replace(finding, condition=condition, share=share, passing=seen.passing)
        done = {id(seen) for seen, _ in self.settled}
        for forms in self._forms.values() if unshrunk else ():
            yield from (seen.unshrunk() for seen in forms if id(seen) not in done)


def _place(forms: Sequence[Seen], seen: Seen) -> int:
    return next(place for place, one in enumerate(forms) if one is seen)


def with_tree(known: Facts, tree: Tree) -> Facts:
    """The facts of a case and of the implementation that it was run under."""
    return {**known, "tree": tree}


def _nearest(
    case: AnyCase, found: Facts, passed: Iterable[tuple[AnyCase, Mapping[str, str]]]
) -> AnyCase | None:
    """The case that passes and differs least: in the fewest dimensions, then the fewest lines."""
    lines = set(render(case).text.splitlines())

    def apart(one: tuple[AnyCase, Facts]) -> tuple[int, int]:
        other, its = one
        dimensions = sum(found.get(name) != its.get(name) for name in {*found, *its})
        return dimensions, len(lines ^ set(render(other).text.splitlines()))

    return min(passed, key=apart, default=(None, {}))[0]
