"""A whole case as a script.

Public: `render`. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Final

from keras_repro.case import ByName, Case, InOrder, Like, One
from keras_repro.case.beside import changed
from keras_repro.oracle import Expectation, expected, leeway, misspelt
from keras_repro.script.beside import SECOND, block, compared
from keras_repro.script.data import call_lines, compiled_before, data_lines
from keras_repro.script.forms import given, nested
from keras_repro.script.inputs import input_lines
from keras_repro.script.layout import (
    After,
    Node,
    call,
    dictionary,
    docstring,
    listed,
    literal,
    statement,
)
from keras_repro.script.model import (
    GUARDS,
    helpers,
    imports,
    model_lines,
    saved_lines,
    standing,
)

__all__ = ["render"]

_HEAD: Final = """\
{summary}

{imports}

try:
    import keras
    import numpy as np{more}
except Exception as error:
    print("Keras cannot be imported here:", repr(error))
    sys.exit(125)


"""

_GUARD: Final = """\
known = inspect.signature(keras.models.clone_model).parameters
if "{}" not in known:
    sys.exit(125)


"""
_EXPORTS: Final = """\
if keras.backend.backend() != "tensorflow":
    sys.exit(125)


"""
_MORE: Final = {
    "dataset": "\n    import tensorflow as tf",
    "DataLoader": "\n    import torch",
}
"""What is imported for some kinds of data, beside keras and numpy."""

_REFUSED: Final = """\
except Exception as error:
    print("Keras refuses it, and no rule says that it must not:", repr(error))
    sys.exit(0)
"""

_TAIL: Final = """\
wrong = False
for name in expected | observed:
    want, got = expected.get(name, "-"), observed.get(name, "-")
{good}
    print(f"{{name!r:10}} expected {{want!s:8}} observed {{got}}", "" if good else "<- wrong")
    wrong = wrong or not good
sys.exit(1 if wrong else 0)
"""

_EACH: Final = """\
each = any(name.endswith("_loss") for name in observed)
"""
_WITH_LOSSES: Final = """\
    if name in expected and name in observed:
        good = np.isclose(got, want, rtol=1e-5)
    else:  # not every release reports the loss of each output
        good = {more} or (name.endswith("_loss") and not each)"""
_ALL: Final = """\
    both = name in expected and name in observed
    good = np.isclose(got, want, rtol=1e-5) if both else {more}"""
_NOT_KEPT: Final = """\
    more = name in observed and not name.endswith("mae")  # of the first compile
"""
_NOT_ASKED: Final = """\
    more = name in observed and not name.endswith(("mae", "mse"))  # nobody asked for it
"""
_ANY_NAME: Final = """\
numbers = {which}
for name, value in expected.items():
    told = np.isclose(numbers, value, rtol=1e-5).any()
    if told and name not in observed:
        observed[name] = value  # whatever it is called
"""
_EVERY: Final = "list(observed.values())"
_METRICS: Final = '[value for name, value in observed.items() if name[-4:] != "loss"]'
_NO_OTHERS: Final = """\
    both = name in expected and name in observed
    good = name == "loss" or (both and np.isclose(got, want, rtol=1e-5))"""

_PREDICTIONS: Final = """\
wrong = False
for name, want in expected.items():
    got = observed[name]
    good = np.isclose(got, want, rtol=1e-5)
    print(f"{name!r:10} expected {want!s:8} observed {got}", "" if good else "<- wrong")
    wrong = wrong or not good
