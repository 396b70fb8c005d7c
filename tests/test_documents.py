"""Without these, programs that read the JSON documents would break without anybody being told.

The golden files hold the documents to the last key. KERAS_REPRO_GOLDEN=write in the environment
writes them anew; whoever does that reads the difference.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from keras_bisect import events
from keras_bisect.documents import (
    bisect_document,
    event_document,
    timeline_document,
    transition_document,
)
from keras_bisect.outcome import Ended, Loaded, Outcome, Raised
from keras_bisect.record.journal import Journal
from keras_bisect.record.recorded import event_of, recorded
from keras_bisect.record.status import status, status_document
from keras_bisect.run import Run
from keras_bisect.transitions import Entry, Place, Transition, transitions
from keras_bisect.verdict import Failure, Judged, Verdict
from keras_repro.case import InOrder, One
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
    "bisect": bisect_document(
        NARROWED,
        good="3.4.1",
        bad="3.6.0",
        signature="exits 1",
        probes=31,
        seconds=12.34567,
    ),
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


RUN = Run(
    "bisect",
    "5c" * 32,
    "/home/me/repro.py",
    "3.4.1",
    "3.5.0",
    "optree",
    "tensorflow",
    {"python": "3.11.7", "tensorflow": "2.19.0"},
    {"to": "file", "match": "signature"},
)
LOADED = Loaded("/x/keras/__init__.py", "3.5.0", "optree")
FAILS = Outcome(
    Ended.EXIT,
    1,
    1.23456,
    LOADED,
    raised=Raised("KeyError", "'é'", ("src/trainers/compile_utils.py:call",)),
    stdout="one\ntwo\n",
)
TOLD: list[events.Event] = [
    events.Began(RUN, datetime(2024, 7, 20, 12, tzinfo=UTC), 123, 1721476799.25),
    events.Stage("both ends"),
    events.Probed(
        RUN.script, "3.5.0", "c0", "optree", "tensorflow", FAILS, None, 1, folder="/home/me"
    ),
    events.Judgement("3.5.0", Judged(Verdict.BAD, "KeyError: 'é'")),
    events.Probed(
        RUN.script, "3.5.0.dev2024100103", "c0", "dm-tree", "jax", FAILS, same_as="3.5.0"
    ),
    events.Stage("12 nightlies", 12),
    events.Learned(Failure.of(FAILS)),
    events.Narrowed("3.4.1", "3.5.0", builds_left=11, steps_left=4),
    events.Notice("The nightly of 2024-07-21 is gone."),
    events.Began(RUN, datetime(2024, 7, 21, 9, tzinfo=UTC), 456, None, resumed=True),
    events.Ended(4, datetime(2024, 7, 21, 10, tzinfo=UTC), "Only untestable builds are left."),
    events.Ended(
        0, datetime(2024, 7, 21, 11, tzinfo=UTC), transitions=(transition_document(NARROWED[0]),)
    ),
]


def _journal(folder: Path) -> bytes:
    with Journal(folder / "journal.jsonl", RUN.script) as journal:
        for event in TOLD:
            journal(event)
        for event in TOLD:
            if isinstance(event, events.Probed):
                journal(replace(event, sample=2))
    return (folder / "journal.jsonl").read_bytes()


def _held(name: str, written: bytes) -> None:
    if WRITE:
        (GOLDEN / name).write_bytes(written)
    assert written == (GOLDEN / name).read_bytes(), (
        f"{name} differs. If that is meant, run with KERAS_REPRO_GOLDEN=write."
    )


def test_the_events_are_as_they_were() -> None:
    """Lost: a program that follows `--events` would wait for a key that was renamed."""
    lines = [json.dumps(event_document(event)) + "\n" for event in TOLD]
    _held("events.jsonl", "".join(lines).encode())
    assert {type(event) for event in TOLD} == set(events.Event.__args__)
    # Of a failure there are only the words.
    read = [None if isinstance(event, events.Learned) else event for event in TOLD]
    assert [event_of(json.loads(line)) for line in lines] == read


def test_the_journal_is_as_it_was(tmp_path: Path) -> None:
    """Lost: a search of today could not go on with the version of tomorrow."""
    written = _journal(tmp_path)
    _held("journal.jsonl", written)
    probes = [
        document for line in written.splitlines() if "outcome" in (document := json.loads(line))
    ]
    assert len(probes) == 4 and [one["verdict"] for one in probes] == [None, None, "bad", "bad"]
    for one in probes:
        assert one.keys() >= {
            *("build", "content", "same_as", "tree", "backend", "script", "sample"),
            *("signature", "verdict", "detail", "seconds", "outcome"),
        }


def test_what_an_older_version_wrote_is_read() -> None:
    """Lost: whoever writes the golden files anew could make all journals unreadable."""
    data = (GOLDEN / "journal.jsonl").read_bytes()
    told = [one.event for one in recorded(data, "journal.jsonl")]
    unwritten = events.Judgement | events.Learned
    written = [event for event in TOLD if not isinstance(event, unwritten)]
    assert told[: len(written)] == written


@pytest.mark.parametrize("ended", [False, True])
def test_the_status_is_as_it_was(tmp_path: Path, ended: bool) -> None:
    """Lost: a program that watches a search would look for a key that was renamed."""
    lines = recorded(_journal(tmp_path), "journal.jsonl")
    until = len(lines) if ended else 6
    document = status_document(status(lines[:until], lambda pid, started: pid == 123))
    _held(f"{'ended' if ended else 'running'}.status.json", text(document).encode())
    assert json.loads(text(document)) == document


def test_what_is_lost_with_the_order_of_outputs_is_one_cause() -> None:
    """Lost: a model that forgets an order when it is saved is three findings, and looks like three
    bugs: of losses, of targets, and of the names of results.
    """
    keyed = tuple(replace(one, key=one.layer) for one in FOUNDING.outputs)
    case = replace(FOUNDING, trip="save", container="OrderedDict", outputs=keyed)
    hunt = Hunt("3.15.1", "tensorflow", ("optree",), seed=0)
    cases = (
        # Swapped targets, swapped losses, and swapped targets of a model that was not saved.
        (replace(case, loss=One("mse"), targets=InOrder((3.0, 4.0))), 29.0),
        (replace(case, loss=InOrder(("mse", "mae")), loss_weights=None), 15.0),
        (FOUNDING, 29.0),
    )
    for number, (one, total) in enumerate(cases):
        outcome = Outcome(Ended.EXIT, 1, 0.1, stdout=f"'loss' expected 1 observed {total} <- wrong")
        reading = explain(one, outcome)
        assert reading is not None
        judged = {"optree": Judged(Verdict.BAD, "exits 1")}
        finding = Finding(one, reading, "optree", judged, 1)  # type: ignore[arg-type]
        hunt.findings.append(Hunted(finding, str(number), Path(str(number))))
    said = [one.finding.reading.signature.partition(":")[0] for one in hunt.findings]
    assert said == ["target", "loss", "target"]
    assert hunt.causes() == [1, 1, 2]
