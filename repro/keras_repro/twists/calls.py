"""Twists of what is called, and with which kind of data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

from hypothesis import strategies as st

from keras_repro.case import Case, Data, InOrder, Like, One
from keras_repro.oracle import CONSTANTS
from keras_repro.twists.base import Draw, some_form, uncompiled


def other_entry(draw: Draw, case: Case) -> Case:
    """Another way to get the same numbers."""
    entries = ("validation", "evaluate as list", "compute_loss")
    entry = draw(st.sampled_from(entries))
    if entry == "compute_loss":
        return case.but(entry=entry, metrics=None, weighted_metrics=None, eager=True)
    return case.but(entry=entry)


def prediction(draw: Draw, case: Case) -> Case:
    """Predict, where nothing is compiled."""
    entry = draw(st.sampled_from(("call", "predict", "symbolic call", "function")))
    return uncompiled(case, entry=entry)


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
    if case.predicting:
        return case
    steps = draw(st.sampled_from((1, 2)))
    loops = ("fit", "evaluate", "validation", "evaluate as list")
    entry = case.entry if case.entry in loops else draw(st.sampled_from(loops[:2]))
    eager = case.eager and steps == 1
    return case.but(entry=entry, eager=eager, batches=2, steps_per_execution=steps)


def compiled(draw: Draw, case: Case) -> Case:
    """As a graph, or compiled by XLA, which costs more than all else and so is rare."""
    return case.but(eager=False, jit=draw(st.integers(0, 4)) == 4)


def call_before(draw: Draw, case: Case) -> Case:
    """A call before the one that counts, with its targets in another form."""
    if case.predicting or case.entry in ("compute_loss", "validation") or case.data != "arrays":
        return case
    targets = CONSTANTS[len(case.outputs)].targets
    if len(case.outputs) == 1 and isinstance(case.targets, One):
        return case.but(before=case.targets)
    if case.nest is not None:
        return case.but(before=Like(targets, draw(st.booleans())))
    return case.but(before=some_form(draw, case, targets))
