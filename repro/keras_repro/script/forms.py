"""The forms of a case as Python: what is passed an output, in its container.

Public: `given`, `nested`. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from keras_repro.case import ByName, Case, Form, InOrder, Like, Nest, One, is_dict
from keras_repro.script.layout import Node, dictionary, listed

__all__ = ["given", "nested"]

T = TypeVar("T")

AS_IT_IS: Final = Like[Any](())


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
        case Like(values):
            assert case.nest is not None
            return nested(case.nest, [one(value) for value in values], form)


def nested(nest: Nest, values: Sequence[Node | str], form: Like[Any] = AS_IT_IS) -> Node:
    """Values in the nesting of the outputs, written as a form is."""
    inside = [
        values[entry] if isinstance(entry, int) else nested(entry, values, form)
        for entry in nest.entries
    ]
    if is_dict(nest.kind):
        items = list(zip(nest.keys, inside, strict=True))
        kind = nest.kind if form.dicts == "the same" else form.dicts
        return dictionary(items[::-1] if form.turned else items, kind)
    other = {"list": "tuple", "tuple": "list"}
    return listed(inside, other[nest.kind] if form.swapped else nest.kind)
