"""The command line: reads what a person wrote, calls one function, writes the answer. Nothing else.

    commands     all of them; a new one is a function in one of the modules below, and named there
    hunting, reporting, running, bisecting, minimizing, stepping, listing
    options      the options that commands share
    values       what their values are, and which are refused
    common       what commands share: a lab, a script or case, the failure of a case
    again        the command that was typed, as words
    output       where words go
    ending       errors and exit codes, in one place

Imports are made where they are used: `--help` must not wait for Hypothesis.

Public: `main`.
"""

from __future__ import annotations

import sys
import traceback
from typing import NoReturn

__all__ = ["main"]


def main() -> NoReturn:
    """Run the command line; every end is an exit code of the contract."""
    try:
        from keras_repro.cli.commands import cli
        from keras_repro.cli.ending import run_to_its_end
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception:  # noqa: BLE001 - Python would end with 1, which git takes for a verdict
        if sys.stderr is not None:
            traceback.print_exc()
        sys.exit(128 if sys.argv[1:2] == ["predicate"] else 5)
    run_to_its_end(cli)
