"""A result file as bars, in SVG: one block for each case in seconds or requests per second, a bar for each tool.

The scale is logarithmic, because ours and the slowest peer are often a hundredfold apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from pathlib import Path

from bench.results import Result, Row
from bench.table import figure

_LEFT, _WIDTH, _BAR, _GAP = 230, 520, 16, 26
_UNITS = ("s", "requests/s", "values/s")
_COLOURS = {"ours": "#0b6e4f"}
_PEER = "#8a94a6"


def write(path: Path, result: Result) -> None:
    """Draws the rows in `_UNITS`; the file is replaced."""
    shown = [row for row in result.rows if row.unit in _UNITS and any(value for _, value in _bars(row))]
    path.write_text(_svg(shown, result), "utf-8")


def _bars(row: Row) -> Sequence[tuple[str, float | None]]:
    return [("ours", row.ours), *row.peers.items()]


def _svg(rows: Sequence[Row], result: Result) -> str:
    values = [value for row in rows for _, value in _bars(row) if value]
    low, high = math.floor(math.log10(min(values, default=1))), math.ceil(math.log10(max(values, default=10)))
    span = max(1, high - low)
    parts: list[str] = []
    y = 52
    for row in rows:
        parts.append(_text(10, y, f"{row.case} [{row.unit}, {row.better} is better]", weight="bold"))
        y += 8
        for name, value in _bars(row):
            if not value:
                continue
            width = max(2.0, (math.log10(value) - low) / span * _WIDTH)
            colour = _COLOURS.get(name, _PEER)
            parts.append(_text(_LEFT - 8, y + _BAR - 4, name, anchor="end"))
            parts.append(f'<rect x="{_LEFT}" y="{y}" width="{width:.1f}" height="{_BAR - 3}" fill="{colour}"/>')
            parts.append(_text(_LEFT + width + 6, y + _BAR - 4, figure(value)))
            y += _BAR
        y += _GAP
    size = f"{_LEFT + _WIDTH + 90} {y + 10}"
    title = f"{result.date}, {result.cores} cores; logarithmic scale"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" font-family="sans-serif" font-size="11">'
    ground = '<rect width="100%" height="100%" fill="#ffffff"/>'
    return "\n".join([head, ground, _text(10, 22, title), *parts, "</svg>\n"])


def _text(x: float, y: float, text: str, *, anchor: str = "start", weight: str = "normal") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}">{escape(text)}</text>'
