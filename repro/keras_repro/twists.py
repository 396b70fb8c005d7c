"""What makes a plain case odd, one thing at a time: the dimensions of the space.

A twist takes a case and gives one that differs in a single dimension, or the same case where the
dimension does not apply. `strategies.cases` draws a plain case and then some twists, each
independent of the others; a twist whose outcome no rule decides is left out. So a dimension is
added by writing one function here, and a step towards the plain form in `steps.py`.

Public: `TWISTS`, `OFTEN`, `Twist`, `twisted`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, get_args

from hypothesis import strategies as st

from keras_bisect.errors import UsageError
from keras_repro.case import (
    ByName,
    Case,
    Data,
    Form,
    InOrder,
    Input,
    Inputs,
    Like,
    Nest,
    One,
    is_dict,
)
from keras_repro.oracle import CONSTANTS, promised

__all__ = ["OFTEN", "SCOPE", "TWISTS", "Twist", "twisted"]

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
        return found if _runs(found) and promised(found) else case
    except (ValueError, UsageError):  # they cannot be one program, or leave out a target
        return case


def _runs(case: Case) -> bool:
    """Whether today's backends can run it at all: some limits are not those of Keras."""
    if case.chained and case.inputs is not None:
        return False
    if case.model in ("subclass", "sequential") and (case.inputs or case.inner or case.chained):
        return False
    if case.model == "subclass" and case.trip not in ("none", "weights"):
        return False
    if case.model == "sequential" and case.trip == "weights":
        return False
    if case.trip == "weights" and (case.chained or case.inner):
        return False
    graph = not case.eager or case.jit or case.entry == "predict" or case.trip == "save"
    names = [*case.names, *(output.layer for output in case.outputs)]
    return not graph or all(SCOPE.fullmatch(name) for name in names)


# -- containers ------------------------------------------------------------------------


def other_container(draw: Draw, case: Case) -> Case:
    """The outputs in an odder container."""
    if is_dict(case.container):
        return case.but(container=draw(st.sampled_from(("OrderedDict", "defaultdict"))))
    if len(case.outputs) == 1 and draw(st.booleans()):
        return case.but(container="namedtuple")
    return case.but(container="tensor" if len(case.outputs) == 1 else "namedtuple")


def other_kind(draw: Draw, case: Case) -> Case:
    """A tuple for a list, or another dict for a dict, in one argument."""
    fields = [name for name, given in case.forms() if isinstance(given, InOrder | ByName)]
    if not fields:
        return case
    field = draw(st.sampled_from(fields))
    given = getattr(case, field)
    if isinstance(given, InOrder):
        return case.but(**{field: replace(given, kind="tuple")})
    kind = draw(st.sampled_from(("OrderedDict", "defaultdict")))
    return case.but(**{field: replace(given, kind=kind)})


def extra_key(draw: Draw, case: Case) -> Case:
    """A key that no output has, in one dict; before the others, or after them."""
    fields = [name for name, given in case.forms() if isinstance(given, ByName)]
    if not fields:
        return case
    field = draw(st.sampled_from(fields))
    given = getattr(case, field)
    extra = (draw(st.sampled_from((EXTRA, "Aextra"))), given.items[0][1])
    place = draw(st.sampled_from((len(given.items), 0)))
    items = (*given.items[:place], extra, *given.items[place:])
    return case.but(**{field: replace(given, items=items)})


def missing_key(draw: Draw, case: Case) -> Case:
    """A dict that lacks an output, or a list that has None in its place."""
    fields = [
        name
        for name, given in case.forms()
        if isinstance(given, ByName) or (name.endswith("metrics") and isinstance(given, InOrder))
    ]
    if not fields or len(case.outputs) == 1:
        return case
    field = draw(st.sampled_from(fields))
    given = getattr(case, field)
    index = draw(st.integers(0, len(case.outputs) - 1))
    if isinstance(given, InOrder):
        values = (*given.values[:index], None, *given.values[index + 1 :])
        return case.but(**{field: replace(given, values=values)})
    items = given.items[:index] + given.items[index + 1 :]
    return case.but(**{field: replace(given, items=items)})


