"""Without these, programs that read the JSON documents would break without anybody being told.

The golden files hold the documents to the last key. KERAS_REPRO_GOLDEN=write in the environment
writes them anew; whoever does that reads the difference.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from keras_bisect.documents import bisect_document, timeline_document
from keras_bisect.outcome import Ended, Loaded, Outcome
from keras_bisect.timeline import Entry, Place, Transition, transitions
from keras_bisect.verdict import Judged, Verdict
from keras_repro.documents import hunt_document, text
from keras_repro.find import Finding
from keras_repro.hunt import Hunt, Hunted
from keras_repro.reading import explain
from test_case import FOUNDING

GOLDEN = Path(__file__).parent / "golden"
WRITE = os.environ.get("KERAS_REPRO_GOLDEN") == "write"

SWAPPED = "'loss'     expected 45.0     observed 29.0 <- wrong"
ENTRIES = (
    Entry("3.4.0", Verdict.UNTESTABLE, "keras does not import: ImportError: no"),
    Entry("3.4.1", Verdict.GOOD, "passes"),
    Entry("3.5.0", Verdict.BAD, f"exits 1: {SWAPPED}"),
    Entry("3.6.0", Verdict.DIFFERENT, "KeyError: 'é'"),
    Entry("3.7.0", Verdict.GOOD, "passes"),
)
NARROWED = (
    Transition(
        "introduced",
        Verdict.GOOD,
        Verdict.BAD,
        Place("3.4.1", "3.4.1.dev2024071903"),
        Place("3.5.0", "3.4.1.dev2024072003"),
        files=("keras/src/trainers/compile_utils.py",),
    ),
    Transition(
        "changed",
        Verdict.BAD,
        Verdict.DIFFERENT,
        Place("3.5.0"),
        Place("3.6.0"),
        between=(Entry("3.5.0.dev2024100103", Verdict.UNTESTABLE, "does not end within 120 s"),),
        notes=("Neither end could be found among the nightlies.",),
    ),
)


def _hunt() -> Hunt:
    loaded = Loaded("/x/keras/__init__.py", "3.5.0", "optree")
    outcome = Outcome(Ended.EXIT, 1, 0.25, loaded, stdout=SWAPPED + "\n")
    reading = explain(FOUNDING, outcome)
    assert reading is not None
    judged = {
        "optree": Judged(Verdict.BAD, "exits 1"),
        "dm-tree": Judged(Verdict.UNTESTABLE, "the script exits 125"),
    }
    finding = Finding(FOUNDING, reading, "optree", judged, 17)  # type: ignore[arg-type]
    hunted = Hunted(finding, "3.5.0-r11-target-1a2b3c", Path("hunts/3.5.0-r11-target-1a2b3c"))
    hunted.entries, hunted.transitions = ENTRIES, NARROWED
    hunt = Hunt("3.5.0", "tensorflow", ("optree", "dm-tree"), seed=7, examples=150)
    hunt.findings.append(hunted)
    hunt.seconds = 61.23456
    return hunt


DOCUMENTS: dict[str, dict[str, Any]] = {
    "hunt": hunt_document(_hunt()),
    "nothing.hunt": hunt_document(Hunt("installed", "jax", ("dm-tree",), seed=0, examples=1)),
    "timeline": timeline_document(ENTRIES, transitions(ENTRIES)),
    "bisect": bisect_document(NARROWED, probes=31, seconds=12.34567),
}

TRANSITION = {"kind", "last", "first", "files"}
PROMISED = {
    "hunt": {"schema", "keras", "backend", "trees", "seed", "examples", "findings"},
    "timeline": {"schema", "timeline", "transitions"},
    "bisect": {"schema", "transitions", "probes", "seconds"},
}
FINDING = {
    "slug",
    "rules",
    "strength",
    "summary",
    "signature",
    "routing",
    "trees",
    "script",
    "case",
    "timeline",
    "transitions",
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_documents_are_as_they_were(name: str) -> None:
    """Lost: a key that is renamed under a program that reads it."""
    golden = GOLDEN / f"{name}.json"
    written = text(DOCUMENTS[name]).replace("hunts\\\\", "hunts/").replace("3c\\\\", "3c/")
    if WRITE:
        golden.write_text(written, "utf-8")
    assert written == golden.read_text("utf-8"), (
        f"{golden.name} differs. If that is meant, run with KERAS_REPRO_GOLDEN=write."
    )


@pytest.mark.parametrize("name, keys", PROMISED.items())
def test_what_was_promised_is_there(name: str, keys: set[str]) -> None:
    """Lost: somebody could write the golden files anew without a key that others read."""
    document = DOCUMENTS[name]
    assert keys <= document.keys()
    assert next(iter(document)) == "schema"
    transitions = [*document.get("transitions", [])]
    for finding in document.get("findings", []):
        assert finding.keys() >= FINDING
        assert set(finding["trees"].values()) <= set(Verdict)
        assert finding["routing"]
        transitions += finding["transitions"]
    assert transitions
    for one in transitions:
        assert one.keys() >= TRANSITION
        assert one["kind"] in ("introduced", "fixed", "changed")
        assert one["last"].keys() >= {"release", "nightly"} <= one["first"].keys()
    for entry in document.get("timeline", []):
        assert entry.keys() >= {"build", "verdict", "detail"}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_is_plain_json(name: str) -> None:
    """Lost: an enum or a path in a document, which only Python would understand."""
    assert json.loads(text(DOCUMENTS[name])) == DOCUMENTS[name]


def test_one_finding_has_the_form_of_a_hunt() -> None:
    """Lost: the hunt.json of a finding's folder would need a reader of its own."""
    hunt = _hunt()
    hunt.findings.append(Hunted(hunt.findings[0].finding, "other", Path("hunts/other")))
    document = hunt_document(hunt, only=hunt.findings[0])
    assert document == DOCUMENTS["hunt"]
    assert len(hunt_document(hunt)["findings"]) == 2
