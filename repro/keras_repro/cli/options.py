"""The options that commands share: the same word means the same everywhere.

Each decorator adds options and hands them to the command as one value.

Public: `Probing`, `Shared`, `probing`, `shared`, `as_json`, `one_tree`, `searching`, `matching`,
`MatchCommand`, `out_option`, `index_option`, `BUILD_HELP`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import click

from keras_repro.cli.values import FOLDER, TO_WRITE, Duration, Number, Size, Word

__all__ = [
    "BUILD_HELP",
    "MatchCommand",
    "Probing",
    "Shared",
    "as_json",
    "comparing",
    "index_option",
    "matching",
    "one_tree",
    "out_option",
    "probing",
    "searching",
    "shared",
]

F = TypeVar("F", bound=Callable[..., Any])
Option = Callable[[F], F]

BUILD_HELP = (
    "A build: 3.5.0, nightly, nightly:2024-07-20, 3.4.1.dev2024072003, git:REV, path:DIR, "
    "installed."
)


index_option = click.option(
    "--index-url",
    metavar="URL",
    type=Word(),
    help="The package index.  [default: as pip, else PyPI]",
)

PROBING: tuple[Option[Any], ...] = (
    click.option(
        "--backend",
        default="tensorflow",
        show_default=True,
        type=click.Choice(["tensorflow", "jax", "torch", "numpy", "auto"]),
        help="Keras backend of every probe. auto: what a script names itself, else tensorflow; a "
        "search then runs under numpy first what numpy can run.",
    ),
    click.option(
        "--timeout",
        default=120.0,
        show_default=True,
        metavar="SECONDS",
        type=Number(min=0.1, max=10_000_000),
        help="Time that a script may take.",
    ),
    click.option(
        "--memory",
        default="4g",
        show_default=True,
        type=Size(),
        help="Memory that a script may use: 4g, 512m.",
    ),
    click.option(
        "--fresh",
        is_flag=True,
        help="A fresh interpreter for each probe: slower, same results.",
    ),
)

BUILDING: tuple[Option[Any], ...] = (
    click.option(
        "--jobs",
        metavar="N",
        type=click.IntRange(1, 1000),
        help="Probes at a time; the answer is the same.  [default: one a processor]",
    ),
    click.option("--offline", is_flag=True, help="Use only what is in the cache."),
    click.option(
        "--index-url",
        metavar="URL",
        type=Word(),
        help="The package index.  [default: as pip, else PyPI]",
    ),
    click.option(
        "--repo",
        metavar="PATH|URL|none",
        type=Word(),
        help="The Keras repository, for commits.  [default: a mirror of it in the cache]",
    ),
    click.option(
        "--era",
        is_flag=True,
        help="Probe a build that does not import here in an environment of its own time "
        "(needs uv).",
    ),
    click.option("--no-cache", is_flag=True, help="Probe anew what earlier commands have probed."),
    click.option(
        "--events",
        metavar="FILE",
        type=TO_WRITE,
        help="Append what happens to a file, as JSON lines.",
    ),
)


@dataclass(frozen=True)
class Probing:
    """The options that say how a script is run."""

    backend: str
    timeout: float
    memory: int
    """Bytes."""
    fresh: bool


@dataclass(frozen=True)
class Shared(Probing):
    """The options that mean the same for every command that probes builds."""

    jobs: int | None
    offline: bool
    index_url: str | None
    repo: str | None
    era: bool
    no_cache: bool
    events: Path | None


def probing(command: F) -> F:
    """Add the options that say how a script is run, as one argument `probing`."""
    return _gathered(PROBING, Probing, "probing", command)


def shared(command: F) -> F:
    """Add the options that mean the same everywhere, as one argument `shared`."""
    return _gathered((*PROBING, *BUILDING), Shared, "shared", command)


def _gathered(options: Sequence[Option[Any]], kind: type[Probing], name: str, command: F) -> F:
    """The command with more options, which it is given as one value."""
    names = [field.name for field in fields(kind)]

    def gathered(*args: Any, **given: Any) -> Any:
        value = kind(**{one: given.pop(one) for one in names})
        return command(*args, **given, **{name: value})

    gathered.__name__, gathered.__doc__ = command.__name__, command.__doc__
    gathered.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    return _with(options, gathered)  # type: ignore[return-value]


def _with(options: Sequence[Option[Any]], command: F) -> F:
    for option in reversed(options):
        command = option(command)
    return command


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
        for place, word in enumerate(args):
            if word == "--":
                break
            before = args[place - 1] if place else ""
            if word == "--match=message" or (word, before) == ("message", "--match"):
                args = [*args[:place], " ".join(args[place : place + 2]), *args[place + 2 :]]
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


def out_option(text: str) -> Callable[[F], F]:
    """`--out`."""
    return click.option("--out", default="hunts", show_default=True, type=FOLDER, help=text)


SEARCHING: tuple[Option[Any], ...] = (
    click.option(
        "--keras", metavar="BUILD", type=Word(), help=f"{BUILD_HELP}  [default: the newest release]"
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
        metavar="N",
        type=click.IntRange(min=0),
        help="The same seed draws the same cases.",
    ),
    click.option(
        "--max-examples",
        metavar="N",
        type=click.IntRange(min=1),
        help="Models drawn and run; shrinking comes on top.  "
        "[default: 150; without a limit if there is a --budget]",
    ),
    click.option(
        "--budget",
        metavar="TIME",
        type=Duration(),
        help="How long to search: 90s, 10m, 2h. Ends earlier when nothing new has come for long.",
    ),
    click.option(
        "--only", metavar="RULE[,RULE…]", help="Look only for what breaks these rules: R5,T6."
    ),
    click.option(
        "--not",
        "without",
        metavar="RULE|SLUG",
        multiple=True,
        help="Pass over a rule, or a finding by the name of its folder or its last six letters.",
    ),
    click.option("--deep", is_flag=True, help="Larger structures, and no end before the budget's."),
    click.option("--first", is_flag=True, help="Stop at the first finding."),
    out_option("Folder for hunt folders."),
    click.option("--exit-code", is_flag=True, help="Exit with 1 if something was found."),
)


def searching(command: F) -> F:
    """Add the options of a search."""
    return _with(SEARCHING, command)


def comparing(command: F) -> F:
    """Add the options of a search that holds two builds against each other."""
    ends: tuple[Option[Any], ...] = (
        click.option(
            "--from",
            "before",
            metavar="BUILD",
            type=Word(),
            help="The build in which it passed.  [default: the newest release]",
        ),
        click.option(
            "--to",
            "after",
            metavar="BUILD",
            type=Word(),
            help="The build in which it fails.  [default: the newest nightly]",
        ),
    )
    return _with((*ends, *SEARCHING[1:]), command)
