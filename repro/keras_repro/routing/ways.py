"""The ways to wire a case, the plainest first.

Public: `wirings`, `loss_wirings`, `named_orders`, `feedings`, `Order`, `How`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import combinations, permutations, product
from typing import Literal

from keras_repro.case import ByName, Case, InOrder, One, is_dict

__all__ = ["How", "Order", "feedings", "loss_wirings", "named_orders", "wirings"]

How = Literal[
    "alphabet",
    "key order",
    "closed up",
    "other order",
    "one for all",
    "left out",
    "inner model",
    "other container",
    "other keys",
    "other number",
    "not loaded",
    "kept",
    "lost",
    "weighted",
    "by place",
    "shifted",
    "by batch",
    "in part",
    "doubled",
    "covered",
    "merged",
    "not refused",
    "unexplained",
]
"""`closed up`: each None of a list was dropped, and what stood behind it moved up. `inner model`:
the number is that of a compiled model inside. `other container`: what held the inputs, or the
outputs, is another thing than before; `other keys`: its keys are in another order; `other number`:
there are more or fewer of them. `not loaded`: weights are what they were before. `kept`: it is of
an earlier `compile`. `lost`: a model inside reports its own no more. `weighted`: the loss of each
output was multiplied by its weight. `by place`: names that are not those of all outputs mean
nothing. `shifted`: a key that none has moved the others. `by batch`: a small batch counts as much
as the others. `in part`: all are the same part of what they should be. `doubled`: what no output
has was reported, too. `merged`: it is of all outputs that have the same object. `covered`: another
number of the same name stands in its place. `not refused`: what must be was not."""

Order = tuple[int, ...]
"""Whose share each output was given: output i was given that of output order[i]."""


def wirings(case: Case, components: int) -> tuple[tuple[Order, ...], ...]:
    """Return an order for each component, for every way to wire the case."""
    return _all_wirings(len(case.outputs), components, tuple(named_orders(case)))


def loss_wirings(case: Case) -> Iterator[tuple[Order, Order, Order, Order]]:
    """Yield the orders of targets, losses, weights and sample weights."""
    same = tuple(range(len(case.outputs)))
    weighted = case.loss_weights is not None
    sampled = case.sample_weight is not None and not isinstance(case.sample_weight, One)
    for targets, losses, *rest in wirings(case, 2 + weighted + sampled):
        yield (
            targets,
            losses,
            rest.pop(0) if weighted else same,
            rest.pop(0) if sampled else same,
        )
    for size in range(1, len(same) + 1):
        for left_out in combinations(same, size):
            yield same, tuple(-1 if i in left_out else i for i in same), same, same
    for size in range(1, len(same) + 1):
        for left_out in combinations(same, size):
            yield same, same, tuple(-1 if i in left_out else i for i in same), same
    nothing = (-1,) * len(same)
    if case.varied:
        yield same, same, same, nothing


@lru_cache(maxsize=16)
def _all_wirings(
    outputs: int, components: int, named: tuple[Order, ...]
) -> tuple[tuple[Order, ...], ...]:
    same = tuple(range(outputs))
    every = [*named, *permutations(range(outputs))]
    ones = [(index,) * outputs for index in range(outputs)] if outputs > 1 else []
    found: dict[tuple[Order, ...], None] = {(same,) * components: None}
    for orders in (named, every):
        for size in range(1, components + 1):
            for order, where in product(orders, combinations(range(components), size)):
                found[tuple(order if i in where else same for i in range(components))] = None
    for only, place in product(ones, range(components)):
        found[tuple(only if i == place else same for i in range(components))] = None
    mixed = product((same, *named), repeat=components)
    for wiring in mixed:
        found[wiring] = None
    if len(every) ** components < 14_000:
        # With more, as of five outputs, any number would be explained, and at a high price.
        for wiring in product([same, *every], repeat=components):
            found[wiring] = None
    return tuple(found)


def named_orders(case: Case) -> dict[Order, How]:
    """Return the orders that have a reason, and their inverses: that of the alphabet, that in which
    a dict was written, that of a list without its Nones.
    """
    names = case.names
    layers = [output.layer for output in case.outputs]
    same = tuple(range(len(names)))
    found: dict[Order, How] = {}

    def add(order: Order, how: How) -> None:
        if len(order) == len(same) and order != same:
            found.setdefault(order, how)
            found.setdefault(tuple(order.index(index) for index in same), how)

    if isinstance(case.loss, InOrder) and not is_dict(case.container):
        # A stable sort: those with a loss first, as if the others were not there.
        losses = case.loss.values
        add(tuple(sorted(same, key=lambda index: losses[index] is None)), "closed up")
    add(tuple(sorted(same, key=lambda index: names[index])), "alphabet")
    add(tuple(sorted(same, key=lambda index: layers[index])), "alphabet")
    # What is reported of `a` and of `a_b` sorts as `a_mae` and `a_b_mae` do.
    add(tuple(sorted(same, key=lambda index: names[index] + "_")), "alphabet")
    if case.nest is not None:
        paths = [tuple(map(str, path)) for path in case.nest.paths()]
        add(tuple(sorted(same, key=lambda index: paths[index])), "alphabet")
    for _, given in case.forms():
        if isinstance(given, ByName):
            add(tuple(names.index(name) for name in given.names if name in names), "key order")
    return found


def feedings(case: Case) -> Iterator[tuple[float, How, tuple[tuple[str, str | None], ...]]]:
    """Yield how far every prediction moves where the inputs are fed in another order.

    With the shift come how the order came about, and which input was fed what belongs to which.
    """
    inputs = case.inputs
    if inputs is None:
        return
    names = list(inputs.names)
    values = {name: inputs.amount(name) or 0.0 for name in names}
    written = list(inputs.fed_names)
    amounts = {name: inputs.amount(name) or 0.0 for name in (*written, *names)}
    layers = sorted(range(len(names)), key=lambda index: inputs.members[index].layer)
    sorted_names = sorted(written)
    reasons: list[tuple[list[str], How]] = [
        (sorted_names, "alphabet"),
        ([names[index] for index in layers], "alphabet"),
        (written, "key order"),
    ]
    if inputs.nest is not None:
        paths = [tuple(map(str, path)) for path in inputs.nest.paths()]
        by_path = sorted(range(len(names)), key=lambda index: paths[index])
        reasons.insert(0, ([names[index] for index in by_path], "alphabet"))
        reasons.insert(
            1, ([names[by_path.index(place)] for place in range(len(names))], "alphabet")
        )
    reasons += [(list(order), "other order") for order in permutations(written, len(names))]
    inverse = {name: sorted(names).index(name) for name in names}
    reasons.insert(1, ([names[inverse[name]] for name in names], "alphabet"))
    for order, how in reasons:
        arrived = order[: len(names)]
        if arrived == names:
            continue
        if not set(arrived) <= set(names):
            how = "shifted"
        elif inputs.fed_ordered:
            how = "key order"  # whichever it is hangs on the names alone
        shift = sum(
            (amounts[got] - values[name]) * 10**index
            for index, (name, got) in enumerate(zip(names, arrived, strict=True))
        )
        went = tuple(
            (name, got if got in values else None)
            for name, got in zip(names, arrived, strict=True)
            if name != got
        )
        yield shift, how, went
