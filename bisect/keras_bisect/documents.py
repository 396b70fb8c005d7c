"""The machine-readable results: one JSON document a command, `"schema"` first. Pure.

Keys are only ever added; a change of meaning is a new schema number. The documents are described in
docs/json.md, and golden files hold them.

Public: `timeline_document`, `bisect_document`, `transition_document`, `entry_document`,
`event_document`, `text_of`, `SCHEMA`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from keras_bisect.events import (
    Began,
    Ended,
    Event,
    Judgement,
    Learned,
    Narrowed,
    Notice,
    Probed,
    Stage,
)
from keras_bisect.outcome import outcome_document
from keras_bisect.transitions import Entry, Place, Transition

__all__ = [
    "SCHEMA",
    "bisect_document",
    "entry_document",
    "event_document",
    "text_of",
    "timeline_document",
    "transition_document",
]

SCHEMA = 1

Document = dict[str, Any]


def text_of(document: Document, encoding: str = "utf-8") -> str:
    """A document as it is written to files and to standard output.

    It can be written in the encoding: half a surrogate pair, for which not even UTF-8 has bytes, is
    in names of files and in what scripts say.
    """
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return json.dumps(document, indent=2) + "\n"
    return text


def timeline_document(entries: Sequence[Entry], transitions: Sequence[Transition]) -> Document:
    """The verdict of every build, and where it changes."""
    return {
        "schema": SCHEMA,
        "timeline": [entry_document(entry) for entry in entries],
        "transitions": [transition_document(one) for one in transitions],
    }


def bisect_document(
    transitions: Sequence[Transition],
    *,
    good: str,
    bad: str,
    signature: str,
    probes: int,
    seconds: float,
) -> Document:
    """The changes that a bisect narrowed, between which ends, and what it took."""
    return {
        "schema": SCHEMA,
        "good": good,
        "bad": bad,
        "signature": signature,
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
        "suspects": [_suspect(entry) for entry in transition.between],
        "confidence": round(transition.confidence, 6),
        "counts": [
            {"build": one.build, "runs": {str(v): n for v, n in one.verdicts.items()}}
            for one in transition.tallies
        ],
        "notes": list(transition.notes),
    }


def entry_document(entry: Entry) -> Document:
    """One build on a timeline."""
    return {"build": entry.build, "verdict": str(entry.verdict), "detail": entry.detail}


def _suspect(entry: Entry) -> Document:
    document = entry_document(entry)
    if entry.posterior is not None:
        document["posterior"] = round(entry.posterior, 6)
    return document


def event_document(event: Event) -> Document:
    """Something that happened.

    `recorded.event_of` gives it back, equal; but of a failure there are only the words.
    """
    name, data = _event(event)
    return {"schema": SCHEMA, "event": name, **data}


def _event(event: Event) -> tuple[str, Document]:
    match event:
        case Began():
            run = event.run
            options, environment = dict(run.options), dict(run.environment)
            return "begin", {
                "resumed": event.resumed,
                "time": event.time.isoformat(),
                "pid": event.pid,
                "started": event.started,
                "run": vars(run) | {"environment": environment, "options": options},
            }
        case Stage():
            return "stage", vars(event)
        case Probed():
            return "probe", {
                "build": event.build,
                "content": event.content,
                "same_as": event.same_as,
                "tree": event.tree,
                "backend": event.backend,
                "script": event.script,
                "folder": event.folder,
                "sample": event.sample,
                "seconds": round(event.outcome.seconds, 3),
                "outcome": outcome_document(event.outcome),
            }
        case Learned(signature):
            return "learned", {"signature": str(signature)}
        case Judgement(build, judged):
            return "judgement", {
                "build": build,
                "verdict": str(judged.verdict),
                "detail": judged.detail,
            }
        case Narrowed():
            return "narrowed", vars(event)
        case Notice():
            return "notice", vars(event)
        case Ended():
            return "end", {
                "code": event.code,
                "time": event.time.isoformat(),
                "reason": event.reason,
                "transitions": [dict(one) for one in event.transitions],
            }


def _place(place: Place) -> Document:
    return asdict(place)
