"""A tree case as the script that will be filed: keras only, exit 0 good, 1 bad, 125 untestable.

The script asks `keras.tree` about a literal, and prints for every check what the documentation
promises and what came back. Two answers are the same where they print the same: types and the order
of keys count. Where one check is asked, an exception of `keras.tree` is not caught: the traceback
says more than any message. Where no sentence says what is right, the implementations of
`keras.tree` answer side by side.

The text is laid out as a formatter would (88 columns), so that it can be pasted anywhere. Public:
`render`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from keras_repro.trees.asked import checks_of
from keras_repro.trees.case import BOUND, Key, Node, Tree, TreeCase, nodes
from keras_repro.trees.check import Answer, Check, Name, Paths, Value, Word
from keras_repro.trees.structures import DATA

__all__ = ["render"]

WIDTH = 88

TITLES = {
    "T1": "flatten, then pack_sequence_as, gives the structure back",
    "T1.more": "pack_sequence_as refuses a leaf too many",
    "T1.fewer": "pack_sequence_as refuses a leaf too few",
    "T2": "flatten takes a dict by sorted keys, all else in its own order",
    "T3": "the order in which a dict was filled does not change flatten",
    "T4": "flatten_with_path agrees with flatten, and each path leads there",
    "T5": "map_structure keeps the structure, and leaf meets leaf",
    "T6": "map_structure_up_to stops at its first structure; None is a leaf",
    "T7": "two structures are the same, or are not, as documented",
    "T8": "a structure is recognised, walked and changed as documented",
    "T9": "every implementation gives the same answer",
    "": "what is taken apart and put together again is the same",
}

IMPORT_KERAS = """\
try:
    from keras import tree
except ImportError:
    sys.exit(125)
"""

# The names of the implementations are private; without them this cannot be tested.
IMPORT_ALL = """\
try:
    import keras
    import optree, tree
    from keras.src.tree import dmtree_impl, optree_impl
except ImportError:
    sys.exit(125)
"""

CHECK = """\
def check(call, expected, observe):
    try:
        observed = observe()
    except Exception as error:
        observed = f"raises {type(error).__name__}"
    print(f"{call}\\n  expected {expected!r}\\n  observed {observed!r}")
    if repr(observed) != repr(expected):
        bad.append(call)

"""

COMPARE = """\
def compare(call, ask):
    answers = {}
    for tree in trees:
        try:
            answer = repr(ask(tree))
        except Exception as error:
            answer = f"raises {type(error).__name__}"
        answers[tree.__name__.rpartition(".")[2]] = answer
    print(call, *(f"{name} {answer}" for name, answer in answers.items()), sep="\\n  ")
    if len(set(answers.values())) > 1:
        bad.append(call)

"""

# The torch implementation is used, and can be imported, with that backend alone.
ALL_TREES = """\
trees = [optree_impl, dmtree_impl]
if keras.backend.backend() == "torch" and hasattr(keras.src.tree, "torchtree_impl"):
    trees.append(keras.src.tree.torchtree_impl)
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

SAID = """\
def said(call):
    try:
        call()
    except Exception as error:
        return f"raises {type(error).__name__}"
    return "accepts"

"""

SEEN = """\
def seen(top_down):
    parts = []
    tree.traverse(parts.append, structure, top_down=top_down)
    return parts

"""

GONE = """\
def gone(part):
    return tree.MAP_TO_NONE if part == 1 else None

"""

BOX = """\
class Box(dict):
    def __repr__(self):
        return f"Box({super().__repr__()})"

"""

Classes = dict[tuple[Key, ...], str]


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


def render(case: TreeCase) -> str:
    """The standalone script of `case`."""
    checks = checks_of(case)
    side_by_side = bool(checks) and checks[0].law == "T9"
    several = len(checks) != 1 or side_by_side
    classes = _classes(case.structure) if _made(case, checks) else {}
    law = case.law or ("T9" if side_by_side else "")
    title = TITLES.get(law) or TITLES[law.partition(".")[0]]
    parts = [_head(title, case, checks), IMPORT_ALL if side_by_side else IMPORT_KERAS]
    if not several and checks[0].needs:
        needs = checks[0].needs
        parts.append(f"if not {f'({needs})' if ' in ' in needs else needs}:\n    sys.exit(125)\n")
    if any(node.kind == "dict subclass" for node in nodes(case.structure)):
        parts.append("\n" + BOX)
    data = _data(case, checks, classes) + ("bad = []\n" if several else "")
    parts.append(data + (ALL_TREES if side_by_side else ""))
    functions = [COMPARE] if side_by_side else [CHECK] if several else []
    helpers = {"at(": AT_NAMED if classes else AT, "said(": SAID, "seen(": SEEN, "(gone": GONE}
    functions += [text for name, text in helpers.items() if any(name in c.observe for c in checks)]
    # Two blank lines stand around a function: the first brings one of those before it.
    parts += ["\n" * (not place) + text for place, text in enumerate(functions)]
    if side_by_side:
        parts.append(_side_by_side(checks))
    else:
        parts.append((_several if several else _single)(case, checks, classes))
    return "\n".join(part for part in parts if part)


