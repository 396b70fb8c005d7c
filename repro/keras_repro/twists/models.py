"""Twists of the model: its inputs, how it is made, what it goes through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, get_args

from hypothesis import strategies as st

from keras_repro.case import (
    MORE,
    Architecture,
    ByName,
    Case,
    Heads,
    InOrder,
    Input,
    Inputs,
    Like,
    Trip,
    Within,
    is_dict,
)
from keras_repro.twists.arguments import bare_target
from keras_repro.twists.base import EXTRA, Draw, alone, uncompiled, without_names
from keras_repro.twists.outputs import drawn_nest

INPUT_NAMES: Final = ("j", "i", "J", "in_10", "in_2", "x0", "image")


def inputs(draw: Draw, case: Case) -> Case:
    """Several inputs, in a list or dict, fed in the same or in another container."""
    names = draw(st.lists(st.sampled_from(INPUT_NAMES), min_size=1, max_size=4, unique=True))
    names = names[::-1]
    kinds = (*("list", "dict", "tuple", "OrderedDict") * 2, "defaultdict", "namedtuple")
    container = draw(st.sampled_from(kinds))
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


def nested_inputs(draw: Draw, case: Case) -> Case:
    """Inputs in a nest of lists and dicts, and the data in the same nest."""
    names = draw(st.lists(st.sampled_from(INPUT_NAMES), min_size=2, max_size=4, unique=True))
    nest = drawn_nest(draw, len(names))
    kinds = ("the same", "the same", "dict", "OrderedDict")
    dicts = draw(st.sampled_from(kinds if any(map(is_dict, nest.kinds())) else kinds[:1]))
    values = tuple(float(number) for number in range(1, len(names) + 1))
    odd = draw(st.sampled_from(("nothing", "nothing", "a key", "another key")))
    more: Any = odd if nest.first_dict() is not None else "nothing"
    fed = Like(values, draw(st.booleans()), draw(st.integers(0, 5)) == 5, dicts, more)
    members = tuple(Input(name) for name in names[::-1])
    made = Inputs(members, "nested", fed, nest=nest)
    return _refused(draw, case, made) if made.lacking else case.but(inputs=made)


def misspelt_input(draw: Draw, case: Case) -> Case:
    """A dict of inputs that has a key that none has in the place of one, or lacks one."""
    given = case.inputs or inputs(draw, case).inputs
    if given is None or isinstance(given.fed, Like):
        return case
    items = [(name, given.amount(name)) for name in given.names]
    gone = draw(st.integers(0, len(items) - 1))
    other = ((draw(st.sampled_from((EXTRA, MORE))), items[gone][1]),)
    items[gone : gone + 1] = other[: draw(st.integers(0, 3))]
    fed = ByName(tuple(draw(st.permutations(items))))
    return _refused(draw, case, replace(given, fed=fed, inside="nothing"))


def _refused(draw: Draw, case: Case, made: Inputs) -> Case:
    """The case with inputs of which one is given nothing, where nothing else could be refused."""
    entry = draw(st.sampled_from(("call", "predict", "predict_on_batch")))
    return uncompiled(case, inputs=made, entry=entry, trip="none", data="arrays")


def inside(draw: Draw, case: Case) -> Case:
    """Inputs that go to a model inside, which holds them in a container of its own."""
    given = case.inputs or inputs(draw, case).inputs
    if given is None or any(one.optional for one in given.members):
        return case
    kind = draw(st.sampled_from(get_args(Within)[1:]))
    return case.but(inputs=replace(given, inside=kind))


def optional(draw: Draw, case: Case) -> Case:
    """Inputs that may be None; most of the time one of them is."""
    given = case.inputs or inputs(draw, case).inputs
    if given is None or len(given.members) == 1 or given.nest is not None:
        return case
    most = len(given.members) - 1
    chosen = draw(st.sets(st.sampled_from(given.names), min_size=1, max_size=most))
    none = chosen if draw(st.integers(0, 3)) else set()
    members = tuple(replace(one, optional=one.name in chosen) for one in given.members)
    fed: Any = given.fed
    if isinstance(fed, ByName):
        items = tuple((name, None if name in none else value) for name, value in fed.items)
        fed = replace(fed, items=items)
    else:
        pairs = zip(given.names, fed.values, strict=True)
        fed = replace(fed, values=tuple(None if name in none else value for name, value in pairs))
    return case.but(inputs=replace(given, members=members, fed=fed))


def architecture(draw: Draw, case: Case) -> Case:
    """A class of the user's own, or a Sequential."""
    model = draw(st.sampled_from(get_args(Architecture)[1:]))
    if model == "sequential":
        case = bare_target(draw, alone(case))
    if model == "functional subclass":
        return case.but(model=model)
    if model == "sequential" and case.loss is not None and draw(st.booleans()):
        # Its output has the name of the last layer.
        by_name = draw(st.booleans())
        loss = ByName(((case.outputs[0].layer, "mse"),)) if by_name else case.loss
        return case.but(model=model, loss=loss)
    return without_names(case.but(model=model, trip="none"))


def held_layers(draw: Draw, case: Case) -> Case:
    """A class that holds its layers in a container, whose weights are saved and loaded."""
    heads = draw(st.sampled_from(("dict", "dict", *get_args(Heads))))
    holder = draw(st.sampled_from(("model", "model", "layer")))
    # A list for a dict of outputs goes astray in ways of its own, which would hide that of weights.
    named = {
        field: ByName(tuple(zip(case.names, given.values, strict=True)))
        for field, given in case.forms()
        if is_dict(case.container) and isinstance(given, InOrder) and None not in given.values
    }
    return without_names(
        case.but(model="subclass", heads=heads, holder=holder, trip="weights", **named)
    )


def trip(draw: Draw, case: Case) -> Case:
    """A model that was saved and loaded, exported, cloned, or rebuilt."""
    made = draw(st.sampled_from(get_args(Trip)[1:]))
    # What a model is after it, and not what it learns, shows where it is called.
    called = made == "export" or draw(st.integers(0, 2)) == 2
    return uncompiled(case, entry="call", trip=made) if called else case.but(trip=made)


def inner(draw: Draw, case: Case) -> Case:
    """A compiled model inside."""
    return case.but(inner=True)


def within(draw: Draw, case: Case) -> Case:
    """Outputs of a model inside, which holds them in a container of its own."""
    kind = draw(st.sampled_from(get_args(Within)[1:]))
    if draw(st.integers(0, 2)) < 2:
        return case.but(within=kind)
    return without_names(case.but(within=kind, direct=True))


def chained(draw: Draw, case: Case) -> Case:
    """Outputs that are made of one another."""
    return case.but(chained=len(case.outputs) > 1)
