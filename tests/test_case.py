"""Without these, a stored case could come back as another case, or a bad file as a traceback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_bisect.errors import UsageError
from keras_repro.case import (
    ByName,
    Case,
    InOrder,
    Input,
    Inputs,
    Like,
    Nest,
    One,
    Output,
    from_json,
    to_json,
)
from keras_repro.strategies import cases

GOLDEN = Path(__file__).parent / "golden"

FOUNDING = Case(
    outputs=(Output("b", 9.0), Output("a", 1.0)),
    container="list",
    loss=ByName((("b", "mse"), ("a", "mse"))),
    targets=ByName((("b", 3.0), ("a", 4.0))),
)
EVERYTHING = Case(
    outputs=(Output("é", 9.0, "β 1"), Output("head", 1.0, 'say "a"')),
    container="dict",
    loss=ByName((('say "a"', None), ("β 1", "mae"))),
    targets=InOrder((3.0, 4.5)),
    loss_weights=InOrder((2.0, 0.1)),
    metrics=ByName((('say "a"', ("mae", "mse")), ("β 1", ()))),
    entry="fit",
    eager=False,
)


EVERY_FORM = Case(
    outputs=(Output("p", 25.0), Output("r", 10.0, width=2), Output("q", 7.0)),
    container="nested",
    loss=Like(("mse", None, "mae"), turned=True, swapped=True),
    targets=Like((20.0, 28.0, 3.0)),
    sample_weight=One(3.0),
    weighted_metrics=Like((("mae",), "mse", None)),
    nest=Nest("OrderedDict", (0, Nest("tuple", (1, Nest("list", (2,))))), ("$b", "a")),
    inputs=Inputs(
        (Input("j"), Input("i", optional=True)),
        "tuple",
        ByName((("i", None), ("j", 1.0)), "defaultdict"),
    ),
    before=Like((20.0, 28.0, 3.0), turned=True),
    data="generator",
    batches=2,
    spelling="object",
    trip="save",
)


@given(cases())
def test_json_round_trip_keeps_value_and_order(case: Case) -> None:
    """Lost: a hunt that resumes would go on with another case, for want of a key's place."""
    again = from_json(to_json(case))
    assert again == case
    assert hash(again) == hash(case)
    assert to_json(again) == to_json(case)


def test_a_nest_that_is_flat_is_no_nest() -> None:
    """Lost: metrics of `{"p": a, "q": b}` are expected under the names of the layers."""
    flat = Nest("dict", (0, 1), ("p", "q"))
    values = Like((3.0, 4.0))
    with pytest.raises(ValueError, match="is that container itself"):
        Case(FOUNDING.outputs, "nested", One("mse"), values, nest=flat)
    nested = Nest("dict", (Nest("list", (0,)), 1), ("p", "q"))
    assert Case(FOUNDING.outputs, "nested", One("mse"), values, nest=nested).branch


def test_of_a_sequential_only_its_predictions_are_compared() -> None:
    """Lost: "saving loses `model.input`", which a `Sequential` never had."""
    one = Case((Output("b", 9.0),), "tensor", None, None, entry="call", trip="save")
    assert one.compared and not one.but(model="sequential").compared


@given(st.text(min_size=1, max_size=8), st.text(min_size=1, max_size=8))
def test_json_round_trip_of_any_names(first: str, second: str) -> None:
    """Lost: names that need an escape in JSON would be changed by storing them."""
    if first != second:
        case = Case(
            (Output(first, 0.1), Output(second, 1e300)),
            "tuple",
            One("mse"),
            ByName(((second, 1.0), (first, -2.0))),
        )
        assert from_json(to_json(case)) == case


@pytest.mark.parametrize(
    "name, case",
    [("founding", FOUNDING), ("everything", EVERYTHING), ("every-form", EVERY_FORM)],
)
def test_json_is_the_documented_one(name: str, case: Case) -> None:
    """Lost: the schema could change under the cases that people have stored."""
    text = (GOLDEN / f"{name}.case.json").read_text(encoding="utf-8")
    assert to_json(case) == text
    assert from_json(text) == case


