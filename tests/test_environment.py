"""What of a machine can change a probe: real folders of packages, and this machine's own."""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_bisect.probe.environment import TOOLS, Environment, here

FACTS = st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=4)


@given(FACTS, FACTS)
def test_environments_are_the_same_if_their_facts_are(
    one: dict[str, str], other: dict[str, str]
) -> None:
    """Lost without it: a result of one TensorFlow is taken for that of another."""
    now, then = Environment(one), Environment(json.loads(json.dumps(other)))
    assert (now.identity == then.identity) == (one == other)
    assert re.fullmatch("[0-9a-f]{16}", now.identity)


def test_the_order_of_facts_does_not_matter() -> None:
    """Lost without it: a journal whose keys were sorted is of another environment."""
    one, other = {"a": "1", "b": "2"}, {"b": "2", "a": "1"}
    assert Environment(one).identity == Environment(other).identity


def packages(folder: Path, *names: str) -> list[str]:
    for name in names:
        (folder / name).mkdir(parents=True)
    return [str(folder)]


def facts(paths: list[str], **variables: str) -> dict[str, str]:
    found = here("jax", "fork", paths=paths, variables=variables)
    of_this_machine = {"probe", "Python", "Python options", "platform", "text encoding"}
    return {name: value for name, value in found.facts.items() if name not in of_this_machine}


def test_what_is_installed_is_found(tmp_path: Path) -> None:
    """Lost without it: `pip install --upgrade numpy` leaves every kept result as it was."""
    first = packages(
        tmp_path / "first",
        "tensorflow-2.21.0.dist-info",
        "ml_dtypes-0.5.1.dist-info",
        "dm.Tree-0.1.9+local.dist-info",
        "PyYAML-6.0-py3.11.egg-info",
        "__pycache__",
        "numpy",
        "odd-1-2-3.dist-info",
    )
    second = packages(tmp_path / "second", "tensorflow-1.0.dist-info", "six-1.17.0.dist-info")
    assert facts([*first, *second, str(tmp_path / "missing.zip")]) == {
        "backend": "jax",
        "start": "fork",
        "dm-tree": "0.1.9+local",
        "ml-dtypes": "0.5.1",
        "pyyaml": "6.0",
        "six": "1.17.0",
        "tensorflow": "2.21.0",
    }


def test_it_is_what_python_finds() -> None:
    """Lost without it: a package whose folder is named in another way changes unseen."""
    found = here("tensorflow", "fork").facts
    for one in importlib.metadata.distributions():
        name = re.sub(r"[-_.]+", "-", one.metadata["Name"]).lower()
        assert TOOLS.fullmatch(name) or found[name] == importlib.metadata.version(name)


@pytest.mark.parametrize("name", ["keras", "keras_nightly", "ruff", "pytest_xdist", "types_six"])
def test_what_no_probe_imports_does_not_count(tmp_path: Path, name: str) -> None:
    """Lost without it: a new linter, or the upgrade that is looked into, costs all results."""
    assert facts(packages(tmp_path, f"{name}-1.0.dist-info")) == facts([])


@pytest.mark.parametrize("name", ["keras_hub", "tf_keras", "torch", "pip_system_certs"])
def test_what_a_probe_may_import_counts(tmp_path: Path, name: str) -> None:
    """Lost without it: a name that looks like that of a tool is left out."""
    assert facts(packages(tmp_path, f"{name}-1.0.dist-info")) != facts([])


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("TF_ENABLE_ONEDNN_OPTS", True),
        ("TF2_BEHAVIOR", True),
        ("XLA_FLAGS", True),
        ("KERAS_TORCH_DEVICE", True),
        ("OMP_NUM_THREADS", True),
        ("PYTHONWARNINGS", True),
        ("LD_LIBRARY_PATH", True),
        ("KERAS_REPRO_CACHE", False),
        ("KERAS_BACKEND", False),
        ("TF_CPP_MIN_LOG_LEVEL", False),
        ("LANG", False),
        ("HOME", False),
        ("PYTHONDONTWRITEBYTECODE", False),
    ],
)
def test_variables_that_count(name: str, counts: bool) -> None:
    """Lost without it: a search with another XLA gets the results of this one, or none at all."""
    bare, one, other = (
        here("jax", "fork", paths=[], variables=found) for found in ({}, {name: "1"}, {name: "2"})
    )
    assert (bare.identity != one.identity) == counts
    assert (one.facts != other.facts) == counts


def test_variables_that_the_script_names_count() -> None:
    """Lost without it: `MODE=b keras-repro bisect` answers what MODE=a did, or tells a password."""
    script = "import os; mode = os.environ['MODE']; b = os.getenv(\"KERAS_BACKEND\")"
    variables = {"MODE": "secret", "OTHER": "x", "KERAS_BACKEND": "jax"}
    one = here("jax", "fork", script=script, paths=[], variables=variables)
    other = here("jax", "fork", script=script, paths=[], variables=variables | {"MODE": "b"})
    assert one.identity != other.identity
    assert "secret" not in json.dumps(dict(one.facts)) and "$OTHER" not in one.facts


def test_how_probes_are_made_counts() -> None:
    """Lost without it: a result of one backend is taken for that of another."""
    ways = [(backend, start) for backend in ("jax", "torch") for start in ("fork", "fresh")]
    made = {here(*way).identity for way in ways}
    assert len(made) == 4
    assert here("jax", "fork").identity in made


def test_nothing_is_imported_to_know() -> None:
    """Lost without it: the toolkit waits seconds for TensorFlow before it says a word."""
    heavy = "{'tensorflow', 'numpy', 'importlib.metadata', 'email'} & set(sys.modules)"
    text = (
        "import sys; from keras_bisect.probe.environment import here\n"
        f"here('jax', 'fork'); print({heavy})"
    )
    command = [sys.executable, "-c", text]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "set()\n"
