"""A case and the outcome of its script, read as a person would: what is wrong, by which rule.

The one place that knows both kinds of case. A reading's `signature` is what makes two failures the
same; `CaseSignature` holds it against the outcomes of other builds.

Public: `AnyCase`, `Reading`, `CaseSignature`, `explain`, `render`, `load`, `dump`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from keras_bisect.errors import UsageError
from keras_bisect.outcome import Ended, Outcome
from keras_bisect.probe import Script
from keras_bisect.verdict import Failure
from keras_repro import case as routing_case
from keras_repro import oracle, routing, script, tree_laws, tree_script
from keras_repro.case import Case
from keras_repro.contract import Strength, strongest
from keras_repro.routing import Wired
from keras_repro.tree_case import TreeCase

__all__ = ["AnyCase", "CaseSignature", "Reading", "dump", "explain", "load", "render"]

AnyCase = Case | TreeCase


@dataclass(frozen=True)
class Reading:
    """What is wrong with one run of one case."""

    signature: str
    rules: tuple[str, ...]
    """Ids of the rules that are broken."""
    sentences: tuple[str, ...]
    """What happened, one sentence each, for a person."""
    wires: tuple[Wired, ...] = ()
    """Which target, loss and weight each output met; empty where that is not the question."""

    @property
    def strength(self) -> Strength:
        """That of the strongest rule that is broken."""
        return strongest(self.rules)


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
        return reading is not None and reading.signature == self.signature

    def __str__(self) -> str:
        """The signature itself."""
        return self.signature


def explain(case: AnyCase, outcome: Outcome) -> Reading | None:
    """What is wrong with an outcome of the case's script; None if nothing is, or if it says nothing."""
    if outcome.ended in (Ended.TIMEOUT, Ended.MEMORY) or outcome.code in (0, 125):
        return None
    if outcome.ended is Ended.SIGNAL:
        return _failed(case, outcome)
    if isinstance(case, TreeCase):
        error = outcome.raised.type.rpartition(".")[2] if outcome.raised else None
        breaches = tree_laws.read(case, outcome.stdout, error)
        if not breaches:
            return _failed(case, outcome)
        first = breaches[0]
        same = [breach.sentence for breach in breaches if breach.rule == first.rule]
        return Reading(first.signature, (first.rule,), tuple(dict.fromkeys(same)))
    if outcome.raised is not None:
        return _failed(case, outcome)
    read = routing.read(case, script.read_table(outcome.stdout))
    if read is None:
        return _failed(case, outcome)
    return Reading(read.signature, read.rules, read.sentences, read.wires)


def _failed(case: AnyCase, outcome: Outcome) -> Reading:
    """Keras refuses what a rule allows, or the script ended in a way that no number explains."""
    failure = Failure.of(outcome)
    # Names of outputs stand in quotes in most messages; the same refusal names others in another case.
    message = re.sub(r"""(?<!\w)(['"`]).{0,60}?\1(?!\w)""", "'…'", failure.message)
    what = f"{failure.type}: {message}" if failure.type else str(failure)
    rules = case.laws if isinstance(case, TreeCase) else oracle.rules_of(case)
    said = f"Keras refuses it: {outcome.raised}" if outcome.raised else f"the script {failure}"
    return Reading(f"refused: {what}", tuple(rules), (said[:300],))


def render(case: AnyCase) -> Script:
    """The script of a case."""
    module = tree_script if isinstance(case, TreeCase) else script
    return Script(module.render(case))  # type: ignore[arg-type]


def dump(case: AnyCase) -> str:
    """The JSON document of a case."""
    return case.to_json() if isinstance(case, TreeCase) else routing_case.to_json(case)


def load(path: Path) -> AnyCase:
    """Read a case from a file.

    Raises:
        UsageError: the file is missing or holds no case; the message names the field.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: the case cannot be read: {error}.") from None
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    kind = document.get("kind") if isinstance(document, dict) else None
    try:
        return TreeCase.from_json(text) if kind == "tree" else routing_case.from_json(text)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
