"""The choices that a case has: what holds things, what is called, what a model goes through.

Each begins with the plainest. Public: all of them. Pure data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

__all__ = [
    "BY_KEY",
    "LEVEL",
    "LOOPS",
    "PREDICTIONS",
    "SLICED",
    "UNTRAINED",
    "Architecture",
    "Beside",
    "Container",
    "Data",
    "Earlier",
    "Entry",
    "Heads",
    "MetricNames",
    "Shared",
    "Spelling",
    "Trip",
    "Within",
]

Container = Literal[
    "list", "tuple", "dict", "tensor", "OrderedDict", "defaultdict", "namedtuple", "nested"
]
"""How outputs or inputs are held; `tensor` is a single one in no container."""
Entry = Literal[
    "evaluate",
    "fit",
    "train_on_batch",
    "test_on_batch",
    "evaluate as list",
    "each loss",
    "evaluate inside",
    "validation",
    "compute_loss",
    "compute_metrics",
    "call",
    "predict",
    "predict_on_batch",
    "symbolic call",
    "function",
]
"""What is called. `validation` is `fit` with validation data, of which the numbers are read; `each
loss` is `evaluate`, of which the losses of the outputs are read; `evaluate inside` is that of the
compiled model inside, after the whole was evaluated; `function` is a `keras.Function`
in the place of the model."""
PREDICTIONS: Final = ("call", "predict", "predict_on_batch", "symbolic call", "function")
"""The entries that are given no targets, and whose numbers are the predictions."""
SLICED: Final = ("arrays", "dataset")
"""The kinds of data that are cut into batches by Keras, or by TensorFlow."""
LEVEL: Final = ("compute_loss", "compute_metrics")
"""The entries that go past all data and steps, straight to what was compiled: they cost least."""
UNTRAINED: Final[Mapping[str, Entry]] = {
    "fit": "evaluate",
    "validation": "evaluate",
    "train_on_batch": "test_on_batch",
}
"""The entries that need gradients, and what gives the same numbers without."""
LOOPS: Final = ("evaluate", "fit", "evaluate as list", "each loss", "validation", "predict")
"""The entries that go through many batches, of any kind of data."""
Earlier = Literal[
    "the same", "fit", "evaluate", "train_on_batch", "test_on_batch", "another compile"
]
"""What is called before the call whose numbers count; `another compile` is an evaluation of the
model compiled for another loss, before it is compiled anew."""
Data = Literal[
    "arrays",
    "dataset",
    "generator",
    "PyDataset",
    "PyDataset of lists",
    "PyDataset with None",
    "DataLoader",
]
"""`PyDataset with None` gives None as the weights of a batch. `DataLoader` is torch's, with whole
batches as its items."""
Architecture = Literal["functional", "functional subclass", "subclass", "sequential"]
Trip = Literal[
    "none",
    "config",
    "clone",
    "save",
    "export",
    "weights",
    "clone recursively",
    "clone by call",
    "clone compiled",
]
"""What the model goes through before it is used; all but `save` and `clone compiled` come before it
is compiled."""
Heads = Literal[
    "list",
    "dict",
    "tuple",
    "set",
    "dict of lists",
    "list of lists",
    "lists that grow",
    "list by assignment",
    "list by insert",
    "deque",
    "namedtuple",
    "OrderedDict",
    "defaultdict",
    "dict by setdefault",
    "dict by update",
]
"""What holds the layers of a subclassed model; a dict is filled in another order to load them, and
of sets one is taken that has another order."""
BY_KEY: Final = (
    *("dict", "set", "dict of lists", "OrderedDict", "defaultdict", "dict by setdefault"),
    "dict by update",
)
"""Of these, those that are filled in another order."""
MetricNames = Literal["own", "loss", "alike", "numbered", "prefixed", "one object"]
"""What metrics are called. `loss`: the first of an output is called that, as the loss is; `alike`:
all are called `m`; `numbered`: the third is called `m_1`, as the second is reported; `prefixed`:
the `mse` of an output is called `b_mae`, as the `mae` of another is that is called as it is, and
`_b`; `one object`: outputs that have the same metric have the same object, too. All but the first
are written as objects."""
Within = Literal["nothing", "list", "dict", "OrderedDict"]
"""What holds the outputs of a model inside, which become those of the whole one by one."""
Shared = Literal["nothing", "one layer", "one tensor"]
"""What the last output has of the first: its layer, called a second time, or the tensor itself."""
Beside = Literal[
    "nothing",
    "other key order",
    "other entry",
    "graph",
    "generator",
    "saved",
    "cloned",
    "rebuilt",
    "tuples",
    "OrderedDicts",
    "other names",
]
"""How a second model differs that is run beside the first, see `beside`."""
Spelling = Literal["string", "object", "function"]
"""How losses and metrics are written: `"mse"`, `MeanSquaredError()`, `mean_squared_error`."""