sys.exit(1 if wrong else 0)
"""


def render(case: Case) -> str:
    """Return the program that shows `case`: exit 0 all numbers right, 1 not, 125 no Keras here.

    What Keras raises is not caught: the traceback is shown, and Python exits with 1. Only where no
    rule allows what the case does is a refusal right: the program says so, and exits with 0.
    """
    if case.beside != "nothing":
        return _pair(case)
    refusable = bool(leeway(case))
    indent = 4 if refusable else 0
    numbers = expected(case)
    metrics = [one for one in numbers if one.required and one.name != "loss"]
    losses = [one for one in numbers if one not in metrics]
    lines = [
        _HEAD.format(
            summary=_summary(case),
            imports="\n".join(imports(case)),
            more=_MORE.get(case.data, ""),
        ),
        _guard(case),
        helpers(case),
        standing(case),
        "try:\n" if refusable else "",
        *model_lines(case, indent),
    ]
    if not case.predicting:
        lines += compiled_before(case, indent)
        lines += _objects(case, indent)
        lines.append(_statement(case, indent))
    lines += saved_lines(case, indent)
    lines += data_lines(case, indent)
    lines += call_lines(case, indent)
    lines.append(_REFUSED if refusable else "")
    if losses:
        lines.append(statement("expected = ", _numbers(losses)))
    if metrics:
        lines.append(statement("expected |= " if losses else "expected = ", _numbers(metrics)))
    if case.metric_names != "own":
        # A loss can have the value of a metric.
        lines.append(_ANY_NAME.format(which=_EVERY if case.metric_names == "loss" else _METRICS))
    lines.append(
        _PREDICTIONS if case.predicting else _tail(case, any(n.name != "loss" for n in losses))
    )
    return "".join(lines)


def _tail(case: Case, losses: bool) -> str:
    """What holds the numbers against each other; more may be reported than is known."""
    if case.entry == "each loss":
        return _TAIL.format(good=_NO_OTHERS)
    known, more = "", "name in observed"
    if case.compiled_twice:
        known, more = _NOT_KEPT, "more"
    elif misspelt(case):
        known, more = _NOT_ASKED, "more"
    if losses:
        return _EACH + _TAIL.format(good=known + _WITH_LOSSES.format(more=more))
    return _TAIL.format(good=known + _ALL.format(more=more))


def _guard(case: Case) -> str:
    """What ends with 125 where Keras has not what the case is about."""
    if case.trip == "export":
        return _EXPORTS
    return _GUARD.format(GUARDS[case.trip]) if case.trip in GUARDS else ""


def _pair(case: Case) -> str:
    """The program of a case that has another one beside it."""
    both = (case.but(beside="nothing"), changed(case))
    made = [
        [
            *model_lines(one, 4),
            *compiled_before(one, 4),
            _statement(one, 4),
            *saved_lines(one, 4),
            *data_lines(one, 4),
            *call_lines(one, 4),
        ]
        for one in both
    ]
    # What the second needs beyond the first are modules.
    needed = dict.fromkeys(line for one in both for line in sorted(imports(one)))
    return "".join(
        [
            _HEAD.format(
                summary=_summary(case),
                imports="\n".join(sorted(needed, key=lambda line: line.startswith("from"))),
                more=_MORE.get(case.data, ""),
            ),
            *dict.fromkeys(map(_guard, both)),
            helpers(both[1]),
            standing(case),
            block(made[0], "first"),
            SECOND.format(change=case.beside),
            "" if case.model in ("subclass", "sequential") else input_lines(case),
            block(made[1], "second"),
            compared(case),
        ]
    )


def _statement(case: Case, indent: int) -> str:
    """`model.compile(...)`."""
    assert case.loss is not None
    compiled: list[Node | str] = []
    if _untrained(case):
        compiled.append("optimizer=keras.optimizers.SGD(0.0)")
    if case.joint:
        compiled.append(After("loss=", _joined(case)))
    else:
        compiled.append(After("loss=", given(case, case.loss, lambda name: _loss(case, name))))
    if case.loss_weights is not None:
        compiled.append(After("loss_weights=", given(case, case.loss_weights, _weight(case))))
    for field in ("metrics", "weighted_metrics"):
        form = getattr(case, field)
        if form is not None:
            shown = given(case, form, lambda names: _metrics(case, names))
            compiled.append(After(f"{field}=", shown))
    if case.eager:
        compiled.append("run_eagerly=True")
    if case.steps_per_execution > 1:
        compiled.append(f"steps_per_execution={case.steps_per_execution}")
    if case.jit:
        compiled.append("jit_compile=True")
    return statement("", call("model.compile", *compiled), indent)


def _joined(case: Case) -> Node:
    """The losses in the nest of the outputs, where one stands for a whole branch."""
    assert isinstance(case.loss, Like) and case.nest is not None and case.branch is not None
    values = [literal(loss) if loss else "None" for loss in case.loss.values]
    entries = list(case.nest.entries)
    entries[case.branch[0]] = len(values)
    nest = replace(case.nest, entries=tuple(entries))
    return nested(nest, [*values, "together"], case.loss)


def _untrained(case: Case) -> bool:
    """Whether training must change nothing, for the numbers of a later batch to be the same."""
    if case.entry == "validation":
        return True
    later = case.batches > 1 or case.before is not None
    methods = ("fit", "train_on_batch")
    return later and (case.entry in methods or case.earlier in methods)


_CLASSES: Final = {"mse": "MeanSquaredError", "mae": "MeanAbsoluteError"}
_FUNCTIONS: Final = {"mse": "mean_squared_error", "mae": "mean_absolute_error"}


def _loss(case: Case, name: str) -> str:
    if case.spelling == "object" and name in _CLASSES:
        return f"keras.losses.{_CLASSES[name]}()"
    if case.spelling == "function" and name in _FUNCTIONS:
        return f"keras.losses.{_FUNCTIONS[name]}"
    return literal(name)


def _metric(case: Case, name: str, place: int) -> str:
    if case.metric_names == "one object":
        return name
    plain = case.metric_names == "own" and case.spelling != "object"
    if plain or name not in _CLASSES:
        return literal(name)
    return f'keras.metrics.{_CLASSES[name]}(name="{_called(case, name, place)}")'


def _called(case: Case, name: str, place: int) -> str:
    """What a metric of an output is called, by its place among them."""
    match case.metric_names:
        case "loss":
            return name if place else "loss"
        case "alike":
            return "m"
        case "numbered":
            return ("m", "m", "m_1")[min(place, 2)]
        case "prefixed":
            return "b_mae" if name == "mse" else name
    return name


def _metrics(case: Case, names: tuple[str, ...] | str) -> Node | str:
    if isinstance(names, str):
        return _metric(case, names, 0)
    several = (_metric(case, name, place) for place, name in enumerate(names))
    return listed(several, case.several)


def _weight(case: Case) -> Callable[[float], str]:
    return (lambda weight: str(int(weight))) if case.weights == "int" else repr


def _objects(case: Case, indent: int) -> Iterator[str]:
    """The metrics that several outputs share."""
    if case.metric_names == "one object":
        for name, kind in _CLASSES.items():
            if f"'{name}'" in repr(case.metrics):
                made = call(f"keras.metrics.{kind}", f'name="{name}"')
                yield statement(f"{name} = ", made, indent)


def _numbers(numbers: Iterable[Expectation]) -> Node:
    return dictionary((one.name, repr(one.value)) for one in numbers)


_KINDS: Final = {One: "one", InOrder: "list", ByName: "dict", Like: "nested"}


def _summary(case: Case) -> str:
    """One line on what the program shows: no names, they are user strings and stand below."""
    words = [f"{case.container} outputs" if case.container != "tensor" else "one output"]
    if case.model != "functional":
        words[0] = f"{case.model}, {words[0]}"
    if case.inputs is not None:
        kind = _kind(case.inputs.fed)
        fed = f"{case.inputs.container} inputs fed a{'n' * (kind[0] in 'OI')} {kind}"
        words.append(f"{fed} with a None" if case.inputs.fed_none else fed)
    if case.entry == "function":
        words.append("a function")
    for word, form in (
        ("loss", case.loss),
        ("weights", case.loss_weights),
        ("metrics", case.metrics),
        ("weighted metrics", case.weighted_metrics),
        ("targets", case.targets),
        ("sample weights", case.sample_weight),
    ):
        if form is not None:
            kind = _kind(form)
            words.append("one target" if (kind, word) == ("one", "targets") else f"{kind} {word}")
    if case.before is not None:
        words.append("compiled twice" if case.compiled_twice else "after another call")
    if case.inner:
        words.append("a compiled model inside")
    if case.within != "nothing":
        words.append(f"out of a {case.within} of a model inside")
    if case.model == "subclass" and case.heads != "list":
        words.append(f"layers in a {case.heads}")
    if case.shared != "nothing":
        words.append(f"{case.shared} shared")
    if case.auto:
        words.append("layers without names")
    if case.trip != "none":
        words.append(f"after {case.trip}")
    if case.beside != "nothing":
        words.append(f"and {case.beside} beside")
    if case.data == "DataLoader":
        words.append("from a DataLoader (this needs torch)")
    return docstring(f"Keras: {', '.join(words)}.")


def _kind(form: object) -> str:
    kind = getattr(form, "kind", "")
    return kind or _KINDS[type(form)]
