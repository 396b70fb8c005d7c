"""What a step is, and the letters that names become.

Public: `Step`, `LETTERS`, `ranked`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from keras_repro.case import Case

__all__ = ["LETTERS", "Step", "ranked"]

LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"

Step = Callable[[Case], Iterator[dict[str, Any]]]
"""What to change in a case."""


def ranked(names: Sequence[str], start: int = 0) -> list[str]:
    """Letters that sort as the names do."""
    letters = dict(zip(sorted(names), LETTERS[start:], strict=False))
    return [letters[name] for name in names]
