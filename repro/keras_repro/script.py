"""A case as the program that shows it: keras and numpy, expected beside observed, an exit code.

The text is what is run, filed and bisected, so it is what a person would write, already as a code
formatter leaves it. It is put together by hand: a search renders a case for every model it tries,
and a formatter would cost more than the model. A bracket that does not fit its line is opened one
entry a line with a trailing comma, which formatters leave alone.

Public: `render` (case to text) and `read_table` (what the text printed, to numbers). Pure.
"""

from __future__ import annotations

import ast
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from keras_repro.case import ByName, Case, InOrder, One
from keras_repro.oracle import Expectation, expected

__all__ = ["literal", "read_table", "render"]

WIDTH: Final = 88

_HEAD: Final = '''\
"""{summary}"""

import sys

try:
    import keras
    import numpy as np
except Exception as error:
    print("Keras cannot be imported here:", repr(error))
    sys.exit(125)


def output(name, value):  # the input is all zeros, so an output is its bias
    bias = keras.initializers.Constant(value)
    return keras.layers.Dense(1, bias_initializer=bias, name=name)(x)


x = keras.Input((1,))
'''

_CALLS: Final = {
    "evaluate": """\
observed = model.evaluate(np.zeros((2, 1)), y, verbose=0, return_dict=True)
""",
    "fit": """\
history = model.fit(np.zeros((2, 1)), y, verbose=0).history
observed = {name: values[0] for name, values in history.items()}
""",
    "train_on_batch": """\
observed = model.train_on_batch(np.zeros((2, 1)), y, return_dict=True)
""",
    "test_on_batch": """\
observed = model.test_on_batch(np.zeros((2, 1)), y, return_dict=True)
""",
}

_TAIL: Final = """\
wrong = False
for name in expected | observed:
    want, got = expected.get(name, "-"), observed.get(name, "-")
    if "-" in (want, got):  # not every release reports the loss of each output
        good = want == "-" or name.endswith("_loss")
    else:
        good = np.isclose(got, want, rtol=1e-5)
    print(f"{name!r:10} expected {want!s:8} observed {got}", "" if good else "<- wrong")
    wrong = wrong or not good
sys.exit(1 if wrong else 0)
"""

_ROW: Final = re.compile(
    r"""('.*'|".*")\s+expected\s+(\S+)\s+observed\s+(\S+)(?:\s+<- wrong)?\s*"""
)


def render(case: Case) -> str:
    """Return the program that shows `case`: exit 0 all numbers right, 1 not, 125 no Keras here.

    What Keras raises is not caught: the traceback is shown, and Python exits with 1.
    """
    model = _Call("", "keras.Model(", ("x", _outputs(case)), ")")
    compiled: list[_Node | str] = [_After("loss=", _given(case.loss, literal))]
    if case.loss_weights is not None:
        compiled.append(_After("loss_weights=", _given(case.loss_weights, repr)))
    if case.metrics is not None:
        compiled.append(_After("metrics=", _given(case.metrics, _metric_list)))
    if case.eager:
        compiled.append("run_eagerly=True")
    numbers = expected(case)
    metrics = [one for one in numbers if one.required and one.name != "loss"]
    losses = [one for one in numbers if one not in metrics]
    return "".join(
        [
            _HEAD.format(summary=_summary(case)),
            _statement("model = ", model),
            _statement("", _Call("", "model.compile(", tuple(compiled), ")")),
            _statement("y = ", _given(case.targets, _target)),
            _CALLS[case.entry],
            _statement("expected = ", _numbers(losses)),
            _statement("expected |= ", _numbers(metrics)) if metrics else "",
            _TAIL,
        ]
    )


def read_table(stdout: str) -> Mapping[str, tuple[float | None, float | None]]:
    """Read the table that a rendered script printed: name to (expected, observed).

    Expected is None for a number that the case does not know, observed is None for one that Keras
    did not report. Other output before, between and after the rows is passed over.
    """
    rows = {}
    for line in stdout.splitlines():
        row = _ROW.fullmatch(line)
        if row:
            try:
                want, got = (None if cell == "-" else float(cell) for cell in row.group(2, 3))
                rows[str(ast.literal_eval(row[1]))] = (want, got)
            except (SyntaxError, ValueError):
                continue
    return rows


