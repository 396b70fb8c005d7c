"""What a build that does not import in the present environment shows in one of its own time.

Such an outcome is one of another environment, and is kept as that. Of two neighbours that were
judged in different environments, the search judges both in one (`line.py`).

Public: `Times`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime

from keras_bisect.builds.build import Build
from keras_bisect.builds.store import Source
from keras_bisect.outcome import Outcome, Tree
from keras_bisect.probe.era import Era, Eras, EraUnavailable
from keras_bisect.probe.prober import Prober, Script, digest
from keras_bisect.record.results import Results

__all__ = ["Times"]


class Times:
    """Environments of other times, and what builds showed in them."""

    def __init__(
        self, eras: Eras, prober: Prober, results: Results | None, notice: Callable[[str], None]
    ) -> None:
        """Nothing is made yet.

        Args:
            eras: the environments.
            prober: what runs scripts.
            results: where outcomes are kept.
            notice: told why there is none for a build.
        """
        self._eras = eras
        self._prober = prober
        self._results = results
        self._notice = notice
        self._of: dict[str, Era | None] = {}

    def era(self, build: Build, made: datetime | None) -> Era | None:
        """The environment of a build's time; None where there is none, which is told once."""
        if build.name not in self._of:
            try:
                self._of[build.name] = None if made is None else self._eras.of(made)
            except EraUnavailable as error:
                self._notice(f"{build}: {error}")
                self._of[build.name] = None
        return self._of[build.name]

    def of(self, outcome: Outcome) -> Era | None:
        """The environment that an outcome was seen in; None if it was that of the present."""
        return self._eras.on(date.fromisoformat(outcome.era)) if outcome.era else None

    def kept(self, era: Era, script: str, folder: str, content: str, tree: Tree) -> list[Outcome]:
        """What earlier commands saw there. Arguments as for `Results.get`."""
        if self._results is None:
            return []
        kept = self._results.elsewhere(era.identity).get(script, folder, content, tree)
        return [replace(one.outcome, era=era.day.isoformat()) for one in kept]

    def outcome(
        self, era: Era, script: Script, source: Source, folder: str, content: str, tree: Tree
    ) -> Outcome:
        """One run there, which is kept."""
        outcome = self._prober.run(script, source, tree, python=era.python)
        outcome = replace(outcome, era=era.day.isoformat())
        if self._results is not None:
            elsewhere = self._results.elsewhere(era.identity)
            elsewhere.add(digest(script), folder, content, tree, outcome)
        return outcome
