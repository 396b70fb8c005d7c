"""Which build of Keras broke this script?

    from keras_bisect import Script, bisect, laboratory

    with laboratory() as lab:
        result = bisect(lab, Script.read(path), good="3.4.1", bad="3.5.0")

`api` is the library; the other modules are its rooms, and each says what is public in it. A process
that imports this package imports neither keras nor a backend.
"""

from keras_bisect.api import Bisected, Timeline, bisect, timeline
from keras_bisect.builds.build import Build
from keras_bisect.builds.index import Index
from keras_bisect.builds.store import Store, cache_folder
from keras_bisect.lab import Lab
from keras_bisect.laboratory import laboratory
from keras_bisect.probe import Prober, Script
from keras_bisect.search.narrow import Grain
from keras_bisect.search.trial import Repeat
from keras_bisect.timeline import Entry, Place, Transition
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
    "laboratory",
    "timeline",
]
