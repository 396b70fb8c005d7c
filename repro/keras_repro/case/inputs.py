"""The inputs of a model, what holds them, and how they are fed.

Public: `Input`, `Inputs`. Pure data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from keras_repro.case.choices import Container, Within
from keras_repro.case.forms import MORE, ByName, InOrder, Like, Nest, is_dict, only

__all__ = ["Input", "Inputs"]


@dataclass(frozen=True)
class Input:
    """One input: the name of its layer, and its key in dict inputs."""

    layer: str
    key: str | None = None
    optional: bool = False
    """Whether it may be fed None."""

    @property
    def name(self) -> str:
        """What a dict of data calls it: the key in dict inputs, else the layer."""
        return self.layer if self.key is None else self.key


ASTRAY: Final = 7.0
"""What a key is fed that no input has: no input is fed that much."""


@dataclass(frozen=True)
class Inputs:
    """The inputs of a model, what holds them, and how they are fed.

    Whatever reaches the wrong input moves every prediction, by an amount that says what it was.
    """

    members: tuple[Input, ...]
    container: Container
    fed: InOrder[float | None] | ByName[float | None] | Like[float | None]
    """In a namedtuple, a tuple is that."""
    inside: Within = "nothing"
    """What holds the inputs of a model inside, to which they go first."""
    nest: Nest | None = None
    """How they are nested, where `container` is `nested`."""

    def __post_init__(self) -> None:
        """Check names and keys, and the length of what is fed in order."""
        if self.container == "tensor":
            raise ValueError("inputs: they cannot stand in a tensor")
        nested = (self.container == "nested", self.nest is not None, isinstance(self.fed, Like))
        if any(nested) != all(nested):
            raise ValueError("inputs: nested ones have a nest, and are fed alike; others not")
        if self.nest is not None and list(self.nest.leaves()) != list(range(len(self.members))):
            raise ValueError("inputs: a nest holds each of them once, in order")
        if self.nest is not None and all(isinstance(one, int) for one in self.nest.entries):
            raise ValueError("inputs: a nest with no container in it is that container itself")
        if not self.members:
            raise ValueError("inputs: expected at least one input, found none")
        only([one.layer for one in self.members], "the input layers")
        only([one.name for one in self.members], "the inputs")
        for one in self.members:
            if (one.key is not None) != is_dict(self.container):
                raise ValueError(f"inputs: {one.layer!r} of a {self.container}: a key is amiss")
        if isinstance(self.fed, InOrder | Like) and len(self.fed.values) != len(self.members):
            raise ValueError(f"inputs: expected {len(self.members)} arrays, one an input")
        if isinstance(self.fed, Like) and self.fed.more != "nothing" and not self._keyed:
            raise ValueError("inputs: they are nested in no dict")
        if self.inside != "nothing" and any(one.optional for one in self.members):
            raise ValueError("inputs: a model inside is given all of them")
        if all(one.optional for one in self.members):
            raise ValueError("inputs: all of them are optional")
        for one in self.members:
            if self.amount(one.name) is None and not one.optional:
                raise ValueError(f"inputs: {one.layer!r} is not optional")

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the inputs, in the order in which the model is given them."""
        return tuple(one.name for one in self.members)

    @property
    def fed_names(self) -> tuple[str, ...]:
        """The names in the order in which they are fed, with those that no input has."""
        if isinstance(self.fed, Like) and self.fed.more == "a key":
            return (MORE, *self.names)
        return self.fed.names if isinstance(self.fed, ByName) else self.names

    @property
    def lacking(self) -> bool:
        """Whether some input is given nothing, not even None."""
        if isinstance(self.fed, Like):
            return self.fed.more == "another key"
        return not set(self.names) <= set(self.fed_names)

    @property
    def _keyed(self) -> bool:
        return self.nest is not None and self.nest.first_dict() is not None

    @property
    def fed_none(self) -> bool:
        """Whether some input is fed None."""
        return any(self.amount(name) is None for name in self.names)

    @property
    def fed_ordered(self) -> bool:
        """Whether they are fed in an `OrderedDict`, or some of them."""
        if isinstance(self.fed, InOrder):
            return False
        if isinstance(self.fed, ByName):
            return self.fed.kind == "OrderedDict"
        kinds = set(self.nest.kinds()) if self.nest is not None else set()
        return "OrderedDict" in (kinds if self.fed.dicts == "the same" else {self.fed.dicts})

    def amount(self, name: str) -> float | None:
        """What an input is fed, or a key that none has; nothing (zero) where a dict lacks it."""
        if isinstance(self.fed, ByName):
            return self.fed.as_dict().get(name, 0.0)
        if name not in self.names:
            return ASTRAY
        return self.fed.values[self.names.index(name)]
