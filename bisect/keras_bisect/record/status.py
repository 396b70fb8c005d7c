"""How a search stands, or stood when it died: told from its journal alone.

    lines = status_lines(status_of(Path("hunts/3.5.0-r11-target-1a2b3c")))

All but `status_of`, which reads the file, is pure.

Public: `Status`, `Seen`, `status_of`, `status`, `status_lines`, `status_document`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from keras_bisect.documents import SCHEMA
from keras_bisect.errors import INTERRUPTED, HarnessError, UsageError
from keras_bisect.events import Began, Ended, Narrowed, Stage
from keras_bisect.record.journal import alive, read
from keras_bisect.record.recorded import Recorded, RecordedProbe, answered, probes, section
from keras_bisect.run import Run
from keras_bisect.transitions import Place
from keras_bisect.verdict import Verdict, first_look
from keras_bisect.wording import counted, short

__all__ = ["Seen", "Status", "status", "status_document", "status_lines", "status_of"]

JOURNAL = "journal.jsonl"
MOST_STEPS = 10**6
"""For an estimate; nobody waits for more."""
SHOWN = 5
"""How many of the last probes are shown."""

State = Literal["running", "finished", "interrupted"]


@dataclass(frozen=True)
class Seen:
    """A probe in short."""

    build: str
    verdict: Verdict | None
    """None where the failure was not known yet."""
    detail: str


@dataclass(frozen=True)
class Status:
    """How a search stands."""

    state: State
    """`interrupted`: its process is gone and had not ended its work, or was told to stop."""
    run: Run
    """What was asked for."""
    since: datetime
    """When it began, before all interruptions."""
    resumed: int
    """How often it went on after an interruption."""
    pid: int
    """The process that does or did the work, the last of them."""
    signature: str | None
    """The failure that is followed, in a few words; None where it is not known yet."""
    probes: int
    """Runs of the script, each counted once; what is known of the same sources is none."""
    seconds: float
    """What these probes took, one after the other."""
    stage: str | None
    """The part of the work that began last."""
    last: tuple[Seen, ...]
    """The last probes, the newest at the end."""
    range: Narrowed | None
    """Where the change lies, as far as it is known."""
    seconds_left: float | None
    """An estimate, of this stage; None where nothing is left or nothing is known."""
    code: int | None = None
    """The exit code, of a search that ended."""
    reason: str = ""
    """Why it has no answer."""
    transitions: tuple[Mapping[str, Any], ...] = ()
    """Its answer, as documents (`documents.transition_document`)."""
    earlier: tuple[Mapping[str, Any], ...] = ()
    """Where it has none: the answer of an earlier search for the same script."""


def status_of(hunt: Path) -> Status:
    """The status of a search.

    Args:
        hunt: its folder, or the journal in it.

    Raises:
        UsageError: there is no journal of a search, or it is damaged.
    """
    path = hunt / JOURNAL if hunt.is_dir() else hunt
    if not path.is_file():
        below = sorted(p.parent.name for p in hunt.glob(f"*/{JOURNAL}")) if hunt.is_dir() else []
        hint = f" Below it there are: {', '.join(below[:5])}." if below else ""
        raise UsageError(
            f"{hunt} was expected to be the folder of a search, with a {JOURNAL} in it, or that "
            f"file; there is none.{hint}"
        )
    try:
        return status(read(path), alive)
    except HarnessError as error:
        raise UsageError(f"Expected the journal of a search. {error}") from error
    except _NoSearch as error:
        raise UsageError(
            f"{path} was expected to say what was searched for, and no search began in it."
        ) from error


def status(lines: Sequence[Recorded], alive: Callable[[int, float | None], bool]) -> Status:
    """How the last search of a journal stands.

    Args:
        lines: of the journal.
        alive: whether a process, by its number and the time when it was started, still runs.

    Raises:
        KeyError: no search began in it.
    """
    before = next((one.event for one in reversed(answered(lines))), None)
    lines = section(lines)
    begins = [one.event for one in lines if isinstance(one.event, Began)]
    if not begins:
        raise _NoSearch
    first, current = begins[0], begins[-1]
    # What ended before it went on did not end it.
    since = next(n for n, one in enumerate(lines) if one.event is current)
    end = next((one.event for one in lines[since:] if isinstance(one.event, Ended)), None)
    narrowed = [one.event for one in lines if isinstance(one.event, Narrowed)]
    stages = [one.event for one in lines if isinstance(one.event, Stage)]
    made = probes(lines)
    own = [one.event.outcome.seconds for one in made if one.event.same_as is None]
    state: State = "running"
    if end is not None:
        state = "interrupted" if end.code == INTERRUPTED else "finished"
    elif not alive(current.pid, current.started):
        state = "interrupted"
    left = min(narrowed[-1].steps_left, MOST_STEPS) if narrowed and state != "finished" else 0
    return Status(
        state=state,
        run=first.run,
        since=first.time,
        resumed=len(begins) - 1,
        pid=current.pid,
        signature=next((one.signature for one in reversed(made) if one.signature), None),
        probes=len(own),
        seconds=sum(own),
        stage=stages[-1].name if stages else None,
        last=tuple(_seen(one) for one in made[-SHOWN:]),
        range=narrowed[-1] if narrowed else None,
        seconds_left=left * sum(own) / len(own) if left and own else None,
        code=end.code if end else None,
        reason=end.reason if end else "",
        transitions=end.transitions if end else (),
        earlier=before.transitions
        if isinstance(before, Ended) and not (end and end.transitions)
        else (),
    )


class _NoSearch(KeyError):  # noqa: N818
    """No search began in a journal."""


def _seen(one: RecordedProbe) -> Seen:
    judged = one.judged
    if judged is None:
        return Seen(one.event.build, None, first_look(one.event.outcome).detail)
    return Seen(one.event.build, judged.verdict, judged.detail)


def status_lines(status: Status) -> list[str]:
    """A status as a few lines for a person."""
    return [short(line) for line in _lines(status)]


def _lines(status: Status) -> Iterator[str]:
    run = status.run
    who = f", process {status.pid}" if status.state == "running" else ""
    again = f", resumed {_times(status.resumed)}" if status.resumed else ""
    yield (
        f"{f'{run.command} {run.filename}'.strip()}: {status.state}{who}, "
        f"since {status.since:%Y-%m-%d %H:%M:%S} UTC{again}"
    )
    if run.good or run.bad:
        yield f"  ends    good {run.good or 'not given'}, bad {run.bad or 'not given'}"
    if status.signature is not None:
        yield f"  failure {status.signature}"
    if status.stage is not None and status.state != "finished":
        yield f"  stage   {status.stage}"
    if status.range is not None and status.state != "finished":
        yield f"  range   {_range(status.range)}{_left(status.seconds_left)}"
    yield f"  probes  {status.probes} in {status.seconds:.0f} s"
    for n, seen in enumerate(status.last if status.state != "finished" else ()):
        word = seen.verdict or "not judged yet"
        yield f"  {'' if n else 'last':6}  {seen.build}  {word}: {seen.detail}"
    for transition in status.transitions:
        yield f"  {_transition(transition)}"
    if status.code:
        yield f"  exit code {status.code}" + (f": {status.reason}" if status.reason else "")
    if status.earlier:
        yield "  an earlier search for this script has an answer:"
    for transition in status.earlier:
        yield f"  {_transition(transition)}"
    if status.state == "interrupted" and run.command == "bisect":
        yield "  It goes on with the same command and --resume."


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _range(narrowed: Narrowed) -> str:
    left = f"{counted(narrowed.builds_left, 'build')}, {counted(narrowed.steps_left, 'step')} left"
    return f"{narrowed.last} … {narrowed.first}: {left}"


def _left(seconds: float | None) -> str:
    return "" if seconds is None else f", about {seconds:.0f} s"


def _transition(document: Mapping[str, Any]) -> str:
    """A transition as a line; keys that are not there leave a gap, not an error."""
    ends = [
        _finest(document.get(side)) + f" {document.get(verdict, '')}".rstrip()
        for side, verdict in (("last", "from"), ("first", "to"))
    ]
    line = f"{document.get('kind', 'change'):10}  {' → '.join(ends)}"
    culprit = document.get("culprit")
    if isinstance(culprit, Mapping):
        line += f"  {str(culprit.get('sha', ''))[:10]} {culprit.get('subject', '')}".rstrip()
    return line


def _finest(place: object) -> str:
    """The narrowest name of one side of a transition."""
    names = place if isinstance(place, Mapping) else {}
    known = Place(*(names.get(one) for one in ("release", "nightly", "commit", "folder")))
    return short(str(known.finest or "?"))


def status_document(status: Status) -> dict[str, Any]:
    """A status as a JSON document."""
    run = status.run
    return {
        "schema": SCHEMA,
        "state": status.state,
        "command": run.command,
        "script": run.script,
        "filename": run.filename,
        "good": run.good,
        "bad": run.bad,
        "tree": run.tree,
        "backend": run.backend,
        "since": status.since.isoformat(),
        "resumed": status.resumed,
        "pid": status.pid,
        "signature": status.signature,
        "probes": status.probes,
        "seconds": round(status.seconds, 3),
        "stage": status.stage,
        "last": [
            {
                "build": seen.build,
                "verdict": None if seen.verdict is None else str(seen.verdict),
                "detail": seen.detail,
            }
            for seen in status.last
        ],
        "range": None if status.range is None else asdict(status.range),
        "seconds_left": None if status.seconds_left is None else round(status.seconds_left, 1),
        "code": status.code,
        "reason": status.reason,
        "transitions": [dict(one) for one in status.transitions],
        "earlier": [dict(one) for one in status.earlier],
    }
