"""A case as a JSON document: the boundary where a case is checked.

A form is an object for a dict, in its own order, an array for a list, and a bare value for one for
all. The other kinds of container are an object with one key that names them: `{"$tuple": [3, 4]}`.
What has its plainest value is left out, so a plain case is a short document, and one of schema 1
says the same under schema 2.

Public: `SCHEMA`, `to_json`, `from_json`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, NoReturn, get_args, get_type_hints

from keras_bisect.errors import UsageError
from keras_repro.case.choices import (
    Architecture,
    Beside,
    Container,
    Data,
    Earlier,
    Entry,
    Heads,
    MetricNames,
    Shared,
    Spelling,
    Trip,
    Within,
)
from keras_repro.case.forms import ByName, Dicts, Form, InOrder, Like, Lists, Nest, One, is_dict
from keras_repro.case.inputs import Input, Inputs
from keras_repro.case.model import Case, Output

__all__ = ["SCHEMA", "from_json", "to_json"]

SCHEMA: Final = 2
READABLE: Final = (1, 2)
"""Schema 2 added fields and kinds of container, and took nothing away."""


def to_json(case: Case) -> str:
    """Return `case` as an indented JSON document that `from_json` reads back to an equal case."""
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "kind": "routing",
        "container": case.container,
        "outputs": [_plain_output(output) for output in case.outputs],
        "loss": _plain(case.loss),
        "loss_weights": _plain(case.loss_weights),
        "targets": _plain(case.targets),
        "metrics": _plain(case.metrics),
        "entry": case.entry,
        "eager": case.eager,
    }
    for field in fields(Case):
        value = getattr(case, field.name)
        if field.name not in document and value != field.default:
            document[field.name] = _shown(value)
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def from_json(text: str) -> Case:
    """Read a case from its JSON document.

    Raises `UsageError`, which names the field, where the text is not JSON, a field is missing,
    unknown or of the wrong kind, a key stands twice, or the schema is not one that is known here.
    """
    try:
        document = json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"This is not a case: it is no JSON document ({error}).") from error
    root = _Field("the case", document)
    required = {"container", "outputs", "loss", "targets"}
    given = root.object(required | {"schema", "kind"}, READ)
    schema = given["schema"]
    if type(schema.value) is not int or schema.value not in READABLE:
        schema.refuse(f"schema {SCHEMA} (a newer toolkit may read it)")
    given["kind"].one_of(("routing",))
    try:
        # What is absent keeps its default; what `required` demands has none.
        return Case(**{name: READ[name](field) for name, field in given.items() if name in READ})
    except ValueError as error:
        raise UsageError(f"This case cannot be run. {error}.") from error


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as its pairs: a plain dict would hide a key that stands twice."""


@dataclass(frozen=True)
class _Field:
    """A value of the document and where it stands: `outputs[1].layer`."""

    path: str
    value: Any

    def refuse(self, expected: str) -> NoReturn:
        match self.value:
            case _Pairs():
                found = "an object"
            case list():
                found = "an array"
            case _:
                found = json.dumps(self.value, ensure_ascii=False)[:80]
        raise UsageError(
            f"This is not a case. {self.path}: expected {expected}, found {found}. "
            "Correct the file, or write the case anew."
        )

    def object(self, required: set[str], optional: Iterable[str] = ()) -> Mapping[str, _Field]:
        fields = dict(self.pairs())
        where = "" if self.path == "the case" else f"{self.path}."
        for name in sorted(required - set(fields)):
            raise UsageError(f"This is not a case: the field {where}{name} is missing.")
        for name in fields:
            if name not in required and name not in set(optional):
                raise UsageError(f"This is not a case: the field {where}{name} is not known.")
        return fields

    def pairs(self) -> Iterator[tuple[str, _Field]]:
        if not isinstance(self.value, _Pairs):
            self.refuse("an object")
        where = "" if self.path == "the case" else f"{self.path}."
        seen = set()
        for name, value in self.value:
            if name in seen:
                raise UsageError(f"This is not a case: the field {where}{name} stands twice.")
            seen.add(name)
            yield name, _Field(f"{where}{name}", value)

    def array(self) -> Iterator[_Field]:
        if isinstance(self.value, _Pairs) or not isinstance(self.value, list):
            self.refuse("an array")
        for index, value in enumerate(self.value):
            yield _Field(f"{self.path}[{index}]", value)

    def text(self) -> str:
        if not isinstance(self.value, str) or not self.value:
            self.refuse("a non-empty string")
        return self.value

    def optional_text(self) -> str | None:
        return None if self.value is None else self.text()

    def number(self) -> float:
        number = isinstance(self.value, int | float) and not isinstance(self.value, bool)
        if not number or not math.isfinite(self.value):
            self.refuse("a finite number")
        return float(self.value)

    def optional_number(self) -> float | None:
        return None if self.value is None else self.number()

    def count(self) -> int:
        if type(self.value) is not int or self.value < 1:
            self.refuse("a number from one up")
        return int(self.value)

    def container(self) -> tuple[Any, _Field]:
        """The kind of a container, and what it holds: `{"$tuple": [1]}`, or a plain `[1]`."""
        if isinstance(self.value, _Pairs):
            if len(self.value) == 1 and self.value[0][0].startswith("$"):
                name, value = self.value[0]
                kinds = (*get_args(Lists), *get_args(Dicts), "one", "like")
                if name[1:] not in kinds:
                    self.refuse("one of " + ", ".join(f"${kind}" for kind in kinds))
                return name[1:], _Field(f"{self.path}.{name}", value)
            return "dict", self
        if not isinstance(self.value, list):
            self.refuse("an array or an object")
        return "list", self

    def boolean(self) -> bool:
        if not isinstance(self.value, bool):
            self.refuse("true or false")
        return self.value

    def one_of(self, choices: tuple[str, ...]) -> Any:
        if self.value not in choices or not isinstance(self.value, str):
            self.refuse("one of " + ", ".join(choices))
        return self.value


