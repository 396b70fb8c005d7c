"""What of this machine can change what a probe does, so that a kept result is used only there.

An `Environment` is a mapping of facts, name -> value, that a journal can hold; two are the same if
their identities are. Of packages every one counts that is installed, not those of a list: nobody
knows what a script imports, and what is installed changes seldom. Left out are the keras of the
environment, which each probe replaces, and tools that no script imports, so that a new linter does
not cost anybody what was kept. Names and versions come from the names of folders: nothing is
imported or parsed.

Not seen: GPUs and their drivers (probes use none unless told to), code of an editable installation
that changes under one version, and how many processors there are.

Public: `Environment`, `here`.
"""

from __future__ import annotations

import hashlib
import json
import locale
import os
import platform
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from keras_bisect.outcome import VERSION

__all__ = ["Environment", "here"]

TOOLS = re.compile(
    r"keras(-nightly|-repro)?|pip|uv|wheel|build|twine|virtualenv|nox|tox|pre-commit|nodeenv"
    r"|ruff|black|isort|flake8|pylint|pyright|mypy(-extensions)?|types-.+"
    r"|pytest(-.+)?|pluggy|iniconfig|coverage"
)
"""Distributions that no probe imports: the keras it does not use, and what works on code."""

METADATA = re.compile(r"(?P<name>[^-]+)-(?P<version>[^-]+)(-py[\d.]+)?\.(dist|egg)-info")
"""A folder in `site-packages`, as the packaging standards name it."""

VARIABLES = re.compile(
    r"(TF|TF2|XLA|KERAS|JAX|TORCH|PYTORCH|CUDA|NVIDIA|OMP|KMP|MKL|OPENBLAS|BLIS|VECLIB|NUMEXPR"
    r"|ONEDNN|DNNL|NPY|NUMPY)_.+"
    r"|LD_LIBRARY_PATH|LD_PRELOAD|DYLD_.+"
    r"|PYTHON(PATH|HASHSEED|OPTIMIZE|WARNINGS|DEVMODE|UTF8|NOUSERSITE|MALLOC)"
)
"""Environment variables that Keras, what it rests on, or Python look at.

Not LANG and LC_*: a script feels them by the encoding of texts alone, which is a fact of its own.
"""
IGNORED = re.compile(r"KERAS_REPRO_.+|KERAS_(BACKEND|HOME)|TF_CPP_.+|TMPDIR|PYTHONIOENCODING")
"""Variables of the toolkit, those that a probe sets, and those that only change what is logged."""

LITERAL = re.compile(r"""["']([A-Za-z_]\w*)["']""", re.ASCII)
VECTORS = ("avx512f", "avx2", "avx", "sve", "asimd")
"""The widest of these that a processor has decides in which order numbers are added."""


@dataclass(frozen=True)
class Environment:
    """Facts of a machine, name -> value. Also its JSON: `Environment(facts)` gives it back."""

    facts: Mapping[str, str]

    @property
    def identity(self) -> str:
        """Sixteen hexadecimal digits, the same for the same facts."""
        text = json.dumps(self.facts, sort_keys=True)
        return hashlib.sha256(text.encode("ascii")).hexdigest()[:16]


def here(
    backend: str,
    start: str,
    *,
    script: str = "",
    paths: Iterable[str] | None = None,
    variables: Mapping[str, str] | None = None,
) -> Environment:
    """The environment of this process, which is that of the probes it makes.

    Args:
        backend: the Keras backend of the probes.
        start: how scripts are started, as `Prober` has it.
        script: a text; environment variables that it names count, too. (Their values are held as
            hashes: they may be secrets.)
        paths: folders where packages are installed; `sys.path` by default.
        variables: the environment variables; `os.environ` by default.
    """
    found = os.environ if variables is None else variables
    facts = {
        "probe": str(VERSION),
        "backend": backend,
        "start": start,
        "Python": platform.python_implementation()
        + f" {platform.python_version()}{getattr(sys, 'abiflags', '')}",
        "Python options": _options(),
        "platform": f"{sys.platform} {platform.machine()} {_vectors()}".strip(),
        "text encoding": f"{locale.getencoding()} {sys.getfilesystemencoding()}",
    }
    facts |= dict(sorted(_packages(sys.path if paths is None else paths).items()))
    facts |= {
        f"${name}": value
        for name, value in sorted(found.items())
        if VARIABLES.fullmatch(name) and not IGNORED.fullmatch(name)
    }
    for name in sorted({*LITERAL.findall(script)} & found.keys()):
        if not VARIABLES.fullmatch(name) and not IGNORED.fullmatch(name):
            hashed = hashlib.sha256(os.fsencode(found[name])).hexdigest()
            facts[f"${name}"] = f"#{hashed[:8]}"
    return Environment(facts)


def _options() -> str:
    """Options of the interpreter that forked scripts inherit."""
    flags = [f"-{'O' * sys.flags.optimize}"] if sys.flags.optimize else []
    flags += ["-X dev"] if sys.flags.dev_mode else []
    return " ".join([*flags, *(f"-W {option}" for option in sys.warnoptions)])


def _vectors() -> str:
    """The widest vector instructions of the processor, where it can be told."""
    try:
        with Path("/proc/cpuinfo").open(encoding="ascii", errors="replace") as file:
            # The first processor will do, and there may be hundreds.
            words = set(file.read(8192).split())
    except OSError:
        return ""
    return next((name for name in VECTORS if name in words), "")


def _packages(paths: Iterable[str]) -> dict[str, str]:
    """Name -> version of what is installed; of two with one name, the one that is imported."""
    found: dict[str, str] = {}
    for path in paths:
        for name, version in _installed(path):
            if not TOOLS.fullmatch(name):
                found.setdefault(name, version)
    return found


def _installed(path: str) -> Iterator[tuple[str, str]]:
    try:
        names = os.listdir(path or ".")  # noqa: PTH208 - names are all that is wanted
    except OSError:
        # A part of `sys.path` need not be a folder.
        return
    for name in sorted(names):
        if match := METADATA.fullmatch(name):
            yield re.sub(r"[-_.]+", "-", match["name"]).lower(), match["version"]
