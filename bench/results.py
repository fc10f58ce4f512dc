"""The result file: `{"date", "cores", "versions", "rows": [...]}`, as `bench/README.md` describes it.

A row is one case with one unit: our figure, and the peers' figures from the same run. What is null has
its reason in `why_null`. `measured` says when the row was taken, since rows may be taken by several
runs (`--sizes small`, then `--sizes large`) and are then merged into one file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

Better = Literal["lower", "higher"]

DIRECTORY = Path(__file__).parent.absolute() / "results"


class ResultInvalid(ValueError):
    """A result that says less than it must; the text names the row and what is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One case, measured.

    case:     what was measured, unique within a file together with the unit
    unit:     `s`, `requests`, `MiB`, `µs/request`, …
    ours:     our figure; null only with a reason in `why_null["ours"]`
    peers:    the figure of each peer by its name
    why_null: the reason of every null, by name (`ours` or the peer)
    measured: when the run that took it began, ISO 8601 with offset
    """

    case: str
    unit: str
    better: Better
    ours: float | None
    peers: Mapping[str, float | None]
    why_null: Mapping[str, str] = field(default_factory=dict)
    measured: str = ""

    def check(self) -> None:
        """Raises ResultInvalid unless every null has a reason and every figure is a number that can be one."""
        where = f"{self.case} [{self.unit}]"
        if self.better not in ("lower", "higher"):
            raise ResultInvalid(f"{where}: better is {self.better!r}, not lower or higher")
        if not self.case or not self.unit:
            raise ResultInvalid(f"{where}: a row has a case and a unit")
        for name, value in (("ours", self.ours), *self.peers.items()):
            if value is None and not self.why_null.get(name):
                raise ResultInvalid(f"{where}: {name} is null without a reason")
            if value is not None and (isinstance(value, bool) or not value >= 0 or value == float("inf")):
                raise ResultInvalid(f"{where}: {name} is {value!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A whole result file. `versions` names every program that took part."""

    date: str
    cores: int
    versions: Mapping[str, str]
    rows: tuple[Row, ...]

    def check(self) -> None:
        """Raises ResultInvalid for a bad row or one that is there twice."""
        seen: set[tuple[str, str]] = set()
        for row in self.rows:
            row.check()
            if (row.case, row.unit) in seen:
                raise ResultInvalid(f"{row.case} [{row.unit}] is there twice")
            seen.add((row.case, row.unit))

    def as_json(self) -> dict[str, Any]:
        """This result as JSON values."""
        return {**asdict(self), "rows": [asdict(row) for row in self.rows]}


def result(rows: Iterable[Row], versions: Mapping[str, str]) -> Result:
    """A result of now, on this machine."""
    made = Result(date=now(), cores=os.cpu_count() or 1, versions=dict(versions), rows=tuple(rows))
    made.check()
    return made


def now() -> str:
    """The time in whole seconds, with its offset."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def read(path: Path) -> Result | None:
    """The result in a file, None if there is no file. Raises ResultInvalid when it is not one."""
    try:
        told = json.loads(path.read_text("utf-8"))
        found = Result(
            date=told["date"],
            cores=told["cores"],
            versions=told["versions"],
            rows=tuple(Row(**row) for row in told["rows"]),
        )
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as problem:
        raise ResultInvalid(f"{path}: {problem}") from None
    found.check()
    return found


def merged(old: Result | None, new: Result, *, keep_peers: bool = False) -> Result:
    """`new`, with those rows of `old` that it does not have, in the order in which they first came.

    A row is taken whole: ours and the peers in it come from one run. With `keep_peers` those peers that the new
    run did not measure stay as the old one had them, and `measured` says both times.
    """
    if old is None:
        return new
    fresh = {(row.case, row.unit): row for row in new.rows}
    if keep_peers:
        before = {(row.case, row.unit): row for row in old.rows}
        fresh = {key: _with_peers(row, before[key]) if key in before else row for key, row in fresh.items()}
    rows = [fresh.pop((row.case, row.unit), row) for row in old.rows] + list(fresh.values())
    return Result(date=new.date, cores=new.cores, versions={**old.versions, **new.versions}, rows=tuple(rows))


def _with_peers(row: Row, old: Row) -> Row:
    kept = {name: value for name, value in old.peers.items() if name not in row.peers}
    if not kept:
        return row
    why = {name: old.why_null[name] for name in kept if name in old.why_null}
    measured = f"{row.measured}; {', '.join(kept)}: {old.measured}"
    return replace(row, peers={**kept, **row.peers}, why_null={**why, **row.why_null}, measured=measured)


def write(path: Path, made: Result) -> None:
    """Writes the file whole or not at all. Raises ResultInvalid."""
    made.check()
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    unfinished.write_text(json.dumps(made.as_json(), indent=1, ensure_ascii=False) + "\n", "utf-8")
    unfinished.replace(path)
