"""Without these, the oracle could call a right Keras wrong, or a wrong one right by luck."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import permutations, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from keras_bisect.errors import UsageError
from keras_repro.case import LEVEL, PREDICTIONS, ByName, Case, InOrder, Like, One, Output
from keras_repro.oracle import (
    CONSTANTS,
    FUNCTIONS,
    doubts,
    expected,
    leeway,
    number,
    promised,
    rules_of,
    scored,
)
from keras_repro.strategies import cases


def _look_up(given: object, index: int, name: str, missing: Any) -> Any:
    if isinstance(given, One):
        return given.value
    if isinstance(given, InOrder | Like):
        return given.values[index]
    if isinstance(given, ByName):
        return next((value for key, value in given.items if key == name), missing)
    return missing


def _metrics_of(given: object, index: int, name: str) -> tuple[str, ...]:
    found = _look_up(given, index, name, ()) or ()
    return (found,) if isinstance(found, str) else tuple(dict.fromkeys(found))


def _reference(case: Case) -> tuple[dict[str, float], dict[str, float]]:
    """The numbers that must be reported, and those that may be, written a second time."""
    if case.refused:
        return {"refused": 1.0}, {}
    if case.predicting:
        kept = ["model.input", "model.output", "model.weights"] if case.compared else []
        if case.compared and case.container == "OrderedDict":
            kept.append("keys of model.output")
        if case.compared and case.inputs is not None and case.inputs.container == "OrderedDict":
            kept.append("keys of model.input")
        if case.trip == "weights" and case.model == "subclass":
            kept.append("model.weights")
        return {o.name: o.predicts for o in case.outputs} | dict.fromkeys(kept, 1.0), {}
    total, parts, metrics = np.float32(0), {}, {}
    many = len(case.outputs) > 1
    for index, output in enumerate(case.outputs):
        target = _look_up(case.targets, index, output.name, None)
        if target is None:
            continue
        weight = _look_up(case.sample_weight, index, output.name, 1.0) or 1.0
        row = case.class_weight if case.classes != "none" else None
        rows = np.array([weight * (row or 1.0), 1.0] * case.batches, "float32")
        rows = rows[: len(rows) - case.short]
        step = 0 if case.sample_weight is None and case.class_weight is None else 1
        later = [target + 4 * batch for batch in range(case.batches)]
        every = [row for first in later for row in (first, first + step)]
        every = every[: len(every) - case.short]
        error = np.float32(output.predicts) - np.array(every, "float32")
        value = {"mse": error**2, "mae": np.abs(error)}
        loss = _look_up(case.loss, index, output.name, None)
        if loss is not None:
            parts[f"{output.name}_loss"] = np.mean(rows * value[loss])
            share = _look_up(case.loss_weights, index, output.name, 1.0)
            total += np.float32(share) * np.mean(rows * value[loss])
        prefix = f"{output.name}_" if many else ""
        plain = _metrics_of(case.metrics, index, output.name)
        for metric in plain:
            own = case.metric_names == "own" or (case.metric_names, metric) == ("prefixed", "mae")
            called = prefix + metric if own else f"{metric} of {output.name}"
            metrics[called] = np.mean(value[metric])
        for metric in _metrics_of(case.weighted_metrics, index, output.name):
            name = f"{prefix}weighted_{metric}" if metric in plain else prefix + metric
            metrics[name] = np.average(value[metric], weights=rows)
    if case.entry == "compute_loss":
        metrics = {}
    if case.entry == "compute_metrics":
        return metrics, {}
    if case.entry == "evaluate inside":
        return {"loss": 1.0, "mae": 1.0}, {}
    nameless = case.shared != "nothing" or case.auto or case.direct or case.model == "subclass"
    nameless = case.nest is not None or (nameless and case.outputs[0].key is None)
    if case.entry == "each loss" and nameless:
        return {f"loss {i}": one for i, one in enumerate(sorted(parts.values()), 1)}, {}
    if case.entry == "each loss":
        return parts, {}
    if case.entry == "evaluate as list" and not many:
        metrics["how many numbers"] = 1 + len(metrics)
    return {"loss": total} | metrics, {} if case.metric_names == "loss" else parts


@given(cases())
def test_the_numbers_are_those_of_a_plain_reference(case: Case) -> None:
    """Lost: nothing else checks the oracle's own pairing, written a second time with NumPy here."""
    wanted, parts = _reference(case)
    found = {one.name: one.value for one in expected(case)}
    assert {one.name for one in expected(case) if one.required} == set(wanted)
    assert found.keys() - wanted.keys() <= parts.keys()
    every = parts | wanted
    np.testing.assert_allclose(list(found.values()), [every[name] for name in found], rtol=1e-6)
    plain = case.loss_weights is None and case.sample_weight is None and case.class_weight is None
    plain = plain and not case.refused
    named = case.model == "functional" and case.nest is None and not case.auto
    named = named and case.shared == "nothing" and not case.direct
    if plain and named and len(case.outputs) > 1:
        assert case.entry in (*LEVEL, *PREDICTIONS) or parts.keys() <= found.keys()


