"""Without these, a search could raise false alarms, miss what it is for, or end at a big case."""

from __future__ import annotations

import re
from dataclasses import fields
from random import Random
from typing import get_args

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from keras_repro import strategies
from keras_repro.case import (
    Architecture,
    ByName,
    Case,
    Container,
    Data,
    Earlier,
    Entry,
    Heads,
    InOrder,
    Like,
    One,
    Output,
    Shared,
    Spelling,
    Trip,
    Within,
)
from keras_repro.oracle import doubts, leeway, promised, wiring
from keras_repro.strategies import cases
from keras_repro.twists import ARGUMENTS, MODELS, TWISTS, USES, Twist, held_layers

SEARCH = settings(max_examples=3000, database=None, deadline=None)


def _by_alphabet(case: Case) -> bool:
    """The founding bug: dict targets are taken in the order of the alphabet for list outputs."""
    if case.container not in ("list", "tuple") or case.refused:
        return False
    wires = wiring(case)
    targets = [wire.target for wire in sorted(wires, key=lambda wire: wire.name)]
    losses = [wire.loss for wire in sorted(wires, key=lambda wire: wire.name)]
    return (
        isinstance(case.loss, ByName)
        and isinstance(case.targets, ByName)
        and None not in losses
        and (targets, losses) != ([w.target for w in wires], [w.loss for w in wires])
    )


@pytest.mark.parametrize("attempt", range(3))
def test_the_founding_bug_shrinks_to_b_a(attempt: int) -> None:
    """Lost: what is filed would have names and parts that have nothing to do with the bug."""
    found = find(cases(), _by_alphabet, settings=SEARCH, random=Random(attempt))
    assert found == Case(
        (Output("b", 9.0), Output("a", 1.0)),
        "list",
        ByName((("b", "mse"), ("a", "mse"))),
        ByName((("b", 3.0), ("a", 4.0))),
    )


def test_any_case_shrinks_to_the_plainest() -> None:
    """Lost: findings would carry options that the bug does not need."""
    found = find(cases(), lambda case: True, settings=SEARCH, random=Random(0))
    assert found == Case((Output("a", 9.0),), "list", One("mse"), InOrder((3.0,)))


@given(cases())
def test_only_what_the_rules_decide_is_drawn(case: Case) -> None:
    """Lost: a release that refuses what nobody promised would be called wrong."""
    assert promised(case)
    layers = [output.layer for output in case.outputs]
    assert not any("/" in name for name in layers)
    graph = not case.eager or case.jit or case.entry == "predict" or case.trip in ("save", "export")
    plain = all(re.fullmatch(r"[A-Za-z0-9.][\w.-]*", n, re.ASCII) for n in (*case.names, *layers))
    assert plain or not graph


@given(cases(twists=()))
def test_a_case_without_twists_has_no_odd_form(case: Case) -> None:
    """Lost: what is plain would not be, and a strategy that is held would not be held."""
    assert promised(case)
    assert all("for a dict of outputs" in doubt for doubt in doubts(case))
    assert not leeway(case)
    wires = wiring(case)
    assert any(wire.loss for wire in wires)
    partial = any(wire.loss is None for wire in wires)
    if partial:
        assert isinstance(case.targets, ByName)
        assert case.loss_weights is None
        assert case.metrics is None
    if len(wires) == 1:
        assert case.loss_weights is None
        assert not isinstance(case.metrics, InOrder)
    for given_ in (case.targets, case.loss_weights, case.metrics):
        assert not isinstance(given_, ByName) or set(given_.names) == set(case.names)
    names = [*case.names, *(output.layer for output in case.outputs)]
    assert not any("/" in name for name in names)
    assert case.eager or all(re.fullmatch(r"[A-Za-z0-9.][\w.-]*", n, re.ASCII) for n in names)


@given(cases(max_outputs=2, containers=("dict",), entries=("fit",), eager=True, twists=()))
def test_dimensions_can_be_held(case: Case) -> None:
    """Lost: a test of one container or one method could not be written with these strategies."""
    assert len(case.outputs) <= 2
    assert (case.container, case.entry, case.eager) == ("dict", "fit", True)


