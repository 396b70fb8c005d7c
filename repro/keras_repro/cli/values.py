"""What the values of options are: read from what a person wrote, or refused in one line.

Public: `Duration`, `Number`, `Repeats`, `Size`, `Word`, `TO_WRITE`, `FOLDER`, `SUBJECT`.
"""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import Any

import click

__all__ = ["FOLDER", "SUBJECT", "TO_WRITE", "Duration", "Number", "Repeats", "Size", "Word"]

SIZES = {"": 1 << 30, "g": 1 << 30, "m": 1 << 20}
RUNS = 1000
"""The most runs of one build: more say nothing that these do not."""


class Number(click.FloatRange):
    """A number in a range; `nan` is in none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read what a person wrote."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number


class Word(click.ParamType[str]):
    """A word; an empty one, as of a variable that is not set, means nothing."""

    name = "word"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Read what a person wrote."""
        if not str(value).strip(" ,"):
            self.fail("it is empty. Leave the option out for its default.", param, ctx)
        return str(value).strip()


class Size(click.ParamType[int]):
    """Gigabytes, or with `m` behind it megabytes, as bytes."""

    name = "GB"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read what a person wrote."""
        if isinstance(value, int):
            return value
        found = re.fullmatch(
            r"(\d{1,9}(?:\.\d{1,9})?|\.\d{1,9})\s*([gm]?)(?:i?b)?", str(value).lower()
        )
        size = int(float(found[1]) * SIZES[found[2]]) if found else 0
        if not 1 << 20 <= size <= 1 << 50:
            self.fail(f"{value!r} is no size. Write 4 or 4g for four gigabytes, 512m.", param, ctx)
        return size


UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


class Duration(click.ParamType[float]):
    """Seconds, or with `m` or `h` behind it minutes or hours."""

    name = "TIME"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read what a person wrote."""
        if isinstance(value, float):
            return value
        found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)\s*([smh]?)", str(value).lower())
        seconds = float(found[1]) * UNITS[found[2]] if found else 0.0
        if not 0 < seconds <= 86400 * 30:
            self.fail(f"{value!r} is no time. Write 10m for ten minutes, 90s, 2h.", param, ctx)
        return seconds


class Repeats(click.ParamType[int | None]):
    """`auto`, which is None, or a number of runs."""

    name = "auto|N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read what a person wrote."""
        if value in (None, "auto"):
            return None
        if not re.fullmatch("[0-9]{1,9}", str(value)) or not 1 <= int(value) <= RUNS:
            self.fail(f"{value!r} is neither auto nor a number of runs, 1 to {RUNS}.", param, ctx)
        return int(value)


class _Path(click.Path):
    """A path that names something."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Read what a person wrote."""
        if str(value) in ("", "-"):
            self.fail(f"{str(value)!r}: expected the name of a {self.name}.", param, ctx)
        if isinstance(param, click.Option):
            # To be made: found out now, and not when there is an answer to write.
            place = Path(value) if self.name == "directory" else Path(value).parent
            above = (place.absolute(), *place.absolute().parents)
            there = next(one for one in above if one.exists())
            if not there.is_dir():
                self.fail(f"{there} is no folder.", param, ctx)
            if not Path(value).exists() and not os.access(there, os.W_OK):
                self.fail(f"{there} cannot be written.", param, ctx)
        return super().convert(value, param, ctx)  # type: ignore[return-value]


SUBJECT = _Path(path_type=Path)
TO_WRITE = _Path(dir_okay=False, path_type=Path)
FOLDER = _Path(file_okay=False, path_type=Path)
