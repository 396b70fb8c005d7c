"""One call of `keras.tree`, and what its documentation says that it must answer.

Public: `Check`, and the answers `Value`, `Name`, `Word`, `Paths`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Literal

from keras_repro.trees.case import Tree
from keras_repro.trees.structures import Path

__all__ = [
    "ACCEPTS",
    "TYPE_ERROR",
    "VALUE_ERROR",
    "Answer",
    "Check",
    "Name",
    "Paths",
    "Value",
    "Word",
]


@dataclass(frozen=True, slots=True)
class Value:
    """The answer is this structure."""

    tree: Tree


@dataclass(frozen=True, slots=True)
class Name:
    """The answer is what the script knows under a name: `structure`, or `flat`, its `flatten`."""

    name: str


@dataclass(frozen=True, slots=True)
class Word:
    """The answer is a word: what is raised, or a truth value."""

    word: str | bool


@dataclass(frozen=True, slots=True)
class Paths:
    """The answer is a list of paths."""

    paths: tuple[Path, ...]


Answer = Value | Name | Word | Paths

ACCEPTS = Word("accepts")
VALUE_ERROR = Word("raises ValueError")
TYPE_ERROR = Word("raises TypeError")


@dataclass(frozen=True, slots=True)
class Check:
    """One call of `keras.tree` and what it must answer."""

    name: str
    """The law, and a word where the law has several checks: `T5.kinds`."""
    call: str
    """What is printed before the answer; it names the structures that it needs."""
    observe: str
    """The expression that asks."""
    answer: Callable[[Tree], Answer | None]
    """What must come back; None where no sentence of the documentation says."""
    shows: Literal["leaves", "structure", "pairs", "other"] = "other"
    """What the answer is, for the words of a report."""
    needs: str = ""
    """An expression: whether this Keras has what is asked."""
    since: str = ""
    """The first release whose documentation says so, where that was not always."""

    @property
    def law(self) -> str:
        """The rule's id."""
        return self.name.partition(".")[0]

    @property
    def function(self) -> str:
        """The function of `keras.tree` that is asked."""
        return self.call.partition("(")[0]

    def uses(self, name: str) -> bool:
        """Whether the expression speaks of a structure of this name."""
        return name in _words(self.observe)


@cache
def _words(expression: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", expression))
