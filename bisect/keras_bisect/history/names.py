"""The public names of a commit from before they were part of the repository (2024-04-16). Pure.

namex made them with the wheel, from the names that the sources export, such as

    @keras_export("keras.ops.erfinv")       in keras/ops/math.py, becomes
    from keras.src.ops.math import erfinv   in keras/ops/__init__.py

The nightlies before and after a commit have most of them in common. Of the others the commit has
those that its own sources export: so a name begins with the commit that exports it, and not with
the nightly after that.

Public: `names_between`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import SequenceMatcher
from itertools import takewhile

__all__ = ["names_between"]

ROOT = "keras/"
SOURCES = "keras/src/"
LEGACY = "keras._tf_keras."
"""Names that are public in `keras` below this are exported as those of `keras`, or as legacy."""
LINE = re.compile(r"from (?P<module>keras[\w.]*) import (?P<name>\w+)(?: as (?P<alias>\w+))?\s*")


def names_between(
    tree: Mapping[str, bytes], older: Mapping[str, bytes], newer: Mapping[str, bytes]
) -> dict[str, bytes]:
    """The files of public names of a commit between two wheels.

    Args:
        tree: path -> bytes, the sources of the commit as they lie in git.
        older: path -> bytes of the wheel before it.
        newer: path -> bytes of the wheel after it.
    """
    files: dict[str, bytes] = {}
    public = {path for path in (*older, *newer) if not path.startswith(SOURCES)}
    # A package is named by the one around it, so that comes later.
    for path in sorted(public, key=lambda path: -path.count("/")):
        before, after = older.get(path), newer.get(path)
        if before == after or not path.endswith(".py"):
            files[path] = newer.get(path, older.get(path, b""))
            continue

        def stays(line: str, path: str = path) -> bool:
            return _stays(line, path, tree, files)

        old, new = ((data or b"").decode().splitlines(keepends=True) for data in (before, after))
        merged = list(_merged(old, new, stays))
        # A package that only one of them has is there if something is in it.
        if (before is not None and after is not None) or any(map(LINE.fullmatch, merged)):
            files[path] = "".join(merged).encode()
    return files


def _merged(old: list[str], new: list[str], stays: Callable[[str], bool]) -> Iterator[str]:
    """The lines of both, in their order; of the imports that only one has, those that stay.

    Of whatever else differs, such as the version of the wheel, the newer one's.
    """
    for what, i1, i2, j1, j2 in SequenceMatcher(a=old, b=new, autojunk=False).get_opcodes():
        if what == "equal":
            yield from new[j1:j2]
        else:
            rest = [line for line in new[j1:j2] if not LINE.fullmatch(line)]
            head = list(takewhile(lambda line: not LINE.fullmatch(line), new[j1:j2]))
            yield from head
            # namex sorts them.
            both = {*old[i1:i2], *new[j1:j2]}
            yield from sorted(line for line in both if LINE.fullmatch(line) and stays(line))
            yield from rest[len(head) :]


def _stays(line: str, path: str, tree: Mapping[str, bytes], files: Iterable[str]) -> bool:
    """Whether a commit has what a line of a file of public names says."""
    said = LINE.fullmatch(line)
    assert said is not None
    module, name = said["module"], said["name"]
    if not module.startswith("keras.src"):
        # One package of public names in another.
        folder = f"{module.replace('.', '/')}/{name}"
        return any(file.startswith((f"{folder}/", f"{folder}.py")) for file in files)
    source = ROOT + module.removeprefix("keras.src").lstrip(".").replace(".", "/")
    data = tree.get(f"{source}.py", tree.get(f"{source}/__init__.py"))
    if data is None:
        return False
    package = path.removesuffix("/__init__.py").removesuffix(".py").replace("/", ".")
    exported = {f"{package}.{said['alias'] or name}"}
    if package.startswith(LEGACY):
        below = package.removeprefix(f"{LEGACY}keras").lstrip(".")
        exported |= {
            ".".join(filter(None, (root, below, name))) for root in ("keras", "keras._legacy")
        }
    return any(f'"{one}"'.encode() in data for one in exported)
