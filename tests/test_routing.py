"""Without these, a finding could say that the wrong target reached the wrong output."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from keras_repro.case import ByName, Case, InOrder, Input, Inputs, Like, Nest, One, Output
from keras_repro.oracle import CONSTANTS, Wire, expected, number, promised, wiring
from keras_repro.routing import read, refusal
from keras_repro.strategies import cases
from test_case import FOUNDING


def _reported(
    case: Case, wires: tuple[Wire, ...], *, parts: bool, weighted: bool = False
) -> dict[str, float]:
    """What a Keras would report that wires a case like this."""
    values = {
        wire.name: number(wire.loss, wire.predicts, wire.target) for wire in wires if wire.loss
    }
    weights = {wire.name: wire.weight for wire in wires}
    found = {"loss": sum(value * weights[name] for name, value in values.items())}
    if parts and len(wires) > 1:
        for name, value in values.items():
            found[f"{name}_loss"] = value * weights[name] if weighted else value
    for wire in wires:
        for metric in wire.metrics:
            name = f"{wire.name}_{metric}" if len(wires) > 1 else metric
            found[name] = number(metric, wire.predicts, wire.target)
    return found


def _planted(
    case: Case, order: tuple[int, ...], *, target: bool, loss: bool, weight: bool
) -> tuple[Wire, ...]:
    wires = wiring(case)
    return tuple(
        replace(
            wire,
            target=wires[other].target if target else wire.target,
            loss=wires[other].loss if loss else wire.loss,
            weight=wires[other].weight if weight else wire.weight,
        )
        for wire, other in zip(wires, order, strict=True)
    )


def _case(outputs: int, losses: tuple[str, ...], *, weights: bool, metrics: bool = False) -> Case:
    """A model whose outputs are named from the end of the alphabet."""
    names = "dcba"[-outputs:]
    constants = CONSTANTS[outputs]
    return Case(
        tuple(map(Output, names, constants.predicts)),
        "list",
        ByName(tuple(zip(names, losses, strict=True))),
        ByName(tuple(zip(names, constants.targets, strict=True))),
        ByName(tuple(zip(names, constants.weights, strict=True))) if weights else None,
        InOrder((("mse",),) * outputs) if metrics else None,
    )


@given(cases(twists=()), st.booleans(), st.booleans())
def test_right_numbers_have_no_fault(case: Case, parts: bool, weighted: bool) -> None:
    """Lost: a release that reports less, or weights what it reports, would be called wrong."""
    assert read(case, _reported(case, wiring(case), parts=parts, weighted=weighted)).right


@pytest.mark.parametrize("outputs", [2, 3, 4])
@pytest.mark.parametrize("component", ["target", "loss", "weight"])
@pytest.mark.parametrize("parts", [False, True])
def test_every_wrong_order_is_named(outputs: int, component: str, parts: bool) -> None:
    """Lost: what a person reads first, which share went where, could be another than it was."""
    # Two kinds of loss for up to four outputs: some swaps change nothing, and are no fault. No
    # constants keep every order of three targets apart in a sum of absolute errors, which is all
    # that there is where the loss of each output is not reported: squares are summed there.
    losses = ("mse", "mae", "mae", "mse") if parts or component == "loss" else ("mse",) * 4
    case = _case(outputs, losses[:outputs], weights=component == "weight")
    same = tuple(range(outputs))
    alphabet = same[::-1]
    for order in permutations(same):
        wires = _planted(
            case,
            order,
            target=component == "target",
            loss=component == "loss",
            weight=component == "weight",
        )
        found = read(case, _reported(case, wires, parts=parts))
        if wires == wiring(case):
            assert found.right
            continue
        (fault,) = found.faults
        assert fault.component == component
        if component == "loss":
            # As good as the planted order: each output has the function it was planted with.
            given_ = dict(fault.went)
            own = {wire.name: wire.loss for wire in wiring(case)}
            assert all(own[given_.get(wire.name) or wire.name] == wire.loss for wire in wires)
            continue
        went = [(case.names[i], case.names[j]) for i, j in enumerate(order) if i != j]
        assert list(fault.went) == went
        assert (fault.how == "alphabet") == (order == alphabet)


@pytest.mark.parametrize("outputs", [2, 3, 4])
@pytest.mark.parametrize("weights", [False, True])
def test_what_goes_by_the_alphabet_is_named_whatever_is_reported(
    outputs: int, weights: bool
) -> None:
    """Lost: one bug would be two findings, one a release that reports the total alone."""
    losses = {2: ("mse", "mae"), 3: ("mse", "mse", "mae"), 4: ("mse", "mae", "mse", "mse")}
    case = _case(outputs, losses[outputs], weights=weights)
    order = tuple(range(outputs))[::-1]
    for target, loss, weight in [
        (True, False, False),
        (True, True, False),
        (False, True, False),
        (True, True, True),
        (True, False, True),
        (False, False, True),
    ]:
        if weight and not weights:
            continue
        wires = _planted(case, order, target=target, loss=loss, weight=weight)
        readings = [
            read(case, _reported(case, wires, parts=parts, weighted=weighted))
            for parts, weighted in [(False, False), (True, False), (True, True)]
        ]
        assert len({one.signature for one in readings}) == 1
        assert {one.faults for one in readings} == {readings[0].faults}
        planted = dict(zip(("target", "loss", "weight"), (target, loss, weight), strict=True))
        found = {fault.component for fault in readings[0].faults}
        assert found == {component for component, was in planted.items() if was}


@given(cases(twists=()), st.randoms(use_true_random=False), st.booleans())
def test_a_wrong_total_is_never_right(case: Case, random: object, parts: bool) -> None:
    """Lost: the reader would pass what the script calls wrong, and the finding would vanish."""
    order = list(range(len(case.outputs)))
    random.shuffle(order)  # type: ignore[attr-defined]
    wires = _planted(case, tuple(order), target=True, loss=True, weight=True)
    reported = _reported(case, wires, parts=parts)
    wrong = [
        one
        for one in expected(case)
        if one.name in reported and abs(reported[one.name] - one.value) > 1e-5 * one.value
    ]
    assume(wrong)
    found = read(case, reported)
    assert not found.right
    assert found.sentences


@pytest.mark.parametrize("outputs", [2, 3, 4])
def test_the_signature_does_not_count_outputs(outputs: int) -> None:
    """Lost: shrinking would change what a failure is called, and stop at three outputs."""
    case = _case(outputs, ("mse",) * outputs, weights=False)
    order = tuple(range(outputs))[::-1]
    wires = _planted(case, order, target=True, loss=False, weight=False)
    found = read(case, _reported(case, wires, parts=True))
    assert found.signature == "target: alphabet (dict targets, list outputs)"
    assert found.rules == ("R11",)


def test_the_sentences_say_what_went_where() -> None:
    """Lost: the one line that tells a maintainer at a glance what is wrong."""
    found = read(FOUNDING, {"loss": 34.0, "b_loss": 25.0, "a_loss": 4.0} | {"loss": 29.0})
    assert found.sentences == (
        "the loss of output 'b' was computed from the target of 'a'",
        "the loss of output 'a' was computed from the target of 'b'",
    )


def test_the_order_of_keys_is_told_from_that_of_the_alphabet() -> None:
    """Lost: a breach of R17 would be filed as one of another rule."""
    case = Case(
        (Output("a", 25.0), Output("b", 10.0), Output("c", 7.0)),
        "list",
        One("mse"),
        ByName((("b", 28.0), ("c", 3.0), ("a", 20.0))),
    )
    wires = _planted(case, (1, 2, 0), target=True, loss=False, weight=False)
    found = read(case, _reported(case, wires, parts=False))
    assert found.signature == "target: key order (dict targets, list outputs)"
    assert found.rules == ("R17",)


def test_a_list_that_lost_its_nones_is_told_from_the_alphabet() -> None:
    """Lost: losses that moved up by one (3.4.1) would be filed as a bug of names."""
    case = replace(FOUNDING, loss=InOrder((None, "mse")))
    found = read(case, {"loss": 36.0})
    assert found.signature == "loss: closed up (list loss, list outputs)"
    assert found.rules == ("R4",)


def test_metrics_are_read_back() -> None:
    """Lost: metrics of the wrong output or target would be wrong in a way that nobody can say."""
    metrics: ByName[tuple[str, ...]] = ByName((("b", ("mae",)), ("a", ("mse",))))
    case = replace(FOUNDING, metrics=metrics)
    found = read(case, {"loss": 45.0, "b_mse": 36.0, "a_mae": 3.0})
    assert found.signature == "metric: alphabet (dict metrics, list outputs)"
    assert found.sentences[0] == "output 'b' was given the metrics of 'a'"
    found = read(case, {"loss": 45.0, "b_mae": 5.0, "a_mse": 4.0})
    assert found.signature == "metric target: alphabet (dict targets, list outputs)"
    assert (
        read(case, {"loss": 45.0}).signature == "metric: unexplained (dict metrics, list outputs)"
    )


@given(cases())
def test_the_expected_numbers_have_no_fault(case: Case) -> None:
    """Lost: the reader and the oracle could disagree in some dimension, and raise false alarms."""
    numbers = {one.name: one.value for one in expected(case)}
    assert read(case, numbers).right
    required = {one.name: one.value for one in expected(case) if one.required}
    assert read(case, required).right


@given(cases(), st.data())
def test_a_required_number_that_is_wrong_is_a_fault(case: Case, data: st.DataObject) -> None:
    """Lost: a dimension that the reader forgets would never show a bug."""
    numbers = {one.name: one.value for one in expected(case)}
    name = data.draw(st.sampled_from([one.name for one in expected(case) if one.required]))
    found = read(case, numbers | {name: numbers[name] * 1.37 + 1000.5})
    assert not found.right
    assert found.sentences


def test_inputs_that_came_in_another_order_are_told() -> None:
    """Lost: a wrong total of a model that was fed wrongly would be unexplained."""
    members = (Input("j", "j"), Input("i", "i"))
    inputs = Inputs(members, "dict", InOrder((1.0, 2.0)))
    called = Case(FOUNDING.outputs, "list", None, None, entry="call", inputs=inputs)
    # 2 and 10 times 1 where 1 and 10 times 2 belong: nine too little.
    found = read(called, {"b": 0.0, "a": -8.0})
    assert found.signature == "input: alphabet (dict inputs, fed a list)"
    assert found.sentences[0] == "input 'j' was fed what belongs to input 'i'"
    measured = replace(
        FOUNDING,
        inputs=inputs,
        metrics=ByName((("b", ("mae",)), ("a", ("mae",)))),
        entry="compute_metrics",
    )
    found = read(measured, {"b_mae": 3.0, "a_mae": 12.0})
    assert found.signature == "input: alphabet (dict inputs, fed a list)"
    trained = replace(FOUNDING, inputs=inputs)
    found = read(trained, {"loss": 9.0 + 144.0, "b_loss": 9.0, "a_loss": 144.0})
    assert found.signature == "input: alphabet (dict inputs, fed a list)"


def test_inputs_of_one_cause_have_one_name() -> None:
    """Lost: what an OrderedDict, or a key too much, does to inputs would be three findings."""
    members = (Input("j", "j"), Input("i", "i"))
    for items in ((("j", 1.0), ("i", 2.0)), (("i", 2.0), ("j", 1.0))):
        inputs = Inputs(members, "dict", ByName(items, "OrderedDict"))
        called = Case(FOUNDING.outputs, "list", None, None, entry="call", inputs=inputs)
        found = read(called, {"b": 0.0, "a": -8.0})
        assert found.signature == "input: key order (dict inputs, fed an OrderedDict)"
    more = Inputs(members, "dict", ByName((("j", 1.0), ("i", 2.0), ("extra", 7.0))))
    called = Case(FOUNDING.outputs, "list", None, None, entry="call", inputs=more)
    for first, second in permutations((1.0, 2.0, 7.0), 2):
        if 7.0 in (first, second):
            shift = first + 10.0 * second - 21.0
            found = read(called, {"b": 9.0 + shift, "a": 1.0 + shift})
            assert found.signature == "input: shifted (dict inputs)"
            assert found.rules == ("R24",)
    within = replace(called, inputs=replace(more, fed=InOrder((1.0, 2.0)), inside="dict"))
    found = read(within, {"b": 0.0, "a": -8.0})
    assert found.signature == "input: alphabet (dict inputs of a model inside)"


@pytest.mark.parametrize(
    "weights, total",
    [
        ({"a": 2.0}, 36.0 * 2 + 9.0),  # the first output has the weight of the last
        ({"a": 2.0, "Aextra": 6.0}, 36.0 * 2 + 9.0 * 6),
        ({"a": 2.0, "Aextra": 6.0}, 36.0 * 6 + 9.0 * 2),
    ],
)
def test_weights_that_go_by_their_place_have_one_name(
    weights: dict[str, float], total: float
) -> None:
    """Lost: weights that lack a name would be a finding for each way to lack it."""
    case = replace(FOUNDING, loss_weights=ByName(tuple(weights.items())))
    assert read(case, {"loss": total}).signature == "weight: by place (dict weights)"


def test_a_target_too_many_is_told_where_it_moves_the_others() -> None:
    """Lost: the target of no output would be in a total that nothing explains."""
    more = replace(FOUNDING, targets=ByName((("b", 3.0), ("a", 4.0), ("Aextra", 7.0))))
    for first, second in ((4.0, 7.0), (7.0, 4.0)):
        total = (9.0 - first) ** 2 + (1.0 - second) ** 2
        found = read(more, {"loss": total})
        assert found.signature == "target: shifted (dict targets, list outputs)", total


@pytest.mark.parametrize("weighted", [True, False])
def test_inputs_that_went_astray_are_told_beside_loss_weights(weighted: bool) -> None:
    """Lost: 3.5.0 reports the loss of each output weighted, and nothing would be explained."""
    inputs = Inputs((Input("j", "j"), Input("i", "i")), "dict", InOrder((1.0, 2.0)))
    case = replace(FOUNDING, inputs=inputs, loss_weights=InOrder((2.0, 5.0)))
    b, a = (2.0 * 9.0, 5.0 * 144.0) if weighted else (9.0, 144.0)
    found = read(case, {"loss": 2.0 * 9.0 + 5.0 * 144.0, "b_loss": b, "a_loss": a})
    assert found.signature == "input: alphabet (dict inputs, fed a list)"


def test_a_list_of_results_in_another_order_is_told() -> None:
    """Lost: an output of several metrics moves the others by more than a place."""
    metrics = ByName((("b", ("mae",)), ("a", ("mae", "mse"))))
    case = replace(FOUNDING, metrics=metrics, entry="evaluate as list")
    right = {"loss": 45.0, "b_mae": 6.0, "a_mae": 3.0, "a_mse": 9.0}
    assert read(case, right).right
    found = read(case, right | {"b_mae": 3.0, "a_mae": 9.0, "a_mse": 6.0})
    assert found.signature == "name: alphabet (a list of results)"
    assert found.sentences == ("the numbers of outputs are reported under the names of others",)
    assert found.rules == ("R22",)


def test_predictions_under_the_wrong_key_are_told() -> None:
    """Lost: a model that returns its outputs under each other's keys would be unexplained."""
    outputs = (Output("y", 9.0, "b"), Output("x", 1.0, "a"))
    case = Case(outputs, "OrderedDict", None, None, entry="call")
    found = read(case, {"b": 1.0, "a": 9.0})
    assert found.signature == "prediction: alphabet (dict outputs)"
    assert found.rules == ("R18",)
    assert found.faults[0].strength == "inconsistent"
    plain = read(replace(case, container="dict"), {"b": 1.0, "a": 9.0})
    assert (plain.rules, plain.faults[0].strength) == (("R16",), "contract")


