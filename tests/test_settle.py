"""Without these, one bug would be several findings, or one finding several bugs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import cast

from keras_bisect.outcome import Ended, Outcome, Raised
from keras_bisect.verdict import judge
from keras_repro.case import ByName, Case
from keras_repro.find import Finding
from keras_repro.find.condition import Evidence
from keras_repro.find.facts import facts
from keras_repro.find.loop import told_apart
from keras_repro.find.runs import Runs
from keras_repro.find.seen import Memory, Seen, Shown
from keras_repro.find.settle import Settling
from keras_repro.reading import AnyCase, CaseSignature, explain
from keras_repro.trees.case import Node, TreeCase
from test_case import FOUNDING


class Disguised:
    """Runs of a Keras that fails in one way without a round trip, and in another after one."""

    jobs = 2

    def outcome(self, case: Case, _tree: str) -> Outcome:
        kind = "ValueError" if case.trip == "none" else "TypeError"
        frames = ("src/trainers/compile_utils.py:call",)
        return Outcome(Ended.EXIT, 1, 0.1, raised=Raised(kind, "no such thing", frames))

    def is_right(self, case: Case, tree: str) -> bool:
        return self.outcome(case, tree).code == 0

    def ahead(self, cases: Iterable[AnyCase], tree: str) -> Iterable[AnyCase]:
        return cases

    def stop(self) -> None:
        raise AssertionError("nothing went wrong")


def test_what_fails_without_a_round_trip_is_not_blamed_on_it() -> None:
    """Lost: a report of `load_model`, for a model that never worked."""
    runs, memory = Disguised(), Memory()
    loaded = replace(FOUNDING, trip="save")
    outcome = runs.outcome(loaded, "optree")
    reading = explain(loaded, outcome)
    assert reading is not None and "R20" in reading.rules
    memory.fails(Seen(loaded, "optree", reading, outcome, 1), facts(loaded))
    settling = Settling(cast(Runs, runs), memory, ("optree",))
    settling.settle(memory.waiting, lambda: None)
    [finding] = memory.findings(unshrunk=True)
    assert isinstance(finding.case, Case) and finding.case.trip == "none"
    assert "ValueError" in finding.reading.signature and "R20" not in finding.reading.rules
    # The same once more is nothing new, and takes nothing away.
    assert memory.fails(Seen(loaded, "optree", reading, outcome, 2), facts(loaded))
    settling.settle(memory.waiting[1:], lambda: None)
    assert [one.reading for one in memory.findings(unshrunk=True)] == [finding.reading]


class Loud(Disguised):
    """Runs of a Keras that mixes up targets, and says so where their shapes differ."""

    def outcome(self, case: Case, tree: str) -> Outcome:
        if not isinstance(case.targets, ByName) or case.names != ("b", "a"):
            return Outcome(Ended.EXIT, 0, 0.1)
        if len({output.width for output in case.outputs}) > 1:
            return super().outcome(case, tree)
        stdout = "'loss'     expected 45.0     observed 29.0 <- wrong\n"
        return Outcome(Ended.EXIT, 1, 0.1, stdout=stdout)


def test_a_swap_that_shapes_make_loud_is_the_quiet_one() -> None:
    """Lost: one bug is two findings, as some models have outputs of several shapes."""
    runs, memory = Loud(), Memory()
    first, second = FOUNDING.outputs
    loud = FOUNDING.but(outputs=(first, replace(second, width=3)))
    outcome = runs.outcome(loud, "optree")
    reading = explain(loud, outcome)
    assert reading is not None and reading.refused
    memory.fails(Seen(loud, "optree", reading, outcome, 1), facts(loud))
    Settling(cast(Runs, runs), memory, ("optree",)).settle(memory.waiting, lambda: None)
    [finding] = memory.findings(unshrunk=True)
    assert finding.reading.signature.startswith("target: alphabet")


class Swapped(Disguised):
    """Runs of a Keras that gives each output the other's target, whatever they are called."""

    def outcome(self, case: Case, tree: str) -> Outcome:
        if len(case.outputs) != 2:
            return Outcome(Ended.EXIT, 0, 0.1)
        stdout = "'loss'     expected 45.0     observed 29.0 <- wrong\n"
        return Outcome(Ended.EXIT, 1, 0.1, stdout=stdout)


