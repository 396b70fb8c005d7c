"""A journal, read: what was recorded, as it was told. Pure.

Each line is a JSON document with `schema` and `event`, and ends in a check sum, so a damaged line
is known for one wherever the damage is. What a killed process wrote last may be cut short: an end
without a line feed is no line, and nothing that was ever relied on.

Public: `Recorded`, `RecordedProbe`, `line_of`, `recorded`, `event_of`, `section`, `answered`,
`probes`, `identity`, `SCHEMA`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, NoReturn, TypeVar
from zlib import crc32

from keras_bisect.errors import HarnessError
from keras_bisect.events import (
    Began,
    Ended,
    Event,
    Judgement,
    Narrowed,
    Notice,
    Probed,
    Stage,
)
from keras_bisect.outcome import TREES, outcome_of
from keras_bisect.run import Run
from keras_bisect.verdict import Judged, Verdict

__all__ = [
    "SCHEMA",
    "Recorded",
    "RecordedProbe",
    "answered",
    "event_of",
    "identity",
    "line_of",
    "probes",
    "recorded",
    "section",
]

SCHEMA = 1

CHECK_LENGTH = len(', "check": "01234567"}')

Document = Mapping[str, Any]
Identity = tuple[str | int, ...]
T = TypeVar("T")


@dataclass(frozen=True)
class Recorded:
    """One line of a journal."""

    line: int
    """Its number, from 1."""
    event: Event


@dataclass(frozen=True)
class RecordedProbe(Recorded):
    """The line of a probe."""

    event: Probed
    judged: Judged | None = None
    """None where the failure was not known yet."""
    signature: str | None = None
    """The failure that it was judged by, in a few words."""


def line_of(document: Document) -> bytes:
    """A document as a line: ASCII, with its check sum as the last key."""
    # ASCII, because a script may print, and a message may hold, what UTF-8 has no bytes for.
    body = json.dumps(document).encode("ascii")
    return body[:-1] + _check(body) + b"\n"


def recorded(data: bytes, name: str) -> list[Recorded]:
    """The lines of a journal that mean something to this version, in order.

    Args:
        data: the file. What follows the last line feed is left out.
        name: of the file, for errors.

    Raises:
        HarnessError: a line is damaged, or of another schema.
    """
    found = []
    for number, line in enumerate(data.split(b"\n")[:-1], 1):
        try:
            one = _recorded(number, _document(line))
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            what = f"it has no {error}" if isinstance(error, KeyError) else error
            raise HarnessError(
                f"{name}, line {number}, is damaged: {what}. Move the file away to begin anew, or "
                "delete that line to go on without what it says."
            ) from error
        except _OtherSchema as other:
            raise HarnessError(
                f"{name}, line {number}, has schema {other}, and this version of keras-repro reads "
                f"schema {SCHEMA}. Use the version that wrote it, or move the file away."
            ) from other
        if one is not None:
            found.append(one)
    return found


def section(lines: Sequence[Recorded], run: Run | None = None) -> list[Recorded]:
    """What belongs to a search: from where it began, with all that went on with it.

    Other searches may have begun in between, such as one that was mistyped: they are left out.

    Args:
        lines: of a journal.
        run: what was asked for; by default the last search of the journal is meant.

    Returns:
        The lines from its last beginning on; none where no such search began.
    """
    begins = [number for number, one in enumerate(lines) if isinstance(one.event, Began)]
    parts = [(_began_by(lines[a]), lines[a:b]) for a, b in pairwise([*begins, len(lines)])]
    if run is None and parts:
        run = parts[-1][0].run
    own = [part for part in parts if part[0].run == run]
    fresh = [number for number, (begin, _) in enumerate(own) if not begin.resumed]
    return [one for _, part in own[fresh[-1] if fresh else 0 :] for one in part]


def answered(lines: Sequence[Recorded]) -> list[Recorded]:
    """What belongs to the last search of a journal that has an answer.

    It is of the script of the last search: that may have asked for the impossible, such as an end
    that does not exist, and what is known stays known.

    Returns:
        As `section`; none where no search of that script has an answer.
    """
    begins = [
        (number, one.event) for number, one in enumerate(lines) if isinstance(one.event, Began)
    ]
    ends = [
        number
        for number, one in enumerate(lines)
        if isinstance(one.event, Ended) and one.event.transitions
    ]
    if not begins or not ends:
        return []
    run = next((begin.run for number, begin in reversed(begins) if number < ends[-1]), None)
    if run is None or run.script != begins[-1][1].run.script:
        return []
    return section(lines[: ends[-1] + 1], run)


def probes(lines: Iterable[Recorded]) -> list[RecordedProbe]:
    """The probes among some lines, each once."""
    found: dict[Identity, RecordedProbe] = {}
    for one in lines:
        if isinstance(one, RecordedProbe):
            found.setdefault(identity(one.event), one)
    return list(found.values())


def identity(event: Probed) -> Identity:
    """What makes two tellings of a probe the same probe."""
    place = (event.script, event.folder, event.content, event.tree, event.backend)
    return (*place, event.build, event.sample)


def _began_by(one: Recorded) -> Began:
    assert isinstance(one.event, Began)
    return one.event


class _OtherSchema(Exception):  # noqa: N818
    """The number of the schema."""


def _document(line: bytes) -> Document:
    document = json.loads(line, parse_constant=_no_number)
    if not isinstance(document, dict):
        raise ValueError("it is no JSON object")
    if "check" in document:
        # A line without one was written by hand, and is taken as it is.
        body, end = line[:-CHECK_LENGTH], line[-CHECK_LENGTH:]
        if end != _check(body + b"}"):
            raise ValueError("its check sum is another")
    if document["schema"] != SCHEMA:
        raise _OtherSchema(document["schema"])
    return document


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _check(body: bytes) -> bytes:
    """How a line ends whose document is `body`."""
    return b', "check": "%08x"}' % crc32(body)


def _recorded(number: int, document: Document) -> Recorded | None:
    event = event_of(document)
    if event is None:
        return None
    if not isinstance(event, Probed):
        return Recorded(number, event)
    judged = None if document.get("verdict") is None else _judged(document)
    return RecordedProbe(number, event, judged, _maybe(document, "signature", str))


def event_of(document: Document) -> Event | None:
    """The event that `documents.event_document` made a document of.

    Returns:
        None where the document is of an event that this version does not know, or of `Learned`: of
        a failure only the words are written. Keys that it does not know are passed over.

    Raises:
        ValueError, KeyError, TypeError: the document is of no event.
    """
    kind = document.get("event")
    read = _READERS.get(kind) if isinstance(kind, str) else None
    return None if read is None else read(document)


def _began(document: Document) -> Began:
    started = _maybe(document, "started", (int, float))
    run = _get(document, "run", dict)
    return Began(
        Run(
            _get(run, "command", str),
            _get(run, "script", str),
            _get(run, "filename", str),
            _maybe(run, "good", str),
            _maybe(run, "bad", str),
            _get(run, "tree", str),
            _get(run, "backend", str),
            _get(run, "environment", dict),
            _get(run, "options", dict),
        ),
        _time(document),
        _get(document, "pid", int),
        None if started is None else float(started),
        _get(document, "resumed", bool),
    )


def _probed(document: Document) -> Probed:
    tree = _get(document, "tree", str)
    if tree not in TREES:
        raise ValueError(f"tree is {tree!r}")
    return Probed(
        script=_get(document, "script", str),
        build=_get(document, "build", str),
        content=_get(document, "content", str),
        tree=TREES[TREES.index(tree)],
        backend=_get(document, "backend", str),
        outcome=outcome_of(_get(document, "outcome", dict)),
        same_as=_maybe(document, "same_as", str),
        sample=_maybe(document, "sample", int) or 0,
        folder=_maybe(document, "folder", str) or "",
    )


def _narrowed(document: Document) -> Narrowed:
    return Narrowed(
        _get(document, "last", str),
        _get(document, "first", str),
        _get(document, "builds_left", int),
        _get(document, "steps_left", int),
    )


def _ended(document: Document) -> Ended:
    return Ended(
        _get(document, "code", int),
        _time(document),
        _get(document, "reason", str),
        tuple(_get(document, "transitions", list)),
    )


def _judged(document: Document) -> Judged:
    return Judged(Verdict(_get(document, "verdict", str)), _get(document, "detail", str))


_READERS: Mapping[str, Callable[[Document], Event]] = {
    "begin": _began,
    "stage": lambda document: Stage(_get(document, "name", str), _maybe(document, "total", int)),
    "probe": _probed,
    "judgement": lambda document: Judgement(_get(document, "build", str), _judged(document)),
    "narrowed": _narrowed,
    "notice": lambda document: Notice(_get(document, "text", str)),
    "end": _ended,
}


def _time(document: Document) -> datetime:
    time = datetime.fromisoformat(_get(document, "time", str))
    if time.tzinfo is None:
        raise ValueError(f"its time, {time}, has no time zone")
    return time


def _get(document: Document, key: str, kind: type[T] | tuple[type[T], ...]) -> T:
    value = document[key]
    if not isinstance(value, kind):
        raise ValueError(f"its {key} is {value!r}")
    return value


def _maybe(document: Document, key: str, kind: type[T] | tuple[type[T], ...]) -> T | None:
    return None if document.get(key) is None else _get(document, key, kind)
