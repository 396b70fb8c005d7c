"""Without these, a search could miss its bug, mix two up, end early, or not be repeatable."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from keras_bisect.builds.build import parse_build
from keras_bisect.builds.index import Index
from keras_bisect.builds.store import Source, Store, cache_folder
from keras_bisect.errors import HarnessError
from keras_bisect.outcome import Outcome
from keras_bisect.probe.prober import Prober
from keras_bisect.verdict import judge
from keras_repro.case import Case
from keras_repro.find import Budget, Found, Kept, Searched, search
from keras_repro.reading import AnyCase, explain, render
from keras_repro.trees.case import TreeCase
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
