"""The order of things: each tool alone with the server, one measurement for each case.

    restart ─ first apply (cold)
    new realm ─ first apply ─ no-op ─ no-op by checksum ─ one change ─ restart ─ no-op (cold)

A cold server has just been started and has answered nothing but its health. Without the cold first apply, the
server is warmed once instead, before the first tool: an apply of the same size, by each of our two ways, that nobody
measures. A peer warms it further with the thousands of requests of its own. A tool whose command fails has no figure
for that case, and the end of its output is the reason.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.measure import run
from bench.results import Better, Row
from bench.sync.server import Server, scratch
from bench.sync.tools import BLIND, CHANGE, FIRST, NO_OP, OURS_BULK, OURS_REST, AdminSync, Tool
from bench.sync.workload import Size, Workload, workload

COLD = "cold"
WARM = "warm"

Case = tuple[str, str]
"""What is done, and whether the server is warm."""

CASES: Sequence[Case] = (
    (FIRST, COLD), (FIRST, WARM), (NO_OP, WARM), (BLIND, WARM), (CHANGE, WARM), (NO_OP, COLD),
)  # fmt: skip

UNITS: Mapping[str, str] = {
    "s": "wall time",
    "requests": "HTTP requests in Keycloak's access log",
    "client CPU s": "of the tool's process tree",
    "client MiB": "resident at the worst moment, of the whole tree",
    "server CPU s": "of Keycloak and PostgreSQL",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """What one tool came to in one case: a figure for each unit, or why there is none."""

    figures: Mapping[str, float]
    why: str | None = None


Grid = dict[tuple[str, Case], Cell]
"""Cells of one size by tool and case."""


def measure(server: Server, size: Size, tools: Sequence[Tool], cases: Collection[Case], grid: Grid) -> None:
    """Every tool in every case, one after the other, into `grid`; says each figure as it comes.

    A run that is interrupted leaves what it had measured by then in the grid, and the reason in the rest.
    """
    grid |= {
        (tool.name, case): Cell({}, "the run was stopped before it came to this") for tool in tools for case in cases
    }
    if (FIRST, COLD) not in cases:
        _warm_up(server, size)
    for tool in tools:
        absent = tool.absent(size.name)
        if absent is not None:
            _say(f"{size.name}: {tool.name}: {absent}")
            grid |= {(tool.name, case): Cell({}, absent) for case in cases}
            continue
        for case, cell in _one(server, size, tool, cases):
            shown = ", ".join(f"{value:.1f} {unit}" for unit, value in cell.figures.items()) or cell.why
            _say(f"{size.name}: {tool.name}: {' '.join(case)}: {shown}")
            grid[tool.name, case] = cell


def _warm_up(server: Server, size: Size) -> None:
    """Has the server do a first apply by both our ways, unmeasured, so that no measured one is the first of all."""
    for gateway in ("rest", "bulk"):
        tool = AdminSync(server, gateway)
        given, directory = workload(size, f"bench-warm-{gateway}-dev"), scratch(server.layout, "warm-up", gateway)
        server.remove(given.realm)
        tool.prepare(given, directory)
        _cell(server, tool, (FIRST, WARM), given, directory)
        server.remove(given.realm)


def _one(server: Server, size: Size, tool: Tool, cases: Collection[Case]) -> Iterator[tuple[Case, Cell]]:
    attempts: list[tuple[str, list[Case]]] = [
        ("cold", [(FIRST, COLD)]),
        ("warm", [case for case in CASES if case != (FIRST, COLD)]),
    ]
    for name, wanted in attempts:
        if not any(case in cases for case in wanted):
            continue
        slug = tool.name.replace(", ", "-").replace(" ", "-").lower()
        realm = f"bench-{size.name}-{slug}-{name}-dev"
        directory = scratch(server.layout, size.name, slug, name)
        shutil.rmtree(directory)
        directory.mkdir(mode=0o700)
        given = workload(size, realm)
        server.remove(realm)
        tool.prepare(given, directory)
        for case in wanted:
            if case[0] != FIRST and case not in cases:
                continue
            if case[0] == CHANGE:
                tool.prepare(given.changed(), directory)
            if case[1] == COLD:
                server.restart()
            cell = _cell(server, tool, case, given, directory)
            if case in cases:
                yield case, cell
            if case[0] == FIRST and cell.why is not None:
                yield from ((rest, Cell({}, cell.why)) for rest in wanted[1:] if rest in cases)
                break
        server.remove(realm)


def _cell(server: Server, tool: Tool, case: Case, given: Workload, directory: Path) -> Cell:
    command = tool.command(case[0], given, directory)
    if isinstance(command, str):
        return Cell({}, command)
    before = sum(server.cpu())
    log = directory / f"{'-'.join(case).replace(' ', '-')}.log"
    with server.access_log.counting() as requests:
        cost = run(command.words, environment=command.environment, cwd=command.cwd, log=log)
    if cost.code not in command.good:
        tail = " / ".join(cost.output.strip().splitlines()[-3:])
        return Cell({}, f"ended with {cost.code} after {cost.wall:.0f} s: {tail[-300:]}")
    return Cell(
        {
            "s": round(cost.wall, 2),
            "requests": float(requests[0]),
            "client CPU s": round(cost.cpu, 2),
            "client MiB": round(cost.peak / 2**20, 1),
            "server CPU s": round(sum(server.cpu()) - before, 2),
        }
    )


def rows(size: str, grid: Grid, measured: str) -> Iterable[Row]:
    """The rows of a result file: one for each case, gateway of ours and unit."""
    ours = {OURS_REST, OURS_BULK}
    better: Better = "lower"
    for case in dict.fromkeys(case for _, case in grid):
        peers = {tool: cell for (tool, known), cell in grid.items() if known == case and tool not in ours}
        for gateway in (OURS_REST, OURS_BULK):
            mine = grid.get((gateway, case), Cell({}, "was not asked for in this run"))
            if case[0] == BLIND and gateway == OURS_BULK:
                continue
            everybody = {"ours": mine, **peers}
            for unit in UNITS:
                yield Row(
                    case=f"{size}: {case[0]}, {case[1]} server, {gateway.removeprefix('ours, ')} gateway",
                    unit=unit,
                    better=better,
                    ours=mine.figures.get(unit),
                    peers={name: cell.figures.get(unit) for name, cell in peers.items()},
                    why_null={name: cell.why for name, cell in everybody.items() if cell.why is not None},
                    measured=measured,
                )


def table(size: str, grid: Grid) -> list[list[str]]:
    """One line for each tool, one column for each case; seconds and, in parentheses, requests."""
    cases = list(dict.fromkeys(case for _, case in grid))
    lines = [[size, *(f"{what}, {state}" for what, state in cases)]]
    for tool in dict.fromkeys(tool for tool, _ in grid):
        cells = [grid[tool, case].figures if (tool, case) in grid else {} for case in cases]
        lines.append([tool, *(f"{cell['s']:.2f} ({cell['requests']:.0f})" if cell else "-" for cell in cells)])
    return lines


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201
