"""The inputs of a model as Python, and what is made of them: `x`, which is zero if all is right.

Public: `input_lines`, `ORDINALS`. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from keras_repro.case import Case, Inputs, is_dict
from keras_repro.script.forms import nested
from keras_repro.script.layout import Node, call, dictionary, listed, literal, statement

__all__ = ["ORDINALS", "input_lines"]

ORDINALS: Final = ("first", "second", "third", "fourth", "fifth")

_PLAIN: Final = "x = keras.Input((1,))\n"

_INNER: Final = """\
i = keras.Input((1,))
inner = keras.Model(i, keras.layers.Rescaling(1.0)(i))
inner.compile(loss="mse", metrics=["mae"])
inner.evaluate(np.zeros((2, 1)), np.ones((2, 1)), verbose=0)
"""

_PLUS: Final = """\
@keras.saving.register_keras_serializable()
class Plus(keras.layers.Layer):
    def call(self, x, more=None, scale=1.0):
        return x if more is None else x + more * scale


"""


def input_lines(case: Case) -> str:
    """The statements from the inputs to `x`, of which the outputs are made."""
    inner = _INNER if case.inner else ""
    if case.inputs is None:
        return inner + ("inputs = keras.Input((1,))\nx = inner(inputs)\n" if inner else _PLAIN)
    optional = any(one.optional for one in case.inputs.members)
    lines = [_PLUS if optional else "", inner]
    if case.inputs.container == "namedtuple":
        fields = ", ".join(literal(one) for one in ORDINALS[: len(case.inputs.members)])
        lines.append(f'Inputs = namedtuple("Inputs", [{fields}])\n')
    if case.inputs.inside == "nothing":
        lines += [*_members(case.inputs, optional), *_summed(case.inputs)]
    else:
        lines += _inside(case.inputs)
    lines += ["x = inner(x)\n"] if inner else []
    return "".join(lines)


def _inside(inputs: Inputs) -> Iterator[str]:
    """A model inside that makes `x` of its inputs, and the inputs of the whole, which go to it.

    Both models call their inputs alike. A dict is given in another order than it was made in.
    """
    variables = ORDINALS[: len(inputs.members)]
    pairs = list(zip(inputs.names, variables, strict=True))
    held = given = listed(variables)
    if is_dict(inputs.inside):
        held = given = dictionary(pairs, inputs.inside)
    if inputs.inside == "dict":
        given = dictionary(pairs[::-1])
    yield from _each(inputs)
    yield from _summed(inputs)
    yield statement("inside = ", call("keras.Model", held, "x"))
    yield from _members(inputs, optional=False)
    yield statement("x = ", call("inside", given))


def _each(inputs: Inputs, indent: int = 0) -> Iterator[str]:
    """The inputs, a variable each."""
    for variable, member in zip(ORDINALS, inputs.members, strict=False):
        rest = ["optional=True"] if member.optional else []
        value = call("keras.Input", "(1,)", f"name={literal(member.layer)}", *rest)
        yield statement(f"{variable} = ", value, indent)


def _members(inputs: Inputs, optional: bool) -> Iterator[str]:
    """The inputs, and what holds them; before 3.5.0 none could be optional."""
    variables = ORDINALS[: len(inputs.members)]
    if optional:
        yield "try:\n"
    yield from _each(inputs, 4 if optional else 0)
    if optional:
        yield "except TypeError as error:\n"
        yield '    print("This Keras has no optional inputs:", repr(error))\n    sys.exit(125)\n'
    if is_dict(inputs.container):
        held = dictionary(zip(inputs.names, variables, strict=True), inputs.container)
    elif inputs.nest is not None:
        held = nested(inputs.nest, variables)
    elif inputs.container == "namedtuple":
        held = call("Inputs", *variables)
    else:
        held = listed(variables, inputs.container)
    yield statement("inputs = ", held)


def _summed(inputs: Inputs) -> Iterator[str]:
    """Each input by another power of ten, less what they are if each is fed what belongs to it."""
    right = sum((inputs.amount(name) or 0.0) * 10**i for i, name in enumerate(inputs.names))
    parts: list[Node | str] = []
    more = []
    for index, (variable, member) in enumerate(zip(ORDINALS, inputs.members, strict=False)):
        scale = f"{10.0**index}"
        if member.optional:
            more.append(f"x = Plus()(x, {variable}, scale={scale})\n")
        else:
            offset = "" if parts else f", offset=-{float(right)}"
            parts.append(f"keras.layers.Rescaling({scale}{offset})({variable})")
    if len(parts) == 1:
        yield statement("x = ", parts[0])
    else:
        yield statement("x = ", call("keras.layers.Add()", listed(parts)))
    yield from more
