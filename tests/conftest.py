"""What every test may use: the `network` mark, and an index of our own on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings

from local_index import LocalIndex

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
