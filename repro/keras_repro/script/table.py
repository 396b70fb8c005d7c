"""What a rendered script prints, read back.

Public: `read_table`, `declined`. Pure.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Final

__all__ = ["declined", "read_table"]

_ROW: Final = re.compile(
    r"""('.*'|".*")\s+expected\s+(\S+)\s+observed\s+(\S+)(?:\s+<- wrong)?\s*"""
)


def read_table(stdout: str) -> Mapping[str, tuple[float | None, float | None]]:
    """Read the table that a rendered script printed: name to (expected, observed).

    Expected is None for a number that the case does not know, observed is None for one that Keras
    did not report. Other output before, between and after the rows is passed over.
    """
    rows = {}
    for line in stdout.splitlines():
        row = _ROW.fullmatch(line)
        if row:
            try:
                want, got = (None if cell == "-" else float(cell) for cell in row.group(2, 3))
                rows[str(ast.literal_eval(row[1]))] = (want, got)
            except (SyntaxError, ValueError):
                continue
    return rows


def declined(stdout: str) -> bool:
    """Whether Keras refused what no rule allows: the script ends well, and nothing was computed."""
    return any(line.startswith("Keras refuses ") for line in stdout.splitlines())
