"""A search that is written down as it goes, and can be gone on with.

    with written_down(lab, run, folder / "journal.jsonl", go_on=True) as written:
        ...                      # every probe is on disk before the next is judged
        written.answer(0, transitions)

Public: `asked`, `written_down`, `also`, `Written`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from keras_bisect.documents import transition_document
from keras_bisect.errors import INTERRUPTED, KerasBisectError
from keras_bisect.events import Event, Listener
from keras_bisect.lab import Lab
from keras_bisect.outcome import Tree
from keras_bisect.probe import environment
from keras_bisect.probe.prober import Script, digest
from keras_bisect.record.journal import Journal, began, ended, first_began, resume
from keras_bisect.run import Run
from keras_bisect.transitions import Transition

__all__ = ["Written", "also", "asked", "written_down"]


@dataclass(frozen=True)
class Written:
    """What a search that is written down needs to know."""

    run: Run
    since: datetime
    """When it began, before all interruptions: what was known then is what it goes by."""
    tell: Listener
    """Told what happens, as everybody is who listens to the lab."""

    def again(self) -> None:
        """Begin anew: nothing that was written until now counts."""
        self.tell(began(self.run))

    def answer(self, code: int, transitions: Sequence[Transition]) -> None:
        """Write the answer down."""
        self.tell(ended(code, transitions=[transition_document(one) for one in transitions]))


def asked(
    lab: Lab,
    command: str,
    script: Script,
    ends: tuple[str | None, str | None],
    tree: Tree,
    options: Mapping[str, str],
) -> Run:
    """What a search is asked, with all that gives its findings their meaning.

    Args:
        lab: what probes.
        command: its name.
        script: the script.
        ends: the good and the bad end by their full names, where they were given.
        tree: the tree implementation.
        options: of the search; those of the probes are the lab's.
    """
    prober = lab.prober
    probing = {
        "timeout": f"{prober.timeout:g}",
        "memory": str(prober.memory),
        "start": prober.start,
        "era": str(lab.times is not None),
        "no-cache": str(lab.results is None or not lab.results.recall),
        "repo": "none" if lab.repository is None else lab.repository.place,
    }
    return Run(
        command,
        digest(script),
        script.filename,
        *ends,
        tree,
        prober.backend,
        environment.here(prober.backend, prober.start, script=script.text).facts,
        {**options, **probing},
    )


@contextlib.contextmanager
def written_down(
    lab: Lab, run: Run, path: Path | None, *, go_on: bool = False
) -> Iterator[Written]:
    """Let everything that happens go to a journal, and say where the search begins and ends.

    Args:
        lab: what probes.
        run: what is asked for.
        path: the journal; None writes nothing.
        go_on: take the probes of that search, if it is in the journal, as made.

    Raises:
        UsageError: only other searches are in the journal, or it is in use.
        HarnessError: the journal is damaged, or cannot be written.
    """
    now, since = datetime.now(UTC), None
    with contextlib.ExitStack() as stack:
        if path is not None:
            journal = stack.enter_context(Journal(path, run.script))
            if go_on:
                lab.remember(resume(path, run, lab.listener))
                since = first_began(path, run)
            stack.enter_context(also(lab, journal))
        lab.listener(began(run, resumed=since is not None))
        try:
            yield Written(run, since or now, lab.listener)
        except KerasBisectError as error:
            with contextlib.suppress(KerasBisectError):
                # A full disk is told as what it is, not as that it could not be told.
                lab.listener(ended(error.exit_code, str(error)))
            raise
        except KeyboardInterrupt:
            lab.listener(ended(INTERRUPTED, "interrupted"))
            raise


@contextlib.contextmanager
def also(lab: Lab, listener: Listener) -> Iterator[None]:
    """Tell one more what happens in a lab."""
    before = lab.listener

    def tell(event: Event) -> None:
        listener(event)
        before(event)

    lab.listener = tell
    try:
        yield
    finally:
        lab.listener = before
