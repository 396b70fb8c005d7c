"""What a hunt folder knows of one failure, read from disk, checked once, and handed on as data.

A folder is of one of two kinds. A *finding* has `hunt.json`, `case.json` and `repro.py`: which rule
is broken, how, since when. A *bisect* of anybody's script has a journal alone: there is no rule,
and what its failure means is for its author to say. A bisect of a finding's script adds to the
finding. Both become `Facts`, so that everything behind this room need not care.

Public: `Facts`, `Misroute`, `read_facts`, `folders`, `rules_of`, `tree_of`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from keras_bisect.errors import HarnessError, UsageError
from keras_bisect.events import Began, Ended, Stage
from keras_bisect.outcome import TREES, Outcome, Tree
from keras_bisect.probe.prober import Script, digest
from keras_bisect.record.journal import read
from keras_bisect.record.recorded import Recorded, RecordedProbe, answered, probes, section
from keras_bisect.run import Run
from keras_bisect.transitions import Entry, Place, Transition, as_releases_show, origin
from keras_bisect.verdict import Match, Signature, Verdict, learn
from keras_repro import oracle
from keras_repro.contract import RULES, Rule
from keras_repro.reading import AnyCase, CaseSignature, load, render
from keras_repro.trees.case import TreeCase

__all__ = ["Facts", "Misroute", "folders", "read_facts", "rules_of", "tree_of"]

JOURNAL, HUNT, CASE, SCRIPT = "journal.jsonl", "hunt.json", "case.json", "repro.py"
PASSING = "passing.json"


@dataclass(frozen=True)
class Misroute:
    """What one output was given in the place of its own; `source` None: nobody's."""

    part: str
    """`target`, `loss`, `weight`, `metric target`, `metric` or `name`."""
    output: str
    source: str | None


@dataclass(frozen=True)
class Facts:
    """One failure, and what is known of it."""

    script: Script
    tree: Tree
    """The implementation of `keras.tree` that it was followed under."""
    backend: str
    signature: Signature
    failure: str
    """The signature in words."""
    transitions: tuple[Transition, ...]
    timeline: tuple[Entry, ...] = ()
    """Every release; empty where only some builds were tried."""
    shown: str | None = None
    """A build that is known to show it, where neither timeline nor transitions name one."""
    sentences: tuple[str, ...] = ()
    """What goes wrong, in words; empty for a script whose meaning is not known."""
    rules: tuple[Rule, ...] = ()
    strength: str = ""
    """`contract`, `inconsistent` or `unspecified`; empty where there is no rule."""
    misroutes: tuple[Misroute, ...] = ()
    trees: Mapping[str, str] | None = None
    """Implementation of `keras.tree` -> verdict, where both were tried."""
    case: AnyCase | None = None
    whole: Script | None = None
    """The script of the case, where `script` is a smaller one."""
    passing: AnyCase | None = None
    """The nearest case that the search saw pass, where it saw one."""
    command: str = ""
    """What to type to have all of it again."""
    probes: tuple[RecordedProbe, ...] = ()
    """Every probe of the last search, in the order in which they ended."""
    stages: int = 0
    unfinished: str = ""
    """Why the last search has no answer; empty if it has one."""
    era: bool = False
    options: Mapping[str, str] | None = None

    @property
    def refused(self) -> bool:
        """Whether an exception says that something is wrong; else numbers are wrong in silence."""
        return "Error" in self.failure or self.failure.startswith(("refused: ", "failed: "))

    @cached_property
    def change(self) -> Transition | None:
        """The change that a report is about, as releases show it: the last into the failure.

        Of several, the last one from builds that pass: what came before it was mended once.
        """
        into = [one for one in as_releases_show(self.transitions) if one.after is Verdict.BAD]
        clean = [one for one in into if one.before is Verdict.GOOD]
        return next(reversed(clean or into), None)

    @cached_property
    def introduced(self) -> Transition | None:
        """The same at its finest: see `origin`."""
        return None if self.change is None else origin(self.change, self.transitions)

    @property
    def bad(self) -> str | None:
        """The first build that shows the failure since it began last: the release, if known."""
        if self.change is not None:
            return _named(self.change.first)
        for entry in self.timeline:
            if entry.verdict is Verdict.BAD:
                return entry.build
        until = next((one for one in self.transitions if one.before is Verdict.BAD), None)
        return self.shown if until is None else _named(until.last)

    @property
    def good(self) -> str | None:
        """The last build before `bad` that passes; where there is none, the first one after."""
        if self.introduced is not None and self.introduced.before is Verdict.GOOD:
            return _named(self.introduced.last)
        later = self.transitions
        if self.introduced is not None:
            later = later[later.index(self.introduced) :]
        ends = next((one for one in later if one.kind == "fixed"), None)
        return None if ends is None else _named(ends.first)


