"""The case: a tiny model, how it is compiled and how it is fed, as plain data.

Each output of the model predicts one constant, each target is one constant. So a case is a handful
of names, numbers and containers, and every number that Keras must report follows from them alone.
A container that the user writes keeps its order here, also where it is a dict: the order of the
keys is what the bugs are about. Equality and hash are by value, order included.

Public: `Case`, `Output`, the three ways to pass values (`One`, `InOrder`, `ByName`), `Container`,
`Entry`, `SCHEMA`, and `to_json` / `from_json`, the boundary where a case is checked.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, NoReturn, TypeVar, get_args

from keras_bisect.errors import UsageError

__all__ = [
    "SCHEMA",
    "ByName",
    "Case",
    "Container",
    "Entry",
    "InOrder",
    "One",
    "Output",
    "from_json",
    "to_json",
]

SCHEMA = 1

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Container = Literal["list", "tuple", "dict"]
Entry = Literal["evaluate", "fit", "train_on_batch", "test_on_batch"]


@dataclass(frozen=True)
class One(Generic[T_co]):
    """One value for all outputs: `loss="mse"`."""

    value: T_co


@dataclass(frozen=True)
class InOrder(Generic[T_co]):
    """A list, one value an output: `loss=["mse", None]`."""

    values: tuple[T_co, ...]


@dataclass(frozen=True)
class ByName(Generic[T_co]):
    """A dict, in the order in which it is written: `loss={"b": "mse", "a": "mae"}`."""

    items: tuple[tuple[str, T_co], ...]

    def __post_init__(self) -> None:
        """Refuse a name that stands twice: a dict cannot hold it."""
        _unique([name for name, _ in self.items], "a dict")

    @property
    def names(self) -> tuple[str, ...]:
        """The keys, in the order in which they are written."""
        return tuple(name for name, _ in self.items)

    def as_dict(self) -> dict[str, T_co]:
        """Return the plain dict, in the same order."""
        return dict(self.items)


@dataclass(frozen=True)
class Output:
    """One output: the name of its layer, the constant it predicts, its key in dict outputs."""

    layer: str
    predicts: float
    key: str | None = None

    @property
    def name(self) -> str:
        """What losses, targets and metrics call it: the key in dict outputs, else the layer."""
        return self.layer if self.key is None else self.key


@dataclass(frozen=True)
class Case:
    """A model of one to four constant outputs, compiled and run once on one batch.

    `outputs` stand in the order in which the model is given them, whatever `container` holds them.
    `metrics` hold a tuple of metric names an output. Raises `ValueError` for what cannot be
    written as a program; whether Keras promises anything about it is the oracle's affair.
    """

    outputs: tuple[Output, ...]
    container: Container
    loss: One[str] | InOrder[str | None] | ByName[str | None]
    targets: InOrder[float] | ByName[float]
    loss_weights: InOrder[float] | ByName[float] | None = None
    metrics: InOrder[tuple[str, ...]] | ByName[tuple[str, ...]] | None = None
    entry: Entry = "evaluate"
    eager: bool = True

    def __post_init__(self) -> None:
        """Check what holds for every case: the outputs, and the length of each list."""
        if not self.outputs:
            raise ValueError("outputs: expected at least one output, found none")
        _unique([output.layer for output in self.outputs], "the layers")
        _unique(list(self.names), "the outputs")
        for output in self.outputs:
            if (output.key is None) == (self.container == "dict"):
                raise ValueError(
                    f"outputs: output {output.layer!r} of a {self.container} "
                    f"{'needs a' if self.container == 'dict' else 'cannot have a'} key"
                )
        for field in ("loss", "targets", "loss_weights", "metrics"):
            given = getattr(self, field)
            if isinstance(given, InOrder) and len(given.values) != len(self.outputs):
                raise ValueError(
                    f"{field}: expected {len(self.outputs)} entries, one an output, "
                    f"found {len(given.values)}"
                )
            unknown = set(given.names) - set(self.names) if isinstance(given, ByName) else ()
            if unknown:
                raise ValueError(f"{field}: no output is named {sorted(unknown)[0]!r}")

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the outputs, in the order in which the model is given them."""
        return tuple(output.name for output in self.outputs)


