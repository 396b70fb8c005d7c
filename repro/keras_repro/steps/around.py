"""Steps of what stands around the arguments: the model, its inputs, its data, the call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import replace
from typing import Any

from keras_repro.case import BY_KEY, ByName, Case, InOrder, Inputs, Like, Within, is_dict
from keras_repro.steps.base import LETTERS, nest_without, plainer_nests, ranked


def plain_model(case: Case) -> Iterator[dict[str, Any]]:
    """A functional model, as it was made, of one plain input."""
    plain: dict[str, Any] = {
        "trip": "none",
        "inner": False,
        "chained": False,
        "within": "nothing",
        "direct": False,
        "joint": False,
        "auto": False,
        "inputs": None,
        "model": "functional",
        "heads": "list",
        "holder": "model",
        "spelling": "string",
        "weights": "float",
        "several": "list",
        "metric_names": "own",
    }
    yield plain
    yield {"model": "functional", "heads": "list", "holder": "model"}
    yield {"within": "nothing", "direct": False}
    yield from ({name: value} for name, value in plain.items())
    if case.heads in BY_KEY and case.heads != "set":
        yield {"heads": "dict"}
    if case.trip in ("clone recursively", "clone by call", "clone compiled"):
        yield {"trip": "clone"}
    if case.within == "OrderedDict":
        yield {"within": "dict"}
    if case.inputs is not None and case.inputs.inside != "nothing":
        kinds: tuple[Within, ...] = ("nothing", "list", "dict")
        yield from ({"inputs": replace(case.inputs, inside=kind)} for kind in kinds)


def plain_data(case: Case) -> Iterator[dict[str, Any]]:
    """One batch of arrays, and no call before."""
    plain: dict[str, Any] = {
        "data": "arrays",
        "before": None,
        "earlier": "the same",
        "jit": False,
        "steps_per_execution": 1,
        "batches": 1,
        "short": False,
    }
    yield plain
    yield from ({name: value} for name, value in plain.items())
    if case.data in ("PyDataset of lists", "PyDataset with None"):
        yield {"data": "PyDataset"}
    if case.data in ("PyDataset", "PyDataset of lists", "PyDataset with None", "DataLoader"):
        yield {"data": "generator"}
    yield {"classes": "all"}
    yield {"batches": 1, "short": False}
    yield {"batches": 1, "short": False, "steps_per_execution": 1}
    if case.batches > 2:
        yield {"batches": 2}
    yield {"before": None, "earlier": "the same"}


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


def without_surroundings(case: Case) -> Iterator[dict[str, Any]]:
    """What stands around the arguments, one thing at a time as plain as it can be."""
    for step in (plain_model, plain_data, plain_call):
        yield from (changes for changes in step(case) if len(changes) == 1)


def plain_inputs(case: Case) -> Iterator[dict[str, Any]]:
    """Fewer inputs, in a list, fed a list, and named by letters."""
    inputs = case.inputs
    if inputs is None:
        return
    none = {name for name in inputs.names if inputs.amount(name) is None}
    for index in reversed(range(len(inputs.members)) if len(inputs.members) > 1 else ()):
        members = inputs.members[:index] + inputs.members[index + 1 :]
        if not all(one.optional for one in members):
            fed = _fed(inputs.fed, [one.name for one in members], none, inputs.names[index])
            nest = None if inputs.nest is None else nest_without(inputs.nest, index)
            yield from _made(inputs, members=members, fed=fed, nest=nest)
    if any(one.optional for one in inputs.members):
        members = tuple(replace(one, optional=False) for one in inputs.members)
        fed = _fed(inputs.fed, inputs.names, set())
        yield {"inputs": replace(inputs, members=members, fed=fed)}
        members = tuple(replace(one, optional=one.name in none) for one in inputs.members)
        yield {"inputs": replace(inputs, members=members)}
    fed = inputs.fed
    if inputs.nest is not None and isinstance(fed, Like):
        yield {"inputs": replace(inputs, container="list", nest=None, fed=InOrder(fed.values))}
        for nest in plainer_nests(inputs.nest):
            yield from _made(inputs, nest=nest)
    if isinstance(fed, ByName):
        values = fed.as_dict()
        if set(inputs.names) == set(values):
            yield {"inputs": replace(inputs, fed=InOrder(tuple(values[n] for n in inputs.names)))}
        known = tuple(item for item in fed.items if item[0] in inputs.names)
        yield {"inputs": replace(inputs, fed=replace(fed, items=known))}
        ordered = tuple((name, values[name]) for name in inputs.names if name in values)
        yield {"inputs": replace(inputs, fed=replace(fed, items=ordered))}
        yield {"inputs": replace(inputs, fed=replace(fed, kind="dict"))}
    elif isinstance(fed, Like):
        plainer = (
            *({"dicts": "the same"}, {"turned": False}, {"swapped": False}, {"more": "nothing"}),
        )
        yield from ({"inputs": replace(inputs, fed=replace(fed, **one))} for one in plainer)
    else:
        yield {"inputs": replace(inputs, fed=replace(fed, kind="list"))}
    if is_dict(inputs.container):
        plain = tuple(replace(one, layer=one.name, key=None) for one in inputs.members)
        yield {"inputs": replace(inputs, container="list", members=plain)}
        same = tuple(replace(one, layer=one.name) for one in inputs.members)
        yield {"inputs": replace(inputs, members=same)}
        yield {"inputs": replace(inputs, container="dict")}
    elif inputs.nest is None:
        yield {"inputs": replace(inputs, container="list")}
    # Letters of their own: a layer and an input cannot have one name.
    for names in (LETTERS[8 : 8 + len(inputs.members)], ranked(inputs.names, 8)):
        changed = _renamed_inputs(case, names)
        if changed == inputs:
            return
        yield {"inputs": changed}


def _made(inputs: Inputs, **changes: Any) -> Iterator[dict[str, Any]]:
    """The inputs with some changes, where there are such inputs."""
    try:
        made = replace(inputs, **changes)
    except ValueError:
        return  # a nest that became flat, say
    yield {"inputs": made}


def _fed(fed: Any, names: Sequence[str], none: Set[str], gone: str = "") -> Any:
    """The same form, which feeds each input what belongs to its place, or None."""
    values = {name: None if name in none else float(i) for i, name in enumerate(names, 1)}
    if isinstance(fed, InOrder | Like):
        return replace(fed, values=tuple(values.values()))
    items = tuple((name, values.get(name, value)) for name, value in fed.items if name != gone)
    return replace(fed, items=items)


def _renamed_inputs(case: Case, names: Sequence[str]) -> Any:
    assert case.inputs is not None
    inputs = case.inputs
    new = dict(zip(inputs.names, names, strict=True))
    layers = dict(zip([m.layer for m in inputs.members], names, strict=True))
    if {m.layer for m in inputs.members} == set(inputs.names):
        layers = new
    members = tuple(
        replace(one, layer=layers[one.layer], key=None if one.key is None else new[one.key])
        for one in inputs.members
    )
    fed: Any = inputs.fed
    if isinstance(fed, ByName):
        fed = replace(fed, items=tuple((new.get(name, name), value) for name, value in fed.items))
    return replace(inputs, members=members, fed=fed)