def _single(case: TreeCase, checks: Sequence[Check], classes: Classes) -> str:
    [check] = checks
    lines = ["flat = tree.flatten(structure)"] if _needs_flat([check]) else []
    observed = check.observe
    if observed != "flat":
        name = NAMES.get(check.name.partition(".")[0], "observed")
        lines.append(f"{name} = {observed}")
        observed = name
    expected = _answer(check.answer(case.structure), classes)
    if isinstance(expected, _Group):
        lines.append(_assign("expected", expected))
        expected = "expected"
    lines += [
        "",
        f'print("{check.call}")',
        f'print("  expected", {expected})',
        f'print("  observed", {observed})',
        f"sys.exit(0 if repr({observed}) == repr({expected}) else 1)",
    ]
    return "\n".join(lines) + "\n"


NAMES = {"T1": "packed", "T3": "again", "T5": "mapped", "T6": "mapped"}


def _several(case: TreeCase, checks: Sequence[Check], classes: Classes) -> str:
    lines = ["flat = tree.flatten(structure)"] if _needs_flat(checks) else []
    needs = ""
    for check in checks:
        if check.needs and check.needs != needs:
            lines.append(f"if {check.needs}:")
        needs = check.needs
        margin = 4 if needs else 0
        expected = _answer(check.answer(case.structure), classes)
        arguments = (("", f'"{check.call}"'), ("", expected), ("", f"lambda: {check.observe}"))
        call = _Group("check(", arguments, ")", is_call=True)
        lines.append(" " * margin + _layout(call, margin, 0, 0))
    lines.append("sys.exit(1 if bad else 0)")
    return "\n".join(lines) + "\n"


def _side_by_side(checks: Sequence[Check]) -> str:
    lines = []
    for check in checks:
        arguments = (("", f'"{check.call}"'), ("", f"lambda tree: {check.observe}"))
        lines.append(_layout(_Group("compare(", arguments, ")", is_call=True), 0, 0, 0))
    return "\n".join([*lines, "sys.exit(1 if bad else 0)"]) + "\n"


def _needs_flat(checks: Sequence[Check]) -> bool:
    used = any(check.uses("flat") for check in checks)
    return used or any(check.answer(1) == Name("flat") for check in checks)


def _answer(answer: Answer | None, classes: Classes) -> "_Expression":
    match answer:
        case Value(tree):
            return _literal(tree, classes)
        case Name(name):
            return name
        case Word(str() as word):
            return f'"{word}"'
        case Word(truth):
            return repr(truth)
        case Paths(paths):
            return _Group("[", tuple(("", _path(path)) for path in paths), "]")
    raise AssertionError("a check is asked of what it has an answer to")


def _path(path: tuple[Key, ...]) -> "_Expression":
    return _Group("(", tuple(("", _text(key)) for key in path), ")")


def _head(title: str, case: TreeCase, checks: Sequence[Check]) -> str:
    made = [DATA[name](case.structure) for name in _made(case, checks)]
    kinds = {node.kind.removeprefix("bounded ") for tree in made for node in nodes(tree)}
    # As formatters sort imports: classes first.
    names = sorted(kinds & IMPORTED, key=lambda name: (name[0].islower(), name))
    collections = f"from collections import {', '.join(names)}\n" if names else ""
    return f'"""keras.tree: {title}."""\n\nimport sys\n{collections}'


IMPORTED = {"OrderedDict", "namedtuple", "defaultdict", "deque"}


def _made(case: TreeCase, checks: Sequence[Check]) -> list[str]:
    """The names of the structures that a script speaks of."""
    used = {name for name in DATA if any(check.uses(name) for check in checks)}
    if any(check.answer(case.structure) == Name("structure") for check in checks):
        used.add("structure")
    if _needs_flat(checks) or any(name in c.observe for c in checks for name in ("at(", "seen(")):
        used.add("structure")
    return [name for name in DATA if name in used]


def _data(case: TreeCase, checks: Sequence[Check], classes: Classes) -> str:
    lines = []
    for fields, name in classes.items():
        names = _Group("[", tuple(("", _text(field)) for field in fields), "]")
        made = _Group("namedtuple(", (("", _text(name)), ("", names)), ")", is_call=True)
        lines.append(_assign(name, made))
    needed = _made(case, checks)
    for name in needed:
        tree = DATA[name](case.structure)
        same = name != "structure" and "structure" in needed and tree == case.structure
        lines.append(_assign(name, "structure" if same else _literal(tree, classes)))
    return "\n".join(lines) + "\n" if lines else ""


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
        case "deque" | "bounded deque":
            items = _Group("[", tuple(("", child) for child in children), "]")
            bound = (("maxlen=", str(BOUND)),) if tree.kind == "bounded deque" else ()
            return _Group("deque(", (("", items), *bound), ")", is_call=True)
    keyed = zip(tree.keys, children, strict=True)
    entries = _Group("{", tuple((f"{_text(key)}: ", child) for key, child in keyed), "}")
    match tree.kind:
        case "OrderedDict":
            given = (("", entries),) if children else ()
            return _Group("OrderedDict(", given, ")", is_call=True)
        case "defaultdict":
            return _Group("defaultdict(", (("", "list"), ("", entries)), ")", is_call=True)
        case "dict subclass":
            return _Group("Box(", (("", entries),), ")", is_call=True)
    return entries


def _text(value: Key) -> str:
    """`value` as a Python literal in ASCII, in double quotes unless it holds more of them."""
    if isinstance(value, int):
        return str(value)
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
