"""What ends a script that holds two models against each other, see `case.beside`.

Public: `compared`, `SECOND`. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from keras_repro.case import Case

__all__ = ["SECOND", "block", "compared"]

_BLOCK: Final = """\
try:
{made}    {name} = observed
except Exception as error:
    print("Keras refuses the {name}:", repr(error))
    {name} = None
"""

SECOND: Final = """
# The second: {change}. No rule says what the numbers are, but they are the same.
"""

_TAIL: Final = """
if first is None or second is None:
    sys.exit({refused})
wrong = False
{rows}
for name, one, other in rows:
    good = np.isclose(one, other, rtol=1e-5, equal_nan=True)
    print(f"{{name!r:10}} first {{one}} second {{other}}", "" if good else "<- differs")
    wrong = wrong or not good
sys.exit(1 if wrong else 0)
"""

_BY_NAME: Final = "rows = [(name, first[name], second[name]) for name in first if name in second]"
_TOTAL: Final = 'rows = [("loss", first["loss"], second["loss"])]  # the others go by name'


def block(made: Iterable[str], name: str) -> str:
    """The statements of one of the two; what Keras raises is kept as an answer."""
    return _BLOCK.format(made="".join(made), name=name)


def compared(case: Case) -> str:
    """The statements that hold the numbers of both against each other.

    No rule allows what both have in common, so a refusal is right; but the order of the keys of a
    dict must not decide about it.
    """
    refused = "first is not second" if case.beside == "other key order" else "0"
    rows = _TOTAL if case.beside == "other names" else _BY_NAME
    return _TAIL.format(refused=refused, rows=rows)
