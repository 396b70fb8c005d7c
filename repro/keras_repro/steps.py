"""The steps that make a model case simpler, in the order in which they are tried.

Each takes a case and yields cases that are plainer in one way. What can be left out comes first,
then each form becomes plainer, then names become letters. No step undoes another, so a case cannot
come back to what it was.

Public: `simpler_cases`, `STEPS`, `LETTERS`, `ranked`. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from keras_bisect.errors import UsageError
from keras_repro.case import (
    ByName,
    Case,
    InOrder,
    Input,
    Like,
    Nest,
    One,
    Output,
    is_dict,
)
from keras_repro.oracle import CONSTANTS, promised

__all__ = ["LETTERS", "STEPS", "ranked", "simpler_cases"]

LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"

Step = Callable[[Case], Iterator[dict[str, Any]]]
"""What to change in a case."""


def simpler_cases(case: Case) -> Iterator[Case]:
    """Cases that are one step simpler, the biggest steps first."""
    for step in STEPS:
        for changes in step(case):
            try:
                candidate = case.but(**changes)
                # What nobody promised anything about would shrink into a false alarm.
                if candidate != case and promised(candidate):
                    yield candidate
            except (ValueError, UsageError):
                continue  # plainer, but no case: a list where the outputs are nested, say


# -- what stands around ----------------------------------------------------------------


def plain_model(case: Case) -> Iterator[dict[str, Any]]:
    """A functional model, as it was made, of one plain input."""
    plain: dict[str, Any] = {
        "trip": "none",
        "inner": False,
        "chained": False,
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


def fewer_outputs(case: Case) -> Iterator[dict[str, Any]]:
    """Leave out an output and all that belongs to it, the last first."""
    for index in reversed(range(len(case.outputs)) if len(case.outputs) > 1 else ()):
        yield _without(case, index)


def plain_call(case: Case) -> Iterator[dict[str, Any]]:
    """Call `evaluate`, eagerly: it is what most people know, and runs fastest."""
    if case.predicting:
        yield {"entry": "call"}
        return
    yield {"entry": "evaluate", "eager": True}
    yield {"entry": "evaluate"}
    yield {"eager": True}


# -- outputs ---------------------------------------------------------------------------


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
        for nest in _plainer_nests(case.nest):
            yield {"nest": nest}
    else:
        listed = {
            field: InOrder((given.value,))
            for field, given in case.forms()
            if field in ("targets", "before") and isinstance(given, One)
        }
        yield {"container": "list", **listed}
        yield {"container": "list"}


def same_widths(case: Case) -> Iterator[dict[str, Any]]:
    """Outputs of one unit."""
    yield {"outputs": tuple(replace(output, width=1) for output in case.outputs)}


def _unnested(case: Case) -> dict[str, Any]:
    forms = {f: InOrder(given.values) for f, given in case.forms() if isinstance(given, Like)}
    return {"container": "list", "nest": None, **forms}


def _plainer_nests(nest: Nest) -> Iterator[Nest]:
    """Less depth, plainer containers, plainer keys."""
    for index, entry in enumerate(nest.entries):
        if not isinstance(entry, int):
            before, after = nest.entries[:index], nest.entries[index + 1 :]
            if not nest.keys:
                yield replace(nest, entries=(*before, *entry.entries, *after))
            elif len(entry.entries) == 1:
                yield replace(nest, entries=(*before, entry.entries[0], *after))
    for index, entry in enumerate(nest.entries):
        if not isinstance(entry, int):
            for plainer in _plainer_nests(entry):
                entries = (*nest.entries[:index], plainer, *nest.entries[index + 1 :])
                yield replace(nest, entries=entries)
    if nest.keys:
        yield Nest("list", nest.entries)
        if nest.kind != "dict":
            yield replace(nest, kind="dict")
        for keys in (LETTERS[15 : 15 + len(nest.keys)], ranked(nest.keys, 15)):
            if tuple(keys) == nest.keys:
                break
            yield replace(nest, keys=tuple(keys))
    elif nest.kind == "tuple":
        yield replace(nest, kind="list")


# -- arguments -------------------------------------------------------------------------


def plain_kinds(case: Case) -> Iterator[dict[str, Any]]:
    """A list for a tuple, a dict for another dict, a nest as the outputs are."""
    for field, given in case.forms():
        match given:
            case InOrder():
                yield {field: replace(given, kind="list")}
            case ByName():
                yield {field: replace(given, kind="dict")}
            case Like():
                yield {field: replace(given, swapped=False)}
                yield {field: replace(given, turned=False)}


def every_key_once(case: Case) -> Iterator[dict[str, Any]]:
    """No key that no output has; in weights and metrics, one for each output."""
    for field, given in case.forms():
        if isinstance(given, ByName):
            items = tuple(item for item in given.items if item[0] in case.names)
            yield {field: replace(given, items=items)}
            if field in ("loss_weights", "sample_weight", "targets"):
                yield {field: _filled(case, field, given)}


def _filled(case: Case, field: str, given: ByName[Any]) -> ByName[Any]:
    constants = CONSTANTS[len(case.outputs)]
    kept = {"loss_weights": constants.weights, "sample_weight": constants.samples}
    values = dict(zip(case.names, kept.get(field, constants.targets), strict=True))
    missing = tuple((name, values[name]) for name in case.names if name not in given.names)
    return replace(given, items=given.items + missing)


def plain_loss(case: Case) -> Iterator[dict[str, Any]]:
    """Give one loss for all, or a list of them; every output one, and the same."""
    if case.loss is None:
        return
    if not isinstance(case.loss, One):
        yield {"loss": One("mse")}
    yield {"loss": _map(case.loss, lambda _: "mse")}
    if not isinstance(case.loss, One):
        yield {"loss": _for_all(case, case.loss)}
        yield from ({"loss": loss} for loss in _plainer(case, case.loss))


def plain_targets(case: Case) -> Iterator[dict[str, Any]]:
    """Give a list of targets; a dict of them where the outputs are a dict, as every guide does."""
    for field in ("targets", "before"):
        given = getattr(case, field)
        if not is_dict(case.container):
            yield from ({field: plainer} for plainer in _plainer(case, given))
        elif isinstance(given, ByName):
            yield {field: _in_order_of(case, given)}
        elif isinstance(given, InOrder):
            yield {field: ByName(tuple(zip(case.names, given.values, strict=True)))}


def plain_weights(case: Case) -> Iterator[dict[str, Any]]:
    """Give a list of weights; one array of sample weights."""
    yield from ({"loss_weights": weights} for weights in _plainer(case, case.loss_weights))
    if case.sample_weight is not None and not isinstance(case.sample_weight, One):
        yield {"sample_weight": One(CONSTANTS[len(case.outputs)].samples[0])}
        yield from ({"sample_weight": one} for one in _plainer(case, case.sample_weight))


def plain_metrics(case: Case) -> Iterator[dict[str, Any]]:
    """Give one metric an output, by name before in order: a list of lists is the odd form."""
    for field in ("metrics", "weighted_metrics"):
        given = getattr(case, field)
        if given is None:
            continue
        yield {field: _map(given, lambda _: ("mae",))}
        yield {field: _map(given, _in_a_list)}
        if isinstance(given, InOrder):
            named = zip(case.names, given.values, strict=True)
            yield {field: ByName(tuple(named))}
        elif isinstance(given, ByName):
            yield {field: _in_order_of(case, given)}
        elif isinstance(given, One) and len(case.outputs) == 1:
            yield {field: ByName(((case.names[0], _in_a_list(given.value)),))}


def _in_a_list(metrics: Any) -> Any:
    return (metrics,) if isinstance(metrics, str) else metrics and tuple(dict.fromkeys(metrics))


# -- names -----------------------------------------------------------------------------


def plain_names(case: Case) -> Iterator[dict[str, Any]]:
    """Name the outputs by the first letters: in order, else in the order of the names they have."""
    count = len(case.outputs)
    letters, others = LETTERS[:count], LETTERS[count : 2 * count]
    layers = [output.layer for output in case.outputs]
    for names in (letters, ranked(case.names)):
        for under in (names, letters, ranked(layers), others):
            changes = _renamed(case, names, under)
            if case.but(**changes) == case:
                # What follows is less plain than what is there.
                return
            yield changes


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


STEPS: Final[tuple[Step, ...]] = (
    plain_model,
    plain_data,
    without_arguments,
    fewer_outputs,
    plain_call,
    plain_outputs,
    same_widths,
    plain_kinds,
    every_key_once,
    plain_loss,
    plain_targets,
    plain_weights,
    plain_metrics,
    plain_names,
    plain_inputs,
)


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
    nest = None if case.nest is None else _nest_without(case.nest, index)
    return {"outputs": outputs, "nest": nest, **forms}


def _drop(given: Any, index: int, gone: str) -> Any:
    if isinstance(given, InOrder | Like):
        return replace(given, values=given.values[:index] + given.values[index + 1 :])
    if isinstance(given, ByName):
        return replace(given, items=tuple(item for item in given.items if item[0] != gone))
    return given


def _refilled(given: Any, names: Sequence[str], values: Sequence[float]) -> Any:
    if isinstance(given, InOrder | Like):
        return replace(given, values=tuple(values))
    if isinstance(given, ByName):
        by_name = dict(zip(names, values, strict=True))
        items = tuple((name, by_name.get(name, value)) for name, value in given.items)
        return replace(given, items=items)
    return One(values[0])


def _nest_without(nest: Nest, gone: int) -> Nest | None:
    entries: list[int | Nest] = []
    keys: list[str] = []
    for place, entry in enumerate(nest.entries):
        kept: int | Nest | None
        if isinstance(entry, int):
            kept = None if entry == gone else entry - (entry > gone)
        else:
            kept = _nest_without(entry, gone)
        if kept is not None:
            entries.append(kept)
            keys += nest.keys[place : place + 1]
    return Nest(nest.kind, tuple(entries), tuple(keys)) if entries else None


def _map(given: Any, function: Callable[[Any], Any]) -> Any:
    if isinstance(given, One):
        return One(function(given.value))
    if isinstance(given, InOrder | Like):
        return replace(given, values=tuple(map(function, given.values)))
    return replace(given, items=tuple((name, function(value)) for name, value in given.items))


def _for_all(case: Case, given: Any) -> Any:
    """Losses where there were none; names that were not there come last."""
    given = _map(given, lambda loss: loss or "mse")
    if isinstance(given, InOrder | Like):
        return given
    missing = tuple((name, "mse") for name in case.names if name not in given.names)
    return replace(given, items=given.items + missing)


def _in_order_of(case: Case, given: ByName[Any]) -> ByName[Any]:
    """The same dict in the order of the outputs; what no output is called comes last."""
    values = given.as_dict()
    names = [name for name in case.names if name in values]
    names += [name for name in given.names if name not in case.names]
    return replace(given, items=tuple((name, values[name]) for name in names))


def _plainer(case: Case, given: Any) -> Iterator[Any]:
    """A list for a dict; a dict in the order of the outputs."""
    if isinstance(given, ByName):
        values = given.as_dict()
        if set(values) == set(case.names):
            yield InOrder(tuple(values[name] for name in case.names))
        yield _in_order_of(case, given)
    if isinstance(given, One) and case.container != "tensor" and len(case.outputs) == 1:
        yield InOrder((given.value,))


def ranked(names: Sequence[str], start: int = 0) -> list[str]:
    """Letters that sort as the names do."""
    letters = dict(zip(sorted(names), LETTERS[start:], strict=False))
    return [letters[name] for name in names]


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
