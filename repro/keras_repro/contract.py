"""What Keras promises: the rules that an oracle may call a behaviour wrong by, as data.

A number is wrong only because a sentence says so. Each rule is one such sentence in our own words,
with the place where Keras says it and how strongly:

- `contract`: the documentation or a maintainer says so. Worth filing.
- `inconsistent`: no sentence says so, but two siblings disagree (loss and metrics, optree and
  dm-tree, one release and the next). Worth showing, filed with that word.

A rule's id never changes and is never given to another rule: stored findings name it.

Public: `Rule`, `Strength`, `RULES` (by id, in order), `rule`, `strongest`. Pure data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

__all__ = ["RULES", "Rule", "Strength", "rule", "strongest"]

Strength = Literal["contract", "inconsistent"]


@dataclass(frozen=True)
class Rule:
    """One sentence that Keras owes its users, where it is said, and how strongly."""

    id: str
    sentence: str
    source: str
    strength: Strength


_COMPILE: Final = "https://keras.io/api/models/model_training_apis/#compile-method"
_FIT: Final = "https://keras.io/api/models/model_training_apis/#fit-method"
_TRAIN_GUIDE: Final = "https://keras.io/guides/training_with_built_in_methods/"
_FUNCTIONAL_GUIDE: Final = (
    "https://keras.io/guides/functional_api/#models-with-multiple-inputs-and-outputs"
)
_SAVING: Final = "https://keras.io/api/models/model_saving_apis/"
_TREE: Final = "https://github.com/keras-team/keras/blob/master/keras/src/tree/tree_api.py"
_MAINTAINER: Final = "https://github.com/keras-team/keras/issues/20346"
_CODE: Final = "https://github.com/keras-team/keras/blob/master/keras/src/trainers/compile_utils.py"

_CONTRACT: Final = "contract"
_INCONSISTENT: Final = "inconsistent"

_ALL: Final[tuple[Rule, ...]] = (
    Rule(
        "R1",
        "One loss for a model of several outputs goes to each of them.",
        _TRAIN_GUIDE,
        _CONTRACT,
    ),
    Rule(
        "R2",
        "A list of losses goes to the outputs in the order in which the model was given them; "
        "for a dict of outputs that is the order in which the dict is written.",
        _FUNCTIONAL_GUIDE,
        _CONTRACT,
    ),
    Rule(
        "R3",
        "A dict of losses goes by the names of the outputs, in whatever order names, keys and "
        "outputs stand. The name is the key in a dict of outputs, else the name of the layer.",
        _TRAIN_GUIDE,
        _CONTRACT,
    ),
    Rule(
        "R4",
        "An output may go without a loss (None, or no key in the dict), and then adds nothing "
        "to the total.",
        _TRAIN_GUIDE,
        _CONTRACT,
    ),
    Rule(
        "R5",
        "Loss weights go to the outputs in order (list) or by name (dict), whatever kind the "
        "losses are, and the total is the sum of the losses so weighted.",
        _COMPILE,
        _CONTRACT,
    ),
    Rule(
        "R6",
        "The loss that is reported for one output is not weighted (since 3.7.0).",
        _CODE,
        _INCONSISTENT,
    ),
    Rule(
        "R7",
        "Metrics go to the outputs by name (a dict of names or lists of them) or in order "
        "(a list as long as the outputs).",
        _COMPILE,
        _CONTRACT,
    ),
    Rule(
        "R8",
        "What is reported is called <output>_loss and <output>_<metric>; with one output there "
        "is no prefix.",
        _CODE,
        _INCONSISTENT,
    ),
    Rule(
        "R9",
        "Weighted metrics go as metrics do, and use the sample weights.",
        _COMPILE,
        _INCONSISTENT,
    ),
    Rule(
        "R10",
        "Targets go to the outputs in order (list) or by name (dict).",
        _TRAIN_GUIDE,
        _CONTRACT,
    ),
    Rule(
        "R11",
        "A dict of targets may be given to a model whose outputs are a list, and goes by name, "
        "for losses and for metrics.",
        _MAINTAINER,
        _CONTRACT,
    ),
    Rule("R12", "A tuple and a list mean the same.", _MAINTAINER, _CONTRACT),
    Rule(
        "R13",
        "Nested losses and metrics follow the nesting of the outputs.",
        _MAINTAINER,
        _CONTRACT,
    ),
    Rule(
        "R14",
        "One array of sample weights serves every output; a list or a dict goes as targets do.",
        _FIT,
        _INCONSISTENT,
    ),
    Rule(
        "R15",
        "Class weights serve a model of one output, and are refused in so many words with more.",
        _FIT,
        _INCONSISTENT,
    ),
    Rule(
        "R16",
        "A dict prediction has the keys of the outputs, and each key holds its own output.",
        _FUNCTIONAL_GUIDE,
        _CONTRACT,
    ),
    Rule(
        "R17",
        "The order of the keys in a dict that the user passes never changes a number.",
        _TRAIN_GUIDE,
        _CONTRACT,
    ),
    Rule(
        "R18",
        "An OrderedDict, or another kind of dict, means what a dict means.",
        _TREE,
        _INCONSISTENT,
    ),
    Rule(
        "R19",
        "fit, evaluate, train_on_batch and test_on_batch give the same numbers, from whatever "
        "kind of data, eager, as a graph or compiled.",
        _FIT,
        _CONTRACT,
    ),
    Rule(
        "R20",
        "A model that was saved and loaded, cloned, or rebuilt from its config does as before.",
        _SAVING,
        _CONTRACT,
    ),
    Rule(
        "R21",
        "A dict of inputs goes by the names of the inputs, in whatever order its keys stand.",
        _FUNCTIONAL_GUIDE,
        _CONTRACT,
    ),
    Rule(
        "R22",
        "evaluate returns a list in the order of the metrics as compiled, and metrics_names "
        "matches it.",
        _COMPILE,
        _CONTRACT,
    ),
    Rule(
        "R23",
        "Each output with a loss is reported once, with its own number.",
        _COMPILE,
        _CONTRACT,
    ),
    Rule(
        "R24",
        "A key that no output or input has is refused or ignored; it never moves the others.",
        _COMPILE,
        _CONTRACT,
    ),
    Rule("R25", "An optional input may be None, by name or by position.", _FIT, _CONTRACT),
    Rule(
        "R26",
        "Layers in a list by position, layers in a dict by key: saved weights come back so.",
        _SAVING,
        _CONTRACT,
    ),
    Rule(
        "R27",
        "A symbolic call, compute_output_spec and an eager call agree on inputs and shapes.",
        _FUNCTIONAL_GUIDE,
        _CONTRACT,
    ),
    Rule(
        "R28",
        "A compiled model inside another keeps its metrics, and the outer one reports its own.",
        _COMPILE,
        _CONTRACT,
    ),
    Rule(
        "R29",
        "A loss over several targets, or on a part of the structure, is given all of that part.",
        _MAINTAINER,
        _INCONSISTENT,
    ),
    Rule(
        "T1",
        "pack_sequence_as(s, flatten(s)) is s again, with its types and the order of its keys.",
        _TREE,
        _CONTRACT,
    ),
    Rule(
        "T2",
        "A dict is flattened in the order of its sorted keys, an OrderedDict in its own.",
        _TREE,
        _CONTRACT,
    ),
    Rule("T3", "The order in which a dict was filled never changes flatten.", _TREE, _CONTRACT),
    Rule(
        "T4",
        "flatten_with_path gives the leaves of flatten in its order, and a path leads to its leaf.",
        _TREE,
        _CONTRACT,
    ),
    Rule(
        "T5",
        "map_structure keeps the structure and maps the leaves; with several structures the "
        "leaves of one path meet.",
        _TREE,
        _CONTRACT,
    ),
    Rule(
        "T6",
        "map_structure_up_to stops at the shallow structure, where None is a leaf.",
        _TREE,
        _CONTRACT,
    ),
    Rule(
        "T7",
        "assert_same_structure and assert_same_paths accept and refuse what they say; kinds of "
        "dict with the same keys are one structure.",
        _TREE,
        _CONTRACT,
    ),
    Rule("T8", "is_nested, lists_to_tuples and traverse do what they say.", _TREE, _CONTRACT),
    Rule(
        "T9",
        "Every implementation of keras.tree gives the same answer.",
        _TREE,
        _INCONSISTENT,
    ),
)

RULES: Final[Mapping[str, Rule]] = MappingProxyType({one.id: one for one in _ALL})


def rule(identity: str) -> Rule:
    """Return the rule of an id such as `R11`; `KeyError` where there is none."""
    return RULES[identity]


def strongest(identities: Iterable[str]) -> Strength:
    """Return the strength of a finding that breaks these rules: that of its strongest rule."""
    found = {RULES[identity].strength for identity in identities}
    return "contract" if "contract" in found else "inconsistent"
