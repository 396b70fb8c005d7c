"""What `keras.tree` must answer (the reference, in pure Python), and what its answers say.

The truth is the documentation of `keras.tree`, not another release: None is a leaf, a plain dict is
gone through in the order of its sorted keys, every other container in its own order. What that
documentation leaves open is not judged: whether a path names a namedtuple's field by its name or
its index was first said in 3.8.0, so T4 takes either and only T9 compares the two. What 3.7.0 and
before say of the order of an OrderedDict can be read in two ways; T2 is the reading that 3.8.0
made plain.

A script prints one answer per call (see `tree_script`). `read` judges what one run printed, by the
rules T1 to T6; `disagreements` compares the runs of one script under two implementations (T9).

Public: `flattened`, `Breach`, `CALLS`, `read`, `disagreements`.
"""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from keras_repro.tree_case import Law, Node, Tree, TreeCase

__all__ = ["CALLS", "Breach", "Call", "disagreements", "flattened", "read"]

Key = str | int
Path = tuple[Key, ...]

EXPECTED, OBSERVED, PATHS = "  expected ", "  observed ", "paths "


def flattened(tree: Tree, path: Path = ()) -> list[tuple[Path, int | None]]:
    """The paths and leaves of `tree` in the order of `keras.tree.flatten` (rule T2).

    Paths hold indices for list, tuple and namedtuple, keys for dicts.

    >>> flattened(Node("dict", (1, None), ("b", "a")))
    [(('a',), None), (('b',), 1)]
    >>> flattened(Node("OrderedDict", (1, None), ("b", "a")))
    [(('b',), 1), (('a',), None)]
    """
    if not isinstance(tree, Node):
        return [(path, tree)]
    return [pair for key, child in _entries(tree) for pair in flattened(child, (*path, key))]


def _entries(node: Node) -> list[tuple[Key, Tree]]:
    if node.kind == "dict":
        return sorted(zip(node.keys, node.children, strict=True), key=lambda entry: entry[0])
    if node.kind == "OrderedDict":
        return list(zip(node.keys, node.children, strict=True))
    return list(enumerate(node.children))


@dataclass(frozen=True, slots=True)
class Call:
    """One line of a script: a call of `keras.tree`, and the law that says what it must answer."""

    law: Law
    text: str
    function: str
    answers: Literal["leaves", "structure", "pairs", "deep"]


PATH_LEAVES = Call("T4", "flatten_with_path(structure), leaves", "flatten_with_path", "leaves")

# In the order in which a script makes them: a run that ends early has answered the first ones.
CALLS: tuple[Call, ...] = (
    Call("T2", "flatten(structure)", "flatten", "leaves"),
    Call("T3", "flatten(reordered)", "flatten", "leaves"),
    Call("T1", "pack_sequence_as(structure, flat)", "pack_sequence_as", "structure"),
    Call("T5", "map_structure(f, structure)", "map_structure", "structure"),
    Call("T5", "map_structure(pair, structure, reordered)", "map_structure", "pairs"),
    PATH_LEAVES,
    Call("T4", "flatten_with_path(structure), at each path", "flatten_with_path", "leaves"),
    Call("T6", "map_structure_up_to(structure, f, deep)", "map_structure_up_to", "deep"),
)


@dataclass(frozen=True, slots=True)
class Breach:
    """One broken law. Two breaches are the same failure where their signatures are equal."""

    rule: str
    signature: str
    sentence: str


@dataclass(frozen=True, slots=True)
class _Answer:
    expected: str
    observed: str


def read(case: TreeCase, stdout: str, error: str | None = None) -> tuple[Breach, ...]:
    """The laws that one run of the script of `case` broke, in the order of its calls.

    `error` names the exception that ended the run (`ValueError`), None where none did: the first
    call that printed no answer raised it. A refusal of what the documentation allows is a breach.
    """
    answers = _answers(stdout)
    breaches = []
    for call in CALLS:
        answer = answers.get(call.text)
        if answer is not None and answer.observed != answer.expected:
            breaches.append(_breach(case, call, answer))
    if error is not None:
        raised = _unanswered(case, answers)
        # An exception after the last answer is not of keras.tree; the caller has the traceback.
        if raised is not None:
            breaches.append(_refusal(raised, error))
    return tuple(breaches)


def disagreements(case: TreeCase, one: str, other: str) -> tuple[Breach, ...]:
    """Rule T9: what two implementations answered differently, given what each printed.

    A call where either breaks another law is left out: that is a finding already, by its own name.
    """
    first, second = _answers(one), _answers(other)
    breaches = []
    for call in CALLS:
        a, b = first.get(call.text), second.get(call.text)
        if a is None or b is None or a.observed == b.observed:
            continue
        if a.observed == a.expected or b.observed == b.expected:
            # One of them is right, so the other broke the law of this call.
            continue
        breaches.append(_differ(call.function, "another answer", a.observed, b.observed))
    leaves = PATH_LEAVES.text
    if leaves in first and leaves in second and first[leaves] == second[leaves]:
        paths, others = _paths(one), _paths(other)
        if paths is not None and others is not None and paths != others:
            indexed = [[_by_index(case.structure, p) for p in ps] for ps in (paths, others)]
            named = "fields of a namedtuple by name in one, by index in the other"
            how = named if indexed[0] == indexed[1] else "other paths"
            breaches.append(_differ("flatten_with_path", how, str(paths), str(others)))
    return tuple(breaches)


