"""What a twist is, and which of them is kept: one that can be run, and that some rule decides.

Public: `Draw`, `Twist`, `alone`, `renamed`, `runs`, `twisted`, `some_form`, `uncompiled`,
`without_names`, `SCOPE`, `EXTRA`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from hypothesis import strategies as st

from keras_bisect.errors import UsageError
from keras_repro.case import ByName, Case, Form, InOrder, Like, One, Output, is_dict
from keras_repro.oracle import CONSTANTS, promised

__all__ = [
    "EXTRA",
    "SCOPE",
    "Draw",
    "Twist",
    "alone",
    "renamed",
    "runs",
    "some_form",
    "twisted",
    "uncompiled",
    "without_names",
]

Draw = Callable[[st.SearchStrategy[Any]], Any]
Twist = Callable[[Draw, Case], Case]

# The name of an output becomes a scope in a TensorFlow graph, which takes these characters alone.
SCOPE: Final = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.-]*")

EXTRA: Final = "extra"
"""A key that no output and no input has."""


def twisted(draw: Draw, case: Case, twist: Twist) -> Case:
    """Return the case with a twist, or as it was where no rule decides the outcome."""
    try:
        found = twist(draw, case)
        return found if runs(found) and promised(found) else case
    except (ValueError, UsageError):  # they cannot be one program, or leave out a target
        return case


def runs(case: Case) -> bool:
    """Whether today's backends can run it at all: some limits are not those of Keras."""
    if case.chained and case.inputs is not None:
        return False
    if any("/" in output.layer for output in case.outputs):
        return False  # no layer may be called so
    if case.model in ("subclass", "sequential") and (
        case.inputs or case.inner or case.chained or case.shared != "nothing"
    ):
        return False
    if case.model == "subclass" and case.trip not in ("none", "weights"):
        return False
    if case.model == "sequential" and case.trip == "weights":
        return False
    if (case.within != "nothing" and case.inner) or (case.joint and case.trip == "save"):
        return False
    if case.model == "sequential" and case.trip == "clone by call":
        return False
    if case.trip == "weights" and (case.chained or case.inner):
        return False
    if case.trip == "export" and not _exports(case):
        return False
    if case.trip == "clone compiled" and case.predicting:
        return False
    graph = not case.eager or case.jit or case.entry in ("predict", "predict_on_batch")
    graph = graph or case.trip in ("save", "export")
    names = [*case.names, *(output.layer for output in case.outputs if not case.auto)]
    return not graph or all(SCOPE.fullmatch(name) for name in names)


def _exports(case: Case) -> bool:
    """Whether TensorFlow has a format for what goes in and comes out."""
    if case.nest is not None or case.container in ("namedtuple", "defaultdict"):
        return False
    if case.inputs is None:
        return True
    fed = case.inputs.fed
    kind = fed.kind if isinstance(fed, ByName | InOrder) else "tensor"
    return (
        kind == case.inputs.container
        and kind in ("list", "tuple", "dict")
        and not any(one.optional for one in case.inputs.members)
        and len(case.inputs.fed_names) == len(case.inputs.names)
    )


def uncompiled(case: Case, **changes: Any) -> Case:
    """The case, changed, without what a model is compiled and trained with."""
    plain: dict[str, Any] = dict.fromkeys(field for field, _ in case.forms())
    plain |= {
        "eager": True,
        "spelling": "string",
        "metric_names": "own",
        "class_weight": None,
        "earlier": "the same",
    }
    return case.but(**plain, **changes)


def alone(case: Case) -> Case:
    """The same model with its first output only, in the plainest form."""
    if len(case.outputs) == 1 or case.predicting:
        return case
    constants, name = CONSTANTS[1], case.outputs[0].layer
    key = name if is_dict(case.container) else None
    target: Form[float] = InOrder(constants.targets)
    if key is not None:
        target = ByName(((name, constants.targets[0]),))
    forms: dict[str, Any] = dict.fromkeys(field for field, _ in case.forms())
    forms |= {"loss": One("mse"), "targets": target, "earlier": "the same"}
    forms["metric_names"] = "own"
    plain = {"nest": None, "joint": False, "shared": "nothing", "chained": False}
    container = "list" if case.container == "nested" else case.container
    output = Output(name, constants.predicts[0], key)
    return case.but(outputs=(output,), container=container, **forms, **plain)


def some_form(draw: Draw, case: Case, values: Sequence[Any]) -> Form[Any]:
    """The values in the nest of the outputs, or in a list or a dict of any order."""
    if case.nest is not None:
        return Like(tuple(values), draw(st.booleans()))
    if draw(st.booleans()):
        return ByName(tuple(draw(st.permutations(list(zip(case.names, values, strict=True))))))
    return InOrder(tuple(values))


def renamed(case: Case, names: Mapping[str, str]) -> Case:
    """The case with other names for some outputs: keys, or layers where there are none."""
    forms = {
        field: replace(given, items=tuple((names.get(k, k), v) for k, v in given.items))
        for field, given in case.forms()
        if isinstance(given, ByName)
    }
    outputs = tuple(
        replace(one, layer=names.get(one.layer, one.layer))
        if one.key is None
        else replace(one, key=names.get(one.key, one.key))
        for one in case.outputs
    )
    return case.but(outputs=outputs, **forms)


def without_names(case: Case) -> Case:
    """The same case with nothing that goes by the name of an output, where the outputs have none.

    What a dict holds is given in order; of several outputs there are no metrics, as they could not
    be told apart.
    """
    if is_dict(case.container):
        return case
    forms: dict[str, Any] = {}
    for field, given in case.forms():
        if field.endswith("metrics") and len(case.outputs) > 1:
            forms[field] = None
        elif isinstance(given, ByName):
            values: Any = given.as_dict()
            if field != "loss" and not set(case.names) <= set(values):
                raise ValueError(f"{field}: an output has none, and the others no names")
            forms[field] = InOrder(tuple(map(values.get, case.names)))
    return case.but(**forms)