def test_an_ordered_dict_that_lost_its_order_in_a_round_trip_is_told() -> None:
    """Lost: lists of losses that meet other outputs in a copy of a model, and no sign of it."""
    outputs = (Output("b", 9.0, "b"), Output("a", 1.0, "a"))
    case = Case(outputs, "OrderedDict", None, None, entry="call", trip="clone")
    right = {one.name: one.value for one in expected(case)}
    assert read(case, right).right
    found = read(case, right | {"keys of model.output": 0.0})
    assert found.signature == "prediction: other keys (keys of model.output after a round trip)"
    assert found.sentences == ("the keys of model.output are in another order than before",)
    plain = case.but(container="dict")
    assert not [one for one in expected(plain) if one.name.startswith("keys")]


def test_nested_inputs_that_came_in_another_order_are_told() -> None:
    """Lost: what mixes up the inputs of nested models would be an unexplained prediction."""
    nest = Nest("dict", (Nest("list", (0,)), 1), ("q", "p"))
    inputs = Inputs((Input("i"), Input("j")), "nested", Like((1.0, 2.0)), nest=nest)
    called = Case(FOUNDING.outputs, "list", None, None, entry="call", inputs=inputs)
    assert read(called, {"b": 9.0, "a": 1.0}).right
    found = read(called, {"b": 0.0, "a": -8.0})
    assert found.signature == "input: alphabet (nested inputs)"
    assert found.faults[0].strength == "inconsistent"


