"""Without these, a search could miss its bug, mix two up, end early, or not be repeatable."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from keras_bisect.builds.build import parse_build
from keras_bisect.builds.index import Index
from keras_bisect.builds.store import Source, Store, cache_folder
from keras_bisect.errors import HarnessError
from keras_bisect.outcome import Ended, Outcome, Raised, Tree
from keras_bisect.probe.prober import Prober, Script
from keras_bisect.verdict import judge
from keras_repro.case import ByName, Case
from keras_repro.find import Budget, Finding, Found, Kept, Searched, search
from keras_repro.find.condition import Evidence
from keras_repro.find.facts import facts
from keras_repro.find.loop import told_apart
from keras_repro.find.runs import Runs
from keras_repro.find.seen import Memory, Seen, Shown
from keras_repro.find.settle import Settling
from keras_repro.reading import AnyCase, CaseSignature, explain, render
from keras_repro.trees.case import Node, TreeCase
from probing import survivors
from test_case import FOUNDING
from tiny_keras import tiny_keras


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    with Prober(timeout=30) as prober:
        yield prober
    assert not survivors()


def find(
    prober: Prober, source: Source, *, count: int = 60, structures: int = 0, first: bool = False
) -> Found:
    budget = Budget(max_examples=count, structures_per_model=structures, first=first)
    return search(prober, source, trees=("optree",), seed=1, budget=budget)


def signatures(found: Found) -> list[str]:
    return [finding.reading.signature for finding in found.findings]


@pytest.mark.usefixtures("plain_cases")
def test_nothing_is_found_where_nothing_is_wrong(prober: Prober, tmp_path: Path) -> None:
    """Lost: false alarms would be filed against people who did nothing wrong."""
    found = find(prober, tiny_keras(tmp_path))
    assert found.findings == ()
    assert found.examples >= 55
    assert not found.interrupted


@pytest.mark.usefixtures("plain_cases")
def test_a_planted_bug_is_found_and_shrunk_to_what_is_known(prober: Prober, tmp_path: Path) -> None:
    """Lost: the toolkit would not do what it is for."""
    found = find(prober, tiny_keras(tmp_path, "alphabet"))
    finding = next(
        one
        for one in found.findings
        if one.reading.signature == "target: alphabet (dict targets, list outputs)"
    )
    case = finding.case
    assert isinstance(case, Case)
    assert (case.names, case.targets, case.container) == (("b", "a"), FOUNDING.targets, "list")
    assert finding.reading.strength == "contract"
    assert finding.trees["optree"].verdict == "bad"
    # Metrics meet the same targets; whoever sees only those has another symptom of it.
    assert {one.partition("(")[2] for one in signatures(found)} == {"dict targets, list outputs)"}


@pytest.mark.usefixtures("plain_cases")
def test_as_many_side_by_side_find_the_same(prober: Prober, tmp_path: Path) -> None:
    """Lost: a seed would mean something on machines with as many processors alone."""
    source = tiny_keras(tmp_path, "alphabet")
    with Prober(timeout=30, jobs=1) as one, Prober(timeout=30, jobs=5) as five:
        alone, together = (find(its, source) for its in (one, five))
    assert alone.findings == together.findings and alone.findings
    assert (alone.examples, alone.avoided) == (together.examples, together.avoided)


@pytest.mark.usefixtures("plain_cases")
def test_a_worker_that_dies_does_not_end_the_search(prober: Prober, tmp_path: Path) -> None:
    """Lost: the worst bugs, those that kill the process, would hide all others."""
    found = find(prober, tiny_keras(tmp_path, "crash"))
    assert signatures(found) == ["failed: is killed by SIGKILL"]
    case = found.findings[0].case
    assert isinstance(case, Case) and case.names == ("a", "b", "c")
    assert found.examples >= 55


@pytest.mark.usefixtures("plain_cases")
def test_the_first_is_enough_where_that_is_asked_for(prober: Prober, tmp_path: Path) -> None:
    """Lost: `--first` would search on, and take as long as a whole search."""
    told: list[Searched] = []
    source = tiny_keras(tmp_path, "refusal")
    budget = Budget(max_examples=60, structures_per_model=0, first=True)
    found = search(prober, source, trees=("optree",), seed=1, budget=budget, listener=told.append)
    assert len(found.findings) == 1
    assert found.findings[0].reading.rules == ("R5",)
    assert found.findings[0].reading.refused
    assert found.examples < 55
    assert [one.examples for one in told] == sorted(one.examples for one in told)
    assert told[-1] == Searched(found.examples, 1, 1)


@pytest.mark.usefixtures("plain_cases")
def test_what_is_interrupted_is_kept(prober: Prober, tmp_path: Path) -> None:
    """Lost: Ctrl-C after an hour would throw away what the hour had found."""

    def interrupt(searched: Searched) -> None:
        if searched.shrunk:
            raise KeyboardInterrupt

    budget = Budget(max_examples=60, structures_per_model=0)
    found = search(
        prober,
        tiny_keras(tmp_path, "alphabet"),
        trees=("optree",),
        seed=1,
        budget=budget,
        listener=interrupt,
    )
    assert found.interrupted
    assert found.findings


@pytest.mark.usefixtures("plain_cases")
def test_what_was_found_before_a_fault_is_kept(prober: Prober, tmp_path: Path) -> None:
    """Lost: a fault of the toolkit after an hour would throw away what the hour had found."""

    def fail(searched: Searched) -> None:
        if searched.shrunk:
            raise HarnessError("no disk")

    budget = Budget(max_examples=60, structures_per_model=0)
    source = tiny_keras(tmp_path, "alphabet")
    found = search(prober, source, trees=("optree",), seed=1, budget=budget, listener=fail)
    assert str(found.fault) == "no disk" and found.findings
    # What was seen and is not small yet is there, too, and does fail.
    assert all(one.trees["optree"].verdict == "bad" for one in found.findings)


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


class Slow(Runs):
    """Runs of which no two may be of one script, and that take a while."""

    def __init__(self, jobs: int) -> None:
        super().__init__(
            cast(Prober, SimpleNamespace(jobs=jobs, backend="")),
            cast(Source, SimpleNamespace(build="")),
        )
        self.ran: list[str] = []
        self.most = 0

    def _run(self, script: Script, tree: Tree) -> Outcome:
        self.most = max(self.most, self._busy)
        assert script.text not in self.ran
        self.ran.append(script.text)
        time.sleep(0.02)
        return Outcome(Ended.EXIT, len(self.ran) % 2, 0.0)


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_what_is_run_ahead_is_run_once_and_looked_at_in_its_order(jobs: int) -> None:
    """Lost: more processors would shrink to something else, or never be used."""
    cases = [replace(FOUNDING, batches=count) for count in (1, 2, 3, 4, 2, 5, 6, 7, 8, 1)]
    with Slow(jobs) as runs:
        seen = [case for case in runs.ahead(cases, "optree") if runs.outcome(case, "optree")]
    assert seen == cases
    assert len(runs.ran) == 8
    assert runs.most == jobs if jobs < 5 else 2 < runs.most <= 5


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


@pytest.mark.usefixtures("plain_cases")
def test_a_finding_says_when_it_comes_and_what_passes_beside_it(
    prober: Prober, tmp_path: Path
) -> None:
    """Lost: whoever mends it would have to find out anew what it hangs on."""
    found = find(prober, tiny_keras(tmp_path, "alphabet"), count=200)
    finding = next(one for one in found.findings if one.case.__class__ is Case)
    assert finding.condition is not None and finding.share
    needs = finding.condition.needs
    assert "dict" in needs["targets"] and "list" not in needs["targets"]
    assert {"names", "targets.alphabet"} & set(needs)
    assert finding.passing is not None
    assert explain(finding.passing, prober_outcome(prober, tmp_path, finding.passing)) is None


def prober_outcome(prober: Prober, tmp_path: Path, case: AnyCase) -> Outcome:
    return prober.run(render(case), tiny_keras(tmp_path / "again", "alphabet"), "optree")


@pytest.mark.usefixtures("plain_cases")
def test_a_common_bug_does_not_hide_a_rare_one(prober: Prober, tmp_path: Path) -> None:
    """Lost: in a release with one bug everywhere the others would never be seen."""
    source = tiny_keras(tmp_path, "alphabet", "rare")
    rare = "refused: RuntimeError: rare"
    budget = Budget(max_examples=600, structures_per_model=0)
    found = search(prober, source, trees=("optree",), seed=1, budget=budget)
    assert found.avoided > 5
    [finding] = [one for one in found.findings if one.reading.signature == rare]
    assert isinstance(finding.case, Case) and finding.case.entry == "fit"
    assert "alphabet" in " ".join(signatures(found))


@pytest.mark.usefixtures("plain_cases")
def test_what_was_found_before_is_tried_first(prober: Prober, tmp_path: Path) -> None:
    """Lost: a release with a known bug would be searched as if nobody had ever seen it."""
    source, kept = tiny_keras(tmp_path, "alphabet"), Kept(tmp_path / "kept")
    budget = Budget(max_examples=60, structures_per_model=0)
    first = search(prober, source, trees=("optree",), seed=1, budget=budget, kept=kept)
    (kept.folder / "old.json").write_text('{"schema": 99}', "utf-8")
    few = Budget(max_examples=1, structures_per_model=0)
    again = search(prober, source, trees=("optree",), seed=2, budget=few, kept=kept)
    assert again.replayed == len(first.findings) > 0
    assert {one.reading.signature for one in first.findings} <= set(signatures(again))
    assert {one.examples for one in again.findings if one.case in kept.cases()} == {0}


@pytest.mark.usefixtures("plain_cases")
def test_only_what_is_asked_for_is_found(prober: Prober, tmp_path: Path) -> None:
    """Lost: `--only` and `--not` would cost their time and change nothing."""
    source = tiny_keras(tmp_path, "alphabet", "rare")

    def rules(**wanted: frozenset[str]) -> set[str]:
        budget = Budget(max_examples=60, structures_per_model=0, **wanted)
        found = search(prober, source, trees=("optree",), seed=1, budget=budget)
        return {rule for one in found.findings for rule in one.reading.rules}

    assert "R11" in rules(only=frozenset({"R11"}))
    assert rules(without=frozenset({"R10", "R11", "R17"})).isdisjoint({"R11"})
    assert rules(only=frozenset({"R5"})) <= {"R5"}


@pytest.mark.usefixtures("plain_cases")
def test_structures_alone_cost_no_model(prober: Prober, tmp_path: Path) -> None:
    """Lost: whoever looks at keras.tree alone would wait for models, or for ever."""
    budget = Budget(max_examples=20, only=frozenset({"T2"}))
    found = search(prober, tiny_keras(tmp_path), trees=("optree",), seed=1, budget=budget)
    assert 20 <= found.examples <= 80


@pytest.mark.usefixtures("plain_cases")
def test_a_search_ends_with_its_time(prober: Prober, tmp_path: Path) -> None:
    """Lost: a job that was given a minute would run until somebody stops it."""
    budget = Budget(max_examples=None, seconds=0.01, structures_per_model=0)
    found = search(prober, tiny_keras(tmp_path), trees=("optree",), seed=1, budget=budget)
    assert found.examples < 60


# -- a real release --------------------------------------------------------------------


@pytest.fixture(scope="module")
def released() -> Iterator[Source]:
    """Keras 3.5.0, which has the founding bug, from the user's own cache."""
    cache = cache_folder()
    with Store(cache) as store:
        yield store.get(Index(cache).resolve(parse_build("3.5.0")))


@pytest.fixture(scope="module")
def found(prober: Prober, released: Source) -> Found:
    return find(prober, released, count=40, structures=1)


@pytest.mark.network
def test_a_release_with_bugs_is_caught(prober: Prober, released: Source, found: Found) -> None:
    """Lost: all else here could hold, and a real Keras still be searched in vain."""
    assert found.findings
    assert len(set(signatures(found))) == len(found.findings)
    # Contract before inconsistent, models before structures, then the commonest.
    order = [
        (one.reading.strength, isinstance(one.case, TreeCase), -round(one.share or 0.0, 1))
        for one in found.findings
    ]
    assert order == sorted(order)
    for finding in found.findings[:4]:
        outcome = prober.run(finding.script, released, finding.tree)
        assert judge(outcome, finding.signature).verdict == "bad"


@pytest.mark.network
def test_the_same_seed_finds_the_same(prober: Prober, released: Source, found: Found) -> None:
    """Lost: nobody could show to another what a search has found."""
    again = find(prober, released, count=40, structures=1)
    assert again.examples == found.examples
    assert [(one.case, one.reading, one.examples) for one in again.findings] == [
        (one.case, one.reading, one.examples) for one in found.findings
    ]