# ---------------------------------------------------------------------------------------------
# Reading


def _output(entry: _Field) -> Output:
    given = entry.object({"layer", "predicts"}, ("key", "width"))
    return Output(
        layer=given["layer"].text(),
        predicts=given["predicts"].number(),
        key=given["key"].text() if "key" in given else None,
        width=given["width"].count() if "width" in given else 1,
    )


def _inputs(entry: _Field) -> Inputs | None:
    if entry.value is None:
        return None
    given = entry.object({"members", "container", "fed"}, ("inside", "nest"))
    fed = _form(_Field.optional_number)(given["fed"])
    if not isinstance(fed, InOrder | ByName | Like):
        given["fed"].refuse("an array or an object")
    return Inputs(
        members=tuple(_input(one) for one in given["members"].array()),
        container=given["container"].one_of(get_args(Container)),
        fed=fed,
        inside=given["inside"].one_of(get_args(Within)) if "inside" in given else "nothing",
        nest=_nest(given["nest"]) if "nest" in given else None,
    )


def _input(entry: _Field) -> Input:
    given = entry.object({"layer"}, ("key", "optional"))
    return Input(
        given["layer"].text(),
        given["key"].text() if "key" in given else None,
        "optional" in given and given["optional"].boolean(),
    )


def _nest(entry: _Field) -> Nest | None:
    return None if entry.value is None else _branch(entry)


def _branch(entry: _Field) -> Nest:
    """A nest is written as a form is: its leaves are the numbers of the outputs."""
    kind, inside = entry.container()

    def leaf(field: _Field) -> int | Nest:
        if type(field.value) is int:
            return field.value
        return _branch(field)

    if is_dict(kind):
        pairs = list(inside.pairs())
        return Nest(kind, tuple(leaf(one) for _, one in pairs), tuple(name for name, _ in pairs))
    return Nest(kind, tuple(leaf(one) for one in inside.array()))


def _metrics(entry: _Field) -> tuple[str, ...] | str | None:
    if isinstance(entry.value, list) and not isinstance(entry.value, _Pairs):
        return tuple(metric.text() for metric in entry.array())
    if entry.value is not None and not isinstance(entry.value, str):
        entry.refuse("an array, a string or null")
    return entry.optional_text()


def _form(read: Callable[[_Field], Any]) -> Callable[[_Field], Any]:
    """What reads a form whose leaves `read` reads; null is no form at all."""

    def form(entry: _Field) -> Form[Any] | None:
        if entry.value is None:
            return None
        if isinstance(entry.value, _Pairs | list):
            kind, inside = entry.container()
        else:
            return One(read(entry))
        if kind == "one":
            return One(read(inside))
        if kind == "like":
            given = inside.object({"values"}, ("turned", "swapped", "dicts", "more"))
            hints = get_type_hints(Like)
            return Like(
                tuple(read(one) for one in given["values"].array()),
                "turned" in given and given["turned"].boolean(),
                "swapped" in given and given["swapped"].boolean(),
                given["dicts"].one_of(get_args(hints["dicts"])) if "dicts" in given else "the same",
                given["more"].one_of(get_args(hints["more"])) if "more" in given else "nothing",
            )
        if is_dict(kind):
            return ByName(tuple((name, read(value)) for name, value in inside.pairs()), kind)
        return InOrder(tuple(read(value) for value in inside.array()), kind)

    return form