def _differ(function: str, how: str, one: str, other: str) -> Breach:
    sentence = f"the two implementations disagree: {function} answers {one} and {other}"
    return Breach("T9", f"T9 {function}: {how}", sentence)


def _answers(stdout: str) -> dict[str, _Answer]:
    """What was printed, by call: a line of the call, then `  expected ...` and `  observed ...`."""
    lines = stdout.splitlines()
    found = {}
    texts = {call.text for call in CALLS}
    for text, expected, observed in zip(lines, lines[1:], lines[2:], strict=False):
        if text in texts and expected.startswith(EXPECTED) and observed.startswith(OBSERVED):
            answer = _Answer(expected.removeprefix(EXPECTED), observed.removeprefix(OBSERVED))
            found[text] = answer
    return found


def _paths(stdout: str) -> list[Path] | None:
    for line in stdout.splitlines():
        if line.startswith(PATHS):
            paths: list[Path] = ast.literal_eval(line.removeprefix(PATHS))
            return paths
    return None


def _unanswered(case: TreeCase, answers: dict[str, _Answer]) -> Call | None:
    made = [call for call in CALLS if call.law in case.laws]
    answered = [i for i, call in enumerate(made) if call.text in answers]
    # `flatten_with_path` may be absent, so what counts is the first call after the last answer.
    following = made[(answered[-1] + 1 if answered else 0) :]
    return following[0] if following else None


def _refusal(call: Call, error: str) -> Breach:
    sentence = f"{call.function} raised {error} for a structure that its documentation allows"
    return Breach(call.law, f"{call.law} {call.function}: raised {error}", sentence)


def _breach(case: TreeCase, call: Call, answer: _Answer) -> Breach:
    container, how = _explain(case, call, answer)
    where = f"of {_article(container)} " if container else ""
    sentence = (
        f"{call.function} {how.format(where=where).strip()}: "
        f"expected {answer.expected}, observed {answer.observed}"
    )
    about = " ".join(how.format(where="").split())
    named = f" {container}" if container else ""
    return Breach(call.law, f"{call.law} {call.function}{named}: {about}", sentence)


def _article(container: str) -> str:
    return f"an {container}" if container[0] in "AEIOU" else f"a {container}"


ANOTHER_ORDER = {
    "leaves": "gave the leaves {where}in another order",
    "structure": "returned the values {where}in another order",
    "pairs": "let leaves {where}of different paths meet",
    "deep": "returned the values {where}in another order",
}


def _explain(case: TreeCase, call: Call, answer: _Answer) -> tuple[str, str]:
    """The kind of container that went wrong, and how; the kind is empty where it cannot be said."""
    unreadable = ("", "answered something that is not such a structure")
    try:
        expected, observed = _parse(answer.expected), _parse(answer.observed)
    except (ValueError, SyntaxError):
        return unreadable
    if call.answers == "leaves":
        if not isinstance(expected, Node) or not isinstance(observed, Node):
            return unreadable
        slots = list(zip(expected.children, observed.children, strict=False))
        if len(expected.children) != len(observed.children):
            return "", "lost or added leaves"
        homes = [path for path, _ in flattened(case.structure)]
        if call.law == "T4":
            # Here `expected` is what `flatten` answered, in whatever order.
            by_leaf = {leaf: path for path, leaf in flattened(case.structure)}
            found = [by_leaf.get(leaf) for leaf in expected.children if not isinstance(leaf, Node)]
            homes = [path for path in found if path is not None]
    else:
        wrong = _other_shape(case.structure, expected, observed)
        if wrong is not None:
            return wrong
        homes = [path for path, _ in flattened(case.structure)]
        slots = [(_at(expected, path), _at(observed, path)) for path in homes]
    container = _permuted(case.structure, homes, slots, call)
    if container is None:
        return "", "changed, lost or repeated leaves"
    return container, ANOTHER_ORDER[call.answers]


def _other_shape(shape: Tree, expected: Tree, observed: Tree) -> tuple[str, str] | None:
    """The outermost container of `shape` that `observed` does not have; None where it has all."""
    if not isinstance(shape, Node):
        return None
    if not isinstance(observed, Node):
        return shape.kind, "returned something else in the place {where}"
    if shape.kind != observed.kind:
        return shape.kind, f"returned {_article(observed.kind)} in the place {{where}}"
    if set(shape.keys) != set(observed.keys) or len(shape.children) != len(observed.children):
        return shape.kind, "lost or added entries {where}"
    if shape.keys != observed.keys:
        return shape.kind, "changed the order of the keys {where}"
    assert isinstance(expected, Node)
    for inner, e, o in zip(shape.children, expected.children, observed.children, strict=True):
        wrong = _other_shape(inner, e, o)
        if wrong is not None:
            return wrong
    return None


