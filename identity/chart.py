"""A chart as SVG, made on the server: no script, and no style of its own but classes. Pure.

    line │ bar ─▶ <svg class="chart"> with a title, a frame, and lines that whoever shows it colours

A picture says nothing to some; whoever shows one shows the same figures as a table beside it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

WIDTH: Final = 640
HEIGHT: Final = 180
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 8, 10, 24
_TICKS: Final = 4


@dataclass(frozen=True, slots=True)
class Line:
    """One line: what it is, and a value for each place; None is a gap. `kind` is the class that colours it."""

    name: str
    values: Sequence[float | None]
    kind: str = "first"


def lines(title: str, places: Sequence[str], drawn: Sequence[Line], *, unit: str = "", largest: float = 0.0) -> str:
    """A chart of lines over `places`, which are texts such as times. `largest` is the least that the axis reaches."""
    top = _nice(max([largest, *(value for line in drawn for value in line.values if value is not None)], default=1.0))
    parts = [_begin(title), *_axis(top, unit), *_places(places)]
    for line in drawn:
        for run in _runs(line.values):
            points = " ".join(f"{_x(at, len(places)):.1f},{_y(value, top):.1f}" for at, value in run)
            if len(run) == 1:
                at, value = run[0]
                x, y = _x(at, len(places)), _y(value, top)
                parts.append(f'<circle class="{escape(line.kind)}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>')
            else:
                parts.append(f'<polyline class="{escape(line.kind)}" fill="none" points="{points}"/>')
    return "".join([*parts, "</svg>"])


def bars(title: str, places: Sequence[str], stacks: Sequence[Line], *, unit: str = "", largest: float = 0.0) -> str:
    """A chart of bars; the lines of `stacks` stand on one another."""
    sums = [sum(line.values[at] or 0.0 for line in stacks) for at in range(len(places))]
    top = _nice(max([largest, *sums], default=1.0))
    parts = [_begin(title), *_axis(top, unit), *_places(places)]
    wide = (WIDTH - _LEFT - _RIGHT) / max(1, len(places))
    for at in range(len(places)):
        below = 0.0
        for line in stacks:
            value = line.values[at] or 0.0
            if value <= 0:
                continue
            high, low = _y(below + value, top), _y(below, top)
            parts.append(
                f'<rect class="{escape(line.kind)}" x="{_LEFT + at * wide + wide * 0.1:.1f}" y="{high:.1f}" '
                f'width="{wide * 0.8:.1f}" height="{max(1.0, low - high):.1f}"/>'
            )
            below += value
    return "".join([*parts, "</svg>"])


def _begin(title: str) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}" '
        f'xmlns="http://www.w3.org/2000/svg">'
    )


def _axis(top: float, unit: str) -> list[str]:
    found = []
    for tick in range(_TICKS + 1):
        value = top * tick / _TICKS
        y = _y(value, top)
        found.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        said = escape(_number(value) + unit)
        found.append(f'<text class="axis" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{said}</text>')
    return found


def _places(places: Sequence[str]) -> list[str]:
    """At most seven texts under the frame, evenly over it."""
    every = max(1, math.ceil(len(places) / 7))
    return [
        f'<text class="axis" x="{_x(at, len(places)):.1f}" y="{HEIGHT - 6}" text-anchor="middle">{escape(text)}</text>'
        for at, text in enumerate(places)
        if at % every == 0
    ]


def _x(at: int, of: int) -> float:
    return _LEFT + (WIDTH - _LEFT - _RIGHT) * (at + 0.5) / max(1, of)


def _y(value: float, top: float) -> float:
    return HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * (value / top if top else 0.0)


def _runs(values: Sequence[float | None]) -> list[list[tuple[int, float]]]:
    """The stretches of a line between its gaps."""
    found: list[list[tuple[int, float]]] = []
    open_run = False
    for at, value in enumerate(values):
        if value is None or not math.isfinite(value):
            open_run = False
            continue
        if not open_run:
            found.append([])
            open_run = True
        found[-1].append((at, value))
    return found


def _nice(value: float) -> float:
    """The round number at or above a value that the axis ends at."""
    if value <= 0 or not math.isfinite(value):
        return 1.0
    size = 10 ** math.floor(math.log10(value))
    return next(float(step * size) for step in (1, 2, 4, 5, 8, 10) if step * size >= value * 0.999999)


def _number(value: float) -> str:
    return f"{value:g}" if value < 10_000 else f"{value / 1000:g}k"
