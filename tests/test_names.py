"""The public names of a commit between two nightlies."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from keras_bisect.history.names import names_between

OPS = "keras/ops/__init__.py"
LINALG = "keras/ops/linalg/__init__.py"
HEAD = b'"""DO NOT EDIT."""\n\n'


def _exports(*names: str) -> bytes:
    return "".join(f'@keras_export("{name}")\ndef f(): ...\n' for name in names).encode()


def test_a_name_begins_with_the_commit_that_exports_it() -> None:
    """Without it the commit that adds a function to Keras would be taken for one that lacks it."""
    older = {OPS: HEAD + b"from keras.src.ops.math import erf\n"}
    newer = {
        OPS: HEAD
        + b"from keras.ops import linalg\n"
        + b"from keras.src.ops.math import erf\nfrom keras.src.ops.math import erfinv\n",
        LINALG: HEAD + b"from keras.src.ops.linalg import det\n",
    }
    math = "keras/ops/math.py"
    before = {math: _exports("keras.ops.erf") + b"def erfinv(): ..."}
    assert names_between(before, older, newer) == older
    first = {math: _exports("keras.ops.erf", "keras.ops.erfinv")}
    lines = b"from keras.src.ops.math import erf\nfrom keras.src.ops.math import erfinv\n"
    assert names_between(first, older, newer) == {OPS: HEAD + lines}
    second = {**first, "keras/ops/linalg.py": _exports("keras.ops.linalg.det")}
    assert names_between(second, older, newer) == newer


def test_a_name_leads_to_where_its_module_is() -> None:
    """Without it a commit on the day on which a module was moved could not be imported."""
    file = "keras/tree/__init__.py"
    older = {file: b"from keras.src.utils.tree import flatten\n"}
    newer = {file: b"from keras.src.tree.tree_api import flatten\n"}
    flatten = _exports("keras.tree.flatten")
    assert names_between({"keras/utils/tree.py": flatten}, older, newer) == older
    assert names_between({"keras/tree/tree_api.py": flatten}, older, newer) == newer


def test_legacy_names_are_exported_without_their_folder() -> None:
    """Without it `from tensorflow.keras import losses` would fail in half a year's commits."""
    file = "keras/_tf_keras/keras/losses/__init__.py"
    names = {file: b"from keras.src.losses.losses import mse\n"}
    for exported in ("keras.losses.mse", "keras._legacy.losses.mse"):
        assert names_between({"keras/losses/losses.py": _exports(exported)}, {}, names) == names
    assert names_between({"keras/losses/losses.py": b""}, {}, names) == {}


NAMES = st.frozensets(st.sampled_from("abcdefgh"))


@given(old=NAMES, new=NAMES, here=NAMES)
def test_what_both_wheels_have_stays_and_of_the_rest_what_is_exported(
    old: frozenset[str], new: frozenset[str], here: frozenset[str]
) -> None:
    """Without it a commit would have names that no wheel of its sources would have."""

    def wheel(names: frozenset[str]) -> dict[str, bytes]:
        lines = (f"from keras.src.ops import {name}\n" for name in sorted(names))
        return {OPS: "".join(lines).encode()}

    tree = {"keras/ops.py": _exports(*(f"keras.ops.{name}" for name in here))}
    assert names_between(tree, wheel(old), wheel(new)) == wheel((old & new) | (here & (old | new)))


def test_the_version_is_that_of_one_wheel() -> None:
    """Without it a commit would state two versions, and be taken for sources that changed."""
    file = "keras/__init__.py"
    wheels = [{file: f"from keras.src import a\n\n__version__ = '{v}'\n".encode()} for v in "12"]
    assert names_between({}, *wheels) == wheels[1]
