"""All commands, as one.

Public: `cli`.
"""

from __future__ import annotations

import click

from keras_repro.cli.bisecting import bisect, status
from keras_repro.cli.hunting import find, hunt, regressions
from keras_repro.cli.listing import builds
from keras_repro.cli.minimizing import minimize
from keras_repro.cli.reporting import report, script
from keras_repro.cli.running import run, timeline
from keras_repro.cli.stepping import predicate

__all__ = ["cli"]

COMMANDS = (
    hunt,
    find,
    regressions,
    report,
    script,
    run,
    timeline,
    bisect,
    minimize,
    status,
    predicate,
    builds,
)


class InOrder(click.Group):
    """Commands in the order in which a person comes to need them, and not in the alphabet's."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names."""
        return list(self.commands)


@click.group(
    cls=InOrder, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="keras-repro")
def cli() -> None:
    """Find, shrink and date bugs of Keras 3."""


for command in COMMANDS:
    cli.add_command(command)