def nested(draw: Draw, case: Case) -> Case:
    """The outputs in a nest of lists and dicts, and all that is passed them in the same nest."""
    count = len(case.outputs)
    nest = _nest(draw, list(range(count)), 3)
    outputs = tuple(replace(output, key=None) for output in case.outputs)

    def like(given: Form[Any] | None, field: str) -> Form[Any] | None:
        if given is None or isinstance(given, One):
            return given
        if isinstance(given, ByName):
            values: Sequence[Any] = [dict(given.items).get(name) for name in case.names]
        else:
            values = given.values
        if field in ("targets", "sample_weight", "before", "loss_weights") and None in values:
            return given
        return Like(tuple(values), draw(st.booleans()), draw(st.integers(0, 5)) == 5)

    forms = {field: like(given, field) for field, given in case.forms()}
    return case.but(outputs=outputs, container="nested", nest=nest, **forms)


def _nest(draw: Draw, numbers: list[int], depth: int) -> Nest:
    kinds = ("dict", "list", "tuple", "OrderedDict") if depth < 3 else ("dict", "list", "tuple")
    kind = draw(st.sampled_from(kinds))
    entries: list[int | Nest] = []
    rest = list(numbers)
    while rest:
        size = draw(st.integers(1, len(rest)))
        part, rest = rest[:size], rest[size:]
        if depth > 1 and draw(st.booleans()) and (len(part) < len(numbers) or depth == 2):
            entries.append(_nest(draw, part, depth - 1))
        else:
            entries += part
    keys: tuple[str, ...] = ()
    if is_dict(kind):
        letters = draw(st.permutations("pqrst"[: len(entries)]))
        keys = tuple(letters)
    return Nest(kind, tuple(entries), keys)


# -- names and shapes ------------------------------------------------------------------


def permuted_layers(draw: Draw, case: Case) -> Case:
    """Layers that bear the keys of other outputs."""
    if not is_dict(case.container) or len(case.outputs) == 1:
        return case
    layers = draw(st.permutations(case.names))
    outputs = [replace(o, layer=name) for o, name in zip(case.outputs, layers, strict=True)]
    return case.but(outputs=tuple(outputs))


def odd_keys(draw: Draw, case: Case) -> Case:
    """A key with a slash or a space, which no layer could be called."""
    if not is_dict(case.container):
        return case
    index = draw(st.integers(0, len(case.outputs) - 1))
    old = case.outputs[index].name
    new = draw(st.sampled_from(("a/b", "x y", "0", "10", "loss", "_")))
    if new in case.names:
        return case
    outputs = tuple(replace(o, key=new) if o.name == old else o for o in case.outputs)
    return case.but(outputs=outputs, **_renamed(case, {old: new}))


def _renamed(case: Case, names: dict[str, str]) -> dict[str, Any]:
    return {
        field: replace(given, items=tuple((names.get(k, k), v) for k, v in given.items))
        for field, given in case.forms()
        if isinstance(given, ByName)
    }


def other_widths(draw: Draw, case: Case) -> Case:
    """Outputs of different shapes: what cannot be told apart silently is refused loudly."""
    widths = [draw(st.integers(1, 3)) for _ in case.outputs]
    outputs = (replace(o, width=width) for o, width in zip(case.outputs, widths, strict=True))
    return case.but(outputs=tuple(outputs))


# -- what is compiled and fed ----------------------------------------------------------


def bare_metrics(draw: Draw, case: Case) -> Case:
    """Metrics that stand in no list of their own, or in the same list twice."""
    twice = draw(st.integers(0, 3)) == 3

    def bare(names: Any) -> Any:
        if not isinstance(names, tuple) or not names:
            return names
        return names + names[:1] if twice else names[0]

    forms: dict[str, Any] = {}
    for field in ("metrics", "weighted_metrics"):
        given: Any = getattr(case, field)
        match given:
            case One(value):
                forms[field] = One(bare(value))
            case InOrder(values) | Like(values):
                forms[field] = replace(given, values=tuple(map(bare, values)))
            case ByName(items):
                forms[field] = replace(given, items=tuple((k, bare(v)) for k, v in items))
    return case.but(**forms)


def one_list_of_metrics(draw: Draw, case: Case) -> Case:
    """A plain list of metrics for a model of one output."""
    if len(case.outputs) > 1:
        return case
    return case.but(metrics=One(draw(st.sampled_from((("mae",), ("mse", "mae"))))))


