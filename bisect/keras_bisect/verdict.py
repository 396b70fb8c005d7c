"""An outcome, held against a signature, gives a verdict. Pure.

A bisect means something only if every *bad* is the same failure. So the failure is learned once,
from a build that is known to be bad (`learn`), and every other outcome is judged by it (`judge`):
another failure is `different`, and what says nothing about the question is `untestable`. Neither is
ever taken for `good` or `bad`.

How much two failures must have in common to be the same is a `Match`.

Public: `Verdict`, `Judged`, `Signature`, `Failure`, `Match`, `learn`, `judge`, `first_look`.
"""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise
from typing import Literal, Protocol

from keras_bisect.errors import UsageError
from keras_bisect.messages import alike, normalise
from keras_bisect.outcome import Ended, Outcome, Raised
from keras_bisect.wording import cut

__all__ = ["Failure", "Judged", "Match", "Signature", "Verdict", "first_look", "judge", "learn"]

NO_IMPORT = "keras does not import"
"""How the reason of a verdict begins where Keras is what could not be had."""

UNTESTABLE_CODE = 125
"""The exit code by which a script says that it cannot tell, as for `git bisect run`."""


class Verdict(StrEnum):
    """What a probe says about one failure."""

    GOOD = "good"
    """The script exited 0, with the Keras it was given."""
    BAD = "bad"
    """It failed, and this is the failure that was asked about."""
    DIFFERENT = "different"
    """It failed in another way."""
    UNTESTABLE = "untestable"
    """It could not answer: exit code 125, Keras does not import, no end in the time given."""


@dataclass(frozen=True)
class Judged:
    """A verdict and its reason, in one line for a person."""

    verdict: Verdict
    detail: str


class Signature(Protocol):
    """What makes two failures the same failure."""

    def matches(self, outcome: Outcome) -> bool:
        """Whether an outcome that failed failed in this way."""
        ...

    def __str__(self) -> str:
        """The failure in a few words."""
        ...


@dataclass(frozen=True)
class Failure:
    """The signature of any script: how it ended, and what it raised.

    Messages are compared as in `messages`. Where the message says next to nothing (`KeyError:
    'a'`, a bare `assert`) the frame inside Keras counts, too, or else the line of the script; not
    elsewhere, since frames move with every refactoring and messages rarely do.
    """

    ended: Ended
    code: int | None
    type: str = ""
    message: str = ""
    frame: str = ""
    importing: bool = False

    @classmethod
    def of(cls, outcome: Outcome) -> Failure:
        """The signature of an outcome that failed."""
        raised = outcome.import_error or outcome.raised
        if raised is None:
            return cls(outcome.ended, outcome.code)
        message = normalise(raised.message)
        frame = ""
        if (raised.frames or raised.line) and len(re.findall(r"[^\W\d]{3,}", message)) < 3:
            frame = raised.frames[-1] if raised.frames else f"line {raised.line}"
        importing = outcome.import_error is not None
        return cls(outcome.ended, outcome.code, raised.type, message, frame, importing)

    def matches(self, outcome: Outcome) -> bool:
        """Whether an outcome failed in the same way."""
        found = Failure.of(outcome)
        return replace(found, message=self.message) == self and alike(found.message, self.message)

    def __str__(self) -> str:
        """The failure in a few words."""
        if self.type:
            what = f"{self.type}: {self.message}" if self.message else self.type
            return f"importing Keras raises {what}" if self.importing else f"raises {what}"
        return _ending(self.ended, self.code)


@dataclass(frozen=True)
class OfType:
    """The signature that only compares what was raised or, where nothing was, how it ended."""

    ended: Ended
    code: int | None
    type: str

    @classmethod
    def of(cls, outcome: Outcome) -> OfType:
        """The signature of an outcome that failed."""
        raised = outcome.import_error or outcome.raised
        return cls(outcome.ended, outcome.code, raised.type if raised else "")

    def matches(self, outcome: Outcome) -> bool:
        """Whether an outcome failed with this exception, or this exit code."""
        return OfType.of(outcome) == self

    def __str__(self) -> str:
        """The failure in a few words."""
        return f"raises {self.type}" if self.type else _ending(self.ended, self.code)


