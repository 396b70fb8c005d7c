"""What the answers of `keras.tree` say: which law was broken, by which container, in what way.

A script prints one answer a check (see `checks.py`, `script.py`); `read` judges what one
run printed. The truth is the documentation of `keras.tree`, not another release: None is a leaf, a
plain dict is gone through in the order of its sorted keys, every other container in its own order.

Public: `Breach`, `read`, `flattened`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from keras_repro.contract import Strength
from keras_repro.trees.asked import checks_of, said_since
from keras_repro.trees.case import DICTS, UNNAMED, Key, Kind, Node, Tree, TreeCase, nodes
from keras_repro.trees.check import Check, Paths, Value, Word
from keras_repro.trees.structures import DATA, flattened

__all__ = ["Breach", "flattened", "read"]

Path = tuple[Key, ...]

EXPECTED, OBSERVED = "  expected ", "  observed "
RAISES = "raises "


@dataclass(frozen=True, slots=True)
class Breach:
    """One broken law. Two breaches are the same failure where their signatures are equal."""

    check: str
    """The check that shows it: the case with this `law` shows it alone."""
    signature: str
    sentence: str
    strength: Strength = "contract"
    since: str = ""
    """The first release whose documentation says so; empty if it always did."""

    @property
    def rule(self) -> str:
        """The law's id."""
        return self.check.partition(".")[0]


@dataclass(frozen=True, slots=True)
class _Answer:
    expected: str
    observed: str


def read(case: TreeCase, stdout: str, error: str | None = None) -> tuple[Breach, ...]:
    """The laws that one run of the script of `case` broke, in the order of its checks.

    `error` names the exception that ended the run (`ValueError`), None where none did: the first
    check that printed no answer raised it. A refusal of what the documentation allows is a breach.
    """
    asked = checks_of(case)
    if asked and asked[0].law == "T9":
        return tuple(
            _differ(case, check, *answers) for check, answers in _side_by_side(case, stdout)
        )
    answers = _answers(asked, stdout)
    breaches = []
    for check in asked:
        answer = answers.get(check.call)
        if answer is not None and answer.observed != answer.expected:
            since = said_since(check, case.structure)
            breaches.append(replace(_breach(case, check, answer), since=since))
    if error is not None:
        answered = [i for i, check in enumerate(asked) if check.call in answers]
        # A check may be skipped by an older Keras, so what counts is the first after the last.
        following = asked[(answered[-1] + 1 if answered else 0) :]
        # An exception after the last answer is not of keras.tree; the caller has the traceback.
        if following:
            since = said_since(following[0], case.structure)
            breaches.append(replace(_refusal(following[0], error), since=since))
    return tuple(breaches)


def _answers(asked: Sequence[Check], stdout: str) -> dict[str, _Answer]:
    """What was printed, by call: a line of the call, then `  expected ...` and `  observed ...`."""
    lines = stdout.splitlines()
    found = {}
    calls = {check.call for check in asked}
    for call, expected, observed in zip(lines, lines[1:], lines[2:], strict=False):
        if call in calls and expected.startswith(EXPECTED) and observed.startswith(OBSERVED):
            found[call] = _Answer(_bare(expected, EXPECTED), _bare(observed, OBSERVED))
    return found


def _bare(line: str, head: str) -> str:
    """What was answered; a word without its quotes."""
    answer = line.removeprefix(head)
    return answer[1:-1] if re.fullmatch(r"'(accepts|raises \w+)'", answer) else answer


def _side_by_side(case: TreeCase, stdout: str) -> Iterator[tuple[Check, tuple[str, str]]]:
    """The checks that two implementations answer in different ways, with two such answers."""
    lines = stdout.splitlines()
    for check in checks_of(case):
        if check.call not in lines:
            continue
        start = lines.index(check.call) + 1
        said = [line.split(maxsplit=1) for line in takewhile(_indented, lines[start:])]
        answers = [" ".join(words[1:]) for words in said]
        if others := [answer for answer in answers if answer != answers[0]]:
            yield check, (answers[0], others[0])


def _indented(line: str) -> bool:
    return line.startswith("  ")


def _differ(case: TreeCase, check: Check, one: str, other: str) -> Breach:
    kinds = sorted({node.kind for node in nodes(case.structure)} & UNNAMED)
    named = " and ".join(kinds)
    sentence = (
        f"the implementations of keras.tree disagree about {_article(named)}: "
        f"{check.function} answers {one} and {other}"
    )
    return Breach(check.name, f"T9 {named}: answers differ", sentence, "inconsistent")


def _refusal(check: Check, error: str) -> Breach:
    what = f"raised {error}"
    if "at(" in check.observe:
        what = f"named a path that leads nowhere, or {what},"
    sentence = f"{check.function} {what} for a structure that its documentation allows"
    return Breach(check.name, f"{check.law} {check.function}: raised {error}", sentence)


