"""The issue: what a maintainer is given to read, as GitHub's Markdown; and a link that opens it.

Public: `issue`, `new_issue_link`, `refuse_unspecified`.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from typing import Final
from urllib.parse import urlencode

from keras_bisect.errors import UsageError
from keras_bisect.transitions import Transition
from keras_bisect.verdict import Verdict
from keras_repro.case import Case
from keras_repro.report import markdown
from keras_repro.report.ends import ends_of
from keras_repro.report.facts import Facts
from keras_repro.report.markdown import Markdown, code, fence, link, prose, visible
from keras_repro.report.report import Report
from keras_repro.report.wording import KERAS, Piece, place_name

__all__ = ["issue", "new_issue_link", "refuse_unspecified"]

LINK: Final = 8000
"""Characters of an address that GitHub opens: it refuses a little more than 8,100."""

DRAWN: Final = {"input": "data"}
"""Parts that a picture calls by another name."""

PARTS: Final = ("details", "replay", "diagram", "nearest", "output")
"""Parts of an issue, those that a reader misses least first."""


def issue(report: Report, without: frozenset[str] = frozenset()) -> str:
    """The text of an issue.

    Args:
        report: what to tell.
        without: parts that are left out.

    Raises:
        UsageError: the failure breaks no rule at all, and so is nobody's fault.
    """
    refuse_unspecified(report.facts)
    template = markdown.environment().get_template("issue.md.jinja")
    return template.render(
        report=report,
        facts=report.facts,
        seen=report.seen,
        headline=_pieces(report.headline),
        script=_script(report, output="output" not in without),
        diagram=_diagram(report) if "diagram" not in without else None,
        without=without,
        rules=[_rule(one.id, one.sentence, one.source) for one in report.facts.rules],
        commands=fence("\n".join(report.again), "sh"),
        replay=fence("\n".join(report.replay), "sh") if report.replay else None,
        tool=code(f"keras-repro {version('keras-repro')}"),
        files=list(_files(report)),
        suspects=[_suspects(one) for one in report.facts.transitions if one.between],
    )


def refuse_unspecified(facts: Facts) -> None:
    """Refuse what breaks no rule.

    Raises:
        UsageError: nobody says what should happen.
    """
    if facts.strength == "unspecified":
        raise UsageError(
            "This finding is unspecified: neither the documentation nor a maintainer says what "
            "should happen here, so there is nothing to file. Its folder is kept."
        )


def _pieces(pieces: list[Piece]) -> Markdown:
    made = (link(one.text, one.link) if one.link else prose(one.text) for one in pieces)
    return Markdown("".join(made))


def _rule(name: str, sentence: str, source: str) -> Markdown:
    return Markdown(
        f"{prose(sentence)} ({link('on which this rests', source)}; rule {prose(name)})"
    )


def _script(report: Report, *, output: bool) -> Markdown:
    """The script, and below it, as comments, what it printed: the whole can be pasted and run."""
    text = report.facts.script.text.rstrip() + "\n"
    if output:
        sight = report.sight
        ended = _ended(report)
        lines = [f"\n# With Keras {visible(report.seen.build)} it {ended}:"]
        lines += [f"#> {visible(line, 400)}".rstrip() for line in sight.lines]
        text += "\n".join(lines)
    return fence(text, "python")


def _ended(report: Report) -> str:
    outcome = report.seen.outcome
    return f"exits {outcome.code}" if outcome.ended == "exit" else f"ends by {outcome.ended}"


def _diagram(report: Report) -> Markdown | None:
    """The wrong wires, and the right ones beside them, as a Mermaid diagram."""
    facts = report.facts
    lines = ["flowchart LR"]
    wrong: list[int] = []
    for number, part in enumerate(dict.fromkeys(one.part for one in facts.misroutes)):
        mine = [one for one in facts.misroutes if one.part == part]
        ends = ends_of(facts.case, part, mine) if isinstance(facts.case, Case) else ()
        given = {one.output: one.source for one in mine}
        names = [end.name for end in ends]
        for place, end in enumerate(ends):
            source = given.get(end.name, end.name)
            node = f"{end.kind[0]}{place}[{markdown.mermaid(f'{end.kind} {end.name}')}]"
            if end.name in given:
                wrong.append(len(lines) - 1)
                lines.append(f"  {node} ==> {_value(part, number, names, source)}")
            own = _value(part, number, names, end.name)
            lines.append(f"  {node} {'-. should .->' if end.name in given else '-->'} {own}")
    if not wrong:
        return None
    lines.append(f"  linkStyle {','.join(map(str, wrong))} stroke:#c62828")
    return fence("\n".join(lines), "mermaid")


def _value(part: str, number: int, names: list[str], source: str | None) -> str:
    if source is None:
        return f"p{number}_none((none))"
    said = f"{DRAWN.get(part, part)} of {source}"
    return f"p{number}_{names.index(source)}({markdown.mermaid(said)})"


def _files(report: Report) -> Iterator[Markdown]:
    """The files of the change into the failure: what brings it when it is put on the last good."""
    one = report.facts.introduced
    if one is not None and one.files:
        names = " and ".join(code(_in_git(file, one)) for file in one.files)
        several = "those files alone bring" if len(one.files) > 1 else "that file alone brings"
        what = "the failure" if one.after is Verdict.BAD else "a failure"
        last = code(place_name(one.last, finest=True))
        yield Markdown(f"The change is in {names}: {several} {what} to {last}.")


def _in_git(file: str, one: Transition) -> str:
    """The path of a file in the repository, which was another one before April 2024."""
    old = file.replace("keras/src/", "keras/", 1)
    touched = one.culprit.files if one.culprit is not None else ()
    return old if old in touched and file not in touched else file


def _suspects(one: Transition) -> Markdown:
    names = [code(entry.build) for entry in one.between]
    if len(names) > 6:
        return Markdown(f"{names[0]} to {names[-1]} ({len(names)} builds)")
    return Markdown(", ".join(names))


def new_issue_link(report: Report, repository: str = KERAS) -> str:
    """An address that opens a new issue with title and text filled in.

    What an address has no room for is left out, the least important first; at worst the text is
    the first line and a word on where the rest is.
    """
    left_out: set[str] = set()
    for part in ("", *PARTS):
        left_out |= {part} - {""}
        made = _address(repository, report.title, issue(report, frozenset(left_out)))
        if len(made) <= LINK:
            return made
    short = f"{_pieces(report.headline)}\n\n(Paste the rest of `issue.md` here.)\n"
    made = _address(repository, report.title, short)
    return made if len(made) <= LINK else f"{repository}/issues/new"


def _address(repository: str, title: str, body: str) -> str:
    asked = {"title": title, "body": body}
    return f"{repository}/issues/new?{urlencode(asked, errors='replace')}"
