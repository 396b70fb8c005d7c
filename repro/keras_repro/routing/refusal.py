"""An exception that Keras raised for a case, read as a refusal: by which rule, and its signature.

Public: `refusal`, `Refusal`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from keras_repro.case import Case
from keras_repro.oracle import leading_rule, rules_of
from keras_repro.routing.faults import loss_rule, target_rule

__all__ = ["Refusal", "refusal"]


@dataclass(frozen=True)
class Refusal:
    """An exception that Keras raised for a case that the rules allow."""

    type: str
    message: str
    rules: tuple[str, ...]

    @property
    def right(self) -> bool:
        """Never: every case is one that the rules allow."""
        return False

    @property
    def signature(self) -> str:
        """The kind of the exception and its message without names, numbers and structures."""
        return f"{self.type}: {self.message}"

    @property
    def sentences(self) -> tuple[str, ...]:
        """What went wrong, in words."""
        return (f"Keras refuses it with {self.type}: {self.message}",)


_QUOTED: Final = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""")
_SHOWN: Final = re.compile(r"[<\u2039][^<>\u2039\u203a]*[>\u203a]")
_NUMBERED: Final = re.compile(r"\b([a-z]+(?:_[a-z]+)*)_\d+\b")
"""What Keras calls something that nobody named: the first has no number."""
_BRACKETED: Final = re.compile(r"(?:\w+\()?[\[({][^\[\](){}]*[\])}]\)?")
_NUMBER: Final = re.compile(r"0x[0-9a-f]+|\d+(?:\.\d+)?")
# A key of a dict came where the dict's value belongs: eager and graph say it differently, and so
# does each backend.
_KEY_AS_VALUE: Final = re.compile(
    r"Cannot convert '.*' to EagerTensor|but got .* of type 'str'"
    r"|could not convert string to float|Invalid dtype: <?(str|U)\d*"
)
# Which of the functions that take nests apart notices hangs on where in the nest it is.
_NEST: Final = re.compile(
    r"Expected an instance of .*, got <|Custom node type mismatch|Unknown `config` as a `dict`"
    r"|The two structures don't have the same|Could not interpret (loss|metric) identifier"
)
_OF_METRICS: Final = re.compile(r"metric identifier|Unknown `config`")
_LONG: Final = 120


def refusal(case: Case, exception: str, message: str) -> Refusal:
    """Read an exception (its type and message) that Keras raised for `case`.

    The message loses what depends on the names and the number of outputs. The rules are the one
    that the message is about, where it says so, or else all that the case relies on: two refusals
    are the same where their signatures are, whatever the rules.
    """
    lines = [line.strip() for line in message.splitlines() if line.strip()] or [""]
    # A graph wraps the message of an exception: "in user code:", a traceback, the message.
    text = lines[-1] if lines[0].startswith("in user code") else lines[0]
    name = exception.rpartition(".")[2]
    text = text.removeprefix(f"{name}: ").partition(" Received")[0]
    if _KEY_AS_VALUE.search(text):
        return Refusal(
            name, "a key came in the place of a tensor", (leading_rule(case) or target_rule(case),)
        )
    if case.nest is not None and _NEST.search(text):
        measured = case.metrics is not None or case.weighted_metrics is not None
        part = "a metric" if measured and _OF_METRICS.search(text) else "a tensor, or a loss"
        return Refusal(name, f"a part of a nest was taken for {part}", _refused(case, name, text))
    text = _SHOWN.sub("…", _QUOTED.sub("…", text))
    while (shorter := _BRACKETED.sub("…", text)) != text:
        text = shorter
    text = _NUMBER.sub("N", _NUMBERED.sub(r"\1", text))
    return Refusal(name, text[:_LONG].rstrip(), _refused(case, name, text))


def _refused(case: Case, exception: str, text: str) -> tuple[str, ...]:
    relied = rules_of(case)
    leading = leading_rule(case)
    if leading is not None:
        return (leading,)
    if "loss_weight" in text and "R5" in relied:
        return ("R5",)
    if "metrics" in text and "R7" in relied:
        return ("R7",)
    if exception == "StopIteration":  # of the data, which no name and no container is about
        return ("R19",)
    if "R4" in relied:
        return ("R4",)
    if "`loss`" in text:
        return (loss_rule(case),)
    return tuple(rule for rule in relied if rule not in ("R8", "R12", "R17"))