@dataclass(frozen=True)
class Saying:
    """The signature of a failure that says something, in its exception or in what it printed."""

    pattern: str
    """A regular expression, searched for."""

    def matches(self, outcome: Outcome) -> bool:
        """Whether a failure says this."""
        raised = outcome.import_error or outcome.raised
        said = "\n".join([str(raised or ""), outcome.stdout, outcome.stderr])
        return re.search(self.pattern, said, re.MULTILINE) is not None

    def __str__(self) -> str:
        """The failure in a few words."""
        return f"says {self.pattern!r}"


@dataclass(frozen=True)
class Anything:
    """The signature of every failure that is an answer at all."""

    def matches(self, outcome: Outcome) -> bool:
        """Whether it is a failure of the script, and not of the import or of its bounds."""
        return _says_nothing(outcome) is None

    def __str__(self) -> str:
        """The failure in a few words."""
        return "fails"


@dataclass(frozen=True)
class Match:
    """What two failures must have in common to be the same; written as for `--match`.

    >>> Match.parse("message KeyError.*dense")
    Match(kind='message', pattern='KeyError.*dense')
    """

    kind: Literal["signature", "type", "message", "any"] = "signature"
    pattern: str = ""

    @classmethod
    def parse(cls, text: str) -> Match:
        """Read what a person wrote.

        Raises:
            UsageError: it is none of the four, or the regular expression is none.
        """
        kind, _, pattern = text.strip().partition(" ")
        if kind == "message" and pattern:
            try:
                re.compile(pattern)
            except (re.error, OverflowError, RecursionError) as error:
                raise UsageError(
                    f"--match message {pattern}: not a regular expression: {error}."
                ) from None
            return cls("message", pattern)
        if kind in ("signature", "type", "any") and not pattern:
            return cls(kind)  # type: ignore[arg-type]
        raise UsageError(
            f"--match {text}: expected signature, type, any, or message and a regular expression, "
            "such as --match message 'Unknown variable'."
        )

    def __str__(self) -> str:
        """What a person writes."""
        return f"{self.kind} {self.pattern}".rstrip()

    def alone(self) -> Signature:
        """The signature, where there is no outcome to learn from.

        Raises:
            UsageError: it needs one.
        """
        if self.kind in ("signature", "type"):
            raise UsageError(
                f"--match {self} needs a bad build to learn from. Here it can be any, or message "
                "and a regular expression."
            )
        return Anything() if self.kind == "any" else Saying(self.pattern)

    def signature(self, outcome: Outcome) -> Signature:
        """The signature of an outcome that failed."""
        match self.kind:
            case "type":
                return OfType.of(outcome)
            case "message":
                return Saying(self.pattern)
            case "any":
                return Anything()
        return Failure.of(outcome)


def is_exit_code(signature: Signature) -> bool:
    """Whether a failure is known by its exit code alone: half of a change may give the same."""
    return isinstance(signature, Failure) and not signature.type and signature.ended is Ended.EXIT


def first_look(outcome: Outcome) -> Judged:
    """What can be said of an outcome before any failure is known; a failure is `bad`.

    For a run of its own, and for the exit code of `git bisect run`.
    """
    if (reason := _says_nothing(outcome)) is not None:
        return Judged(Verdict.UNTESTABLE, reason)
    if _passed(outcome):
        return Judged(Verdict.GOOD, "passes")
    return Judged(Verdict.BAD, _describe(outcome))