def _breach(case: TreeCase, check: Check, answer: _Answer) -> Breach:
    if answer.observed.startswith(RAISES) and not answer.expected.startswith(RAISES):
        return _refusal(check, answer.observed.removeprefix(RAISES))
    if isinstance(check.answer(case.structure), Word | Paths):
        return _other_word(case, check, answer)
    container, how = _explain(case, check, answer)
    where = f"of {_article(container)} " if container else ""
    sentence = (
        f"{check.function} {how.format(where=where).strip()}: "
        f"expected {answer.expected}, observed {answer.observed}"
    )
    about = " ".join(how.format(where="").split())
    named = f" {container}" if container else ""
    signature = f"{check.law} {check.function}{named}: {about}"
    return Breach(check.name, signature, sentence, _strength(check, container, how))


def _strength(check: Check, container: str, how: str) -> Strength:
    """Contract, where a sentence of the documentation says what was broken, and not an example."""
    if how == OTHER_KEYS and container != "OrderedDict":
        return "inconsistent"
    if check.name in ("T8.down", "T8.up") and how in (ANOTHER_WALK, OTHER_PARTS):
        return "inconsistent"
    return "contract"


def _other_word(case: TreeCase, check: Check, answer: _Answer) -> Breach:
    """Accepted where it must be refused, or the other way round, or another path."""
    other = next((name for name in DATA if name != "structure" and check.uses(name)), None)
    kind = _changed(case.structure, DATA[other](case.structure)) if other else ""
    # What maps up to a structure compares it or does not, whatever the container.
    named = kind and check.law != "T6" and not answer.observed.startswith(RAISES)
    of = f" {kind}" if named else ""
    if isinstance(check.answer(case.structure), Paths):
        how = _paths(answer)
        strength: Strength = "inconsistent"
    else:
        observed = answer.observed
        how = f"answered {observed!r}" if observed in ("True", "False") else observed
        raises = RAISES in answer.expected and observed.startswith(RAISES)
        # It is refused, as it must be; which exception says so hurts nobody.
        strength = "inconsistent" if raises else "contract"
    sentence = f"{check.call}: expected {answer.expected}, observed {answer.observed}"
    return Breach(check.name, f"{check.law} {check.call}{of}: {how}", sentence, strength)


def _paths(answer: _Answer) -> str:
    expected, observed = (ast.literal_eval(text) for text in (answer.expected, answer.observed))
    if sorted(map(repr, expected)) == sorted(map(repr, observed)):
        return "gave the paths in another order"
    return "named paths in another way"


def _changed(one: Tree, other: Tree) -> str:
    """The kind of the outermost container that differs in more than its entries."""
    if not isinstance(one, Node) or not isinstance(other, Node):
        return ""
    if (one.kind, one.keys) != (other.kind, other.keys):
        return one.kind
    pairs = zip(one.children, other.children, strict=False)
    return next((kind for pair in pairs if (kind := _changed(*pair))), "")


def _article(container: str) -> str:
    return f"an {container}" if container[0] in "AEIOU" else f"a {container}"


ANOTHER_ORDER = {
    "leaves": "gave the leaves {where}in another order",
    "structure": "returned the values {where}in another order",
    "pairs": "let leaves {where}of different paths meet",
    "other": "went through the parts {where}in another order",
}
OTHER_KEYS = "changed the order of the keys {where}"
ANOTHER_WALK = ANOTHER_ORDER["other"]
OTHER_PARTS = "saw the keys of a part {where}in another order"


def _explain(case: TreeCase, check: Check, answer: _Answer) -> tuple[str, str]:
    """The kind of container that went wrong, and how; the kind is empty where it cannot be said."""
    unreadable = ("", "answered something that is not such a structure")
    try:
        expected, observed = _parse(answer.expected), _parse(answer.observed)
    except (ValueError, SyntaxError):
        return unreadable
    if not isinstance(expected, Node) and check.shows == "other":
        return unreadable
    if check.shows == "other":
        return _walked(expected, observed)
    if check.shows == "leaves":
        if not isinstance(expected, Node) or not isinstance(observed, Node):
            return unreadable
        slots = list(zip(expected.children, observed.children, strict=False))
        if len(expected.children) != len(observed.children):
            return "", "lost or added leaves"
        homes = [path for path, _ in flattened(case.structure)]
        if check.law == "T4":
            # Here `expected` is what `flatten` answered, in whatever order.
            by_leaf = {leaf: path for path, leaf in flattened(case.structure)}
            found = [by_leaf.get(leaf) for leaf in expected.children if not isinstance(leaf, Node)]
            homes = [path for path in found if path is not None]
    else:
        # A leaf of the answer may be a structure, so the answer is held against the first one.
        shape = _shape(check, case.structure)
        wrong = _other_shape(shape, expected, observed)
        if wrong is not None:
            return wrong
        homes = [path for path, _ in flattened(case.structure)]
        slots = [(_at(expected, path), _at(observed, path)) for path in homes]
    container = _permuted(case.structure, homes, slots, check)
    if container is None:
        return "", "changed, lost or repeated leaves"
    return container, ANOTHER_ORDER[check.shows]


