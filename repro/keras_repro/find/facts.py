"""What can be said of a case, one dimension at a time: the words in which a condition is written.

A fact is a dimension and the value that a case has in it: `container` is `list`, `loss_weights` is
`dict`, `names` are `not in alphabetical order`. Facts are derived from the fields of the case and
their types, so a field that is added to a case is a dimension from then on, and costs nothing here.
What is as one would expect is no fact: that a dict has a name for every output, say. Numbers and
names themselves are no facts either (no bug hangs on a certain name), but how the names stand
to each other, and what kind of letters they have, are.

Public: `Facts`, `facts`, `worded`. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from keras_repro.case import ByName, Case, Inputs
from keras_repro.reading import AnyCase
from keras_repro.trees.case import DICTS, KINDS, Node, Tree, TreeCase, leaves_as_written, nodes

__all__ = ["Facts", "facts", "worded"]

Facts = Mapping[str, str]
"""The value in each dimension."""

FORMS = {"One": "one", "InOrder": "list", "ByName": "dict", "Like": "nested"}
"""What the classes of a case's parts are called; others go by their own name."""


def facts(case: AnyCase) -> Facts:
    """All that can be said of a case."""
    if isinstance(case, TreeCase):
        return dict(_of_structure(case.structure))
    found = dict(_of_parts("", case))
    found.update(_of_names(case))
    # What a person would name first comes first: of two explanations as good, the first is taken.
    return dict(sorted(found.items(), key=lambda fact: "." in fact[0]))


# -- fields ------------------------------------------------------------------------------------


KNOWN: dict[type, Mapping[str, bool]] = {}


def _enumerated(kind: type) -> Mapping[str, bool]:
    """Which fields of a dataclass hold one of a few values: those whose text is a fact."""
    if kind not in KNOWN:
        KNOWN[kind] = {name: _has_literal(hint) for name, hint in get_type_hints(kind).items()}
    return KNOWN[kind]


def _has_literal(hint: Any) -> bool:
    if hint in (bool, int):
        return True
    return get_origin(hint) is Literal or any(map(_has_literal, get_args(hint)))


def _of_parts(path: str, part: Any) -> Iterator[tuple[str, str]]:
    """The facts of a dataclass, field by field."""
    enumerated = _enumerated(type(part))
    for field in fields(part):
        name = f"{path}{field.name}"
        value = getattr(part, field.name)
        if field.name == "kind" and path:
            continue
        yield from _of_value(name, value, enumerated[field.name])


def _of_value(path: str, value: Any, enumerated: bool) -> Iterator[tuple[str, str]]:
    match value:
        case None:
            yield path, "none"
        case bool():
            yield path, "yes" if value else "no"
        case str() | int():
            # Any other text is a name. What holds nothing in a part says no more than no such part.
            if enumerated and not (value == "nothing" and "." in path):
                yield path, str(value)
        case float():
            yield path, "given"
        case tuple():
            yield from _of_several(path, value)
        case _ if is_dataclass(value):
            yield path, _kind(value)
            yield from _of_parts(f"{path}.", value)


def _kind(part: Any) -> str:
    kind = getattr(part, "kind", None)
    name = type(part).__name__
    return kind if isinstance(kind, str) else FORMS.get(name, name.lower())


def _of_several(path: str, values: Sequence[Any]) -> Iterator[tuple[str, str]]:
    """The facts of a tuple: how many, whether one is None, and what its parts have in common."""
    argument = path.partition(".")[0]
    if argument == path:
        yield f"{path}.count", str(len(values))
    # The items of a dict are a name and a value.
    plain = [value[-1] if _is_item(value) else value for value in values]
    if None in plain:
        yield f"{argument}.None", "yes"
    sizes = {len(value) for value in plain if isinstance(value, tuple)}
    if sizes and max(sizes) > 1:
        yield f"{argument}.each", "several"
    merged: dict[str, set[str]] = {}
    for value in plain:
        if is_dataclass(value):
            for name, fact in _of_parts(f"{path}.", value):
                merged.setdefault(name, set()).add(fact)
    for name, found in merged.items():
        yield name, found.pop() if len(found) == 1 else "mixed"


def _is_item(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str)


# -- names -------------------------------------------------------------------------------------

LETTERS: Mapping[str, str] = {
    "capitals": r"[A-Z]",
    "digits": r"[0-9]",
    "only digits": r"^[0-9]+$",
    "other letters": r"[^\x00-\x7f]",
    "signs": r"[^\w]",
    "more than eight letters": r".{9}",
}


def _of_names(case: Case) -> Iterator[tuple[str, str]]:
    called = list(case.names)
    layers = [output.layer for output in case.outputs]
    yield "names", _sorted(called)
    if layers != called:
        yield "layers", _sorted(layers)
    yield "keys", _held(layers, called)
    for dimension, names in _keyed(case):
        if [name for name in names if name in called] != [n for n in called if n in names]:
            yield f"{dimension}.order", "other"
        if list(names) != sorted(names):
            yield f"{dimension}.alphabet", "other"
        if set(called) - set(names):
            yield f"{dimension}.missing", "yes"
        if set(names) - set(called):
            yield f"{dimension}.extra", "yes"
    if case.inputs is not None:
        yield from _of_inputs(case.inputs)
    everything = {*called, *layers}
    for letters, pattern in LETTERS.items():
        yield f"a name with {letters}", _truth(re.search(pattern, name) for name in everything)
    yield (
        "a name that another begins with",
        _truth(a != b and a.startswith(b) for a in everything for b in everything),
    )


