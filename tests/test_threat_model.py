"""What the threat model says is shown by a test, is."""

from __future__ import annotations

import re

from stack.layout import CHECKOUT

MODEL = (CHECKOUT / "docs" / "security" / "threat_model.md").read_text()


def test_every_line_of_the_threat_model_names_tests_that_there_are() -> None:
    rows = re.findall(r"^\| [STRIDE] \|.*$", MODEL, re.MULTILINE)
    files = (file.read_text() for file in (CHECKOUT / "tests").rglob("test_*.py"))
    there = {name for text in files for name in re.findall(r"def (test_\w+)\(", text)}
    assert len(rows) > 40
    for row in rows:
        named = re.findall(r"`(test_\w+)`", row)
        assert named, row
        assert set(named) <= there, row


def test_every_arrow_is_looked_at_for_all_that_can_happen_to_it() -> None:
    sections = [part for part in MODEL.split("\n## ")[1:] if " ─▶ " in part.partition("\n")[0]]
    assert len(sections) >= 7
    for section in sections[:-1]:
        letters = set(re.findall(r"^\| ([STRIDE]) \|", section, re.MULTILINE))
        assert letters == set("STRIDE"), section.partition("\n")[0]
