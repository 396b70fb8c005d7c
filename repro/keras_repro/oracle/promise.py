"""What may be judged, and how strictly: the border between a bug and what nobody promised.

Three questions, each answered from the case alone:

- `promised`: do the rules say what every number must be? If not, nothing may be called wrong.
- `doubts`: what in it rests on less than the documentation or a maintainer's word? With a doubt,
  a fault is `inconsistent`, never `contract`.
- `leeway`: which form in it is allowed by no rule? Keras may then refuse the case, and that is
  right; but if it takes it, the numbers must be those of the names.

Public: `promised`, `doubts`, `leeway`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from keras_bisect.errors import UsageError
from keras_repro.case import LEVEL, ByName, Case, InOrder, Inputs, Like, One, is_dict
from keras_repro.case.beside import changed
from keras_repro.oracle.numbers import misspelt, named, reports_each, tells_each, wiring
from keras_repro.oracle.rules import extra_keys, nest_kinds, odd_dicts, partial

__all__ = ["doubts", "leeway", "promised"]


SCOPE = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*")
"""A name that may be part of what TensorFlow calls its operations (`tf.name_scope`)."""
EXTRA_KEY = "a key that no output or input has"


def promised(case: Case) -> bool:
    """Whether the rules say what every number of `case` must be: only then may anything be wrong.

    What they leave open: a model without any loss; which targets a list holds where an output has
    no loss; what a list of loss weights or metrics means for such an output; lists of lists of
    metrics for a single output; names, where the outputs have none.

    With a second case beside it, it is the other way round: only where they leave the numbers open
    is it worth asking whether the two agree.
    """
    if case.beside != "nothing":
        first, second = case.but(beside="nothing"), changed(case)
        # `fit` shuffles its rows, which shows as soon as they differ and each goes where it likes.
        shuffled = first.varied and "fit" in (first.entry, second.entry)
        return _open(first) and not shuffled
    return _settled(case)


def _open(case: Case) -> bool:
    """Whether a case can be run, and no rule says what its numbers are."""
    if case.refused or case.predicting or (case.data == "dataset" and not _sliceable(case)):
        return False
    try:
        return not _settled(case)
    except UsageError:
        return True


def _settled(case: Case) -> bool:
    if case.inputs is not None and case.inputs.lacking:
        return _lacks_alone(case, case.inputs)
    if case.untargeted:
        return _untargeted_alone(case)
    if case.data == "dataset" and not _sliceable(case):
        return False
    if case.inputs is not None and case.inputs.fed_none and case.entry == "symbolic call":
        return False  # Keras' own tests say that this is not meant to work
    if case.entry == "function" and (case.trip != "none" or case.model != "functional"):
        return False
    if case.predicting:
        # What holds a single prediction differs from method to method.
        return len(case.outputs) > 1 or case.container in ("tensor", "dict")
    for _, form in case.forms():
        if isinstance(form, ByName) and (not named(case) or case.nest is not None):
            return False
        if isinstance(form, InOrder) and case.nest is not None:
            return False
    many = len(case.outputs) > 1
    if not (named(case) or not many) and (case.metrics or case.weighted_metrics):
        return False
    if case.class_weight is not None and case.entry not in ("fit", "train_on_batch"):
        return False
    if case.class_weight is not None and any(output.width > 1 for output in case.outputs):
        return False  # a row of several numbers may be one class
    if case.refused:
        return _refused_alone(case)
    if isinstance(case.targets, One) and many:
        return False
    if isinstance(case.sample_weight, One) and case.class_weight is not None:
        return False
    wires = wiring(case)
    if not any(wire.loss for wire in wires):
        return False
    # A list is that of all outputs, or of those that have a loss; and two lists are alike.
    lists = [one for one in (case.targets, case.sample_weight) if isinstance(one, InOrder)]
    given = {tuple(value is not None for value in one.values) for one in lists}
    trained = tuple(wire.loss is not None for wire in wires)
    if len(given) > 1 or not given <= {trained, (True,) * len(wires)}:
        return False
    if case.inner and sum(wire.weight * wire.value for wire in wires) in (0.0, 1.0):
        return False  # that could be what the model inside reports
    if case.before is not None:
        wiring(case.but(targets=case.before))  # what is called before needs targets, too
        on_batch = case.entry in ("train_on_batch", "test_on_batch") and not case.compiled_twice
        unweighted = case.class_weight is not None and case.earlier in ("evaluate", "test_on_batch")
        if on_batch and (unweighted or case.before != case.targets):
            # A batch does not reset what was counted: a fault of the call before would show here.
            return False
    for asked in (case.metrics, case.weighted_metrics):
        unlike = isinstance(asked, One) if many else isinstance(asked, InOrder | Like)
        if unlike:
            return False
    if case.metric_names != "own" and not _any_names(case):
        return False
    if case.entry == "evaluate as list" and not _listed(case):
        return False
    if case.entry == "compute_metrics" and not any(w.metrics or w.weighted for w in wires):
        return False
    if case.entry == "each loss":
        weighted = case.loss_weights is not None and not reports_each(case)
        if case.metrics or case.weighted_metrics or weighted:
            return False
        if not tells_each(case) or case.joint:
            return False
    if not many:
        return not isinstance(case.loss_weights, InOrder | Like)
    if isinstance(case.loss_weights, One):
        return False
    # A list that lacks a loss in the order of a dict: which one that is nobody says.
    return not (partial(case) and is_dict(case.container) and _lists(case))


def doubts(case: Case) -> tuple[str, ...]:
    """Return what in `case` rests on less than the documentation or a maintainer's word."""
    return tuple(dict.fromkeys(_doubts(case)))


