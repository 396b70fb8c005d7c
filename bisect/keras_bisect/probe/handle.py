"""The toolkit's side of a host: gives it scripts, and does not wait for one that is silent.

A host bounds the time of its scripts itself. It can be stopped or killed like any other process,
by a script, too, so it is waited for with a limit of its own. After each script the folder of its
Keras is looked at: what the script itself writes there is seen as it happens (`watch.py`), what a
program does that it started is seen here.

Public: `Host`, `Unshared`, `GRACE`.
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING

from keras_bisect.builds.manifest import snapshot
from keras_bisect.errors import HarnessError
from keras_bisect.outcome import Outcome
from keras_bisect.probe.host import Fault, Job, Said
from keras_bisect.probe.starting import WARMING

if TYPE_CHECKING:
    from keras_bisect.builds.store import Source
    from keras_bisect.probe.prober import Prober, Script

MARGIN = 30.0
"""Seconds a host may take beyond the time of its script; it counts that time itself."""
SLICE = 1.0
"""Seconds of waiting at a time: a toolkit that is stopped for a while loses one slice, not all."""
GRACE = 5.0
"""Seconds in which a host that was told to end must have ended."""


class Unshared(Exception):  # noqa: N818
    """Keras does not import in a host that was to share it."""


class Host:
    """Runs scripts under one build, one after the other."""

    def __init__(
        self,
        prober: Prober,
        source: Source,
        connection: Connection,
        process: BaseProcess,
        *,
        shares: bool,
    ) -> None:
        """Made by `Prober.host`."""
        self._prober = prober
        self._source = source
        self._connection = connection
        self._process = process
        self._patience = WARMING + (prober.timeout if shares else 0.0)
        self._stopped = False
        self._folder = snapshot(source.path)

    def stop(self) -> None:
        """End it and the script it runs, from another thread: nobody wants the outcome."""
        self._stopped = True
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()

    def run(self, script: Script) -> Outcome:
        """One probe; see `Prober.run`."""
        folder = str(Path(script.filename).parent) if script.filename else ""
        job = Job(script.text, script.filename, folder, self._prober.timeout, self._prober.memory)
        try:
            with contextlib.suppress(BrokenPipeError):
                # A host that cannot share keras has ended by now; what it said is still there.
                self._connection.send(job)
            answer = self._answer()
        except (EOFError, OSError) as error:
            self._process.join(GRACE)
            raise HarnessError(
                f"The process that watched over a probe of {self._source.build} died "
                f"({type(error).__name__}, exit code {self._process.exitcode}). If this "
                "happens again with this script, the script kills processes that are not its own."
            ) from None
        if isinstance(answer, Fault):
            raise HarnessError(answer.message)
        self._prober.prove(answer, self._source)
        # What the script started is not seen as it writes. That it wrote is.
        before, self._folder = self._folder, snapshot(self._source.path)
        return replace(answer, touched=True) if before != self._folder else answer

    def _answer(self) -> Outcome | Fault:
        """What the host says next of a script.

        Raises:
            Unshared: it cannot share keras.
            EOFError, OSError: it died.
            HarnessError: it says nothing. It was ended.
        """
        while True:
            if not self._says_something(self._patience + self._prober.timeout + MARGIN):
                self._prober.end(self._process)
                raise HarnessError(
                    f"The process that watched over a probe of {self._source.build} did not answer "
                    "and was ended. If this happens again with this script, the script stops "
                    "processes that are not its own."
                )
            said: Said | Outcome | Fault = self._connection.recv()
            match said:
                case Said.READY:
                    self._patience -= WARMING
                case Said.UNSHARED:
                    raise Unshared
                case _:
                    self._patience = 0.0
                    return said

    def _says_something(self, seconds: float) -> bool:
        for _ in range(math.ceil(seconds / SLICE)):
            if self._connection.poll(SLICE):
                return True
            if self._stopped:
                return self._connection.poll(GRACE)
        return False
