"""Two models that must agree, read as a person would: what differs, and by which rule.

Public: `Differs`, `read_pair`. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from keras_repro.case import Case
from keras_repro.case.beside import RULES_OF, changed
from keras_repro.oracle import doubts
from keras_repro.oracle.numbers import named
from keras_repro.routing.faults import forms_of

__all__ = ["Differs", "read_pair"]

_ROW: Final = re.compile(r"['\"](.*)['\"] +first (\S+) second (\S+) <- differs")
_REFUSED: Final = re.compile(r"Keras refuses the (first|second): (\w+)")
EVERYWHERE: Final = ("R17", "R19", "R20")
"""The rules that speak of every model, whatever its forms are."""

KINDS: Final = ("total", "loss of an output", "metric")
"""The gravest first."""


@dataclass(frozen=True)
class Differs:
    """What two models that must agree do not agree on."""

    signature: str
    rules: tuple[str, ...]
    sentences: tuple[str, ...]
    doubts: tuple[str, ...]


def read_pair(case: Case, stdout: str) -> Differs | None:
    """What the script of a case with another one beside it has shown; None if they agree."""
    rule = RULES_OF[case.beside]
    rows = [match.groups() for line in stdout.splitlines() if (match := _ROW.match(line))]
    refused = [match[1] for line in stdout.splitlines() if (match := _REFUSED.match(line))]
    if rows:
        kinds = {_kind(name) for name, _, _ in rows}
        what: str = next(kind for kind in KINDS if kind in kinds)
        shown = ", ".join(f"{name}: {one} and {other}" for name, one, other in rows)
        sentence = f"the numbers should not change with {case.beside}, and do: {shown}"
    elif len(refused) == 1:
        what = "refusal"
        sentence = f"of two models that differ in {case.beside} Keras refuses one"
    else:
        return None
    found = tuple(_doubts(case, rule, what))
    forms = forms_of(case, "metric" if what == "metric" else "total")
    signature = f"{case.beside}: {what} differs ({forms})"
    return Differs(signature, (rule,), (sentence,), found)


def _kind(name: str) -> str:
    if name == "loss":
        return "total"
    return "loss of an output" if name.endswith("_loss") else "metric"


def _doubts(case: Case, rule: str, what: str) -> Iterator[str]:
    if rule not in EVERYWHERE:
        yield "no sentence says what this form means"
    if what == "refusal":
        yield "a refusal is no number"
    if not named(case):
        yield "outputs that have no names"
    first = case.but(beside="nothing")
    yield from (one for one in doubts(changed(case)) if one not in doubts(first))