def weighted_metrics(draw: Draw, case: Case) -> Case:
    """Metrics that use the sample weights."""
    choice = st.sampled_from((("mae",), ("mse",), ("mae", "mse")))
    if len(case.outputs) == 1:
        return case.but(weighted_metrics=One(draw(choice)))
    values = tuple(draw(choice) for _ in case.outputs)
    return case.but(weighted_metrics=_some_form(draw, case, values))


def sample_weight(draw: Draw, case: Case) -> Case:
    """Sample weights: one array for all outputs, or one an output."""
    samples = CONSTANTS[len(case.outputs)].samples
    if draw(st.booleans()) or len(case.outputs) == 1:
        return case.but(sample_weight=One(samples[0]))
    if isinstance(case.targets, ByName):
        pairs = list(zip(case.names, samples, strict=True))
        return case.but(sample_weight=ByName(tuple(draw(st.permutations(pairs)))))
    return case.but(sample_weight=_some_form(draw, case, samples))


def _some_form(draw: Draw, case: Case, values: Sequence[Any]) -> Form[Any]:
    if case.nest is not None:
        return Like(tuple(values), draw(st.booleans()))
    if draw(st.booleans()):
        return ByName(tuple(draw(st.permutations(list(zip(case.names, values, strict=True))))))
    return InOrder(tuple(values))


def class_weight(draw: Draw, case: Case) -> Case:
    """Weights of classes, for one output that is trained."""
    entry = draw(st.sampled_from(("fit", "train_on_batch")))
    return bare_target(draw, case).but(class_weight=17.0, entry=entry)


def bare_target(draw: Draw, case: Case) -> Case:
    """One output and its target, both in no container."""
    if len(case.outputs) > 1:
        return case
    outputs = tuple(replace(output, key=None) for output in case.outputs)
    targets: Form[float] = One(CONSTANTS[1].targets[0])
    if draw(st.booleans()) and isinstance(case.targets, ByName):
        targets = ByName(((outputs[0].layer, CONSTANTS[1].targets[0]),))
    forms = {field: One(_first(given)) for field, given in case.forms() if field == "metrics"}
    loss = case.loss
    if isinstance(loss, ByName):
        loss = ByName(((outputs[0].layer, loss.items[0][1]),))
    return case.but(
        outputs=outputs,
        container="tensor",
        targets=targets,
        loss=loss,
        **forms,
    )


def _first(given: Any) -> Any:
    match given:
        case One(value):
            return value
        case InOrder(values) | Like(values):
            return values[0] or ("mae",)
    return given.items[0][1] or ("mae",)


def scalar_weight(draw: Draw, case: Case) -> Case:
    """Loss weights of one output: a number, or a list or dict of one."""
    if len(case.outputs) > 1:
        return case
    weight = CONSTANTS[1].weights[0]
    by_name = ByName(((case.names[0], weight),))
    return case.but(loss_weights=draw(st.sampled_from((One(weight), by_name))))


def spelling(draw: Draw, case: Case) -> Case:
    """Losses and metrics as objects, or losses as functions."""
    return case.but(spelling=draw(st.sampled_from(("object", "function"))))


# -- what is called --------------------------------------------------------------------


def other_entry(draw: Draw, case: Case) -> Case:
    """Another way to get the same numbers."""
    entries = ("validation", "evaluate as list", "compute_loss")
    entry = draw(st.sampled_from(entries))
    if entry == "compute_loss":
        return case.but(entry=entry, metrics=None, weighted_metrics=None, eager=True)
    return case.but(entry=entry)


def prediction(draw: Draw, case: Case) -> Case:
    """Predict, where nothing is compiled."""
    entry = draw(st.sampled_from(("call", "predict", "symbolic call")))
    forms = dict.fromkeys(field for field, _ in case.forms())
    return case.but(
        entry=entry,
        eager=True,
        spelling="string",
        class_weight=None,
        **forms,
    )


def data(draw: Draw, case: Case) -> Case:
    """Data that come batch by batch; of a list of targets, a tuple."""
    kind = draw(st.sampled_from(get_args(Data)[1:]))
    entry = case.entry if case.entry in ("fit", "evaluate", "validation") else "fit"
    forms: dict[str, Any] = {}
    for field in ("targets", "sample_weight"):
        given = getattr(case, field)
        if isinstance(given, InOrder) and (kind == "dataset" or draw(st.integers(0, 3)) < 3):
            forms[field] = replace(given, kind="tuple")
    return case.but(data=kind, entry=entry, **forms)


