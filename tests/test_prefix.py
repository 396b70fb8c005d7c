from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_bisect.probe.prefix import LOADED, imports_keras_first

HARMLESS = (
    '"""What a script says of itself."""',
    "from __future__ import annotations",
    "import os",
    "import sys, warnings",
    "from pathlib import Path",
    "import numpy as np",
    'os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"',
    'os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")',
    'os.environ["KERAS_BACKEND"] = "tensorflow"',
    'os.environ.setdefault("KERAS_BACKEND", "jax")',
    'warnings.simplefilter("ignore")',
    "# nothing",
)
NOT = (
    "x = 1",
    "import mine",
    "from . import mine",
    "import tensorflow as tf",
    "import torch",
    "import numpy as np, mine",
    "np.random.seed(0)",
    'os.environ["KERAS_BACKEND"] = "jax"',
    'os.environ["KERAS_HOME"] = "/tmp"',
    'os.environ["TF_CPP_MIN_LOG_LEVEL"] = level()',
    "os.environ.update(PATH='')",
    'sys.modules["optree"] = None',
    'warnings.simplefilter("error")',
    'warnings.simplefilter("ignore", append=print())',
    "sys.path.insert(0, '.')",
    "def f(): pass",
    "if True: import keras",
    "try: import keras\nexcept ImportError: pass",
    "print()",
)
KERAS = ("import keras", "from keras import layers", "import keras.src.ops", "import os, keras")


@given(
    st.lists(st.sampled_from(HARMLESS)),
    st.lists(st.sampled_from(NOT), max_size=1),
    st.lists(st.sampled_from(HARMLESS)),
    st.sampled_from(KERAS),
    st.sampled_from(["", *NOT]),
)
def test_one_statement_that_matters_is_enough(
    before: list[str], matters: list[str], after: list[str], keras: str, rest: str
) -> None:
    """Without it a script that hides a module or chooses a backend would find keras imported."""
    text = "\n".join([*before, *matters, *after, keras, rest])
    assert imports_keras_first(text, "tensorflow") is not bool(matters)


@pytest.mark.parametrize("text", ["", "import os", "import keras_core", "not python", "\0"])
def test_without_keras_there_is_nothing_to_share(text: str) -> None:
    """Without it a script that never imports keras would be judged by a keras it did not load."""
    assert not imports_keras_first(text, "tensorflow")


def test_the_warm_process_holds_what_is_called_loaded() -> None:
    """Without it a module beside the script could run before keras is imported, unseen."""
    code = "import keras_bisect.probe.warm, sys; print(*({*sys.argv[1:]} - {*sys.modules}))"
    command = [sys.executable, "-c", code, *LOADED]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