def test_a_key_that_no_nested_input_has_is_seen_to_move_the_others() -> None:
    """Lost: of nested inputs Keras checks no key, and what belongs to none is silently fed."""
    nest = Nest("dict", (0, Nest("list", (1,))), ("p", "q"))
    fed = Like((1.0, 2.0), more="a key")
    inputs = Inputs((Input("i"), Input("j")), "nested", fed, nest=nest)
    called = Case(FOUNDING.outputs, "list", None, None, entry="call", inputs=inputs)
    assert read(called, {"b": 9.0, "a": 1.0}).right
    moved = (7.0 - 1.0) + (1.0 - 2.0) * 10
    found = read(called, {"b": 9.0 + moved, "a": 1.0 + moved})
    assert found.signature == "input: shifted (nested inputs)"
    assert found.rules == ("R24",)


def test_an_input_that_is_given_nothing_has_to_be_refused() -> None:
    """Lost: a model would take whatever stands under another key, and nobody would hear of it."""
    nest = Nest("dict", (0, Nest("list", (1,))), ("p", "q"))
    members = (Input("i"), Input("j"))
    wrong = Inputs(members, "nested", Like((1.0, 2.0), more="another key"), nest=nest)
    lacks = Inputs(members, "list", ByName((("i", 1.0),)))
    for inputs, rule in ((wrong, "R24"), (lacks, "R21")):
        called = Case(FOUNDING.outputs, "list", None, None, entry="call", inputs=inputs)
        assert promised(called)
        assert read(called, {"refused": 1.0}).right
        assert read(called, {"refused": 0.0}).rules == (rule,)
        assert read(called, {"refused": 0.0}).signature.startswith("input: not refused")