def _named(place: Place) -> str:
    return place.release or place.nightly or place.folder or f"git:{place.commit}"


def folders(path: Path) -> list[Path]:
    """The folders that a person means: a finding or a bisect, or all of them in a folder.

    Raises:
        UsageError: there are none.
    """
    if path.is_file():
        path = path.parent
    if not path.is_dir():
        raise UsageError(f"{path}: there is no such folder. Name the folder of a hunt or bisect.")
    if (path / JOURNAL).is_file() or (path / CASE).is_file():
        return [path]
    order = _order(path)
    below = [p for p in path.iterdir() if (p / JOURNAL).is_file() or (p / CASE).is_file()]
    if not below:
        raise UsageError(
            f"{path} was expected to be the folder of a hunt or of a bisect, with a {JOURNAL} in "
            "it. `keras-repro hunt` and `keras-repro bisect` make them, below hunts/."
        )
    return sorted(below, key=lambda one: (order.get(one.name, len(order)), one.name))


def _order(path: Path) -> Mapping[str, int]:
    """The order in which the hunt itself would show its findings."""
    if not (path / HUNT).is_file():
        return {}
    slugs = [str(one.get("slug")) for one in _findings(path / HUNT)]
    return {slug: place for place, slug in enumerate(slugs)}


def read_facts(folder: Path) -> Facts:
    """All that a folder knows of its failure.

    Raises:
        UsageError: something in it is missing, damaged, or does not belong to the rest.
    """
    try:
        written = read(folder / JOURNAL) if (folder / JOURNAL).is_file() else []
    except HarnessError as error:
        raise UsageError(str(error)) from error
    # A later search without an answer, such as one with a mistyped end, takes none away.
    lines = answered(written) or section(written)
    begins = [one.event for one in lines if isinstance(one.event, Began)]
    run = begins[0].run if begins else None
    if (folder / HUNT).is_file() and (folder / CASE).is_file():
        facts = _finding(folder)
        if run is not None and run.command == "bisect" and run.script == digest(facts.script):
            return _narrower(facts, run, lines)
        return _with_probes(facts, lines)
    if run is None:
        raise UsageError(f"{folder}: its {JOURNAL} holds no search. Run the bisect again.")
    return _bisected(folder, run, lines)


def tree_of(path: Path) -> Tree:
    """The implementation of `keras.tree` of the finding that a case is of; optree for any other.

    Args:
        path: the case.
    """
    beside = (path.parent / HUNT).is_file() and path.name == CASE
    return read_facts(path.parent).tree if beside else "optree"


def rules_of(path: Path) -> tuple[Rule, ...]:
    """The rules that a case breaks, where its finding lies beside it, or else those it rests on.

    Args:
        path: the case.
    """
    if (path.parent / HUNT).is_file() and path.name == CASE:
        return read_facts(path.parent).rules
    case = load(path)
    known = case.laws if isinstance(case, TreeCase) else oracle.rules_of(case)
    return tuple(RULES[name] for name in known)


