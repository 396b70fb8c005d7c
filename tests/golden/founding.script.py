"""Keras: list outputs, dict loss, dict targets."""

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
model = keras.Model(x, [output("b", 9.0), output("a", 1.0)])
model.compile(loss={"b": "mse", "a": "mse"}, run_eagerly=True)
y = {"b": np.full((2, 1), 3.0), "a": np.full((2, 1), 4.0)}
observed = model.evaluate(np.zeros((2, 1)), y, verbose=0, return_dict=True)
expected = {"loss": 45.0, "b_loss": 36.0, "a_loss": 9.0}
each = any(name.endswith("_loss") for name in observed)
wrong = False
for name in expected | observed:
    want, got = expected.get(name, "-"), observed.get(name, "-")
    if name in expected and name in observed:
        good = np.isclose(got, want, rtol=1e-5)
    else:  # not every release reports the loss of each output
        good = name in observed or (name.endswith("_loss") and not each)
    print(f"{name!r:10} expected {want!s:8} observed {got}", "" if good else "<- wrong")
    wrong = wrong or not good
sys.exit(1 if wrong else 0)
