"""What the documents promise is true of the code."""

from __future__ import annotations

import doctest
import json
import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import keras_bisect
import keras_repro
from keras_bisect.errors import (
    INTERRUPTED,
    HarnessError,
    Inconclusive,
    NotReproduced,
    UsageError,
    git_code,
)
from keras_bisect.verdict import UNTESTABLE_CODE
from keras_repro.cli.commands import cli
from keras_repro.contract import RULES

ROOT = Path(__file__).parent.parent


def test_the_page_of_rules_is_the_contract() -> None:
    """Lost otherwise: a finding cites a rule that its reader does not find."""
    page = (ROOT / "docs" / "rules.md").read_text("utf-8")
    rows = re.findall(r"^\| ([RT]\d+) \| (.+) \| (\w+) \| <(.+)> \|$", page, re.MULTILINE)
    assert rows == [(r.id, r.sentence, r.strength, r.source) for r in RULES.values()]


def test_pages_speak_of_rules_that_there_are() -> None:
    """Lost otherwise: a page explains a rule that was given another id, or never was."""
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        named = set(re.findall(r"\b([RT]\d{1,2})\b", page.read_text("utf-8")))
        assert named <= set(RULES), page.name
    page = (ROOT / "docs" / "rules.md").read_text("utf-8")
    for strength in {rule.strength for rule in RULES.values()}:
        assert f"`{strength}`: " in page, strength


def test_links_within_the_documents_lead_somewhere() -> None:
    """Lost otherwise: a newcomer's first click ends at a missing page."""
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_readme_holds_the_two_commands() -> None:
    """Lost otherwise: CI no longer runs what the README tells a newcomer to run."""
    text = (ROOT / "README.md").read_text("utf-8")
    commands = re.findall(r"^python3 -m venv .*$", text, re.MULTILINE)
    assert [command.split()[-1] for command in commands] == ["3.5.0", ".venv/bin/pytest"]


def commands() -> Iterator[list[str]]:
    """Each `keras-repro …` that a page tells somebody to type, as words."""
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for line in page.read_text("utf-8").splitlines():
            for found in re.findall(r"(?:^|`|bin/|run )keras-repro ([a-z][^`#]*)", line):
                yield shlex.split(found)


def test_every_command_of_the_documents_can_be_typed() -> None:
    """Lost otherwise: the first thing that a newcomer copies is refused."""
    typed = list(commands())
    for name, *arguments in typed:
        assert name in cli.commands, name
        cli.commands[name].make_context(name, arguments)
    table = (ROOT / "README.md").read_text("utf-8").partition("## The commands")[2]
    assert set(re.findall(r"^\| `keras-repro (\w+)", table, re.MULTILINE)) == set(cli.commands)
    assert len(typed) > len(cli.commands)


def test_the_page_of_documents_names_every_key_of_an_event() -> None:
    """Lost otherwise: a program that follows `--events` waits for what is never written."""
    page = (ROOT / "docs" / "json.md").read_text("utf-8").partition("## Events")[2]
    page = page.partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", page, re.MULTILINE))
    for line in (ROOT / "tests/golden/events.jsonl").read_text("utf-8").splitlines():
        event = json.loads(line)
        keys = event.keys() - {"schema", "event"}
        assert keys <= set(re.findall(r"`(\w+)`", rows[event["event"]])), event["event"]


def test_the_exit_codes_are_those_of_the_errors() -> None:
    """Lost otherwise: a script that goes by an exit code goes by a wrong one."""
    text = (ROOT / "README.md").read_text("utf-8").partition("## Exit codes")[2]
    codes = {
        int(code)
        for row in re.findall(r"^\| ([\d, ]+) \|", text, re.MULTILINE)
        for code in row.split(",")
    }
    kinds = (UsageError, NotReproduced, Inconclusive, HarnessError)
    own = {kind.exit_code for kind in kinds} | {INTERRUPTED}
    assert codes == {0, 1, UNTESTABLE_CODE} | own | {git_code(code) for code in own}


def test_what_docstrings_show_is_so() -> None:
    """Lost otherwise: an example that teaches what the code no longer does."""
    tried = 0
    for package in (keras_bisect, keras_repro):
        folder = Path(package.__file__ or "").parent
        for path in sorted(folder.rglob("*.py")):
            if ">>>" in path.read_text("utf-8"):
                name = ".".join((package.__name__, *path.relative_to(folder).with_suffix("").parts))
                result = doctest.testmod(import_module(name))
                assert not result.failed, name
                tried += result.attempted
    assert tried > 20
