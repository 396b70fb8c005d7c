"""Without these, an issue could show what was never run, hide what is not known, or be a trap."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from keras_bisect.errors import UsageError
from keras_bisect.transitions import Culprit, Entry, Place, Transition
from keras_bisect.verdict import Verdict
from keras_repro.report import markdown
from keras_repro.report.issue import LINK, issue, new_issue_link
from keras_repro.report.page import Summary, index_page, page
from keras_repro.report.report import Report
from keras_repro.report.terminal import plain_text
from keras_repro.report.wording import plain
from reports import HOSTILE, founding_report, report_with

GOLDEN = Path(__file__).parent / "golden"
OURS = ("https://github.com/keras-team/keras/", "https://keras.io/")


def tokens(text: str) -> Iterator[Token]:
    """What GitHub would see: every token, those inside of others, too."""
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    for token in parser.parse(text):
        yield token
        yield from token.children or ()


# -- what it says ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, text",
    [
        ("issue.md", issue(founding_report())),
        ("report.txt", plain_text(founding_report())),
        ("report.html", page(founding_report())),
    ],
)
def test_the_texts_are_those_that_were_agreed_on(name: str, text: str) -> None:
    path = GOLDEN / f"founding.{name}"
    if os.environ.get("KERAS_REPRO_GOLDEN") == "write":
        path.write_text(text, "utf-8")
    assert text == path.read_text("utf-8"), (
        f"{path.name} differs. If that is meant, run with KERAS_REPRO_GOLDEN=write."
    )


def test_the_script_in_an_issue_is_the_script_and_its_output_does_not_change_it() -> None:
    report = founding_report()
    fences = [token for token in tokens(issue(report)) if token.info == "python"]
    (pasted,) = (token.content for token in fences)
    assert pasted.startswith(report.facts.script.text)
    assert ast.dump(ast.parse(pasted)) == ast.dump(ast.parse(report.facts.script.text))
    assert "#> 'loss'     expected 45.0     observed 29.0 <- wrong\n" in pasted


def headline(*changes: Transition, line: dict[str, Verdict], newest: str = "") -> str:
    report = founding_report()
    entries = tuple(Entry(build, verdict, "ValueError: no") for build, verdict in line.items())
    facts = replace(report.facts, transitions=changes, timeline=entries)
    last = (Entry(newest, Verdict.BAD, ""),) if newest else ()
    return plain(Report(facts, replace(report.seen, newest=last)).headline)


def change(before: Verdict, after: Verdict, last: str, first: str) -> Transition:
    kind = "introduced" if before is Verdict.GOOD else "changed"
    return Transition(kind, before, after, Place(last), Place(first))  # type: ignore[arg-type]


def by(one: Transition, sha: str, day: str) -> Transition:
    """A change at its finest: by a commit, between nightlies."""
    places = (replace(one.last, nightly=f"{day}a"), replace(one.first, nightly=f"{day}b"))
    culprit = Culprit(sha, "Change it", "2024-07-19T00:00:00+00:00", None)
    return replace(one, culprit=culprit, last=places[0], first=places[1])


GOOD, BAD, DIFFERENT, UNTESTABLE = Verdict


def test_the_first_line_tells_every_history() -> None:
    assert (
        headline(change(GOOD, BAD, "3.1.0", "3.2.0"), line={"3.1.0": GOOD, "3.2.0": BAD})
        == "Works in 3.1.0, wrong since 3.2.0."
    )
    assert (
        headline(
            change(GOOD, BAD, "3.1.0", "3.2.0"),
            line={"3.1.0": GOOD, "3.2.0": BAD},
            newest="3.3.0.dev2024010203",
        )
        == "Works in 3.1.0, wrong since 3.2.0; still wrong in nightly 3.3.0.dev2024010203."
    )
    assert (
        headline(
            change(DIFFERENT, BAD, "3.1.0", "3.2.0"),
            change(BAD, DIFFERENT, "3.2.0", "3.3.0"),
            line={"3.1.0": DIFFERENT, "3.2.0": BAD, "3.3.0": DIFFERENT},
        )
        == "Works in no release of Keras 3; ValueError up to 3.1.0, wrong since 3.2.0; "
        "ValueError since 3.3.0."
    )
    assert (
        headline(change(BAD, GOOD, "3.1.0", "3.2.0"), line={"3.1.0": BAD, "3.2.0": GOOD})
        == "Wrong since 3.1.0, the first release of Keras 3; fixed in 3.2.0."
    )
    assert (
        headline(
            change(GOOD, BAD, "3.1.0", "3.2.0"),
            change(BAD, GOOD, "3.2.0", "3.3.0"),
            change(GOOD, BAD, "3.3.0", "3.4.0"),
            line={"3.1.0": GOOD, "3.2.0": BAD, "3.3.0": GOOD, "3.4.0": BAD},
        )
        == "Works in 3.1.0, wrong since 3.2.0; fixed in 3.3.0; wrong again since 3.4.0."
    )
    assert (
        headline(
            by(change(DIFFERENT, GOOD, "3.1.0", "3.2.0"), "aaaaaaaaaa", "1"),
            by(change(GOOD, BAD, "3.1.0", "3.2.0"), "bbbbbbbbbb", "2"),
            line={"3.1.0": DIFFERENT, "3.2.0": BAD, "3.3.0": GOOD},
        )
        == "ValueError up to 3.1.0, wrong since 3.2.0 (commit bbbbbbbbbb)."
    )
    assert (
        headline(
            by(change(GOOD, DIFFERENT, "3.1.0", "3.2.0"), "aaaaaaaaaa", "1"),
            by(change(DIFFERENT, BAD, "3.1.0", "3.2.0"), "bbbbbbbbbb", "2"),
            line={"3.1.0": GOOD, "3.2.0": BAD},
        )
        == "Works in 3.1.0, wrong since 3.2.0 (commit aaaaaaaaaa; in this way since commit "
        "bbbbbbbbbb)."
    )
    assert (
        headline(
            by(change(GOOD, DIFFERENT, "3.1.0", "3.2.0"), "aaaaaaaaaa", "1"),
            by(change(DIFFERENT, BAD, "3.2.0", "3.3.0"), "bbbbbbbbbb", "2"),
            line={"3.1.0": GOOD, "3.2.0": DIFFERENT, "3.3.0": BAD},
            newest="3.3.0",
        )
        == "Works in 3.1.0, ValueError since 3.2.0 (commit aaaaaaaaaa); in this way since 3.3.0 "
        "(commit bbbbbbbbbb); still wrong in the newest release 3.3.0."
    )
    assert (
        headline(line={"3.0.0": UNTESTABLE, "3.1.0": BAD})
        == "Wrong since 3.1.0, the first release that can be tested."
    )


def test_a_report_is_about_the_last_time_that_it_began() -> None:
    """Lost: a maintainer is shown how a bug began that was mended years ago, and came back."""
    stages = (
        change(GOOD, DIFFERENT, "3.3.0", "3.4.0"),
        change(DIFFERENT, BAD, "3.3.0", "3.4.0"),
    )
    line = {"3.1.0": GOOD, "3.2.0": BAD, "3.3.0": GOOD, "3.4.0": BAD, "3.5.0": DIFFERENT}
    facts = replace(
        founding_report().facts,
        transitions=(
            change(GOOD, BAD, "3.1.0", "3.2.0"),
            Transition("fixed", BAD, GOOD, Place("3.2.0"), Place("3.3.0")),
            *stages,
            change(BAD, DIFFERENT, "3.4.0", "3.5.0"),
        ),
        timeline=tuple(Entry(build, verdict, "") for build, verdict in line.items()),
    )
    assert (facts.good, facts.bad) == ("3.3.0", "3.4.0")
    # Who makes another failure of a failure is not to be blamed for it.
    assert facts.introduced is stages[0]
    turned = replace(
        facts,
        transitions=(
            change(GOOD, DIFFERENT, "3.1.0", "3.2.0"),
            change(DIFFERENT, BAD, "3.2.0", "3.3.0"),
        ),
    )
    assert turned.introduced is turned.transitions[0]
    assert (turned.good, turned.bad) == ("3.1.0", "3.3.0")
    begins_bad = replace(facts, transitions=facts.transitions[1:2])
    assert (begins_bad.good, begins_bad.bad) == ("3.3.0", "3.2.0")


def test_what_else_releases_show_is_told() -> None:
    """Lost: a reader asks how it failed before it failed in this way."""
    report = founding_report()
    line = [("3.0.0", "ValueError: no"), ("3.1.0", "ValueError: no"), ("3.2.0", "exits 1: `b`")]
    entries = [Entry(build, DIFFERENT, detail) for build, detail in line]
    timeline = (*entries, Entry("3.5.0", BAD, ""))
    text = issue(Report(replace(report.facts, timeline=timeline), report.seen))
    assert "- ≠ 3.0.0-3.1.0: `ValueError: no`\n- ≠ 3.2.0: `` exits 1: `b` ``\n" in text


def test_a_range_is_told_as_a_range_with_the_command_that_goes_on() -> None:
    report = founding_report()
    between = (Entry("3.4.1.dev2024072003", UNTESTABLE, "keras does not import: no optree"),)
    wide = replace(change(GOOD, BAD, "3.4.1", "3.5.0"), between=between)
    text = issue(Report(replace(report.facts, transitions=(wide,)), report.seen))
    assert "1 build between 3.4.1 and 3.5.0 could not be tested" in text
    assert "keras does not import: no optree" in text
    assert "`keras-repro bisect repro.py --good 3.4.1 --bad 3.5.0 --era`" in text
    assert "`3.4.1.dev2024072003`" in text


def test_an_inconsistency_is_filed_with_that_word() -> None:
    report = founding_report()
    text = issue(Report(replace(report.facts, strength="inconsistent"), report.seen))
    assert "inconsistent with itself" in text
    assert "What Keras promises" not in text


def test_what_no_rule_speaks_of_is_not_filed() -> None:
    report = founding_report()
    with pytest.raises(UsageError, match="nothing to file"):
        issue(Report(replace(report.facts, strength="unspecified"), report.seen))


def test_a_link_holds_the_issue_as_far_as_there_is_room() -> None:
    report = founding_report()
    asked = parse_qs(urlsplit(new_issue_link(report)).query)
    assert asked["title"] == [report.title]
    assert asked["body"] == [issue(report)]
    long = report_with("b" * 3000, "a" * 3000)
    link = new_issue_link(long)
    assert len(link) <= LINK
    assert parse_qs(urlsplit(link).query)["title"] == [long.title]


# -- hostile names ---------------------------------------------------------------------------------


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_name_message_or_subject_becomes_markup_of_an_issue(text: str) -> None:
    one = text or "empty"
    plainly = list(tokens(issue(report_with("b", "a", subject="s"))))
    found = list(tokens(issue(report_with(one, "a", subject=text))))
    kinds = ("html_inline", "html_block", "fence", "td_open", "tr_open", "heading_open", "image")
    kinds += ("list_item_open", "hr", "blockquote_open", "link_open", "em_open", "s_open")
    count = {kind: sum(token.type == kind for token in plainly) for kind in kinds}
    comments = sum(token.content == "<!-- -->" for token in found)
    count["html_inline"] += comments
    assert {kind: sum(token.type == kind for token in found) for kind in kinds} == count
    assert all(
        str(token.attrs["href"]).startswith(OURS) for token in found if token.type == "link_open"
    )
    loud = list(tokens(issue(report_with("b", "a", said=text or "m"))))
    assert sum(token.type == "fence" for token in loud) == sum(
        token.type == "fence" for token in tokens(issue(report_with("b", "a", said="m")))
    )
    assert not [t for t in loud if t.type == "html_inline" and t.content != "<!-- -->"]
    report = founding_report()
    other, plain_one = (
        list(tokens(issue(Report(replace(report.facts, timeline=(entry, last)), report.seen))))
        for last in [Entry("3.5.0", BAD, "")]
        for entry in (Entry("3.0.0", DIFFERENT, said) for said in (text, "m"))
    )
    count = {kind: sum(token.type == kind for token in plain_one) for kind in kinds}
    assert {kind: sum(token.type == kind for token in other) for kind in kinds} == count


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_name_message_or_subject_becomes_markup_of_a_page(text: str) -> None:
    one = text or "empty"
    for made, plainly in (
        (report_with(one, "a", subject=text), report_with("b", "a", subject="s")),
        (report_with("b", "a", said=text or "m"), report_with("b", "a", said="m")),
    ):
        seen, wanted = Seen(page(made)), Seen(page(plainly))
        assert set(seen.tags) == set(wanted.tags)
        assert seen.tags.count("script") == 1
        assert seen.attributes == wanted.attributes
        assert seen.scripts == wanted.scripts
        index = Seen(index_page([Summary("x/report.html", made)]))
        assert index.tags.count("script") == 1
        # Neither a browser nor a reader is misled: nothing turns the direction of what is shown.
        assert "\u202e" not in page(made) and "\0" not in page(made)


class Seen(HTMLParser):
    """The elements of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.scripts: list[str] = []
        self._script = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self._script = tag == "script"

    def handle_endtag(self, tag: str) -> None:
        self._script = False

    def handle_data(self, data: str) -> None:
        if self._script:
            self.scripts.append(data)


@pytest.mark.parametrize("text", [one for one in HOSTILE if one], ids=range(len(HOSTILE) - 1))
def test_the_script_of_hostile_names_is_python_and_means_the_same(text: str) -> None:
    report = report_with(text, "a")
    strings = {
        node.value
        for node in ast.walk(ast.parse(report.facts.script.text))
        if isinstance(node, ast.Constant)
    }
    assert text in strings


def test_text_that_was_not_made_safe_is_refused_by_a_template() -> None:
    template = markdown.environment().from_string("{{ name }}")
    with pytest.raises(TypeError, match="code or prose"):
        template.render(name="*")


def test_a_page_forbids_itself_whatever_is_not_its_own() -> None:
    text = page(founding_report())
    assert "default-src &#39;none&#39;" in text
    for outside in ("src=", "url(", "@import", "<link", "<iframe", "style="):
        assert outside not in text
