"""Without these, what no rule decides could hang on the order of a dict, and nobody would see."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings

from keras_bisect.errors import UsageError
from keras_bisect.outcome import Ended, Outcome
from keras_bisect.probe.prober import Prober
from keras_repro.case import Beside, ByName, Case, InOrder, One, from_json, to_json
from keras_repro.case.beside import RULES_OF, changed
from keras_repro.find.facts import facts, worded
from keras_repro.loosened import open_cases
from keras_repro.oracle import promised
from keras_repro.reading import Reading, explain, render
from keras_repro.shrink import simpler
from test_case import FOUNDING
from tiny_keras import tiny_keras

OPEN = FOUNDING.but(
    loss=InOrder((None, "mse")),
    loss_weights=None,
    metrics=InOrder((("mae",), ("mse",))),
    beside="other key order",
)
"""Which entries of a list of metrics belong to outputs that have no loss, nobody says."""

DIFFERS = "'loss'     first 9.0 second 4.0 <- differs"


def outcome(*lines: str, code: int = 1) -> Outcome:
    return Outcome(Ended.EXIT, code, 0.1, stdout="\n".join(lines) + "\n")


def reading(case: Case, *lines: str) -> Reading:
    found = explain(case, outcome(*lines))
    assert found is not None
    return found


@settings(max_examples=60)
@given(open_cases())
def test_only_what_no_rule_decides_has_another_one_beside_it(case: Case) -> None:
    """Lost: what the rules judge would be judged twice, the second time without a number."""
    alone = case.but(beside="nothing")
    assert promised(case) and changed(case) != alone
    # A target may be missing, and that is promised by nobody, too.
    with contextlib.suppress(UsageError):
        assert not promised(alone)
    assert from_json(to_json(case)) == case
    script = render(case)
    script.check()
    assert "second = None" in script.text
    for smaller in simpler(case):
        assert isinstance(smaller, Case) and smaller.beside == case.beside


@pytest.mark.parametrize("beside", RULES_OF)
def test_contract_is_what_is_said_of_every_model(beside: Beside) -> None:
    """Lost: a form that nobody promised anything about would be filed as a breach of contract."""
    found = reading(OPEN.but(beside=beside), DIFFERS)
    assert found.rules == (RULES_OF[beside],)
    strong = RULES_OF[beside] in ("R17", "R19", "R20")
    assert (found.strength == "contract") == strong


def test_what_has_no_names_and_what_is_refused_is_no_breach_of_contract() -> None:
    """Lost: false alarms of the worst kind."""
    nameless = OPEN.but(model="subclass")
    assert reading(nameless, DIFFERS).strength == "inconsistent"
    # The change brings a doubt of its own: a list of targets in a batch.
    batched = OPEN.but(targets=InOrder((3.0, 4.0)), beside="generator")
    assert reading(batched, DIFFERS).strength == "inconsistent"
    refused = reading(OPEN, "Keras refuses the second: KeyError('a')")
    assert refused.strength == "inconsistent" and "refusal" in refused.signature
    both = [f"Keras refuses the {name}: KeyError('a')" for name in ("first", "second")]
    assert explain(OPEN, outcome(*both)) is None


def test_a_change_that_changes_nothing_is_no_case() -> None:
    """Lost: a report that leaves out the only dict would hold a model against itself, or crash."""
    with pytest.raises(ValueError, match="no change"):
        OPEN.but(targets=InOrder((3.0, 4.0)))


def test_what_is_shuffled_is_not_compared() -> None:
    """Lost: rows that `fit` has shuffled would be a breach of contract in every second run."""
    weighted = OPEN.but(targets=One(3.0), loss=ByName((("b", "mse"), ("a", "mse"))))
    weighted = weighted.but(metrics=None, sample_weight=One(13.0))
    assert promised(weighted) and not promised(weighted.but(entry="fit"))
    there = weighted.but(entry="train_on_batch", beside="other entry")
    assert not promised(there) and promised(there.but(sample_weight=None))


def test_what_differs_is_named() -> None:
    """Lost: two bugs under one name, or one under two."""
    metric = "'b_mae'    first 1.0 second 2.0 <- differs"
    assert reading(OPEN, metric).signature == (
        "other key order: metric differs (list metrics, list outputs)"
    )
    assert reading(OPEN, metric, DIFFERS).signature == (
        "other key order: total differs (list loss, list outputs)"
    )
    assert worded("beside", [facts(OPEN)["beside"]]) == "other key order beside it"


def test_a_planted_bug_that_no_rule_sees_is_seen(tmp_path: Path) -> None:
    """Lost: the script would agree with itself, whatever Keras does."""
    with Prober(timeout=30) as prober:
        wrong = prober.run(render(OPEN), tiny_keras(tmp_path / "wrong", "insertion"))
        right = prober.run(render(OPEN), tiny_keras(tmp_path / "right"))
    assert right.code == 0 and right.raised is None and "refuses" not in right.stdout
    found = explain(OPEN, wrong)
    assert found is not None and found.strength == "contract" and found.rules == ("R17",)
