"""The model of a case as Python: its inputs, its layers, what it goes through.

Public: `imports`, `helpers`, `standing`, `model_lines`, `saved_lines`. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from keras_repro.case import BY_KEY, Case, Output, is_dict
from keras_repro.script.forms import nested
from keras_repro.script.inputs import ORDINALS, input_lines
from keras_repro.script.layout import (
    After,
    Call,
    Node,
    call,
    dictionary,
    listed,
    literal,
    statement,
)

__all__ = ["GUARDS", "helpers", "imports", "model_lines", "saved_lines", "standing"]


GUARDS: Final = {"clone recursively": "recursive", "clone by call": "call_function"}
"""Arguments of `clone_model` that not every release has."""


def imports(case: Case) -> list[str]:
    """The modules of the standard library that the script needs, a line each."""
    text = repr(case)
    kinds = [kind for kind in ("OrderedDict", "defaultdict", "deque") if f"'{kind}'" in text]
    held = (case.container, case.heads, case.inputs.container if case.inputs else "")
    if "namedtuple" in held:
        kinds.append("namedtuple")
    lines = ["import inspect"] if case.trip in GUARDS else []
    lines += ["import os", "import sys", "import tempfile"] if _files(case) else ["import sys"]
    return lines + ([f"from collections import {', '.join(kinds)}"] if kinds else [])


def helpers(case: Case) -> str:
    """The function that makes an output, or its layer, and the inputs it is made of."""
    inputs = "" if case.model in ("subclass", "sequential") else input_lines(case)
    return _maker(case) + inputs


def _maker(case: Case) -> str:
    layers = _makes_layers(case)
    kernel = ""
    note = "the input is all zeros, so an output is its bias"
    if case.chained:
        kernel, note = 'kernel_initializer="zeros", ', "an output is its bias"
    elif case.inputs is not None:
        kernel, note = 'kernel_initializer="ones", ', "x is zero, and this its bias"
    elif case.shared == "one layer":
        kernel, note = 'kernel_initializer="ones", ', "an output is its bias, and x"
    units = ", units=1" if _wide(case) else ""
    names = "" if case.auto else "name, "
    given = f"{names}value{', x' if case.chained else ''}{units}"
    name = "" if case.auto else ", name=name"
    inside = f"{'units' if units else '1'}, {kernel}bias_initializer=bias{name}"
    called = "" if layers else "(x)"
    made = f"keras.layers.Dense({inside}){called}"
    if len(made) + 11 > 88:
        made = f"keras.layers.Dense(\n        {inside}\n    ){called}"
    return (
        f"def {'head' if layers else 'output'}({given}):  # {note}\n"
        "    bias = keras.initializers.Constant(value)\n"
        f"    return {made}\n\n\n"
    )


def _makes_layers(case: Case) -> bool:
    """Whether the function makes layers, that are called elsewhere."""
    return case.model in ("subclass", "sequential") or case.shared == "one layer"


def standing(case: Case) -> str:
    """Classes and functions that the model needs."""
    first = ""
    if case.container == "namedtuple":
        fields = ", ".join(literal(one) for one in ORDINALS[: len(case.outputs)])
        first = f'Outputs = namedtuple("Outputs", [{fields}])\n'
    if case.heads == "namedtuple":
        fields = ", ".join(literal(one) for one in ORDINALS[: len(case.outputs)])
        first += f'Held = namedtuple("Held", [{fields}])\n'
    made = []
    if case.joint:
        made.append(_together(case))
    if case.model == "functional subclass":
        made.append("class Model(keras.Model):\n    pass\n")
    if case.model == "subclass":
        made.append(_class(case))
    if case.trip == "weights" and case.model != "subclass":
        body = "".join(_built(case, "return ", 4, scaled=True))
        made.append(f"def build(scale):\n{body}")
    # A head ends with two empty lines, the inputs with none.
    apart = "\n\n" if first or case.model not in ("subclass", "sequential") else ""
    return first + (apart + "\n\n".join(made) + "\n\n" if made else "")


def _together(case: Case) -> str:
    """The loss of a branch, which takes each output in it by its path."""
    assert case.branch is not None
    paths = [
        "".join(f"[{literal(step) if isinstance(step, str) else step}]" for step in path)
        for path in case.branch[1].paths()
    ]
    errors = listed(f"y_true{path} - y_pred{path}" for path in paths)
    return (
        "def together(y_true, y_pred):\n"
        + statement("errors = ", errors, 4)
        + "    squares = [keras.ops.mean(keras.ops.square(e), -1) for e in errors]\n"
        + "    return sum(squares)\n"
    )


def _class(case: Case) -> str:
    """The model's class; what holds the layers is in a layer of its own where the case says so."""
    parameters = (", scale" if case.trip == "weights" else "") + _by_key(case, ", order")
    held = (
        f"    def __init__(self{parameters}):\n"
        "        super().__init__()\n"
        f"{_heads(case)}\n"
        "    def call(self, x):\n"
        f"{_called(case)}"
    )
    held += statement("return ", _held(case, [f"heads[{i}]" for i in range(len(case.outputs))]), 8)
    if case.holder == "model":
        return f"class Model(keras.Model):\n{held}"
    return (
        f"class Heads(keras.layers.Layer):\n{held}\n\n"
        "class Model(keras.Model):\n"
        f"    def __init__(self{parameters}):\n"
        "        super().__init__()\n"
        f"        self.inside = Heads({parameters[2:]})\n\n"
        "    def call(self, x):\n"
        "        return self.inside(x)\n"
    )


