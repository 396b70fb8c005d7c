"""The case itself: outputs, what `compile` is given, the data, and what is called.

Every field after the first four has the plainest value as its default, so a plain case is short,
and a field that is added makes no stored case another one.

Public: `Case`, `Output`, `Metrics`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from keras_repro.case.choices import (
    LOOPS,
    PREDICTIONS,
    SLICED,
    UNTRAINED,
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
from keras_repro.case.forms import ByName, Form, InOrder, Like, Lists, Nest, is_dict, only
from keras_repro.case.inputs import Inputs

__all__ = ["Case", "Metrics", "Output"]


@dataclass(frozen=True)
class Output:
    """One output: the name of its layer, the constant it predicts, its key in dict outputs."""

    layer: str
    predicts: float
    key: str | None = None
    width: int = 1
    """Units of its layer, all of which predict the same."""

    @property
    def name(self) -> str:
        """What losses, targets and metrics call it: the key in dict outputs, else the layer."""
        return self.layer if self.key is None else self.key


Metrics = Form[tuple[str, ...] | str | None]
"""Of an output: a list of metrics, a bare one, or None."""


@dataclass(frozen=True)
class Case:
    """A model of a few constant outputs, compiled and run once.

    `outputs` stand in the order in which the model is given them, whatever `container` holds them.
    `metrics` hold a tuple of metric names an output. Raises `ValueError` for what cannot be
    written as a program; whether Keras promises anything about it is the oracle's affair.
    """

    outputs: tuple[Output, ...]
    container: Container
    loss: Form[str | None] | None
    targets: Form[float] | None
    loss_weights: Form[float] | None = None
    metrics: Metrics | None = None
    entry: Entry = "evaluate"
    eager: bool = True
    weighted_metrics: Metrics | None = None
    sample_weight: Form[float] | None = None
    """The weight of the first row of a batch; that of the others is one."""
    class_weight: float | None = None
    """The weight of the class of the first row; that of the others is one."""
    classes: Literal["all", "some", "none"] = "all"
    """Which are named: the others, too; the first alone; or not even that, which weighs nothing."""
    nest: Nest | None = None
    """How the outputs are nested, where `container` is `nested`."""
    inputs: Inputs | None = None
    before: Form[float] | None = None
    """Targets of a call that is made before the one whose numbers count."""
    earlier: Earlier = "the same"
    data: Data = "arrays"
    batches: int = 1
    short: bool = False
    """The last batch has one row, the others two."""
    steps_per_execution: int = 1
    jit: bool = False
    spelling: Spelling = "string"
    weights: Literal["float", "int"] = "float"
    """How loss weights are written."""
    several: Lists = "list"
    """What holds the metrics of an output."""
    metric_names: MetricNames = "own"
    model: Architecture = "functional"
    trip: Trip = "none"
    inner: bool = False
    """The input goes through a compiled model, which changes nothing."""
    heads: Heads = "list"
    holder: Literal["model", "layer"] = "model"
    """Whether the layers are held by the model itself, or by a layer of it."""
    chained: bool = False
    """Each output is made of the one before it, which so is an inner tensor, too."""
    joint: bool = False
    """The losses of the first branch of a nest are one function, which is given all of it."""
    within: Within = "nothing"
    direct: bool = False
    """The outputs of a model inside are those of the whole as they are, without layers after."""
    shared: Shared = "nothing"
    auto: bool = False
    """The layers of the outputs are called by Keras; then only the keys of a dict are names."""
    beside: Beside = "nothing"
    """What must give the same numbers, where no rule says which."""

    def __post_init__(self) -> None:
        """Check what holds for every case: the outputs, and the length of each list."""
        if not self.outputs:
            raise ValueError("outputs: expected at least one output, found none")
        only([output.layer for output in self.outputs], "the layers")
        only(list(self.names), "the outputs")
        if self.container == "tensor" and len(self.outputs) > 1:
            raise ValueError(f"outputs: {len(self.outputs)} of them cannot be a single tensor")
        if self.model == "sequential" and self.container != "tensor":
            raise ValueError("model: a sequential one has a single tensor as its output")
        if self.heads != "list" and self.model != "subclass":
            raise ValueError(f"heads: a {self.model} model holds no layers of its own")
        if self.holder != "model" and self.model != "subclass":
            raise ValueError(f"holder: a {self.model} model holds no layers of its own")
        if self.direct and self.within == "nothing":
            raise ValueError("direct: there is no model inside")
        if self.entry == "evaluate inside" and not self.inner:
            raise ValueError("entry: there is no compiled model inside")
        if self.short and (self.batches == 1 or self.varied or self.data not in SLICED):
            raise ValueError("short: there is no such last batch")
        if self.heads == "set" and self.auto:
            raise ValueError("heads: layers without names cannot be found in a set")
        alone = self.model in ("functional", "functional subclass") and self.inputs is None
        if self.within != "nothing" and (not alone or self.chained or self.shared != "nothing"):
            raise ValueError("within: a model inside makes all outputs of a single input")
        if self.within == "list" and len(self.outputs) == 1:
            raise ValueError("within: a list of one output comes out of a model as a tensor")
        if self.shared != "nothing":
            self._check_shared()
        if self.joint and not (
            isinstance(self.loss, Like)
            and self.branch is not None
            and {self.loss.values[index] for index in self.branch[1].leaves()} == {"mse"}
        ):
            raise ValueError("joint: a nest has no branch of which the losses are alike")
        if self.inputs is not None:
            layers = [output.layer for output in self.outputs]
            only(layers + [one.layer for one in self.inputs.members], "the layers and inputs")
        self._check_keys()
        trained = self.entry not in PREDICTIONS
        if trained != (self.loss is not None) or trained != (self.targets is not None):
            raise ValueError(f"entry: {self.entry} goes {'with' if trained else 'without'} a loss")
        if self.trip == "export" and self.entry != "call":
            raise ValueError(f"trip: a model that was exported has no {self.entry}")
        if self.before is None and self.earlier != "the same":
            raise ValueError("earlier: no call is made before")
        if self.data != "arrays" and self.earlier not in ("the same", "fit", "evaluate"):
            raise ValueError(f"earlier: {self.earlier} takes arrays alone")
        if self.data != "arrays" and self.entry not in LOOPS:
            raise ValueError(f"data: {self.entry} takes arrays alone")
        if self.data == "PyDataset of lists" and self.predicting:
            raise ValueError("data: a list of inputs could be the inputs, or a batch of them")
        unweighted = self.targets is not None and not self.varied
        if self.data == "PyDataset with None" and not unweighted:
            raise ValueError("data: None stands in the place of the sample weights")
        for field, given in self.forms():
            if not trained:
                raise ValueError(f"{field}: it goes with no {self.entry}")
            if isinstance(given, InOrder | Like) and len(given.values) != len(self.outputs):
                raise ValueError(
                    f"{field}: expected {len(self.outputs)} entries, one an output, "
                    f"found {len(given.values)}"
                )
            if isinstance(given, Like):
                if self.nest is None:
                    raise ValueError(f"{field}: the outputs are not nested")
                keyed = given.dicts != "the same" or given.more != "nothing"
                if keyed and self.nest.first_dict() is None:
                    raise ValueError(f"{field}: the outputs are nested in no dict")
                if given.more == "another key":
                    raise ValueError(f"{field}: it would lack an output")
        if self.metric_names != "own" and (not self.metrics or self.beside != "nothing"):
            raise ValueError("metric_names: there are no metrics, or other ones beside them")
        if self.beside != "nothing":
            from keras_repro.case.beside import changed

            changed(self)

    def _check_shared(self) -> None:
        first, last = self.outputs[0], self.outputs[-1]
        if len(self.outputs) == 1 or first.width != last.width or self.chained:
            raise ValueError("shared: the first output and the last cannot be of one layer")
        if self.shared == "one tensor" and first.predicts != last.predicts:
            raise ValueError("shared: one tensor cannot be two constants")

    def _check_keys(self) -> None:
        for output in self.outputs:
            if (output.key is None) == is_dict(self.container):
                raise ValueError(
                    f"outputs: output {output.layer!r} of a {self.container} "
                    f"{'needs a' if is_dict(self.container) else 'cannot have a'} key"
                )
        if (self.container == "nested") != (self.nest is not None):
            raise ValueError("outputs: a nest goes with nested outputs, and with no others")
        if self.nest is not None and self.branch is None:
            raise ValueError("outputs: a nest with no container in it is that container itself")
        if self.nest is not None and list(self.nest.leaves()) != list(range(len(self.outputs))):
            raise ValueError("outputs: a nest holds each of them once, in order")

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the outputs, in the order in which the model is given them."""
        return tuple(output.name for output in self.outputs)

    @property
    def branch(self) -> tuple[int, Nest] | None:
        """The first container in a nest, and its place."""
        entries = self.nest.entries if self.nest is not None else ()
        return next(((i, one) for i, one in enumerate(entries) if isinstance(one, Nest)), None)

    @property
    def refused(self) -> bool:
        """Whether Keras must refuse it: class weights of several outputs, an input or an output
        that is given nothing.
        """
        lacking = self.inputs is not None and self.inputs.lacking
        weighted = self.class_weight is not None and self.classes != "none"
        several = weighted and len(self.outputs) > 1
        return lacking or several or self.untargeted

    @property
    def untargeted(self) -> bool:
        """Whether a dict of targets lacks an output that has a loss."""
        if not isinstance(self.targets, ByName) or self.nest is not None:
            return False
        loss: Any = self.loss
        if isinstance(loss, ByName):
            trained = [name for name, value in loss.items if value is not None]
        else:
            values = getattr(loss, "values", (loss,) * len(self.outputs))
            trained = [n for n, value in zip(self.names, values, strict=True) if value is not None]
        return not set(trained) & set(self.names) <= set(self.targets.names)

    @property
    def compared(self) -> bool:
        """Whether the model is held against what it was before its round trip, as well."""
        # A `Sequential` that was never called has no `input`: not even the one that was made.
        kept = self.model != "sequential" and self.trip not in ("none", "weights", "export")
        return self.predicting and kept

    @property
    def counted(self) -> bool:
        """Whether it is looked at that the model has the weights of all layers that it holds."""
        return self.predicting and self.trip == "weights" and self.model == "subclass"

    @property
    def predicting(self) -> bool:
        """Whether the numbers are predictions."""
        return self.entry in PREDICTIONS

    @property
    def compiled_twice(self) -> bool:
        """Whether it was compiled, for another loss and with other metrics, before."""
        return self.before is not None and self.earlier == "another compile"

    @property
    def rows(self) -> tuple[int, ...]:
        """How many rows each batch has."""
        return (2,) * (self.batches - self.short) + (1,) * self.short

    @property
    def varied(self) -> bool:
        """Whether the rows of a batch differ: each has the target of the row before, plus one."""
        return self.sample_weight is not None or self.class_weight is not None

    @property
    def light(self) -> bool:
        """Whether a backend will do that has neither gradients nor graphs."""
        alone = self.beside == "nothing"
        if self.entry in UNTRAINED or self.earlier in UNTRAINED or self.trip == "export":
            return False
        return alone and self.eager and not self.jit

    def untrained(self) -> Case:
        """The same without gradients. Raises `ValueError` where there is no such case."""
        if self.beside in ("other entry", "graph"):
            raise ValueError(f"beside: {self.beside} needs gradients, or graphs")
        if self.class_weight is not None:
            raise ValueError("class_weight: it goes with training alone")
        entry = UNTRAINED.get(self.entry, self.entry)
        earlier = UNTRAINED.get(self.earlier, self.earlier)
        return self.but(entry=entry, earlier=earlier, eager=True, jit=False)

    def but(self, **changes: Any) -> Case:
        """Return the case with some fields changed, checked as every case is."""
        return replace(self, **changes)

    def forms(self) -> Iterator[tuple[str, Form[object]]]:
        """Yield each argument that is passed an output, with the name of its field."""
        for field in FORMS:
            given = getattr(self, field)
            if given is not None:
                yield field, given


FORMS: Final = (
    "loss",
    "targets",
    "loss_weights",
    "metrics",
    "weighted_metrics",
    "sample_weight",
    "before",
)
