"""Twists of what is compiled and fed, an output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, get_args

from hypothesis import strategies as st

from keras_repro.case import (
    MORE,
    ByName,
    Case,
    Form,
    InOrder,
    Like,
    MetricNames,
    One,
    is_dict,
)
from keras_repro.oracle import CONSTANTS, named
from keras_repro.twists.base import EXTRA, Draw, alone, renamed, some_form

FIELDS: Final = (
    *("targets", "loss", "loss_weights", "metrics", "weighted_metrics", "sample_weight"),
)
"""What is passed an output."""


def _named(draw: Draw, case: Case, field: str) -> ByName[Any] | None:
    """What is passed in a field, by name, be it given or not; None where nothing goes by name."""
    given = getattr(case, field)
    if isinstance(given, ByName):
        return given
    if case.loss is None or case.container == "tensor" or isinstance(given, Like):
        return None
    if isinstance(given, InOrder):
        values: Sequence[Any] = given.values
    elif isinstance(given, One):
        values = [given.value] * len(case.outputs)
    else:
        values = _fresh(case, field)
    pairs = [pair for pair in zip(case.names, values, strict=True) if pair[1] is not None]
    return ByName(tuple(draw(st.permutations(pairs))))


def _fresh(case: Case, field: str) -> Sequence[Any]:
    """What may be passed in a field that is not given."""
    constants = CONSTANTS[len(case.outputs)]
    match field:
        case "loss_weights":
            return constants.weights
        case "sample_weight":
            return constants.samples
    return [(("mae",), ("mse",))[index % 2] for index in range(len(case.outputs))]


def other_kind(draw: Draw, case: Case) -> Case:
    """A tuple for a list, or another dict for a dict, in one argument."""
    field = draw(st.sampled_from((*FIELDS, "targets", "before")))
    given = getattr(case, field)
    if isinstance(given, InOrder):
        return case.but(**{field: replace(given, kind="tuple")})
    named = None if field == "before" else _named(draw, case, field)
    if named is None:
        return case
    kinds = ("dict", "OrderedDict", "defaultdict")
    kind = draw(st.sampled_from(kinds if named is not given else kinds[1:]))
    return case.but(**{field: replace(named, kind=kind)})


def extra_key(draw: Draw, case: Case) -> Case:
    """A key that no output has, in one dict: before the others, after them, or for one of them."""
    field = draw(st.sampled_from(FIELDS))
    nested = getattr(case, field)
    if isinstance(nested, Like):
        return case.but(**{field: replace(nested, more="a key")})
    given = _named(draw, case, field)
    if given is None or not given.items:
        return case
    extra = (draw(st.sampled_from((EXTRA, "Aextra"))), given.items[0][1])
    if draw(st.integers(0, 3)) == 3:
        # Misspelt, as it were.
        wrong = draw(st.integers(0, len(given.items) - 1))
        items = (*given.items[:wrong], (extra[0], given.items[wrong][1]), *given.items[wrong + 1 :])
        return case.but(**{field: replace(given, items=items)})
    place = draw(st.sampled_from((len(given.items), 0)))
    items = (*given.items[:place], extra, *given.items[place:])
    return case.but(**{field: replace(given, items=items)})


def missing_key(draw: Draw, case: Case) -> Case:
    """A dict that lacks an output, or a list that has None in its place."""
    if len(case.outputs) == 1:
        return case
    name = draw(st.sampled_from(case.names))
    field = draw(st.sampled_from((*FIELDS, "targets", "targets", "loss")))
    given = getattr(case, field)
    if field.endswith("metrics") and isinstance(given, InOrder | Like) and draw(st.booleans()):
        index = case.names.index(name)
        values = (*given.values[:index], None, *given.values[index + 1 :])
        return case.but(**{field: replace(given, values=values)})
    if field == "targets" and draw(st.integers(0, 2)) == 2:
        return _untrained(draw, case, name)
    forms: dict[str, Any] = {}
    # What an output without a loss has in a list is not said; without a target it has nothing.
    by_name = FIELDS if field in ("loss", "targets") else (field,)
    for other in by_name:
        if other == field or isinstance(getattr(case, other), ByName | InOrder):
            forms[other] = _named(draw, case, other)
    gone = ("targets", "loss", "metrics", "weighted_metrics") if field == "targets" else (field,)
    for other in gone:
        if isinstance(getattr(case, other), One):
            forms[other] = _named(draw, case, other)
        if forms.get(other) is not None:
            items = tuple(item for item in forms[other].items if item[0] != name)
            if other == "loss" and field == "targets" and draw(st.booleans()):
                items = tuple((k, None if k == name else v) for k, v in forms[other].items)
            forms[other] = replace(forms[other], items=items)
    return case.but(**forms)


def _untrained(draw: Draw, case: Case, name: str) -> Case:
    """A list of losses with a None in the place of an output, and a dict of targets without it."""
    targets = _named(draw, case, "targets")
    losses = _named(draw, case, "loss")
    if targets is None or losses is None:
        return case
    listed = InOrder(
        tuple(None if one == name else losses.as_dict().get(one) for one in case.names)
    )
    items = tuple(item for item in targets.items if item[0] != name)
    return case.but(loss=listed, targets=replace(targets, items=items), metrics=None)


def partial_list(draw: Draw, case: Case) -> Case:
    """A list of losses with a None, and of targets: of all outputs, or of those with a loss."""
    if len(case.outputs) == 1 or case.nest is not None or is_dict(case.container):
        return case
    index = draw(st.integers(0, len(case.outputs) - 1))
    short = draw(st.booleans())

    def listed(field: str) -> list[Any]:
        given = _named(draw, case, field)
        return (
            [None] * len(case.names)
            if given is None
            else list(map(given.as_dict().get, case.names))
        )

    forms: dict[str, Any] = {}
    for field in FIELDS:
        if field in ("loss", "targets") or isinstance(getattr(case, field), InOrder):
            values = listed(field)
            if field in ("loss", "metrics", "weighted_metrics") or (
                short and field in ("targets", "sample_weight")
            ):
                values[index] = None
            forms[field] = InOrder(tuple(values))
        elif field.endswith("metrics") and isinstance(getattr(case, field), ByName):
            items = tuple(one for one in getattr(case, field).items if one[0] != case.names[index])
            forms[field] = ByName(items)
    return case.but(**forms)


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
    """A plain list of metrics for a model of one output, perhaps beside one of weighted ones."""
    case = alone(case)
    case = case.but(metrics=One(draw(st.sampled_from((("mae",), ("mse", "mae"))))))
    if draw(st.integers(0, 2)) == 2:
        case = case.but(weighted_metrics=One(("mae",)), sample_weight=One(CONSTANTS[1].samples[0]))
    # In a list nothing has a name, so what is doubled moves the rest.
    listed = case.loss is not None and draw(st.integers(0, 2)) == 2
    return case.but(entry="evaluate as list", data="arrays") if listed else case


def weighted_metrics(draw: Draw, case: Case) -> Case:
    """Metrics that use the sample weights, which are there in half of the cases."""
    if case.sample_weight is None and draw(st.booleans()):
        case = sample_weight(draw, case)
    choice = st.sampled_from((("mae",), ("mse",), ("mae", "mse")))
    if len(case.outputs) == 1:
        return case.but(weighted_metrics=One(draw(choice)))
    values = tuple(draw(choice) for _ in case.outputs)
    return case.but(weighted_metrics=some_form(draw, case, values))


def misspelt_target(draw: Draw, case: Case) -> Case:
    """A dict of targets that has a key that none has in the place of an output, or lacks one."""
    targets = _named(draw, case, "targets")
    if targets is None or not targets.items:
        return case
    gone = draw(st.integers(0, len(targets.items) - 1))
    other = ((draw(st.sampled_from((EXTRA, MORE))), targets.items[gone][1]),)
    items = list(targets.items)
    items[gone : gone + 1] = other[: draw(st.integers(0, 3))]
    plain: dict[str, Any] = dict.fromkeys(field for field, _ in case.forms())
    plain |= {"loss": case.loss, "targets": replace(targets, items=tuple(items)), "inputs": None}
    plain |= {"metric_names": "own", "earlier": "the same", "class_weight": None, "trip": "none"}
    called = ("fit", "evaluate", "train_on_batch", "test_on_batch")
    entry = case.entry if case.entry in called else "evaluate"
    return case.but(entry=entry, data="arrays", **plain)


def metric_names(draw: Draw, case: Case) -> Case:
    """Metrics that are called alike, or as something else that is reported."""
    if case.loss is None:
        return case
    called = draw(st.sampled_from(get_args(MetricNames)[1:]))
    if called == "prefixed":
        return _prefixed(draw, case)
    several = {"alike": ("mae", "mse"), "numbered": ("mae", "mse", "mae")}.get(called, ("mae",))
    values = [several if draw(st.booleans()) else ("mae",) for _ in case.outputs]
    values[0] = several
    form = One(several) if len(case.outputs) == 1 else some_form(draw, case, values)
    return case.but(metrics=form, weighted_metrics=None, metric_names=called)


def _prefixed(draw: Draw, case: Case) -> Case:
    """The metric `b_mae` of an output `a`, and `mae` of another that is called `a_b`."""
    if len(case.outputs) == 1 or not named(case) or {"a", "a_b"} & {*case.names[2:]}:
        return case
    case = renamed(case, dict(zip(case.names, ("a", "a_b"), strict=False)))
    values = [("mae",) for _ in case.outputs]
    values[0] = ("mse",)
    form = some_form(draw, case, values)
    return case.but(metrics=form, weighted_metrics=None, metric_names="prefixed")


def sample_weight(draw: Draw, case: Case) -> Case:
    """Sample weights: one array for all outputs, or one an output."""
    samples = CONSTANTS[len(case.outputs)].samples
    if draw(st.booleans()) or len(case.outputs) == 1:
        return case.but(sample_weight=One(samples[0]))
    if isinstance(case.targets, InOrder):
        kind = draw(st.sampled_from(("list", "list", "tuple")))
        return case.but(sample_weight=InOrder(samples, kind))
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
        data = draw(st.sampled_from(("arrays", "arrays", "dataset", "PyDataset")))
        if data != "arrays":
            entry = "fit"
            targets = replace(targets, kind="tuple") if isinstance(targets, InOrder) else targets
        forms |= {"loss": One("mse"), "targets": targets}
        return case.but(class_weight=17.0, entry=entry, data=data, **forms)
    classes = draw(st.sampled_from(("all", "all", "some", "none")))
    case = bare_target(draw, alone(case)).but(class_weight=17.0, entry=entry, classes=classes)
    if entry == "fit" and draw(st.booleans()):
        return case.but(data=draw(st.sampled_from(("dataset", "PyDataset"))))
    return case


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
    case = alone(case)
    weight = draw(st.sampled_from((CONSTANTS[1].weights[0], 0.0)))
    by_name = ByName(((case.names[0], weight),))
    return case.but(loss_weights=draw(st.sampled_from((One(weight), by_name))))


def spelling(draw: Draw, case: Case) -> Case:
    """Losses and metrics as objects, losses as functions; weights as int, metrics in a tuple."""
    how = draw(st.sampled_from(("object", "function", "int", "tuple")))
    if how == "int":
        weights = case.loss_weights or _named(draw, case, "loss_weights")
        return case.but(weights=how, loss_weights=weights)
    if how == "tuple":
        metrics = case.metrics or One(("mae", "mse"))
        return case.but(several=how, metrics=metrics)
    return case.but(spelling=how)
