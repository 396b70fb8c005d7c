"""Reduction, in worlds in which it is known what has the effect."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from keras_bisect.search.reduce import Items, Test, smallest

NAMES = [f"f{number:02}" for number in range(20)]


class World:
    """A set has the effect when it holds all of one of the causes. Remembers what was tested."""

    def __init__(self, *causes: Iterable[str], random: Random | None = None) -> None:
        self.causes = [frozenset(cause) for cause in causes]
        self.random = random
        self.tested: list[Items] = []

    def has(self, items: Items) -> bool:
        return any(cause <= set(items) for cause in self.causes)

    def __call__(self, sets: Sequence[Items]) -> Iterator[tuple[Items, bool]]:
        order = list(sets)
        if self.random:
            self.random.shuffle(order)
        for items in order:
            self.tested.append(items)
            yield items, self.has(items)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[str], list[frozenset[str]]]:
    """Up to 20 items, and up to three sets of them that are enough."""
    items = draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
    causes = st.frozensets(st.sampled_from(items), min_size=1, max_size=5)
    return items, draw(st.lists(causes, max_size=3))


@given(worlds(), st.randoms(use_true_random=False))
def test_the_smallest_set_has_the_effect_and_nothing_to_spare(
    world: tuple[list[str], list[frozenset[str]]], random: Random
) -> None:
    """Without it a report could name files that have nothing to do with the bug, or too few."""
    items, causes = world
    found = smallest(items, World(*causes, random=random))
    if not causes:
        assert found is None
        return
    assert found is not None
    has = World(*causes).has
    assert has(found)
    assert not any(has(part) for part in combinations(found, len(found) - 1) if part)
    if any(len(cause) == 1 for cause in causes):
        assert len(found) == 1
    # Order among the items is kept, so that reports agree.
    assert list(found) == [item for item in items if item in found]


@given(worlds(), st.randoms(use_true_random=False))
def test_the_answer_does_not_depend_on_which_test_ends_first(
    world: tuple[list[str], list[frozenset[str]]], random: Random
) -> None:
    """Without it two runs of one bisect could blame two files."""
    items, causes = world
    assert smallest(items, World(*causes, random=random)) == smallest(items, World(*causes))


@given(st.data())
def test_a_single_item_is_found_one_at_a_time(data: st.DataObject) -> None:
    """Without it the common case, one file, could cost more probes than there are files."""
    items = data.draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
    guilty = data.draw(st.sampled_from(items))
    world = World([guilty])
    assert smallest(items, world) == (guilty,)
    assert len(world.tested) <= len(items)


@given(st.integers(2, 20), st.data())
def test_a_pair_is_found(size: int, data: st.DataObject) -> None:
    """Without it a bug that needs two files at once would be given up."""
    items = NAMES[:size]
    pair = data.draw(st.lists(st.sampled_from(items), min_size=2, max_size=2, unique=True))
    world = World(pair)
    assert smallest(items, world) == tuple(sorted(pair))
    assert len(world.tested) <= size + 1 + 2 * size * size


def test_suspects_are_tried_first() -> None:
    """Without it each finding of a search would pay for the same answer again."""
    world = World(["f17"])
    found = smallest(NAMES, world, suspects=[("gone",), ("f03", "f04"), ("f17",), ("f17",)])
    assert found == ("f17",)
    assert world.tested == [("f17",)]
    assert smallest(NAMES, World(["f02"]), suspects=[("f17",)]) == ("f02",)


def test_nothing_is_named_when_not_even_all_have_the_effect() -> None:
    """Without it a bisect whose cause is not in the files would blame one of them."""
    world = World(["elsewhere"])
    assert smallest(["a", "b", "c"], world) is None
    assert world.tested == [("a",), ("b",), ("c",), ("a", "b", "c")]
    assert smallest(["a"], World(["elsewhere"])) is None
    assert smallest([], World()) is None


def test_an_effect_that_others_hide_is_found() -> None:
    """Without it a file that breaks alone, and is mended by its neighbour, would be missed."""

    def test(sets: Sequence[Items]) -> Iterator[tuple[Items, bool]]:
        for items in sets:
            yield items, "a" in items and "b" not in items

    flips: Test = test
    assert smallest(["a", "b", "c"], flips) == ("a",)


def test_sets_of_very_many_are_not_searched() -> None:
    """Without it a day of refactoring would cost hundreds of probes, and end in a set of dozens."""
    tested = 0

    def test(sets: Sequence[Items]) -> Iterable[tuple[Items, bool]]:
        nonlocal tested
        tested += len(sets)
        return [(one, len(one) > 60) for one in sets]

    assert smallest([str(n) for n in range(100)], test) is None
    assert tested == 100
