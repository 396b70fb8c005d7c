"""What the warm process imports for probes of the torch backend: torch first, then the rest.

Torch brings a compiler, triton, that crashes the process if it is loaded after TensorFlow; Keras
with the torch backend loads it before. It takes seconds, too, and is shared by all forks.
"""

from __future__ import annotations

import contextlib
import gc
import os

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
gc.disable()
# Whatever is wrong with it is told by the script that imports it next.
with contextlib.suppress(Exception):
    import torch._dynamo  # noqa: F401

import keras_bisect.probe.warm  # noqa: E402, F401
