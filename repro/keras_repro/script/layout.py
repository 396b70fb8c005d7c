"""Python text as a code formatter leaves it, put together by hand.

A search renders a case for every model it tries, and a formatter would cost more than the model. A
value is text that has no place to break, or a bracket with its entries; a bracket that does not fit
its line is opened one entry a line with a trailing comma, which formatters leave alone.

Public: `Call`, `After`, `Node`, `statement`, `literal`, and the brackets that cases are made of.
"""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

__all__ = [
    "After",
    "Call",
    "Node",
    "call",
    "columns",
    "dictionary",
    "docstring",
    "listed",
    "literal",
    "statement",
]

WIDTH: Final = 88


@dataclass(frozen=True)
class Call:
    """An opening bracket with what stands before it, its entries, the closing bracket."""

    before: str
    opening: str
    entries: tuple[Node | str, ...]
    closing: str


@dataclass(frozen=True)
class After:
    """A value that follows a keyword or a key."""

    before: str
    value: Node | str


Node = Call | After


def _flat(node: Node | str) -> str:
    match node:
        case str():
            return node
        case After(before, value):
            return before + _flat(value)
        case Call(before, opening, entries, closing):
            inner = ", ".join(_flat(entry) for entry in entries)
            comma = "," if opening == "(" and len(entries) == 1 else ""
            return f"{before}{opening}{inner}{comma}{closing}"


def _lay(node: Node | str, indent: int, before: str, after: str) -> str:
    """Return `node` between `before` and `after`, broken where the line is too long."""
    flat = f"{before}{_flat(node)}{after}"
    if indent + columns(flat) <= WIDTH or isinstance(node, str):
        return " " * indent + flat + "\n"
    if isinstance(node, After):
        return _lay(node.value, indent, before + node.before, after)
    margin = " " * indent
    entries = "".join(_lay(entry, indent + 4, "", ",") for entry in node.entries)
    return f"{margin}{before}{node.before}{node.opening}\n{entries}{margin}{node.closing}{after}\n"


def columns(text: str) -> int:
    """Return how wide `text` is: formatters count two columns for a wide character."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(unicodedata.combining(character) > 0 for character in text)


def statement(before: str, node: Node | str, indent: int = 0, after: str = "") -> str:
    """A statement: a value, and what stands before and after it."""
    return _lay(node, indent, before, after)


def call(name: str, *entries: Node | str) -> Call:
    """A call: `np.full((2, 1), 3.0)`."""
    return Call("", f"{name}(", entries, ")")


def listed(entries: Iterable[Node | str], kind: str = "list") -> Node:
    """A list or a tuple."""
    opening, closing = ("(", ")") if kind == "tuple" else ("[", "]")
    return Call("", opening, tuple(entries), closing)


def dictionary(items: Iterable[tuple[str, Node | str]], kind: str = "dict") -> Node:
    """A dict, or a dict in the call that makes another kind of it."""
    entries = tuple(After(f"{literal(name)}: ", value) for name, value in items)
    held = Call("", "{", entries, "}")
    if kind == "OrderedDict":
        return Call("", "OrderedDict(", (held,), ")")
    if kind == "defaultdict":
        return Call("", "defaultdict(", ("None", held), ")")
    return held


def docstring(text: str) -> str:
    """A text as a docstring, wrapped where it is too long for its line."""
    if len(text) + 6 <= WIDTH:
        return f'"""{text}"""'
    return '"""' + textwrap.fill(text, WIDTH - 8, break_long_words=False) + '\n"""'


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
