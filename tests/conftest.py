"""What every test may use: the `network` mark, and an index of our own on this machine."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings

from keras_bisect.builds.store import Source
from keras_bisect.probe.prober import Start
from local_index import LocalIndex
from probing import STARTS, fake_keras, survivors

# How long an example takes depends on what else the machine does.
settings.register_profile("anywhere", deadline=None)
settings.load_profile("anywhere")


@cache
def network_fault() -> str | None:
    """Why the real index cannot be reached; None where it can. Asked once a run."""
    import requests

    from keras_bisect.builds.index import index_url

    url = index_url() + "keras/"
    try:
        requests.head(url, timeout=10, allow_redirects=True).raise_for_status()
    except (requests.RequestException, OSError) as error:
        return f"{url} cannot be reached: {error}"
    return None


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("network") and (fault := network_fault()):
        pytest.skip(fault)


@pytest.fixture
def local_index(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalIndex]:
    """An empty index at 127.0.0.1."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with LocalIndex() as index:
        yield index


@pytest.fixture(scope="session")
def real_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache folder for the tests that fetch from the real index."""
    return tmp_path_factory.mktemp("real-cache")


@pytest.fixture
def nothing_is_left() -> Iterator[None]:
    """No test leaves a process or a folder behind."""
    yield
    assert not survivors()
    assert not list(Path(tempfile.gettempdir()).glob(f"keras-probe-{os.getpid()}-*"))


@pytest.fixture
def build(tmp_path: Path) -> Source:
    """A Keras of a few lines."""
    return fake_keras(tmp_path / "build")


@pytest.fixture(params=STARTS)
def start(request: pytest.FixtureRequest) -> Start:
    """Both ways to start a script."""
    if request.param == "fork" and not hasattr(os, "fork"):
        pytest.skip("this system cannot fork")
    chosen: Start = request.param
    return chosen


@pytest.fixture
def plain_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny Keras knows a model that is compiled and called, and no more."""
    from keras_repro import strategies

    drawn = strategies.cases(twists=())
    monkeypatch.setattr(strategies, "cases", lambda **_: drawn)