@pytest.mark.parametrize(
    ("names", "metrics", "observed", "given"),
    [
        ("loss", ("mae",), {"b_loss": 36.0, "a_loss": 9.0}, "a metric called loss"),
        (
            "numbered",
            ("mae", "mse", "mae"),
            {"b_m": 6.0, "b_m_1": 6.0, "a_m": 3.0, "a_m_1": 9.0},
            "metrics of one name",
        ),
    ],
)
def test_a_metric_whose_number_another_took_is_told(
    names: Any, metrics: tuple[str, ...], observed: dict[str, float], given: str
) -> None:
    """Lost: a metric that is not reported at all, as another number is called the same."""
    case = replace(FOUNDING, loss=One("mse"), metrics=InOrder((metrics,) * 2), metric_names=names)
    found = read(case, {"loss": 45.0} | observed)
    assert found.signature == f"name: covered ({given})"
    assert found.rules == ("R23",)
    assert found.faults[0].strength == "inconsistent"
    right = {one.name: one.value for one in expected(case)}
    assert read(case, right).right
    if names == "loss":
        alone = replace(case, outputs=case.outputs[:1], targets=One(3.0), metrics=One(metrics))
        alone = replace(alone, container="tensor")
        assert read(alone, {"loss": 6.0, "mae of b": 6.0}).signature == found.signature


