"""The machine-readable results: one JSON document a command, `"schema"` first. Pure.

Keys are only ever added; a change of meaning is a new schema number. The documents are described in
docs/json.md, and golden files hold them.

Public: `timeline_document`, `bisect_document`, `transition_document`, `entry_document`, `SCHEMA`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from keras_bisect.timeline import Entry, Place, Transition

__all__ = [
    "SCHEMA",
    "bisect_document",
    "entry_document",
    "timeline_document",
    "transition_document",
]

SCHEMA = 1

Document = dict[str, Any]


def timeline_document(entries: Sequence[Entry], transitions: Sequence[Transition]) -> Document:
    """The verdict of every build, and where it changes."""
    return {
        "schema": SCHEMA,
        "timeline": [entry_document(entry) for entry in entries],
        "transitions": [transition_document(one) for one in transitions],
    }


def bisect_document(transitions: Sequence[Transition], *, probes: int, seconds: float) -> Document:
    """The changes that a bisect narrowed, and what it took."""
    return {
        "schema": SCHEMA,
        "transitions": [transition_document(one) for one in transitions],
        "probes": probes,
        "seconds": round(seconds, 3),
    }


def transition_document(transition: Transition) -> Document:
    """One change of verdict."""
    return {
        "kind": transition.kind,
        "from": str(transition.before),
        "to": str(transition.after),
        "last": _place(transition.last),
        "first": _place(transition.first),
        "culprit": asdict(transition.culprit) if transition.culprit else None,
        "files": list(transition.files),
        "suspects": [entry_document(entry) for entry in transition.between],
        "notes": list(transition.notes),
    }


def entry_document(entry: Entry) -> Document:
    """One build on a timeline."""
    return {"build": entry.build, "verdict": str(entry.verdict), "detail": entry.detail}


def _place(place: Place) -> Document:
    return asdict(place)
