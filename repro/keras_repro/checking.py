"""One case, checked against the Keras of this process: for property tests, and for a debugger.

    from keras_repro.checking import check
    check(case)  # the empty tuple if Keras does as it says

A search runs its cases in processes of their own instead (`keras_repro.find`). Public: `check`,
`run`.
"""

from __future__ import annotations

import io
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import PurePath

from keras_bisect.outcome import Ended, Outcome, Raised
from keras_repro.reading import AnyCase, Reading, explain_all, render

__all__ = ["check", "run"]


def check(case: AnyCase) -> tuple[Reading, ...]:
    """All that is wrong with what this Keras does with a case; nothing where it cannot be tested.

    The script of the case is run here, so keras is imported if it was not.
    """
    return tuple(reading for _, reading in explain_all(case, run(case)))


def run(case: AnyCase) -> Outcome:
    """Run the script of a case here; what it leaves in the temporary folder goes with it."""
    text = render(case).text
    out, err = io.StringIO(), io.StringIO()
    code, raised = 0, None
    with redirect_stdout(out), redirect_stderr(err), _swept_up():
        try:
            exec(compile(text, "case.py", "exec"), {"__name__": "__main__"})
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except Exception as error:  # noqa: BLE001 - whatever Keras raises is what is looked at
            code, raised = 1, _raised(error)
    return Outcome(
        ended=Ended.EXIT,
        code=code,
        seconds=0.0,
        raised=raised,
        stdout=out.getvalue(),
        stderr=err.getvalue(),
    )


@contextmanager
def _swept_up() -> Iterator[None]:
    """Let temporary folders be made where they go with all that is in them."""
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="keras-case-", ignore_cleanup_errors=True) as folder:
        tempfile.tempdir = folder
        try:
            yield
        finally:
            tempfile.tempdir = before


def _raised(error: Exception) -> Raised:
    kind = type(error)
    named = (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )
    frames = [
        f"src/{PurePath(*parts[parts.index('src') + 1 :])}:{frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
        if "keras" in (parts := PurePath(frame.filename).parts) and "src" in parts
    ]
    return Raised(named, str(error), tuple(frames[-3:]))