def _heads(case: Case) -> str:
    """The statements that make the layers and put them into their container."""
    heads = [_output(case, one, scaled=case.trip == "weights") for one in case.outputs]
    margin = " " * 8
    named = list(zip(case.names, heads, strict=True))
    match case.heads:
        case "list" | "tuple":
            return statement("self.heads = ", listed(heads, case.heads), 8)
        case "list of lists":
            return statement("self.heads = ", listed(listed([head]) for head in heads), 8)
        case "deque":
            return statement("self.heads = ", call("deque", listed(heads)), 8)
        case "namedtuple":
            return statement("self.heads = ", call("Held", *heads), 8)
        case "lists that grow":
            made = f"{margin}self.heads = []\n"
            for place, head in enumerate(heads):
                made += f"{margin}self.heads.append([])\n"
                made += statement("", call(f"self.heads[{place}].append", head), 8)
            return made
        case "list by assignment":
            made = f"{margin}self.heads = [None] * {len(heads)}\n"
            for place, head in enumerate(heads):
                made += statement(f"self.heads[{place}] = ", head, 8)
            return made
        case "list by insert":
            made = f"{margin}self.heads = []\n"
            for head in reversed(heads):
                made += statement("", call("self.heads.insert", "0", head), 8)
            return made
        case "set":
            lazily = ((name, After("lambda: ", head)) for name, head in named)
            made = statement("heads = ", dictionary(lazily), 8)
            return f"{made}{margin}self.heads = {{heads[name]() for name in order}}\n"
        case "dict of lists":
            named = [(name, listed([head])) for name, head in named]
    made = statement("heads = ", dictionary(named), 8)
    if case.heads == "dict by setdefault":
        made += f"{margin}self.heads = {{}}\n{margin}for name in order:\n"
        return f"{made}{margin}    self.heads.setdefault(name, heads[name])\n"
    if case.heads == "dict by update":
        made += f"{margin}self.heads = {{}}\n"
        return f"{made}{margin}self.heads.update({{name: heads[name] for name in order}})\n"
    ordered = "{name: heads[name] for name in order}"
    if case.heads in ("OrderedDict", "defaultdict"):
        factory = "None, " if case.heads == "defaultdict" else ""
        ordered = f"{case.heads}({factory}{ordered})"
    return f"{made}{margin}self.heads = {ordered}\n"


