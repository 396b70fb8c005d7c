"""Where each part of a program stands, and what the program is without some of them.

Public: `Parts`, `Place`, `Keep`, `ENTRIES`, `OPTIONAL`, `chunks`, `some`. Pure.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from keras_repro.cuts.program import (
    STATEMENTS,
    is_text,
    mended,
    put,
    unbound_of,
    well_formed,
)

__all__ = ["ENTRIES", "OPTIONAL", "Keep", "Parts", "Place", "chunks", "some"]

Keep = Callable[[ast.Module], Iterable[ast.AST]]
"""What must stay as it is, with all that is in it."""

Place = tuple[int, str, int]
"""The number of a node, its field, and which entry of it; -1 where the field is no list."""

ENTRIES: Final = {
    ast.Call: ("args", "keywords"),
    ast.List: ("elts",),
    ast.Tuple: ("elts",),
    ast.Set: ("elts",),
    ast.Dict: ("values",),
    ast.ClassDef: ("bases", "keywords", "decorator_list"),
    ast.FunctionDef: ("decorator_list",),
    ast.Import: ("names",),
    ast.ImportFrom: ("names",),
    ast.With: ("items",),
    ast.BoolOp: ("values",),
    ast.comprehension: ("ifs",),
    ast.JoinedStr: ("values",),
    ast.Delete: ("targets",),
}
OPTIONAL: Final = {
    ast.Assert: ("msg",),
    ast.FunctionDef: ("returns",),
    ast.arg: ("annotation",),
    ast.Raise: ("cause",),
    ast.Return: ("value",),
}


class Parts:
    """A program, and where each of its parts stands."""

    def __init__(self, program: ast.Module, keep: Keep = lambda _: ()) -> None:
        """Number the nodes of a program.

        Args:
            program: what may become smaller.
            keep: names what must stay.
        """
        self.program = program
        self.nodes = list(ast.walk(program))
        self.number = {id(node): number for number, node in enumerate(self.nodes)}
        self.parent = {
            id(child): node for node in self.nodes for child in ast.iter_child_nodes(node)
        }
        said = program.body[:1] if is_text(program.body[0]) else []
        self._kept = {id(one) for kept in (*keep(program), *said) for one in ast.walk(kept)}
        for node in reversed(self.nodes):
            if id(node) in self._kept and id(node) in self.parent:
                self._kept.add(id(self.parent[id(node)]))
        self.unbound = unbound_of(program)
        self._places = {
            id(entry): place for place, entry in self._all_places() if entry is not None
        }

    def _all_places(self) -> Iterator[tuple[Place, Any]]:
        for number, node in enumerate(self.nodes):
            for field in (*STATEMENTS, *ENTRIES.get(type(node), ())):
                entries = getattr(node, field, None)
                if isinstance(entries, list) and not isinstance(
                    getattr(node, "ctx", None), ast.Store
                ):
                    for index, entry in enumerate(entries):
                        yield (number, field, index), entry
                        if isinstance(node, ast.Dict):
                            yield (number, field, index), node.keys[index]
            for field in OPTIONAL.get(type(node), ()):
                yield (number, field, -1), getattr(node, field)

    def entries(self, node: ast.AST, field: str) -> list[Place]:
        """The places of a field that may become empty."""
        held = getattr(node, field)
        number = self.number[id(node)]
        return [(number, field, i) for i, e in enumerate(held) if not self.stays(e)]

    def stays(self, node: ast.AST) -> bool:
        """Whether a node must stay, or holds one that must."""
        return id(node) in self._kept

    def _holds(self, place: Place) -> ast.AST | None:
        number, field, index = place
        held = getattr(self.nodes[number], field)
        return held if index < 0 else held[index]  # type: ignore[no-any-return]

    def around(self, node: ast.AST, *, entry: bool = False) -> Place | None:
        """The smallest part that can go, and takes a node with it.

        Args:
            node: what goes.
            entry: an argument of a call is too small.
        """
        at: ast.AST | None = node
        while at is not None:
            place = self._places.get(id(at))
            if place is not None:
                owner = self.nodes[place[0]]
                small = isinstance(owner, ast.Call | ast.JoinedStr | ast.BoolOp)
                if not (entry and small) and place[2] >= 0:
                    return place
            at = self.parent.get(id(at))
        return None

    def without(self, places: Iterable[Place]) -> ast.Module | None:
        """The program without some parts, and without what needs them; None if it cannot be."""
        gone = set(places)
        for _ in range(20):
            made = self.removed(gone)
            if made is None:
                return None
            lost = unbound_of(made) - self.unbound
            if not lost:
                return made
            users = (
                node
                for node in self.nodes
                if isinstance(node, ast.Name) and node.id in lost and self._is_there(node, gone)
            )
            more = {self.around(node) for node in users} - {None} - gone
            if not more:
                return None
            gone |= more  # type: ignore[arg-type]
        return None

    def _is_there(self, node: ast.AST, gone: set[Place]) -> bool:
        at: ast.AST | None = node
        while at is not None:
            if self._places.get(id(at)) in gone:
                return False
            at = self.parent.get(id(at))
        return True

    def removed(self, places: set[Place]) -> ast.Module | None:
        """The program without some parts and no others; None if one must stay."""
        if any(one is not None and self.stays(one) for one in map(self._holds, places)):
            return None
        made, nodes = self.copied()
        for number, field, index in sorted(places, key=lambda place: -place[2]):
            owner = nodes[number]
            if index < 0:
                setattr(owner, field, None)
                continue
            del getattr(owner, field)[index]
            if isinstance(owner, ast.Dict):
                del owner.keys[index]
        return mended(made)

    def copied(self) -> tuple[ast.Module, list[ast.AST]]:
        """The program once more, and its nodes in the order of their numbers."""
        made = copy.deepcopy(self.program)
        return made, list(ast.walk(made))

    def replaced(self, node: ast.AST, by: ast.AST) -> ast.Module | None:
        """The program with one of its expressions in the place of another that holds it."""
        made, nodes = self.copied()
        old, new = nodes[self.number[id(node)]], nodes[self.number[id(by)]]
        return well_formed(put(made, old, new), self.unbound)


def chunks(parts: Parts, places: Sequence[Place]) -> Iterator[ast.Module]:
    """The program without half of some places, without a quarter, …, without one of them."""
    size = len(places) // 2 if len(places) > 3 else 1
    while size and places:
        for end in range(len(places), 0, -size):
            yield from some(parts.without(places[max(end - size, 0) : end]))
        size //= 2


def some(made: ast.Module | None) -> Iterator[ast.Module]:
    """A program, if there is one."""
    if made is not None:
        yield made
