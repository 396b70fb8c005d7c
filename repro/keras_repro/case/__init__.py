"""The case: a tiny model, how it is compiled and how it is fed, as plain data.

Each output of the model predicts one constant, each target is one constant. So a case is a handful
of names, numbers and containers, and every number that Keras must report follows from them alone.
A container that the user writes keeps its order here, also where it is a dict: the order of the
keys is what the bugs are about. Equality and hash are by value, order included.

`choices` are the kinds of things there are, `forms` the ways to pass something an output, `inputs`
what a model is fed, `model` is the case itself, `document` its JSON, the boundary where a case is
checked.
"""

from keras_repro.case.choices import (
    BY_KEY,
    LEVEL,
    PREDICTIONS,
    SLICED,
    Architecture,
    Beside,
    Container,
    Data,
    Earlier,
    Entry,
    Heads,
    MetricNames,
    Shared,
    Spelling,
    Trip,
    Within,
)
from keras_repro.case.document import SCHEMA, from_json, to_json
from keras_repro.case.forms import (
    MORE,
    ByName,
    Form,
    InOrder,
    Like,
    Nest,
    One,
    is_dict,
)
from keras_repro.case.inputs import Input, Inputs
from keras_repro.case.model import Case, Output

__all__ = [
    "BY_KEY",
    "LEVEL",
    "MORE",
    "PREDICTIONS",
    "SCHEMA",
    "SLICED",
    "Architecture",
    "Beside",
    "ByName",
    "Case",
    "Container",
    "Data",
    "Earlier",
    "Entry",
    "Form",
    "Heads",
    "InOrder",
    "Input",
    "Inputs",
    "Like",
    "MetricNames",
    "Nest",
    "One",
    "Output",
    "Shared",
    "Spelling",
    "Trip",
    "Within",
    "from_json",
    "is_dict",
    "to_json",
]
