"""The nearest case that passes: the same script with one thing changed.

It says what a bug is about at a glance, and is the way around it. Each change is one that a reader
understands: names in the order of the alphabet, a list in the place of a dict, the other tree
implementation, the release before; or what the search saw pass. All that pass are found; the one
whose script differs in the fewest lines is taken, and is run once more in a fresh interpreter.

Public: `Neighbour`, `nearest`.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from keras_bisect.builds.store import Source
from keras_bisect.errors import BrokenBuild, NotCached, Unreachable, UsageError
from keras_bisect.lab import Lab, Wanted
from keras_bisect.outcome import TREES, Outcome
from keras_bisect.probe.prober import Prober, Script
from keras_bisect.verdict import Verdict, first_look
from keras_repro.changes import changed, difference
from keras_repro.reading import AnyCase, render
from keras_repro.report.facts import Facts

__all__ = ["Neighbour", "nearest"]


@dataclass(frozen=True)
class Neighbour:
    """A script that passes, and how it differs from the one that fails."""

    change: str
    """What was changed, in words: it follows "It passes with"."""
    build: str
    """The build that it passes under."""
    text: str
    """The script; where only the build is another, that of the finding."""
    diff: tuple[str, ...] = ()
    """Unified, without its heading."""


def nearest(lab: Lab, fresh: Prober, facts: Facts, sources: Sequence[Source]) -> Neighbour | None:
    """The nearest script that passes, or None.

    Args:
        lab: probes.
        fresh: probes in fresh interpreters.
        facts: the failure.
        sources: builds that show it; it passes under all of them.
    """
    if facts.case is not None:
        whole, build = facts.whole or facts.script, sources[-1].build.name
        passing = _passing(lab, facts, facts.case, sources)
        for words, script in sorted(passing, key=lambda one: len(_diff(whole, one[1]))):
            # Whoever reads the difference has nothing but the script of the report.
            alike = _alike(whole, script, facts.script)
            if alike is not None and all(_passes(fresh.run(alike, one)) for one in sources):
                return Neighbour(words, build, alike.text, _diff(facts.script, alike))
    return _other_build(lab, fresh, facts)


def _alike(whole: Script, other: Script, small: Script) -> Script | None:
    """A smaller script with what makes another of the whole one; None where that is not in it."""
    old, new, lines = (one.text.splitlines() for one in (whole, other, small))
    matcher = difflib.SequenceMatcher(a=old, b=new, autojunk=False)
    for what, a, b, c, d in reversed(matcher.get_opcodes()):
        if what == "equal":
            continue
        # A line before what is added says where it goes.
        start = a - 1 if a == b else a
        places = [
            n for n in range(len(lines)) if lines[n : n + b - start] == old[start:b] and b > start
        ]
        if len(places) != 1:
            return None
        at = places[0] + (a - start)
        lines[at : at + b - a] = new[c:d]
    return Script("\n".join(lines) + "\n")


def _passing(
    lab: Lab, facts: Facts, case: AnyCase, sources: Sequence[Source]
) -> list[tuple[str, Script]]:
    named: dict[str, tuple[str, Script]] = {}
    for words, other in changed(case):
        named.setdefault(render(other, facts.tree).text, (words, render(other, facts.tree)))
    if facts.passing is not None:
        words = difference(case, facts.passing)
        if " and " not in words:  # of two things that differ, one is the reason
            script = render(facts.passing, facts.tree)
            named.setdefault(script.text, (words, script))
    other_tree = next(one for one in TREES if one != facts.tree)
    if (facts.trees or {}).get(other_tree) == Verdict.GOOD:
        script = render(case, other_tree)
        named.setdefault(script.text, (f"{other_tree} under keras.tree", script))
    passed = set(named)
    for source in sources:
        wanted = [Wanted(named[text][1], source.build.name, source) for text in sorted(passed)]
        # The script of a case hides optree by itself where it must.
        passed = {run.script.text for run, outcome in lab.runs(wanted) if _passes(outcome)}
    return [one for text, one in named.items() if text in passed]


def _other_build(lab: Lab, fresh: Prober, facts: Facts) -> Neighbour | None:
    """The same script under the last build that was good."""
    if facts.good is None:
        return None
    try:
        source = lab.source(lab.resolve(facts.good))
    except (BrokenBuild, NotCached, Unreachable, UsageError):
        return None
    if not _passes(fresh.run(facts.script, source, facts.tree)):
        return None
    return Neighbour(f"Keras {facts.good}", facts.good, facts.script.text)


def _passes(outcome: Outcome) -> bool:
    return first_look(outcome).verdict is Verdict.GOOD


def _diff(one: Script, other: Script) -> tuple[str, ...]:
    # What a script says of itself is another, too, and tells nothing.
    old, new = (script.text.partition("\n\n")[2].splitlines() for script in (one, other))
    lines = difflib.unified_diff(old, new, n=0, lineterm="")
    return tuple(line for line in list(lines)[2:] if not line.startswith("@@"))
