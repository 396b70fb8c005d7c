"""How every command ends: one place for errors, what is said of them, and exit codes.

Exit codes are a contract: 0 answered, 1 only where `run`, `predicate` or `--exit-code` says so, 2
usage, 3 not reproduced, 4 inconclusive, 5 the harness failed, 125 from `run` and `predicate` for
what cannot be tested, 130 interrupted. git takes every code below 128 for a verdict, so `predicate`
ends with 128 or more where it has none.

Public: `run_to_its_end`.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from typing import Any, NoReturn

import click

from keras_bisect.errors import INTERRUPTED, HarnessError, KerasBisectError, UsageError, git_code
from keras_repro.cli.output import prepare, say, tell

__all__ = ["run_to_its_end"]

FRAMES_SHOWN = 30
"""Of a fault of our own: an endless recursion has a thousand."""


def run_to_its_end(command: click.Command) -> NoReturn:
    """Run a command line; every end is an exit code of the contract."""
    # SIGINT, too: a shell starts its background jobs with it ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    # A terminal that is closed; but `nohup` means what it says.
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, _interrupt)
    try:
        prepare()
        code = _run(command)
        sys.stdout.flush()
    except BaseException as error:  # noqa: BLE001 - a traceback would end with 1, and 1 is a verdict
        code = _failed(error)
        if sys.argv[1:2] == ["predicate"]:
            code = git_code(code)
    sys.exit(code)


def _run(command: click.Command) -> int:
    try:
        return command.main(standalone_mode=False) or 0
    except click.exceptions.Exit as end:
        return end.exit_code


def _failed(error: BaseException) -> int:
    """Tell an error, and the exit code of it."""
    match error:
        case click.ClickException():
            _tell_usage(error)
            return UsageError.exit_code
        case KerasBisectError():
            say(str(error))
            return error.exit_code
        case KeyboardInterrupt() | click.Abort():
            say("interrupted.")
            return INTERRUPTED
        case OSError():
            say(f"{_words(error)}. What was written before is kept; run again when it is mended.")
        case MemoryError():
            say("There is not enough memory.")
        case _:
            tell("".join(traceback.format_exception(error, limit=-FRAMES_SHOWN)))
            say("This is a fault of keras-repro itself: please report it with the lines above.")
    return HarnessError.exit_code


def _tell_usage(error: click.ClickException) -> None:
    message = error.format_message()
    if "\n" in message:
        # The help, where there was nothing on the command line.
        tell(f"{message}\n")
        return
    context = getattr(error, "ctx", None)
    hint = f" `{context.command_path} --help` tells more." if context is not None else ""
    say(f"{message}{'' if message.endswith(('.', '?')) else '.'}{hint}")


def _words(error: OSError) -> str:
    where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
    return f"{where}{error.strerror or error}"


def _interrupt(_signal: int, _frame: Any) -> NoReturn:
    raise KeyboardInterrupt
