"""Measures in Prometheus' text format, for a scrape or the textfile collector of node_exporter. Pure.

Every number becomes a gauge `tradepulse_measure_<measure>_<name>`. Tables (`realms`, `environments`, `kinds`,
`reasons`) become a label of that name without its last letter. What is unknown is left out: zero would be a lie.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from admin_sync.model import Json

PREFIX: Final = "tradepulse_measure"
TABLES: Final = frozenset({"realms", "environments", "kinds", "reasons"})

_UNFIT: Final = re.compile(r"[^a-zA-Z0-9_]")

Sample = tuple[str, tuple[tuple[str, str], ...], float]


def exposition(measures: Mapping[str, Mapping[str, Json]], says: Mapping[str, str]) -> str:
    """The text of some measures by name; `says` is what each of them is."""
    lines: list[str] = []
    for measure, numbers in measures.items():
        families: dict[str, list[str]] = {}
        for name, labels, value in _samples(f"{PREFIX}_{_UNFIT.sub('_', measure)}", numbers, ()):
            shown = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels)
            families.setdefault(name, []).append(f"{name}{{{shown}}} {value:g}" if shown else f"{name} {value:g}")
        for name, samples in families.items():
            lines += [f"# HELP {name} {says.get(measure, measure)}", f"# TYPE {name} gauge", *samples]
    return "".join(f"{line}\n" for line in lines)


def _samples(prefix: str, numbers: Mapping[str, Json], labels: tuple[tuple[str, str], ...]) -> Iterator[Sample]:
    for name, value in numbers.items():
        if isinstance(value, Mapping) and name in TABLES:
            for row, inner in value.items():
                within = (*labels, (name[:-1], str(row)))
                if isinstance(inner, Mapping):
                    yield from _samples(prefix, inner, within)
                elif isinstance(inner, (int, float)):
                    yield f"{prefix}_{_UNFIT.sub('_', name[:-1])}", within, float(inner)
        elif isinstance(value, (int, float)):
            yield f"{prefix}_{_UNFIT.sub('_', name)}", labels, float(value)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
