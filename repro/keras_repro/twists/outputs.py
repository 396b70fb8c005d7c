"""Twists of the outputs: what holds them, what they are called, how wide they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from keras_repro.case import ByName, Case, Form, InOrder, Like, Nest, One, is_dict
from keras_repro.oracle import CONSTANTS
from keras_repro.twists.base import Draw, renamed, without_names


def other_container(draw: Draw, case: Case) -> Case:
    """The outputs in an odder container."""
    # The order of an OrderedDict means something, so it can be lost.
    kinds = ("OrderedDict", "OrderedDict", "defaultdict", "namedtuple")
    kind = draw(st.sampled_from(("tensor", *kinds) if len(case.outputs) == 1 else kinds))
    if is_dict(kind) == is_dict(case.container):
        return case.but(container=kind)
    outputs = tuple(
        replace(output, layer=output.name, key=output.name if is_dict(kind) else None)
        for output in case.outputs
    )
    return case.but(container=kind, outputs=outputs)


def nested(draw: Draw, case: Case) -> Case:
    """The outputs in a nest of lists and dicts, and all that is passed them in the same nest."""
    count = len(case.outputs)
    nest = drawn_nest(draw, count)
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
        kinds = ("the same", "the same", "the same", "dict", "OrderedDict")
        dicts = draw(st.sampled_from(kinds if any(map(is_dict, nest.kinds())) else kinds[:1]))
        return Like(tuple(values), draw(st.booleans()), draw(st.integers(0, 5)) == 5, dicts)

    forms = {field: like(given, field) for field, given in case.forms()}
    return case.but(outputs=outputs, container="nested", nest=nest, **forms)


def drawn_nest(draw: Draw, count: int) -> Nest:
    """A nest of lists, tuples and dicts, up to three deep."""
    return _nest(draw, list(range(count)), 3)


def _nest(draw: Draw, numbers: list[int], depth: int) -> Nest:
    kinds = ("dict", "list", "tuple", "OrderedDict") if depth < 3 else ("dict", "list", "tuple")
    kind = draw(st.sampled_from(kinds))
    entries: list[int | Nest] = []
    rest = list(numbers)
    while rest:
        size = draw(st.integers(1, len(rest)))
        part, rest = rest[:size], rest[size:]
        whole = len(part) == len(numbers) and depth > 2
        if depth > 1 and draw(st.booleans()) and not (whole and draw(st.integers(0, 3)) < 3):
            entries.append(_nest(draw, part, depth - 1))
        else:
            entries += part
    keys: tuple[str, ...] = ()
    if is_dict(kind):
        letters = draw(st.permutations("pqrst"[: len(entries)]))
        keys = tuple(letters)
    return Nest(kind, tuple(entries), keys)


def joint(draw: Draw, case: Case) -> Case:
    """Outputs in a nest, and one loss for all that is in its first branch."""
    if case.loss is None:
        return case
    case = nested(draw, case.but(loss=InOrder(("mse",) * len(case.outputs)), loss_weights=None))
    return case.but(joint=True)


def permuted_layers(draw: Draw, case: Case) -> Case:
    """Layers that bear the keys of other outputs."""
    if not is_dict(case.container) or len(case.outputs) == 1:
        return case
    layers = draw(st.permutations(case.names))
    if draw(st.booleans()):
        # One of them bears a name of its own, and so no layer that of some other key.
        layers[draw(st.integers(0, len(layers) - 1))] = "z_own"
    outputs = [replace(o, layer=name) for o, name in zip(case.outputs, layers, strict=True)]
    return case.but(outputs=tuple(outputs))


def odd_keys(draw: Draw, case: Case) -> Case:
    """A key with a slash or a space, which no layer could be called."""
    if case.nest is not None:
        return case
    if not is_dict(case.container):
        keyed = tuple(replace(output, key=output.name) for output in case.outputs)
        case = case.but(container="dict", outputs=keyed)
    index = draw(st.integers(0, len(case.outputs) - 1))
    old = case.outputs[index].name
    new = draw(st.sampled_from(("a/b", "x y", "0", "10", "loss", "_")))
    if new in case.names:
        return case
    return renamed(case, {old: new})


def other_widths(draw: Draw, case: Case) -> Case:
    """Outputs of different shapes: what cannot be told apart silently is refused loudly."""
    widths = [draw(st.integers(1, 3)) for _ in case.outputs]
    outputs = (replace(o, width=width) for o, width in zip(case.outputs, widths, strict=True))
    return case.but(outputs=tuple(outputs))


def shared(draw: Draw, case: Case) -> Case:
    """Two outputs of one layer, or one tensor that is two outputs."""
    if len(case.outputs) == 1:
        return case
    what = draw(st.sampled_from(("one layer", "one tensor")))
    first, last = case.outputs[0], case.outputs[-1]
    own = CONSTANTS[len(case.outputs)].predicts[-1]
    predicts = first.predicts if what == "one tensor" else own
    last = replace(last, width=first.width, predicts=predicts)
    changed = without_names(case.but(shared=what, outputs=(*case.outputs[:-1], last)))
    if case.loss is not None and not is_dict(case.container) and draw(st.integers(0, 2)) == 2:
        # Of two outputs of one name, the loss of one can hide that of the other.
        plain = {"metrics": None, "weighted_metrics": None, "loss_weights": None}
        return changed.but(entry="each loss", metric_names="own", **plain)
    return changed


def auto(draw: Draw, case: Case) -> Case:
    """Layers that are called by Keras."""
    return without_names(case.but(auto=True))
