"""What of a service's metrics (Prometheus' text format) is taken, and what became more since the last look. Pure.

A counter only grows while its process lives: one that is smaller than before began again, and all of it is new. The
first look at a service only says where its counters stand.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from admin_sync.auth_health.figures import Count, Key, Level

Sample = tuple[str, Mapping[str, str], float]

CALLBACK: Final = "latency.callback"
REALM: Final = "latency.realm"
EXCHANGE: Final = "latency.exchange"
RETURNED: Final = "returned"
REFRESH: Final = "refresh"

BOUNDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds in seconds by which times are kept, `inf` besides: enough to say whether two seconds were met."""

SUM: Final = "all"
"""The label under which a series of times has its number and their sum; the bounds have numbers only."""

_SAMPLE: Final = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? ([-+0-9.eEINFinfna]+)(?: \d+)?\Z")
_PAIR: Final = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
_LONGEST_LINE: Final = 2000


@dataclass(frozen=True, slots=True)
class Timed:
    """A histogram that is taken: its name, the labels that it must have, and the series that it feeds."""

    name: str
    series: str
    having: Mapping[str, frozenset[str]] = field(default_factory=dict)


TIMED: Final[Sequence[Timed]] = (
    Timed("workspace_request_seconds", CALLBACK, {"page": frozenset({"callback"})}),
    Timed(
        "http_server_requests_seconds",
        REALM,
        {
            "uri": frozenset(
                {
                    "/realms/{realm}/protocol/{protocol}/auth",
                    "/realms/{realm}/protocol/{protocol}/token",
                    "/realms/{realm}/login-actions/authenticate",
                }
            )
        },
    ),
    Timed("session_broker_exchange_seconds", EXCHANGE),
)

COUNTED: Final[Mapping[str, tuple[str, str]]] = {
    "workspace_logins_total": (RETURNED, "outcome"),
    "vault_refreshes_total": (REFRESH, "outcome"),
}
"""Counters that are taken: the series that each feeds, and which of its labels stays."""

LEVELS: Final[Mapping[str, str]] = {
    "vault_holdings/credentials": "credentials",
    "vault_holdings/credentials_expired": "credentials.expired",
    "vault_holdings/credential_age_seconds_oldest": "token_age.oldest",
    "vault_holdings/credential_age_seconds_mean": "token_age.mean",
    "vault_holdings/key_age_seconds_oldest": "key_age.oldest",
    "vault_holdings/keys": "keys",
    "vault_holdings/keys_overdue": "keys.overdue",
    "vault_holdings/key_rotation_seconds": "keys.allowed",
    "vault_refresh_overdue_seconds": "refresh.overdue",
    "vault_refresh_failing": "refresh.failing",
    "vault_broker_circuits_open": "circuits.open",
}
"""Gauges that are taken, by name or by name and label `what`, and what each is called here."""

_NAMES: Final = (*(one.name for one in TIMED), *COUNTED, *(name.partition("/")[0] for name in LEVELS))


def samples(text: str) -> list[Sample]:
    """The samples of a page of metrics that anybody wants; the rest is passed over unread."""
    wanted: list[Sample] = []
    for line in text.splitlines():
        if not line.startswith(_NAMES) or len(line) > _LONGEST_LINE:
            continue
        found = _SAMPLE.match(line)
        if found is None:
            continue
        try:
            value = float(found[3])
        except ValueError:
            continue
        if math.isfinite(value):
            wanted.append((found[1], dict(_PAIR.findall(found[2] or "")), value))
    return wanted


def totals(found: Sequence[Sample]) -> dict[tuple[str, str], float]:
    """How far every counter stands, by series and label; of times also their sum, under the label `seconds`."""
    standing: dict[tuple[str, str], float] = {}
    for name, labels, value in found:
        if name in COUNTED:
            series, kept = COUNTED[name]
            _add(standing, series, labels.get(kept, "other"), value)
            continue
        for timed in TIMED:
            part = name.removeprefix(timed.name)
            if not name.startswith(timed.name) or not _has(labels, timed.having):
                continue
            if part == "_count":
                _add(standing, timed.series, SUM, value)
            elif part == "_sum":
                _add(standing, timed.series, "seconds", value)
            elif part == "_bucket" and _bound(labels.get("le", "")) is not None:
                _add(standing, timed.series, f"le:{_bound(labels['le']):g}", value)
    return standing


def grown(
    before: Mapping[tuple[str, str], float], now: Mapping[tuple[str, str], float], *, step: int, environment: str
) -> Iterator[tuple[Key, Count]]:
    """What was added between two looks at one service."""
    for (series, label), value in now.items():
        if label == "seconds":
            continue
        more = _more(before, (series, label), value)
        seconds = _more(before, (series, "seconds"), now.get((series, "seconds"), 0.0)) if label == SUM else 0.0
        if more >= 1:
            yield Key(step, environment, series, label), Count(round(more), seconds)


def levels(found: Sequence[Sample], *, step: int, environment: str) -> list[Level]:
    """What a service says is so now."""
    told = [(f"{name}/{labels['what']}" if "what" in labels else name, value) for name, labels, value in found]
    return [Level(step, environment, LEVELS[name], value) for name, value in told if name in LEVELS]


def _more(before: Mapping[tuple[str, str], float], key: tuple[str, str], value: float) -> float:
    stood = before.get(key, 0.0)
    return value - stood if value >= stood else value


def _add(standing: dict[tuple[str, str], float], series: str, label: str, value: float) -> None:
    standing[series, label] = standing.get((series, label), 0.0) + value


def _has(labels: Mapping[str, str], wanted: Mapping[str, frozenset[str]]) -> bool:
    return all(labels.get(name) in values for name, values in wanted.items())


def _bound(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if value in BOUNDS else None
