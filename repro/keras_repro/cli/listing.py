"""`builds`: what can be tested?

Public: `builds`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from keras_repro.cli.options import as_json, index_option
from keras_repro.cli.output import say, write, write_json

if TYPE_CHECKING:
    from keras_bisect.builds.build import Build

__all__ = ["builds"]


@click.command()
@click.option("--kind", type=click.Choice(["release", "nightly"]), help="Only these.")
@click.option("--offline", is_flag=True, help="Use only what is in the cache.")
@index_option
@as_json
def builds(json_: bool, kind: str | None, offline: bool, index_url: str | None) -> int:
    """List the builds that can be tested, oldest first."""
    from keras_bisect.builds.index import Index
    from keras_bisect.builds.store import cache_folder

    index = Index(cache_folder(), url=index_url, offline=offline, notice=say)
    listed: list[Build] = []
    if kind != "nightly":
        listed += index.releases()
    if kind != "release":
        listed += index.nightlies()
    if json_:
        write_json({"schema": 1, "builds": [_build_document(build) for build in listed]})
    else:
        write("".join(map(_line, listed)))
    return 0


def _build_document(build: Build) -> dict[str, Any]:
    return {
        "build": build.name,
        "kind": build.kind,
        "made": build.made.isoformat() if build.made else None,
        "yanked": build.wheel.yanked if build.wheel else None,
    }


def _line(build: Build) -> str:
    made = build.made.strftime("%Y-%m-%d") if build.made else ""
    yanked = "  yanked" if build.yanked else ""
    return f"{build.name:24} {build.kind:8} {made}{yanked}\n"
