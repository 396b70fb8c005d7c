"""The constants that cases are made of, and the value of a loss or metric of constants.

Public: `FUNCTIONS`, `CONSTANTS`, `LATER`, `Constants`, `number`, `scored`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from keras_bisect.errors import UsageError

__all__ = ["CONSTANTS", "FUNCTIONS", "LATER", "Constants", "number", "scored"]

# The losses and metrics whose value is known here. For whole numbers both are exact in float32, on
# every backend, and since 3.0.0 Keras knows them by these strings, as a loss and as a metric.
FUNCTIONS: Final[Mapping[str, Callable[[float, float], float]]] = MappingProxyType(
    {
        "mse": lambda predicted, target: (predicted - target) ** 2,
        "mae": lambda predicted, target: abs(predicted - target),
    }
)


@dataclass(frozen=True)
class Constants:
    """Predictions, targets, loss weights and sample weights, in the order of the outputs."""

    predicts: tuple[float, ...]
    targets: tuple[float, ...]
    weights: tuple[float, ...]
    samples: tuple[float, ...]


# Found by a search; tests/test_oracle.py says what they keep apart. With all targets above all
# predictions, as one would choose, swapped targets leave a sum of absolute errors as it was.
CONSTANTS: Final[Mapping[int, Constants]] = MappingProxyType(
    {
        1: Constants((9.0,), (3.0,), (2.0,), (17.0,)),
        2: Constants((9.0, 1.0), (3.0, 4.0), (2.0, 5.0), (13.0, 2.0)),
        3: Constants((25.0, 10.0, 7.0), (20.0, 28.0, 3.0), (2.0, 3.0, 6.0), (3.0, 2.0, 17.0)),
        4: Constants(
            (67.0, 47.0, 8.0, 90.0),
            (93.0, 30.0, 6.0, 62.0),
            (6.0, 10.0, 4.0, 9.0),
            (4.0, 17.0, 10.0, 11.0),
        ),
        5: Constants(
            (772.0, 591.0, 307.0, 1024.0, 1165.0),
            (713.0, 615.0, 360.0, 1010.0, 1153.0),
            (9.0, 10.0, 6.0, 8.0, 13.0),
            (9.0, 4.0, 5.0, 14.0, 7.0),
        ),
    }
)


LATER: Final = 4.0
"""What the targets of a batch are above those of the one before."""


def number(function: str, predicted: float, target: float) -> float:
    """Return the loss or metric `function` of one constant prediction and one constant target.

    >>> number("mse", 1.0, 4.0)
    9.0
    """
    if function not in FUNCTIONS:
        known = ", ".join(FUNCTIONS)
        raise UsageError(
            f"The value of {function!r} is not known here: a case uses one of {known}. "
            "Any other program can be run and bisected as a script."
        )
    return FUNCTIONS[function](predicted, target)


def scored(
    function: str,
    predicted: float,
    target: float,
    sample: float | None,
    *,
    mean: bool = False,
    rows: Sequence[int] = (2,),
) -> float:
    """Return `function` over batches of so many `rows`, of which the first weighs `sample`.

    The second row has the target of the first plus one, and weighs one; without a weight the rows
    are the same. Each batch has the targets of the one before plus `LATER`. A loss is divided by
    the number of rows, a weighted metric (`mean`) by their weights.

    >>> scored("mae", 9.0, 3.0, 4.0), scored("mae", 9.0, 3.0, 4.0, mean=True)
    (14.5, 5.8)
    >>> scored("mse", 9.0, 3.0, None, rows=(2, 2)), scored("mse", 9.0, 3.0, None, rows=(2, 1))
    (20.0, 25.333333333333332)
    """
    total = sum(
        count * _scored(function, predicted, target + LATER * batch, sample, mean)
        for batch, count in enumerate(rows)
    )
    return total / sum(rows)


def _scored(
    function: str, predicted: float, target: float, sample: float | None, mean: bool
) -> float:
    if sample is None:
        return number(function, predicted, target)
    first, second = number(function, predicted, target), number(function, predicted, target + 1)
    return (first * sample + second) / (sample + 1 if mean else 2)
