"""The command that was typed, as somebody else would type it, or the same person once more.

Public: `again`, `given`.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator

import click
from click.core import ParameterSource

from keras_bisect.wording import gigabytes
from keras_repro.cli.values import Size

__all__ = ["again", "given"]

ASIDE = {"out", "repo", "events", "jobs", "json_", "exit_code", "offline", "no_cache", "index_url"}
"""Options that change no answer, or that are about this machine."""


def again(**pinned: str) -> str:
    """The command of this process, without what is about this machine alone.

    Args:
        pinned: options that are written down whether they were given or not, by their value.
    """
    words = click.get_current_context().command_path.split()
    return shlex.join([*words, *_options(ASIDE, pinned)])


def given(*but: str) -> list[str]:
    """The options that were given to this command, as words.

    Args:
        but: names of parameters to leave out.
    """
    return list(_options(but, {}))


def _options(but: Collection[str], pinned: dict[str, str]) -> Iterator[str]:
    context = click.get_current_context()
    for option in context.command.params:
        name = option.name or ""
        typed = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        value = pinned.get(name, context.params.get(name) if typed and name not in but else None)
        if not isinstance(option, click.Option) or value in (None, False, ()):
            continue
        for one in value if isinstance(value, tuple) else (value,):
            yield max(option.opts, key=len)
            if one is not True:
                yield gigabytes(one) if isinstance(option.type, Size) else str(one)