def test_a_swap_of_all_names_is_not_one_of_the_alphabet() -> None:
    """Lost: one bug is three findings, of which two speak of an order that has no part in it."""
    runs, memory = Swapped(), Memory()
    outcome = runs.outcome(FOUNDING, "optree")
    reading = explain(FOUNDING, outcome)
    assert reading is not None and "alphabet" in reading.signature
    memory.fails(Seen(FOUNDING, "optree", reading, outcome, 1), facts(FOUNDING))
    Settling(cast(Runs, runs), memory, ("optree",)).settle(memory.waiting, lambda: None)
    [finding] = memory.findings(unshrunk=True)
    assert finding.reading.signature.startswith("target: other order")


def test_what_fails_in_an_older_build_too_is_no_evidence() -> None:
    """Lost: the condition of a regression would name what never worked, and be avoided with it."""
    outcome = Swapped().outcome(FOUNDING, "optree")
    shown = Shown.of(FOUNDING, facts(FOUNDING), outcome)
    assert shown is not None and shown.failures
    assert shown.without(lambda case: True) is shown
    assert shown.without(lambda case: False) is None
    structure = TreeCase(Node("dict", (1, 2), ("b", "a")))
    text = (
        "flatten(structure)\n  expected [2, 1]\n  observed [1, 2]\n"
        "is_nested(structure)\n  expected True\n  observed False\n"
    )
    both = Shown.of(structure, facts(structure), Outcome(Ended.EXIT, 1, 0.1, stdout=text))
    assert both is not None and both.asked is not None and len(both.failures) == 2
    one = both.without(lambda case: isinstance(case, TreeCase) and case.law == "T2")
    assert one is not None and one.asked is not None
    assert [case.law for case, _ in one.failures if isinstance(case, TreeCase)] == ["T2"]
    assert both.asked - one.asked == {"T8.nested"}


def test_what_a_condition_explains_in_the_end_is_one_finding() -> None:
    """Lost: one bug of two round trips is two findings, whose conditions are word for word one."""
    made: list[Finding] = []
    for trip in ("config", "save"):
        case = FOUNDING.but(trip=trip)
        outcome = Disguised().outcome(case, "optree")
        reading = explain(case, outcome)
        assert reading is not None
        failed = [facts(case), facts(FOUNDING.but(trip="config")), facts(FOUNDING.but(trip="save"))]
        evidence = Evidence(failed[0], facts(FOUNDING), failed=failed, passed=[facts(FOUNDING)])
        judged = judge(outcome, CaseSignature(case, reading.signature))
        finding = Finding(case, reading, "optree", {"optree": judged}, 1, evidence.condition)
        made.append(finding)
    assert list(told_apart(made)) == made[:1]
    assert list(told_apart(made[::-1])) == made[:0:-1]
    unlike = replace(made[1], case=FOUNDING.but(trip="clone"))
    assert list(told_apart([made[0], unlike])) == [made[0], unlike]
    # Keras may say the same of what another rule allows.
    nested = replace(made[1], reading=replace(made[1].reading, rules=("R13",)))
    assert list(told_apart([made[0], nested])) == [made[0], nested]


class Masked(Disguised):
    """Runs of a Keras that fails in one way for two reasons: `fit`, and cloning."""

    def outcome(self, case: Case, tree: str) -> Outcome:
        if case.entry != "fit" and case.trip != "clone":
            return Outcome(Ended.EXIT, 0, 0.1)
        return super().outcome(case.but(trip="none"), tree)


def test_a_bug_of_cloning_is_not_made_small_into_another_bug() -> None:
    """Lost: the second of two bugs with one symptom, as the first is what shrinking comes to."""
    runs, memory = Masked(), Memory()
    settling = Settling(cast(Runs, runs), memory, ("optree",))
    for number, case in enumerate((FOUNDING.but(entry="fit"), FOUNDING.but(trip="clone"))):
        known = facts(case)
        memory.draws(case, known)
        outcome = runs.outcome(case, "optree")
        reading = explain(case, outcome)
        assert reading is not None
        seen = Seen(case, "optree", reading, outcome, number)
        memory.fails(seen, known, lambda dimensions: dimensions == {"trip"})
        waiting, memory.waiting = memory.waiting, []
        settling.settle(waiting, lambda: None)
    found = [one.case for one in memory.findings(unshrunk=True)]
    assert [(one.entry, one.trip) for one in found if isinstance(one, Case)] == [
        ("fit", "none"),
        ("evaluate", "clone"),
    ]
