"""What may stand beside a case where no rule says what its numbers are: a second one, and a change.

A form that the documentation leaves open has no right numbers, but some changes must not move them,
whatever they are: the order of the keys in a dict, another method, another kind of data, a round
trip. So the case and the changed one run in one script, and are held against each other.

Public: `RULES_OF`, `changed`. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from keras_repro.case.choices import Beside, Entry
from keras_repro.case.forms import ByName, InOrder, Like
from keras_repro.case.model import Case, Output

__all__ = ["RULES_OF", "changed"]

RULES_OF: Final[Mapping[Beside, str]] = {
    "other key order": "R17",
    "other entry": "R19",
    "graph": "R19",
    "generator": "R19",
    "saved": "R20",
    "cloned": "R20",
    "rebuilt": "R20",
    "tuples": "R12",
    "OrderedDicts": "R18",
    "other names": "R3",
}
"""The rule that says that a change moves no number."""

_ENTRIES: Final[Mapping[Entry, Entry]] = {
    "evaluate": "test_on_batch",
    "test_on_batch": "evaluate",
    "fit": "train_on_batch",
    "train_on_batch": "fit",
}
_TRIPS: Final = {"saved": "save", "cloned": "clone", "rebuilt": "config"}


def changed(case: Case) -> Case:
    """The case that stands beside.

    Raises:
        ValueError: the change changes nothing in it, or cannot be made.
    """
    first = case.but(beside="nothing")
    second = first
    if case.entry in _ENTRIES and case.trip == "none":
        second = first.but(**_changes(first, case.beside))
    if second == first:
        raise ValueError(f"beside: {case.beside} is no change of this case")
    return second


def _changes(case: Case, beside: Beside) -> dict[str, Any]:
    if beside in _TRIPS:
        if case.model not in ("functional", "functional subclass"):
            raise ValueError("beside: a class of the user's own knows no round trip")
        return {"trip": _TRIPS[beside]}
    match beside:
        case "other key order":
            return _forms(case, _turned) | _fed(case)
        case "other entry":
            if case.batches > 1 or case.data != "arrays" or case.before is not None:
                raise ValueError("beside: one batch at a time is of arrays")
            return {"entry": _ENTRIES[case.entry]}
        case "graph":
            return {"eager": False}
        case "generator":
            if case.data != "arrays":
                raise ValueError("beside: the data are no arrays")
            return {"data": "generator"}
        case "tuples":
            return _forms(case, lambda form: _of_kind(form, InOrder, "list", "tuple"))
        case "OrderedDicts":
            return _forms(case, lambda form: _of_kind(form, ByName, "dict", "OrderedDict"))
        case "other names":
            return _renamed(case)
    return {}


def _forms(case: Case, change: Any) -> dict[str, Any]:
    return {field: change(form) for field, form in case.forms()}


def _turned(form: Any) -> Any:
    match form:
        case ByName():
            return replace(form, items=form.items[::-1])
        case Like():
            return replace(form, turned=not form.turned)
    return form


def _fed(case: Case) -> dict[str, Any]:
    inputs = case.inputs
    return {} if inputs is None else {"inputs": replace(inputs, fed=_turned(inputs.fed))}


def _of_kind(form: Any, of: type, plain: str, other: str) -> Any:
    if not isinstance(form, of):
        return form
    return replace(form, kind=other if form.kind == plain else plain)  # type: ignore[type-var, attr-defined]


def _renamed(case: Case) -> dict[str, Any]:
    """Other names, in the other order of the alphabet where there is more than one."""
    if case.nest is not None or case.model != "functional":
        raise ValueError("beside: it has no names to change")
    ranks = {name: rank for rank, name in enumerate(sorted(case.names, reverse=True))}
    new = {name: f"n{rank}" for name, rank in ranks.items()}
    outputs = tuple(
        Output(
            layer=new[one.name],
            predicts=one.predicts,
            key=None if one.key is None else new[one.name],
            width=one.width,
        )
        for one in case.outputs
    )

    def renamed(form: Any) -> Any:
        if not isinstance(form, ByName):
            return form
        return replace(form, items=tuple((new.get(name, name), v) for name, v in form.items))

    return {"outputs": outputs} | _forms(case, renamed)
