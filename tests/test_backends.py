"""Without these, a backend would bring alarms of its own, or a search under it finds nothing."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given, settings

from keras_bisect.builds.build import parse_build
from keras_bisect.builds.index import Index
from keras_bisect.builds.store import Store, cache_folder
from keras_bisect.errors import HarnessError
from keras_bisect.probe import starting
from keras_bisect.probe.prefix import named_backend
from keras_bisect.probe.prober import Prober
from keras_repro import strategies
from keras_repro.case import Case
from keras_repro.cli.common import trees_of
from keras_repro.find import Budget, Found, search
from keras_repro.find.draw import fitting
from keras_repro.oracle import promised
from keras_repro.script import render
from keras_repro.strategies import cases
from probing import fake_keras
from test_case import FOUNDING
from tiny_keras import tiny_keras

FEW = Budget(max_examples=60, structures_per_model=0)


@settings(max_examples=60)
@given(cases())
def test_numpy_is_never_asked_to_train(case: Case) -> None:
    """Lost: that numpy has no gradients would be filed as a bug of Keras, of strength contract."""
    for fit in fitting([case], "numpy"):
        assert isinstance(fit, Case) and fit.light and promised(fit)
        assert fit.entry not in ("fit", "train_on_batch", "validation")
        assert fit.data != "DataLoader"


def test_a_loader_of_torch_is_for_torch_and_its_script_says_so() -> None:
    """Lost: a script that needs torch would be filed as one that needs keras and numpy."""
    case = FOUNDING.but(entry="evaluate", data="DataLoader")
    assert list(fitting([case], "torch")) == [case]
    [one] = fitting([case.but(data="arrays", steps_per_execution=2)], "torch")
    assert isinstance(one, Case) and one.steps_per_execution == 1
    [other] = fitting([case], "tensorflow")
    assert isinstance(other, Case) and other.data == "generator"
    assert "needs\ntorch" in render(case) or "needs torch" in render(case)
    assert "import torch" not in render(other)


@pytest.mark.parametrize(
    ("text", "backend"),
    [
        ("import os\nos.environ['KERAS_BACKEND'] = 'jax'\nimport keras", "jax"),
        ('os.environ.setdefault("KERAS_BACKEND", "torch")', "torch"),
        ("os.environ['KERAS_BACKEND'] = name", None),
        ("os.environ['KERAS_BACKEND'] = 'theano'", None),
    ],
)
def test_a_script_says_which_backend_it_needs(text: str, backend: str | None) -> None:
    """Lost: `--backend auto` would bisect a script under a backend that it does not fail with."""
    assert named_backend(text) == backend


def test_torch_has_one_tree() -> None:
    """Lost: a search under torch would run every case twice under the same implementation."""
    assert trees_of("both", "torch") == ("optree",)
    assert trees_of("both", "jax") == ("optree", "dm-tree")
    assert trees_of("dm-tree", "torch") == ("dm-tree",)


def test_torch_is_not_forked_from_a_process_that_holds_tensorflow_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Lost: its compiler crashes after TensorFlow's, and the crash would be a verdict on Keras."""
    monkeypatch.setattr(starting, "_server", lambda: 7)
    monkeypatch.setattr(starting, "_holds", {7: starting.WARM})
    monkeypatch.setattr(starting.sys, "platform", "linux")
    monkeypatch.setattr("multiprocessing.forkserver.ensure_running", lambda: None)
    assert starting.can_fork("jax") and not starting.can_fork("torch")
    assert Prober(backend="torch").start == "fresh"
    with pytest.raises(HarnessError, match="--fresh"):
        starting._run_server(starting.warm_of("torch"))


# -- a light backend -------------------------------------------------------------------


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    with Prober(timeout=30) as prober:
        yield prober


def lightly(prober: Prober, root: Path, bug: str) -> Found:
    source = tiny_keras(root, bug)
    return search(prober, source, trees=("optree",), seed=1, budget=FEW, light="numpy")


@pytest.mark.parametrize("bug", ["numpy alone", "not numpy"])
def test_what_passes_under_either_backend_is_no_find(
    prober: Prober, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bug: str
) -> None:
    """Lost: a search with TensorFlow would file what only numpy shows; or run everything twice."""
    drawn = strategies.cases(twists=(), entries=("evaluate",), eager=True)
    monkeypatch.setattr(strategies, "cases", lambda **_: drawn)
    found = lightly(prober, tmp_path, bug)
    assert found.findings == () and found.examples > 20


@pytest.mark.usefixtures("plain_cases")
def test_a_light_backend_hides_no_bug_that_it_has_itself(prober: Prober, tmp_path: Path) -> None:
    """Lost: a fast search that finds less."""
    found = lightly(prober, tmp_path, "alphabet")
    named = {finding.reading.signature for finding in found.findings}
    assert "target: alphabet (dict targets, list outputs)" in named


def test_where_keras_does_not_import_nothing_is_said_to_be_fine(
    prober: Prober, tmp_path: Path
) -> None:
    """Lost: `nothing found`, where nothing was run."""
    source = fake_keras(tmp_path, init="import no_such_module")
    with pytest.raises(HarnessError, match="no_such_module"):
        search(prober, source, trees=("optree",), seed=1, budget=FEW)


# -- the backends themselves -----------------------------------------------------------


@pytest.mark.network
@pytest.mark.parametrize("backend", ["jax", "torch", "numpy"])
def test_a_release_is_searched_under_each_backend(backend: str) -> None:
    """Lost: `--backend` would be an option that nobody has ever tried."""
    if find_spec("jax" if backend == "numpy" else backend) is None:
        pytest.skip(f"{backend} is not installed; the extra [{backend}] brings it")
    cache = cache_folder()
    budget = Budget(max_examples=25, structures_per_model=0)
    with Prober(backend=backend) as prober, Store(cache) as store:
        source = store.get(Index(cache).resolve(parse_build("3.5.0")))
        found = search(prober, source, trees=("optree",), seed=1, budget=budget)
    assert found.findings and found.fault is None
    # The same bugs as with any backend: none is the backend's own refusal.
    assert any("alphabet" in finding.reading.signature for finding in found.findings)
    refused = [f.raised.type for f in found.findings if f.raised is not None]
    assert "NotImplementedError" not in refused