def leeway(case: Case) -> tuple[str, ...]:
    """Return the forms in `case` that no rule allows, so that Keras may refuse them."""
    return () if case.refused else tuple(dict.fromkeys(_leeway(case)))


def _doubts(case: Case) -> Iterator[str]:
    if odd_dicts(case):
        yield "a dict of another kind"
    if case.container == "namedtuple":
        yield "a namedtuple of outputs"
    if case.inputs is not None and case.inputs.container in ("namedtuple", "nested"):
        yield "inputs that are nested, or in a namedtuple"
    if is_dict(case.container):
        # Of losses and loss weights the functional guide says it; of these it is our reading.
        for field in ("targets", "metrics", "weighted_metrics"):
            if isinstance(getattr(case, field), InOrder):
                yield f"a list of {field.removeprefix('weighted_')} for a dict of outputs"
    if isinstance(case.sample_weight, InOrder | ByName | Like):
        yield "sample weights of each output"
    if case.class_weight is not None:
        yield "class weights"
    if case.model == "sequential" and any(isinstance(form, ByName) for _, form in case.forms()):
        yield "the name of the output of a Sequential"
    if case.weighted_metrics is not None:
        yield "weighted metrics"
    if partial(case) and (lists := _lists(case)):
        yield f"a list of {lists[0].removeprefix('weighted_')} where an output has no loss"
    if isinstance(case.targets, ByName) and not set(case.names) <= set(case.targets.names):
        yield "no target for some output"
    if case.data != "arrays" and case.inputs is not None and case.inputs.fed_none:
        yield "None in a batch"
    if case.data not in ("arrays", "dataset") and _in_lists(case):
        yield "a list in a batch"
    if case.joint:
        yield "one loss for a part of the outputs"
    if case.entry in LEVEL:
        yield case.entry
    if case.entry == "each loss":
        yield "the loss of each output"
    if case.inputs is not None and case.inputs.fed_none and case.entry != "call":
        yield "None among the data"
    if case.data == "PyDataset of lists":
        yield "a batch that is a list"
    if case.data == "PyDataset with None":
        yield "None in a batch"
    if case.heads not in ("list", "tuple", "dict"):
        yield f"layers in a {case.heads}"
    if case.compiled_twice:
        yield "what a second compile leaves of the first"
    if case.short:
        yield "a last batch that is smaller"
    if case.weights == "int" and case.loss_weights is not None:
        yield "loss weights that are no floats"
    if case.several == "tuple" and (case.metrics or case.weighted_metrics):
        yield "a tuple of the metrics of an output"
    if case.trip == "clone compiled":
        yield "whether a clone is compiled"
    if case.entry == "evaluate as list" and case.metrics and case.weighted_metrics:
        yield "which of the metrics come first"
    if case.trip == "export":
        yield "what an exported model gives"
    if case.data == "DataLoader":
        yield "what torch makes of a batch"
    if case.nest is not None and len(case.outputs) == 1:
        yield "a nest of one output"
    layers = {output.layer for output in case.outputs} if not case.auto else set()
    graph = not case.eager or case.entry == "symbolic call"
    if graph and not all(map(SCOPE.fullmatch, layers)):
        # Keras takes any name, and TensorFlow's graphs do not.
        yield "a layer with a name that TensorFlow takes for none"
    held = {case.container, *nest_kinds(case)}
    held |= {case.inputs.container} if case.inputs is not None else set()
    if case.compared and "tuple" in held:
        # A list means the same.
        yield "whether a tuple comes back as a list"
    if isinstance(case.loss_weights, Like):
        yield "nested loss weights"
    if case.nest is not None and case.metrics is not None:
        yield "what metrics of nested outputs are called"
    for field, given in case.forms():
        if isinstance(given, InOrder) and given.kind == "tuple":
            yield f"a tuple of {field.removeprefix('weighted_')}"
    if case.metric_names == "one object":
        yield "one metric object for several outputs"
    elif case.metric_names != "own":
        yield "names of metrics that clash"
    if case.metrics is not None and _repeats(case):
        yield "the same metric twice"
    # That such a key moves nothing is a rule (R24); that it may be refused takes nothing away.
    yield from (one for one in _leeway(case) if one != EXTRA_KEY)