def _drawn(count: int, strategy: st.SearchStrategy[Case]) -> list[Case]:
    drawn: list[Case] = []

    @settings(
        max_examples=count,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def draw(case: Case) -> None:
        drawn.append(case)

    draw()
    return drawn


def test_what_matters_is_drawn_often() -> None:
    """Lost: a search of the default budget could end before it meets what it searches for."""
    drawn, plain = _drawn(1000, cases()), _drawn(1000, cases(twists=()))
    share = {
        "names out of order": sum(list(case.names) != sorted(case.names) for case in drawn),
        "dict outputs": sum(case.container == "dict" for case in drawn),
        "keys unlike layers": sum(
            any(output.key not in (None, output.layer) for output in case.outputs) for case in drawn
        ),
        "no loss": sum(
            not case.predicting and any(wire.loss is None for wire in wiring(case))
            for case in drawn
            if not case.refused
        ),
        "weights": sum(case.loss_weights is not None for case in drawn),
        "metrics": sum(case.metrics is not None for case in drawn),
        "keys in another order": sum(
            isinstance(case.targets, ByName) and case.targets.names != case.names for case in drawn
        ),
        "the founding bug": sum(map(_by_alphabet, plain)),
    }
    assert min(share.values()) > len(drawn) / 100, share


def test_every_form_of_every_dimension_is_drawn() -> None:
    """Lost: a form that a refactoring no longer draws is searched by nobody, and nobody is told."""
    drawn = _drawn(1000, cases(twists=()))
    kinds = {One, InOrder, ByName, type(None)}
    assert {len(case.outputs) for case in drawn} == {1, 2, 3, 4, 5}
    assert {case.container for case in drawn} == set(strategies.CONTAINERS)
    assert {case.entry for case in drawn} == set(strategies.ENTRIES)
    assert {case.eager for case in drawn} == {True, False}
    assert {type(case.loss) for case in drawn} == kinds - {type(None)}
    assert {type(case.targets) for case in drawn} == {InOrder, ByName}
    assert {type(case.loss_weights) for case in drawn} == kinds - {One}
    assert {type(case.metrics) for case in drawn} == kinds - {One}
    wires = [wire for case in drawn for wire in wiring(case)]
    assert {wire.loss for wire in wires} == {"mse", "mae", None}
    assert {wire.metrics for wire in wires} == {(), ("mae",), ("mse",), ("mae", "mse")}
    named = [case.loss for case in drawn if isinstance(case.loss, ByName)]
    assert any(None in loss.as_dict().values() for loss in named)
    assert any(
        len(case.loss.items) < len(case.outputs) for case in drawn if isinstance(case.loss, ByName)
    )


@pytest.mark.parametrize("twist", TWISTS, ids=lambda twist: twist.__name__)
def test_every_twist_changes_something(twist: Twist) -> None:
    """Lost: a dimension could die without anybody being told: all that is drawn stays plain."""
    changed = [case for case in _drawn(60, cases(twists=(twist,))) if _odd(case)]
    assert changed, twist.__name__


def _odd(case: Case) -> bool:
    """Whether a case has what no case without twists has."""
    plain = {field.name for field in fields(Case)} - {"outputs", "container", "entry", "eager"}
    plain -= {"loss", "targets", "loss_weights", "metrics"}
    defaults = {field.name: field.default for field in fields(Case)}
    if any(getattr(case, name) != defaults[name] for name in plain):
        return True
    bare = isinstance(case.metrics, One) or "'mae'," not in repr(case.metrics)
    return (
        case.container not in strategies.CONTAINERS
        or case.entry not in strategies.ENTRIES
        or bool(doubts(case) or leeway(case))
        or any(output.width > 1 for output in case.outputs)
        or (case.metrics is not None and bare)
        or bool(set(case.names) - PLAIN_NAMES)
        or _permuted(case)
        or not case.eager
    )


PLAIN_NAMES = {*"abcdefghijklmnopqrstuvwxyz", *strategies.SURPRISING}


def _permuted(case: Case) -> bool:
    layers = [output.layer for output in case.outputs]
    return set(layers) == set(case.names) and layers != list(case.names)


def test_every_choice_of_every_dimension_is_drawn() -> None:
    """Lost: a kind of container, data or round trip that is drawn no more is searched by nobody."""
    drawn = _drawn(2000, cases()) + _drawn(1000, cases(first=(MODELS, USES)))
    drawn += _drawn(1000, cases(first=(ARGUMENTS, ARGUMENTS)))
    drawn += _drawn(500, cases(first=((held_layers,),)))
    for name, choices in (
        ("container", Container),
        ("entry", Entry),
        ("data", Data),
        ("earlier", Earlier),
        ("model", Architecture),
        ("trip", Trip),
        ("spelling", Spelling),
        ("heads", Heads),
        ("within", Within),
        ("shared", Shared),
    ):
        assert {getattr(case, name) for case in drawn} == set(get_args(choices)), name
    assert any(case.jit for case in drawn)
    assert any(case.auto for case in drawn)
    assert any(case.joint for case in drawn)
    assert any(case.refused for case in drawn)
    assert any(case.inputs.fed_none for case in drawn if case.inputs)
    assert any(case.steps_per_execution == 2 for case in drawn)
    kinds = {type(given) for case in drawn for _, given in case.forms()}
    assert kinds == {One, InOrder, ByName, Like}
    assert {case.inputs.container for case in drawn if case.inputs} == {
        "list",
        "tuple",
        "dict",
        "OrderedDict",
        "defaultdict",
        "namedtuple",
        "nested",
    }


def test_users_import_both_kinds_from_one_place() -> None:
    """Lost: the import that the README shows."""
    assert {"cases", "trees"} <= set(strategies.__all__)
