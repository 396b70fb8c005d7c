"""Steps of the outputs: how many, what holds them, what they are called."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from keras_repro.case import ByName, Case, InOrder, Like, One, Output, is_dict
from keras_repro.oracle import CONSTANTS
from keras_repro.steps.base import LETTERS, nest_without, plainer_nests, ranked


def fewer_outputs(case: Case) -> Iterator[dict[str, Any]]:
    """Leave out an output and all that belongs to it, the last first."""
    for index in reversed(range(len(case.outputs)) if len(case.outputs) > 1 else ()):
        yield _without(case, index)


def _without(case: Case, index: int) -> dict[str, Any]:
    gone = case.outputs[index].name
    kept = [output for output in case.outputs if output.name != gone]
    constants = CONSTANTS[len(kept)]
    outputs = tuple(
        replace(output, predicts=value)
        for output, value in zip(kept, constants.predicts, strict=True)
    )
    names = [output.name for output in outputs]
    refilled = {
        "targets": constants.targets,
        "before": constants.targets,
        "loss_weights": constants.weights,
        "sample_weight": constants.samples,
    }
    forms = {}
    for field, given in case.forms():
        forms[field] = _drop(given, index, gone)
        if field in refilled:
            forms[field] = _refilled(forms[field], names, refilled[field])
    nest = None if case.nest is None else nest_without(case.nest, index)
    shared = case.shared if len(kept) > 1 else "nothing"
    if shared == "one tensor":
        outputs = (*outputs[:-1], replace(outputs[-1], predicts=outputs[0].predicts))
    return {"outputs": outputs, "nest": nest, "shared": shared, **forms}


def _drop(given: Any, index: int, gone: str) -> Any:
    if isinstance(given, InOrder | Like):
        return replace(given, values=given.values[:index] + given.values[index + 1 :])
    if isinstance(given, ByName):
        return replace(given, items=tuple(item for item in given.items if item[0] != gone))
    return given


def _refilled(given: Any, names: Sequence[str], values: Sequence[float]) -> Any:
    if isinstance(given, InOrder | Like):
        pairs = zip(given.values, values, strict=True)
        return replace(given, values=tuple(None if old is None else new for old, new in pairs))
    if isinstance(given, ByName):
        by_name = dict(zip(names, values, strict=True))
        items = tuple((name, by_name.get(name, value)) for name, value in given.items)
        return replace(given, items=items)
    return One(values[0])


def plain_outputs(case: Case) -> Iterator[dict[str, Any]]:
    """Hold the outputs in a list; or in a dict under the names of their layers."""
    if is_dict(case.container):
        plain = tuple(replace(output, layer=output.name, key=None) for output in case.outputs)
        yield {"container": "list", "outputs": plain}
        same = tuple(replace(output, layer=output.name) for output in case.outputs)
        yield {"outputs": same}
        yield {"container": "dict"}
    elif case.nest is not None:
        yield _unnested(case)
        for nest in plainer_nests(case.nest):
            yield {"nest": nest}
    else:
        listed = {
            field: InOrder((given.value,))
            for field, given in case.forms()
            if field in ("targets", "before") and isinstance(given, One)
        }
        yield {"container": "list", **listed}
        yield {"container": "list"}


def of_their_own(case: Case) -> Iterator[dict[str, Any]]:
    """A layer for each output; one layer called twice before one tensor given twice."""
    if case.shared == "nothing":
        return
    values = CONSTANTS[len(case.outputs)].predicts
    outputs = tuple(
        replace(output, predicts=value) for output, value in zip(case.outputs, values, strict=True)
    )
    yield {"shared": "nothing", "outputs": outputs}
    yield {"shared": "one layer", "outputs": outputs}


def same_widths(case: Case) -> Iterator[dict[str, Any]]:
    """Outputs of one unit."""
    yield {"outputs": tuple(replace(output, width=1) for output in case.outputs)}


def _unnested(case: Case) -> dict[str, Any]:
    forms = {f: InOrder(given.values) for f, given in case.forms() if isinstance(given, Like)}
    return {"container": "list", "nest": None, **forms}


def plain_names(case: Case) -> Iterator[dict[str, Any]]:
    """Name the outputs by the first letters: in order, else in the order of the names they have."""
    count = len(case.outputs)
    letters, others = LETTERS[:count], LETTERS[count : 2 * count]
    if count > 4:  # i and j are inputs
        others = LETTERS[-count:]
    layers = [output.layer for output in case.outputs]
    for names in (letters, ranked(case.names)):
        for under in (names, letters, ranked(layers), others):
            changes = _renamed(case, names, under)
            if case.but(**changes) == case:
                # What follows is less plain than what is there.
                return
            yield changes


def one_order(case: Case) -> Iterator[dict[str, Any]]:
    """Outputs in the order of their names and of their layers', and so the keys of each dict."""
    changes = _renamed(case, sorted(case.names), sorted(output.layer for output in case.outputs))
    known = sorted(case.names)
    for field, given in changes.items():
        if isinstance(given, ByName):
            # What no output has stays behind or before them.
            ordered = iter(sorted(item for item in given.items if item[0] in known))
            items = (next(ordered) if item[0] in known else item for item in given.items)
            changes[field] = replace(given, items=tuple(items))
    yield changes


def _renamed(case: Case, names: Sequence[str], layers: Sequence[str]) -> dict[str, Any]:
    new = dict(zip(case.names, names, strict=True))
    outputs: tuple[Output, ...]
    if is_dict(case.container):
        triples = zip(case.outputs, names, layers, strict=True)
        outputs = tuple(replace(o, key=name, layer=layer) for o, name, layer in triples)
    else:
        outputs = tuple(replace(o, layer=new[o.name]) for o in case.outputs)
    forms = {
        field: replace(given, items=tuple((new.get(k, k), v) for k, v in given.items))
        for field, given in case.forms()
        if isinstance(given, ByName)
    }
    return {"outputs": outputs, **forms}
