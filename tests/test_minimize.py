"""Without these, a smaller script could be of another bug than the one it was made from."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from keras_bisect.laboratory import open_lab
from keras_bisect.probe.prober import Script
from keras_bisect.verdict import Verdict, learn
from keras_repro.minimize import Ends, cut, minimize
from test_cli import COMMAND, keras_repro
from tiny_keras import tiny_keras

SCRIPT = """
import keras
import numpy as np

spare = [number for number in range(10)]
class Unused:
    pass
def output(name, value):
    return keras.layers.Dense(1, bias_initializer=value, name=name)("x")
model = keras.Model("x", [output("b", 9.0), output("a", 1.0)])
model.compile(loss="mse")
y = {"b": np.full((2, 1), 3.0), "a": np.full((2, 1), 4.0)}
print(spare)
assert model.evaluate(None, y)["loss"] == 45.0
"""


@pytest.fixture
def world(tmp_path: Path) -> tuple[list[str], dict[str, str], Path]:
    """The options of a good and a bad build, an environment, and a script."""
    good, bad = (tiny_keras(tmp_path / name, *bugs).path for name, bugs in ENDS.items())
    script = tmp_path / "mixed.py"
    script.write_text(SCRIPT)
    options = ["--good", f"path:{good}", "--bad", f"path:{bad}", "--backend", "numpy"]
    return options, {"KERAS_REPRO_CACHE": str(tmp_path / "cache")}, script


ENDS: dict[str, list[str]] = {"good": [], "bad": ["alphabet"]}


def test_what_is_left_is_the_same_bug(
    world: tuple[list[str], dict[str, str], Path], tmp_path: Path
) -> None:
    """Lost: a script cut down to `assert False`, or one that nothing was taken out of."""
    options, environment, script = world
    out = tmp_path / "small.py"
    run = keras_repro("minimize", script, *options, "--out", out, "--json", **environment)
    assert run.returncode == 0, run.stderr
    document = json.loads(run.stdout)
    text = out.read_text()
    assert document["script"] == text
    assert document["lines"]["after"] < document["lines"]["before"]
    assert document["finished"]
    assert "Unused" not in text and "Model" in text and "evaluate" in text
    for build, code in zip(options[1:4:2], (0, 1), strict=True):
        again = keras_repro("run", out, "--keras", build, *options[4:], "--fresh", **environment)
        assert again.returncode == code, again.stderr


SEEDED = """
import keras
import numpy as np
import random

random.seed(1)
noise = random.random()
layer = keras.layers.Dense(1, bias_initializer=9.0, name="b")
other = keras.layers.Dense(1, bias_initializer=1.0, name="a")
model = keras.Model("x", [layer("x"), other("x")])
model.compile(loss="mse")
y = {"b": np.full((2, 1), 3.0), "a": np.full((2, 1), 4.0)}
loss = model.evaluate(None, y)["loss"] + noise
assert 45.0 < loss < 45.95, f"the loss is {loss}"
"""


def test_a_seed_stays_where_something_is_drawn(tmp_path: Path) -> None:
    """Lost: without its seed a script passes and fails by chance, so any part of it can go."""
    good, bad = (tiny_keras(tmp_path / name, *bugs).path for name, bugs in ENDS.items())
    kept: list[str] = []
    with open_lab(cache=tmp_path / "cache", backend="numpy", repo=None) as lab:
        found = minimize(
            lab,
            Script(SEEDED),
            good=f"path:{good}",
            bad=f"path:{bad}",
            recognise=learn,
            smaller=kept.append,
        )
    assert found.finished and "evaluate" in found.text
    assert kept and found.text == kept[-1]
    assert not [one for one in kept if "random.random" in one and "random.seed" not in one]


ELSEWHERE = """
import sys
import keras
import numpy as np

layers = [keras.layers.Dense(1, bias_initializer=value, name=n)("x") for n, value in PAIRS]
if "elsewhere" in keras.__file__:
    sys.exit(1)
model = keras.Model("x", layers)
model.compile(loss="mse")
y = {"b": np.full((2, 1), 3.0), "a": np.full((2, 1), 4.0)}
sys.exit(0 if model.evaluate(None, y)["loss"] == 45.0 else 1)
"""


def test_what_other_releases_show_stays_if_it_is_told_of_them(tmp_path: Path) -> None:
    """Lost: an issue says "still wrong in 3.15" of a script that fails there in another way."""
    ends = ENDS | {"elsewhere": []}
    paths = {name: f"path:{tiny_keras(tmp_path / name, *bugs).path}" for name, bugs in ends.items()}
    script = Script(ELSEWHERE.replace("PAIRS", '[("b", 9.0), ("a", 1.0)]'))
    left = {}
    with open_lab(cache=tmp_path / "cache", backend="numpy", repo=None) as lab:
        good, bad, elsewhere = map(lab.resolve, paths.values())
        signature = learn(lab.outcome(script, bad))
        assert signature is not None
        for others in ((), ((elsewhere, Verdict.BAD),)):
            until = time.monotonic() + 100
            both = Ends(good, bad, others)
            left[others] = cut(lab, script, signature, both, "optree", until, lambda _: ())[0]
    alone, told = left.values()
    assert "elsewhere" not in alone and "evaluate" in alone
    assert "elsewhere" in told and "evaluate" in told


def test_ends_that_are_swapped_are_refused(
    world: tuple[list[str], dict[str, str], Path], tmp_path: Path
) -> None:
    """Lost: a script that fails nowhere would be made small all the same."""
    (_, good, _, bad, *rest), environment, script = world
    out = tmp_path / "small.py"
    ends = ("--good", bad, "--bad", good)
    run = keras_repro("minimize", script, *ends, *rest, "--out", out, **environment)
    assert run.returncode == 3 and "swapped" in run.stderr
    assert not out.exists()


def test_the_script_itself_is_not_written_over(
    world: tuple[list[str], dict[str, str], Path],
) -> None:
    """Lost: somebody's only copy of a program."""
    options, environment, script = world
    run = keras_repro("minimize", script, *options, "--out", script, **environment)
    assert run.returncode == 2 and "--out" in run.stderr
    assert script.read_text() == SCRIPT


def test_an_interrupt_keeps_the_smallest_so_far(
    world: tuple[list[str], dict[str, str], Path], tmp_path: Path
) -> None:
    """Lost: ten minutes of work, to a Ctrl-C."""
    options, environment, script = world
    out = tmp_path / "small.py"
    process = subprocess.Popen(
        [str(COMMAND), "minimize", str(script), *options, "--out", str(out)],
        env=os.environ | environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    end = time.monotonic() + 80
    while not out.exists() and time.monotonic() < end:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    compile(out.read_text(), "small.py", "exec")
    assert "evaluate" in out.read_text()
