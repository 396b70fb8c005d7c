"""A tree case as the script that will be filed: keras only, exit 0 good, 1 bad, 125 untestable.

The script calls `keras.tree` on a literal, and prints for every call what its documentation
promises and what came back. Two answers are the same where they print the same: types and the order
of keys count. An exception of `keras.tree` is not caught: the traceback says more than any message.

The text is laid out as a formatter would (88 columns), so that it can be pasted anywhere. Public:
`render`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from keras_repro.tree_case import (
    Law,
    Node,
    Tree,
    TreeCase,
    leaves_as_written,
    map_leaves,
    nodes,
    reordered,
)
from keras_repro.tree_laws import flattened

__all__ = ["render"]

WIDTH = 88

TITLES: dict[Law | None, str] = {
    "T1": "flatten, then pack_sequence_as, gives the structure back",
    "T2": "flatten takes a dict by sorted keys, all else in its own order",
    "T3": "the order in which a dict was filled does not change flatten",
    "T4": "flatten_with_path agrees with flatten, and each path leads there",
    "T5": "map_structure keeps the structure, and leaf meets leaf",
    "T6": "map_structure_up_to stops at its first structure; None is a leaf",
    None: "what is taken apart and put together again is the same",
}

IMPORT_KERAS = """\
try:
    from keras import tree
except ImportError:
    sys.exit(125)
"""

NEEDS_PATHS = """\
if not hasattr(tree, "flatten_with_path"):
    sys.exit(125)
"""

CHECK = """
def check(call, expected, observed):
    print(f"{call}\\n  expected {expected!r}\\n  observed {observed!r}")
    if repr(observed) != repr(expected):
        bad.append(call)

"""

AT = """\
def at(path):
    found = structure
    for key in path:
        found = found[key]
    return found

"""

# A path may name the field of a namedtuple by its index or by its name.
AT_NAMED = """\
def at(path):
    found = structure
    for key in path:
        named = isinstance(found, tuple) and isinstance(key, str)
        found = getattr(found, key) if named else found[key]
    return found

