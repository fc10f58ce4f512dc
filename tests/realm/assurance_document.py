"""`docs/assurance.md`: written from outcomes, and read back row by row."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from assurance_oracle import Proof
from assurance_rows import Row
from assurance_walk import Outcome

from stack.layout import CHECKOUT

DOCUMENT: Final = CHECKOUT / "docs" / "assurance.md"

_BEGIN: Final = "<!-- rows -->\n"
_COLUMNS: Final = ("how", "holds", "asked for", "proved by", "`acr`", "`amr`", "`assurance_level`")
_HEAD: Final = f"| {' | '.join(_COLUMNS)} |\n|{' --- |' * len(_COLUMNS)}\n"


def line(row: Row, outcome: Outcome) -> str:
    """One row as the document has it."""
    proofs = " + ".join(outcome.proofs) or "nothing"
    if outcome.refused:
        cells = [outcome.refused, "", ""]
    else:
        cells = [outcome.acr, " ".join(outcome.amr), outcome.level]
    return "| " + " | ".join([row.way, row.holds, row.asked, proofs, *cells]) + " |"


def lines(document: Path = DOCUMENT) -> dict[Row, str]:
    """The rows of the document. Raises ValueError if one stands there twice."""
    found: dict[Row, str] = {}
    for text in document.read_text().partition(_BEGIN)[2].removeprefix(_HEAD).splitlines():
        row = Row(*_cells(text)[:3])
        if row in found:
            raise ValueError(f"{row} is there twice")
        found[row] = text
    return found


def claimed(text: str) -> tuple[tuple[Proof, ...], str, tuple[str, ...], str]:
    """The proofs, `acr`, `amr` and `assurance_level` of a line; no level where the login was refused."""
    _, _, _, proofs, acr, amr, level = _cells(text)
    made = () if proofs == "nothing" else tuple(Proof(one) for one in proofs.split(" + "))
    return made, "" if acr.startswith("refused") else acr, tuple(amr.split()), level


def write(outcomes: Mapping[Row, str], document: Path = DOCUMENT) -> None:
    """Exchange the table, and leave what stands before it."""
    before = document.read_text().partition(_BEGIN)[0]
    document.write_text(before + _BEGIN + _HEAD + "".join(f"{text}\n" for text in outcomes.values()))


def _cells(text: str) -> list[str]:
    return [cell.strip() for cell in text.strip().strip("|").split("|")]
