"""The command that was typed, as somebody else would type it to have the same answer.

Public: `again`.
"""

from __future__ import annotations

import shlex

import click
from click.core import ParameterSource

__all__ = ["again"]

ASIDE = {"out", "repo", "events", "jobs", "json_", "exit_code", "offline", "no_cache", "index_url"}
"""Options that change no answer, or that are about this machine."""


def again(**pinned: str) -> str:
    """The command of this process, without what is about this machine alone.

    Args:
        pinned: options that are written down whether they were given or not, by their value.
    """
    context = click.get_current_context()
    words = context.command_path.split()
    for option in context.command.params:
        name = option.name or ""
        given = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        value = pinned.get(name, context.params.get(name) if given and name not in ASIDE else None)
        if isinstance(option, click.Option) and value not in (None, False, ()):
            values = value if isinstance(value, tuple) else (value,)
            for one in values:
                words += [max(option.opts, key=len), *([] if one is True else [str(one)])]
    return shlex.join(words)
