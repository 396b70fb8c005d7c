"""What makes a plain case odd, one thing at a time: the dimensions of the space.

A twist takes a case and gives one that differs in a single dimension, or the same case where the
dimension does not apply. `strategies.cases` draws a plain case and then some twists, each
independent of the others; a twist whose outcome no rule decides is left out. So a dimension is
added by writing one function here, and a step towards the plain form in `keras_repro.steps`.

Public: `TWISTS`, `OFTEN`, `ARGUMENTS`, `MODELS`, `INPUTS`, `KEPT`, `NESTED`, `WEIGHTED`, `PARTIAL`,
`BESIDE_PARTIAL`, `CALLS`, `USES`, `Twist`, `runs`, `twisted`, and each twist by its name.
"""

from __future__ import annotations

from typing import Final

from keras_repro.twists.arguments import (
    bare_metrics,
    bare_target,
    class_weight,
    extra_key,
    metric_names,
    missing_key,
    misspelt_target,
    one_list_of_metrics,
    other_kind,
    partial_list,
    sample_weight,
    scalar_weight,
    spelling,
    weighted_metrics,
)
from keras_repro.twists.base import SCOPE, Twist, runs, twisted
from keras_repro.twists.calls import (
    batches,
    call_before,
    compiled,
    data,
    level,
    other_entry,
    prediction,
    validated,
)
from keras_repro.twists.models import (
    architecture,
    chained,
    held_layers,
    inner,
    inputs,
    inside,
    misspelt_input,
    nested_inputs,
    optional,
    trip,
    within,
)
from keras_repro.twists.outputs import (
    auto,
    joint,
    nested,
    odd_keys,
    other_container,
    other_widths,
    permuted_layers,
    shared,
)

__all__ = [
    "ARGUMENTS",
    "BESIDE_PARTIAL",
    "CALLS",
    "INPUTS",
    "KEPT",
    "MODELS",
    "NESTED",
    "OFTEN",
    "PARTIAL",
    "SCOPE",
    "TWISTS",
    "USES",
    "WEIGHTED",
    "Twist",
    "architecture",
    "auto",
    "bare_metrics",
    "bare_target",
    "batches",
    "call_before",
    "chained",
    "class_weight",
    "compiled",
    "data",
    "extra_key",
    "held_layers",
    "inner",
    "inputs",
    "inside",
    "joint",
    "level",
    "metric_names",
    "missing_key",
    "misspelt_input",
    "misspelt_target",
    "nested",
    "nested_inputs",
    "odd_keys",
    "one_list_of_metrics",
    "optional",
    "other_container",
    "other_entry",
    "other_kind",
    "other_widths",
    "partial_list",
    "permuted_layers",
    "prediction",
    "runs",
    "sample_weight",
    "scalar_weight",
    "shared",
    "spelling",
    "trip",
    "twisted",
    "validated",
    "weighted_metrics",
    "within",
]

TWISTS: Final[tuple[Twist, ...]] = (
    other_kind,
    other_container,
    bare_metrics,
    sample_weight,
    weighted_metrics,
    metric_names,
    missing_key,
    misspelt_target,
    partial_list,
    extra_key,
    nested,
    joint,
    inputs,
    nested_inputs,
    misspelt_input,
    inside,
    optional,
    prediction,
    trip,
    data,
    batches,
    other_entry,
    validated,
    bare_target,
    one_list_of_metrics,
    call_before,
    architecture,
    permuted_layers,
    odd_keys,
    other_widths,
    spelling,
    inner,
    within,
    held_layers,
    chained,
    shared,
    auto,
    scalar_weight,
    class_weight,
    compiled,
)

OFTEN: Final[tuple[Twist, ...]] = (
    *TWISTS,
    *(other_container, trip, trip, architecture, architecture, inputs, prediction),
)
"""The same, with those more often whose bugs need something else that is odd, too."""

ARGUMENTS: Final[tuple[Twist, ...]] = (
    *(
        missing_key,
        missing_key,
        missing_key,
        partial_list,
        partial_list,
        extra_key,
        extra_key,
        misspelt_target,
        other_kind,
        other_kind,
    ),
    *(sample_weight, sample_weight, weighted_metrics, weighted_metrics, bare_metrics),
    *(metric_names, metric_names),
    *(nested, nested, nested, joint, call_before, call_before, other_entry, other_entry),
    *(batches, data, spelling, other_widths, class_weight, scalar_weight, one_list_of_metrics),
)
MODELS: Final[tuple[Twist, ...]] = (
    *(other_container, other_container, other_container),
    *(within, within, inside, held_layers, held_layers, held_layers),
    *(optional, optional, inputs, inputs, nested, nested, nested, shared, shared),
    *(permuted_layers, odd_keys, chained, inner, architecture, auto),
)
INPUTS: Final[tuple[Twist, ...]] = (
    *(inputs, inputs, inputs, inputs),
    *(inside, optional, nested_inputs, nested_inputs, misspelt_input),
)
KEPT: Final[tuple[Twist, ...]] = (other_container, other_container, other_container, nested, inputs)
"""What a round trip has to keep: the containers of a model."""
NESTED: Final[tuple[Twist, ...]] = (nested, nested, nested, joint, nested_inputs)
WEIGHTED: Final[tuple[Twist, ...]] = (sample_weight, sample_weight, weighted_metrics, class_weight)
PARTIAL: Final[tuple[Twist, ...]] = (missing_key, missing_key, partial_list)
BESIDE_PARTIAL: Final[tuple[Twist, ...]] = (
    *(sample_weight, weighted_metrics, call_before, other_kind, bare_metrics, extra_key, nested),
)
"""Where an output has nothing, what else is passed an output is easily taken for another's."""
CALLS: Final[tuple[Twist, ...]] = (
    *(other_entry, other_entry, data, data, batches, call_before, compiled, validated),
)
USES: Final[tuple[Twist, ...]] = (
    *(trip, trip, trip, trip, trip, prediction, prediction),
    *(other_entry, data, batches, call_before, compiled),
)
"""What can be odd about the arguments, the model, what is done with it: most bugs of an odd model
show only after a round trip, or in one of the ways to call it, and most round trips go well with
one that is not. The more kinds there are of a thing, the more often it stands here."""