# -- a finding -------------------------------------------------------------------------------------


def _findings(path: Path) -> list[dict[str, Any]]:
    try:
        document = json.loads(path.read_text("utf-8"))
        found = document["findings"]
        if document["schema"] != 1 or not all(isinstance(one, dict) for one in found):
            raise ValueError("it is of another schema")
        return [one | {"hunt": document} for one in found]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(f"{path} is not the result of a hunt: {error}. Hunt again.") from error


def _finding(folder: Path) -> Facts:
    case = load(folder / CASE)
    found = _findings(folder / HUNT)
    one = next((one for one in found if one.get("slug") == folder.name), found[0] if found else {})
    try:
        script = Script.read(folder / SCRIPT)
        tree = _tree(one["tree"])
        hunt = one["hunt"]
        return Facts(
            script=Script(script.text),
            tree=tree,
            backend=str(hunt["backend"]),
            signature=CaseSignature(case, str(one["signature"])),
            failure=str(one["signature"]),
            transitions=tuple(map(_transition, one["transitions"])),
            timeline=tuple(map(_entry, one["timeline"])),
            shown=str(one.get("build") or hunt["keras"]),
            sentences=tuple(str(one["summary"]).split("; ")),
            rules=tuple(_rule(name, one) for name in one["rules"]),
            strength=str(one["strength"]),
            misroutes=tuple(
                Misroute(str(w["part"]), str(w["output"]), None if w["from"] is None else w["from"])
                for w in one["routing"]
            ),
            trees={str(tree): str(verdict) for tree, verdict in one["trees"].items()},
            case=case if render(case, tree).text == script.text else None,
            passing=load(folder / PASSING) if (folder / PASSING).is_file() else None,
            command=str(hunt.get("command") or _hunt_command(hunt)),
            unfinished=_unfinished(hunt),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(
            f"{folder / HUNT} is not the result of a hunt: {error!r}. Hunt again."
        ) from error


def _unfinished(hunt: Mapping[str, Any]) -> str:
    if hunt.get("fault"):
        return f"the hunt was interrupted by a fault: {hunt['fault']}"
    return "the hunt was interrupted" if hunt["interrupted"] else ""


def _rule(name: str, finding: Mapping[str, Any]) -> Rule:
    """A rule; of one that a newer version gave, what its result says."""
    if name in RULES:
        return RULES[name]
    sentence = str(finding["promises"].get(name, ""))
    return Rule(name, sentence, "", finding["strength"])


def _hunt_command(hunt: Mapping[str, Any]) -> str:
    trees = hunt["trees"]
    words = ["keras-repro hunt --keras", str(hunt["keras"]), f"--seed {hunt['seed']}"]
    words += [f"--tree {trees[0]}"] if len(trees) == 1 else []
    words += [f"--backend {hunt['backend']}"] if hunt["backend"] != "tensorflow" else []
    return " ".join(words)


# -- a bisect --------------------------------------------------------------------------------------


def _bisected(folder: Path, run: Run, lines: Sequence[Recorded]) -> Facts:
    script = Script.read(Path(run.filename)) if run.filename else None
    if script is None or digest(script) != run.script:
        raise UsageError(
            f"{run.filename or folder} is not any more what was bisected: the script has changed "
            "since. Bisect it again, and then report."
        )
    seen = _probes(lines)
    bad = next((p.event.outcome for p in seen if p.judged and p.judged.verdict == "bad"), None)
    match = Match.parse(run.options.get("match", "signature"))
    signature = learn(bad, match) if bad is not None else None
    if signature is None:
        raise UsageError(
            f"{folder}: no build was found that shows the failure"
            f"{': ' + _reason(lines) if _reason(lines) else ''}. There is nothing to report yet."
        )
    facts = Facts(
        script=script,
        tree=_tree(run.tree),
        backend=run.backend,
        signature=signature,
        failure=_words(signature, bad),
        transitions=(),
        shown=next(p.event.build for p in seen if p.judged and p.judged.verdict == "bad"),
        command=_bisect_command(run),
        era=run.options.get("era") == "True",
        options=run.options,
    )
    return _answered(_with_probes(facts, lines), lines)


def _words(signature: Signature, bad: Outcome | None) -> str:
    """The failure in words: the exception itself says more than its kind."""
    return str(bad.raised) if bad is not None and bad.raised else str(signature)


def _narrower(facts: Facts, run: Run, lines: Sequence[Recorded]) -> Facts:
    """A finding whose script was bisected afterwards: what that says is finer, and newer."""
    bisected = _answered(_with_probes(facts, lines), lines)
    finer = {_ends(one): one for one in bisected.transitions}
    merged = [finer.pop(_ends(one), one) for one in facts.transitions]
    if not facts.transitions:
        merged = list(finer.values())
    return replace(bisected, transitions=tuple(merged), era=run.options.get("era") == "True")


def _ends(one: Transition) -> tuple[str | None, str | None]:
    return one.last.release, one.first.release


def _bisect_command(run: Run) -> str:
    words = ["keras-repro bisect", Path(run.filename).name]
    ends = [f"--{name} {value}" for name in ("good", "bad") if (value := getattr(run, name))]
    words += ends
    options = dict(run.options)
    plain = {"to": "file", "match": "signature", "repeat": "auto", "confidence": "0.99"}
    for name, usual in plain.items():
        if options.get(name, usual) not in (usual, "case"):
            value = options[name]
            words.append(f"--{name} {value if ' ' not in value else repr(value)}")
    words += [f"--{name}" for name in ("find-fix", "all", "era") if options.get(name) == "True"]
    words += [f"--tree {run.tree}"] if run.tree != "optree" else []
    words += [f"--backend {run.backend}"] if run.backend != "tensorflow" else []
    return " ".join(words)


# -- journals --------------------------------------------------------------------------------------


def _probes(lines: Sequence[Recorded]) -> list[RecordedProbe]:
    return probes(lines)


def _with_probes(facts: Facts, lines: Sequence[Recorded]) -> Facts:
    mine = [one for one in _probes(lines) if one.event.script == digest(facts.script)]
    stages = sum(isinstance(one.event, Stage) for one in lines)
    return replace(facts, probes=tuple(mine), stages=stages)


def _answered(facts: Facts, lines: Sequence[Recorded]) -> Facts:
    ends = [one.event for one in lines if isinstance(one.event, Ended)]
    if not ends:
        return replace(facts, unfinished="it was interrupted before it had an answer")
    try:
        found = tuple(map(_transition, ends[-1].transitions))
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"The journal's answer cannot be read: {error}.") from error
    return replace(facts, transitions=found, unfinished=ends[-1].reason)


def _reason(lines: Sequence[Recorded]) -> str:
    return next((one.event.reason for one in lines if isinstance(one.event, Ended)), "")


_ENTRY = TypeAdapter(Entry)
_TRANSITION = TypeAdapter(Transition)


def _entry(document: Mapping[str, Any]) -> Entry:
    return _ENTRY.validate_python(dict(document))


def _transition(document: Mapping[str, Any]) -> Transition:
    """The transition that `transition_document` wrote; keys that are not known are passed over."""
    renamed = {"from": "before", "to": "after", "suspects": "between"}
    fields = {renamed.get(name, name): value for name, value in document.items()}
    fields["tallies"] = [
        {"build": one["build"], "verdicts": one["runs"]} for one in fields.pop("counts")
    ]
    try:
        return _TRANSITION.validate_python(fields)
    except ValidationError as error:
        raise ValueError(f"a transition cannot be read: {error.errors()[0]['msg']}") from error


def _tree(text: str) -> Tree:
    if text not in TREES:
        raise ValueError(f"the tree implementation {text!r} is not known")
    return TREES[TREES.index(text)]