def test_what_a_shared_metric_reports_is_told_from_a_clash_of_names() -> None:
    """Lost: that outputs report the mean of both would be said to be a number that is missing."""
    metrics = InOrder((("mae",),) * 2)
    case = replace(FOUNDING, loss=One("mse"), metrics=metrics, metric_names="one object")
    found = read(case, {"loss": 45.0, "b_mae": 4.5, "a_mae": 4.5})
    assert found.signature == "metric: merged (one metric object)"
    assert (found.rules, found.faults[0].strength) == (("R7",), "inconsistent")


def test_a_loss_in_the_place_of_a_metric_is_told_where_another_output_has_none() -> None:
    """Lost: the number that is missing would be one that stands under another output's name."""
    metrics = InOrder((("mae",),) * 2)
    case = replace(FOUNDING, loss=InOrder(("mse", None)), metrics=metrics, metric_names="loss")
    found = read(case, {"loss": 36.0, "b_loss": 36.0, "a_loss": 3.0})
    assert found.signature == "name: covered (a metric called loss)"


def test_what_cannot_be_told_is_not_promised() -> None:
    """Lost: Keras would be called wrong for what no rule says, or a search would end."""
    metrics = ByName((("extra", ("mae",)),))
    nobody = replace(FOUNDING, loss=One("mse"), metrics=metrics, metric_names="loss")
    assert not promised(nobody)
    short = replace(FOUNDING, loss=InOrder(("mse", None)), targets=InOrder((3.0, None)))
    assert promised(short)
    assert not promised(replace(short, sample_weight=InOrder((13.0, 2.0))))
    lacking = replace(FOUNDING, targets=ByName((("b", 3.0),)), loss=One("mse"))
    assert not promised(replace(lacking, beside="OrderedDicts"))
    # What a batch reports is the mean with that of the call before, which had no such weights.
    classes = Case((Output("a", 9.0),), "tensor", One("mse"), One(3.0), class_weight=17.0)
    classes = replace(classes, entry="train_on_batch", before=One(3.0))
    assert promised(classes)
    assert not promised(replace(classes, earlier="test_on_batch"))


def test_metrics_of_one_name_that_met_other_targets_are_told_from_a_clash() -> None:
    """Lost: each bug of metrics would be found a second time, as one of their names."""
    metrics = InOrder((("mae", "mse"),) * 2)
    case = replace(FOUNDING, loss=One("mse"), metrics=metrics, metric_names="alike")
    numbers = {"b_m": 5.0, "b_m_1": 25.0, "a_m": 2.0, "a_m_1": 4.0}
    found = read(case, {"loss": 45.0} | numbers)
    assert found.signature == "metric target: alphabet (dict targets, list outputs)"


def test_an_output_that_is_given_no_target_has_to_be_refused() -> None:
    """Lost: a loss takes the target of another output, and nobody hears of it."""
    misspelt = replace(FOUNDING, targets=ByName((("b", 3.0), ("A", 4.0))))
    lacking = replace(FOUNDING, targets=ByName((("b", 3.0),)))
    for case, rule in ((misspelt, "R24"), (lacking, "R10")):
        assert promised(case)
        assert read(case, {"refused": 1.0}).right
        assert read(case, {"refused": 0.0}).rules == (rule,)
        assert read(case, {"refused": 0.0}).signature.startswith("target: not refused")
    assert not promised(replace(lacking, metrics=InOrder((("mae",),) * 2)))


def test_inputs_that_came_in_another_order_are_told_beside_losses_that_did() -> None:
    """Lost: two bugs in one model would be a third, that nothing explains."""
    inputs = Inputs((Input("j"), Input("i")), "list", ByName((("i", 2.0), ("j", 1.0))))
    case = replace(FOUNDING, loss=One("mse"), inputs=inputs)
    moved = (2.0 - 1.0) + (1.0 - 2.0) * 10
    total = (9.0 + moved - 4.0) ** 2 + (1.0 + moved - 3.0) ** 2
    found = read(case, {"loss": total})
    assert found.signature == "input: alphabet (list inputs, fed a dict)"
    assert [one.component for one in found.faults] == ["input", "target"]