def learn(outcome: Outcome, match: Match = Match()) -> Signature | None:
    """The signature of the failure that a bad build shows; None if it shows none.

    A hang, a lack of memory or an import that fails says nothing by itself, but where somebody
    knows that a build is bad, it is the failure they mean.
    """
    if (outcome.ended is Ended.EXIT and outcome.code == 0) or _gave_up(outcome) is not None:
        return None
    return match.signature(outcome)


def judge(outcome: Outcome, signature: Signature) -> Judged:
    """The verdict on an outcome."""
    if (reason := _gave_up(outcome)) is not None:
        return Judged(Verdict.UNTESTABLE, reason)
    if _passed(outcome):
        return Judged(Verdict.GOOD, "passes")
    if signature.matches(outcome):
        return Judged(Verdict.BAD, _describe(outcome))
    if (reason := _says_nothing(outcome)) is not None:
        return Judged(Verdict.UNTESTABLE, reason)
    return Judged(Verdict.DIFFERENT, _describe(outcome))


def _passed(outcome: Outcome) -> bool:
    # A script that goes on without keras has shown nothing.
    tested = outcome.loaded is not None and outcome.import_error is None
    return outcome.ended is Ended.EXIT and outcome.code == 0 and tested


def _gave_up(outcome: Outcome) -> str | None:
    """Why an outcome can be no answer whatever the question was."""
    if outcome.ended is Ended.EXIT and outcome.code == UNTESTABLE_CODE:
        return "the script exits 125" + (
            f": {NO_IMPORT}: {outcome.import_error}" if outcome.import_error else _last(outcome)
        )
    if outcome.loaded is None and outcome.import_error is None:
        return f"the script ended before it imported keras: {_describe(outcome)}"
    return None


def _says_nothing(outcome: Outcome) -> str | None:
    """Why an outcome is no answer unless it is the very failure that was asked about."""
    if (reason := _gave_up(outcome)) is not None:
        return reason
    if outcome.import_error is not None:
        return f"{NO_IMPORT}: {outcome.import_error}"
    if outcome.ended in (Ended.TIMEOUT, Ended.MEMORY):
        return _describe(outcome)
    return None


def _describe(outcome: Outcome) -> str:
    raised = outcome.import_error or outcome.raised
    if raised is not None:
        return cut(str(raised) if raised.message.strip() else _where(raised, outcome.stderr), 160)
    return _ending(outcome.ended, outcome.code, outcome.seconds) + _last(outcome)


def _where(raised: Raised, stderr: str) -> str:
    """An exception that says nothing, with the place that raised it.

    >>> trace = '  File "a.py", line 7, in <module>\\n    assert model.built\\nAssertionError'
    >>> _where(Raised("AssertionError", "", line=7), trace)
    'AssertionError at line 7: assert model.built'
    """
    if raised.frames:
        return f"{raised.type} in {raised.frames[-1]}"
    if raised.line is None:
        return raised.type
    lines = stderr.splitlines()
    place = re.compile(rf'  File ".*", line {raised.line}, in ')
    shown = [after for line, after in pairwise(lines) if place.match(line)]
    source = f": {shown[-1].strip()}" if shown and shown[-1].startswith("    ") else ""
    return f"{raised.type} at line {raised.line}{source}"


def _ending(ended: Ended, code: int | None, seconds: float | None = None) -> str:
    if ended is Ended.TIMEOUT:
        return "does not end" + (f" within {seconds:.0f} s" if seconds is not None else "")
    if ended is Ended.MEMORY:
        return "uses more memory than it was given"
    if ended is Ended.SIGNAL:
        return f"is killed by {_signal(code)}"
    return f"exits {code}"


def _signal(code: int | None) -> str:
    try:
        return signal.Signals(code or 0).name
    except ValueError:
        # Real-time signals have numbers only.
        return f"signal {code}" if code else "a signal"


def _last(outcome: Outcome) -> str:
    """The last line that was printed: what a script says about itself."""
    lines = [line.strip() for line in outcome.stdout.splitlines() if line.strip()]
    return f": {cut(lines[-1], 120)}" if lines else ""
