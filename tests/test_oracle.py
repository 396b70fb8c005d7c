"""Without these, the oracle could call a right Keras wrong, or a wrong one right by luck."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given

from keras_bisect.errors import UsageError
from keras_repro.case import ByName, Case, InOrder, One, Output
from keras_repro.oracle import CONSTANTS, FUNCTIONS, expected, number, rules_of
from keras_repro.strategies import cases


def _look_up(given: object, index: int, name: str, missing: object) -> object:
    if isinstance(given, One):
        return given.value
    if isinstance(given, InOrder):
        return given.values[index]
    if isinstance(given, ByName):
        return next((value for key, value in given.items if key == name), missing)
    return missing


@given(cases())
def test_the_numbers_are_those_of_a_plain_reference(case: Case) -> None:
    """Lost: nothing else checks the oracle's own pairing, written a second time with NumPy here."""
    total, parts, metrics = np.float32(0), {}, {}
    for index, output in enumerate(case.outputs):
        target = _look_up(case.targets, index, output.name, None)
        error = np.full((2, 1), output.predicts, "float32") - np.full((2, 1), target, "float32")
        value = {"mse": np.mean(error**2), "mae": np.mean(np.abs(error))}
        loss = _look_up(case.loss, index, output.name, None)
        if loss is not None:
            parts[f"{output.name}_loss"] = value[str(loss)]
            weight = _look_up(case.loss_weights, index, output.name, 1.0)
            total += np.float32(weight) * value[str(loss)]
        for metric in _look_up(case.metrics, index, output.name, ()):  # type: ignore[attr-defined]
            prefix = f"{output.name}_" if len(case.outputs) > 1 else ""
            metrics[prefix + metric] = value[metric]
    wanted = {"loss": total} | metrics
    if case.loss_weights is None and len(case.outputs) > 1:
        wanted |= parts
    found = {one.name: one.value for one in expected(case)}
    assert found.keys() == wanted.keys()
    np.testing.assert_allclose([found[name] for name in wanted], list(wanted.values()), rtol=1e-6)


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
        for given_losses, targets in product(orders, orders):
            values = [table[losses[given_losses[i]], i, targets[i]] for i in range(outputs)]
            for order in orders if weighted else orders[:1]:
                wired = [
                    losses[given_losses[i]]
                    and (losses[given_losses[i]], targets[i], weights[order[i]])
                    for i in range(outputs)
                ]
                if wired != right:
                    wrong = sum(weights[order[i]] * values[i] for i in range(outputs))
                    assert abs(wrong - total) > apart * total, (losses, targets, order)


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
                One("mse"),
                ByName((("b", 3.0),)),
            )
        )