def _leeway(case: Case) -> Iterator[str]:
    if extra_keys(case):
        yield EXTRA_KEY
    inputs = case.inputs
    if inputs is not None and isinstance(inputs.fed, Like) and inputs.fed.swapped:
        yield "a tuple for a list inside a nest"
    if inputs is not None and is_dict(inputs.container) and isinstance(inputs.fed, InOrder):
        yield "a list for a dict of inputs"
    if inputs is not None and case.entry == "function" and not _made_for(inputs):
        yield "a function that is fed another container than it was made of"
    by_name = inputs is not None and isinstance(inputs.fed, ByName)
    if inputs is not None and by_name and not is_dict(inputs.container) and "call" in case.entry:
        yield "a call with a dict for a list of inputs"
    if case.container == "tensor" and isinstance(case.targets, InOrder):
        yield "a list of targets for a tensor"
    if case.container != "tensor" and isinstance(case.targets, One):
        yield "a tensor of targets for a list of outputs"
    if case.predicting:
        return
    if isinstance(case.metrics, One) and isinstance(case.metrics.value, str):
        yield "metrics that are no list"
    if isinstance(case.loss_weights, One):
        yield "a loss weight that is no list or dict"
    if len(case.outputs) == 1 and case.loss_weights is not None:
        yield "loss weights of one output"
    names = set(case.names)
    for field in ("loss_weights", "metrics", "weighted_metrics", "sample_weight"):
        given = getattr(case, field)
        # Metrics are in as much doubt, be they weighted or not.
        what = field.removeprefix("weighted_")
        if isinstance(given, ByName) and not names <= set(given.names):
            yield f"no {what} for some output"
        if isinstance(given, InOrder | Like) and None in given.values:
            yield f"None in {what}"
        if given is not None and partial(case) and field != "sample_weight":
            yield f"{what} where an output has no loss"
    each = case.sample_weight is not None and not isinstance(case.sample_weight, One)
    if each and _held(case.sample_weight) != _held(case.targets):
        yield "sample weights in another container than targets"
    if case.before is not None and type(case.before) is not type(case.targets):
        yield "another form of targets than in the call before"
    swapped = [isinstance(given, Like) and given.swapped for _, given in case.forms()]
    if any(swapped):
        yield "a tuple for a list inside a nest"
    if case.class_weight is not None and not isinstance(case.targets, One):
        yield "class weights and targets in a container"
    if case.class_weight is not None and case.data in ("generator", "DataLoader"):
        yield f"class weights beside a {case.data}"


def _lists(case: Case) -> list[str]:
    """The arguments that are given in order."""
    fields = ("targets", "sample_weight", "loss_weights", "metrics", "weighted_metrics")
    return [name for name in fields if isinstance(getattr(case, name), InOrder | Like)]


