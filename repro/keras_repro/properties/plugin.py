"""What pytest does in a run of the property tests: profiles, accepted bugs, the implementation.

Loaded by `options.py`, which pytest knows, in such a run alone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from keras_repro.checking import check
from keras_repro.reading import AnyCase, render

__all__ = ["Known", "holds", "keras_tree"]

TREES = {"optree": "optree_impl", "dm-tree": "dmtree_impl"}
CALM = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]

# The same few examples in every run of a pull request: a red test means that the code changed.
settings.register_profile(
    "ci", derandomize=True, max_examples=30, deadline=None, suppress_health_check=CALM
)
settings.register_profile("night", max_examples=5000, deadline=None, suppress_health_check=CALM)


class Known:
    """The bugs that are accepted."""

    def __init__(self, file: str | None) -> None:
        """Read the file."""
        try:
            text = Path(file).read_text("utf-8") if file else ""
        except (OSError, UnicodeDecodeError) as error:
            raise pytest.UsageError(f"--keras-repro-known: {file}: {error}") from None
        lines = (line.partition(" #")[0].strip() for line in text.splitlines())
        self.signatures = {line for line in lines if line and not line.startswith("#")}
        self.seen: set[str] = set()

    def accepts(self, signature: str) -> bool:
        """Whether a failure is accepted."""
        if signature in self.signatures:
            self.seen.add(signature)
        return signature in self.signatures


KNOWN = pytest.StashKey[Known]()


def pytest_configure(config: pytest.Config) -> None:
    """Choose profile and implementation, and read what is accepted, before keras is imported."""
    if not config.getoption("--hypothesis-profile", None):
        settings.load_profile("ci")
    config.stash[KNOWN] = Known(config.getoption("--keras-repro-known"))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if config.getoption("--keras-repro-tree") == "dm-tree":
        if "keras" in sys.modules:
            raise pytest.UsageError("keras was imported before its tree implementation was chosen")
        # Keras takes dm-tree only where optree cannot be imported.
        sys.modules["optree"] = None  # type: ignore[assignment]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name what is accepted and was not seen."""
    known = terminalreporter.config.stash[KNOWN]
    for signature in sorted(known.signatures - known.seen):
        terminalreporter.write_line(f"accepted, and not seen: {signature}")


@pytest.fixture(scope="session")
def keras_tree(request: pytest.FixtureRequest) -> str:
    """The implementation of keras.tree that is tested; made sure of."""
    wanted: str = request.config.getoption("--keras-repro-tree")
    import_module("keras")
    taken = import_module("keras.src.tree.tree_api").tree_impl.__name__.rpartition(".")[2]
    assert taken in (TREES[wanted], "torchtree_impl"), f"keras took {taken}, not {wanted}"
    return wanted


@pytest.fixture(scope="session")
def holds(request: pytest.FixtureRequest, keras_tree: str) -> Iterator[Callable[[AnyCase], None]]:
    """Fails where Keras does not do with a case as it says, and that is not accepted."""
    known = request.config.stash[KNOWN]

    def held(case: AnyCase) -> None:
        for reading in check(case):
            if known.accepts(reading.signature):
                continue
            sentences = "\n".join(reading.sentences)
            pytest.fail(
                f"{reading.signature}\n\n{sentences}\nbreaks {', '.join(reading.rules)} "
                f"({reading.strength}), under {keras_tree}\n\n{render(case).text}",
                pytrace=False,
            )

    yield held