def _permuted(
    structure: Tree, homes: Sequence[Path], slots: Sequence[tuple[Tree, Tree]], call: Call
) -> str | None:
    """The kinds of the containers whose entries changed places; None where leaves changed instead.

    Two leaves that changed their order show that the innermost container of both went wrong. Where
    such containers lie within each other the outer one is blamed: what it shifted looks shuffled
    from within.
    """
    wanted, got = [e for e, _ in slots], [o for _, o in slots]
    if call.answers == "pairs":
        seconds = [o.children[-1] for o in got if isinstance(o, Node) and o.kind == "tuple"]
        firsts = [o.children[0] for o in got if isinstance(o, Node) and o.kind == "tuple"]
        home = [e.children[0] for e in wanted if isinstance(e, Node) and e.kind == "tuple"]
        ranks = _ranks(home, seconds if firsts == home else firsts)
    else:
        ranks = _ranks(wanted, got)
    if ranks is None or len(homes) != len(ranks):
        return None
    blamed = {
        _common(homes[a], homes[b]) for i, a in enumerate(ranks) for b in ranks[i + 1 :] if a > b
    }
    outermost = {path for path in blamed if not any(path[:n] in blamed for n in range(len(path)))}
    kinds = {node.kind for node in (_at(structure, p) for p in outermost) if isinstance(node, Node)}
    return " and ".join(sorted(kinds)) or None


def _ranks(wanted: Sequence[Tree], got: Sequence[Tree]) -> list[int] | None:
    """For each leaf of `got`, where it stood in `wanted`; None where they are not the same leaves.

    Equal leaves (None) are matched in order: the least change that explains what is seen.
    """
    places: dict[Tree, Iterator[int]] = {
        leaf: iter([i for i, other in enumerate(wanted) if other == leaf]) for leaf in wanted
    }
    ranks = [next(places.get(leaf, iter(())), -1) for leaf in got]
    return None if -1 in ranks or len(ranks) != len(wanted) else ranks


def _common(one: Path, other: Path) -> Path:
    length = 0
    while length < min(len(one), len(other)) and one[length] == other[length]:
        length += 1
    return one[:length]


def _at(tree: Tree, path: Path) -> Tree:
    for key in path:
        assert isinstance(tree, Node)
        tree = tree.children[tree.keys.index(key) if isinstance(key, str) else key]
    return tree


def _by_index(tree: Tree, path: Path) -> Path:
    """`path` with every field of a namedtuple written as its index."""
    plain: list[Key] = []
    for key in path:
        if not isinstance(tree, Node):
            break
        index = tree.keys.index(key) if isinstance(key, str) and key in tree.keys else key
        if not isinstance(index, int) or not 0 <= index < len(tree.children):
            break
        plain.append(index if tree.kind == "namedtuple" else key)
        tree = tree.children[index]
    return tuple(plain)


def _parse(text: str) -> Tree:
    """The tree whose `repr` is `text`; ValueError or SyntaxError where it is none."""
    return _tree(ast.parse(text, mode="eval").body)


def _tree(node: ast.expr) -> Tree:
    match node:
        case ast.Constant(value=int() | None as leaf) if not isinstance(leaf, bool):
            return leaf
        case ast.List(elts=elements):
            return Node("list", tuple(map(_tree, elements)))
        case ast.Tuple(elts=elements):
            return Node("tuple", tuple(map(_tree, elements)))
        case ast.Dict(keys=keys, values=values):
            return Node("dict", tuple(map(_tree, values)), tuple(map(_key, keys)))
        case ast.Call(func=ast.Name(id="OrderedDict"), args=[], keywords=[]):
            return Node("OrderedDict", ())
        case ast.Call(func=ast.Name(id="OrderedDict"), args=[ast.List(elts=pairs)]):
            entries = [pair.elts for pair in pairs if isinstance(pair, ast.Tuple)]
            children = tuple(_tree(entry[1]) for entry in entries)
            return Node("OrderedDict", children, tuple(_key(entry[0]) for entry in entries))
        case ast.Call(func=ast.Name(id="OrderedDict"), args=[ast.Dict(keys=keys, values=values)]):
            return Node("OrderedDict", tuple(map(_tree, values)), tuple(map(_key, keys)))
        case ast.Call(func=ast.Name(), args=[], keywords=fields):
            names = tuple(field.arg or "" for field in fields)
            return Node("namedtuple", tuple(_tree(field.value) for field in fields), names)
    raise ValueError(f"not a tree: {ast.unparse(node)}")


def _key(node: ast.expr | None) -> str:
    match node:
        case ast.Constant(value=str() as key):
            return key
    raise ValueError("a key that is not a string")