@pytest.mark.parametrize("outputs", CONSTANTS)
def test_the_number_of_one_output_names_function_output_and_target(outputs: int) -> None:
    """Lost: a reported loss or metric could be that of another pairing, and look right."""
    constants = CONSTANTS[outputs]
    values = sorted(
        number(function, predicts, target)
        for function in FUNCTIONS
        for predicts in constants.predicts
        for target in constants.targets
    )
    gaps = np.diff(np.float32(values)) / np.float32(values[1:])
    assert len(values) == 2 * outputs**2
    assert np.all(gaps > (1e-4 if outputs < 4 else 2e-5))


@pytest.mark.parametrize("outputs", CONSTANTS)
@pytest.mark.parametrize("weighted", [False, True])
def test_no_wrong_pairing_gives_the_right_total(outputs: int, weighted: bool) -> None:
    """Lost: targets, losses or weights could be swapped, in any way, and the total stay right."""
    constants = CONSTANTS[outputs]
    weights = constants.weights if weighted else (1.0,) * outputs
    orders = list(permutations(range(outputs)))
    # Fifty times the tolerance of the scripts for up to three outputs; four leave less room.
    apart = 1e-4 if outputs < 4 else 2e-5
    for losses in product([*FUNCTIONS, None], repeat=outputs):
        if not any(losses) or (weighted and None in losses):
            continue
        table = {
            (loss, i, j): np.float32(number(loss, constants.predicts[i], constants.targets[j]))
            if loss
            else np.float32(0)
            for loss, i, j in product({*losses}, range(outputs), range(outputs))
        }
        right = [losses[i] and (losses[i], i, weights[i]) for i in range(outputs)]
        total = sum(weights[i] * table[losses[i], i, i] for i in range(outputs))
        for given_losses, targets, weighings in _ways(orders, weighted):
            values = [table[losses[given_losses[i]], i, targets[i]] for i in range(outputs)]
            for order in weighings:
                wired = [
                    losses[given_losses[i]]
                    and (losses[given_losses[i]], targets[i], weights[order[i]])
                    for i in range(outputs)
                ]
                if wired != right:
                    wrong = sum(weights[order[i]] * values[i] for i in range(outputs))
                    assert abs(wrong - total) > apart * total, (losses, targets, order)


@pytest.mark.parametrize("outputs", CONSTANTS)
def test_a_weight_that_is_left_out_is_no_other_loss_function(outputs: int) -> None:
    """Lost: "it was given the loss function of 'a'", where its weight was dropped."""
    constants = CONSTANTS[outputs]
    for predicts, target in zip(constants.predicts, constants.targets, strict=True):
        values = [
            weight * number(function, predicts, target)
            for function in FUNCTIONS
            for weight in {1.0, *constants.weights}
        ]
        assert len(set(values)) == len(values)


Orders = Sequence[tuple[int, ...]]


def _ways(orders: Orders, weighted: bool) -> Iterator[tuple[Sequence[int], Sequence[int], Orders]]:
    """Orders of losses, of targets, and those of weights that go with both: of up to four outputs
    all there are, of more those in which what goes astray goes in one order.
    """
    weighings = orders if weighted else orders[:1]
    if len(orders) < 100:
        yield from ((losses, targets, weighings) for losses, targets in product(orders, orders))
        return
    same = orders[0]
    for order in orders:
        for losses, targets in product((same, order), repeat=2):
            yield losses, targets, (same, order) if weighted else (same,)