READ: Final[Mapping[str, Callable[[_Field], Any]]] = {
    "outputs": lambda entry: tuple(_output(one) for one in entry.array()),
    "container": lambda entry: entry.one_of(get_args(Container)),
    "loss": _form(_Field.optional_text),
    "targets": _form(_Field.optional_number),
    "loss_weights": _form(_Field.number),
    "metrics": _form(_metrics),
    "entry": lambda entry: entry.one_of(get_args(Entry)),
    "eager": _Field.boolean,
    "weighted_metrics": _form(_metrics),
    "sample_weight": _form(_Field.optional_number),
    "class_weight": lambda entry: None if entry.value is None else entry.number(),
    "classes": lambda entry: entry.one_of(("all", "some", "none")),
    "nest": _nest,
    "inputs": _inputs,
    "before": _form(_Field.optional_number),
    "earlier": lambda entry: entry.one_of(get_args(Earlier)),
    "data": lambda entry: entry.one_of(get_args(Data)),
    "batches": _Field.count,
    "short": _Field.boolean,
    "steps_per_execution": _Field.count,
    "jit": _Field.boolean,
    "spelling": lambda entry: entry.one_of(get_args(Spelling)),
    "weights": lambda entry: entry.one_of(("float", "int")),
    "several": lambda entry: entry.one_of(get_args(Lists)),
    "metric_names": lambda entry: entry.one_of(get_args(MetricNames)),
    "model": lambda entry: entry.one_of(get_args(Architecture)),
    "trip": lambda entry: entry.one_of(get_args(Trip)),
    "inner": _Field.boolean,
    "heads": lambda entry: entry.one_of(get_args(Heads)),
    "holder": lambda entry: entry.one_of(("model", "layer")),
    "chained": _Field.boolean,
    "joint": _Field.boolean,
    "within": lambda entry: entry.one_of(get_args(Within)),
    "direct": _Field.boolean,
    "shared": lambda entry: entry.one_of(get_args(Shared)),
    "auto": _Field.boolean,
    "beside": lambda entry: entry.one_of(get_args(Beside)),
}
"""What reads each field of a case."""
assert list(READ) == [field.name for field in fields(Case)]


# ---------------------------------------------------------------------------------------------
# Writing


def _plain_output(output: Output) -> dict[str, Any]:
    shown: dict[str, Any] = {"layer": output.layer, "predicts": output.predicts}
    if output.key is not None:
        shown["key"] = output.key
    return shown if output.width == 1 else shown | {"width": output.width}


def _plain_input(one: Input) -> dict[str, Any]:
    shown: dict[str, Any] = {"layer": one.layer}
    if one.key is not None:
        shown["key"] = one.key
    return shown | {"optional": True} if one.optional else shown


def _shown(value: Any) -> Any:
    match value:
        case Nest():
            return _plain_nest(value)
        case Inputs(members, container, fed, inside, nest):
            shown = {"members": [_plain_input(one) for one in members], "container": container}
            shown |= {"fed": _plain(fed)}
            shown |= {} if inside == "nothing" else {"inside": inside}
            return shown if nest is None else shown | {"nest": _plain_nest(nest)}
        case One() | InOrder() | ByName() | Like():
            return _plain(value)
    return value


def _plain_nest(nest: Nest) -> Any:
    inside = [one if isinstance(one, int) else _plain_nest(one) for one in nest.entries]
    shown = dict(zip(nest.keys, inside, strict=True)) if nest.keys else inside
    return _held(nest.kind, shown)


def _plain(given: Form[Any] | None) -> Any:
    match given:
        case None:
            return None
        case One(value):
            return value if isinstance(value, str | float | int) else {"$one": value}
        case InOrder(values, kind):
            return _held(kind, list(values))
        case ByName(_, kind):
            return _held(kind, given.as_dict())
        case Like(values, turned, swapped, dicts, more):
            marks: dict[str, bool | str] = {"turned": turned, "swapped": swapped}
            marks |= {"dicts": dicts} if dicts != "the same" else {}
            marks |= {"more": more} if more != "nothing" else {}
            return {"$like": {"values": list(values)} | {k: v for k, v in marks.items() if v}}


def _held(kind: str, shown: Any) -> Any:
    """A list or a dict as such, the others with their kind; and a dict that looks like those."""
    odd = isinstance(shown, dict) and len(shown) == 1 and next(iter(shown)).startswith("$")
    return shown if kind in ("list", "dict") and not odd else {f"${kind}": shown}
