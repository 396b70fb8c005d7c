"""The machine-readable results of the finding half; `keras_bisect.documents` has the other's. Pure.

Public: `hunt_document`, `text`: it as it is written.
"""

from __future__ import annotations

from typing import Any

from keras_bisect.documents import SCHEMA, entry_document, transition_document
from keras_bisect.documents import text_of as text
from keras_repro.contract import rule
from keras_repro.find import Finding
from keras_repro.hunted import Hunt, Hunted
from keras_repro.reading import Reading

__all__ = ["hunt_document", "text"]

Document = dict[str, Any]


def hunt_document(hunt: Hunt, *, only: Hunted | None = None) -> Document:
    """A hunt, or one finding of it in the same form."""
    causes = dict(zip((one.slug for one in hunt.findings), hunt.causes(), strict=True))
    findings = hunt.findings if only is None else [only]
    return {
        "schema": SCHEMA,
        "keras": hunt.keras,
        "backend": hunt.backend,
        "trees": list(hunt.trees),
        "seed": hunt.seed,
        "examples": hunt.examples,
        "seconds": round(hunt.seconds, 3),
        "interrupted": hunt.interrupted,
        "command": hunt.command,
        "findings": [_finding(one, causes.get(one.slug), hunt.keras) for one in findings],
        "avoided": hunt.avoided,
        "replayed": hunt.replayed,
        "fault": str(hunt.fault) or type(hunt.fault).__name__ if hunt.fault else None,
    }


def _finding(hunted: Hunted, cause: int | None, keras: str) -> Document:
    finding = hunted.finding
    reading = finding.reading
    return {
        "slug": hunted.slug,
        "rules": list(reading.rules),
        "strength": reading.strength,
        "promises": {one: rule(one).sentence for one in reading.rules},
        "summary": "; ".join(reading.sentences),
        "signature": reading.signature,
        "routing": _routing(reading),
        "trees": {tree: str(judged.verdict) for tree, judged in finding.trees.items()},
        "tree": finding.tree,
        "examples": finding.examples,
        "script": str(hunted.script_file),
        "case": str(hunted.case_file),
        "timeline": [entry_document(entry) for entry in hunted.entries],
        "transitions": [transition_document(one) for one in hunted.transitions],
        "condition": str(finding.condition) if finding.condition is not None else None,
        "needs": _needs(finding),
        "share": round(finding.share, 4) if finding.share is not None else None,
        "cause": cause,
        "passing": str(hunted.passing_file) if finding.passing is not None else None,
        "build": finding.build.name if finding.build is not None else keras,
    }


def _needs(finding: Finding) -> Document | None:
    """The condition as data: which values a case has in the dimensions that matter."""
    if finding.condition is None:
        return None
    return {name: sorted(values) for name, values in finding.condition.needs.items()}


def _routing(reading: Reading) -> list[Document]:
    """Which part of which output was taken from which other output."""
    return [
        {"part": fault.component, "how": fault.how, "output": output, "from": other}
        for fault in reading.faults
        for output, other in fault.went
    ]
