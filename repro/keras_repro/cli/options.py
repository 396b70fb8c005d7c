"""The options that commands share: the same word means the same everywhere.

Each decorator adds options and hands them to the command as one value.

Public: `Shared`, `shared`, `as_json`, `one_tree`, `searching`, `matching`, `BUILD_HELP`, `Repeats`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

__all__ = [
    "BUILD_HELP",
    "MatchCommand",
    "Repeats",
    "Shared",
    "as_json",
    "matching",
    "one_tree",
    "searching",
    "shared",
]

F = TypeVar("F", bound=Callable[..., Any])

BUILD_HELP = (
    "A build: 3.5.0, nightly, nightly:2024-07-20, 3.4.1.dev2024072003, git:REV, path:DIR, "
    "installed."
)


@dataclass(frozen=True)
class Shared:
    """The options that mean the same for every command that probes."""

    backend: str
    timeout: float
    memory: int
    jobs: int | None
    offline: bool
    fresh: bool
    index_url: str | None
    repo: str | None
    era: bool
    no_cache: bool
    events: Path | None


def shared(command: F) -> F:
    """Add the options that mean the same everywhere, as one argument `shared`."""

    def gathered(
        *args: Any,
        backend: str,
        timeout: float,
        memory: float,
        jobs: int | None,
        offline: bool,
        fresh: bool,
        index_url: str | None,
        repo: str | None,
        era: bool,
        no_cache: bool,
        events: Path | None,
        **others: Any,
    ) -> Any:
        size = int(memory * (1 << 30))
        given = Shared(
            backend, timeout, size, jobs, offline, fresh, index_url, repo, era, no_cache, events
        )
        return command(*args, shared=given, **others)

    options = (
        click.option(
            "--backend",
            default="tensorflow",
            show_default=True,
            type=click.Choice(["tensorflow", "jax", "torch", "numpy"]),
            help="Keras backend of every probe.",
        ),
        click.option(
            "--timeout",
            default=120.0,
            show_default=True,
            type=click.FloatRange(min=0.1),
            help="Seconds a script may run.",
        ),
        click.option(
            "--memory",
            default=4.0,
            show_default=True,
            type=click.FloatRange(min=0.1),
            help="GiB a script may use.",
        ),
        click.option(
            "--jobs",
            type=click.IntRange(min=1),
            help="Probes at a time; the answer is the same.  [default: one a processor]",
        ),
        click.option("--offline", is_flag=True, help="Use only what is in the cache."),
        click.option(
            "--fresh",
            is_flag=True,
            help="A fresh interpreter for each probe: slower, same results.",
        ),
        click.option(
            "--era",
            is_flag=True,
            help="Probe a build that does not import here in an environment of its own time "
            "(needs uv).",
        ),
        click.option(
            "--no-cache", is_flag=True, help="Probe anew what earlier commands have probed."
        ),
        click.option(
            "--index-url", metavar="URL", help="The package index.  [default: as pip, else PyPI]"
        ),
        click.option(
            "--repo",
            metavar="PATH|URL|none",
            help="The Keras repository, for commits.  [default: a mirror of it in the cache]",
        ),
        click.option(
            "--events",
            metavar="FILE",
            type=click.Path(dir_okay=False, path_type=Path),
            help="Append what happens to a file, as JSON lines.",
        ),
    )
    return _with(options, command, gathered)


def _with(options: tuple[Callable[[F], F], ...], command: F, gathered: Any) -> F:
    """`gathered` in the place of `command`, with more options."""
    gathered.__name__, gathered.__doc__ = command.__name__, command.__doc__
    gathered.__click_params__ = getattr(command, "__click_params__", [])
    for option in reversed(options):
        gathered = option(gathered)
    return gathered  # type: ignore[no-any-return]


def as_json(command: F) -> F:
    """Add `--json`."""
    text = "One JSON document on standard output, nothing else there."
    return click.option("--json", "json_", is_flag=True, help=text)(command)


def one_tree(command: F) -> F:
    """Add `--tree` for commands that probe under one implementation."""
    kinds = click.Choice(["optree", "dm-tree"])
    text = "Implementation of keras.tree."
    return click.option("--tree", default="optree", show_default=True, type=kinds, help=text)(
        command
    )


class MatchCommand(click.Command):
    """A command whose `--match` may be followed by two words: `--match message REGEX`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Make one argument of the two."""
        for place in range(len(args) - 2):
            if args[place : place + 2] == ["--match", "message"]:
                args = [*args[: place + 1], f"message {args[place + 2]}", *args[place + 3 :]]
                break
        return super().parse_args(ctx, args)


def matching(command: F) -> F:
    """Add `--match`; the command's class must be `MatchCommand`."""
    return click.option(
        "--match",
        "match",
        default="signature",
        show_default=True,
        metavar="signature|type|message REGEX|any",
        help="What a failure must share with that of the bad end to be the same.",
    )(command)


class Repeats(click.ParamType[int | None]):
    """`auto`, which is None, or a number of runs."""

    name = "auto|N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read what a person wrote."""
        if value in (None, "auto"):
            return None
        if not str(value).isdecimal() or int(value) < 1:
            self.fail(f"{value!r} is neither auto nor a number of runs.", param, ctx)
        return int(value)


def searching(command: F) -> F:
    """Add the options of a search."""
    options = (
        click.option(
            "--keras", metavar="BUILD", help=f"{BUILD_HELP}  [default: the newest release]"
        ),
        click.option(
            "--tree",
            default="both",
            show_default=True,
            type=click.Choice(["optree", "dm-tree", "both"]),
            help="Implementation of keras.tree.",
        ),
        click.option(
            "--seed",
            default=0,
            show_default=True,
            type=click.IntRange(min=0),
            help="The same seed draws the same cases.",
        ),
        click.option(
            "--max-examples",
            default=150,
            show_default=True,
            type=click.IntRange(min=1),
            help="Models drawn; shrinking comes on top.",
        ),
        click.option("--first", is_flag=True, help="Stop at the first finding."),
        click.option(
            "--out",
            default="hunts",
            show_default=True,
            type=click.Path(file_okay=False, path_type=Path),
            help="Folder for hunt folders.",
        ),
        click.option("--exit-code", is_flag=True, help="Exit with 1 if something was found."),
    )
    for option in reversed(options):
        command = option(command)
    return command
