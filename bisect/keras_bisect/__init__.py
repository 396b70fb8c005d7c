"""Which build of Keras broke this script?

    from keras_bisect import Script, bisect, open_lab

    with open_lab() as lab:
        result = bisect(lab, Script.read(path), good="3.4.1", bad="3.5.0")

`api` is the library; the other modules are its rooms, and each says what is public in it. A process
that imports this package imports neither keras nor a backend. The names below are imported when
they are asked for: processes that only run scripts need none of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_bisect.api import Bisected, Timeline, bisect, timeline
    from keras_bisect.builds.build import Build
    from keras_bisect.builds.index import Index
    from keras_bisect.builds.store import Store, cache_folder
    from keras_bisect.lab import Lab
    from keras_bisect.laboratory import open_lab
    from keras_bisect.probe.prober import Prober, Script
    from keras_bisect.search.narrow import Grain
    from keras_bisect.search.trial import Repeat
    from keras_bisect.transitions import Entry, Place, Transition
    from keras_bisect.verdict import Match, Verdict

__all__ = [
    "Bisected",
    "Build",
    "Entry",
    "Grain",
    "Index",
    "Lab",
    "Match",
    "Place",
    "Prober",
    "Repeat",
    "Script",
    "Store",
    "Timeline",
    "Transition",
    "Verdict",
    "bisect",
    "cache_folder",
    "open_lab",
    "timeline",
]

_ROOMS = {
    "Bisected": "keras_bisect.api",
    "Timeline": "keras_bisect.api",
    "bisect": "keras_bisect.api",
    "timeline": "keras_bisect.api",
    "Build": "keras_bisect.builds.build",
    "Index": "keras_bisect.builds.index",
    "Store": "keras_bisect.builds.store",
    "cache_folder": "keras_bisect.builds.store",
    "Lab": "keras_bisect.lab",
    "open_lab": "keras_bisect.laboratory",
    "Prober": "keras_bisect.probe.prober",
    "Script": "keras_bisect.probe.prober",
    "Grain": "keras_bisect.search.narrow",
    "Repeat": "keras_bisect.search.trial",
    "Entry": "keras_bisect.transitions",
    "Place": "keras_bisect.transitions",
    "Transition": "keras_bisect.transitions",
    "Match": "keras_bisect.verdict",
    "Verdict": "keras_bisect.verdict",
}


def __getattr__(name: str) -> Any:
    """Import the room of a public name."""
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_ROOMS[name]), name)
