"""What Keras promises, as numbered rules: the only ground on which anything is called wrong.

A rule is one sentence, where it stands, and how strong it is. A finding carries the strength of the
rule it breaks, and only `contract` findings are worth filing without a second thought.

Public: `Rule`, `Strength`, `RULES`, `rule`, `strongest`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

__all__ = ["RULES", "Rule", "Strength", "rule", "strongest"]

Strength = Literal["contract", "inconsistent", "unspecified"]
"""`contract`: a sentence of the documentation, or a maintainer's word. `inconsistent`: no sentence says
so, but two siblings disagree (two arguments, two tree implementations, two releases). `unspecified`:
neither; recorded, never filed."""

STRENGTHS: Final[tuple[Strength, ...]] = ("contract", "inconsistent", "unspecified")

COMPILE: Final = "https://keras.io/api/models/model_training_apis/"
TRAINING: Final = "https://keras.io/guides/training_with_built_in_methods/"
FUNCTIONAL: Final = "https://keras.io/guides/functional_api/"
TREE: Final = "https://keras.io/api/utils/tree/"
THREADS: Final = "https://github.com/keras-team/keras/issues/20346"
CODE: Final = "https://github.com/keras-team/keras/blob/master/keras/src/trainers/compile_utils.py"


@dataclass(frozen=True)
class Rule:
    """One promise."""

    id: str
    sentence: str
    source: str
    """Where the sentence, or the code that has to do without one, can be read."""
    strength: Strength


def _rules(*rules: tuple[str, str, str, Strength]) -> Mapping[str, Rule]:
    return MappingProxyType({given[0]: Rule(*given) for given in rules})


RULES: Final[Mapping[str, Rule]] = _rules(
    (
        "R1",
        "One loss given to a model of several outputs is used for each of them.",
        TRAINING,
        "contract",
    ),
    (
        "R2",
        "A list of losses is paired with the outputs in the order in which the model was given them.",
        TRAINING,
        "contract",
    ),
    (
        "R3",
        "A dict of losses is paired by output name, in whatever order its keys or the outputs stand.",
        TRAINING,
        "contract",
    ),
    (
        "R4",
        "An output without a loss (None in a list, no key in a dict) adds nothing to the total.",
        TRAINING,
        "contract",
    ),
    (
        "R5",
        "Loss weights are paired in order as a list and by name as a dict; the total is the weighted sum.",
        COMPILE,
        "contract",
    ),
    ("R6", "The loss reported for one output is the one before weighting.", CODE, "inconsistent"),
    (
        "R7",
        "Metrics are paired by name as a dict and in order as a list of the outputs' length.",
        COMPILE,
        "contract",
    ),
    (
        "R8",
        "Numbers are reported as <output>_loss and <output>_<metric>, without a prefix for one output.",
        CODE,
        "inconsistent",
    ),
    (
        "R9",
        "Weighted metrics are paired as metrics are, and use the sample weights.",
        COMPILE,
        "inconsistent",
    ),
    (
        "R10",
        "Targets are paired with the outputs in order as a list and by name as a dict.",
        TRAINING,
        "contract",
    ),
    (
        "R11",
        "Targets may be a dict where the outputs are a list; they are paired by name.",
        THREADS,
        "contract",
    ),
    (
        "R12",
        "A tuple where a list could stand, or a list for a tuple, means the same.",
        THREADS,
        "contract",
    ),
    (
        "R13",
        "Nested losses and metrics mirror the nested structure of the outputs.",
        THREADS,
        "contract",
    ),
    ("R14", "One array of sample weights is used for every output.", COMPILE, "contract"),
    (
        "R15",
        "Class weights serve a model of one output; with more they are refused with a clear error.",
        CODE,
        "inconsistent",
    ),
    (
        "R16",
        "A dict prediction has the keys of the outputs, and under each its own output.",
        CODE,
        "contract",
    ),
    (
        "R17",
        "The order of the keys of a dict that the user passes never changes a number.",
        COMPILE,
        "contract",
    ),
    (
        "R18",
        "An OrderedDict, or another kind of dict, means what a dict with its keys means.",
        TREE,
        "inconsistent",
    ),
    (
        "R19",
        "fit, evaluate, train_on_batch and test_on_batch, eager and compiled, agree on the numbers.",
        COMPILE,
        "contract",
    ),
    (
        "R20",
        "A model that was saved and loaded, cloned, or rebuilt from its config routes as before.",
        COMPILE,
        "contract",
    ),
    (
        "R21",
        "Inputs given as a dict are paired by input name, in whatever order the keys stand.",
        FUNCTIONAL,
        "contract",
    ),
    (
        "R22",
        "evaluate returns its numbers in the order of the metrics that compile was given.",
        COMPILE,
        "contract",
    ),
    (
        "R23",
        "Each output that has a loss is reported once, with its own number.",
        COMPILE,
        "contract",
    ),
    (
        "R24",
        "A key that no output has is refused or ignored; it never shifts the others.",
        COMPILE,
        "contract",
    ),
    ("R25", "An optional input may be None, by name or by position.", FUNCTIONAL, "contract"),
    (
        "R26",
        "Layers held in a list are paired by position, in a dict by key, when weights are loaded.",
        COMPILE,
        "contract",
    ),
    (
        "R27",
        "A symbolic call and an eager call agree on which input goes where.",
        FUNCTIONAL,
        "contract",
    ),
    ("R28", "A compiled model inside another keeps its metrics to itself.", COMPILE, "contract"),
    (
        "R29",
        "A loss on a part of the outputs receives the whole of that part.",
        THREADS,
        "inconsistent",
    ),
    (
        "T1",
        "pack_sequence_as(s, flatten(s)) gives s back, with its types and the order of its keys.",
        TREE,
        "contract",
    ),
    (
        "T2",
        "A dict is flattened in the order of its sorted keys, an OrderedDict in its own.",
        TREE,
        "contract",
    ),
    (
        "T3",
        "The order in which the keys of a dict were inserted does not change flatten.",
        TREE,
        "contract",
    ),
    (
        "T4",
        "flatten_with_path gives the leaves of flatten, in its order, each with its path.",
        TREE,
        "contract",
    ),
    (
        "T5",
        "map_structure keeps the structure and applies the function to each leaf.",
        TREE,
        "contract",
    ),
    (
        "T6",
        "map_structure_up_to goes no deeper than the shallow structure, where None is a leaf.",
        TREE,
        "contract",
    ),
    (
        "T7",
        "assert_same_structure and assert_same_paths accept and refuse what they document.",
        TREE,
        "contract",
    ),
    ("T8", "is_nested, lists_to_tuples and traverse do what they document.", TREE, "contract"),
    ("T9", "optree and dm-tree give the same answers.", TREE, "inconsistent"),
)


def rule(id: str) -> Rule:  # noqa: A002 - what a rule's number is called
    """The rule with a number, such as `R3`. Raises `KeyError` for one that does not exist."""
    return RULES[id]


def strongest(ids: Iterable[str]) -> Strength:
    """The strength of a finding that breaks these rules: that of the strongest of them."""
    found = {RULES[one].strength for one in ids}
    return next((strength for strength in STRENGTHS if strength in found), "unspecified")
