"""The sentences of a report: when it began, what is wrong, what is not known. Pure.

Everything a reader is told in words is made here, once, for the issue, the page and the terminal.
Nothing here is markup: a `Piece` is text with, perhaps, a link.

Public: `Piece`, `headline`, `title`, `what`, `parts`, `gaps`, `KERAS`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from keras_bisect.search.commits import NO_COMMITS
from keras_bisect.transitions import (
    Culprit,
    Entry,
    Place,
    Transition,
    as_releases_show,
    origin,
)
from keras_bisect.verdict import Verdict
from keras_repro.report.facts import Facts
from keras_repro.report.markdown import visible
from keras_repro.trees.case import TreeCase

__all__ = [
    "KERAS",
    "Gap",
    "Piece",
    "commit_link",
    "gaps",
    "headline",
    "parts",
    "plain",
    "title",
    "what",
]

KERAS: Final = "https://github.com/keras-team/keras"
TITLE: Final = 120
"""Characters of a title."""


@dataclass(frozen=True)
class Piece:
    """Some words, and where they lead."""

    text: str
    link: str = ""


def plain(pieces: Sequence[Piece]) -> str:
    """Pieces as text."""
    return "".join(piece.text for piece in pieces)


# -- since when, until when ------------------------------------------------------------------------


def headline(
    facts: Facts,
    changes: Sequence[Transition],
    timeline: Sequence[Entry] = (),
    newest: Sequence[Entry] = (),
) -> list[Piece]:
    """The first line: works in X, wrong since Y, still wrong or fixed in Z.

    Args:
        facts: the failure.
        changes: every change of verdict that is known, in order.
        timeline: every release, where they were tried.
        newest: what the newest release and nightly show, where that is known.
    """
    told = list(_windows(facts, changes, timeline))
    if not told:
        told = [[Piece(f"{_fails(facts)} in {facts.bad or 'an unknown build'}")]]
    pieces = [piece for one in told for piece in (*one, Piece("; "))][:-1]
    still = [entry.build for entry in newest if entry.verdict is Verdict.BAD]
    gone = [entry.build for entry in newest if entry.verdict is Verdict.GOOD]
    if still:
        pieces.append(Piece(f"; still {_fails(facts)} in {' and '.join(map(_named, still))}"))
    elif gone and not any(one.kind == "fixed" for one in changes):
        pieces.append(Piece(f"; passes in {' and '.join(map(_named, gone))}"))
    first = pieces[0].text
    return [Piece(first[0].upper() + first[1:]), *pieces[1:], Piece(".")]


def _named(build: str) -> str:
    return f"nightly {build}" if ".dev" in build else f"the newest release {build}"


def _fails(facts: Facts) -> str:
    return "fails" if facts.refused or not facts.rules else "wrong"


def _windows(
    facts: Facts, changes: Sequence[Transition], timeline: Sequence[Entry]
) -> Iterator[list[Piece]]:
    word = _fails(facts)
    tested = [entry for entry in timeline if entry.verdict is not Verdict.UNTESTABLE]
    begun = bool(tested) and tested[0].verdict is Verdict.BAD
    verdicts = {entry.verdict for entry in tested}
    if Verdict.DIFFERENT in verdicts and Verdict.GOOD not in verdicts:
        yield [Piece("works in no release of Keras 3")]
    if begun:
        which = "of Keras 3" if tested[0] is timeline[0] else "that can be tested"
        yield [Piece(f"{word} since {tested[0].build}, the first release {which}")]
    shown = as_releases_show(changes)
    other = False
    for place, one in enumerate(shown):
        first = place_name(one.first)
        following = shown[place + 1 : place + 2]
        if (
            not begun
            and (one.before, one.after) == (Verdict.GOOD, Verdict.DIFFERENT)
            and all(later.after is Verdict.BAD for later in following)
        ):
            # It turns into this failure later: who reads it looks for where it began.
            how = _otherwise(one.after, one.first, timeline, since=True)
            yield [Piece(f"works in {place_name(one.last)}, {how}"), *_culprit(one)]
            other = bool(following)
        elif one.after is Verdict.BAD and other:
            yield [Piece(f"in this way since {first}"), *_culprit(one)]
        elif one.after is Verdict.BAD:
            again = "again " if begun else ""
            before = f"{_otherwise(one.before, one.last, timeline)}, " if not begun else ""
            began = origin(one, changes)
            yield [Piece(f"{before}{word} {again}since {first}"), *_culprit(one, began)]
        elif one.before is Verdict.BAD:
            before = "" if begun else f"{word} in {place_name(one.last)}, "
            now = f"fixed in {first}"
            if one.after is Verdict.DIFFERENT:
                now = _otherwise(one.after, one.first, timeline, since=True)
            yield [Piece(f"{before}{now}"), *_culprit(one)]
        elif begun and one.after is Verdict.GOOD:
            yield [Piece(f"works since {first}"), *_culprit(one)]
        else:
            continue
        begun = begun or not other or one.after is Verdict.BAD


def _otherwise(
    verdict: Verdict, place: Place, timeline: Sequence[Entry], *, since: bool = False
) -> str:
    """What a build does that does not show the failure."""
    name = place_name(place)
    where = f"since {name}" if since else f"up to {name}"
    if verdict is Verdict.GOOD:
        return f"works in {name}"
    detail = next((entry.detail for entry in timeline if entry.build == place.release), "")
    raised = re.match(r"[\w.]*?(\w+(?:Error|Exception|Warning|Iteration|Interrupt))\b", detail)
    return f"{raised[1]} {where}" if raised else f"fails in another way {where}"


def place_name(place: Place, *, finest: bool = False) -> str:
    """A name of a build: the coarsest, which a reader knows, or the finest."""
    if finest:
        return _finest(place)
    return place.release or place.nightly or (place.commit or "an unknown build")[:10]


def commit_link(culprit: Culprit) -> str:
    """Where the commit can be read."""
    return culprit.link or f"{KERAS}/commit/{culprit.sha}"


def _culprit(one: Transition, began: Transition | None = None) -> list[Piece]:
    """The commit of a change; or of the stage that ends what passes, and of the last one."""
    stages = began is not None and began.after is not one.after
    if stages and began and began.culprit is not None and one.culprit is not None:
        [*first, _] = _culprit(began)
        [_, *last] = _culprit(one)
        return [*first, Piece("; in this way since commit "), *last]
    if one.culprit is None:
        if one.last.nightly and one.first.nightly and one.first.release:
            return [Piece(f" (nightly {one.last.nightly} to {one.first.nightly})")]
        return []
    pieces = [Piece(" (commit "), Piece(one.culprit.sha[:10], commit_link(one.culprit))]
    if one.culprit.pull:
        base = commit_link(one.culprit).rpartition("/commit/")[0]
        pull = f"{base}/pull/{one.culprit.pull}" if base else ""
        pieces += [Piece(", "), Piece(f"#{one.culprit.pull}", pull)]
    return [*pieces, Piece(")")]


# -- what ------------------------------------------------------------------------------------------


def title(facts: Facts) -> str:
    """One line for the list of issues: what, since when."""
    since = facts.bad
    word = "since" if facts.transitions or facts.timeline else "in"
    tail = f" {word} {since}" if since else ""
    said = visible(what(facts), TITLE - len(tail))
    return (said if said.startswith("keras") else said[0].upper() + said[1:]) + tail


def what(facts: Facts) -> str:
    """What goes wrong, in one sentence without an end."""
    form = _says(facts.script.text)
    if not facts.sentences:
        return form or facts.failure
    said = facts.sentences[0]
    if isinstance(facts.case, TreeCase):
        return _of_trees(said)
    form = form.removeprefix("Keras: ").removesuffix(".")
    for past, now in TENSES.items():
        said = said.replace(past, now, 1)
    if form and facts.failure.startswith(("refused: ", "failed: ")):
        return f"{form}: {_raised(facts)}"
    return said + (f" ({form})" if form else "")


def _of_trees(said: str) -> str:
    head, _, seen = said.partition(": expected ")
    if said.startswith("the "):
        return head
    if head.endswith(")") and ", observed " in seen:
        # It is a call, and says nothing yet.
        want, _, got = seen.partition(", observed ")
        return f"keras.tree.{head}: {got}, where {want.removeprefix('raises ')} is right"
    return f"keras.tree.{head}"


def _raised(facts: Facts) -> str:
    """The exception, as a release raised it."""
    shown = (entry.detail for entry in facts.timeline if entry.verdict is Verdict.BAD)
    said = facts.failure.partition(": ")[2].strip().removesuffix(":")
    return next((one for one in shown if one.startswith(said.partition(":")[0])), said)


TENSES: Final = {
    " was computed ": " is computed ",
    " were computed ": " are computed ",
    " was weighted ": " is weighted ",
    " was given ": " gets ",
    " were reported ": " are reported ",
    " were not used": " are not used",
    " was not used": " is not used",
    " was fed ": " is fed ",
    " used ": " uses ",
}


def _says(script: str) -> str:
    """What a script says of itself: the first line of its docstring."""
    # `compile` accepted it before it was bisected.
    return (ast.get_docstring(ast.parse(script)) or "").partition("\n")[0].strip().rstrip(".")


PARTS: Final = {
    "target": "target",
    "loss": "loss function",
    "weight": "loss weight",
    "sample weight": "sample weights",
    "metric weight": "sample weights, in its metrics,",
    "input": "data",
    "metric target": "target, in its metrics,",
    "metric": "metrics",
    "name": "name in the report",
}


def parts(part: str) -> str:
    """How a part is called in a table."""
    return PARTS.get(part, part)


# -- what is missing -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Gap:
    """Something that a search did not find out, and the command that would."""

    text: str
    command: str = ""


def gaps(facts: Facts) -> list[Gap]:
    """What is missing, and what to do about it; empty where the answer is whole."""
    subject = facts.script.filename.rpartition("/")[2] or "repro.py"
    found: list[Gap] = []
    if facts.unfinished:
        # Any other reason says itself what to do.
        go_on = _again(facts) if "interrupted" in facts.unfinished else ""
        found.append(Gap(f"The search has no answer: {facts.unfinished}", go_on))
    elif not facts.transitions and not facts.timeline:
        found.append(Gap("It was not dated.", f"keras-repro bisect {subject} --bad {facts.bad}"))
    for one in facts.transitions:
        if Verdict.BAD not in (one.before, one.after) and one.kind != "fixed":
            continue
        between = f"between {_finest(one.last)} and {_finest(one.first)}"
        older, newer = _ends(one)
        command = f"keras-repro bisect {subject} --good {older} --bad {newer}"
        if one.before is Verdict.DIFFERENT or one.after is Verdict.DIFFERENT:
            command = (
                f"keras-repro bisect {subject} --bad {newer if one.after is Verdict.BAD else older}"
            )
        if any(entry.posterior is not None for entry in one.between):
            most = max(one.between, key=lambda entry: entry.posterior or 0)
            found.append(
                Gap(
                    f"The script does not always fail, and {_builds(one)} {between} "
                    f"are left; the likeliest is {most.build} ({most.posterior or 0:.0%}).",
                    f"{command} --confidence {max(one.confidence, 0.99):.3g}",
                )
            )
        elif one.between:
            reasons = dict.fromkeys(entry.detail for entry in one.between)
            found.append(
                Gap(
                    f"{_builds(one)} {between} could not be tested: "
                    f"{'; '.join(list(reasons)[:2])}. The change came with one of them, or with "
                    "the build after them.",
                    _past(one, command, subject, facts),
                )
            )
        elif one.culprit is None:
            note = next((n for n in one.notes if n.startswith(NO_COMMITS)), "")
            if note or one.first.commit is None:
                text = f"The change {between} was not narrowed to a commit"
                reason = note.partition(": ")[2]
                found.append(
                    Gap(f"{text}{': ' + reason if reason else '.'}", f"{command} --repo CLONE")
                )
    return found


def _past(one: Transition, command: str, subject: str, facts: Facts) -> str:
    """The command that gets past builds that could not be tested, as far as there is one."""
    reasons = " ".join(entry.detail for entry in one.between)
    if "does not import" in reasons and not facts.era:
        return f"{command} --era"
    if one.first.commit is None:
        return f"{command} --repo CLONE"
    if "does not end" in reasons:
        return f"{command} --timeout 600"
    if facts.good and facts.bad:
        # A script that needs less can be tested in more of them.
        return f"keras-repro minimize {subject} --good {facts.good} --bad {facts.bad}"
    return command


def _builds(one: Transition) -> str:
    return f"{len(one.between)} build{'s' * (len(one.between) != 1)}"


def _again(facts: Facts) -> str:
    resumable = facts.command.startswith("keras-repro bisect")
    return f"{facts.command} --resume" if resumable else facts.command


def _finest(place: Place) -> str:
    return (place.commit or "")[:10] or place.nightly or place.release or "?"


def _ends(one: Transition) -> tuple[str, str]:
    """The good and the bad end to go on with."""
    last, first = (
        place.nightly or place.release or f"git:{place.commit}" for place in (one.last, one.first)
    )
    return (first, last) if one.before is Verdict.BAD else (last, first)
