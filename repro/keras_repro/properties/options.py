"""The options of the property tests. Any pytest loads this, so it imports next to nothing.

What a run of them needs beyond is in `plugin.py`. It is loaded before anything is configured, so
that the profiles `ci` and `night` are there when Hypothesis looks for them.
"""

from __future__ import annotations

import os

import pytest

__all__ = ["pytest_addoption", "pytest_configure"]

PLUGIN = "keras_repro.properties.plugin"


def pytest_addoption(parser: pytest.Parser) -> None:
    """What is accepted, and which implementation of keras.tree is tested."""
    group = parser.getgroup("keras-repro")
    group.addoption(
        "--keras-repro-known", metavar="FILE", help="bugs that are accepted, a signature a line"
    )
    group.addoption(
        "--keras-repro-tree",
        choices=["optree", "dm-tree"],
        default=os.environ.get("KERAS_REPRO_TREE", "optree"),
        help="implementation of keras.tree to test (optree)",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Load the rest, where the property tests are run."""
    if any("keras_repro" in str(argument) for argument in config.args):
        config.pluginmanager.import_plugin(PLUGIN)
