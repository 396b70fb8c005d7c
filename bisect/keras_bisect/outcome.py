"""What one run of a script did, before anybody judges it.

What happened and what it means are two types: an `Outcome` says that the script ended with exit
code 1 after a `KeyError` inside Keras; whether that is *bad* is for `verdict.py`. Pure data.

Outcomes are written down, in journals and in the cache, so their JSON is here, too, and only here.

Public: `Outcome`, `Ended`, `Loaded`, `Raised`, `Tree`, `outcome_document`, `outcome_of` (with
`loaded_of`, `raised_of` for its parts), `VERSION`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

__all__ = [
    "TREES",
    "VERSION",
    "Ended",
    "Loaded",
    "Outcome",
    "Raised",
    "Tree",
    "loaded_of",
    "outcome_document",
    "outcome_of",
    "raised_of",
]

VERSION = 2
"""Of probes: to be raised with whatever changes what a script sees or what is reported of it."""

LONGEST = 1e9
"""Seconds; no probe takes thirty years."""

Tree = Literal["optree", "dm-tree"]
"""What `keras.tree` rests on: what Keras takes by itself, or what it takes without optree."""

TREES: tuple[Tree, Tree] = ("optree", "dm-tree")


class Ended(StrEnum):
    """How the process of a script ended."""

    EXIT = "exit"
    """By itself, with an exit code."""
    SIGNAL = "signal"
    """Killed by a signal that the harness did not send: a crash."""
    TIMEOUT = "timeout"
    """Killed by the harness: it ran longer than it was given."""
    MEMORY = "memory"
    """Killed by the harness: it and its children used more memory than they were given."""
    ABSENT = "absent"
    """It never began: the build cannot be had."""


@dataclass(frozen=True)
class Loaded:
    """The Keras that a script imported, as its own process saw it."""

    path: str
    """The file `keras/__init__.py` was loaded from."""
    version: str | None = None
    """`keras.__version__`; None where the import did not get that far."""
    tree: str | None = None
    """`optree`, `dm-tree` or `torchtree`, under `keras.tree`; None where it could not be told."""


@dataclass(frozen=True)
class Raised:
    """An exception that left the script, or the import of Keras."""

    type: str
    """The class, with its module unless it is a built-in: `KeyError`, `keras.src.…Error`."""
    message: str
    frames: tuple[str, ...] = ()
    """The last frames inside Keras, outermost first, as `src/trainers/compile_utils.py:call`."""
    line: int | None = None
    """The line of the script that was running: of its own frames the innermost; None if none."""

    def __str__(self) -> str:
        """One line, as the end of a traceback."""
        line = " ".join(self.message.split())
        return f"{self.type}: {line}" if line else self.type


@dataclass(frozen=True)
class Outcome:
    """One probe: one run of one script under one build."""

    ended: Ended
    code: int | None
    """The exit code, or the number of the signal; None where the harness ended it."""
    seconds: float
    loaded: Loaded | None = None
    """None where the script never imported keras."""
    import_error: Raised | None = None
    """Why `import keras` failed, where it did."""
    raised: Raised | None = None
    """The exception that ended the script, where one did."""
    stdout: str = ""
    """What it printed, bounded: the beginning and the end are kept."""
    stderr: str = ""
    read: tuple[str, ...] = ()
    """Files and folders of the user that it read, as absolute paths: modules beside it, data.

    Neither the build, nor Python and what is installed, nor its own working folder. A folder was
    listed. Only what Python opened is seen, and files that the script names by a literal.
    """
    beyond: str = ""
    """What else it may depend on and cannot be held against later, in a few words: a program that
    it started, the network, more files than are noted; empty if nothing of it was seen."""
    touched: bool = False
    """It, or what it started, wrote into or removed from the folder of the Keras it was given."""
    era: str = ""
    """The day, ISO 8601, of the environment of another time that it ran in; empty: the present."""


def outcome_document(outcome: Outcome) -> dict[str, Any]:
    """An outcome as a JSON document; `outcome_of` gives it back, equal."""
    return {
        "ended": str(outcome.ended),
        "code": outcome.code,
        "seconds": outcome.seconds,
        "loaded": _loaded_document(outcome.loaded),
        "import_error": _raised_document(outcome.import_error),
        "raised": _raised_document(outcome.raised),
        "stdout": outcome.stdout,
        "stderr": outcome.stderr,
        "read": list(outcome.read),
        "beyond": outcome.beyond,
        "touched": outcome.touched,
        "era": outcome.era,
    }


def outcome_of(document: Mapping[str, Any]) -> Outcome:
    """The outcome of a document; keys that this version does not know are passed over.

    Raises:
        ValueError: it is none: a key is missing, or a value is of the wrong type.
    """
    if not isinstance(document, Mapping):
        raise ValueError(f"expected an object, found {document!r:.200}")
    return Outcome(
        ended=Ended(_text(document, "ended")),
        code=_number(document, "code"),
        seconds=_seconds(document),
        loaded=loaded_of(document.get("loaded")),
        import_error=raised_of(document.get("import_error")),
        raised=raised_of(document.get("raised")),
        stdout=_text(document, "stdout"),
        stderr=_text(document, "stderr"),
        # What follows was not noted from the first.
        read=_texts(document, "read"),
        beyond=_text(document, "beyond", ""),
        touched=document.get("touched", False) is True,
        era=_text(document, "era", ""),
    )


def _loaded_document(loaded: Loaded | None) -> dict[str, Any] | None:
    if loaded is None:
        return None
    return {"path": loaded.path, "version": loaded.version, "tree": loaded.tree}


def loaded_of(document: Any) -> Loaded | None:
    """What a script loaded, of its JSON document; None of null.

    Raises:
        ValueError: it is not what `outcome_document` made.
    """
    if document is None:
        return None
    document = _mapping("loaded", document)
    version, tree = (document.get(key) for key in ("version", "tree"))
    if not all(value is None or isinstance(value, str) for value in (version, tree)):
        raise ValueError(f"not what a probe loaded: {document!r:.200}")
    return Loaded(_text(document, "path"), version, tree)


def _raised_document(raised: Raised | None) -> dict[str, Any] | None:
    if raised is None:
        return None
    return {
        "type": raised.type,
        "message": raised.message,
        "frames": list(raised.frames),
        "line": raised.line,
    }


def raised_of(document: Any) -> Raised | None:
    """An exception, of its JSON document; None of null.

    Raises:
        ValueError: it is not what `outcome_document` made.
    """
    if document is None:
        return None
    document = _mapping("raised", document)
    return Raised(
        _text(document, "type"),
        _text(document, "message"),
        _texts(document, "frames"),
        _number(document, "line"),
    )


def _mapping(key: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{key}: expected an object or null, found {value!r:.200}")
    return value


def _text(document: Mapping[str, Any], key: str, default: str | None = None) -> str:
    value = document.get(key, default)
    if not isinstance(value, str):
        raise ValueError(f"{key}: expected a text, found {value!r:.200}")
    return value


def _texts(document: Mapping[str, Any], key: str) -> tuple[str, ...]:
    values = document.get(key, [])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError(f"{key}: expected a list of texts, found {values!r:.200}")
    return tuple(values)


def _number(document: Mapping[str, Any], key: str) -> int | None:
    value = document.get(key)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise ValueError(f"{key}: expected an integer or null, found {value!r:.200}")
    return value


def _seconds(document: Mapping[str, Any]) -> float:
    value = document.get("seconds")
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= LONGEST:
        raise ValueError(f"seconds: expected a number, found {value!r:.200}")
    return float(value)
