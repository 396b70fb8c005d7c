"""Whether a script does nothing before `import keras` that the import could notice. Pure.

Several runs of such a script under one build may be forked from a process that has imported keras
already, which is a third of what a small run costs (`share` of `Prober.run_all`). Only a few
statements are known to be harmless; a script with any other is not of this kind.

Public: `imports_keras_first`, `named_backend`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

__all__ = ["imports_keras_first", "named_backend"]

LOADED = frozenset({"__future__", "argparse", "collections", "contextlib", "copy", "dataclasses"})
LOADED |= {"functools", "gc", "inspect", "io", "itertools", "json", "logging", "math", "operator"}
LOADED |= {"os", "pathlib", "random", "re", "string", "sys", "tempfile", "threading", "time"}
LOADED |= {"traceback", "types", "typing", "warnings", "numpy"}
"""Modules the warm process holds: to import one does nothing, and finds none beside a script."""

SETTLED = frozenset({"TF_CPP_MIN_LOG_LEVEL", "CUDA_VISIBLE_DEVICES", "TF_ENABLE_ONEDNN_OPTS"})
"""Variables that TensorFlow read when it was imported, and Keras never does."""

BACKEND = "KERAS_BACKEND"
BACKENDS = ("tensorflow", "jax", "torch", "numpy")


NAMED = re.compile(r"""["']KERAS_BACKEND["']\s*(?:\]\s*=|,)\s*["'](\w+)["']""")


def named_backend(text: str) -> str | None:
    """The backend that a script chooses by itself, where it is one that there is.

    >>> named_backend("import os\\nos.environ['KERAS_BACKEND'] = 'jax'\\nimport keras")
    'jax'
    >>> named_backend("import keras")
    """
    found = NAMED.search(text)
    return found[1] if found and found[1] in BACKENDS else None


def imports_keras_first(text: str, backend: str) -> bool:
    """Whether a script that runs with a backend can be handed an imported keras.

    >>> imports_keras_first("import os, numpy as np\\nfrom keras import layers", "tensorflow")
    True
    >>> imports_keras_first("import numpy as np\\nnp.random.seed(0)\\nimport keras", "tensorflow")
    False
    """
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError):
        return False
    for statement in body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            for name in _imported(statement):
                if name == "keras":
                    return True
                if name not in LOADED:
                    return False
        elif not _is_harmless(statement, backend):
            return False
    return False


def _imported(statement: ast.Import | ast.ImportFrom) -> Iterator[str]:
    """The packages that a statement imports from, in order."""
    if isinstance(statement, ast.Import):
        yield from (alias.name.partition(".")[0] for alias in statement.names)
    else:
        yield "." if statement.level else (statement.module or "").partition(".")[0]


def _is_harmless(statement: ast.stmt, backend: str) -> bool:
    match statement:
        case ast.Expr(ast.Constant()):
            return True
        case ast.Expr(ast.Call(called, [ast.Constant(key), ast.Constant()], [])):
            # What is set already stays: the backend is chosen before a script begins.
            return ast.unparse(called) == "os.environ.setdefault" and key in {*SETTLED, BACKEND}
        case ast.Expr(ast.Call(called, [ast.Constant("ignore")], [])):
            return ast.unparse(called) in ("warnings.simplefilter", "warnings.filterwarnings")
        case ast.Assign([ast.Subscript(where, ast.Constant(key))], ast.Constant(value)):
            chosen = key == BACKEND and value == backend
            return ast.unparse(where) == "os.environ" and (key in SETTLED or chosen)
    return False