def _called(case: Case) -> str:
    """The statements that call the layers, in the order of the outputs."""
    margin = " " * 8
    if case.heads == "set":
        layers = [literal(output.layer) for output in case.outputs]
        called = f"{margin}found = {{head.name: head(x) for head in self.heads}}\n"
        called += statement("names = ", listed(layers), 8)
        return f"{called}{margin}heads = [found[name] for name in names]\n"
    inside = "[0]" if case.heads in ("dict of lists", "list of lists", "lists that grow") else ""
    if case.heads not in BY_KEY:
        return f"{margin}heads = [head{inside}(x) for head in self.heads]\n"
    called = statement("names = ", listed(map(literal, case.names)), 8)
    return f"{called}{margin}heads = [self.heads[name]{inside}(x) for name in names]\n"


def _by_key(case: Case, shown: str) -> str:
    return shown if case.heads in BY_KEY else ""


def _order(case: Case, names: Sequence[str]) -> str:
    return _by_key(case, ", [" + ", ".join(map(literal, names)) + "]")


def model_lines(case: Case, indent: int) -> Iterator[str]:
    """The statements that make the model, up to what stands before `compile`."""
    margin = " " * indent
    if case.trip == "weights":
        made = "Model" if case.model == "subclass" else "build"
        first = f"model = {made}(1.0{_order(case, case.names)})\n"
        yield from _if_nested(case, indent, lambda further: iter([" " * further + first]))
        if case.model == "subclass":
            yield f"{margin}model(np.zeros((2, 1)))\n"
        yield f'{margin}path = os.path.join(tempfile.mkdtemp(), "model.weights.h5")\n'
        yield f"{margin}model.save_weights(path)\n"
        if case.heads == "set":
            inside = "inside." if case.holder == "layer" else ""
            yield f"{margin}order = [head.name for head in model.{inside}heads]\n"
            orders = (listed(map(literal, one)) for one in (case.names[::-1], case.names))
            yield statement("orders = ", listed(orders), indent)
            yield f"{margin}made = [Model(0.0, names) for names in orders * 10]\n"
            found = f"[h.name for h in m.{inside}heads]"
            yield f"{margin}others = [m for m in made if {found} != order]\n"
            yield f"{margin}model = (others or made)[0]\n"
        else:
            yield f"{margin}model = {made}(0.0{_order(case, case.names[::-1])})\n"
        if case.model == "subclass":
            yield f"{margin}model(np.zeros((2, 1)))\n"
        yield f"{margin}model.load_weights(path)\n"
        return
    yield from _if_nested(
        case, indent, lambda further: _built(case, "model = ", further, scaled=False)
    )
    if case.compared:
        yield f"{margin}made = model\n"
    if case.trip == "config":
        yield f"{margin}model = type(model).from_config(model.get_config())\n"
    elif case.trip == "export":
        yield f"{margin}keras.config.disable_interactive_logging()\n"
        yield f'{margin}path = os.path.join(tempfile.mkdtemp(), "model")\n'
        yield f"{margin}model.export(path)\n"
        yield f'{margin}model = keras.layers.TFSMLayer(path, call_endpoint="serve")\n'
    elif case.trip == "clone":
        yield f"{margin}model = keras.models.clone_model(model)\n"
    elif case.trip == "clone recursively":
        yield f"{margin}model = keras.models.clone_model(model, recursive=True)\n"
    elif case.trip == "clone by call":
        call_function = "lambda layer, *given, **more: layer(*given, **more)"
        clone = call("keras.models.clone_model", "model", f"call_function={call_function}")
        yield statement("model = ", clone, indent)


def _if_nested(case: Case, indent: int, lines: Callable[[int], Iterator[str]]) -> Iterator[str]:
    """The lines; that a release makes no model of what is nested is no fault of routing."""
    if case.nest is None and (case.inputs is None or case.inputs.nest is None):
        yield from lines(indent)
        return
    margin = " " * indent
    yield f"{margin}try:\n"
    yield from lines(indent + 4)
    yield f"{margin}except ValueError as error:\n"
    yield f'{margin}    print("This Keras makes no such model:", repr(error))\n'
    yield f"{margin}    sys.exit(125)\n"


