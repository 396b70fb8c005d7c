"""Without these, a finding could name a rule that is not there, or lose its source."""

from __future__ import annotations

from hypothesis import given

from keras_repro.case import Case
from keras_repro.contract import RULES, rule, strongest
from keras_repro.oracle import expected, rules_of
from keras_repro.strategies import cases


def test_every_rule_is_there_under_its_own_id() -> None:
    """Lost: stored findings name rules by id; one that moved would make them say another thing."""
    assert list(RULES) == [f"R{n}" for n in range(1, 30)] + [f"T{n}" for n in range(1, 10)]
    assert all(identity == one.id for identity, one in RULES.items())


def test_every_rule_says_what_and_where() -> None:
    """Lost: an issue that is filed would lack the sentence or the page it rests on."""
    for one in RULES.values():
        assert one.sentence.endswith(".")
        assert one.source.startswith("https://")


@given(cases())
def test_the_oracle_rests_on_known_rules(case: Case) -> None:
    """Lost: the oracle could call a number wrong by a rule that nobody wrote."""
    relied = rules_of(case)
    for number in expected(case):
        assert number.rules
        assert set(number.rules) <= set(relied)
    assert all(rule(identity) for identity in relied)


def test_a_finding_is_as_strong_as_its_strongest_rule() -> None:
    """Lost: what is worth filing could be filed as a mere oddity, or the other way round."""
    assert strongest(["R8", "R3"]) == "contract"
    assert strongest(["R8"]) == "inconsistent"
