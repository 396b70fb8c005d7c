"""What the documents promise is true of the code."""

from __future__ import annotations

import re
from pathlib import Path

from keras_repro.contract import RULES

ROOT = Path(__file__).parent.parent


def test_the_page_of_rules_is_the_contract() -> None:
    """Lost otherwise: a finding cites a rule that its reader does not find."""
    page = (ROOT / "docs" / "rules.md").read_text("utf-8")
    rows = re.findall(r"^\| ([RT]\d+) \| (.+) \| (\w+) \| <(.+)> \|$", page, re.MULTILINE)
    assert rows == [(r.id, r.sentence, r.strength, r.source) for r in RULES.values()]


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
