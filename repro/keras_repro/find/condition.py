"""The smallest condition on cases that explains a failure, learned from the cases that were run.

A condition says, for a few dimensions, which values a case must have: *list loss, dict weights,
names not in alphabetical order*. It is learned from evidence: every case that failed in this way,
and every case that passed. It names as few dimensions as keep all that passed outside. So the case
that was shrunk gives most of it (each step that was tried and passed shows a dimension that
matters), and every later case makes it wider or narrower.

What is avoided is less than what the words say: only cases that are as odd as those that failed, in
every dimension in which the smallest case is not plain. A dimension is free as soon as a case
failed that is plain in it; but what stands around the arguments has to be plain, or to have been
there when a case failed.

Public: `Condition`, `Evidence`. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from keras_repro.find.facts import Facts, worded

__all__ = ["Condition", "Evidence"]

MOST = 400
"""How many cases of each kind are kept as evidence for one failure."""

AROUND = (
    *("trip", "before", "earlier", "data", "within", "direct", "inner", "heads", "holder"),
    *("shared", "chained", "jit", "joint", "model", "batches", "short", "auto"),
    "inputs.inside",
)
"""Dimensions of what stands around the arguments: a failure that hangs on one is one of its own."""
SAID = 4
"""Values in one dimension that are said of a condition."""
FEW = 3
"""Cases that passed, before a dimension is named in which the smallest case is plain."""

Values = Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class Condition:
    """The values that a case must have, in the dimensions that matter."""

    needs: Values
    """The fewest that explain what was seen."""
    odd: Values
    """In every dimension in which it is not known that plain cases fail, too, and in those of what
    stands around the arguments."""

    def meets(self, facts: Facts) -> bool:
        """Whether a case meets the condition."""
        return _within(facts, self.needs)

    def explains(self, facts: Facts) -> bool:
        """Whether a case meets the condition, and has nothing around it that none had that failed.

        What stands around may be the reason.
        """
        around = {name: values for name, values in self.odd.items() if name in AROUND}
        return _within(facts, self.needs) and _within(facts, around)

    def covers(self, facts: Facts) -> bool:
        """Whether it is known how a case fails, so that it need not be run."""
        return _within(facts, self.needs) and _within(facts, self.odd)

    def __str__(self) -> str:
        """In words: `list outputs + dict targets + names not in alphabetical order`."""
        # Of what may be nearly anything there is nothing to say.
        said = [worded(name, v) for name, v in self.needs.items() if len(v) <= SAID]
        return " + ".join(said) or "always"


@dataclass
class Evidence:
    """What was seen of one failure, and the condition that explains it."""

    start: Facts
    """Of the smallest case."""
    plain: Facts
    """Of the plainest case there is."""
    failed: list[Facts] = field(default_factory=list)
    passed: list[Facts] = field(default_factory=list)
    near: list[Facts] = field(default_factory=list)
    """Of those that passed, those that differ from the smallest case in one thing."""
    condition: Condition = field(init=False)
    misses: int = 0
    """Cases that were covered, and passed, and that no condition can tell from those that fail."""
    hits: int = 0

    def __post_init__(self) -> None:
        """Learn from what is there."""
        self.failed = [self.start, *_distinct(self.failed)[:MOST]]
        self.passed = _distinct(self.passed)[:MOST]
        self._learn()

    def add(self, facts: Facts, failed: bool) -> bool:
        """Learn from one more case. Whether it fits: False for a failure of another condition.

        A case that says nothing new costs nothing.
        """
        covered = self.condition.covers(facts)
        if failed:
            self.hits += 1
            if covered:
                return True
            self.failed.append(facts)
        else:
            if not self.condition.meets(facts):
                if len(self.passed) < MOST:
                    self.passed.append(facts)
                return True
            self.passed.append(facts)
        self._learn()
        if not failed:
            self.misses += self.condition.covers(facts)
            return True
        return self.condition.covers(facts)

    def values(self, dimension: str) -> set[str]:
        """The values in a dimension that cases had that failed."""
        return {one.get(dimension, "") for one in self.failed}

    @property
    def reliable(self) -> bool:
        """Whether nearly all that is covered fails in this way."""
        return self.hits >= 4 * self.misses

    def _learn(self) -> None:
        """The fewest dimensions that keep apart what failed and what passed.

        The values of one failure after the other are allowed, the smallest case's first, as long
        as every case that passed is outside in some dimension. A failure that cannot be taken in
        has another condition, and is left out.
        """
        # What is said of some case only is a dimension of all: the others have nothing there.
        names = dict.fromkeys(
            name for one in (self.start, self.plain, *self.failed, *self.passed) for name in one
        )
        allowed = {name: {self.start.get(name, "")} for name in names}
        outside = [one for one in self.passed if not _within(one, allowed)]
        for one in self.failed:
            new = {name: one.get(name, "") for name in allowed}
            if _within(new, allowed):
                continue
            wider = {name: values | {new[name]} for name, values in allowed.items()}
            if not any(_within(passed, wider) for passed in outside):
                allowed = wider
        odd = [name for name, values in allowed.items() if self.plain.get(name, "") not in values]
        near = [one for one in self.near if not _within(one, allowed)]
        chosen = _fewest(allowed, odd, outside, near)
        # Whoever reads of the order of the targets wants to know that they are a dict.
        whole = {name.partition(".")[0] for name in chosen}
        chosen = [name for name in allowed if name in chosen or (name in odd and name in whole)]
        self.condition = Condition(
            {name: frozenset(allowed[name]) for name in chosen},
            {name: frozenset(allowed[name]) for name in odd}
            | {n: frozenset({*allowed.get(n, ()), self.plain.get(n, "")}) for n in AROUND},
        )


def _within(facts: Facts, allowed: Mapping[str, frozenset[str]] | Mapping[str, set[str]]) -> bool:
    return all(facts.get(name, "") in values for name, values in allowed.items())


def _distinct(several: Iterable[Facts]) -> list[Facts]:
    return list({tuple(sorted(one.items())): one for one in several}.values())


def _fewest(
    allowed: Mapping[str, set[str]],
    odd: Sequence[str],
    outside: Sequence[Facts],
    near: Sequence[Facts],
) -> list[str]:
    """A small set of dimensions in which each case that passed is outside.

    The dimension that keeps most outside is taken, then that which keeps most of the rest; of those
    that are odd as long as one of them keeps any, then of all as long as it keeps some: one or two
    cases may have passed for a reason that no fact tells, but not one that differs in one thing.
    """
    left, close = list(outside), list(near)
    chosen: list[str] = []
    for names in (odd, list(allowed)):
        while (left or close) and names:
            best = max(names, key=lambda name: _beyond(name, allowed, left))
            few = _beyond(best, allowed, left) < (1 if names is odd else FEW)
            if few:
                best = max(names, key=lambda name: _beyond(name, allowed, close))
                if not _beyond(best, allowed, close):
                    break
            chosen.append(best)
            left = [facts for facts in left if facts.get(best, "") in allowed[best]]
            close = [facts for facts in close if facts.get(best, "") in allowed[best]]
    # What was chosen early may not be needed beside what was chosen later.
    for name in list(chosen):
        rest = {other: allowed[other] for other in chosen if other != name}
        now = {other: allowed[other] for other in chosen}
        passed = (*outside, *near)
        if not any(_within(facts, rest) for facts in passed if not _within(facts, now)):
            chosen.remove(name)
    return [name for name in allowed if name in chosen]


def _beyond(name: str, allowed: Mapping[str, set[str]], passed: Sequence[Facts]) -> int:
    """How many of the cases that passed are outside in a dimension."""
    return sum(facts.get(name, "") not in allowed[name] for facts in passed)
