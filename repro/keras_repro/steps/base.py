"""What a step is, the letters that names become, and nests that are plainer.

Public: `Step`, `LETTERS`, `ranked`, `nest_without`, `plainer_nests`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from keras_repro.case import Case, Nest

__all__ = ["LETTERS", "Step", "nest_without", "plainer_nests", "ranked"]

LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"

Step = Callable[[Case], Iterator[dict[str, Any]]]
"""What to change in a case."""


def ranked(names: Sequence[str], start: int = 0) -> list[str]:
    """Letters that sort as the names do."""
    letters = dict(zip(sorted(names), LETTERS[start:], strict=False))
    return [letters[name] for name in names]


def nest_without(nest: Nest, gone: int) -> Nest | None:
    """The nest without one of its leaves; None if nothing is left of it."""
    entries: list[int | Nest] = []
    keys: list[str] = []
    for place, entry in enumerate(nest.entries):
        kept: int | Nest | None
        if isinstance(entry, int):
            kept = None if entry == gone else entry - (entry > gone)
        else:
            kept = nest_without(entry, gone)
        if kept is not None:
            entries.append(kept)
            keys += nest.keys[place : place + 1]
    return Nest(nest.kind, tuple(entries), tuple(keys)) if entries else None


def plainer_nests(nest: Nest) -> Iterator[Nest]:
    """Less depth, plainer containers, plainer keys."""
    for index, entry in enumerate(nest.entries):
        if not isinstance(entry, int):
            before, after = nest.entries[:index], nest.entries[index + 1 :]
            if not nest.keys:
                yield replace(nest, entries=(*before, *entry.entries, *after))
            elif len(entry.entries) == 1:
                yield replace(nest, entries=(*before, entry.entries[0], *after))
    for index, entry in enumerate(nest.entries):
        if not isinstance(entry, int):
            for plainer in plainer_nests(entry):
                entries = (*nest.entries[:index], plainer, *nest.entries[index + 1 :])
                yield replace(nest, entries=entries)
    if nest.keys:
        yield Nest("list", nest.entries)
        if nest.kind != "dict":
            yield replace(nest, kind="dict")
        for keys in (LETTERS[15 : 15 + len(nest.keys)], ranked(nest.keys, 15)):
            if tuple(keys) == nest.keys:
                break
            yield replace(nest, keys=tuple(keys))
    elif nest.kind == "tuple":
        yield replace(nest, kind="list")
