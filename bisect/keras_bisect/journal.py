"""Every probe, appended as it ends: one JSON document a line, on disk before the next is judged.

Public: `Journal`.
"""

from __future__ import annotations

import json
import os
import threading
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from keras_bisect.events import Event, Probed
from keras_bisect.verdict import Signature, judge

__all__ = ["SCHEMA", "Journal"]

SCHEMA = 1


class Journal:
    """An append-only file. Safe to share between threads; a line is whole, or it is the last."""

    def __init__(self, path: Path, script: str, signature: Signature) -> None:
        """Open or go on with the journal of one script (`lab.digest`), judged by one signature."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", encoding="utf-8")
        self._script = script
        self._signature = signature
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        """The journal itself."""
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _tb: TracebackType | None,
    ) -> None:
        """Close the file."""
        self._file.close()

    def __call__(self, event: Event) -> None:
        """Write a probe of the script down; other events are not its business."""
        if isinstance(event, Probed) and event.script == self._script:
            self._append(self._document(event))

    def _document(self, event: Probed) -> dict[str, Any]:
        judged = judge(event.outcome, self._signature)
        return {
            "schema": SCHEMA,
            "build": event.build,
            "content": event.content,
            "same_as": event.same_as,
            "tree": event.tree,
            "backend": event.backend,
            "script": event.script,
            "signature": str(self._signature),
            "verdict": judged.verdict,
            "detail": judged.detail,
            "seconds": round(event.outcome.seconds, 3),
            "outcome": asdict(event.outcome),
        }

    def _append(self, document: dict[str, Any]) -> None:
        line = json.dumps(document, ensure_ascii=False) + "\n"
        with self._lock:
            self._file.write(line)
            self._file.flush()
            os.fsync(self._file.fileno())
