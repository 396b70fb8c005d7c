"""Keras: nested outputs, tuple inputs fed a defaultdict with a None, nested loss,
nested weighted metrics, nested targets, one sample weights, after another call,
after save.
"""

import os
import sys
import tempfile
from collections import OrderedDict, defaultdict

try:
    import keras
    import numpy as np
except Exception as error:
    print("Keras cannot be imported here:", repr(error))
    sys.exit(125)


def output(name, value, units=1):  # x is zero, and this its bias
    bias = keras.initializers.Constant(value)
    return keras.layers.Dense(
        units, kernel_initializer="ones", bias_initializer=bias, name=name
    )(x)


@keras.saving.register_keras_serializable()
class Plus(keras.layers.Layer):
    def call(self, x, more=None, scale=1.0):
        return x if more is None else x + more * scale


try:
    first = keras.Input((1,), name="j")
    second = keras.Input((1,), name="i", optional=True)
except TypeError as error:
    print("This Keras has no optional inputs:", repr(error))
    sys.exit(125)
inputs = (first, second)
x = keras.layers.Rescaling(1.0, offset=-1.0)(first)
x = Plus()(x, second, scale=10.0)
try:
    try:
        model = keras.Model(
            inputs,
            OrderedDict(
                {
                    "$b": output("p", 25.0),
                    "a": (output("r", 10.0, units=2), [output("q", 7.0)]),
                },
            ),
        )
    except ValueError as error:
        print("This Keras makes no such model:", repr(error))
        sys.exit(125)
    model.compile(
        loss=OrderedDict(
            {
                "a": [None, (keras.losses.MeanAbsoluteError(),)],
                "$b": keras.losses.MeanSquaredError(),
            },
        ),
        weighted_metrics=OrderedDict(
            {
                "$b": [keras.metrics.MeanAbsoluteError(name="mae")],
                "a": (keras.metrics.MeanSquaredError(name="mse"), [None]),
            },
        ),
        run_eagerly=True,
    )
    path = os.path.join(tempfile.mkdtemp(), "model.keras")
    model.save(path)
    model = keras.models.load_model(path)

    def y(batch):
        return OrderedDict(
            {
                "$b": np.add([[20.0], [21.0]], 4.0 * batch),
                "a": (
                    np.add([[28.0, 28.0], [29.0, 29.0]], 4.0 * batch),
                    [np.add([[3.0], [4.0]], 4.0 * batch)],
                ),
            },
        )

    w = np.array([3.0, 1.0])
    x = defaultdict(None, {"i": None, "j": np.full((2, 1), 1.0)})

    def batches():
        for batch in range(2):
            yield x, y(batch), w

    model.evaluate(batches(), verbose=0)
    observed = model.evaluate(batches(), verbose=0, return_dict=True)
except Exception as error:
    print("Keras refuses it, and no rule says that it must not:", repr(error))
    sys.exit(0)
expected = {"loss": 27.5}
expected |= {"p_mae": 2.75, "r_mse": 414.25}
wrong = False
for name in expected | observed:
    want, got = expected.get(name, "-"), observed.get(name, "-")
    both = name in expected and name in observed
    good = np.isclose(got, want, rtol=1e-5) if both else name in observed
    print(f"{name!r:10} expected {want!s:8} observed {got}", "" if good else "<- wrong")
    wrong = wrong or not good
sys.exit(1 if wrong else 0)
