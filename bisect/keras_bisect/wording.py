"""Words for a person: short where they are long, right where they are counted. Pure.

Public: `counted`, `cut`, `gigabytes`, `short`.
"""

from __future__ import annotations

import re

__all__ = ["counted", "cut", "gigabytes", "short"]

COMMIT = re.compile(r"(?<![\w/.-])((?:git:)?[0-9a-f]{10})[0-9a-f]{30}(?![\w/-])")
"""A commit in full, and no part of a path or of a link."""


def cut(text: str, length: int) -> str:
    """A text that is no longer than this, and says so where something is left out.

    >>> cut("no such layer", 8)
    'no such…'
    """
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def short(text: str) -> str:
    """A text with the first ten digits of each commit that it names.

    >>> short("git:8f5ad1e75b0123456789012345678901234567890, no: git:" + "1a" * 20)
    'git:8f5ad1e75b0123456789012345678901234567890, no: git:1a1a1a1a1a'
    """
    return COMMIT.sub(r"\1", text)


def counted(number: int, thing: str) -> str:
    """A number of things.

    >>> counted(1, "changed file"), counted(2, "changed file"), counted(0, "build")
    ('1 changed file', '2 changed files', '0 builds')
    """
    return f"{number} {thing}" + ("s" if number != 1 else "")


def gigabytes(size: int) -> str:
    """Bytes as `--memory` takes them.

    >>> gigabytes(4 << 30), gigabytes(1610612736), gigabytes(300 << 20), gigabytes(1000)
    ('4g', '1.5g', '300m', '1000 bytes')
    """
    for letter, unit in (("g", 1 << 30), ("m", 1 << 20)):
        if size >= unit and size * 10 % unit == 0:
            return f"{size / unit:g}{letter}"
    return f"{size} bytes"
