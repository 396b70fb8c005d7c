"""Keras trees that are on this disk already: a folder a person names, and the installed one.

Nothing is imported to find them, and nothing is written into them.

Public: `folder_root`, `installed_root`, `source_version`.
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from keras_bisect.errors import UsageError

__all__ = ["VERSION_LINE", "folder_root", "installed_root", "source_version"]

VERSION_LINE = re.compile(rb"""^(__version__\s*=\s*)(["'])([^"'\n]*)\2""", re.MULTILINE)
"""How Keras writes its version, in `keras/src/version.py` and in older `keras/__init__.py`."""


def folder_root(text: str) -> Path:
    """The folder to put on the path, from what follows `path:`.

    Either the folder that holds `keras/` or that `keras` folder itself may be written.

    Raises:
        UsageError: there is no Keras there.
    """
    path = Path(text).expanduser().resolve()
    if (path / "keras" / "__init__.py").is_file():
        return path
    if path.name == "keras" and (path / "__init__.py").is_file():
        return path.parent
    found = "it holds no keras/__init__.py" if path.is_dir() else "there is no such folder"
    raise UsageError(
        f"path:{text}: expected a folder that holds keras/, such as a checkout of Keras or an "
        f"unpacked wheel; {found}."
    )


def installed_root() -> Path:
    """The folder that holds the installed `keras/` (site-packages, as a rule).

    Raises:
        UsageError: no keras is installed.
    """
    # The name has no dot, so nothing is imported.
    spec = importlib.util.find_spec("keras")
    if spec is None or spec.origin is None:
        raise UsageError(
            "installed: no keras is installed in this environment. Install one (pip install keras) "
            "or name a build, such as --keras 3.5.0."
        )
    return Path(spec.origin).resolve().parent.parent


def source_version(root: Path) -> str | None:
    """What `keras.__version__` of the sources under `root` will be, read and not imported.

    Before 3.2 `keras/__init__.py` has a version of its own, which wins over `keras/src/version.py`.
    It need not be the version of the wheel: nightlies up to April 2024 call themselves "3.1.0".
    """
    for name in ("keras/__init__.py", "keras/src/version.py"):
        path = root / name
        match = VERSION_LINE.search(path.read_bytes()) if path.is_file() else None
        if match:
            return match[3].decode("ascii", "replace")
    return None
