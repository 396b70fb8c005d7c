"""Without these, what changed between releases goes unseen, or is said of one that it spares."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from keras_bisect.builds.build import Build
from keras_bisect.builds.index import Index
from keras_bisect.builds.store import Store
from keras_bisect.errors import HarnessError, UsageError
from keras_bisect.lab import Lab
from keras_bisect.probe.prober import Prober
from keras_repro import across
from keras_repro.across import regressions, search_releases
from keras_repro.cli import hunting
from keras_repro.cli.commands import cli
from keras_repro.find import Budget, Searched
from keras_repro.hunted import Hunt
from tiny_keras import tiny_keras

FEW = Budget(max_examples=150, structures_per_model=0)
TARGETS = "target: alphabet (dict targets, list outputs)"


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    cache = tmp_path / "cache"
    with (
        Prober(timeout=30) as prober,
        Store(cache) as store,
        Lab(Index(cache, offline=True), store, prober) as lab,
    ):
        yield lab


def built(root: Path, *bugs: str) -> Build:
    root.mkdir()
    return tiny_keras(root, *bugs).build


def verdicts(result: Hunt) -> dict[str, list[str]]:
    return {
        one.finding.reading.signature: [str(entry.verdict) for entry in one.entries]
        for one in result.findings
    }


@pytest.mark.usefixtures("plain_cases")
def test_each_failure_of_a_line_has_its_verdict_in_every_build(lab: Lab, tmp_path: Path) -> None:
    """Lost: a bug that came and went again would be found in no release, or dated by hand."""
    builds = [
        built(tmp_path / "one"),
        built(tmp_path / "two", "alphabet"),
        built(tmp_path / "three", "refusal"),
    ]
    told: list[object] = []
    result = search_releases(
        lab,
        builds,
        trees=("optree",),
        seed=1,
        budget=FEW,
        out=tmp_path / "out",
        listener=told.append,
    )
    found = verdicts(result)
    assert found[TARGETS] == ["good", "bad", "good"]
    refused = [line for signature, line in found.items() if signature.startswith("refused")]
    assert refused and all(line == ["good", "good", "bad"] for line in refused)
    for hunted in result.findings:
        assert hunted.script_file.is_file() and hunted.transitions
        assert hunted.finding.condition is not None and hunted.finding.share is not None
        # It is made small, and confirmed, in the newest build that shows it.
        bad = [entry.build for entry in hunted.entries if entry.verdict == "bad"]
        assert hunted.finding.build is not None and hunted.finding.build.name == bad[-1]
    targets = next(one for one in result.findings if one.finding.reading.signature == TARGETS)
    assert targets.finding.condition is not None and targets.finding.passing is not None
    assert "dict targets" in str(targets.finding.condition)
    assert any(isinstance(one, Searched) and one.shrunk for one in told)


@pytest.mark.usefixtures("plain_cases")
def test_a_regression_is_what_passed_before_and_nothing_else(lab: Lab, tmp_path: Path) -> None:
    """Lost: a release manager is shown what has been broken for years, and misses what is new."""
    before = built(tmp_path / "before", "alphabet")
    after = built(tmp_path / "after", "alphabet", "refusal")
    # Of two definitions the later one wins: `refusal` mends `alphabet`.
    result = regressions(
        lab,
        before,
        after,
        trees=("optree",),
        seed=1,
        budget=FEW,
        out=tmp_path / "out",
        listener=lambda _: None,
    )
    found = verdicts(result)
    assert found and all(line == ["good", "bad"] for line in found.values())
    assert all(signature.startswith("refused") for signature in found)


@pytest.mark.usefixtures("plain_cases")
def test_nothing_got_worse_where_nothing_changed(lab: Lab, tmp_path: Path) -> None:
    """Lost: alarms before every release."""
    before = built(tmp_path / "before", "alphabet")
    after = built(tmp_path / "after", "alphabet")
    result = regressions(
        lab,
        before,
        after,
        trees=("optree",),
        seed=1,
        budget=FEW,
        out=None,
        listener=lambda _: None,
    )
    assert result.findings == [] and result.examples > 50


@pytest.mark.usefixtures("plain_cases")
def test_a_fault_after_the_search_costs_no_finding(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lost: a disk that fills up while findings are dated takes them along."""

    def fail(*_: object, **__: object) -> None:
        raise HarnessError("no disk")

    monkeypatch.setattr(across, "timelines", fail)
    before, after = built(tmp_path / "before"), built(tmp_path / "after", "refusal")
    given = {"trees": ("optree",), "seed": 1, "budget": FEW, "out": tmp_path / "out"}
    result = regressions(lab, before, after, **given, listener=lambda _: None)  # type: ignore[arg-type]
    assert result.findings and all(one.script_file.is_file() for one in result.findings)
    document = json.loads((tmp_path / "out" / "hunt.json").read_text())
    assert document["fault"] == str(result.fault) == "no disk" and document["findings"]
    with pytest.raises(HarnessError, match="no disk"):
        hunting._tell(result, tmp_path / "out", json_=False, exit_code=False)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--only", ""], "a rule is missing"),
        (["--not", ""], "found nothing"),
        (["--only", "R1,"], ""),
    ],
)
def test_nothing_is_no_rule(given: list[str], said: str) -> None:
    """Lost: a shell variable that is empty makes a search of something else, and nobody notices."""
    ran = CliRunner().invoke(cli, ["find", "--keras", "3.5.0", *given])
    assert isinstance(ran.exception, UsageError) and said in str(ran.exception)


@pytest.mark.network
@pytest.mark.parametrize(
    ("ends", "said"),
    [("3.5.0..3.4.1", "is not older than"), ("3.5.0..3.99.0", "3.99.0 is no release")],
)
def test_a_line_that_is_none_is_refused(ends: str, said: str) -> None:
    """Lost: a line written backwards would be searched as nothing, and found to be fine."""
    ran = CliRunner().invoke(cli, ["find", "--keras", ends])
    assert ran.exception is not None and said in str(ran.exception)
