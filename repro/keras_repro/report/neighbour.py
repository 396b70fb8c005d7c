"""The nearest case that passes: the same script with one thing changed.

It says what a bug is about at a glance, and is the way around it. Each change is one that a reader
understands: names in the order of the alphabet, a list in the place of a dict, the other tree
implementation, the release before. All that pass are found; the one whose script differs in the
fewest lines is taken, and is run once more in a fresh interpreter.

Public: `Neighbour`, `nearest`, `changed`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from keras_bisect.builds.store import Source
from keras_bisect.errors import BrokenBuild, NotCached, Unreachable, UsageError
from keras_bisect.lab import Lab, Wanted
from keras_bisect.outcome import TREES, Outcome
from keras_bisect.probe.prober import Prober, Script
from keras_bisect.verdict import Verdict, first_look
from keras_repro.case import ByName, Case, InOrder, One, Output
from keras_repro.oracle import promised
from keras_repro.reading import AnyCase, render
from keras_repro.report.facts import Facts
from keras_repro.trees.case import Node, Tree, TreeCase

__all__ = ["Neighbour", "changed", "nearest"]


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


def nearest(lab: Lab, fresh: Prober, facts: Facts, source: Source) -> Neighbour | None:
    """The nearest script that passes, or None.

    Args:
        lab: probes.
        fresh: probes in fresh interpreters.
        facts: the failure.
        source: the build that shows it.
    """
    if facts.case is not None:
        passing = _passing(lab, facts, facts.case, source)
        for words, script in sorted(passing, key=lambda one: len(_diff(facts.script, one[1]))):
            if _passes(fresh.run(script, source)):
                build = source.build.name
                return Neighbour(words, build, script.text, _diff(facts.script, script))
    return _other_build(lab, fresh, facts)


def _passing(lab: Lab, facts: Facts, case: AnyCase, source: Source) -> list[tuple[str, Script]]:
    named: dict[str, tuple[str, Script]] = {}
    for words, other in changed(case):
        named.setdefault(render(other, facts.tree).text, (words, render(other, facts.tree)))
    other_tree = next(one for one in TREES if one != facts.tree)
    if (facts.trees or {}).get(other_tree) == Verdict.GOOD:
        script = render(case, other_tree)
        named.setdefault(script.text, (f"{other_tree} under keras.tree", script))
    wanted = [Wanted(script, source.build.name, source) for _, script in named.values()]
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
    lines = difflib.unified_diff(one.text.splitlines(), other.text.splitlines(), n=0, lineterm="")
    return tuple(line for line in list(lines)[2:] if not line.startswith("@@"))


# -- one thing changed -----------------------------------------------------------------------------


def changed(case: AnyCase) -> Iterator[tuple[str, AnyCase]]:
    """Cases that differ from `case` in one thing, each with what that is."""
    if isinstance(case, TreeCase):
        yield from _trees(case)
        return
    for words, other in _cases(case):
        if other != case and promised(other):
            yield words, other


GIVEN = {
    "targets": "targets",
    "loss": "losses",
    "loss_weights": "loss weights",
    "metrics": "metrics",
}


def _cases(case: Case) -> Iterator[tuple[str, Case]]:
    ordered = sorted(case.names)
    if list(case.names) != ordered:
        yield "output names in alphabetical order", _renamed(case, ordered)
    for field, words in GIVEN.items():
        given = getattr(case, field)
        if isinstance(given, ByName) and set(given.names) == set(case.names):
            values = given.as_dict()
            in_order: Any = InOrder(tuple(values[name] for name in case.names))
            yield f"a list of {words}", replace(case, **{field: in_order})
            by_output: Any = ByName(tuple((name, values[name]) for name in case.names))
            yield f"the {words} in the order of the outputs", replace(case, **{field: by_output})
        if isinstance(given, InOrder):
            by_name: Any = ByName(tuple(zip(case.names, given.values, strict=True)))
            yield f"a dict of {words}", replace(case, **{field: by_name})
        if field == "loss" and isinstance(given, One):
            spread: Any = InOrder((given.value,) * len(case.names))
            yield "a list of losses", replace(case, loss=spread)
            named: Any = ByName(tuple((name, given.value) for name in case.names))
            yield "a dict of losses", replace(case, loss=named)
    if case.container != "list":
        outputs = tuple(replace(o, layer=o.name, key=None) for o in case.outputs)
        yield "a list of outputs", replace(case, container="list", outputs=outputs)
    if case.container != "dict":
        keyed = tuple(replace(o, key=o.layer) for o in case.outputs)
        yield "a dict of outputs", replace(case, container="dict", outputs=keyed)
    yield "no loss weights", replace(case, loss_weights=None)
    yield "no metrics", replace(case, metrics=None)
    if case.entry != "evaluate":
        yield "evaluate", replace(case, entry="evaluate")


def _renamed(case: Case, names: list[str]) -> Case:
    new = dict(zip(case.names, names, strict=True))

    def output(one: Output) -> Output:
        if one.key is None:
            return replace(one, layer=new[one.name])
        return replace(one, key=new[one.key])

    def given(value: Any) -> Any:
        if isinstance(value, ByName):
            return ByName(tuple((new[name], one) for name, one in value.items))
        return value

    return replace(
        case,
        outputs=tuple(map(output, case.outputs)),
        **{field: given(getattr(case, field)) for field in GIVEN},
    )


def _trees(case: TreeCase) -> Iterator[tuple[str, TreeCase]]:
    """Plainer kinds of container, everywhere, and keys in the order of the alphabet."""
    kinds = {"OrderedDict": "dict", "namedtuple": "tuple", "tuple": "list"}
    for kind, plainer in kinds.items():
        made = _with_kind(case.structure, kind, plainer)
        if made != case.structure:
            yield f"a {plainer} in the place of the {kind}", replace(case, structure=made)
    made = _sorted(case.structure)
    if made != case.structure:
        yield "keys in alphabetical order", replace(case, structure=made)


def _with_kind(tree: Tree, kind: str, plainer: Any) -> Tree:
    if not isinstance(tree, Node):
        return tree
    children = tuple(_with_kind(child, kind, plainer) for child in tree.children)
    if tree.kind != kind:
        return replace(tree, children=children)
    return Node(plainer, children, tree.keys if plainer == "dict" else ())


def _sorted(tree: Tree) -> Tree:
    if not isinstance(tree, Node):
        return tree
    children = tuple(map(_sorted, tree.children))
    if not tree.keys or tree.kind == "namedtuple":
        return replace(tree, children=children)
    pairs = sorted(zip(tree.keys, children, strict=True), key=lambda one: one[0])
    return Node(tree.kind, tuple(c for _, c in pairs), tuple(k for k, _ in pairs))
