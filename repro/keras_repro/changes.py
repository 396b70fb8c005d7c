"""Cases that differ from a case in one thing that a reader understands, and what that is in words.

Public: `changed`, `difference`. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from keras_bisect.errors import UsageError
from keras_repro.case import ByName, Case, InOrder, Like, One, is_dict
from keras_repro.oracle import promised
from keras_repro.reading import AnyCase
from keras_repro.trees.case import Node, Tree, TreeCase

__all__ = ["changed", "difference"]

GIVEN: Final = {
    "targets": "targets",
    "loss": "losses",
    "loss_weights": "loss weights",
    "metrics": "metrics",
    "weighted_metrics": "weighted metrics",
    "sample_weight": "sample weights",
    "before": "targets before",
}

PLAIN: Final = {
    "inner": (False, "no compiled model inside"),
    "chained": (False, "outputs that are not made of each other"),
    "inputs": (None, "one plain input"),
    "trip": ("none", "the model as it was made"),
    "model": ("functional", "a functional model"),
    "heads": ("list", "layers in a list"),
    "holder": ("model", "layers that the model itself holds"),
    "direct": (False, "layers after the model inside"),
    "weights": ("float", "weights that are floats"),
    "several": ("list", "lists of metrics"),
    "metric_names": ("own", "metrics with names of their own"),
    "classes": ("all", "class weights that name all classes"),
    "data": ("arrays", "arrays"),
    "before": (None, "no call before"),
    "earlier": ("the same", "the same call before"),
    "short": (False, "batches of the same size"),
    "batches": (1, "one batch"),
    "steps_per_execution": (1, "one step an execution"),
    "jit": (False, "no jit_compile"),
    "spelling": ("string", "losses and metrics by their names"),
    "class_weight": (None, "no class weights"),
    "loss_weights": (None, "no loss weights"),
    "sample_weight": (None, "no sample weights"),
    "metrics": (None, "no metrics"),
    "weighted_metrics": (None, "no weighted metrics"),
    "eager": (True, "run_eagerly=True"),
}
"""Field -> its plain value, and what a case has that has it."""


def changed(case: AnyCase) -> Iterator[tuple[str, AnyCase]]:
    """Cases that differ from `case` in one thing, each with what that is."""
    if isinstance(case, TreeCase):
        yield from _trees(case)
        return
    for words, changes in _cases(case):
        try:
            other = case.but(**changes)
            if other != case and promised(other):
                yield words, other
        except (ValueError, UsageError):
            continue  # no case: a list of outputs that are nested, say


def _cases(case: Case) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "output names in alphabetical order", _renamed(case)
    yield from _inputs(case)
    for field, given in case.forms():
        words = GIVEN[field]
        if isinstance(given, ByName) and set(given.names) == set(case.names):
            values = given.as_dict()
            yield f"a list of {words}", {field: InOrder(tuple(values[n] for n in case.names))}
            ordered = tuple((name, values[name]) for name in case.names)
            yield f"the {words} in the order of the outputs", {field: replace(given, items=ordered)}
            ordered = tuple(sorted(values.items(), key=lambda item: item[0]))
            yield f"the {words} in alphabetical order", {field: replace(given, items=ordered)}
        if isinstance(given, ByName):
            yield f"a plain dict of {words}", {field: replace(given, kind="dict")}
            known = tuple(item for item in given.items if item[0] in case.names)
            yield f"{words} of the outputs alone", {field: replace(given, items=known)}
        if isinstance(given, InOrder) and len(given.values) == len(case.names):
            named = tuple(zip(case.names, given.values, strict=True))
            yield f"a dict of {words}", {field: ByName(named)}
            yield f"a list of {words}", {field: replace(given, kind="list")}
    if isinstance(case.loss, One):
        yield "a list of losses", {"loss": InOrder((case.loss.value,) * len(case.names))}
        yield "a dict of losses", {"loss": ByName(tuple((n, case.loss.value) for n in case.names))}
    unkeyed = tuple(replace(o, layer=o.name, key=None) for o in case.outputs)
    yield "a list of outputs", {"container": "list", "outputs": unkeyed, "nest": None}
    keyed = tuple(replace(o, key=o.name) for o in case.outputs)
    yield "a dict of outputs", {"container": "dict", "outputs": keyed, "nest": None}
    if is_dict(case.container):
        same = tuple(replace(o, layer=o.name) for o in case.outputs)
        yield "layers that have the names of their outputs", {"outputs": same}
    narrow = tuple(replace(o, width=1) for o in case.outputs)
    yield "outputs of one unit", {"outputs": narrow}
    for field, (value, words) in PLAIN.items():
        # What is called before goes with what it is called with.
        yield words, {field: value} | ({"earlier": "the same"} if field == "before" else {})
    if not case.predicting:
        yield "evaluate", {"entry": "evaluate"}
    else:
        yield "a call", {"entry": "call"}


def _renamed(case: Case) -> dict[str, Any]:
    new = dict(zip(case.names, sorted(case.names), strict=True))
    outputs = tuple(
        replace(o, layer=new[o.name]) if o.key is None else replace(o, key=new[o.name])
        for o in case.outputs
    )
    forms = {
        field: replace(given, items=tuple((new.get(k, k), v) for k, v in given.items))
        for field, given in case.forms()
        if isinstance(given, ByName)
    }
    return {"outputs": outputs, **forms}


def _inputs(case: Case) -> Iterator[tuple[str, dict[str, Any]]]:
    inputs = case.inputs
    if inputs is None:
        return
    if isinstance(inputs.fed, ByName):
        values = inputs.fed.as_dict()
        if set(values) == set(inputs.names):
            ordered = tuple(values[name] for name in inputs.names)
            yield "a list of data", {"inputs": replace(inputs, fed=InOrder(ordered))}
            items = tuple(zip(inputs.names, ordered, strict=True))
            fed = replace(inputs.fed, items=items)
            yield "the data in the order of the inputs", {"inputs": replace(inputs, fed=fed)}
    elif isinstance(inputs.fed, InOrder):
        named = ByName(tuple(zip(inputs.names, inputs.fed.values, strict=True)))
        yield "a dict of data", {"inputs": replace(inputs, fed=named)}
    else:
        listed = replace(inputs, container="list", nest=None, fed=InOrder(inputs.fed.values))
        yield "a list of inputs", {"inputs": listed}


# -- trees -----------------------------------------------------------------------------------------


def _trees(case: TreeCase) -> Iterator[tuple[str, TreeCase]]:
    """Plainer kinds of container, everywhere, and keys in the order of the alphabet."""
    kinds = {"OrderedDict": "dict", "defaultdict": "dict", "namedtuple": "tuple", "tuple": "list"}
    kinds |= {"deque": "list"}
    for kind, plainer in kinds.items():
        made = _with_kind(case.structure, kind, plainer)
        if made != case.structure:
            yield f"a {plainer} in the place of the {kind}", replace(case, structure=made)
    made = _sorted(case.structure)
    if made != case.structure:
        yield "keys in alphabetical order", replace(case, structure=made)


def _with_kind(tree: Tree, kind: str, plainer: Any) -> Tree:
    if not isinstance(tree, Node):
        return tree
    children = tuple(_with_kind(child, kind, plainer) for child in tree.children)
    if tree.kind != kind:
        return replace(tree, children=children)
    return Node(plainer, children, tree.keys if plainer == "dict" else ())


def _sorted(tree: Tree) -> Tree:
    if not isinstance(tree, Node):
        return tree
    children = tuple(map(_sorted, tree.children))
    if not tree.keys or tree.kind == "namedtuple":
        return replace(tree, children=children)
    pairs = sorted(zip(tree.keys, children, strict=True), key=lambda one: one[0])
    return Node(tree.kind, tuple(c for _, c in pairs), tuple(k for k, _ in pairs))


# -- in words --------------------------------------------------------------------------------------


def difference(case: AnyCase, other: AnyCase) -> str:
    """What another case has, and a case has not, in words: it follows "It passes with"."""
    if isinstance(case, TreeCase) or isinstance(other, TreeCase):
        return "this structure"
    words = []
    for field, (value, said) in PLAIN.items():
        if getattr(case, field) != getattr(other, field) == value:
            words.append(said)
    for field, said in GIVEN.items():
        one, new = getattr(case, field), getattr(other, field)
        if one is not None and new is not None and one != new:
            words.append(_form(one, new, said))
    if case.container != other.container or case.nest != other.nest:
        words.append(f"{other.container} outputs")
    elif [o.name for o in case.outputs] != [o.name for o in other.outputs]:
        fewer = len(other.outputs) < len(case.outputs)
        words.append("fewer outputs" if fewer else "other names of the outputs")
    elif case.outputs != other.outputs:
        words.append("other outputs")
    if case.inputs is not None and other.inputs is not None and case.inputs != other.inputs:
        same = case.inputs.names == other.inputs.names
        words.append("other inputs" if same else "other names of the inputs")
    if case.entry != other.entry:
        words.append(other.entry)
    return " and ".join(words) or "this"


def _form(one: Any, new: Any, said: str) -> str:
    kinds = {One: "one", InOrder: "a list", ByName: "a dict", Like: "a nest"}
    if type(one) is not type(new):
        return f"{kinds[type(new)]} of {said}"
    if isinstance(one, ByName) and one.as_dict() == new.as_dict():
        return f"the {said} in another order"
    return f"other {said}"