def _shape(check: Check, structure: Tree) -> Tree:
    """The containers that an answer must have."""
    answer = check.answer(structure)
    if check.name != "T8.tuples" or not isinstance(answer, Value):
        return structure
    return answer.tree


def _walked(expected: Tree, observed: Tree) -> tuple[str, str]:
    """What a walk visited, as a list."""
    if not isinstance(expected, Node) or not isinstance(observed, Node):
        return "", "answered something that is not such a structure"
    for shown, how in ((repr, ANOTHER_WALK), (_sorted, OTHER_PARTS)):
        if sorted(map(shown, expected.children)) == sorted(map(shown, observed.children)):
            return "", how
    return "", "visited other parts"


def _sorted(tree: Tree) -> str:
    """A part, whatever the order of its keys."""
    if not isinstance(tree, Node):
        return repr(tree)
    inside = [_sorted(child) for child in tree.children]
    pairs = sorted(zip(map(repr, tree.keys), inside, strict=True)) if tree.keys else inside
    return f"{tree.kind} {pairs}"


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
        return shape.kind, OTHER_KEYS
    kinds, found = ([_outside(child) for child in one.children] for one in (shape, observed))
    if kinds != found and sorted(kinds) == sorted(found):
        return shape.kind, ANOTHER_ORDER["structure"]
    assert isinstance(expected, Node)
    for inner, e, o in zip(shape.children, expected.children, observed.children, strict=True):
        wrong = _other_shape(inner, e, o)
        if wrong is not None:
            return wrong
    return None


def _outside(tree: Tree) -> tuple[str, int]:
    """What can be seen of a part from without."""
    return (tree.kind, len(tree.children)) if isinstance(tree, Node) else ("", 0)


def _permuted(
    structure: Tree, homes: Sequence[Path], slots: Sequence[tuple[Tree, Tree]], check: Check
) -> str | None:
    """The kinds of the containers whose entries changed places; None where leaves changed instead.

    Two leaves that changed their order show that the innermost container of both went wrong. Where
    such containers lie within each other the outer one is blamed: what it shifted looks shuffled
    from within.
    """
    wanted, got = [e for e, _ in slots], [o for _, o in slots]
    if check.shows == "pairs":
        met = [o.children for o in got if isinstance(o, Node) and o.kind == "tuple"]
        home = [e.children[0] for e in wanted if isinstance(e, Node) and e.kind == "tuple"]
        columns = [list(column) for column in zip(*met, strict=False)]
        ranks = _ranks(home, next((column for column in columns if column != home), home))
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
        place = tree.keys.index(key) if tree.kind in DICTS else key
        assert isinstance(place, int)
        tree = tree.children[place]
    return tree


def _parse(text: str) -> Tree:
    """The tree whose `repr` is `text`; ValueError or SyntaxError where it is none."""
    # The factory of a defaultdict is printed as no Python can read it.
    return _tree(ast.parse(text.replace("<class 'list'>", "list"), mode="eval").body)


def _tree(node: ast.expr) -> Tree:
    match node:
        case ast.Constant(value=int() | None as leaf) if not isinstance(leaf, bool):
            return leaf
        case ast.List(elts=elements):
            return Node("list", tuple(map(_tree, elements)))
        case ast.Tuple(elts=elements):
            return Node("tuple", tuple(map(_tree, elements)))
        case ast.Dict():
            return _mapping("dict", node)
        case ast.Call(func=ast.Name(id="OrderedDict"), args=[], keywords=[]):
            return Node("OrderedDict", ())
        case ast.Call(func=ast.Name(id="OrderedDict"), args=[ast.List(elts=pairs)]):
            items = [pair.elts for pair in pairs if isinstance(pair, ast.Tuple)]
            children = tuple(_tree(item[1]) for item in items)
            return Node("OrderedDict", children, tuple(_key(item[0]) for item in items))
        case ast.Call(func=ast.Name(id="OrderedDict"), args=[ast.Dict() as entries]):
            return _mapping("OrderedDict", entries)
        case ast.Call(func=ast.Name(id="defaultdict"), args=[_, ast.Dict() as entries]):
            return _mapping("defaultdict", entries)
        case ast.Call(func=ast.Name(id="Box"), args=[ast.Dict() as entries]):
            return _mapping("dict subclass", entries)
        case ast.Call(func=ast.Name(id="deque"), args=[ast.List(elts=elements)], keywords=bound):
            kind: Kind = "bounded deque" if bound else "deque"
            return Node(kind, tuple(map(_tree, elements)))
        case ast.Call(func=ast.Name(), args=[], keywords=fields):
            names = tuple(field.arg or "" for field in fields)
            return Node("namedtuple", tuple(_tree(field.value) for field in fields), names)
    raise ValueError(f"not a tree: {ast.unparse(node)}")


def _mapping(kind: Kind, entries: ast.Dict) -> Node:
    return Node(kind, tuple(map(_tree, entries.values)), tuple(map(_key, entries.keys)))


def _key(node: ast.expr | None) -> Key:
    match node:
        case ast.Constant(value=str() | int() as key):
            return key
    raise ValueError("a key that is neither a string nor an int")
