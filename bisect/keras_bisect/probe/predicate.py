"""One step of `git bisect run` in a checkout of Keras: a script, the sources as they lie there now.

    git bisect start v3.5.0 v3.4.1
    git bisect run keras-repro predicate /path/to/script.py

What is probed is a frozen copy of the checkout's `keras/`, with bytecode that is shared by content:
it imports faster than the checkout itself, a script that writes into the Keras folder does not
touch the checkout, and bytecode of another commit is never met (Python's own goes by time and size,
and two commits checked out in the same second can have both in common).

git takes every exit code below 128 for a verdict, so what is none has a code of its own, from 128:

    0    good
    1    bad
    125  untestable, or another failure than the one that was asked about
    128  the harness failed          (what git itself ends with when it fails)
    129  what was asked is wrong     (what git itself ends with then)
    130  interrupted

Public: `predicate`, `Step`, `checkout`, `bisect_run`.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from keras_bisect.errors import UsageError
from keras_bisect.history import layout
from keras_bisect.outcome import Outcome, Tree
from keras_bisect.probe.client import ask
from keras_bisect.probe.daemon import Probe, Request, Run
from keras_bisect.probe.prober import Script, Start
from keras_bisect.verdict import UNTESTABLE_CODE, Judged, Signature, Verdict, first_look, judge

__all__ = [
    "Step",
    "bisect_run",
    "checkout",
    "predicate",
]

CODES = {
    Verdict.GOOD: 0,
    Verdict.BAD: 1,
    Verdict.DIFFERENT: UNTESTABLE_CODE,
    Verdict.UNTESTABLE: UNTESTABLE_CODE,
}

OLD = (
    "its sources lie in git without the public names of Keras (they do to 2024-04-16), so a script "
    "would not see what it sees in the wheel. `keras-repro bisect --repo` can test such commits."
)

RUNS = (("bisect", "run"), ("bisect--helper", "--bisect-run"))
"""Words of `git bisect run`, and of what some versions of git make of it."""


@dataclass(frozen=True)
class Step:
    """One answer for git."""

    judged: Judged
    outcome: Outcome | None
    """None where nothing was run, since no script could say anything of these sources."""

    @property
    def code(self) -> int:
        """What to exit with.

        >>> Step(Judged(Verdict.DIFFERENT, "raises KeyError: 'a'"), None).code
        125
        """
        return CODES[self.judged.verdict]


def predicate(
    script: Script,
    *,
    folder: Path,
    cache: Path,
    backend: str = "tensorflow",
    tree: Tree = "optree",
    timeout: float = 120.0,
    memory: int = 4 << 30,
    signature: Signature | None = None,
    start: Start | None = None,
    notice: Callable[[str], None] | None = None,
) -> Step:
    """Probe the Keras that is checked out, and judge what it did.

    Below a `git bisect run` on Linux the probe is made by a process that is warm already and ends
    with that `git` (`probe/daemon.py`); elsewhere, or if that process fails, by this one.

    Args:
        script: the script; exit codes as always (0 good, 125 untestable, any other bad).
        folder: in the checkout, as a rule the current one.
        cache: the cache folder; where it cannot be written, the probe is only slower.
        backend: the Keras backend.
        tree: the tree implementation.
        timeout: seconds the script may take; more is untestable.
        memory: bytes the script and what it starts may hold; more is untestable.
        signature: the failure that is asked about; only that is bad. None: every failure is.
        start: see `Prober`.
        notice: told in one line what makes this slower than it need be; logged by default.

    Raises:
        UsageError: there is no `keras/` in the checkout.
        HarnessError: the probe could not be made. For the exit codes of both see
            `errors.git_code`.
    """
    root = checkout(folder)
    if reason := unready(root):
        return Step(Judged(Verdict.UNTESTABLE, reason), None)
    request = Request(
        text=script.text,
        filename=script.filename,
        folder=str(root),
        cache=str(cache.absolute()),
        tree=tree,
        backend=backend,
        timeout=timeout,
        memory=memory,
        start=start,
    )
    run = bisect_run()
    outcome = ask(request, run, notice or logging.getLogger(__name__).warning) if run else None
    if outcome is None:
        outcome = Probe(request).run()
    return Step(judge(outcome, signature) if signature else first_look(outcome), outcome)


def checkout(folder: Path) -> Path:
    """The folder that holds `keras/`: the top of the work tree, or the folder itself without one.

    Raises:
        UsageError: there is no `keras/` in it.
    """
    folder = folder.resolve()
    # `.git` is a file in a linked work tree. (git itself would be one more process a step.)
    tops = (one for one in (folder, *folder.parents) if (one / ".git").exists())
    root = next(tops, folder)
    if not (root / "keras").is_dir():
        raise UsageError(
            f"{root}: expected a checkout of Keras, but it holds no keras/. Run git bisect in one."
        )
    return root


def unready(root: Path) -> str | None:
    """Why the sources of a checkout cannot be tested where they lie; None if they can."""
    if not (root / "keras" / "__init__.py").is_file():
        return "this commit holds no keras/__init__.py"
    named = (layout.NOW + layout.VERSION_FILE, layout.THEN + layout.VERSION_FILE)
    paths = {path for path in named if (root / path).is_file()}
    return OLD if layout.is_keras(paths) and layout.needs_names(paths) else None


def bisect_run() -> Run | None:
    """The nearest `git bisect run` that this process runs below; None without one, or off Linux."""
    if sys.platform != "linux":
        return None
    import psutil

    try:
        for one in psutil.Process().parents():
            if is_bisect_run(one.cmdline()):
                return Run.of(one.pid)
    except psutil.Error:
        # It ended meanwhile, or processes of others are hidden here.
        return None
    return None


def is_bisect_run(command: Sequence[str]) -> bool:
    """Whether a command line is that of a `git bisect run`, and no shell's that leads to one.

    >>> is_bisect_run(["/usr/bin/git", "-C", "keras", "bisect", "run", "sh", "-c", "…"])
    True
    >>> is_bisect_run(["sh", "-c", "git bisect run …"]), is_bisect_run(["git", "bisect", "log"])
    (False, False)
    """
    return Path(command[0] if command else "").name == "git" and any(
        pair in RUNS for pair in pairwise(command)
    )
