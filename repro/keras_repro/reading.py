"""A case and the outcome of its script, read as a person would: what is wrong, by which rule.

The one place that knows both kinds of case. A reading's `signature` is what makes two failures the
same; `CaseSignature` holds it against the outcomes of other builds.

Public: `AnyCase`, `Reading`, `CaseSignature`, `explain`, `explain_all`, `render`, `load`, `dump`,
`was_right`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.version import Version

from keras_bisect.bounded import read_bounded
from keras_bisect.errors import UsageError
from keras_bisect.messages import alike
from keras_bisect.outcome import Ended, Outcome, Tree
from keras_bisect.probe.prober import Script
from keras_bisect.verdict import Failure
from keras_repro import case as routing_case
from keras_repro import oracle, routing, script
from keras_repro.case import Case
from keras_repro.contract import Strength, strongest
from keras_repro.routing import Fault
from keras_repro.routing.beside import read_pair
from keras_repro.trees import laws
from keras_repro.trees.case import TreeCase
from keras_repro.trees.script import render as render_trees

__all__ = [
    "AnyCase",
    "CaseSignature",
    "Reading",
    "dump",
    "explain",
    "explain_all",
    "load",
    "render",
    "was_right",
]

AnyCase = Case | TreeCase

CASE_LIMIT = 1 << 20
"""Bytes of a case; they have some hundred."""

NOT_KERAS = re.compile(
    r"module '(jax|torch|tensorflow|numpy|ml_dtypes|h5py)\b[\w.]*' has no attribute"
)
"""A package of today, which a Keras of its time does not know: no fault of either."""

HIDE_OPTREE = """
sys.modules["optree"] = None  # Keras then takes dm-tree
"""


@dataclass(frozen=True)
class Reading:
    """What is wrong with one run of one case."""

    signature: str
    rules: tuple[str, ...]
    """Ids of the rules that are broken."""
    sentences: tuple[str, ...]
    """What happened, one sentence each, for a person."""
    faults: tuple[Fault, ...] = ()
    """What reached the wrong output, the gravest first; empty where that is not the question."""
    doubts: tuple[str, ...] = ()
    """What in the case rests on less than the documentation or a maintainer's word."""

    @property
    def refused(self) -> bool:
        """Whether Keras said something: loud failures hurt less than silent ones."""
        return self.signature.startswith("refused: ")

    @property
    def by_order(self) -> bool:
        """Whether an order of names is what went wrong, as far as its numbers tell."""
        return bool(self.faults) and self.faults[0].how in ("alphabet", "key order")

    def like(self, other: Reading) -> bool:
        """Whether the same went wrong with the same arguments, in whatever way."""
        return [(one.component, one.given) for one in self.faults[:1]] == [
            (one.component, one.given) for one in other.faults[:1]
        ]

    @property
    def strength(self) -> Strength:
        """That of the gravest fault; without faults, that of the strongest rule that is broken.

        What rests on less than a sentence of Keras is never `contract`.
        """
        if self.doubts:
            return "inconsistent"
        return self.faults[0].strength if self.faults else strongest(self.rules)


@dataclass(frozen=True)
class CaseSignature:
    """The failure of a case, recognised by what it means and not by its numbers.

    Releases differ in which numbers they report; the pairing that explains them stays the same.
    """

    case: AnyCase
    signature: str

    def matches(self, outcome: Outcome) -> bool:
        """Whether an outcome that failed failed in the same way."""
        reading = explain(self.case, outcome)
        return reading is not None and alike(reading.signature, self.signature)

    def __str__(self) -> str:
        """The signature itself."""
        return self.signature


def was_right(outcome: Outcome) -> bool:
    """Whether a script ended well, and Keras did what was asked: a refusal shows nothing."""
    ended_well = outcome.ended is Ended.EXIT and outcome.code == 0
    return ended_well and not script.declined(outcome.stdout)