def test_sample_weights_that_were_swapped_or_not_used_are_told() -> None:
    """Lost: a bug of sample weights would be filed as one of targets, or of nothing."""
    samples = InOrder(CONSTANTS[2].samples)
    case = replace(FOUNDING, targets=InOrder((3.0, 4.0)), sample_weight=samples)
    first, second = wiring(case)
    swapped = replace(first, sample=second.sample).value + replace(second, sample=13.0).value
    found = read(case, {"loss": swapped})
    assert found.signature == "sample weight: alphabet (list sample weights, list outputs)"
    unused = replace(first, sample=1.0).value + replace(second, sample=1.0).value
    found = read(case, {"loss": unused})
    assert found.signature == "sample weight: left out (list sample weights, list outputs)"


def test_class_weights_that_were_not_used_are_told() -> None:
    """Lost: a bug of class weights would be filed under the rule of sample weights."""
    case = Case((Output("a", 9.0),), "tensor", One("mse"), One(3.0), entry="fit", class_weight=17.0)
    found = read(case, {"loss": (36.0 + 25.0) / 2})
    assert found.signature == "sample weight: left out (class weights, list outputs)"
    assert found.rules == ("R15",)


def test_a_fault_after_a_round_trip_breaks_the_rule_of_round_trips() -> None:
    """Lost: what a saved model does otherwise than before would be filed as a bug of targets."""
    loaded = replace(FOUNDING, trip="save")
    assert read(loaded, {"loss": 29.0}).rules == ("R20",)
    inside = replace(FOUNDING, inner=True)
    assert read(inside, {"loss": 0.0}).signature == "total: inner model (compiled model inside)"


def test_what_cannot_be_explained_is_said() -> None:
    """Lost: the reader would invent a cause, or crash, for a bug of another kind."""
    for observed in ({"loss": 7777.0}, {"loss": float("nan")}):
        found = read(FOUNDING, observed)
        assert found.signature == "total: unexplained (dict loss, list outputs)"
    nothing = read(FOUNDING, {})
    assert nothing.signature == "total: left out (of all outputs)"
    assert nothing.sentences == ("the total is not reported",)


def test_left_out_losses_and_weights_are_named() -> None:
    """Lost: a loss that is not computed at all would be unexplained."""
    found = read(FOUNDING, {"loss": 36.0, "b_loss": 36.0})
    assert found.sentences == ("the loss of output 'a' is not in the total",)
    weighted = replace(FOUNDING, loss_weights=InOrder((2.0, 3.0)))
    assert read(weighted, {"loss": 45.0}).signature.startswith("weight: left out")
    one = read(weighted, {"loss": 81.0})
    assert one.sentences == ("the weight of output 'a' was not used",)


EACH = replace(FOUNDING, entry="each loss")
"""The losses of both outputs: 36 and 9."""


@pytest.mark.parametrize(
    "observed, signature, rule",
    [
        ({"loss": 45.0}, "reported loss: left out", "R23"),
        ({"loss": 45.0, "a_loss": 9.0}, "reported loss: left out", "R23"),
        ({"b_loss": 36.0, "a_loss": 9.0, "a_loss_1": 9.0}, "reported loss: doubled", "R23"),
        ({"loss": 45.0, "b_loss": 9.0, "a_loss": 36.0}, "name: other order", "R23"),
    ],
)
def test_each_loss_is_reported_once(observed: dict[str, float], signature: str, rule: str) -> None:
    """Lost: half of the losses could be missing from a log, and the total be right."""
    found = read(EACH, observed)
    assert found.right is False and rule in found.rules
    assert any(fault.signature.startswith(signature) for fault in found.faults), found
    assert read(EACH, {"loss": 45.0, "b_loss": 36.0, "a_loss": 9.0}).right


def test_a_loss_that_is_reported_weighted_is_told_from_a_wrong_one() -> None:
    """Lost: 3.5.0 would seem to compute what it only multiplied (R6)."""
    case = replace(EACH, loss_weights=InOrder((2.0, 5.0)))
    found = read(case, {"loss": 117.0, "b_loss": 72.0, "a_loss": 45.0})
    assert found.signature.startswith("reported loss: weighted")
    assert found.rules == ("R6",)
    assert read(case, {"loss": 117.0, "b_loss": 36.0, "a_loss": 9.0}).right


def test_what_is_right_in_total_and_wrong_an_output_is_told() -> None:
    """Lost: "no pairing explains it", where the pairing is right and the report is not."""
    short = replace(FOUNDING, batches=2, short=True)
    right = {one.name: one.value for one in expected(short)}
    assert read(short, right).right
    found = read(short, right | {"b_loss": (36.0 + 4.0) / 2, "a_loss": (9.0 + 49.0) / 2})
    assert found.signature.startswith("reported loss: by batch")
    assert found.sentences[0].startswith("the loss of output 'b' is the mean of its batches")
    half = {"loss": 45.0, "b_loss": 18.0, "a_loss": 4.5}
    assert read(FOUNDING, half).signature.startswith("reported loss: in part")
    other = half | {"a_loss": 5.5}
    assert read(FOUNDING, other).signature.startswith("reported loss: unexplained")


