"""Twists of what is compiled and fed, an output."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from keras_repro.case import ByName, Case, Form, InOrder, Like, One, is_dict
from keras_repro.oracle import CONSTANTS
from keras_repro.twists.base import EXTRA, Draw, some_form


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
    if len(case.outputs) == 1:
        return case
    index = draw(st.integers(0, len(case.outputs) - 1))
    if not fields:
        weights = zip(case.names, CONSTANTS[len(case.outputs)].weights, strict=True)
        some = (item for place, item in enumerate(weights) if place != index)
        return case.but(loss_weights=ByName(tuple(some)))
    field = draw(st.sampled_from(fields))
    given = getattr(case, field)
    if isinstance(given, InOrder):
        values = (*given.values[:index], None, *given.values[index + 1 :])
        return case.but(**{field: replace(given, values=values)})
    items = given.items[:index] + given.items[index + 1 :]
    return case.but(**{field: replace(given, items=items)})


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
    """Metrics that use the sample weights, which are there in half of the cases."""
    if case.sample_weight is None and draw(st.booleans()):
        case = sample_weight(draw, case)
    choice = st.sampled_from((("mae",), ("mse",), ("mae", "mse")))
    if len(case.outputs) == 1:
        return case.but(weighted_metrics=One(draw(choice)))
    values = tuple(draw(choice) for _ in case.outputs)
    return case.but(weighted_metrics=some_form(draw, case, values))


def sample_weight(draw: Draw, case: Case) -> Case:
    """Sample weights: one array for all outputs, or one an output."""
    samples = CONSTANTS[len(case.outputs)].samples
    if draw(st.booleans()) or len(case.outputs) == 1:
        return case.but(sample_weight=One(samples[0]))
    if isinstance(case.targets, ByName):
        pairs = list(zip(case.names, samples, strict=True))
        return case.but(sample_weight=ByName(tuple(draw(st.permutations(pairs)))))
    return case.but(sample_weight=some_form(draw, case, samples))


def class_weight(draw: Draw, case: Case) -> Case:
    """Weights of classes, for one output that is trained; with more they must be refused."""
    entry = draw(st.sampled_from(("fit", "train_on_batch")))
    if len(case.outputs) > 1 and draw(st.booleans()):
        forms: dict[str, Any] = dict.fromkeys(field for field, _ in case.forms())
        values = CONSTANTS[len(case.outputs)].targets
        targets: Form[float] = InOrder(values)
        if is_dict(case.container):
            targets = ByName(tuple(zip(case.names, values, strict=True)))
        forms |= {"loss": One("mse"), "targets": targets}
        return case.but(class_weight=17.0, entry=entry, data="arrays", **forms)
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
