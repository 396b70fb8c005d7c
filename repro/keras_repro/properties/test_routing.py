"""Losses, targets, weights and metrics reach the outputs that they are meant for (R1 to R29)."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given

from keras_repro.case import Case
from keras_repro.reading import AnyCase
from keras_repro.strategies import cases


def test_routing(holds: Callable[[AnyCase], None]) -> None:
    """Every number that a model reports is the one that the documentation says."""

    @given(cases())
    def test(case: Case) -> None:
        holds(case)

    test()
