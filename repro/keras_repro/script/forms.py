"""The forms of a case as Python: what is passed an output, in its container.

Public: `given`, `nested`. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from keras_repro.case import MORE, ByName, Case, Form, InOrder, Like, Nest, One, is_dict
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
            shown_values = [one(value) for value in values]
            return nested(case.nest, shown_values, form, more=one(values[0]))


def nested(
    nest: Nest, values: Sequence[Node | str], form: Like[Any] = AS_IT_IS, more: Node | str = "None"
) -> Node:
    """Values in the nesting of the outputs, written as a form is; `more` has a key of its own."""
    marked = nest.first_dict() if form.more != "nothing" else None
    return _nested(nest, values, form, more, marked)


def _nested(
    nest: Nest, values: Sequence[Node | str], form: Like[Any], more: Node | str, marked: Nest | None
) -> Node:
    inside = [
        values[entry] if isinstance(entry, int) else _nested(entry, values, form, more, marked)
        for entry in nest.entries
    ]
    if is_dict(nest.kind):
        items = list(zip(nest.keys, inside, strict=True))
        if nest is marked:
            items = (
                [(MORE, more), *items] if form.more == "a key" else [(MORE, inside[0]), *items[1:]]
            )
        kind = nest.kind if form.dicts == "the same" else form.dicts
        return dictionary(items[::-1] if form.turned else items, kind)
    other = {"list": "tuple", "tuple": "list"}
    return listed(inside, other[nest.kind] if form.swapped else nest.kind)
