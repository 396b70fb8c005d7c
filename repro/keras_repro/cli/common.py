"""What the commands share: the lab of their options, what a person named, the failure of a case.

Public: `backend_of`, `open_lab_of`, `read_script`, `read_subject`, `recognised_by`,
`signature_of`, `trees_of`, `CASE`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_repro.cli.options import Probing, Shared

if TYPE_CHECKING:
    from keras_bisect.events import Event
    from keras_bisect.lab import Lab
    from keras_bisect.outcome import Outcome, Tree
    from keras_bisect.probe.prober import Script
    from keras_bisect.verdict import Signature
    from keras_repro.reading import AnyCase

__all__ = [
    "CASE",
    "backend_of",
    "light_of",
    "open_lab_of",
    "read_script",
    "read_subject",
    "recognised_by",
    "signature_of",
    "trees_of",
]

CASE = "case.json"
"""The case of a hunt, in its folder."""


@contextlib.contextmanager
def open_lab_of(
    shared: Shared, script: Script | None = None
) -> Iterator[tuple[Lab, Callable[[Event | Any], None]]]:
    """The lab that the options ask for, and who is told what happens in it."""
    from keras_bisect.events import Event
    from keras_bisect.laboratory import open_lab
    from keras_bisect.record.journal import EventsFile
    from keras_repro.screen import Progress

    backend = backend_of(shared, script)
    with contextlib.ExitStack() as stack:
        progress = stack.enter_context(Progress())
        file = stack.enter_context(EventsFile(shared.events)) if shared.events else None

        def listener(event: Event | Any) -> None:
            # The search for cases tells more, which only the screen understands.
            if file is not None and isinstance(event, Event):
                file(event)
            progress(event)

        lab = open_lab(
            backend=backend,
            timeout=shared.timeout,
            memory=shared.memory,
            jobs=shared.jobs,
            fresh=shared.fresh,
            offline=shared.offline,
            index_url=shared.index_url,
            repo=None if shared.repo == "none" else shared.repo or "",
            use_results=not shared.no_cache,
            era=shared.era,
            script=script,
            listener=listener,
        )
        yield stack.enter_context(lab), listener


def backend_of(probing: Probing, script: Script | None) -> str:
    """The backend to probe with; of `auto` the one that the script names, or TensorFlow.

    Raises:
        UsageError: it is not installed.
    """
    from importlib.util import find_spec

    from keras_bisect.errors import UsageError
    from keras_bisect.probe.prefix import named_backend

    backend = probing.backend
    if backend == "auto":
        backend = named_backend(script.text if script is not None else "") or "tensorflow"
    # What numpy needs beside numpy differs from release to release.
    if backend in ("jax", "torch") and find_spec(backend) is None:
        raise UsageError(
            f"The backend {backend} is not installed: pip install 'keras-repro[{backend}]'."
        )
    return backend


def light_of(probing: Probing) -> str:
    """With `auto`, the backend under which a search runs first what it can; empty: there is none.

    Where it cannot be had a search takes longer, and finds the same.
    """
    from importlib.util import find_spec

    return "numpy" if probing.backend == "auto" and find_spec("scipy") else ""


def read_subject(path: Path) -> tuple[Script, AnyCase | None]:
    """A script, and the case that it is of, if it is of one; or a case, and its script."""
    from keras_bisect.probe.prober import Script

    if _is_case(path):
        from keras_repro.reading import load, render

        case = load(path)
        return render(case), case
    script = Script.read(path)
    return script, _case_beside(path, script)


def read_script(path: Path) -> Script:
    """A script, or that of a case."""
    from keras_bisect.probe.prober import Script

    return read_subject(path)[0] if _is_case(path) else Script.read(path)


def _is_case(path: Path) -> bool:
    return path.suffix.lower() == ".json"


def _case_beside(path: Path, script: Script) -> AnyCase | None:
    """The case of a hunt's script: what the script shows is known by what its case means."""
    if not path.with_name(CASE).is_file():
        return None
    from keras_bisect.errors import UsageError
    from keras_repro.reading import load, render

    try:
        case = load(path.with_name(CASE))
    except UsageError:
        # Others have files of that name, too.
        return None
    return case if script.text in (render(case, one).text for one in trees_of("both")) else None


def signature_of(case: AnyCase | None, outcomes: Sequence[Outcome]) -> Signature | None:
    """The failure that most of the outcomes show; of several, the last."""
    if case is None:
        from keras_bisect.transitions import reference

        return reference(outcomes)
    from collections import Counter

    from keras_repro.reading import CaseSignature, explain

    shown = [reading.signature for one in outcomes if (reading := explain(case, one)) is not None]
    if not shown:
        return None
    counts = Counter(shown)
    return CaseSignature(case, max(reversed(shown), key=lambda one: counts[one]))


def recognised_by(case: AnyCase) -> Callable[[Outcome], Signature | None]:
    """Learns the failure of a case by what it means, and not by its exit code."""
    from keras_repro.reading import CaseSignature, explain

    def recognised(outcome: Outcome) -> Signature | None:
        reading = explain(case, outcome)
        return CaseSignature(case, reading.signature) if reading is not None else None

    return recognised


def trees_of(tree: str, backend: str = "tensorflow") -> tuple[Tree, ...]:
    """What `--tree` means: one implementation, or both.

    With torch Keras takes its own, whatever else is installed, so there is one.
    """
    from keras_bisect.outcome import TREES

    if (tree, backend) == ("both", "torch"):
        return ("optree",)
    return tuple(one for one in TREES if tree in (one, "both"))