@pytest.mark.parametrize("outputs", CONSTANTS)
@pytest.mark.parametrize("weighted", [False, True])
def test_no_wrong_sample_weight_gives_the_right_total(outputs: int, weighted: bool) -> None:
    """Lost: the sample weights of two outputs could be swapped, or not be used, unseen."""
    constants = CONSTANTS[outputs]
    shares = constants.weights if weighted else (1.0,) * outputs
    same = tuple(range(outputs))
    for losses in product(FUNCTIONS, repeat=outputs):
        values = list(zip(shares, losses, constants.predicts, strict=True))

        def total(
            samples: tuple[float, ...],
            targets: tuple[int, ...],
            values: list[tuple[float, str, float]] = values,
        ) -> float:
            return sum(
                share * scored(loss, predicts, constants.targets[target], sample)
                for (share, loss, predicts), target, sample in zip(
                    values, targets, samples, strict=True
                )
            )

        right = total(constants.samples, same)
        wrong = [total((1.0,) * outputs, same)]
        for order in permutations(same):
            moved = tuple(constants.samples[i] for i in order)
            wrong += [total(moved, targets) for targets in {same, order} if order != same]
        wrong += [total(constants.samples, order) for order in permutations(same) if order != same]
        assert min(abs(one - right) for one in wrong) > (1e-3 if outputs < 5 else 1e-4) * right


def test_sample_weights_tell_weighted_metrics_from_others() -> None:
    """Lost: a weighted metric that ignores its weights would have the right value."""
    for constants in CONSTANTS.values():
        for predicts, target, sample in zip(
            constants.predicts, constants.targets, constants.samples, strict=True
        ):
            for function in FUNCTIONS:
                plain = scored(function, predicts, target, 1.0, mean=True)
                assert abs(scored(function, predicts, target, sample, mean=True) - plain) > 0.01


OUTPUTS = (Output("b", 9.0), Output("a", 1.0))
PLAIN = Case(OUTPUTS, "list", One("mse"), InOrder((3.0, 4.0)))
KEYED = (Output("b", 9.0, "b"), Output("a", 1.0, "a"))
NAMED = ByName((("b", 3.0), ("a", 4.0)))


@pytest.mark.parametrize(
    "case, doubt",
    [
        (replace(PLAIN, outputs=KEYED, container="OrderedDict"), "a dict of another kind"),
        (replace(PLAIN, container="namedtuple"), "a namedtuple of outputs"),
        (replace(PLAIN, sample_weight=InOrder((13.0, 2.0))), "sample weights of each output"),
        (replace(PLAIN, weighted_metrics=InOrder((("mae",),) * 2)), "weighted metrics"),
        (replace(PLAIN, entry="compute_loss"), "compute_loss"),
        (
            replace(PLAIN, outputs=(Output("日本", 9.0), Output("a", 1.0)), eager=False),
            "a layer with a name that TensorFlow takes for none",
        ),
        (replace(PLAIN, targets=InOrder((3.0, 4.0), "tuple")), "a tuple of targets"),
        (
            replace(PLAIN, loss=None, targets=None, entry="call", trip="export"),
            "what an exported model gives",
        ),
    ],
)
def test_what_rests_on_less_than_the_documentation_is_in_doubt(case: Case, doubt: str) -> None:
    """Lost: what no sentence of Keras says would be filed as if one did."""
    assert promised(case)
    assert not doubts(PLAIN)
    assert doubt in doubts(case)
    assert not leeway(case)


@pytest.mark.parametrize(
    "case, form",
    [
        (replace(PLAIN, targets=ByName((*NAMED.items, ("c", 5.0)))), "a key that no output"),
        (replace(PLAIN, loss_weights=ByName((("b", 2.0),))), "no loss_weights for some output"),
        (replace(PLAIN, metrics=InOrder((("mae",), None))), "None in metrics"),
        (
            Case(OUTPUTS[:1], "tensor", One("mse"), One(3.0), metrics=One("mae")),
            "metrics that are no list",
        ),
        (replace(PLAIN, before=NAMED), "another form of targets than in the call before"),
    ],
)
def test_a_form_that_no_rule_allows_may_be_refused(case: Case, form: str) -> None:
    """Lost: a refusal that is right would be a finding, or the form would not be tried at all."""
    assert promised(case)
    assert not leeway(PLAIN)
    assert any(one.startswith(form) for one in leeway(case))


