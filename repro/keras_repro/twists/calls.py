"""Twists of what is called, and with which kind of data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

from hypothesis import strategies as st

from keras_repro.case import (
    LEVEL,
    PREDICTIONS,
    SLICED,
    Case,
    Data,
    Earlier,
    Entry,
    Form,
    InOrder,
    Like,
    One,
)
from keras_repro.oracle import CONSTANTS
from keras_repro.twists.arguments import sample_weight, weighted_metrics
from keras_repro.twists.base import Draw, some_form, uncompiled


def other_entry(draw: Draw, case: Case) -> Case:
    """Another way to get the same numbers."""
    entries: tuple[Entry, ...] = (
        *("evaluate as list", "evaluate as list", "each loss", "each loss"),
        *("validation", "validation", "validation", "evaluate inside", *LEVEL[1:]),
    )
    entry = draw(st.sampled_from(entries))
    if entry == "evaluate as list" and case.loss is not None and not case.metrics:
        # Of the total alone there is no order.
        case = weighted_metrics(draw, case)
    if entry == "validation" and case.loss is not None and draw(st.integers(0, 2)) == 2:
        # They go another way than those of the training.
        case = sample_weight(draw, case)
    if entry == "evaluate inside":
        return case.but(entry=entry, inner=True)
    if entry == "each loss":
        # Nothing else is looked at: weights of samples would count in it, and metrics stand beside.
        apart = ("metrics", "weighted_metrics", "sample_weight", "class_weight")
        return case.but(entry=entry, **dict.fromkeys(apart))
    return level(draw, case) if entry in LEVEL else case.but(entry=entry)


def level(draw: Draw, case: Case) -> Case:
    """What was compiled, asked without data and steps between: it costs a third."""
    if case.predicting:
        return case
    plain: dict[str, Any] = {"data": "arrays", "batches": 1, "short": False}
    plain |= {"eager": True, "before": None, "earlier": "the same"}
    if draw(st.booleans()):
        return case.but(entry="compute_loss", metrics=None, weighted_metrics=None, **plain)
    found = case if case.metrics else weighted_metrics(draw, case)
    return found.but(entry="compute_metrics", **plain)


def prediction(draw: Draw, case: Case) -> Case:
    """Predict, where nothing is compiled."""
    entry = draw(st.sampled_from(PREDICTIONS))
    return uncompiled(case, entry=entry)


def data(draw: Draw, case: Case) -> Case:
    """Data that come batch by batch; of a list of targets, a tuple."""
    kind = draw(st.sampled_from(get_args(Data)[1:]))
    if case.predicting:
        return case.but(data=kind, entry="predict")
    entry = case.entry
    if entry not in ("fit", "evaluate", "validation"):
        entry = draw(st.sampled_from(("evaluate", "fit")))
    forms: dict[str, Any] = {}
    for field in ("targets", "sample_weight"):
        given = getattr(case, field)
        if isinstance(given, InOrder) and (kind == "dataset" or draw(st.integers(0, 3)) < 3):
            forms[field] = replace(given, kind="tuple")
    return case.but(data=kind, entry=entry, **forms)


def batches(draw: Draw, case: Case) -> Case:
    """Two batches or three, of which the last may be smaller, and perhaps two of them a step."""
    if case.predicting:
        return case
    steps = draw(st.sampled_from((1, 2)))
    loops = ("fit", "evaluate", "validation", "evaluate as list")
    entry = case.entry if case.entry in loops else draw(st.sampled_from(loops[:2]))
    eager = case.eager and steps == 1
    count = draw(st.sampled_from((2, 2, 3)))
    changes = {"eager": eager, "batches": count, "steps_per_execution": steps}
    if not case.varied and case.data in SLICED and draw(st.booleans()):
        # What `fit` shuffles would fall into one batch or another.
        entry = "evaluate" if entry == "fit" else entry
        return case.but(entry=entry, short=True, **changes)
    return case.but(entry=entry, **changes)


def compiled(draw: Draw, case: Case) -> Case:
    """As a graph, or compiled by XLA, which costs more than all else and so is rare."""
    return case.but(eager=False, jit=draw(st.integers(0, 4)) == 4)


def validated(draw: Draw, case: Case) -> Case:
    """Data that `fit` is given to validate on."""
    if case.predicting:
        return case
    # One loss with a weight an output is refused by most releases, whatever is called.
    weights = None if isinstance(case.loss, One) else case.loss_weights
    return case.but(entry="validation", loss_weights=weights)


def call_before(draw: Draw, case: Case) -> Case:
    """A call before the one that counts, perhaps another one, with its targets in any form."""
    if case.predicting or case.entry in (*LEVEL, "validation") or case.data != "arrays":
        return case
    earlier = draw(st.sampled_from(get_args(Earlier)))
    targets = CONSTANTS[len(case.outputs)].targets
    before: Form[float]
    if isinstance(case.targets, One) or draw(st.booleans()):
        assert case.targets is not None
        before = case.targets
    elif case.nest is not None:
        before = Like(targets, draw(st.booleans()))
    else:
        before = some_form(draw, case, targets)
    return case.but(before=before, earlier=earlier)
