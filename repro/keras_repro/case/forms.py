"""The ways to pass a value an output: one for all, in order, by name, in the outputs' own nesting.

A form is what a user writes: a list and a tuple in the same order are two values of `InOrder`, and
an `OrderedDict` is a `ByName` of another kind.

Public: `One`, `InOrder`, `ByName`, `Like`, `Form`, `Nest`, `MORE`, `is_dict`. Pure data.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Generic, Literal, TypeVar

__all__ = [
    "MORE",
    "ByName",
    "Dicts",
    "Form",
    "InOrder",
    "Like",
    "Lists",
    "Nest",
    "One",
    "is_dict",
    "only",
]

T_co = TypeVar("T_co", covariant=True)

Lists = Literal["list", "tuple"]
Dicts = Literal["dict", "OrderedDict", "defaultdict"]
MORE: Final = "More"
"""A key that no nest has; it sorts before all that they have."""


@dataclass(frozen=True)
class One(Generic[T_co]):
    """One value for all outputs: `loss="mse"`."""

    value: T_co


@dataclass(frozen=True)
class InOrder(Generic[T_co]):
    """A list or a tuple, one value an output: `loss=["mse", None]`.

    A target or a sample weight that is None is not in it: what an output without a loss needs.
    """

    values: tuple[T_co, ...]
    kind: Lists = "list"


@dataclass(frozen=True)
class ByName(Generic[T_co]):
    """A dict, in the order in which it is written: `loss={"b": "mse", "a": "mae"}`.

    It may lack a name, and have one that no output has.
    """

    items: tuple[tuple[str, T_co], ...]
    kind: Dicts = "dict"

    def __post_init__(self) -> None:
        """Refuse a name that stands twice: a dict cannot hold it."""
        only([name for name, _ in self.items], "a dict")

    @property
    def names(self) -> tuple[str, ...]:
        """The keys, in the order in which they are written."""
        return tuple(name for name, _ in self.items)

    def as_dict(self) -> dict[str, T_co]:
        """Return the plain dict, in the same order."""
        return dict(self.items)


@dataclass(frozen=True)
class Like(Generic[T_co]):
    """One value an output, nested as the outputs are: `loss={"p": ["mse", "mae"], "q": "mse"}`.

    The values stand in the order of the outputs. With `turned` each dict is written from its last
    key to its first, with `swapped` each list is a tuple and each tuple a list; `dicts` is the kind
    of each dict, where it is not that of the outputs. The first dict may have a key `MORE` beside
    its own, or in the place of its first.
    """

    values: tuple[T_co, ...]
    turned: bool = False
    swapped: bool = False
    dicts: Literal["the same", "dict", "OrderedDict"] = "the same"
    more: Literal["nothing", "a key", "another key"] = "nothing"


Form = One[T_co] | InOrder[T_co] | ByName[T_co] | Like[T_co]


@dataclass(frozen=True)
class Nest:
    """A nested structure of outputs: each entry is an output's number, or a nest in its turn.

    The outputs are numbered as they stand: 0, 1, 2 from the first that is written to the last.
    """

    kind: Lists | Dicts
    entries: tuple[int | Nest, ...]
    keys: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that a dict has a key an entry, and that nothing is empty."""
        if not self.entries:
            raise ValueError("outputs: a container in a nest is empty")
        if len(self.keys) != (len(self.entries) if is_dict(self.kind) else 0):
            raise ValueError(f"outputs: a {self.kind} in a nest has {len(self.keys)} keys")
        only(list(self.keys), "a nest")

    def leaves(self) -> Iterator[int]:
        """Yield the numbers of the outputs in it, in their order."""
        for entry in self.entries:
            if isinstance(entry, Nest):
                yield from entry.leaves()
            else:
                yield entry

    def kinds(self) -> Iterator[Lists | Dicts]:
        """Yield the kind of each container in it, its own first."""
        yield self.kind
        for entry in self.entries:
            if isinstance(entry, Nest):
                yield from entry.kinds()

    def first_dict(self) -> Nest | None:
        """Return the outermost dict in it, the first as it is written."""
        inside = [entry for entry in self.entries if isinstance(entry, Nest)]
        found = (self,) if is_dict(self.kind) else map(Nest.first_dict, inside)
        return next((one for one in found if one is not None), None)

    def paths(self) -> Iterator[tuple[str | int, ...]]:
        """Yield the keys and positions that lead to each output, in their order."""
        for place, entry in enumerate(self.entries):
            step = self.keys[place] if self.keys else place
            if isinstance(entry, Nest):
                yield from ((step, *path) for path in entry.paths())
            else:
                yield (step,)


def is_dict(kind: str) -> bool:
    """Whether a container of this kind has keys."""
    return kind in ("dict", "OrderedDict", "defaultdict")


def only(names: Sequence[str], what: str) -> None:
    """Raise `ValueError` where a name stands more than once."""
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"{what}: the name {twice[0]!r} stands more than once")