def batches(draw: Draw, case: Case) -> Case:
    """Two batches, and perhaps two of them a step."""
    if case.entry not in ("fit", "evaluate", "validation", "evaluate as list"):
        return case
    steps = 2 if not case.eager and draw(st.booleans()) else 1
    return case.but(batches=2, steps_per_execution=steps)


def compiled(draw: Draw, case: Case) -> Case:
    """As a graph, or compiled by XLA, which costs more than all else and so is rare."""
    return case.but(eager=False, jit=draw(st.integers(0, 7)) == 7)


def call_before(draw: Draw, case: Case) -> Case:
    """A call before the one that counts, with its targets in another form."""
    if case.predicting or case.entry in ("compute_loss", "validation") or case.data != "arrays":
        return case
    targets = CONSTANTS[len(case.outputs)].targets
    if len(case.outputs) == 1 and isinstance(case.targets, One):
        return case.but(before=case.targets)
    if case.nest is not None:
        return case.but(before=Like(targets, draw(st.booleans())))
    return case.but(before=_some_form(draw, case, targets))


# -- models ----------------------------------------------------------------------------

INPUT_NAMES: Final = ("j", "i", "J", "in_10", "in_2", "x0", "image")


def inputs(draw: Draw, case: Case) -> Case:
    """Several inputs, in a list or dict, fed in the same or in another container."""
    names = draw(st.lists(st.sampled_from(INPUT_NAMES), min_size=1, max_size=4, unique=True))
    names = names[::-1]
    container = draw(st.sampled_from(("list", "dict", "tuple", "OrderedDict")))
    keys: Sequence[str | None] = [None] * len(names)
    layers = names
    if is_dict(container):
        keys = names
        if draw(st.booleans()):
            layers = draw(st.permutations(names))
    members = tuple(map(Input, layers, keys))
    called = [member.name for member in members]
    values = [float(number) for number in range(1, len(names) + 1)]
    fed: InOrder[float] | ByName[float]
    if draw(st.booleans()):
        kind = draw(st.sampled_from(("dict", "dict", "OrderedDict")))
        items = tuple(draw(st.permutations(list(zip(called, values, strict=True)))))
        if draw(st.integers(0, 5)) == 5:
            items += ((EXTRA, 7.0),)
        fed = ByName(items, kind)
    else:
        fed = InOrder(tuple(values), draw(st.sampled_from(("list", "list", "tuple"))))
    return case.but(inputs=Inputs(members, container, fed))


def architecture(draw: Draw, case: Case) -> Case:
    """A class of the user's own, or a Sequential."""
    choices = ["functional subclass", "subclass"]
    choices += ["sequential"] if len(case.outputs) == 1 else []
    model = draw(st.sampled_from(choices))
    if model == "sequential":
        case = bare_target(draw, case)
    heads = draw(st.sampled_from(("list", "dict"))) if model == "subclass" else "list"
    trip = draw(st.sampled_from(("none", "weights"))) if model == "subclass" else case.trip
    return case.but(model=model, heads=heads, trip=trip)


def trip(draw: Draw, case: Case) -> Case:
    """A model that was saved and loaded, cloned, or rebuilt."""
    return case.but(trip=draw(st.sampled_from(("config", "clone", "save", "weights"))))


def inner(draw: Draw, case: Case) -> Case:
    """A compiled model inside."""
    return case.but(inner=True)


def chained(draw: Draw, case: Case) -> Case:
    """Outputs that are made of one another."""
    return case.but(chained=len(case.outputs) > 1)


TWISTS: Final[tuple[Twist, ...]] = (
    other_kind,
    other_container,
    bare_metrics,
    sample_weight,
    weighted_metrics,
    missing_key,
    extra_key,
    nested,
    inputs,
    prediction,
    trip,
    data,
    batches,
    other_entry,
    bare_target,
    one_list_of_metrics,
    call_before,
    architecture,
    permuted_layers,
    odd_keys,
    other_widths,
    spelling,
    inner,
    chained,
    scalar_weight,
    class_weight,
    compiled,
)

OFTEN: Final[tuple[Twist, ...]] = (
    *TWISTS,
    *(other_container, trip, trip, architecture, architecture, inputs, prediction),
)
"""The same, with those more often whose bugs need something else that is odd, too."""