def test_the_order_of_keys_makes_another_case() -> None:
    """Lost: two cases that differ only where the bugs are would be one in a cache."""
    turned = Case(
        FOUNDING.outputs,
        "list",
        FOUNDING.loss,
        ByName((("a", 4.0), ("b", 3.0))),
    )
    assert turned != FOUNDING


def test_a_case_that_was_stored_under_the_first_schema_is_the_same_case() -> None:
    """Lost: hunts of an earlier version could not be gone on with."""
    for case in (FOUNDING, EVERYTHING):
        assert from_json(to_json(case).replace('"schema": 2', '"schema": 1')) == case


def test_a_key_that_looks_like_a_container_is_a_key() -> None:
    """Lost: an output called `$tuple` would turn its dict into a tuple."""
    case = Case(
        (Output("$tuple", 9.0),), "list", ByName((("$tuple", "mse"),)), ByName((("$tuple", 3.0),))
    )
    assert from_json(to_json(case)) == case


def _edited(**changes: object) -> str:
    return json.dumps(json.loads(to_json(FOUNDING)) | changes)


@pytest.mark.parametrize(
    "text, named",
    [
        ("{", "no JSON document"),
        ("[1]", "the case: expected an object, found an array"),
        (_edited(schema=3), "schema: expected schema 2"),
        (_edited(schema=True), "schema: expected schema 2"),
        (_edited(kind="tree"), "kind: expected one of routing"),
        (_edited(colour="red"), "the field colour is not known"),
        (_edited(outputs=[]), "outputs: expected at least one output"),
        (_edited(outputs=[{"layer": "b"}]), "the field outputs[0].predicts is missing"),
        (_edited(outputs=[{"layer": "", "predicts": 1}]), "outputs[0].layer: expected a non-empty"),
        (_edited(container="set"), "container: expected one of list, tuple, dict"),
        (_edited(container="dict"), "outputs: output 'b' of a dict needs a key"),
        (_edited(loss=3), "loss: expected a non-empty string, found 3"),
        (_edited(loss={"$heap": []}), "loss: expected one of $list, $tuple"),
        (_edited(loss=["mse"]), "loss: expected 2 entries, one an output, found 1"),
        (_edited(targets=None), "entry: evaluate goes with a loss"),
        (_edited(entry="call"), "entry: call goes without a loss"),
        (_edited(nest=[0, 1]), "a nest goes with nested outputs"),
        (_edited(batches=0), "batches: expected a number from one up, found 0"),
        (_edited(inputs={"members": [], "container": "list", "fed": []}), "at least one input"),
        (
            _edited(inputs={"members": [{"layer": "i"}], "container": "list", "fed": [None]}),
            "inputs: 'i' is not optional",
        ),
        (_edited(targets=[1, "x"]), 'targets[1]: expected a finite number, found "x"'),
        (_edited(targets=[1, float("nan")]), "targets[1]: expected a finite number, found NaN"),
        (_edited(metrics={"b": 1}), "metrics.b: expected an array, a string or null, found 1"),
        (_edited(entry="guess"), "entry: expected one of evaluate, fit"),
        (_edited(eager=1), "eager: expected true or false, found 1"),
        (to_json(FOUNDING).replace('"a": 4.0', '"b": 4.0'), "the field targets.b stands twice"),
        (
            _edited(outputs=[{"layer": "b", "predicts": 1}, {"layer": "b", "predicts": 2}]),
            "the layers: the name 'b' stands more than once",
        ),
    ],
)
def test_a_bad_file_is_refused_by_the_name_of_its_field(text: str, named: str) -> None:
    """Lost: who edits a case by hand would be told nothing of use, or be misunderstood."""
    with pytest.raises(UsageError) as caught:
        from_json(text)
    assert named in str(caught.value)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_no_json_is_a_traceback(value: object) -> None:
    """Lost: a file of another kind would end in a traceback and not in a message."""
    for document in (value, json.loads(_edited(loss=value)), json.loads(_edited(outputs=value))):
        try:
            from_json(json.dumps(document))
        except UsageError as error:
            assert "case" in str(error)
