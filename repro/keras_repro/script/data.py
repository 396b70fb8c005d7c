"""The data of a case as Python, and the call that they are passed to.

Public: `data_lines`, `call_lines`, `compiled_before`. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from keras_repro.case import (
    LEVEL,
    MORE,
    SLICED,
    ByName,
    Case,
    Entry,
    Form,
    InOrder,
    Like,
    One,
    is_dict,
)
from keras_repro.oracle import LATER, REFUSED, RESULTS, expected, kept, named, reports_each
from keras_repro.script.forms import given, nested
from keras_repro.script.layout import After, Node, call, dictionary, listed, literal, statement

__all__ = ["call_lines", "compiled_before", "data_lines"]

HISTORY: Final = {
    "fit": "observed = {name: values[0] for name, values in history.items()}",
    "validation": ('observed = {k[4:]: v[0] for k, v in history.items() if k.startswith("val_")}'),
}

LOGS: Final = "return_dict=True"
METHODS: Final[Mapping[Entry, str]] = {
    "validation": "fit",
    "evaluate as list": "evaluate",
    "each loss": "evaluate",
    "evaluate inside": "evaluate",
}


def data_lines(case: Case, indent: int) -> Iterator[str]:
    """The statements that make the data, up to what stands before the call."""
    margin = " " * indent
    apart = "\n" if indent else "\n\n"
    if case.targets is not None:
        made = _given_targets(case, case.targets)
        if _by_batch(case):
            yield f"{apart}{margin}def y(batch):\n"
            yield statement("return ", made, indent + 4)
            yield apart
        else:
            yield statement("y = ", made, indent)
    if case.sample_weight is not None:
        some = _without_none(case.sample_weight)
        shown = given(case, some, lambda value: _row_weights(case, value))
        yield statement("w = ", shown, indent)
    if case.data != "arrays":
        yield statement("x = ", _features(case), indent)
        yield from _source_lines(case, indent)


def _source_lines(case: Case, indent: int) -> Iterator[str]:
    """The statements that make a source of batches; each has other targets than the one before."""
    margin = " " * indent
    apart = "\n" if indent else "\n\n"
    parts = ["x"] if case.predicting else ["x", "y(batch)" if _by_batch(case) else "y"]
    parts += ["w"] if case.sample_weight is not None else []
    parts += ["None"] if case.data == "PyDataset with None" else []
    batch = ", ".join(parts) if len(parts) > 1 else "(x,)"
    whole = f"({batch})" if len(parts) > 1 else batch
    count = "batch" if _by_batch(case) else "_"
    if case.data == "dataset":
        yield f"{margin}data = tf.data.Dataset.from_tensor_slices({whole}).batch(2)\n"
    elif case.data == "DataLoader":
        yield f"{margin}batches = [{whole} for {count} in range({case.batches})]\n"
        yield f"{margin}data = torch.utils.data.DataLoader(batches, batch_size=None)\n"
    elif case.data == "generator":
        yield f"{apart}{margin}def batches():\n"
        yield f"{margin}    for {count} in range({case.batches}):\n"
        yield f"{margin}        yield {batch}\n{apart}"
    else:
        batch = f"[{batch}]" if case.data == "PyDataset of lists" else batch
        index = "batch" if _by_batch(case) else "index"
        yield f"{apart}{margin}class Batches(keras.utils.PyDataset):\n"
        yield f"{margin}    def __len__(self):\n{margin}        return {case.batches}\n\n"
        yield f"{margin}    def __getitem__(self, {index}):\n"
        yield f"{margin}        return {batch}\n{apart}"


def _by_batch(case: Case) -> bool:
    """Whether each of several batches is made by itself."""
    return case.batches > 1 and case.data not in SLICED and not case.predicting


def call_lines(case: Case, indent: int) -> Iterator[str]:
    """The statements of the call whose numbers count, and of one that is made before it."""
    margin = " " * indent
    if case.refused:
        yield from _refused(case, indent)
        return
    if case.predicting:
        yield from _prediction(case, indent)
        return
    if case.entry in LEVEL:
        weight = ["sample_weight=w"] if case.sample_weight is not None else []
        yield statement("x = ", _features(case), indent)
        parts = ["x=x", "y=y", "y_pred=model(x)", *weight]
        asked = f"model.{case.entry}({', '.join(parts)})"
        if case.entry == "compute_loss":
            yield f"{margin}loss = {asked}\n"
            yield f'{margin}observed = {{"loss": float(loss)}}\n'
            return
        yield f"{margin}metrics = {asked}\n"
        yield f"{margin}observed = {{name: float(value) for name, value in metrics.items()}}\n"
        return
    method = METHODS.get(case.entry, case.entry)
    if case.before is not None and not case.compiled_twice:
        earlier = _given_targets(case, case.before)
        other = method if case.earlier == "the same" else case.earlier
        yield statement("", call(f"model.{other}", *_passed(case, earlier, other)), indent)
    passed = _passed(case, "y", method)
    if case.entry == "validation":
        weight = ["w"] if case.sample_weight is not None else []
        if case.data == "arrays":
            check: Node | str = listed([_features(case), "y", *weight], "tuple")
        else:
            check = _source(case)
        passed.append(After("validation_data=", check))
    if method == "fit":
        made = call("model.fit", *passed)
        yield statement("history = ", made, indent, ".history")
        yield f"{margin}{HISTORY[case.entry]}\n"
    elif case.entry == "evaluate as list":
        yield statement("values = ", call("model.evaluate", *passed), indent)
        known = [one.name for one in expected(case) if one.required]
        names = [name for name in known[1:] if name != RESULTS]
        shown = listed(literal(name) for name in names)
        made = call("dict", call("zip", shown, f"values[-{len(names)}:]", "strict=True"))
        yield statement('observed = {"loss": values[0]} | ', made, indent)
        if RESULTS in known:
            yield f'{margin}observed["{RESULTS}"] = len(values)\n'
    elif case.entry == "evaluate inside":
        yield statement("", call(f"model.{method}", *passed), indent)
        ones = call("inner.evaluate", "np.zeros((2, 1))", "np.ones((2, 1))", "verbose=0", LOGS)
        yield statement("observed = ", ones, indent)
    elif case.entry == "each loss" and not reports_each(case):
        yield statement("logs = ", call(f"model.{method}", *passed, LOGS), indent)
        yield f'{margin}losses = sorted(value for name, value in logs.items() if name != "loss")\n'
        yield f'{margin}observed = {{f"loss {{i}}": loss for i, loss in enumerate(losses, 1)}}\n'
    else:
        yield statement("observed = ", call(f"model.{method}", *passed, LOGS), indent)


def _refused(case: Case, indent: int) -> Iterator[str]:
    """The call that must be refused: class weights in so many words, what lacks in any."""
    margin = " " * indent
    if case.predicting:
        rest = ["verbose=0"] if case.entry == "predict" else []
        method = "" if case.entry == "call" else f".{case.entry}"
        made = call(f"model{method}", _features(case), *rest)
    else:
        made = call(f"model.{case.entry}", *_passed(case, "y", case.entry))
    yield f"{margin}try:\n" + statement("", made, indent + 4)
    yield f'{margin}    observed = {{"{REFUSED}": 0.0}}\n'
    if case.class_weight is None:
        lacks = "an output" if case.untargeted else "an input"
        yield f"{margin}except Exception:  # {lacks} is given nothing\n"
        yield f'{margin}    observed = {{"{REFUSED}": 1.0}}\n'
        return
    yield f"{margin}except ValueError as error:\n"
    yield f'{margin}    named = "class_weight" in str(error)\n'
    yield f'{margin}    observed = {{"{REFUSED}": float(named)}}\n'


def compiled_before(case: Case, indent: int) -> Iterator[str]:
    """The statements of a model that is compiled for another loss, and evaluated, before."""
    if case.before is None or not case.compiled_twice:
        return
    parts: list[Node | str] = ['loss="mse"']
    if len(case.outputs) == 1:
        parts.append('metrics=["mae"]')
    elif named(case) and case.nest is None:
        by_name = dictionary((name, '["mae"]') for name in case.names)
        parts.append(After("metrics=", by_name))
    parts += ["run_eagerly=True"] if case.eager else []
    yield statement("", call("model.compile", *parts), indent)
    targets = _given_targets(case, case.before)
    made = call("model.evaluate", _features(case), targets, "verbose=0")
    yield statement("", made, indent)


def _passed(case: Case, targets: Node | str, method: str) -> list[Node | str]:
    """The arguments of a method that is given features and targets."""
    on_batch = method in ("train_on_batch", "test_on_batch")
    passed: list[Node | str] = []
    if case.data == "arrays":
        passed += [_features(case), targets]
        if case.sample_weight is not None:
            passed.append("sample_weight=w")
    else:
        passed.append(_source(case))
    if case.class_weight is not None and method in ("fit", "train_on_batch"):
        assert case.targets is not None
        target = int(next(iter(_values(case.targets))))
        classes: dict[int, float | None] = {}
        for first in range(target, target + case.batches * int(LATER), int(LATER)):
            classes |= {first: case.class_weight} if case.classes != "none" else {}
            classes |= {first + 1: 1.0} if case.classes == "all" else {}
        passed.append(f"class_weight={classes}")
    if case.batches > 1 and case.data == "arrays" and not on_batch:
        passed.append("batch_size=2")
    if case.batches > 1 and case.entry == "validation":
        passed.append("shuffle=False")
    return passed if on_batch else [*passed, "verbose=0"]


def _source(case: Case) -> str:
    return {"dataset": "data", "DataLoader": "data", "generator": "batches()"}.get(
        case.data, "Batches()"
    )


def _values(form: Form[float]) -> Iterator[float]:
    match form:
        case One(value):
            yield value
        case InOrder(values) | Like(values):
            yield from values
        case ByName(items):
            yield from (value for _, value in items)


def _prediction(case: Case, indent: int) -> Iterator[str]:
    margin = " " * indent
    features = _features(case)
    if case.entry == "predict":
        source = features if case.data == "arrays" else _source(case)
        yield statement("prediction = ", call("model.predict", source, "verbose=0"), indent)
    elif case.entry == "predict_on_batch":
        yield statement("prediction = ", call("model.predict_on_batch", features), indent)
    elif case.entry in ("call", "function"):
        yield statement("prediction = ", call("model", features), indent)
    elif case.inputs is None:
        yield f"{margin}again = keras.Input((1,))\n"
        yield f"{margin}outer = keras.Model(again, model(again))\n"
        yield statement("prediction = ", call("outer", features), indent)
    else:
        fed = case.inputs.fed
        values = [value for _, value in fed.items] if isinstance(fed, ByName) else [*fed.values]
        values += (
            [case.inputs.amount(MORE)] if isinstance(fed, Like) and fed.more == "a key" else []
        )
        yield f"{margin}again = [keras.Input((1,)) for _ in range({len(values)})]\n"
        order = iter(range(len(values)))
        shown = _fed(case, lambda _: f"again[{next(order)}]")
        made = call("keras.Model", "again", call("model", shown))
        yield statement("outer = ", made, indent)
        arrays = listed(f"np.full((2, 1), {value!r})" for value in values)
        yield statement("prediction = ", call("outer", arrays), indent)
    shown = dictionary(
        (name, f"float(prediction{path}[0, 0])")
        for name, path in zip(case.names, _paths(case), strict=True)
    )
    yield statement("observed = ", shown, indent)
    for name, true in kept(case).items():
        yield f'{margin}observed["{name}"] = float({true})\n'


def _paths(case: Case) -> Iterator[str]:
    """How each output is taken from a prediction."""
    if case.nest is not None:
        for path in case.nest.paths():
            yield "".join(f"[{literal(step) if isinstance(step, str) else step}]" for step in path)
    elif case.container == "tensor":
        yield ""
    elif is_dict(case.container):
        yield from (f"[{literal(name)}]" for name in case.names)
    else:
        yield from (f"[{index}]" for index in range(len(case.outputs)))


def _features(case: Case) -> Node | str:
    rows = _rows(case)
    if case.inputs is None:
        return f"np.zeros(({rows}, 1))"
    return _fed(case, lambda value: f"np.full(({rows}, 1), {value!r})")


def _fed(case: Case, shown: Any) -> Node | str:
    assert case.inputs is not None
    fed = case.inputs.fed
    if isinstance(fed, Like):
        assert case.inputs.nest is not None
        values = [shown(value) for value in fed.values]
        more = shown(case.inputs.amount(MORE)) if fed.more == "a key" else "None"
        return nested(case.inputs.nest, values, fed, more)
    if case.inputs.container == "namedtuple" and isinstance(fed, InOrder) and fed.kind == "tuple":
        return call("Inputs", *(shown(value) for value in fed.values))
    return given(case, fed, shown)


def _rows(case: Case) -> int:
    """Rows of an array: those of all batches, or of one where batches are made one by one."""
    return 2 if case.data not in SLICED else sum(case.rows)


def _without_none(form: Form[Any]) -> Form[Any]:
    """A list without the outputs that are given nothing."""
    if not isinstance(form, InOrder):
        return form
    return replace(form, values=tuple(value for value in form.values if value is not None))


def _given_targets(case: Case, form: Form[Any]) -> Node | str:
    return given(case, _without_none(form), _targets(case, form))


def _targets(case: Case, form: Form[Any]) -> Any:
    """What writes the target of an output: of a certain width, so it must know the output."""
    widths = {output.name: output.width for output in case.outputs}
    order = list(form.names) if isinstance(form, ByName) else list(case.names)
    if isinstance(form, InOrder):
        pairs = zip(case.names, form.values, strict=True)
        order = [name for name, value in pairs if value is not None]
    names = iter(order)

    def shown(value: float) -> Node | str:
        width = widths.get(next(names, ""), 1)
        if not case.varied and case.batches == 1:
            return call("np.full", f"(2, {width})", repr(value))
        if _by_batch(case):
            return call("np.add", str(rows(value, width, 0, 2)), f"{LATER} * batch")
        several = [rows(value, width, batch, count) for batch, count in enumerate(case.rows)]
        return call("np.array", listed(str(row) for one in several for row in one))

    def rows(value: float, width: int, batch: int, count: int) -> list[list[float]]:
        first = value + LATER * batch
        return [[first + (place if case.varied else 0)] * width for place in range(count)]

    return shown


def _row_weights(case: Case, value: float) -> str:
    rows = _rows(case)
    times = f" * {rows // 2}" if rows > 2 else ""
    return f"np.array([{value!r}, 1.0]{times})"
