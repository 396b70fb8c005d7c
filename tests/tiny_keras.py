"""A Keras of a hundred lines that routes as documented, and with bugs that are planted in it.

It serves the scripts of model cases (as a `path:` build), imports in no time, and gives the numbers
that the real one would. So it is known what a search must find in it, and that is tested here in
real processes, without a wheel.

Public: `tiny_keras`.
"""

from __future__ import annotations

from pathlib import Path

from keras_bisect.builds.store import Source
from probing import fake_keras

__all__ = ["tiny_keras"]

MODEL = '''
from types import SimpleNamespace

FUNCTIONS = {"mse": lambda p, t: (p - t) ** 2, "mae": lambda p, t: abs(p - t)}


def Input(shape):
    return "x"


def Constant(value):
    return value


def Dense(units, bias_initializer, name):
    return lambda x: SimpleNamespace(name=name, value=bias_initializer)


initializers = SimpleNamespace(Constant=Constant)
layers = SimpleNamespace(Dense=Dense)


def by_name(model, given, default=None):
    """What each output is given, in the order of the outputs."""
    if isinstance(given, dict):
        return [given.get(name, default) for name in model.names]
    if isinstance(given, (list, tuple)):
        return list(given)
    return [given] * len(model.names)


def targets_of(model, y):
    return by_name(model, y)


class Model:
    def __init__(self, x, outputs):
        self.container = type(outputs)
        if isinstance(outputs, dict):
            self.names, outputs = list(outputs), list(outputs.values())
        else:
            self.names = [one.name for one in outputs]
        self.values = [one.value for one in outputs]

    def compile(self, loss, loss_weights=None, metrics=None, run_eagerly=False):
        self.loss, self.loss_weights, self.metrics = loss, loss_weights, metrics

    def evaluate(self, x, y, verbose=0, return_dict=True):
        targets = [float(one.flat[0]) for one in targets_of(self, y)]
        losses = by_name(self, self.loss)
        weights = by_name(self, self.loss_weights, 1.0)
        metrics = by_name(self, self.metrics, [])
        many = len(self.names) > 1
        logs = {"loss": 0.0}
        for name, value, target, loss, weight in zip(
            self.names, self.values, targets, losses, weights
        ):
            if loss is not None:
                one = FUNCTIONS[loss](value, target)
                logs["loss"] += one * (1.0 if weight is None else weight)
                if many:
                    logs[name + "_loss"] = one
        for name, value, target, wanted in zip(self.names, self.values, targets, metrics):
            for metric in wanted or []:
                label = name + "_" + metric if many else metric
                logs[label] = FUNCTIONS[metric](value, target)
        return logs

    def test_on_batch(self, x, y, return_dict=True):
        return self.evaluate(x, y)

    train_on_batch = test_on_batch

    def fit(self, x, y, verbose=0):
        logs = self.evaluate(x, y)
        return SimpleNamespace(history={name: [value] for name, value in logs.items()})
'''

BUGS = {
    # The founding bug: dict targets of list outputs go by the alphabet.
    "alphabet": """
def targets_of(model, y):
    if isinstance(y, dict) and model.container is not dict:
        return [y[name] for name in sorted(y)]
    return by_name(model, y)
""",
    # Two bugs at once: losses of models with three outputs, or more, kill the process.
    "crash": """
import os, signal
def targets_of(model, y):
    if len(model.names) > 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return by_name(model, y)
""",
    # What `fit` of three outputs or more does nobody sees while targets are mixed up.
    "rare": """
plain = Model.fit
def fit(model, x, y, verbose=0):
    if len(model.names) > 2:
        raise RuntimeError("rare")
    return plain(model, x, y, verbose)
Model.fit = fit
""",
    # What one backend alone gets wrong.
    "numpy alone": """
import os
def targets_of(model, y):
    if os.environ["KERAS_BACKEND"] == "numpy":
        raise ValueError("numpy")
    return by_name(model, y)
""",
    "not numpy": """
import os
def targets_of(model, y):
    if os.environ["KERAS_BACKEND"] != "numpy":
        raise ValueError("not numpy")
    return by_name(model, y)
""",
    # The order in which a dict of targets was written counts.
    "insertion": """
def targets_of(model, y):
    return list(y.values()) if isinstance(y, dict) else by_name(model, y)
""",
    "refusal": """
def targets_of(model, y):
    if model.loss_weights is not None and not isinstance(model.loss, (list, dict)):
        raise ValueError("`loss_weights` must match the number of losses")
    return by_name(model, y)
""",
}


def tiny_keras(root: Path, *bugs: str) -> Source:
    """A build with the bugs of these names; later ones win over earlier ones."""
    planted = "".join(BUGS[name] for name in bugs)
    return fake_keras(root, init="from keras.src.model import *", src__model=MODEL + planted)
