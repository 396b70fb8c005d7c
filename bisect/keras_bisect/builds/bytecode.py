"""Bytecode that is made once per distinct source and carries its own proof.

A file is a `.pyc` that Python uses without looking at its source (PEP 552, unchecked hash), so it
serves every build that holds the same source, under any path: the import system puts the right file
name in when it loads one. Because nobody compares it with its source later, it must not be believed
by name: a sha256 of everything before it is appended. The loader ignores what follows the code
(`marshal.loads` is documented to), and a truncated or overwritten file is noticed.

Public: `CACHE_TAG`, `MAGIC`, `compile_source`, `is_sound`, `pyc_path`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import marshal
import sys
import threading
import warnings

__all__ = ["CACHE_TAG", "MAGIC", "compile_source", "is_sound", "pyc_path"]

CACHE_TAG: str | None = sys.implementation.cache_tag
"""Part of a bytecode file's name, such as cpython-312. None: this Python keeps no bytecode."""

MAGIC = importlib.util.MAGIC_NUMBER
UNCHECKED_HASH = (0b01).to_bytes(4, "little")
SEAL = hashlib.sha256().digest_size

# `catch_warnings` changes the whole process, so one compiles at a time; the interpreter lock would
# see to that anyway.
_compiling = threading.Lock()


def pyc_path(source: str) -> str:
    """Where Python looks for the bytecode of a source file (posix path)."""
    folder, _, name = source.rpartition("/")
    return f"{folder}/__pycache__/{name.removesuffix('.py')}.{CACHE_TAG}.pyc"


def compile_source(source: bytes, filename: str) -> bytes | None:
    """The bytecode file of a source, or None where it does not compile: the import will say why."""
    try:
        with _compiling, warnings.catch_warnings():
            # What an old Keras is warned of is not the affair of who bisects it.
            warnings.simplefilter("ignore")
            code = compile(source, filename, "exec", dont_inherit=True, optimize=0)
    except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError):
        return None
    body = _head(source) + marshal.dumps(code)
    return body + hashlib.sha256(body).digest()


def is_sound(pyc: bytes, source: bytes) -> bool:
    """Whether a bytecode file is whole, of this Python, and of this source."""
    return pyc.startswith(_head(source)) and hashlib.sha256(pyc[:-SEAL]).digest() == pyc[-SEAL:]


def _head(source: bytes) -> bytes:
    return MAGIC + UNCHECKED_HASH + importlib.util.source_hash(source)
