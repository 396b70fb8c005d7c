"""Without these, nobody notices that the installed Keras breaks, or mended, a rule of routing.

The rules are R1 to R12 and R17, on plain cases of the strategy that users import: the script of
each is run in this process, and every number is held against the oracle. What is known to be broken
is in `BROKEN`, each with a condition on the case and a test of its own; the property holds for the
rest.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings

from keras_repro.case import ByName, Case, InOrder, Input, Inputs, Like, Nest, One, Output
from keras_repro.checking import run
from keras_repro.oracle import promised
from keras_repro.reading import Reading, explain, render
from keras_repro.strategies import cases

# The same examples in every run: a red test means that the code changed, here or in Keras.
lawful = settings(max_examples=120, deadline=None, derandomize=True, database=None)


def look(case: Case) -> Reading | None:
    """What is wrong with `case` under the installed Keras; None where nothing is."""
    outcome = run(case)
    assert outcome.code != 125, "keras cannot be imported"
    return explain(case, outcome)


# -- what is known to be broken --------------------------------------------------------


@dataclass(frozen=True)
class Breach:
    """A rule that the installed Keras breaks: for which cases, and the plainest of them."""

    rule: str
    what: str
    concerns: Callable[[Case], bool]
    example: Case
    tree: str | None = None
    """The implementation of keras.tree under which it is broken; both, without."""

    @property
    def here(self) -> bool:
        """Whether it is broken under the implementation of this process."""
        return self.tree in (None, os.environ.get("KERAS_REPRO_TREE", "optree"))


def _in_order(given: object) -> bool:
    return isinstance(given, InOrder)


def _goes_astray(case: Case, given: object) -> bool:
    """Whether a list means something else where it is taken in the order of the sorted keys."""
    if case.container != "dict" or not isinstance(given, InOrder):
        return False
    pairs = dict(zip(case.names, given.values, strict=True))
    return pairs != dict(zip(sorted(case.names), given.values, strict=True))


def _one_by_name(case: Case) -> bool:
    return case.container != "dict" and isinstance(case.targets, ByName) and len(case.outputs) == 1


LISTED = (Output("b", 9.0), Output("a", 1.0))
KEYED = (Output("b", 9.0, "b"), Output("a", 1.0, "a"))
TARGETS = ByName((("b", 3.0), ("a", 4.0)))
WEIGHTS = ByName((("b", 2.0), ("a", 3.0)))

BROKEN = (
    Breach(
        "R4",
        "a key that is missing in a dict of losses is refused for list outputs",
        lambda case: (
            case.container != "dict"
            and isinstance(case.loss, ByName)
            and len(case.loss.items) < len(case.outputs)
        ),
        Case(LISTED, "list", ByName((("b", "mse"),)), TARGETS),
    ),
    Breach(
        "R5",
        "one loss for all outputs is refused with loss weights",
        lambda case: isinstance(case.loss, One) and case.loss_weights is not None,
        Case(LISTED, "list", One("mse"), TARGETS, InOrder((2.0, 3.0))),
    ),
    Breach(
        "R5",
        "a dict of loss weights goes by the alphabet with a list of losses for list outputs",
        lambda case: (
            case.container != "dict"
            and _in_order(case.loss)
            and isinstance(case.loss_weights, ByName)
            and list(case.names) != sorted(case.names)
        ),
        Case(LISTED, "list", InOrder(("mse", "mse")), TARGETS, WEIGHTS),
    ),
    Breach(
        "R11",
        "a dict of targets is refused for one output in a list whose loss is in a list or dict",
        lambda case: _one_by_name(case) and not isinstance(case.loss, One),
        Case((Output("a", 9.0),), "list", InOrder(("mse",)), ByName((("a", 3.0),))),
    ),
    Breach(
        "R11",
        "a dict of targets is refused for one output in a list",
        lambda case: _one_by_name(case) and isinstance(case.loss, One),
        Case((Output("a", 9.0),), "list", One("mse"), ByName((("a", 3.0),))),
        tree="optree",
    ),
    Breach(
        "R2",
        "a list of losses goes by the alphabet for dict outputs",
        lambda case: _goes_astray(case, case.loss),
        Case(KEYED, "dict", InOrder(("mse", "mae")), TARGETS),
    ),
    Breach(
        "R5",
        "a list of loss weights goes by the alphabet for dict outputs",
        lambda case: _goes_astray(case, case.loss_weights),
        Case(KEYED, "dict", ByName((("b", "mse"), ("a", "mse"))), TARGETS, InOrder((2.0, 3.0))),
    ),
    Breach(
        "R7",
        "a list of metrics goes by the alphabet for dict outputs",
        lambda case: _goes_astray(case, case.metrics),
        Case(KEYED, "dict", One("mse"), TARGETS, metrics=InOrder((("mae",), ("mse",)))),
    ),
    Breach(
        "R10",
        "a list of targets goes by the alphabet for dict outputs",
        lambda case: _goes_astray(case, case.targets),
        Case(KEYED, "dict", One("mse"), InOrder((3.0, 4.0))),
    ),
)


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            one.example,
            marks=pytest.mark.breaks(
                one.rule, one.what, **({"tree": one.tree} if one.tree else {})
            ),
            id=one.what,
        )
        for one in BROKEN
    ],
)
def test_what_is_known_to_be_broken(tree: Any, case: Case) -> None:
    """Lost otherwise: a Keras that was mended. Its breach is then taken out of `BROKEN`."""
    assert look(case) is None


@pytest.mark.parametrize("breach", BROKEN, ids=lambda one: one.what)
def test_each_breach_stands_for_itself(breach: Breach) -> None:
    """Lost otherwise: a condition that leaves out more than what is broken, or something else."""
    assert promised(breach.example)
    assert [one for one in BROKEN if one.concerns(breach.example)] == [breach]


# -- what holds ------------------------------------------------------------------------


@lawful
@example(Case(LISTED, "list", ByName((("b", "mse"), ("a", "mse"))), TARGETS))
@example(Case(LISTED, "tuple", InOrder(("mse", None)), TARGETS))
@example(Case(KEYED, "dict", ByName((("a", "mae"),)), TARGETS))
@given(
    cases(twists=()).filter(lambda case: not any(one.here and one.concerns(case) for one in BROKEN))
)
def test_every_number_is_the_one_that_the_rules_say(tree: Any, case: Case) -> None:
    """Lost otherwise: an output that is trained towards the target of another."""
    reading = look(case)
    assert reading is None, f"{reading.signature}\n{render(case).text}"


# -- what stands around the arguments --------------------------------------------------

TWICE = (Output("c", 9.0, "c"), Output("b", 1.0, "b"), Output("a", 9.0, "a"))
THREE_OF_THEM = (Output("c", 25.0), Output("b", 10.0), Output("a", 7.0))
THREE = InOrder((20.0, 28.0, 3.0))
OPTIONAL = Inputs(
    (Input("j", "j"), Input("i", "i", optional=True)), "dict", ByName((("j", 1.0), ("i", None)))
)
ODD = {
    "an optional input is None by name": Case(
        LISTED, "list", None, None, entry="call", inputs=OPTIONAL
    ),
    "an optional input is None by position": Case(
        LISTED,
        "list",
        One("mse"),
        InOrder((3.0, 4.0)),
        inputs=Inputs((Input("j"), Input("i", optional=True)), "list", InOrder((1.0, None))),
    ),
    "outputs of a model inside, cloned recursively": Case(
        LISTED, "list", One("mse"), InOrder((3.0, 4.0)), within="dict", trip="clone recursively"
    ),
    "outputs of a model inside, cloned by call": Case(
        KEYED, "dict", One("mse"), TARGETS, within="list", trip="clone by call"
    ),
    "weights of layers in a tuple": Case(
        KEYED, "dict", One("mse"), TARGETS, model="subclass", heads="tuple", trip="weights"
    ),
    "class weights of two outputs are refused": Case(
        LISTED, "list", One("mse"), InOrder((3.0, 4.0)), entry="fit", class_weight=17.0
    ),
    "one loss for a branch": Case(
        THREE_OF_THEM,
        "nested",
        Like(("mse", "mse", "mae")),
        Like(THREE.values),
        joint=True,
        nest=Nest("dict", (Nest("dict", (0, 1), ("s", "r")), 2), ("q", "p")),
    ),
    "a function of dicts": Case(
        KEYED,
        "dict",
        None,
        None,
        entry="function",
        inputs=Inputs((Input("j", "j"), Input("i", "i")), "dict", ByName((("i", 2.0), ("j", 1.0)))),
    ),
    "one tensor is two outputs of a dict": Case(
        TWICE,
        "dict",
        ByName((("a", "mse"), ("b", "mse"), ("c", "mae"))),
        ByName((("a", 3.0), ("b", 28.0), ("c", 20.0))),
        shared="one tensor",
    ),
    "one tensor is two outputs of a list": Case(
        tuple(replace(one, key=None) for one in TWICE),
        "list",
        InOrder(("mae", "mse", "mse")),
        THREE,
        shared="one tensor",
    ),
    "one layer makes two outputs of a list": Case(
        LISTED,
        "list",
        InOrder(("mae", "mse")),
        InOrder((3.0, 4.0)),
        shared="one layer",
        trip="clone",
    ),
    "layers of a dict without names": Case(
        KEYED,
        "dict",
        ByName((("a", "mae"), ("b", "mse"))),
        TARGETS,
        auto=True,
        trip="save",
    ),
}


@pytest.mark.parametrize("case", ODD.values(), ids=ODD)
def test_an_odd_model_is_as_right_as_a_plain_one(tree: Any, case: Case) -> None:
    """Lost otherwise: the script of a rare form is wrong, and every right Keras with it."""
    assert promised(case)
    assert look(case) is None


def test_what_is_saved_is_swept_up(
    tree: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lost otherwise: each run of these tests leaves models in the temporary folder for ever."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for trip in ("save", "weights"):
        case = Case(LISTED, "list", One("mse"), InOrder((3.0, 4.0)))
        assert run(replace(case, trip=trip)).raised is None
    assert not list(tmp_path.iterdir())