def literal(text: str) -> str:
    """Return `text` as a Python literal with the quotes that code formatters choose.

    >>> print(literal("b"), literal('say "b"'))
    "b" 'say "b"'
    """
    shown = repr(text)
    if shown[0] == '"' or text.count('"') > text.count("'"):
        return shown
    body = shown[1:-1].replace("\\'", "'").replace('"', '\\"')
    return f'"{body}"'


# ---------------------------------------------------------------------------------------------
# Layout: a value is text that has no place to break, or a bracket with its entries.


@dataclass(frozen=True)
class _Call:
    """An opening bracket with what stands before it, its entries, the closing bracket."""

    before: str
    opening: str
    entries: tuple[_Node | str, ...]
    closing: str


@dataclass(frozen=True)
class _After:
    """A value that follows a keyword or a key."""

    before: str
    value: _Node | str


_Node = _Call | _After


def _flat(node: _Node | str) -> str:
    match node:
        case str():
            return node
        case _After(before, value):
            return before + _flat(value)
        case _Call(before, opening, entries, closing):
            inner = ", ".join(_flat(entry) for entry in entries)
            comma = "," if opening == "(" and len(entries) == 1 else ""
            return f"{before}{opening}{inner}{comma}{closing}"


def _lay(node: _Node | str, indent: int, before: str, after: str) -> str:
    """Return `node` between `before` and `after`, broken where the line is too long."""
    flat = f"{before}{_flat(node)}{after}"
    if indent + _columns(flat) <= WIDTH or isinstance(node, str):
        return " " * indent + flat + "\n"
    if isinstance(node, _After):
        return _lay(node.value, indent, before + node.before, after)
    margin = " " * indent
    entries = "".join(_lay(entry, indent + 4, "", ",") for entry in node.entries)
    return f"{margin}{before}{node.before}{node.opening}\n{entries}{margin}{node.closing}{after}\n"


def _columns(text: str) -> int:
    """Return how wide `text` is: formatters count two columns for a wide character."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(unicodedata.combining(character) > 0 for character in text)


def _statement(before: str, node: _Node | str) -> str:
    return _lay(node, 0, before, "")


def _dict(items: Iterable[tuple[str, _Node | str]]) -> _Node:
    entries = tuple(_After(f"{literal(name)}: ", value) for name, value in items)
    return _Call("", "{", entries, "}")


def _outputs(case: Case) -> _Node:
    calls = [
        _Call("", "output(", (literal(output.layer), repr(output.predicts)), ")")
        for output in case.outputs
    ]
    if case.container == "dict":
        return _dict(zip(case.names, calls, strict=True))
    opening, closing = ("[", "]") if case.container == "list" else ("(", ")")
    return _Call("", opening, tuple(calls), closing)


def _given(
    given: One[Any] | InOrder[Any] | ByName[Any], shown: Callable[[Any], _Node | str]
) -> _Node | str:
    def one(value: object) -> _Node | str:
        return "None" if value is None else shown(value)

    match given:
        case One(value):
            return one(value)
        case InOrder(values):
            return _Call("", "[", tuple(one(value) for value in values), "]")
        case ByName(items):
            return _dict((name, one(value)) for name, value in items)


def _target(value: float) -> _Node:
    return _Call("", "np.full(", ("(2, 1)", repr(value)), ")")


def _metric_list(names: tuple[str, ...]) -> _Node:
    return _Call("", "[", tuple(literal(name) for name in names), "]")


def _numbers(numbers: Iterable[Expectation]) -> _Node:
    return _dict((one.name, repr(one.value)) for one in numbers)


_KINDS: Final = {One: "one", InOrder: "list", ByName: "dict"}


def _summary(case: Case) -> str:
    """One line on what the program shows: no names, they are user strings and stand below."""
    words = [f"{case.container} outputs", f"{_KINDS[type(case.loss)]} loss"]
    for word, given in (("weights", case.loss_weights), ("metrics", case.metrics)):
        if given is not None:
            words.append(f"{_KINDS[type(given)]} {word}")
    words.append(f"{_KINDS[type(case.targets)]} targets")
    return f"Keras: {', '.join(words)}."
