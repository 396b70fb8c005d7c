"""Without these, a known bug would hide an unknown one, or a finding come when it is said not to.

The worlds are bugs whose condition is known: from the facts of a case follows whether it fails.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_repro.case import ByName, Case, InOrder, One, Output
from keras_repro.find.condition import Evidence
from keras_repro.find.facts import Facts, facts, worded
from keras_repro.strategies import cases, tree_cases
from keras_repro.trees.case import Node, TreeCase
from test_case import FOUNDING

DIMENSIONS = {
    "container": ("list", "tuple", "dict"),
    "loss": ("one", "list", "dict"),
    "loss_weights": ("none", "list", "dict"),
    "names": ("in alphabetical order", "not in alphabetical order"),
    "entry": ("evaluate", "fit", "train_on_batch"),
    "eager": ("yes", "no"),
    "metrics": ("none", "dict"),
}
PLAIN = {name: values[0] for name, values in DIMENSIONS.items()}
ALL = st.fixed_dictionaries({name: st.sampled_from(v) for name, v in DIMENSIONS.items()})

Bug = dict[str, set[str]]
BUGS: list[Bug] = [
    {"loss": {"list"}, "loss_weights": {"dict"}, "names": {"not in alphabetical order"}},
    {"container": {"list", "tuple"}, "loss": {"dict"}},
    {"eager": {"no"}},
    {"entry": {"fit", "train_on_batch"}, "eager": {"yes"}},
    {"loss": {"dict"}, "container": {"dict"}, "metrics": {"none"}},
]


def fails(bug: Bug, one: Facts) -> bool:
    return all(one[name] in values for name, values in bug.items())


def smallest(bug: Bug) -> Facts:
    """As shrinking leaves it: plain in all that does not matter."""
    return {n: v if v in bug.get(n, v) else min(bug[n]) for n, v in PLAIN.items()}


def near(bug: Bug) -> list[Facts]:
    """What shrinking tried: plainer in one dimension, and it passed."""
    start = smallest(bug)
    return [{**start, name: PLAIN[name]} for name in start if start[name] != PLAIN[name]]


@pytest.mark.parametrize("bug", BUGS, ids=range(len(BUGS)))
@pytest.mark.parametrize("seed", range(5))
def test_the_condition_of_a_bug_is_learned(bug: Bug, seed: int) -> None:
    """Lost: a finding of which nobody can say when it happens."""
    chance = random.Random(seed)
    evidence = Evidence(smallest(bug), PLAIN, passed=near(bug))
    for _ in range(400):
        one = {name: chance.choice(values) for name, values in DIMENSIONS.items()}
        evidence.add(one, fails(bug, one))
    assert {name: set(values) for name, values in evidence.condition.needs.items()} == bug


@given(st.sampled_from(BUGS), st.lists(ALL, max_size=60), ALL)
def test_nothing_is_avoided_but_what_is_as_odd_as_what_failed(
    bug: Bug, seen: list[Facts], case: Facts
) -> None:
    """Lost: rare bugs hidden behind a common one that has little to do with them."""
    evidence = Evidence(smallest(bug), PLAIN, passed=near(bug))
    for one in seen:
        evidence.add(one, fails(bug, one))
    if evidence.condition.covers(case):
        odd = {name for name, value in smallest(bug).items() if value != PLAIN[name]}
        failed = [smallest(bug), *(one for one in seen if fails(bug, one))]
        for name in odd:
            assert case[name] in {one[name] for one in failed}


@given(st.sampled_from(BUGS), st.lists(ALL, max_size=200))
def test_what_passed_is_not_covered(bug: Bug, seen: list[Facts]) -> None:
    """Lost: a condition that is known to be wrong, and that cases are still held back by."""
    evidence = Evidence(smallest(bug), PLAIN, passed=near(bug))
    for one in seen:
        evidence.add(one, fails(bug, one))
    passed = [one for one in seen if not fails(bug, one)]
    missed = [one for one in passed if evidence.condition.covers(one)]
    # One or two may lie in a dimension in which the smallest case is plain.
    assert len(missed) <= 2 or not evidence.reliable


def test_one_case_that_differs_in_one_thing_and_passes_says_that_it_matters() -> None:
    """Lost: "dict targets", where a dict of outputs is well: the reader tries the wrong thing."""
    bug: Bug = {"container": {"list", "tuple"}, "loss": {"dict"}}
    passed = [*near(bug), {**smallest(bug), "container": "dict"}]
    by_chance = Evidence(smallest(bug), PLAIN, passed=passed)
    assert set(by_chance.condition.needs) == {"loss"}
    asked = Evidence(smallest(bug), PLAIN, passed=passed, near=passed[-1:])
    assert set(asked.condition.needs) == {"container", "loss"}


def test_a_failure_on_another_condition_is_told() -> None:
    """Lost: two bugs with one symptom, of which the second is never looked at."""
    one: Bug = {"loss": {"list"}, "names": {"not in alphabetical order"}}
    other: Bug = {"entry": {"fit"}, "eager": {"no"}}
    passed = [*near(one), *near(other), {**PLAIN, "eager": "no", "loss": "list"}, PLAIN]
    evidence = Evidence(smallest(one), PLAIN, passed=passed)
    assert evidence.add({**smallest(one), "container": "dict"}, failed=True)
    assert not evidence.add(smallest(other), failed=True)
    assert not evidence.condition.covers(smallest(other))


def test_chance_is_not_avoided() -> None:
    """Lost: of a failure that comes and goes, all that is like it would never be run again."""
    evidence = Evidence({**PLAIN, "eager": "no"}, PLAIN)
    for number in range(40):
        evidence.add({**PLAIN, "eager": "no"}, failed=number % 2 == 0)
    assert not evidence.reliable


# -- facts -----------------------------------------------------------------------------


@given(cases() | tree_cases())
def test_every_case_has_facts_and_each_can_be_said(case: Case | TreeCase) -> None:
    """Lost: a case that the search cannot think about, or a condition that nobody can read."""
    for name, value in facts(case).items():
        for values in ([value], [""], [value, ""]):
            said = worded(name, values)
            assert said and "." not in said and "_" not in said.replace(value, "")


@given(cases())
def test_every_field_of_a_case_is_a_dimension(case: Case) -> None:
    """Lost: a dimension that is added and that no condition can speak of."""
    found = facts(case)
    for field in fields(case):
        assert any(name.partition(".")[0] == field.name for name in found), field.name


def test_names_count_by_how_they_stand_and_not_by_what_they_are() -> None:
    """Lost: conditions that hang on a certain name."""

    def named(first: str, second: str) -> Case:
        outputs = (Output(first, 9.0), Output(second, 1.0))
        return Case(outputs, "list", One("mse"), ByName(((first, 3.0), (second, 4.0))))

    assert facts(named("q", "c")) == facts(named("b", "a")) != facts(named("a", "b"))


TWO = (Output("b", 9.0), Output("a", 1.0))
VARIED: list[tuple[str, Callable[[], Case], str]] = [
    ("loss", lambda: Case(TWO, "list", InOrder(("mse", "mse")), InOrder((3.0, 4.0))), "list"),
    ("targets", lambda: FOUNDING, "dict"),
    ("names", lambda: FOUNDING, "not in alphabetical order"),
    ("entry", lambda: replace(FOUNDING, entry="fit"), "fit"),
    ("eager", lambda: replace(FOUNDING, eager=False), "no"),
    ("loss.None", lambda: Case(TWO, "list", InOrder(("mse", None)), FOUNDING.targets), "yes"),
    ("outputs.count", lambda: FOUNDING, "2"),
    (
        "a name with digits",
        lambda: Case((Output("a1", 9.0),), "list", One("mse"), InOrder((3.0,))),
        "yes",
    ),
]


@pytest.mark.parametrize(("name", "made", "value"), VARIED, ids=[one[0] for one in VARIED])
def test_what_a_person_would_say_of_a_case_is_a_fact(
    name: str, made: Callable[[], Case], value: str
) -> None:
    """Lost: the very words in which the known bugs are described."""
    assert facts(made())[name] == value


def test_a_structure_is_out_of_order_only_where_it_shows() -> None:
    """Lost: passing cases that look like failing ones, and spoil every condition."""
    shows = TreeCase(Node("OrderedDict", (1, 2), ("b", "a")))
    hidden = TreeCase(Node("OrderedDict", (1, Node("list", ())), ("b", "a")))
    assert facts(shows)["OrderedDict out of order"] == "yes"
    assert facts(hidden)["OrderedDict out of order"] == "no"