def saved_lines(case: Case, indent: int) -> Iterator[str]:
    """The statements that save and load, or clone, the compiled model."""
    margin = " " * indent
    if case.trip == "clone compiled":
        yield f"{margin}model = keras.models.clone_model(model)\n"
        yield f"{margin}if not model.compiled:\n{margin}    sys.exit(125)\n"
    if case.trip != "save":
        return
    objects = ', custom_objects={"Model": Model}' if case.model == "functional subclass" else ""
    yield f'{margin}path = os.path.join(tempfile.mkdtemp(), "model.keras")\n'
    yield f"{margin}model.save(path)\n"
    yield f"{margin}model = keras.models.load_model(path{objects})\n"


def _built(case: Case, before: str, indent: int, *, scaled: bool) -> Iterator[str]:
    if case.model == "subclass":
        yield f"{' ' * indent}{before}Model({_order(case, case.names)[2:]})\n"
        return
    if case.model == "sequential":
        head = _output(case, case.outputs[0], scaled=scaled)
        yield statement(
            before, call("keras.Sequential", listed(["keras.Input((1,))", head])), indent
        )
        return
    maker = "Model" if case.model == "functional subclass" else "keras.Model"
    if case.entry == "function":
        maker = "keras.Function"
    source = "inputs" if case.inner or case.inputs is not None else "x"
    outputs: list[Any] = [_output(case, one, scaled=scaled) for one in case.outputs]
    if case.within != "nothing":
        yield from _inner_model(case, outputs, indent)
        source, outputs = "inputs", list(_taken(case))
    elif case.chained:
        for index, output in enumerate(case.outputs):
            of = ORDINALS[index - 1] if index else "x"
            made = _output(case, output, scaled=scaled, of=of)
            yield statement(f"{ORDINALS[index]} = ", made, indent)
            outputs[index] = ORDINALS[index]
    elif case.shared == "one tensor":
        yield statement("shared = ", outputs[0], indent)
        outputs = ["shared", *outputs[1:-1], "shared"]
    elif case.shared == "one layer":
        yield statement("shared = ", outputs[0], indent)
        apart = case.outputs[-1].predicts - case.outputs[0].predicts
        yield f"{' ' * indent}moved = keras.layers.Rescaling(1.0, offset={apart!r})(x)\n"
        called = (replace(made, closing=f"{made.closing}(x)") for made in outputs[1:-1])
        outputs = ["shared(x)", *called, "shared(moved)"]
    yield statement(before, call(maker, source, _held(case, outputs)), indent)


def _inner_model(case: Case, outputs: Sequence[Node | str], indent: int) -> Iterator[str]:
    """The model inside, and what it makes of the input of the whole."""
    margin = " " * indent
    if case.within == "list":
        held = listed(outputs)
    else:
        held = dictionary(zip(case.names, outputs, strict=True), case.within)
    yield statement("inside = ", call("keras.Model", "x", held), indent)
    yield f"{margin}inputs = keras.Input((1,))\n{margin}made = inside(inputs)\n"


def _taken(case: Case) -> Iterator[Call | str]:
    """The outputs of the model inside, each with its name, as it is."""
    for index, output in enumerate(case.outputs):
        name = [] if case.auto else [f"name={literal(output.layer)}"]
        place = str(index) if case.within == "list" else literal(output.name)
        made = call("keras.layers.Rescaling", "1.0", *name)
        yield f"made[{place}]" if case.direct else replace(made, closing=f")(made[{place}])")


def _output(case: Case, output: Output, *, scaled: bool, of: str = "") -> Node:
    value = f"{output.predicts!r} * scale" if scaled else repr(output.predicts)
    rest = [of] if of else []
    rest += [f"units={output.width}"] if output.width > 1 else []
    name = [] if case.auto else [literal(output.layer)]
    maker = "head" if _makes_layers(case) else "output"
    return call(maker, *name, value, *rest)


def _held(case: Case, outputs: Sequence[Node | str]) -> Node | str:
    if case.container == "tensor":
        return outputs[0]
    if case.container == "namedtuple":
        return call("Outputs", *outputs)
    if case.nest is not None:
        return nested(case.nest, outputs)
    if is_dict(case.container):
        return dictionary(zip(case.names, outputs, strict=True), case.container)
    return listed(outputs, case.container)


def _wide(case: Case) -> bool:
    return any(output.width > 1 for output in case.outputs)


def _files(case: Case) -> bool:
    return case.trip in ("save", "export", "weights")
