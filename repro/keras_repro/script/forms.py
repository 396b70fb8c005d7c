"""The forms of a case as Python: what is passed an output, in its container.

Public: `given`, `nested`. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from keras_repro.case import ByName, Case, Form, InOrder, Like, Nest, One, is_dict
from keras_repro.script.layout import Node, dictionary, listed

__all__ = ["given", "nested"]

T = TypeVar("T")


def given(case: Case, form: Form[Any], shown: Callable[[Any], Node | str]) -> Node | str:
    """What the user writes for a form of values, each of which `shown` writes."""

    def one(value: object) -> Node | str:
        return "None" if value is None else shown(value)

    match form:
        case One(value):
            return one(value)
        case InOrder(values, kind):
            return listed((one(value) for value in values), kind)
        case ByName(items, kind):
            return dictionary(((name, one(value)) for name, value in items), kind)
        case Like(values, turned, swapped):
            assert case.nest is not None
            shown_values = [one(value) for value in values]
            return nested(case.nest, shown_values, turned=turned, swapped=swapped)


def nested(
    nest: Nest, values: Sequence[Node | str], *, turned: bool = False, swapped: bool = False
) -> Node:
    """Values in the nesting of the outputs."""
    inside = [
        values[entry]
        if isinstance(entry, int)
        else nested(entry, values, turned=turned, swapped=swapped)
        for entry in nest.entries
    ]
    if is_dict(nest.kind):
        items = list(zip(nest.keys, inside, strict=True))
        return dictionary(items[::-1] if turned else items, nest.kind)
    other = {"list": "tuple", "tuple": "list"}
    return listed(inside, other[nest.kind] if swapped else nest.kind)