def _of_inputs(inputs: Inputs) -> Iterator[tuple[str, str]]:
    known = [name for name in inputs.fed_names if name in inputs.names]
    if list(inputs.names) != sorted(inputs.names):
        yield "inputs.alphabet", "other"
    if known != list(inputs.names):
        yield "fed.feeding", "other"
    if known != sorted(known):
        yield "fed.alphabet", "other"
    if len(known) < len(inputs.fed_names):
        yield "fed.more", "yes"


def _keyed(case: Case) -> Iterator[tuple[str, Sequence[str]]]:
    for field in fields(case):
        given = getattr(case, field.name)
        if isinstance(given, ByName):
            yield field.name, given.names


def _truth(found: Iterable[Any]) -> str:
    return "yes" if any(found) else "no"


def _sorted(names: Sequence[str]) -> str:
    return f"{'' if list(names) == sorted(names) else 'not '}in alphabetical order"


def _held(ones: Sequence[str], others: Sequence[str]) -> str:
    """How two lists of names stand to each other."""
    if list(ones) == list(others):
        return "the same"
    return "permuted" if sorted(ones) == sorted(others) else "others"


# -- structures --------------------------------------------------------------------------------


def _of_structure(tree: Tree) -> Iterator[tuple[str, str]]:
    found = list(nodes(tree))
    kinds = {node.kind for node in found}
    for kind in KINDS:
        yield f"holds {kind}", _truth([kind in kinds])
    yield "holds None", _truth([None in leaves_as_written(tree)])
    yield "holds nothing but a leaf", _truth([not found])
    yield "an empty container", _truth(not node.children for node in found)
    yield (
        "a container in a container",
        _truth(isinstance(child, Node) for node in found for child in node.children),
    )
    for kind in sorted(DICTS):
        yield (
            f"{kind} out of order",
            _truth(node.kind == kind and not _in_order(node) for node in found),
        )
    yield "numbers as keys", _truth(isinstance(key, int) for node in found for key in node.keys)


def _in_order(node: Node) -> bool:
    """Whether the keys are sorted, but for those without a leaf: their place shows nowhere."""
    pairs = zip(node.keys, node.children, strict=True)
    keys = [key for key, child in pairs if list(leaves_as_written(child))]
    return keys == sorted(keys)


# -- words -------------------------------------------------------------------------------------

SUBJECTS = {
    "container": "outputs",
    "outputs.count": "outputs",
    "inner": "a compiled model inside",
    "within": "of a model inside",
    "auto": "layers without names",
    "beside": "beside it",
    "inputs.members.optional": "optional inputs",
    "inputs.members.key": "keys of inputs",
    "inputs.inside": "inputs of a model inside",
}
BARE = ("entry", "data", "model", "trip", "tree", "spelling")
"""Dimensions whose values say by themselves what they are."""


def worded(dimension: str, values: Iterable[str]) -> str:
    """A fact as a person says it; of several values any will do.

    >>> worded("loss_weights", ["dict"])
    'dict loss weights'
    >>> worded("names", ["not in alphabetical order"])
    'names not in alphabetical order'
    >>> worded("entry", ["fit", "evaluate"])
    'evaluate or fit'
    >>> worded("class_weight", ["given"]), worded("outputs.width", ["3"])
    ('class weight', 'outputs of width 3')
    >>> worded("layers", ["in alphabetical order", "not in alphabetical order"])
    'layers that have not the names of the outputs'
    >>> worded("outputs.count", ["2", "3", "5"]), worded("inputs.members.optional", ["no"])
    ('2 or more outputs', 'not optional inputs')
    """
    values = sorted(values)
    said = " or ".join(sorted(value or "none" for value in values))
    if dimension.endswith(".count") and len(set(values) & {"3", "4", "5"}) > 1:
        said = f"{min(values)} or more"
    if dimension == "layers" and len(values) > 1:
        return "layers that have not the names of the outputs"
    subject = SUBJECTS.get(dimension, dimension)
    argument, _, about = subject.partition(".")
    argument = argument.replace("_", " ")
    last = about.rpartition(".")[2] or argument
    if last in WORDS:
        words = WORDS[last]
        said = " or ".join(words.get(value, value) for value in sorted(values))
        return f"{argument} {said}"
    subject = f"{argument} {about.replace('_', ' ').replace('.', ' ')}".strip()
    if about == "width":
        return f"{argument} of width {said}"
    if said == argument:
        return subject
    match said:
        case "yes" | "given":
            return subject
        case "no":
            return f"not {subject}"
        case "none":
            return f"no {subject}"
    if "order" in said and dimension != "beside":
        return f"{argument} {said}"
    return said if dimension in BARE else f"{said} {subject}"


WORDS: Mapping[str, Mapping[str, str]] = {
    "order": {"": "in the order of the outputs", "other": "in another order than the outputs"},
    "alphabet": {"": "in alphabetical order", "other": "not in alphabetical order"},
    "keys": {
        "the same": "named as the layers",
        "permuted": "named as other layers",
        "others": "named in another way than the layers",
    },
    "None": {"yes": "with a None", "": "without a None"},
    "missing": {"yes": "without an output", "": "for every output"},
    "extra": {"yes": "with a name that no output has", "": "with no other name"},
    "feeding": {"": "in the order of the inputs", "other": "in another order than the inputs"},
    "more": {
        "yes": "with a name that no input has",
        "a key": "with a key of its own",
        "another key": "with another key",
        "": "with no other name",
    },
    "metric names": {
        "own": "of their own",
        "loss": "that are that of the loss",
        "alike": "that are the same",
        "numbered": "that are as Keras numbers them",
        "prefixed": "that are those of another output's",
        "one object": "of one object",
    },
    "each": {"several": "several an output", "": "one an output"},
}
"""What is said after the argument, where the value alone would not do."""
