"""Steps of what stands around the arguments: the model, its inputs, its data, the call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from keras_repro.case import ByName, Case, InOrder, Input, is_dict
from keras_repro.steps.base import LETTERS, ranked


def plain_model(case: Case) -> Iterator[dict[str, Any]]:
    """A functional model, as it was made, of one plain input."""
    plain: dict[str, Any] = {
        "trip": "none",
        "inner": False,
        "chained": False,
        "auto": False,
        "inputs": None,
        "model": "functional",
        "heads": "list",
        "spelling": "string",
    }
    yield plain
    yield {"model": "functional", "heads": "list"}
    yield from ({name: value} for name, value in plain.items())


def plain_data(case: Case) -> Iterator[dict[str, Any]]:
    """One batch of arrays, and no call before."""
    plain: dict[str, Any] = {
        "data": "arrays",
        "before": None,
        "jit": False,
        "steps_per_execution": 1,
        "batches": 1,
    }
    yield plain
    yield from ({name: value} for name, value in plain.items())
    yield {"batches": 1, "steps_per_execution": 1}


def without_arguments(case: Case) -> Iterator[dict[str, Any]]:
    """Compile without metrics, without weights."""
    fields = ("metrics", "loss_weights", "weighted_metrics", "sample_weight", "class_weight")
    yield dict.fromkeys(fields)
    yield from ({field: None} for field in fields)


def plain_call(case: Case) -> Iterator[dict[str, Any]]:
    """Call `evaluate`, eagerly: it is what most people know, and runs fastest."""
    if case.predicting:
        yield {"entry": "call"}
        return
    yield {"entry": "evaluate", "eager": True}
    yield {"entry": "evaluate"}
    yield {"eager": True}


def plain_inputs(case: Case) -> Iterator[dict[str, Any]]:
    """Fewer inputs, in a list, fed a list, and named by letters."""
    inputs = case.inputs
    if inputs is None:
        return
    for index in reversed(range(len(inputs.members)) if len(inputs.members) > 1 else ()):
        members = inputs.members[:index] + inputs.members[index + 1 :]
        yield {"inputs": _fed(replace(inputs, members=members, fed=_less(inputs, index)))}
    fed = inputs.fed
    if isinstance(fed, ByName):
        values = fed.as_dict()
        if set(inputs.names) == set(values):
            yield {"inputs": replace(inputs, fed=InOrder(tuple(values[n] for n in inputs.names)))}
        known = tuple(item for item in fed.items if item[0] in inputs.names)
        yield {"inputs": replace(inputs, fed=replace(fed, items=known))}
        ordered = tuple((name, values[name]) for name in inputs.names)
        yield {"inputs": replace(inputs, fed=replace(fed, items=ordered))}
        yield {"inputs": replace(inputs, fed=replace(fed, kind="dict"))}
    else:
        yield {"inputs": replace(inputs, fed=replace(fed, kind="list"))}
    if is_dict(inputs.container):
        plain = tuple(Input(one.name) for one in inputs.members)
        yield {"inputs": replace(inputs, container="list", members=plain)}
        same = tuple(Input(one.name, one.key) for one in inputs.members)
        yield {"inputs": replace(inputs, members=same)}
        yield {"inputs": replace(inputs, container="dict")}
    else:
        yield {"inputs": replace(inputs, container="list")}
    # Letters of their own: a layer and an input cannot have one name.
    for names in (LETTERS[8 : 8 + len(inputs.members)], ranked(inputs.names, 8)):
        changed = _renamed_inputs(case, names)
        if changed == inputs:
            return
        yield {"inputs": changed}


def _less(inputs: Any, index: int) -> Any:
    gone = inputs.members[index].name
    if isinstance(inputs.fed, InOrder):
        values = inputs.fed.values[:index] + inputs.fed.values[index + 1 :]
        return replace(inputs.fed, values=values)
    return replace(inputs.fed, items=tuple(i for i in inputs.fed.items if i[0] != gone))


def _fed(inputs: Any) -> Any:
    """The same inputs, each fed the value that belongs to its place."""
    values = {name: float(place) for place, name in enumerate(inputs.names, 1)}
    if isinstance(inputs.fed, InOrder):
        return replace(inputs, fed=replace(inputs.fed, values=tuple(values.values())))
    items = tuple((name, values.get(name, value)) for name, value in inputs.fed.items)
    return replace(inputs, fed=replace(inputs.fed, items=items))


def _renamed_inputs(case: Case, names: Sequence[str]) -> Any:
    assert case.inputs is not None
    inputs = case.inputs
    new = dict(zip(inputs.names, names, strict=True))
    layers = dict(zip([m.layer for m in inputs.members], names, strict=True))
    if {m.layer for m in inputs.members} == set(inputs.names):
        layers = new
    members = tuple(
        Input(layers[one.layer], None if one.key is None else new[one.key])
        for one in inputs.members
    )
    fed: Any = inputs.fed
    if isinstance(fed, ByName):
        fed = replace(fed, items=tuple((new.get(name, name), value) for name, value in fed.items))
    return replace(inputs, members=members, fed=fed)