@pytest.mark.parametrize(
    "case",
    [
        # Which target is whose, where an output of a dict goes without a loss.
        replace(
            PLAIN,
            container="dict",
            outputs=tuple(replace(one, key=one.layer) for one in PLAIN.outputs),
            loss=InOrder(("mse", None)),
        ),
        # Names of a class's list of outputs are nobody's.
        replace(PLAIN, model="subclass", targets=NAMED),
        # tf.data makes one tensor of a list.
        replace(PLAIN, data="dataset"),
        # A dict of metrics out of order: are they reported as written, or as the outputs stand?
        replace(
            PLAIN, entry="evaluate as list", metrics=ByName((("a", ("mae",)), ("b", ("mae",))))
        ),
        replace(PLAIN, class_weight=17.0, entry="evaluate"),
        # A batch counts on from the call before.
        replace(PLAIN, before=InOrder((3.0, 4.0), "tuple"), entry="test_on_batch"),
        replace(PLAIN, class_weight=17.0, entry="fit", metrics=InOrder((("mae",),) * 2)),
    ],
)
def test_what_nobody_promised_is_not_judged(case: Case) -> None:
    """Lost: a reading of our own would be held against Keras."""
    assert not promised(case)


def test_a_row_of_several_numbers_may_be_one_class() -> None:
    """Lost: weights of classes would be missed where the targets look like one-hot rows."""
    alone = replace(
        PLAIN,
        outputs=(Output("a", 9.0),),
        container="tensor",
        targets=One(3.0),
        loss=One("mse"),
        class_weight=17.0,
        entry="fit",
    )
    assert promised(alone)
    assert not promised(replace(alone, outputs=(Output("a", 9.0, width=3),)))


def test_a_call_before_without_its_targets_is_no_case() -> None:
    """Lost: Keras would be blamed for refusing what lacks a target."""
    with pytest.raises(UsageError, match="no target"):
        promised(replace(PLAIN, before=ByName((("b", 3.0),))))


def test_a_number_that_no_release_owes_is_not_expected() -> None:
    """Lost: 3.4.1, which reports the total alone, and 3.5, which weights, would be called wrong."""
    case = Case(
        (Output("b", 9.0), Output("a", 1.0)),
        "list",
        One("mse"),
        InOrder((3.0, 4.0)),
    )
    assert [(one.name, one.required) for one in expected(case)] == [
        ("loss", True),
        ("b_loss", False),
        ("a_loss", False),
    ]
    weighted = Case(case.outputs, "list", case.loss, case.targets, InOrder((2.0, 3.0)))
    assert [one.name for one in expected(weighted)] == ["loss"]


def test_the_rules_are_those_of_the_containers() -> None:
    """Lost: a finding would be filed under a rule that has nothing to do with it."""
    case = Case(
        (Output("b", 9.0), Output("a", 1.0)),
        "tuple",
        ByName((("b", "mse"), ("a", None))),
        ByName((("a", 4.0), ("b", 3.0))),
        metrics=InOrder((("mae",), ("mse",))),
    )
    assert rules_of(case) == ("R3", "R4", "R7", "R8", "R10", "R11", "R12", "R17")
    numbers = {one.name: one.rules for one in expected(case)}
    assert numbers["loss"] == ("R3", "R4", "R10", "R11", "R17")
    assert numbers["a_mse"] == ("R7", "R8", "R10", "R11", "R12", "R17")


def test_what_the_oracle_cannot_know_is_said() -> None:
    """Lost: a case of another loss would end in a KeyError, or in a number made up."""
    with pytest.raises(UsageError, match="'huber' is not known here"):
        number("huber", 1.0, 2.0)
    with pytest.raises(UsageError, match="no target for the output 'a'"):
        expected(
            Case(
                (Output("b", 9.0), Output("a", 1.0)),
                "list",
                ByName((("b", "mse"),)),
                ByName((("b", 3.0),)),
                metrics=ByName((("a", ("mae",)),)),
            )
        )