def test_a_loss_without_a_name_is_missed_all_the_same() -> None:
    """Lost: two outputs of one layer have one name, and only the last loss would be in the log."""
    case = replace(EACH, shared="one layer", loss=One("mse"), targets=InOrder((3.0, 4.0)))
    assert [one.name for one in expected(case)] == ["loss 1", "loss 2"]
    assert read(case, {"loss 1": 36.0}).signature == "reported loss: left out (list outputs)"
    assert read(case, {"loss 1": 9.0, "loss 2": 36.0}).right
    assert not read(case, {"loss 1": 36.0, "loss 2": 36.0}).right


def test_an_output_that_is_called_as_its_loss_does_not_hide_a_fault() -> None:
    """Lost: "the target of 'f'", where the weights of two layers were loaded into each other."""
    case = replace(
        FOUNDING,
        outputs=(Output("mae", 9.0), Output("f", 1.0)),
        model="subclass",
        heads="dict",
        trip="weights",
        loss=InOrder(("mae", "mae")),
        targets=InOrder((3.0, 4.0)),
    )
    found = read(case, {"loss": 2.0 + 5.0, "mae_loss": 5.0})
    assert found.signature == "prediction: other order (layers in a dict)"


def test_some_losses_are_not_reported_and_others_are() -> None:
    """Lost: a release that reports none of them is right (3.4.1), one that forgets some is not."""
    assert read(FOUNDING, {"loss": 45.0}).right
    found = read(FOUNDING, {"loss": 45.0, "a_loss": 9.0})
    assert found.sentences == ("the loss of output 'b' is not reported",)


def test_metrics_of_an_earlier_compile_are_told() -> None:
    """Lost: nobody asks for them, so nobody would see that they are there."""
    twice = replace(FOUNDING, before=FOUNDING.targets, earlier="another compile")
    right = {"loss": 45.0, "b_loss": 36.0, "a_loss": 9.0}
    assert read(twice, right).right
    assert read(twice, right | {"a_mae": 3.0}).signature.startswith("metric: kept")


def test_a_model_inside_that_lost_its_metrics_is_told() -> None:
    """Lost: it is evaluated by itself long after the whole was compiled."""
    case = replace(FOUNDING, inner=True, entry="evaluate inside")
    assert read(case, {"loss": 1.0, "mae": 1.0}).right
    assert read(case, {"loss": 0.0}).rules == ("R28",)


@pytest.mark.parametrize("entry", ["call", "evaluate"])
def test_weights_that_were_not_loaded_are_told_from_those_that_were_swapped(entry: str) -> None:
    """Lost: a layer that nobody tracks would be "unexplained" in every container anew."""
    case = replace(
        FOUNDING,
        model="subclass",
        heads="dict",
        trip="weights",
        targets=InOrder((3.0, 4.0)),
        loss=One("mse"),
    )
    if entry == "call":
        case = replace(case, entry="call", loss=None, targets=None)
    counted = {"model.weights": 1.0}
    # One that is not tracked, and so not loaded, is the same failure in either call.
    lost = {"a": 0.0, "b": 9.0, "model.weights": 0.0}
    lost = lost if entry == "call" else {"loss": 36.0 + 16.0}
    assert read(case, lost).signature == "prediction: not loaded (layers in a dict)"
    swapped = {"a": 9.0, "b": 1.0} | counted if entry == "call" else {"loss": 4.0 + 25.0}
    assert read(case, swapped).signature == "prediction: other order (layers in a dict)"
    if entry == "call":
        untracked = swapped | {"a": 1.0, "b": 9.0, "model.weights": 0.0}
        assert read(case, untracked).signature == "prediction: other number (layers in a dict)"


@pytest.mark.parametrize(
    "one, other",
    [
        (("KeyError", "'b'"), ("KeyError", "'out_2'")),
        (
            ("ValueError", "Expected keys ['b', 'a'] in loss dict, but found loss.keys()=['b']"),
            (
                "builtins.ValueError",
                "Expected keys ListWrapper(['x', 'y', 'z']) in loss dict, but found "
                "loss.keys()=['x', 'y']",
            ),
        ),
        (
            ("ValueError", "got 1 losses and 2 weights.\nReceived: [2.0, 3.0]"),
            ("ValueError", "got 1 losses and 4 weights. Received: loss=mse"),
        ),
        (
            ("TypeError", "Cannot convert 'b' to EagerTensor of dtype float"),
            ("TypeError", "Expected float32, but got out_10 of type 'str'."),
        ),
        (
            ("KeyError", "'a'"),
            ("KeyError", "in user code:\n\n    File \"x.py\", line 3, in f\n\n    KeyError: 'é'\n"),
        ),
    ],
)
def test_one_refusal_is_one_signature(one: tuple[str, str], other: tuple[str, str]) -> None:
    """Lost: one refusal would be as many findings as there are names and numbers of outputs."""
    assert refusal(FOUNDING, *one).signature == refusal(FOUNDING, *other).signature