"""

Classes = dict[tuple[str, ...], str]


@dataclass(frozen=True, slots=True)
class _Group:
    """An expression in brackets: what stands before each item (a key, a name), and the item."""

    open: str
    items: "tuple[tuple[str, _Expression], ...]"
    close: str
    is_call: bool = False

    def flat(self) -> str:
        """The expression on one line."""
        inner = ", ".join(before + _flat(item) for before, item in self.items)
        alone = "," if self.open == "(" and len(self.items) == 1 else ""
        return f"{self.open}{inner}{alone}{self.close}"


_Expression = str | _Group


@dataclass(frozen=True, slots=True)
class _Check:
    before: tuple[str, ...]
    call: str
    expected: _Expression
    observed: str


def render(case: TreeCase) -> str:
    """The standalone script of `case`."""
    classes = _classes(case.structure)
    checks = {law: tuple(_checks(law, case, classes)) for law in case.laws}
    several = sum(map(len, checks.values())) > 1
    parts = [f'"""keras.tree: {TITLES[case.law]}."""\n', _imports(case), IMPORT_KERAS]
    if case.law == "T4":
        parts.append(NEEDS_PATHS)
    parts.append(_data(case, classes) + ("bad = []\n" if several else ""))
    if several:
        parts.append(CHECK)
    if "T4" in checks:
        parts.append(AT_NAMED if classes else AT)
    parts.append(_several(checks) if several else _single(checks))
    return "\n".join(parts)


def _single(checks: dict[Law, tuple[_Check, ...]]) -> str:
    [[check]] = checks.values()
    lines = [*_flat_first(checks), *check.before]
    expected = check.expected
    if isinstance(expected, _Group):
        lines.append(_assign("expected", expected))
        expected = "expected"
    lines += [
        "",
        f'print("{check.call}")',
        f'print("  expected", {expected})',
        f'print("  observed", {check.observed})',
        f"sys.exit(0 if repr({check.observed}) == repr({expected}) else 1)",
    ]
    return "\n".join(lines) + "\n"


def _several(checks: dict[Law, tuple[_Check, ...]]) -> str:
    lines = _flat_first(checks)
    for law in ORDER:
        # Alone, T4 has said before that it cannot be tested; among others it is left out.
        margin = 4 if law == "T4" and len(checks) > 1 else 0
        if margin and law in checks:
            lines.append('if hasattr(tree, "flatten_with_path"):')
        for check in checks.get(law, ()):
            lines += [" " * margin + line for line in check.before]
            arguments = (("", f'"{check.call}"'), ("", check.expected), ("", check.observed))
            call = _Group("check(", arguments, ")", is_call=True)
            lines.append(" " * margin + _layout(call, margin, 0, 0))
    lines.append("sys.exit(1 if bad else 0)")
    return "\n".join(lines) + "\n"


def _flat_first(checks: dict[Law, tuple[_Check, ...]]) -> list[str]:
    return ["flat = tree.flatten(structure)"] if NEEDS_FLAT & set(checks) else []


# flatten comes first: the others build on its answer.
ORDER: tuple[Law, ...] = ("T2", "T3", "T1", "T5", "T4", "T6")
NEEDS_FLAT: frozenset[Law] = frozenset({"T1", "T2", "T3", "T4"})


def _checks(law: Law, case: TreeCase, classes: Classes) -> Iterator[_Check]:
    before: tuple[str, ...]
    match law:
        case "T2":
            leaves = tuple(("", repr(leaf)) for _, leaf in flattened(case.structure))
            yield _Check((), "flatten(structure)", _Group("[", leaves, "]"), "flat")
        case "T3":
            before = ("again = tree.flatten(reordered)",)
            yield _Check(before, "flatten(reordered)", "flat", "again")
        case "T1":
            before = ("packed = tree.pack_sequence_as(structure, flat)",)
            yield _Check(before, "pack_sequence_as(structure, flat)", "structure", "packed")
        case "T5":
            none = None in leaves_as_written(case.structure)
            tens = "leaf and 10 * leaf" if none else "10 * leaf"
            before = (f"tens = tree.map_structure(lambda leaf: {tens}, structure)",)
            mapped = map_leaves(lambda leaf: leaf and 10 * leaf, case.structure)
            expected = _literal(mapped, classes)
            yield _Check(before, "map_structure(f, structure)", expected, "tens")
            before = ("met = tree.map_structure(lambda *leaves: leaves, structure, reordered)",)
            pairs = map_leaves(lambda leaf: Node("tuple", (leaf, leaf)), case.structure)
            call = "map_structure(pair, structure, reordered)"
            yield _Check(before, call, _literal(pairs, classes), "met")
        case "T4":
            before = (
                "pairs = tree.flatten_with_path(structure)",
                'print("paths", [path for path, _ in pairs])',
            )
            call = "flatten_with_path(structure)"
            yield _Check(before, f"{call}, leaves", "flat", "[leaf for _, leaf in pairs]")
            yield _Check((), f"{call}, at each path", "flat", "[at(path) for path, _ in pairs]")
        case "T6":
            before = ("kept = tree.map_structure_up_to(structure, lambda leaf: leaf, deep)",)
            yield _Check(before, "map_structure_up_to(structure, f, deep)", "deep", "kept")


def _imports(case: TreeCase) -> str:
    kinds = {node.kind for node in nodes(case.structure)}
    names = [name for name in ("OrderedDict", "namedtuple") if name in kinds]
    collections = f"from collections import {', '.join(names)}\n" if names else ""
    return f"import sys\n{collections}"


def _data(case: TreeCase, classes: Classes) -> str:
    lines = []
    for fields, name in classes.items():
        names = _Group("[", tuple(("", _text(field)) for field in fields), "]")
        made = _Group("namedtuple(", (("", _text(name)), ("", names)), ")", is_call=True)
        lines.append(_assign(name, made))
    lines.append(_assign("structure", _literal(case.structure, classes)))
    if {"T3", "T5"} & set(case.laws):
        other = reordered(case.structure)
        same = other == case.structure
        lines.append(_assign("reordered", "structure" if same else _literal(other, classes)))
    if "T6" in case.laws:
        deep = map_leaves(lambda leaf: Node("list", (leaf,)), case.structure)
        lines.append(_assign("deep", _literal(deep, classes)))
    return "\n".join(lines) + "\n"


def _classes(tree: Tree) -> Classes:
    """A name for every namedtuple of the case, by its fields."""
    classes: Classes = {}
    for node in nodes(tree):
        if node.kind == "namedtuple":
            number = len(classes) + 1
            classes.setdefault(node.keys, f"Point{number}" if number > 1 else "Point")
    return classes


def _literal(tree: Tree, classes: Classes) -> _Expression:
    if not isinstance(tree, Node):
        return repr(tree)
    children = [_literal(child, classes) for child in tree.children]
    match tree.kind:
        case "list":
            return _Group("[", tuple(("", child) for child in children), "]")
        case "tuple":
            return _Group("(", tuple(("", child) for child in children), ")")
        case "namedtuple":
            named = zip(tree.keys, children, strict=True)
            fields = tuple((f"{field}=", child) for field, child in named)
            return _Group(f"{classes[tree.keys]}(", fields, ")", is_call=True)
    keyed = zip(tree.keys, children, strict=True)
    entries = _Group("{", tuple((f"{_text(key)}: ", child) for key, child in keyed), "}")
    if tree.kind == "dict":
        return entries
    made = (("", entries),) if children else ()
    return _Group("OrderedDict(", made, ")", is_call=True)


def _text(value: str) -> str:
    """`value` as a Python literal in ASCII, in double quotes unless it holds more of them."""
    # With a double quote in it, `ascii` escapes single quotes and no double ones.
    body = ascii(value + '"')[1:-2]
    if value.count('"') > value.count("'"):
        return f"'{body}'"
    plain = body.replace("\\'", "'").replace('"', '\\"')
    return f'"{plain}"'


def _flat(expression: _Expression) -> str:
    return expression if isinstance(expression, str) else expression.flat()


def _assign(name: str, value: _Expression) -> str:
    return f"{name} = {_layout(value, 0, len(name) + 3, 0)}"


def _layout(expression: _Expression, margin: int, before: int, after: int) -> str:
    """`expression` on one line where it fits, else over several.

    `margin` is the indentation of its line, `before` and `after` how many characters stand on the
    line on either side of it. The arguments of a call may share one line of their own; the items of
    a list, tuple or dict get one each.
    """
    flat = _flat(expression)
    if isinstance(expression, str) or not expression.items:
        return flat
    if margin + before + len(flat) + after <= WIDTH:
        return flat
    inner = margin + 4
    space = " " * inner
    items = expression.items
    if expression.is_call:
        together = ", ".join(name + _flat(item) for name, item in items)
        if inner + len(together) <= WIDTH:
            return f"{expression.open}\n{space}{together}\n{' ' * margin}{expression.close}"
    comma = "" if expression.is_call and len(items) == 1 and not items[0][0] else ","
    lines = [
        f"{space}{name}{_layout(item, inner, len(name), len(comma))}{comma}\n"
        for name, item in items
    ]
    return f"{expression.open}\n{''.join(lines)}{' ' * margin}{expression.close}"
