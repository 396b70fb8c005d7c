"""What the package offers by name. Without it a name could be promised and not be there."""

from __future__ import annotations

import subprocess
import sys

import keras_bisect


def test_every_public_name_is_there() -> None:
    """Lost otherwise: `from keras_bisect import …` fails for whoever reads the documentation."""
    for name in keras_bisect.__all__:
        assert getattr(keras_bisect, name) is getattr(keras_bisect, name)
    assert sorted(keras_bisect._ROOMS) == sorted(keras_bisect.__all__)


def test_a_name_is_what_it_says_whatever_was_imported_before() -> None:
    """Lost otherwise: a room with the name of a function would be found in its place."""
    code = "import keras_bisect.api; from keras_bisect import bisect, open_lab, timeline"
    check = "; print(all(map(callable, (bisect, open_lab, timeline))))"
    done = subprocess.run([sys.executable, "-c", code + check], capture_output=True, text=True)
    assert done.stdout == "True\n"