def _in_lists(case: Case) -> bool:
    """Whether inputs or targets stand in a list, which TensorFlow takes for one tensor."""
    # Torch makes lists of tuples.
    kinds = {"list", "tuple"} if case.data == "DataLoader" else {"list"}
    forms = [case.targets, case.inputs.fed if case.inputs is not None else None]
    held = {one.kind for one in forms if isinstance(one, InOrder)} | set(nest_kinds(case))
    return not kinds.isdisjoint(held)


def _made_for(inputs: Inputs) -> bool:
    """Whether a function is fed the container that its inputs are in; any dict will do for one."""
    if is_dict(inputs.container):
        return isinstance(inputs.fed, ByName) and set(inputs.fed.names) == set(inputs.names)
    if isinstance(inputs.fed, Like):
        return inputs.fed in (Like(inputs.fed.values), Like(inputs.fed.values, turned=True))
    held = "tuple" if inputs.container == "namedtuple" else inputs.container
    return isinstance(inputs.fed, InOrder) and inputs.fed.kind == held


def _refused_alone(case: Case) -> bool:
    """Whether nothing but its class weights could be a reason to refuse a case."""
    natural = ByName if is_dict(case.container) else InOrder
    fields = {field for field, _ in case.forms()}
    return (
        fields == {"loss", "targets"}
        and isinstance(case.loss, One)
        and isinstance(case.targets, natural)
        and (not isinstance(case.targets, ByName) or set(case.targets.names) == set(case.names))
        and case.data in ("arrays", "dataset", "PyDataset")
    )


def _any_names(case: Case) -> bool:
    """Whether metrics are told by their numbers alone, whatever they are called."""
    told = case.entry not in ("evaluate as list", "compute_loss", "evaluate inside")
    around = (case.inputs, case.weighted_metrics, case.before) == (None,) * 3
    around = around and not misspelt(case)
    return told and around and case.within == "nothing" and case.trip != "weights"


def _lacks_alone(case: Case, inputs: Inputs) -> bool:
    """Whether nothing but an input without data could be a reason to refuse a case."""
    called = case.entry in ("call", "predict", "predict_on_batch")
    plain = case.data == "arrays" and case.trip == "none" and inputs.inside == "nothing"
    return called and plain and not any(one.optional for one in inputs.members)


def _untargeted_alone(case: Case) -> bool:
    """Whether nothing but a target that is missing could be a reason to refuse a case."""
    plain = {field for field, _ in case.forms()} == {"loss", "targets"} and case.inputs is None
    called = case.entry in ("fit", "evaluate", "train_on_batch", "test_on_batch")
    around = case.data == "arrays" and case.trip == "none" and case.within == "nothing"
    return plain and called and around and case.class_weight is None and named(case)


def _held(given: object) -> object:
    """What holds the values of a form; a list and a tuple mean the same."""
    kind = "" if isinstance(given, InOrder) else getattr(given, "kind", "")
    return (type(given), kind, getattr(given, "swapped", False))


def _sliceable(case: Case) -> bool:
    """Whether tf.data takes the data as they are: of a list it makes one tensor."""
    if case.inputs is not None and case.inputs.fed_none:
        return False
    forms = [case.targets, case.sample_weight, case.inputs.fed if case.inputs else None]
    return not any(isinstance(one, InOrder) and one.kind == "list" for one in forms) and not any(
        isinstance(one, Like) for one in forms
    )


def _listed(case: Case) -> bool:
    """Whether the order of the metrics, as compiled, is that of the outputs in every reading."""
    if not any(wire.metrics or wire.weighted for wire in wiring(case)):
        return False  # then it is no list, for one output
    for given in (case.metrics, case.weighted_metrics):
        if not isinstance(given, ByName):
            continue
        if list(given.names) != [name for name in case.names if name in given.names]:
            return False
    many = len(case.outputs) > 1
    return not (many and case.metrics and case.weighted_metrics) and not _repeats(case)


def _repeats(case: Case) -> bool:
    return any(len(set(wire.metrics)) < len(wire.metrics) for wire in wiring(case))
