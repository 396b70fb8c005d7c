"""Without these, what is left of a script could hold what was never in it, or never be done."""

from __future__ import annotations

import ast
import contextlib
import sys
from collections.abc import Callable, Iterable
from unittest.mock import MagicMock, patch

import pytest

from keras_repro.cuts import STEPS, Keep, Parts, parse, text_of
from keras_repro.reading import render
from test_case import EVERYTHING

TWO_HEADS = '''\
"""Two heads."""
# Copyright somebody.
import logging
import os
import keras

UNITS = 8

class Settings:
    epochs = 3

def head(name, value, units):
    bias = keras.Constant(value)
    return keras.Dense(units, bias=bias, name=name)

def build(inputs):
    x = keras.Dense(UNITS)(inputs)
    return keras.Model(x, [head("price", 9.0, 1), head("age", 1.0, 1), head("size", 2.0, 1)])

def main():
    logging.info("start")
    source = keras.Input(4)
    model = build(source)
    model.compile(loss={"price": "mse", "age": "mse", "size": "mse"}, lr=UNITS)
    with keras.scope():
        y = {"price": 3, "age": 4, "size": 5}  # by name
        if os.environ.get("CHECK", "yes"):
            assert model.evaluate(y, epochs=Settings.epochs) == 45, "wrong"

if __name__ == "__main__":
    main()
'''


def reduced(text: str, holds: Callable[[str], bool], keep: Keep = lambda _: ()) -> str:
    """A text from which nothing more can be taken while something holds."""
    program, tried = parse(text), 0
    while True:
        found = next(
            (made for step in STEPS for made in step(Parts(program, keep)) if holds(text_of(made))),
            None,
        )
        if found is None:
            return text_of(program)
        program, tried = found, tried + 1
        assert tried < 1000, "it does not end"


def test_only_what_is_needed_is_left() -> None:
    """Lost: a script that is only a little smaller than somebody's whole program."""

    def holds(text: str) -> bool:
        keras = MagicMock()
        with patch.dict(sys.modules, {"keras": keras}), contextlib.suppress(Exception):
            exec(text, {"__name__": "__main__"})
        return keras.Model.return_value.compile.called and keras.Model.call_args.args != ()

    left = '"""Two heads."""\nimport keras\n\nmodel = keras.Model([])\nmodel.compile()\n'
    assert reduced(TWO_HEADS, holds) == left


def test_what_belongs_together_goes_together() -> None:
    """Lost: three outputs where one shows it, since none of their parts can go alone."""

    def holds(text: str) -> bool:
        names = [text.count(f'"{name}"') + text.count(f"'{name}'") for name in heads]
        # A real Keras refuses a model whose losses and outputs are not of the same names.
        return set(names) <= {0, 3} and sum(names) >= 3 and "compile(" in text

    heads = ("price", "age", "size")
    text = reduced(TWO_HEADS, holds)
    assert sum(name in text for name in heads) == 1
    assert "Settings" not in text and "__main__" not in text and "def build" not in text


def test_what_was_not_changed_stays_as_it_was_written() -> None:
    """Lost: a script in quotes and brackets that its author never wrote."""
    text = "import keras\n\nx = keras.Input((1,))  # of one\ny = {'a': 1e-5,\n     'b': 2}\nz = 3\n"

    def holds(one: str) -> bool:
        return "Input((1,))" in one and "1e-05" in one.replace("1e-5", "1e-05") and "2}" in one

    assert reduced(text, holds) == text.removesuffix("z = 3\n")


def test_what_must_stay_stays() -> None:
    """Lost: the 125 of a script that shows a bug in a Keras that cannot be imported."""

    def keep(program: ast.Module) -> Iterable[ast.AST]:
        return [one for one in ast.walk(program) if isinstance(one, ast.With | ast.If)]

    text = reduced(TWO_HEADS, lambda _: True, keep)
    assert "with keras.scope()" in text and "__main__" in text and "def head" not in text


@pytest.mark.parametrize("text", [TWO_HEADS, render(EVERYTHING).text])
def test_every_cut_is_a_smaller_program(text: str) -> None:
    """Lost: a search that goes in circles, or is full of programs that cannot run."""
    program = parse(text)
    parts = Parts(program)
    for step in STEPS:
        for made in step(parts):
            again = ast.parse(text_of(made))
            assert Parts(again).unbound <= parts.unbound
            assert _size(made) < _size(program) or step.__name__ in ("functions", "constants")
    assert ast.dump(program) == ast.dump(ast.parse(text))


def _size(program: ast.Module) -> tuple[int, int]:
    nodes = list(ast.walk(program))
    whole = (node.value for node in nodes if isinstance(node, ast.Constant))
    return len(nodes), sum(one for one in whole if type(one) is int)