def _unique(names: list[str], what: str) -> None:
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"{what}: the name {twice[0]!r} stands more than once")


# ---------------------------------------------------------------------------------------------
# JSON: an object is a dict in its own order, an array a list, a bare value one for all.


def to_json(case: Case) -> str:
    """Return `case` as an indented JSON document that `from_json` reads back to an equal case."""
    outputs = [
        {"layer": output.layer, "predicts": output.predicts}
        | ({} if output.key is None else {"key": output.key})
        for output in case.outputs
    ]
    document = {
        "schema": SCHEMA,
        "kind": "routing",
        "container": case.container,
        "outputs": outputs,
        "loss": _plain(case.loss),
        "loss_weights": _plain(case.loss_weights),
        "targets": _plain(case.targets),
        "metrics": _plain(case.metrics),
        "entry": case.entry,
        "eager": case.eager,
    }
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
    fields = root.object(
        {"schema", "kind", "container", "outputs", "loss", "targets"},
        {"loss_weights", "metrics", "entry", "eager"},
    )
    schema = fields["schema"]
    if type(schema.value) is not int or schema.value != SCHEMA:
        schema.refuse(f"schema {SCHEMA} (a newer toolkit may read it)")
    fields["kind"].one_of(("routing",))
    optional = _Field("absent", None)
    try:
        return Case(
            outputs=tuple(_output(entry) for entry in fields["outputs"].array()),
            container=fields["container"].one_of(get_args(Container)),
            loss=_loss(fields["loss"]),
            targets=_required(fields["targets"], _Field.number),
            loss_weights=_values(fields.get("loss_weights", optional), _Field.number),
            metrics=_values(fields.get("metrics", optional), _metrics),
            entry=fields.get("entry", _Field("entry", "evaluate")).one_of(get_args(Entry)),
            eager=fields.get("eager", _Field("eager", True)).boolean(),
        )
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

    def boolean(self) -> bool:
        if not isinstance(self.value, bool):
            self.refuse("true or false")
        return self.value

    def one_of(self, choices: tuple[str, ...]) -> Any:
        if self.value not in choices or not isinstance(self.value, str):
            self.refuse("one of " + ", ".join(choices))
        return self.value


def _output(entry: _Field) -> Output:
    fields = entry.object({"layer", "predicts"}, ("key",))
    return Output(
        layer=fields["layer"].text(),
        predicts=fields["predicts"].number(),
        key=fields["key"].text() if "key" in fields else None,
    )


def _metrics(entry: _Field) -> tuple[str, ...]:
    return tuple(metric.text() for metric in entry.array())


def _loss(entry: _Field) -> One[str] | InOrder[str | None] | ByName[str | None]:
    if isinstance(entry.value, str):
        return One(entry.text())
    return _required(entry, _Field.optional_text)


def _required(entry: _Field, read: Callable[[_Field], T]) -> InOrder[T] | ByName[T]:
    values = _values(entry, read)
    if values is None:
        entry.refuse("an array or an object")
    return values


def _values(entry: _Field, read: Callable[[_Field], T]) -> InOrder[T] | ByName[T] | None:
    if entry.value is None:
        return None
    if isinstance(entry.value, _Pairs):
        return ByName(tuple((name, read(value)) for name, value in entry.pairs()))
    if not isinstance(entry.value, list):
        entry.refuse("an array or an object")
    return InOrder(tuple(read(value) for value in entry.array()))


def _plain(given: One[Any] | InOrder[Any] | ByName[Any] | None) -> Any:
    match given:
        case None:
            return None
        case One(value):
            return value
        case InOrder(values):
            return list(values)
        case ByName():
            return given.as_dict()
