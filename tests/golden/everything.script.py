"""Keras: dict outputs, dict loss, list weights, dict metrics, list targets."""

import sys

try:
    import keras
    import numpy as np
except Exception as error:
    print("Keras cannot be imported here:", repr(error))
    sys.exit(125)


def output(name, value):  # the input is all zeros, so an output is its bias
    bias = keras.initializers.Constant(value)
    return keras.layers.Dense(1, bias_initializer=bias, name=name)(x)


x = keras.Input((1,))
try:
    model = keras.Model(x, {"β 1": output("é", 9.0), 'say "a"': output("head", 1.0)})
    model.compile(
        loss={'say "a"': None, "β 1": "mae"},
        loss_weights=[2.0, 0.1],
        metrics={'say "a"': ["mae", "mse"], "β 1": []},
    )
    y = [np.full((2, 1), 3.0), np.full((2, 1), 4.5)]
    history = model.fit(np.zeros((2, 1)), y, verbose=0).history
    observed = {name: values[0] for name, values in history.items()}
except Exception as error:
    print("Keras refuses it, and no rule says that it must not:", repr(error))
    sys.exit(0)
expected = {"loss": 12.0}
expected |= {'say "a"_mae': 3.5, 'say "a"_mse': 12.25}
wrong = False
for name in expected | observed:
    want, got = expected.get(name, "-"), observed.get(name, "-")
    both = name in expected and name in observed
    good = np.isclose(got, want, rtol=1e-5) if both else name in observed
    print(f"{name!r:10} expected {want!s:8} observed {got}", "" if good else "<- wrong")
    wrong = wrong or not good
sys.exit(1 if wrong else 0)