def test_a_refusal_breaks_the_rule_that_it_is_about() -> None:
    """Lost: a refused loss weight would be filed as one of targets."""
    weighted = replace(FOUNDING, loss_weights=InOrder((2.0, 3.0)))
    message = "`loss_weights` must match the number of losses"
    assert refusal(weighted, "ValueError", message).rules == ("R5",)
    partial = replace(FOUNDING, loss=ByName((("b", "mse"),)))
    assert refusal(partial, "KeyError", "'a'").rules == ("R4",)
    assert refusal(FOUNDING, "ValueError", "no such thing").rules == ("R3", "R10", "R11")


def test_a_part_of_a_nest_that_came_astray_is_one_refusal() -> None:
    """Lost: one bug is five findings, after which function noticed what it was given."""
    nest = Nest("list", (Nest("tuple", (0,)), 1))
    case = Case(FOUNDING.outputs, "nested", One("mse"), Like((3.0, 4.0)), nest=nest)
    said = (
        "Expected an instance of tuple, got <tf.Tensor: shape=(2, 1), dtype=float32>.",
        "Custom node type mismatch; expected type: X, got type: Y; value: <tf.Tensor>.",
        "Could not interpret loss identifier: ('mse',)",
    )
    assert len({refusal(case, "builtins.ValueError", one).signature for one in said}) == 1
    config = "Unknown `config` as a `dict`, config={'p': 'mse'}"
    assert (
        refusal(case, "ValueError", config).signature
        == refusal(case, "ValueError", said[0]).signature
    )
    measured = case.but(metrics=Like((("mae",), ("mae",))))
    for one in (config, "Could not interpret metric identifier: ('mae',)"):
        assert refusal(measured, "ValueError", one).message.endswith("taken for a metric")
    # Of outputs that are not nested it means something else.
    assert (
        refusal(FOUNDING, "ValueError", said[0]).signature
        != refusal(case, "ValueError", said[0]).signature
    )


def test_a_metric_that_stands_under_the_name_of_another_is_told() -> None:
    """Lost: the `mae` of an output is another number, and nothing else is amiss."""
    outputs = (Output("a", 9.0), Output("a_b", 1.0))
    metrics = InOrder((("mse",), ("mae",)))
    case = Case(outputs, "list", One("mse"), InOrder((3.0, 4.0)), None, metrics)
    case = replace(case, metric_names="prefixed")
    right = {one.name: one.value for one in expected(case)}
    assert right == {
        "loss": 45.0,
        "a_loss": 36.0,
        "a_b_loss": 9.0,
        "mse of a": 36.0,
        "a_b_mae": 3.0,
    }
    assert read(case, right).right
    found = read(case, right | {"a_b_mae": 36.0, "a_b_mae_1": 3.0})
    assert found.signature == "name: covered (a metric called as that of another output)"


def test_metrics_that_went_astray_are_told_beside_weighted_ones_that_did_not() -> None:
    """Lost: two arguments of which one goes astray would be a third bug, that nothing explains."""
    metrics, weighted = InOrder((("mae", "mse"), ("mae",))), ByName((("b", ("mae",)),))
    case = replace(FOUNDING, loss=One("mse"), metrics=metrics, weighted_metrics=weighted)
    right = {"b_mae": 6.0, "b_mse": 36.0, "b_weighted_mae": 6.0, "a_mae": 3.0}
    astray = {"b_mae": 6.0, "b_weighted_mae": 6.0, "a_mae": 3.0, "a_mse": 9.0}
    assert read(case, {"loss": 45.0} | right).right
    found = read(case, {"loss": 45.0} | astray)
    assert found.signature == "metric: alphabet (list metrics, list outputs)"
    swapped = replace(case, metrics=weighted, weighted_metrics=metrics)
    astray = {"b_mae": 6.0, "b_weighted_mae": 6.0, "a_mae": 3.0, "a_mse": 9.0}
    found = read(swapped, {"loss": 45.0} | astray)
    assert found.signature == "metric: alphabet (list metrics, list outputs)"


def test_a_short_list_of_targets_is_that_of_the_outputs_with_a_loss() -> None:
    """Lost: of which outputs the targets are would be our guess, and Keras called wrong for its."""
    outputs = (Output("c", 25.0), Output("b", 10.0), Output("a", 7.0))
    case = Case(outputs, "list", InOrder((None, "mse", "mse")), InOrder((None, 28.0, 3.0)))
    assert promised(case)
    assert not promised(replace(case, loss=InOrder((None, "mse", None))))