def explain(case: AnyCase, outcome: Outcome) -> Reading | None:
    """What is wrong with an outcome of the case's script; None if nothing, or if it cannot say."""
    if outcome.ended in (Ended.TIMEOUT, Ended.MEMORY) or outcome.code in (0, 125):
        return None
    if outcome.raised is not None and NOT_KERAS.match(outcome.raised.message):
        return None
    alone = isinstance(case, TreeCase) or case.beside == "nothing"
    if outcome.ended is Ended.SIGNAL:
        # What nobody promised anything about may do anything.
        return _failed(case, outcome) if alone else None
    if isinstance(case, TreeCase):
        breaches = _breaches(case, outcome)
        if not breaches:
            return _failed(case, outcome)
        return _breached(breaches[0], outcome)
    if case.beside != "nothing":
        differs = read_pair(case, outcome.stdout) if outcome.raised is None else None
        if differs is None:
            return None
        found = differs.signature, differs.rules, differs.sentences
        return Reading(*found, doubts=differs.doubts)
    if outcome.raised is not None and not outcome.raised.frames:
        # Keras returned, and the script could do nothing with what it was given.
        failed = _failed(case, outcome)
        failed = replace(failed, doubts=("it is the script that raised, not Keras",))
        if case.predicting:
            # Which exception it is hangs on what the prediction is taken for.
            failed = replace(failed, signature="failed: a prediction of another structure")
        return failed
    if outcome.raised is not None:
        refused = routing.refusal(case, outcome.raised.type, outcome.raised.message)
        doubts = oracle.doubts(case)
        signature = f"refused: {refused.signature}"
        return Reading(signature, refused.rules, refused.sentences, doubts=doubts)
    table = script.read_table(outcome.stdout)
    read = routing.read(case, {name: got for name, (_, got) in table.items() if got is not None})
    if read.right:
        return _failed(case, outcome)
    return Reading(read.signature, read.rules, read.sentences, read.faults, oracle.doubts(case))


def explain_all(case: AnyCase, outcome: Outcome) -> Iterator[tuple[AnyCase, Reading]]:
    """All that is wrong with an outcome, each with the case that shows it alone."""
    reading = explain(case, outcome)
    if reading is None:
        return
    if not isinstance(case, TreeCase) or not (breaches := _breaches(case, outcome)):
        yield case, reading
        return
    for breach in breaches:
        yield replace(case, law=breach.check), _breached(breach, outcome)


def _breaches(case: TreeCase, outcome: Outcome) -> tuple[laws.Breach, ...]:
    error = outcome.raised.type.rpartition(".")[2] if outcome.raised else None
    return laws.read(case, outcome.stdout, error)


def _breached(breach: laws.Breach, outcome: Outcome) -> Reading:
    version = outcome.loaded.version if outcome.loaded else None
    doubts = [] if breach.strength == "contract" else ["keras.tree documents nothing of the kind"]
    if breach.since and version and Version(version) < Version(breach.since):
        doubts.append(f"keras.tree documents it since {breach.since} only")
    return Reading(breach.signature, (breach.rule,), (breach.sentence,), doubts=tuple(doubts))


def _failed(case: AnyCase, outcome: Outcome) -> Reading:
    """The script ended in a way that none of its numbers explains."""
    failure = Failure.of(outcome)
    rules = case.laws if isinstance(case, TreeCase) else oracle.rules_of(case)
    return Reading(f"failed: {failure}", tuple(rules), (f"the script {failure}",))


def render(case: AnyCase, tree: Tree = "optree") -> Script:
    """The script of a case; for dm-tree, one that hides optree from Keras by itself."""
    text = render_trees(case) if isinstance(case, TreeCase) else script.render(case)
    if tree == "dm-tree":
        text = text.replace("\ntry:\n", HIDE_OPTREE + "\ntry:\n", 1)
    return Script(text)


def dump(case: AnyCase) -> str:
    """The JSON document of a case."""
    return case.to_json() if isinstance(case, TreeCase) else routing_case.to_json(case)


def load(path: Path) -> AnyCase:
    """Read a case from a file.

    Raises:
        UsageError: the file is missing or holds no case; the message names the field.
    """
    try:
        text = read_bounded(path, CASE_LIMIT).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(f"{path}: the case cannot be read: {reason}.") from None
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    kind = document.get("kind") if isinstance(document, dict) else None
    try:
        case = TreeCase.from_json(text) if kind == "tree" else routing_case.from_json(text)
        # What cannot be a program would fail alike under every build.
        render(case).check()
        return case
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
    except (RecursionError, OverflowError):
        raise UsageError(
            f"{path}: This is not a case: it is nested too deeply, or a number in it is too large."
        ) from None
