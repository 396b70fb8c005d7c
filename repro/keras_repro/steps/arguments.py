"""Steps of what is compiled and fed, an output."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from keras_repro.case import ByName, Case, InOrder, Like, One, is_dict
from keras_repro.oracle import CONSTANTS


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
                yield {field: replace(given, dicts="the same")}
                yield {field: replace(given, more="nothing")}


def every_key_once(case: Case) -> Iterator[dict[str, Any]]:
    """No key that no output has; in weights and metrics, one for each output."""
    for field, given in case.forms():
        if isinstance(given, ByName):
            items = tuple(item for item in given.items if item[0] in case.names)
            yield {field: replace(given, items=items)}
        if field in ("loss_weights", "sample_weight", "targets", "before"):
            yield {field: _filled(case, field, given)}


def _filled(case: Case, field: str, given: Any) -> Any:
    constants = CONSTANTS[len(case.outputs)]
    kept = {"loss_weights": constants.weights, "sample_weight": constants.samples}
    full = kept.get(field, constants.targets)
    if isinstance(given, InOrder):
        pairs = zip(given.values, full, strict=True)
        return replace(given, values=tuple(new if old is None else old for old, new in pairs))
    if not isinstance(given, ByName):
        return given
    values = dict(zip(case.names, full, strict=True))
    missing = tuple((name, values[name]) for name in case.names if name not in given.names)
    return replace(given, items=given.items + missing)


def plain_loss(case: Case) -> Iterator[dict[str, Any]]:
    """Give one loss for all, or a list of them; every output one, and the same.

    Where each output has a weight, each has a loss, in the same container: of most releases the
    others are refused, and what is not the failure itself would be all that they show.
    """
    loss, weights = case.loss, case.loss_weights
    if loss is None:
        return
    each = weights is not None and not isinstance(weights, One) and len(case.outputs) > 1
    if isinstance(loss, One):
        if each:
            shared = loss.value
            yield {"loss": _map(weights, lambda _: shared)}
        yield {"loss": One("mse")}
        return
    if not each:
        yield {"loss": One("mse")}
    yield {"loss": _map(loss, lambda _: "mse")}
    for other in ("mse", "mae"):
        yield {"loss": _for_all(case, loss, other)}
    if each and isinstance(loss, InOrder) and isinstance(weights, ByName):
        yield {"loss": ByName(tuple(zip(case.names, loss.values, strict=True)))}
    for plainer in _plainer(case, loss):
        # A list of losses beside a dict of weights is odder than two dicts.
        if not each or isinstance(plainer, type(weights)):
            yield {"loss": plainer}


def _for_all(case: Case, given: Any, other: str) -> Any:
    """Losses where there were none; names that were not there come last."""
    given = _map(given, lambda loss: loss or other)
    if isinstance(given, InOrder | Like):
        return given
    missing = tuple((name, other) for name in case.names if name not in given.names)
    return replace(given, items=given.items + missing)


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
    if case.metrics is None and not case.varied:
        # Without weights of samples they are no others.
        yield {"metrics": case.weighted_metrics, "weighted_metrics": None}


def _in_a_list(metrics: Any) -> Any:
    return (metrics,) if isinstance(metrics, str) else metrics and tuple(dict.fromkeys(metrics))


def _map(given: Any, function: Callable[[Any], Any]) -> Any:
    if isinstance(given, One):
        return One(function(given.value))
    if isinstance(given, InOrder | Like):
        return replace(given, values=tuple(map(function, given.values)))
    return replace(given, items=tuple((name, function(value)) for name, value in given.items))


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
