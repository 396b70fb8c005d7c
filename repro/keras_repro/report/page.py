"""The page: the same report for eyes. One file, which opens from disk and asks nobody for anything.

Jinja escapes all that is put in, and a policy in the page itself forbids what is not its own: any
request, and any script or style but the two that stand in it, which it knows by their hashes.

Public: `page`, `index_page`, `Summary`.
"""

from __future__ import annotations

import difflib
import hashlib
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import Any, Final

import jinja2
from markupsafe import Markup
from pygments.lexers.python import PythonLexer
from pygments.token import (
    Comment,
    Keyword,
    Name,
    Number,
    Operator,
    String,
    is_token_subtype,
)

from keras_bisect.transitions import SYMBOLS
from keras_bisect.verdict import Verdict
from keras_repro.case import Case
from keras_repro.report.facts import Facts
from keras_repro.report.figures import Panel, funnel, panels
from keras_repro.report.issue import issue, new_issue_link
from keras_repro.report.markdown import visible
from keras_repro.report.report import Report
from keras_repro.report.wording import commit_link

__all__ = ["Summary", "index_page", "page"]

_CLASSES: Final = (
    (Comment, "c"),
    (String, "s"),
    (Number, "n"),
    (Keyword, "k"),
    (Operator.Word, "k"),
    (Name.Function, "f"),
    (Name.Class, "f"),
)


@dataclass(frozen=True)
class Summary:
    """A finding in an index: where its page is, and what the releases show."""

    href: str
    report: Report


def page(report: Report) -> str:
    """The page of one failure."""
    facts = report.facts
    neighbour = report.seen.neighbour
    return _render(
        "report.html.jinja",
        report=report,
        facts=facts,
        seen=report.seen,
        link=new_issue_link(report),
        issue=issue(report),
        panels=_panels(facts),
        funnel=funnel(report.seen.stages),
        script=highlighted(facts.script.text),
        sides=list(side_by_side(facts.script.text, neighbour.text)) if neighbour else [],
        culprit=_culprit(report),
    )


def index_page(found: Sequence[Summary]) -> str:
    """The page of several failures: which release shows which."""
    keras = dict.fromkeys(one.report.facts.shown or one.report.seen.build for one in found)
    several = "failures" if len(found) != 1 else "failure"
    heading = f"{len(found)} {several} of Keras {', '.join(keras)}"
    releases = list(dict.fromkeys(e.build for one in found for e in one.report.timeline))
    rows = []
    for one in found:
        verdicts = {entry.build: entry.verdict for entry in one.report.timeline}
        rows.append((one, [(name, verdicts.get(name)) for name in releases]))
    return _render("index.html.jinja", heading=heading, releases=releases, rows=rows)


def _panels(facts: Facts) -> list[Panel]:
    if not isinstance(facts.case, Case) or not facts.misroutes:
        return []
    return panels(facts.case, facts.misroutes)


def _culprit(report: Report) -> dict[str, str] | None:
    one = report.facts.introduced
    if one is None or one.culprit is None:
        return None
    return {
        "sha": one.culprit.sha,
        "subject": one.culprit.subject,
        "date": one.culprit.date[:10],
        "link": commit_link(one.culprit),
    }


# -- code ------------------------------------------------------------------------------------------


def highlighted(text: str) -> list[Markup]:
    """The lines of a Python program, coloured."""
    lines: list[list[Markup]] = [[]]
    for kind, value in PythonLexer(ensurenl=False, stripnl=False).get_tokens(text):
        name = next((css for token, css in _CLASSES if is_token_subtype(kind, token)), "")
        for place, part in enumerate(value.split("\n")):
            if place:
                lines.append([])
            if part:
                shown = _shown(part)
                marked = Markup('<span class="{}">{}</span>').format(name, shown) if name else shown
                lines[-1].append(Markup(marked) if name else Markup.escape(shown))
    while lines and not lines[-1]:
        lines.pop()
    return [Markup("").join(parts) for parts in lines]


def _shown(text: str) -> str:
    """Text on a page: what would turn its direction or cannot be seen is written as an escape."""
    return "".join(c if c in "\t\n" else visible(c) for c in text)


@dataclass(frozen=True)
class Side:
    """A line of two programs that stand side by side."""

    left: Markup
    right: Markup
    differs: bool


def side_by_side(one: str, other: str) -> Iterator[Side]:
    """The lines around which two programs differ, each beside its counterpart."""
    left, right = (text.splitlines() for text in (one, other))
    shown_left, shown_right = highlighted(one), highlighted(other)
    if one == other:
        return
    matcher = difflib.SequenceMatcher(a=left, b=right, autojunk=False)
    for number, group in enumerate(matcher.get_grouped_opcodes(2)):
        if number:
            yield Side(Markup("⋯"), Markup("⋯"), False)
        for what, a, b, c, d in group:
            for place in range(max(b - a, d - c)):
                yield Side(
                    shown_left[a + place] if a + place < b else Markup(""),
                    shown_right[c + place] if c + place < d else Markup(""),
                    what != "equal",
                )


# -- templates -------------------------------------------------------------------------------------


def _render(name: str, **values: Any) -> str:
    style, program = _part("page.css"), _part("page.js")
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(program)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        _environment()
        .get_template(name)
        .render(
            style=Markup(style),
            program=Markup(program),
            policy=policy,
            version=version("keras-repro"),
            symbols=SYMBOLS,
            words=VERDICTS,
            **values,
        )
    )


VERDICTS: Final = {
    Verdict.GOOD: "passes",
    Verdict.BAD: "shows this failure",
    Verdict.DIFFERENT: "fails in another way",
    Verdict.UNTESTABLE: "cannot be tested",
}


def _part(name: str) -> str:
    return (files(__package__) / "templates" / name).read_text("utf-8")


def _hash(text: str) -> str:
    return "sha256-" + b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


@cache
def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("keras_repro.report"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=True,
    )
    made.filters |= {"visible": visible, "shown": _shown, "g": lambda value: f"{value:g}"}
    made.globals |= {"joined": _joined, "commit_link": commit_link}
    return made


def _joined(lines: Iterable[Markup]) -> Markup:
    return Markup("\n").join(lines)
